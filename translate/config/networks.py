"""What a network is made of: one frozen configuration each, from which it is built and by which it is saved."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Ge, Le, Lt

from translate.config.base import Config, ConfigError

Norm = Literal["instance", "instance-affine", "batch", "group", "none"]
Padding = Literal["reflect", "replicate", "zeros"]
Upsampling = Literal["resize", "nearest", "transposed"]
Downsampling = Literal["strided", "blur", "blur-after"]
Initialisation = Literal["normal", "xavier", "kaiming", "orthogonal"]


@dataclass(frozen=True, kw_only=True)
class ResNetConfig(Config):
    """The generator of Johnson et al. (2016) as used by CycleGAN: down, residual blocks, up."""

    type: Literal["resnet"] = "resnet"
    in_channels: Annotated[int, Ge(1)] = 3
    out_channels: Annotated[int, Ge(1)] = 3
    width: Annotated[int, Ge(1)] = 64
    """Channels after the first convolution; doubled by each down-sampling."""
    num_blocks: Annotated[int, Ge(0)] = 9
    """Residual blocks: 6 up to 128 px, 9 above."""
    num_downsamplings: Annotated[int, Ge(0), Le(6)] = 2
    norm: Norm = "instance"
    padding: Padding = "reflect"
    upsampling: Upsampling = "resize"
    downsampling: Downsampling = "strided"
    dropout: Annotated[float, Ge(0.0), Lt(1.0)] = 0.0
    """Probability of dropping a channel's value inside each residual block."""
    residual: bool = False
    """The network makes a change of its input instead of its output."""


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

    def __post_init__(self) -> None:
        if self.downsampling == "blur-after":  # its activations come before its convolutions
            raise ConfigError("--downsampling blur-after is not for a U-Net: choose strided or blur")


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


GeneratorConfig = ResNetConfig | UNetConfig
NetworkConfig = ResNetConfig | UNetConfig | PatchGANConfig | ClassifierNetworkConfig


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
