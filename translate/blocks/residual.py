"""The residual block of Johnson et al. (2016): two 3x3 convolutions, no activation after the sum."""

from __future__ import annotations

from torch import Tensor, nn

from translate.blocks.conv import ConvBlock, relu
from translate.blocks.norm import NormLayer
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
        return x + self.conv2(self.dropout(self.conv1(x)))  # [N, C, H, W]
