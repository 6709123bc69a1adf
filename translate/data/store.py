"""Pairs decoded and resized once, then read from memory-mapped files.

Decoding costs more than everything else in a loader, so each pair is decoded once, resized to its training size, and
kept as plain uint8 (or uint16) beside the run; never as JPEG again, which would lose colour. The cache is bounded:
what does not fit is decoded each time. Threads decode, since Pillow releases the interpreter's lock; there is nothing
to pickle, so Windows and macOS work as Linux does.

Shapes: C channels, H height, W width.
"""

from __future__ import annotations

import errno
import shutil
import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image

from translate.config.encoding import Encoding
from translate.data.images import MAX_PIXELS, ImageError, Picture, composite, convert, shown
from translate.data.layouts import ImageSource, Pair
from translate.data.ranges import missing
from translate.data.values import class_ids, count_of, encoded

Side = Literal["a", "b"]
FIRST_SEGMENT_BYTES, SEGMENT_BYTES = 2**20, 64 * 2**20


@dataclass(frozen=True, kw_only=True)
class Format:
    """What every image of a domain is converted to.

    Attributes:
        channels: 1 grey, 2 grey with alpha, 3 RGB, 4 RGBA; with `encoding` any number, a class each of labels.
        bits: 8 or 16.
        nearest: Resize without mixing neighbours, as label maps need.
        encoding: What the numbers of the files mean, where they are not plain grey or RGB.
    """

    channels: int
    bits: int = 8
    nearest: bool = False
    encoding: Encoding | None = None

    @property
    def dtype(self) -> type[np.unsignedinteger]:
        return np.uint16 if self.bits == 16 else np.uint8

    @property
    def labels(self) -> int:
        """Number of classes of images that are kept as class ids; 0 for others."""
        return self.encoding.labels if self.encoding is not None else 0

    @property
    def stored_channels(self) -> int:
        """Channels of what `to_format` gives: class ids are kept as one."""
        return 1 if self.labels else self.channels


def to_format(picture: Picture, fmt: Format) -> np.ndarray:
    """The pixels of a picture with the channels and depth of a domain: [H, W, C], or [H, W, 1] class ids.

    Raises:
        ImageError: a picture of bands for a domain of grey or RGB, or with other bands than the domain's.
    """
    if fmt.encoding is not None:
        if fmt.labels:
            return class_ids(picture, fmt.encoding).astype(fmt.dtype)
        top = np.iinfo(fmt.dtype).max
        return np.rint(encoded(picture, fmt.encoding, channels=fmt.channels) * top).astype(fmt.dtype)
    if picture.bands:
        if picture.channels not in (1, 3):
            raise ImageError(
                f"has {count_of(picture.channels)}, and grey or RGB is expected: choose one or three with --bands"
            )
        picture = shown(picture)
    has_alpha = fmt.channels in (2, 4)
    if not has_alpha:
        picture = composite(picture)
    colour = convert(picture.colour, channels=fmt.channels - has_alpha, bits=fmt.bits)
    if not has_alpha:
        return colour
    if picture.alpha is None:
        opaque = np.full_like(colour[..., :1], np.iinfo(colour.dtype).max)
        return np.concatenate([colour, opaque], axis=-1)
    return np.concatenate([colour, convert(picture.alpha, channels=1, bits=fmt.bits)], axis=-1)


def why_unfit(picture: Picture, fmt: Format) -> str | None:
    """Why `to_format` would refuse a picture for its channels; None where it would not."""
    try:
        to_format(replace(picture, pixels=picture.pixels[:1, :1]), fmt)
    except ImageError as error:
        return str(error)
    return None


def resize(pixels: np.ndarray, *, width: int, height: int, nearest: bool = False) -> np.ndarray:
    """Resize [H, W, C] pixels with an anti-aliased bicubic filter, or to the nearest pixel.

    Pillow's filter throughout: for 8-bit grey and RGB in PyTorch's form, four to eight times as fast for RGB and within
    2 of 255. Pillow itself weights 8-bit colour by its alpha, and resizes 16-bit values only as floats, so those go
    channel by channel.
    """
    if pixels.shape[:2] == (height, width):
        return pixels
    channels = pixels.shape[2]
    if pixels.dtype == np.uint8 and channels not in (2, 4) and not nearest:
        import torch  # not needed for what most pictures go through
        import torch.nn.functional as F

        writable = pixels if pixels.flags.writeable else pixels.copy()  # PyTorch warns of others
        images = torch.from_numpy(writable)[None].permute(0, 3, 1, 2)
        images = F.interpolate(images, (height, width), mode="bicubic", antialias=True)
        return np.ascontiguousarray(images[0].permute(1, 2, 0).numpy())
    method = Image.Resampling.NEAREST if nearest else Image.Resampling.BICUBIC
    if pixels.dtype == np.uint8 and channels <= 4:
        flat = pixels[..., 0] if channels == 1 else pixels
        return np.asarray(Image.fromarray(flat).resize((width, height), method)).reshape(height, width, -1)
    planes = [
        np.asarray(Image.fromarray(plane.astype(np.float32)).resize((width, height), method))
        for plane in np.moveaxis(pixels, -1, 0)
    ]
    if pixels.dtype.kind == "f":
        return np.stack(planes, axis=-1).astype(pixels.dtype)
    limits = np.iinfo(pixels.dtype)
    return np.clip(np.rint(np.stack(planes, axis=-1)), limits.min, limits.max).astype(pixels.dtype)


def resized(picture: Picture, *, width: int, height: int) -> Picture:
    """A picture of another size; of bands with pixels without data, and of class ids, by the nearest pixel."""
    nearest = picture.bands and (picture.ids or missing(picture.pixels, picture.nodata) is not None)
    return replace(picture, pixels=resize(picture.pixels, width=width, height=height, nearest=nearest))


def fitted_size(width: int, height: int, *, side: int, fit: Literal["cover", "stretch"]) -> tuple[int, int]:
    """The (width, height) whose shorter side is `side`, or the square of it for ``stretch``."""
    if fit == "stretch":
        return side, side
    scale = side / min(width, height)
    return max(side, round(width * scale)), max(side, round(height * scale))


def crop(pixels: np.ndarray, *, size: int, left: float, top: float) -> np.ndarray:
    """A square of side `size` out of [H, W, C], at a position in [0, 1) of the free space; every place is as likely."""
    height, width = pixels.shape[:2]
    x, y = int(left * (width - size + 1)), int(top * (height - size + 1))
    return pixels[y : y + size, x : x + size]


def _even(num_bytes: int) -> int:
    """Rounded up, so that 16-bit values stay aligned."""
    return num_bytes + num_bytes % 2


class _Segments:
    """Append-only arrays in memory-mapped files of doubling size; bounded, removed on close."""

    def __init__(self, folder: Path, *, limit: int) -> None:
        self.folder, self.limit = folder, limit
        self.maps: list[np.memmap] = []
        self.used = 0  # bytes of the last segment

    def append(self, arrays: Sequence[np.ndarray]) -> list[np.ndarray] | None:
        """Read-only copies of the arrays that live in a file, or None where they do not fit the limit or the disk."""
        needed = sum(_even(array.nbytes) for array in arrays)
        if not self.maps or self.used + needed > self.maps[-1].size:
            room = self.limit - sum(segment.size for segment in self.maps)
            size = max(needed, min(SEGMENT_BYTES, FIRST_SEGMENT_BYTES << len(self.maps), room))
            if size > room:
                return None
            try:
                self.maps.append(self._new_segment(size))
            except OSError:  # a cache is a convenience: a full or read-only disk costs speed, not the run
                self.limit = 0
                return None
            self.used = 0
        kept = []
        for array in arrays:
            view = self.maps[-1][self.used : self.used + array.nbytes].view(array.dtype).reshape(array.shape)
            view[:] = array
            view.flags.writeable = False
            self.used += _even(array.nbytes)
            kept.append(view)
        return kept

    def _new_segment(self, size: int) -> np.memmap:
        self.folder.mkdir(parents=True, exist_ok=True)
        if shutil.disk_usage(self.folder).free < 2 * size:  # the run's own files need some room
            raise OSError(errno.ENOSPC, "not enough space for a cache")
        path = self.folder / f"{len(self.maps):05d}.bin"
        # Written out, not only stretched: a disk that fills up raises an error here, and a bus error in the map.
        with path.open("wb") as file:
            for start in range(0, size, 2**20):
                file.write(bytes(min(2**20, size - start)))
        return np.memmap(path, dtype=np.uint8, mode="r+", shape=(size,))

    def close(self) -> None:
        self.limit = 0
        self.maps.clear()
        shutil.rmtree(self.folder, ignore_errors=True)


class PairStore:
    """Random access to aligned pairs at one size.

    Args:
        pairs: What to read.
        a: Format of domain A.
        b: Format of domain B.
        side: Shorter side in pixels after resizing.
        fit: ``cover`` keeps the aspect ratio, ``stretch`` makes a square.
        cache: Folder for the decoded pixels, of this store alone; removed by `close`. None decodes each time.
        cache_bytes: Bound of that folder.

    Attributes:
        noun: What it holds, for messages.
    """

    noun = "pairs"

    def __init__(
        self,
        pairs: Sequence[Pair],
        *,
        a: Format,
        b: Format,
        side: int,
        fit: Literal["cover", "stretch"] = "cover",
        cache: Path | None = None,
        cache_bytes: int = 4 * 2**30,
    ) -> None:
        self.pairs, self.formats, self.side, self.fit = pairs, (a, b), side, fit
        self._segments = _Segments(cache, limit=cache_bytes) if cache is not None and cache_bytes else None
        self._kept: dict[int, list[np.ndarray]] = {}
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self.pairs)

    def read(self, index: int) -> list[np.ndarray]:
        """Pixels of both halves, [H, W, C_a] and [H, W, C_b], of equal size; safe from many threads. Not to be changed.

        What comes from the cache lies there channel by channel, as batches want it.

        Raises:
            ImageError: the file cannot be read, the halves differ in size, or they are too narrow to be enlarged.
            LayoutError: a file of two halves has an odd width.
        """
        kept = self._kept.get(index)
        if kept is not None:
            return kept
        arrays = self._decode(self.pairs[index])
        if self._segments is not None:
            planes = [np.moveaxis(array, -1, 0) for array in arrays]
            with self._lock:
                if index not in self._kept and (copies := self._segments.append(planes)) is not None:
                    self._kept[index] = [np.moveaxis(copy, 0, -1) for copy in copies]
        return arrays

    def _decode(self, pair: Pair) -> list[np.ndarray]:
        pictures = pair.read()
        if pictures[0].size != pictures[1].size:
            raise ImageError(
                f"{pair.a.path} is {pictures[0].size[0]}x{pictures[0].size[1]} and {pair.b.path} is "
                f"{pictures[1].size[0]}x{pictures[1].size[1]}: the halves of a pair must have one size"
            )
        width, height = fitted_size(*pictures[0].size, side=self.side, fit=self.fit)
        if width * height > MAX_PIXELS:
            raise ImageError(
                f"{pair.a.path} is {pictures[0].size[0]}x{pictures[0].size[1]}: too narrow to be cropped at "
                f"{self.side} px, it would grow to {width}x{height}"
            )
        return [
            resize(self._formatted(picture, fmt, source), width=width, height=height, nearest=fmt.nearest)
            for picture, fmt, source in zip(pictures, self.formats, (pair.a, pair.b), strict=True)
        ]

    @staticmethod
    def _formatted(picture: Picture, fmt: Format, source: ImageSource) -> np.ndarray:
        """As `to_format`, with the file in what is raised."""
        try:
            return to_format(picture, fmt)
        except ImageError as error:
            raise ImageError(f"{source.path} {error}") from None

    def close(self) -> None:
        """Remove the cache; what is read later is decoded each time."""
        with self._lock:
            self._kept.clear()
            if self._segments is not None:
                self._segments.close()
