"""Inputs computed from what a network shall make: sketches from pictures, grey from colour, holes from whole images.

All that varies is a function of a sample's key (`translate.blocks.keyed`) and computed on the device for a whole batch
at once. Without keys everything is in the middle of what is drawn, which is what one wants of a single picture.

Shapes: N batch, C channels, S side (H and W need not be equal).
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from translate.blocks.colour import luma
from translate.blocks.keyed import keyed_normal, keyed_uniform
from translate.config.training import Derivation

# Canny (1986) on images of unit contrast: the thresholds are those of kornia's Sobel magnitude.
WEAK, STRONG = 1.1, 2.2
EDGE_SIGMAS, EDGE_CONTRASTS = (0.7, 2.2), (0.6, 1.7)
TRACKING = 16  # pixels that a weak edge may go on behind a strong one
BEND = 0.012  # of the side, that lines are bent by at most: a hand draws beside the edge
ERASED = 0.35  # of the lines, at most
BLUR_SIGMAS, GRAIN = (0.5, 3.0), 0.015
FACTORS = (2, 3, 4)  # by which low resolution is lower
BOXES, STROKES = 3, 3


def derived_channels(kind: Derivation, channels: int) -> int:
    """Channels of what is derived from images of so many."""
    return {"edges": 1, "gray": 1, "mask": channels + 1}.get(kind, channels)


def derive(images: Tensor, kind: Derivation, *, keys: Tensor | None = None) -> Tensor:
    """What a network is given that shall make these images of it.

    Args:
        images: [N, C, H, W] in [-1, 1], C 1 or 3.
        kind: ``edges``: black lines on white (Canny, drawn anew with bent, broken lines of 1 to 3 px);
            ``gray``: luma; ``blur``: out of focus by a deviation of 0.5 to 3 px, with some grain; ``low-res``: of a
            half to a quarter of the resolution, enlarged again; ``mask``: with holes, boxes and strokes, and the share
            that is there as one more channel, -1 in a hole.
        keys: int64 [N], by which each sample is changed; ``mask`` needs them.

    Returns:
        [N, `derived_channels`, H, W] in [-1, 1].
    """
    if kind == "gray":
        return luma(images)
    if kind == "edges":
        return _edges(images, keys)
    if kind == "blur":
        return _blurred(images, keys)
    if kind == "low-res":
        return _coarse(images, keys)
    assert keys is not None, "holes are drawn by a key"
    there = _there(images, keys)
    return torch.cat([images * there, 2 * there - 1], dim=1)


def _drawn(keys: Tensor | None, count: int, *, like: Tensor, stream: int) -> Tensor:
    """So many numbers in (0, 1) of each sample, [N, count]; a half without keys."""
    if keys is None:
        return torch.full((len(like), count), 0.5, device=like.device)
    return keyed_uniform(keys, count, stream=stream)


def _within(share: Tensor, low: float, high: float) -> Tensor:
    """From low to high, evenly in the logarithm."""
    return low * (high / low) ** share


def _gaussian(images: Tensor, sigma: Tensor, *, reach: float) -> Tensor:
    """Blurred by a deviation of each image's own, [N] in pixels, `reach` at most."""
    from kornia.filters import gaussian_blur2d  # 3 s: paid by those who use it

    size = min(2 * math.ceil(2.5 * reach), 2 * min(images.shape[-2:]) - 2) + 1  # borders are reflected
    if size == 1:
        return images
    return gaussian_blur2d(images, (size, size), sigma[:, None].expand(-1, 2))


def _edges(images: Tensor, keys: Tensor | None) -> Tensor:
    from kornia.filters import canny  # 3 s: paid by those who use it

    share = _drawn(keys, 5, like=images, stream=41)
    grey = luma(images).float()
    grey = _gaussian(grey, _within(share[:, 0], *EDGE_SIGMAS), reach=EDGE_SIGMAS[1])
    # One pair of thresholds for all: the contrast is varied in place of them.
    deviation = grey.std(dim=(1, 2, 3), correction=0, keepdim=True).clamp(min=0.02)
    grey = grey / deviation * _within(share[:, 1], *EDGE_CONTRASTS).view(-1, 1, 1, 1)
    # Its own hysteresis asks after each round whether anything changed, and the device would be waited for.
    _, found = canny(grey, WEAK, STRONG, kernel_size=1, hysteresis=False)
    lines, weak = (found == 1).float(), (found > 0).float()
    for _ in range(TRACKING):
        lines = F.max_pool2d(lines, 3, 1, 1) * weak
    if keys is not None:
        lines = lines * _kept(lines, keys, share[:, 2])
    # Lines of 1, 2 or 3 px, by thirds.
    width = share[:, 3].view(-1, 1, 1, 1)
    twice = F.max_pool2d(F.pad(lines, (0, 1, 0, 1)), 2, 1)
    thrice = F.max_pool2d(lines, 3, 1, 1)
    lines = torch.where(width < 1 / 3, lines, torch.where(width < 2 / 3, twice, thrice))
    if keys is not None:
        lines = _bent(lines, keys, share[:, 4])
    return 1 - 2 * lines


def _waves(like: Tensor, keys: Tensor, *, count: int, stream: int) -> Tensor:
    """Smooth random fields, about a deviation of 0.7 each: [N, count, H, W]."""
    height, width = like.shape[-2:]
    y = torch.linspace(0, 1, height, device=like.device).view(1, 1, 1, height, 1)
    x = torch.linspace(0, 1, width, device=like.device).view(1, 1, 1, 1, width)
    numbers = keyed_uniform(keys, count, 4, 3, stream=stream)
    numbers = numbers[..., None, None]  # [N, count, 4 waves, 3 numbers, 1, 1]
    angle, phase = numbers[:, :, :, 0] * (2 * math.pi), numbers[:, :, :, 1] * (2 * math.pi)
    rate = (2 + 6 * numbers[:, :, :, 2]) * math.pi  # one to four periods across the image
    return (torch.cos(rate * (torch.cos(angle) * x + torch.sin(angle) * y) + phase)).mean(dim=2) * 2


def _kept(lines: Tensor, keys: Tensor, share: Tensor) -> Tensor:
    """1 where lines stay, 0 where they were not drawn; in half of the images all stay."""
    field = _waves(lines, keys, count=1, stream=42)
    level = 0.7 * torch.erfinv(2 * (ERASED * (2 * share - 1).clamp(min=1e-6)).clamp(max=0.999) - 1) * 2**0.5
    return (field > level.view(-1, 1, 1, 1)).float()


def _bent(lines: Tensor, keys: Tensor, share: Tensor) -> Tensor:
    """Moved by smooth random fields, sampled between pixels."""
    count, _, height, width = lines.shape
    identity = torch.eye(2, 3, device=lines.device).expand(count, 2, 3)
    places = F.affine_grid(identity, [count, 1, height, width], align_corners=False)
    moves = _waves(lines, keys, count=2, stream=43) * (2 * BEND * share.view(-1, 1, 1, 1))
    return F.grid_sample(lines, places + moves.permute(0, 2, 3, 1), padding_mode="border", align_corners=False)


def _blurred(images: Tensor, keys: Tensor | None) -> Tensor:
    share = _drawn(keys, 2, like=images, stream=44)
    blurred = _gaussian(images, _within(share[:, 0], *BLUR_SIGMAS), reach=BLUR_SIGMAS[1])
    if keys is None:
        return blurred
    grain = keyed_normal(keys, *images.shape[1:], stream=45) * (2 * GRAIN * share[:, 1].view(-1, 1, 1, 1))
    return (blurred + grain).clamp(-1, 1)


def _coarse(images: Tensor, keys: Tensor | None) -> Tensor:
    share = _drawn(keys, 1, like=images, stream=46).view(-1, 1, 1, 1)
    size = images.shape[-2:]
    result = images
    for number, factor in enumerate(FACTORS):
        small = [max(1, round(side / factor)) for side in size]
        coarse = F.interpolate(images, small, mode="bicubic", antialias=True, align_corners=False)
        coarse = F.interpolate(coarse, size, mode="bicubic", align_corners=False).clamp(-1, 1)
        result = torch.where(share >= number / len(FACTORS), coarse, result)
    return result


def _there(images: Tensor, keys: Tensor) -> Tensor:
    """1 where an image is there, 0 in its holes, of which there are one to six: [N, 1, H, W]."""
    height, width = images.shape[-2:]
    y = (torch.arange(height, device=images.device) + 0.5).view(1, 1, height, 1) / height
    x = (torch.arange(width, device=images.device) + 0.5).view(1, 1, 1, width) / width
    boxes = keyed_uniform(keys, BOXES, 4, stream=47)[..., None, None]  # [N, boxes, 4, 1, 1]
    half_y, half_x = 0.04 + 0.14 * boxes[:, :, 2], 0.04 + 0.14 * boxes[:, :, 3]
    in_box = ((y - boxes[:, :, 0]).abs() < half_y) & ((x - boxes[:, :, 1]).abs() < half_x)
    ends = keyed_uniform(keys, STROKES, 5, stream=48)[..., None, None]
    y0, x0, y1, x1, thick = (ends[:, :, number] for number in range(5))
    length = ((y1 - y0) ** 2 + (x1 - x0) ** 2).clamp(min=1e-6)
    along = (((y - y0) * (y1 - y0) + (x - x0) * (x1 - x0)) / length).clamp(0, 1)
    distance = (y - y0 - along * (y1 - y0)) ** 2 + (x - x0 - along * (x1 - x0)) ** 2
    in_stroke = distance < (0.01 + 0.03 * thick) ** 2
    counts = keyed_uniform(keys, 2, stream=49)
    first = torch.floor(counts[:, :1] * BOXES) + 1  # one box at least
    second = torch.floor(counts[:, 1:] * (STROKES + 1))
    numbers = torch.arange(max(BOXES, STROKES), device=images.device)
    holes = (in_box & (numbers[:BOXES] < first)[..., None, None]).any(dim=1, keepdim=True)
    holes |= (in_stroke & (numbers[:STROKES] < second)[..., None, None]).any(dim=1, keepdim=True)
    return (~holes).to(images.dtype)
