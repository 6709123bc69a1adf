"""StyleGAN: it trains, grows and opens; its step is the published one; it goes on in the middle of a fade."""

import io
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from rich.console import Console

import translate
from translate.blocks.keyed import keyed_normal, sample_keys
from translate.blocks.style import enlarged, halved
from translate.config import ConfigError, StyleGANConfig, configure, to_dict
from translate.engine import Display, Engine, train
from translate.engine.distributed import World
from translate.inference import GeneratorModel
from translate.recipes import Progress, open_recipe
from translate.recipes.stylegan import StyleGAN, widths

SIZE = 16


@pytest.fixture(scope="module")
def labelled(tmp_path_factory):
    """24 images of three classes, bright in one third each, as an .npz file."""
    rng = np.random.default_rng(0)
    images, labels = rng.integers(0, 60, (24, SIZE, SIZE)), np.arange(24) % 3
    for image, label in zip(images, labels, strict=True):
        image[5 * label : 5 * label + 5] += 180
    path = tmp_path_factory.mktemp("labelled") / "shapes.npz"
    np.savez(path, images=images.astype(np.uint8), labels=labels)
    return path


def make(root, out, **given) -> StyleGANConfig:
    run = {"out": out, "device": "cpu", "precision": "fp32", "images": 32, "batch_size": 4, "ema_half_life": 8.0}
    small = {"width": 4, "latent": 6, "style_dim": 7, "mapping_layers": 2, "stay_images": 8, "fade_images": 16}
    return configure("stylegan", root=root, **run | small | given)


def open_engine(config) -> Engine:
    torch.manual_seed(config.run.seed)
    recipe, data = open_recipe(config)
    display = Display(console=Console(file=io.StringIO()))
    world = World(rank=0, size=1, device=torch.device(config.run.device))
    return Engine(recipe, data, config=config, world=world, display=display)


@pytest.mark.parametrize(
    "given",
    [
        {"conditional": True, "hold_out": 0.25},
        {"grow": False, "styling": "adain", "mixing": 0.0},
        {"ada_target": 0.6, "micro_batch": 2},
        {"augment": ("colour", "translation"), "path_weight": 0.0, "r1_weight": 0.0, "batch_size": 6},
    ],
    ids=str,
)
def test_it_trains_and_opens(labelled, tmp_path, given):
    config = make(labelled, tmp_path / "run", **given)
    engine = open_engine(config)
    assert engine.train()
    model = translate.load(config.run.out, device="cpu")
    assert isinstance(model, GeneratorModel)
    assert model.config.training.recipe == "stylegan"
    first, again = model.sample(3, seed=4), model.sample(5, seed=4)[:3]
    assert [image.tobytes() for image in first] == [image.tobytes() for image in again]
    assert first[0].size == (SIZE, SIZE)
    averages = engine.ema.nets["g"].state_dict()
    assert all(torch.equal(value, averages[name]) for name, value in model.network.state_dict().items())


def test_sizes_and_batches_follow_the_images(labelled, tmp_path):
    config = make(labelled, tmp_path / "run", images=48)
    engine = open_engine(config)
    seen = []
    step = engine.train_step

    def stepped(batch):
        alpha = float(engine.nets["g"].alpha)
        seen.append((engine.images, tuple(batch["images"].shape), alpha, engine.nets["d"].fading))
        step(batch)

    engine.train_step = stepped
    assert engine.train()
    assert seen == [
        (0, (8, 1, 8, 8), 1.0, False),
        (8, (4, 1, 16, 16), 0.0, True),
        (12, (4, 1, 16, 16), 0.25, True),
        (16, (4, 1, 16, 16), 0.5, True),
        (20, (4, 1, 16, 16), 0.75, True),
        *[(images, (4, 1, 16, 16), 1.0, False) for images in range(24, 48, 4)],
    ]


def test_what_has_not_grown_up_opens_at_its_size(labelled, tmp_path):
    config = make(labelled, tmp_path / "run", images=8)
    engine = open_engine(config)
    assert engine.train()
    model = translate.load(config.run.out, device="cpu")
    assert model.network.config.grown == 8
    assert model.size == 8
    assert model.sample(1)[0].size == (8, 8)
    assert "training ends at 8 px after 8 images seen" in " ".join(engine.recipe.announcement)


def doubles(*args, **kwargs):
    return keyed_normal(*args, **kwargs).double()


def plain_step(g, d, optimizers, real, *, step, gamma, path_weight, state):
    """A step of StyleGAN2's loss at one size, in the order of this toolkit, without mixing."""
    keys = sample_keys(4 * step, 4, seed=0)
    styles = g.styles(doubles(keys, 6))
    g.mapping.follow(styles[:, 0])
    fake = g.synthesis(styles, noise=doubles(keys, g.num_noise, stream=3))
    optimizers["d"].zero_grad()
    loss = F.softplus(-d(real)).mean() + F.softplus(d(fake.detach())).mean()
    loss.backward()
    optimizers["d"].step()
    optimizers["g"].zero_grad()
    F.softplus(-d(fake)).mean().backward()
    optimizers["g"].step()
    if step % 16 == 0:
        optimizers["d"].zero_grad()
        seen = real.clone().requires_grad_()
        (gradient,) = torch.autograd.grad(d(seen).sum(), seen, create_graph=True)
        (16 * gamma / 2 * gradient.square().sum(dim=(1, 2, 3)).mean()).backward()
        optimizers["d"].step()
    if step % 4 == 0:
        optimizers["g"].zero_grad()
        keys = keys[::2] + 1
        styles = g.styles(doubles(keys, 6))
        images = g.synthesis(styles, noise=doubles(keys, g.num_noise, stream=3))
        noise = torch.randn_like(images) / 16
        (gradient,) = torch.autograd.grad((images * noise).sum(), styles, create_graph=True)
        lengths = gradient.square().sum(dim=2).mean(dim=1).sqrt()
        (4 * path_weight * (lengths - state["mean"]).square().mean()).backward()
        state["mean"] = state["mean"] + 0.01 * (lengths.detach().mean() - state["mean"])
        optimizers["g"].step()


def test_the_step_is_the_published_one(labelled, tmp_path, monkeypatch):
    """In float64: Adam makes a whole step of what rounding leaves of a gradient."""
    monkeypatch.setattr("translate.recipes.stylegan.keyed_normal", doubles)
    config = make(labelled, tmp_path / "run", grow=False, mixing=0.0, r1_weight=2.0, ema_half_life=0.0)
    engine = open_engine(config)
    twin = open_engine(replace(config, run=replace(config.run, out=tmp_path / "twin"))).recipe

    def adam(network, every):
        share = every / (every + 1)
        return torch.optim.Adam(network.parameters(), lr=2e-3 * share, betas=(0.0, 0.99**share), fused=True)

    optimizers, state = {"g": adam(twin.g, 4), "d": adam(twin.d, 16)}, {"mean": torch.zeros((), dtype=torch.float64)}
    for network in (*engine.nets.values(), *twin.nets.values()):
        network.double().train()
    engine.recipe.path_mean = engine.recipe.path_mean.double()
    for step in range(6):
        real = torch.rand(4, 1, SIZE, SIZE, generator=torch.Generator().manual_seed(step), dtype=torch.float64) * 2 - 1
        torch.manual_seed(step)
        engine.train_step({"images": real})
        engine.images += 4
        torch.manual_seed(step)
        plain_step(twin.g, twin.d, optimizers, real, step=step, gamma=2.0, path_weight=2.0, state=state)
    for name in ("g", "d"):
        pairs = zip(engine.nets[name].state_dict().items(), twin.nets[name].state_dict().values(), strict=True)
        for (key, value), other in pairs:
            torch.testing.assert_close(value, other, rtol=1e-9, atol=1e-9, msg=lambda m, key=key: f"{key}: {m}")
    torch.testing.assert_close(engine.recipe.path_mean, state["mean"])


@pytest.mark.parametrize("given", [{}, {"ada_target": 0.6, "conditional": True}], ids=str)
def test_a_run_goes_on_in_the_middle_of_a_fade(labelled, tmp_path, given):
    whole = open_engine(make(labelled, tmp_path / "whole", **given))
    assert whole.train()
    stopped = open_engine(make(labelled, tmp_path / "parts", **given))
    advance = stopped.recipe.advance

    def stop(progress, optimizers):
        stopped.interrupt.requested |= progress.images == 12
        return advance(progress, optimizers)

    stopped.recipe.advance = stop
    assert not stopped.train()
    again = open_engine(make(labelled, tmp_path / "parts", **given))
    assert again.images == 16
    assert 0 < again.stage.alpha(again.images) < 1
    assert again.train()
    for name, network in whole.nets.items():
        for key, value in network.state_dict().items():
            assert torch.equal(value, again.nets[name].state_dict()[key]), f"{name}.{key}"
    for key, value in whole.recipe.state_dict().items():
        assert torch.equal(value, again.recipe.state_dict()[key]), key
    for value, other in zip(whole.ema.nets["g"].parameters(), again.ema.nets["g"].parameters(), strict=True):
        assert torch.equal(value, other)


@pytest.mark.parametrize(
    "given", [{"path_weight": 0.0, "r1_weight": 3.0}, {"conditional": True, "grow": False}], ids=str
)
def test_parts_of_a_batch_draw_what_the_whole_draws(labelled, tmp_path, given):
    """Latents, mixtures, and noise belong to a sample: two halves of a batch have those of the whole."""
    config = make(labelled, tmp_path / "run", **given)
    recipe = open_engine(config).recipe
    recipe.advance(Progress(images=8, total=32), {})
    images, labels = torch.rand(4, 1, SIZE, SIZE) * 2 - 1, torch.arange(4) % 3
    keys = sample_keys(8, 4, seed=0)

    def made(part):
        return recipe._fake({"images": images[part], "label": labels[part]}, {"keys": keys[part]})

    torch.testing.assert_close(torch.cat([made(slice(0, 2)), made(slice(2, 4))]), made(slice(0, 4)))


@pytest.mark.parametrize(("sign", "expected"), [(1.0, 0.08), (-1.0, 0.0)])
def test_changes_become_more_likely_while_real_images_are_known(labelled, tmp_path, sign, expected):
    recipe = open_engine(make(labelled, tmp_path / "run", ada_target=0.6, grow=False, ada_images=400)).recipe
    assert isinstance(recipe, StyleGAN)
    found = []
    for _ in range(8):
        recipe._adapt(torch.full((4, 1), sign))
        found.append(round(float(recipe.probability), 6))
    assert found[:3] == [0.0] * 3  # every fourth step
    assert found[-1] == pytest.approx(expected)


def test_styles_are_mixed_from_a_layer_on(labelled, tmp_path):
    recipe = open_engine(make(labelled, tmp_path / "run", grow=False, mixing=1.0)).recipe
    styles = recipe._styles(sample_keys(0, 64, seed=0), None)
    firsts = []
    for image in styles:
        same = [torch.equal(layer, image[0]) for layer in image]
        first = same.index(False)
        firsts.append(first)
        assert not any(same[first:])
        assert all(torch.equal(layer, image[first]) for layer in image[first:])
    assert set(firsts) == set(range(1, recipe.g.num_layers))


def test_widths():
    assert widths(64, width=32) == (192, 192, 128, 64, 32)
    assert widths(256, width=32) == (192, 192, 128, 64, 32, 16, 16)
    assert widths(16, width=4) == (24, 24, 16)


def test_sizes_are_made_powers_of_two_aloud(tmp_path):
    np.savez(tmp_path / "odd.npz", images=np.zeros((5, 28, 36), np.uint8))
    engine = open_engine(make(tmp_path / "odd.npz", tmp_path / "run"))
    assert engine.data.size == 16
    said = " ".join(engine.recipe.announcement)
    assert "trained at 16 px, a power of two; the images have 36x28" in said
    assert "5 images will be memorised" in said


@pytest.mark.parametrize(
    ("given", "match"),
    [
        ({"size": 12}, "--size 12 is not a power of two: choose 8 or 16"),
        ({"size": 4}, "--size 4: it must be 8 to 1024"),
        ({"size": 2048}, "--size 2048: it must be 8 to 1024"),
        ({"init": "orthogonal"}, "--init orthogonal"),
        ({"grow_from": 32}, "--grow-from 32 is larger than the images of 16 px"),
        ({"grow_from": 12}, "--grow-from 12 is not a power of two"),
        ({"ada_target": 0.6, "augment": ("colour",)}, "--augment and --ada-target both augment the images"),
    ],
    ids=str,
)
def test_what_cannot_be_is_refused(labelled, tmp_path, given, match):
    with pytest.raises(ConfigError, match=match):
        open_engine(make(labelled, tmp_path / "run", **given))


def test_weights_exported_again_are_those_of_the_last_step(labelled, tmp_path):
    config = make(labelled, tmp_path / "run", images=8)  # to the end of 8 px, where 16 px would begin
    assert open_engine(config).train()
    shutil.rmtree(tmp_path / "run" / "weights")
    open_engine(config).train()
    assert translate.load(config.run.out, device="cpu").network.config.grown == 8


def test_real_images_are_as_sharp_as_what_is_made(labelled, tmp_path):
    recipe = open_engine(make(labelled, tmp_path / "run")).recipe
    images = torch.rand(2, 1, SIZE, SIZE)
    recipe.advance(Progress(images=8, total=32), {})  # 16 px begin to fade in
    below = enlarged(halved(images))
    torch.testing.assert_close(recipe._real({"images": images}), below)
    recipe.advance(Progress(images=24, total=32), {})
    assert torch.equal(recipe._real({"images": images}), images)


def test_gamma_follows_the_size_and_the_batch(labelled, tmp_path):
    recipe = open_engine(make(labelled, tmp_path / "run")).recipe
    found = []
    for images in (0, 8):
        recipe.advance(Progress(images=images, total=32), {})
        found.append(recipe.r1_weight)
    assert found == [pytest.approx(0.0002 * 8**2 / 8), pytest.approx(0.0002 * 16**2 / 4)]


@pytest.mark.parametrize("micro_batch", [None, 2])
def test_a_collapse_is_seen_in_parts_of_a_batch_too(labelled, tmp_path, micro_batch):
    engine = open_engine(make(labelled, tmp_path / "run", grow=False, micro_batch=micro_batch))
    seen = []
    watched = engine.recipe.watched
    engine.recipe.watched = lambda batch, scratch: seen.append(watched(batch, scratch)) or seen[-1]
    engine.train_step({"images": torch.rand(4, 1, SIZE, SIZE)})
    assert set(seen[0]) == {"g"}


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
@pytest.mark.parametrize("given", [{"ada_target": 0.6}, {"augment": ("colour", "translation", "cutout")}], ids=str)
def test_a_step_on_a_gpu_never_waits(labelled, tmp_path, precision, given):
    config = make(
        labelled, tmp_path / "run", device="cuda", precision=precision, conditional=True, stay_images=10**6, **given
    )
    engine = open_engine(config)
    batches = engine.open_batches()
    batch = next(batches)
    batches.close()
    engine.recipe.advance(engine.progress, engine.optimizers)
    engine.train_step(batch)
    torch.cuda.set_sync_debug_mode("error")
    try:
        for _ in range(17):  # among them R1 and path lengths
            engine.images += engine.stage.batch_size
            engine.recipe.advance(engine.progress, engine.optimizers)
            engine.train_step(batch)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert all(np.isfinite(value) for value in engine.meter.read().values())


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_it_grows_and_opens_on_a_gpu(labelled, tmp_path):
    config = make(labelled, tmp_path / "run", device="cuda", precision="bf16", compile=True, ada_target=0.6)
    assert open_engine(config).train()
    assert translate.load(config.run.out, device="cuda").sample(2, seed=0).shape == (2, 1, SIZE, SIZE)


@pytest.mark.parametrize("seed", [0, 1, 7])
def test_latents_of_a_seed_are_not_the_weights_of_that_seed(labelled, tmp_path, seed):
    """Both are standard normal, drawn from the first number on; equal, they would be louder than all others."""
    config = make(labelled, tmp_path / "run", images=4, seed=seed, latent=64, style_dim=64, ema_half_life=0.0)
    train(config, display=Display(console=Console(file=io.StringIO())))
    model = translate.load(config.run.out, device="cpu")
    weight = next(layer.weight for layer in model.network.mapping.modules() if hasattr(layer, "weight"))
    latents = model.latents(64, seed=seed)
    alike = torch.nn.functional.cosine_similarity(weight.detach(), latents)
    assert alike.abs().mean() < 0.3  # 0.1 by chance


@pytest.mark.parametrize("grow", [True, False])
def test_a_run_of_earlier_words_goes_on(labelled, tmp_path, monkeypatch, grow):
    """`--style` and `--grow on|off` were what `--style-dim` and `--grow` are."""

    def earlier(value):
        values = to_dict(value)
        if "style_dim" in values:
            values |= {"style": values.pop("style_dim"), "grow": "on" if values["grow"] else "off"}
        return values

    monkeypatch.setattr("translate.engine.engine.to_dict", earlier)
    given = {"stay_images": 4, "fade_images": 4, "grow": grow}
    assert open_engine(make(labelled, tmp_path / "run", images=16, **given)).train()
    monkeypatch.undo()
    with pytest.raises(ConfigError, match="--style-dim 7, and now it is 8"):
        open_engine(make(labelled, tmp_path / "run", images=24, **given | {"style_dim": 8}))
    assert open_engine(make(labelled, tmp_path / "run", images=24, **given)).train()


def test_asking_for_a_stage_changes_nothing(labelled, tmp_path):
    recipe = open_engine(make(labelled, tmp_path / "run")).recipe
    recipe.advance(Progress(images=0, total=32), {})
    assert recipe.stage(Progress(images=31, total=32)).size == SIZE
    assert recipe.made_size == 8
