"""A sample grid shows exactly what the weights saved beside it make."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

import translate
from translate.inference.grid import GAP, HEADING, enlarged


@pytest.mark.parametrize("noise", ["training", "always"])
@pytest.mark.parametrize("half_life", [0.0, 4.0])
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_previews_equal_the_inference_from_the_file(make_config, open_session, noise, half_life, precision):
    config = make_config(noise=noise, ema_half_life=half_life, precision=precision, sample_every=3, checkpoint_every=3)
    session = open_session(config)
    engine = session.engine
    step = engine.train_step

    def stepped(batch):
        step(batch)
        engine.interrupt.requested = engine.images + 1 == 3

    engine.train_step = stepped
    session.train()
    batch = engine.sample_batch
    nets = {**engine.nets, **(engine.ema.nets if half_life else {})}
    shown = engine.recipe.sample(nets, batch, precision=engine.precision)["output"]
    model = translate.load(config.run.out, device="cpu", precision=precision)
    unit = torch.cat([model.apply_tensor((image + 1) / 2, seed=config.run.seed) for image in batch["source"].split(1)])
    assert (unit - ((shown + 1) / 2).clamp(0, 1)).abs().max() == 0
    if half_life:
        raw = engine.recipe.sample(engine.nets, batch, precision=engine.precision)["output"]
        assert not torch.equal(raw, shown)  # the average is what is shown and saved
    # The grid on disk, against the files of the data set.
    grid = np.asarray(Image.open(config.run.out / "samples" / "0000000003.png"))
    size = 64  # smaller images are shown enlarged
    for row, pair in enumerate(session.data.split("train")[:3]):
        made = np.asarray(enlarged([model(Image.open(pair.a.path), seed=config.run.seed)])[0])
        top = HEADING + row * (size + GAP)
        assert np.array_equal(grid[top : top + size, size + GAP : 2 * size + GAP], made)


def test_previews_leave_training_alone(make_config, open_session, assert_equal):
    """Neither the random state nor the networks' modes are touched."""
    config = make_config(noise="always", norm="batch", batch_size=2)
    session = open_session(config)
    before = session.tensors()
    session.engine.save_samples()
    assert_equal(session.tensors(), before)
    assert all(module.training for net in session.engine.nets.values() for module in net.modules())


@pytest.fixture
def fast_bf16(monkeypatch):
    for module in ("engine.engine", "inference.device"):
        monkeypatch.setattr(f"translate.{module}.fast_bf16", lambda device: True)


@pytest.mark.parametrize(("seen", "kept"), [(True, "fp32"), (False, "auto")])
def test_weights_ask_for_fp32_where_bf16_is_seen(make_config, open_session, monkeypatch, fast_bf16, seen, kept):
    monkeypatch.setattr("translate.engine.engine.bf16_is_seen", lambda *_: seen)
    config = make_config(noise="never", precision="bf16", images=3, sample_every=3)
    session = open_session(config)
    session.train()
    model = translate.load(config.run.out, device="cpu")
    assert model.config.precision == kept
    assert model.precision == ("fp32" if seen else "bf16")
    assert translate.load(config.run.out, device="cpu", precision="bf16").precision == "bf16"
    image = Image.open(session.data.split("train")[0].a.path)
    grid = np.asarray(Image.open(config.run.out / "samples" / "0000000003.png"))
    made = np.asarray(enlarged([model(image)])[0])
    assert np.array_equal(grid[HEADING : HEADING + 64, 64 + GAP : 2 * 64 + GAP], made)


def test_bf16_is_measured_of_the_networks_that_are_exported(
    make_config, open_session, monkeypatch, fast_bf16, tmp_path
):
    """At each export anew, and not by what two of them make in a row."""
    verdicts, compared = iter([True, False]), []

    def seen(fp32, bf16):
        compared.append(set(fp32))
        return next(verdicts)

    monkeypatch.setattr("translate.engine.engine.bf16_is_seen", seen)
    engine = open_session(make_config("cyclegan")).engine
    for images, expected in ((1, "fp32"), (1, "fp32"), (2, "auto")):
        engine.images = images
        engine.export(tmp_path / "weights")
        for folder in (tmp_path / "weights").iterdir():
            assert translate.load(folder, device="cpu").config.precision == expected
    assert compared == [{"A", "to B", "B", "to A"}] * 2


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_learner_has_nothing_to_ask(make_config, open_session, fast_bf16, precision, tmp_path):
    session = open_session(make_config("ae", precision=precision))
    session.engine.save_samples()
    session.engine.export(tmp_path / "weights")
    assert json.loads((tmp_path / "weights" / "config.json").read_text())["precision"] == "auto"
