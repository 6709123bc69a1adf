"""One step: what is computed, in which order, and what is not waited for."""

import copy
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from translate.config import ConfigError
from translate.recipes import Update


def published_step(g: nn.Module, d: nn.Module, batch: dict[str, Tensor], optimizer_g, optimizer_d) -> None:
    """The step of Isola et al. (2017) in its plain form; `d` takes pairs and gives one map of logits."""
    source, target = batch["source"], batch["target"]
    fake = g(source)
    for parameter in d.parameters():
        parameter.requires_grad_(True)
    optimizer_d.zero_grad()
    on_fake = d(torch.cat([source, fake.detach()], 1)).logits[0]
    on_real = d(torch.cat([source, target], 1)).logits[0]
    loss_fake = F.binary_cross_entropy_with_logits(on_fake, torch.zeros_like(on_fake))
    loss_real = F.binary_cross_entropy_with_logits(on_real, torch.ones_like(on_real))
    (0.5 * (loss_fake + loss_real)).backward()
    optimizer_d.step()
    for parameter in d.parameters():
        parameter.requires_grad_(False)
    optimizer_g.zero_grad()
    on_fake = d(torch.cat([source, fake], 1)).logits[0]
    loss = F.binary_cross_entropy_with_logits(on_fake, torch.ones_like(on_fake)) + 100 * F.l1_loss(fake, target)
    loss.backward()
    optimizer_g.step()


@pytest.mark.parametrize("generator", ["unet", "resnet"])
@pytest.mark.parametrize(
    ("norm", "dtype", "atol"),
    [("instance", torch.float32, 1e-6), ("instance", torch.float64, 1e-12), ("batch", torch.float64, 1e-12)],
)
def test_eight_steps_equal_the_published_ones(make_config, open_session, generator, norm, dtype, atol):
    """Every weight in float64; in fp32 all but one of a thousand, since Adam makes steps of what rounding leaves."""
    config = make_config(
        generator=generator, norm=norm, upsampling="transposed", noise="never", batch_size=2, images=16,
        schedule="constant", **({"num_blocks": 1} if generator == "resnet" else {}),
    )  # fmt: skip
    engine = open_session(config).engine
    for net in engine.nets.values():
        net.to(dtype)
    g, d = copy.deepcopy(engine.nets["g"]), copy.deepcopy(engine.nets["d"])
    optimizers = [torch.optim.Adam(net.parameters(), lr=2e-4, betas=(0.5, 0.999), fused=False) for net in (g, d)]
    before = copy.deepcopy(g.state_dict())
    batches = engine.open_batches()
    for _ in range(8):
        batch = {name: images.to(dtype) for name, images in next(batches).items()}
        published_step(g, d, batch, *optimizers)
        engine.factor = engine.recipe.advance(engine.progress, engine.optimizers)
        engine.train_step(batch)
        engine.images += config.run.batch_size
    batches.close()
    apart = {
        f"{name}.{key}": (engine.nets[name].state_dict()[key] - value).abs().flatten().double()
        for name, net in (("g", g), ("d", d))
        for key, value in net.state_dict().items()
    }
    if dtype == torch.float64:
        assert {name: value.max().item() for name, value in apart.items() if value.max() > atol} == {}
    else:
        assert torch.cat([*apart.values()]).quantile(0.999) < atol
    moved = max((before[name] - value).abs().max().item() for name, value in g.state_dict().items())
    assert moved > 1e-3  # eight steps of 2e-4: the comparison is of something


def test_micro_batches_agree(make_config, open_session, assert_equal):
    """The same weights whether 4 images are taken at once, in 2 passes, or in 4; the first step has an R1 update."""
    found = {}
    for micro_batch in (4, 2, 1):
        config = make_config(
            noise="never", batch_size=4, micro_batch=micro_batch, images=24, r1_weight=1.0, learning_rate=2e-5
        )
        config = replace(config, run=replace(config.run, out=config.run.out.with_name(f"micro-{micro_batch}")))
        session = open_session(config).train()
        found[micro_batch] = {name: net.state_dict() for name, net in session.engine.nets.items()}
    for micro_batch in (2, 1):
        for name in ("g", "d"):
            assert_equal(found[micro_batch][name], found[4][name], atol=1e-6)


def test_micro_batches_that_do_not_divide_the_batch_are_refused(make_config, open_session):
    with pytest.raises(ConfigError, match="--micro-batch 3"):
        make_config(batch_size=4, micro_batch=3)


@pytest.fixture
def scripted_engine(make_config, open_session):
    """An engine whose recipe is replaced by updates of one's own, on a parameter that records what reaches it."""

    def make(*updates: Update, **given):
        engine = open_session(make_config(images=64, **given)).engine
        recipe = engine.recipe
        recipe.nets = engine.nets = {"g": nn.Linear(1, 1, bias=False), "d": nn.Linear(1, 1, bias=False)}
        engine.optimizers = {name: torch.optim.SGD(net.parameters(), lr=1.0) for name, net in engine.nets.items()}
        recipe.updates = updates
        engine.scalers = {update.name: torch.amp.GradScaler("cpu", enabled=False) for update in updates}
        return engine

    return make


def test_every_and_gain(scripted_engine):
    calls: list[tuple[str, int]] = []

    def loss(name):
        def compute(batch, scratch):
            calls.append((name, engine.images))
            return {name: engine.nets["g"].weight.sum() * 0.25}

        return compute

    engine = scripted_engine(
        Update(name="often", optimizer="g", trains=("g",), losses=(loss("often"),)),
        Update(name="seldom", optimizer="g", trains=("g",), losses=(loss("seldom"),), every=4, gain=4.0),
    )
    start = engine.nets["g"].weight.item()
    batches = engine.open_batches()
    batch = next(batches)
    batches.close()
    for step in range(8):
        engine.images = step
        engine.train_step(batch)
    assert [images for name, images in calls if name == "often"] == list(range(8))
    assert [images for name, images in calls if name == "seldom"] == [0, 4]
    # SGD of rate 1: eight gradients of 0.25, and two of 0.25 * 4.
    assert engine.nets["g"].weight.item() == pytest.approx(start - 8 * 0.25 - 2 * 1.0)


def test_losses_of_an_update_and_micro_batches_are_averaged(scripted_engine):
    def first(batch, scratch):
        return {"first": engine.nets["g"].weight.sum() * batch["source"].mean()}

    def second(batch, scratch):
        return {"second": engine.nets["g"].weight.sum() * 0.5, "third": engine.nets["g"].weight.sum() * 0.25}

    engine = scripted_engine(
        Update(name="g", optimizer="g", trains=("g",), losses=(first, second)), batch_size=4, micro_batch=1
    )
    start = engine.nets["g"].weight.item()
    batches = engine.open_batches()
    batch = next(batches)
    batches.close()
    engine.train_step(batch)
    expected = batch["source"].mean().item() + 0.75
    assert start - engine.nets["g"].weight.item() == pytest.approx(expected, abs=1e-6)
    assert engine.meter.read().keys() == {"first", "second", "third"}


def test_what_an_update_does_not_train_is_frozen(scripted_engine):
    seen = {}

    def loss(name, net):
        def compute(batch, scratch):
            seen[name] = {n: next(m.parameters()).requires_grad for n, m in engine.nets.items()}
            return {name: engine.nets[net].weight.sum()}

        return compute

    engine = scripted_engine(
        Update(name="d", optimizer="d", trains=("d",), losses=(loss("d", "d"),), frozen=()),
        Update(name="g", optimizer="g", trains=("g",), losses=(loss("g", "g"),)),
    )
    batches = engine.open_batches()
    engine.train_step(next(batches))
    batches.close()
    assert seen == {"d": {"g": True, "d": True}, "g": {"g": True, "d": False}}


PALETTE = ((255, 0, 0), (0, 255, 0), (0, 0, 255))
HOST_READS = ("item", "cpu", "tolist", "numpy", "__bool__", "__float__", "__int__", "__index__", "nonzero")


@pytest.mark.parametrize(
    "given",
    [
        {"adversarial": "hinge", "ema_half_life": 10.0, "r1_weight": 1.0, "feature_matching_weight": 1.0},
        {"batch_size": 2, "micro_batch": 1, "d_layers": 1, "d_scales": 2, "norm": "batch", "reconstruction": "ssim"},
        {"method": "segmentation", "palette": PALETTE, "class_names": ("r", "g", "b"), "direction": "b2a"},
        {"method": "cyclegan", "pool_size": 1, "augment": ("colour", "translation", "cutout"), "r1_weight": 1.0},
        {"method": "fastcut"},
    ],
    ids=["pix2pix", "micro-batches", "segmentation", "cyclegan", "fastcut"],
)
def test_a_step_never_waits_for_the_device(make_config, open_session, monkeypatch, given):
    engine = open_session(make_config(**given)).engine
    batches = engine.open_batches()
    first, second = next(batches), next(batches)
    batches.close()
    engine.train_step(first)  # what is made once, such as Adam's state, is made
    engine.images += 16 * engine.run.batch_size  # R1 is due again

    def refuse(name):
        def read(self, *args, **kwargs):
            raise AssertionError(f"Tensor.{name} copies to the host")

        return read

    with monkeypatch.context() as patched:
        for name in HOST_READS:
            patched.setattr(Tensor, name, refuse(name))
        with pytest.raises(AssertionError, match=r"Tensor\.item"):
            torch.ones(1).item()  # the trap is set
        engine.train_step(second)
    means = engine.meter.read()
    assert means
    assert all(mean == mean for mean in means.values())


def test_gradient_scaler_skips_what_overflows_and_goes_on(make_config, open_session, monkeypatch):
    """fp16 is for CUDA, but its arithmetic and the scaler run on a CPU too."""
    monkeypatch.setattr("translate.engine.engine.choose_precision", lambda name, device: "fp16")
    session = open_session(make_config(images=8, r1_weight=1.0, noise="never"))
    engine = session.engine
    assert engine.scalers["g"].is_enabled()
    assert not engine.scalers["d_r1"].is_enabled()  # fp32
    before = {name: value.clone() for name, value in engine.nets["g"].state_dict().items()}
    engine.scalers["g"]._init_scale = 2.0**40  # overflows: the step is skipped and the scale halved
    engine.scalers["d"]._init_scale = 2.0**10
    batches = engine.open_batches()
    engine.train_step(next(batches))
    batches.close()
    assert all(torch.equal(before[name], value) for name, value in engine.nets["g"].state_dict().items())
    assert engine.scalers["g"].get_scale() == 2.0**39
    engine.scalers["g"].update(2.0**10)
    session.train()
    assert any(not torch.equal(before[name], value) for name, value in engine.nets["g"].state_dict().items())
    resumed = open_session(make_config(images=16, r1_weight=1.0, noise="never")).engine
    assert resumed.scalers["g"].get_scale() == engine.scalers["g"].get_scale()


def test_precision_may_change_on_resume(make_config, begun, open_session, monkeypatch):
    begun(images=2)
    monkeypatch.setattr("translate.engine.engine.choose_precision", lambda name, device: "fp16")
    session = open_session(make_config(images=4)).train()
    assert session.engine.images == 4


def test_bf16_trains(make_config, open_session):
    session = open_session(make_config(precision="bf16", r1_weight=1.0, images=4)).train()
    assert all(
        parameter.dtype == torch.float32 for net in session.engine.nets.values() for parameter in net.parameters()
    )
    assert session.engine.losses.keys() >= {"d", "g_gan", "g_l1"}


def test_compiled_networks_make_the_same_steps(make_config, open_session, assert_equal, monkeypatch):
    """Graph capture alone (backend eager): double backward falls back, and the state's names stay clean."""
    given = {"r1_weight": 1.0, "noise": "never", "images": 3, "depth": 2, "d_layers": 1, "size": 16}
    eager = open_session(make_config(**given)).train().tensors()
    compile_net = nn.Module.compile
    monkeypatch.setattr(nn.Module, "compile", lambda net: compile_net(net, backend="eager"))
    config = make_config(**given, compile=True)
    config = replace(config, run=replace(config.run, out=config.run.out.with_name("compiled")))
    torch._dynamo.reset()
    compiled = open_session(config).train().tensors()
    assert_equal(compiled, eager, atol=1e-6)
