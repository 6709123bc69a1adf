"""Frechet and kernel distances against SciPy, torchmetrics, closed forms, and what a bootstrap should cover."""

import numpy as np
import pytest
import torch

from translate.metrics import frechet_distance, frechet_interval, kernel_distance, kernel_interval

DISTANCES = [frechet_distance, kernel_distance]
INTERVALS = [frechet_interval, kernel_interval]


def features(count: int, width: int, *, seed: int, shift: float = 0.0) -> torch.Tensor:
    """Correlated positive values, as a network's last features are."""
    generator = torch.Generator().manual_seed(seed)
    mixing = torch.randn(width, width, generator=torch.Generator().manual_seed(99)) / width**0.5
    return (torch.randn(count, width, generator=generator) @ mixing + shift).relu()


@pytest.mark.parametrize(("counts", "width"), [((90, 70), 16), ((40, 40), 64), ((12, 60), 32)])
def test_frechet_against_scipy(counts, width):
    linalg = pytest.importorskip("scipy.linalg")
    a, b = features(counts[0], width, seed=0), features(counts[1], width, seed=1, shift=0.3)
    first, second = (np.cov(x.double().numpy(), rowvar=False) for x in (a, b))
    root = linalg.sqrtm(first @ second).real.trace()
    means = ((a.double().mean(0) - b.double().mean(0)) ** 2).sum()
    expected = float(means) + first.trace() + second.trace() - 2 * root
    assert frechet_distance(a, b) == pytest.approx(expected, abs=1e-4)


class Flat(torch.nn.Module):
    """Images [N, 1, 1, D] to features [N, D]."""

    num_features = 24

    def forward(self, images):
        return images.flatten(1)


def test_frechet_against_torchmetrics():
    fid = pytest.importorskip("torchmetrics.image.fid")
    metric = fid.FrechetInceptionDistance(feature=Flat(), normalize=True)
    a, b = features(80, 24, seed=0), features(50, 24, seed=1, shift=0.5)
    metric.update(a.view(80, 1, 1, 24), real=True)
    metric.update(b.view(50, 1, 1, 24), real=False)
    assert frechet_distance(a, b) == pytest.approx(float(metric.compute()), abs=1e-4)


def test_frechet_of_normal_distributions_along_one_axis():
    # (m_a - m_b)^2 + (s_a - s_b)^2, of samples whose mean and deviation are exact.
    values = torch.tensor([-1.0, 0.0, 1.0]).double()  # mean 0, unbiased variance 1
    a, b = (3 + 2 * values)[:, None], (1 + 5 * values)[:, None]
    assert frechet_distance(a, b) == pytest.approx((3 - 1) ** 2 + (2 - 5) ** 2)


@pytest.mark.parametrize("counts", [(60, 60), (60, 35)])
def test_kernel_against_a_loop(counts):
    a, b = features(counts[0], 8, seed=0).double(), features(counts[1], 8, seed=1, shift=0.2).double()

    def k(x, y):
        return float(x @ y / 8 + 1) ** 3

    def within(x):
        return np.mean([k(x[i], x[j]) for i in range(len(x)) for j in range(len(x)) if i != j])

    expected = within(a) + within(b) - 2 * np.mean([k(x, y) for x in a for y in b])
    assert kernel_distance(a, b) == pytest.approx(expected, rel=1e-9)


def test_kernel_against_torchmetrics():
    kid = pytest.importorskip("torchmetrics.image.kid")
    a, b = features(64, 24, seed=0), features(64, 24, seed=1, shift=0.3)
    metric = kid.KernelInceptionDistance(feature=Flat(), subsets=1, subset_size=64, normalize=True)
    metric.update(a.view(64, 1, 1, 24), real=True)
    metric.update(b.view(64, 1, 1, 24), real=False)
    assert kernel_distance(a, b) == pytest.approx(float(metric.compute()[0]), abs=1e-4)


@pytest.mark.parametrize("distance", DISTANCES)
def test_equal_and_farther_sets(distance):
    a = features(50, 16, seed=0)
    if distance is frechet_distance:
        assert distance(a, a) == pytest.approx(0, abs=1e-9)
    near, far = (features(50, 16, seed=1, shift=shift) for shift in (0.2, 0.8))
    assert distance(a, near) < distance(a, far)
    assert distance(a, far) == pytest.approx(distance(far, a))


def test_kernel_of_one_distribution_is_zero_on_average_and_frechet_is_not():
    draws = [(features(20, 16, seed=2 * n), features(20, 16, seed=2 * n + 1)) for n in range(60)]
    kernel, frechet = ([distance(a, b) for a, b in draws] for distance in (kernel_distance, frechet_distance))
    assert abs(np.mean(kernel)) < 3 * np.std(kernel) / 60**0.5
    assert np.min(frechet) > 0.5  # the bias of 20 images in 16 features


@pytest.mark.parametrize("interval", INTERVALS)
def test_intervals_hold_the_value_and_are_seeded(interval):
    a, b = features(40, 8, seed=0), features(40, 8, seed=1, shift=0.4)
    distance = DISTANCES[INTERVALS.index(interval)]
    low, high = interval(a, b, num_resamples=100)
    assert low < distance(a, b) < high
    assert (low, high) == interval(a, b, num_resamples=100)
    assert (low, high) != interval(a, b, num_resamples=100, seed=1)
    narrow = interval(a, b, num_resamples=100, level=0.5)
    assert narrow[1] - narrow[0] < high - low


@pytest.mark.parametrize("interval", INTERVALS)
def test_intervals_are_as_wide_as_other_draws_differ(interval):
    distance = DISTANCES[INTERVALS.index(interval)]
    draws = [distance(features(60, 4, seed=2 * n), features(60, 4, seed=2 * n + 1, shift=0.6)) for n in range(80)]
    low, high = interval(features(60, 4, seed=0), features(60, 4, seed=1, shift=0.6), num_resamples=300)
    wanted = np.quantile(draws, 0.975) - np.quantile(draws, 0.025)
    assert 0.6 * wanted < high - low < 1.7 * wanted


@pytest.mark.parametrize("measure", [*DISTANCES, *INTERVALS])
def test_refuses_what_are_no_sets(measure):
    good = torch.rand(5, 3)
    with pytest.raises(ValueError, match=r"b must be features \[N, D\] of two images or more, got shape \(1, 3\)"):
        measure(good, good[:1])
    with pytest.raises(ValueError, match=r"a must be features .* shape \(5, 3, 1, 1\)"):
        measure(good[..., None, None], good)
    with pytest.raises(ValueError, match="a has 3 features and b 2"):
        measure(good, good[:, :2])
    with pytest.raises(ValueError, match="not finite"):
        measure(good, good.log() / 0)


@pytest.mark.parametrize("interval", INTERVALS)
def test_intervals_refuse_other_levels(interval):
    with pytest.raises(ValueError, match="level"):
        interval(torch.rand(5, 3), torch.rand(5, 3), level=95)
    with pytest.raises(ValueError, match="resamples"):
        interval(torch.rand(5, 3), torch.rand(5, 3), num_resamples=1)
