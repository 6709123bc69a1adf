"""HEIC files of every kind come out upright, with their depth, profile and pages."""

import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import ExifTags, Image, ImageCms

from translate.data.heif import open_heif
from translate.data.images import ImageError, ImageHeader, list_images, read_header, read_image

pillow_heif = pytest.importorskip("pillow_heif")
MODES = {1: "L", 3: "RGB", 4: "RGBA"}
LOSSLESS = {"quality": -1, "chroma": 444, "matrix_coefficients": 0, "full_range_flag": 1}


def noise(height: int, width: int, channels: int, dtype: str = "u1") -> np.ndarray:
    return np.random.default_rng(0).integers(0, np.iinfo(dtype).max + 1, (height, width, channels)).astype(dtype)


def save(path: Path, *images: np.ndarray, info: dict[str, Any] | None = None, **options: Any) -> Path:
    file = pillow_heif.HeifFile()
    for pixels in images:
        height, width, channels = pixels.shape
        mode = MODES[channels] + (";16" if pixels.dtype == np.uint16 else "")
        file.add_frombytes(mode, (width, height), pixels.tobytes()).info.update(info or {})
    file.save(path, **(LOSSLESS | options))
    return path


def assert_header_agrees(path: Path) -> None:
    picture = read_image(path)
    (width, height), channels = picture.size, picture.channels
    expected = ImageHeader(
        width=width, height=height, channels=channels, bits=picture.bits, alpha=picture.alpha is not None
    )
    assert read_header(path) == expected


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("size", [(64, 64), (37, 51)])
def test_8_bits(tmp_path: Path, channels: int, size: tuple[int, int]) -> None:
    pixels = noise(*size, channels)
    path = save(tmp_path / "photo.heic", pixels)
    np.testing.assert_array_equal(read_image(path).pixels, pixels)
    assert_header_agrees(path)


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("bits", [10, 12])
def test_more_than_8_bits(tmp_path: Path, channels: int, bits: int) -> None:
    pixels = noise(37, 51, channels, "u2")
    pixels[0, :2] = [[0], [65535]]
    path = save(tmp_path / "photo.hif", pixels, bit_depth=bits)
    picture = read_image(path)
    assert picture.bits == 16
    assert np.abs(picture.pixels.astype(int) - pixels).max() <= 65535 / (2**bits - 1)
    np.testing.assert_array_equal(picture.pixels[0, :2], pixels[0, :2], "black and white stay")
    assert_header_agrees(path)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_what_is_turned_twice_over_is_turned_once(tmp_path: Path, orientation: int) -> None:
    """Phones say it in the format and in EXIF; only the first counts."""
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    stored = noise(32, 48, 3)
    plain = Image.fromarray(stored)
    upright = stored
    for name, turn in {
        "FLIP_LEFT_RIGHT": 2, "ROTATE_180": 3, "FLIP_TOP_BOTTOM": 4, "TRANSPOSE": 5, "ROTATE_270": 6, "TRANSVERSE": 7,
        "ROTATE_90": 8,
    }.items():  # fmt: skip
        if turn == orientation:
            upright = np.asarray(plain.transpose(Image.Transpose[name]))
    path = save(tmp_path / "turned.heic", stored, info={"exif": exif.tobytes()})
    block = Image.Exif()
    block.load(pillow_heif.open_heif(path).info["exif"])
    assert block[ExifTags.Base.Orientation] == orientation
    np.testing.assert_array_equal(read_image(path).pixels, upright)
    assert_header_agrees(path)


def test_profile(tmp_path: Path) -> None:
    data = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    for place in range(132, 132 + 12 * int.from_bytes(data[128:132], "big"), 12):
        name = bytes(data[place : place + 4])
        data[place : place + 4] = {b"rXYZ": b"bXYZ", b"bXYZ": b"rXYZ"}.get(name, name)
    profile = bytes(data)
    for dtype in ("u1", "u2"):
        red = np.zeros((32, 32, 3), dtype)
        red[:, :, 0] = np.iinfo(dtype).max
        info = {"icc_profile": profile, "icc_profile_type": "prof"}
        picture = read_image(save(tmp_path / "photo.heic", red, info=info))
        assert picture.icc_profile == profile
        assert picture.pixels[0, 0, 2] > 0.98 * np.iinfo(dtype).max, "red and blue are exchanged by the profile"


def test_pages_without_thumbnails(tmp_path: Path) -> None:
    images = [noise(128, 160, 3), noise(96, 80, 1), noise(64, 64, 4)]
    path = save(tmp_path / "burst.heif", *images, primary_index=1, info={"thumbnails": [64]})
    assert read_image(path).size == (80, 96), "the primary image comes first"
    for page, number in enumerate((1, 0, 2)):
        stored = open_heif(path, page=page)
        assert stored is not None
        assert (stored.page, stored.pages) == (page, 3)
        assert np.abs(stored.read().astype(int) - images[number]).max() <= 1
    with pytest.raises(ValueError, match="there is no page 4: the file has 3"):
        open_heif(path, page=3)


def test_the_content_decides(tmp_path: Path) -> None:
    pixels = noise(32, 32, 3)
    np.testing.assert_array_equal(
        read_image(save(tmp_path / "a.heic", pixels).rename(tmp_path / "a.jpg")).pixels, pixels
    )
    path = save(tmp_path / "b.heic", pixels)
    path.write_bytes(path.read_bytes().replace(b"heic", b"mif1", 1))
    np.testing.assert_array_equal(read_image(path).pixels, pixels)
    Image.fromarray(pixels).save(tmp_path / "png.heic", "PNG")
    np.testing.assert_array_equal(read_image(tmp_path / "png.heic").pixels, pixels)
    assert len(list_images(tmp_path)) == 3


def test_a_large_one_is_refused_before_it_is_decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = save(tmp_path / "large.heic", noise(64, 64, 3))
    monkeypatch.setattr(pillow_heif.HeifImage, "load", lambda image: pytest.fail("decoded"))
    with pytest.raises(ImageError, match=r"large\.heic: 64x64 is over the limit of 4,095 pixels"):
        read_image(path, max_pixels=4095)


@pytest.mark.parametrize("share", [0.01, 0.1, 0.5, 0.9])
def test_torn_files_are_refused_in_one_line(tmp_path: Path, share: float) -> None:
    path = save(tmp_path / "torn.heic", noise(64, 64, 3))
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    with pytest.raises(ImageError, match=r"torn\.heic: ") as caught:
        read_image(path)
    assert "\n" not in str(caught.value)


def test_without_the_package_the_install_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = save(tmp_path / "photo.heic", noise(32, 32, 3))
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    for read in (read_image, read_header):
        with pytest.raises(ImageError, match=r'photo\.heic: .*pip install pillow-heif, or "image-translate\[demo\]"'):
            read(path)


def test_many_threads_read_the_same(tmp_path: Path) -> None:
    images = [noise(64, 64 + 2 * number, 3) for number in range(4)]
    paths = [save(tmp_path / f"{number}.heic", pixels) for number, pixels in enumerate(images)]
    with ThreadPoolExecutor(max_workers=8) as pool:
        for place, picture in enumerate(pool.map(read_image, paths * 6)):
            np.testing.assert_array_equal(picture.pixels, images[place % 4])


@pytest.mark.parametrize("dtype", ["u1", "u2"])
def test_primaries_that_are_named_by_a_number(tmp_path: Path, dtype: str) -> None:
    top = np.iinfo(dtype).max
    pixels = np.zeros((64, 64, 3), dtype)
    pixels[:, :32] = np.array([0.5, 0.5, 0.5]) * top
    pixels[:, 32:] = np.array([0.9, 0.2, 0.2]) * top
    options = {"save_nclx_profile": True, "transfer_characteristics": 13, "matrix_coefficients": 0}
    plain = read_image(save(tmp_path / "srgb.heic", pixels, color_primaries=1, **options)).pixels / top
    wide = read_image(save(tmp_path / "p3.heic", pixels, color_primaries=12, **options)).pixels / top
    np.testing.assert_allclose(plain[0, [0, -1]], pixels[0, [0, -1]] / top, atol=0.002)
    np.testing.assert_allclose(wide[0, 0], plain[0, 0], atol=0.003)
    # By hand: to light, by the matrix from Display P3 to sRGB, and back.
    light = np.where(plain[0, -1] > 0.04045, ((plain[0, -1] + 0.055) / 1.055) ** 2.4, plain[0, -1] / 12.92)
    matrix = [[1.2249, -0.2247, 0.0], [-0.0420, 1.0419, 0.0], [-0.0197, -0.0786, 1.0979]]
    light = np.clip(np.array(matrix) @ light, 0, 1)
    expected = np.where(light > 0.0031308, 1.055 * light ** (1 / 2.4) - 0.055, light * 12.92)
    np.testing.assert_allclose(wide[0, -1], expected, atol=0.01)
    with pytest.raises(ImageError, match="high dynamic range"):
        read_image(save(tmp_path / "hdr.heic", pixels, color_primaries=9, **options | {"transfer_characteristics": 16}))
