"""What a command line names: which files, what they are called, and what was passed over."""

import os
from pathlib import Path

import pytest

from translate.data.inputs import list_inputs
from translate.data.layouts import LayoutError


@pytest.fixture
def there(tmp_path, monkeypatch):
    """Makes empty files below the folder that the test runs in."""
    monkeypatch.chdir(tmp_path)

    def make(*names: str) -> Path:
        for name in names:
            Path(name).parent.mkdir(parents=True, exist_ok=True)
            Path(name).touch()
        return tmp_path

    return make


def link(target: str, path: str) -> None:
    try:
        os.symlink(target, path)
    except OSError:
        pytest.skip("links are not allowed here")


def paths(*inputs, **options) -> list[str]:
    return [one.path.as_posix() for one in list_inputs(inputs, **options).files]


def names(*inputs, **options) -> list[str]:
    return [one.name for one in list_inputs(inputs, **options).files]


def left(*inputs, **options) -> list[str]:
    return list(list_inputs(inputs, **options).passed_over)


def test_files_folders_and_patterns(there):
    there("b/10.png", "b/2.png", "b/notes.txt", "b/deep/1.png", "a [1].png", "c.dat")
    assert paths("b") == ["b/2.png", "b/10.png"]
    assert paths("b", recursive=True) == ["b/2.png", "b/10.png", "b/deep/1.png"]
    assert paths("c.dat", "a [1].png") == ["c.dat", "a [1].png"]
    assert paths("b/*") == ["b/2.png", "b/10.png"]
    assert paths("b/**/*.png") == ["b/2.png", "b/10.png", "b/deep/1.png"]
    assert paths("b/**") == ["b/2.png", "b/10.png", "b/deep/1.png"]
    assert paths("*/deep/?.png") == ["b/deep/1.png"]
    assert paths("b/*", recursive=True) == ["b/2.png", "b/10.png", "b/deep/1.png"]


def test_a_pattern_below_a_folder_whose_name_looks_like_one(there):
    there("photos [2020]/1.png", "photos 2/2.png")
    assert paths("photos [2020]/*.png") == ["photos [2020]/1.png"]


@pytest.mark.parametrize(
    ("inputs", "expected"),
    [
        (["frames"], ["clip1/1.png", "clip1/2.png", "clip2/1.png"]),
        (["frames/*/*"], ["clip1/1.png", "clip1/2.png", "clip2/1.png"]),
        (["frames/*"], ["clip1/1.png", "clip1/2.png", "clip2/1.png"]),
        (["frames/**/*.png"], ["clip1/1.png", "clip1/2.png", "clip2/1.png"]),
        (["frames/clip1", "frames/clip2"], ["clip1/1.png", "clip1/2.png", "clip2/1.png"]),
        (["frames/clip1/1.png", "frames/clip2/1.png"], ["clip1/1.png", "clip2/1.png"]),
        (["frames/clip?/1.png"], ["clip1/1.png", "clip2/1.png"]),
        (["frames/clip1"], ["1.png", "2.png"]),
        (["frames/clip2/1.png"], ["1.png"]),
        (["x/photos", "y/photos"], ["x/photos/a.png", "y/photos/a.png"]),
        (["x/photos", "x/../y/photos/a.png"], ["x/photos/a.png", "y/photos/a.png"]),
        (["x/photos/a.png", "x/photos"], ["a.png"]),
    ],
)
def test_names_are_paths_below_what_is_shared(there, inputs, expected):
    there("frames/clip1/1.png", "frames/clip1/2.png", "frames/clip2/1.png", "x/photos/a.png", "y/photos/a.png")
    assert names(*inputs, recursive=True) == expected
    assert names(*[Path(name).absolute() for name in inputs], recursive=True) == expected


def test_names_do_not_leave_the_folder(there, monkeypatch):
    there("x/photos/a.png", "y/b.png", "y/here/c.png")
    monkeypatch.chdir("y/here")
    assert names("../../x/photos", "../b.png", ".") == ["x/photos/a.png", "y/b.png", "y/here/c.png"]
    assert names("../*.png") == ["b.png"]


def test_a_path_that_is_named_twice_is_one_input(there):
    there("b/2.png", "b/10.png")
    assert paths("b/10.png", "b", Path("b").absolute() / "2.png", "b/../b/2.png") == ["b/10.png", "b/2.png"]


def test_links_are_inputs_of_their_own(there):
    there("photos/f1.jpg", "photos/f3.jpg", "more/4.jpg")
    link("f1.jpg", "photos/f2.jpg")
    link("../more", "photos/more")
    assert names("photos") == ["f1.jpg", "f2.jpg", "f3.jpg"]
    assert names("photos/f2.jpg", "photos/f1.jpg") == ["f2.jpg", "f1.jpg"]
    assert names("photos", recursive=True) == ["f1.jpg", "f2.jpg", "f3.jpg", "more/4.jpg"]
    assert names("photos/**/*.jpg") == ["f1.jpg", "f2.jpg", "f3.jpg", "more/4.jpg"]
    assert names("more", "photos/more") == ["more/4.jpg", "photos/more/4.jpg"]


def test_links_in_a_circle(there):
    there("photos/a/1.jpg", "photos/b/2.jpg", "other.jpg")
    for place, target in (("a/self", "."), ("a/up", ".."), ("a/b", "../b"), ("b/a", "../a"), ("b/top", "../..")):
        link(target, f"photos/{place}")
    expected = ["a/1.jpg", "a/b/2.jpg", "b/2.jpg", "b/a/1.jpg"]
    assert names("photos", recursive=True) == expected
    assert names("photos/**/*.jpg") == expected


# --- what was passed over --------------------------------------------------------------------------------------------


def test_what_was_passed_over_is_counted(there):
    there("photos/1.jpg", "photos/2.MP4", "photos/3.mat", "photos/4.mat", "photos/README", "photos/.hidden.mp4")
    there("photos/x/1.jpg", "photos/y/1.txt", "photos/.git/1.jpg", "photos/Thumbs.db")
    unread = "2 .mat, 1 .mp4, 1 without an ending"
    (said,) = left("photos")
    assert said.startswith("photos: 1 of 5 files read: 2 .mat, ")
    assert said.endswith(" not read; 2 folders not searched (-r searches them)")
    assert sorted(said.split(": ")[2].split(" not read")[0].split(", ")) == sorted(unread.split(", "))
    (said,) = left("photos", recursive=True)
    assert said.startswith("photos: 2 of 7 files read: ")
    assert "1 .txt" in said
    assert "searched" not in said


def test_whole_folders_are_not_talked_about(there):
    there("photos/1.jpg", "deep/1.jpg", "deep/x/2.jpg")
    assert left("photos", "photos/1.jpg", "photos/*") == []
    assert left("deep") == ["deep: 1 folder not searched (-r searches it)"]
    assert left("deep", recursive=True) == []


def test_what_a_pattern_passes_over(there):
    there("photos/1.jpg", "photos/2.mp4", "photos/x/1.jpg")
    unread = "photos/*: 1 of 2 files read: 1 .mp4 not read"
    assert left("photos/*") == [f"{unread}; 1 folder not searched (-r searches it)"]
    assert left("photos/**/*") == ["photos/**/*: 2 of 3 files read: 1 .mp4 not read"]
    assert left("photos/*.jpg") == []


def test_many_endings_are_cut_short(there):
    there("photos/1.jpg", *(f"photos/{number}.x{number}" for number in range(9)))
    (said,) = left("photos")
    assert said.endswith(", 3 more not read")
    assert said.startswith("photos: 1 of 10 files read: 1 .x")


def test_outputs_of_the_last_time_are_no_inputs(there):
    there("photos/1.jpg", "photos/x/2.jpg", "photos/out/1.png", "photos/x/out/3.png")
    out = Path("photos/out")
    assert names("photos", recursive=True, out=out) == ["1.jpg", "x/2.jpg", "x/out/3.png"]
    assert left("photos", recursive=True, out=out) == ["photos: photos/out not searched: outputs go there"]
    assert names("photos/out", out=out) == ["1.png"]  # named itself


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may open everything")
def test_folders_that_cannot_be_opened_are_named(there):
    there("photos/1.jpg", "photos/closed/2.jpg")
    Path("photos/closed").chmod(0)
    try:
        assert left("photos", recursive=True) == ["photos: photos/closed cannot be opened"]
    finally:
        Path("photos/closed").chmod(0o700)


def test_other_kinds_of_files(there):
    there("small/a/0.tvq", "small/1.tvq", "small/2.png")
    found = list_inputs(["small"], suffixes={".tvq"}, kind=".tvq files")
    assert [one.name for one in found.files] == ["1.tvq"]
    assert found.passed_over == ("small: 1 of 2 files read: 1 .png not read; 1 folder not searched (-r searches it)",)


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        (["nowhere.png"], r"nowhere\.png: no such file or folder"),
        (["*.webp"], r"\*\.webp: no image matches this pattern"),
        (["empty"], "empty: no images in this folder"),
        (["deep"], r"deep: no images in this folder: 1 \.txt not read; 2 folders not searched \(-r searches them\)"),
        (["deep/*"], r"no image matches this pattern: 1 \.txt not read; 2 folders not searched \(-r searches them\)"),
        ([], "no input: give an image"),
        (["", "deep"], "an input is empty"),
    ],
)
def test_inputs_that_match_nothing(there, inputs, message):
    there("deep/1.txt", "deep/x/1.png", "deep/y/1.png", "empty/x/.hidden")
    with pytest.raises(LayoutError, match=message):
        list_inputs(inputs)


def test_nothing_below_a_folder(there):
    there("deep/x/1.mp4")
    with pytest.raises(LayoutError, match=r"deep: no images in this folder or below it: 1 \.mp4 not read"):
        list_inputs(["deep"], recursive=True)
