"""Architectures of networks: one frozen configuration each, from which a network is built and by which it is saved."""

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
Output = Literal["image", "logits", "residual", "inpainting", "colourisation"]
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
    """Channels after the first convolution; doubled at each downsampling."""
    num_blocks: Annotated[int, Ge(0), Le(MOST_LAYERS)] = 9
    """Residual blocks: 6 up to 128 px, 9 above."""
    num_downsamplings: Annotated[int, Ge(0), Le(6)] = 2
    norm: Norm = "instance"
    padding: Padding = "reflect"
    upsampling: Upsampling = "resize"
    downsampling: Downsampling = "strided"
    dropout: Annotated[float, Ge(0.0), Lt(1.0)] = 0.0
    """Dropout probability inside each residual block, 0-1."""
    style: Annotated[int, Ge(0)] = 0
    """Dimension of a style code that modulates the residual blocks, and that an encoder infers from a reference image;
    0 for none."""
    output: Output = "image"
    """How the output is made: an ``image`` in [-1, 1]; ``logits``, as in segmentation; a ``residual`` that is added to
    the input; ``inpainting``, where the last input channel is a mask of known pixels, which are kept;
    ``colourisation``, where the grey input is kept as the luma of the output."""

    def __post_init__(self) -> None:
        _check_output(self)


@dataclass(frozen=True, kw_only=True)
class ConditionalResNetConfig(Config):
    """A ResNet generator for many styles: conditional instance norm (Dumoulin et al., 2017)."""

    type: Literal["conditional-resnet"] = "conditional-resnet"
    in_channels: Literal[3] = 3
    out_channels: Literal[3] = 3
    widths: tuple[Annotated[int, Ge(1)], Annotated[int, Ge(1)], Annotated[int, Ge(1)]] = (16, 40, 80)
    """Channels at full, half and a quarter of the size."""
    packed: bool = False
    """Downsample to a quarter of the size in one step, where 4x4 pixels become the channels of one; otherwise by
    strided convolutions, which are slower."""
    num_blocks: Annotated[int, Ge(0), Le(MOST_LAYERS)] = 4
    """Residual blocks, at a quarter of the size."""
    code: Annotated[int, Ge(1)] = 32
    """Dimension of a style code, from which the scales and shifts of every norm are computed."""
    num_styles: Annotated[int, Ge(0), Le(10_000)] = 1
    """Number of styles with a stored code; 0 for a network that infers the code from any image."""
    style_size: Annotated[int, Ge(0), Le(2048)] = 0
    """Length in pixels to which the shorter side of a style image is resized before its code is inferred; 0 for a
    network with named styles only, which has no encoder."""

    def __post_init__(self) -> None:
        if not self.num_styles and not self.style_size:
            raise ConfigError("a style network needs named styles, or an encoder that infers them from images")


@dataclass(frozen=True, kw_only=True)
class UNetConfig(Config):
    """The generator of pix2pix (Isola et al., 2017): an encoder and a decoder with skips at every size."""

    type: Literal["unet"] = "unet"
    in_channels: Annotated[int, Ge(1)] = 3
    out_channels: Annotated[int, Ge(1)] = 3
    width: Annotated[int, Ge(1)] = 64
    """Channels of the outermost level; doubled inwards up to 8 times as many."""
    depth: Annotated[int, Ge(1), Le(10)] = 8
    """Halvings of the size: the input is padded to a multiple of ``2 ** depth``; 8 for 256 px as published."""
    norm: Norm = "instance"
    padding: Padding = "zeros"
    """Padding of the convolutions: zeros as published; ``reflect`` leaves no lines along the borders."""
    upsampling: Upsampling = "resize"
    downsampling: Downsampling = "strided"
    dropout: Annotated[float, Ge(0.0), Lt(1.0)] = 0.5
    """Dropout probability in the inner up-blocks, 0-1; three of them at depth 8, as in the paper."""
    output: Output = "image"
    """How the output is made: an ``image`` in [-1, 1]; ``logits``, as in segmentation; a ``residual`` that is added to
    the input; ``inpainting``, where the last input channel is a mask of known pixels, which are kept;
    ``colourisation``, where the grey input is kept as the luma of the output."""

    def __post_init__(self) -> None:
        _check_output(self)
        if self.downsampling == "blur-after":  # its activations come before its convolutions
            raise ConfigError("--downsampling blur-after is not for a U-Net: choose strided or blur")


def _check_output(config: ResNetConfig | UNetConfig) -> None:
    given, made = config.in_channels, config.out_channels
    needed, fits = {
        "residual": ("as many input as output channels", given == made),
        "inpainting": ("one input channel more than output channels", given == made + 1),
        "colourisation": ("one input channel and three output channels", (given, made) == (1, 3)),
    }.get(config.output, ("", True))
    if not fits:
        raise ConfigError(f"output '{config.output}' needs {needed}: this network has {given} and {made}")


@dataclass(frozen=True, kw_only=True)
class PatchGANConfig(Config):
    """The discriminator of pix2pix: one logit for each overlapping patch."""

    type: Literal["patchgan"] = "patchgan"
    in_channels: Annotated[int, Ge(1)] = 6
    """Input and output channels together if it is conditional."""
    width: Annotated[int, Ge(1)] = 64
    num_layers: Annotated[int, Ge(0), Le(8)] = 3
    """Strided stages: 3 gives a receptive field of 70x70 pixels, 0 the pixel discriminator (1x1)."""
    num_scales: Annotated[int, Ge(1), Le(5)] = 1
    """Number of discriminators, at full, half, quarter ... resolution, as in pix2pixHD (Wang et al., 2018)."""
    norm: Norm = "instance"
    downsampling: Literal["strided", "blur-after"] = "strided"
    """Downsampling: ``strided`` as published with pix2pix; ``blur-after`` as with CUT."""

    def __post_init__(self) -> None:
        if self.num_layers == 0 and self.num_scales > 1:
            raise ConfigError("--num-scales needs a discriminator with layers: set --num-layers to 1 or more")


@dataclass(frozen=True, kw_only=True)
class PatchHeadsConfig(Config):
    """The projection heads of CUT (Park et al., 2020): two linear layers for each chosen layer of the generator."""

    type: Literal["patch-heads"] = "patch-heads"
    channels: tuple[int, ...]
    """Channels of each layer's features."""
    projection: Annotated[int, Ge(1)] = 256
    """Dimension of the projected features in which patches are compared."""


@dataclass(frozen=True, kw_only=True)
class ClassifierNetworkConfig(Config):
    """A small convolutional network that classifies whole images and describes them by feature vectors."""

    type: Literal["classifier"] = "classifier"
    in_channels: Annotated[int, Ge(1)] = 3
    num_classes: Annotated[int, Ge(2)] = 2
    size: Annotated[int, Ge(16)] = 64
    """Side, in pixels, of the square to which every image is resized."""
    width: Annotated[int, Ge(1)] = 32
    """Channels after the first convolution; doubled twice."""
    num_features: Annotated[int, Ge(1)] = 64
    """Dimension of the feature vector: small, so that small sets of images can be compared."""
    norm: Norm = "batch"
    dropout: Annotated[float, Ge(0.0), Lt(1.0)] = 0.2
    """Dropout probability of the features in training, 0-1."""


class SameChannels(Config):
    """Base of networks whose outputs have as many channels as their inputs."""

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
    """Side of the square images, in pixels."""
    latent: Annotated[int, Ge(1)] = 32
    hidden: tuple[Annotated[int, Ge(1)], ...] = (256,)
    """Units between image and latent."""
    likelihood: Likelihood = "bernoulli"
    """Meaning of an output: the logit of a white pixel (bernoulli), or a value in [-1, 1] (gaussian)."""
    variational: bool = False
    """The encoder outputs a mean and a log-variance."""


@dataclass(frozen=True, kw_only=True)
class ConvAutoencoderConfig(SameChannels):
    """Strided convolutions to a latent vector, and upsampling ones back."""

    type: Literal["conv-autoencoder"] = "conv-autoencoder"
    channels: Annotated[int, Ge(1)] = 1
    size: Annotated[int, Ge(1)] = 28
    """Side of the square images, in pixels, a multiple of ``2 ** num_downsamplings``."""
    latent: Annotated[int, Ge(1)] = 32
    width: Annotated[int, Ge(1)] = 32
    """Channels of the first convolution, doubled at each halving of the size, up to 4 times as many."""
    num_downsamplings: Annotated[int, Ge(0), Le(8)] = 2
    norm: Norm = "group"
    likelihood: Likelihood = "bernoulli"
    """Meaning of an output: the logit of a white pixel (bernoulli), or a value in [-1, 1] (gaussian)."""
    variational: bool = False
    """The encoder outputs a mean and a log-variance."""

    def __post_init__(self) -> None:
        if self.size % 2**self.num_downsamplings:
            raise ConfigError(f"--size {self.size} cannot be halved {self.num_downsamplings} times")


@dataclass(frozen=True, kw_only=True)
class CodePriorConfig(Config):
    """A transformer that predicts the next code, row by row."""

    type: Literal["code-prior"] = "code-prior"
    num_codes: Annotated[int, Ge(2)] = 256
    side: Annotated[int, Ge(1)] = 7
    """Side of the square grid of codes."""
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
    """The encoder and the decoder around a codebook: images to vectors on a coarser grid, and back."""

    type: Literal["codec"] = "codec"
    channels: Annotated[int, Ge(1)] = 3
    size: Annotated[int, Ge(1)] = 96
    """Side of the square images, in pixels."""
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
        """Side of the square grid of codes."""
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
            raise ConfigError(
                f"vectors of dimension {self.codec.code_dim} do not fit codebook entries of dimension "
                f"{self.quantizer.code_dim}"
            )
        prior = self.prior
        if prior is not None and (prior.num_codes, prior.side) != (self.quantizer.num_codes, self.codec.side):
            raise ConfigError("the prior differs from the codebook in the number of codes or the size of their grid")

    @property
    def in_channels(self) -> int:
        return self.codec.channels

    @property
    def out_channels(self) -> int:
        return self.codec.channels


VectorAutoencoderConfig = DenseAutoencoderConfig | ConvAutoencoderConfig


@dataclass(frozen=True, kw_only=True)
class AnomalyNetworkConfig(Config):
    """An autoencoder of normal images, with the statistics of its errors and latents."""

    type: Literal["anomaly"] = "anomaly"
    autoencoder: Annotated[VectorAutoencoderConfig, Field(discriminator="type")]
    smoothing: Annotated[int, Ge(1), Le(31)] = 3
    """Side, in pixels, of the window over which errors are averaged before they are squared; odd."""

    def __post_init__(self) -> None:
        if self.smoothing % 2 == 0:
            raise ConfigError(f"--smoothing {self.smoothing} is an even number of pixels: choose an odd one")

    @property
    def in_channels(self) -> int:
        return self.autoencoder.channels

    @property
    def out_channels(self) -> int:
        return self.autoencoder.channels


@dataclass(frozen=True, kw_only=True)
class PatchAnomalyConfig(SameChannels):
    """A model of the patches of normal images, in the features of a pretrained network."""

    type: Literal["patch-anomaly"] = "patch-anomaly"
    method: Literal["patchcore", "padim"] = "patchcore"
    """Method: a memory bank of patches (patchcore; Roth et al., 2022), or one Gaussian per cell of a grid over the
    image (padim; Defard et al., 2021)."""
    channels: Literal[1, 3] = 3
    size: Annotated[int, Ge(32), Le(1024)] = 256
    """Side of the square images, in pixels; a multiple of 32."""
    num_patches: Annotated[int, Ge(1), Le(1_000_000)] | None = None
    """Number of patches in PatchCore's memory bank; default: 4,000."""
    cells: Annotated[int, Ge(1), Le(64)] | None = None
    """Cells per side of PaDiM's grid, each with its own Gaussian; a divisor of an eighth of the size, default: 8."""

    def __post_init__(self) -> None:
        if self.size % 32:
            raise ConfigError(f"--size {self.size} is not a multiple of 32: choose {max(32, self.size // 32 * 32)}")
        kept = self.method == "patchcore"  # what the other method would have is taken away
        object.__setattr__(self, "num_patches", (self.num_patches or NUM_PATCHES) if kept else None)
        object.__setattr__(self, "cells", None if kept else self.cells or 8)
        if self.cells is not None and self.size // 8 % self.cells:
            raise ConfigError(
                f"{self.cells} cells per side do not divide the {self.size // 8} patches per side of {self.size} px"
            )


@dataclass(frozen=True, kw_only=True)
class DenseGeneratorConfig(SameChannels):
    """Latents to images, fully connected (Goodfellow et al., 2014)."""

    type: Literal["dense-generator"] = "dense-generator"
    channels: Annotated[int, Ge(1)] = 1
    size: Annotated[int, Ge(1)] = 28
    """Side of the square images, in pixels."""
    latent: Annotated[int, Ge(1)] = 100
    hidden: tuple[Annotated[int, Ge(1)], ...] = (256, 512)
    """Units between latent and image."""
    num_classes: Annotated[int, Ge(0)] = 0
    """Number of classes of a conditional generator; 0 for an unconditional one."""


@dataclass(frozen=True, kw_only=True)
class ConvGeneratorConfig(SameChannels):
    """Latents to images by upsampling convolutions (DCGAN; Radford et al., 2015)."""

    type: Literal["conv-generator"] = "conv-generator"
    channels: Annotated[int, Ge(1)] = 3
    size: Annotated[int, Ge(1)] = 64
    """Side of the square images, in pixels, a multiple of ``2 ** num_upsamplings``."""
    latent: Annotated[int, Ge(1)] = 100
    width: Annotated[int, Ge(1)] = 64
    """Channels before the last convolution, doubled inwards up to 8 times as many."""
    num_upsamplings: Annotated[int, Ge(1), Le(8)] = 4
    norm: Norm = "batch"
    num_classes: Annotated[int, Ge(0)] = 0
    """Number of classes of a conditional generator; 0 for an unconditional one."""

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
    """Channels of the first convolution, doubled inwards up to 8 times as many."""
    num_downsamplings: Annotated[int, Ge(1), Le(8)] = 4
    norm: Literal["none", "batch", "group", "instance", "instance-affine", "spectral"] = "batch"
    num_classes: Annotated[int, Ge(0)] = 0


@dataclass(frozen=True, kw_only=True)
class StyleGeneratorConfig(SameChannels):
    """Latents to styles, and styles to images (StyleGAN2; Karras et al., 2020)."""

    type: Literal["style-generator"] = "style-generator"
    channels: Annotated[int, Ge(1)] = 3
    size: Annotated[int, Ge(8), Le(1024)] = 64
    """Side of the square images, in pixels, a power of two."""
    grown: Annotated[int, Ge(4)] | None = None
    """Side, in pixels, that an unfinished training had grown to; images are generated at this size."""
    widths: tuple[Annotated[int, Ge(1)], ...]
    """Channels at 4, 8, 16 ... px, up to the image size."""
    latent: Annotated[int, Ge(1)] = 128
    style: Annotated[int, Ge(1)] = 128
    """Dimension of a style vector."""
    mapping_layers: Annotated[int, Ge(1), Le(MOST_LAYERS)] = 8
    styling: Literal["modulated", "adain"] = "modulated"
    """Style mechanism: modulated convolutions (StyleGAN2), or adaptive instance normalisation (adain, StyleGAN)."""
    num_classes: Annotated[int, Ge(0)] = 0
    """Number of classes of a conditional generator; 0 for an unconditional one."""

    def __post_init__(self) -> None:
        check_sides(self.size, self.widths)


@dataclass(frozen=True, kw_only=True)
class StyleDiscriminatorConfig(SameChannels):
    """Images to a logit by residual stages (StyleGAN2)."""

    type: Literal["style-discriminator"] = "style-discriminator"
    channels: Annotated[int, Ge(1)] = 3
    size: Annotated[int, Ge(8), Le(1024)] = 64
    widths: tuple[Annotated[int, Ge(1)], ...]
    """Channels at 4, 8, 16 ... px, up to the image size."""
    group: Annotated[int, Ge(1)] = 4
    """Group size, in images, of the minibatch standard deviation."""
    num_classes: Annotated[int, Ge(0)] = 0

    def __post_init__(self) -> None:
        check_sides(self.size, self.widths)


def check_sides(size: int, widths: tuple[int, ...]) -> None:
    """Refuse a size that is not a power of two, or that does not match the widths.

    Raises:
        ConfigError: names the sizes that are possible.
    """
    if size & (size - 1):
        below = 2 ** (size.bit_length() - 1)
        raise ConfigError(f"--size {size} is not a power of two: choose {below} or {2 * below}")
    if len(widths) != size.bit_length() - 2:
        raise ConfigError(f"{len(widths)} widths for {size} px: give one for each of 4, 8, 16 ... {size} px")


LatentGeneratorConfig = DenseGeneratorConfig | ConvGeneratorConfig | StyleGeneratorConfig
"""Networks that generate images from random latents."""
DiscriminatorConfig = DenseDiscriminatorConfig | ConvDiscriminatorConfig
"""Discriminators of whole images."""
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
"""Networks that a weights file may hold."""


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
