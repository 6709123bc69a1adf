"""16-bit colour comes out of every kind of PNG and TIFF to the last bit, and goes back."""

import struct
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import ExifTags, Image

from translate.data import deep, tiff
from translate.data.images import ImageError, ImageHeader, Picture, read_header, read_image, write_image

PNG_TYPES = {1: 0, 2: 4, 3: 2, 4: 6}
PASSES = [(0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1)]


def noise(height: int, width: int, channels: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 65536, (height, width, channels)).astype(np.uint16)


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def filtered(values: np.ndarray, *, step: int) -> bytes:
    """Rows of bytes, each by another of PNG's five filters, as their definitions say it."""
    rows, above = bytearray(), [0] * values.shape[1]
    for number, row in enumerate(values.tolist()):
        kind = number % 5
        rows.append(kind)
        for place, value in enumerate(row):
            left = row[place - step] if place >= step else 0
            up, corner = above[place], above[place - step] if place >= step else 0
            paeth = min((left, up, corner), key=lambda near: abs(left + up - corner - near))
            rows.append((value - (0, left, up, (left + up) // 2, paeth)[kind]) % 256)
        above = row
    return bytes(rows)


def save_png(
    path: Path, pixels: np.ndarray, *, interlaced: bool = False, before: bytes = b"", after: bytes = b""
) -> Path:
    """A 16-bit PNG made byte by byte; with chunks before and after the pixels."""
    height, width, channels = pixels.shape
    parts = [pixels[y::down, x::right] for y, x, down, right in PASSES] if interlaced else [pixels]
    data = b"".join(
        filtered(part.astype(">u2").view(np.uint8).reshape(len(part), -1), step=2 * channels)
        for part in parts
        if part.size
    )
    header = struct.pack(">IIBBBBB", width, height, 16, PNG_TYPES[channels], 0, 0, interlaced)
    pieces = [chunk(b"IHDR", header), before, chunk(b"IDAT", zlib.compress(data)), after, chunk(b"IEND", b"")]
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(pieces))
    return path


def save_tiff(path: Path, pixels: np.ndarray, *, apart: bool = False, alpha: str = "unassalpha", **options) -> Path:
    channels = pixels.shape[2]
    tifffile.imwrite(
        path,
        np.moveaxis(pixels, -1, 0) if apart else pixels,
        photometric="rgb" if channels > 2 else "minisblack",
        planarconfig="separate" if apart else "contig",
        extrasamples=[alpha] if channels in (2, 4) else None,
        metadata=None,
        **options,
    )
    return path


def save_lzw(path: Path, pixels: np.ndarray) -> Path:
    """LZW as Pillow packs it for 8 bits: the same bytes under other tags."""
    height, width, channels = pixels.shape
    values = pixels.astype("<u2").view(np.uint8).reshape(height, -1, 3 if channels == 3 else 4)
    Image.fromarray(values).save(path, compression="tiff_lzw")
    with tifffile.TiffFile(path, mode="r+b") as file:
        tags = file.pages[0].tags
        changes = {"ImageWidth": width, "BitsPerSample": (16,) * channels, "SamplesPerPixel": channels}
        for name, value in (changes | {"PhotometricInterpretation": 2 if channels > 2 else 1}).items():
            tags[name].overwrite(value)
    return path


def assert_read(path: Path, pixels: np.ndarray) -> None:
    picture = read_image(path)
    assert picture.pixels.dtype == np.uint16
    np.testing.assert_array_equal(picture.pixels, pixels)
    height, width, channels = pixels.shape
    assert read_header(path) == ImageHeader(
        width=width, height=height, channels=channels, bits=16, alpha=channels in (2, 4)
    )


# --- reading ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("interlaced", [False, True])
@pytest.mark.parametrize("size", [(1, 1), (7, 5), (23, 31)])
def test_png(tmp_path: Path, channels: int, interlaced: bool, size: tuple[int, int]) -> None:
    pixels = noise(*size, channels)
    assert_read(save_png(tmp_path / "deep.png", pixels, interlaced=interlaced), pixels)


@pytest.mark.parametrize("channels", [2, 3, 4])
@pytest.mark.parametrize("apart", [False, True])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"byteorder": ">"},
        {"byteorder": "<", "rowsperstrip": 3},
        {"tile": (16, 32)},
        {"compression": "zlib"},
        {"compression": "zlib", "predictor": True, "byteorder": ">"},
        {"compression": "zlib", "predictor": True, "tile": (16, 16)},
        {"bigtiff": True, "byteorder": "<"},
    ],
    ids=str,
)
def test_tiff(tmp_path: Path, channels: int, apart: bool, options: dict[str, object]) -> None:
    pixels = noise(23, 37, channels)
    assert_read(save_tiff(tmp_path / "deep.tif", pixels, apart=apart, **options), pixels)


@pytest.mark.parametrize("channels", [2, 3, 4])
def test_tiff_in_lzw(tmp_path: Path, channels: int) -> None:
    pixels = noise(23, 38, channels)
    assert_read(save_lzw(tmp_path / "deep.tif", pixels), pixels)


def test_of_channels_apart_and_packed_by_others_16_bits_are_read(tmp_path: Path) -> None:
    pixels = noise(9, 12, 3)
    assert_read(save_tiff(tmp_path / "apart.tif", pixels, apart=True, compression="lzma"), pixels)


@pytest.mark.parametrize("channels", [2, 4])
@pytest.mark.parametrize("apart", [False, True])
def test_alpha_that_was_multiplied_in_is_divided_out(tmp_path: Path, channels: int, apart: bool) -> None:
    pixels = noise(9, 12, channels)
    pixels[0, :4, -1] = 0, 1, 32768, 65535
    alpha = pixels[:, :, -1:].astype(np.float64)
    stored = np.concatenate([np.rint(pixels[:, :, :-1] * alpha / 65535), alpha], axis=2).astype(np.uint16)
    picture = read_image(save_tiff(tmp_path / "deep.tif", stored, apart=apart, alpha="assocalpha"))
    np.testing.assert_array_equal(picture.alpha, pixels[:, :, -1:])
    tolerance = np.where(alpha > 0, np.ceil(65535 / np.maximum(alpha, 1)), 0)  # half a step of what was stored
    expected = np.where(alpha > 0, pixels[:, :, :-1], 0)
    assert (np.abs(picture.colour.astype(np.float64) - expected) <= tolerance).all()


@pytest.mark.parametrize("apart", [False, True])
def test_a_fourth_channel_that_is_no_alpha_is_a_band(tmp_path: Path, apart: bool) -> None:
    pixels = noise(9, 12, 4)  # red, green, blue and near infrared
    path = save_tiff(tmp_path / "deep.tif", pixels, apart=apart, alpha="unspecified")
    picture = read_image(path)
    assert picture.bands
    assert picture.alpha is None
    np.testing.assert_array_equal(picture.pixels, pixels)
    header = read_header(path)
    assert (header.channels, header.bits, header.alpha, header.dtype) == (4, 16, False, "uint16")


def test_a_transparent_colour_has_16_bits(tmp_path: Path) -> None:
    pixels = noise(9, 12, 3)
    pixels[2, 3] = pixels[4, 5] = 1000, 2000, 3000
    pixels[6, 7] = 1000, 2000, 3001
    path = save_png(tmp_path / "key.png", pixels, before=chunk(b"tRNS", struct.pack(">3H", 1000, 2000, 3000)))
    alpha = np.full((9, 12, 1), 65535, np.uint16)
    alpha[2, 3] = alpha[4, 5] = 0
    assert_read(path, np.concatenate([pixels, alpha], axis=2))


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("channels", [2, 3])
def test_orientation(tmp_path: Path, orientation: int, channels: int) -> None:
    upright = noise(9, 12, channels)
    turned = {
        1: lambda a: a,
        2: lambda a: a[:, ::-1],
        3: lambda a: np.rot90(a, 2),
        4: lambda a: a[::-1],
        5: lambda a: np.swapaxes(a, 0, 1),
        6: lambda a: np.rot90(a, 1),  # what a camera stores: the inverse of the turn that is asked for
        7: lambda a: np.rot90(np.swapaxes(a, 0, 1), 2),
        8: lambda a: np.rot90(a, -1),
    }
    stored = np.ascontiguousarray(turned[orientation](upright))
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    block = chunk(b"eXIf", exif.tobytes().removeprefix(b"Exif\0\0"))
    assert_read(save_png(tmp_path / "before.png", stored, before=block), upright)
    behind = read_image(save_png(tmp_path / "behind.png", stored, after=block))
    np.testing.assert_array_equal(behind.pixels, upright)
    tag = [(int(ExifTags.Base.Orientation), "H", 1, orientation, True)]
    for apart in (False, True):
        assert_read(save_tiff(tmp_path / "deep.tif", stored, apart=apart, extratags=tag), upright)


def test_a_suffix_may_lie(tmp_path: Path) -> None:
    pixels = noise(9, 12, 3)
    assert_read(save_png(tmp_path / "png.tif", pixels), pixels)
    assert_read(save_tiff(tmp_path / "tiff.png", pixels), pixels)


def test_many_threads_read_the_same(tmp_path: Path) -> None:
    pixels = [noise(40 + number, 50, 3) for number in range(4)]
    paths = [save_tiff(tmp_path / f"{number}.tif", each) for number, each in enumerate(pixels[:2])]
    paths += [save_png(tmp_path / f"{number}.png", each) for number, each in enumerate(pixels[2:])]
    with ThreadPoolExecutor(max_workers=8) as pool:
        for place, picture in enumerate(pool.map(read_image, paths * 6)):
            np.testing.assert_array_equal(picture.pixels, pixels[place % 4])


# --- bad files -------------------------------------------------------------------------------------------------------


def kinds(folder: Path) -> list[Path]:
    pixels = noise(40, 50, 3)
    return [
        save_png(folder / "rgb.png", pixels),
        save_png(folder / "grey_alpha.png", pixels[:, :, :2]),
        save_tiff(folder / "plain.tif", pixels),
        save_tiff(folder / "packed.tif", pixels, compression="zlib"),
        save_tiff(folder / "apart.tif", pixels, apart=True),
        save_tiff(folder / "apart_packed.tif", pixels, apart=True, compression="zlib"),
        save_tiff(folder / "grey_alpha.tif", pixels[:, :, :2]),
        save_lzw(folder / "lzw.tif", pixels),
    ]


@pytest.mark.parametrize("share", [0.02, 0.3, 0.6, 0.95])
def test_torn_files_are_refused_in_one_line(tmp_path: Path, share: float) -> None:
    for path in kinds(tmp_path):
        data = path.read_bytes()
        path.write_bytes(data[: int(len(data) * share)])
        with pytest.raises(ImageError) as caught:
            read_image(path)
        assert path.name in str(caught.value)
        assert "\n" not in str(caught.value)


def test_changed_bytes_are_refused_where_the_file_can_tell(tmp_path: Path) -> None:
    for path in kinds(tmp_path):
        if path.name in ("plain.tif", "apart.tif", "grey_alpha.tif", "lzw.tif"):
            continue  # without a checksum
        data = bytearray(path.read_bytes())
        middle = len(data) // 2
        data[middle : middle + 8] = bytes(value ^ 0x5A for value in data[middle : middle + 8])
        path.write_bytes(data)
        with pytest.raises(ImageError, match=rf"{path.name}: cannot be read"):
            read_image(path)


def test_files_over_the_limit_are_refused_before_they_are_decoded(tmp_path: Path) -> None:
    for path in kinds(tmp_path):
        assert read_image(path, max_pixels=2000).size == (50, 40)
        with pytest.raises(ImageError, match=rf"{path.name}: 50x40 is over the limit of 1,999 pixels"):
            read_image(path, max_pixels=1999)


def test_a_strip_that_holds_more_than_the_image_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tiff, "_SPARE_BYTES", 1000)
    path = save_tiff(tmp_path / "bomb.tif", noise(40, 50, 3), apart=True, compression="zlib", rowsperstrip=40)
    bomb = zlib.compress(bytes(50_000))
    with tifffile.TiffFile(path, mode="r+b") as file:
        tags = file.pages[0].tags
        offsets, counts = tags["StripOffsets"].value, tags["StripByteCounts"].value
        file.filehandle.seek(offsets[0])
        file.filehandle.write(bomb)
        tags["StripByteCounts"].overwrite((len(bomb), *counts[1:]))
    with pytest.raises(ImageError, match=r"bomb\.tif: cannot be read: a strip holds more than the image"):
        read_image(path)


# --- writing ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [".png", ".tif"])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("size", [(1, 1), (1, 40), (40, 1), (37, 41)])
def test_what_is_written_is_read(tmp_path: Path, suffix: str, channels: int, size: tuple[int, int]) -> None:
    pixels = noise(*size, channels)
    write_image(tmp_path / f"deep{suffix}", Picture(pixels=pixels))
    assert_read(tmp_path / f"deep{suffix}", pixels)


@pytest.mark.parametrize("channels", [2, 3, 4])
@pytest.mark.parametrize("rows_bytes", [1, 500, 2**22])
def test_a_png_does_not_depend_on_how_many_rows_are_packed_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, channels: int, rows_bytes: int
) -> None:
    monkeypatch.setattr(deep, "_ROWS_BYTES", rows_bytes)
    pixels = noise(20, 30, channels)
    pixels[5:15] = 12345  # flat areas, and an edge between the two
    write_image(tmp_path / "deep.png", Picture(pixels=pixels))
    assert_read(tmp_path / "deep.png", pixels)


def test_other_readers_understand_the_files(tmp_path: Path) -> None:
    for channels, mode in ((3, "RGB"), (4, "RGBA")):
        pixels = noise(20, 30, channels)
        for suffix in (".png", ".tif"):
            write_image(tmp_path / f"deep{suffix}", Picture(pixels=pixels))
            with Image.open(tmp_path / f"deep{suffix}") as image:
                assert image.mode == mode
                np.testing.assert_array_equal(np.asarray(image), pixels >> 8)
        np.testing.assert_array_equal(tifffile.imread(tmp_path / "deep.tif"), pixels)
    Image.open(tmp_path / "deep.png").verify()


def test_gradients_are_packed(tmp_path: Path) -> None:
    y, x = np.mgrid[:200, :300]
    pixels = np.stack([100 * x + y, 50 * y + x, 20000 + 60 * x], axis=2).astype(np.uint16)
    for suffix in (".png", ".tif"):
        write_image(tmp_path / f"deep{suffix}", Picture(pixels=pixels))
        assert (tmp_path / f"deep{suffix}").stat().st_size < pixels.nbytes / 5


@pytest.mark.parametrize("suffix", [".jpg", ".webp", ".bmp"])
def test_formats_of_8_bits_round(tmp_path: Path, suffix: str) -> None:
    y, x = np.mgrid[:32, :40]
    pixels = np.stack([1500 * x, 2000 * y, 700 * (x + y)], axis=2).astype(np.uint16)
    write_image(tmp_path / f"deep{suffix}", Picture(pixels=pixels))
    again = read_image(tmp_path / f"deep{suffix}")
    assert again.bits == 8
    assert np.abs(again.pixels - np.rint(pixels / 257)).max() <= (6 if suffix == ".jpg" else 0)
