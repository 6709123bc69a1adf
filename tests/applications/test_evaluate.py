"""Evaluations of tiny weights on drawn data, against what hand counting says."""

import json
import math
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from rich.console import Console

from translate.applications.classifier import ClassifierError
from translate.applications.evaluate import evaluate
from translate.applications.evaluation.baselines import match_histograms
from translate.applications.evaluation.data import drawn, find_data, open_data
from translate.applications.evaluation.result import IDENTITY, MATCHED, REAL, TRANSLATION, EvaluationError
from translate.applications.evaluation.sheet import CELL, choose
from translate.checkpoint import save_weights
from translate.checkpoint.files import WeightsError
from translate.config import ConfigError, Domains, Preprocessing, ResNetConfig, TrainingRecord, WeightsConfig
from translate.data.layouts import LayoutError, PairedData, UnpairedData
from translate.inference import Translator, load, translate_files
from translate.metrics import l1, psnr, ssim
from translate.networks import build_network, initialise
from translate.networks.features import FeaturesError

QUIET = Console(quiet=True)
IMAGES = 320  # that the classifier sees of each domain: twenty steps
TINY = WeightsConfig(
    kind="translator",
    name="tiny",
    network=ResNetConfig(width=4, num_blocks=1),
    preprocessing=Preprocessing(size=32),
    domains=Domains(source="dark", target="bright"),
)


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    save_weights(initialise(build_network(TINY.network), kind="kaiming"), TINY, tmp_path / "tiny")
    return tmp_path / "tiny"


def draw(path: Path, *, seed: int, low: int, size: tuple[int, int] = (32, 32), channels: int = 3) -> None:
    """Soft blobs, from `low` to `low` + 120."""
    path.parent.mkdir(parents=True, exist_ok=True)
    coarse = np.random.default_rng(seed).integers(low, low + 120, (6, 6, channels), dtype=np.uint8)
    image = Image.fromarray(coarse[..., 0] if channels == 1 else coarse)
    image.resize(size, Image.Resampling.BICUBIC).save(path)


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    """Five training pairs and four test pairs: A dark, B bright."""
    for split, count in (("train", 5), ("test", 4)):
        for number in range(count):
            for side, low in (("A", 0), ("B", 120)):
                seed = 10 * number + (split == "test")
                draw(tmp_path / "pairs" / split / side / f"{number}.png", seed=seed, low=low)
    return tmp_path / "pairs"


@pytest.fixture(scope="module")
def sets(tmp_path_factory) -> Path:
    """Dark and bright images of different names and counts: eight and six to train, seven and six to test."""
    root = tmp_path_factory.mktemp("data") / "sets"
    for split, counts in (("train", (8, 6)), ("test", (7, 6))):
        for side, low, count in zip(("dark", "bright"), (0, 130), counts, strict=True):
            for number in range(count):
                size = (32, 40) if number == 3 else (32, 32)
                name = f"{side}-{split}-{number}.png"
                draw(root / split / side / name, seed=100 * low + number, low=low, size=size)
    return root


def run(weights, root, **given):
    return evaluate(weights, root, console=QUIET, device="cpu", precision="fp32", **given)


def value(found, candidate, measure):
    return found.scores[candidate][measure].value


# Pairs


def test_pairs_score_what_their_saved_files_score(weights, pairs, tmp_path):
    found = run(weights, pairs, names=("dark", "bright"), out=tmp_path / "out")
    inputs = sorted((pairs / "test" / "A").iterdir())
    (tmp_path / "saved").mkdir()
    outputs = [tmp_path / "saved" / path.name for path in inputs]
    translate_files(load(weights, device="cpu", precision="fp32"), inputs, outputs)

    def read(paths):
        return torch.stack([torch.from_numpy(np.array(Image.open(path))).permute(2, 0, 1) / 255 for path in paths])

    targets = read([pairs / "test" / "B" / path.name for path in inputs])
    for candidate, images in ((TRANSLATION, read(outputs)), (IDENTITY, read(inputs))):
        for name, measure in (("l1", l1), ("psnr", psnr), ("ssim", ssim)):
            expected = measure(images, targets).mean()
            assert value(found, candidate, name) == pytest.approx(float(expected), rel=1e-4)
            low, high = found.scores[candidate][name].interval
            assert low <= value(found, candidate, name) <= high
    assert (found.kind, found.direction, found.split, found.num_images) == ("paired", "a2b", "test", 4)
    assert (found.source, found.target) == ("dark", "bright")
    assert found.images["0"]["l1"] == pytest.approx(float(l1(read(outputs[:1]), targets[:1])), rel=1e-5)


def test_histogram_matching_is_nearer_than_the_input(weights, pairs, tmp_path):
    found = run(weights, pairs, direction="a2b", out=tmp_path / "out")
    assert value(found, MATCHED, "l1") < value(found, IDENTITY, "l1") / 2
    assert "real" not in found.scores


def test_what_cannot_be_measured_is_said(weights, pairs, tmp_path):
    found = run(weights, pairs, direction="a2b", out=tmp_path / "out")
    assert value(found, TRANSLATION, "ms_ssim") is None
    assert "MS-SSIM covers 0 of 4 images: the others are under 161 px" in found.notes
    same = tmp_path / "same"
    for number in range(3):
        for side in "AB":
            draw(same / side / f"{number}.png", seed=number, low=0)
    found = run(weights, same, direction="a2b", split="train", out=tmp_path / "out")
    assert value(found, IDENTITY, "psnr") is None
    assert value(found, IDENTITY, "l1") == 0
    assert "identity: 3 of 3 images equal their targets; their infinite PSNR is excluded" in found.notes


def test_the_report_is_json_and_the_picture_shows_best_median_and_worst(weights, pairs, tmp_path):
    found = run(weights, pairs, direction="a2b", out=tmp_path / "out")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["tiny.json", "tiny.png"]
    values = json.loads(found.report.read_text(), parse_constant=lambda constant: pytest.fail(constant))
    assert values["scores"][TRANSLATION]["ssim"]["value"] == value(found, TRANSLATION, "ssim")
    assert values["measures"]["l1"] == {"title": "L1", "better": "lower"}
    scores = {name: row["ssim"] for name, row in values["images"].items()}
    assert values["shown"]["best"] == [max(scores, key=scores.get)]
    assert values["shown"]["worst"] == [min(scores, key=scores.get)]
    with Image.open(found.sheet) as picture:
        assert picture.width == 3 * CELL + 2 * 4
        pixels = np.asarray(picture.convert("RGB"))
    best = np.asarray(Image.open(pairs / "test" / "A" / f"{values['shown']['best'][0]}.png"))
    assert np.array_equal(pixels[26 : 26 + CELL : 6, :CELL:6], best)  # the input, enlarged six times


def test_the_seed_decides(weights, pairs, tmp_path):
    one, other, third = (
        run(weights, pairs, direction="a2b", seed=seed, out=tmp_path / str(number)).scores
        for number, seed in enumerate((0, 0, 1))
    )
    assert one == other
    assert one[MATCHED]["l1"] != third[MATCHED]["l1"]
    assert one[IDENTITY]["l1"].value == third[IDENTITY]["l1"].value


def test_fewer_images_and_another_size(weights, pairs, tmp_path):
    found = run(weights, pairs, direction="a2b", num_images=2, size=64, out=tmp_path / "out")
    assert found.num_images == len(found.images) == 2
    assert "trained at 32 px, and these images are scored at 64: --size 32" in found.notes[0]
    with pytest.raises(ConfigError, match="has no val split: it has train, test"):
        run(weights, pairs, direction="a2b", split="val", out=tmp_path / "out")


def test_unreadable_images_are_left_out_and_named(weights, pairs, tmp_path):
    broken = pairs / "test" / "A" / "1.png"
    broken.write_bytes(broken.read_bytes()[:-200])  # the header is whole
    found = run(weights, pairs, direction="a2b", out=tmp_path / "out")
    assert found.num_images == 3
    assert "1" not in found.images
    assert any("1 files cannot be read and are not used" in note and "1.png" in note for note in found.notes)
    for path in (pairs / "test" / "B").iterdir():
        path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(EvaluationError, match="none of the 4 images can be read"):
        run(weights, pairs, direction="a2b", out=tmp_path / "out")


def test_lpips_where_its_weights_are_given(weights, pairs, tmp_path):
    module = pytest.importorskip("torchmetrics.functional.image.lpips")
    from torchvision import models

    torch.manual_seed(0)
    torch.save(models.squeezenet1_1(weights=None).state_dict(), tmp_path / "net.pth")
    heads = Path(module.__file__).parent / "lpips_models" / "squeeze.pth"
    found = run(weights, pairs, direction="a2b", lpips=(tmp_path / "net.pth", heads), out=tmp_path / "out")
    assert 0 < value(found, MATCHED, "lpips") < value(found, IDENTITY, "lpips")
    assert found.ordered_by == "LPIPS"
    rows = found.images
    assert found.shown["best"] == [min(rows, key=lambda name: rows[name]["lpips"])]
    with pytest.raises(FeaturesError, match=r"net.pth and .*net.pth: the heads hold features.0.weight"):
        run(weights, pairs, direction="a2b", lpips=(tmp_path / "net.pth",) * 2, out=tmp_path / "out")
    with pytest.raises(ConfigError, match="are for unpaired sets"):
        run(weights, pairs, direction="a2b", features=("squeezenet1_1", heads), out=tmp_path / "out")


# Which way


def config_of(source: str, target: str, **given) -> WeightsConfig:
    return replace(TINY, domains=Domains(source=source, target=target), **given)


@pytest.mark.parametrize(
    ("domains", "names", "direction"),
    [
        (("dark", "bright"), ("dark", "bright"), "a2b"),
        (("Bright", "dark"), ("dark", "bright"), "b2a"),
        (("winter", "dark"), ("dark", "bright"), "b2a"),
        (("A", "B"), None, "a2b"),
        (("B", "A"), None, "b2a"),
    ],
)
def test_names_tell_the_direction(domains, names, direction, pairs):
    data, _ = open_data(find_data(pairs), config_of(*domains), names=names)
    assert data.direction == direction
    assert data.examples[0].read()[0].pixels.mean() < 120 or direction == "b2a"


def test_swapped_domains_are_refused(pairs):
    found = find_data(pairs)
    with pytest.raises(
        ConfigError, match=r"domains are swapped: 'tiny' translates dark to bright, A is bright and B is "
    ):
        open_data(found, TINY, names=("bright", "dark"), direction="a2b")
    with pytest.raises(ConfigError, match=r"Give --direction b2a, or --names dark bright"):
        open_data(found, TINY, names=("bright", "dark"), direction="a2b")
    data, _ = open_data(found, TINY, names=("bright", "dark"))
    assert data.direction == "b2a"
    with pytest.raises(
        ConfigError, match=r"the direction is ambiguous: .*Give --direction a2b or b2a, or .*--names 'dark'"
    ):
        open_data(found, TINY)
    # Names that say nothing are no reason to refuse what was asked for.
    assert open_data(found, config_of("A", "B"), direction="b2a")[0].direction == "b2a"


def test_weights_trained_on_a_folder_of_this_name_know_the_way(pairs):
    record = TrainingRecord(
        recipe="pix2pix",
        images_seen=1,
        config={"data": {"root": "pairs", "direction": "b2a", "names": ["night", "day"]}},
    )
    known = config_of("day", "night", training=record)
    data, _ = open_data(find_data(pairs), known)
    assert (data.direction, data.source.name, data.names) == ("b2a", "day", ("night", "day"))
    with pytest.raises(ConfigError, match="domains are swapped"):
        open_data(find_data(pairs), known, direction="a2b")
    nameless = config_of("x", "y", training=replace(record, config={"data": {"root": "pairs", "direction": "b2a"}}))
    data, notes = open_data(find_data(pairs), nameless)
    assert data.direction == "b2a"
    assert "was trained on a folder of this name" in notes[0]
    elsewhere = replace(record, config={"data": {"root": "other", "direction": "b2a"}})
    with pytest.raises(ConfigError, match="the direction is ambiguous"):
        open_data(find_data(pairs), config_of("x", "y", training=elsewhere))


def test_grey_and_colour_the_wrong_way_round_are_refused(tmp_path):
    for number in range(3):
        draw(tmp_path / "data" / "A" / f"{number}.png", seed=number, low=0, channels=1)
        draw(tmp_path / "data" / "B" / f"{number}.png", seed=number, low=0)
    colouring = replace(TINY, network=ResNetConfig(width=4, num_blocks=1, in_channels=1), domains=Domains())
    found = find_data(tmp_path / "data")
    data, _ = open_data(found, colouring, direction="a2b", split="train")
    assert (data.source.format.channels, data.target.format.channels) == (1, 3)
    with pytest.raises(
        ConfigError, match=r"swapped: 'tiny' translates grey to RGB, .*from RGB to grey.*--direction a2b"
    ):
        open_data(found, colouring, direction="b2a", split="train")


def test_the_layout_decides_what_is_scored(pairs, sets, tmp_path):
    assert isinstance(find_data(pairs), PairedData)
    assert isinstance(find_data(pairs, unpaired=True), UnpairedData)
    found = find_data(sets)
    assert isinstance(found, UnpairedData)
    assert found.names == ("bright", "dark")
    (pairs / "test" / "A" / "3.png").unlink()
    with pytest.raises(LayoutError, match=r"no partner.*Or use --unpaired"):
        find_data(pairs)
    assert isinstance(find_data(pairs, unpaired=True), UnpairedData)
    (tmp_path / "nothing").mkdir()
    with pytest.raises(LayoutError, match="no pairs found"):
        find_data(tmp_path / "nothing")


def test_sets_whose_images_have_running_numbers_are_no_pairs(tmp_path):
    for number in range(3):
        for side in ("bright", "dark"):
            draw(tmp_path / side / f"{number}.png", seed=number, low=0)
    assert isinstance(find_data(tmp_path), UnpairedData)
    assert isinstance(find_data(tmp_path / "bright", root_b=tmp_path / "dark"), PairedData)


def test_a_val_split_stands_in_for_test_and_a_training_split_must_be_asked_for(pairs):
    (pairs / "test").rename(pairs / "val")
    data, notes = open_data(find_data(pairs), TINY, names=("dark", "bright"))
    assert data.split == "val"
    assert "val split is scored" in notes[0]
    for side in "AB":
        for file in (pairs / "val" / side).iterdir():
            file.unlink()
        (pairs / "val" / side).rmdir()
    (pairs / "val").rmdir()
    with pytest.raises(ConfigError, match=r"no test or val images: .*--split train"):
        open_data(find_data(pairs), TINY, names=("dark", "bright"))


# Sets


@pytest.fixture(scope="module")
def kept(sets, tmp_path_factory) -> Path:
    """A folder with a classifier of the sets, and the scores of weights that were the first to be scored with it."""
    out = tmp_path_factory.mktemp("kept")
    torch.manual_seed(0)
    first = load_tiny(name="first")
    run(first, sets, out=out, classifier_images=IMAGES)
    return out


def load_tiny(**given) -> Translator:
    config = replace(TINY, **given)
    return Translator(initialise(build_network(config.network), kind="kaiming"), config, device="cpu", precision="fp32")


@pytest.fixture
def scored(weights, sets, kept, tmp_path):
    """Scores of the tiny weights with the kept classifier, unless told otherwise."""

    def score(**given):
        options = {"out": tmp_path / "out", "classifier": kept / "classifier", "classifier_images": IMAGES} | given
        return run(weights, options.pop("root", sets), **options)

    return score


def test_sets_score_beside_baselines_and_real_images(scored):
    found = scored()
    assert (found.kind, found.direction, found.num_images) == ("unpaired", "b2a", 7)  # bright comes first
    assert list(found.scores) == [TRANSLATION, IDENTITY, MATCHED, REAL]
    assert found.classifier.accuracy == 1
    assert found.classifier.num_images == {"bright": 6, "dark": 7}
    assert value(found, IDENTITY, "domain") == 0
    assert value(found, REAL, "domain") == 1
    assert value(found, MATCHED, "domain") > 0.5
    assert value(found, IDENTITY, "edges") == pytest.approx(1, abs=1e-5)
    assert value(found, IDENTITY, "luminance_ssim") == pytest.approx(1, abs=1e-5)
    assert value(found, REAL, "edges") < 0.5
    for measure in ("kernel", "frechet"):
        assert value(found, REAL, measure) < value(found, MATCHED, measure) < value(found, IDENTITY, measure)
    # What an untrained network makes is no bright image, nor near to one.
    assert value(found, TRANSLATION, "domain") < 0.5
    assert value(found, TRANSLATION, "kernel") > value(found, REAL, "kernel")
    space = found.features
    assert (space.name, space.num_features, space.num_outputs, space.num_targets) == ("domain classifier", 64, 7, 6)
    assert not space.enough
    assert any("7 outputs and 6 real images are few for 64 features" in note for note in found.notes)
    values = json.loads(found.report.read_text())
    assert values["features"]["enough_images"] is False
    assert 0 <= values["images"]["dark-test-0"]["target_probability"] <= 1
    with Image.open(found.sheet) as picture:
        assert picture.width == 2 * (2 * CELL + 4) + 16  # two examples a band, input and output each


def test_the_classifier_is_kept_and_belongs_to_its_data(scored, sets, kept, tmp_path):
    weights_file = kept / "classifier" / "weights" / "model.safetensors"
    made = weights_file.stat().st_mtime_ns
    assert {"first.json", "first.png", "classifier"} <= {path.name for path in kept.iterdir()}
    found = scored(out=kept, classifier=None)
    assert weights_file.stat().st_mtime_ns == made
    assert json.loads((kept / "first.json").read_text())["features"]["sha256"] == found.features.sha256
    with pytest.raises(ConfigError, match="classifier of other images: give another folder"):
        scored(names=("day", "night"), direction="b2a")
    shutil.copytree(sets, tmp_path / "sets")
    draw(tmp_path / "sets" / "train" / "dark" / "another.png", seed=7, low=0)
    with pytest.raises(ConfigError, match="give another folder, or remove it"):
        scored(root=tmp_path / "sets")
    for image in (tmp_path / "sets" / "train").rglob("*.png"):
        image.unlink()
    for folder in ("train/dark", "train/bright", "train"):
        (tmp_path / "sets" / folder).rmdir()
    with pytest.raises(ConfigError, match="has no training images for the domain classifier"):
        scored(root=tmp_path / "sets")


def test_an_interrupted_classifier_goes_on(scored, tmp_path, monkeypatch):
    from translate.applications import classifier

    train = classifier.train

    def stopped(config, **given):
        return train(replace(config, run=replace(config.run, images=32)), **given)

    monkeypatch.setattr(classifier, "train", stopped)
    new = {"classifier": tmp_path / "new", "classifier_images": 64, "num_images": 3}
    with pytest.raises(ClassifierError, match="Run the same command again to resume"):
        scored(**new)
    monkeypatch.undo()
    scored(**new)
    log = [json.loads(line) for line in (tmp_path / "new" / "log.jsonl").read_text().splitlines()]
    assert [entry["images"] for entry in log] == [32, 64]


def test_distances_in_a_network_of_the_users(scored, tmp_path):
    from torchvision import models

    torch.manual_seed(0)
    file = tmp_path / "squeezenet.pth"
    torch.save(models.squeezenet1_1(weights=None).state_dict(), file)
    found, own = scored(features=("squeezenet1_1", file)), scored()
    space = found.features
    assert (space.name, space.num_features, space.file) == ("squeezenet1_1", 512, "squeezenet.pth")
    assert found.scores[IDENTITY]["kernel"] != own.scores[IDENTITY]["kernel"]
    assert found.scores[IDENTITY]["domain"] == own.scores[IDENTITY]["domain"]
    with pytest.raises(FeaturesError, match=r"squeezenet.pth: these tensors are not those of torchvision's resnet18"):
        scored(features=("resnet18", file))
    with pytest.raises(ConfigError, match="--lpips needs targets"):
        scored(lpips=(file, file))


class Evil:
    def __reduce__(self):
        return (print, ("code ran",))


def test_files_that_hold_code_are_refused(scored, tmp_path, capsys):
    torch.save({"weight": Evil()}, tmp_path / "evil.pth")
    with pytest.raises(WeightsError, match=r"evil.pth holds more than tensors, and opening it would run code"):
        scored(features=("resnet18", tmp_path / "evil.pth"))
    assert "code ran" not in capsys.readouterr().out
    assert not (tmp_path / "out").exists()  # told before anything is trained or written


def test_a_classifier_that_is_often_wrong_is_said_to_be(weights, tmp_path):
    for split, count in (("train", 6), ("test", 8)):
        for side in ("a-spring", "b-autumn"):  # the same images under two names
            for number in range(count):
                draw(
                    tmp_path / "same" / split / side / f"{side}{number}.png", seed=number + 50 * (side[0] == "b"), low=0
                )
    found = run(weights, tmp_path / "same", direction="a2b", out=tmp_path / "out", classifier_images=32, num_images=5)
    assert found.classifier.accuracy < 0.8
    assert any("small differences in 'classified as target' mean nothing" in note for note in found.notes)
    assert found.num_images == 5
    assert found.features.num_targets == 8


# Parts


def test_best_median_and_worst_are_none_twice():
    assert choose([0.1, 0.9, 0.5, 0.3, 0.7], count=1) == {"best": [1], "median": [2], "worst": [0]}
    assert choose([0.1, 0.9, 0.5, 0.3, 0.7, 0.2], count=2) == {"best": [1, 4], "median": [2, 3], "worst": [5, 0]}
    assert choose([0.5, math.nan, 0.6]) == {"best": [2], "worst": [0]}
    assert choose([0.5]) == {"best": [0]}


def test_histograms_are_matched_channel_by_channel():
    generator = torch.Generator().manual_seed(0)
    image = torch.randint(0, 256, (1, 3, 16, 16), generator=generator) / 255
    wanted = (
        torch.randint(0, 256, (1, 3, 16, 16), generator=generator) / 255 * torch.tensor([1, 0.5, 0.2]).view(1, 3, 1, 1)
    )
    wanted = (wanted * 255).round() / 255
    matched = match_histograms(image, wanted)
    difference = matched.flatten(2).sort().values - wanted.flatten(2).sort().values
    assert difference.abs().max() <= 6 / 255
    torch.testing.assert_close(matched * 255, (matched * 255).round())
    order = image[0, 1].flatten().argsort()
    assert (matched[0, 1].flatten()[order].diff() >= 0).all()
    with pytest.raises(ValueError, match="equal channels"):
        match_histograms(image, wanted[:, :1])


def test_a_pair_is_never_matched_to_its_own_target(weights, tmp_path):
    from translate.applications.evaluation.candidates import Candidates

    for number in range(2):
        for side in "AB":
            draw(tmp_path / "two" / side / f"{number}.png", seed=number, low=0 if side == "A" else 120)
    for seed in range(6):
        data, _ = open_data(find_data(tmp_path / "two"), TINY, direction="a2b", split="train")
        candidates = Candidates(load(weights, device="cpu"), data, size=None, seed=seed)
        assert [source.path.stem for source in candidates._references] == ["1", "0"]


def test_draws_repeat_only_where_they_must():
    sources = tuple(range(5))
    assert sorted(drawn(sources, 5, seed=0)) == [0, 1, 2, 3, 4]
    assert len(set(drawn(sources, 3, seed=0))) == 3
    assert sorted(drawn(sources, 10, seed=1)) == sorted([0, 1, 2, 3, 4] * 2)
    assert drawn(sources, 4, seed=0) != drawn(sources, 4, seed=3)
