"""Unpaired data in every layout, what the domains are called, and what is refused."""

from pathlib import Path

import pytest
from PIL import Image

from translate.data.layouts import LayoutError, UnpairedData, find_domains


def fill(
    folder: Path, count: int = 3, size: tuple[int, int] = (8, 8), *, mode: str = "RGB", stem: str | None = None
) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(1, count + 1):
        Image.new(mode, size).save(folder / f"{stem or folder.name}{number}.png")
    return folder


def counts(data: UnpairedData) -> dict[str, tuple[int, int]]:
    return {split: (len(a), len(b)) for split, (a, b) in data.splits.items()}


# --- what is found ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pattern", "layout", "sides"),
    [
        ("{split}{side}", "trainA-trainB", ("trainA/", "trainB/")),
        ("{split}_{side}", "trainA-trainB", ("train_A/", "train_B/")),
        ("{split}/{side}", "split-ab-folders", ("train/A/", "train/B/")),
        ("{side}/{split}", "ab-folders", ("A/", "B/")),
    ],
)
def test_folders_called_a_and_b(tmp_path, pattern, layout, sides):
    for split, (count_a, count_b) in {"train": (4, 7), "valid": (1, 2), "test": (3, 1)}.items():
        for side, count in (("A", count_a), ("B", count_b)):
            fill(tmp_path / pattern.format(split=split, side=side), count)
    data = find_domains(tmp_path)
    assert (data.layout, data.sides, data.names) == (layout, sides, ("A", "B"))
    assert counts(data) == {"train": (4, 7), "val": (1, 2), "test": (3, 1)}
    for a, b in data.splits.values():
        assert {source.path.parent for source in a}.isdisjoint(source.path.parent for source in b)
    assert find_domains(tmp_path, layout=layout) == data


@pytest.mark.parametrize(("name_a", "name_b"), [("A", "B"), ("a", "b")])
def test_a_and_b(tmp_path, name_a, name_b):
    fill(tmp_path / name_a, 12)
    fill(tmp_path / name_b, 2)
    data = find_domains(tmp_path)
    assert (data.layout, data.names, counts(data)) == ("ab-folders", ("A", "B"), {"train": (12, 2)})
    assert data.splits["train"][0][9].path.name.endswith("10.png")  # in natural order


def test_two_folders_of_any_names(tmp_path):
    fill(tmp_path / "winter", 3)
    fill(tmp_path / "summer", 5)
    fill(tmp_path / ".thumbnails", 5)
    (tmp_path / "notes").mkdir()
    data = find_domains(tmp_path)
    assert (data.layout, data.sides, data.names) == ("two-folders", ("summer/", "winter/"), ("summer", "winter"))
    assert data.describe() == "5 training images of summer and 3 of winter; summer/ and winter/; 8x8, RGB"
    assert find_domains(tmp_path, names=("warm", "cold")).names == ("warm", "cold")


@pytest.mark.parametrize("pattern", ["{side}/{split}", "{split}/{side}"])
def test_two_folders_of_any_names_with_splits(tmp_path, pattern):
    for split, count in (("train", 3), ("test", 2)):
        for side in ("horses", "zebras"):
            fill(tmp_path / pattern.format(split=split, side=side), count)
    data = find_domains(tmp_path)
    assert data.names == ("horses", "zebras")
    assert counts(data) == {"train": (3, 3), "test": (2, 2)}


@pytest.mark.parametrize(
    ("a", "b", "names"),
    [
        ("summer", "winter", ("summer", "winter")),
        ("set/trainA", "set/trainB", ("A", "B")),
        ("summer/train", "winter/train", ("summer", "winter")),
        ("summer/images", "winter/images", ("summer", "winter")),
        ("maps", "photos/train", ("maps", "photos")),
    ],
)
def test_two_folders_by_hand(tmp_path, a, b, names):
    fill(tmp_path / a, 2)
    fill(tmp_path / b, 3)
    data = find_domains(tmp_path / a, root_b=tmp_path / b)
    assert (data.layout, data.names, counts(data)) == ("two-folders", names, {"train": (2, 3)})
    assert data.sides == (str(tmp_path / a), str(tmp_path / b))


def test_a_folder_given_as_a_dot_has_a_name(tmp_path, monkeypatch):
    fill(tmp_path / "summer")
    fill(tmp_path / "winter")
    monkeypatch.chdir(tmp_path / "summer")
    assert find_domains(".", root_b="../winter").names == ("summer", "winter")


def test_two_folders_of_splits_by_hand(tmp_path):
    for side, count in (("x", 2), ("y", 4)):
        for split in ("train", "val", "test"):
            fill(tmp_path / side / split, count)
    assert counts(find_domains(tmp_path / "x", root_b=tmp_path / "y")) == dict.fromkeys(
        ("train", "val", "test"), (2, 4)
    )


def test_domains_of_other_sizes_and_channels(tmp_path):
    fill(tmp_path / "drawings", 3, (9, 6), mode="L")
    fill(tmp_path / "photos", 3, (30, 20))
    data = find_domains(tmp_path)
    assert (data.size_a, data.size_b, data.mixed_sizes) == ((9, 6), (30, 20), False)
    assert (data.channels_a, data.channels_b, data.bits_a, data.bits_b) == (1, 3, 8, 8)
    assert data.describe().endswith("; A 9x6, B 30x20, A grey, B RGB")
    fill(tmp_path / "photos", 1, (31, 20))
    data = find_domains(tmp_path)
    assert (data.size_b, data.mixed_sizes) == ((30, 20), True)
    assert "; mostly A 9x6, B 30x20 (sizes differ), " in data.describe()


def test_what_should_be_said(tmp_path):
    fill(tmp_path / "A", 20)
    fill(tmp_path / "B", 20, mode="RGBA")
    fill(tmp_path, 1, stem="preview")
    fill(tmp_path / "A", 1, mode="L")
    (tmp_path / "B" / "B7.png").write_text("no image")
    data = find_domains(tmp_path)
    assert counts(data) == {"train": (20, 19)}
    assert data.notes == (
        "one image beside the folders is not used (preview1.png)",
        "1 of 20 files cannot be read (B/B7.png) and is not used",
        "1 of 20 files of A is grey: converted to RGB",
        "19 of 19 files of B have transparency: composited over white",
    )
    assert find_domains(tmp_path, keep_alpha=True).channels_b == 4


def test_pairs_in_two_folders_are_taken_and_said(tmp_path):
    for side in "AB":
        fill(tmp_path / side, 4, stem="x")
    assert "same names and sizes: if they are pairs, train pix2pix" in find_domains(tmp_path).notes[0]
    fill(tmp_path / "B", 5, stem="x")
    assert find_domains(tmp_path).notes == ()


def test_a_split_without_a_readable_domain_is_left_out(tmp_path):
    for side in "AB":
        fill(tmp_path / f"train{side}", 30)
        fill(tmp_path / f"test{side}", 1)
    (tmp_path / "testB" / "testB1.png").write_text("no image")
    data = find_domains(tmp_path)
    assert counts(data) == {"train": (30, 30)}
    assert data.notes[-1] == "no file of test B can be read: test is not used"


# --- what is refused -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("names", [("A", "B"), ("trainA", "trainB"), ("summer", "winter")])
@pytest.mark.parametrize("empty", [0, 1])
def test_an_empty_domain(tmp_path, names, empty):
    fill(tmp_path / names[1 - empty])
    (tmp_path / names[empty]).mkdir()
    with pytest.raises(LayoutError, match=rf"{names[empty]}: no images in this folder .*; fill it, or give"):
        find_domains(tmp_path)


def test_the_same_folder_twice(tmp_path):
    a = fill(tmp_path / "A")
    with pytest.raises(LayoutError, match="A and B are the same folder; give the folder of A and then that of B"):
        find_domains(a, root_b=tmp_path / "A" / ".." / "A")
    (tmp_path / "B").symlink_to(a, target_is_directory=True)
    with pytest.raises(LayoutError, match="are the same folder; A and B must be two"):
        find_domains(tmp_path)


@pytest.mark.parametrize("split", ["", "train"])
def test_a_domain_with_one_image(tmp_path, split):
    fill(tmp_path / "summer" / split, 5)
    fill(tmp_path / "winter" / split, 1)
    if split:
        fill(tmp_path / "summer" / "test", 5)
        fill(tmp_path / "winter" / "test", 5)
    with pytest.raises(LayoutError, match=r"domain winter \(winter/\) has one image to train on; each .* at least two"):
        find_domains(tmp_path)


def test_a_domain_whose_images_cannot_be_read(tmp_path):
    fill(tmp_path / "A", 50)
    fill(tmp_path / "B", 3)
    (tmp_path / "B" / "B1.png").write_text("no")
    with pytest.raises(LayoutError, match=r"1 of 3 files cannot be read \(B/B1\.png\), more than 5%"):
        find_domains(tmp_path)
    assert counts(find_domains(tmp_path, max_corrupt=0.4)) == {"train": (50, 2)}
    (tmp_path / "B" / "B2.png").write_text("no")
    (tmp_path / "B" / "B3.png").write_text("no")
    with pytest.raises(LayoutError, match="has no image to train on"):
        find_domains(tmp_path, max_corrupt=1.0)


@pytest.mark.parametrize("folder", ["", "train"])
def test_pairs_side_by_side_are_not_domains(tmp_path, folder):
    fill(tmp_path / folder, 4, (16, 8))
    with pytest.raises(
        LayoutError, match=r"look like pairs, .*\(4 files\).*`translate train pix2pix`, or cut the halves into two"
    ):
        find_domains(tmp_path)


def test_one_set_of_images(tmp_path):
    fill(tmp_path / "train", 4)
    fill(tmp_path / "test", 4)
    with pytest.raises(LayoutError, match=r"one set of images, 8 files, and two domains are needed.*--root-b"):
        find_domains(tmp_path)
    fill(tmp_path / "x" / "photos", 4)
    with pytest.raises(LayoutError, match=r"holds no images and the folders photos/ \(4 images\).*--root-b"):
        find_domains(tmp_path / "x")


def test_three_folders(tmp_path):
    for name in ("apples", "oranges", "pears"):
        fill(tmp_path / name)
    with pytest.raises(LayoutError, match=r"3 folders of images .*give two by hand: .*apples --root-b .*oranges"):
        find_domains(tmp_path)


def test_a_partner_is_missing(tmp_path):
    for name in ("trainA", "trainB", "testA"):
        fill(tmp_path / name)
    with pytest.raises(LayoutError, match="testA/ is here but its partner 'testb' is not"):
        find_domains(tmp_path)
    for side, split in (("x", "train"), ("y", "test")):
        fill(tmp_path / side / split)
    with pytest.raises(LayoutError, match="different splits"):
        find_domains(tmp_path / "x", root_b=tmp_path / "y")


def test_splits_with_folders_of_other_names(tmp_path):
    for split, side in (("train", "cats"), ("train", "dogs"), ("test", "cats"), ("test", "wolves")):
        fill(tmp_path / split / side)
    with pytest.raises(
        LayoutError, match=r"different names: test has cats/ and wolves/; train has cats/ and dogs/; give them the same"
    ):
        find_domains(tmp_path)


def test_several_layouts_at_once(tmp_path):
    for name in ("A", "B", "trainA", "trainB"):
        fill(tmp_path / name)
    with pytest.raises(LayoutError, match=r"several layouts at once: ab-folders and trainA-trainB.*name the layout"):
        find_domains(tmp_path)
    assert find_domains(tmp_path, layout="ab-folders").sides == ("A/", "B/")


def test_layouts_that_are_not_there(tmp_path):
    fill(tmp_path / "A")
    fill(tmp_path / "B")
    with pytest.raises(LayoutError, match="layout trainA-trainB was not found: it holds no images and the folders A/"):
        find_domains(tmp_path, layout="trainA-trainB")
    with pytest.raises(LayoutError, match="unknown layout 'side-by-side': expected auto or one of ab-folders"):
        find_domains(tmp_path, layout="side-by-side")
    with pytest.raises(LayoutError, match="is one folder, but two were given"):
        find_domains(tmp_path / "A", root_b=tmp_path / "B", layout="ab-folders")
    with pytest.raises(LayoutError, match="no such folder"):
        find_domains(tmp_path / "nowhere")


def test_what_goes_into_weights_does_not_say_where_folders_lie(tmp_path):
    """Of two folders that were given by hand the names alone: where they are is the user's own."""
    from translate.config import DataConfig, UnpairedDataConfig
    from translate.data.paired import PairedImages
    from translate.data.unpaired import UnpairedImages

    for name, count in (("me/photos", 3), ("you/prints/train", 3)):
        for number in range(count):
            path = tmp_path / name / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (32, 32), (number * 40, 9, 99)).save(path)
    given = {"root": tmp_path / "me/photos", "root_b": tmp_path / "you/prints/train"}
    for images in (UnpairedImages(UnpairedDataConfig(**given)), PairedImages(DataConfig(**given))):
        assert str(tmp_path) not in images.description
        assert "photos" in images.description
        assert "prints/train" in images.description
        assert str(tmp_path) in images.announcement[0]  # whoever trains sees which folders were taken
