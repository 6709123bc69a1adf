"""Structural similarity of images."""

import torch
from torch import Tensor

from translate.metrics.images import checked_pair

WINDOW_SIZE = 11


def ssim(prediction: Tensor, target: Tensor, *, data_range: float = 1.0) -> Tensor:
    """Structural similarity of each image, 1 for equal images, as its authors compute it.

    Gaussian window of 11 taps and sigma 1.5, K1 = 0.01, K2 = 0.03, and the mean over the valid region only: the 5
    pixels at each border, whose window would leave the image, do not count. Each channel is compared on its own, then
    averaged (the paper has grey images only). Source: Wang et al. 2004, "Image quality assessment", eq. 13, sec. III-C.
    scikit-image leaves the borders out too; torchmetrics reflects the image there and averages over them as well.

    Args:
        prediction: images [N, C, H, W] with values in [0, data_range], at least 11 pixels high and wide.
        target: images of the same shape and range.
        data_range: the value of white.

    Returns:
        One value for each image, [N], in [-1, 1].

    Raises:
        ValueError: shapes or values are not as described, or the images are smaller than the window.
    """
    from kornia.metrics import ssim as ssim_map  # 3 s: paid by those who use it

    prediction, target = checked_pair(prediction, target, data_range=data_range)
    height, width = prediction.shape[-2:]
    if min(height, width) < WINDOW_SIZE:
        raise ValueError(f"SSIM needs images of at least {WINDOW_SIZE}x{WINDOW_SIZE} pixels, got {height}x{width}")
    with torch.autocast(prediction.device.type, enabled=False):
        similarity = ssim_map(prediction, target, WINDOW_SIZE, max_val=1.0, eps=0.0, padding="valid")
    return similarity.mean(dim=(1, 2, 3))
