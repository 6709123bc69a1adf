"""Stopping and going on, what is refused, and what a full disk or a torn file leaves."""

import errno
import json
import re
import shlex
import shutil
from dataclasses import replace

import pytest
import torch
import tyro

import translate
from translate.checkpoint import StateError, WriteError, load_state, load_weights, saved_states
from translate.cli.train import Train
from translate.config import ConfigError


def elsewhere(config, name):
    return replace(config, run=replace(config.run, out=config.run.out.with_name(name)))


def stop_after(session, images):
    """End the run as its time limit would."""
    engine = session.engine
    step = engine.train_step

    def stepped(batch):
        step(batch)
        engine.interrupt.requested = engine.images + engine.run.batch_size >= images

    engine.train_step = stepped
    return session


@pytest.mark.parametrize(
    "given",
    [
        {"noise": "training", "r1_weight": 1.0, "ema_half_life": 4.0, "schedule": "cosine", "decay_from": 0.0},
        {"noise": "always", "norm": "batch", "batch_size": 2, "micro_batch": 1, "images": 12, "colour_jitter": 0.3},
        {
            "method": "segmentation",
            "palette": ((255, 0, 0), (0, 255, 0), (0, 0, 255)),
            "class_names": ("r", "g", "b"),
            "direction": "b2a",
        },
        {"method": "cyclegan", "pool_size": 8, "ema_half_life": 4.0, "augment": ("colour", "cutout")},
        {"method": "cyclegan", "pool_size": 2, "batch_size": 2, "micro_batch": 1, "images": 12},
        {"method": "cut", "r1_weight": 1.0},
        {"method": "fastcut", "direction": "b2a"},
    ],
    ids=[
        "dropout-r1-ema",
        "batch-norm-micro-batches",
        "segmentation",
        "cyclegan-pool-half-full",
        "cyclegan-pool-swaps",
        "cut",
        "fastcut",
    ],
)
def test_stopping_at_step_3_of_6_changes_nothing(make_config, open_session, assert_equal, given):
    config = make_config(**given)
    whole = open_session(elsewhere(config, "whole")).train()
    size = config.run.batch_size
    assert stop_after(open_session(config), 3 * size).engine.train() is False
    torch.manual_seed(123)  # the process goes on with other random numbers
    torch.rand(17)
    resumed = open_session(config)
    assert resumed.engine.images == 3 * size
    assert_equal(resumed.train().tensors(), whole.tensors())
    assert resumed.engine.images == whole.engine.images == 6 * size
    a, b = (c.run.out / f"states/{6 * size:010d}.safetensors" for c in (config, elsewhere(config, "whole")))
    assert_equal(load_state(a).tensors, load_state(b).tensors)
    files = sorted(path.relative_to(config.run.out) for path in (config.run.out / "weights").rglob("*.safetensors"))
    assert files
    for file in files:
        a, b = (c.run.out / file for c in (config, elsewhere(config, "whole")))
        assert_equal(load_weights(a)[0].state_dict(), load_weights(b)[0].state_dict())


def test_dropout_is_part_of_that(make_config, open_session):
    """One random number drawn in between makes other weights: what the test above shows is not for free."""
    config = make_config(noise="training")
    whole = open_session(elsewhere(config, "whole")).train().tensors()
    stop_after(open_session(config), 3).train()
    resumed = open_session(config)
    torch.rand(1)
    found = resumed.train().tensors()
    assert any(not torch.equal(found[name], value) for name, value in whole.items() if name.startswith("g."))


def test_another_configuration_is_refused_with_its_flag(make_config, begun, open_session):
    begun(images=2)
    with pytest.raises(ConfigError, match=r"started with --width 4, and now it is 8: give the same, or another --out"):
        open_session(make_config(width=8))
    with pytest.raises(ConfigError, match=r"--batch-size 1, and now it is 2 \(and 1 more\)"):
        open_session(make_config(batch_size=2, d_width=8))
    palette = {"method": "segmentation", "palette": ((255, 0, 0), (0, 255, 0)), "class_names": ("r", "g")}
    with pytest.raises(ConfigError, match="a run of another method, or of another release"):
        open_session(make_config(**palette))


def test_settings_of_the_training_name_the_command_that_starts_a_new_run_from_the_old_one(make_config, open_session):
    """A command is right where it trains what was asked for, from the networks there were."""
    config = make_config(images=2, batch_size=2)
    open_session(config).train()
    taken = config.run.out.with_name("run-2")
    taken.mkdir()
    asked = make_config(images=2, batch_size=1, learning_rate=1e-4)
    with pytest.raises(ConfigError, match=r"started with --batch-size 2, and now it is 1 \(and 1 more\)") as caught:
        open_session(asked)
    found = re.search(
        r"or start a new run from its networks: translate (train .*)\. What may change: --epochs", str(caught.value)
    )
    method = tyro.cli(Train, args=shlex.split(found[1])[1:], config=(tyro.conf.OmitSubcommandPrefixes,)).method
    new = config.run.out.with_name("run-3")
    assert method == replace(asked, run=replace(asked.run, out=new, start_from=config.run.out))
    session = open_session(method).train()
    assert f"starting from the networks g, d of {config.run.out}" in session.said
    assert session.engine.images == 2


def test_settings_of_the_networks_do_not_name_it(make_config, begun, open_session):
    begun(images=2)
    for given in ({"width": 8}, {"width": 8, "batch_size": 2}, {"residual": True}):
        with pytest.raises(ConfigError, match=r"give the same, or another --out\. What may change") as caught:
            open_session(make_config(images=2, **given))
        assert "--start-from" not in str(caught.value)


def test_data_that_has_changed_is_said(make_config, open_session, draw_pairs, tmp_path):
    root = draw_pairs(tmp_path / "data", count=6)
    open_session(make_config(images=2, root=root)).train()
    again = open_session(make_config(images=4, root=root)).train()
    assert "the data has changed" not in again.said
    moved = root.rename(tmp_path / "elsewhere")
    assert "the data has changed" not in open_session(make_config(images=4, root=moved)).said
    for side in "AB":
        (moved / side / "005.png").unlink()
        shutil.copy(moved / side / "000.png", moved / side / "100.png")
    shutil.copy(moved / "A/001.png", moved / "A/002.png")
    for images in (6, 8):  # at each time, since it is told from the start of the run
        session = open_session(make_config(images=images, root=moved)).train()
        added = ", ".join(str(moved / side / "100.png") for side in "AB")
        expected = f"2 files added ({added}), 2 files removed, 1 file replaced ({moved / 'A/002.png'})"
        assert f"the data has changed since this run was started: {expected}" in session.said
        assert session.engine.images == images


def test_runs_of_releases_that_kept_no_record_of_the_data_go_on(make_config, open_session, monkeypatch):
    monkeypatch.setattr("translate.engine.engine.file_record", lambda files: {})
    open_session(make_config(images=2)).train()
    monkeypatch.undo()
    session = open_session(make_config(images=4)).train()
    assert session.engine.images == 4
    assert "the data has changed" not in session.said
    newest = load_state(saved_states(session.config.run.out / "states")[-1])
    assert len(newest.tensors["data/names"]) == 24


def test_what_is_free_may_change(make_config, begun, open_session):
    begun(images=2)
    session = open_session(make_config(images=4, log_every=1, sample_every=2, keep=1, precision="bf16")).train()
    assert session.engine.images == 4
    assert json.loads((session.config.run.out / "config.json").read_text())["run"]["images"] == 4


def test_a_field_that_an_older_release_did_not_know_counts_as_its_default(make_config, open_session, monkeypatch):
    config = make_config(images=2)
    whole = translate.engine.engine.to_dict

    def older(value):
        values = whole(value)
        if "generator" in values:
            del values["r1_weight"], values["run"]["beta1"]
        return values

    def older_network(value):
        values = whole(value)
        if "output" in values:  # of the first format
            values |= {"residual": values.pop("output") == "residual", "fills": False, "colours": False}
        return values

    monkeypatch.setattr("translate.engine.engine.to_dict", older)
    monkeypatch.setattr("translate.engine.resume.to_dict", older_network)
    open_session(config).train()
    monkeypatch.undo()
    assert open_session(config).engine.images == 2
    with pytest.raises(ConfigError, match=r"--r1-weight 0\.0, and now it is 1\.0"):
        open_session(make_config(images=2, r1_weight=1.0))


def test_a_torn_state_is_named_and_the_one_before_used(make_config, open_session, assert_equal):
    config = make_config(images=6, checkpoint_every=2, keep=2)
    whole = open_session(elsewhere(config, "whole")).train()
    open_session(config).train()
    newest = saved_states(config.run.out / "states")[-1]
    newest.write_bytes(newest.read_bytes()[:1000])
    session = open_session(config)
    assert f"{newest} is truncated or unreadable" in session.said
    assert "falling back to the previous checkpoint" in session.said
    assert session.engine.images == 4
    assert_equal(session.train().tensors(), whole.tensors())
    for path in saved_states(config.run.out / "states"):
        path.write_bytes(b"torn")
    with pytest.raises(StateError, match="to start over"):
        open_session(config)


def test_going_back_from_a_torn_state_never_leaves_the_torn_one_alone(make_config, open_session):
    config = make_config(images=8, checkpoint_every=4, keep=1)
    stop_after(open_session(config), 4).train()
    states = config.run.out / "states"
    (states / "0000000008.safetensors").write_bytes(b"torn")
    stop_after(open_session(config), 6).train()
    assert [path.stem for path in saved_states(states)] == ["0000000006"]


def test_a_full_disk_leaves_the_old_state_and_says_so(make_config, open_session, monkeypatch, assert_equal):
    config = make_config(images=6, checkpoint_every=2, keep=1)
    session = open_session(config)
    real = translate.checkpoint.run_state.save_file

    def full(tensors, path, **kwargs):
        if session.engine.images == 4:
            path.write_bytes(b"half of it")
            raise OSError(errno.ENOSPC, "No space left on device")
        real(tensors, path, **kwargs)

    monkeypatch.setattr("translate.checkpoint.run_state.save_file", full)
    with pytest.raises(WriteError, match=r"0000000004\.safetensors cannot be written.*free some space"):
        session.train()
    states = config.run.out / "states"
    assert [path.name for path in states.iterdir()] == ["0000000002.safetensors"]
    monkeypatch.undo()
    whole = open_session(elsewhere(config, "whole")).train()
    resumed = open_session(config)
    assert resumed.engine.images == 2
    assert_equal(resumed.train().tensors(), whole.tensors())


def test_what_a_killed_process_left_is_removed_and_nothing_else(make_config, open_session):
    config = make_config(images=2)
    folder = config.run.out / "states"
    folder.mkdir(parents=True)
    left, foreign = folder / ".0000000002.safetensors.abc.part", config.run.out / "notes" / ".mine.part"
    foreign.parent.mkdir()
    left.write_text("half")
    foreign.write_text("mine")
    open_session(config).train()
    assert not left.exists()
    assert foreign.exists()


@pytest.mark.parametrize("half_life", [0.0, 4.0])
def test_start_from_a_run(make_config, finished, open_session, assert_equal, half_life):
    first = finished(ema_half_life=half_life).engine
    session = open_session(make_config(start_from=first.run.out, size=16, ema_half_life=half_life))
    engine = session.engine
    assert "starting from the networks g, d" in session.said
    assert engine.images == 0
    source = first.ema.nets["g"] if half_life else first.nets["g"]
    assert_equal(engine.nets["g"].state_dict(), source.state_dict())
    assert_equal(engine.nets["d"].state_dict(), first.nets["d"].state_dict())
    if half_life:
        assert_equal(engine.ema.nets["g"].state_dict(), source.state_dict())
    session.train()
    resumed = open_session(session.config)  # does not start anew
    assert resumed.engine.images == 6
    assert "starting from" not in resumed.said


def test_start_from_weights(make_config, finished, open_session, assert_equal):
    first = finished().engine
    session = open_session(make_config(start_from=first.run.out / "weights", seed=5))
    assert "starting from the networks g of" in session.said
    assert_equal(session.engine.nets["g"].state_dict(), first.nets["g"].state_dict())


def test_networks_that_make_their_output_otherwise_are_refused(make_config, begun, open_session, tmp_path, monkeypatch):
    """Of --residual the tensors have the same names and shapes."""
    config = make_config(images=2)
    begun(images=2)
    for source in (config.run.out, config.run.out / "weights"):
        with pytest.raises(ConfigError, match="the output of its network g is 'image', and of this one 'residual'"):
            open_session(make_config(start_from=source, out=tmp_path / "next", residual=True))
    whole = translate.engine.resume.network_configs

    def other(nets):
        found = whole(nets)
        return {**found, "g": {**found["g"], "output": "colourisation"}}

    monkeypatch.setattr("translate.engine.resume.network_configs", other)
    with pytest.raises(ConfigError, match=r"was started by an earlier release.*\(output\): give another --out"):
        open_session(make_config(images=4))


def test_start_from_another_network_is_refused(make_config, finished, open_session, tmp_path):
    first = finished().engine
    with pytest.raises(ConfigError, match=r"--start-from .*its network g has another architecture .*--width"):
        open_session(make_config(start_from=first.run.out, width=8))
    with pytest.raises(ValueError, match="does not exist"):
        open_session(make_config(start_from=tmp_path / "nowhere", out=tmp_path / "other"))
