"""ResNet generator (Johnson et al., 2016; CycleGAN, Zhu et al., 2017).

A 7x7 convolution, strided convolutions down, residual blocks, up again, a 7x7 convolution and tanh. Differs from the
published code in its default up-path (resize and convolution) and in its names.
Shapes: N batch, C channels, H height, W width.
"""

from __future__ import annotations

from torch import Tensor, nn

from translate.blocks.conv import ConvBlock, relu
from translate.blocks.norm import norm_layer
from translate.blocks.resample import downsample, upsample
from translate.blocks.residual import ResidualBlock
from translate.config.networks import ResNetConfig
from translate.networks.generator import Generator


class ResNetGenerator(Generator):
    """Images in, images of the same size out, both in [-1, 1].

    Args:
        config: What it is made of.
    """

    def __init__(self, config: ResNetConfig) -> None:
        super().__init__()
        self.config = config
        self.stride = 2**config.num_downsamplings
        # Instance norm needs more than one value, reflection by one pixel two of them, by three pixels four.
        self.minimum_size = max(4, 2 * self.stride)
        norm = norm_layer(config.norm)
        width = config.width

        self.stem = ConvBlock(
            config.in_channels, width, kernel_size=7, padding=config.padding, norm_layer=norm, activation=relu
        )
        bias = config.norm == "none"
        down: list[nn.Module] = []
        for _ in range(config.num_downsamplings):
            conv = downsample(width, width * 2, kernel_size=3, kind=config.downsampling, bias=bias)
            width *= 2
            down.append(nn.Sequential(conv, norm(width), relu()))
        self.down = nn.Sequential(*down)
        self.blocks = nn.Sequential(
            *[
                ResidualBlock(width, norm_layer=norm, padding=config.padding, dropout=config.dropout)
                for _ in range(config.num_blocks)
            ]
        )
        up: list[nn.Module] = []
        for _ in range(config.num_downsamplings):
            conv = upsample(width, width // 2, kernel_size=3, kind=config.upsampling, bias=bias)
            width //= 2
            up.append(nn.Sequential(conv, norm(width), relu()))
        self.up = nn.Sequential(*up)
        self.head = ConvBlock(width, config.out_channels, kernel_size=7, padding=config.padding, activation=nn.Tanh)

    def forward(self, images: Tensor) -> Tensor:
        """Args: images: [N, C_in, H, W] in [-1, 1]. Returns: [N, C_out, H, W] in [-1, 1]."""
        return self.head(self.up(self.blocks(self.down(self.stem(images)))))
