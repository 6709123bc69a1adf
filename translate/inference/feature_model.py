"""Images as the features of a network that somebody else trained: what `translate embed` takes in place of latents.

Shapes: N images, S side, D features.
"""

from __future__ import annotations

import torch
from torch import Tensor

from translate.data.store import Format
from translate.inference.image_model import Framing
from translate.networks.features import FeatureNetwork

AT_ONCE = 32  # images


class FeatureModel(Framing):
    """A feature network; images are shown to it whole, squashed to its square.

    Args:
        network: Which.
        device: Where it is.

    Attributes:
        name: Of the network.
        network: The ``nn.Module``.
    """

    def __init__(self, network: FeatureNetwork, *, device: torch.device) -> None:
        self.name, self.size, self.fit = network.name, network.size, "stretch"
        self.format = Format(channels=3)
        self.device, self.network = device, network

    @torch.inference_mode()
    def encoded(self, images: Tensor) -> Tensor:
        """[N, 3, S, S] in [-1, 1] -> float32 [N, D] on the CPU."""
        return torch.cat([self.network(part.to(self.device)).cpu() for part in images.split(AT_ONCE)])
