"""What users bring to train on: zip files that are what they seem, and those that are not."""

import zipfile
from pathlib import Path

import pytest
from PIL import Image

from translate.demos import uploads
from translate.demos.uploads import UploadError, unpack


def zipped(path: Path, *names: str) -> Path:
    """A zip file with a small image under each name that ends as images do, and a word under the others."""
    image = path.with_suffix(".one.png")
    Image.new("RGB", (8, 8), "red").save(image)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in names:
            archive.writestr(name, image.read_bytes() if name.lower().endswith((".png", ".jpg")) else b"word")
    image.unlink()
    return path


def inside(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_images_of_a_zip_file_and_nothing_else(tmp_path):
    file = zipped(
        tmp_path / "set.zip", "A/1.png", "A/2.PNG", "B/1.jpg", "readme.txt", ".hidden.png", "__MACOSX/A/1.png"
    )
    (root,) = unpack([file], tmp_path / "out")
    assert inside(root) == ["A/1.png", "A/2.PNG", "B/1.jpg"]


def test_what_is_dropped_twice_is_one(tmp_path):
    """As on a slow page, where the first drop seems lost: two zip files would be two domains."""
    file = zipped(tmp_path / "set.zip", "1.png", "2.png")
    (root,) = unpack([str(file), str(file)], tmp_path / "out")
    assert inside(root) == ["1.png", "2.png"]


def test_folders_around_all_are_taken_off(tmp_path):
    (root,) = unpack([zipped(tmp_path / "set.zip", "x/y/A/1.png", "x/y/B/1.png")], tmp_path / "out")
    assert inside(root) == ["A/1.png", "B/1.png"]


def test_nothing_is_written_outside(tmp_path):
    names = ("../../evil.png", "/etc/evil.png", "C:\\windows\\evil.png", "a/../../b/evil.png", "..\\evil2.png")
    unpack([zipped(tmp_path / "set.zip", *names)], tmp_path / "deep" / "out")
    written = list(tmp_path.rglob("*.png"))
    assert len(written) == 5
    assert all(path.is_relative_to(tmp_path / "deep" / "out") for path in written)


def test_two_zip_files_are_two_kinds(tmp_path):
    (tmp_path / "second").mkdir()
    files = [zipped(tmp_path / "horses.zip", "1.png"), zipped(tmp_path / "zebras.zip", "2.png")]
    roots = unpack(files, tmp_path / "out")
    assert [root.name for root in roots] == ["horses", "zebras"]
    alike = [files[0], zipped(tmp_path / "second" / "horses.zip", "3.png")]
    roots = unpack(alike, tmp_path / "other")
    assert [inside(root) for root in roots] == [["1.png"], ["3.png"]]


def test_images_become_one_folder(tmp_path):
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        Image.new("RGB", (8, 8)).save(tmp_path / folder / "same.png")
    (root,) = unpack([tmp_path / "a" / "same.png", tmp_path / "b" / "same.png"], tmp_path / "out")
    assert len(inside(root)) == 2


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ([], "No files yet"),
        (["set.zip", "1.png"], "zip files and single images"),
        (["set.zip", "words.zip", "torn.zip"], "3 zip files"),
        (["words.zip"], "words.zip contains no images"),
        (["torn.zip"], "torn.zip cannot be unpacked"),
        (["fake.zip"], "fake.zip cannot be unpacked"),
        (["notes.txt"], "None of the 1 files is an image"),
    ],
)
def test_what_will_not_do_is_said_and_leaves_nothing(tmp_path, files, words):
    zipped(tmp_path / "set.zip", "1.png")
    zipped(tmp_path / "words.zip", "1.txt")
    (tmp_path / "torn.zip").write_bytes((tmp_path / "set.zip").read_bytes()[:-30])
    (tmp_path / "fake.zip").write_bytes(b"not a zip file")
    (tmp_path / "notes.txt").write_text("words")
    Image.new("RGB", (8, 8)).save(tmp_path / "1.png")
    with pytest.raises(UploadError, match=words):
        unpack([tmp_path / name for name in files], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_zip_file_that_grows_without_end_is_stopped(tmp_path, monkeypatch):
    with zipfile.ZipFile(tmp_path / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("1.png", bytes(3 * 2**20))
    assert (tmp_path / "bomb.zip").stat().st_size < 2**14
    monkeypatch.setattr(uploads, "MAX_BYTES", 2**20)
    with pytest.raises(UploadError, match="unpacked"):
        unpack([tmp_path / "bomb.zip"], tmp_path / "out")
    assert not (tmp_path / "out").exists()
    monkeypatch.setattr(uploads, "MAX_FILES", 2)
    with pytest.raises(UploadError, match="more than 2 images"):
        unpack([zipped(tmp_path / "many.zip", "1.png", "2.png", "3.png")], tmp_path / "out")


def test_folders_without_end_are_left_out(tmp_path):
    file = zipped(tmp_path / "deep.zip", "/".join("d" * 1 for _ in range(900)) + "/1.png", "2.png")
    (root,) = unpack([file], tmp_path / "out")
    assert inside(root) == ["2.png"]


def test_arrays_are_no_images(tmp_path):
    with pytest.raises(UploadError, match="contains no images"):
        unpack([zipped(tmp_path / "set.zip", "data.npz")], tmp_path / "out")
