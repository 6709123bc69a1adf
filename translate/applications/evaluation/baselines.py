"""What costs nothing: translations that no network made, beside which every score is shown."""

from __future__ import annotations

import torch
from torch import Tensor


def match_histograms(image: Tensor, reference: Tensor, *, levels: int = 255) -> Tensor:
    """An image with the histogram of a reference, each channel for itself, rounded as it would be saved.

    Args:
        image: [1, C, H, W] in [0, 1].
        reference: [1, C, H', W'] in [0, 1].
        levels: Of white: 255 for 8 bits, 65535 for 16.

    Returns:
        [1, C, H, W] in [0, 1].

    Raises:
        ValueError: the channels differ.
    """
    from kornia.contrib import histogram_matching  # 3 s: paid by those who use it

    if image.shape[:2] != reference.shape[:2] or len(image) != 1:
        raise ValueError(
            f"expected two images with equal channels, got {tuple(image.shape)} and {tuple(reference.shape)}"
        )
    # All channels at once would be one histogram.
    planes = [histogram_matching(plane, wanted) for plane, wanted in zip(image[0], reference[0], strict=True)]
    return ((torch.stack(planes) * levels).round() / levels).clamp(0, 1)[None]
