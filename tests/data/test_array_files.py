"""NumPy's files as images: which axis is the channels, what is an image, and what is refused with its reason."""

import numpy as np
import pytest

from translate.data.images import ImageError, Picture, read_header, read_image, write_image
from translate.data.layouts_images import find_images
from translate.data.problems import LayoutError


def noise(*shape, dtype=np.float32):
    values = np.random.default_rng(0).uniform(0, 200, shape)
    return values.astype(dtype)


@pytest.mark.parametrize("suffix", [".npy", ".npz"])
@pytest.mark.parametrize(
    ("shape", "dtype", "expected", "bands"),
    [
        ((9, 12), "u1", (9, 12, 1), False),
        ((9, 12), "u2", (9, 12, 1), False),
        ((9, 12, 3), "u1", (9, 12, 3), False),
        ((3, 9, 12), "u1", (9, 12, 3), False),
        ((9, 12, 4), "u1", (9, 12, 4), True),
        ((9, 12, 2), "u2", (9, 12, 2), True),
        ((13, 40, 41), "u2", (40, 41, 13), True),
        ((40, 41, 13), ">u2", (40, 41, 13), True),
        ((9, 12), "f4", (9, 12, 1), True),
        ((9, 12, 3), "f8", (9, 12, 3), True),
        ((9, 12), "i2", (9, 12, 1), True),
    ],
)
def test_kinds(tmp_path, suffix, shape, dtype, expected, bands):
    path, values = tmp_path / f"x{suffix}", noise(*shape, dtype=dtype)
    np.save(path, values) if suffix == ".npy" else np.savez(path, values)
    picture, header = read_image(path), read_header(path)
    assert picture.pixels.shape == expected
    assert picture.bands == bands
    assert picture.alpha is None
    by_first = values.ndim == 3 and values.shape[0] == expected[2]
    last = np.moveaxis(values, 0, -1) if by_first else values
    np.testing.assert_array_equal(picture.pixels, last.reshape(expected))
    assert (header.height, header.width, header.channels) == expected
    assert header.dtype == (picture.pixels.dtype.name if bands else None)


def test_booleans_are_black_and_white(tmp_path):
    np.save(tmp_path / "mask.npy", np.array([[True, False]]))
    assert read_image(tmp_path / "mask.npy").pixels[0, :, 0].tolist() == [255, 0]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.zeros((2, 3, 4, 5)), "shape 2x3x4x5: an image is"),
        (np.zeros(7), "shape 7: an image is"),
        (np.zeros((2, 3), complex), "complex128: an image is"),
        (np.array([["a"]]), "an image is integers or floats"),
        (np.zeros((900, 900, 900), "u1")[:600, :600, :600], "600 channels are over the limit"),
    ],
    ids=["four axes", "one axis", "complex", "text", "channels"],
)
def test_what_is_no_image_says_why(tmp_path, values, message):
    np.save(tmp_path / "x.npy", values)
    with pytest.raises(ImageError, match=message):
        read_image(tmp_path / "x.npy")


def test_objects_are_not_unpickled(tmp_path):
    np.save(tmp_path / "x.npy", np.array([{}]), allow_pickle=True)
    with pytest.raises(ImageError, match="can run code and is not read"):
        read_image(tmp_path / "x.npy")


def test_a_torn_file_and_several_arrays(tmp_path):
    np.save(tmp_path / "x.npy", noise(9, 12))
    (tmp_path / "torn.npy").write_bytes((tmp_path / "x.npy").read_bytes()[:-50])
    with pytest.raises(ImageError, match=r"torn.npy: cannot be read"):
        read_image(tmp_path / "torn.npy")
    np.savez(tmp_path / "two.npz", a=noise(9, 12), b=noise(9, 12))
    with pytest.raises(ImageError, match=r"2 arrays \(a, b\)"):
        read_image(tmp_path / "two.npz")


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u8"])
@pytest.mark.parametrize("channels", [1, 2, 5])
@pytest.mark.parametrize("suffix", [".npy", ".tif"])
def test_measured_values_come_back_to_the_last_bit(tmp_path, dtype, channels, suffix):
    pixels = noise(9, 12, channels, dtype=dtype)
    nodata = -9999.0 if dtype in ("f4", "i2") and suffix == ".tif" else None
    write_image(tmp_path / f"x{suffix}", Picture(pixels=pixels, bands=True, nodata=nodata))
    picture = read_image(tmp_path / f"x{suffix}")
    assert picture.pixels.dtype == pixels.dtype
    np.testing.assert_array_equal(picture.pixels, pixels)
    assert picture.nodata == nodata


def test_other_formats_hold_one_or_three_bands_from_black_to_white(tmp_path):
    values = np.array([[[-10.0], [0.0], [10.0]]], np.float32)
    write_image(tmp_path / "x.png", Picture(pixels=values, bands=True, values=(-10, 10)))
    assert read_image(tmp_path / "x.png").pixels[0, :, 0].tolist() == [0, 32768, 65535]
    with pytest.raises(ImageError, match=r"5 bands fit into .tif and .npy alone"):
        write_image(tmp_path / "x.png", Picture(pixels=noise(4, 4, 5), bands=True))
    assert not (tmp_path / "x.png").with_suffix(".tmp").exists()


def test_a_folder_of_npz_files_is_a_set_of_images_or_one_set(tmp_path):
    values = np.random.default_rng(0).integers(0, 255, (6, 12, 20, 3), np.uint8)
    for number, image in enumerate(values):
        np.savez(tmp_path / f"{number}.npz", image)
    found = find_images(tmp_path)
    assert (found.layout, len(found.splits["train"]), found.channels, found.size) == ("folder", 6, 3, (20, 12))
    np.testing.assert_array_equal(read_image(tmp_path / "3.npz").pixels, values[3])

    np.savez(tmp_path / "set.npz", images=values)
    with pytest.raises(LayoutError, match=r"7 \.npz files are here"):
        find_images(tmp_path)
    assert len(find_images(tmp_path / "set.npz").splits["train"]) == 6

    (alone := tmp_path / "alone").mkdir()
    np.savez(alone / "set.npz", images=values)
    assert find_images(alone).layout == "npz"
    np.savez(alone / "set.npz", values[0])
    with pytest.raises(LayoutError, match="one image, not a set"):
        find_images(alone)
