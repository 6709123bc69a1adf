"""Labels from a table beside the images."""

from pathlib import Path

import pytest
from PIL import Image

from translate.config import ImageSetConfig
from translate.data.doctor import examine
from translate.data.image_set import ImageSet
from translate.data.layouts import LayoutError
from translate.data.layouts_images import ImageSetData, find_images


def images(root: Path, *names: str) -> Path:
    for number, name in enumerate(names):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8), (40 * number % 256, 9, 9)).save(root / name)
    return root


def by_file(found: ImageSetData, split: str = "train") -> dict[str, str]:
    part = found.splits[split]
    assert part.labels is not None
    return {source.path.name: found.class_names[label] for source, label in zip(part.sources, part.labels, strict=True)}


LABELS = {"1.png": "cat", "2.png": "dog", "10.png": "cat"}


@pytest.mark.parametrize(
    "text",
    [
        "file,label\n1.png,cat\n2.png,dog\n10.png,cat\n",
        "\ufeffid;breed\n10;cat\n1;cat\n2;dog\n",
        "number,image,class,width\n5,1.png,cat,8\n6,2.png,dog,8\n7,10.png,cat,8\n",
        'image\tlabel\n"1.png"\tcat\n2.jpg\tdog\n./10.png\tcat\n',
        "image,cat,dog\n1,1.0,0.0\n2,0.0,1.0\n10,1.0,0.0\n",
    ],
    ids=["plain", "stems and a mark", "a usual name among several", "tabs, other endings", "one-hot"],
)
@pytest.mark.parametrize("name", ["labels.csv", "anything.csv"])
def test_labels_of_a_table(tmp_path, text, name):
    images(tmp_path, *LABELS)
    (tmp_path / name).write_text(text, encoding="utf-8")
    found = find_images(tmp_path)
    assert (found.layout, found.class_names, found.notes) == ("csv", ("cat", "dog"), ())
    assert by_file(found) == LABELS


def test_labels_reach_a_run_and_the_doctor(tmp_path):
    images(tmp_path, *LABELS)
    table = tmp_path.parent / f"{tmp_path.name}.csv"
    table.write_text("file,kind,age\n1.png,cat,3\n2.png,dog,9\n10.png,cat,3\n")
    data = ImageSet(ImageSetConfig(root=tmp_path, labels_csv=table, label_column="age", size=8))
    assert (data.class_names, data.class_counts) == (("3", "9"), (2, 1))
    data.close()
    (tmp_path / "labels.csv").write_text("file,kind\n1.png,cat\n2.png,dog\n10.png,cat\n")
    found = examine(tmp_path)
    assert (found.kind, found.layout) == ("image-set", "csv")
    assert "classifier" in {method.name for method in found.methods if method.suits}


def test_splits_of_a_table_and_of_folders(tmp_path):
    images(tmp_path / "column", "1.png", "2.png", "3.png")
    (tmp_path / "column" / "labels.csv").write_text("file,label,split\n1,a,train\n2,b,valid\n3,a,test\n")
    found = find_images(tmp_path / "column")
    assert {split: by_file(found, split) for split in found.splits} == {
        "train": {"1.png": "a"},
        "val": {"2.png": "b"},
        "test": {"3.png": "a"},
    }
    images(tmp_path / "folders", "train/1.png", "train/2.png", "test/1.png")
    (tmp_path / "folders" / "labels.csv").write_text("file,label\ntrain/1.png,a\ntrain/2.png,b\ntest/1.png,b\n")
    found = find_images(tmp_path / "folders")
    assert by_file(found, "test") == {"1.png": "b"}
    (tmp_path / "folders" / "labels.csv").write_text("file,label\n1.png,a\n2.png,b\n")
    with pytest.raises(LayoutError, match=r"1\.png may be .*; write names with their folders"):
        find_images(tmp_path / "folders")


def test_rows_and_images_without_each_other_are_said(tmp_path):
    images(tmp_path, *LABELS, "11.png")
    (tmp_path / "train.csv").write_text("file,label\n1,cat\n2,dog\n10,cat\n99,dog\n")
    (tmp_path / "sample_submission.csv").write_text("file,label\n12,cat\n")
    found = find_images(tmp_path)
    assert by_file(found) == LABELS
    assert found.notes == (
        "rows of train.csv that name no image here: 1 (99)",
        "images without a row in train.csv, not used: 1 (11.png)",
    )
    assert len(find_images(tmp_path, layout="folder").splits["train"]) == 4


def test_labels_that_cannot_be_told(tmp_path):
    images(tmp_path, *LABELS)
    table = tmp_path / "labels.csv"
    table.write_text("file,age,weight\n1,3,5\n2,4,5\n10,3,6\n")
    found = find_images(tmp_path)  # for methods that need none
    assert (found.class_names, len(found.splits["train"])) == ((), 3)
    assert found.notes == ("labels.csv: 2 columns may be the labels: no labels are used",)
    with pytest.raises(LayoutError, match=r"2 columns may be the labels; choose with --label-column: age, weight"):
        find_images(tmp_path, labels_csv=table)
    with pytest.raises(LayoutError, match=r"no column of labels is called 'height'; .*age, weight"):
        find_images(tmp_path, label_column="height")
    assert find_images(tmp_path, label_column="weight").class_names == ("5", "6")
    table.write_text("file,caption\n1,a cat\n2,a dog\n10,an eel\n")
    assert "a different value, so they are not classes" in find_images(tmp_path).notes[0]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("file,label\n1,cat\n1.png,dog\n2,cat\n", "has two labels, cat and dog; keep one row"),
        ("file,label\n7,cat\n8,dog\n", "no column has the names of images below"),
        ("file,label\n1,cat,3\n2,dog\n", "row 2 must have 2 values like the first"),
        ("file\n1\n", "has 1 columns"),
    ],
)
def test_tables_that_will_not_do(tmp_path, text, said):
    images(tmp_path, *LABELS)
    (tmp_path / "labels.csv").write_text(text)
    with pytest.raises(LayoutError, match=said):
        find_images(tmp_path, labels_csv=tmp_path / "labels.csv")
    with pytest.raises(LayoutError, match=r"cannot be read: No such file"):
        find_images(tmp_path, labels_csv=tmp_path / "nothing.csv")


def test_a_table_of_something_else_is_left_alone(tmp_path):
    images(tmp_path, *LABELS)
    (tmp_path / "log.csv").write_text("step,loss\n100,0.5\n200,0.4\n")
    assert find_images(tmp_path).layout == "folder"
    for name in ("cats", "dogs"):
        images(tmp_path / "classes" / name, "1.png", "2.png")
    (tmp_path / "classes" / "labels.csv").write_text("file,label\ncats/1.png,x\ncats/2.png,y\ndogs/1.png,x\n")
    assert find_images(tmp_path / "classes").class_names == ("cats", "dogs")
