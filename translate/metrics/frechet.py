"""Frechet distance between the features of two sets of images: the formula of the FID, in any features."""

import numpy as np
import torch
from torch import Tensor

from translate.metrics.sets import checked_sets


def frechet_distance(a: Tensor, b: Tensor) -> float:
    """Squared Frechet (2-Wasserstein) distance between two normal distributions fitted to features.

        |mu_a - mu_b|^2 + tr(S_a + S_b - 2 (S_a S_b)^(1/2))

    with unbiased covariances S. Source: Heusel et al. 2017, "GANs trained by a two time-scale update rule", eq. 6,
    after Dowson and Landau 1982. In the published Inception features it is the published FID, in others another number,
    to be compared within one network. With few images it is too large, and with fewer images than features the
    covariances are singular: compare equal counts, and prefer `kernel_distance`.

    The trace of the root is taken as the sum of the singular values of L_a^T L_b, where S = L L^T: all real numbers,
    also for singular S, where a root of the product needs care.

    Args:
        a: features of one set [N, D], N at least 2.
        b: features of the other [M, D], M at least 2.

    Returns:
        The distance, computed in float64; 0 for equal sets.

    Raises:
        ValueError: the features are not as described, or not finite.
    """
    a, b = checked_sets(a, b)
    mean = (a.mean(dim=0) - b.mean(dim=0)).square().sum()
    factors = [_factor(features) for features in (a, b)]
    traces = sum(factor.square().sum() for factor in factors)
    root = torch.linalg.svdvals(factors[0] @ factors[1].T).sum()
    return max(0.0, float(mean + traces - 2 * root))


def frechet_interval(
    a: Tensor, b: Tensor, *, num_resamples: int = 200, level: float = 0.95, seed: int = 0
) -> tuple[float, float]:
    """Bootstrap interval of `frechet_distance`: both sets are drawn anew, with replacement.

    Images drawn twice raise the distance, so the percentiles are moved by what they raise it on average. The interval
    is what another draw of test images would change; it does not hold the bias of small sets.

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
    rng = np.random.default_rng(seed)
    value = frechet_distance(a, b)
    found = []
    for _ in range(num_resamples):
        drawn = (features[torch.from_numpy(rng.integers(len(features), size=len(features)))] for features in (a, b))
        found.append(frechet_distance(*drawn))
    low, high = np.quantile(found, [(1 - level) / 2, (1 + level) / 2]) - np.mean(found) + value
    return max(0.0, float(low)), float(high)


def _factor(features: Tensor) -> Tensor:
    """L^T of the covariance S = L L^T, at most D rows: [min(N, D), D]."""
    centred = (features - features.mean(dim=0)) / (len(features) - 1) ** 0.5
    # With more images than features the triangle of a QR decomposition says the same in less.
    return centred if len(centred) <= centred.shape[1] else torch.linalg.qr(centred, mode="r").R
