"""VQ-VAE (van den Oord et al., 2017): images to a small square of entries of a learned codebook, and back.

Three parts: the codec (convolutions to one vector a place, and back), the codebook, and the prior, a transformer that
says which code comes next. They are trained side by side and lie in one file.

Shapes: N batch, C channels, S side of the images, s side of the codes, D numbers of a codebook entry, K entries.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn

from translate.blocks.conv import ConvBlock, relu
from translate.blocks.norm import norm_layer
from translate.blocks.quantize import Quantizer
from translate.blocks.resample import Enlarge
from translate.blocks.residual import ResidualBlock
from translate.config.networks import CodecConfig, VQVAENetworkConfig
from translate.networks.code_prior import CodePrior


class Codec(nn.Module):
    """The two halves around the codebook.

    Args:
        config: What it is made of.
    """

    def __init__(self, config: CodecConfig) -> None:
        super().__init__()
        self.config = config
        norm, width = norm_layer(config.norm), config.width
        # Half as wide at the full size, where most of the time goes.
        widths = [max(1, width // 2), *[width] * config.num_downsamplings]
        blocks = [ResidualBlock(width, norm_layer=norm, padding="zeros") for _ in range(2 * config.num_blocks)]
        self.encoder = nn.Sequential(
            ConvBlock(config.channels, widths[0], norm_layer=norm, activation=relu),
            *[
                ConvBlock(wide, wider, kernel_size=4, stride=2, norm_layer=norm, activation=relu)
                for wide, wider in pairwise(widths)
            ],
            *blocks[: config.num_blocks],
            nn.Conv2d(width, config.code_dim, 1),
        )
        self.decoder = nn.Sequential(
            ConvBlock(config.code_dim, width, norm_layer=norm, activation=relu),
            *blocks[config.num_blocks :],
            *[
                layer
                for wider, wide in zip(widths[:0:-1], widths[-2::-1], strict=True)
                for layer in (Enlarge("resize"), ConvBlock(wider, wide, norm_layer=norm, activation=relu))
            ],
            nn.Conv2d(widths[0], config.channels, 3, padding=1),
        )

    def encode(self, images: Tensor) -> Tensor:
        """[N, C, S, S] in [-1, 1] -> [N, D, s, s]."""
        return self.encoder(images)

    def decode(self, entries: Tensor) -> Tensor:
        """[N, D, s, s] -> [N, C, S, S], about [-1, 1]."""
        return self.decoder(entries)

    def forward(self, images: Tensor) -> Tensor:
        """Without a codebook in between."""
        return self.decode(self.encode(images))


class VQVAENetwork(nn.Module):
    """The whole.

    Args:
        config: What it is made of.
    """

    def __init__(self, config: VQVAENetworkConfig) -> None:
        super().__init__()
        self.config = config
        self.codec = Codec(config.codec)
        self.quantizer = Quantizer(config.quantizer)
        self.prior = CodePrior(config.prior) if config.prior is not None else None

    def codes(self, images: Tensor) -> Tensor:
        """[N, C, S, S] in [-1, 1] -> int64 [N, s, s]."""
        return self.quantizer.codes(self.codec.encode(images))

    def images(self, codes: Tensor) -> Tensor:
        """int64 [N, s, s] -> [N, C, S, S] in [-1, 1]."""
        return self.codec.decode(self.quantizer.look_up(codes)).float().clamp(-1, 1)

    def forward(self, images: Tensor) -> Tensor:
        """Images from themselves, through the codebook."""
        return self.images(self.codes(images))

    @torch.no_grad()
    def sample(self, count: int, *, temperature: float = 1.0, generator: torch.Generator | None = None) -> Tensor:
        """New images [count, C, S, S] in [-1, 1]; there must be a prior."""
        assert self.prior is not None
        return self.images(self.prior.sample(count, temperature=temperature, generator=generator))
