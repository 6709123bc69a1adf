"""The loop: how often things happen, what stops it, what it says and leaves behind."""

import json
import math
import os
import signal
from dataclasses import replace
from itertools import pairwise

import pytest
import torch

import translate
from translate.checkpoint import saved_states
from translate.config import ConfigError
from translate.data.batches import DataError
from translate.engine import TrainingError, train
from translate.recipes import Progress


def log_entries(out):
    return [json.loads(line) for line in (out / "log.jsonl").read_text(encoding="utf-8").splitlines()]


def boundaries(total: int, *, batch_size: int, every: int) -> list[int]:
    """The steps' ends that pass a multiple of `every`, and the last one."""
    ends = range(batch_size, total + batch_size, batch_size)
    return [end for end in ends if any(n % every == 0 for n in range(end - batch_size + 1, end + 1)) or end >= total]


@pytest.mark.parametrize("batch_size", [1, 3, 7, 64])
def test_events_fire_on_crossing_a_boundary(make_config, open_session, monkeypatch, batch_size):
    session = open_session(
        make_config(images=64, batch_size=batch_size, log_every=5, sample_every=10, checkpoint_every=21)
    )
    engine, fired = session.engine, {"log": [], "sample": [], "checkpoint": []}
    monkeypatch.setattr(engine, "train_step", lambda batch: None)
    monkeypatch.setattr(engine, "log", lambda: fired["log"].append(engine.images))
    monkeypatch.setattr(engine, "save_samples", lambda: fired["sample"].append(engine.images))
    monkeypatch.setattr(engine, "save", lambda: fired["checkpoint"].append(engine.images))
    session.train()
    for event, every in (("log", 5), ("sample", 10), ("checkpoint", 21)):
        assert fired[event] == boundaries(64, batch_size=batch_size, every=every), event
    if batch_size == 1:
        assert [len(fired[event]) for event in ("log", "sample", "checkpoint")] == [13, 7, 4]
    if batch_size == 64:
        assert fired == {"log": [64], "sample": [64], "checkpoint": [64]}


@pytest.mark.parametrize("schedule", ["linear", "cosine", "constant"])
def test_learning_rates_of_a_run(make_config, open_session, schedule):
    engine = open_session(make_config(images=20, schedule=schedule, r1_weight=1.0)).engine
    factors = []
    for images in range(21):
        factors.append(engine.recipe.advance(Progress(images=images, total=20), engine.optimizers))
        assert engine.optimizers["g"].param_groups[0]["lr"] == pytest.approx(2e-4 * factors[-1])
        assert engine.optimizers["d"].param_groups[0]["lr"] == pytest.approx(2e-4 * factors[-1] * 16 / 17)  # lazy R1
    assert factors[:11] == [1.0] * 11
    if schedule == "constant":
        assert factors[20] == 1.0
    else:
        assert all(later < earlier for earlier, later in pairwise(factors[10:]))
        assert factors[19] > 0
        assert factors[20] == pytest.approx(0, abs=1e-12)


def test_a_run_from_end_to_end(make_config):
    config = make_config(images=8, batch_size=2, log_every=4, sample_every=4, checkpoint_every=4, keep=1)
    weights = train(config)
    out = config.run.out
    entries = log_entries(out)
    assert [entry["images"] for entry in entries] == [4, 8]
    assert all(math.isfinite(value) for entry in entries for value in entry["losses"].values())
    assert entries[0]["losses"].keys() == {"d", "g_gan", "g_l1"}
    assert entries[0]["epoch"] == pytest.approx(4 / 12, abs=1e-4)
    assert [path.name for path in sorted((out / "samples").iterdir())] == ["0000000004.png", "0000000008.png"]
    assert [path.stem for path in saved_states(out / "states")] == ["0000000008"]
    assert json.loads((out / "config.json").read_text())["run"]["images"] == 8
    assert not list(out.rglob(".*.part"))
    record = translate.load(weights, device="cpu").config.training
    assert (record.recipe, record.images_seen, record.precision) == ("pix2pix", 8, "fp32")
    assert record.losses == pytest.approx(entries[-1]["losses"], abs=1e-5)
    assert record.config["run"]["out"] == "run"  # the folder's name, and nothing of the machine


def test_a_loss_that_is_not_finite_stops_the_run_with_its_name(make_config, open_session):
    config = make_config(images=20, log_every=2, checkpoint_every=2, keep=1)
    session = open_session(config)
    engine = session.engine
    update = engine.recipe.updates[1]
    whole = update.losses[0]

    def faulty(batch, scratch):
        terms = whole(batch, scratch)
        return {**terms, "g_l1": terms["g_l1"] * (float("nan") if engine.images == 6 else 1.0)}

    engine.recipe.updates = (engine.recipe.updates[0], replace(update, losses=(faulty,)))
    with pytest.raises(TrainingError, match=r"^g_l1 is not finite after 8 images.*--learning-rate"):
        session.train()
    assert [path.stem for path in saved_states(engine.states)] == ["0000000006"]
    text = (config.run.out / "log.jsonl").read_text()
    assert '"g_l1": NaN' in text
    resumed = open_session(config)  # the same command goes on from what is kept
    assert resumed.engine.images == 6
    assert all(torch.isfinite(value.float()).all() for value in resumed.tensors().values())
    resumed.train()
    entries = log_entries(config.run.out)
    assert [entry["images"] for entry in entries] == list(range(2, 21, 2))
    assert all(math.isfinite(value) for entry in entries for value in entry["losses"].values())


def test_weights_broken_by_the_last_step_are_not_saved(make_config, open_session):
    """A gradient that is not finite under a finite loss shows in the losses only one step later."""
    config = make_config(images=20, checkpoint_every=2, keep=1)
    session = open_session(config)
    engine = session.engine
    whole = engine.recipe.updates[1].losses[0]

    def faulty(batch, scratch):
        terms = whole(batch, scratch)
        if engine.images == 3:
            weight = next(engine.nets["g"].parameters())
            terms["root"] = (weight.sum() * 0).sqrt()  # the root's slope at 0 is infinite, times 0 is NaN
        return terms

    engine.recipe.updates = (engine.recipe.updates[0], replace(engine.recipe.updates[1], losses=(faulty,)))
    with pytest.raises(TrainingError, match="network g is not finite after 4 images"):
        session.train()
    assert [path.stem for path in saved_states(engine.states)] == ["0000000002"]


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
        RuntimeError("[enforce fail at alloc_cpu.cpp:124] . DefaultCPUAllocator: can't allocate memory: you tried to"),
    ],
)
def test_out_of_memory_says_what_to_lower(make_config, open_session, error):
    session = open_session(make_config(images=8, batch_size=4))

    def hungry(batch, scratch):
        raise error

    recipe = session.engine.recipe
    recipe.updates = (replace(recipe.updates[0], losses=(hungry,)),)
    with pytest.raises(TrainingError, match=r"out of memory on cpu with --batch-size 4.*--micro-batch 2") as caught:
        session.train()
    assert caught.value.__cause__ is error


def test_other_errors_are_not_dressed_up(make_config, open_session):
    session = open_session(make_config())

    def wrong(batch, scratch):
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    recipe = session.engine.recipe
    recipe.updates = (replace(recipe.updates[0], losses=(wrong,)),)
    with pytest.raises(RuntimeError, match=r"^mat1 and mat2") as caught:
        session.train()
    assert caught.value.__cause__ is None


def test_too_many_unreadable_files_stop_the_run(make_config, open_session, draw_pairs, tmp_path):
    root = draw_pairs(tmp_path / "pairs", count=10)
    for name in ("003.png", "007.png"):  # the headers are whole, the pixels are not
        path = root / "B" / name
        path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(DataError, match=r"of 10 pairs cannot be read, more than the 5% that --max-bad allows"):
        open_session(make_config(root=root, images=20)).train()
    session = open_session(make_config(root=root, images=20, max_bad=0.3, out=tmp_path / "patient")).train()
    assert session.engine.images == 20
    for name in ("003.png", "007.png"):
        assert session.said.count(f"{name}") == 1  # named once, though drawn in each epoch


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_finish_the_step_and_save(make_config, open_session, assert_equal, number):
    config = make_config(images=8, log_every=3, noise="training", ema_half_life=5.0)
    whole = open_session(replace(config, run=replace(config.run, out=config.run.out.with_name("whole")))).train()
    session = open_session(config)
    step = session.engine.train_step

    def interrupted(batch):
        if session.engine.images == 4:
            os.kill(os.getpid(), number)
        step(batch)

    session.engine.train_step = interrupted
    handlers = [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)]
    assert session.engine.train() is False
    assert [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)] == handlers
    assert session.engine.images == 5  # the step was finished
    assert [path.stem for path in saved_states(session.engine.states)] == ["0000000005"]
    assert translate.load(config.run.out, device="cpu").config.training.images_seen == 5
    resumed = open_session(config)
    assert "resuming after 5 of 8 images" in resumed.said
    assert_equal(resumed.train().tensors(), whole.tensors())
    images = [entry["images"] for entry in log_entries(config.run.out)]
    assert images == sorted(set(images))
    assert images[-1] == 8


def test_a_second_signal_interrupts_at_once(make_config, open_session):
    session = open_session(make_config())

    def stuck(batch):
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)
        raise AssertionError("went on")

    session.engine.train_step = stuck
    with pytest.raises(KeyboardInterrupt):
        session.train()


def test_minutes(make_config, capsys):
    config = make_config(images=100_000, minutes=0.02)
    train(config)
    images = log_entries(config.run.out)[-1]["images"]
    assert 0 < images < 100_000
    assert "Run the same command again to resume" in " ".join(capsys.readouterr().out.split())
    assert translate.load(config.run.out, device="cpu").config.training.images_seen == images
    train(make_config(images=images + 2))
    assert log_entries(config.run.out)[-1]["images"] == images + 2


def test_deterministic_runs_end_with_the_setting_they_ask_for(make_config):
    try:
        train(make_config(deterministic=True, r1_weight=1.0, generator="resnet", num_blocks=1))
        assert torch.are_deterministic_algorithms_enabled()
    finally:
        torch.use_deterministic_algorithms(False)


def test_a_batch_that_processes_cannot_share_is_refused(make_config):
    from translate.engine import Display, Engine
    from translate.engine.distributed import World
    from translate.recipes import open_recipe

    config = make_config(batch_size=3)
    recipe, data = open_recipe(config)
    world = World(rank=0, size=2, device=torch.device("cpu"))
    with pytest.raises(ConfigError, match="--batch-size 3 cannot be split evenly across 2 processes"):
        Engine(recipe, data, config=config, world=world, display=Display(enabled=False))
    data.close()


def test_an_unwritable_run_folder_is_refused(make_config, open_session, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="choose another --out"):
        open_session(make_config(out=tmp_path / "file" / "run"))
