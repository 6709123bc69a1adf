"""GANs: every method trains and opens; the steps are the published ones; what cannot be learned is refused."""

import io
import json
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from rich.console import Console
from torch import nn

import translate
from translate.blocks.keyed import keyed_normal, sample_keys
from translate.config import METHODS, ConfigError, GANConfig, configure, method_name
from translate.data.batches import Wanted
from translate.engine import Display, Engine
from translate.engine.distributed import World
from translate.inference import GeneratorModel
from translate.recipes import open_recipe
from translate.recipes.gan import GAN, halvings

SIZE = 16
GANS = [name for name, method in METHODS.items() if method.config is GANConfig]


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


def make(root, out, method="dcgan", **given):
    run = {"out": out, "device": "cpu", "precision": "fp32", "images": 16, "batch_size": 4, "ema_half_life": 0.0}
    body = given.get("body", METHODS[method].preset.get("body", "dense"))
    small = {"hidden": (12, 8)} if body == "dense" else {"width": 4, "d_width": 4}
    return configure(method, root=root, **run | {"latent": 5} | small | given)


def open_engine(config):
    torch.manual_seed(config.run.seed)
    recipe, data = open_recipe(config)
    display = Display(console=Console(file=io.StringIO()))
    world = World(rank=0, size=1, device=torch.device("cpu"))
    return Engine(recipe, data, config=config, world=world, display=display)


@pytest.mark.parametrize("conditional", [False, True])
@pytest.mark.parametrize("method", GANS)
def test_every_method_trains_and_opens(labelled, tmp_path, method, conditional):
    config = make(labelled, tmp_path / "run", method, conditional=conditional, ema_half_life=4.0, hold_out=0.25)
    engine = open_engine(config)
    before = {name: value.clone() for name, value in engine.nets["g"].state_dict().items()}
    assert engine.train()
    assert any(not torch.equal(before[name], value) for name, value in engine.nets["g"].state_dict().items())
    model = translate.load(config.run.out, device="cpu")
    assert isinstance(model, GeneratorModel)
    assert model.config.training.recipe == method
    assert model.class_names == (("0", "1", "2") if conditional else ())
    first, again = model.sample(3, seed=4), model.sample(7, seed=4)[:3]
    assert [image.tobytes() for image in first] == [image.tobytes() for image in again]
    assert first[0].size == (SIZE, SIZE)
    assert (config.run.out / "best" / "model.safetensors").is_file()  # scored on what was held out


@pytest.mark.parametrize(
    "given",
    [
        {"norm": "group", "d_norm": "instance", "micro_batch": 2},
        {"augment": ("colour", "translation", "cutout"), "r1_weight": 1.0, "d_norm": "none"},
        {"method": "gan", "adversarial": "saturating"},
        {"method": "hinge", "n_critic": 2, "size": 32},
        {"method": "wgan-gp", "body": "dense"},
        {"method": "hinge", "body": "dense", "conditional": True},
    ],
    ids=str,
)
def test_variants_train(labelled, tmp_path, given):
    config = make(labelled, tmp_path / "run", **given)
    assert open_engine(config).train()
    assert translate.load(config.run.out, device="cpu").sample(1)[0].size == (given.get("size", SIZE),) * 2


def plain_step(g, d, optimizers, real, labels, latents, *, critic, config):
    """One step of the published algorithms, in the order of DCGAN's and WGAN's own code."""
    fake = g(latents, labels)
    optimizers["d"].zero_grad()
    if config.adversarial == "wasserstein":
        loss = -d(real, labels).mean() + d(fake.detach(), labels).mean()
        if config.penalty_weight:
            share = torch.rand(len(real)).view(-1, 1, 1, 1)
            between = (real + share * (fake.detach() - real)).requires_grad_()
            (gradient,) = torch.autograd.grad(d(between, labels).sum(), between, create_graph=True)
            loss = loss + config.penalty_weight * (gradient.flatten(1).norm(dim=1) - 1).square().mean()
    else:
        ones = torch.ones(len(real), 1)
        loss = F.binary_cross_entropy_with_logits(d(real, labels), ones)
        loss = loss + F.binary_cross_entropy_with_logits(d(fake.detach(), labels), ones * 0)
    loss.backward()
    optimizers["d"].step()
    if config.clip:
        for parameter in d.parameters():
            parameter.data.clamp_(-config.clip, config.clip)
    if critic:
        return
    optimizers["g"].zero_grad()
    judged = d(fake, labels)
    loss = -judged.mean() if config.adversarial == "wasserstein" else F.softplus(-judged).mean()
    loss.backward()
    optimizers["g"].step()


@pytest.mark.parametrize("method", ["gan", "dcgan", "wgan", "wgan-gp"])
def test_steps_are_the_published_ones(labelled, tmp_path, method):
    config = make(labelled, tmp_path / "run", method, conditional=True, norm=None if method == "gan" else "group")
    engine = open_engine(config)
    recipe = engine.recipe
    twin = open_engine(replace(config, run=replace(config.run, out=tmp_path / "twin"))).recipe
    optimizers = {
        name: torch.optim.RMSprop(net.parameters(), lr=config.run.learning_rate)
        if config.optimizer == "rmsprop"
        else torch.optim.Adam(
            net.parameters(), lr=config.run.learning_rate, betas=(config.run.beta1, config.run.beta2), fused=True
        )
        for name, net in (("g", twin.g), ("d", twin.d))
    }
    for step in range(7):
        real = torch.rand(4, 1, SIZE, SIZE, generator=torch.Generator().manual_seed(step)) * 2 - 1
        labels = torch.arange(4) % 3
        torch.manual_seed(step)
        engine.train_step({"images": real, "label": labels})
        engine.images += 4
        torch.manual_seed(step)
        latents = keyed_normal(sample_keys(4 * step, 4, seed=config.run.seed), config.latent)
        plain_step(twin.g, twin.d, optimizers, real, labels, latents, critic=step % config.n_critic != 0, config=config)
    for name in ("g", "d"):
        for (key, value), other in zip(
            recipe.nets[name].state_dict().items(), twin.nets[name].state_dict().values(), strict=True
        ):
            torch.testing.assert_close(
                value, other, rtol=0, atol=2e-6, msg=lambda m, key=f"{name}.{key}": f"{key}: {m}"
            )


def test_a_critic_is_clipped_and_takes_more_steps(labelled, tmp_path):
    config = make(labelled, tmp_path / "run", "wgan")
    assert method_name(config) == "wgan"
    engine = open_engine(config)
    batch = {"images": torch.rand(4, 1, SIZE, SIZE) * 2 - 1}
    moved = []
    for _ in range(6):
        before = [parameter.clone() for parameter in engine.nets["g"].parameters()]
        engine.train_step(dict(batch))
        engine.images += 4
        moved.append(any(not torch.equal(a, b) for a, b in zip(before, engine.nets["g"].parameters(), strict=True)))
        assert all(parameter.abs().max() <= config.clip for parameter in engine.nets["d"].parameters())
    assert moved == [True, False, False, False, False, True]


def test_spectral_norm_bounds_every_weight(labelled, tmp_path):
    engine = open_engine(make(labelled, tmp_path / "run", "hinge", conditional=True, images=400))
    assert engine.train()
    for module in engine.nets["d"].modules():
        if isinstance(module, nn.Conv2d | nn.Linear | nn.Embedding):
            assert float(torch.linalg.matrix_norm(module.weight.flatten(1), ord=2)) == pytest.approx(1, abs=0.1)


def test_classes_of_files_go_with_their_images(tmp_path):
    from PIL import Image

    for number, name in enumerate("abc"):
        (tmp_path / "set" / name).mkdir(parents=True)
        for place in range(5):
            Image.new("L", (SIZE, SIZE), 40 + 80 * number + place).save(tmp_path / "set" / name / f"{place}.png")
    _, data = open_recipe(make(tmp_path / "set", tmp_path / "run", conditional=True))
    batches = data.batches(Wanted(batch_size=4, seed=1))
    seen = set()
    for _ in range(12):
        batch = next(batches)
        grey = ((batch["images"].mean(dim=(1, 2, 3)) + 1) * 127.5).round().int()
        assert torch.equal((grey - 40) // 80, batch["label"].int())
        seen |= set(batch["label"].tolist())
    batches.close()
    assert seen == {0, 1, 2}


def test_sides_that_can_be_made():
    assert {side: halvings(side) for side in (8, 28, 32, 64, 96, 128)} == {8: 1, 28: 2, 32: 3, 64: 4, 96: 4, 128: 5}
    for side in (7, 27, 6):
        with pytest.raises(ConfigError, match="even"):
            halvings(side)


@pytest.mark.parametrize(
    ("given", "match"),
    [
        ({"method": "gan", "width": 4}, "--width belongs to --body conv"),
        ({"hidden": (3,)}, "--hidden belongs to --body dense"),
        ({"batch_size": 1}, "batch norm cannot learn"),
        ({"micro_batch": 1}, "batch norm cannot learn"),
        ({"method": "wgan-gp", "d_norm": "batch"}, "--d-norm batch mixes the images"),
        ({"r1_weight": 1.0}, "--d-norm batch mixes the images"),
        ({"method": "gan", "d_norm": "batch"}, "--d-norm batch belongs to --body conv"),
        ({"clip": 0.1}, "--optimizer rmsprop"),
        ({"size": 15}, "even"),
    ],
    ids=str,
)
def test_what_cannot_be_trained_is_refused(labelled, tmp_path, given, match):
    with pytest.raises(ConfigError, match=match):
        open_engine(make(labelled, tmp_path / "run", **given))


def test_conditions_need_classes(labelled, tmp_path):
    images = np.load(labelled)["images"]
    np.savez(tmp_path / "plain.npz", images=images)
    np.savez(tmp_path / "one.npz", images=images, labels=np.zeros(len(images), np.int64))
    for name, match in (("plain", "has no labels"), ("one", "has only one class")):
        with pytest.raises(ConfigError, match=match):
            open_recipe(make(tmp_path / f"{name}.npz", tmp_path / "run", conditional=True))
    labels = np.zeros(len(images), np.int64)
    labels[0] = 1
    np.savez(tmp_path / "lonely.npz", images=images, labels=labels)
    recipe, _ = open_recipe(make(tmp_path / "lonely.npz", tmp_path / "run", conditional=True))
    assert isinstance(recipe, GAN)
    assert recipe.announcement[0].startswith("no validation images: best/ is not kept")
    assert "class 1 has one image" in recipe.announcement[1]
    splits = {"x_train": images, "y_train": np.arange(len(images)) % 2, "x_test": images[:3], "y_test": np.arange(3)}
    np.savez(tmp_path / "unseen.npz", **splits)
    with pytest.raises(ConfigError, match="no training images of class '2'"):
        open_recipe(make(tmp_path / "unseen.npz", tmp_path / "run", conditional=True))


def test_methods_are_sets_of_defaults():
    found = {name: configure(name, root="r", out="o") for name in GANS}
    assert {name: method_name(config) for name, config in found.items()} == {name: name for name in GANS}
    assert {name: config.adversarial for name, config in found.items()} == {
        "gan": "non-saturating",
        "dcgan": "non-saturating",
        "wgan": "wasserstein",
        "wgan-gp": "wasserstein",
        "hinge": "hinge",
    }


@pytest.mark.parametrize("method", ["dcgan", "wgan-gp", "hinge"])
def test_a_run_goes_on_where_it_stopped(labelled, tmp_path, method):
    """Interrupted after three of eight steps, between two of the generator: bit for bit the run that was not."""
    given = {"conditional": True, "ema_half_life": 8.0, "images": 32, "schedule": "linear"}
    whole = open_engine(make(labelled, tmp_path / "whole", method, **given))
    assert whole.train()
    stopped = open_engine(make(labelled, tmp_path / "parts", method, **given))
    advance = stopped.recipe.advance

    def stop(progress, optimizers):
        if progress.images == 8:
            stopped.interrupt.requested = True
        return advance(progress, optimizers)

    stopped.recipe.advance = stop
    assert not stopped.train()
    again = open_engine(make(labelled, tmp_path / "parts", method, **given))
    assert again.images == 12
    assert again.train()
    for name, network in whole.nets.items():
        for key, value in network.state_dict().items():
            assert torch.equal(value, again.nets[name].state_dict()[key]), f"{name}.{key}"
    assert whole.ema is not None
    assert again.ema is not None
    for value, other in zip(whole.ema.nets["g"].parameters(), again.ema.nets["g"].parameters(), strict=True):
        assert torch.equal(value, other)


def test_a_collapsed_generator_is_seen(labelled, tmp_path):
    config = make(labelled, tmp_path / "run", images=160, log_every=40)
    engine = open_engine(config)
    recipe = engine.recipe
    constant = torch.full((1, 1, SIZE, SIZE), 0.2)
    recipe._fake = lambda batch, scratch: constant.expand(4, -1, -1, -1) + 0 * recipe.g(torch.randn(4, 5), None)
    engine.train()
    lines = [json.loads(line) for line in (config.run.out / "log.jsonl").read_text().splitlines()]
    alarms = [alarm for line in lines for alarm in line.get("alarms", [])]
    assert any("shows mode collapse" in alarm for alarm in alarms)
    healthy = open_engine(make(labelled, tmp_path / "healthy", images=160, log_every=40, learning_rate=5e-3))
    healthy.train()
    lines = [json.loads(line) for line in (tmp_path / "healthy" / "log.jsonl").read_text().splitlines()]
    assert not [alarm for line in lines for alarm in line.get("alarms", []) if "image of all" in alarm]


def test_real_images_under_another_name_count_as_generated_ones(labelled, tmp_path):
    config = make(labelled, tmp_path / "run", "hinge", conditional=True, mismatch_weight=0.5)
    recipe = open_engine(config).recipe
    seen = []

    def scored(images, labels):
        seen.append(labels.clone())
        return torch.full((len(images), 1), 0.25)

    recipe.adversary.network = scored
    batch = {"images": torch.rand(6, 1, SIZE, SIZE), "label": torch.arange(6) % 3}
    terms = recipe.d_loss(batch, {"keys": sample_keys(0, 6, seed=0)})
    assert float(terms["mismatch"]) == pytest.approx(0.5 * 1.25)  # hinge, of a logit of a quarter
    wrong = next(labels for labels in seen if len(labels) == 6)
    assert (wrong != batch["label"]).all()
    assert open_engine(config).train()
    with pytest.raises(ConfigError, match="--mismatch-weight needs class labels"):
        make(labelled, tmp_path / "other", "hinge", mismatch_weight=0.5)


@pytest.mark.parametrize("method", ["dcgan", "wgan"])
def test_two_time_scales(labelled, tmp_path, method):
    engine = open_engine(make(labelled, tmp_path / "run", method, d_rate=4.0, learning_rate=1e-3))
    rates = {name: optimizer.param_groups[0]["initial_lr"] for name, optimizer in engine.optimizers.items()}
    assert rates == {"g": pytest.approx(1e-3), "d": pytest.approx(4e-3)}
