"""How much of an image's edges a translation keeps."""

import torch
from torch import Tensor

from translate.metrics.images import checked_pair
from translate.metrics.luminance import luminance

BORDER = 3  # pixels that the filters would see past the image from
BLUR = 1.0  # deviation in pixels: below it, noise has more gradient than edges have
FLAT = 1e-5  # deviation of gradients, of a range of 1, under which an image has no edges; float32 rounds to less


def edge_agreement(output: Tensor, source: Tensor, *, data_range: float = 1.0) -> Tensor:
    """Correlation between the edges of translations and those of what they were made from.

    The Pearson correlation, over all pixels but the border's three, of the Sobel gradient magnitudes of the luminance
    after a Gaussian blur of deviation 1. It is 1 for equal edges, near 0 for unrelated images, and does not change with
    brightness, contrast or inversion: no threshold decides what an edge is. Where one of two images has no edges it is
    0, where both have none it is 1.

    Args:
        output: images [N, 1 or 3, H, W] with values in [0, data_range], at least 8 pixels high and wide.
        source: images of the same height and width; the channels may be others.
        data_range: the value of white.

    Returns:
        One value for each image, [N], in [-1, 1].

    Raises:
        ValueError: shapes or values are not as described.
    """
    from kornia.filters import gaussian_blur2d, sobel  # 3 s: paid by those who use it

    pair = checked_pair(luminance(output), luminance(source), data_range=data_range)
    height, width = pair[0].shape[-2:]
    if min(height, width) < 2 * BORDER + 2:
        raise ValueError(f"edges need images of at least 8x8 pixels, got {height}x{width}")
    with torch.autocast(pair[0].device.type, enabled=False):
        strengths = [sobel(gaussian_blur2d(images, (5, 5), (BLUR, BLUR)), eps=1e-12) for images in pair]
    strengths = [strength[..., BORDER:-BORDER, BORDER:-BORDER].flatten(1) for strength in strengths]
    centred = [strength - strength.mean(dim=1, keepdim=True) for strength in strengths]
    deviations = [values.square().mean(dim=1).sqrt() for values in centred]
    correlation = (centred[0] * centred[1]).mean(dim=1) / (deviations[0] * deviations[1]).clamp(min=1e-12)
    flat = [deviation < FLAT for deviation in deviations]
    correlation = torch.where(flat[0] ^ flat[1], torch.zeros_like(correlation), correlation)
    return torch.where(flat[0] & flat[1], torch.ones_like(correlation), correlation)
