"""Losses between a generated image and its target, mean over all elements (so over the batch, too)."""

import torch
from torch import Tensor

from translate.blocks.precision import at_least_float32


def l1_loss(prediction: Tensor, target: Tensor) -> Tensor:
    """Mean absolute error, |p - t|. Source: Isola et al. 2017 (pix2pix), eq. 3, as a mean and not a sum.

    Args:
        prediction: images [N, C, H, W] (any shape works).
        target: images of the same shape and range.

    Returns:
        A scalar, float32 (float64 for float64 images).

    Raises:
        ValueError: the shapes differ.
    """
    prediction, target = _pair(prediction, target)
    return (prediction - target).abs().mean()


def l2_loss(prediction: Tensor, target: Tensor) -> Tensor:
    """Mean squared error, (p - t)^2. Arguments and result as for `l1_loss`."""
    prediction, target = _pair(prediction, target)
    return (prediction - target).square().mean()


def charbonnier_loss(prediction: Tensor, target: Tensor, *, eps: float = 1e-3) -> Tensor:
    """A smooth L1, sqrt((p - t)^2 + eps^2): quadratic below eps, linear above, never less than eps.

    Source: Charbonnier et al. 1994; eps as in Lai et al. 2017 (LapSRN). Arguments and result as for `l1_loss`.

    Raises:
        ValueError: the shapes differ, or `eps` is not positive.
    """
    if eps <= 0:
        raise ValueError(f"eps must be positive, got {eps}; with 0 use l1_loss, which has a gradient at equality")
    prediction, target = _pair(prediction, target)
    return ((prediction - target).square() + eps**2).sqrt().mean()


def ssim_loss(
    prediction: Tensor,
    target: Tensor,
    *,
    window_size: int = 11,
    value_range: tuple[float, float] = (-1.0, 1.0),
) -> Tensor:
    """1 - SSIM(p, t), in [0, 2]; gaussian window of sigma 1.5, borders reflected so that every pixel counts.

    SSIM = (2 mu_p mu_t + c1)(2 sigma_pt + c2) / ((mu_p^2 + mu_t^2 + c1)(sigma_p^2 + sigma_t^2 + c2)), where c1 = 0.01^2
    and c2 = 0.03^2, on images mapped from `value_range` to [0, 1]: SSIM is not invariant to a shift.
    Source: Wang et al. 2004, eq. 13, which leaves the borders out (`translate.metrics.ssim` does).

    Args:
        prediction: images [N, C, H, W].
        target: images of the same shape.
        window_size: odd number of taps; height and width must be larger than half of it.
        value_range: the values of black and white.

    Returns:
        A scalar, float32 (float64 for float64 images).

    Raises:
        ValueError: the shapes differ or are not [N, C, H, W], the images are too small, or an argument is out of range.
    """
    from kornia.metrics import ssim  # 3 s: paid by those who use it

    low, high = value_range
    if not low < high:
        raise ValueError(f"value_range must be (black, white) with black < white, got {value_range}")
    if window_size < 1 or window_size % 2 == 0:
        raise ValueError(f"window_size must be odd and positive, got {window_size}")
    prediction, target = _pair(prediction, target)
    if prediction.dim() != 4:
        raise ValueError(f"expected images [N, C, H, W], got shape {tuple(prediction.shape)}")
    if min(prediction.shape[-2:]) <= window_size // 2:
        height, width = prediction.shape[-2:]
        raise ValueError(
            f"images of {height}x{width} are too small for an SSIM window of {window_size}; "
            f"use larger images or a window_size of at most {2 * min(height, width) - 1}"
        )
    with torch.autocast(prediction.device.type, enabled=False):
        similarity = ssim(
            (prediction - low) / (high - low), (target - low) / (high - low), window_size, max_val=1.0, eps=0.0
        )
    return 1 - similarity.mean()


def _pair(prediction: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    if prediction.shape != target.shape:  # broadcasting would hide a mistake
        raise ValueError(
            f"prediction {tuple(prediction.shape)} and target {tuple(target.shape)} must have the same shape"
        )
    if prediction.numel() == 0:
        raise ValueError(f"nothing to compare: the images are empty, shape {tuple(prediction.shape)}")
    return at_least_float32(prediction), at_least_float32(target)
