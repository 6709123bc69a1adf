"""TIFF as it is stored: any number of channels, integers and floats of any depth, and every page.

Pillow has no modes for most of that, and reads such a file in part, in 8 bits, or not at all. Its reader of tags and
libtiff behind it are used all the same: the first describes a file, the second takes LZW, PackBits, Zstandard and JPEG
apart, a strip or tile at a time, each wrapped as a TIFF of its own. (tifffile decodes few of those without imagecodecs,
80 MB more; it writes our TIFFs.)

Sources: TIFF 6.0, sections 8 to 15; TIFF Technical Note 3 (the predictor of floats).

Legend: H height, W width, S samples of a pixel.
"""

from __future__ import annotations

import lzma
import math
import os
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Any, Literal

import numpy as np
from PIL import ExifTags, Image
from PIL.TiffImagePlugin import ImageFileDirectory_v2

MIN_IS_WHITE, MIN_IS_BLACK, RGB, PALETTE, CMYK, YCBCR, LAB = 0, 1, 2, 3, 5, 6, 8
"""Of the tag PhotometricInterpretation."""
UNSPECIFIED, PREMULTIPLIED, ALPHA = 0, 1, 2
"""Of the tag ExtraSamples."""

MOST_BYTES = 2**32
"""Of an image that is decoded whole; 13 bands of 16 bits at 11,000 x 11,000 fit."""

_PREFIXES = (b"II", b"MM")
_NUMBERS = (b"*\0", b"\0*", b"+\0", b"\0+")  # 42, and 43 for BigTIFF; some writers turn them round
_BITS, _COMPRESSION, _PHOTOMETRIC, _FILL_ORDER = 258, 259, 262, 266
_NEW_SUBFILE_TYPE, _SUBFILE_TYPE, _WIDTH, _HEIGHT, _DEPTH = 254, 255, 256, 257, 32997
_STRIP_OFFSETS, _SAMPLES, _ROWS_PER_STRIP, _STRIP_SIZES, _PLANAR = 273, 277, 278, 279, 284
_PREDICTOR, _TILE_WIDTH, _TILE_HEIGHT, _TILE_OFFSETS, _TILE_SIZES = 317, 322, 323, 324, 325
_EXTRA_SAMPLES, _SAMPLE_FORMAT, _JPEG_TABLES, _SUBSAMPLING = 338, 339, 347, 530
_ICC_PROFILE, _NODATA = 34675, 42113

_COLOURS = {MIN_IS_WHITE: 1, MIN_IS_BLACK: 1, RGB: 3, PALETTE: 1, CMYK: 4, YCBCR: 3, LAB: 3}
_KINDS = {1: "u", 2: "i", 3: "f", 4: "u"}  # of SampleFormat; 4 is "undefined"
_STORED, _LZW, _JPEG, _PACKBITS, _LZMA, _ZSTD = 1, 5, 7, 32773, 34925, 50000
_DEFLATE = (8, 32946)
_PREDICTED = (_LZW, *_DEFLATE, _LZMA, _ZSTD)  # to libtiff, a predictor beside another compression means nothing
_JPEG_MODES = {1: "L", 3: "RGB", 4: "RGBA"}
_REVERSED = bytes(int(f"{value:08b}"[::-1], 2) for value in range(256))

_MOST_RATIO = 2**16  # of what a strip holds to what it takes in the file; Zstandard reaches half of it
_SPARE_BYTES = 2**16  # what a strip may hold above its rows, and take in the file above what it holds
_SPARE_TILE = 2**26  # bytes of a tile above those of the image


@dataclass(frozen=True, kw_only=True)
class _Segments:
    """Where and how the strips or tiles of an image are stored."""

    order: Literal["<", ">"]
    """Of the bytes of a value."""
    compression: int
    predictor: int
    reversed_bits: bool
    apart: bool
    """One channel after the other."""
    tiled: bool
    rows: int
    """Of a strip or tile; a last strip may have fewer."""
    columns: int
    offsets: tuple[int, ...]
    sizes: tuple[int, ...]
    ycbcr: bool
    jpeg_tables: bytes


@dataclass(frozen=True, kw_only=True, eq=False)
class StoredTiff:
    """One image of a TIFF file: its description; `read` decodes."""

    path: str | os.PathLike[str]
    page: int
    pages: int
    """Images in the file, without reduced copies and masks."""
    width: int
    """As stored, like the height."""
    height: int
    samples: int
    """Channels, all of them."""
    dtype: np.dtype
    """Of what `read` gives: u1, u2, u4, u8, i1 ... i8, f2, f4 or f8, in the machine's byte order."""
    bits: int
    """Of a value; 1 to 15 bits are unpacked to u1 or u2 and not scaled."""
    photometric: int
    """`MIN_IS_BLACK`, `RGB` and so on; the values of `MIN_IS_WHITE` are turned round by `read`."""
    extras: tuple[int, ...]
    """`UNSPECIFIED`, `PREMULTIPLIED` or `ALPHA` for each sample beyond the colours; empty where a file does not say."""
    orientation: int
    """1 to 8, as in EXIF."""
    icc_profile: bytes | None
    nodata: float | None
    """The value of pixels without data, as GDAL writes it."""
    segments: _Segments

    def read(self) -> np.ndarray:
        """[H, W, S] of dtype, as stored, but for unsigned min-is-white, which is turned round.

        Raises:
            OSError, ValueError and others: the file is damaged.
        """
        return self.rows(0, self.height)

    def rows(self, low: int, high: int) -> np.ndarray:
        """The rows from `low` to before `high`, as `read` gives them; no strip or tile without one of them is decoded.

        Raises:
            OSError, ValueError and others: the file is damaged.
        """
        layout = self.segments
        together = 1 if layout.apart else self.samples
        pixels = np.empty((high - low, self.width, self.samples), self.dtype)
        with open(self.path, "rb") as file:
            length = file.seek(0, os.SEEK_END)
            for number, plane, top, left in self._places(low, high):
                rows = layout.rows if layout.tiled else min(layout.rows, self.height - top)
                first, last = max(low, top), min(high, top + rows)
                place = pixels[first - low : last - low, left : left + layout.columns, plane : plane + together]
                skipped = first - top if self.row_by_row else 0
                count = last - top - skipped if self.row_by_row else rows
                block = self._decode(self._stored(file, length, number, count, skipped=skipped), count)
                if block is not None:
                    block = block[first - top - skipped :]
                place[:] = (self.nodata or 0) if block is None else block[: place.shape[0], : place.shape[1]]
        if self.photometric == MIN_IS_WHITE and self.dtype.kind == "u":
            np.subtract(self.dtype.type(2**self.bits - 1), pixels, out=pixels)
        return pixels

    @property
    def row_by_row(self) -> bool:
        """Whether a strip or tile needs not be decoded from its beginning."""
        return self.segments.compression == _STORED

    def _places(self, low: int, high: int) -> Iterator[tuple[int, int, int, int]]:
        """Number, plane, top and left of each strip or tile that has some of the rows."""
        layout = self.segments
        down, across = -(-self.height // layout.rows), -(-self.width // layout.columns)
        for plane in range(self.samples if layout.apart else 1):
            for row in range(low // layout.rows, -(-high // layout.rows)):
                for column in range(across):
                    number = (plane * down + row) * across + column
                    yield number, plane, row * layout.rows, column * layout.columns

    @property
    def _row_values(self) -> int:
        """Values in a row of a strip or tile."""
        return self.segments.columns * (1 if self.segments.apart else self.samples)

    @property
    def _row_bytes(self) -> int:
        return (self._row_values * self.bits + 7) // 8

    def _stored(self, file: IO[bytes], length: int, number: int, rows: int, *, skipped: int = 0) -> bytes:
        """The bytes of a strip or tile, no more of them than it can need; none for one that was left out.

        Args:
            file: Open.
            length: Of the file.
            number: Of the strip or tile.
            rows: Of it that are wanted.
            skipped: Rows before these, where it is not compressed.
        """
        before = skipped * self._row_bytes
        offset, size = self.segments.offsets[number] + before, max(0, self.segments.sizes[number] - before)
        most = rows * self._row_bytes
        if size and max(length - offset, 0) * _MOST_RATIO < most:
            raise ValueError("the file is truncated")
        file.seek(offset)
        return file.read(min(size, length - offset, 2 * most + _SPARE_BYTES)) if size else b""

    def _decode(self, stored: bytes, rows: int) -> np.ndarray | None:
        """[rows, columns, S or 1] of a strip or tile; None for one that was left out."""
        if not stored:
            return None
        if self.segments.reversed_bits:
            stored = stored.translate(_REVERSED)
        size = rows * self._row_bytes
        data = self._decompress(stored, rows, size)
        if len(data) < size:
            raise ValueError("the file is truncated")
        shape = rows, self.segments.columns, -1
        if self.bits % 8:
            return self._unpack(np.frombuffer(data, np.uint8, size).reshape(rows, -1)).reshape(shape)
        if self.segments.predictor == 3:
            return self._undo_float_predictor(np.frombuffer(data, np.uint8, size), rows).reshape(shape)
        values = np.frombuffer(data, self.dtype.newbyteorder(self.segments.order), size // self.dtype.itemsize)
        values = values.reshape(shape)
        if self.segments.predictor == 2:
            unsigned = np.dtype(f"u{self.dtype.itemsize}")
            values = values.astype(self.dtype, copy=False).view(unsigned)
            values = np.add.accumulate(values, axis=1, dtype=unsigned).view(self.dtype)
        return values

    def _unpack(self, packed: np.ndarray) -> np.ndarray:
        """[rows, bytes] uint8 to [rows, values]; each row begins at a byte, its first bit the highest."""
        bits = np.unpackbits(packed, axis=1, count=self._row_values * self.bits)
        weights = 1 << np.arange(self.bits - 1, -1, -1, dtype=np.uint16)
        return (bits.reshape(len(packed), self._row_values, self.bits) @ weights).astype(self.dtype)

    def _undo_float_predictor(self, data: np.ndarray, rows: int) -> np.ndarray:
        """The bytes of a row lie by significance, the highest first, each as the difference to the pixel before."""
        samples = self._row_values // self.segments.columns
        pixels = np.add.accumulate(data.reshape(rows, -1, samples), axis=1, dtype=np.uint8)
        by_byte = pixels.reshape(rows, self.dtype.itemsize, self._row_values)
        return np.ascontiguousarray(by_byte.swapaxes(1, 2)).view(self.dtype.newbyteorder(">"))

    def _decompress(self, stored: bytes, rows: int, size: int) -> bytes:
        compression = self.segments.compression
        if compression == _STORED:
            return stored
        if compression in _DEFLATE:
            return _inflate(zlib.decompressobj(), stored, size)
        if compression == _LZMA:
            return _unpack_lzma(stored, size)
        if compression == _JPEG:
            channels = self._row_values // self.segments.columns
            return _by_libtiff(stored, self.segments.columns, rows, _JPEG_MODES[channels], self._tags_of_jpeg(channels))
        return _by_libtiff(stored, self._row_bytes, rows, "L", {_COMPRESSION: compression, _PHOTOMETRIC: MIN_IS_BLACK})

    def _tags_of_jpeg(self, channels: int) -> dict[int, int | bytes]:
        colours = YCBCR if self.segments.ycbcr else RGB
        photometric = {1: MIN_IS_BLACK, 3: colours, 4: CMYK}[channels]
        tags: dict[int, int | bytes] = {_COMPRESSION: _JPEG, _PHOTOMETRIC: photometric}
        return tags | ({_JPEG_TABLES: self.segments.jpeg_tables} if self.segments.jpeg_tables else {})


def open_tiff(path: str | os.PathLike[str], *, page: int = 0, most_bytes: int = MOST_BYTES) -> StoredTiff | None:
    """Describe an image of a TIFF file, the first unless asked otherwise; None for a file that is no TIFF.

    Args:
        path: The file.
        page: Counted from 0.
        most_bytes: Larger images are refused.

    Raises:
        OSError: the file cannot be opened.
        ValueError: the file is damaged, has no such page, or is of a kind that is not decoded: which one.
    """
    with open(path, "rb") as file:
        start = file.read(16)
        if start[:2] not in _PREFIXES or start[2:4] not in _NUMBERS:
            return None
        try:
            offsets = _image_offsets(file, start)
        except (struct.error, SyntaxError, TypeError, OverflowError) as error:
            raise ValueError("its tags are broken") from error
        if not 0 <= page < len(offsets):
            raise ValueError(f"there is no page {page + 1}: the file has {len(offsets)}")
        tags = _Tags.load(file, start, offsets[page])
        length = os.fstat(file.fileno()).st_size
        return _described(path, tags, page=page, pages=len(offsets), length=length, most_bytes=most_bytes)


def misread_by_pillow(image: Image.Image) -> bool:
    """Whether Pillow would lose or change values of an opened TIFF: channels, bits, signs or fractions.

    `open_tiff` reads it then. All colour of 16 bits is of that kind.
    """
    directory: ImageFileDirectory_v2 = image.tag_v2  # type: ignore[attr-defined]
    tags, plain = _Tags(directory), {"L": 1, "RGB": 3}.get(image.mode)
    try:
        if plain is not None and _SAMPLE_FORMAT not in directory and _EXTRA_SAMPLES not in directory:
            layout = tags.numbers(_BITS, ()), tags.number(_SAMPLES, plain), tags.number(_PLANAR, 1)
            if layout == ((8,) * plain, plain, 1):  # most files, recognised by less
                return False
        photometric, bits = tags.number(_PHOTOMETRIC, MIN_IS_WHITE), tags.numbers(_BITS, (1,))
        samples, formats = tags.number(_SAMPLES, len(bits)), tags.numbers(_SAMPLE_FORMAT, (1,))
        extras, apart = tags.numbers(_EXTRA_SAMPLES, ()), tags.number(_PLANAR, 1) == 2
        turned = tags.number(_FILL_ORDER, 1) == 2 or photometric == MIN_IS_WHITE
    except ValueError:
        return False
    if photometric == PALETTE:
        return False
    plain_16 = bits == (16,) and samples == 1 and photometric == MIN_IS_BLACK and not apart
    return (
        not (max(bits) <= 8 or plain_16)
        or any(_KINDS.get(kind) != "u" for kind in formats)
        or samples > _COLOURS.get(photometric, samples) + (1 if extras[:1] != (UNSPECIFIED,) else 0)
        or (apart and (turned or min(bits) < 8 or PREMULTIPLIED in extras))
    )


def undo_premultiplied(colour: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """[H, W, C] uint8 or uint16 that was multiplied by alpha, [H, W, 1], divided by it; black where alpha is 0."""
    top = np.iinfo(colour.dtype).max
    wide = alpha.astype(np.uint64)
    divided = np.minimum((colour * np.uint64(top) + wide // 2) // np.maximum(wide, 1), top)
    return np.where(alpha > 0, divided, 0).astype(colour.dtype)


@dataclass(frozen=True)
class _Tags:
    """The tags of an image, as Pillow reads them, in one form."""

    directory: ImageFileDirectory_v2

    @classmethod
    def load(cls, file: IO[bytes], start: bytes, offset: int) -> _Tags:
        directory = _directory(start)
        file.seek(offset)
        directory.load(file)
        return cls(directory)

    def numbers(self, tag: int, default: tuple[int, ...]) -> tuple[int, ...]:
        value = self._value(tag)
        if value is None:
            return default
        values: Any = value if isinstance(value, tuple | bytes) else (value,)
        if not values or not all(isinstance(each, int) for each in values):
            raise ValueError(f"its tag {tag} is broken")
        return tuple(values)

    def number(self, tag: int, default: int | None = None) -> int:
        value = self.numbers(tag, (default,) if default is not None else ())
        if not value:
            raise ValueError(f"it has no tag {tag}")
        return value[0]

    def data(self, tag: int) -> bytes | None:
        value = self._value(tag)
        return value if isinstance(value, bytes) and value else None

    def text(self, tag: int) -> str:
        value = self._value(tag)
        return value if isinstance(value, str) else ""

    def _value(self, tag: int) -> Any:
        try:
            return self.directory.get(tag)
        except Exception as error:  # of a type that does not fit the tag
            raise ValueError(f"its tag {tag} is broken") from error

    @property
    def is_image(self) -> bool:
        """No reduced copy of another image, and no mask of one."""
        try:
            return not self.number(_NEW_SUBFILE_TYPE, 0) & 0b101 and self.number(_SUBFILE_TYPE, 1) != 2
        except ValueError:
            return True


def _directory(start: bytes) -> ImageFileDirectory_v2:
    """A reader of tags, for a file that begins so."""
    # Pillow 12 does not know BigTIFF by a big-endian header, but reads it under a little-endian one.
    header = b"II+\0" + start[4:16] if b"+" in start[2:4] else b"II*\0" + start[4:8]
    return ImageFileDirectory_v2(header, prefix=start[:2])


def _image_offsets(file: IO[bytes], start: bytes) -> list[int]:
    """Where the tags of each image of a file begin; of all, where all are reduced copies."""
    directory = _directory(start)
    found: dict[int, bool] = {}
    while directory.next and directory.next < 2**63 and directory.next not in found:
        offset = directory.next
        file.seek(offset)
        directory.load(file)
        found[offset] = _Tags(directory).is_image
    return [offset for offset, is_image in found.items() if is_image] or list(found)


def _described(
    path: str | os.PathLike[str], tags: _Tags, *, page: int, pages: int, length: int, most_bytes: int
) -> StoredTiff:
    bits, compression = tags.numbers(_BITS, (1,)), tags.number(_COMPRESSION, _STORED)
    samples = tags.number(_SAMPLES, len(bits))
    width, height, photometric = tags.number(_WIDTH), tags.number(_HEIGHT), tags.number(_PHOTOMETRIC, MIN_IS_WHITE)
    dtype = _dtype(bits[:samples], tags.numbers(_SAMPLE_FORMAT, (1,))[:samples])
    if min(width, height, samples) < 1 or tags.number(_DEPTH, 1) != 1:
        raise ValueError(f"{width}x{height} with {samples} channels is no image")
    if width * height * samples * dtype.itemsize > most_bytes:
        most = f"{most_bytes / 2**30:g} GiB"
        raise ValueError(f"{width}x{height} of {samples} channels in {bits[0]} bits takes more than {most}")
    segments = _segments(tags, width, height, samples)
    planes = samples if segments.apart else 1
    pixel_bytes = samples // planes * dtype.itemsize
    needed = math.ceil(height / segments.rows) * math.ceil(width / segments.columns) * planes
    if segments.rows * segments.columns * pixel_bytes > width * height * pixel_bytes + _SPARE_TILE:
        raise ValueError(f"its tiles, {segments.columns}x{segments.rows}, are larger than the image")
    if min(len(segments.offsets), len(segments.sizes)) < needed:
        raise ValueError("the file is truncated" if segments.offsets else "it has no pixels")
    _refuse_what_is_not_decoded(tags, segments, bits[0], samples // planes, photometric)
    if compression == _STORED and all(segments.sizes[:needed]) and width * height * samples * bits[0] // 8 > length:
        raise ValueError("the file is truncated")
    orientation = tags.number(ExifTags.Base.Orientation, 1)
    return StoredTiff(
        path=path,
        page=page,
        pages=pages,
        width=width,
        height=height,
        samples=samples,
        dtype=dtype,
        bits=bits[0],
        photometric=RGB if photometric == YCBCR and compression == _JPEG else photometric,
        extras=tags.numbers(_EXTRA_SAMPLES, ()),
        orientation=orientation if orientation in range(1, 9) else 1,
        icc_profile=tags.data(_ICC_PROFILE),
        nodata=_nodata(tags.text(_NODATA)),
        segments=segments,
    )


def _dtype(bits: tuple[int, ...], formats: tuple[int, ...]) -> np.dtype:
    if len(set(bits)) != 1 or len(set(formats)) != 1:
        raise ValueError(f"its channels differ in kind: {bits} bits, formats {formats}")
    kind, size = _KINDS.get(formats[0]), bits[0]
    if kind is None:
        raise ValueError("it holds complex numbers, which are not read")
    if kind == "u" and size < 16:
        return np.dtype(np.uint8 if size <= 8 else np.uint16)
    if size not in ((16, 32, 64) if kind == "f" else (8, 16, 32, 64)):
        names = {"u": "unsigned integers", "i": "signed integers", "f": "floats"}
        raise ValueError(f"it holds {names[kind]} of {size} bits, which are not read; save it in 16 or 32 bits")
    return np.dtype(f"{kind}{size // 8}")


def _segments(tags: _Tags, width: int, height: int, samples: int) -> _Segments:
    compression = tags.number(_COMPRESSION, _STORED)
    tiled = _TILE_OFFSETS in tags.directory
    rows = tags.number(_TILE_HEIGHT if tiled else _ROWS_PER_STRIP, height)
    columns = tags.number(_TILE_WIDTH) if tiled else width
    if min(rows, columns) < 1:
        raise ValueError("its strips or tiles have no size")
    return _Segments(
        order="<" if tags.directory.prefix == b"II" else ">",
        compression=compression,
        predictor=tags.number(_PREDICTOR, 1) if compression in _PREDICTED else 1,
        reversed_bits=tags.number(_FILL_ORDER, 1) == 2,
        apart=samples > 1 and tags.number(_PLANAR, 1) == 2,
        tiled=tiled,
        rows=rows if tiled else min(rows, height),
        columns=columns,
        offsets=tags.numbers(_TILE_OFFSETS if tiled else _STRIP_OFFSETS, ()),
        sizes=tags.numbers(_TILE_SIZES if tiled and _TILE_SIZES in tags.directory else _STRIP_SIZES, ()),
        ycbcr=tags.number(_PHOTOMETRIC, MIN_IS_WHITE) == YCBCR,
        jpeg_tables=tags.data(_JPEG_TABLES) or b"",
    )


def _refuse_what_is_not_decoded(tags: _Tags, segments: _Segments, bits: int, channels: int, photometric: int) -> None:
    """`channels` are those of a strip or tile."""
    compression, predictor = segments.compression, segments.predictor
    jpeg = compression == _JPEG
    if not (
        compression in (_STORED, _LZW, _PACKBITS, _LZMA, _ZSTD, *_DEFLATE)
        or (jpeg and bits == 8 and channels in _JPEG_MODES and not segments.reversed_bits)
    ):
        from tifffile import COMPRESSION

        known = {int(member): member.name for member in COMPRESSION}
        name = known.get(compression, str(compression))
        raise ValueError(f"{bits}-bit TIFF in {name} compression is not read; save it in LZW or Deflate")
    if photometric == YCBCR and not jpeg and tags.numbers(_SUBSAMPLING, (2, 2)) != (1, 1):
        raise ValueError("chroma-subsampled YCbCr is not read without JPEG compression; save it as RGB")
    floats = _KINDS[tags.number(_SAMPLE_FORMAT, 1)] == "f"
    if not (predictor == 1 or (predictor == 2 and bits % 8 == 0) or (predictor == 3 and floats)):
        raise ValueError(f"TIFF with predictor {predictor} for {bits} bits is not read; save it without a predictor")


def _nodata(text: str) -> float | None:
    try:
        return float(text.strip(" \0"))
    except ValueError:
        return None


def _inflate(decompressor: Any, stored: bytes, size: int) -> bytes:
    """At most `size` bytes by a decompressor of zlib; what follows is looked at, for its checksum and for bombs."""
    data = decompressor.decompress(stored, size)
    if len(decompressor.decompress(decompressor.unconsumed_tail, _SPARE_BYTES)) == _SPARE_BYTES:
        raise ValueError("a strip holds more than the image")
    return data


def _unpack_lzma(stored: bytes, size: int) -> bytes:
    decompressor = lzma.LZMADecompressor(memlimit=2**28)
    data = decompressor.decompress(stored, size)
    if not decompressor.eof and len(decompressor.decompress(b"", _SPARE_BYTES)) == _SPARE_BYTES:
        raise ValueError("a strip holds more than the image")
    return data


def _by_libtiff(stored: bytes, width: int, height: int, mode: str, tags: dict[int, int | bytes]) -> bytes:
    """The bytes of a strip or tile, decoded as an image of its own."""
    if len(stored) * _MOST_RATIO < width * height:
        raise ValueError("the file is truncated")
    channels = len(mode)
    fields = {
        _WIDTH: width,
        _HEIGHT: height,
        _BITS: 8,
        _SAMPLES: channels,
        _STRIP_OFFSETS: 8,
        _ROWS_PER_STRIP: height,
        _STRIP_SIZES: len(stored),
        _PLANAR: 1,
    } | tags
    where = 8 + len(stored) + len(stored) % 2  # of the tags; behind them, what is longer than 4 bytes
    behind = where + 2 + 12 * len(fields) + 4
    entries, extra = [], b""
    for tag, value in sorted(fields.items()):
        if tag == _BITS:
            data, kind, count = struct.pack("<H", 8) * channels, 3, channels
        elif isinstance(value, bytes):
            data, kind, count = value, 7, len(value)
        else:
            data, kind, count = struct.pack("<I", value), 4, 1
        if len(data) > 4:
            entries.append(struct.pack("<HHII", tag, kind, count, behind + len(extra)))
            extra += data + bytes(len(data) % 2)
        else:
            entries.append(struct.pack("<HHI4s", tag, kind, count, data))
    start = struct.pack("<2sHI", b"II", 42, where)
    directory = struct.pack("<H", len(entries)) + b"".join(entries) + bytes(4)
    whole = b"".join([start, stored, bytes(len(stored) % 2), directory, extra])
    try:
        image = Image.frombytes(mode, (width, height), whole, "libtiff", mode, "", False, where)  # type: ignore[arg-type]
    except ValueError as error:
        raise ValueError("a strip of it is damaged, or compressed in a way that this Pillow does not know") from error
    return image.tobytes()
