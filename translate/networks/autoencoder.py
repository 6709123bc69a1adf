"""Autoencoders: square images to a vector of latents, and back.

Dense, as in the classic text (784-256-32-256-784), or convolutional. A variational one (Kingma and Welling, 2013) gives
the mean and the log-variance of each latent. What a decoder returns is raw: logits of white for ``bernoulli``, the
means of the values for ``gaussian``; `to_images` makes images of either.

Shapes: N batch, C channels, S side, D latents.
"""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor, nn

from translate.blocks.conv import ConvBlock, relu
from translate.blocks.norm import norm_layer
from translate.blocks.resample import Enlarge
from translate.blocks.residual import ResidualBlock
from translate.config.networks import ConvAutoencoderConfig, DenseAutoencoderConfig, VectorAutoencoderConfig

LARGEST_LOG_VARIANCE = 10.0


class Code(NamedTuple):
    """What an encoder says of images."""

    mean: Tensor
    """[N, D]."""
    log_variance: Tensor | None
    """[N, D], from -10 to 10; None for a plain autoencoder."""


class Autoencoder(nn.Module):
    """What dense and convolutional ones share; `encoder` makes [N, D] or [N, 2D], `decoder` [N, C, S, S].

    Attributes:
        log_scale: Of a variational one with Gaussian pixels, log of their deviation.
    """

    encoder: nn.Module
    decoder: nn.Module

    def __init__(self, config: VectorAutoencoderConfig) -> None:
        super().__init__()
        self.config = config
        self.num_outputs = config.latent * (2 if config.variational else 1)
        self.log_scale: nn.Parameter | None = None
        if config.variational and config.likelihood == "gaussian":
            self.log_scale = nn.Parameter(torch.zeros(()))

    def encode(self, images: Tensor) -> Code:
        """Args: images: [N, C, S, S] in [-1, 1]."""
        code = self.encoder(images)
        if not self.config.variational:
            return Code(code, None)
        mean, log_variance = code.float().chunk(2, dim=1)
        return Code(mean, log_variance.clamp(-LARGEST_LOG_VARIANCE, LARGEST_LOG_VARIANCE))

    def decode(self, latents: Tensor) -> Tensor:
        """Args: latents: [N, D]. Returns: raw [N, C, S, S]."""
        return self.decoder(latents)

    def to_images(self, raw: Tensor) -> Tensor:
        """What `decode` returned, as images in [-1, 1]: the most likely values, or the probabilities of white."""
        raw = raw.float()
        return 2 * torch.sigmoid(raw) - 1 if self.config.likelihood == "bernoulli" else raw.clamp(-1, 1)

    def forward(self, images: Tensor) -> Tensor:
        """Images [N, C, S, S] in [-1, 1] from themselves, through the mean of their latents."""
        return self.to_images(self.decode(self.encode(images).mean))


class DenseAutoencoder(Autoencoder):
    """Fully connected."""

    config: DenseAutoencoderConfig

    def __init__(self, config: DenseAutoencoderConfig) -> None:
        super().__init__(config)
        shape = (config.channels, config.size, config.size)
        num_values = config.channels * config.size**2
        inward, outward = (num_values, *config.hidden), (config.latent, *config.hidden[::-1])
        self.encoder = nn.Sequential(nn.Flatten(), *_layers(inward), nn.Linear(inward[-1], self.num_outputs))
        self.decoder = nn.Sequential(*_layers(outward), nn.Linear(outward[-1], num_values), nn.Unflatten(1, shape))


def _layers(sizes: tuple[int, ...]) -> list[nn.Module]:
    return [layer for size, following in pairwise(sizes) for layer in (nn.Linear(size, following), nn.ReLU())]


class ConvAutoencoder(Autoencoder):
    """Convolutional: a residual block at each size on either side of the bottleneck."""

    config: ConvAutoencoderConfig

    def __init__(self, config: ConvAutoencoderConfig) -> None:
        super().__init__(config)
        norm = norm_layer(config.norm)
        widths = [config.width * min(4, 2**level) for level in range(config.num_downsamplings + 1)]
        side = config.size // 2**config.num_downsamplings
        shape = (widths[-1], side, side)

        down: list[nn.Module] = [ConvBlock(config.channels, widths[0], norm_layer=norm, activation=relu)]
        for wide, wider in pairwise(widths):
            down += [ConvBlock(wide, wider, stride=2, norm_layer=norm, activation=relu), _residual(wider, norm)]
        self.encoder = nn.Sequential(*down, nn.Flatten(), nn.Linear(widths[-1] * side**2, self.num_outputs))

        up: list[nn.Module] = [nn.Linear(config.latent, widths[-1] * side**2), nn.Unflatten(1, shape)]
        for wider, wide in pairwise(widths[::-1]):
            up += [_residual(wider, norm), Enlarge("resize"), ConvBlock(wider, wide, norm_layer=norm, activation=relu)]
        self.decoder = nn.Sequential(*up, nn.Conv2d(widths[0], config.channels, 3, padding=1))


def _residual(channels: int, norm: object) -> ResidualBlock:
    return ResidualBlock(channels, norm_layer=norm, padding="zeros")  # type: ignore[arg-type]
