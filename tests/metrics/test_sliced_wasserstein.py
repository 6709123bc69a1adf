"""The sliced Wasserstein distance: zero, order, and a known value."""

import pytest
import torch
from scipy.stats import wasserstein_distance

from translate.metrics.sliced_wasserstein import sliced_wasserstein


def images(count=8, *, seed=0, size=32):
    coarse = torch.rand(count, 3, size // 4, size // 4, generator=torch.Generator().manual_seed(seed))
    return torch.nn.functional.interpolate(coarse, size=(size, size), mode="bilinear") * 2 - 1


def test_equal_sets_are_nearest_and_farther_ones_farther():
    a, b = images(seed=0), images(seed=1)
    same = sliced_wasserstein(b, a)
    assert sliced_wasserstein(a, a) < same
    noisy = a + 0.2 * torch.randn(a.shape, generator=torch.Generator().manual_seed(2))
    assert same < sliced_wasserstein(noisy, a) < sliced_wasserstein(a + 1.0, a)


def test_one_pixel_values_are_those_of_scipy(monkeypatch):
    """One direction, one pixel a patch: the distance of two samples on a line."""
    monkeypatch.setattr("translate.metrics.sliced_wasserstein.PATCH", 1)
    generator = torch.Generator().manual_seed(0)
    a, b = torch.randn(16, 1, 8, 8, generator=generator) + 0.5, torch.randn(16, 1, 8, 8, generator=generator)
    found = sliced_wasserstein(a, b)
    whole = wasserstein_distance(
        ((a - b.mean()) / b.std()).flatten().numpy(), ((b - b.mean()) / b.std()).flatten().numpy()
    )
    assert found.item() == pytest.approx(whole, rel=0.1)  # 64 places of each image, drawn with replacement


def test_seeded_and_of_any_counts():
    a, b = images(8), images(3, seed=1)
    assert sliced_wasserstein(a, b, seed=4) == sliced_wasserstein(a, b, seed=4)
    assert sliced_wasserstein(a, b) > 0


def test_other_shapes_are_refused():
    with pytest.raises(ValueError, match="cannot be compared"):
        sliced_wasserstein(images(size=32), images(size=64))
