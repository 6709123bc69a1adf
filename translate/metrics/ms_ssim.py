"""Multi-scale structural similarity of images."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from translate.metrics.images import checked_pair
from translate.metrics.ssim import WINDOW_SIZE

WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
"""Exponents of the scales, from the finest, as the authors found them by asking people."""


def smallest_side(num_scales: int = len(WEIGHTS)) -> int:
    """The least height and width in pixels that leave the coarsest scale one window: 161 for five scales."""
    return (WINDOW_SIZE - 1) * 2 ** (num_scales - 1) + 1


def ms_ssim(
    prediction: Tensor, target: Tensor, *, data_range: float = 1.0, weights: Sequence[float] = WEIGHTS
) -> Tensor:
    """Multi-scale structural similarity of each image, 1 for equal images: prod_j cs_j^w_j, with SSIM at the last.

    Scale j halves the image j times by the mean of 2x2 pixels (an odd border counts once). At all scales but the
    coarsest only contrast and structure are compared, cs = (2 sigma_pt + c2) / (sigma_p^2 + sigma_t^2 + c2), in the
    windows of `ssim`, borders left out. A negative mean counts as 0, since its power would be no number.
    Source: Wang, Simoncelli and Bovik 2003, "Multiscale structural similarity for image quality assessment", eq. 7.
    torchmetrics reflects the image at the coarsest scale's border and averages over it as well.

    Args:
        prediction: images [N, C, H, W] with values in [0, data_range], at least 161 pixels high and wide.
        target: images of the same shape and range.
        data_range: the value of white.
        weights: exponents of the scales, from the finest; as many scales as weights.

    Returns:
        One value for each image, [N], in [0, 1].

    Raises:
        ValueError: shapes or values are not as described, there are no weights, or the images are too small.
    """
    from kornia.filters import filter2d_separable, get_gaussian_kernel1d  # 3 s: paid by those who use it

    prediction, target = checked_pair(prediction, target, data_range=data_range)
    if not weights:
        raise ValueError("weights must name the exponent of one scale or more, got none")
    height, width = prediction.shape[-2:]
    if min(height, width) < (least := smallest_side(len(weights))):
        raise ValueError(
            f"MS-SSIM at {len(weights)} scales needs images of at least {least}x{least} pixels, got {height}x{width}"
        )
    taps = get_gaussian_kernel1d(WINDOW_SIZE, 1.5, device=prediction.device, dtype=prediction.dtype)
    c1, c2 = 0.01**2, 0.03**2

    def blur(images: Tensor) -> Tensor:
        return filter2d_separable(images, taps, taps, padding="valid")

    result = prediction.new_ones(len(prediction))
    with torch.autocast(prediction.device.type, enabled=False):
        for scale, weight in enumerate(weights):
            if scale:
                prediction, target = (F.avg_pool2d(images, 2, ceil_mode=True) for images in (prediction, target))
            mean_p, mean_t = blur(prediction), blur(target)
            covariance = blur(prediction * target) - mean_p * mean_t
            variances = blur(prediction**2) - mean_p**2 + blur(target**2) - mean_t**2
            similarity = (2 * covariance + c2) / (variances + c2)
            if scale == len(weights) - 1:
                similarity = similarity * (2 * mean_p * mean_t + c1) / (mean_p**2 + mean_t**2 + c1)
            result = result * similarity.mean(dim=(1, 2, 3)).clamp(min=0) ** weight
    return result
