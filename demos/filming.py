"""Clips for the Translate tab: what may be translated, and the files that come of it. Legend: H height, W width."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from copy import copy
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from translate.data.images import convert
from translate.demos.answers import MAX_PIXELS
from translate.inference import Translator
from translate.inference.animations import is_animation
from translate.inference.clips import (
    ANIMATION_SUFFIXES,
    VIDEO_SUFFIXES,
    WRITABLE_VIDEO,
    Clip,
    ClipError,
    ClipWriter,
    Frame,
    clip_writer,
    open_clip,
    translate_clip,
)

TAKEN = (*sorted(VIDEO_SUFFIXES), *ANIMATION_SUFFIXES)
MAX_FRAMES = 1500
"""Frames that are translated at once; a minute at 25 a second."""
MAX_VOLUME = 2**30
"""Pixels of all of them: an animation's frames are held in memory, as many bytes as the largest image takes."""
PLAYED = (".mp4", ".webm")
"""File name endings of videos that browsers play."""


@dataclass(frozen=True, kw_only=True)
class Film:
    """A clip that was dropped."""

    width: int
    height: int
    frames: int | None
    """About how many; None where the file does not say."""
    seconds: float | None
    """Length; None likewise."""
    sound: bool

    @property
    def most(self) -> int:
        """Frames of it that are translated at once."""
        return most_frames(self.width, self.height)

    @property
    def longest(self) -> float | None:
        """Seconds of it that are translated at once, rounded down to tenths; None where all of it is."""
        if self.frames is None or self.seconds is None or self.frames <= self.most:
            return None
        return int(10 * self.seconds * self.most / self.frames) / 10

    def words(self) -> str:
        """``640 × 360 pixels, 0:12.4, 310 frames, with sound``."""
        parts = [f"{self.width} × {self.height} pixels"]
        if self.seconds is not None:
            parts.append(clock(self.seconds))
        if self.frames is not None:
            parts.append(f"{self.frames:,} frames")
        return ", ".join([*parts, *(["with sound"] if self.sound else [])])


@dataclass(frozen=True, kw_only=True)
class Made:
    """A translated clip."""

    before: Path
    """The clip as it was, a video that browsers play, without sound."""
    after: Path
    """The translated clip, likewise, with the sound."""
    file: Path
    """It in the format of the clip, where that is written; may be `after`."""
    frames: int
    expected: int | None
    """How many there would have been."""
    size: tuple[int, int]
    """Width and height."""
    sound: bool
    """Whether `after` has sound."""
    stopped: bool
    notes: tuple[str, ...]
    """What of the clip is not in the file, in words."""


class _EnoughError(KeyboardInterrupt):
    """Ends a clip as Ctrl+C does: its writers keep the frames until then."""


def most_frames(width: int, height: int) -> int:
    """Frames of a size that are translated at once."""
    return max(1, min(MAX_FRAMES, MAX_VOLUME // (width * height)))


def clock(seconds: float) -> str:
    """``1:02.5``."""
    tenths = round(10 * seconds)
    return f"{tenths // 600}:{tenths % 600 / 10:04.1f}"


def open_film(path: Path, *, start: float = 0.0, end: float | None = None) -> Clip:
    """Open a clip that was dropped.

    Raises:
        ClipError: it cannot be read, is one image, or its frames are too large.
    """
    if path.suffix.lower() not in TAKEN:
        raise ClipError(f"{path} is neither a video nor an animation: use MP4, MOV, WebM, MKV, GIF, WebP or APNG")
    clip = open_clip(path, start=start, end=end)
    try:
        if clip.width * clip.height > MAX_PIXELS:
            raise ClipError(
                f"{path} has frames of {clip.width} × {clip.height} pixels, and the limit here is "
                f"{MAX_PIXELS / 1e6:.1g} million pixels: resize it, or use the command line"
            )
        if path.suffix.lower() in ANIMATION_SUFFIXES and not is_animation(path):
            raise ClipError(f"{path} is one image and no animation: translate it under Image")
    except ClipError:
        clip.close()
        raise
    return clip


def look_at(path: Path) -> Film:
    """What a clip is.

    Raises:
        ClipError: as of `open_film`.
    """
    with open_film(path) as clip:
        frames, seconds = clip.expected, clip.seconds
        if seconds is None and path.suffix.lower() in ANIMATION_SUFFIXES:
            seconds = _length(clip)
        return Film(
            width=clip.width, height=clip.height, frames=frames, seconds=seconds, sound=clip.sound is not None
        )  # fmt: skip


def _length(clip: Clip) -> float | None:
    """Seconds of an animation, which says only of each frame how long it is shown."""
    last = None
    for number, stored in enumerate(clip.decoded()):
        if number > 4 * MAX_FRAMES:
            return None
        last = stored
    return None if last is None or last.time is None else float((last.time + last.duration) * clip.unit)


def translate_film(
    translator: Translator,
    path: Path,
    folder: Path,
    *,
    start: float = 0.0,
    end: float | None = None,
    smooth: bool = False,
    on_frame: Callable[[int, int | None], bool] = lambda done, expected: True,
    **options: Any,
) -> Made:
    """Translate a clip, or a part of it.

    Args:
        translator: Weights.
        path: The clip.
        folder: For the files.
        start: Seconds from its beginning.
        end: Likewise; None for its end.
        smooth: As of `translate_clip`.
        on_frame: Called after each frame with how many are done and about how many there will be; False ends it there.
        options: Of `Translator.apply`.

    Raises:
        ClipError: it cannot be read or written, or is too long.
        InferenceError: a frame cannot be translated.
        SmoothingError: OpenCV is missing.
    """
    if translator.source is not None or translator.target is not None:
        raise ClipError("These weights are for measured values or class ids, which a clip has not: choose others.")
    film = look_at(path)
    if film.seconds is not None:
        end = min(film.seconds, film.seconds if end is None else end)
    if end is not None and end <= start:
        raise ClipError(f"{path}: the end, {clock(end)}, is not after the start, {clock(start)}: choose other seconds")
    part, most = _frames_of_part(film, start, end), film.most
    if part is not None and part > most:
        limit = f"{most:,} frames of {film.width} × {film.height} pixels at once"
        limit += f", or {clock(film.longest)} of this clip" if film.longest is not None else ""
        raise ClipError(f"{path} has {part:,} frames here, and the limit is {limit}: choose a shorter part")
    whole = film.seconds is None or end is None or end >= film.seconds
    done, stopped = 0, False
    with open_film(path, start=start, end=None if whole else end) as clip:
        suffix = path.suffix.lower()
        own = suffix if suffix in (*WRITABLE_VIDEO, *ANIMATION_SUFFIXES) else ".mp4"
        silent = copy(clip)
        silent.sound = None
        even = clip.width % 2 == clip.height % 2 == 0
        quiet = ".mp4" if even else ".webm"  # few browsers play the H.264 of odd sizes
        shown = own if own in PLAYED else ".mp4" if clip.sound is not None else quiet
        before, after, file = folder / f"before{quiet}", folder / f"after{shown}", folder / f"file{own}"
        writers = [clip_writer(after, like=clip)]
        if own == shown:
            file = after
        else:
            writers.append(clip_writer(file, like=clip))
        grey = translator.config.network.in_channels == 1
        together = _Together(clip_writer(before, like=silent), writers, grey=grey)

        def count(_: Frame) -> None:
            nonlocal done
            done += 1
            if not on_frame(done, part) or done >= most:
                raise _EnoughError

        try:
            with together:
                translate_clip(translator, clip, together, smooth=smooth, on_frame=count, **options)
        except _EnoughError:
            stopped = part is None or done < part
        notes = [f"without {line}" for line in writers[-1].lost]
        if clip.broken:
            notes.append(f"{len(clip.broken)} frames cannot be decoded, and the ones before them are repeated")
        size, sound = (clip.width, clip.height), clip.sound is not None and not writers[0].lost
    return Made(
        before=before, after=after, file=file, frames=done, expected=part, size=size, sound=sound,
        stopped=stopped,
        notes=tuple(notes),
    )  # fmt: skip


def _frames_of_part(film: Film, start: float, end: float | None) -> int | None:
    if film.frames is None or not film.seconds:
        return film.frames
    return max(1, round(film.frames * ((film.seconds if end is None else end) - start) / film.seconds))


class _Together(ClipWriter):
    """The frames of a clip as they were, and translated, into files of their own.

    Args:
        before: Takes the frames as they were.
        after: Take the translated ones.
        grey: Whether the network sees no colours: then the frames before have none.
    """

    def __init__(self, before: ClipWriter, after: list[ClipWriter], *, grey: bool) -> None:
        self.path, self.lost = after[-1].path, []
        self.before, self.after, self.grey = before, after, grey
        self._stack = ExitStack()

    def __enter__(self) -> _Together:
        with ExitStack() as stack:
            for writer in (self.before, *self.after):
                stack.enter_context(writer)
            self._stack = stack.pop_all()
        return self

    def write(self, frame: Frame, pixels: np.ndarray) -> None:
        """Add a frame: `pixels` [H, W, 1, 3 or 4] uint8."""
        seen = frame.pixels
        self.before.write(frame, convert(seen[:, :, :3], channels=1, bits=8) if self.grey else seen)
        for writer in self.after:
            writer.write(frame, pixels)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.__exit__(kind, error, trace)
