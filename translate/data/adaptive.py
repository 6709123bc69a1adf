"""Adaptive discriminator augmentation (ADA; Karras et al., 2020, "Training generative adversarial networks with limited
data"): every change is made with a probability that follows how well the discriminator knows the training images.

Mirrors, quarter turns, shifts, scales, turns, and changes of colour, in the paper's strengths, all on the device: the
probability is a tensor, so that nobody waits for it. Geometry is one bilinear sampling with reflected borders, where
the paper filters by a wavelet first.

Shapes: N batch, C channels, H height, W width.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

SCALE_DEVIATION, SHIFT_DEVIATION = 0.2, 0.125  # of log2 of the size, and of shares of the side
BRIGHTNESS_DEVIATION, CONTRAST_DEVIATION, SATURATION_DEVIATION = 0.2, 0.5, 1.0


def adaptive_augment(images: Tensor, probability: Tensor) -> Tensor:
    """Change images, each by chance of its own.

    Args:
        images: [N, C, H, W] in [-1, 1].
        probability: Of each change, a scalar tensor on the images' device.

    Returns:
        [N, C, H, W], differentiable (once) in the images; colours may leave [-1, 1].
    """
    with torch.autocast(images.device.type, enabled=False):  # 8 bits are too few for places in an image
        x = images.float()
        x = _with_chance(x.flip(-1), x, probability / 2)
        if x.shape[2] == x.shape[3]:
            x = _quarter_turned(x, probability)
        x = _moved(x, probability)
        return _recoloured(x, probability).to(images.dtype)


def _chosen(count: int, probability: Tensor) -> Tensor:
    """Which of so many images are changed, bool [N]."""
    return torch.rand(count, device=probability.device) < probability


def _with_chance(changed: Tensor, x: Tensor, probability: Tensor) -> Tensor:
    return torch.where(_chosen(len(x), probability)[:, None, None, None], changed, x)


def _quarter_turned(x: Tensor, probability: Tensor) -> Tensor:
    turns = torch.randint(4, (len(x), 1, 1, 1), device=x.device)
    turns = torch.where(_chosen(len(x), probability)[:, None, None, None], turns, 0)
    for number in (1, 2, 3):
        x = torch.where(turns == number, x.rot90(number, (2, 3)), x)
    return x


def _moved(x: Tensor, probability: Tensor) -> Tensor:
    """Scaled alike, turned, scaled in one direction, shifted."""
    count, device = len(x), x.device

    def drawn(otherwise: float, values: Tensor, share: Tensor | float = 1.0) -> Tensor:
        return torch.where(_chosen(count, probability * share), values, otherwise)

    # Two turns, before and behind the other scale; that at least one is made has the probability asked for.
    half = (1 - (1 - probability).clamp_min(0).sqrt()) / probability.clamp_min(1e-8)
    angles = [drawn(0.0, (torch.rand(count, device=device) * 2 - 1) * math.pi, half) for _ in range(2)]
    scale, stretch = (drawn(1.0, torch.exp2(SCALE_DEVIATION * torch.randn(count, device=device))) for _ in range(2))
    matrix = _turn(angles[0]) * scale[:, None, None]
    matrix = matrix @ torch.diag_embed(torch.stack([stretch, 1 / stretch], dim=1)) @ _turn(angles[1])
    # A shift by a share of the side is twice that in the places of grid_sample, which run from -1 to 1.
    shift = torch.stack([drawn(0.0, 2 * SHIFT_DEVIATION * torch.randn(count, device=device)) for _ in range(2)], dim=1)
    grid = F.affine_grid(torch.cat([matrix, shift[:, :, None]], dim=2), list(x.shape), align_corners=False)
    return F.grid_sample(x, grid, mode="bilinear", padding_mode="reflection", align_corners=False)


def _turn(angle: Tensor) -> Tensor:
    """Rotations [N, 2, 2]."""
    return torch.stack([angle.cos(), -angle.sin(), angle.sin(), angle.cos()], dim=1).view(-1, 2, 2)


def _recoloured(x: Tensor, probability: Tensor) -> Tensor:
    """Brightness and contrast; of colours also luminance turned over, hue, and saturation. Alpha is left alone."""
    count, device = len(x), x.device
    colours = 3 if x.shape[1] >= 3 else 1

    def drawn(otherwise: float, values: Tensor) -> Tensor:
        return torch.where(_chosen(count, probability), values, otherwise)[:, None, None]

    def normal() -> Tensor:
        return torch.randn(count, device=device)

    brightness = drawn(0.0, BRIGHTNESS_DEVIATION * normal())
    contrast = drawn(1.0, torch.exp2(CONTRAST_DEVIATION * normal()))
    flat = x[:, :colours].flatten(2)  # [N, 3, H * W]
    flat = (flat + brightness) * contrast
    if colours == 3:
        axis = torch.full((3,), 3**-0.5, device=device)
        along = torch.outer(axis, axis)  # onto the grey axis
        unit = torch.eye(3, device=device)
        flipped = drawn(0.0, torch.randint(2, (count,), device=device).float())
        angle = drawn(0.0, (torch.rand(count, device=device) * 2 - 1) * math.pi)
        saturation = drawn(1.0, torch.exp2(SATURATION_DEVIATION * normal()))
        cross = (unit.roll(1, 0) - unit.roll(1, 1)) * 3**-0.5  # the product with the axis; made on the device
        # Rodrigues' rotation around the grey axis.
        hue = angle.cos() * unit + angle.sin() * cross + (1 - angle.cos()) * along
        matrix = (unit - 2 * flipped * along) @ hue @ (along + saturation * (unit - along))
        flat = matrix @ flat
    changed = flat.view(count, colours, *x.shape[2:])
    return torch.cat([changed, x[:, colours:]], dim=1)
