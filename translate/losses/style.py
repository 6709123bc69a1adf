"""Losses of style transfer by features (Gatys et al., 2016; Johnson et al., 2016).

Each layer's distance is divided by the mean square of what it is compared with, so that layers, networks and styles
weigh alike.

Shapes: N batch, K styles, C channels, H height, W width.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def gram(features: Tensor) -> Tensor:
    """Which channels occur together, wherever: [N, C, H, W] -> float32 [N, C, C], a mean over places."""
    flat = features.float().flatten(2)
    return flat @ flat.transpose(1, 2) / flat.shape[2]


def style_distances(features: Sequence[Tensor], targets: Sequence[Tensor]) -> Tensor:
    """Squared distances of Gram matrices, summed over layers.

    Args:
        features: [N, C, H, W] each.
        targets: Gram matrices [N, C, C] of the same layers.

    Returns:
        float32 [N].
    """
    return torch.stack([_relative(gram(layer), target) for layer, target in zip(features, targets, strict=True)]).sum(
        dim=0
    )


def content_distances(features: Sequence[Tensor], targets: Sequence[Tensor]) -> Tensor:
    """Squared distances of features at the same places, a mean over layers.

    Args:
        features: [N, C, H, W] each.
        targets: Of the same shapes; without gradients.

    Returns:
        float32 [N].
    """
    return torch.stack(
        [_relative(layer.float(), target.detach().float()) for layer, target in zip(features, targets, strict=True)]
    ).mean(dim=0)


def total_variation(images: Tensor) -> Tensor:
    """The mean absolute difference of neighbouring pixels, down and across: [N, C, H, W] -> float32 [N]."""
    images = images.float()
    across = (images[..., 1:] - images[..., :-1]).abs().mean(dim=(1, 2, 3))
    return across + (images[..., 1:, :] - images[..., :-1, :]).abs().mean(dim=(1, 2, 3))


def _relative(found: Tensor, target: Tensor) -> Tensor:
    """Per image, the mean squared difference over the mean square of the target."""
    dims = tuple(range(1, found.ndim))
    return (found - target).square().mean(dim=dims) / target.square().mean(dim=dims).clamp(min=1e-8)
