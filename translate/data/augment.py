"""DiffAugment (Zhao et al., 2020): random changes on the device through which gradients pass.

Applied to everything that a discriminator sees, real or not, and to nothing that a generator sees: so the generator
learns what the data look like and not what the changes look like, and the discriminator cannot learn a small data set
by heart.

Shapes: N batch, C channels, H height, W width.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from translate.config.training import Augmentation


def change_colour(images: Tensor) -> Tensor:
    """Brightness by up to 0.5, saturation by a factor of 0 to 2, contrast by one of 0.5 to 1.5; not clamped."""

    def uniform() -> Tensor:
        return torch.rand(len(images), 1, 1, 1, device=images.device, dtype=images.dtype)

    images = images + (uniform() - 0.5)
    grey = images.mean(dim=1, keepdim=True)
    images = (images - grey) * (2 * uniform()) + grey
    mean = images.mean(dim=(1, 2, 3), keepdim=True)
    return (images - mean) * (uniform() + 0.5) + mean


def translation(images: Tensor, *, share: float = 0.125) -> Tensor:
    """Shift by up to a share of each side in whole pixels; what comes in is 0."""
    count, _, height, width = images.shape
    reach_y, reach_x = int(height * share + 0.5), int(width * share + 0.5)
    offset_y = torch.randint(-reach_y, reach_y + 1, (count, 1, 1), device=images.device)
    offset_x = torch.randint(-reach_x, reach_x + 1, (count, 1, 1), device=images.device)
    # Rows and columns 0 and H + 1, W + 1 of the padded images are 0: places outside end up there.
    rows = (torch.arange(height, device=images.device).view(1, -1, 1) + offset_y + 1).clamp(0, height + 1)
    columns = (torch.arange(width, device=images.device).view(1, 1, -1) + offset_x + 1).clamp(0, width + 1)
    numbers = torch.arange(count, device=images.device).view(-1, 1, 1)
    padded = F.pad(images, (1, 1, 1, 1)).permute(0, 2, 3, 1)
    return padded[numbers, rows, columns].permute(0, 3, 1, 2)


def cutout(images: Tensor, *, share: float = 0.5) -> Tensor:
    """Put 0 in a rectangle of a share of each side, its centre anywhere in the image."""
    count, _, height, width = images.shape
    cut_y, cut_x = int(height * share + 0.5), int(width * share + 0.5)
    centre_y = torch.randint(0, height + (1 - cut_y % 2), (count, 1, 1, 1), device=images.device)
    centre_x = torch.randint(0, width + (1 - cut_x % 2), (count, 1, 1, 1), device=images.device)
    rows = torch.arange(height, device=images.device).view(1, 1, -1, 1) - centre_y + cut_y // 2
    columns = torch.arange(width, device=images.device).view(1, 1, 1, -1) - centre_x + cut_x // 2
    inside = (rows >= 0) & (rows < cut_y) & (columns >= 0) & (columns < cut_x)
    return images.masked_fill(inside, 0.0)


_CHANGES = {"colour": change_colour, "translation": translation, "cutout": cutout}


def diff_augment(images: Tensor, kinds: Sequence[Augmentation]) -> Tensor:
    """Change images [N, C, H, W] in [-1, 1], each by chance of its own; as they are where no kind is named.

    Args:
        images: What a discriminator is about to see.
        kinds: Of ``colour``, ``translation``, ``cutout``; applied in the order of the paper.

    Returns:
        [N, C, H, W], differentiable in the images; colours may leave [-1, 1], as in the paper.
    """
    for kind, change in _CHANGES.items():
        if kind in kinds:
            images = change(images)
    return images
