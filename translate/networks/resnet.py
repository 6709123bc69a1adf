"""ResNet generator (Johnson et al., 2016; CycleGAN, Zhu et al., 2017).

A 7x7 convolution, strided convolutions down, residual blocks, up again, a 7x7 convolution and tanh. Differs from the
published code in its default up-path (resize and convolution) and in its names. With a style code its residual blocks
are modulated as StyleGAN2's layers are, and it holds the encoder that finds the code of an example.
Shapes: N batch, C channels, H height, W width, D code.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from translate.blocks.conv import ConvBlock, relu
from translate.blocks.inference import activated
from translate.blocks.norm import LOCAL, norm_layer
from translate.blocks.resample import DOWN_REACH, UP_REACH, BlurPool, blur_after, downsample, reach, upsample
from translate.blocks.residual import ResidualBlock, StyledResidualBlock
from translate.blocks.rows import Rows, joined
from translate.blocks.style import EqualLinear
from translate.config.networks import ResNetConfig
from translate.networks.generator import Generator
from translate.networks.output import OutputHead
from translate.networks.style_encoder import RATE, StyleEncoder


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
        if config.norm in LOCAL:
            inside, filtered = 2 * config.num_blocks, config.downsampling != "strided"
            self.reach = 3 + reach(3, levels=config.num_downsamplings, inside=inside, filtered=filtered)
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
            down.append(_Stage(conv, norm(width), relu(), *blur_after(width, kind=config.downsampling)))
        self.down = nn.Sequential(*down)
        self.blocks = nn.Sequential(
            *[
                StyledResidualBlock(width, style=config.style, padding=config.padding, rate=RATE)
                if config.style
                else ResidualBlock(width, norm_layer=norm, padding=config.padding, dropout=config.dropout)
                for _ in range(config.num_blocks)
            ]
        )
        self.mapping = self.encoder = None
        if config.style:
            self.mapping = nn.Sequential(
                *[EqualLinear(config.style, config.style, rate=RATE, activation=True) for _ in range(2)]
            )
            self.encoder = StyleEncoder(config.out_channels, style=config.style)
        up: list[nn.Module] = []
        for _ in range(config.num_downsamplings):
            conv = upsample(width, width // 2, kernel_size=3, kind=config.upsampling, bias=bias)
            width //= 2
            up.append(_Stage(conv, norm(width), relu()))
        self.up = nn.Sequential(*up)
        self.head = ConvBlock(
            width,
            config.out_channels,
            kernel_size=7,
            padding=config.padding,
            activation=None,
        )
        self.output = OutputHead(config.output)

    def forward(self, images: Tensor, codes: Tensor | None = None) -> Tensor:
        """Translate.

        Args:
            images: [N, C_in, H, W] in [-1, 1].
            codes: [N, D], of one that takes style codes; zeros, the middle of them, unless given.

        Returns:
            [N, C_out, H, W] in [-1, 1].
        """
        x = self.down(self.stem(self.output.seen(images)))
        if self.mapping is None:
            return self._output(images, self.blocks(x))
        styles = self._styles(codes)
        for block in self.blocks:
            x = block(x, styles)
        return self._output(images, x)

    def in_rows(self, images: Rows, codes: Tensor | None = None) -> Rows:
        x = self.stem.in_rows(images.then(self.output.seen))
        for stage in self.down:
            conv, norm, *rest = _parts(stage)
            halves = self.config.downsampling != "blur-after"
            x = x.then(conv, reach=DOWN_REACH, down=2 if halves else 1).normalised(norm)
            for module in rest:
                pools = isinstance(module, BlurPool)
                x = x.then(module, reach=DOWN_REACH if pools else 0, down=2 if pools else 1)
        x = x.stored()
        styles = None if self.mapping is None else self._styles(codes)
        for block in self.blocks:
            if isinstance(block, StyledResidualBlock):
                assert styles is not None
                x = block.in_rows(x, styles)
            else:
                assert isinstance(block, ResidualBlock)
                x = block.in_rows(x)
        for stage in self.up:
            conv, norm, activation = _parts(stage)
            x = x.then(conv, reach=UP_REACH, up=2).normalised(norm).then(activation)
        return joined(self.output, images, self.head.in_rows(x))

    def _styles(self, codes: Tensor | None) -> Tensor:
        assert self.mapping is not None
        weight = next(self.mapping.parameters())
        middle = torch.zeros(1, self.config.style, device=weight.device, dtype=weight.dtype)
        return self.mapping(middle if codes is None else codes.to(weight.dtype))

    def encode_style(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and logarithm of the variance of the codes of examples [N, C_out, H, W]: [N, D] each."""
        assert self.encoder is not None
        return self.encoder(images)

    def _output(self, images: Tensor, x: Tensor) -> Tensor:
        return self.output(images, self.head(self.up(x)))

    def features(self, images: Tensor) -> list[Tensor]:
        """What CUT compares (Park et al., 2020): the image, each size on the way down, two residual blocks.

        The blocks are the first and the middle one (the fifth of nine). Blocks behind it are not computed.

        Args:
            images: [N, C_in, H, W] in [-1, 1].

        Returns:
            [N, C, h, w] each, of `feature_channels`; `finish` goes on from them.
        """
        found, x = [images], self.stem(self.output.seen(images))
        for stage in self.down:
            x = stage(x)
            found.append(x)
        for number, block in enumerate(self.blocks[: self._middle + 1]):
            x = block(x)
            if number in (0, self._middle):
                found.append(x)
        return found

    def finish(self, features: Sequence[Tensor]) -> Tensor:
        """The output [N, C_out, H, W] that belongs to `features`, computed from where they end."""
        return self._output(features[0], self.blocks[self._middle + 1 :](features[-1]))

    @property
    def feature_channels(self) -> tuple[int, ...]:
        """Channels of each of `features`."""
        config = self.config
        down = tuple(config.width * 2 ** (level + 1) for level in range(config.num_downsamplings))
        widest = config.width * 2**config.num_downsamplings
        blocks = len({0, self._middle}) if config.num_blocks else 0
        return (config.in_channels, *down, *[widest] * blocks)

    @property
    def _middle(self) -> int:
        return self.config.num_blocks // 2


class _Stage(nn.Sequential):
    """A convolution, a norm, a ReLU, and what follows."""

    def forward(self, x: Tensor) -> Tensor:
        for module in self:
            x = activated(x, module)
        return x


def _parts(stage: nn.Module) -> list[nn.Module]:
    assert isinstance(stage, nn.Sequential)
    return list(stage)
