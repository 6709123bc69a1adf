"""What the flicker study measures: motion that is known, and lag where there is one."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("cv2")

from scripts.studies.flicker import MOTIONS, Moved, flicker, gradient, lag

COUNT = 7


def scene() -> np.ndarray:
    """[200, 280, 3] uint8, soft."""
    cells = np.random.default_rng(0).integers(0, 256, (20, 28, 3), np.uint8)
    return np.asarray(Image.fromarray(cells).resize((280, 200), Image.Resampling.BICUBIC))


@pytest.mark.parametrize("motion", MOTIONS)
def test_frames_move_as_they_are_said_to(motion: str) -> None:
    clip = Moved(scene(), camera=MOTIONS[motion], count=COUNT, width=96, height=64)
    frames = [frame.pixels for frame in clip]
    places = {number: clip.before(number) for number in range(1, COUNT)}
    assert len(frames) == COUNT
    still = np.mean([np.abs(frames[number].astype(float) - frames[number - 1]).mean() for number in range(3, COUNT)])
    assert flicker(frames, places) < min(1, 0.3 * still)
    assert gradient(frames) > 1


@pytest.mark.parametrize("behind", [0, 1])
def test_lag_is_found(behind: int) -> None:
    clip = Moved(scene(), camera=MOTIONS["pan"], count=COUNT, width=96, height=64)
    frames = [frame.pixels for frame in clip]
    places = {number: clip.before(number) for number in range(1, COUNT)}
    late = [frames[max(0, number - behind)] for number in range(COUNT)]
    assert lag(late, frames, places) == pytest.approx(behind, abs=0.05)
