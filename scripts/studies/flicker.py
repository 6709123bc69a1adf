"""How much `--smooth` lowers the flicker of translated clips, and what it costs: lag and sharpness.

A camera moves over photos in steps that are no whole pixels (pan, zoom, shake), so the true motion between frames is
known. Each clip is translated by `translate_clip` with smoothing; the outputs before it are the clip without. Flicker
is the mean difference of an output from the one before it, moved along the true motion, or along the optical flow that
OpenCV finds in the input, in levels of 255; beside it that of the input, which is what moving alone costs. Lag is how
many frames the smoothed outputs are behind: the shift along the true motion at which they are nearest to the others
(the vertex of a parabola through three shifts half a frame apart); of several clips the one furthest from 0. Sharpness
is their mean gradient over that of the others, of which flicker has a part: the last line says what is left of the
input's when that is smoothed, which does not flicker. Before it are the means for other shares of the frame before.

    python -m scripts.studies.flicker --photos FOLDER [--weights photo2ukiyoe ...] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any

import cv2
import numpy as np
import torch
from PIL import Image

from translate.data.images import Picture
from translate.inference import load_translator
from translate.inference.clips import Clip, ClipWriter, Frame, Stored, translate_clip
from translate.inference.smoothing import KEPT, Smoother, warped
from translate.inference.translator import Translator

STEP = 1.6  # pixels of a photo between those of a frame, so that moving it blurs little
SETTLED = 3  # frames from the beginning that are not counted
BORDER = 4  # pixels
LAGS = np.arange(-1.5, 1.6, 0.5)

Camera = Callable[[int], tuple[float, float, float]]
"""Of a frame's number: how far the camera is from the middle, in pixels of a frame, and what a pixel covers."""
MOTIONS: dict[str, Camera] = {
    "pan": lambda number: (1.3 * number - 10, 0.45 * number - 3, 1.0),
    "zoom": lambda number: (0.6 * number, 0.0, 0.988**number),
    "shake": lambda number: (3 * np.sin(0.9 * number), 2 * np.sin(1.3 * number + 1), 1.0),
}


class Moved(Clip):
    """A photo seen by a camera that moves.

    Args:
        photo: [H, W, 3] uint8.
        camera: Where it is at each frame.
        count: Frames.
        width: Of a frame.
        height: Likewise.
        step: Pixels of the photo between those of a frame.
    """

    def __init__(
        self, photo: np.ndarray, *, camera: Camera, count: int, width: int, height: int, step: float = STEP
    ) -> None:
        super().__init__(Path("moved"))
        self.unit, self.rate, self.stored = Fraction(1, 25), Fraction(25), count
        self.width, self.height, self.camera, self.step = width, height, camera, step
        self.photo = cv2.GaussianBlur(photo, (0, 0), step / 2) if step > 1 else photo

    def place(self, number: int) -> np.ndarray:
        """From pixels of a frame to those of the photo, [3, 3]."""
        x, y, size = self.camera(number)
        size *= self.step
        middle = [(side - 1) / 2 for side in self.photo.shape[1::-1]]
        left, top = (self.width - 1) / 2, (self.height - 1) / 2
        across, down = middle[0] + self.step * x - size * left, middle[1] + self.step * y - size * top
        return np.array([[size, 0, across], [0, size, down], [0, 0, 1.0]])

    def before(self, number: int) -> np.ndarray:
        """Where each pixel of a frame was in the one before it, float32 [H, W, 2] as (x, y)."""
        back = np.linalg.inv(self.place(number - 1)) @ self.place(number)
        y, x = np.mgrid[: self.height, : self.width].astype(np.float32)
        return np.stack([back[0, 0] * x + back[0, 2], back[1, 1] * y + back[1, 2]], axis=-1).astype(np.float32)

    def frame(self, number: int) -> np.ndarray:
        """[H, W, 3] uint8."""
        how = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
        size = self.width, self.height
        return cv2.warpAffine(self.photo, self.place(number)[:2], size, flags=how, borderMode=cv2.BORDER_REFLECT)

    def decoded(self) -> Iterator[Stored]:
        """Every frame."""
        for number in range(self.stored or 0):
            yield Stored(time=number, duration=1, pixels=partial(self.frame, number))


class Kept(ClipWriter):
    """Keeps frames in memory."""

    def __init__(self) -> None:
        self.path, self.lost = Path("kept"), []
        self.pixels: list[np.ndarray] = []

    def __enter__(self) -> Kept:
        return self

    def write(self, frame: Frame, pixels: np.ndarray) -> None:
        """Keep a frame."""
        self.pixels.append(pixels)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass


class Recorded:
    """A translator that keeps what it makes."""

    def __init__(self, translator: Translator) -> None:
        self.translator = translator
        self.pixels: list[np.ndarray] = []

    def apply(self, pictures: Sequence[Picture], **options: Any) -> list[Picture]:
        """As of `Translator`."""
        made = self.translator.apply(pictures, **options)
        self.pixels += [picture.pixels for picture in made]
        return made


def apart(image: np.ndarray, other: np.ndarray, places: np.ndarray) -> float:
    """Mean difference where the places lie inside the image."""
    height, width = places.shape[:2]
    x, y = places[:, :, 0], places[:, :, 1]
    inside = (x >= BORDER) & (x < width - BORDER) & (y >= BORDER) & (y < height - BORDER)
    inside[:BORDER] = inside[-BORDER:] = inside[:, :BORDER] = inside[:, -BORDER:] = False
    return float(np.abs(image.astype(np.float32) - other)[inside].mean())


def flicker(frames: Sequence[np.ndarray], places: dict[int, np.ndarray]) -> float:
    """Mean difference from the frame before, moved."""
    found = [
        apart(frames[number], warped(frames[number - 1], where), where)
        for number, where in places.items()
        if number >= SETTLED
    ]
    return float(np.mean(found))


def lag(smoothed: Sequence[np.ndarray], plain: Sequence[np.ndarray], places: dict[int, np.ndarray]) -> float:
    """Frames by which the first are behind the second."""
    errors = np.zeros(len(LAGS))
    for number, where in places.items():
        if number < SETTLED:
            continue
        y, x = np.mgrid[: where.shape[0], : where.shape[1]].astype(np.float32)
        still = np.stack([x, y], axis=-1)
        for index, share in enumerate(LAGS):
            back = (still - share * (where - still)).astype(np.float32)
            errors[index] += apart(smoothed[number], warped(plain[number], back), back)
    # Moving blurs, and what is blurred is nearer to what is smoothed: only shifts to both sides compare.
    best = int(errors[1:-1].argmin()) + 1
    left, middle, right = errors[best - 1 : best + 2]
    return float(LAGS[best] + (LAGS[1] - LAGS[0]) * (left - right) / (2 * (left - 2 * middle + right)))


def gradient(frames: Sequence[np.ndarray]) -> float:
    """Mean over the frames that are counted."""
    grey = [np.mean(frame, axis=2, dtype=np.float32) for frame in frames[SETTLED:]]
    return float(np.mean([np.abs(np.diff(one, axis=axis)).mean() for one in grey for axis in (0, 1)]))


def measure(translator: Translator, clip: Moved, shares: Sequence[float]) -> dict[float, dict[str, float]]:
    """All of one clip, by the share of the frame before."""
    recorded, kept = Recorded(translator), Kept()
    translate_clip(recorded, clip, kept, smooth=True)  # type: ignore[arg-type]
    inputs = [clip.frame(number) for number in range(clip.stored or 0)]
    true = {number: clip.before(number) for number in range(1, len(inputs))}
    flow = Smoother()
    found = {number: flow.backward(inputs[number], inputs[number - 1]) for number in range(1, len(inputs))}
    smoothed = {KEPT: kept.pixels}
    for share in shares:
        blend = Smoother(kept=share)
        smoothed[share] = [blend(*both) for both in zip(inputs, recorded.pixels, strict=True)]
    plain, blend = recorded.pixels, Smoother()
    calm = gradient([blend(frame, frame) for frame in inputs]) / gradient(inputs)
    before = {
        f"{name}: {what}": flicker(frames, places)
        for name, places in (("true motion", true), ("optical flow", found))
        for what, frames in (("input", inputs), ("plain", plain))
    } | {"sharpness of the input": calm}
    return {
        share: before
        | {
            "true motion: smooth": flicker(frames, true),
            "optical flow: smooth": flicker(frames, found),
            "lag": lag(frames, plain, true),
            "sharpness": gradient(frames) / gradient(plain),
        }
        for share, frames in smoothed.items()
    }


def scenes(folder: Path, *, count: int, width: int, height: int) -> dict[str, np.ndarray]:
    """So many photos that are large enough, evenly from a folder's."""
    fitting = []
    for path in sorted(folder.rglob("*.jpg")):
        with Image.open(path) as image:
            if image.width >= 1.15 * STEP * width and image.height >= 1.15 * STEP * height:
                fitting.append(path)
    chosen = [fitting[index] for index in np.linspace(0, len(fitting) - 1, count).round().astype(int)]
    return {path.stem: np.asarray(Image.open(path).convert("RGB")) for path in chosen}


HEADINGS = ("input", "plain", "smooth", "ratio", "by flow: input", "plain", "smooth", "ratio", "lag", "sharpness")


def line(name: str, rows: Sequence[dict[str, float]]) -> str:
    """A row of the table: means; of the lag, the furthest from 0."""
    mean = {key: float(np.mean([row[key] for row in rows])) for key in rows[0]}
    cells = []
    for kind in ("true motion", "optical flow"):
        values = [mean[f"{kind}: {what}"] for what in ("input", "plain", "smooth")]
        cells += [*(f"{value:.2f}" for value in values), f"{values[2] / values[1]:.2f}"]
    cells += [f"{max((row['lag'] for row in rows), key=abs):+.2f}", f"{mean['sharpness']:.2f}"]
    return f"| {name} | " + " | ".join(cells) + " |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=Path, required=True, help="a folder of JPEG files")
    parser.add_argument("--weights", nargs="+", default=["photo2ukiyoe", "photo2vangogh", "paintings"])
    parser.add_argument("--count", type=int, default=3, help="of photos")
    parser.add_argument("--motions", nargs="+", default=list(MOTIONS), choices=list(MOTIONS))
    parser.add_argument("--frames", type=int, default=10)
    parser.add_argument("--shares", type=float, nargs="*", default=[0.3, 0.45], help="of the frame before, beside ours")
    parser.add_argument("--size", type=int, nargs=2, default=[384, 256], metavar=("WIDTH", "HEIGHT"))
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    width, height = given.size
    photos = scenes(given.photos, count=given.count, width=width, height=height)
    print(f"{', '.join(photos)}; {given.frames} frames of {width}x{height}, torch {torch.__version__}\n")
    print(f"| | {' | '.join(HEADINGS)} |\n|{' --- |' * (len(HEADINGS) + 1)}")
    rows: list[dict[str, Any]] = []

    def chosen(*, share: float = KEPT, **values: str) -> list[dict[str, float]]:
        return [row["values"][share] for row in rows if all(row[key] == value for key, value in values.items())]

    for name in given.weights:
        translator = load_translator(name, device="cpu")
        for motion in given.motions:
            for photo, pixels in photos.items():
                clip = Moved(pixels, camera=MOTIONS[motion], count=given.frames, width=width, height=height)
                values = measure(translator, clip, given.shares)
                rows.append({"weights": name, "motion": motion, "photo": photo, "values": values})
            print(line(f"`{name}`, {motion}", chosen(weights=name, motion=motion)), flush=True)
    for name in given.weights:
        print(line(f"`{name}`, all", chosen(weights=name)))
    print(line("all", chosen()))
    for share in given.shares:
        print(line(f"all, {share:g} of the frame before for {KEPT:g}", chosen(share=share)))
    calm = np.mean([row["sharpness of the input"] for row in chosen()])
    print(f"\nInputs that are smoothed as if they were outputs keep {calm:.2f} of their gradient")
    if given.json is not None:
        options = {key: str(value) if isinstance(value, Path) else value for key, value in vars(given).items()}
        given.json.write_text(json.dumps({"options": options, "results": rows}, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
