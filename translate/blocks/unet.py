"""One level down and one level up of a U-Net (Ronneberger et al., 2015; pix2pix's form, Isola et al., 2017).

Differs from the published code in one point: no activation works in place, so a skip carries what the encoder made.
Shapes: N batch, C channels, H height, W width.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from translate.blocks.conv import leaky_relu, relu
from translate.blocks.norm import NormLayer
from translate.blocks.resample import DOWN_REACH, UP_REACH, downsample, upsample
from translate.blocks.rows import Rows, joined
from translate.config.networks import Downsampling, Padding, Upsampling


class UNetDown(nn.Module):
    """Leaky ReLU, 4x4 convolution to half the size, normalisation.

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of the output.
        norm_layer: Called with the channels; None at the outermost and innermost level.
        activate: False at the outermost level, whose input is the image.
        downsampling: ``strided`` or ``blur``.
        padding: How the border is filled.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        norm_layer: NormLayer | None,
        activate: bool = True,
        downsampling: Downsampling = "strided",
        padding: Padding = "zeros",
    ) -> None:
        super().__init__()
        norm = nn.Identity() if norm_layer is None else norm_layer(out_channels)
        self.activation = leaky_relu() if activate else nn.Identity()
        self.conv = downsample(
            in_channels,
            out_channels,
            kernel_size=4,
            kind=downsampling,
            bias=isinstance(norm, nn.Identity),
            padding=padding,
        )
        self.norm = norm

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(self.conv(self.activation(x)))  # [N, C_out, H/2, W/2]

    def in_rows(self, x: Rows, *, stored: bool) -> Rows:
        """The same of one image in strips; `stored` or not, of a level without a norm."""
        rows = x.then(self.activation).then(self.conv, reach=DOWN_REACH, down=2)
        return rows.normalised(self.norm) if stored else rows


class UNetUp(nn.Module):
    """ReLU, convolution to twice the size, normalisation, dropout.

    Args:
        in_channels: Channels of the input, the skip's included.
        out_channels: Channels of the output.
        norm_layer: Called with the channels; None at the outermost level.
        upsampling: ``resize``, ``nearest`` or ``transposed``.
        dropout: Probability of dropping a value.
        padding: How the border is filled.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        norm_layer: NormLayer | None,
        upsampling: Upsampling = "resize",
        dropout: float = 0.0,
        padding: Padding = "zeros",
    ) -> None:
        super().__init__()
        norm = nn.Identity() if norm_layer is None else norm_layer(out_channels)
        self.activation = relu()
        self.conv = upsample(
            in_channels,
            out_channels,
            kernel_size=4,
            kind=upsampling,
            bias=isinstance(norm, nn.Identity),
            padding=padding,
        )
        self.norm = norm
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, skip: Tensor | None = None) -> Tensor:
        """Args: x: [N, C, H, W]. skip: the encoder's output of the same size, concatenated to x."""
        if skip is not None:
            x = torch.cat([skip, x], dim=1)
        return self.dropout(self.norm(self.conv(self.activation(x))))  # [N, C_out, 2H, 2W]

    def in_rows(self, x: Rows, skip: Rows | None = None) -> Rows:
        """The same of one image in strips."""
        if skip is not None:
            x = joined(lambda outer, inner: torch.cat([outer, inner], dim=1), skip, x)
        rows = x.then(self.activation).then(self.conv, reach=UP_REACH, up=2)
        return rows.normalised(self.norm).dropped(self.dropout)
