"""What the numbers of files mean for a whole run: one range for a set, bands, class ids, pages."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from translate.config import ConfigError, DataConfig, ImageSetConfig, UnpairedDataConfig
from translate.config.encoding import Encoding, Reading
from translate.data.batches import Wanted, fixed_batch
from translate.data.encodings import label_encoding
from translate.data.image_set import ImageSet
from translate.data.images import ImageError, Picture, read_header, read_ids, read_image, read_stack, write_image
from translate.data.layouts import ImageSource, LayoutError, find_pairs
from translate.data.paired import PairedImages
from translate.data.store import Format, to_format
from translate.data.unpaired import UnpairedImages
from translate.data.values import class_ids, decoded, encoded

SIDE = 16


def noise(*shape, seed=0):
    return np.random.default_rng(seed).random(shape)


def save(path: Path, values: np.ndarray, **options) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".tif":
        bands = {"planarconfig": "separate", "photometric": "minisblack"} if values.ndim == 3 and not options else {}
        tifffile.imwrite(path, values, **bands, **options)
    elif path.suffix == ".npy":
        np.save(path, values)
    else:
        Image.fromarray(values).save(path)
    return path


def pairs(root: Path, a, b, suffixes=(".tif", ".tif"), count=4) -> Path:
    for number in range(count):
        save(root / "A" / f"{number}{suffixes[0]}", a(number))
        save(root / "B" / f"{number}{suffixes[1]}", b(number))
    return root


def ct(number: int) -> np.ndarray:
    values = (noise(SIDE, SIDE, seed=number) * 3000 - 1000).astype(np.int16)
    values[0] = -1024
    return values


def photo(number: int) -> np.ndarray:
    return (noise(SIDE, SIDE, 3, seed=100 + number) * 255).astype(np.uint8)


def opened(root: Path, **options) -> PairedImages:
    return PairedImages(DataConfig(root=root, size=SIDE, enlarge=1.0, **options))


# --- values ----------------------------------------------------------------------------------------------------------


def test_two_domains_of_one_kind_have_one_range(tmp_path):
    data = opened(pairs(tmp_path, ct, lambda number: ct(number) // 2 + 100))
    a, b = data.formats
    assert a.encoding == b.encoding
    assert a.encoding is not None
    assert a.encoding.dtype == "int16"
    low, high = a.encoding.values
    assert low == -1024
    assert any("values from -1024 to" in line and "--values" in line for line in data.announcement)
    batch = fixed_batch(data.store("train", side=SIDE), indices=[0])
    expected = (ct(0).astype(float) - low) / (high - low) * 2 - 1
    np.testing.assert_allclose(batch["a"][0, 0], expected, atol=2e-4)
    np.testing.assert_allclose(batch["b"][0, 0], ((ct(0) // 2 + 100.0) - low) / (high - low) * 2 - 1, atol=2e-4)


def test_domains_of_other_kinds_have_ranges_of_their_own(tmp_path):
    def radar(number):  # decibels
        return (noise(SIDE, SIDE, seed=number) * 30 - 40).astype(np.float32)

    def reflectance(number):
        return noise(4, SIDE, SIDE, seed=number).astype(np.float32)

    a, b = opened(pairs(tmp_path / "far", radar, reflectance)).formats
    assert -40 <= a.encoding.values[0] < a.encoding.values[1] <= -10
    assert (b.encoding.values, b.channels) == ((0, 1), 4)
    a, b = opened(pairs(tmp_path / "plain", radar, photo, (".tif", ".png"))).formats
    assert a.encoding is not None
    assert b == Format(channels=3)


def test_a_range_that_is_given_is_taken(tmp_path):
    root = pairs(tmp_path / "ct", ct, ct)
    a, b = opened(root, values=(-1000.0, 1000.0), values_b=(0.0, 500.0)).formats
    assert (a.encoding.values, b.encoding.values) == ((-1000, 1000), (0, 500))

    def dim(number):  # 12 bits in 16
        return (noise(SIDE, SIDE, seed=number) * 4095).astype(np.uint16)

    root = pairs(tmp_path / "dim", dim, dim, (".png", ".png"))
    plain = opened(root)
    assert plain.formats[0].encoding is None
    assert any("uses 12 of them" in line and "--values 0 4095" in line for line in plain.announcement)
    bright = opened(root, values=(0.0, 4095.0))
    images = fixed_batch(bright.store("train", side=SIDE), indices=[0])["a"]
    np.testing.assert_allclose(images[0, 0], dim(0) / 4095.0 * 2 - 1, atol=1e-4)
    with pytest.raises(ConfigError, match="the first must be smaller"):
        DataConfig(root=root, values=(5.0, 5.0))


def test_plain_and_measured_images_have_no_scale_in_common(tmp_path):
    root = pairs(tmp_path, ct, photo, (".tif", ".png"))
    save(root / "A" / "0.png", (noise(SIDE, SIDE) * 255).astype(np.uint8))
    (root / "A" / "0.tif").unlink()
    with pytest.raises(LayoutError, match=r"1 of 4 files of A is plain .* --values LOW HIGH"):
        opened(root)
    assert opened(root, values=(-1000.0, 2000.0)).formats[0].encoding.dtype == "int16"


def test_values_come_back_in_their_units_and_without_data_where_there_was_none():
    encoding = Encoding(values=(-1024, 3071), dtype="int16")
    values = ct(1)[..., None]
    values[2, 3] = -9999
    picture = Picture(pixels=values, bands=True)
    again = decoded(encoded(picture, encoding, channels=1), encoding, like=picture)
    np.testing.assert_array_equal(again.pixels, values)
    assert again.nodata == -9999
    floats = Picture(pixels=np.where(values < -5000, np.nan, values).astype(np.float32), bands=True)
    again = decoded(encoded(floats, encoding, channels=1), replace(encoding, dtype="float32"), like=floats)
    np.testing.assert_allclose(again.pixels, floats.pixels, atol=1e-3)


# --- bands -----------------------------------------------------------------------------------------------------------


def satellite(number: int) -> np.ndarray:
    return (noise(13, SIDE, SIDE, seed=number) * 9000).astype(np.uint16)


@pytest.mark.parametrize("suffix", [".tif", ".npy"])
def test_any_number_of_bands(tmp_path, suffix):
    data = opened(pairs(tmp_path, satellite, photo, (suffix, ".png")))
    a, b = data.formats
    assert (a.channels, b.channels) == (13, 3)
    batch = fixed_batch(data.store("train", side=SIDE), indices=[1])
    np.testing.assert_allclose(batch["a"][0], satellite(1) / 65535.0 * 2 - 1, atol=1e-6)
    assert any("previews show bands 1, 2, 3 of 13 bands" in line for line in data.announcement)


def test_bands_are_chosen_by_number_in_their_order(tmp_path):
    root = pairs(tmp_path, satellite, photo, (".tif", ".png"))
    data = opened(root, bands=(4, 3, 2))
    a, b = data.formats
    assert (a.channels, a.encoding.bands) == (3, (4, 3, 2))
    assert b.encoding is None  # RGB beside it has no bands to choose
    batch = fixed_batch(data.store("train", side=SIDE), indices=[0])
    np.testing.assert_allclose(batch["a"][0], satellite(0)[[3, 2, 1]] / 65535.0 * 2 - 1, atol=1e-6)
    with pytest.raises(LayoutError, match=r"fewer than 14 channels, first 0.tif with 13"):
        opened(root, bands=(14,))
    with pytest.raises(ConfigError, match="names a band twice"):
        DataConfig(root=root, bands=(1, 1))
    for number in range(4):  # the same as pages
        save(root / "A" / f"{number}.tif", satellite(number), photometric="minisblack")
    again = fixed_batch(opened(root, bands=(4, 3, 2)).store("train", side=SIDE), indices=[0])
    np.testing.assert_array_equal(again["a"], batch["a"])
    channels = opened(pairs(tmp_path / "rgb", photo, photo, (".png", ".png")), bands=(1,))
    assert channels.formats[0].channels == 1  # where nothing else has bands, red is one


def test_sets_of_several_counts_of_bands_are_refused(tmp_path):
    root = pairs(tmp_path, satellite, photo, (".tif", ".png"))
    save(root / "A" / "0.tif", satellite(0)[:5])
    with pytest.raises(LayoutError, match=r"the files of A have 5 and 13 channels: .*: --bands 1 2 3 4 5$"):
        opened(root)
    assert opened(root, bands=(1, 2, 3)).formats[0].channels == 3


def test_another_number_of_bands_is_no_part_in_silence():
    picture = Picture(pixels=np.zeros((4, 4, 13), np.uint16), bands=True)
    with pytest.raises(ImageError, match="has 13 channels, and grey or RGB is expected: choose one or three"):
        to_format(picture, Format(channels=3))
    with pytest.raises(ImageError, match="has 13 channels, and 4 are expected"):
        to_format(picture, Format(channels=4, encoding=Encoding(dtype="uint16")))


# --- class ids -------------------------------------------------------------------------------------------------------


def ids(number: int, classes: int = 5) -> np.ndarray:
    values = np.random.default_rng(number).integers(0, classes, (SIDE, SIDE)).astype(np.uint8)
    values[0, 0] = classes - 1
    return values


def with_palette(path: Path, values: np.ndarray) -> None:
    image = Image.fromarray(values, "P")
    image.putpalette([200, 10, 10, 10, 200, 10, 10, 10, 200, 99, 99, 9, 250, 250, 0])
    image.save(path)


@pytest.fixture
def labelled(tmp_path) -> Path:
    root = pairs(tmp_path / "ids", ids, photo, (".png", ".png"))
    for number in (1, 3):
        with_palette(root / "A" / f"{number}.png", ids(number))
    return root


def test_ids_of_grey_and_of_palettes_are_one_hot(labelled):
    data = opened(labelled, labels=True)
    source, target = data.formats
    assert (source.channels, source.labels, target.channels) == (5, 5, 3)
    assert any("A holds class ids, 0 to 4: 5 channels" in line for line in data.announcement)
    batch = fixed_batch(data.store("train", side=SIDE), indices=range(4))
    for number in range(4):
        np.testing.assert_array_equal(batch["a"][number].argmax(dim=0), ids(number))
    assert set(batch["a"].unique().tolist()) == {-1, 1}
    stream = next(data.batches(Wanted(batch_size=2)))
    assert stream["source"].shape == (2, 5, SIDE, SIDE)
    assert (stream["source"].sum(dim=1) == 1 - 4).all()
    data.close()


def test_without_labels_the_two_colours_of_a_class_are_said(labelled):
    said = " ".join(opened(labelled).announcement)
    assert "2 of 4 files of A have a palette and the others grey values" in said
    plain = pairs(labelled.parent / "plain", ids, photo, (".png", ".png"))
    assert any("A has values from 0 to 4 of 255: probably class ids" in line for line in opened(plain).announcement)


def test_void_and_masks(tmp_path):
    def void(number):
        values = ids(number)
        values[5] = 255
        return values

    root = pairs(tmp_path / "void", void, photo, (".png", ".png"))
    assert any("A has values from 0 to 4 of 255: probably class ids" in line for line in opened(root).announcement)
    data = opened(root, labels=True)
    assert data.formats[0].channels == 5
    batch = fixed_batch(data.store("train", side=SIDE), indices=[0])["a"]
    assert (batch[0, :, 5] == -1).all()
    masks = pairs(tmp_path / "mask", lambda number: ids(number, 2) * 255, photo, (".png", ".png"))
    data = opened(masks, labels=True)
    assert data.formats[0].channels == 2
    batch = fixed_batch(data.store("train", side=SIDE), indices=[0])["a"]
    np.testing.assert_array_equal(batch[0].argmax(dim=0), ids(0, 2))


def test_a_network_of_two_classes_takes_black_and_white_masks(tmp_path):
    root = pairs(tmp_path / "ids", lambda number: ids(number, 2), photo, (".png", ".png"))
    encoding = opened(root, labels=True).formats[0].encoding
    assert encoding is not None
    for values in (ids(0, 2), ids(0, 2) * 255):
        picture = read_ids(save(tmp_path / "mask.png", values))
        np.testing.assert_array_equal(class_ids(picture, encoding)[..., 0], ids(0, 2))
    for values, message in ((ids(0, 3), "class id 2"), (ids(0, 2) * 127, "class id 127")):
        with pytest.raises(ImageError, match=message):
            class_ids(read_ids(save(tmp_path / "other.png", values)), encoding)


def test_masks_in_jpeg_fit_a_network_of_two_classes(tmp_path):
    encoding = Encoding(labels=2, values=(0, 1))
    expected = np.kron(ids(0, 2), np.ones((8, 8), np.uint8))
    Image.fromarray(expected * np.uint8(255)).save(tmp_path / "mask.jpg", quality=90)
    np.testing.assert_array_equal(class_ids(read_ids(tmp_path / "mask.jpg"), encoding)[..., 0], expected)
    with_void = np.where(expected[:1] == 1, 255, expected).astype(np.uint8)
    with_void[0, :4] = 1
    np.testing.assert_array_equal(
        class_ids(read_ids(save(tmp_path / "void.png", with_void)), encoding)[..., 0], with_void
    )


def test_where_the_other_side_has_the_ids_it_is_said(tmp_path):
    root = pairs(tmp_path, photo, ids, (".png", ".png"))
    with pytest.raises(LayoutError, match="B holds some") as caught:
        opened(root, labels=True)
    assert "--direction b2a" in caught.value.fix


def test_ids_in_jpeg(tmp_path):
    def masks(number, *, fraction=1):
        values = np.kron(ids(number, 2), np.ones((4, 4), np.uint8)) * np.uint8(255 // fraction)
        path = tmp_path / f"{fraction}-{number}.jpg"
        Image.fromarray(values).save(path, quality=90)
        return ImageSource(path=path, ids=True)

    encoding, said = label_encoding([masks(number) for number in range(4)])
    assert (encoding.labels, encoding.values, said) == (2, (0, 255), "class ids, 0 and 255: 2 channels, one per class")
    expected = np.kron(ids(0, 2), np.ones((4, 4), np.uint8))
    np.testing.assert_array_equal(class_ids(masks(0).read(), encoding)[..., 0], expected)
    with pytest.raises(LayoutError, match=r"4 of 4 label maps are JPEG .* which blurs class ids: \d+ values"):
        label_encoding([masks(number, fraction=40) for number in range(4)])


def test_ids_far_apart_and_ids_of_floats(tmp_path):
    def sources(change, suffix):
        for number in range(2):
            path = tmp_path / f"{number}{suffix}"
            write_image(path, Picture(pixels=change(ids(number, 3))[..., None], bands=True))
            yield ImageSource(path=path, ids=True)

    _, said = label_encoding(list(sources(lambda values: values.astype(np.uint16) * 500, ".tif")))
    assert "1001 channels, one per class; 3 of them occur" in said
    floats = list(sources(lambda values: np.where(values == 2, np.nan, values), ".npy"))
    encoding, said = label_encoding(floats)
    assert (encoding.labels, "255 is no class" in said) == (2, True)
    np.testing.assert_array_equal(floats[0].read().pixels[..., 0], np.where(ids(0, 3) == 2, 255, ids(0, 3)))
    with pytest.raises(LayoutError, match="none of the 2 label maps"):
        label_encoding(list(sources(lambda values: values / 2, ".npy")))


def test_what_holds_no_ids_is_refused(tmp_path):
    root = pairs(tmp_path, photo, photo, (".png", ".png"))
    with pytest.raises(LayoutError, match="none of the 4 label maps can be read as class ids"):
        opened(root, labels=True)
    with pytest.raises(ImageError, match="class ids are whole grey values from 0 or palette indices"):
        read_ids(root / "A" / "0.png")
    grey = np.repeat(ids(0)[..., None], 3, axis=2)  # ids that were saved as RGB
    np.testing.assert_array_equal(read_ids(save(tmp_path / "grey.png", grey)).pixels[..., 0], ids(0))


# --- pages, alpha ----------------------------------------------------------------------------------------------------


def test_pages_are_images_where_asked_and_said_where_not(tmp_path):
    def stack(number):
        return (noise(5, SIDE, SIDE, seed=number) * 255).astype(np.uint8)

    for number in range(3):
        save(tmp_path / f"{number}.tif", stack(number), photometric="minisblack")
    config = ImageSetConfig(root=tmp_path, size=SIDE)
    first = ImageSet(config)
    assert first.num_images == 3
    assert any("3 of 3 files of the set have further pages or frames, 5 at most" in line for line in first.announcement)
    every = ImageSet(replace(config, pages=True))
    assert every.num_images == 15
    images = every.images("train", range(15))
    np.testing.assert_allclose(images[7, 0], stack(1)[2] / 127.5 - 1, atol=1e-6)
    bands = ImageSet(replace(config, bands=(5, 1)))
    assert (bands.num_images, bands.format.channels) == (3, 2)
    np.testing.assert_allclose(bands.images("train", [2])[0], stack(2)[[4, 0]] / 127.5 - 1, atol=1e-6)
    np.testing.assert_array_equal(read_stack(tmp_path / "0.tif").pixels, np.moveaxis(stack(0), 0, -1))
    with pytest.raises(ImageError, match="there is no page 6"):
        read_image(tmp_path / "0.tif", page=5)


def test_frames_of_animations_are_counted_and_thumbnails_are_not(tmp_path):
    frames = [Image.fromarray(photo(number)) for number in range(3)]
    for suffix in ("gif", "png", "webp"):
        path = tmp_path / f"x.{suffix}"
        frames[0].save(path, save_all=True, append_images=frames[1:], lossless=True)
        assert read_header(path).pages == 3
        assert read_image(path).pages == 3
        assert not np.array_equal(read_image(path, page=2).colour, read_image(path).colour)
    with tifffile.TiffWriter(tmp_path / "x.tif") as writer:
        writer.write(photo(0), subifds=0, photometric="rgb")
        writer.write(photo(0)[::2, ::2], subfiletype=1, photometric="rgb")
    assert read_header(tmp_path / "x.tif").pages == 1


def test_pairs_of_pages(tmp_path):
    root = tmp_path / "data"
    for number in range(2):
        for side in "AB":
            values = (noise(3, SIDE, SIDE, seed=number) * 255).astype(np.uint8)
            save(root / side / f"{number}.tif", values, photometric="minisblack")
    found = find_pairs(root, reading=Reading(pages=True))
    assert [pair.name for pair in found.splits["train"]] == ["0-1", "0-2", "0-3", "1-1", "1-2", "1-3"]
    a, b = found.splits["train"][4].read()
    np.testing.assert_array_equal(a.pixels, b.pixels)
    save(root / "B" / "0.tif", photo(0), photometric="rgb")
    with pytest.raises(LayoutError, match=r"has 3 pages and .* has 1"):
        find_pairs(root, reading=Reading(pages=True))


def test_an_alpha_of_zero_everywhere_is_ignored(tmp_path):
    clear = np.concatenate([photo(0), np.zeros((SIDE, SIDE, 1), np.uint8)], axis=2)
    np.testing.assert_array_equal(read_image(save(tmp_path / "clear.png", clear)).pixels, photo(0))
    data = opened(pairs(tmp_path / "set", lambda _: clear, photo, (".png", ".png")))
    assert any("4 of 4 examined images of A have an alpha of 0 everywhere" in said for said in data.announcement)
    clear = clear.copy()
    clear[0, 0, 3] = 1
    assert read_image(save(tmp_path / "drawn.png", clear)).alpha is not None


def test_images_that_are_blank_over_white_are_named(tmp_path):
    for number in range(4):
        strokes = np.full((SIDE, SIDE, 4), 255, np.uint8)  # white lines on nothing
        strokes[..., 3] = photo(number)[..., 0]
        save(tmp_path / "a" / f"white-{number}.png", strokes)
        save(tmp_path / "b" / f"{number}.png", photo(number))
    data = UnpairedImages(UnpairedDataConfig(root=tmp_path, size=SIDE))
    said = " ".join(data.announcement)
    assert "4 of 4 examined images of A are blank over white (white-0.png" in said.replace("of a ", "of A ")
    assert "--alpha keep" in said
