"""The bootstrap interval against SciPy, theory and its own coverage."""

import numpy as np
import pytest
import torch

from translate.metrics import bootstrap_interval


@pytest.fixture
def values() -> np.ndarray:
    return np.random.default_rng(0).gamma(2.0, size=80)


def test_against_scipy(values):
    stats = pytest.importorskip("scipy.stats")
    reference = stats.bootstrap(
        (values,), np.mean, n_resamples=20000, method="percentile", rng=np.random.default_rng(1)
    )
    expected = (reference.confidence_interval.low, reference.confidence_interval.high)
    assert bootstrap_interval(values, num_resamples=20000) == pytest.approx(expected, abs=0.02 * values.std())


@pytest.mark.parametrize(("level", "deviations"), [(0.95, 1.96), (0.6827, 1.0)])
def test_width_is_that_of_the_standard_error(values, level, deviations):
    low, high = bootstrap_interval(values, level=level, num_resamples=8000)
    assert low < values.mean() < high
    assert high - low == pytest.approx(2 * deviations * values.std() / len(values) ** 0.5, rel=0.06)


def test_covers_the_true_mean_about_as_often_as_it_says():
    rng = np.random.default_rng(2)
    covered = 0
    for seed in range(200):
        low, high = bootstrap_interval(rng.normal(size=50), num_resamples=200, level=0.9, seed=seed)
        covered += low <= 0 <= high
    assert 0.82 <= covered / 200 <= 0.96


def test_seeded(values):
    assert bootstrap_interval(values, seed=3) == bootstrap_interval(values, seed=3)
    assert bootstrap_interval(values, seed=3) != bootstrap_interval(values, seed=4)


def test_takes_lists_and_tensors(values):
    expected = bootstrap_interval(values)
    assert bootstrap_interval(values.tolist()) == expected
    assert bootstrap_interval(torch.from_numpy(values)) == expected
    assert all(type(end) is float for end in expected)


def test_constant_values_have_no_width():
    assert bootstrap_interval([2.5] * 10) == (2.5, 2.5)
    assert bootstrap_interval([2.5]) == (2.5, 2.5)


def test_refuses_bad_input(values):
    with pytest.raises(ValueError, match="non-empty"):
        bootstrap_interval([])
    with pytest.raises(ValueError, match=r"shape \(8, 10\)"):
        bootstrap_interval(values.reshape(8, 10))
    with pytest.raises(ValueError, match="infinite PSNR"):
        bootstrap_interval([30.0, float("inf")])
    with pytest.raises(ValueError, match="level"):
        bootstrap_interval(values, level=95)
    with pytest.raises(ValueError, match="num_resamples"):
        bootstrap_interval(values, num_resamples=0)
