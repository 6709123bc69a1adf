"""Image sets: every layout, labels, splits, what is broken; and streams that are functions of seed and position."""

import gzip
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from translate.config import ConfigError, ImageSetConfig
from translate.data.array_batches import ArrayBatches, draws
from translate.data.batches import DataError, Wanted, evenly, permutation
from translate.data.doctor import examine
from translate.data.image_set import ImageSet, binarised
from translate.data.images import ImageError
from translate.data.layouts import LayoutError
from translate.data.layouts_images import find_images

CPU = torch.device("cpu")
STREAM = {"batch_size": 2, "start": 0, "seed": 3, "rank": 0, "world_size": 1, "device": CPU, "report": print}


def write_idx(path: Path, values: np.ndarray, *, zipped: bool = False, head: bytes | None = None) -> None:
    head = head if head is not None else bytes([0, 0, 8, values.ndim]) + struct.pack(f">{values.ndim}I", *values.shape)
    data = head + values.astype(np.uint8).tobytes()
    path.write_bytes(gzip.compress(data) if zipped else data)


def digits(count: int, *, side: int = 12) -> np.ndarray:
    """Images that say where they are: position in the values, the number in a corner."""
    y, x = np.mgrid[:side, :side]
    images = np.repeat((y * side + x)[None] % 200, count, axis=0).astype(np.uint8)
    images[:, 0, 0] = np.arange(count)
    return images


@pytest.fixture
def mnist(tmp_path):
    """9 training and 4 test images of classes 3, 5 and 8, one half gzipped."""
    folder = tmp_path / "digits"
    folder.mkdir()
    write_idx(folder / "train-images-idx3-ubyte.gz", digits(9), zipped=True)
    write_idx(folder / "train-labels-idx1-ubyte.gz", np.array([3, 5, 8] * 3), zipped=True)
    write_idx(folder / "t10k-images.idx3-ubyte", digits(4))
    write_idx(folder / "t10k-labels.idx1-ubyte", np.array([8, 8, 5, 3]))
    return folder


def write_images(folder: Path, count: int, *, side: int = 12, shade: int = 0) -> None:
    folder.mkdir(parents=True)
    for number in range(count):
        Image.fromarray(np.full((side, side, 3), shade + number, np.uint8)).save(folder / f"{number}.png")


def test_idx(mnist):
    found = find_images(mnist)
    assert (found.layout, found.class_names, found.size, found.channels) == ("idx", ("3", "5", "8"), (12, 12), 1)
    assert {name: len(part) for name, part in found.splits.items()} == {"train": 9, "test": 4}
    assert found.splits["test"].labels.tolist() == [2, 2, 1, 0]
    assert found.describe() == "9 training, 4 test images of 3 classes; idx; 12x12, grey"
    assert len(find_images(mnist / "t10k-images.idx3-ubyte").splits["test"]) == 4


def test_classes_can_be_chosen(mnist):
    found = find_images(mnist, classes=("8", "3"))
    assert found.class_names == ("8", "3")
    assert found.splits["train"].labels.tolist() == [1, 0] * 3
    assert found.splits["train"].pixels[:, 0, 0, 0].tolist() == [0, 2, 3, 5, 6, 8]
    with pytest.raises(LayoutError, match="has no class '7'; choose among 3, 5, 8"):
        find_images(mnist, classes=("7",))


BROKEN = {
    "magic": ({"head": b"\x89PNG"}, "is not an idx file: it starts with 89 50 4e 47"),
    "type": ({"head": bytes([0, 0, 13, 3]) + struct.pack(">3I", 9, 12, 12)}, "values of type 0x0d"),
    "short": (
        {"head": bytes([0, 0, 8, 3]) + struct.pack(">3I", 10, 12, 12)},
        r"says 1,440 values \(10x12x12\) and has 1,296",
    ),
    "long": ({"head": bytes([0, 0, 8, 3]) + struct.pack(">3I", 8, 12, 12)}, "and has more"),
    "huge": ({"head": bytes([0, 0, 8, 3]) + struct.pack(">3I", 2**31, 2**10, 2**10)}, "not read"),
    "head": ({"head": bytes([0, 0, 8, 3, 0, 0])}, "is truncated: it ends within its header"),
}


@pytest.mark.parametrize(("given", "said"), BROKEN.values(), ids=BROKEN.keys())
@pytest.mark.parametrize("zipped", [False, True])
def test_broken_idx_files_are_refused_in_a_line(mnist, given, said, zipped):
    path = mnist / "train-images-idx3-ubyte.gz"
    values = np.zeros(0) if "truncated" in said else digits(9)
    write_idx(path, values, zipped=zipped, **given)
    with pytest.raises(ImageError, match=said) as caught:
        find_images(mnist)
    assert "\n" not in str(caught.value)


def test_a_torn_gzip_is_refused(mnist):
    path = mnist / "train-images-idx3-ubyte.gz"
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(ImageError, match="cannot be read"):
        find_images(mnist)


def test_more_labels_than_images_are_refused(mnist):
    write_idx(mnist / "t10k-labels.idx1-ubyte", np.zeros(5))
    with pytest.raises(LayoutError, match=r"test: 4 images and 5 labels; give the files that belong together"):
        find_images(mnist)


@pytest.mark.parametrize(
    "names",
    [("x_train", "y_train", "x_test", "y_test"), ("train_images", "train_labels", "test_images", "test_labels")],
)
def test_npz(tmp_path, names):
    arrays = dict(zip(names, (digits(6), np.arange(6) % 2, digits(3), np.array([[1], [0], [1]])), strict=True))
    np.savez(tmp_path / "set.npz", **arrays)
    for root in (tmp_path, tmp_path / "set.npz"):
        found = find_images(root)
        assert (found.layout, found.class_names) == ("npz", ("0", "1"))
        assert {name: len(part) for name, part in found.splits.items()} == {"train": 6, "test": 3}
        assert found.splits["test"].labels.tolist() == [1, 0, 1]


def test_npz_files_that_will_not_do(tmp_path):
    path = tmp_path / "set.npz"
    np.savez(path, images=digits(3) * 1j)
    with pytest.raises(LayoutError, match="are complex128; save them as uint8"):
        find_images(path)
    np.savez(path, things=digits(3))
    with pytest.raises(LayoutError, match="has things; name arrays x_train"):
        find_images(path)
    np.savez(path, images=np.array([{"a": 1}], dtype=object))
    with pytest.raises(ImageError, match="can run code and are not read"):
        find_images(path)
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(ImageError, match=r"is not a complete \.npz file"):
        find_images(path)
    np.savez(path, images=digits(3), labels=np.zeros((3, 2)))
    with pytest.raises(LayoutError, match="labels of 2 numbers each"):
        find_images(path)


ARRAYS = {
    "channels first": (lambda pixels: pixels.transpose(0, 3, 1, 2), np.uint8, "channels first: moved last"),
    "floats in 0 to 1": (lambda pixels: pixels.astype(np.float32) / 255, np.uint8, r"read as in [0, 1], with 8 bits"),
    "halves in 0 to 1": (lambda pixels: (pixels / 255).astype(np.float64), np.uint8, r"read as in [0, 1], with 8 bits"),
    "floats in -1 to 1": (
        lambda pixels: pixels.astype(np.float32) / 127.5 - 1,
        np.uint8,
        r"read as in [-1, 1], with 8",
    ),
    "floats in 0 to 255": (lambda pixels: pixels.astype(np.float32), np.uint8, r"read as in [0, 255], with 8 bits"),
    "integers": (lambda pixels: pixels.astype(np.int64), np.uint8, ""),
}


@pytest.mark.parametrize(("made", "dtype", "said"), ARRAYS.values(), ids=ARRAYS.keys())
def test_arrays_as_people_save_them(tmp_path, made, dtype, said):
    pixels = np.random.default_rng(1).integers(0, 256, (6, 9, 10, 3), dtype=np.uint8)
    pixels[0, 0, 0], pixels[5, 0, 0] = 0, 255
    np.savez(
        tmp_path / "set.npz", x_train=made(pixels[:4]), x_test=made(pixels[4:]), y_train=[0, 1, 1, 0], y_test=[1, 0]
    )
    found = find_images(tmp_path)
    parts = [found.splits[split].pixels for split in ("train", "test")]
    assert {part.dtype for part in parts} == {np.dtype(dtype)}
    np.testing.assert_array_equal(np.concatenate(parts), pixels)
    assert said in " ".join(found.notes)


def test_floats_that_8_bits_cannot_hold_have_16(tmp_path):
    values = np.linspace(0, 1, 3 * 8 * 8, dtype=np.float32).reshape(3, 8, 8)
    np.savez(tmp_path / "set.npz", images=values)
    found = find_images(tmp_path)
    assert found.bits == 16
    np.testing.assert_allclose(found.splits["train"].pixels[..., 0] / 65535, values, atol=1e-5)


def test_one_range_for_all_splits(tmp_path):
    bright, dark = np.full((2, 8, 8), 200.0), np.full((2, 8, 8), 1.0)
    np.savez(tmp_path / "set.npz", x_train=bright, x_test=dark)
    assert find_images(tmp_path).splits["test"].pixels.max() == 1


def test_booleans_and_one_hot_labels(tmp_path):
    images = np.zeros((4, 8, 8), bool)
    images[1] = True
    np.savez(tmp_path / "set.npz", images=images, labels=np.eye(3)[[2, 0, 1, 1]])
    found = find_images(tmp_path)
    assert found.splits["train"].pixels[:, 0, 0, 0].tolist() == [0, 255, 0, 0]
    assert found.splits["train"].labels.tolist() == [2, 0, 1, 1]
    assert "labels are one-hot, of 3 classes" in found.notes[-1]
    np.savez(tmp_path / "set.npz", images, np.array([1.0, 0.0, 1.0, 0.0]))  # arr_0 and arr_1
    assert find_images(tmp_path).class_names == ("0", "1")


@pytest.mark.parametrize("change", ["outlier", "missing", "other units", "bands"])
def test_arrays_of_measured_values(tmp_path, change):
    values = np.random.default_rng(0).random((8, 16, 16, 1)).astype(np.float32)
    if change == "outlier":
        values[2, 3, 4] = 1.0001
    elif change == "missing":
        values[2, 3, 4] = np.nan
    elif change == "other units":
        values = values * 40 + 260
    else:
        values = np.repeat(values, 7, axis=3)
    np.savez(tmp_path / "set.npz", images=values)
    data = ImageSet(ImageSetConfig(root=tmp_path, size=16))
    plain = change == "outlier"  # still in [0, 1]
    low, high = (values.min(), values.max()) if change == "other units" else (0, 1)
    assert (data.format.encoding is None) == plain
    assert data.format.channels == values.shape[3]
    assert any("lie outside and are clipped" in line for line in data.announcement) == plain
    expected = np.nan_to_num((np.clip(values, low, high) - low) / (high - low)) * 2 - 1
    np.testing.assert_allclose(data.images("train", [2, 5]).permute(0, 2, 3, 1), expected[[2, 5]], atol=1e-4)
    batch = next(data.batches(Wanted(batch_size=8)))["images"]
    assert float(batch.mean()) == pytest.approx(float(expected.mean()), abs=1e-3)


# --- one folder down -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("inner", ["img_align_celeba", "raw", "data/raw"])
def test_the_only_folder_has_all_images(tmp_path, inner):
    write_images(tmp_path / "set" / inner, 4)
    (tmp_path / "set" / "docs").mkdir()
    found = find_images(tmp_path / "set")
    assert (found.layout, len(found.splits["train"]), found.class_names) == ("folder", 4, ())
    assert found.notes == (f"everything is in {inner}/",)


def test_what_is_one_folder_down_keeps_its_classes_and_splits(tmp_path):
    for split in ("train", "test"):
        for name in ("cats", "dogs"):
            write_images(tmp_path / "set" / "archive" / split / name, 2)
    found = find_images(tmp_path / "set")
    assert (found.class_names, list(found.splits)) == (("cats", "dogs"), ["train", "test"])
    for split in ("train", "val"):
        write_images(tmp_path / "other" / split / "images", 2)
    found = find_images(tmp_path / "other")
    assert {split: len(part) for split, part in found.splits.items()} == {"train": 2, "val": 2}
    assert (found.class_names, found.notes) == ((), ("everything is in images/ of each split",))


@pytest.mark.parametrize(
    "names", [["2021/01", "2021/02"], ["2020", "2021/12"], ["2021-01-05", "2021-01-06"], ["2021_03"]]
)
def test_dates_are_no_classes(tmp_path, names):
    for name in names:
        write_images(tmp_path / "set" / name, 2)
    found = find_images(tmp_path / "set")
    assert (found.layout, len(found.splits["train"]), found.class_names) == ("folder", 2 * len(names), ())
    assert "the folders are named after dates: all images are one set, without classes" in found.notes


def test_numbers_are_classes(tmp_path):
    for number in range(10):
        write_images(tmp_path / "mnist" / str(number), 2)
    assert find_images(tmp_path / "mnist").class_names == tuple(map(str, range(10)))


def test_idx_files_in_folders_of_their_own_names(tmp_path):
    for kind, values in (("images-idx3", digits(5)), ("labels-idx1", np.arange(5) % 2)):
        folder = tmp_path / f"train-{kind}-ubyte"
        folder.mkdir()
        write_idx(folder / f"train-{kind}-ubyte", values)
    found = find_images(tmp_path)
    assert (found.layout, found.class_names, len(found.splits["train"])) == ("idx", ("0", "1"), 5)
    only = tmp_path / "train-images-idx3-ubyte" / "train-images-idx3-ubyte"
    assert find_images(only).splits["train"].labels.tolist() == [0, 1, 0, 1, 0]
    write_idx(tmp_path / "train-images.idx3-ubyte", digits(5))  # Kaggle's archive has both
    assert len(find_images(tmp_path).splits["train"]) == 5


def write_emnist(folder: Path, name: str) -> np.ndarray:
    """EMNIST's files, and the images as they should be seen: each upright."""
    images = digits(4)
    for split in ("train", "test"):
        write_idx(folder / f"emnist-{name}-{split}-images-idx3-ubyte.gz", images.swapaxes(1, 2), zipped=True)
        write_idx(folder / f"emnist-{name}-{split}-labels-idx1-ubyte.gz", np.array([1, 2, 1, 26]), zipped=True)
    return images


def test_emnist_is_turned_upright(tmp_path):
    images = write_emnist(tmp_path, "letters")
    found = find_images(tmp_path)
    assert (found.layout, found.class_names, list(found.splits)) == ("idx", ("1", "2", "26"), ["train", "test"])
    np.testing.assert_array_equal(found.splits["test"].pixels[..., 0], images)
    assert "EMNIST's files have rows and columns exchanged: the images are turned upright" in found.notes
    write_emnist(tmp_path, "digits")
    with pytest.raises(
        LayoutError, match=r"files of 2 data sets are here: emnist-digits, emnist-letters; move those of one"
    ):
        find_images(tmp_path)
    found = find_images(tmp_path / "emnist-letters-train-images-idx3-ubyte.gz")
    assert found.splits["train"].labels.tolist() == [0, 1, 0, 2]


def test_mvtec_with_one_folder_in_test(tmp_path):
    write_images(tmp_path / "train" / "good", 3)
    write_images(tmp_path / "test" / "broken", 2)
    write_images(tmp_path / "ground_truth" / "broken", 2)
    found = find_images(tmp_path)
    assert found.class_names == ("good", "broken")
    assert {split: part.labels.tolist() for split, part in found.splits.items()} == {"train": [0] * 3, "test": [1] * 2}
    assert any("ground_truth/ has masks of the defects in test/" in note for note in found.notes)
    write_images(tmp_path / "test" / "good", 2)
    assert find_images(tmp_path).splits["test"].labels.tolist() == [1, 1, 0, 0]


def test_class_names_have_one_unicode_form(tmp_path):
    composed, apart = "\u00e9t\u00e9", "e\u0301te\u0301"
    for split, name in (("train", composed), ("test", apart)):
        write_images(tmp_path / split / name, 2)
        write_images(tmp_path / split / "hiver", 2)
    found = find_images(tmp_path)
    assert sorted(found.class_names) == ["hiver", composed]
    assert len(find_images(tmp_path, classes=[composed]).splits["test"]) == 2


def test_celeba_of_kaggle(tmp_path):
    write_images(tmp_path / "img_align_celeba" / "img_align_celeba", 4)
    (tmp_path / "list_attr_celeba.csv").write_text(
        "image_id,Bald,Smiling\n0.png,-1,1\n1.png,1,-1\n2.png,-1,-1\n3.png,-1,1\n"
    )
    (tmp_path / "list_eval_partition.csv").write_text("image_id,partition\n0.png,0\n1.png,0\n2.png,1\n3.png,2\n")
    found = find_images(tmp_path, attribute="Smiling")
    assert (found.layout, found.class_names) == ("celeba", ("not Smiling", "Smiling"))
    assert {name: part.labels.tolist() for name, part in found.splits.items()} == {
        "train": [1, 0],
        "val": [0],
        "test": [1],
    }


def test_a_flat_folder_and_its_splits(tmp_path):
    write_images(tmp_path / "flat", 3)
    assert (find_images(tmp_path / "flat").layout, find_images(tmp_path / "flat").class_names) == ("folder", ())
    write_images(tmp_path / "split" / "train", 3)
    write_images(tmp_path / "split" / "valid", 2)
    assert {name: len(part) for name, part in find_images(tmp_path / "split").splits.items()} == {"train": 3, "val": 2}


def test_folders_of_classes(tmp_path):
    for split in ("train", "test"):
        write_images(tmp_path / split / "dogs", 2, shade=100)
        write_images(tmp_path / split / "cats", 3)
    found = find_images(tmp_path)
    assert (found.layout, found.class_names) == ("class-folders", ("cats", "dogs"))
    assert found.splits["train"].labels.tolist() == [0, 0, 0, 1, 1]
    assert find_images(tmp_path / "train").class_names == ("cats", "dogs")
    assert find_images(tmp_path, classes=("dogs",)).splits["test"].labels.tolist() == [0, 0]


def test_linked_folders_and_files_count(tmp_path):
    write_images(tmp_path / "s" / "cats", 2)
    write_images(tmp_path / "s" / "dogs", 3)
    write_images(tmp_path / "more", 4)
    try:
        (tmp_path / "s" / "cats" / "more").symlink_to("../../more")
        (tmp_path / "s" / "cats" / "again.png").symlink_to("0.png")
        (tmp_path / "s" / "horses").symlink_to("../more")
        (tmp_path / "s" / "round").symlink_to(".")  # no class
        (tmp_path / "s" / "up").symlink_to("..")
        (tmp_path / "more" / "back").symlink_to("../s")
    except OSError:
        pytest.skip("links are not allowed here")
    found = find_images(tmp_path / "s")
    assert found.class_names == ("cats", "dogs", "horses")
    assert np.bincount(found.splits["train"].labels).tolist() == [7, 3, 4]


def test_files_that_are_not_read_are_said(tmp_path):
    write_images(tmp_path / "train" / "cats", 2)
    write_images(tmp_path / "train" / "dogs", 2)
    (tmp_path / "train" / "dogs" / "film.mp4").touch()
    (tmp_path / "train" / "cats" / "notes.txt").touch()
    assert find_images(tmp_path).notes == ("files that are not read: 1 .mp4",)


def test_classes_whose_names_differ_in_case_are_two(tmp_path):
    write_images(tmp_path / "Cats", 2)
    write_images(tmp_path / "cats", 3)
    if len(list(tmp_path.iterdir())) < 2:
        pytest.skip("this disk does not tell case apart")
    found = find_images(tmp_path)
    assert found.class_names == ("Cats", "cats")
    assert found.splits["train"].labels.tolist() == [0, 0, 1, 1, 1]


def write_celeba(root: Path, *, partition: bool) -> None:
    write_images(root / "img_align_celeba", 4)
    lines = ["4", "Bald Smiling", "0.png -1  1", "1.png  1 -1", "2.png -1 -1", "3.png -1  1", ""]
    (root / "list_attr_celeba.txt").write_text("\n".join(lines))
    if partition:
        (root / "list_eval_partition.txt").write_text("0.png 0\n1.png 0\n2.png 1\n3.png 2\n")


def test_celeba(tmp_path):
    write_celeba(tmp_path, partition=True)
    found = find_images(tmp_path, attribute="Smiling")
    assert (found.layout, found.class_names) == ("celeba", ("not Smiling", "Smiling"))
    assert {name: part.labels.tolist() for name, part in found.splits.items()} == {
        "train": [1, 0],
        "val": [0],
        "test": [1],
    }
    assert find_images(tmp_path).class_names == ()
    with pytest.raises(LayoutError, match="no attribute 'Old'; choose among Bald, Smiling"):
        find_images(tmp_path, attribute="Old")


def test_celeba_without_a_partition_is_all_training(tmp_path):
    write_celeba(tmp_path, partition=False)
    assert {name: len(part) for name, part in find_images(tmp_path).splits.items()} == {"train": 4}
    (tmp_path / "list_attr_celeba.txt").write_text("1\nBald Smiling\n0.png 1\n")
    with pytest.raises(LayoutError, match=r"the line of 0\.png has 1 values, and there are 2 attributes"):
        find_images(tmp_path)


def test_what_is_no_set_is_refused(tmp_path, mnist):
    (tmp_path / "empty").mkdir()
    with pytest.raises(LayoutError, match="no image set found: it holds no images and no folders"):
        find_images(tmp_path / "empty")
    with pytest.raises(LayoutError, match="no such folder"):
        find_images(tmp_path / "nowhere")
    (tmp_path / "a.txt").write_text("hello")
    with pytest.raises(LayoutError, match=r"neither an \.npz nor an idx file"):
        find_images(tmp_path / "a.txt")
    np.savez(mnist / "set.npz", images=digits(3))
    with pytest.raises(LayoutError, match="several layouts at once: idx and npz"):
        find_images(mnist)
    assert find_images(mnist, layout="npz").layout == "npz"
    with pytest.raises(LayoutError, match="--attribute is for CelebA"):
        find_images(mnist, layout="idx", attribute="Bald")


def open_set(root: Path, **given) -> ImageSet:
    binarise = given.pop("binarise", False)
    return ImageSet(ImageSetConfig(root=root, **given), binarise=binarise)


def take(images: ImageSet, count: int, **options) -> torch.Tensor:
    given = STREAM | options
    stream = images.batches(Wanted(**given))
    share = given["batch_size"] // given["world_size"]
    taken = torch.cat([next(stream)["images"] for _ in range(-(-count // share))])[:count]
    stream.close()
    images.close()
    return ((taken + 1) * 127.5).round().long()


def test_an_epoch_of_an_array_has_every_image_once(mnist):
    taken = take(open_set(mnist), 9, batch_size=3)
    assert taken.shape == (9, 1, 12, 12)
    assert taken[:, 0, 0, 0].tolist() == permutation(9, epoch=0, seed=3).tolist()


@pytest.mark.parametrize("given", [{}, {"flip": True}, {"size": 8, "enlarge": 1.5, "flip": True}])
def test_streams_do_not_depend_on_batches_starts_or_processes(mnist, given):
    whole = take(open_set(mnist, **given), 24, batch_size=4)
    assert torch.equal(whole, take(open_set(mnist, **given), 24, batch_size=1))
    assert torch.equal(whole[8:], take(open_set(mnist, **given), 16, batch_size=4, start=8))
    halves = [take(open_set(mnist, **given), 12, batch_size=4, rank=rank, world_size=2) for rank in (0, 1)]
    joined = torch.cat([half.split(2)[number] for number in range(6) for half in halves])
    assert torch.equal(whole, joined)


def test_crops_and_mirrors_are_where_they_were_drawn(mnist):
    images = open_set(mnist, size=8, enlarge=1.5, flip=True)
    taken, decisions = take(images, 18, batch_size=6), draws(0, 18, seed=3)
    order = [permutation(9, epoch=epoch, seed=3) for epoch in (0, 1)]
    source = digits(9).astype(np.int64)
    for number, (left, top, mirrored, _) in enumerate(decisions):
        x, y = int(left * 5), int(top * 5)
        expected = source[order[number // 9][number % 9], y : y + 8, x : x + 8]
        assert np.array_equal(taken[number, 0], expected[:, ::-1] if mirrored < 0.5 else expected)


def test_files_stream_as_pairs_do(tmp_path):
    write_images(tmp_path / "flat", 5)
    images = open_set(tmp_path / "flat")
    taken = take(images, 10, batch_size=2)
    assert sorted(taken[:5, 0, 0, 0].tolist()) == [0, 1, 2, 3, 4]
    assert torch.equal(taken[4:], take(open_set(tmp_path / "flat"), 6, start=4))


def test_what_a_run_asks(mnist, tmp_path):
    images = open_set(mnist, hold_out=0.25)
    assert (images.num_images, images.size, images.class_names) == (7, 12, ("3", "5", "8"))
    assert images.validation(CPU)["images"].shape == (2, 1, 12, 12)
    assert images.samples(CPU)["images"].shape == (2, 1, 12, 12)
    assert images.description.startswith("digits: 7 training, 2 val, 4 test images")
    write_images(tmp_path / "one", 1)
    with pytest.raises(ConfigError, match="has one training image"):
        open_set(tmp_path / "one")


def test_images_of_mixed_size_are_cropped_aloud(tmp_path):
    write_images(tmp_path / "mixed", 2, side=16)
    Image.fromarray(np.zeros((20, 40, 3), np.uint8)).save(tmp_path / "mixed" / "wide.png")
    images = open_set(tmp_path / "mixed")
    assert any("cropped to squares of 16 px" in line for line in images.announcement)
    assert "sizes differ" in images.announcement[0]
    assert images.images("train", range(3)).shape == (3, 3, 16, 16)


def test_binarised_images_are_always_the_same_and_have_the_mean_of_the_grey(mnist):
    grey = np.full((2000, 4, 4, 1), 64, np.uint8)
    once = binarised(grey, split="train")
    assert set(np.unique(once)) == {0, 255}
    assert abs(once.mean() / 255 - 64 / 255) < 0.01
    assert np.array_equal(once[7:9], binarised(grey[7:9], split="train", start=7))
    assert not np.array_equal(once, binarised(grey, split="test"))
    assert (binarised(np.full((3, 5, 5, 1), 255, np.uint8), split="train") == 255).all()
    assert (binarised(np.zeros((3, 5, 5, 1), np.uint8), split="train") == 0).all()
    images = open_set(mnist, binarise=True)
    assert set(images.images("test", range(4)).unique().tolist()) == {-1.0, 1.0}
    batch = next(images.batches(Wanted(**STREAM)))["images"]
    chosen = permutation(9, epoch=0, seed=3)[:2].tolist()
    assert torch.equal(batch, images.images("train", chosen))


def test_binarised_files_are_those_of_arrays(tmp_path):
    (tmp_path / "flat").mkdir()
    for number, pixels in enumerate(digits(4)):
        Image.fromarray(pixels).save(tmp_path / "flat" / f"{number}.png")
    images = open_set(tmp_path / "flat", binarise=True)
    expected = binarised(digits(4)[..., None], split="train")
    found = images.images("train", range(4))
    assert np.array_equal(found.numpy()[:, 0] > 0, expected[..., 0] > 0)
    write_images(tmp_path / "rgb", 3)
    with pytest.raises(ConfigError, match="for grey images"):
        open_set(tmp_path / "rgb", binarise=True)


def test_batches_that_cannot_be_are_refused():
    pixels = np.zeros((4, 8, 8, 1), np.uint8)
    with pytest.raises(DataError, match="a crop of 9 px does not fit"):
        ArrayBatches(pixels, None, Wanted(batch_size=2), size=9)
    with pytest.raises(DataError, match="no images"):
        ArrayBatches(pixels[:0], None, Wanted(batch_size=2), size=8)
    with pytest.raises(DataError, match="cannot be split evenly across 2 processes"):
        ArrayBatches(pixels, None, Wanted(batch_size=3, world_size=2), size=8)


def test_labels_come_with_their_images():
    pixels, labels = np.arange(6, dtype=np.uint8).reshape(6, 1, 1, 1).repeat(4, 1).repeat(4, 2), np.arange(6) * 10
    batch = next(ArrayBatches(pixels, labels, Wanted(batch_size=6), size=4))
    assert (batch["label"] == ((batch["images"][:, 0, 0, 0] + 1) * 127.5).round().long() * 10).all()


def test_evenly_repeats_the_items_of_small_classes():
    assert evenly(np.array([0, 0, 0, 0, 2, 2, 2, 5])).tolist() == [0, 1, 2, 3, 4, 5, 6, 4, 7, 7, 7, 7]
    assert evenly(np.zeros(0, np.int64)).tolist() == []


@pytest.mark.parametrize("files", [False, True])
def test_class_balanced_draws_every_class_as_often_as_the_largest(tmp_path, files):
    if files:
        write_images(tmp_path / "set" / "train" / "many", 7)
        write_images(tmp_path / "set" / "train" / "few", 2, shade=100)
        root, few = tmp_path / "set", {100, 101}
    else:
        images = digits(9)
        root, few = tmp_path / "set.npz", {7, 8}
        np.savez(root, images=images, labels=np.array([0] * 7 + [1] * 2))
    taken, labels = [], []
    stream = open_set(root, class_balanced=True).batches(Wanted(**STREAM))
    for batch in (next(stream) for _ in range(14)):
        taken += ((batch["images"][:, 0, 0, 0] + 1) * 127.5).round().int().tolist()
        labels += batch["label"].tolist()
    stream.close()
    for epoch in (slice(0, 14), slice(14, 28)):
        seen = taken[epoch]
        repeats = {value: seen.count(value) for value in few}
        assert sorted(repeats.values()) == [3, 4]
        assert len(set(seen)) == 9
    small = labels[taken.index(min(few))]
    assert all((label == small) == (value in few) for value, label in zip(taken, labels, strict=True))
    # Where a run is taken up again changes nothing.
    again = open_set(root, class_balanced=True).batches(Wanted(**{**STREAM, "start": 6}))
    assert (((next(again)["images"][:, 0, 0, 0] + 1) * 127.5).round().int().tolist()) == taken[6:8]
    again.close()


def test_class_balanced_needs_labels(tmp_path):
    write_images(tmp_path / "flat", 5)
    with pytest.raises(ConfigError, match="no labels, so --class-balanced means nothing"):
        open_set(tmp_path / "flat", class_balanced=True)


def test_several_sets_with_splits_of_their_own_are_refused(tmp_path):
    for kind in ("bottle", "cable"):
        for folder in ("train/good", "test/good", "test/crack", "ground_truth/crack"):
            write_images(tmp_path / kind / folder, 2)
    with pytest.raises(LayoutError, match="2 data sets are here, each with its own splits: bottle, cable") as caught:
        find_images(tmp_path)
    assert str(tmp_path / "bottle") in caught.value.fix
    assert len(find_images(tmp_path / "bottle").splits["train"]) == 2


def test_an_array_of_images_by_itself_says_how_it_becomes_a_set(tmp_path):
    np.save(tmp_path / "digits.npy", np.zeros((4, 8, 8), np.uint8))
    with pytest.raises(LayoutError, match=r"is one array, and an image set needs an \.npz file") as caught:
        find_images(tmp_path / "digits.npy")
    assert "numpy.savez('set.npz', images=numpy.load('digits.npy'))" in caught.value.fix
    (reason,) = {method.reason for method in examine(tmp_path / "digits.npy").methods if method.name == "vae"}
    assert "is one array" in reason


def test_arrays_that_look_black_say_so(tmp_path):
    images = np.random.default_rng(0).integers(0, 4096, (4, 8, 8, 1), np.uint16)
    np.savez(tmp_path / "scans.npz", images=images)
    said = " ".join(ImageSet(ImageSetConfig(root=tmp_path / "scans.npz")).announcement)
    assert "the set has 16 bits and uses 12 of them: it looks black; --values 0 4095" in said
    assert [problem.kind for problem in examine(tmp_path / "scans.npz").problems] == ["few-bits"]
    np.savez(tmp_path / "bands.npz", images=np.zeros((4, 8, 8, 5), np.uint8))
    assert examine(tmp_path / "bands.npz").domains[0].formats == {"5 bands of uint8": 4}


@pytest.mark.parametrize("names", [[f"pixel{n}" for n in range(4)], ["1x1", "1x2", "2x1", "2x2"]])
def test_a_table_of_pixels_says_how_it_becomes_a_set(tmp_path, names, monkeypatch):
    rows = [["label", *names], ["7", "0", "255", "3", "4"], ["2", "1", "2", "3", "4"]]
    (tmp_path / "train.csv").write_text("\n".join(map(",".join, rows)))
    with pytest.raises(LayoutError, match="the pixels of the images are in the table") as caught:
        find_images(tmp_path)
    monkeypatch.chdir(tmp_path)
    subprocess.run([sys.executable, "-c", caught.value.fix.split('"')[1]], check=True)
    part = find_images(tmp_path / "digits.npz").splits["train"]
    np.testing.assert_array_equal(part.pixels[0, :, :, 0], [[0, 255], [3, 4]])
    assert sorted(find_images(tmp_path / "digits.npz").class_names) == ["2", "7"]
