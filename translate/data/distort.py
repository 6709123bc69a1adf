"""Images of nothing: photos distorted until they are of no domain, for a classifier that may say "none of them".

A classifier that knows nothing but its domains puts everything into one of them, noise too. One that has seen what
failed translations look like does not (outlier exposure; Hendrycks et al., 2019). Decisions are drawn on the device.

Shapes: N batch, C channels, H height, W width.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

PATCHES = 4  # a side, when patches change places
HIDDEN = 8  # channels inside a random network


def random_network(images: Tensor) -> Tensor:
    """What an untrained generator makes: two random 3x3 convolutions, other ones for each image (Xu et al., 2021)."""
    count, channels, height, width = images.shape

    def convolve(x: Tensor, wider: int) -> Tensor:
        weights = torch.randn(count * wider, x.shape[1], 3, 3, device=x.device, dtype=x.dtype)
        padded = F.pad(x, (1, 1, 1, 1), mode="replicate").reshape(1, -1, height + 2, width + 2)
        made = F.conv2d(padded, weights, groups=count).view(count, wider, height, width)
        return F.instance_norm(made)

    strength = 0.3 + 1.2 * torch.rand(count, 1, 1, 1, device=images.device, dtype=images.dtype)
    shift = torch.randn(count, channels, 1, 1, device=images.device, dtype=images.dtype) / 2
    return (convolve(convolve(images, HIDDEN).relu(), channels) * strength + shift).tanh()


def shuffle_patches(images: Tensor) -> Tensor:
    """The image in 4x4 patches that have changed places; a border that is left over stays."""
    count, channels, height, width = images.shape
    tall, wide = height // PATCHES, width // PATCHES
    inner = images[..., : tall * PATCHES, : wide * PATCHES]
    patches = inner.reshape(count, channels, PATCHES, tall, PATCHES, wide).permute(0, 2, 4, 1, 3, 5).flatten(1, 2)
    order = torch.rand(count, PATCHES**2, device=images.device).argsort(dim=1)
    patches = patches[torch.arange(count, device=images.device).view(-1, 1), order]
    moved = patches.unflatten(1, (PATCHES, PATCHES)).permute(0, 3, 1, 4, 2, 5).reshape(inner.shape)
    result = images.clone()
    result[..., : tall * PATCHES, : wide * PATCHES] = moved
    return result


def invert(images: Tensor) -> Tensor:
    """A negative, of all channels or of one of them."""
    count, channels = images.shape[:2]
    one = torch.arange(channels, device=images.device) == torch.randint(channels, (count, 1), device=images.device)
    every = torch.rand(count, 1, device=images.device) < 0.5
    return torch.where((one | every).view(count, channels, 1, 1), -images, images)


def add_noise(images: Tensor) -> Tensor:
    """Gaussian noise of a deviation from 0.3 to 1, of a range of 2."""
    strength = 0.3 + 0.7 * torch.rand(len(images), 1, 1, 1, device=images.device, dtype=images.dtype)
    return images + strength * torch.randn_like(images)


def coarsen(images: Tensor) -> Tensor:
    """An eighth of the size, enlarged again."""
    small = F.adaptive_avg_pool2d(images, (max(1, images.shape[-2] // 8), max(1, images.shape[-1] // 8)))
    return F.interpolate(small, images.shape[-2:], mode="bilinear")


DISTORTIONS = (random_network, shuffle_patches, invert, add_noise, coarsen)


def distort(images: Tensor) -> Tensor:
    """Each image distorted in one of the ways, drawn from PyTorch's generator of the device.

    Args:
        images: [N, C, H, W] in [-1, 1], at least 4 pixels high and wide.

    Returns:
        [N, C, H, W] in [-1, 1], without a graph.
    """
    with torch.no_grad():
        chosen = torch.randint(len(DISTORTIONS), (len(images), 1, 1, 1), device=images.device)
        made = torch.stack([distortion(images) for distortion in DISTORTIONS])
        return made.gather(0, chosen.expand_as(images)[None])[0].clamp(-1, 1)
