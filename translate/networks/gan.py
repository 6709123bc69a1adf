"""Generators of images from random numbers, and discriminators of whole images: dense, or convolutional (DCGAN).

A conditional dense generator takes the embedding of a class beside its latents; a convolutional one has norms with a
scale and a shift for each class (Dumoulin et al., 2017): were the class an input, batch norm would be content with what
differs between classes, and all images of a class would become one. A conditional discriminator adds the product of an
embedding of the class with its features to its logit (projection; Miyato and Koyama, 2018). They are not summed over
places first: a shallow network sees parts of a digit, and where they are tells which it is.

Shapes: N batch, C channels, S side, D latents, F features, K classes.
"""

from __future__ import annotations

from itertools import pairwise
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from translate.blocks.conv import leaky_relu
from translate.blocks.norm import norm_layer
from translate.config.networks import (
    ConvDiscriminatorConfig,
    ConvGeneratorConfig,
    DenseDiscriminatorConfig,
    DenseGeneratorConfig,
    DiscriminatorConfig,
    LatentGeneratorConfig,
    Norm,
)

EMBEDDING = 32  # numbers that stand for a class
CLASS_STD = 0.3  # with which the scales and shifts of classes start
WIDEST = 8  # times the width


class LatentGenerator(nn.Module):
    """Latents in, images out; dense and convolutional ones."""

    config: LatentGeneratorConfig

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        """Images of latents.

        Args:
            latents: [N, D].
            labels: int64 [N], numbers of classes; for a conditional one only.

        Returns:
            [N, C, S, S] in [-1, 1].
        """
        raise NotImplementedError


class DenseGenerator(LatentGenerator):
    """Fully connected.

    Args:
        config: What it is made of.
    """

    def __init__(self, config: DenseGeneratorConfig) -> None:
        super().__init__()
        self.config = config
        self.embedding = nn.Embedding(config.num_classes, EMBEDDING) if config.num_classes else None
        sizes = (config.latent + (EMBEDDING if config.num_classes else 0), *config.hidden)
        shape = (config.channels, config.size, config.size)
        hidden = [layer for pair in pairwise(sizes) for layer in (nn.Linear(*pair), leaky_relu())]
        self.layers = nn.Sequential(
            *hidden, nn.Linear(sizes[-1], config.channels * config.size**2), nn.Tanh(), nn.Unflatten(1, shape)
        )

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        if self.embedding is not None:
            assert labels is not None
            latents = torch.cat([latents, self.embedding(labels)], dim=1)
        return self.layers(latents)


class ClassNorm(nn.Module):
    """A norm, then a scale and a shift of each channel, those of an image's class.

    Args:
        norm: Of [N, C, H, W].
        channels: C.
        num_classes: K.
    """

    def __init__(self, norm: nn.Module, *, channels: int, num_classes: int) -> None:
        super().__init__()
        self.norm = norm
        self.scale, self.shift = (nn.Embedding(num_classes, channels) for _ in range(2))
        for embedding in (self.scale, self.shift):
            nn.init.normal_(embedding.weight, std=CLASS_STD)

    def forward(self, x: Tensor, labels: Tensor) -> Tensor:
        scale, shift = (embedding(labels)[:, :, None, None] for embedding in (self.scale, self.shift))
        return self.norm(x) * (1 + scale) + shift


class ConvGenerator(LatentGenerator):
    """A linear layer to a small square, then transposed convolutions that double it.

    Args:
        config: What it is made of.
    """

    def __init__(self, config: ConvGeneratorConfig) -> None:
        super().__init__()
        self.config = config

        def norm(channels: int) -> nn.Module:
            plain = norm_layer(config.norm)(channels)
            if not config.num_classes:
                return plain
            return ClassNorm(plain, channels=channels, num_classes=config.num_classes)

        bias = config.norm == "none"
        widths = [config.width * min(WIDEST, 2**level) for level in range(config.num_upsamplings)][::-1]
        side = config.size // 2**config.num_upsamplings
        layers: list[nn.Module] = [
            nn.Linear(config.latent, widths[0] * side**2, bias=bias),
            nn.Unflatten(1, (widths[0], side, side)),
            norm(widths[0]),
            nn.ReLU(),
        ]
        for wider, wide in pairwise(widths):
            layers += [nn.ConvTranspose2d(wider, wide, 4, stride=2, padding=1, bias=bias), norm(wide), nn.ReLU()]
        self.layers = nn.ModuleList(
            [*layers, nn.ConvTranspose2d(widths[-1], config.channels, 4, stride=2, padding=1), nn.Tanh()]
        )

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        x = latents
        for layer in self.layers:
            x = layer(x, labels) if isinstance(layer, ClassNorm) else layer(x)
        return x


class Discriminator(nn.Module):
    """Whole images in, one logit each out: positive for real.

    Args:
        config: What it is made of.
        num_features: F, what `layers` makes of an image, at all places together.
    """

    layers: nn.Module

    def __init__(self, config: DiscriminatorConfig, *, num_features: int) -> None:
        super().__init__()
        self.config = config
        self.head = nn.Linear(num_features, 1)
        self.embedding = nn.Embedding(config.num_classes, num_features) if config.num_classes else None
        if self.embedding is not None:  # what a class adds to a sum of so many starts small
            nn.init.normal_(self.embedding.weight, std=0.02)

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """Logits of images.

        Args:
            images: [N, C, S, S] in [-1, 1].
            labels: int64 [N], numbers of classes; for a conditional one only.

        Returns:
            [N, 1].
        """
        features = self.layers(images).flatten(1)  # [N, F]
        logits = self.head(features)
        if self.embedding is not None:
            assert labels is not None
            logits = logits + (self.embedding(labels) * features).sum(dim=1, keepdim=True)
        return logits

    def under_spectral_norm(self) -> None:
        """Divide every weight by its largest singular value, after they were drawn (Miyato et al., 2018)."""
        for module in list(self.modules()):
            if isinstance(module, nn.Conv2d | nn.Linear | nn.Embedding):
                spectral_norm(module)


class DenseDiscriminator(Discriminator):
    """Fully connected."""

    def __init__(self, config: DenseDiscriminatorConfig) -> None:
        super().__init__(config, num_features=config.hidden[-1])
        sizes = (config.channels * config.size**2, *config.hidden)
        self.layers = nn.Sequential(
            nn.Flatten(), *[layer for pair in pairwise(sizes) for layer in (nn.Linear(*pair), leaky_relu())]
        )


class ConvDiscriminator(Discriminator):
    """Strided convolutions, the first without a norm."""

    def __init__(self, config: ConvDiscriminatorConfig) -> None:
        widths = [config.width * min(WIDEST, 2**level) for level in range(config.num_downsamplings)]
        side = config.size // 2**config.num_downsamplings
        super().__init__(config, num_features=widths[-1] * side**2)
        norm = norm_layer("none" if config.norm == "spectral" else cast(Norm, config.norm))
        bias = config.norm in ("none", "spectral")
        layers: list[nn.Module] = [nn.Conv2d(config.channels, widths[0], 4, stride=2, padding=1), leaky_relu()]
        for wide, wider in pairwise(widths):
            layers += [nn.Conv2d(wide, wider, 4, stride=2, padding=1, bias=bias), norm(wider), leaky_relu()]
        self.layers = nn.Sequential(*layers)
