"""The feature heads of CUT (Park et al., 2020, section 3): two linear layers for each layer of the generator.

Made with the recipe, from the channel counts, so that the optimizer holds their weights from the first step.
Shapes: N batch, C channels, H height, W width, P places, K channels of the projection.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from translate.config.networks import PatchHeadsConfig


class PatchHeads(nn.Module):
    """Features of a generator in, unit vectors for some of their places out.

    Args:
        config: Channels of each layer, and of the projection.
    """

    def __init__(self, config: PatchHeadsConfig) -> None:
        super().__init__()
        self.config = config
        self.heads = nn.ModuleList(
            nn.Sequential(
                nn.Linear(channels, config.projection), nn.ReLU(), nn.Linear(config.projection, config.projection)
            )
            for channels in config.channels
        )

    def forward(self, features: Sequence[Tensor], places: Sequence[Tensor]) -> list[Tensor]:
        """Args: features: [N, C, H, W] for each layer. places: from `draw_places`. Returns: [N, P, K] each."""
        vectors = []
        for head, layer, chosen in zip(self.heads, features, places, strict=True):
            picked = layer.flatten(2)[:, :, chosen].transpose(1, 2)  # [N, P, C]
            vectors.append(F.normalize(head(picked), dim=-1))
        return vectors


def draw_places(features: Sequence[Tensor], *, count: int) -> list[Tensor]:
    """Some places of each layer by chance, the same for all images: int64 [P], P at most `count`."""
    return [torch.randperm(layer.shape[-2] * layer.shape[-1], device=layer.device)[:count] for layer in features]
