"""Animations and rows of files as clips: pixels, times and transparency come back."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from translate.inference.animations import AnimationReader, AnimationWriter, ImagesReader, is_animation, numbered_files
from translate.inference.clips import Clip, ClipError


def drawn(number: int, *, clear: bool) -> np.ndarray:
    pixels = np.zeros((21, 33, 4), np.uint8)
    pixels[..., :3] = np.random.default_rng(number).choice([0, 51, 102, 204, 255], (21, 33, 3))
    pixels[..., 3] = 255
    if clear:
        pixels[number : number + 5, :7, 3] = 0
    return pixels


def written(path: Path, *, clear: bool = False, durations: tuple[int, ...] = (40, 100, 70, 250)) -> Path:
    images = [Image.fromarray(drawn(number, clear=clear)) for number in range(len(durations))]
    options = {"lossless": True, "exact": True} if path.suffix == ".webp" else {}
    if path.suffix == ".gif":
        options = {"disposal": 2}
    images[0].save(path, save_all=True, append_images=images[1:], duration=list(durations), loop=0, **options)
    return path


def copied(source: Clip, target: Path) -> None:
    with source, AnimationWriter(target, like=source) as writer:
        for frame in source:
            writer.write(frame, frame.pixels)


def shown(pixels: np.ndarray) -> np.ndarray:
    """Pixels as they are seen: nothing where they are transparent."""
    if pixels.shape[2] == 3:
        return np.concatenate([pixels, np.full_like(pixels[..., :1], 255)], axis=2)
    return np.where(pixels[..., 3:] == 0, 0, pixels)


@pytest.mark.parametrize("clear", [False, True])
@pytest.mark.parametrize("target", [".gif", ".png", ".webp"])
@pytest.mark.parametrize("source", [".gif", ".png", ".webp"])
def test_pixels_and_times_come_back(tmp_path: Path, source: str, target: str, clear: bool) -> None:
    made = written(tmp_path / f"in{source}", clear=clear)
    assert is_animation(made)
    copied(AnimationReader(made), tmp_path / f"out{target}")
    with AnimationReader(made) as one, AnimationReader(tmp_path / f"out{target}") as other:
        before, after = list(one), list(other)
        assert other.loops == one.loops == 0
    assert [frame.duration for frame in after] == [frame.duration for frame in before] == [40, 100, 70, 250]
    for one, other in zip(before, after, strict=True):
        assert np.array_equal(shown(one.pixels), shown(other.pixels))


def test_avif_keeps_its_times(tmp_path: Path) -> None:
    if "AVIF" not in Image.SAVE:
        pytest.skip("this Pillow has no AVIF")
    made = written(tmp_path / "in.gif")
    copied(AnimationReader(made), tmp_path / "out.avif")
    with AnimationReader(tmp_path / "out.avif") as found:
        assert [frame.duration for frame in found] == [40, 100, 70, 250]


def test_rates_that_a_file_cannot_say_do_not_drift(tmp_path: Path) -> None:
    paths = []
    for number in range(30):
        paths.append(tmp_path / f"{number:03d}.png")
        Image.fromarray(drawn(number, clear=False)).save(paths[-1])
    assert numbered_files(tmp_path / "%03d.png") == paths
    for suffix in (".gif", ".webp"):
        copied(ImagesReader(paths, rate=Fraction(30000, 1001)), tmp_path / f"out{suffix}")
        with AnimationReader(tmp_path / f"out{suffix}") as found:
            durations = [frame.duration for frame in found]
        assert len(durations) == 30
        assert abs(sum(durations) - 1001) <= (5 if suffix == ".gif" else 1)


def test_frames_of_another_size_are_named(tmp_path: Path) -> None:
    paths = [tmp_path / "1.png", tmp_path / "2.png"]
    for path, side in zip(paths, (16, 24), strict=True):
        Image.new("RGB", (side, side)).save(path)
    with pytest.raises(ClipError, match=r"2\.png: 24x24 pixels, and .*1\.png has 16x16"):
        list(ImagesReader(paths))
