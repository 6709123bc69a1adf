"""Training for the demo: begun, watched, stopped, gone on with; in a process of its own."""

import json
import shutil
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import translate
from translate.data.doctor import examine
from translate.demos import training
from translate.demos.training import GOALS, Trainer, TrainerError, goals_for
from translate.inference import Translator


@pytest.fixture
def photos(tmp_path) -> Path:
    (tmp_path / "photos").mkdir()
    generator = np.random.default_rng(0)
    for number in range(6):
        coarse = generator.integers(0, 256, (4, 4, 3), dtype=np.uint8)
        Image.fromarray(coarse).resize((40, 40), Image.Resampling.BICUBIC).save(tmp_path / "photos" / f"{number}.png")
    return tmp_path / "photos"


@pytest.fixture
def small(monkeypatch) -> None:
    """Goals with small networks, which say much."""
    tiny = ("--width", "4", "--d-width", "4", "--d-layers", "1", "--schedule", "constant", "--workers", "1")
    method = ("pix2pix", "--derive", "gray", *tiny, "--log-every", "2", "--sample-every", "4")
    monkeypatch.setitem(GOALS, "colour", replace(GOALS["colour"], method=method))


def wait(trainer: Trainer, until, seconds: float = 90.0) -> None:
    end = time.monotonic() + seconds
    while not until(trainer.progress()):
        assert time.monotonic() < end, trainer.progress()
        time.sleep(0.1)


def test_a_training_from_beginning_to_end(photos, tmp_path, small):
    trainer = Trainer(tmp_path / "runs")
    assert trainer.progress() is None
    folder = trainer.new_folder("training")
    trainer.start("colour", [photos], folder=folder, minutes=10, size=32)
    assert trainer.busy
    with pytest.raises(TrainerError, match="Another training run is in progress"):
        trainer.start("colour", [photos], folder=trainer.new_folder("other"), minutes=1, size=32)
    wait(trainer, lambda found: found.sample is not None and len(found.losses.get("g_l1", ())) > 2)
    found = trainer.progress()
    assert found.state == "running"
    assert found.words == "Colourise grey images"
    assert 0 < found.seconds < 90
    assert found.losses["g_l1"][0][0] < found.losses["g_l1"][-1][0] <= found.images
    trainer.stop()
    trainer.stop()  # an impatient user: a second signal would end it at once
    wait(trainer, lambda found: found.state == "stopped")
    stopped = trainer.progress()
    (weights,) = stopped.weights
    model = translate.load(weights)
    assert isinstance(model, Translator)
    assert model.config.name == "photos-colour"
    assert (model.config.domains.source, model.config.domains.target) == ("grey", "colour")

    again = Trainer(tmp_path / "runs")  # the server was started anew
    assert again.progress().images == stopped.images
    assert again.progress().state == "stopped"
    again.go_on(folder, minutes=0.03)
    wait(again, lambda found: found.state == "stopped")
    assert again.progress().images > stopped.images
    assert again.folders() == [folder]


def test_closing_ends_it_and_keeps_it(photos, tmp_path, small):
    trainer = Trainer(tmp_path / "runs")
    trainer.start("colour", [photos], folder=trainer.new_folder("training"), minutes=10, size=32)
    wait(trainer, lambda found: found.images > 0)
    trainer.close()
    assert not trainer.busy
    assert trainer.progress().weights


def test_what_went_wrong_is_said(photos, tmp_path, small):
    trainer = Trainer(tmp_path / "runs")
    shutil.rmtree(photos)
    trainer.start("colour", [photos], folder=trainer.new_folder("training"), minutes=1, size=32)
    wait(trainer, lambda found: found.state == "failed")
    assert trainer.progress().said.startswith(f"translate: {photos}")
    assert trainer.progress().weights == ()


def test_folders_that_are_no_trainings_are_left_alone(tmp_path):
    trainer = Trainer(tmp_path / "runs")
    for name, text in (("torn", "{"), ("other", json.dumps({"goal": "x"}))):
        (tmp_path / "runs" / name).mkdir(parents=True)
        (tmp_path / "runs" / name / training.COMMAND_FILE).write_text(text)
        assert trainer.progress(tmp_path / "runs" / name) is None
    with pytest.raises(TrainerError, match="no longer exists"):
        trainer.go_on(tmp_path / "runs" / "torn", minutes=1)


def test_what_can_be_learned_depends_on_the_images(photos, tmp_path, make_pairs):
    assert {"colour", "sketch", "sharpen", "fill", "new"} == set(goals_for(examine(photos)))
    assert {"pairs", "pairs-back", "both-ways"} == set(goals_for(examine(make_pairs(4))))
    two = tmp_path / "two"
    for name, colour in (("apples", "red"), ("pears", "green")):
        (two / name).mkdir(parents=True)
        for number in range(3):
            Image.new("RGB", (32, 32), colour).save(two / name / f"{name}-{number}.png")
    assert {"both-ways", "one-way"} <= set(goals_for(examine(two)))
    (tmp_path / "nothing").mkdir()
    assert goals_for(examine(tmp_path / "nothing")) == {}


@pytest.mark.parametrize("goal", GOALS)
def test_every_goal_is_a_command_that_parses(goal, tmp_path, monkeypatch):
    import translate.engine as engine
    from translate.cli.main import main

    asked = []
    monkeypatch.setattr(engine, "train", asked.append)
    words = [*GOALS[goal].method[1:], "--size", "64", "--images", training.ENDLESS]
    assert main(["train", GOALS[goal].method[0], str(tmp_path), *words, "--out", "x", "--minutes", "3"]) == 0
    assert asked[0].run.minutes == 3


def test_what_nobody_trained_on_is_removed_with_the_next_start(photos, tmp_path, small):
    trainer = Trainer(tmp_path / "runs")
    used, unused = trainer.new_folder(training.UPLOADED), trainer.new_folder(training.UPLOADED)
    assert used != unused
    shutil.copytree(photos, used / "images")
    trainer.start("colour", [used / "images"], folder=trainer.new_folder("training"), minutes=10, size=32)
    trainer.close()
    Trainer(tmp_path / "runs")
    assert used.exists()
    assert not unused.exists()


def test_stopping_at_once_is_no_failure_and_damaged_lines_are_left_out(photos, tmp_path, small):
    trainer = Trainer(tmp_path / "runs")
    folder = trainer.new_folder("training")
    trainer.start("colour", [photos], folder=folder, minutes=10, size=32, names=["-cats", "dogs"])
    trainer.close()  # while PyTorch is imported
    assert trainer.progress().state == "stopped"
    run = folder / "photos-colour"
    run.mkdir(exist_ok=True)
    (run / "log.jsonl").write_text('{"images": 2, "losses": {"d": 1.0}}\nnot JSON\n{"images": "x"}\n{"images": 4')
    assert trainer.progress().images == 2
