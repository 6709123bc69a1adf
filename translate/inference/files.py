"""Translating files: decode, network and encode overlap, memory stays bounded, one bad file ends nothing."""

from __future__ import annotations

import itertools
import os
import unicodedata
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Protocol

from torch import Tensor

from translate.checkpoint.atomic import WriteError, make_folder
from translate.data.images import IMAGE_SUFFIXES, MAX_PIXELS, ImageError, Picture, write_image
from translate.data.layouts_common import ImageSource
from translate.data.store import resized
from translate.inference.record import Record
from translate.inference.translator import InferenceError, Tile

MAX_BATCH_PIXELS = 2**20  # sixteen images of 256 px; larger ones go alone

FILE_SUFFIXES = IMAGE_SUFFIXES | {
    ".heic", ".heif", ".hif", ".heics", ".j2k", ".jpx", ".dib", ".jxl",
    ".svg", ".svgz", ".ico", ".icns", ".psd", ".xcf", ".ai", ".eps", ".ps", ".exr",
    ".hdr", ".tga", ".pcx", ".dds", ".ktx", ".qoi", ".raw", ".dng", ".cr2", ".cr3", ".nef", ".arw", ".orf",
    ".rw2", ".dcm", ".nii", ".mha", ".nrrd", ".mp4", ".m4v", ".3gp", ".mov", ".avi", ".mkv", ".webm", ".wmv", ".flv",
    ".mpg", ".mpeg", ".ogv", ".mp3", ".wav", ".ogg", ".flac", ".m4a", ".pdf", ".doc", ".docx", ".odt", ".rtf",
    ".ppt", ".pptx", ".xls", ".xlsx", ".ods", ".txt", ".md", ".htm", ".html", ".css", ".js", ".py", ".ipynb",
    ".xml", ".json", ".jsonl", ".yaml", ".yml", ".toml", ".ini", ".csv", ".tsv", ".log", ".zip", ".tar", ".gz",
    ".tgz", ".bz2", ".xz", ".7z", ".rar", ".zst", ".mat", ".h5", ".hdf5", ".parquet", ".arrow",
    ".pkl", ".pickle", ".pt", ".pth", ".ckpt", ".pb", ".onnx", ".safetensors", ".tflite", ".tvq",
}  # fmt: skip
"""Endings, lower case, that a name has as a file's and not as a folder's (runs/v1.2)."""


class PictureTranslator(Protocol):
    """A `Translator`, or what is used like one for files."""

    def apply(
        self,
        pictures: Sequence[Picture],
        *,
        seed: int = 0,
        code: Tensor | None = None,
        keep_colours: bool = False,
        tile: Tile = "auto",
    ) -> list[Picture]:
        """One picture of each, all of one size."""


@dataclass
class Summary:
    """What became of each file."""

    written: list[Path] = field(default_factory=list)
    failed: dict[Path, str] = field(default_factory=dict)
    """The reason, in one line."""
    further: dict[Path, int] = field(default_factory=dict)
    """Pages or frames that were not read, of files that have more than one."""


class Named(Protocol):
    """An input, as `translate.data.inputs.Input`."""

    @property
    def name(self) -> str:
        """Its path below what was given, with "/"; or a number."""

    @property
    def path(self) -> Path | None:
        """Its file, where it has one of its own."""


def names_a_file(out: Path, suffixes: Sequence[str]) -> bool:
    """Whether ``--out`` is the name of a file; otherwise it is a folder's, which may have a dot in it.

    Args:
        out: What was given.
        suffixes: Endings, lower case, of the files that can be written; none where it must be a folder.

    Raises:
        InferenceError: it ends as files of another kind do.
    """
    suffix = out.suffix.lower()
    if out.is_dir():
        return False
    if suffix in suffixes:
        return True
    if suffix in FILE_SUFFIXES:
        use = ("use one of " if len(suffixes) > 1 else "use ") + " ".join(suffixes) + ", or " if suffixes else ""
        raise InferenceError(f"--out {out}: {suffix} cannot be written; {use}name a folder")
    return False


def outputs_for(
    inputs: Sequence[Named], out: Path, *, suffix: str, single: Sequence[str] = (), mark: str = ""
) -> list[Path]:
    """Where the output of each input goes: into a folder by `output_paths`, or to the one file that ``--out`` names.

    Args:
        inputs: What is read.
        out: What was given.
        suffix: Of files in a folder.
        single: Endings that one file may have.
        mark: As of `output_paths`.

    Raises:
        InferenceError: one file for several inputs, of a kind that cannot be written, or an input itself.
    """
    if not names_a_file(out, single):
        return output_paths(inputs, out, suffix=suffix, mark=mark)
    if len(inputs) != 1:
        raise InferenceError(f"--out {out} is one file, and there are {len(inputs)} inputs: name a folder")
    refuse_overwriting(files_of(inputs), [out])
    return [out]


def output_paths(inputs: Sequence[Named], folder: Path, *, suffix: str = ".png", mark: str = "") -> list[Path]:
    """Where each input's output goes: below the folder as the input lies below what was given.

    Inputs whose outputs would have one name, also where case is not told apart, are told by their endings or else by
    numbers: of 0.png and 0.jpg come 0.png and 0-jpg.png.

    Args:
        inputs: What is read.
        folder: Need not exist.
        suffix: Decides the format.
        mark: What follows the stem, where an input has several outputs.

    Returns:
        One path an input, in their order, no two the same.

    Raises:
        InferenceError: an output would overwrite an input.
    """
    sources = [PurePosixPath(one.name) for one in inputs]
    wanted = [source.with_suffix(suffix) for source in sources]
    endings: dict[str, set[str]] = {}
    for source, plain in zip(sources, wanted, strict=True):
        endings.setdefault(_folded(plain), set()).add(source.suffix.lower())
    # A file cannot have the name of a folder.
    taken = {_folded(parent) for plain in wanted for parent in plain.parents}
    names: dict[int, PurePosixPath] = {}

    def take(number: int, name: PurePosixPath) -> bool:
        if free := _folded(name) not in taken:
            taken.add(_folded(name))
            names[number] = name
        return free

    for number, (source, plain) in enumerate(zip(sources, wanted, strict=True)):
        if source == plain or len(endings[_folded(plain)]) == 1:
            take(number, plain)
    for number, (source, plain) in enumerate(zip(sources, wanted, strict=True)):
        if number not in names:
            several = len(endings[_folded(plain)]) > 1 and source.suffix
            stem = f"{plain.stem}-{source.suffix[1:]}" if several else plain.stem
            numbered = (plain.with_name(f"{stem}-{count}{suffix}") for count in itertools.count(2))
            first = [plain.with_name(f"{stem}{suffix}")]
            next(name for name in itertools.chain(first, numbered) if take(number, name))
    outputs = [
        folder / name.with_name(f"{name.name.removesuffix(suffix)}{mark}{suffix}") for _, name in sorted(names.items())
    ]
    refuse_overwriting(files_of(inputs), outputs)
    return outputs


def files_of(inputs: Sequence[Named]) -> list[Path]:
    """The files of those that have one."""
    return [one.path for one in inputs if one.path is not None]


def _folded(name: PurePosixPath) -> str:
    """The same for names that some disk takes for one: Windows and macOS do not tell a.png from A.png."""
    return unicodedata.normalize("NFC", str(name)).casefold()


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
    translator: PictureTranslator,
    inputs: Sequence[Path | ImageSource],
    outputs: Sequence[Path],
    *,
    batch_size: int = 8,
    quality: int | None = None,
    seed: int = 0,
    code: Tensor | None = None,
    keep_colours: bool = False,
    scale: int = 1,
    values: tuple[float, float] | None = None,
    tile: Tile = "auto",
    record: Record | None = None,
    on_done: Callable[[Path, str | None], None] | None = None,
) -> Summary:
    """Translate files to files; every output has its input's size, times `scale`.

    Neighbours of equal size are translated as one batch. Threads read ahead and write behind, by a bounded number of
    files.

    Args:
        translator: The network.
        inputs: Images, or pages of files.
        outputs: Where each goes; the suffix decides the format, and folders are made.
        batch_size: Most images in one pass.
        quality: Of JPEG and WebP, 1 to 100.
        seed: Of the dropout, for weights whose noise is ``always``; of the style code, for weights that take one.
        code: A style code [1, D] in place of a drawn one.
        keep_colours: Take the colours of each input, and only the luma of what is made.
        scale: Enlarge the inputs so many times first.
        values: Black and white of inputs of measured values, for weights that do not know; each one's own range unless
            given.
        tile: Whether large images are made in parts, as of a `Translator`.
        record: Where to note what was written.
        on_done: Called in this thread with each input, and None or the reason it failed.

    Returns:
        What was written, and what failed and why. A file that fails leaves nothing behind.

    Raises:
        InferenceError: an output would overwrite an input.
    """
    sources = [one if isinstance(one, ImageSource) else ImageSource(path=one) for one in inputs]
    refuse_overwriting([source.path for source in sources], outputs)
    summary = Summary()
    by_page = len({source.path for source in sources}) < len(sources)
    workers = min(8, os.cpu_count() or 1)
    behind: deque[tuple[ImageSource, Path, Future[None]]] = deque()

    def finish(keep: int) -> None:
        while len(behind) > keep:
            source, target, future = behind.popleft()
            try:
                future.result()
                summary.written.append(target)
                reason = None
                if record is not None:
                    record.add(source, target)
            except ImageError as error:
                reason = summary.failed[source.path] = str(error)
            if on_done is not None:
                on_done(source.path, reason)

    def fail(source: Path, reason: str) -> None:
        summary.failed[source] = reason
        if on_done is not None:
            on_done(source, reason)

    with ThreadPoolExecutor(workers) as readers, ThreadPoolExecutor(workers) as writers:
        jobs = list(zip(sources, outputs, strict=True))
        read = partial(_read, scale=scale, values=values)
        for group in _groups(_decoded(jobs, readers, read, ahead=workers + batch_size, fail=fail), batch_size):
            for part in (group, *([[one] for one in group] if len(group) > 1 else [])):
                try:
                    results = translator.apply(
                        [picture for _, _, picture in part], seed=seed, code=code, keep_colours=keep_colours, tile=tile
                    )
                except InferenceError as error:
                    if len(part) == 1:
                        fail(part[0][0].path, f"{part[0][0].path}: {error}")
                    continue  # of several one may be at fault: each by itself
                for (source, target, picture), result in zip(part, results, strict=True):
                    if picture.pages > 1 and not by_page:
                        summary.further[source.path] = picture.pages - 1
                    behind.append((source, target, writers.submit(_write, target, result, quality=quality)))
                if part is group:
                    break
            finish(keep=workers)
        finish(keep=0)
    return summary


def _write(path: Path, picture: Picture, *, quality: int | None) -> None:
    try:
        make_folder(path.parent)
    except WriteError as error:
        raise ImageError(f"{path}: {error}") from error
    write_image(path, picture, quality=quality)


def _decoded(
    jobs: Sequence[tuple[ImageSource, Path]],
    readers: ThreadPoolExecutor,
    read: Callable[[ImageSource], Picture],
    *,
    ahead: int,
    fail: Callable[[Path, str], None],
) -> Iterator[tuple[ImageSource, Path, Picture]]:
    """The pictures in their order, read ahead by threads; unreadable ones are reported and left out."""
    waiting: deque[tuple[ImageSource, Path, Future[Picture]]] = deque()
    upcoming = iter(jobs)
    while True:
        while len(waiting) < ahead and (job := next(upcoming, None)) is not None:
            waiting.append((job[0], job[1], readers.submit(read, job[0])))
        if not waiting:
            return
        source, target, future = waiting.popleft()
        try:
            yield source, target, future.result()
        except ImageError as error:
            fail(source.path, str(error))


def _read(source: ImageSource, *, scale: int, values: tuple[float, float] | None) -> Picture:
    picture, path = source.read(), source.path
    if values is not None and picture.bands:
        picture = replace(picture, values=values)
    if scale == 1:
        return picture
    width, height = picture.size
    if width * height * scale**2 > MAX_PIXELS:
        raise ImageError(
            f"{path}: {width}x{height}, {scale} times as large, is over the limit of {MAX_PIXELS:,} pixels"
        )
    return resized(picture, width=scale * width, height=scale * height)


def _groups(
    pictures: Iterator[tuple[ImageSource, Path, Picture]], batch_size: int
) -> Iterator[list[tuple[ImageSource, Path, Picture]]]:
    """Neighbours of equal size, at most `batch_size` and a bounded number of pixels."""
    group: list[tuple[ImageSource, Path, Picture]] = []
    for item in pictures:
        width, height = item[2].size
        full = len(group) >= batch_size or (len(group) + 1) * width * height > MAX_BATCH_PIXELS
        if group and (full or group[0][2].size != (width, height)):
            yield group
            group = []
        group.append(item)
    if group:
        yield group
