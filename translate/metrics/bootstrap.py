"""Confidence intervals by resampling."""

import numpy as np
from numpy.typing import ArrayLike


def bootstrap_interval(
    values: ArrayLike, *, num_resamples: int = 2000, level: float = 0.95, seed: int = 0
) -> tuple[float, float]:
    """Percentile bootstrap interval of the mean of `values`.

    The values are drawn anew with replacement, as many as there are, `num_resamples` times; the interval holds the
    middle `level` of the means. It says what another draw of test images would change, not another training run.
    Source: Efron and Tibshirani 1993, "An introduction to the bootstrap", section 13.3.

    Args:
        values: one value for each image, [N]; a list, an array or a CPU tensor.
        num_resamples: how many times to draw.
        level: share of the means inside the interval, in (0, 1).
        seed: the same seed gives the same interval.

    Returns:
        The lower and the upper end.

    Raises:
        ValueError: values are not a non-empty finite list of numbers, or an argument is out of range.

    Example:
        >>> bootstrap_interval([0.0, 1.0] * 50)
        (0.4, 0.6)
    """
    sample = np.asarray(values, dtype=np.float64)
    if sample.ndim != 1 or sample.size == 0:
        raise ValueError(f"values must be a non-empty list of numbers, got shape {sample.shape}")
    if not np.isfinite(sample).all():
        raise ValueError("values must be finite; an infinite PSNR means equal images, leave them out and say so")
    if num_resamples < 1:
        raise ValueError(f"num_resamples must be at least 1, got {num_resamples}")
    if not 0 < level < 1:
        raise ValueError(f"level must be between 0 and 1, got {level}")
    rng = np.random.default_rng(seed)
    # One resample at a time: all of them at once would take num_resamples * N indices of memory.
    means = [sample[rng.integers(sample.size, size=sample.size)].mean() for _ in range(num_resamples)]
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
