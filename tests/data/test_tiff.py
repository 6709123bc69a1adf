"""Every kind of TIFF comes out as it is stored, to the last bit; each test makes its own files."""

import io
import itertools
import lzma
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image, features

from translate.data.tiff import open_tiff

COMPRESSIONS = {
    "none": 1,
    "lzw": 5,
    "deflate": 8,
    "packbits": 32773,
    "old-deflate": 32946,
    "lzma": 34925,
    "zstd": 50000,
}
PILLOW_NAMES = {"lzw": "tiff_lzw", "packbits": "packbits", "zstd": "zstd"}
DTYPES = ["u1", "u2", "u4", "u8", "i1", "i2", "i4", "i8", "f2", "f4", "f8"]
FORMATS = {"u": 1, "i": 2, "f": 3, "c": 6}


def noise(height: int, width: int, samples: int, dtype: str) -> np.ndarray:
    """Any bits for integers; for floats, of both signs and many sizes."""
    generator = np.random.default_rng(0)
    if dtype[0] == "f":
        values = generator.normal(size=(height, width, samples)) * 10.0 ** generator.integers(-3, 4, (height, width, 1))
        return values.astype(dtype)
    values = generator.integers(0, 256, (height, width, samples * int(dtype[1:])), np.uint8)
    return values.view(dtype)


def compressed(rows: np.ndarray, compression: str) -> bytes:
    """[rows, bytes] uint8, as a strip."""
    if compression == "none":
        return rows.tobytes()
    if compression in ("deflate", "old-deflate"):
        return zlib.compress(rows.tobytes())
    if compression == "lzma":
        return lzma.compress(rows.tobytes())
    buffer = io.BytesIO()
    Image.fromarray(rows).save(buffer, "TIFF", compression=PILLOW_NAMES[compression], tiffinfo={278: len(rows)})
    with Image.open(buffer) as image:
        (offset,), (size,) = image.tag_v2[273], image.tag_v2[279]
    return buffer.getvalue()[offset : offset + size]


def predicted(block: np.ndarray, predictor: int, order: str) -> np.ndarray:
    """[rows, columns, samples] to [rows, bytes] uint8, by the definitions."""
    rows, columns, samples = block.shape
    size = block.dtype.itemsize
    if predictor == 3:
        by_byte = block.astype(block.dtype.newbyteorder(">")).view(np.uint8).reshape(rows, columns * samples, size)
        line = np.ascontiguousarray(by_byte.swapaxes(1, 2)).reshape(rows, -1)
        line[:, samples:] = line[:, samples:] - line[:, :-samples]
        return line
    values = block.view(f"u{size}").copy()
    if predictor == 2:
        values[:, 1:] = values[:, 1:] - values[:, :-1]
    return values.astype(values.dtype.newbyteorder(order)).view(np.uint8).reshape(rows, -1)


def save(
    path: Path,
    pixels: np.ndarray,
    *,
    compression: str = "none",
    predictor: int = 1,
    apart: bool = False,
    rows: int = 0,
    tile: tuple[int, int] | None = None,
    order: str = "<",
    big: bool = False,
    photometric: int | None = None,
    extras: tuple[int, ...] | None = None,
    tags: dict[int, Any] | None = None,
) -> Path:
    """A TIFF made byte by byte, of [H, W, S]: strips of so many rows, or tiles of (height, width)."""
    height, width, samples = pixels.shape
    planes = [pixels[:, :, place : place + 1] for place in range(samples)] if apart else [pixels]
    down, right = tile or (rows or height, width)
    strips = []
    for plane, top, left in itertools.product(planes, range(0, height, down), range(0, width, right)):
        block = np.ascontiguousarray(plane[top : top + down, left : left + right])
        if tile:
            block = np.pad(block, ((0, down - block.shape[0]), (0, right - block.shape[1]), (0, 0)), mode="edge")
        strips.append(compressed(predicted(block, predictor, order), compression))
    start = 16 if big else 8
    offsets = [start + sum(map(len, strips[:number])) for number in range(len(strips))]
    colours = 3 if samples >= 3 else 1
    extra = samples - (4 if photometric == 5 else colours if photometric is None else {2: 3}.get(photometric, 1))
    fields: dict[int, Any] = {
        256: width,
        257: height,
        258: [8 * pixels.dtype.itemsize] * samples,
        259: COMPRESSIONS[compression],
        262: photometric if photometric is not None else (2 if colours == 3 else 1),
        277: samples,
        284: 2 if apart else 1,
        317: predictor,
        339: [FORMATS[pixels.dtype.kind]] * samples,
    }
    if extra > 0 and extras != ():
        fields[338] = list(extras or (2,) + (0,) * (extra - 1))
    sizes = [len(strip) for strip in strips]
    fields |= {322: right, 323: down, 324: offsets, 325: sizes} if tile else {273: offsets, 278: down, 279: sizes}
    fields |= tags or {}
    path.write_bytes(assembled(b"".join(strips), fields, order=order, big=big))
    return path


def assembled(data: bytes, fields: dict[int, Any], *, order: str = "<", big: bool = False) -> bytes:
    """A file of one directory behind the pixels; numbers are SHORT or LONG, text is ASCII."""
    name, mark = (b"II", "<") if order == "<" else (b"MM", ">")
    start = 16 if big else 8
    where = start + len(data) + len(data) % 2
    entry = 20 if big else 12
    behind = where + (16 if big else 6) + entry * len(fields)
    entries, extra = b"", b""
    for tag, value in sorted(fields.items()):
        if isinstance(value, str):
            payload, kind, count = value.encode() + b"\0", 2, len(value) + 1
        elif isinstance(value, bytes):
            payload, kind, count = value, 7, len(value)
        else:
            values = value if isinstance(value, list) else [value]
            kind, code = (3, "H") if max(values) < 2**16 else (4, "I")
            payload, count = struct.pack(f"{mark}{len(values)}{code}", *values), len(values)
        room = 8 if big else 4
        if len(payload) > room:
            payload, place = b"", (extra := extra + payload + bytes(len(payload) % 2)) and payload
            offset = behind + len(extra) - len(place) - len(place) % 2
            payload = struct.pack(mark + ("Q" if big else "I"), offset)
        entries += struct.pack(mark + ("HHQ8s" if big else "HHI4s"), tag, kind, count, payload)
    if big:
        head = name + struct.pack(mark + "HHHQ", 43, 8, 0, where)
        directory = struct.pack(mark + "Q", len(fields)) + entries + bytes(8)
    else:
        head = name + struct.pack(mark + "HI", 42, where)
        directory = struct.pack(mark + "H", len(fields)) + entries + bytes(4)
    return head + data + bytes(len(data) % 2) + directory + extra


def needs(compression: str) -> None:
    if compression == "zstd" and not zstd_in_pillow():
        pytest.skip("this Pillow has no Zstandard")


def zstd_in_pillow() -> bool:
    if not features.check("libtiff"):
        return False
    try:
        Image.new("L", (4, 4)).save(io.BytesIO(), "TIFF", compression="zstd")
    except OSError:
        return False
    return True


def assert_stored(path: Path, pixels: np.ndarray) -> None:
    stored = open_tiff(path)
    assert stored is not None
    assert (stored.height, stored.width, stored.samples) == pixels.shape
    assert stored.dtype == pixels.dtype
    assert stored.dtype.isnative
    values = stored.read()
    assert values.dtype == pixels.dtype
    np.testing.assert_array_equal(values, pixels)


@pytest.mark.parametrize("compression", COMPRESSIONS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("samples", [1, 2, 3, 4, 5, 13])
def test_every_kind(tmp_path: Path, dtype: str, samples: int, compression: str) -> None:
    needs(compression)
    pixels = noise(19, 21, samples, dtype)
    predictors = (1, 2, 3) if dtype[0] == "f" else (1, 2)
    parts: list[dict[str, Any]] = [{}, {"rows": 6}, {"tile": (16, 16)}]
    for number, (apart, predictor, part) in enumerate(itertools.product((False, True), predictors, parts)):
        order = "<>"[(number + samples) % 2]
        path = save(
            tmp_path / f"{number}.tif", pixels, compression=compression, predictor=predictor, apart=apart, order=order,
            big=number % 3 == 0, **part,
        )  # fmt: skip
        assert_stored(path, pixels)


@pytest.mark.parametrize("dtype", ["u1", "u2", "i4", "f4", "f8"])
@pytest.mark.parametrize("apart", [False, True])
@pytest.mark.parametrize("options", [{}, {"byteorder": ">"}, {"tile": (16, 32)}, {"bigtiff": True}], ids=str)
@pytest.mark.parametrize("compression", [None, "zlib", "lzma"])
def test_files_of_another_writer(tmp_path: Path, dtype: str, apart: bool, options: dict, compression: str) -> None:
    pixels = noise(23, 37, 5, dtype)
    for predictor in {False, compression is not None and dtype[0] != "f"}:
        tifffile.imwrite(
            tmp_path / "other.tif",
            np.moveaxis(pixels, -1, 0) if apart else pixels,
            photometric="minisblack",
            planarconfig="separate" if apart else "contig",
            compression=compression,
            predictor=predictor,
            metadata=None,
            **options,
        )
        assert_stored(tmp_path / "other.tif", pixels)


@pytest.mark.parametrize("dtype", ["u1", "u2", "f4"])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("big", [False, True])
@pytest.mark.parametrize("tile", [None, (16, 16)])
def test_another_reader_reads_the_files_made_here(tmp_path: Path, dtype: str, order: str, big: bool, tile: Any) -> None:
    pixels = noise(19, 21, 3, dtype)
    for compression, apart in itertools.product(("none", "deflate"), (False, True)):
        path = save(
            tmp_path / "made.tif", pixels, compression=compression, apart=apart, order=order, big=big, tile=tile
        )
        read = tifffile.imread(path)
        np.testing.assert_array_equal(np.moveaxis(read, 0, -1) if apart else read, pixels)
