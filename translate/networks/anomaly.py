"""An autoencoder of what is normal, with what is known of its errors and latents: how unlike is an image?

Two distances. The *error* of the reconstruction, averaged over a few pixels before it is squared: a stroke that comes
back a pixel beside its place is no anomaly. The *distance* of the latents from those of normal images, by their
covariance (Mahalanobis, 1936). Each is taken as a logarithm, in deviations from its mean over normal images that the
autoencoder has not learned from; together they are summed.

Shapes: N batch, C channels, S side, D latents.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from translate.config.networks import AnomalyNetworkConfig, DenseAutoencoderConfig
from translate.networks.autoencoder import Autoencoder, ConvAutoencoder, DenseAutoencoder

SCORES = ("error", "distance", "both")
LEAST = 1e-12  # of what a logarithm is taken of


class AnomalyDetector(nn.Module):
    """Images in, scores out; higher for less normal.

    Args:
        config: Of the autoencoder.

    Attributes:
        thresholds: [3] for the scores error, distance and both, above which an image is called abnormal.
    """

    centre: Tensor
    whitening: Tensor
    means: Tensor
    deviations: Tensor
    thresholds: Tensor

    def __init__(self, config: AnomalyNetworkConfig) -> None:
        super().__init__()
        self.config = config
        inner = config.autoencoder
        self.autoencoder: Autoencoder = (
            DenseAutoencoder(inner) if isinstance(inner, DenseAutoencoderConfig) else ConvAutoencoder(inner)
        )
        self.register_buffer("centre", torch.zeros(inner.latent))
        self.register_buffer("whitening", torch.eye(inner.latent))
        self.register_buffer("means", torch.zeros(2))
        self.register_buffer("deviations", torch.ones(2))
        self.register_buffer("thresholds", torch.zeros(len(SCORES)))

    def heat(self, images: Tensor) -> Tensor:
        """Where images differ from their reconstructions: [N, C, S, S] in [-1, 1] -> [N, 1, S, S], not negative."""
        return self._heat(self.autoencoder(images), images)

    def raw(self, images: Tensor) -> Tensor:
        """log of the error and of the distance: [N, 2]."""
        latents = self.autoencoder.encode(images).mean.float()
        made = self.autoencoder.to_images(self.autoencoder.decode(latents))
        error = self._heat(made, images).mean(dim=(1, 2, 3))
        distance = ((latents - self.centre) @ self.whitening).square().mean(dim=1)
        return torch.stack([error, distance], dim=1).clamp_min(LEAST).log()

    def forward(self, images: Tensor) -> Tensor:
        """Args: images: [N, C, S, S] in [-1, 1]. Returns: [N, 3], the scores in the order of `SCORES`."""
        return self.together(self.raw(images))

    def together(self, raw: Tensor) -> Tensor:
        """What `raw` says, in deviations from normal, and their sum: [N, 2] -> [N, 3]."""
        scaled = (raw - self.means) / self.deviations
        return torch.cat([scaled, scaled.sum(dim=1, keepdim=True)], dim=1)

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
