"""Pairs in folders of clips, cities, days and patients."""

import pytest
from test_pair_names import fill, shown, touch

from translate.data.doctor import examine
from translate.data.layouts import LayoutError, find_pairs
from translate.data.layouts_images import find_images
from translate.data.pair_trees import find_tree


def clips(root):
    for clip in ("train/GOPR0372_07_00", "train/GOPR0374_11_00", "test/GOPR0384_11_00"):
        fill(root / clip, "blur/00000{}.png", "blur_gamma/00000{}.png", "sharp/00000{}.png")


def cities(root):
    for city in ("train/aachen", "train/bochum", "val/lindau"):
        name = f"{city}/{city.split('/')[1]}_0000_00001{{}}"
        fill(root / "leftImg8bit", f"{name}_leftImg8bit.png")
        fill(root / "gtFine", *(f"{name}_gtFine_{kind}.png" for kind in ("color", "instanceIds", "labelIds")))


def test_clips_of_two_kinds(tmp_path):
    clips(tmp_path)
    found = find_pairs(tmp_path)
    assert (found.layout, found.sides) == ("nested-folders", ("blur", "sharp"))
    assert {split: len(pairs) for split, pairs in found.splits.items()} == {"train": 8, "test": 4}
    assert shown(found, tmp_path)["test"][0] == tuple(
        f"test/GOPR0384_11_00/{side}/000001.png" for side in ("blur", "sharp")
    )
    assert len({pair.name for pair in found.splits["train"]}) == 8
    assert any("blur_gamma" in problem.what for problem in found.problems if problem.kind == "unused")


def test_clips_are_no_image_set(tmp_path):
    clips(tmp_path)
    with pytest.raises(LayoutError, match="hold pairs, of blur and sharp"):
        find_images(tmp_path)
    assert len(find_images(tmp_path, layout="class-folders").splits["train"]) == 24
    methods = {method.name: method.suits for method in examine(tmp_path).methods}
    assert methods["pix2pix"]
    assert "vae" not in methods


def test_cities_of_two_kinds_and_several_files_for_each(tmp_path):
    cities(tmp_path)
    found = find_pairs(tmp_path)
    assert found.sides == ("leftImg8bit", "gtFine")
    assert {split: len(pairs) for split, pairs in found.splits.items()} == {"train": 8, "val": 4}
    assert shown(found, tmp_path)["val"][0] == (
        "leftImg8bit/val/lindau/lindau_0000_000011_leftImg8bit.png",
        "gtFine/val/lindau/lindau_0000_000011_gtFine_color.png",
    )
    assert any("*_gtFine_color is taken" in problem.what for problem in found.problems)
    ids = find_pairs(tmp_path, labelled="b")
    assert all(pair.b.path.stem.endswith("_labelIds") for pair in ids.splits["train"])


@pytest.mark.parametrize(
    ("patterns", "sides"),
    [
        (("{split}/{split}_blur/{clip}/0{{}}.png", "{split}/{split}_sharp/{clip}/0{{}}.png"), ("blur", "sharp")),
        (("JPEGImages/480p/{clip}/{{}}.jpg", "Annotations/480p/{clip}/{{}}.png"), ("JPEGImages", "Annotations")),
        (("{clip}/images/{{}}.png", "{clip}/masks/{{}}.png"), ("images", "masks")),
        (("{clip}/{clip}_{{}}.tif", "{clip}/{clip}_{{}}_mask.tif"), ("no *_mask", "*_mask")),
    ],
)
def test_other_trees(tmp_path, patterns, sides):
    for clip in ("001", "002", "bear"):
        fill(tmp_path, *(pattern.format(split="train", clip=clip) for pattern in patterns))
    found = find_pairs(tmp_path)
    assert (found.layout, found.sides, len(found.splits["train"])) == ("nested-folders", sides, 12)


def test_two_trees_by_hand(tmp_path):
    for clip in ("one", "two"):
        fill(tmp_path, f"day/{clip}/{{}}.png", f"night/{clip}/{{}}.png")
    found = find_pairs(tmp_path / "day", root_b=tmp_path / "night")
    assert [pair.name for pair in found.splits["train"]] == [
        f"{clip}/{number}" for clip in ("one", "two") for number in range(1, 5)
    ]


def test_what_lacks_a_partner_is_said(tmp_path):
    for clip in ("one", "two", "three", "four", "five"):
        fill(tmp_path / clip, "blur/0{}.png", "sharp/0{}.png")
    (tmp_path / "one/sharp/02.png").unlink()
    for path in (tmp_path / "two/blur").iterdir():
        path.unlink()
    with pytest.raises(LayoutError, match="1 of the files of blur and 4 of sharp have no partner, 15 have"):
        find_pairs(tmp_path)
    assert len(find_pairs(tmp_path, allow_unmatched=True).splits["train"]) == 15


def test_folders_of_classes_and_of_days_are_no_pairs(tmp_path):
    for day in ("2021/01", "2021/02"):
        fill(tmp_path / "days", f"{day}/{{}}.png")
    for kind in ("cats", "dogs"):
        fill(tmp_path / "classes", f"{kind}/first/{{}}.png", f"{kind}/second/{{}}.png")
    fill(tmp_path / "other", "one/blur/a{}.png", "one/sharp/b{}.png", "two/blur/c{}.png", "two/sharp/d{}.png")
    touch(tmp_path / "alone", "x/images/1.png", "x/masks/1.png")
    assert all(find_tree(tmp_path / name) is None for name in ("days", "classes", "other", "alone"))


@pytest.mark.parametrize(
    "names", [("{}.png", "{}_mask.png"), ("{}.jpg", "{}.png"), ("{case}_{}.tif", "{case}_{}_mask.tif")]
)
@pytest.mark.parametrize("cases", [("P1", "P2"), ("P1", "P2", "P3"), ("train/P1", "train/P2", "test/P3", "test/P4")])
def test_cases_that_hold_images_and_masks_each(tmp_path, names, cases):
    for case in cases:
        fill(tmp_path / case, *(name.replace("{case}", case.rsplit("/", 1)[-1]) for name in names))
    found = find_pairs(tmp_path)
    assert found.layout == "nested-folders"
    pairs = [pair for split in found.splits.values() for pair in split]
    assert len(pairs) == 4 * len(cases)
    assert len({pair.name for pair in pairs}) == len(pairs)
    assert all(pair.a.path.parent == pair.b.path.parent != pair.a.path for pair in pairs)
    assert all("mask" in pair.b.path.stem or pair.b.path.suffix == ".png" for pair in pairs)
    with pytest.raises(LayoutError, match="hold pairs"):
        find_images(tmp_path)


def test_one_clip_in_a_split(tmp_path):
    fill(tmp_path / "train" / "CLIP", "blur/{}.png", "sharp/{}.png")
    assert len(find_pairs(tmp_path).splits["train"]) == 4


def test_scenes_and_days_are_not_advised_as_pairs(tmp_path):
    fill(tmp_path / "scenes", *(f"{scene}/clean/{{}}.png" for scene in ("p1", "p2", "p3")))
    fill(tmp_path / "days", *(f"2021/0{month}/{{}}.png" for month in (1, 2, 3)))
    for root in (tmp_path / "scenes", tmp_path / "days"):
        with pytest.raises(LayoutError) as caught:
            find_pairs(root)
        assert "--root-b FOLDER_OF_B" in caught.value.fix
