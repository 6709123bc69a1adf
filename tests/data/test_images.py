"""Odd files in, upright sRGB pixels out; each test makes its own files."""

import io
import subprocess
import sys
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import ExifTags, Image, ImageCms

from translate.data import images
from translate.data.images import (
    ImageError,
    ImageHeader,
    Picture,
    composite,
    convert,
    from_pil,
    list_images,
    read_header,
    read_image,
    to_pil,
    write_image,
)


def noise(height: int = 9, width: int = 13, channels: int = 3, *, bits: int = 8) -> np.ndarray:
    values = np.random.default_rng(0).integers(0, 2**bits, (height, width, channels))
    return values.astype(np.uint8 if bits == 8 else np.uint16)


def smooth(height: int = 24, width: int = 32) -> np.ndarray:
    """A colour gradient, which JPEG keeps closely. [H, W, 3] uint8."""
    y, x = np.mgrid[:height, :width]
    return np.stack([40 + 5 * x, 60 + 5 * y, 100 + 2 * x + 2 * y], axis=2).astype(np.uint8)


def wide_gamut_profile() -> bytes:
    """A valid RGB matrix profile that is not sRGB: the sRGB profile with its red and blue colorants exchanged."""
    data = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    count = int.from_bytes(data[128:132], "big")
    for place in range(132, 132 + 12 * count, 12):
        name = bytes(data[place : place + 4])
        data[place : place + 4] = {b"rXYZ": b"bXYZ", b"bXYZ": b"rXYZ"}.get(name, name)
    return bytes(data)


def assert_header_agrees(path: Path) -> None:
    picture = read_image(path)
    width, height = picture.size
    expected = ImageHeader(
        width=width,
        height=height,
        channels=picture.channels,
        bits=picture.bits,
        alpha=picture.alpha is not None,
    )
    assert read_header(path) == expected


# --- Picture ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("channels", "colours"), [(1, 1), (2, 1), (3, 3), (4, 3)])
@pytest.mark.parametrize("bits", [8, 16])
def test_picture_properties(channels: int, colours: int, bits: int) -> None:
    pixels = noise(5, 7, channels, bits=bits)
    picture = Picture(pixels=pixels[:, ::-1])
    assert picture.size == (7, 5)
    assert (picture.channels, picture.bits) == (channels, bits)
    assert picture.pixels.flags["C_CONTIGUOUS"]
    assert picture.colour.shape == (5, 7, colours)
    if channels in (2, 4):
        assert picture.alpha is not None
        np.testing.assert_array_equal(picture.alpha, pixels[:, ::-1, -1:])
    else:
        assert picture.alpha is None


@pytest.mark.parametrize(
    "pixels",
    [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 5), np.uint8), np.zeros((4, 4, 3)), np.zeros((0, 4, 3), "u1")],
)
def test_picture_refuses_other_arrays(pixels: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"an image is \[H, W, 1 to 4\] of uint8 or uint16"):
        Picture(pixels=pixels)


# --- reading ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("a.svg", "is a vector graphic; export it as PNG"),
        ("a.DNG", "is the raw data of a camera; develop it first"),
        ("a.exr", "is a high-dynamic-range image; save it as a TIFF of 32-bit floats"),
        ("a.mp4", "is a video; take its frames out first"),
        ("a.zip", "is an archive; unpack it first"),
        ("a.tga", "is an image of a format that is not read; convert it"),
        ("a.png", "is not an image that can be read"),
    ],
)
def test_what_is_not_read_is_named(tmp_path: Path, name: str, reason: str) -> None:
    (tmp_path / name).write_bytes(b"anything else, some bytes long")
    with pytest.raises(ImageError, match=f"{name}: {reason}"):
        read_image(tmp_path / name)
    Image.fromarray(smooth()).save(tmp_path / name, "PNG")
    assert read_image(tmp_path / name).size == (32, 24), "the content decides"


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", ["png", "jpg", "tif", "webp"])
def test_orientation_is_applied(tmp_path: Path, orientation: int, suffix: str) -> None:
    upright = Image.fromarray(smooth())
    # What a camera stores: the inverse of the turn that the orientation asks for.
    turn = Image.Transpose
    inverse = {
        2: turn.FLIP_LEFT_RIGHT,
        3: turn.ROTATE_180,
        4: turn.FLIP_TOP_BOTTOM,
        5: turn.TRANSPOSE,
        6: turn.ROTATE_90,
        7: turn.TRANSVERSE,
        8: turn.ROTATE_270,
    }
    stored = upright.transpose(inverse[orientation]) if orientation > 1 else upright
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    path = tmp_path / f"turned.{suffix}"
    options: dict[str, dict[str, Any]] = {"jpg": {"quality": 100, "subsampling": 0}, "webp": {"lossless": True}}
    stored.save(path, exif=exif, **options.get(suffix, {}))
    picture = read_image(path)
    assert picture.size == (32, 24)
    assert np.abs(picture.pixels.astype(int) - smooth()).max() <= (4 if suffix == "jpg" else 0)
    assert_header_agrees(path)


@pytest.mark.parametrize("exif", [b"Exif\x00\x00broken", b"Exif\x00\x00MM\x00*\x00\x00\x00\x08\xff\xff\x01\x12", b""])
def test_broken_exif_is_ignored(tmp_path: Path, exif: bytes) -> None:
    path = tmp_path / "broken_exif.jpg"
    Image.fromarray(smooth()).save(path, exif=exif)
    assert read_image(path).size == (32, 24)
    assert_header_agrees(path)


@pytest.mark.parametrize("mode", ["I;16", "I;16B"])
@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_16_bit_grey_keeps_its_depth(tmp_path: Path, mode: str, suffix: str) -> None:
    values = noise(9, 13, 1, bits=16)
    values[0, :3, 0] = 0, 255, 65535
    image = Image.frombytes(mode, (13, 9), values.astype("<u2" if mode == "I;16" else ">u2").tobytes())
    path = tmp_path / f"deep.{suffix}"
    image.save(path)
    picture = read_image(path)
    assert picture.pixels.dtype == np.uint16
    np.testing.assert_array_equal(picture.pixels, values)
    np.testing.assert_array_equal(from_pil(image).pixels, values)
    assert_header_agrees(path)


def test_16_bit_pgm_and_transparent_16_bit_png(tmp_path: Path) -> None:
    values = noise(9, 13, 1, bits=16)
    (tmp_path / "deep.pgm").write_bytes(b"P5 13 9 65535\n" + values.astype(">u2").tobytes())
    np.testing.assert_array_equal(read_image(tmp_path / "deep.pgm").pixels, values)
    assert_header_agrees(tmp_path / "deep.pgm")

    Image.fromarray(values[:, :, 0]).save(tmp_path / "key.png", transparency=int(values[4, 5, 0]))
    picture = read_image(tmp_path / "key.png")
    np.testing.assert_array_equal(picture.colour, values)
    assert picture.alpha is not None
    np.testing.assert_array_equal(picture.alpha, np.where(values == values[4, 5, 0], 0, 65535))
    assert_header_agrees(tmp_path / "key.png")


@pytest.mark.parametrize("values", [[0.0, 0.5, 1.0], [-3.0, 0.0, 3.0], [float("nan"), 0.5, 1e9], [0, 7, 200]])
def test_floats_are_measured_values(tmp_path: Path, values: list[float]) -> None:
    stored = np.array([values], np.float32)
    Image.fromarray(stored).save(tmp_path / "float.tif")
    for picture in (read_image(tmp_path / "float.tif"), from_pil(Image.fromarray(stored))):
        assert picture.bands
        np.testing.assert_array_equal(picture.pixels[:, :, 0], stored)
    header = read_header(tmp_path / "float.tif")
    assert (header.channels, header.bits, header.alpha, header.dtype) == (1, 16, False, "float32")


def test_32_bit_integers_of_files_are_measured_values_and_small_ones_of_pil_16_bit_grey(tmp_path: Path) -> None:
    stored = np.array([[0, 40_000, 65_535]], np.int32)
    Image.fromarray(stored).save(tmp_path / "whole.tif")
    assert read_image(tmp_path / "whole.tif").pixels.dtype == np.int32
    np.testing.assert_array_equal(from_pil(Image.fromarray(stored)).pixels[:, :, 0], stored)
    assert from_pil(Image.fromarray(stored)).pixels.dtype == np.uint16
    assert from_pil(Image.fromarray(stored - 1)).bands  # something is negative


def test_palette_bilevel_and_transparency_keys(tmp_path: Path) -> None:
    colours = np.array([[255, 0, 0], [0, 255, 0], [0, 0, 255]], np.uint8)
    places = np.array([[0, 1], [2, 1]], np.uint8)
    palette = Image.fromarray(places).copy()
    palette.putpalette(colours.tobytes())
    palette.save(tmp_path / "palette.png")
    palette.save(tmp_path / "key.png", transparency=1)
    palette.save(tmp_path / "table.png", transparency=bytes([255, 128, 0]))
    np.testing.assert_array_equal(read_image(tmp_path / "palette.png").pixels, colours[places])
    for name, alpha in (("key.png", [255, 0, 255]), ("table.png", [255, 128, 0])):
        picture = read_image(tmp_path / name)
        assert picture.channels == 4
        assert picture.alpha is not None
        np.testing.assert_array_equal(picture.alpha[:, :, 0], np.array(alpha)[places])
        opaque = picture.pixels[:, :, 3] > 0
        np.testing.assert_array_equal(picture.colour[opaque], colours[places][opaque])

    Image.fromarray(colours[places]).save(tmp_path / "rgb_key.png", transparency=(0, 0, 255))
    np.testing.assert_array_equal(read_image(tmp_path / "rgb_key.png").pixels[:, :, 3], [[255, 255], [0, 255]])
    Image.fromarray(places == 1).save(tmp_path / "bilevel.png")
    np.testing.assert_array_equal(read_image(tmp_path / "bilevel.png").pixels[:, :, 0], [[0, 255], [0, 255]])
    for path in tmp_path.iterdir():
        assert_header_agrees(path)


def test_cmyk_ycbcr_lab_and_grey_alpha(tmp_path: Path) -> None:
    image = Image.fromarray(smooth())
    image.convert("CMYK").save(tmp_path / "cmyk.jpg", quality=100, subsampling=0)
    image.convert("CMYK").save(tmp_path / "cmyk.tif")
    image.save(tmp_path / "ycbcr.tif", compression="jpeg", quality=100)
    for name, tolerance in (("cmyk.jpg", 6), ("cmyk.tif", 1), ("ycbcr.tif", 6)):
        picture = read_image(tmp_path / name)
        assert np.abs(picture.pixels.astype(int) - smooth()).max() <= tolerance, name
        assert_header_agrees(tmp_path / name)

    Image.new("LAB", (4, 3), (255, 128, 128)).save(tmp_path / "white.tif")  # L = 100, a = b = 0
    assert read_image(tmp_path / "white.tif").pixels.min() >= 253
    grey_alpha = noise(channels=2)
    Image.fromarray(grey_alpha).save(tmp_path / "la.png")
    np.testing.assert_array_equal(read_image(tmp_path / "la.png").pixels, grey_alpha)
    assert_header_agrees(tmp_path / "la.png")


def test_first_frame_of_an_animation(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (6, 5), colour) for colour in ("red", "lime", "blue")]
    for suffix in ("gif", "webp", "png"):
        path = tmp_path / f"animated.{suffix}"
        options: dict[str, Any] = {"lossless": True} if suffix == "webp" else {}
        frames[0].save(path, save_all=True, append_images=frames[1:], **options)
        picture = read_image(path)
        np.testing.assert_array_equal(picture.colour, np.broadcast_to([255, 0, 0], (5, 6, 3)))


def test_icc_profile_is_applied_and_kept(tmp_path: Path) -> None:
    profile = wide_gamut_profile()
    red = np.zeros((4, 4, 3), np.uint8)
    red[:, :, 0] = 255
    for suffix in ("png", "jpg", "tif", "webp"):
        Image.fromarray(red).save(tmp_path / f"tagged.{suffix}", icc_profile=profile, quality=100)
        picture = read_image(tmp_path / f"tagged.{suffix}")
        assert picture.icc_profile == profile
        assert picture.pixels[0, 0, 2] > 250, "red and blue are exchanged by the profile"
        assert picture.pixels[0, 0, 0] < 5

    alpha = noise(4, 4, 1)
    Image.fromarray(np.concatenate([red, alpha], axis=2)).save(tmp_path / "rgba.png", icc_profile=profile)
    picture = read_image(tmp_path / "rgba.png")
    assert picture.pixels[0, 0, 2] > 250
    np.testing.assert_array_equal(picture.alpha, alpha)


def test_a_profile_that_is_broken_or_of_another_space_is_ignored(tmp_path: Path) -> None:
    Image.fromarray(smooth()).save(tmp_path / "broken.png", icc_profile=b"not a profile")
    Image.fromarray(smooth()[:, :, 0]).save(tmp_path / "grey.png", icc_profile=wide_gamut_profile())
    for name, pixels in (("broken.png", smooth()), ("grey.png", smooth()[:, :, :1])):
        picture = read_image(tmp_path / name)
        assert picture.icc_profile is None
        np.testing.assert_array_equal(picture.pixels, pixels)


@pytest.mark.parametrize(("width", "height"), [(1, 1), (3000, 40), (255, 257)])
def test_sizes_and_names(tmp_path: Path, width: int, height: int) -> None:
    path = tmp_path / "näme with späces 日本.PNG"
    pixels = noise(height, width)
    write_image(path, Picture(pixels=pixels))
    np.testing.assert_array_equal(read_image(path).pixels, pixels)
    assert_header_agrees(path)


def test_a_suffix_may_lie(tmp_path: Path) -> None:
    pixels = noise()
    Image.fromarray(pixels).save(tmp_path / "really.png")
    (tmp_path / "really.png").rename(tmp_path / "claims.jpg")
    np.testing.assert_array_equal(read_image(tmp_path / "claims.jpg").pixels, pixels)


def png_claiming(width: int, height: int) -> bytes:
    """A PNG of a few bytes whose header claims a size."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return len(data).to_bytes(4, "big") + name + data + zlib.crc32(name + data).to_bytes(4, "big")

    header = width.to_bytes(4, "big") + height.to_bytes(4, "big") + b"\x08\x02\x00\x00\x00"
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0")) + chunk(b"IEND", b"")


def bad_file(folder: Path, kind: str) -> Path:
    path = folder / f"{kind}.jpg"
    if kind == "text":
        path.write_text("this is not a picture\n" * 20)
    elif kind == "empty":
        path.write_bytes(b"")
    elif kind == "bomb":
        path.write_bytes(png_claiming(60_000, 60_000))
    elif kind == "folder":
        path.mkdir()
    elif kind.startswith("truncated"):
        buffer = io.BytesIO()
        Image.fromarray(noise(64, 64)).save(buffer, kind.removeprefix("truncated_"))
        path.write_bytes(buffer.getvalue()[: len(buffer.getvalue()) * 6 // 10])
    return path


BAD = [
    "text",
    "empty",
    "bomb",
    "folder",
    "missing",
    "truncated_jpeg",
    "truncated_png",
    "truncated_tiff",
    "truncated_webp",
]


@pytest.mark.parametrize("kind", BAD)
def test_what_cannot_be_read_is_one_line(tmp_path: Path, kind: str) -> None:
    path = bad_file(tmp_path, kind)
    with pytest.raises(ImageError) as caught:
        read_image(path)
    text = str(caught.value)
    assert path.name in text
    assert "\n" not in text
    expected = {
        "text": "is not an image",
        "empty": "the file is empty",
        "bomb": "exceeds limit",
        "folder": "is a folder",
        "missing": "no such file",
    }
    assert expected.get(kind, "cannot be read") in text
    if not kind.startswith("truncated"):
        with pytest.raises(ImageError, match=path.name):
            read_header(path)


def test_max_pixels(tmp_path: Path) -> None:
    Image.fromarray(noise(10, 10)).save(tmp_path / "small.png")
    assert read_image(tmp_path / "small.png", max_pixels=100).size == (10, 10)
    with pytest.raises(ImageError, match=r"small\.png: 10x10 is over the limit of 99 pixels"):
        read_image(tmp_path / "small.png", max_pixels=99)


def test_nothing_leaks_to_stderr(tmp_path: Path) -> None:
    """Large images, broken EXIF and broken files, in a fresh process with every warning switched on."""
    Image.new("1", (10_000, 9_500)).save(tmp_path / "over_the_warning.png")
    Image.fromarray(smooth()).save(tmp_path / "exif.jpg", exif=b"Exif\x00\x00II*\x00\x08\x00\x00\x00\x05\x00\x12\x01")
    Image.fromarray(smooth()[:, :, 0]).convert("P").save(tmp_path / "p.png", transparency=b"\x00\x80")
    for kind in BAD:
        if kind != "missing":
            bad_file(tmp_path, kind)
    code = (
        "import sys, pathlib\n"
        "from translate.data.images import ImageError, read_header, read_image\n"
        "opened = 0\n"
        "for path in sorted(pathlib.Path(sys.argv[1]).iterdir()):\n"
        "    for read in (read_header, read_image):\n"
        "        try:\n"
        "            read(path); opened += 1\n"
        "        except ImageError:\n"
        "            pass\n"
        "print(opened)\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "always", "-c", code, str(tmp_path)], capture_output=True, text=True, check=True
    )
    assert done.stderr == ""
    assert int(done.stdout) >= 6


def test_many_threads_read_the_same(tmp_path: Path) -> None:
    paths = []
    for number in range(8):
        paths.append(tmp_path / f"{number}.png")
        Image.fromarray(noise(40, 40) // (number + 1)).save(paths[-1], icc_profile=wide_gamut_profile())
    alone = [read_image(path).pixels for path in paths]
    with ThreadPoolExecutor(max_workers=8) as pool:
        together = list(pool.map(lambda path: read_image(path).pixels, paths * 6))
    for place, pixels in enumerate(together):
        np.testing.assert_array_equal(pixels, alone[place % len(paths)])


# --- PIL, alpha, depth -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("channels", "bits", "mode"), [(1, 8, "L"), (2, 8, "LA"), (3, 8, "RGB"), (4, 8, "RGBA")])
def test_pil_round_trip(channels: int, bits: int, mode: str) -> None:
    pixels = noise(channels=channels, bits=bits)
    image = to_pil(Picture(pixels=pixels))
    assert image.mode == mode
    np.testing.assert_array_equal(from_pil(image).pixels, pixels)


def test_pil_round_trip_16_bits() -> None:
    pixels = noise(channels=1, bits=16)
    image = to_pil(Picture(pixels=pixels))
    assert image.mode == "I;16"
    np.testing.assert_array_equal(from_pil(image).pixels, pixels)
    assert to_pil(Picture(pixels=noise(bits=16))).mode == "RGB"


@pytest.mark.parametrize(
    "mode", ["1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr", "HSV"]
)
def test_from_pil_takes_every_mode(mode: str) -> None:
    # Pillow converts to some modes from their neighbour alone.
    source = Image.fromarray(smooth()).convert({"La": "LA", "PA": "P", "RGBa": "RGBA"}.get(mode, "RGB"))
    picture = from_pil(source.convert(mode))
    assert picture.size == (32, 24)
    assert picture.channels == {"1": 1, "L": 1, "LA": 2, "La": 2, "PA": 4, "RGBA": 4, "RGBa": 4}.get(mode, 3)


def test_composite() -> None:
    pixels = np.array([[[10, 20, 30, 0], [10, 20, 30, 255], [100, 0, 200, 128]]], np.uint8)
    white = composite(Picture(pixels=pixels))
    np.testing.assert_array_equal(white.pixels, [[[255, 255, 255], [10, 20, 30], [177, 127, 227]]])
    black = composite(Picture(pixels=pixels), background=(0, 0, 0))
    np.testing.assert_array_equal(black.pixels[0, 2], [50, 0, 100])
    deep = np.array([[[1000, 0], [1000, 65535], [65535, 65535], [0, 32768]]], np.uint16)
    np.testing.assert_array_equal(composite(Picture(pixels=deep)).pixels[0, :, 0], [65535, 1000, 65535, 32767])
    opaque = Picture(pixels=noise())
    assert composite(opaque) is opaque


def test_convert_matches_its_definition() -> None:
    rgb = noise(16, 16)
    luma = np.rint(rgb.astype(np.float64) @ [0.299, 0.587, 0.114])
    np.testing.assert_allclose(convert(rgb, channels=1, bits=8)[:, :, 0], luma, atol=0)
    deep = noise(16, 16, bits=16)
    np.testing.assert_array_equal(convert(deep, channels=3, bits=8), np.rint(deep / 257))
    np.testing.assert_array_equal(convert(rgb, channels=3, bits=16), rgb.astype(int) * 257)
    every = np.arange(256, dtype=np.uint8).reshape(16, 16, 1)
    back = convert(convert(every, channels=3, bits=16), channels=1, bits=8)
    assert back.dtype == np.uint8
    np.testing.assert_array_equal(back, every)
    with pytest.raises(ValueError, match="expected 1 or 3 channels"):
        convert(rgb, channels=4, bits=8)


# --- writing ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [".png", ".tif", ".TIFF", ".webp", ".bmp"])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_lossless_formats_keep_pixels_and_alpha(tmp_path: Path, suffix: str, channels: int) -> None:
    picture = Picture(pixels=noise(channels=channels))
    path = tmp_path / f"written{suffix}"
    write_image(path, picture)
    again = read_image(path)
    if suffix == ".bmp":  # no alpha in BMP: over white
        np.testing.assert_array_equal(again.pixels, composite(picture).pixels)
    elif suffix == ".webp":  # no grey in WebP
        np.testing.assert_array_equal(again.colour, convert(picture.colour, channels=3, bits=8))
    else:
        np.testing.assert_array_equal(again.pixels, picture.pixels)
    if suffix != ".bmp" and picture.alpha is not None:
        np.testing.assert_array_equal(again.alpha, picture.alpha)
    assert [item.name for item in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize(
    ("suffix", "bits"), [(".png", 16), (".tif", 16), (".webp", 8), (".bmp", 8), (".jpg", 8), (".avif", 8)]
)
@pytest.mark.parametrize("colours", [1, 3])
def test_16_bits_are_kept_where_the_format_can(tmp_path: Path, suffix: str, bits: int, colours: int) -> None:
    pixels = np.linspace(0, 65535, 24 * 32).reshape(24, 32, 1).astype(np.uint16).repeat(colours, axis=2)
    write_image(tmp_path / f"deep{suffix}", Picture(pixels=pixels))
    again = read_image(tmp_path / f"deep{suffix}")
    assert again.bits == bits
    expected = convert(pixels, channels=again.channels, bits=bits).astype(int)
    assert np.abs(again.pixels - expected).max() <= (3 if suffix in (".jpg", ".avif") else 0)


def test_16_bit_colour_comes_back_to_the_last_bit(tmp_path: Path) -> None:
    for channels in (2, 3, 4):
        for suffix in (".png", ".tif"):
            pixels = noise(channels=channels, bits=16)
            write_image(tmp_path / f"deep{suffix}", Picture(pixels=pixels))
            np.testing.assert_array_equal(read_image(tmp_path / f"deep{suffix}").pixels, pixels)
            assert_header_agrees(tmp_path / f"deep{suffix}")


def test_an_image_that_pil_opened_has_8_bits(tmp_path: Path) -> None:
    pixels = noise(bits=16)
    write_image(tmp_path / "deep.png", Picture(pixels=pixels))
    with Image.open(tmp_path / "deep.png") as image:
        np.testing.assert_array_equal(from_pil(image).pixels, pixels >> 8)
    np.testing.assert_array_equal(np.asarray(to_pil(Picture(pixels=pixels))), np.rint(pixels / 257))


def test_jpeg_composites_and_has_a_quality(tmp_path: Path) -> None:
    pixels = np.concatenate([smooth(), np.zeros((24, 32, 1), np.uint8)], axis=2)
    write_image(tmp_path / "clear.jpg", Picture(pixels=pixels))
    assert read_image(tmp_path / "clear.jpg").pixels.min() >= 253
    sizes = []
    for quality in (20, 90):
        write_image(tmp_path / "q.jpeg", Picture(pixels=noise(64, 64)), quality=quality)
        sizes.append((tmp_path / "q.jpeg").stat().st_size)
    assert sizes[0] < sizes[1]
    write_image(tmp_path / "lossy.webp", Picture(pixels=noise(64, 64)), quality=20)
    assert not np.array_equal(read_image(tmp_path / "lossy.webp").pixels, noise(64, 64))


@pytest.mark.skipif("AVIF" not in Image.SAVE, reason="this Pillow has no AVIF")
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("size", [(1, 1), (1, 9), (37, 41)])
def test_avif(tmp_path: Path, channels: int, size: tuple[int, int]) -> None:
    pixels = noise(*size, channels)
    write_image(tmp_path / "close.avif", Picture(pixels=pixels))
    again = read_image(tmp_path / "close.avif")
    assert np.abs(again.colour.astype(int) - convert(Picture(pixels=pixels).colour, channels=3, bits=8)).max() <= 3
    if channels in (2, 4):
        np.testing.assert_array_equal(again.alpha, pixels[:, :, -1:])
    write_image(tmp_path / "small.avif", Picture(pixels=noise(64, 64)), quality=20)
    write_image(tmp_path / "large.avif", Picture(pixels=noise(64, 64)))
    assert (tmp_path / "small.avif").stat().st_size < (tmp_path / "large.avif").stat().st_size / 2


def test_a_pillow_without_the_format_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(Image.SAVE, "AVIF", raising=False)
    with pytest.raises(ImageError, match=r"a\.avif: this Pillow cannot write AVIF: pip install --upgrade pillow"):
        write_image(tmp_path / "a.avif", Picture(pixels=noise()))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("suffix", ["png", "jpg", "tif", "webp", "avif"])
def test_the_icc_profile_is_converted_back_and_embedded(tmp_path: Path, suffix: str) -> None:
    profile = wide_gamut_profile()
    stored = smooth()
    Image.fromarray(stored).save(tmp_path / "tagged.png", icc_profile=profile)
    picture = read_image(tmp_path / "tagged.png")
    path = tmp_path / f"again.{suffix}"
    write_image(path, picture)
    with Image.open(path) as image:
        assert image.info["icc_profile"] == profile
        raw = np.asarray(image.convert("RGB")).astype(int)
    assert np.abs(raw - stored).max() <= (8 if suffix == "jpg" else 3)
    assert np.abs(read_image(path).pixels.astype(int) - picture.pixels).max() <= (8 if suffix == "jpg" else 3)


@pytest.mark.parametrize("profile", [b"not a profile", wide_gamut_profile()])
def test_a_profile_that_does_not_fit_is_left_out(tmp_path: Path, profile: bytes) -> None:
    pixels = noise(channels=1)  # an RGB profile does not fit grey pixels
    write_image(tmp_path / "plain.png", Picture(pixels=pixels, icc_profile=profile))
    with Image.open(tmp_path / "plain.png") as image:
        assert "icc_profile" not in image.info
    np.testing.assert_array_equal(read_image(tmp_path / "plain.png").pixels, pixels)


def test_unknown_suffix_quality_and_missing_folder(tmp_path: Path) -> None:
    picture = Picture(pixels=noise())
    with pytest.raises(ImageError, match=r"out\.gif: cannot write '\.gif'; use one of \.png \.jpg"):
        write_image(tmp_path / "out.gif", picture)
    with pytest.raises(ImageError, match="no suffix"):
        write_image(tmp_path / "out", picture)
    with pytest.raises(ImageError, match="quality is 1 to 100, not 0"):
        write_image(tmp_path / "out.jpg", picture, quality=0)
    with pytest.raises(ImageError, match="the folder does not exist"):
        write_image(tmp_path / "nowhere" / "out.png", picture)
    with pytest.raises(ImageError, match=r"wide\.webp: cannot be written"):
        write_image(tmp_path / "wide.webp", Picture(pixels=noise(1, 20_000)))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("when", ["write_bytes", "replace"])
def test_a_failed_write_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    path = tmp_path / "kept.png"
    write_image(path, Picture(pixels=noise()))
    before = path.read_bytes()

    def half_written(self: Path, data: bytes) -> int:
        with open(self, "wb") as file:
            file.write(data[: len(data) // 2])
        raise OSError(28, "No space left on device")

    def refused(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    if when == "write_bytes":
        monkeypatch.setattr(Path, "write_bytes", half_written)
    else:
        monkeypatch.setattr(images.os, "replace", refused)
    with pytest.raises(ImageError, match=r"kept\.png: cannot be written: (No space left|Permission denied)"):
        write_image(path, Picture(pixels=noise(20, 20)))
    monkeypatch.undo()
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_in_the_way_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "taken.png").mkdir()
    with pytest.raises(ImageError, match=r"taken\.png: cannot be written"):
        write_image(tmp_path / "taken.png", Picture(pixels=noise()))
    assert [item.name for item in tmp_path.iterdir()] == ["taken.png"]


# --- listing ---------------------------------------------------------------------------------------------------------


def test_list_images(tmp_path: Path) -> None:
    for name in ("10.jpg", "2.JPG", "1.png", ".hidden.png", "notes.txt", "sub/3.webp", ".git/4.png", "sub/deep/5.tiff"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    assert [path.name for path in list_images(tmp_path)] == ["1.png", "2.JPG", "10.jpg"]
    assert [path.name for path in list_images(tmp_path, recursive=True)] == [
        "1.png",
        "2.JPG",
        "10.jpg",
        "3.webp",
        "5.tiff",
    ]
    with pytest.raises(ImageError, match="no such folder"):
        list_images(tmp_path / "nowhere")


def test_links_are_listed_but_not_in_circles(tmp_path: Path) -> None:
    for name in ("set/1.png", "set/sub/2.png", "more/3.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    try:
        (tmp_path / "set" / "4.png").symlink_to("1.png")
        (tmp_path / "set" / "linked").symlink_to(tmp_path / "more")
        (tmp_path / "more" / "back").symlink_to(tmp_path / "set")
        (tmp_path / "set" / "sub" / "up").symlink_to("..")
        (tmp_path / "set" / "gone.png").symlink_to("nowhere.png")  # said when it is read
    except OSError:
        pytest.skip("links are not allowed here")
    names = [path.relative_to(tmp_path).as_posix() for path in list_images(tmp_path / "set", recursive=True)]
    assert names == ["set/1.png", "set/4.png", "set/gone.png", "set/linked/3.png", "set/sub/2.png"]
