"""What is said of a data set that is no longer what a run was started on."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from translate.config import DataConfig, ImageSetConfig, UnpairedDataConfig
from translate.data.changes import changes, file_record, places
from translate.data.derived import DerivedPairs
from translate.data.image_set import ImageSet
from translate.data.paired import PairedImages
from translate.data.unpaired import UnpairedImages


def write(file: Path, shade: int = 0) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.default_rng(shade).integers(0, 255, (32, 32, 3), np.uint8)).save(file)
    return file


def test_changes_in_words(tmp_path):
    files = places([write(tmp_path / f"{number}.png") for number in range(5)], (tmp_path,))
    record = file_record(files)
    assert changes(record, files) is None
    assert changes(record, dict(list(files.items())[1:])) == "1 file removed"
    more = places([write(tmp_path / "more" / f"{number}.png") for number in range(4)], (tmp_path,))
    expected = ", ".join(str(tmp_path / f"more/{number}.png") for number in range(3))
    assert changes(record, files | more) == f"4 files added ({expected}, ...)"
    (tmp_path / "3.png").write_bytes(b"other")
    assert changes(record, files) == f"1 file replaced ({tmp_path / '3.png'})"
    (tmp_path / "3.png").unlink()  # after it was listed
    assert changes(record, files) == f"1 file replaced ({tmp_path / '3.png'})"
    assert changes(file_record({}), {}) is None


def test_two_folders_are_told_apart(tmp_path):
    a, b = write(tmp_path / "a/1.png"), write(tmp_path / "b/1.png", 1)
    files = places([a, b], (tmp_path / "a", tmp_path / "b"))
    assert files == {"0/1.png": a, "1/1.png": b}


@pytest.mark.parametrize("kind", ["paired", "unpaired", "derived", "classes", "arrays"])
def test_every_kind_of_data_names_its_files(tmp_path, kind):
    """All splits, each file once; a file side by side is one of two images."""
    root = tmp_path / "data"
    if kind == "paired":
        for split, side, number in ((s, d, n) for s in ("train", "test") for d in "AB" for n in range(3)):
            write(root / split / side / f"{number}.png", number)
        data, count = PairedImages(DataConfig(root=root)), 12
    elif kind == "unpaired":
        for domain, number in ((d, n) for d in ("trainA", "trainB", "testA", "testB") for n in range(3)):
            write(root / domain / f"{number}.png", number)
        data, count = UnpairedImages(UnpairedDataConfig(root=root)), 12
    elif kind == "arrays":
        root.mkdir()
        np.savez(root / "images.npz", images=np.zeros((4, 16, 16), np.uint8), labels=np.arange(4))
        data, count = ImageSet(ImageSetConfig(root=root / "images.npz")), 1
    else:
        for number in range(4):
            write(root / ("cats" if number % 2 else "dogs") / f"{number}.png", number)
        if kind == "derived":
            for file in list(root.glob("*/*.png")):
                file.rename(root / file.name)
        images = ImageSetConfig(root=root)
        data, count = (DerivedPairs(DataConfig(root=root), "blur") if kind == "derived" else ImageSet(images)), 4
    assert len(data.files) == count
    assert all(path.is_file() for path in data.files.values())
    assert set(data.files.values()) == {path for path in root.rglob("*") if path.is_file()}
    data.close()
