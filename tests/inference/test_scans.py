"""Large TIFFs row by row: the same pixels as whole ones, and files that other programs read."""

from __future__ import annotations

import errno
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import torch
from PIL import Image, ImageCms

from translate.blocks import maps
from translate.config.networks import ResNetConfig, UNetConfig
from translate.config.weights import WeightsConfig
from translate.data.images import ImageError, Picture, read_image, write_image
from translate.inference import Translator, files, scans, translate_files
from translate.inference.scans import open_scan, write_scan
from translate.networks import build_network, initialise

HEIGHT, WIDTH = 83, 70


def pixels_of(channels: int, dtype: Any, *, seed: int = 0) -> np.ndarray:
    """A smooth image with noise, [H, W, C], alpha last."""
    drawn = np.random.default_rng(seed)
    top = np.iinfo(dtype).max
    ramp = np.linspace(0, 0.9 * top, HEIGHT * WIDTH * channels).reshape(HEIGHT, WIDTH, channels)
    return (ramp + drawn.uniform(0, 0.1 * top, ramp.shape)).astype(dtype)


def save(path: Path, pixels: np.ndarray, **options: Any) -> Path:
    """A TIFF by tifffile."""
    channels = pixels.shape[2]
    kind = {"photometric": "rgb" if channels > 2 else "minisblack", "planarconfig": "contig" if channels > 1 else None}
    kind |= {"extrasamples": ["unassalpha"] if channels in (2, 4) else None, "metadata": None}
    if options.get("planarconfig") == "separate":
        pixels = pixels.transpose(2, 0, 1)
    tifffile.imwrite(path, pixels if channels > 1 else pixels[:, :, 0], **(kind | options))
    return path


LAYOUTS: dict[str, dict[str, Any]] = {
    "one strip": {},
    "strips": {"rowsperstrip": 7},
    "deflated": {"rowsperstrip": 11, "compression": "zlib", "predictor": True},
    "tiles": {"tile": (32, 16)},
    "deflated tiles": {"tile": (16, 32), "compression": "zlib"},
    "planes": {"planarconfig": "separate", "rowsperstrip": 5},
    "big-endian": {"byteorder": ">", "rowsperstrip": 9},
    "BigTIFF": {"bigtiff": True, "rowsperstrip": 9},
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(("channels", "dtype"), [(1, np.uint8), (3, np.uint8), (3, np.uint16), (4, np.uint16)])
def test_rows_are_those_of_the_whole(tmp_path: Path, layout: str, channels: int, dtype: Any) -> None:
    if channels == 1 and layout == "planes":
        pytest.skip("one channel has no planes")
    path = save(tmp_path / "scan.tif", pixels_of(channels, dtype), **LAYOUTS[layout])
    scan, whole = open_scan(path), read_image(path)
    assert scan is not None
    assert (scan.size, scan.bits, scan.pages) == (whole.size, whole.bits, 1)
    for low, high in [(0, 1), (0, HEIGHT), (5, 38), (30, 31), (10, 12), (HEIGHT - 1, HEIGHT)]:
        rows = scan.rows(low, high)
        assert np.array_equal(rows.pixels, whole.pixels[low:high])
        assert rows.icc_profile == whole.icc_profile


def test_rows_by_pillow_in_a_profile(tmp_path: Path) -> None:
    icc = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    image = Image.fromarray(pixels_of(3, np.uint8))
    for compression in ("tiff_lzw", "packbits", "jpeg", None):
        path = tmp_path / f"{compression}.tif"
        image.save(path, compression=compression, icc_profile=icc, strip_size=2048)
        scan, whole = open_scan(path), read_image(path)
        assert scan is not None
        assert np.array_equal(scan.rows(0, HEIGHT).pixels, whole.pixels)
        assert scan.rows(20, 30).icc_profile == whole.icc_profile


def test_alpha_of_nothing_is_ignored_and_other_alpha_is_not(tmp_path: Path) -> None:
    pixels = pixels_of(4, np.uint8)
    pixels[:, :, 3] = 0
    scan = open_scan(save(tmp_path / "nothing.tif", pixels, rowsperstrip=8))
    assert scan is not None
    assert scan.rows(0, 10).channels == 3
    pixels[-1, -1, 3] = 9
    scan = open_scan(save(tmp_path / "little.tif", pixels, rowsperstrip=8))
    assert scan is not None
    assert scan.rows(0, 10).channels == 4


def test_what_is_not_read_row_by_row(tmp_path: Path) -> None:
    Image.fromarray(pixels_of(3, np.uint8)).convert("P").save(tmp_path / "palette.tif")
    tifffile.imwrite(tmp_path / "floats.tif", pixels_of(1, np.uint8)[:, :, 0].astype(np.float32))
    save(tmp_path / "turned.tif", pixels_of(3, np.uint8), extratags=[(274, 3, 1, 6, True)])
    Image.fromarray(pixels_of(3, np.uint8)).save(tmp_path / "photo.png")
    (tmp_path / "torn.tif").write_bytes(b"II*\0\x08\0\0\0")
    for name in ("palette.tif", "floats.tif", "turned.tif", "photo.png", "torn.tif", "none.tif"):
        assert open_scan(tmp_path / name) is None, name


@pytest.mark.parametrize(
    ("channels", "dtype"), [(1, np.uint8), (2, np.uint8), (3, np.uint8), (3, np.uint16), (4, np.uint16)]
)
def test_strips_of_any_height_become_one_file(tmp_path: Path, channels: int, dtype: Any) -> None:
    pixels = pixels_of(channels, dtype)
    cuts = [0, 1, 30, 31, 80, HEIGHT]
    parts = [Picture(pixels=pixels[low:high]) for low, high in pairwise(cuts)]
    write_scan(tmp_path / "made.tif", iter(parts), height=HEIGHT)
    assert np.array_equal(read_image(tmp_path / "made.tif").pixels, pixels)
    assert [path.name for path in tmp_path.iterdir()] == ["made.tif"]
    if dtype == np.uint8:
        with Image.open(tmp_path / "made.tif") as image:  # libtiff
            assert np.array_equal(np.asarray(image).reshape(pixels.shape), pixels)


def test_files_above_4_gib_are_bigtiff(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scans, "_CLASSIC_BYTES", 1000)
    pixels = pixels_of(3, np.uint8)
    write_scan(tmp_path / "made.tif", [Picture(pixels=pixels)], height=HEIGHT)
    assert (tmp_path / "made.tif").read_bytes()[:4] == b"II+\0"
    assert np.array_equal(read_image(tmp_path / "made.tif").pixels, pixels)


def translator(**network: Any) -> Translator:
    """A small one with instance norm."""
    torch.manual_seed(0)
    config = UNetConfig(width=8, depth=3) if network.pop("unet", False) else ResNetConfig(width=8, num_blocks=1)
    config = replace(config, **network)
    weights = WeightsConfig(kind="translator", name="small", network=config)
    return Translator(initialise(build_network(config), kind="kaiming"), weights, device="cpu")


@pytest.mark.parametrize("network", [{}, {"norm": "batch"}, {"unet": True}])
@pytest.mark.parametrize(("channels", "dtype"), [(3, np.uint8), (4, np.uint16)])
def test_a_scan_is_translated_as_the_whole_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, network: dict[str, Any], channels: int, dtype: Any
) -> None:
    model = translator(**network)
    path = save(tmp_path / "scan.tif", pixels_of(channels, dtype), rowsperstrip=6, compression="zlib")
    translate_files(model, [path], [tmp_path / "whole.tif"], tile=32)
    monkeypatch.setattr(files, "SCAN_PIXELS", 1000)
    read: list[Path] = []
    monkeypatch.setattr(files.ImageSource, "read", lambda source: read.append(source.path))
    summary = translate_files(model, [path, path], [tmp_path / "rows.tif", tmp_path / "again.tif"], tile=32)
    assert read == []  # never whole
    assert summary.written == [tmp_path / "rows.tif", tmp_path / "again.tif"]
    assert summary.in_parts == 2
    assert np.array_equal(read_image(tmp_path / "rows.tif").pixels, read_image(tmp_path / "whole.tif").pixels)


def test_maps_on_disk_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    model, image = translator(), pixels_of(3, np.uint8)
    whole = model(image, tile=16)
    monkeypatch.setattr(maps, "ALWAYS_IN_MEMORY", 0)
    monkeypatch.setattr(maps, "free_memory", lambda: 0)
    files_made = []
    own = maps._in_file
    monkeypatch.setattr(maps, "_in_file", lambda size: files_made.append(size) or own(size))
    assert np.array_equal(model(image, tile=16), whole)
    assert files_made


def test_a_torn_scan_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "SCAN_PIXELS", 1000)
    path = save(tmp_path / "scan.tif", pixels_of(3, np.uint8), rowsperstrip=6, compression="zlib")
    data = bytearray(path.read_bytes())
    data[-3000:-2000] = bytes(1000)
    path.write_bytes(data)
    out = tmp_path / "out"
    out.mkdir()
    summary = translate_files(translator(), [path], [out / "made.tif"], tile=32)
    assert "scan.tif: cannot be read" in summary.failed[path]
    assert list(out.iterdir()) == []


def test_a_full_disk_names_the_need(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(tifffile.TiffWriter, "write", full)
    with pytest.raises(
        ImageError, match=r"made.tif: cannot be written: No space left on device \(it takes up to 0\.0 GB\)"
    ):
        write_scan(tmp_path / "made.tif", [Picture(pixels=pixels_of(3, np.uint8))], height=HEIGHT)
    assert list(tmp_path.iterdir()) == []


def test_a_profile_is_applied_row_by_row(tmp_path: Path) -> None:
    icc = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    picture = Picture(pixels=pixels_of(4, np.uint16), icc_profile=icc)
    write_image(tmp_path / "whole.tif", picture)
    parts = [replace(picture, pixels=picture.pixels[low : low + 20]) for low in range(0, HEIGHT, 20)]
    write_scan(tmp_path / "rows.tif", parts, height=HEIGHT)
    for one, other in [(read_image(tmp_path / "rows.tif"), read_image(tmp_path / "whole.tif"))]:
        assert np.array_equal(one.pixels, other.pixels)
        assert one.icc_profile == other.icc_profile == icc
