"""What only a CUDA device shows; skips itself without one."""

from dataclasses import replace

import pytest
import torch

import translate

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")]


def elsewhere(config, name):
    return replace(config, run=replace(config.run, out=config.run.out.with_name(name)))


@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
@pytest.mark.parametrize("channels_last", [False, True])
def test_trains(make_config, open_session, precision, channels_last):
    config = make_config(
        device="cuda", precision=precision, channels_last=channels_last, r1_weight=1.0, ema_half_life=4.0, images=20
    )
    session = open_session(config).train()
    engine = session.engine
    assert engine.scalers["g"].is_enabled() == (precision == "fp16")
    assert all(torch.isfinite(value.float()).all() for value in session.tensors().values())
    weight = engine.nets["g"].down[1].conv.weight
    assert weight.is_contiguous(memory_format=torch.channels_last) == channels_last


def test_a_step_never_waits_for_the_device(make_config, open_session):
    engine = open_session(make_config(device="cuda", precision="bf16", r1_weight=1.0, ema_half_life=4.0)).engine
    batches = engine.open_batches()
    engine.train_step(next(batches))
    batch = next(batches)
    batches.close()
    torch.cuda.set_sync_debug_mode("error")
    try:
        engine.images += 16
        engine.train_step(batch)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert engine.meter.read()


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_resume_is_exact(make_config, open_session, assert_equal, precision):
    config = make_config(device="cuda", precision=precision, deterministic=True, images=6)
    torch.use_deterministic_algorithms(True, warn_only=True)
    benchmark, torch.backends.cudnn.benchmark = torch.backends.cudnn.benchmark, False
    try:
        whole = open_session(elsewhere(config, "whole")).train()
        first = open_session(config)
        step = first.engine.train_step

        def stepped(batch):
            step(batch)
            first.engine.interrupt.requested = first.engine.images + 1 == 3

        first.engine.train_step = stepped
        first.train()
        resumed = open_session(config).train()
        assert resumed.engine.scalers["g"].state_dict() == whole.engine.scalers["g"].state_dict()
        assert_equal(resumed.tensors(), whole.tensors())
    finally:
        torch.use_deterministic_algorithms(False)
        torch.backends.cudnn.benchmark = benchmark


def test_compiled_equals_eager(make_config, open_session, assert_equal):
    torch._dynamo.reset()
    given = {"device": "cuda", "noise": "never", "r1_weight": 1.0, "images": 3, "depth": 2, "d_layers": 1, "size": 16}
    eager = open_session(make_config(**given)).train().tensors()
    compiled = open_session(elsewhere(make_config(**given, compile=True), "compiled")).train().tensors()
    names = [name for name in eager if name.startswith(("g.", "d."))]
    assert_equal({name: compiled[name] for name in names}, {name: eager[name] for name in names}, atol=1e-5)


def test_previews_equal_the_inference_from_the_file(make_config, open_session):
    session = open_session(make_config(device="cuda", precision="bf16")).train()
    engine = session.engine
    source = engine.sample_batch["source"]
    shown = engine.recipe.sample(engine.nets, engine.sample_batch, precision=engine.precision)["output"]
    model = translate.load(session.config.run.out, device="cuda", precision="bf16")
    unit = torch.cat([model.apply_tensor((image + 1) / 2) for image in source.split(1)])
    # To a rounding of bf16 near 1: which kernel cuDNN takes is its own affair.
    assert (unit - ((shown.cpu() + 1) / 2).clamp(0, 1)).abs().max() <= 2**-8


def test_out_of_memory_is_caught(make_config, open_session):
    session = open_session(make_config(device="cuda"))

    def hungry(batch, scratch):
        return {"g": torch.empty(2**50, device="cuda").sum()}

    recipe = session.engine.recipe
    recipe.updates = (replace(recipe.updates[1], losses=(hungry,)),)
    with pytest.raises(translate.engine.TrainingError, match="--batch-size 1"):
        session.train()
