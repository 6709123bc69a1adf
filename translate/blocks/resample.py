"""Up- and down-sampling by 2.

Up: ``resize`` is bilinear enlargement and a convolution, which leaves no checkerboard (Odena et al., 2016) and no
blocks: with ``nearest`` enlargement the edges of a deep level's pixels show in the image as a plaid. ``transposed`` is
the published transposed convolution, kept for imported weights. Down: ``strided`` convolution, or ``blur``: a
convolution, then a binomial low-pass filter with stride 2 (Zhang, 2019); ``blur-after``: the same filter behind the
normalisation and activation that follow the convolution, as Zhang puts it and CUT (Park et al., 2020) published it.
CUT's up-sampling, its [1, 3, 3, 1] filter and a convolution, is ``resize``: the filter is bilinear enlargement.

Shapes: N batch, C channels, H height, W width.
"""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from translate.blocks.winograd import Conv2d
from translate.config.networks import Downsampling, Padding, Upsampling

DOWN_REACH, UP_REACH = 4, 2
"""Rows of the input, above and below, that a row of the output of `downsample`, or `upsample`, depends on at most."""


class BlurPool(nn.Module):
    """Low-pass filter [1, 2, 1] x [1, 2, 1] / 16 with reflected border, then every second pixel.

    The filter is fixed: a buffer that no file stores.

    Args:
        channels: Channels of input and output.
    """

    kernel: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels
        taps = torch.tensor([1.0, 2.0, 1.0]) / 4.0
        self.register_buffer("kernel", torch.outer(taps, taps).expand(channels, 1, 3, 3).clone(), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        # One pixel has nothing to reflect; replicating it is the same picture.
        mode = "reflect" if min(x.shape[-2:]) > 1 else "replicate"
        x = F.pad(x, (1, 1, 1, 1), mode=mode)
        return F.conv2d(x, self.kernel.to(x.dtype), stride=2, groups=self.channels)  # [N, C, ceil(H/2), ceil(W/2)]


class Enlarge(nn.Upsample):
    """Twice the height and width, bilinear (``resize``) or by repeating pixels (``nearest``).

    Channels go last in memory: there a CPU enlarges, and convolves what it enlarged, up to twice as fast.
    """

    def __init__(self, kind: Literal["resize", "nearest"]) -> None:
        if kind == "nearest":
            super().__init__(scale_factor=2, mode="nearest")
        else:
            super().__init__(scale_factor=2, mode="bilinear", align_corners=False)

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.contiguous(memory_format=torch.channels_last))  # [N, C, 2H, 2W]


def downsample(
    in_channels: int,
    out_channels: int,
    *,
    kernel_size: int,
    kind: Downsampling,
    bias: bool,
    padding: Padding = "zeros",
) -> nn.Module:
    """A convolution to half the size: [N, C_in, H, W] -> [N, C_out, H/2, W/2] for even H and W.

    That of ``blur-after`` keeps the size (less one with an even kernel): `blur_after` halves, behind the activation.

    Raises:
        ValueError: an unknown kind.
    """
    if kind == "strided":
        border = (kernel_size - 1) // 2
        return Conv2d(in_channels, out_channels, kernel_size, stride=2, padding=border, padding_mode=padding, bias=bias)
    if kind == "blur-after":  # `blur_after` halves
        border = (kernel_size - 1) // 2
        return Conv2d(in_channels, out_channels, kernel_size, padding=border, padding_mode=padding, bias=bias)
    if kind == "blur":
        # An even kernel cannot be centred at stride 1: the filter follows a 3x3 convolution instead.
        conv = Conv2d(in_channels, out_channels, 3, padding=1, padding_mode=padding, bias=bias)
        return nn.Sequential(conv, BlurPool(out_channels))
    raise ValueError(f"downsampling '{kind}' is unknown: choose strided, blur or blur-after")


def blur_after(channels: int, *, kind: Downsampling) -> list[nn.Module]:
    """What belongs behind the activation that follows `downsample`: a filter for ``blur-after``, else nothing."""
    return [BlurPool(channels)] if kind == "blur-after" else []


def upsample(
    in_channels: int,
    out_channels: int,
    *,
    kernel_size: int,
    kind: Upsampling,
    bias: bool,
    padding: Padding = "zeros",
) -> nn.Module:
    """A convolution to twice the size: [N, C_in, H, W] -> [N, C_out, 2H, 2W].

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of the output.
        kernel_size: Of the transposed convolution, 3 (CycleGAN) or 4 (pix2pix); the others always take 3.
        kind: ``resize``, ``nearest`` or ``transposed``.
        bias: Whether the convolution has one.
        padding: How the border is filled; a transposed convolution takes zeros whatever is given.

    Raises:
        ValueError: an unknown kind.
    """
    if kind in ("resize", "nearest"):
        return nn.Sequential(
            Enlarge(kind), Conv2d(in_channels, out_channels, 3, padding=1, padding_mode=padding, bias=bias)
        )
    if kind == "transposed":
        output_padding = kernel_size % 2  # an odd kernel would end one pixel short of twice the size
        return nn.ConvTranspose2d(
            in_channels, out_channels, kernel_size, stride=2, padding=1, output_padding=output_padding, bias=bias
        )
    raise ValueError(f"upsampling '{kind}' is unknown: choose resize, nearest or transposed")


def reach(head: int, *, levels: int, inside: int, filtered: bool) -> int:
    """How far around a block of pixels those of the input are that it depends on, in a network of such stages.

    A block begins and ends at multiples of ``2 ** levels``. Enlarging needs one pixel more on either side of the small
    image, halving one of the large image, or two with a filter.

    Args:
        head: Reach of what follows the last stage, in pixels of full size.
        levels: Halvings, and as many enlargements.
        inside: Reach of what lies between them, in pixels of the smallest size.
        filtered: Whether a filter belongs to each halving.
    """
    found = head
    for _ in range(levels):
        found = -(-found // 2) + 1
    found += inside
    for _ in range(levels):
        found = 2 * found + (2 if filtered else 1)
    return found
