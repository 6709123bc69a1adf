"""The residual block of Johnson et al. (2016): two 3x3 convolutions, no activation after the sum; and a styled one."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from translate.blocks.conv import ConvBlock, relu
from translate.blocks.inference import added
from translate.blocks.norm import NormLayer
from translate.blocks.rows import Rows, joined
from translate.blocks.style import ModulatedConv
from translate.config.networks import Padding


class ResidualBlock(nn.Module):
    """``x + conv(dropout(relu(conv(x))))`` at constant width and size.

    Args:
        channels: Channels of input and output.
        norm_layer: Called with the channels.
        padding: How the border is filled; ``reflect`` needs H and W of at least 2.
        dropout: Probability of dropping a value between the convolutions.
    """

    def __init__(
        self, channels: int, *, norm_layer: NormLayer, padding: Padding = "reflect", dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.conv1 = ConvBlock(channels, channels, padding=padding, norm_layer=norm_layer, activation=relu)
        self.dropout = nn.Dropout(dropout)
        self.conv2 = ConvBlock(channels, channels, padding=padding, norm_layer=norm_layer)

    def forward(self, x: Tensor) -> Tensor:
        return added(x, self.conv2(self.dropout(self.conv1(x))))  # [N, C, H, W]

    def in_rows(self, x: Rows) -> Rows:
        """The same of one image in strips; `x` is overwritten."""
        change = self.conv1.in_rows(x).dropped(self.dropout)
        return joined(torch.add, x, self.conv2.in_rows(change, into=change)).stored(into=x)


class StyledResidualBlock(nn.Module):
    """The same with modulated convolutions: a style decides how strong each channel is, and no norm takes that away.

    Args:
        channels: Channels of input and output.
        style: Numbers of a style.
        padding: How the border is filled.
        rate: Factor on the learning rate of the convolutions.
    """

    def __init__(self, channels: int, *, style: int, padding: Padding = "reflect", rate: float = 1.0) -> None:
        super().__init__()
        self.conv1, self.conv2 = (ModulatedConv(channels, channels, style=style, rate=rate) for _ in range(2))
        self.bias1, self.bias2 = (nn.Parameter(torch.zeros(channels)) for _ in range(2))
        self.padding = padding

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        """[N, C, H, W] and [N, D] -> [N, C, H, W]."""
        changed = torch.relu(self._convolved(x, style, self.conv1, self.bias1))
        return x + self._convolved(changed, style, self.conv2, self.bias2)

    def in_rows(self, x: Rows, style: Tensor) -> Rows:
        """The same of one image in strips; `x` is overwritten."""
        return x.then(lambda part: self(part, style), reach=2).stored(into=x)

    def _convolved(self, x: Tensor, style: Tensor, conv: ModulatedConv, bias: Tensor) -> Tensor:
        if self.padding != "zeros":  # the convolution adds zeros: they fall on what is added here, and are cut off
            x = conv(F.pad(x, (1, 1, 1, 1), mode=self.padding), style)[..., 1:-1, 1:-1]
        else:
            x = conv(x, style)
        return x + bias.to(x.dtype)[:, None, None]
