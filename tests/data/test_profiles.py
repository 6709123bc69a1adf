"""ICC profiles at 16 bits: as Little CMS converts them at 8, and finer."""

import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms

from translate.data import profiles
from translate.data.deep import encode_png, encode_tiff
from translate.data.images import Picture, read_image, write_image
from translate.data.profiles import deep_from_srgb, deep_to_srgb, from_srgb, to_srgb

# Columns: red, green and blue in XYZ at D50; of a wide space, near that of Adobe RGB (1998).
WIDE = np.array([[0.60974, 0.20528, 0.14919], [0.31111, 0.62567, 0.06322], [0.01947, 0.06087, 0.74457]])
WHITE = (0.96420, 1.0, 0.82491)


def fixed(*values: float) -> bytes:
    return struct.pack(f">{len(values)}i", *(round(value * 65536) for value in values))


def xyz(*values: float) -> bytes:
    return b"XYZ \0\0\0\0" + fixed(*values)


def curv(*points: int) -> bytes:
    return b"curv\0\0\0\0" + struct.pack(f">I{len(points)}H", len(points), *points)


def para(kind: int, *parameters: float) -> bytes:
    return b"para\0\0\0\0" + struct.pack(">HH", kind, 0) + fixed(*parameters)


def profile(space: bytes, tags: dict[bytes, bytes], *, connection: bytes = b"XYZ ") -> bytes:
    """A monitor profile, version 4."""
    names = {b"desc": b"mluc\0\0\0\0" + struct.pack(">II", 0, 12), b"cprt": b"mluc\0\0\0\0" + struct.pack(">II", 0, 12)}
    tags = names | {b"wtpt": xyz(*WHITE)} | tags
    table, data = struct.pack(">I", len(tags)), b""
    start = 132 + 12 * len(tags)
    for name, content in tags.items():
        table += struct.pack(">4sII", name, start + len(data), len(content))
        data += content + bytes(-len(content) % 4)
    header = struct.pack(">I4sI", start + len(data), b"lcms", 0x04300000) + b"mntr" + space + connection
    header += bytes(12) + b"acsp" + bytes(28) + fixed(*WHITE)
    return header.ljust(128, b"\0") + table + data


def rgb_profile(curve: bytes, matrix: np.ndarray = WIDE) -> bytes:
    columns = {name: xyz(*column) for name, column in zip((b"rXYZ", b"gXYZ", b"bXYZ"), matrix.T, strict=True)}
    return profile(b"RGB ", columns | dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), curve))


CURVES = {
    "line": curv(),
    "gamma": curv(round(2.2 * 256)),
    "points": curv(*(round(65535 * (step / 200) ** 1.8) for step in range(201))),
    "para 0": para(0, 2.2),
    "para 1": para(1, 2.0, 1.05, -0.05),
    "para 2": para(2, 1.9, 0.9, 0.05, 0.02),  # its black is not quite black
    "para 3": para(3, 2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045),
    "para 4": para(4, 2.4, 0.93, 0.05, 0.07, 0.04, 0.005, 0.005),
}


def table_profile() -> bytes:
    """The wide profile with gamma 2.2 once more, as a table into XYZ: lut16Type, ICC.1:2022, 10.10."""
    gamma, line = np.tile(np.linspace(0, 1, 1024) ** 2.2, (3, 1)), np.tile([0.0, 1.0], (3, 1))
    corners = np.stack(np.meshgrid([0, 1], [0, 1], [0, 1], indexing="ij"), axis=-1).reshape(8, 3)
    nodes = (corners @ WIDE.T) * (32768 / 65535)  # XYZ of 1 is half of what 16 bits hold
    head = b"mft2\0\0\0\0" + bytes([3, 3, 2, 0]) + fixed(*np.eye(3).ravel()) + struct.pack(">HH", 1024, 2)
    values = b"".join(np.rint(part * 65535).astype(">u2").tobytes() for part in (gamma, nodes, line))
    return profile(b"RGB ", {b"A2B0": head + values})


def colours(channels: int = 3) -> np.ndarray:
    """[H, W, C] uint16: the values of 8 bits, random and grey, so that Little CMS converts the very same."""
    values = np.random.default_rng(0).integers(0, 256, (40, 64, channels))
    values[:4] = np.arange(256).reshape(4, 64, 1)
    return (values * 257).astype(np.uint16)


def as_pil(pixels: np.ndarray) -> Image.Image:
    values = (pixels // 257).astype(np.uint8)
    return Image.fromarray(values[:, :, 0] if pixels.shape[2] == 1 else values)


def steps_of_8_bits(pixels: np.ndarray, image: Image.Image) -> np.ndarray:
    """How far 16-bit pixels are from an 8-bit image, in its steps."""
    return np.abs(pixels / 257 - np.asarray(image).reshape(pixels.shape))


@pytest.mark.parametrize("curve", CURVES)
@pytest.mark.parametrize("inward", [True, False])
def test_curves_and_a_matrix_agree_with_little_cms(curve: str, inward: bool) -> None:
    icc, pixels = rgb_profile(CURVES[curve]), colours()
    deep, kept = (deep_to_srgb if inward else deep_from_srgb)(pixels, icc)
    image, kept_of_8 = (to_srgb if inward else from_srgb)(as_pil(pixels), icc)
    assert kept == kept_of_8 == icc
    assert np.abs(deep.astype(int) - pixels).max() > 257  # something was converted
    # Half a step is the rounding of 8 bits. Little CMS is up to 15 steps from its own floats in dark colours at 8 bits,
    # most of all where black is raised; this module is within 1 of 65535 of them.
    assert (np.quantile(steps_of_8_bits(deep, image), [0.9, 0.98]) <= [0.51, 1.1]).all()


def srgb_of(light: np.ndarray) -> np.ndarray:
    return np.where(light > 0.0031308, 1.055 * light ** (1 / 2.4) - 0.055, 12.92 * light)


@pytest.mark.parametrize("connection", [b"XYZ ", b"Lab "])
def test_grey_profiles(connection: bytes) -> None:
    icc = profile(b"GRAY", {b"kTRC": curv(512)}, connection=connection)  # a gamma of 2
    pixels = np.arange(65536).astype(np.uint16).reshape(256, 256, 1)
    light = (pixels / 65535) ** 2
    if connection == b"Lab ":  # the curve gives L*
        light = np.where(light > 0.08, ((light + 0.16) / 1.16) ** 3, light * 2700 / 24389)
    deep, kept = deep_to_srgb(pixels, icc)
    assert kept == icc
    assert np.abs(deep - srgb_of(light) * 65535).max() < 2
    of_8_bits = deep_to_srgb(colours(1), icc)[0]
    assert steps_of_8_bits(of_8_bits, to_srgb(as_pil(colours(1)), icc)[0]).max() < 1.3
    again, kept = deep_from_srgb(deep, icc)
    assert kept == icc
    steep = 600 if connection == b"XYZ " else 4000  # dark values that sRGB holds together
    assert np.abs(again.astype(int) - pixels)[pixels > steep].max() <= 16


def test_the_srgb_profile_changes_nothing() -> None:
    icc = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    pixels = np.arange(65536).astype(np.uint16).reshape(256, 256, 1).repeat(3, axis=2)
    assert np.abs(deep_to_srgb(pixels, icc)[0].astype(int) - pixels).max() <= 1


@pytest.mark.parametrize("curve", ["gamma", "points", "para 3"])
def test_there_and_back_at_16_bits(curve: str) -> None:
    icc = rgb_profile(CURVES[curve])
    ramp = np.linspace(6000, 62000, 4096).astype(np.uint16).reshape(64, 64)
    pixels = np.stack([ramp, ramp // 5 * 4 + 3000, ramp // 3 * 2 + 5000], axis=2)
    inside, _ = deep_from_srgb(pixels, icc)  # sRGB lies within the wide space
    again, _ = deep_to_srgb(inside, icc)
    assert np.abs(again.astype(int) - pixels).max() <= 4
    assert len(np.unique(inside[:, :, 0])) > 3000  # 8 bits would leave 256


def test_tables_are_interpolated() -> None:
    ramp = np.linspace(15000, 55000, 4096).astype(np.uint16).reshape(64, 64)
    pixels = np.stack([ramp, ramp // 5 * 4 + 6000, ramp // 3 * 2 + 9000], axis=2)
    by_table, kept = deep_to_srgb(pixels, table_profile())
    assert kept == table_profile()
    exact, _ = deep_to_srgb(pixels, rgb_profile(CURVES["gamma"]))
    assert np.abs(by_table.astype(int) - exact).max() < 257  # what 8 bits are good for
    assert len(np.unique(by_table[:, :, 0])) > 2000
    assert (np.diff(by_table[:, :, 0].ravel().astype(int)) >= 0).all()


@pytest.mark.parametrize("convert", [to_srgb, from_srgb])
@pytest.mark.parametrize("channels", [1, 3])
def test_neighbours_give_the_8_bit_conversion_where_the_values_are_of_8_bits(
    monkeypatch: pytest.MonkeyPatch, channels: int, convert: Callable[..., tuple[Image.Image, bytes | None]]
) -> None:
    icc = rgb_profile(CURVES["points"]) if channels == 3 else profile(b"GRAY", {b"kTRC": CURVES["points"]})
    pixels = colours(channels)[:9]
    output, _ = profiles._by_neighbours(pixels, lambda image: convert(image, icc))
    assert steps_of_8_bits(output, convert(as_pil(pixels), icc)[0]).max() == 0
    monkeypatch.setattr(profiles, "_MANY_ROWS", 3 * pixels.shape[1])
    np.testing.assert_array_equal(profiles._by_neighbours(pixels, lambda image: convert(image, icc))[0], output)


def test_a_table_that_leads_one_way_is_not_used_for_the_other() -> None:
    output, kept = deep_from_srgb(colours(), table_profile())
    assert kept is None
    assert from_srgb(as_pil(colours()), table_profile())[1] is None
    np.testing.assert_array_equal(output, colours())


BROKEN = {
    "nothing": b"",
    "no profile": b"not a profile",
    "another space": rgb_profile(CURVES["gamma"]),
    "a curve cut off": profile(b"GRAY", {b"kTRC": CURVES["points"][:40]}),
    "no curves": profile(b"GRAY", {}),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_profiles_that_are_broken_or_do_not_fit_are_left_out(kind: str) -> None:
    pixels = colours(1)
    for convert in (deep_to_srgb, deep_from_srgb):
        output, kept = convert(pixels, BROKEN[kind])
        assert kept is None
        np.testing.assert_array_equal(output, pixels)


@pytest.mark.parametrize(
    "curve", [b"none\0\0\0\0", para(0, -3.0), para(9, 1.0), para(1, 2.0, 0.0, 0.1), curv(0), CURVES["points"][:60]]
)
def test_odd_curves_raise_nothing(curve: bytes, recwarn: pytest.WarningsRecorder) -> None:
    for convert in (deep_to_srgb, deep_from_srgb):
        output, _ = convert(colours(), rgb_profile(curve))
        assert output.dtype == np.uint16
    assert not recwarn.list


@pytest.mark.parametrize("suffix", [".png", ".tif"])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_files_keep_their_profile_and_their_values(tmp_path: Path, suffix: str, channels: int) -> None:
    icc = rgb_profile(CURVES["gamma"]) if channels > 2 else profile(b"GRAY", {b"kTRC": CURVES["gamma"]})
    rng = np.random.default_rng(0)
    stored = rng.integers(20000, 40000, (20, 30, channels)).astype(np.uint16)  # inside of sRGB
    path = tmp_path / f"stored{suffix}"
    if channels == 1:
        Image.fromarray(stored[:, :, 0]).save(path, icc_profile=icc)
    else:
        path.write_bytes((encode_png if suffix == ".png" else encode_tiff)(stored, icc))
    picture = read_image(path)
    assert picture.bits == 16
    assert picture.icc_profile == icc
    assert np.abs(picture.colour.astype(int) - stored[:, :, : picture.colour.shape[2]]).max() > 257
    write_image(tmp_path / f"again{suffix}", picture)
    again = read_image(tmp_path / f"again{suffix}")
    assert again.icc_profile == icc
    assert np.abs(again.pixels.astype(int) - picture.pixels).max() <= 4
    if picture.alpha is not None:
        np.testing.assert_array_equal(again.alpha, stored[:, :, -1:])


def test_a_profile_that_does_not_fit_is_not_written(tmp_path: Path) -> None:
    pixels = np.arange(200).astype(np.uint16).reshape(10, 20, 1) * 300
    for channels in (1, 2):
        picture = Picture(pixels=pixels.repeat(channels, axis=2), icc_profile=rgb_profile(CURVES["gamma"]))
        write_image(tmp_path / "grey.png", picture)
        with Image.open(tmp_path / "grey.png") as image:
            assert "icc_profile" not in image.info
        np.testing.assert_array_equal(read_image(tmp_path / "grey.png").pixels, picture.pixels)
