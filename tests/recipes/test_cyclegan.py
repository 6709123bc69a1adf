"""CycleGAN: the step is the published one, nothing is computed twice, and the pool does what the paper says."""

import copy
from collections import Counter

import pytest
import torch
import torch.nn.functional as F
from domains import MemoryDomains, data_config, engine_of, run_config
from torch import nn

from translate.config import ConfigError, CycleGANConfig, ResNetConfig, UNetConfig
from translate.recipes.cyclegan import CycleGAN
from translate.recipes.generators import file_names
from translate.recipes.pool import ImagePool

TINY = {"width": 4, "num_blocks": 1, "d_width": 4, "d_layers": 1}


@pytest.fixture
def make(tmp_path):
    def recipe(*, run=None, size=16, channels=(3, 3), dtype=torch.float32, **given):
        torch.manual_seed(0)
        config = CycleGANConfig(data=data_config(), run=run_config(tmp_path / "run", **(run or {})), **TINY | given)
        return CycleGAN(config, MemoryDomains(size=size, channels=channels, dtype=dtype))

    return recipe


def published_steps(recipe, batches, *, rates):
    """The update of Zhu et al. (2017) as the paper states it: every term from its own forward pass, no pool."""
    nets = {name: copy.deepcopy(net) for name, net in recipe.nets.items()}
    g_ab, g_ba, d_a, d_b = (nets[name] for name in ("g_ab", "g_ba", "d_a", "d_b"))

    def verdict(d, images, target):
        (logits,) = d(images).logits
        return (logits - target).square().mean()

    g_optimizer = torch.optim.Adam([*g_ab.parameters(), *g_ba.parameters()], lr=2e-4, betas=(0.5, 0.999))
    d_optimizer = torch.optim.Adam([*d_a.parameters(), *d_b.parameters()], lr=2e-4, betas=(0.5, 0.999))
    for batch, rate in zip(batches, rates, strict=True):
        for optimizer in (g_optimizer, d_optimizer):
            optimizer.param_groups[0]["lr"] = rate
        a, b = batch["a"], batch["b"]
        fake_b, fake_a = g_ab(a), g_ba(b)
        loss = verdict(d_b, fake_b, 1.0) + verdict(d_a, fake_a, 1.0)
        loss = loss + 10 * (F.l1_loss(g_ba(fake_b), a) + F.l1_loss(g_ab(fake_a), b))
        loss = loss + 5 * (F.l1_loss(g_ab(b), b) + F.l1_loss(g_ba(a), a))
        g_optimizer.zero_grad()
        loss.backward()
        g_optimizer.step()
        d_optimizer.zero_grad()
        for d, real, fake in ((d_a, a, fake_a), (d_b, b, fake_b)):
            (0.5 * (verdict(d, real, 1.0) + verdict(d, fake.detach(), 0.0))).backward()
        d_optimizer.step()
    return nets


@pytest.mark.parametrize(("dtype", "steps"), [(torch.float32, 1), (torch.float64, 8)])
@pytest.mark.parametrize("batch_size", [1, 2])
def test_steps_equal_the_published_ones(make, dtype, steps, batch_size):
    """Every weight after eight steps in float64; in fp32 all but one of a thousand after one, since Adam makes a whole
    step of what rounding leaves of a gradient, and the next step's gradients all follow.
    """
    torch.set_default_dtype(dtype)
    try:
        run = {"images": 8 * batch_size, "batch_size": batch_size, "sample_every": 10**6, "checkpoint_every": 10**6}
        recipe = make(pool_size=0, dtype=dtype, run=run)
        rates = [2e-4 * min(1.0, 2 - step / 4) for step in range(8)][
            :steps
        ]  # constant for half of the run, then to 0 in a line
        expected = published_steps(recipe, [recipe.data.batch(n, batch_size) for n in range(steps)], rates=rates)
        start = copy.deepcopy(recipe.g_ab.state_dict())
        engine = engine_of(recipe, recipe.data)
        for _ in range(steps):
            engine.factor = recipe.advance(engine.progress, engine.optimizers)
            engine.train_step(recipe.data.batch(engine.images // batch_size, batch_size))
            engine.images += batch_size
    finally:
        torch.set_default_dtype(torch.float32)
    assert not torch.equal(start["stem.conv.weight"], recipe.g_ab.state_dict()["stem.conv.weight"])
    apart = {
        f"{name}.{key}": (value - expected[name].state_dict()[key]).abs().flatten()
        for name, net in recipe.nets.items()
        for key, value in net.state_dict().items()
    }
    if dtype == torch.float64:
        assert {name: value.max().item() for name, value in apart.items() if value.max() > 1e-12} == {}
    else:
        assert torch.cat([*apart.values()]).quantile(0.999) < 1e-6


def test_each_network_runs_once_for_each_role(make):
    recipe = make(run={"batch_size": 2})
    calls = Counter()
    for name, net in recipe.nets.items():
        net.register_forward_hook(lambda *_, name=name: calls.update([name]))
    engine = engine_of(recipe, recipe.data)
    engine.train_step(recipe.data.batch(0, 2))
    # A generator translates (with the identity in the same pass) and brings back; a discriminator judges the fake for
    # the generator, then real and fake together for itself.
    assert calls == {"g_ab": 2, "g_ba": 2, "d_a": 2, "d_b": 2}


def test_micro_batches_compute_no_more(make):
    recipe = make(run={"batch_size": 2, "micro_batch": 1})
    calls = Counter()
    recipe.g_ab.register_forward_hook(lambda *_: calls.update(["g_ab"]))
    engine_of(recipe, recipe.data).train_step(recipe.data.batch(0, 2))
    assert calls["g_ab"] == 4


def test_terms(make):
    recipe = make(cycle_weight=3.0, identity_weight=0.2, adversarial="hinge")
    batch = recipe.data.batch(0, 2)
    terms = recipe.g_ba_loss(batch, {})
    fake = recipe.g_ba(batch["b"])
    torch.testing.assert_close(terms["g_ba_gan"], -recipe.d_a(fake).logits[0].mean())
    torch.testing.assert_close(terms["cycle_b"], 3 * (recipe.g_ab(fake) - batch["b"]).abs().mean())
    torch.testing.assert_close(terms["identity_a"], 0.6 * (recipe.g_ba(batch["a"]) - batch["a"]).abs().mean())


def test_augmentation_is_seen_by_the_discriminators_alone(make, monkeypatch):
    recipe = make(augment=("colour", "translation", "cutout"), r1_weight=1.0)
    seen = []
    monkeypatch.setattr(
        "translate.recipes.cyclegan.diff_augment", lambda images, kinds: seen.append(kinds) or images * 0.5
    )
    inputs = {name: [] for name in recipe.nets}
    for name, net in recipe.nets.items():
        net.register_forward_pre_hook(lambda _, given, name=name: inputs[name].append(given[0]))
    batch, scratch = recipe.data.batch(0, 2), {}
    for loss in (recipe.g_ab_loss, recipe.g_ba_loss, recipe.d_a_loss, recipe.d_b_loss, recipe.d_a_r1_loss):
        loss(batch, scratch)
    assert seen == [("colour", "translation", "cutout")] * 5
    torch.testing.assert_close(inputs["g_ab"][0], torch.cat([batch["a"], batch["b"]]))
    torch.testing.assert_close(inputs["d_a"][-1], batch["a"] * 0.5)
    assert all(images.abs().max() <= 0.5 for name in ("d_a", "d_b") for images in inputs[name])


@pytest.mark.parametrize(("size", "blocks"), [(64, 6), (128, 6), (160, 9)])
def test_blocks_follow_the_size(make, size, blocks):
    config = make(size=size, num_blocks=None).configs["g_ab"]
    assert isinstance(config, ResNetConfig)
    assert config.num_blocks == blocks


def test_unet_generators(make):
    assert isinstance(make(generator="unet", num_blocks=None, depth=2).configs["g_ba"], UNetConfig)
    with pytest.raises(ConfigError, match="--depth belongs to the U-Net"):
        make(depth=3)


@pytest.mark.parametrize("given", [{}, {"generator": "unet", "num_blocks": None, "depth": 2}])
def test_residual_generators_start_as_the_identity_and_learn(make, given):
    recipe = make(residual=True, **given)
    batch = recipe.data.batch(0, 2)
    torch.testing.assert_close(recipe.g_ab(batch["a"]), batch["a"] * 0.99)
    engine = engine_of(recipe, recipe.data)
    for number in range(3):
        engine.train_step(recipe.data.batch(number, 1))
    assert (recipe.g_ab(batch["a"]) - batch["a"] * 0.99).abs().max() > 1e-4
    with pytest.raises(ConfigError, match="--residual needs the same number of channels in input and output"):
        make(residual=True, channels=(1, 3), identity_weight=0.0, **given)


def test_domains_of_other_channels(make):
    with pytest.raises(ConfigError, match=r"summer has 1 channels and winter 3.*--identity-weight 0"):
        make(channels=(1, 3))
    recipe = make(channels=(1, 3), identity_weight=0.0)
    exports = recipe.exports()
    assert set(recipe.g_ab_loss(recipe.data.batch(0, 1), {})) == {"g_ab_gan", "cycle_a"}
    assert (exports["summer2winter"][1].network.in_channels, exports["summer2winter"][1].network.out_channels) == (1, 3)


def test_both_directions_are_exported_with_their_domains(make):
    found = make().exports()
    assert {name: net for name, (net, _) in found.items()} == {"summer2winter": "g_ab", "winter2summer": "g_ba"}
    for name, (_, config) in found.items():
        assert name == config.name == f"{config.domains.source}2{config.domains.target}"


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (("a b", "c/d"), ("a-b", "c-d")),
        (("x", "X"), ("a", "b")),
        (("été", "冬"), ("été", "冬")),
        (("..", "y"), ("a", "b")),
    ],
)
def test_names_of_files(names, expected):
    assert file_names(*names) == expected


def test_samples_show_both_ways_around(make):
    recipe = make()
    columns = recipe.sample(recipe.nets, recipe.data.samples(torch.device("cpu")), precision="fp32")
    assert list(columns) == ["summer", "to winter", "back to summer", "winter", "to summer", "back to winter"]
    assert {tuple(images.shape) for images in columns.values()} == {(2, 3, 16, 16)}


# The pool


def numbered(*values):
    return torch.tensor(values, dtype=torch.float32).view(-1, 1, 1, 1)


def test_pool_fills_then_swaps_every_second_image():
    pool = ImagePool(50, seed=3)
    first = numbered(*range(50))
    assert torch.equal(pool.exchange(first), first)
    held, swapped, total = set(range(50)), 0, 2000
    for number in range(50, 50 + total):
        given = int(pool.exchange(numbered(number)))
        if given != number:
            assert given in held
            held = held - {given} | {number}
            swapped += 1
        assert set(pool.images.flatten().int().tolist()) == held
    assert 0.45 < swapped / total < 0.55  # five deviations


def test_pool_of_nothing_gives_back_what_it_gets():
    images = numbered(1, 2).requires_grad_()
    given = ImagePool(0).exchange(images)
    assert torch.equal(given, images)
    assert not given.requires_grad


def test_pool_keeps_its_own_copies():
    pool, images = ImagePool(2), numbered(1, 2)
    pool.exchange(images)
    images.zero_()
    assert pool.images.flatten().tolist() == [1, 2]


def test_pool_half_full_comes_back(make):
    recipe, other = make(pool_size=4), make(pool_size=4)
    recipe.pools["a"].exchange(recipe.data.batch(0, 2)["a"])
    assert not other.state_dict()
    other.load_state_dict(recipe.state_dict())
    assert (other.pools["a"].seen, other.pools["b"].seen) == (2, 0)
    for number in range(1, 6):
        given = recipe.data.batch(number, 2)["a"]
        expected = recipe.pools["a"].exchange(given)
        assert torch.equal(other.pools["a"].exchange(given), expected)


def test_batch_norm_keeps_the_statistics_of_domains_apart(make):
    recipe = make(norm="batch")
    sizes = []
    recipe.g_ab.register_forward_pre_hook(lambda _, given: sizes.append(len(given[0])))
    recipe.d_b.register_forward_pre_hook(lambda _, given: sizes.append(len(given[0])))
    batch, scratch = recipe.data.batch(0, 2), {}
    recipe.g_ab_loss(batch, scratch)
    recipe.d_b_loss(batch, scratch)
    assert sizes == [2, 2, 2, 2, 2]
    assert isinstance(recipe.g_ab.stem.norm, nn.BatchNorm2d)
