"""Pairs under any two names: which files meet, which side is A, and what is no pair."""

import unicodedata
from pathlib import Path

import pytest
from PIL import Image

from translate.data.doctor import examine
from translate.data.layouts import LayoutError, PairedData, find_domains, find_pairs
from translate.data.layouts_images import find_images
from translate.data.pair_names import find_parting, in_roles, masks_among, match_names, role_of


def touch(root: Path, *names: str, size: tuple[int, int] = (8, 8)) -> None:
    """Write images, each of its own shade."""
    for number, name in enumerate(names):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", size, (number * 7 % 256, len(name), 90)).save(path)


def fill(root: Path, *patterns: str, numbers: range = range(1, 5), size: tuple[int, int] = (8, 8)) -> None:
    """Write images of numbered names: ``masks/{}_mask.png``."""
    touch(root, *(pattern.format(number) for pattern in patterns for number in numbers), size=size)


def shown(data: PairedData, root: Path) -> dict[str, list[tuple[str, str]]]:
    """The files of each pair, relative to the root."""
    return {
        split: [(pair.a.path.relative_to(root).as_posix(), pair.b.path.relative_to(root).as_posix()) for pair in pairs]
        for split, pairs in data.splits.items()
    }


# --- names -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "role"),
    [
        ("images", "a"),
        ("JPEGImages", "a"),
        ("low_res", "a"),
        ("x", "a"),
        ("SegmentationClass", "b"),
        ("train_masks", "b"),
        ("ground-truth", "b"),
        ("label_images", "b"),
        ("summer", None),
        ("extra", None),
        ("a-spring", None),
    ],
)
def test_what_a_name_is_for(name, role):
    assert role_of(name) == role


def test_which_of_two_names_is_a():
    assert in_roles("input", "target") is True
    assert in_roles("high", "low") is False
    assert in_roles("masks", "scenes") is False
    assert in_roles("summer", "winter") is None
    assert in_roles("with_mask", "without_mask") is None


MEETING = {
    "equal": (["7.png", "8.png"], ["8.jpg", "7.jpg"], ["7", "8"]),
    "ending": (["p_1.jpg", "p_2.jpg"], ["p_1_segmentation.png", "p_2_segmentation.png"], ["p_1", "p_2"]),
    "two endings": (
        ["1_leftImg8bit.png", "2_leftImg8bit.png"],
        ["1_gtFine_labelIds.png", "2_gtFine_labelIds.png"],
        ["1", "2"],
    ),
    "beginning": (["7.png", "8.png"], ["seg7.png", "seg8.png"], ["7", "8"]),
    "two beginnings": (["image_7.png", "image_8.png"], ["mask_7.png", "mask_8.png"], ["7", "8"]),
    "both ends": (["ISIC_7.png", "ISIC_8.png"], ["7_mask.png", "8_mask.png"], ["7", "8"]),
    "zeros": (["007.png", "010.png"], ["7.png", "10.png"], ["007", "010"]),
    "zeros and an ending": (["007.png", "010.png"], ["7-gt.png", "10-gt.png"], ["007", "010"]),
    "capitals": (["IMG_7.JPG", "IMG_8.JPG"], ["img_7.png", "img_8.png"], ["IMG_7", "IMG_8"]),
    "one each": (["x.png"], ["x_mask.png"], ["x"]),
}


@pytest.mark.parametrize(("a", "b", "names"), MEETING.values(), ids=MEETING.keys())
def test_names_that_meet(a, b, names):
    for first, second in ((a, b), (b, a)):
        match = match_names([Path(name) for name in first], [Path(name) for name in second])
        assert (match.only_a, match.only_b) == ((), ())
        assert len(match.pairs) == len(a)
    match = match_names([Path(name) for name in a], [Path(name) for name in b])
    assert [name for name, *_ in match.pairs] == names
    for _, path_a, path_b in match.pairs:
        digits = [int("".join(filter(str.isdigit, path.stem.replace("8bit", ""))) or 0) for path in (path_a, path_b)]
        assert digits[0] == digits[1]


@pytest.mark.parametrize(
    ("a", "b"),
    [
        (["summer1.png", "summer2.png"], ["winter1.png", "winter2.png"]),
        (["with_mask_1.png", "with_mask_2.png"], ["without_mask_1.png", "without_mask_2.png"]),
        (["A1.png", "A2.png"], ["B1.png", "B2.png"]),  # a letter counts with its separator
        (["cats.png", "dogs.png"], ["cat.png", "dog.png"]),  # no whole word is dropped
        (["1_mask.png", "2.png"], ["1.png", "x.png"]),  # not every file of the side has it
    ],
)
def test_names_that_do_not_meet(a, b):
    assert match_names([Path(name) for name in a], [Path(name) for name in b]).pairs == ()


def test_leading_zeros_that_tell_files_apart_stay():
    match = match_names([Path("1.png"), Path("01.png")], [Path("1.jpg"), Path("01.jpg")])
    assert [(a.name, b.name) for _, a, b in match.pairs] == [("1.png", "1.jpg"), ("01.png", "01.jpg")]


def test_names_are_compared_in_one_unicode_form(tmp_path):
    for number in range(3):
        name = f"été_{number}.png"
        touch(tmp_path, f"A/{unicodedata.normalize('NFC', name)}", f"B/{unicodedata.normalize('NFD', name)}")
    assert len(find_pairs(tmp_path).splits["train"]) == 3


PARTINGS = {
    "endings": (["1_image.png", "2_image.png", "1_label.png", "2_label.png"], ("*_image", "*_label")),
    "any endings": (["1_zen.png", "2_zen.png", "1_alt.png", "2_alt.png"], ("*_alt", "*_zen")),
    "deepglobe": (["1_sat.jpg", "2_sat.jpg", "1_mask.png", "2_mask.png"], ("*_sat", "*_mask")),
    "one ending": (["1.png", "2.png", "1_mask.png", "2_mask.png"], ("no *_mask", "*_mask")),
    "beginnings": (["image_1.png", "image_2.png", "mask_1.png", "mask_2.png"], ("image_*", "mask_*")),
    "suffixes": (["1.jpg", "2.jpg", "1.png", "2.png"], ("*.jpg", "*.png")),
    "cats and dogs": (["cat_1.png", "cat_2.png", "dog_1.png", "dog_2.png"], None),
    "flipped": (["1.png", "2.png", "1_flip.png", "2_flip.png"], None),
    "numbers": (["1_0.png", "2_0.png", "1_1.png", "2_1.png"], None),
    "single images": (["1.png", "2.png", "3.png", "4.png"], None),
}


@pytest.mark.parametrize(("names", "sides"), PARTINGS.values(), ids=PARTINGS.keys())
def test_how_one_folder_is_parted(names, sides):
    parting = find_parting([Path(name) for name in names])
    assert (parting and parting.shown) == sides
    if parting is not None:
        a, b, others = parting.part([Path(name) for name in names])
        assert (len(a), len(b), others) == (2, 2, [])


def test_masks_of_others_are_told_by_their_names():
    files = [Path(name) for name in ("benign (1).png", "benign (1)_mask.png", "benign (2).png", "without_mask.png")]
    assert masks_among(files) == [Path("benign (1)_mask.png")]


# --- folders ---------------------------------------------------------------------------------------------------------


FOLDERS = {
    "images and masks": (("images/{}.png", "masks/{}.png"), ("images/", "masks/")),
    "order of words": (("high/{}.png", "low/{}.png"), ("low/", "high/")),
    "any names": (("bricks/{}x.png", "after/{}x.png"), ("bricks/", "after/")),
    "in a split": (("train/images/{}.png", "train/masks/{}.png"), ("train/images/", "train/masks/")),
    "split inside": (("images/train/{}.png", "masks/train/{}.png"), ("images/", "masks/")),
    "joined": (("train_images/{}.png", "train_masks/{}.png"), ("train_images/", "train_masks/")),
    "camvid": (("train/{}.png", "trainannot/{}.png"), ("train/", "trainannot/")),
    "carvana": (("train/{}.jpg", "train_masks/{}_mask.gif"), ("train/", "train_masks/")),
    "pix2pixhd": (("train_img/{}.png", "train_label/{}.png"), ("train_label/", "train_img/")),
    "split in the middle": (("DIV_train_HR/{}.png", "DIV_train_LR/{}x2.png"), ("DIV_train_LR/", "DIV_train_HR/")),
    "one folder down": (("data/images/{}.png", "data/masks/{}.png"), ("data/images/", "data/masks/")),
}


@pytest.mark.parametrize(("patterns", "sides"), FOLDERS.values(), ids=FOLDERS.keys())
def test_two_folders_of_any_names(tmp_path, patterns, sides):
    fill(tmp_path, *patterns)
    data = find_pairs(tmp_path)
    assert (data.layout, data.sides, data.by_number) == ("two-folders", sides, False)
    assert len(data.splits["train"]) == 4
    assert f"A = {sides[0]}, B = {sides[1]}" in data.describe()
    for pair in data.splits["train"]:
        assert pair.a.path.is_relative_to(tmp_path / sides[0])
        assert pair.b.path.is_relative_to(tmp_path / sides[1])
        assert sorted((pair.a.path.stem, pair.b.path.stem), key=len)[0] == pair.name


@pytest.mark.parametrize("pattern", ["{split}/{side}", "{side}/{split}", "{split}_{side}", "{side}-{split}"])
def test_the_splits_of_two_folders(tmp_path, pattern):
    for split, count in (("train", 4), ("val", 2), ("test", 1)):
        for side, ending in (("images", ""), ("masks", "_m")):
            fill(tmp_path, f"{pattern.format(split=split, side=side)}/{{}}{ending}.png", numbers=range(count))
    data = find_pairs(tmp_path)
    assert {split: len(pairs) for split, pairs in data.splits.items()} == {"train": 4, "val": 2, "test": 1}
    assert "names of B are compared without ..._m" in data.notes


def test_a_split_without_masks_is_said(tmp_path):
    fill(tmp_path, "train/{}.jpg", "train_masks/{}_mask.gif", "test/{}.jpg")
    data = find_pairs(tmp_path)
    assert list(data.splits) == ["train"]
    assert "not used: test/" in data.notes


def test_instances_of_pix2pixhd_are_beside_the_pairs(tmp_path):
    fill(tmp_path, "train_img/{}.png", "train_inst/{}.png", "train_label/{}.png")
    data = find_pairs(tmp_path)
    assert data.sides == ("train_label/", "train_img/")
    assert "not used: train_inst/" in data.notes
    fill(tmp_path / "ab", "train_A/{}.png", "train_B/{}.png", "train_inst/{}.png")
    data = find_pairs(tmp_path / "ab")
    assert (data.layout, data.sides) == ("trainA-trainB", ("train_A/", "train_B/"))
    assert "not used: train_inst/" in data.notes


def test_pascal_voc(tmp_path):
    fill(tmp_path, "VOC2012/JPEGImages/2007_{:06}.jpg", numbers=range(9))
    fill(
        tmp_path,
        "VOC2012/SegmentationClass/2007_{:06}.png",
        "VOC2012/SegmentationObject/2007_{:06}.png",
        numbers=range(6),
    )
    root = tmp_path / "VOC2012"
    data = find_pairs(root)
    assert (data.layout, len(data.splits["train"]), data.sides) == ("voc", 6, ("JPEGImages/", "SegmentationClass/"))
    assert "3 images have no mask and are not used" in data.notes
    lists = root / "ImageSets" / "Segmentation"
    lists.mkdir(parents=True)
    (lists / "train.txt").write_text("2007_000000\n2007_000003\n2007_000007\n")
    (lists / "val.txt").write_text("2007_000001\n2007_000005\n")
    for folder in (root, tmp_path):
        data = find_pairs(folder)
        assert {split: [pair.name for pair in pairs] for split, pairs in data.splits.items()} == {
            "train": ["2007_000000", "2007_000003"],
            "val": ["2007_000001", "2007_000005"],
        }
        assert any("1 names of the list of train have no image or no mask (2007_000007)" in note for note in data.notes)


def test_one_folder_with_splits(tmp_path):
    fill(tmp_path, "train/{}_sat.jpg", "train/{}_mask.png")
    fill(tmp_path, "valid/{}_sat.jpg", numbers=range(2))
    data = find_pairs(tmp_path)
    assert (data.layout, data.sides) == ("one-folder", ("*_sat", "*_mask"))
    assert shown(data, tmp_path) == {"train": [(f"train/{n}_sat.jpg", f"train/{n}_mask.png") for n in range(1, 5)]}
    assert "val has *_sat and no *_mask: it is not used" in data.notes
    (tmp_path / "train" / "3_mask.png").unlink()
    with pytest.raises(LayoutError, match=r"1 of the files of .*\*_sat and 0 of .* no partner, 3 have .*3_sat\.jpg"):
        find_pairs(tmp_path)
    assert len(find_pairs(tmp_path, allow_unmatched=True).splits["train"]) == 3


def test_one_above_the_other(tmp_path):
    for number in range(4):
        image = Image.new("RGB", (6, 12), (0, 0, 200))
        image.paste((250, number, 0), (0, 0, 6, 6))
        image.save(tmp_path / f"{number}.png")
    data = find_pairs(tmp_path)
    assert (data.layout, data.size, data.sides) == ("top-bottom", (6, 6), ("top half", "bottom half"))
    assert data.describe() == "4 training pairs; one above the other, A = top half, B = bottom half; 6x6, RGB"
    a, b = data.splits["train"][2].read()
    assert (a.pixels == (250, 2, 0)).all()
    assert (b.pixels == (0, 0, 200)).all()
    Image.new("RGB", (6, 11)).save(tmp_path / "odd.png")
    with pytest.raises(LayoutError, match=r"odd\.png is 6x11: .* one above the other has an even height"):
        find_pairs(tmp_path)


def test_endings_of_files_that_are_twice_as_wide(tmp_path):
    fill(tmp_path / "known", "{}_image.png", "{}_label.png", size=(16, 8))
    assert find_pairs(tmp_path / "known").layout == "one-folder"
    fill(tmp_path / "any", "{}_left.png", "{}_zen.png", size=(16, 8))
    assert find_pairs(tmp_path / "any").layout == "one-folder"
    fill(tmp_path / "unknown", "{}_day.png", "{}_night.png", size=(16, 8))
    with pytest.raises(LayoutError, match=r"several layouts at once: one-folder and side-by-side"):
        find_pairs(tmp_path / "unknown")
    assert len(find_pairs(tmp_path / "unknown", layout="one-folder").splits["train"]) == 4
    assert len(find_pairs(tmp_path / "unknown", layout="side-by-side").splits["train"]) == 8


def test_two_folders_by_hand_meet_by_the_same_names(tmp_path):
    for split, count in (("train", 4), ("val", 2)):
        fill(tmp_path, f"{split}/scans/{{}}.jpg", f"{split}/drawn/{{}}_segmentation.png", numbers=range(count))
    data = find_pairs(tmp_path / "train" / "scans", root_b=tmp_path / "train" / "drawn")
    assert {split: len(pairs) for split, pairs in data.splits.items()} == {"train": 4, "val": 2}
    data = find_pairs(tmp_path / "val" / "scans", root_b=tmp_path / "val" / "drawn")
    assert {split: len(pairs) for split, pairs in data.splits.items()} == {"train": 2}


# --- refused, with the command ---------------------------------------------------------------------------------------


def test_three_folders_are_refused_with_whole_commands(tmp_path):
    for split, count in (("train", 4), ("val", 2)):
        for side in ("images", "masks", "depth"):
            fill(tmp_path, f"{split}/{side}/{{}}.png", numbers=range(count))
    with pytest.raises(LayoutError) as caught:
        find_pairs(tmp_path)
    a, b = tmp_path / "train" / "images", tmp_path / "train" / "masks"
    assert f"translate train pix2pix {a} --root-b {b} --out runs/pix2pix" in caught.value.fix
    assert {split: len(pairs) for split, pairs in find_pairs(a, root_b=b).splits.items()} == {"train": 4, "val": 2}
    found = examine(tmp_path)
    assert not any(method.suits for method in found.methods)
    assert caught.value.fix.count("translate train") == caught.value.fix.count(f"pix2pix {a} --root-b") == 2
    assert f"--root-b {b}" in next(method.reason for method in found.methods if method.name == "pix2pix")


def test_masks_whose_names_do_not_meet_are_not_called_unpaired(tmp_path):
    touch(tmp_path, "images/a.png", "images/b.png", "masks/x.png", "masks/y.png")
    with pytest.raises(LayoutError) as caught:
        find_pairs(tmp_path)
    assert "unpaired" not in str(caught.value)
    assert "rename them" in caught.value.fix


def test_several_files_for_each_are_not_called_unpaired(tmp_path):
    fill(tmp_path, "left/a_{}_leftImg8bit.png", "fine/a_{}_gtFine_labelIds.png", "fine/a_{}_gtFine_lines.png")
    with pytest.raises(LayoutError) as caught:
        find_pairs(tmp_path)
    assert "unpaired" not in str(caught.value)
    assert "several files for each: *_gtFine_labelIds, *_gtFine_lines; move all but one" in caught.value.fix


def test_the_splits_of_lol_are_found(tmp_path):
    fill(tmp_path, *(f"{part}/{side}/{{}}.png" for part in ("eval15", "our485") for side in ("high", "low")))
    found = find_pairs(tmp_path)
    assert {split: len(pairs) for split, pairs in found.splits.items()} == {"train": 4, "test": 4}
    assert found.sides == ("our485/low/", "our485/high/")


def test_pairs_of_several_places_are_one_set(tmp_path):
    fill(tmp_path / "two", *(f"{part}/{side}/{{}}.png" for part in ("first", "second") for side in ("high", "low")))
    assert find_pairs(tmp_path / "two").sides == ("low", "high")
    fill(
        tmp_path / "busi",
        *(f"{name}/{name} ({{}}){end}.png" for name in ("benign", "normal", "worse") for end in ("", "_mask")),
    )
    assert len(find_pairs(tmp_path / "busi").splits["train"]) == 12
    assert len(find_pairs(tmp_path / "busi" / "benign").splits["train"]) == 4


# --- by chance -------------------------------------------------------------------------------------------------------


def test_numbers_that_meet_by_chance(tmp_path):
    fill(tmp_path, "cats/{:04}.jpg", "dogs/{:04}.jpg")
    data = find_pairs(tmp_path)
    assert len(data.splits["train"]) == 4
    assert data.by_number
    assert "images of cats/ and dogs/ are paired by a number alone" in data.notes
    found = examine(tmp_path)
    assert found.kind == "unpaired"
    assert {method.name for method in found.methods if method.suits} >= {"cyclegan", "cut", "pix2pix", "classifier"}
    assert any("if they are pairs" in problem.what for problem in found.problems)


def test_names_that_are_no_running_numbers_do_not_meet_by_chance(tmp_path):
    for side in ("cats", "dogs"):
        touch(tmp_path, *(f"{side}/{name}.png" for name in ("anna", "bert", "carl")))
    assert not find_pairs(tmp_path).by_number
    assert examine(tmp_path).kind == "pairs"


@pytest.mark.parametrize(
    "patterns",
    [
        ("images/{}.png", "masks/{}.png"),
        ("images/{}.png", "masks/{}_mask.png"),
        ("{}_image.png", "{}_label.png"),
        ("{}.jpg", "{}_mask.png"),
        ("images/{}.png", "masks/{}.png", "edges/{}.png"),
        ("benign/b {}.png", "benign/b {}_mask.png", "malignant/m {}.png", "malignant/m {}_mask.png"),
    ],
)
def test_photographs_and_masks_are_no_image_set(tmp_path, patterns):
    fill(tmp_path, *patterns)
    found = examine(tmp_path)
    assert not {method.name for method in found.methods if method.suits} & {"vae", "gan", "classifier", "stylegan"}
    with pytest.raises(LayoutError, match=r"masks.*or name the layout"):
        find_images(tmp_path)
    layout = "folder" if "/" not in patterns[0] else "class-folders"
    assert len(find_images(tmp_path, layout=layout).splits["train"]) == 4 * len(patterns)


def test_classes_that_are_called_after_masks_are_classes(tmp_path):
    fill(tmp_path, "with_mask/with_mask_{}.png", "without_mask/without_mask_{}.png")
    assert find_images(tmp_path).class_names == ("with_mask", "without_mask")
    found = examine(tmp_path)
    assert found.kind == "unpaired"
    assert "classifier" in {method.name for method in found.methods if method.suits}


def test_unpaired_methods_take_two_folders_of_any_names(tmp_path):
    fill(tmp_path, "images/{}.png", "masks/{}_mask.png")
    assert find_domains(tmp_path).names == ("images", "masks")
