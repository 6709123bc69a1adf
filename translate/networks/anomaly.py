"""How unlike normal images is an image, and where?

By an autoencoder of normal images there are two distances. The *error* of the reconstruction, averaged over a few
pixels before it is squared: a stroke that comes back a pixel beside its place is no anomaly. The *distance* of the
latents from those of normal images, by their covariance (Mahalanobis, 1936). Each is taken as a logarithm, in
deviations from its mean over normal images that the autoencoder has not learned from; together they are summed.

Shapes: N batch, C channels, S side, D latents.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from translate.config.networks import AnomalyNetworkConfig, DenseAutoencoderConfig
from translate.networks.autoencoder import Autoencoder, ConvAutoencoder, DenseAutoencoder

SCORES = ("error", "distance", "both")
LEAST = 1e-12  # of what a logarithm is taken of


class AnomalyDetector(nn.Module, ABC):
    """Images in, scores out; higher for less normal.

    Args:
        scores: Names of what is measured; with two of them a third is their sum.
        smoothing: Pixels that maps are averaged over, about.

    Attributes:
        thresholds: One for each score, above which an image is called abnormal.
    """

    means: Tensor
    deviations: Tensor
    thresholds: Tensor

    def __init__(self, scores: tuple[str, ...], *, smoothing: int) -> None:
        super().__init__()
        self.scores, self.smoothing = scores, smoothing
        measured = 1 if len(scores) == 1 else len(scores) - 1
        self.register_buffer("means", torch.zeros(measured))
        self.register_buffer("deviations", torch.ones(measured))
        self.register_buffer("thresholds", torch.zeros(len(scores)))

    @property
    def device(self) -> torch.device:
        return self.thresholds.device

    @property
    def heat_scale(self) -> tuple[float, float] | None:
        """Heat that normal images have as well, and heat that none of them has; None where heat is not comparable."""
        return None

    @abstractmethod
    def heat(self, images: Tensor) -> Tensor:
        """How abnormal each pixel is: [N, C, S, S] in [-1, 1] -> [N, 1, S, S], not negative."""

    @abstractmethod
    def raw(self, images: Tensor) -> Tensor:
        """Logarithms of what is measured: [N, R]."""

    def again(self, images: Tensor) -> Tensor | None:
        """What the network makes of images [N, C, S, S] again; None for one that makes none."""
        return None

    def forward(self, images: Tensor) -> Tensor:
        """Args: images: [N, C, S, S] in [-1, 1]. Returns: [N, len(scores)]."""
        return self.together(self.raw(images))

    def together(self, raw: Tensor) -> Tensor:
        """What `raw` says, in deviations from normal, and the sum of several: [N, R] -> [N, len(scores)]."""
        scaled = (raw - self.means) / self.deviations
        return scaled if len(self.scores) == 1 else torch.cat([scaled, scaled.sum(dim=1, keepdim=True)], dim=1)


class ReconstructionDetector(AnomalyDetector):
    """By an autoencoder of normal images.

    Args:
        config: Of the autoencoder.
    """

    centre: Tensor
    whitening: Tensor

    def __init__(self, config: AnomalyNetworkConfig) -> None:
        super().__init__(SCORES, smoothing=config.smoothing)
        self.config = config
        inner = config.autoencoder
        self.autoencoder: Autoencoder = (
            DenseAutoencoder(inner) if isinstance(inner, DenseAutoencoderConfig) else ConvAutoencoder(inner)
        )
        self.register_buffer("centre", torch.zeros(inner.latent))
        self.register_buffer("whitening", torch.eye(inner.latent))

    def again(self, images: Tensor) -> Tensor:
        return self.autoencoder(images)

    def heat(self, images: Tensor) -> Tensor:
        return self._heat(self.autoencoder(images), images)

    def raw(self, images: Tensor) -> Tensor:
        """Of the error and of the distance."""
        latents = self.autoencoder.encode(images).mean.float()
        made = self.autoencoder.to_images(self.autoencoder.decode(latents))
        error = self._heat(made, images).mean(dim=(1, 2, 3))
        distance = ((latents - self.centre) @ self.whitening).square().mean(dim=1)
        return torch.stack([error, distance], dim=1).clamp_min(LEAST).log()

    def _heat(self, made: Tensor, images: Tensor) -> Tensor:
        return heat_of(made, images, smoothing=self.config.smoothing)


def heat_of(made: Tensor, images: Tensor, *, smoothing: int) -> Tensor:
    """Where images differ from what was made of them: two [N, C, S, S] -> [N, 1, S, S], not negative.

    Args:
        made: Reconstructions.
        images: The images.
        smoothing: Pixels that differences are averaged over before they are squared, odd.
    """
    difference = F.avg_pool2d(made.float() - images.float(), smoothing, stride=1, padding=smoothing // 2)
    return difference.square().mean(dim=1, keepdim=True)
