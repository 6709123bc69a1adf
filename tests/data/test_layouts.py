"""Paired data in every layout, and what is refused."""

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import ExifTags, Image

from translate.data import images
from translate.data.images import ImageError
from translate.data.layouts import ImageSource, LayoutError, Pair, find_pairs
from translate.data.layouts_common import data_name


def save(path: Path, size: tuple[int, int] = (8, 8), *, mode: str = "RGB", value: int = 0) -> Path:
    """Write an image of one value, making its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if mode == "I;16":
        Image.fromarray(np.full((size[1], size[0]), value, np.uint16)).save(path)
    else:
        bands = len(Image.new(mode, (1, 1)).getbands())
        Image.new(mode, size, (value,) * bands if bands > 1 else value).save(path)
    return path


def save_many(
    folder: Path, count: int = 3, size: tuple[int, int] = (8, 8), *, suffix: str = ".png", **options: str
) -> None:
    for number in range(1, count + 1):
        save(folder / f"{number}{suffix}", size, **options)  # type: ignore[arg-type]


def names(pairs: Sequence[Pair]) -> list[str]:
    return [pair.name for pair in pairs]


# --- what is found ---------------------------------------------------------------------------------------------------


def test_side_by_side_with_splits(tmp_path: Path) -> None:
    save_many(tmp_path / "train", 11, (16, 8))
    save_many(tmp_path / "val", 2, (16, 8))
    save_many(tmp_path / "test", 1, (16, 8))
    (tmp_path / "README.txt").touch()
    data = find_pairs(tmp_path)
    assert data.layout == "side-by-side"
    assert {split: len(pairs) for split, pairs in data.splits.items()} == {"train": 11, "val": 2, "test": 1}
    assert names(data.splits["train"]) == [str(number) for number in range(1, 12)]
    assert (data.size, data.mixed_sizes) == ((8, 8), False)
    assert (data.channels_a, data.channels_b, data.bits_a, data.bits_b) == (3, 3, 8, 8)
    assert data.notes == ()
    assert data.describe() == "11 training pairs, 2 val, 1 test; side by side, A = left half, B = right half; 8x8, RGB"


def test_side_by_side_flat_reads_its_halves(tmp_path: Path) -> None:
    for number in (1, 2):
        pixels = np.zeros((6, 12, 3), np.uint8)
        pixels[:, :6] = 10 * number
        pixels[:, 6:] = 100 + number
        Image.fromarray(pixels).save(tmp_path / f"{number}.png")
    data = find_pairs(tmp_path)
    assert list(data.splits) == ["train"]
    pair = data.splits["train"][1]
    for a, b in (pair.read(), (pair.a.read(), pair.b.read())):
        np.testing.assert_array_equal(a.pixels, np.full((6, 6, 3), 20))
        np.testing.assert_array_equal(b.pixels, np.full((6, 6, 3), 102))


def test_a_side_by_side_file_is_decoded_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_many(tmp_path, 2, (16, 8))
    pair = find_pairs(tmp_path).splits["train"][0]
    opened: list[Image.Image] = []
    original = images.from_pil

    def counted(image: Image.Image) -> images.Picture:
        opened.append(image)
        return original(image)

    monkeypatch.setattr(images, "from_pil", counted)
    pair.read()
    assert len(opened) == 1


@pytest.mark.parametrize(("name_a", "name_b"), [("A", "B"), ("a", "b")])
def test_ab_folders_match_by_stem(tmp_path: Path, name_a: str, name_b: str) -> None:
    save_many(tmp_path / name_a, 3, suffix=".png", mode="L")
    save_many(tmp_path / name_b, 3, suffix=".jpg")
    data = find_pairs(tmp_path)
    assert data.layout == "ab-folders"
    assert (data.channels_a, data.channels_b) == (1, 3)
    first = data.splits["train"][0]
    assert (first.a.path.name, first.b.path.name) == ("1.png", "1.jpg")
    assert data.describe() == f"3 training pairs; folders, A = {name_a}/, B = {name_b}/; 8x8, A grey, B RGB"
    a, b = first.read()
    assert (a.channels, b.channels) == (1, 3)


@pytest.mark.parametrize(
    ("pattern", "layout", "sides"),
    [
        ("{split}/{side}", "split-ab-folders", ("train/A/", "train/B/")),
        ("{side}/{split}", "ab-folders", ("A/", "B/")),
        ("{split}{side}", "trainA-trainB", ("trainA/", "trainB/")),
        ("{split}_{side}", "trainA-trainB", ("train_A/", "train_B/")),
    ],
)
def test_folder_layouts_with_splits(tmp_path: Path, pattern: str, layout: str, sides: tuple[str, str]) -> None:
    for split, count in (("train", 4), ("valid", 3), ("test", 2)):
        for side in "AB":
            save_many(tmp_path / pattern.format(split=split, side=side), count)
    data = find_pairs(tmp_path)
    assert (data.layout, data.sides) == (layout, sides)
    assert {split: len(pairs) for split, pairs in data.splits.items()} == {"train": 4, "val": 3, "test": 2}
    for pairs in data.splits.values():
        assert all(pair.a.path != pair.b.path and pair.a.path.stem == pair.b.path.stem for pair in pairs)
    assert find_pairs(tmp_path, layout=layout) == data


def test_names_that_end_in_their_side(tmp_path: Path) -> None:
    for number in (1, 2, 10):
        save(tmp_path / "trainA" / f"{number}_A.jpg")
        save(tmp_path / "trainB" / f"{number}_B.jpg")
    assert names(find_pairs(tmp_path).splits["train"]) == ["1", "2", "10"]


def test_two_folders_by_hand(tmp_path: Path) -> None:
    save_many(tmp_path / "labels", 3)
    save_many(tmp_path / "photos", 3)
    data = find_pairs(tmp_path / "labels", root_b=tmp_path / "photos")
    assert data.layout == "two-folders"
    assert data.sides == (str(tmp_path / "labels"), str(tmp_path / "photos"))
    assert data.splits["train"][0] == Pair(
        name="1",
        a=ImageSource(path=tmp_path / "labels" / "1.png"),
        b=ImageSource(path=tmp_path / "photos" / "1.png"),
    )


def test_two_folders_of_splits(tmp_path: Path) -> None:
    for side in ("labels", "photos"):
        save_many(tmp_path / side / "train", 3)
        save_many(tmp_path / side / "test", 2)
    data = find_pairs(tmp_path / "labels", root_b=tmp_path / "photos")
    assert {split: len(pairs) for split, pairs in data.splits.items()} == {"train": 3, "test": 2}
    (tmp_path / "photos" / "test").rename(tmp_path / "photos" / "val")
    with pytest.raises(LayoutError, match="different splits"):
        find_pairs(tmp_path / "labels", root_b=tmp_path / "photos")


def test_depth_channels_and_sizes_that_differ_are_said(tmp_path: Path) -> None:
    save(tmp_path / "A" / "1.png", mode="I;16", value=500)
    save(tmp_path / "B" / "1.png", mode="RGB")
    save(tmp_path / "A" / "2.png", mode="I;16", value=500)
    save(tmp_path / "B" / "2.png", mode="L")
    for side in "AB":
        save(tmp_path / side / "3.png", (10, 6), mode="L")
    data = find_pairs(tmp_path)
    assert (data.channels_a, data.bits_a, data.channels_b, data.bits_b) == (1, 16, 3, 8)
    assert (data.size, data.mixed_sizes) == ((8, 8), True)
    assert data.notes == (
        "1 of 3 files of A has 8 bits: converted to 16",
        "2 of 3 files of B are grey: converted to RGB",
    )
    assert data.describe().endswith("mostly 8x8 (sizes differ), A 16-bit grey, B RGB")


def test_transparency_is_composited_or_kept(tmp_path: Path) -> None:
    save_many(tmp_path / "A", 3)
    save_many(tmp_path / "B", 2)
    save(tmp_path / "B" / "3.png", mode="RGBA", value=128)
    data = find_pairs(tmp_path)
    assert (data.channels_a, data.channels_b) == (3, 3)
    assert data.notes == ("1 of 3 files of B has transparency: composited over white",)
    data = find_pairs(tmp_path, keep_alpha=True)
    assert (data.channels_a, data.channels_b) == (3, 4)
    assert data.notes == ("2 of 3 files of B have no alpha: taken as opaque",)


def test_sizes_are_compared_upright(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    for number in (1, 2):
        save(tmp_path / "A" / f"{number}.png", (6, 10))
        (tmp_path / "B").mkdir(exist_ok=True)
        Image.new("RGB", (10, 6)).save(tmp_path / "B" / f"{number}.jpg", exif=exif)
    assert find_pairs(tmp_path).size == (6, 10)


# --- what is refused -------------------------------------------------------------------------------------------------


def test_missing_file_and_empty(tmp_path: Path) -> None:
    with pytest.raises(LayoutError, match="no such folder"):
        find_pairs(tmp_path / "nowhere")
    path = save(tmp_path / "one.png")
    with pytest.raises(LayoutError, match="is a file; give the folder"):
        find_pairs(path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(LayoutError, match=r"holds no images and no folders\. Expected A\|B side by side"):
        find_pairs(tmp_path / "empty")
    (tmp_path / "pair" / "A").mkdir(parents=True)
    (tmp_path / "pair" / "B").mkdir()
    with pytest.raises(LayoutError, match="A: no images in this folder"):
        find_pairs(tmp_path / "pair")


def test_single_images_are_not_pairs(tmp_path: Path) -> None:
    save_many(tmp_path / "photos", 5, (9, 8))
    with pytest.raises(LayoutError, match=r"single images, not pairs: 5 files, 1\.png is 9x8.*A/ and B/"):
        find_pairs(tmp_path / "photos")
    with pytest.raises(LayoutError, match=r"single images, not pairs: 5 files, 1\.png is 9x8.*A/ and B/"):
        find_pairs(tmp_path)
    save_many(tmp_path / "more", 5, (9, 8), suffix=".jpg")
    save_many(tmp_path / "others", 5, (9, 8), suffix=".bmp")
    with pytest.raises(LayoutError, match=r"no images and the folders more/ \(5 images\), .*by hand"):
        find_pairs(tmp_path)


def test_side_by_side_of_another_shape_has_to_be_named(tmp_path: Path) -> None:
    save_many(tmp_path, 3, (12, 8))
    with pytest.raises(LayoutError, match="name the layout side-by-side"):
        find_pairs(tmp_path)
    assert find_pairs(tmp_path, layout="side-by-side").size == (6, 8)


def test_one_file_of_another_shape(tmp_path: Path) -> None:
    save_many(tmp_path, 5, (16, 8))
    save(tmp_path / "logo.png", (8, 8))
    with pytest.raises(LayoutError, match=r"1 of 6 files is not twice as wide as high.*first logo\.png is 8x8; remove"):
        find_pairs(tmp_path)


def test_odd_width(tmp_path: Path) -> None:
    save_many(tmp_path, 3, (16, 8))
    path = save(tmp_path / "2.png", (15, 8))
    with pytest.raises(LayoutError, match=r"1 of 3 files: .*2\.png is 15x8: .* even width.*crop or resize"):
        find_pairs(tmp_path)
    with pytest.raises(LayoutError, match="even width"):
        ImageSource(path=path, half="left").read()


def test_one_pair(tmp_path: Path) -> None:
    save_many(tmp_path, 1, (16, 8))
    with pytest.raises(LayoutError, match="only one pair was found"):
        find_pairs(tmp_path)


def test_a_partner_folder_is_missing(tmp_path: Path) -> None:
    save_many(tmp_path / "x" / "trainA", 2)
    with pytest.raises(LayoutError, match="trainA/ is here but its partner 'trainb' is not"):
        find_pairs(tmp_path / "x")
    save_many(tmp_path / "y" / "B", 2)
    with pytest.raises(LayoutError, match="B/ is here but its partner 'a' is not"):
        find_pairs(tmp_path / "y")


def test_unmatched_stems(tmp_path: Path) -> None:
    save_many(tmp_path / "A", 6)
    save_many(tmp_path / "B", 2)
    save(tmp_path / "B" / "extra.png")
    with pytest.raises(LayoutError) as caught:
        find_pairs(tmp_path)
    text = str(caught.value)
    assert f"4 of the files of {tmp_path / 'A'} and 1 of {tmp_path / 'B'} have no partner, 2 have" in text
    assert "only in A/: 3.png, 4.png, 5.png, ...; only in B/: extra.png" in text
    data = find_pairs(tmp_path, allow_unmatched=True)
    assert names(data.splits["train"]) == ["1", "2"]
    assert "have no partner and are not used" in data.notes[0]


def test_unpaired_data(tmp_path: Path) -> None:
    for number in range(3):
        save(tmp_path / "trainA" / f"summer{number}.jpg")
        save(tmp_path / "trainB" / f"winter{number}.jpg")
    for allow in (False, True):
        with pytest.raises(LayoutError, match="look like unpaired data"):
            find_pairs(tmp_path, allow_unmatched=allow)


def test_the_same_stem_twice_on_one_side(tmp_path: Path) -> None:
    for side in "AB":
        save_many(tmp_path / side, 2)
    save(tmp_path / "A" / "1.jpg")
    with pytest.raises(LayoutError, match=r"1\.(jpg|png) and 1\.(jpg|png) have the same stem"):
        find_pairs(tmp_path)


def test_sizes_that_differ_within_a_pair(tmp_path: Path) -> None:
    for side in "AB":
        save_many(tmp_path / side, 4)
    save(tmp_path / "B" / "2.png", (8, 9))
    save(tmp_path / "B" / "3.png", (9, 8))
    with pytest.raises(LayoutError, match=r"in 2 of 4 pairs, first 2\.png is 8x8, 2\.png is 8x9; resize"):
        find_pairs(tmp_path)


def test_several_layouts_at_once(tmp_path: Path) -> None:
    save_many(tmp_path, 2, (16, 8))
    for side in "AB":
        save_many(tmp_path / side, 3)
    with pytest.raises(LayoutError, match=r"several layouts at once: ab-folders and side-by-side.*name the layout"):
        find_pairs(tmp_path)
    assert len(find_pairs(tmp_path, layout="ab-folders").splits["train"]) == 3
    assert len(find_pairs(tmp_path, layout="side-by-side").splits["train"]) == 2
    with pytest.raises(LayoutError, match="layout trainA-trainB was not found: it holds 2 images"):
        find_pairs(tmp_path, layout="trainA-trainB")
    with pytest.raises(LayoutError, match="needs the folder of B as well"):
        find_pairs(tmp_path, layout="two-folders")
    with pytest.raises(LayoutError, match="unknown layout 'sideways': expected auto or one of"):
        find_pairs(tmp_path, layout="sideways")


def test_loose_images_beside_folders_are_said(tmp_path: Path) -> None:
    for side in "AB":
        save_many(tmp_path / side, 3)
    save(tmp_path / "preview.png", (30, 30))
    assert find_pairs(tmp_path).notes == ("one image beside the folders is not used (preview.png)",)


def test_two_names_for_one_split(tmp_path: Path) -> None:
    for name in ("train", "val", "valid"):
        save_many(tmp_path / name, 2, (16, 8))
    with pytest.raises(LayoutError, match="both val/ and valid/ are here"):
        find_pairs(tmp_path)


def test_the_same_folder_twice(tmp_path: Path) -> None:
    save_many(tmp_path / "A", 2)
    with pytest.raises(LayoutError, match="A and B are the same folder"):
        find_pairs(tmp_path / "A", root_b=os.path.join(tmp_path, "A", "..", "A"))
    save_many(tmp_path / "B", 2)
    with pytest.raises(LayoutError, match="is one folder, but two were given"):
        find_pairs(tmp_path / "A", root_b=tmp_path / "B", layout="ab-folders")


def test_few_corrupt_files_are_left_out_and_many_refused(tmp_path: Path) -> None:
    save_many(tmp_path, 40, (16, 8))
    for number in (7, 30):
        (tmp_path / f"{number}.png").write_text("not an image")
    data = find_pairs(tmp_path)
    assert len(data.splits["train"]) == 38
    assert data.notes == ("2 of 40 files cannot be read (7.png, 30.png) and are not used",)
    (tmp_path / "8.png").write_bytes(b"")
    with pytest.raises(
        LayoutError, match=r"3 of 40 files cannot be read \(7\.png, 8\.png, 30\.png\), more than 5%.*First"
    ):
        find_pairs(tmp_path)


def test_a_corrupt_partner_takes_its_pair_along(tmp_path: Path) -> None:
    for side in "AB":
        save_many(tmp_path / side, 12)
    (tmp_path / "B" / "5.png").write_bytes(b"\x89PNG broken")
    data = find_pairs(tmp_path)
    assert "5" not in names(data.splits["train"])
    assert len(data.splits["train"]) == 11


def test_nothing_but_corrupt_files(tmp_path: Path) -> None:
    for number in range(3):
        (tmp_path / f"{number}.jpg").write_text("no")
    with pytest.raises(LayoutError, match="3 of 3 files cannot be read"):
        find_pairs(tmp_path)


# --- sources ----------------------------------------------------------------------------------------------------------


def test_reading_a_source_that_breaks_later(tmp_path: Path) -> None:
    save_many(tmp_path, 2, (16, 8))
    pair = find_pairs(tmp_path).splits["train"][0]
    pair.a.path.write_bytes(pair.a.path.read_bytes()[:45])
    with pytest.raises(ImageError, match=r"1\.png: cannot be read"):
        pair.read()


def test_one_folder_under_two_names_is_no_pair(tmp_path):
    (tmp_path / "A").mkdir()
    for number in range(3):
        Image.new("RGB", (8, 8)).save(tmp_path / "A" / f"{number}.png")
    (tmp_path / "B").symlink_to(tmp_path / "A", target_is_directory=True)
    with pytest.raises(LayoutError, match="are the same folder"):
        find_pairs(tmp_path)


@pytest.mark.parametrize(("share", "refused"), [(0.0, True), (0.2, True), (0.3, False)])
def test_how_many_files_may_be_unreadable_is_given(tmp_path, share, refused):
    for number in range(4):
        Image.new("RGB", (16, 8)).save(tmp_path / f"{number}.png")
    (tmp_path / "3.png").write_bytes(b"junk")
    if refused:
        with pytest.raises(LayoutError, match="more than"):
            find_pairs(tmp_path, max_corrupt=share)
    else:
        assert len(find_pairs(tmp_path, max_corrupt=share).splits["train"]) == 3


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("faces", "faces"),
        ("faces/train", "faces/train"),
        ("faces/Valid", "faces/Valid"),
        ("faces/images", "images"),
        ("faces/.", "faces"),
    ],
)
def test_a_data_set_is_called_after_more_than_a_split(tmp_path, monkeypatch, path, name):
    assert data_name(tmp_path / path) == name
    monkeypatch.setenv("HOME", str(tmp_path / "somebody"))
    assert data_name(tmp_path / "somebody" / "train") == "train"
    assert data_name("/train") == "train"
