"""Clips: frames that follow each other in time, read one by one and written one by one.

A clip is a video file (`translate.inference.video`), an animation (GIF, APNG, WebP, AVIF) or a row of image files
(`translate.inference.animations`). `open_clip` and `clip_writer` choose by what the files are and are called.

Legend: H height, W width.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from translate.config.errors import TranslateError
from translate.data.images import Picture
from translate.inference.smoothing import Smoother

if TYPE_CHECKING:
    from translate.inference.translator import Translator

VIDEO_SUFFIXES = frozenset({".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".wmv", ".flv", ".3gp"})
"""File name endings (lower case) of videos that are read."""
WRITABLE_VIDEO = (".mp4", ".mov", ".m4v", ".mkv", ".webm")
"""Those that are written."""
ANIMATION_SUFFIXES = (".gif", ".apng", ".png", ".webp", ".avif")
"""File name endings (lower case) of animations, which are read and written."""
CLIP_SUFFIXES = (*WRITABLE_VIDEO, ".gif", ".apng")
"""File name endings (lower case) of outputs that hold a clip and no single image."""
RATE = Fraction(25)
"""Frames a second of image files that are a clip, unless told."""


class ClipError(TranslateError, ValueError):
    """A clip cannot be read or written: one line that names the file and the reason."""


@dataclass(frozen=True, kw_only=True)
class Frame:
    """One of a clip."""

    pixels: np.ndarray
    """[H, W, 3] uint8, upright sRGB; [H, W, 4] where some of it is transparent, alpha not premultiplied."""
    time: int
    """When it is shown, in units of the clip's `Clip.unit`."""
    duration: int
    """For how long, in these units; 0 where that is unknown."""
    problem: str | None = None
    """Why it could not be decoded; the pixels are those of the frame before."""


@dataclass(frozen=True, kw_only=True)
class Stored:
    """A frame as it comes from a file, not yet converted."""

    time: int | None = None
    """As `Frame.time`; None where the file does not say."""
    duration: int = 0
    pixels: Callable[[], np.ndarray] | None = None
    """Convert it; None where it cannot be decoded."""
    problem: str | None = None


class Clip(ABC):
    """Frames in the order in which they are shown. A context manager, iterated once.

    Attributes:
        path: The file.
        width: Of the upright frames.
        height: Likewise.
        unit: Of times, in seconds.
        rate: Frames a second, on average; None where that is unknown.
        origin: The time of the first frame of the file.
        seconds: Length in seconds; None where that is unknown.
        stored: Frames of the file; None where that is unknown.
        start: Seconds from its beginning, before which frames are left out.
        end: Seconds from its beginning, from which on they are left out; None for its end.
        every: Of so many frames one is taken.
        matrix: Of luma and chroma, as FFmpeg names it.
        range: ``tv`` or ``pc``.
        sound: The file with its sound, or None.
        loops: How often an animation is shown, 0 for always.
        bits: Of each channel in the file; frames have 8.
    """

    path: Path
    width: int
    height: int
    unit: Fraction
    rate: Fraction | None
    origin: int = 0
    seconds: float | None = None
    stored: int | None = None
    matrix: str = "bt601"
    range: str = "tv"
    sound: Path | None = None
    loops: int = 0
    bits: int = 8

    def __init__(self, path: Path, *, start: float = 0.0, end: float | None = None, every: int = 1) -> None:
        self.path, self.start, self.end, self.every = path, start, end, every
        self.broken: list[int] = []
        """Numbers, from 0, of frames that could not be decoded."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:  # noqa: B027  image files need none
        """Close the file."""

    @abstractmethod
    def decoded(self) -> Iterator[Stored]:
        """Every frame of the file, or what is left of it."""

    @property
    def expected(self) -> int | None:
        """About how many frames there will be; None where that is unknown."""
        if self.seconds is not None and self.rate:
            seconds = (self.seconds if self.end is None else min(self.seconds, self.end)) - self.start
            return max(1, math.ceil(round(seconds * float(self.rate), 3) / self.every))
        return self.stored

    def __iter__(self) -> Iterator[Frame]:
        """The frames between start and end, one of `every`.

        Raises:
            ClipError: a frame has another size, or there is none between start and end.
        """
        low = self.origin + round(Fraction(self.start) / self.unit)
        high = None if self.end is None else self.origin + round(Fraction(self.end) / self.unit)
        step = round(1 / (self.rate * self.unit)) if self.rate else 1
        last: Frame | None = None
        number = taken = 0
        for stored in self.decoded():
            if stored.pixels is None and last is None:
                continue  # nothing to repeat
            time = stored.time
            if time is None:
                time = self.origin if last is None else last.time + (last.duration or step)
            if high is not None and time >= high:
                break
            if time >= low:
                if stored.problem is not None:
                    self.broken.append(number)
                if number % self.every == 0:
                    if last is not None and stored.problem is not None:
                        pixels = last.pixels
                    else:
                        assert stored.pixels is not None
                        pixels = stored.pixels()
                    duration = (stored.duration or step) * self.every
                    last = Frame(pixels=pixels, time=time, duration=duration, problem=stored.problem)
                    yield last
                    taken += 1
                number += 1
        if not taken:
            raise ClipError(f"{self.path}: no frame lies between --start and --end")

    def clock(self, frame: Frame) -> str:
        """When a frame is shown, as 0:01.25."""
        seconds = float((frame.time - self.origin) * self.unit)
        return f"{int(seconds // 60)}:{seconds % 60:05.2f}"


class ClipWriter(ABC):
    """What a clip's frames are written to. A context manager.

    It is written beside, and takes its name when the block ends; also when that is by Ctrl-C, with the frames so far.
    On any other error nothing is left.

    Attributes:
        path: The file.
        lost: What of the clip that the frames come from is not in this one, in words.
    """

    path: Path
    lost: list[str]

    @abstractmethod
    def __enter__(self) -> Self:
        """Begin it."""

    @abstractmethod
    def write(self, frame: Frame, pixels: np.ndarray) -> None:
        """Add a frame: `pixels` [H, W, 1, 3 or 4] uint8, shown when `frame` was."""

    @abstractmethod
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End it."""


def open_clip(source: Path | Sequence[Path], *, rate: Fraction = RATE, **options: Any) -> Clip:
    """Open a video, an animation, or a row of image files.

    Args:
        source: One file, or the files in their order.
        rate: Frames a second of image files.
        options: start, end, every, of `Clip`.

    Raises:
        ClipError: it holds no frames that can be read, or a package is missing.
    """
    from translate.inference.animations import AnimationReader, ImagesReader
    from translate.inference.video import VideoReader

    if not isinstance(source, Path):
        return ImagesReader(source, rate=rate, **options)
    if source.suffix.lower() in ANIMATION_SUFFIXES:
        return AnimationReader(source, **options)
    return VideoReader(source, **options)


def check_target(path: Path) -> None:
    """Raises ClipError unless `clip_writer` writes files of this name."""
    from translate.inference.animations import frame_path

    suffix = path.suffix.lower()
    if "%" in path.name:
        frame_path(path, 1)
    elif suffix not in (*WRITABLE_VIDEO, *ANIMATION_SUFFIXES):
        known = " ".join((*WRITABLE_VIDEO, *ANIMATION_SUFFIXES))
        raise ClipError(f"--out {path}: {suffix} holds no clip; use one of {known}, or %05d.png for its frames")


def clip_writer(path: Path, *, like: Clip, quality: int | None = None) -> ClipWriter:
    """What writes a clip, by the ending of its name.

    Args:
        path: A video or an animation; or, with a ``%d`` in its name, image files.
        like: The clip that the frames are made of.
        quality: 1 to 100; the default is 67 for videos (a constant rate factor of 17), no loss for WebP and 100 for
            AVIF.

    Raises:
        ClipError: nothing is written to files of this name.
    """
    from translate.inference.animations import AnimationWriter, ImagesWriter
    from translate.inference.video import VideoWriter

    check_target(path)
    if "%" in path.name:
        return ImagesWriter(path, quality=quality)
    if path.suffix.lower() in WRITABLE_VIDEO:
        factor = 17 if quality is None else round((100 - quality) * 51 / 100)
        return VideoWriter(path, like=like, width=like.width, height=like.height, quality=factor)
    return AnimationWriter(path, like=like, quality=quality)


def translate_clip(
    translator: Translator,
    clip: Clip,
    writer: ClipWriter,
    *,
    smooth: bool = False,
    on_frame: Callable[[Frame], object] | None = None,
    **options: Any,
) -> int:
    """Translate the frames of a clip; reading the next and writing the last one go on meanwhile.

    Args:
        translator: Makes each frame from the one of the clip.
        clip: Open.
        writer: Open.
        smooth: Blend each frame with the one before it along the motion (`translate.inference.smoothing`).
        on_frame: Called after each frame.
        options: seed, code, keep_colours, tile, of `Translator.apply`.

    Returns:
        Frames written.

    Raises:
        ClipError: a frame cannot be read or written.
        InferenceError: a frame cannot be translated.
    """
    blend = Smoother() if smooth else None
    count = 0
    with ThreadPoolExecutor(1) as ahead, ThreadPoolExecutor(1) as behind:
        upcoming = iter(clip)
        waiting = ahead.submit(next, upcoming, None)
        written: Future[None] | None = None
        try:
            while (frame := waiting.result()) is not None:
                waiting = ahead.submit(next, upcoming, None)
                pixels = translator.apply([Picture(pixels=frame.pixels)], **options)[0].pixels
                if blend is not None:
                    pixels = blend(frame.pixels, pixels)
                if written is not None:
                    written.result()
                written = behind.submit(writer.write, frame, pixels)
                count += 1
                if on_frame is not None:
                    on_frame(frame)
        finally:
            waiting.cancel()
            if written is not None:
                written.result()
    return count
