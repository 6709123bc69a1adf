"""What a network is made of: one frozen configuration each, from which it is built and by which it is saved."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Ge, Le, Lt
from pydantic import Field

from translate.config.base import Config, ConfigError

Norm = Literal["instance", "instance-affine", "batch", "group", "none"]
Padding = Literal["reflect", "replicate", "zeros"]
Upsampling = Literal["resize", "nearest", "transposed"]
Downsampling = Literal["strided", "blur", "blur-after"]
Initialisation = Literal["normal", "xavier", "kaiming", "orthogonal"]
Likelihood = Literal["bernoulli", "gaussian"]
NUM_PATCHES = 4_000  # of PatchCore's memory
MOST_LAYERS = 256  # of a kind; a file that asks for more is no network


@dataclass(frozen=True, kw_only=True)
class ResNetConfig(Config):
    """The generator of Johnson et al. (2016) as used by CycleGAN: down, residual blocks, up."""

    type: Literal["resnet"] = "resnet"
    in_channels: Annotated[int, Ge(1)] = 3
    out_channels: Annotated[int, Ge(1)] = 3
    width: Annotated[int, Ge(1)] = 64
    """Channels after the first convolution; doubled by each down-sampling."""
    num_blocks: Annotated[int, Ge(0), Le(MOST_LAYERS)] = 9
    """Residual blocks: 6 up to 128 px, 9 above."""
    num_downsamplings: Annotated[int, Ge(0), Le(6)] = 2
    norm: Norm = "instance"
    padding: Padding = "reflect"
    upsampling: Upsampling = "resize"
    downsampling: Downsampling = "strided"
    dropout: Annotated[float, Ge(0.0), Lt(1.0)] = 0.0
    """Probability of dropping a channel's value inside each residual block."""
    style: Annotated[int, Ge(0)] = 0
    """Numbers of a code that decides the look of the output: the residual blocks are modulated by it, and an encoder
    finds it in an example; 0 for none."""
    residual: bool = False
    """The network makes a change of its input instead of its output."""
    fills: bool = False
    """The last input channel says how much of a pixel is there: what is there is kept, and the rest is made."""
    colours: bool = False
    """The input is grey and the luma of the output, which is kept; the network makes the colours."""

    def __post_init__(self) -> None:
        _check_output(self)


@dataclass(frozen=True, kw_only=True)
class ConditionalResNetConfig(Config):
    """A ResNet generator for many styles: conditional instance norm (Dumoulin et al., 2017)."""

    type: Literal["conditional-resnet"] = "conditional-resnet"
    in_channels: Literal[3] = 3
    out_channels: Literal[3] = 3
    widths: tuple[Annotated[int, Ge(1)], Annotated[int, Ge(1)], Annotated[int, Ge(1)]] = (16, 40, 80)
    """Channels at full, half and quarter size."""
    packed: bool = False
    """Go to quarter size in one step, where squares of 4x4 pixels become the channels of one; else by strided
    convolutions, which take longer."""
    num_blocks: Annotated[int, Ge(0), Le(MOST_LAYERS)] = 4
    """Residual blocks, at quarter size."""
    code: Annotated[int, Ge(1)] = 32
    """Numbers of the code of a style, of which every norm's scales and shifts are made."""
    num_styles: Annotated[int, Ge(0), Le(10_000)] = 1
    """Styles that it holds a code of; 0 for a network that finds the code of any image."""
    style_size: Annotated[int, Ge(0), Le(2048)] = 0
    """The shorter side, in pixels, that an image is resized to before the code of its style is found; 0 for a network
    with named styles only, which has no encoder."""

    def __post_init__(self) -> None:
        if not self.num_styles and not self.style_size:
            raise ConfigError("a network for styles has named ones, or an encoder that finds them in images")


@dataclass(frozen=True, kw_only=True)
class UNetConfig(Config):
    """The generator of pix2pix (Isola et al., 2017): an encoder and a decoder with skips at every size."""

    type: Literal["unet"] = "unet"
    in_channels: Annotated[int, Ge(1)] = 3
    out_channels: Annotated[int, Ge(1)] = 3
    width: Annotated[int, Ge(1)] = 64
    """Channels of the outermost level; doubled inwards up to 8 times this."""
    depth: Annotated[int, Ge(1), Le(10)] = 8
    """Halvings: the input is padded to a multiple of ``2 ** depth``; 8 for 256 px as published."""
    norm: Norm = "instance"
    padding: Padding = "zeros"
    """How borders are filled: zeros as published; ``reflect`` leaves no lines along the borders."""
    upsampling: Upsampling = "resize"
    downsampling: Downsampling = "strided"
    dropout: Annotated[float, Ge(0.0), Lt(1.0)] = 0.5
    """Probability of dropping a value in the inner up-blocks, three of them at depth 8 as in the paper."""
    output: Literal["tanh", "linear"] = "tanh"
    """``tanh`` for images in [-1, 1]; ``linear`` for logits, as in segmentation."""
    residual: bool = False
    """The network makes a change of its input instead of its output."""
    fills: bool = False
    """The last input channel says how much of a pixel is there: what is there is kept, and the rest is made."""
    colours: bool = False
    """The input is grey and the luma of the output, which is kept; the network makes the colours."""

    def __post_init__(self) -> None:
        _check_output(self)
        if self.downsampling == "blur-after":  # its activations come before its convolutions
            raise ConfigError("--downsampling blur-after is not for a U-Net: choose strided or blur")


def _check_output(config: ResNetConfig | UNetConfig) -> None:
    if config.fills and (config.in_channels != config.out_channels + 1 or config.residual):
        raise ConfigError(
            "a network that fills holes has one input channel more than outputs, and makes no change of its input: it "
            f"has {config.in_channels} and {config.out_channels} channels"
        )
    if config.colours and (config.in_channels != 1 or config.out_channels != 3 or config.residual):
        raise ConfigError(
            "a network that makes colours has one input channel and three outputs, and makes no other change of its "
            f"input: it has {config.in_channels} and {config.out_channels} channels"
        )


@dataclass(frozen=True, kw_only=True)
class PatchGANConfig(Config):
    """The discriminator of pix2pix: one logit for each overlapping patch."""

    type: Literal["patchgan"] = "patchgan"
    in_channels: Annotated[int, Ge(1)] = 6
    """Input and output channels together when it is conditional."""
    width: Annotated[int, Ge(1)] = 64
    num_layers: Annotated[int, Ge(0), Le(8)] = 3
    """Strided stages: 3 sees 70x70 pixels, 0 is the pixel discriminator (1x1)."""
    num_scales: Annotated[int, Ge(1), Le(5)] = 1
    """Copies at full, half, quarter ... resolution, as in pix2pixHD (Wang et al., 2018)."""
    norm: Norm = "instance"
    downsampling: Literal["strided", "blur-after"] = "strided"
    """``strided`` as published with pix2pix; ``blur-after`` as with CUT."""

    def __post_init__(self) -> None:
        if self.num_layers == 0 and self.num_scales > 1:
            raise ConfigError("--num-scales needs a discriminator with layers: set --num-layers to 1 or more")


@dataclass(frozen=True, kw_only=True)
class PatchHeadsConfig(Config):
    """What CUT compares features by (Park et al., 2020): two linear layers for each layer of the generator."""

    type: Literal["patch-heads"] = "patch-heads"
    channels: tuple[int, ...]
    """Of each layer's features."""
    projection: Annotated[int, Ge(1)] = 256
    """Channels in which they are compared."""


@dataclass(frozen=True, kw_only=True)
class ClassifierNetworkConfig(Config):
    """A small convolutional network that names the class of a whole image, and describes it by a few features."""

    type: Literal["classifier"] = "classifier"
    in_channels: Annotated[int, Ge(1)] = 3
    num_classes: Annotated[int, Ge(2)] = 2
    size: Annotated[int, Ge(16)] = 64
    """Side in pixels of the square to which every image is squeezed."""
    width: Annotated[int, Ge(1)] = 32
    """Channels after the first convolution; doubled twice."""
    num_features: Annotated[int, Ge(1)] = 64
    """Values that describe an image: few, so that small sets can be compared by them."""
    norm: Norm = "batch"
    dropout: Annotated[float, Ge(0.0), Lt(1.0)] = 0.2
    """Probability of dropping a feature while training."""


class SameChannels(Config):
    """Of networks that make images of the kind that they take."""

    channels: int

    @property
    def in_channels(self) -> int:
        return self.channels

    @property
    def out_channels(self) -> int:
        return self.channels


@dataclass(frozen=True, kw_only=True)
class DenseAutoencoderConfig(SameChannels):
    """Fully connected layers to a latent vector, and the same back (Hinton and Salakhutdinov, 2006)."""

    type: Literal["dense-autoencoder"] = "dense-autoencoder"
    channels: Annotated[int, Ge(1)] = 1
    size: Annotated[int, Ge(1)] = 28
    """Side in pixels of the square images."""
    latent: Annotated[int, Ge(1)] = 32
    hidden: tuple[Annotated[int, Ge(1)], ...] = (256,)
    """Units between image and latent."""
    likelihood: Likelihood = "bernoulli"
    """Whether an output is the logit of a white pixel, or a value in [-1, 1]."""
    variational: bool = False
    """The encoder gives a mean and a log-variance."""


@dataclass(frozen=True, kw_only=True)
class ConvAutoencoderConfig(SameChannels):
    """Strided convolutions to a latent vector, and enlarging ones back."""

    type: Literal["conv-autoencoder"] = "conv-autoencoder"
    channels: Annotated[int, Ge(1)] = 1
    size: Annotated[int, Ge(1)] = 28
    """Side in pixels of the square images, a multiple of ``2 ** num_downsamplings``."""
    latent: Annotated[int, Ge(1)] = 32
    width: Annotated[int, Ge(1)] = 32
    """Channels of the first convolution, doubled by each halving up to 4 times."""
    num_downsamplings: Annotated[int, Ge(0), Le(8)] = 2
    norm: Norm = "group"
    likelihood: Likelihood = "bernoulli"
    """Whether an output is the logit of a white pixel, or a value in [-1, 1]."""
    variational: bool = False
    """The encoder gives a mean and a log-variance."""

    def __post_init__(self) -> None:
        if self.size % 2**self.num_downsamplings:
            raise ConfigError(f"--size {self.size} cannot be halved {self.num_downsamplings} times")


@dataclass(frozen=True, kw_only=True)
class CodePriorConfig(Config):
    """A transformer that says which code comes next, row by row."""

    type: Literal["code-prior"] = "code-prior"
    num_codes: Annotated[int, Ge(2)] = 256
    side: Annotated[int, Ge(1)] = 7
    """Of the square of codes."""
    width: Annotated[int, Ge(4)] = 128
    num_layers: Annotated[int, Ge(1), Le(MOST_LAYERS)] = 4
    num_heads: Annotated[int, Ge(1)] = 4
    dropout: Annotated[float, Ge(0.0), Lt(1.0)] = 0.1


@dataclass(frozen=True, kw_only=True)
class QuantizerConfig(Config):
    """A codebook."""

    type: Literal["quantizer"] = "quantizer"
    num_codes: Annotated[int, Ge(2)] = 256
    code_dim: Annotated[int, Ge(1)] = 16


@dataclass(frozen=True, kw_only=True)
class CodecConfig(Config):
    """The two halves around a codebook: images to vectors at a coarser grid, and back."""

    type: Literal["codec"] = "codec"
    channels: Annotated[int, Ge(1)] = 3
    size: Annotated[int, Ge(1)] = 96
    """Side in pixels of the square images."""
    width: Annotated[int, Ge(1)] = 64
    num_downsamplings: Annotated[int, Ge(1), Le(5)] = 3
    num_blocks: Annotated[int, Ge(0), Le(MOST_LAYERS)] = 2
    code_dim: Annotated[int, Ge(1)] = 16
    norm: Norm = "group"

    def __post_init__(self) -> None:
        if self.size % 2**self.num_downsamplings:
            raise ConfigError(f"--size {self.size} cannot be halved {self.num_downsamplings} times")

    @property
    def side(self) -> int:
        """Of the square of codes."""
        return self.size // 2**self.num_downsamplings


@dataclass(frozen=True, kw_only=True)
class VQVAENetworkConfig(Config):
    """A codec, its codebook, and the prior of its codes, in one file."""

    type: Literal["vqvae"] = "vqvae"
    codec: CodecConfig
    quantizer: QuantizerConfig
    prior: CodePriorConfig | None = None

    def __post_init__(self) -> None:
        if self.codec.code_dim != self.quantizer.code_dim:
            raise ConfigError(f"codes of {self.codec.code_dim} numbers do not fit words of {self.quantizer.code_dim}")
        prior = self.prior
        if prior is not None and (prior.num_codes, prior.side) != (self.quantizer.num_codes, self.codec.side):
            raise ConfigError("the prior is of another number or another square of codes than the codebook")

    @property
    def in_channels(self) -> int:
        return self.codec.channels

    @property
    def out_channels(self) -> int:
        return self.codec.channels


VectorAutoencoderConfig = DenseAutoencoderConfig | ConvAutoencoderConfig


@dataclass(frozen=True, kw_only=True)
class AnomalyNetworkConfig(Config):
    """An autoencoder of normal images, with what is known of its errors and latents."""

    type: Literal["anomaly"] = "anomaly"
    autoencoder: Annotated[VectorAutoencoderConfig, Field(discriminator="type")]
    smoothing: Annotated[int, Ge(1), Le(31)] = 3
    """Side, in pixels, of the squares that an error is averaged over before it is squared; odd."""

    def __post_init__(self) -> None:
        if self.smoothing % 2 == 0:
            raise ConfigError(f"a smoothing of {self.smoothing} pixels has no middle: choose an odd number")

    @property
    def in_channels(self) -> int:
        return self.autoencoder.channels

    @property
    def out_channels(self) -> int:
        return self.autoencoder.channels


@dataclass(frozen=True, kw_only=True)
class PatchAnomalyConfig(SameChannels):
    """What is known of the patches of normal images, by the features of a pretrained network."""

    type: Literal["patch-anomaly"] = "patch-anomaly"
    method: Literal["patchcore", "padim"] = "patchcore"
    """A memory of patches (Roth et al., 2022), or a Gaussian for each part of the image (Defard et al., 2021)."""
    channels: Literal[1, 3] = 3
    size: Annotated[int, Ge(32), Le(1024)] = 256
    """Side in pixels of the square images; a multiple of 32."""
    num_patches: Annotated[int, Ge(1), Le(1_000_000)] | None = None
    """Of PatchCore's memory; 4,000 unless given."""
    cells: Annotated[int, Ge(1), Le(64)] | None = None
    """Of PaDiM: parts a side, each with a Gaussian of its own; a divisor of an eighth of the size, 8 unless given."""

    def __post_init__(self) -> None:
        if self.size % 32:
            raise ConfigError(f"--size {self.size} is no multiple of 32: choose {max(32, self.size // 32 * 32)}")
        kept = self.method == "patchcore"  # what the other method would have is taken away
        object.__setattr__(self, "num_patches", (self.num_patches or NUM_PATCHES) if kept else None)
        object.__setattr__(self, "cells", None if kept else self.cells or 8)
        if self.cells is not None and self.size // 8 % self.cells:
            raise ConfigError(f"{self.cells} cells a side do not divide the {self.size // 8} patches of {self.size} px")


@dataclass(frozen=True, kw_only=True)
class DenseGeneratorConfig(SameChannels):
    """Latents to images, fully connected (Goodfellow et al., 2014)."""

    type: Literal["dense-generator"] = "dense-generator"
    channels: Annotated[int, Ge(1)] = 1
    size: Annotated[int, Ge(1)] = 28
    """Side in pixels of the square images."""
    latent: Annotated[int, Ge(1)] = 100
    hidden: tuple[Annotated[int, Ge(1)], ...] = (256, 512)
    """Units between latent and image."""
    num_classes: Annotated[int, Ge(0)] = 0
    """Of which one is asked for; 0 for none."""


@dataclass(frozen=True, kw_only=True)
class ConvGeneratorConfig(SameChannels):
    """Latents to images by enlarging convolutions (DCGAN; Radford et al., 2015)."""

    type: Literal["conv-generator"] = "conv-generator"
    channels: Annotated[int, Ge(1)] = 3
    size: Annotated[int, Ge(1)] = 64
    """Side in pixels of the square images, a multiple of ``2 ** num_upsamplings``."""
    latent: Annotated[int, Ge(1)] = 100
    width: Annotated[int, Ge(1)] = 64
    """Channels before the last convolution, doubled inwards up to 8 times."""
    num_upsamplings: Annotated[int, Ge(1), Le(8)] = 4
    norm: Norm = "batch"
    num_classes: Annotated[int, Ge(0)] = 0
    """Of which one is asked for; 0 for none."""

    def __post_init__(self) -> None:
        if self.size % 2**self.num_upsamplings:
            raise ConfigError(f"--size {self.size} cannot be halved {self.num_upsamplings} times")


@dataclass(frozen=True, kw_only=True)
class DenseDiscriminatorConfig(SameChannels):
    """Images to a logit, fully connected."""

    type: Literal["dense-discriminator"] = "dense-discriminator"
    channels: Annotated[int, Ge(1)] = 1
    size: Annotated[int, Ge(1)] = 28
    hidden: tuple[Annotated[int, Ge(1)], ...] = (512, 256)
    num_classes: Annotated[int, Ge(0)] = 0


@dataclass(frozen=True, kw_only=True)
class ConvDiscriminatorConfig(SameChannels):
    """Images to a logit by strided convolutions (DCGAN)."""

    type: Literal["conv-discriminator"] = "conv-discriminator"
    channels: Annotated[int, Ge(1)] = 3
    size: Annotated[int, Ge(1)] = 64
    width: Annotated[int, Ge(1)] = 64
    """Channels of the first convolution, doubled inwards up to 8 times."""
    num_downsamplings: Annotated[int, Ge(1), Le(8)] = 4
    norm: Literal["none", "batch", "group", "instance", "instance-affine", "spectral"] = "batch"
    num_classes: Annotated[int, Ge(0)] = 0


@dataclass(frozen=True, kw_only=True)
class StyleGeneratorConfig(SameChannels):
    """Latents to styles, and styles to images (StyleGAN2; Karras et al., 2020)."""

    type: Literal["style-generator"] = "style-generator"
    channels: Annotated[int, Ge(1)] = 3
    size: Annotated[int, Ge(8), Le(1024)] = 64
    """Side in pixels of the square images, a power of two."""
    grown: Annotated[int, Ge(4)] | None = None
    """Side up to which a training that was not finished had grown; it makes images of this size."""
    widths: tuple[Annotated[int, Ge(1)], ...]
    """Channels at 4, 8, 16 ... px, up to the size."""
    latent: Annotated[int, Ge(1)] = 128
    style: Annotated[int, Ge(1)] = 128
    """Numbers of a style."""
    mapping_layers: Annotated[int, Ge(1), Le(MOST_LAYERS)] = 8
    styling: Literal["modulated", "adain"] = "modulated"
    """Modulated convolutions (StyleGAN2), or adaptive instance normalisation (StyleGAN)."""
    num_classes: Annotated[int, Ge(0)] = 0
    """Of which one is asked for; 0 for none."""

    def __post_init__(self) -> None:
        check_sides(self.size, self.widths)


@dataclass(frozen=True, kw_only=True)
class StyleDiscriminatorConfig(SameChannels):
    """Images to a logit by residual stages (StyleGAN2)."""

    type: Literal["style-discriminator"] = "style-discriminator"
    channels: Annotated[int, Ge(1)] = 3
    size: Annotated[int, Ge(8), Le(1024)] = 64
    widths: tuple[Annotated[int, Ge(1)], ...]
    """Channels at 4, 8, 16 ... px, up to the size."""
    group: Annotated[int, Ge(1)] = 4
    """Images whose differences from each other are one of the features."""
    num_classes: Annotated[int, Ge(0)] = 0

    def __post_init__(self) -> None:
        check_sides(self.size, self.widths)


def check_sides(size: int, widths: tuple[int, ...]) -> None:
    """Refuse a size that is no power of two, or other than its widths say.

    Raises:
        ConfigError: says which would do.
    """
    if size & (size - 1):
        below = 2 ** (size.bit_length() - 1)
        raise ConfigError(f"--size {size} is no power of two: choose {below} or {2 * below}")
    if len(widths) != size.bit_length() - 2:
        raise ConfigError(f"{len(widths)} widths for {size} px: there is one for each of 4, 8, 16 ... {size}")


SamplerConfig = DenseGeneratorConfig | ConvGeneratorConfig | StyleGeneratorConfig
"""Networks that make images of random numbers."""
JudgeConfig = DenseDiscriminatorConfig | ConvDiscriminatorConfig
"""Networks that tell whether a whole image is real."""
GeneratorConfig = ResNetConfig | UNetConfig
NetworkConfig = (
    ResNetConfig
    | ConditionalResNetConfig
    | UNetConfig
    | PatchGANConfig
    | ClassifierNetworkConfig
    | DenseAutoencoderConfig
    | ConvAutoencoderConfig
    | VQVAENetworkConfig
    | AnomalyNetworkConfig
    | PatchAnomalyConfig
    | DenseGeneratorConfig
    | ConvGeneratorConfig
    | StyleGeneratorConfig
)
"""What a file of weights may hold."""


def unet_depth(size: int) -> int:
    """The U-Net depth for a training size in pixels: halved down to 2 pixels or an odd number, at most 8 times.

    256 -> 7, 128 -> 6, 96 -> 5 (3 pixels at the innermost level), 16 -> 3. Not down to one pixel, as published: what
    is enlarged from one is the same everywhere, and normalisation takes it away.

    Raises:
        ConfigError: a size that can hardly be halved, such as 286, 100 or 24.
    """
    depth = min(8, (size & -size).bit_length() - 1)
    if size < 2 or depth < min(5, size.bit_length() - 1):
        if size > 32:
            lower, upper = size // 32 * 32, (size // 32 + 1) * 32
        else:  # nothing but powers of two
            lower = 1 << max(1, size.bit_length() - 1)
            upper = 2 * lower
        raise ConfigError(f"--size {size} cannot be halved often enough for a U-Net: choose {lower} or {upper}")
    return max(1, min(depth, size.bit_length() - 2))
