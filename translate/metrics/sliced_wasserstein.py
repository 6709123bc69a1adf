"""Sliced Wasserstein distance between the patches of two sets of images (Karras et al., 2018, section 5).

Needs no trained network. Patches of each level of a Laplacian pyramid are compared, so coarse and fine structure count
alike. Shapes: N batch, C channels, H height, W width.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

PATCH = 7
PATCHES_PER_IMAGE = 64
PROJECTIONS = 256
SMALLEST = 16  # side in pixels of the coarsest level


def _levels(images: Tensor) -> list[Tensor]:
    """A Laplacian pyramid: what halving takes away at each size, and the rest."""
    found = []
    while min(images.shape[-2:]) >= 2 * SMALLEST:
        smaller = F.avg_pool2d(images, 2)
        found.append(images - F.interpolate(smaller, size=images.shape[-2:], mode="bilinear", align_corners=False))
        images = smaller
    return [*found, images]


def _patches(images: Tensor, generator: torch.Generator) -> Tensor:
    """Patches at places drawn by chance, each channel normalised over all of them: [N * P, C * 7 * 7]."""
    side = min(PATCH, *images.shape[-2:])
    rows = torch.randint(images.shape[-2] - side + 1, (PATCHES_PER_IMAGE,), generator=generator).tolist()
    columns = torch.randint(images.shape[-1] - side + 1, (PATCHES_PER_IMAGE,), generator=generator).tolist()
    patches = torch.stack([images[..., y : y + side, x : x + side] for y, x in zip(rows, columns, strict=True)])
    return patches.flatten(0, 1)


def sliced_wasserstein(a: Tensor, b: Tensor, *, seed: int = 0) -> Tensor:
    """How far the patches of two sets of images are from each other; 0 for equal sets.

    Patches of 7x7 pixels are projected on random directions and sorted; the mean distance between the sorted
    projections, over directions and levels. Both sets are normalised by the mean and deviation of `b`, by channel and
    level, so that a difference of colour counts.

    Args:
        a: [N, C, H, W].
        b: [M, C, H, W]; the reference. Another number of images is compared by quantiles.
        seed: Of places and directions.

    Returns:
        A scalar on the images' device.

    Raises:
        ValueError: another number of channels, or another size.
    """
    if a.shape[1:] != b.shape[1:]:
        raise ValueError(f"images of {list(a.shape[1:])} cannot be compared with images of {list(b.shape[1:])}")
    generator = torch.Generator().manual_seed(seed)
    distances = []
    for level_a, level_b in zip(_levels(a.float()), _levels(b.float()), strict=True):
        mean, deviation = level_b.mean((0, 2, 3), keepdim=True), level_b.std((0, 2, 3), keepdim=True).clamp_min(1e-6)
        patches_a, patches_b = (_patches((level - mean) / deviation, generator) for level in (level_a, level_b))
        directions = torch.randn(patches_a[0].numel(), PROJECTIONS, generator=generator).to(a.device)
        directions = F.normalize(directions, dim=0)
        sorted_a, sorted_b = (
            (patches.flatten(1) @ directions).sort(dim=0).values for patches in (patches_a, patches_b)
        )
        count = min(len(sorted_a), len(sorted_b))
        places_a, places_b = (
            torch.linspace(0, len(values) - 1, count, device=a.device).round().long() for values in (sorted_a, sorted_b)
        )
        distances.append((sorted_a[places_a] - sorted_b[places_b]).abs().mean())
    return torch.stack(distances).mean()
