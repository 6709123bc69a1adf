"""Recipes without an engine: networks, losses, optimizers, exports."""

from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image

from translate.config import ConfigError, DataConfig, Pix2PixConfig, ResNetConfig, RunConfig, SegmentationConfig
from translate.networks import build_network
from translate.recipes import Progress, open_recipe
from translate.recipes.base import adam
from translate.recipes.pix2pix import Pix2Pix
from translate.recipes.segmentation import Segmentation, nearest_class, to_palette

PALETTE = ((255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255))


@pytest.fixture
def root(tmp_path):
    """Four pairs of 32x32 noise, A grey and B RGB."""
    generator = np.random.default_rng(0)
    for domain, channels in (("A", ()), ("B", (3,))):
        (tmp_path / "pairs" / domain).mkdir(parents=True)
        for number in range(4):
            pixels = generator.integers(0, 256, (32, 32, *channels), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / "pairs" / domain / f"{number}.png")
    return tmp_path / "pairs"


@pytest.fixture
def pix2pix(root, tmp_path):
    def make(**given):
        direction = given.pop("direction", "a2b")
        data = DataConfig(root=root, direction=direction, names=("sketch", "photo"), size=given.pop("size", None))
        values = {"width": 4, "d_width": 4, "d_layers": 2} | given
        recipe, _ = open_recipe(Pix2PixConfig(data=data, run=RunConfig(out=tmp_path / "run"), **values))
        assert isinstance(recipe, Pix2Pix)
        return recipe

    return make


def batch_for(recipe, size=32):
    generator = torch.Generator().manual_seed(0)
    source, target = recipe.generator_config.in_channels, recipe.generator_config.out_channels
    return {
        "source": torch.rand(2, source, size, size, generator=generator) * 2 - 1,
        "target": torch.rand(2, target, size, size, generator=generator) * 2 - 1,
    }


def test_networks_follow_the_data_and_the_direction(pix2pix):
    forth, back = pix2pix(), pix2pix(direction="b2a")
    assert (forth.generator_config.in_channels, forth.generator_config.out_channels) == (1, 3)
    assert (back.generator_config.in_channels, back.generator_config.out_channels) == (3, 1)
    assert forth.d.config.in_channels == back.d.config.in_channels == 4
    assert forth.generator_config.depth == 4  # 32 px
    assert forth.exports()["."][1].domains.source == back.exports()["."][1].domains.target == "sketch"


@pytest.mark.parametrize(("size", "blocks"), [(32, 6), (160, 9)])
def test_resnet_blocks_follow_the_size(pix2pix, size, blocks):
    config = pix2pix(generator="resnet", size=size).generator_config
    assert isinstance(config, ResNetConfig)
    assert config.num_blocks == blocks


@pytest.mark.parametrize("noise", ["training", "always", "never"])
def test_noise_is_dropout_and_part_of_the_weights(pix2pix, noise):
    recipe = pix2pix(noise=noise)
    network, config = recipe.exports()["."]
    assert network == "g"
    assert config.noise == noise
    assert config.network.dropout == (0.0 if noise == "never" else 0.5)
    state = build_network(config.network).state_dict()
    assert {name: value.shape for name, value in state.items()} == {
        name: value.shape for name, value in recipe.g.state_dict().items()
    }


def test_a_size_that_does_not_suit_is_refused(pix2pix):
    with pytest.raises(ConfigError, match="--size 24 is not a multiple of the network's stride 16"):
        pix2pix(size=24, depth=4)
    with pytest.raises(ConfigError, match="--size 32 is smaller than the 48 px"):
        pix2pix(d_layers=4)


@pytest.mark.parametrize("norm", ["instance", "batch"])
def test_losses_are_those_of_equation_4(pix2pix, norm):
    recipe = pix2pix(norm=norm, noise="never")
    batch = batch_for(recipe)
    scratch = {}
    d_loss = recipe.d_loss(batch, scratch)["d"]
    fake = recipe.g(batch["source"])
    on_fake = recipe.d(torch.cat([batch["source"], fake], 1)).logits[0]
    on_real = recipe.d(torch.cat([batch["source"], batch["target"]], 1)).logits[0]
    bce = F.binary_cross_entropy_with_logits
    expected = 0.5 * (bce(on_fake, torch.zeros_like(on_fake)) + bce(on_real, torch.ones_like(on_real)))
    torch.testing.assert_close(d_loss, expected)
    terms = recipe.g_loss(batch, scratch)
    torch.testing.assert_close(terms["g_gan"], bce(on_fake, torch.ones_like(on_fake)))
    torch.testing.assert_close(terms["g_l1"], 100 * (fake - batch["target"]).abs().mean())


def test_the_generator_runs_once_a_step_and_d_does_not_reach_it(pix2pix):
    recipe = pix2pix()
    calls = []
    recipe.g.register_forward_hook(lambda *_: calls.append(1))
    batch, scratch = batch_for(recipe), {}
    recipe.d_loss(batch, scratch)["d"].backward()
    assert all(parameter.grad is None for parameter in recipe.g.parameters())
    sum(recipe.g_loss(batch, scratch).values()).backward()
    assert all(parameter.grad is not None for parameter in recipe.g.parameters())
    assert len(calls) == 1


def test_r1_is_lazy_and_weighted_for_it(pix2pix):
    recipe = pix2pix(r1_weight=3.0)
    update = recipe.updates[-1]
    assert (update.name, update.optimizer, update.trains) == ("d_r1", "d", ("d",))
    assert update.every == update.gain == 16
    assert update.double_backward
    batch = batch_for(recipe)
    pairs = torch.cat([batch["source"], batch["target"]], 1).requires_grad_()
    score = recipe.d(pairs).logits[0].mean(dim=(1, 2, 3)).sum()
    (gradient,) = torch.autograd.grad(score, pairs)
    expected = 3.0 / 2 * gradient.square().sum(dim=(1, 2, 3)).mean()
    torch.testing.assert_close(recipe.r1_loss(batch, {})["d_r1"], expected)


def test_feature_matching_teaches_the_generator_alone(pix2pix):
    recipe = pix2pix(feature_matching_weight=10.0, d_scales=2)
    batch = batch_for(recipe)
    term = recipe.g_loss(batch, {})["g_features"]
    fake = recipe.g.eval()(batch["source"])
    recipe.g.train()
    assert term > 0
    same = {**batch, "target": fake.detach()}
    recipe.g.eval()
    assert recipe.g_loss(same, {})["g_features"].item() == pytest.approx(0, abs=1e-6)  # nothing left to match


def test_adam_of_lazy_regularisation():
    run = RunConfig(out="run", learning_rate=1e-3, beta1=0.5, beta2=0.99)
    parameter = torch.nn.Parameter(torch.zeros(1))
    (plain,), (lazy,) = adam([parameter], run).param_groups, adam([parameter], run, lazy=16).param_groups
    assert (plain["lr"], plain["betas"]) == (1e-3, (0.5, 0.99))
    correction = 16 / 17
    assert lazy["lr"] == lazy["initial_lr"] == pytest.approx(1e-3 * correction)
    assert lazy["betas"] == pytest.approx((0.5**correction, 0.99**correction))
    assert all(isinstance(beta, float) for beta in lazy["betas"])


def test_progress():
    assert Progress(images=5, total=20).fraction == 0.25
    assert Progress(images=24, total=20).fraction == 1.0


# Segmentation


def test_nearest_class_is_the_nearest_colour():
    generator = torch.Generator().manual_seed(0)
    images = torch.rand(2, 3, 8, 8, generator=generator) * 2 - 1
    palette = to_palette(PALETTE)
    distance = (images[:, None] - palette.view(1, -1, 3, 1, 1)).square().sum(dim=2)  # [N, K, H, W]
    assert torch.equal(nearest_class(images, palette), distance.argmin(dim=1))
    exact = palette.t().reshape(1, 3, 1, -1)
    assert nearest_class(exact, palette).flatten().tolist() == [0, 1, 2, 3]


def segmentation(root, tmp_path, **given):
    data = DataConfig(root=root, direction=given.pop("direction", "a2b"), alpha=given.pop("alpha", "composite"))
    run = RunConfig(out=tmp_path / "run")
    names = tuple("abcd")
    return open_recipe(SegmentationConfig(data=data, run=run, palette=PALETTE, class_names=names, width=4, depth=3))[0]


def test_segmentation_loss_and_exports(root, tmp_path):
    recipe = segmentation(root, tmp_path)
    assert isinstance(recipe, Segmentation)
    recipe.nets["g"].eval()
    source = torch.zeros(1, 1, 16, 16)
    target = to_palette(PALETTE)[2].view(1, 3, 1, 1).expand(1, 3, 16, 16)
    loss = recipe.loss({"source": source, "target": target}, {})["cross_entropy"]
    expected = -recipe.nets["g"](source).log_softmax(dim=1)[:, 2].mean()
    torch.testing.assert_close(loss, expected)
    _, config = recipe.exports()["."]
    assert (config.kind, config.network.out_channels, config.classes) == ("segmenter", 4, tuple("abcd"))


def test_label_maps_that_are_not_rgb_are_refused(root, tmp_path):
    with pytest.raises(ConfigError, match="have 1 channels, and --palette has three"):
        segmentation(root, tmp_path, direction="b2a")


def test_label_maps_are_resized_without_mixing(root, tmp_path):
    recipe = segmentation(root, tmp_path)
    assert recipe.data.target_format.nearest
    assert not recipe.data.source_format.nearest


def test_open_recipe_checks_what_it_opens(root, tmp_path):
    config = Pix2PixConfig(data=DataConfig(root=root), run=RunConfig(out=tmp_path / "run"), width=4)
    with pytest.raises(ValueError, match="empty"):
        open_recipe(replace(config, data=replace(config.data, root=tmp_path / "empty")))
