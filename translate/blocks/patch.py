"""The stages of a PatchGAN (Isola et al., 2017) and how far each of its logits sees."""

from __future__ import annotations

from torch import nn

from translate.blocks.conv import leaky_relu
from translate.blocks.norm import NormLayer
from translate.blocks.resample import BlurPool, blur_after, downsample
from translate.config.networks import Downsampling


def patch_stage(
    in_channels: int,
    out_channels: int,
    *,
    stride: int,
    norm_layer: NormLayer | None,
    kernel_size: int = 4,
    activate: bool = True,
    downsampling: Downsampling = "strided",
) -> nn.Sequential:
    """Convolution (4x4, padding 1, as published), normalisation, leaky ReLU; then a filter if blurred down.

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of the output.
        stride: 2 halves the size; 1 makes it one smaller (with a 4x4 kernel).
        norm_layer: Called with the channels; None for the first and the last stage.
        kernel_size: 4, or 1 for the pixel discriminator.
        activate: False for the logits.
        downsampling: How stride 2 is done: ``strided`` or ``blur-after``.
    """
    norm = nn.Identity() if norm_layer is None else norm_layer(out_channels)
    bias = isinstance(norm, nn.Identity)
    activation = leaky_relu() if activate else nn.Identity()
    if stride == 2:
        conv = downsample(in_channels, out_channels, kernel_size=kernel_size, kind=downsampling, bias=bias)
        return nn.Sequential(conv, norm, activation, *blur_after(out_channels, kind=downsampling))
    conv = nn.Conv2d(in_channels, out_channels, kernel_size, padding=(kernel_size - 1) // 2, bias=bias)
    return nn.Sequential(conv, norm, activation)


def receptive_field(network: nn.Module) -> int:
    """Side, in input pixels, of the square that one output value of a chain of convolutions depends on.

    From the last convolution (or fixed filter) to the first: ``r = (r - 1) * stride + kernel``.

    Example:
        >>> receptive_field(nn.Sequential(nn.Conv2d(3, 8, 4, stride=2), nn.Conv2d(8, 1, 4)))
        10
    """
    field = 1
    for layer in reversed([module for module in network.modules() if isinstance(module, nn.Conv2d | BlurPool)]):
        stride, size = (layer.stride[0], layer.kernel_size[0]) if isinstance(layer, nn.Conv2d) else (2, 3)
        field = (field - 1) * stride + size
    return field
