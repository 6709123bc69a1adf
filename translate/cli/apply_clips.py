"""``translate apply WEIGHTS CLIP -o OUT``: videos, animations and frames in files of their own."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from translate.config.base import ConfigError

if TYPE_CHECKING:
    from translate.cli.apply import Apply
    from translate.inference.clips import Frame
    from translate.inference.threads import Neighbours
    from translate.inference.translator import Translator

NOT_FOR_CLIPS = (
    ("variants", 1), ("values", None), ("bands", ()), ("labels", False), ("pages", False), ("scale", 1),
    ("resume", False), ("keep_metadata", False),
)  # fmt: skip
"""Options of images alone, and what they are where they were not given."""
FOR_CLIPS = (("start", None), ("end", None), ("every", None), ("rate", None), ("smooth", False))
"""Options of clips alone, likewise."""
LARGEST_DENOMINATOR = 1001  # of frame rates: 30000/1001 a second


@dataclass(frozen=True, kw_only=True)
class Job:
    """A clip to translate."""

    source: Path | Sequence[Path]
    """A video or an animation; or the files of its frames."""
    target: Path

    @property
    def path(self) -> Path:
        """The file by which it is called."""
        return self.source if isinstance(self.source, Path) else self.source[0]


def sort_inputs(command: Apply) -> tuple[list[Job], tuple[str, ...]]:
    """The clips among the inputs and where they go, and the other inputs.

    Images become the frames of a clip where the output is one, or a pattern of the names of its frames.

    Raises:
        ConfigError: one image for a clip, several clips for one, options of clips without one or of images with one.
        ClipError: a pattern without files, or an output that holds no clip.
        ExistingError: an output exists.
        InferenceError: an output is an input.
    """
    from translate.inference.animations import numbered_files
    from translate.inference.clips import CLIP_SUFFIXES

    sources: list[Path | Sequence[Path]] = []
    others = []
    for one in command.inputs:
        if "%" in Path(one).name and not Path(one).exists():
            sources.append(numbered_files(Path(one)))
        elif _is_clip(Path(one), command):
            sources.append(Path(one))
        else:
            others.append(one)
    suffix, by_pattern = command.out.suffix.lower(), "%" in command.out.name
    if others and not sources and (suffix in CLIP_SUFFIXES or by_pattern) and not command.out.is_dir():
        frames = _images(others, command)
        if len(frames) == 1 and not by_pattern:
            raise ConfigError(f"{frames[0]} is one image, which makes no {suffix}: name an image file, such as out.png")
        sources, others = [frames], []
    if not sources:
        if given := [name for name, usual in FOR_CLIPS if getattr(command, name) != usual]:
            raise ConfigError(f"--{given[0]} is for videos and animations, and there are none: omit it")
        return [], tuple(others)
    if wrong := [name for name, usual in NOT_FOR_CLIPS if getattr(command, name) != usual]:
        raise ConfigError(f"--{wrong[0].replace('_', '-')} is for images, not for videos and animations: omit it")
    if command.rate is not None and all(isinstance(source, Path) for source in sources):
        raise ConfigError("--rate is for image files that become a clip, and the inputs have their own times: omit it")
    if command.end is not None and command.end <= (command.start or 0):
        raise ConfigError(f"--end {command.end:g} is not after --start {command.start or 0:g}: give a later one")
    targets = _targets(command, sources, count=len(sources) + len(others))
    return [Job(source=source, target=target) for source, target in zip(sources, targets, strict=True)], tuple(others)


def _is_clip(path: Path, command: Apply) -> bool:
    """Whether an input is a video, or an animation whose frames all are to be translated into one clip."""
    from translate.inference.animations import is_animation
    from translate.inference.clips import ANIMATION_SUFFIXES, VIDEO_SUFFIXES, WRITABLE_VIDEO

    if path.suffix.lower() in VIDEO_SUFFIXES:
        return path.is_file()
    one_file = _names_a_file(command.out)
    can_hold = command.out.suffix.lower() in (*ANIMATION_SUFFIXES, *WRITABLE_VIDEO) or "%" in command.out.name
    wanted = can_hold if one_file else command.format is None or f".{command.format}" in ANIMATION_SUFFIXES
    return wanted and not command.pages and path.suffix.lower() in ANIMATION_SUFFIXES and is_animation(path)


def _names_a_file(out: Path) -> bool:
    from translate.inference.files import FILE_SUFFIXES

    return not out.is_dir() and out.suffix.lower() in FILE_SUFFIXES


def _images(inputs: Sequence[str], command: Apply) -> list[Path]:
    """The image files among inputs."""
    from translate.data.inputs import list_inputs

    found = list_inputs(inputs, recursive=command.recursive, out=command.out).files
    return [one.path for one in found if one.path is not None]


def _targets(command: Apply, sources: Sequence[Path | Sequence[Path]], *, count: int) -> list[Path]:
    """Where each clip goes: a video, an animation, or the pattern of the names of its frames."""
    from translate.inference.animations import frame_path
    from translate.inference.clips import check_target
    from translate.inference.files import refuse_overwriting
    from translate.inference.record import ExistingError

    out = command.out
    one_file = _names_a_file(out)
    if one_file and count > 1:
        raise ConfigError(f"--out {out} is for one clip, and there are {count} inputs: name a folder")
    targets = [out] if one_file else [out / _name_in_folder(source, command) for source in sources]
    for target in targets:
        check_target(target)
    if one_file:
        there = sorted(out.parent.glob("*" + out.suffix)) if "%" in out.name and out.parent.is_dir() else []
        if there and not command.overwrite:
            raise ExistingError(f"{out.parent} holds {out.suffix} files already: --overwrite, or another --out")
    else:
        if len(set(targets)) < len(targets):
            raise ConfigError("two of the clips have one name: translate them into different folders")
        there = [path for path in (frame_path(one, 1) if "%" in one.name else one for one in targets) if path.exists()]
        if there and not command.overwrite:
            raise ExistingError(f"{there[0]} exists: --overwrite replaces it, or choose another --out")
    files = [file for source in sources for file in ([source] if isinstance(source, Path) else source)]
    refuse_overwriting(files, targets)
    folders = {file.parent.resolve() for source in sources if not isinstance(source, Path) for file in source}
    if "%" in targets[0].name and targets[0].parent.resolve() in folders:
        raise ConfigError(f"--out {out}: frames would be written among the inputs: name another folder")
    return targets


def _name_in_folder(source: Path | Sequence[Path], command: Apply) -> str:
    from translate.inference.clips import ANIMATION_SUFFIXES, WRITABLE_VIDEO

    if not isinstance(source, Path):
        return f"%05d.{command.format or 'png'}"
    if command.format is not None:
        return f"{source.stem}.{command.format}"
    suffix = source.suffix.lower()
    return source.stem + (suffix if suffix in (*WRITABLE_VIDEO, *ANIMATION_SUFFIXES) else ".mp4")


def apply_clips(command: Apply, jobs: Sequence[Job], neighbours: Neighbours) -> int:
    """Translate clips; the exit code."""
    from translate.cli.apply import EXIT_PARTLY, check_weights, code_of, load_with_threads
    from translate.inference.clips import ClipError
    from translate.inference.smoothing import Smoother

    errors = Console(emoji=False, stderr=True, highlight=False)

    def say(line: str) -> None:
        errors.print(line, markup=False, soft_wrap=True)

    if command.smooth:
        Smoother()  # says what is missing before anything is loaded
    translator = load_with_threads(command, neighbours)
    check_weights(command, translator)
    if translator.source is not None or translator.target is not None:
        raise ConfigError(f"'{translator.config.name}' is for measured values or class ids, which a clip has not")
    code = code_of(command, translator, say)
    failed = 0
    for job in jobs:
        try:
            print(_translated(job, command, translator, code, errors, say))
        except ClipError as error:
            say(f"failed: {error}")
            failed += 1
    return (EXIT_PARTLY if failed < len(jobs) else 2) if failed else 0


def _translated(
    job: Job, command: Apply, translator: Translator, code: Any, errors: Console, say: Callable[[str], None]
) -> str:
    """Translate one clip; what was done, in a line."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from translate.checkpoint.atomic import is_full, make_folder
    from translate.config.errors import TranslateError
    from translate.inference.clips import RATE, ClipError, clip_writer, open_clip, translate_clip

    began = time.perf_counter()
    columns = (TextColumn(job.path.name), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    progress = Progress(*columns, console=errors, transient=True, disable=not errors.is_terminal)
    rate = RATE if command.rate is None else Fraction(command.rate).limit_denominator(LARGEST_DENOMINATOR)
    every = command.every or 1
    with open_clip(job.source, rate=rate, start=command.start or 0.0, end=command.end, every=every) as clip:
        make_folder(job.target.parent)
        writer = clip_writer(job.target, like=clip, quality=command.quality)
        count = 0
        try:
            with writer, progress:
                if clip.bits > 8:
                    say(f"{job.path}: {clip.bits} bits per channel become 8")
                for line in writer.lost:
                    say(f"{job.path}: without {line}")
                task = progress.add_task("", total=clip.expected)

                def on_frame(frame: Frame) -> None:
                    nonlocal count
                    count += 1
                    progress.advance(task)
                    if frame.problem is not None:
                        what = f"a frame at {clip.clock(frame)} cannot be decoded ({frame.problem})"
                        say(f"{job.path}: {what}: the frame before it is repeated")

                translate_clip(
                    translator,
                    clip,
                    writer,
                    smooth=command.smooth,
                    on_frame=on_frame,
                    seed=command.seed,
                    code=code,
                    keep_colours=command.keep_colours,
                    tile=command.tile,
                )
        except KeyboardInterrupt:
            if count:
                say(f"stopped: {job.target} holds the {count} frames until then")
            raise
        except TranslateError as error:
            if not is_full(error):
                raise
            raise ClipError(f"{error}. {_need(job, count, expected=clip.expected)}") from error
    per_second = count / (time.perf_counter() - began)
    return f"{count} frames translated to {job.target} ({per_second:.2g} frames a second, {translator.setting})"


def _need(job: Job, count: int, *, expected: int | None) -> str:
    """How much space a clip takes that a disk, now cleared of it, did not hold, in words."""
    if "%" in job.target.name:
        return f"The frames until then are in {job.target.parent}"
    free = shutil.disk_usage(job.target.parent).free
    if not count or not expected or count >= expected:
        return f"It needs more than the {free / 1e6:.2g} MB that are free"
    need = free * expected / count
    return (
        f"{count} of {expected} frames fill the {free / 1e6:.2g} MB that are free: all need about {need / 1e6:.2g} MB"
    )
