"""Translating files: decode, network and encode overlap, memory stays bounded, one bad file ends nothing."""

from __future__ import annotations

import itertools
import math
import os
import threading
import unicodedata
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from copy import copy
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any, Protocol

from translate.checkpoint.atomic import WriteError, make_folder
from translate.data.images import IMAGE_SUFFIXES, MAX_PIXELS, ImageError, Picture, write_image
from translate.data.layouts_common import ImageSource
from translate.data.metadata import read_metadata
from translate.data.store import resized
from translate.inference.errors import InferenceError
from translate.inference.record import Record
from translate.inference.scans import Scan, open_scan, write_scan
from translate.inference.translator_base import Tile, TranslatorBase

MAX_PIXELS_IN_WORK = 2**20  # sixteen images of 256 px; larger ones go alone
MOST_AHEAD = 16  # images that are read ahead of many threads
SCAN_PIXELS = 2**25
"""Larger TIFFs become TIFFs row by row, and are never held whole."""

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


_Item = tuple[ImageSource, Path, Picture | Scan]
"""An input, where its output goes, and its pixels."""


class PictureTranslator(Protocol):
    """A `Translator`, or what is used like one for files."""

    def apply(
        self,
        pictures: Sequence[Picture],
        *,
        seed: int = 0,
        code: Any = None,
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
    in_parts: int = 0
    """Images that were made in parts, for their size."""


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
    code: Any = None,
    keep_colours: bool = False,
    scale: int = 1,
    values: tuple[float, float] | None = None,
    tile: Tile = "auto",
    keep_metadata: bool = False,
    record: Record | None = None,
    on_done: Callable[[Path, str | None], None] | None = None,
) -> Summary:
    """Translate files to files; every output has its input's size, times `scale`.

    Neighbours of equal size are translated as one batch. Threads read ahead and write behind, by a bounded number of
    files. On a CPU many small images are translated side by side, each on one of PyTorch's threads; until the end,
    threads of the caller that first use PyTorch have one as well.

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
        keep_metadata: Whether outputs get the EXIF and XMP of their inputs (`translate.data.metadata`).
        record: Where to note what was written.
        on_done: Called in this thread with each input, and None or the reason it failed.

    Returns:
        What was written, and what failed and why. A file that fails leaves nothing behind.

    Raises:
        InferenceError: an output would overwrite an input.
    """
    sources = [one if isinstance(one, ImageSource) else ImageSource(path=one) for one in inputs]
    refuse_overwriting([source.path for source in sources], outputs)
    options = {"seed": seed, "code": code, "keep_colours": keep_colours, "tile": tile}
    by_page = len({source.path for source in sources}) < len(sources)
    workers = min(8, os.cpu_count() or 1)
    pixels = getattr(translator, "batch_pixels", MAX_PIXELS_IN_WORK)
    with ThreadPoolExecutor(workers) as readers, ThreadPoolExecutor(workers) as writers:
        run = _Run(translator, options, writers, quality, keep_metadata, record, on_done, images=len(sources))
        jobs = list(zip(sources, outputs, strict=True))
        read = partial(_read, scale=scale, values=values, scanned=run.scanned if scale == 1 else None)
        ahead = workers + max(batch_size, min(run.at_once, MOST_AHEAD))
        with run:
            for group in _groups(_decoded(jobs, readers, read, ahead=ahead, fail=run.fail), batch_size, pixels):
                for source, _, image in group:
                    if image.pages > 1 and not by_page:
                        run.summary.further[source.path] = image.pages - 1
                run.translate(group)
                run.finish(keep=workers)
            run.finish(keep=0)
    return run.summary


class _Run:
    """Files on their way through a network, and what became of them.

    Many small images are translated side by side, each on one thread: several threads on one small image wait for one
    another.
    """

    def __init__(
        self,
        translator: PictureTranslator,
        options: dict[str, Any],
        writers: ThreadPoolExecutor,
        quality: int | None,
        keep_metadata: bool,
        record: Record | None,
        on_done: Callable[[Path, str | None], None] | None,
        *,
        images: int,
    ) -> None:
        self.translator, self.options, self.writers = translator, options, writers
        self.quality, self.keep_metadata, self.record, self.on_done = quality, keep_metadata, record, on_done
        self.summary = Summary()
        self._making: deque[tuple[list[_Item], Future[list[Picture | InferenceError]]]] = deque()
        self._behind: deque[tuple[ImageSource, Path, Future[None]]] = deque()
        self.at_once = 1
        if isinstance(translator, TranslatorBase) and images >= 2 * translator.threads:
            self.at_once = translator.threads
        self._own = threading.local()
        if self.at_once > 1 and isinstance(translator, TranslatorBase):
            translator.use_threads(self.at_once)  # this thread's, which workers are not to change
        self._workers = ThreadPoolExecutor(self.at_once, initializer=self._start) if self.at_once > 1 else None

    def __enter__(self) -> _Run:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:
            self._note_written()
        if self._workers is None:
            return
        try:
            self._workers.shutdown(cancel_futures=kind is not None)
        finally:
            assert isinstance(self.translator, TranslatorBase)
            self.translator.use_threads(self.at_once)

    def _note_written(self) -> None:
        """Where the run ends early, note what is on the disk: else going on would take it for somebody else's."""
        for source, target, future in self._behind:
            if not future.cancel() and future.exception() is None and self.record is not None:
                self.record.add(source, target)

    def _start(self) -> None:
        """Of a worker: a copy of the translator shares its network, and may be used beside it."""
        assert isinstance(self.translator, TranslatorBase)
        self._own.translator = copy(self.translator)
        self._own.translator.use_threads(1)

    def _attempt(self, pictures: Sequence[Picture]) -> list[Picture | InferenceError]:
        """What is made of pictures of one size; of several one may be at fault, then each by itself."""
        translator = getattr(self._own, "translator", self.translator)
        try:
            return list(translator.apply(pictures, **self.options))
        except InferenceError as error:
            return [error] if len(pictures) == 1 else [self._attempt([one])[0] for one in pictures]

    def scanned(self, source: ImageSource, target: Path) -> Scan | None:
        """The input, where it is so large a TIFF that it is read and written row by row."""
        translator = self.translator
        plain = source.half is None and not source.stacked and not source.ids
        if not plain or target.suffix.lower() not in (".tif", ".tiff") or not isinstance(translator, TranslatorBase):
            return None
        scan = open_scan(source.path, page=source.page)
        if scan is None or math.prod(scan.size) <= SCAN_PIXELS or translator.source or translator.target:
            return None
        return scan if translator.in_parts(*scan.size, tile=self.options["tile"]) else None

    def translate(self, group: list[_Item]) -> None:
        """Translate images of one size, and have them written."""
        translator, first = self.translator, group[0][2]
        large = isinstance(translator, TranslatorBase) and translator.in_parts(*first.size, tile=self.options["tile"])
        if large:
            self.summary.in_parts += len(group)
        beside = MAX_PIXELS_IN_WORK // (len(group) * math.prod(first.size))  # groups at a time
        if self._workers is not None and not large and beside >= 2:
            self._collect(keep=min(beside, self.at_once + 1) - 1)
            pictures = [image for _, _, image in group if isinstance(image, Picture)]
            self._making.append((group, self._workers.submit(self._attempt, pictures)))
            return
        self._collect(keep=0)
        if isinstance(first, Scan):
            self._translate_scan(group[0][0], group[0][1], first)
        else:
            self._write_all(group, self._attempt([image for _, _, image in group if isinstance(image, Picture)]))

    def _collect(self, *, keep: int) -> None:
        """Have written what was made, until no more than so many groups are being made."""
        while len(self._making) > keep:
            group, future = self._making.popleft()
            self._write_all(group, future.result())

    def _write_all(self, group: list[_Item], made: Sequence[Picture | InferenceError]) -> None:
        for (source, target, _), result in zip(group, made, strict=True):
            if isinstance(result, InferenceError):
                self.fail(source.path, f"{source.path}: {result}")
                continue
            metadata_of = source.path if self.keep_metadata else None
            written = self.writers.submit(_write, target, result, quality=self.quality, metadata_of=metadata_of)
            self._behind.append((source, target, written))

    def _translate_scan(self, source: ImageSource, target: Path, scan: Scan) -> None:
        assert isinstance(self.translator, TranslatorBase)
        width, height = scan.size
        made = self.translator.apply_in_rows(scan.rows, width=width, height=height, bits=scan.bits, **self.options)
        try:
            make_folder(target.parent)
            metadata = read_metadata(source.path) if self.keep_metadata else None
            write_scan(target, made, height=height, metadata=metadata)
        except (ImageError, WriteError) as error:
            self.fail(source.path, str(error))
        except InferenceError as error:
            self.fail(source.path, f"{source.path}: {error}")
        else:
            self._written(source, target)

    def finish(self, *, keep: int) -> None:
        """Wait until no more than so many outputs are still being written; of 0, for all that is being made, too."""
        if not keep:
            self._collect(keep=0)
        while len(self._behind) > keep:
            source, target, future = self._behind.popleft()
            try:
                future.result()
            except ImageError as error:
                self.fail(source.path, str(error))
            else:
                self._written(source, target)

    def fail(self, source: Path, reason: str) -> None:
        """Note that a file could not be translated."""
        self.summary.failed[source] = reason
        if self.on_done is not None:
            self.on_done(source, reason)

    def _written(self, source: ImageSource, target: Path) -> None:
        self.summary.written.append(target)
        if self.record is not None:
            self.record.add(source, target)
        if self.on_done is not None:
            self.on_done(source.path, None)


def _write(path: Path, picture: Picture, *, quality: int | None, metadata_of: Path | None) -> None:
    try:
        make_folder(path.parent)
    except WriteError as error:
        raise ImageError(f"{path}: {error}") from error
    metadata = read_metadata(metadata_of) if metadata_of is not None else None
    write_image(path, picture, quality=quality, metadata=metadata)


def _decoded(
    jobs: Sequence[tuple[ImageSource, Path]],
    readers: ThreadPoolExecutor,
    read: Callable[[ImageSource, Path], Picture | Scan],
    *,
    ahead: int,
    fail: Callable[[Path, str], None],
) -> Iterator[_Item]:
    """The images in their order, read ahead by threads; unreadable ones are reported and left out."""
    waiting: deque[tuple[ImageSource, Path, Future[Picture | Scan]]] = deque()
    upcoming = iter(jobs)
    while True:
        while len(waiting) < ahead and (job := next(upcoming, None)) is not None:
            waiting.append((job[0], job[1], readers.submit(read, *job)))
        if not waiting:
            return
        source, target, future = waiting.popleft()
        try:
            yield source, target, future.result()
        except ImageError as error:
            fail(source.path, str(error))


def _read(
    source: ImageSource,
    target: Path,
    *,
    scale: int,
    values: tuple[float, float] | None,
    scanned: Callable[[ImageSource, Path], Scan | None] | None,
) -> Picture | Scan:
    if scanned is not None and (scan := scanned(source, target)) is not None:
        return scan
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


def _groups(images: Iterator[_Item], batch_size: int, pixels: int) -> Iterator[list[_Item]]:
    """Neighbours of equal size, at most `batch_size` and so many pixels."""
    group: list[_Item] = []
    for item in images:
        width, height = item[2].size
        full = len(group) >= batch_size or (len(group) + 1) * width * height > pixels
        alone = isinstance(item[2], Scan) or (group and isinstance(group[0][2], Scan))
        if group and (full or alone or group[0][2].size != (width, height)):
            yield group
            group = []
        group.append(item)
    if group:
        yield group
