"""Kernel distance between the features of two sets of images: the formula of the KID, in any features."""

import numpy as np
import torch
from torch import Tensor

from translate.metrics.sets import checked_sets


def kernel_distance(a: Tensor, b: Tensor) -> float:
    """Unbiased squared maximum mean discrepancy under the kernel k(x, y) = (x.y / D + 1)^3.

        mean_{i != j} k(a_i, a_j) + mean_{i != j} k(b_i, b_j) - 2 mean_{i, j} k(a_i, b_j)

    Unlike the Frechet distance it does not depend on the number of images on average, and few will do: it is 0 on
    average (and may be negative) for two draws of one distribution. Source: Binkowski et al. 2018, "Demystifying MMD
    GANs", eq. 4 and section 4. Of all images at once; published code takes the mean over random subsets of 1000.

    Args:
        a: features of one set [N, D], N at least 2.
        b: features of the other [M, D], M at least 2.

    Returns:
        The distance, computed in float64.

    Raises:
        ValueError: the features are not as described, or not finite.
    """
    a, b = checked_sets(a, b)
    ones = (torch.ones(len(features), dtype=torch.float64) for features in (a, b))
    return _weighted(_Kernels(a, b), *ones)


def kernel_interval(
    a: Tensor, b: Tensor, *, num_resamples: int = 1000, level: float = 0.95, seed: int = 0
) -> tuple[float, float]:
    """Percentile bootstrap interval of `kernel_distance`: both sets are drawn anew, with replacement.

    An image is not compared with its own copies, which would raise every draw.

    Args:
        a: features of one set [N, D].
        b: features of the other [M, D].
        num_resamples: how many times to draw.
        level: share of the draws inside the interval, in (0, 1).
        seed: the same seed gives the same interval.

    Raises:
        ValueError: the features are not as described, or an argument is out of range.
    """
    a, b = checked_sets(a, b)
    if num_resamples < 2 or not 0 < level < 1:
        raise ValueError(f"expected 2 or more resamples and a level in (0, 1), got {num_resamples} and {level}")
    rng, kernels = np.random.default_rng(seed), _Kernels(a, b)
    found = []
    for _ in range(num_resamples):
        drawn = (rng.multinomial(count, np.full(count, 1 / count)) for count in (len(a), len(b)))
        found.append(_weighted(kernels, *(torch.from_numpy(counts).double() for counts in drawn)))
    found = [value for value in found if np.isfinite(value)]  # tiny sets: a draw may be one image many times
    low, high = np.quantile(found, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


class _Kernels:
    """k within and between two sets: [N, N], [M, M] and [N, M]."""

    def __init__(self, a: Tensor, b: Tensor) -> None:
        self.aa, self.bb, self.ab = ((x @ y.T / x.shape[1] + 1) ** 3 for x, y in ((a, a), (b, b), (a, b)))


def _weighted(kernels: _Kernels, times_a: Tensor, times_b: Tensor) -> float:
    """The distance of sets in which each image occurs some times, without the pairs of an image and itself."""

    def within(kernel: Tensor, times: Tensor) -> Tensor:
        squares = times.square()
        return (times @ kernel @ times - squares @ kernel.diagonal()) / (times.sum().square() - squares.sum())

    between = times_a @ kernels.ab @ times_b / (times_a.sum() * times_b.sum())
    return float(within(kernels.aa, times_a) + within(kernels.bb, times_b) - 2 * between)
