"""Every kind of TIFF comes out as it is stored, to the last bit; each test makes its own files."""

import io
import itertools
import lzma
import struct
import tracemalloc
import zlib
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image, features

from translate.data import tiff
from translate.data.images import ImageError, ImageHeader, read_header, read_image
from translate.data.tiff import misread_by_pillow, open_tiff

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
    if photometric is not None:
        colours = {2: 3, 5: 4, 6: 3, 8: 3}.get(photometric, 1)
    extra = samples - colours
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
    """A file of one directory behind the pixels; numbers are SHORT or LONG, text is ASCII, bytes are UNDEFINED."""
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
            offset = behind + len(extra)
            extra += payload + bytes(len(payload) % 2)
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


def test_a_predictor_beside_no_compression_means_nothing(tmp_path: Path) -> None:
    pixels = noise(9, 13, 3, "u2")
    for compression in ("none", "packbits"):
        assert_stored(save(tmp_path / "plain.tif", pixels, compression=compression, tags={317: 2}), pixels)


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
@pytest.mark.parametrize("samples", [1, 2, 5])
def test_every_kind(tmp_path: Path, dtype: str, samples: int, compression: str) -> None:
    needs(compression)
    pixels = noise(19, 21, samples, dtype)
    predictors = (1,) if compression in ("none", "packbits") else (1, 2, 3) if dtype[0] == "f" else (1, 2)
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


# --- kinds -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bits", [1, 2, 3, 4, 6, 10, 12, 14])
@pytest.mark.parametrize("samples", [1, 3])
@pytest.mark.parametrize("reversed_bits", [False, True])
def test_packed_values(tmp_path: Path, bits: int, samples: int, reversed_bits: bool) -> None:
    pixels = np.random.default_rng(0).integers(0, 2**bits, (9, 13, samples)).astype("u1" if bits <= 8 else "u2")
    lines = [
        f"{''.join(f'{value:0{bits}b}' for value in row.ravel()):0<{(13 * samples * bits + 7) // 8 * 8}}"
        for row in pixels
    ]
    text = "".join(lines)
    data = bytes(
        int(text[place : place + 8][::-1] if reversed_bits else text[place : place + 8], 2)
        for place in range(0, len(text), 8)
    )
    fields = {256: 13, 257: 9, 258: [bits] * samples, 259: 1, 262: 2 if samples == 3 else 1, 277: samples}
    fields |= {273: 8, 278: 9, 279: len(data), 266: 2 if reversed_bits else 1}
    (tmp_path / "packed.tif").write_bytes(assembled(data, fields))
    assert_stored(tmp_path / "packed.tif", pixels)
    stored = open_tiff(tmp_path / "packed.tif")
    assert stored is not None
    assert stored.bits == bits


@pytest.mark.parametrize("compression", ["none", "lzw", "deflate"])
def test_bits_in_the_other_order(tmp_path: Path, compression: str) -> None:
    pixels = noise(9, 13, 3, "u2")
    path = save(tmp_path / "turned.tif", pixels, compression=compression, tags={266: 2})
    data = bytearray(path.read_bytes())
    stored = open_tiff(path)
    assert stored is not None
    start, size = stored.segments.offsets[0], stored.segments.sizes[0]
    data[start : start + size] = bytes(int(f"{value:08b}"[::-1], 2) for value in data[start : start + size])
    path.write_bytes(data)
    assert_stored(path, pixels)


@pytest.mark.parametrize("apart", [False, True])
@pytest.mark.parametrize("tile", [None, (16, 16)])
def test_jpeg_in_planes_and_tiles(tmp_path: Path, apart: bool, tile: Any) -> None:
    y, x = np.mgrid[:32, :48]
    pixels = np.stack([2 * x + y, 5 * y + 20, 100 + 2 * x], axis=2).astype(np.uint8)
    planes = [pixels[:, :, place] for place in range(3)] if apart else [pixels]
    down, right = tile or (32, 48)
    strips = []
    for plane, top, left in itertools.product(planes, range(0, 32, down), range(0, 48, right)):
        buffer = io.BytesIO()
        block = Image.fromarray(plane[top : top + down, left : left + right])
        block.save(buffer, "JPEG", quality=98, subsampling=0)
        strips.append(buffer.getvalue())
    offsets = [8 + sum(map(len, strips[:number])) for number in range(len(strips))]
    sizes = [len(strip) for strip in strips]
    fields = {256: 48, 257: 32, 258: [8] * 3, 259: 7, 262: 2 if apart else 6, 277: 3, 284: 2 if apart else 1}
    fields |= {322: right, 323: down, 324: offsets, 325: sizes} if tile else {273: offsets, 278: down, 279: sizes}
    (tmp_path / "jpeg.tif").write_bytes(assembled(b"".join(strips), fields))
    stored = open_tiff(tmp_path / "jpeg.tif")
    assert stored is not None
    assert stored.photometric == tiff.RGB
    assert np.abs(stored.read().astype(int) - pixels).max() <= 6


def test_jpeg_with_common_tables(tmp_path: Path) -> None:
    y, x = np.mgrid[:32, :48]
    pixels = np.stack([2 * x + y, 5 * y + 20, 100 + 2 * x], axis=2).astype(np.uint8)
    Image.fromarray(pixels).save(tmp_path / "tables.tif", compression="jpeg", quality=98)
    with Image.open(tmp_path / "tables.tif") as image:
        assert 347 in image.tag_v2, "libtiff keeps the tables apart"
        read = np.asarray(image)
    stored = open_tiff(tmp_path / "tables.tif")
    assert stored is not None
    np.testing.assert_array_equal(stored.read(), read)


@pytest.mark.parametrize("dtype", ["u1", "u2", "u4", "i2", "f4"])
def test_white_is_zero(tmp_path: Path, dtype: str) -> None:
    pixels = noise(9, 13, 1, dtype)
    stored = open_tiff(save(tmp_path / "white.tif", pixels, photometric=0))
    assert stored is not None
    turned = np.iinfo(dtype).max - pixels if dtype[0] == "u" else pixels
    np.testing.assert_array_equal(stored.read(), turned)


def test_what_is_told_of_a_file(tmp_path: Path) -> None:
    pixels = noise(9, 13, 6, "f4")
    tags = {274: 6, 34675: b"profile", 42113: "-9999"}
    stored = open_tiff(save(tmp_path / "told.tif", pixels, extras=(1, 0, 0), tags=tags))
    assert stored is not None
    assert (stored.width, stored.height, stored.samples, stored.bits) == (13, 9, 6, 32)
    assert (stored.page, stored.pages, stored.photometric, stored.extras) == (0, 1, tiff.RGB, (1, 0, 0))
    assert (stored.orientation, stored.icc_profile, stored.nodata) == (6, b"profile", -9999)
    for text, nodata in (("nan", np.nan), ("-3.4e+38", -3.4e38), ("none", None)):
        stored = open_tiff(save(tmp_path / "told.tif", pixels, tags={42113: text, 274: 9}))
        assert stored is not None
        assert stored.nodata is nodata or stored.nodata == nodata or np.isnan(stored.nodata)
        assert (stored.orientation, stored.icc_profile) == (1, None)
    bare = open_tiff(save(tmp_path / "bare.tif", pixels, extras=()))
    assert bare is not None
    assert bare.extras == ()


def test_tiles_that_were_left_out_have_no_data(tmp_path: Path) -> None:
    pixels = noise(32, 32, 1, "i2")
    expected = pixels.copy()
    expected[:16, 16:] = -9999
    tags = {42113: "-9999"}
    path = save(tmp_path / "sparse.tif", pixels, tile=(16, 16), tags=tags | {325: [512, 0, 512, 512]})
    assert_stored(path, expected)


def test_pages_without_copies_and_masks(tmp_path: Path) -> None:
    pages = [noise(9, 13, 2, "u2") + np.uint16(number) for number in range(5)]
    with tifffile.TiffWriter(tmp_path / "pages.tif") as writer:
        for page in pages:
            writer.write(page, photometric="minisblack", planarconfig="contig", subfiletype=8, metadata=None)
    with tifffile.TiffFile(tmp_path / "pages.tif", mode="r+b") as file:
        for number, page in enumerate(file.pages):
            page.tags[254].overwrite({1: 1, 3: 4}.get(number, 2))
    for page, number in enumerate((0, 2, 4)):
        stored = open_tiff(tmp_path / "pages.tif", page=page)
        assert stored is not None
        assert (stored.page, stored.pages) == (page, 3)
        np.testing.assert_array_equal(stored.read(), pages[number])
    for page in (3, -1):
        with pytest.raises(ValueError, match=rf"there is no page {page + 1}: the file has 3"):
            open_tiff(tmp_path / "pages.tif", page=page)


def test_pages_that_run_in_a_circle(tmp_path: Path) -> None:
    pixels = noise(9, 13, 2, "u2")
    path = save(tmp_path / "circle.tif", pixels)
    data = bytearray(path.read_bytes())
    (start,) = struct.unpack_from("<I", data, 4)
    (count,) = struct.unpack_from("<H", data, start)
    struct.pack_into("<I", data, start + 2 + 12 * count, start)
    path.write_bytes(data)
    assert_stored(path, pixels)


@pytest.mark.parametrize(
    ("reason", "tags"),
    [
        ("complex numbers", {339: [6, 6, 6]}),
        ("JPEG2000 compression is not read", {259: 34712}),
        ("in 12345 compression is not read", {259: 12345}),
        ("floats of 24 bits", {258: [24, 24, 24], 339: [3, 3, 3]}),
        ("its channels differ in kind", {258: [16, 16, 8]}),
        ("predictor 9 for 16 bits", {317: 9}),
        ("predictor 3 for 16 bits", {317: 3}),
        ("0x9 with 3 channels is no image", {256: 0}),
        ("more than 4 GiB", {256: 2**31, 257: 2**31}),
        ("the file is truncated", {256: 20_000, 257: 20_000}),
        ("the file is truncated", {273: 100_000}),
        ("the file is truncated", {277: 60_000, 258: 16}),
        ("are larger than the image", {322: 65535, 323: 65535, 324: 8, 325: 702}),
        ("strips or tiles have no size", {278: 0}),
    ],
)
def test_the_reason_of_a_refusal(tmp_path: Path, reason: str, tags: dict[int, Any]) -> None:
    path = save(tmp_path / "refused.tif", noise(9, 13, 3, "u2"), compression="deflate", tags=tags)
    with pytest.raises(ValueError, match=reason) as caught:  # noqa: PT012
        stored = open_tiff(path)
        assert stored is not None
        stored.read()
    assert "\n" not in str(caught.value)
    with pytest.raises(ImageError, match=rf"refused\.tif: cannot be read: .*({reason}|decompression bomb)"):
        read_image(path)


def test_other_files_are_no_tiff(tmp_path: Path) -> None:
    Image.new("RGB", (4, 4)).save(tmp_path / "other.tif", "PNG")
    (tmp_path / "empty.tif").write_bytes(b"")
    assert open_tiff(tmp_path / "other.tif") is None
    assert open_tiff(tmp_path / "empty.tif") is None
    for start in (b"II*\0", b"MM\0+\0\x08\0\0", b"II*\0\xff\xff\xff\xff"):
        (tmp_path / "short.tif").write_bytes(start)
        with pytest.raises(ValueError, match=r"its tags are broken|there is no page 1|it has no tag"):
            open_tiff(tmp_path / "short.tif")


@pytest.mark.parametrize("compression", COMPRESSIONS)
@pytest.mark.parametrize("apart", [False, True])
def test_a_strip_may_not_hold_more_than_its_rows(tmp_path: Path, compression: str, apart: bool) -> None:
    """A lying strip is cut or refused; either way nothing of that size is made."""
    needs(compression)
    path = save(tmp_path / "bomb.tif", noise(4, 5, 2, "u2"), compression=compression, apart=apart)
    bomb = compressed(np.zeros((2000, 5000), np.uint8), compression)
    fields = {256: 5, 257: 4, 258: [16, 16], 259: COMPRESSIONS[compression], 262: 1, 277: 2, 284: 2 if apart else 1}
    fields |= {273: [8, 8] if apart else 8, 278: 4, 279: [len(bomb)] * 2 if apart else len(bomb)}
    path.write_bytes(assembled(bomb, fields))
    stored = open_tiff(path)
    assert stored is not None
    tracemalloc.start()
    refused = pytest.raises(ValueError, match="a strip holds more than the image")
    with refused if compression in ("deflate", "old-deflate", "lzma") else nullcontext():
        assert compression == "none" or not stored.read().any()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 9_000_000, "8 MB of it are the dictionary of LZMA"


@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_changed_bytes_raise_nothing_but_exceptions(tmp_path: Path, compression: str) -> None:
    needs(compression)
    generator = np.random.default_rng(0)
    for number, (dtype, apart, big) in enumerate(itertools.product(("u2", "f4"), (False, True), (False, True))):
        path = save(tmp_path / f"{number}.tif", noise(20, 21, 3, dtype), compression=compression, apart=apart, big=big,
                    rows=7)  # fmt: skip
        whole = path.read_bytes()
        for _ in range(40):
            data = bytearray(whole)
            for place in generator.integers(0, len(data), 3):
                data[place if generator.random() < 0.3 else -1 - place % 300] = int(generator.integers(256))
            path.write_bytes(data)
            with suppress(ImageError):
                read_image(path)


# --- beside Pillow ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("misread", "dtype", "samples", "options"),
    [
        (False, "u1", 1, {}),
        (False, "u1", 1, {"photometric": 0}),
        (False, "u1", 2, {}),
        (False, "u1", 3, {}),
        (False, "u1", 3, {"apart": True, "compression": "lzw"}),
        (False, "u1", 4, {}),
        (False, "u1", 4, {"extras": ()}),
        (False, "u1", 4, {"extras": (1,)}),
        (False, "u1", 4, {"photometric": 5}),
        (False, "u1", 3, {"photometric": 8}),
        (False, "u2", 1, {}),
        (True, "u2", 1, {"photometric": 0}),
        (True, "u2", 3, {}),
        (True, "u2", 4, {"apart": True}),
        (True, "u2", 4, {"photometric": 5}),
        (True, "u4", 1, {}),
        (True, "i1", 1, {}),
        (True, "i2", 1, {}),
        (True, "i4", 1, {}),
        (True, "f4", 1, {}),
        (True, "u1", 4, {"extras": (0,)}),
        (True, "u1", 5, {"extras": (0, 0)}),
        (True, "u1", 5, {"extras": (2, 0)}),
        (True, "u1", 5, {"photometric": 5, "extras": (0,)}),
        (True, "u1", 4, {"extras": (0,), "apart": True, "compression": "lzw"}),
        (True, "u1", 4, {"extras": (1,), "apart": True}),
        (True, "u1", 1, {"photometric": 0, "apart": True}),
        (True, "u2", 1, {"apart": True}),
        (False, "u1", 1, {"apart": True}),
        (False, "u1", 4, {"apart": True}),
    ],
)
def test_what_pillow_misreads(tmp_path: Path, misread: bool, dtype: str, samples: int, options: dict) -> None:
    with Image.open(save(tmp_path / "kind.tif", noise(9, 13, samples, dtype), **options)) as image:
        assert misread_by_pillow(image) == misread


@pytest.mark.parametrize("compression", COMPRESSIONS)
@pytest.mark.parametrize("apart", [False, True])
@pytest.mark.parametrize("tile", [None, (16, 16)])
def test_colour_of_16_bits(tmp_path: Path, compression: str, apart: bool, tile: Any) -> None:
    needs(compression)
    for samples, extras, channels in (
        (1, (), 1),
        (2, (2,), 2),
        (3, (), 3),
        (4, (2,), 4),
    ):
        pixels = noise(19, 21, samples, "u2")
        path = save(tmp_path / "deep.tif", pixels, compression=compression, apart=apart, tile=tile, extras=extras)
        picture = read_image(path)
        assert picture.bits == 16
        assert not picture.bands
        np.testing.assert_array_equal(picture.pixels, pixels[:, :, :channels])
        header = ImageHeader(width=21, height=19, channels=channels, bits=16, alpha=channels in (2, 4))
        assert read_header(path) == header
    for samples, extras in ((4, (0,)), (5, (0, 0)), (5, (2, 0))):  # more than colours and alpha: none is left out
        pixels = noise(19, 21, samples, "u2")
        path = save(tmp_path / "bands.tif", pixels, compression=compression, apart=apart, tile=tile, extras=extras)
        picture = read_image(path)
        assert picture.bands
        np.testing.assert_array_equal(picture.pixels, pixels)


@pytest.mark.parametrize("compression", ["none", "lzw", "deflate"])
@pytest.mark.parametrize("tile", [None, (16, 16)])
def test_white_is_zero_at_16_bits_as_at_8(tmp_path: Path, compression: str, tile: Any) -> None:
    values = noise(19, 21, 1, "u1")
    shallow = read_image(save(tmp_path / "8.tif", values, photometric=0, compression=compression, tile=tile))
    deep = read_image(
        save(tmp_path / "16.tif", values.astype("u2") * 257, photometric=0, compression=compression, tile=tile)
    )
    np.testing.assert_array_equal(shallow.pixels, 255 - values)
    np.testing.assert_array_equal(deep.pixels, shallow.pixels.astype("u2") * 257)


@pytest.mark.parametrize("apart", [False, True])
def test_cmyk_of_16_bits(tmp_path: Path, apart: bool) -> None:
    inks = noise(19, 21, 4, "u2")
    picture = read_image(save(tmp_path / "cmyk.tif", inks, photometric=5, apart=apart))
    share = 1 - inks / 65535
    expected = np.rint(65535 * share[:, :, :3] * share[:, :, 3:])
    assert picture.pixels.dtype == np.uint16
    assert picture.channels == 3
    assert np.abs(picture.pixels - expected).max() <= 1
    assert read_header(tmp_path / "cmyk.tif") == ImageHeader(width=21, height=19, channels=3, bits=16, alpha=False)
    twin = (inks >> 8).astype("u1")
    shallow = read_image(save(tmp_path / "8.tif", twin, photometric=5))
    same = read_image(save(tmp_path / "16.tif", twin.astype("u2") * 257, photometric=5, apart=apart))
    assert np.abs(same.pixels / 257 - shallow.pixels).max() <= 1


def ink_profile() -> bytes:
    """A CMYK profile of one table: from each mixture of full inks to Lab, and 16 of them to interpolate between."""

    def tag(kind: bytes, data: bytes) -> bytes:
        return kind + bytes(4) + data

    corners = []
    for inks in itertools.product((0, 1), repeat=4):  # the first channel slowest
        light = 90 - 60 * inks[3] - 10 * sum(inks[:3])
        corners.append((round(light * 2.55), 128 + 30 * inks[1] - 40 * inks[0], 128 + 50 * inks[2] - 30 * inks[0]))
    straight = bytes(range(256))
    identity = struct.pack(">9i", *(65536 if place % 4 == 0 else 0 for place in range(9)))
    lut = tag(b"mft1", struct.pack(">BBBB", 4, 3, 2, 0) + identity + straight * 4)
    lut += b"".join(bytes(corner) for corner in corners) + straight * 3
    white = tag(b"XYZ ", struct.pack(">3i", 63190, 65536, 54061))
    text = tag(b"text", b"inks\0")
    parts = [(b"A2B0", lut), (b"wtpt", white), (b"cprt", text), (b"desc", text)]
    table, body, place = struct.pack(">I", len(parts)), b"", 132 + 12 * len(parts)
    for name, part in parts:
        table += struct.pack(">4sII", name, place + len(body), len(part))
        body += part + bytes(-len(part) % 4)
    size = place + len(body)
    head = struct.pack(">I4sI4s4s4s12s4s", size, b"lcms", 0x02400000, b"prtr", b"CMYK", b"Lab ", bytes(12), b"acsp")
    head = head.ljust(68, b"\0") + struct.pack(">3i", 63190, 65536, 54061)
    return head.ljust(128, b"\0") + table + body


def test_cmyk_of_16_bits_by_its_profile(tmp_path: Path) -> None:
    twin, profile = noise(19, 21, 4, "u1"), ink_profile()
    shallow = read_image(save(tmp_path / "8.tif", twin, photometric=5, tags={34675: profile}))
    plain = read_image(save(tmp_path / "plain.tif", twin, photometric=5))
    assert np.abs(shallow.pixels.astype(int) - plain.pixels).mean() > 10, "the profile is used"
    deep = read_image(save(tmp_path / "16.tif", twin.astype("u2") * 257, photometric=5, tags={34675: profile}))
    np.testing.assert_array_equal(deep.pixels, shallow.pixels.astype("u2") * 257)
    assert deep.icc_profile is None, "the picture is RGB"

    ramp = np.zeros((1, 65536, 4), "u2")
    ramp[0, :, 3] = np.arange(65536)
    steps = np.diff(
        read_image(save(tmp_path / "ramp.tif", ramp, photometric=5, tags={34675: profile})).pixels[0, :, 1].astype(int)
    )
    assert steps.max() <= 0
    assert steps.min() > -10, "darker by many small steps"
