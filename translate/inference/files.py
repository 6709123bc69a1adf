"""Translating files: decode, network and encode overlap, memory stays bounded, one bad file ends nothing."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Protocol

from torch import Tensor

from translate.data.images import MAX_PIXELS, ImageError, Picture, read_image, write_image
from translate.data.store import resize
from translate.inference.translator import InferenceError

MAX_BATCH_PIXELS = 2**20  # sixteen images of 256 px; larger ones go alone


class PictureMaker(Protocol):
    """A `Translator`, or what is used like one for files."""

    def pictures(self, pictures: Sequence[Picture], *, seed: int = 0, code: Tensor | None = None) -> list[Picture]:
        """One picture of each, all of one size."""


@dataclass
class Summary:
    """What became of each file."""

    written: list[Path] = field(default_factory=list)
    failed: dict[Path, str] = field(default_factory=dict)
    """The reason, in one line."""


def output_paths(inputs: Sequence[Path], folder: Path, *, suffix: str = ".png", mark: str = "") -> list[Path]:
    """Where each input's translation goes: its stem in the folder; names that would collide keep their suffix or a
    number.

    Args:
        inputs: Images.
        folder: Need not exist.
        suffix: Decides the format.
        mark: What follows the stem, where an input has several outputs.

    Returns:
        One path an input, in their order, no two the same.

    Raises:
        InferenceError: an output would overwrite an input.
    """
    taken: set[str] = set()
    outputs = []
    for path in inputs:
        names = (f"{path.stem}{suffix}", f"{path.name}{suffix}")
        numbered = (f"{path.stem}-{number}{suffix}" for number in range(2, len(inputs) + 2))
        name = next(name for name in (*names, *numbered) if name.casefold() not in taken)
        taken.add(name.casefold())  # Windows and macOS do not tell a.png from A.png
        outputs.append(folder / f"{name.removesuffix(suffix)}{mark}{suffix}")
    refuse_overwriting(inputs, outputs)
    return outputs


def refuse_overwriting(inputs: Sequence[Path], outputs: Sequence[Path]) -> None:
    """Raises InferenceError where an output is one of the inputs."""
    sources = {_identity(path) for path in inputs if path.exists()}
    for output in outputs:
        if output.exists() and _identity(output) in sources:
            raise InferenceError(f"{output} is an input and would be overwritten: choose another name or folder")


def _identity(path: Path) -> tuple[int, int]:
    """The same for two names of one file, be it by links or by a disk that does not tell a.png from A.png."""
    status = path.stat()
    return status.st_dev, status.st_ino


def translate_files(
    translator: PictureMaker,
    inputs: Sequence[Path],
    outputs: Sequence[Path],
    *,
    batch_size: int = 8,
    quality: int | None = None,
    seed: int = 0,
    code: Tensor | None = None,
    scale: int = 1,
    on_done: Callable[[Path, str | None], None] | None = None,
) -> Summary:
    """Translate files to files; every output has its input's size, times `scale`.

    Neighbours of equal size are translated as one batch. Threads read ahead and write behind, by a bounded number of
    files.

    Args:
        translator: The network.
        inputs: Images.
        outputs: Where each goes, in a folder that exists; the suffix decides the format.
        batch_size: Most images in one pass.
        quality: Of JPEG and WebP, 1 to 100.
        seed: Of the dropout, for weights whose noise is ``always``; of the style code, for weights that take one.
        code: A style code [1, D] in place of a drawn one.
        scale: Enlarge the inputs so many times first.
        on_done: Called in this thread with each input, and None or the reason it failed.

    Returns:
        What was written, and what failed and why. A file that fails leaves nothing behind.

    Raises:
        InferenceError: an output would overwrite an input.
    """
    refuse_overwriting(inputs, outputs)
    summary = Summary()
    workers = min(8, os.cpu_count() or 1)
    behind: deque[tuple[Path, Path, Future[None]]] = deque()

    def finish(keep: int) -> None:
        while len(behind) > keep:
            source, target, future = behind.popleft()
            try:
                future.result()
                summary.written.append(target)
                reason = None
            except ImageError as error:
                reason = summary.failed[source] = str(error)
            if on_done is not None:
                on_done(source, reason)

    def fail(source: Path, reason: str) -> None:
        summary.failed[source] = reason
        if on_done is not None:
            on_done(source, reason)

    with ThreadPoolExecutor(workers) as readers, ThreadPoolExecutor(workers) as writers:
        jobs = list(zip(inputs, outputs, strict=True))
        for group in _groups(_decoded(jobs, readers, scale=scale, ahead=workers + batch_size, fail=fail), batch_size):
            try:
                results = translator.pictures([picture for _, _, picture in group], seed=seed, code=code)
            except InferenceError as error:
                for source, _, _ in group:
                    fail(source, f"{source}: {error}")
                continue
            for (source, target, _), result in zip(group, results, strict=True):
                behind.append((source, target, writers.submit(write_image, target, result, quality=quality)))
            finish(keep=workers)
        finish(keep=0)
    return summary


def _decoded(
    jobs: Sequence[tuple[Path, Path]],
    readers: ThreadPoolExecutor,
    *,
    scale: int,
    ahead: int,
    fail: Callable[[Path, str], None],
) -> Iterator[tuple[Path, Path, Picture]]:
    """The pictures in their order, read ahead by threads; unreadable ones are reported and left out."""
    waiting: deque[tuple[Path, Path, Future[Picture]]] = deque()
    upcoming = iter(jobs)
    read = read_image if scale == 1 else partial(_enlarged, scale=scale)
    while True:
        while len(waiting) < ahead and (job := next(upcoming, None)) is not None:
            waiting.append((*job, readers.submit(read, job[0])))
        if not waiting:
            return
        source, target, future = waiting.popleft()
        try:
            yield source, target, future.result()
        except ImageError as error:
            fail(source, str(error))


def _enlarged(path: Path, *, scale: int) -> Picture:
    picture = read_image(path)
    width, height = picture.size
    if width * height * scale**2 > MAX_PIXELS:
        raise ImageError(
            f"{path}: {width}x{height}, {scale} times as large, is over the limit of {MAX_PIXELS:,} pixels"
        )
    return replace(picture, pixels=resize(picture.pixels, width=scale * width, height=scale * height))


def _groups(
    pictures: Iterator[tuple[Path, Path, Picture]], batch_size: int
) -> Iterator[list[tuple[Path, Path, Picture]]]:
    """Neighbours of equal size, at most `batch_size` and a bounded number of pixels."""
    group: list[tuple[Path, Path, Picture]] = []
    for item in pictures:
        width, height = item[2].size
        full = len(group) >= batch_size or (len(group) + 1) * width * height > MAX_BATCH_PIXELS
        if group and (full or group[0][2].size != (width, height)):
            yield group
            group = []
        group.append(item)
    if group:
        yield group
