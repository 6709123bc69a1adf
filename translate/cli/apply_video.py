"""``translate apply WEIGHTS FILM -o OUT``."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.console import Console

from translate.config.base import ConfigError

if TYPE_CHECKING:
    from translate.cli.apply import Apply
    from translate.inference.video import Frame, VideoReader

NOT_FOR_VIDEO = (
    ("variants", 1), ("values", None), ("bands", ()), ("labels", False), ("pages", False), ("scale", 1),
    ("resume", False), ("format", None),
)  # fmt: skip
"""Options of images alone, and what they are where they were not given."""
PATTERN = "%05d.png"


def films_of(command: Apply) -> list[Path]:
    """The inputs, where they are films.

    Raises:
        ConfigError: films and images together, or options of films without one.
    """
    from translate.inference.video import VIDEO_SUFFIXES

    films = [Path(one) for one in command.inputs if Path(one).suffix.lower() in VIDEO_SUFFIXES and Path(one).is_file()]
    if not films:
        if given := [f"--{name}" for name in ("start", "end", "every") if getattr(command, name) is not None]:
            raise ConfigError(f"{given[0]} is for a video, and there is none among the inputs: omit it")
        return []
    if len(films) < len(command.inputs):
        other = next(one for one in command.inputs if Path(one) not in films)
        raise ConfigError(f"{films[0]} is a video and {other} is not: translate them by two commands")
    return films


def apply_videos(command: Apply, films: list[Path]) -> int:
    """Translate films to films, or to folders of frames; the exit code."""
    from translate.cli.apply import EXIT_PARTLY, check_weights, code_of
    from translate.inference.library import load_translator
    from translate.inference.video import VideoError

    errors = Console(emoji=False, stderr=True, highlight=False)

    def say(line: str) -> None:
        errors.print(line, markup=False, soft_wrap=True)

    if wrong := [name for name, usual in NOT_FOR_VIDEO if getattr(command, name) != usual]:
        raise ConfigError(f"--{wrong[0].replace('_', '-')} is for images, not for a video: omit it")
    if command.end is not None and command.end <= (command.start or 0):
        raise ConfigError(f"--end {command.end:g} is not after --start {command.start or 0:g}: give a later one")
    targets = _targets(command, films)
    translator = load_translator(command.weights, device=command.device, precision=command.precision)
    check_weights(command, translator)
    if translator.source is not None or translator.target is not None:
        raise ConfigError(f"'{translator.config.name}' is for measured values or class ids, which a video has not")
    code = code_of(command, translator, say)
    failed = 0
    for film, target in zip(films, targets, strict=True):
        try:
            print(_translated(film, target, command, translator, code, errors, say))
        except VideoError as error:
            say(f"failed: {error}")
            failed += 1
    return (EXIT_PARTLY if failed < len(films) else 2) if failed else 0


def _targets(command: Apply, films: list[Path]) -> list[Path]:
    """Where each film goes: a film, or the pattern of the names of its frames."""
    from translate.inference.files import refuse_overwriting
    from translate.inference.record import ExistingError
    from translate.inference.video import VIDEO_SUFFIXES, WRITABLE_VIDEO

    out, suffix = command.out, command.out.suffix.lower()
    if "%" in out.name or suffix in WRITABLE_VIDEO:
        if len(films) > 1:
            raise ConfigError(f"--out {out} is for one video, and there are {len(films)} inputs: name a folder")
        if "%" in out.name:
            _frame_path(out, 1)
            there = sorted(out.parent.glob("*" + suffix)) if out.parent.is_dir() else []
            if there and not command.overwrite:
                raise ExistingError(f"{out.parent} holds {suffix} files already: --overwrite, or another --out")
        targets = [out]
    elif suffix in VIDEO_SUFFIXES:
        raise ConfigError(f"--out {out}: {suffix} cannot be written; use one of {' '.join(WRITABLE_VIDEO)}")
    else:
        endings = [film.suffix.lower() if film.suffix.lower() in WRITABLE_VIDEO else ".mp4" for film in films]
        targets = [out / f"{film.stem}{ending}" for film, ending in zip(films, endings, strict=True)]
        if len(set(targets)) < len(targets):
            raise ConfigError("two of the videos have one name: translate them into different folders")
        if (there := [target for target in targets if target.exists()]) and not command.overwrite:
            raise ExistingError(f"{there[0]} exists: --overwrite replaces it, or choose another --out")
    refuse_overwriting(films, targets)
    return targets


def _frame_path(pattern: Path, number: int) -> Path:
    from translate.data.images import WRITABLE_SUFFIXES

    try:
        name = pattern.name % number
    except (TypeError, ValueError):
        raise ConfigError(f"--out {pattern}: frames are named by a pattern such as {PATTERN}") from None
    if name == pattern.name or Path(name).suffix.lower() not in WRITABLE_SUFFIXES:
        raise ConfigError(f"--out {pattern}: frames are named by a pattern such as {PATTERN}")
    return pattern.with_name(name)


def _translated(
    film: Path, target: Path, command: Apply, translator: Any, code: Any, errors: Console, say: Callable[[str], None]
) -> str:
    """Translate one film; what was done, in a line."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from translate.checkpoint.atomic import make_folder
    from translate.data.images import Picture, composite, write_image
    from translate.inference.video import VideoReader, VideoWriter

    make_folder(target.parent)
    began = time.perf_counter()
    columns = (TextColumn(film.name), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    progress = Progress(*columns, console=errors, transient=True, disable=not errors.is_terminal)
    with VideoReader(film, start=command.start or 0.0, end=command.end, every=command.every or 1) as reader, progress:
        task = progress.add_task("", total=reader.expected)

        def frames() -> Iterator[tuple[Frame, np.ndarray]]:
            with ThreadPoolExecutor(1) as ahead:
                upcoming = iter(reader)
                waiting = ahead.submit(next, upcoming, None)
                while (frame := waiting.result()) is not None:
                    waiting = ahead.submit(next, upcoming, None)
                    if frame.problem is not None:
                        again = "the frame before it is repeated"
                        say(f"{film}: a frame at {_clock(frame, reader)} cannot be decoded ({frame.problem}): {again}")
                    picture = translator.apply(
                        [Picture(pixels=frame.pixels)],
                        seed=command.seed,
                        code=code,
                        keep_colours=command.keep_colours,
                        tile=command.tile,
                    )[0]
                    yield frame, composite(picture).pixels
                    progress.advance(task)

        count = 0
        if "%" in target.name:
            for _, pixels in frames():
                count += 1
                write_image(_frame_path(target, count), Picture(pixels=pixels), quality=command.quality)
        else:
            quality = 17 if command.quality is None else round((100 - command.quality) * 51 / 100)
            writer = VideoWriter(target, like=reader, width=reader.width, height=reader.height, quality=quality)
            try:
                with writer:
                    for line in writer.lost:
                        say(f"{film}: without {line}")
                    for frame, pixels in frames():
                        writer.write(frame, pixels if pixels.shape[2] == 3 else pixels.repeat(3, axis=2))
                        count += 1
            except KeyboardInterrupt:
                say(f"stopped: {target} holds the {count} frames until then")
                raise
    rate = count / (time.perf_counter() - began)
    return f"{count} frames translated to {target} ({rate:.2g} frames a second)"


def _clock(frame: Frame, reader: VideoReader) -> str:
    seconds = float((frame.time - reader.origin) * reader.unit)
    return f"{int(seconds // 60)}:{seconds % 60:05.2f}"
