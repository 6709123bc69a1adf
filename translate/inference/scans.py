"""Large TIFFs read and written a strip of rows at a time, so that neither file is ever held whole.

Files above 4 GiB are BigTIFF.

Legend: H height, W width, C channels.
"""

from __future__ import annotations

import itertools
import os
import zlib
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import cached_property
from pathlib import Path

import numpy as np

from translate.checkpoint.atomic import WriteError, written_beside
from translate.data.deep import add_capture, plain_tiff, tiff_tags
from translate.data.images import ImageError, Picture, holds_colours, stored_channels, stored_picture
from translate.data.metadata import Metadata
from translate.data.profiles import deep_from_srgb, from_srgb
from translate.data.tiff import PREMULTIPLIED, StoredTiff, open_tiff

MOST_BYTES = 2**44
"""Of an image that is read so."""
_CLASSIC_BYTES = 2**32 - 2**25  # of pixels, uncompressed, for which the offsets of a classic TIFF suffice
_KEPT_BYTES = 2**26  # of decoded strips, which neighbouring rows are read from again
_STRIP_BYTES = 2**18  # of a strip that is written, uncompressed
_LEVEL = 6  # of zlib


class Scan:
    """A TIFF of grey or colours, read in rows. Not to be shared by threads.

    Attributes:
        path: The file.
        size: Width and height in pixels.
        bits: 8 or 16 bits a channel.
        pages: Images in the file.
    """

    def __init__(self, tiff: StoredTiff) -> None:
        self.path = Path(tiff.path)
        self.size = tiff.width, tiff.height
        self.bits = 8 * tiff.dtype.itemsize
        self.pages = tiff.pages
        self._tiff = tiff
        self._kept: OrderedDict[int, np.ndarray] = OrderedDict()

    @cached_property
    def _alpha(self) -> bool:
        """Whether there is alpha that is not 0 everywhere, which would say nothing."""
        if stored_channels(self._tiff) % 2:
            return False
        rows = self._tiff.segments.rows
        step = max(1, 2**20 // self.size[0] // rows) * rows
        return any(
            self._tiff.rows(low, min(low + step, self.size[1]))[:, :, -1].any() for low in range(0, self.size[1], step)
        )

    def rows(self, low: int, high: int) -> Picture:
        """The rows from `low` to before `high`, as `translate.data.images.read_image` would give them.

        Raises:
            ImageError: the file is damaged.
        """
        try:
            values = self._tiff.rows(low, high) if self._tiff.row_by_row else self._from_kept(low, high)
            return stored_picture(self._tiff, values, alpha_counts=self._alpha)
        except Exception as error:  # decoders raise nearly everything for a damaged file
            reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
            raise ImageError(f"{self.path}: cannot be read: {reason}") from error

    def _from_kept(self, low: int, high: int) -> np.ndarray:
        """Rows of a compressed file, whose strips are decoded from their beginning: the last ones are kept."""
        step, height = self._tiff.segments.rows, self.size[1]
        parts = []
        for number in range(low // step, -(-high // step)):
            first = number * step
            if number not in self._kept:
                self._kept[number] = self._tiff.rows(first, min(first + step, height))
            self._kept.move_to_end(number)
            parts.append(self._kept[number][max(0, low - first) : high - first])
        while len(self._kept) > 1 and sum(part.nbytes for part in self._kept.values()) > _KEPT_BYTES:
            self._kept.popitem(last=False)
        return np.concatenate(parts)


def open_scan(path: str | os.PathLike[str], *, page: int = 0) -> Scan | None:
    """Open an image of a TIFF for reading in rows; None where only `read_image` can read it.

    Those are files that are no TIFF, images that are stored turned, palettes, measured values and bands.
    """
    try:
        tiff = open_tiff(path, page=page, most_bytes=MOST_BYTES)
        if tiff is None or not holds_colours(tiff) or tiff.orientation != 1 or tiff.bits not in (8, 16):
            return None
        # Pillow, which reads these, rounds otherwise.
        return None if tiff.bits == 8 and tiff.extras[:1] == (PREMULTIPLIED,) else Scan(tiff)
    except (OSError, ValueError):
        return None  # read_image says why


def write_scan(path: Path, strips: Iterable[Picture], *, height: int, metadata: Metadata | None = None) -> None:
    """Write an image whose rows come one strip after the other to a TIFF, which is whole or not there.

    Deflated with a predictor. The ICC profile of the first strip is applied and embedded.

    Args:
        path: .tif or .tiff.
        strips: Pictures of one width, one below the other.
        height: Of all of them together.
        metadata: EXIF and XMP to embed; of the former, into a BigTIFF the tags of the image alone.

    Raises:
        ImageError: the file cannot be written, or the disk is full.
        And what `strips` raises.
    """
    from tifffile import TiffWriter

    upcoming = iter(strips)
    first = next(upcoming)
    stored, profile = _in_profile(first)
    _, width, channels = stored.shape
    row_bytes = width * channels * stored.itemsize
    rows = min(height, max(1, _STRIP_BYTES // row_bytes))
    big = height * row_bytes > _CLASSIC_BYTES
    if big and metadata is not None:
        metadata = replace(metadata, capture={})
    try:
        with written_beside(path) as beside:
            with TiffWriter(beside, byteorder="<", bigtiff=big) as writer:
                writer.write(
                    _deflated(_recut(itertools.chain([first], upcoming), rows)),
                    shape=(height, width, channels) if channels > 1 else (height, width),
                    dtype=stored.dtype,
                    rowsperstrip=rows,
                    iccprofile=profile,
                    **plain_tiff(channels),
                    **tiff_tags(metadata),
                )
            with beside.open("rb+") as file:
                add_capture(file, metadata)
    except WriteError as error:
        cause = error.__cause__
        reason = (isinstance(cause, OSError) and cause.strerror) or str(cause)
        need = f"it takes up to {height * row_bytes / 1e9:.1f} GB"
        raise ImageError(f"{path}: cannot be written: {reason} ({need})") from error


def _in_profile(picture: Picture) -> tuple[np.ndarray, bytes | None]:
    """Pixels as they are stored [h, W, C], and their profile."""
    icc = picture.icc_profile
    if icc is None:
        return picture.pixels, None
    if picture.bits == 16:
        colour, profile = deep_from_srgb(picture.colour, icc)
    else:
        from PIL import Image

        plain = picture.colour[:, :, 0] if picture.colour.shape[2] == 1 else picture.colour
        image, profile = from_srgb(Image.fromarray(plain), icc)
        colour = np.asarray(image).reshape(picture.colour.shape)
    return colour if picture.alpha is None else np.concatenate([colour, picture.alpha], axis=2), profile


def _recut(strips: Iterable[Picture], rows: int) -> Iterator[np.ndarray]:
    """The pixels, as they are stored, in strips of so many rows; the last may have fewer."""
    left: list[np.ndarray] = []
    for strip in strips:
        left.append(_in_profile(strip)[0])
        if sum(len(part) for part in left) < rows:
            continue
        together = np.concatenate(left)
        whole = len(together) // rows * rows
        yield from np.split(together[:whole], whole // rows)
        left = [together[whole:]]
    if left and (rest := np.concatenate(left)).size:
        yield rest


def _deflated(strips: Iterable[np.ndarray]) -> Iterator[bytes]:
    """Each strip with its predictor, deflated, in a thread, while the next ones are made."""
    with ThreadPoolExecutor(2) as pool:
        waiting = []
        for strip in strips:
            waiting.append(pool.submit(_deflate, strip))
            if len(waiting) > 4:
                yield waiting.pop(0).result()
        for future in waiting:
            yield future.result()


def _deflate(strip: np.ndarray) -> bytes:
    """By the horizontal predictor (TIFF 6.0, section 14), little-endian."""
    values = strip.astype(strip.dtype.newbyteorder("<"), copy=True)
    values[:, 1:] -= strip[:, :-1]
    return zlib.compress(values.tobytes(), _LEVEL)
