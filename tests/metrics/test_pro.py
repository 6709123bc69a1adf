"""Per-region overlap against counting by hand and by brute force; AUROC of many pixels against counting pairs."""

import builtins

import numpy as np
import pytest
import torch

from translate.metrics import auroc, pro
from translate.metrics.pro import RegionsError, regions

pytest.importorskip("scipy")


def by_force(maps: np.ndarray, masks: np.ndarray, labels: np.ndarray, limit: float) -> float:
    """Each threshold, each region, then the area by many small steps."""
    points = [(0.0, 0.0)]
    for threshold in np.unique(maps)[::-1]:
        above = maps >= threshold
        shares = [above[labels == number].mean() for number in range(1, labels.max() + 1)]
        points.append((above[~masks].mean(), float(np.mean(shares))))
    x = (np.arange(200_000) + 0.5) / 200_000 * limit
    return float(np.interp(x, *zip(*points, strict=True)).mean())


def test_values_counted_by_hand():
    masks = torch.zeros(1, 4, 5, dtype=torch.bool)
    masks[0, 0, 0] = True  # a region of one pixel, and one of four
    masks[0, 2:4, 2:4] = True
    assert pro(masks.float(), masks) == 1
    assert pro(1 - masks.float(), masks) == 0
    assert pro(torch.zeros(1, 4, 5), masks, max_fpr=0.3) == pytest.approx(0.15)  # says nothing
    small = torch.zeros(1, 4, 5)
    small[0, 0, 0] = 1  # finds the small region alone: half of them, and then says nothing
    assert pro(small, masks, max_fpr=0.2) == pytest.approx(0.5 + 0.5 * 0.1)
    # 15 normal pixels; three of them score above all regions: nothing is found until 0.2 are false.
    false = masks.float()
    false[0, 1, 0:3] = 2
    assert pro(false, masks, max_fpr=0.3) == pytest.approx(1 / 3)
    assert pro(false, masks, max_fpr=0.2) == pytest.approx(0)


@pytest.mark.parametrize("levels", [4, 10_000])
@pytest.mark.parametrize("limit", [0.05, 0.3, 1.0])
def test_it_is_what_brute_force_finds(levels, limit):
    rng = np.random.default_rng(levels)
    masks = rng.random((3, 12, 12)) < 0.15
    masks[2] = False  # a normal image, whose pixels are false positives all the same
    maps = rng.integers(levels, size=masks.shape) + masks * levels / 3
    labels = regions(torch.from_numpy(masks))
    assert labels.max() > 5
    found = pro(torch.from_numpy(maps), torch.from_numpy(masks), max_fpr=limit)
    assert found == pytest.approx(by_force(maps, masks, labels, limit), abs=1e-4)


def test_regions_meet_at_corners_and_are_numbered_through_all_masks():
    masks = torch.zeros(3, 4, 4, dtype=torch.bool)
    masks[0, 0, 0] = masks[0, 1, 1] = masks[0, 3, 0] = True
    masks[2, 2, 2] = True
    labels = regions(masks)
    assert labels[0, 0, 0] == labels[0, 1, 1]
    assert sorted(np.unique(labels)) == [0, 1, 2, 3]
    assert labels[2, 2, 2] == 3
    assert not labels[1].any()


def test_what_will_not_do_is_refused(monkeypatch):
    maps, masks = torch.zeros(1, 4, 4), torch.zeros(1, 4, 4, dtype=torch.bool)
    with pytest.raises(ValueError, match="all are normal"):
        pro(maps, masks)
    with pytest.raises(ValueError, match="all are abnormal"):
        pro(maps, ~masks)
    with pytest.raises(ValueError, match="one shape"):
        pro(maps[0], masks[0])
    masks[0, 0] = True
    with pytest.raises(ValueError, match="max_fpr"):
        pro(maps, masks, max_fpr=0)
    with pytest.raises(ValueError, match="NaN"):
        pro(maps * torch.nan, masks)
    with pytest.raises(ValueError, match="NaN"):
        auroc(maps.flatten() * torch.nan, masks.flatten())
    real = builtins.__import__

    def without(name, *args, **kwargs):
        if name.startswith("scipy"):
            raise ModuleNotFoundError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(RegionsError, match=r"pip install \"image-translate\[learn\]\""):
        pro(maps, masks)


@pytest.mark.parametrize("levels", [3, 100_000])
def test_auroc_counts_pairs(levels):
    generator = torch.Generator().manual_seed(levels)
    scores = torch.randint(levels, (300,), generator=generator).float()
    positive = torch.rand(300, generator=generator) < 0.3
    pairs = scores[positive][:, None] - scores[~positive][None]
    expected = ((pairs > 0).double() + (pairs == 0).double() / 2).mean()
    assert auroc(scores, positive) == pytest.approx(float(expected), abs=1e-12)


def test_auroc_of_all_pixels_of_a_test_set():
    generator = torch.Generator().manual_seed(0)
    scores = torch.rand(5_000_000, generator=generator)
    positive = torch.rand(5_000_000, generator=generator) < 0.02
    scores[positive] += 0.5  # of two uniform distributions half apart: 1 - 0.5^2 / 2
    assert auroc(scores, positive) == pytest.approx(0.875, abs=1e-3)
