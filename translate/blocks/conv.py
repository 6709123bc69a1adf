"""Convolution, normalisation, activation: the unit that every network is built from.

Shapes: N batch, C channels, H height, W width.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from translate.blocks.inference import activated
from translate.blocks.norm import NormLayer
from translate.blocks.rows import Rows
from translate.blocks.winograd import Conv2d
from translate.config.networks import Padding

Activation = Callable[[], nn.Module]


class ConvBlock(nn.Module):
    """Convolution, then normalisation, then activation.

    The convolution has a bias only where no normalisation follows, which would cancel or replace it.

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of the output.
        kernel_size: Side of the square kernel.
        stride: Step; the output is ``ceil(H / stride)`` high for odd kernels.
        padding: How the border is filled.
        norm_layer: Called with the channels; None for no normalisation.
        activation: Called with nothing; None for a linear output.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        kernel_size: int = 3,
        stride: int = 1,
        padding: Padding = "zeros",
        norm_layer: NormLayer | None = None,
        activation: Activation | None = None,
    ) -> None:
        super().__init__()
        norm = nn.Identity() if norm_layer is None else norm_layer(out_channels)
        self.conv = Conv2d(
            in_channels,
            out_channels,
            kernel_size,
            stride=stride,
            padding=(kernel_size - 1) // 2,
            padding_mode=padding,
            bias=isinstance(norm, nn.Identity),
        )
        self.norm = norm
        self.activation = nn.Identity() if activation is None else activation()

    def forward(self, x: Tensor) -> Tensor:
        return activated(self.norm(self.conv(x)), self.activation)  # [N, C_out, H / stride, W / stride]

    def in_rows(self, x: Rows, *, into: Rows | None = None) -> Rows:
        """The same of one image in strips; `into` as of `Rows.normalised`."""
        reach, stride = self.conv.kernel_size[0] // 2, self.conv.stride[0]
        return x.then(self.conv, reach=reach, down=stride).normalised(self.norm, into=into).then(self.activation)


def relu() -> nn.Module:
    """ReLU; not in place, so that a skip connection may keep its input."""
    return nn.ReLU()


def leaky_relu() -> nn.Module:
    """Leaky ReLU of slope 0.2, the discriminator's activation since DCGAN (Radford et al., 2015)."""
    return nn.LeakyReLU(0.2)


class ReflectConv2d(nn.Conv2d):
    """A convolution whose border is a reflection, odd kernels only: the same numbers as ``padding_mode="reflect"``.

    Autocast pads in fp32, and casts every image there and back for it, which takes longer than the convolution; here
    the image is cast once, before it is padded.

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of the output.
        kernel_size: Odd.
        stride: Of the convolution.
        bias: Whether it has one.
    """

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: int, *, stride: int = 1, bias: bool = True
    ) -> None:
        super().__init__(in_channels, out_channels, kernel_size, stride=stride, bias=bias)
        self.border = kernel_size // 2

    def forward(self, x: Tensor) -> Tensor:
        kind, border = x.device.type, (self.border,) * 4
        if not (torch.amp.is_autocast_available(kind) and torch.is_autocast_enabled(kind)):
            return super().forward(F.pad(x, border, mode="reflect"))
        with torch.autocast(kind, enabled=False):
            x = F.pad(x.to(torch.get_autocast_dtype(kind)), border, mode="reflect")
        return super().forward(x)
