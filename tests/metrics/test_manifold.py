"""Precision, recall, density and coverage against a plain re-statement, and what they mean at the extremes."""

import numpy as np
import pytest
import torch

from translate.metrics import manifold, nearest_distances


def plainly(real, made, k):
    """Loops over the definitions."""

    def reach(points):
        return [sorted(np.linalg.norm(points - point, axis=1))[k] for point in points]

    reach_real, reach_made = reach(real), reach(made)
    between = np.array([[np.linalg.norm(one - other) for other in real] for one in made])
    near, back = between <= np.array(reach_real), np.array(reach_made) >= between.T
    return near.any(axis=1).mean(), back.any(axis=1).mean(), near.sum() / (k * len(made)), near.any(axis=0).mean()


@pytest.mark.parametrize("k", [1, 5])
def test_against_the_definitions(k):
    rng = np.random.default_rng(0)
    real, made = rng.normal(size=(60, 3)), rng.normal(0.4, 0.8, size=(40, 3))
    found = manifold(torch.from_numpy(real), torch.from_numpy(made), num_neighbours=k)
    assert (found.precision, found.recall, found.density, found.coverage) == pytest.approx(plainly(real, made, k))


def test_extremes():
    points = torch.randn(2500, 4, generator=torch.Generator().manual_seed(0))
    same = manifold(points, points)
    assert (same.precision, same.recall, same.coverage) == (1, 1, 1)
    assert same.density > 1  # each lies within its own reach, too
    far = manifold(points, points + 100)
    assert (far.precision, far.recall, far.density, far.coverage) == (0, 0, 0, 0)
    collapsed = manifold(points, points[:1] + 1e-3 * points[:50])
    assert collapsed.precision > 0.9
    assert collapsed.recall < 0.01
    assert collapsed.coverage < 0.05


def test_too_few():
    with pytest.raises(ValueError, match="more images"):
        manifold(torch.randn(5, 2), torch.randn(20, 2))


def test_nearest_distances():
    images = torch.randn(7, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    moved = images + 0.25
    assert torch.allclose(nearest_distances(moved, images), torch.full((7,), 0.25), atol=1e-4)
    alone = nearest_distances(images, images, skip_same=True)
    assert alone.min() > 1
