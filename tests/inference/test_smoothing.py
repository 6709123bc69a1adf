"""Smoothing of clips: less flicker on what moves, and no lag."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from translate.inference.smoothing import Smoother

pytest.importorskip("cv2")


def photo() -> np.ndarray:
    """[160, 240, 3] uint8 with detail of many sizes."""
    random, image = np.random.default_rng(0), np.zeros((160, 240, 3))
    for size in (4, 8, 16, 40):
        cells = random.normal(size=(160 // size + 1, 240 // size + 1, 3)).repeat(size, 0).repeat(size, 1)
        image += cells[:160, :240]
    return np.uint8(np.clip(image * 25 + 128, 0, 255))


def test_flicker_is_lowered_by_a_third_and_nothing_lags() -> None:
    whole, random, blend = photo(), np.random.default_rng(1), Smoother()
    raw, smoothed, clean = [], [], []
    for number in range(12):
        left = 3 * number
        frame = whole[20:140, left : left + 160]
        flickers = np.clip(frame + random.normal(scale=12, size=frame.shape) + random.normal(scale=6), 0, 255)
        raw.append(np.rint(flickers).astype(np.uint8))
        smoothed.append(blend(frame, raw[-1]))
        clean.append(frame)

    def flicker(frames: list[np.ndarray]) -> float:
        """Of successive frames, the first moved as the photo is."""
        pairs = pairwise(frames[4:])
        return float(np.mean([np.abs(b[:, :-3].astype(float) - a[:, 3:]).mean() for a, b in pairs]))

    assert flicker(smoothed) < 2 / 3 * flicker(raw)
    errors = {
        shift: np.abs(smoothed[-1][:, 10:-10].astype(float) - np.roll(clean[-1], shift, axis=1)[:, 10:-10]).mean()
        for shift in range(-4, 5)
    }
    assert min(errors, key=lambda shift: errors[shift]) == 0
    assert errors[0] < np.abs(raw[-1].astype(float) - clean[-1]).mean()


def test_what_changes_at_once_is_not_blended() -> None:
    blend, first = Smoother(), photo()
    second = 255 - first[::-1]
    blend(first, first)
    assert np.abs(blend(second, second).astype(int) - second).mean() < 3
