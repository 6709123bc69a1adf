"""What the doctor says of data sets with one fault each, and of healthy ones."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from translate.data.doctor import Diagnosis, Verdict, examine
from translate.data.layouts import LayoutError
from translate.data.layouts_images import find_images
from translate.data.problems import Problem

SIDE = 64
NUM_TRAIN, NUM_TEST = 22, 4
ALL = NUM_TRAIN + NUM_TEST

LEARNERS = ["ae", "vae", "vqvae", "gan", "dcgan", "wgan", "wgan-gp", "hinge", "stylegan"]
DERIVED = "pix2pix --derive edges"
PAINTED = "style --styles PAINTINGS"


@pytest.fixture(autouse=True)
def few_are_enough(monkeypatch):
    """As if fewer images than a data set should have were many."""
    monkeypatch.setattr("translate.data.doctor_checks.FEW_IMAGES", 20)
    monkeypatch.setattr("translate.data.doctor_checks.FEW_PAIRS", 20)


def photo(seed: int, width: int = SIDE, height: int = SIDE) -> Image.Image:
    """Soft blobs of colour, with grain."""
    rng = np.random.default_rng(seed)
    small = Image.fromarray(rng.integers(0, 256, (6, 6, 3), dtype=np.uint8))
    pixels = np.asarray(small.resize((width, height), Image.Resampling.BICUBIC)).astype(np.int16)
    return Image.fromarray((pixels + rng.integers(-9, 10, pixels.shape)).clip(0, 255).astype(np.uint8))


def label(seed: int) -> Image.Image:
    """Rectangles of four colours on a fifth."""
    rng = np.random.default_rng(seed)
    pixels = np.full((SIDE, SIDE, 3), (0, 0, 170), np.uint8)
    for colour in ((255, 0, 0), (0, 255, 0), (255, 255, 0), (170, 0, 255)):
        x, y = rng.integers(0, SIDE - 24, 2)
        pixels[y : y + 20, x : x + 24] = colour
    return Image.fromarray(pixels)


def save(image: Image.Image, path: Path, **options) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, **options)
    return path


def unpaired(root: Path) -> Path:
    """A healthy `trainA trainB testA testB`."""
    for side, first in (("A", 0), ("B", 1000)):
        for split, count, more in (("train", NUM_TRAIN, 0), ("test", NUM_TEST, 500)):
            for number in range(count):
                name = f"{'summer' if side == 'A' else 'winter'}{number}.png"
                save(photo(first + more + number), root / f"{split}{side}" / name, compress_level=1)
    return root


def paired(root: Path, count: int = NUM_TRAIN, second=label) -> Path:
    """A healthy `train/A train/B test/A test/B`: photographs and label maps."""
    for split, first, number_of in (("train", 0, count), ("test", 500, NUM_TEST)):
        for number in range(number_of):
            save(photo(first + number), root / split / "A" / f"{number}.png", compress_level=1)
            save(second(first + number), root / split / "B" / f"{number}.png", compress_level=1)
    return root


def kinds(found: Diagnosis) -> dict[str, str]:
    return {problem.kind: problem.severity for problem in found.problems}


def only(found: Diagnosis, kind: str) -> Problem:
    (problem,) = [problem for problem in found.problems if problem.kind == kind]
    return problem


def suiting(found: Diagnosis) -> list[str]:
    return [method.name for method in found.methods if method.suits]


def method(found: Diagnosis, name: str) -> Verdict:
    (one,) = [method for method in found.methods if method.name == name]
    return one


# --- healthy ---------------------------------------------------------------------------------------------------------


def test_healthy_domains(tmp_path):
    found = examine(unpaired(tmp_path))
    assert (found.kind, found.layout, found.num_files) == ("unpaired", "trainA-trainB", 2 * ALL)
    assert found.problems == ()
    assert found.exit_code == 0
    assert suiting(found) == ["cyclegan", "cut", "fastcut"]
    assert "no file of one has the name of a file of the other" in method(found, "pix2pix").reason
    a, b = found.domains
    assert (a.name, a.where, b.name, b.where) == ("A", "trainA/", "B", "trainB/")
    assert a.counts == b.counts == {"train": NUM_TRAIN, "test": NUM_TEST}
    assert (a.size, a.smallest, a.largest) == ((SIDE, SIDE),) * 3
    assert (a.channels, a.bits, a.formats, a.few_colours) == (3, 8, {"RGB": ALL}, False)


def test_healthy_pairs(tmp_path):
    found = examine(paired(tmp_path))
    assert (found.kind, found.layout, found.exit_code) == ("pairs", "split-ab-folders", 0)
    assert found.problems == ()
    assert suiting(found) == ["pix2pix", "cyclegan", "cut", "fastcut", "segmentation"]
    assert method(found, "segmentation").flags == ""
    assert [domain.few_colours for domain in found.domains] == [False, True]


def test_label_maps_as_a_ask_for_the_other_direction(tmp_path):
    root = paired(tmp_path)
    for split in ("train", "test"):
        for old, new in (("A", "C"), ("B", "A"), ("C", "B")):
            (root / split / old).rename(root / split / new)
    assert method(examine(root), "segmentation").flags == "--direction b2a"


def test_pairs_of_photographs_are_not_for_segmentation(tmp_path):
    found = examine(paired(tmp_path, second=lambda number: photo(number + 3000)))
    assert suiting(found) == ["pix2pix", "cyclegan", "cut", "fastcut"]
    assert method(found, "segmentation").reason.startswith("neither A nor B looks like label maps")


def test_side_by_side(tmp_path):
    for number in range(NUM_TRAIN):
        both = Image.new("RGB", (2 * SIDE, SIDE))
        both.paste(photo(number))
        both.paste(label(number), (SIDE, 0))
        save(both, tmp_path / "val" / f"{number}.png")
        save(both.point(lambda value: 255 - value), tmp_path / "train" / f"{number}.png")
    found = examine(tmp_path)
    assert (found.layout, found.num_files, found.exit_code) == ("side-by-side", 2 * NUM_TRAIN, 0)
    assert suiting(found) == ["pix2pix", "segmentation"]
    assert "look like pairs" in method(found, "cyclegan").reason
    assert [domain.where for domain in found.domains] == ["left half", "right half"]
    assert found.domains[1].few_colours


def test_two_folders_by_hand(tmp_path):
    unpaired(tmp_path)
    found = examine(tmp_path / "trainA", root_b=tmp_path / "trainB")
    assert (found.kind, found.layout) == ("unpaired", "two-folders")
    assert kinds(found) == {"no-test": "hint"}
    assert found.exit_code == 0


def test_progress_is_told(tmp_path):
    seen = []
    examine(paired(tmp_path, count=2), progress=lambda done, total: seen.append((done, total)))
    assert seen == [(done, 2 + NUM_TEST) for done in range(1, 3 + NUM_TEST)]


# --- one fault each --------------------------------------------------------------------------------------------------


def copy(root: Path, source: str, target: str) -> None:
    (root / target).write_bytes((root / source).read_bytes())


def recode(root: Path, source: str, target: str) -> None:
    Image.open(root / source).save(root / target, quality=80)


def write(root: Path, name: str, image: Image.Image) -> None:
    save(image, root / name)


UNPAIRED_FAULTS = {
    "duplicate-splits": (lambda root: copy(root, "trainA/summer3.png", "testA/x.png"), r"both in train and in test"),
    "near-duplicate-splits": (lambda root: recode(root, "trainB/winter3.png", "testB/x.jpg"), r"winter3.png ~ testB/x"),
    "duplicate-domains": (lambda root: copy(root, "trainA/summer3.png", "trainB/x.png"), "both in A and in B"),
    "near-duplicate-domains": (lambda root: recode(root, "trainA/summer3.png", "testB/x.jpg"), "summer3.png ~ testB/x"),
    "duplicate-twice": (lambda root: copy(root, "trainA/summer3.png", "trainA/x.png"), "in train more than once"),
    "unreadable": (lambda root: (root / "trainA/x.png").write_bytes(b"junk"), r"1 of 27 .* \(trainA/x.png\)"),
    "damaged": (
        lambda root: (root / "trainA/x.png").write_bytes((root / "trainA/summer9.png").read_bytes()[:-900]),
        r"1 of 53 files cannot be decoded \(trainA/x.png\).*truncated",
    ),
    "mixed-channels": (
        lambda root: write(root, "trainB/x.png", photo(7777).convert("L")),
        "1 of 27 files of B is gre",
    ),
    "transparent": (
        lambda root: write(root, "trainB/x.png", Image.merge("RGBA", [*photo(7777).split(), photo(1).getchannel(0)])),
        r"1 of 27 images of B is partly transparent \(trainB/x.png\)",
    ),
    "blank": (lambda root: write(root, "trainB/x.png", Image.new("RGB", (SIDE, SIDE), "red")), "B is of one colour"),
    "small": (lambda root: write(root, "trainA/x.png", photo(7777, 31, 40)), "A is smaller than 32 px"),
    "elongated": (lambda root: write(root, "trainA/x.png", photo(7777, 64, 200)), "A is 3 times as long as wide"),
    "loose": (lambda root: write(root, "x.png", photo(7777)), r"one image beside the folders is not used \(x.png\)"),
    "unread": (lambda root: (root / "trainA/x.exr").touch(), "files that are not read: 1 .exr"),
}
HINTS = {"duplicate-twice", "elongated", "unread"}
ALSO = {"small": {"mixed-sizes": "hint"}, "elongated": {"mixed-sizes": "hint"}}


@pytest.fixture(scope="module")
def healthy(tmp_path_factory):
    return unpaired(tmp_path_factory.mktemp("healthy"))


@pytest.mark.parametrize("kind", UNPAIRED_FAULTS)
def test_one_fault_is_told_and_nothing_else(tmp_path, healthy, kind):
    for path in healthy.glob("*/*"):
        (tmp_path / path.parent.name).mkdir(exist_ok=True)
        (tmp_path / path.parent.name / path.name).hardlink_to(path)
    make, said = UNPAIRED_FAULTS[kind]
    make(tmp_path)
    found = examine(tmp_path)
    severity = "hint" if kind in HINTS else "warning"
    assert kinds(found) == {kind: severity} | ALSO.get(kind, {})
    problem = only(found, kind)
    assert problem.fix
    with pytest.raises(AssertionError, match=said):
        raise AssertionError(problem.what)
    assert found.exit_code == (0 if severity == "hint" else 1)
    assert suiting(found) == ["cyclegan", "cut", "fastcut"]
    assert any(path.name.startswith("x.") for path in problem.files) or kind == "unread"


def test_all_at_once(tmp_path, healthy):
    for path in healthy.glob("*/*"):
        copy_to = tmp_path / path.parent.name / path.name
        copy_to.parent.mkdir(exist_ok=True)
        copy_to.hardlink_to(path)
    for number, (make, _) in enumerate(UNPAIRED_FAULTS.values()):
        make(tmp_path)
        for path in tmp_path.rglob("x.*"):
            path.rename(path.with_stem(f"y{number}"))
    assert kinds(examine(tmp_path)).keys() >= UNPAIRED_FAULTS.keys()


def test_an_alpha_channel_that_is_full_does_no_harm(tmp_path):
    root = unpaired(tmp_path)
    save(photo(7777).convert("RGBA"), root / "trainA" / "x.png")
    found = examine(root)
    assert found.problems == ()
    assert found.domains[0].formats == {"RGB": ALL + 1}


def test_few_images(tmp_path):
    root = unpaired(tmp_path)
    for number in range(4):
        (root / "trainB" / f"winter{number}.png").unlink()
    found = examine(root)
    assert kinds(found) == {"few": "warning"}
    assert only(found, "few").what == "only 18 images of B to train on"
    assert "--augment" in only(found, "few").fix


def test_domains_of_other_channels(tmp_path):
    for number in range(NUM_TRAIN):
        save(photo(number).convert("L"), tmp_path / "sketches" / f"s{number}.png")
        save(photo(number + 1000), tmp_path / "photos" / f"p{number}.png")
    found = examine(tmp_path)
    assert [domain.name for domain in found.domains] == ["photos", "sketches"]
    assert suiting(found) == [
        "cyclegan",
        "cut",
        "fastcut",
        *LEARNERS,
        "classifier",
        DERIVED,
        PAINTED,
    ]  # grey is read as RGB
    assert method(found, "cyclegan").flags == ""


def test_unmatched_stems(tmp_path):
    root = paired(tmp_path)
    (root / "train" / "A" / "7.png").unlink()
    (root / "train" / "B" / "8.png").unlink()
    found = examine(root)
    problem = only(found, "unmatched")
    assert (found.kind, problem.severity, found.exit_code) == ("pairs", "error", 2)
    assert {path.name for path in problem.files} == {"7.png", "8.png"}
    assert "--allow-unmatched" in problem.fix
    assert suiting(found) == ["cyclegan", "cut", "fastcut"]
    assert method(found, "pix2pix").reason == "fix the errors first"


def test_names_that_meet_by_chance_are_no_problem(tmp_path):
    for number in range(NUM_TRAIN):
        save(photo(number), tmp_path / "A" / f"{number}.png")
        save(photo(number + 1000), tmp_path / "B" / f"{number + 15}.png")
    found = examine(tmp_path)
    assert (found.kind, kinds(found), found.exit_code) == ("unpaired", {"no-test": "hint"}, 0)
    assert suiting(found) == ["cyclegan", "cut", "fastcut"]
    assert "have no partner" in method(found, "pix2pix").reason


def test_unequal_pairs_and_unmatched_stems_are_both_told(tmp_path):
    root = paired(tmp_path)
    save(photo(3, 80, 64), root / "train" / "A" / "3.png")
    (root / "test" / "A" / "2.png").unlink()
    (root / "train" / "B" / "x.jpg").write_bytes(b"junk")
    (root / "train" / "A" / "x.jpg").write_bytes(b"junk")
    found = examine(root)
    assert kinds(found) == {
        "unequal-pairs": "error",
        "unmatched": "error",
        "unreadable": "warning",
        "mixed-sizes": "hint",
    }
    assert "3.png is 80x64, 3.png is 64x64" in only(found, "unequal-pairs").what
    assert [problem.severity for problem in found.problems] == ["error", "error", "warning", "hint"]


def test_pairs_with_one_image_on_both_sides(tmp_path):
    root = paired(tmp_path)
    copy(root, "train/A/3.png", "train/B/3.png")
    found = examine(root)
    assert kinds(found) == {"same-halves": "warning"}
    assert "in 1 of 26 pairs (train/A/3.png)" in only(found, "same-halves").what


def test_a_label_map_may_be_repeated_and_a_photograph_may_not(tmp_path):
    root = paired(tmp_path)
    copy(root, "train/B/3.png", "test/B/0.png")
    assert examine(root).problems == ()
    copy(root, "train/A/3.png", "test/A/0.png")
    assert kinds(examine(root)) == {"duplicate-splits": "warning"}
    recode(root, "train/A/3.png", "test/A/0.png")
    Image.open(root / "train/A/3.png").resize((48, 48)).resize((SIDE, SIDE)).save(root / "test/A/0.png")
    assert kinds(examine(root)) == {"near-duplicate-splits": "warning"}


def test_odd_widths(tmp_path):
    for number in range(NUM_TRAIN):
        save(photo(number, 128, 64), tmp_path / f"{number}.png")
    save(photo(99, 129, 64), tmp_path / "99.png")
    found = examine(tmp_path)
    assert kinds(found) == {"odd-width": "error", "no-test": "hint"}
    assert found.exit_code == 2
    assert suiting(found) == []


def test_many_damaged_files_stop_a_run(tmp_path):
    root = paired(tmp_path)
    for number in range(2):
        path = root / "train" / "B" / f"{number}.png"
        path.write_bytes(path.read_bytes()[:-30])
    found = examine(root)
    problem = only(found, "damaged")
    assert (problem.severity, found.exit_code, suiting(found)) == ("error", 2, [])
    assert "2 of 26 pairs cannot be decoded (train/B/0.png, train/B/1.png)" in problem.what
    assert "More than 5% of the training set: a run stops" in problem.what


@pytest.mark.parametrize(
    ("mode", "said"), [("L", "values from 0 to 4 of 255: probably class ids"), ("I;16", "uses 3 of the")]
)
def test_values_that_look_black(tmp_path, mode, said):
    def numbers(seed):
        pixels = np.asarray(label(seed)).astype(np.int64) @ [1, 7, 31] % 5
        pixels[0, 0] = 4
        return Image.fromarray(pixels.astype(np.uint8 if mode == "L" else np.uint16))

    found = examine(paired(tmp_path, second=numbers))
    assert kinds(found) == {"few-bits": "warning"}
    assert said in only(found, "few-bits").what
    assert method(found, "segmentation").flags == "--labels"
    assert "--values 0 " in only(found, "few-bits").fix


def test_tiny_images(tmp_path):
    for number in range(NUM_TRAIN):
        for side, first in (("A", 0), ("B", 1000)):
            save(photo(first + number, 28, 28), tmp_path / side / f"{side}{number}.png")
    found = examine(tmp_path)
    assert kinds(found) == {"tiny": "warning", "no-test": "hint"}
    assert "(28x28): training uses --size 16" in only(found, "tiny").what


def test_images_that_are_too_narrow_to_enlarge(tmp_path, monkeypatch):
    root = paired(tmp_path, second=lambda number: photo(number + 2000))
    for side in "AB":
        save(photo(ord(side), 2000, 1), root / "train" / side / "x.png")
    monkeypatch.setattr("translate.data.doctor_checks.MAX_PIXELS", 2_000_000)
    assert only(examine(root), "too-narrow").what.endswith("and skipped: train/A/x.png, train/B/x.png")


# --- nothing to train on ---------------------------------------------------------------------------------------------


def test_one_set_of_images(tmp_path):
    for number in range(25):
        save(photo(number), tmp_path / "train" / f"{number}.png")
    copy(tmp_path, "train/1.png", "train/again.png")
    (tmp_path / "train" / "bad.png").write_bytes(b"junk")
    found = examine(tmp_path)
    assert (found.kind, found.layout, found.exit_code) == ("image-set", "folder", 1)
    assert suiting(found) == [*LEARNERS, DERIVED, PAINTED]
    assert "one set of images, 27 files" in method(found, "cyclegan").reason
    assert "single images, not pairs" in method(found, "pix2pix").reason
    assert found.domains[0].counts == {"train": 26}
    assert kinds(found) == {"unreadable": "warning", "duplicate-twice": "hint"}


def test_files_in_linked_folders_are_seen(tmp_path):
    for number in range(3):
        save(photo(number), tmp_path / "set" / f"{number}.png")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "x.exr").touch()
    try:
        (tmp_path / "set" / "linked").symlink_to("../elsewhere")
        (tmp_path / "set" / "round").symlink_to(".")
    except OSError:
        pytest.skip("links are not allowed here")
    (problem,) = (problem for problem in examine(tmp_path / "set").problems if problem.kind == "unread")
    assert problem.what == "files that are not read: 1 .exr"


def test_sets_that_are_one_array(tmp_path):
    pixels = np.zeros((7, 12, 12), np.uint8)
    np.savez(tmp_path / "set.npz", x_train=pixels, y_train=np.arange(7) % 2, x_test=pixels[:2], y_test=np.arange(2))
    for root in (tmp_path, tmp_path / "set.npz"):
        found = examine(root)
        assert (found.kind, found.layout, found.exit_code) == ("image-set", "npz", 0)
        assert suiting(found) == [*LEARNERS, "classifier", DERIVED]
        assert found.domains[0].counts == {"train": 7, "test": 2}
        assert not found.problems
    (tmp_path / "set.npz").write_bytes(b"PK junk")
    found = examine(tmp_path)
    assert (found.kind, found.exit_code, suiting(found)) == ("image-set", 2, [])
    assert "is not a complete .npz file" in only(found, "damaged").what


def test_an_array_that_is_refused_is_told_as_training_tells_it(tmp_path):
    path = tmp_path / "set.npz"
    np.savez(path, images=np.full((4, 8, 8), 1j))
    for root in (path, tmp_path):
        found = examine(root)
        assert (found.kind, found.exit_code, suiting(found)) == ("image-set", 2, [])
        assert "are complex128" in only(found, "array").what
        with pytest.raises(LayoutError) as caught:
            find_images(root)
        assert (caught.value.what, caught.value.fix) == (only(found, "array").what, only(found, "array").fix)


def test_what_is_no_set_is_told_what_one_may_be(tmp_path):
    found = examine(tmp_path)
    assert "expected images, a folder for each class, images with a .csv of labels" in method(found, "vae").reason


def test_one_class_in_training_is_a_set(tmp_path):
    for name in ("train/good", "test/good", "test/broken"):
        for number in range(3):
            save(photo(len(name) + number), tmp_path / name / f"{number}.png")
    found = examine(tmp_path)
    assert (found.kind, found.layout) == ("image-set", "class-folders")
    assert "vae" in suiting(found)


def test_folders_of_classes(tmp_path):
    for number in range(4):
        for name in ("cats", "dogs", "eels"):
            save(photo(number * 3 + len(name)), tmp_path / name / f"{name}{number}.png")
    found = examine(tmp_path)
    assert (found.kind, found.layout, suiting(found)) == (
        "image-set",
        "class-folders",
        [*LEARNERS, "classifier", DERIVED, PAINTED],
    )


def test_an_empty_domain(tmp_path):
    root = unpaired(tmp_path)
    for path in (root / "trainB").iterdir():
        path.unlink()
    found = examine(root)
    assert found.exit_code == 2
    assert "trainB: no images in this folder" in method(found, "cyclegan").reason


def test_nothing(tmp_path):
    (tmp_path / "images.gz").touch()
    found = examine(tmp_path)
    assert (found.kind, found.num_files, found.domains, found.exit_code) == ("nothing", 0, (), 2)
    assert "it holds no images (1 .gz file)" in method(found, "pix2pix").reason
    with pytest.raises(LayoutError, match="no such folder"):
        examine(tmp_path / "nowhere")


def test_json(tmp_path):
    root = unpaired(tmp_path)
    copy(root, "trainA/summer3.png", "testA/x.png")
    found = examine(root)
    read = json.loads(json.dumps(found.as_dict()))
    assert (read["kind"], read["exit_code"], read["root_b"]) == ("unpaired", 1, None)
    assert read["domains"][0]["counts"] == {"train": NUM_TRAIN, "test": NUM_TEST + 1}
    assert [method["name"] for method in read["methods"] if method["suits"]] == ["cyclegan", "cut", "fastcut"]
    assert read["problems"][0]["files"] == ["trainA/summer3.png", "testA/x.png"]


def test_heights_are_no_label_maps(tmp_path):
    for number in range(NUM_TRAIN):
        heights = (np.asarray(label(number)).astype(np.float32) @ [1, 7, 31]) * np.float32(0.37)
        save(photo(number), tmp_path / "A" / f"{number}.png")
        save(Image.fromarray(heights.astype(np.float32)), tmp_path / "B" / f"{number}.tif")
    found = examine(tmp_path)
    assert not method(found, "segmentation").suits
    assert [domain.few_colours for domain in found.domains] == [False, False]
