"""CUT and FastCUT: their losses as the paper states them, and what runs how often."""

from collections import Counter
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from domains import MemoryDomains, engine_of

from translate.config import ConfigError, configure
from translate.recipes import Progress
from translate.recipes.cut import CUT

TINY = {"width": 4, "num_blocks": 2, "d_width": 4, "d_layers": 1, "projection": 8, "num_patches": 6}


@pytest.fixture
def make(tmp_path):
    def recipe(method="cut", *, run=None, channels=(3, 3), **given):
        torch.manual_seed(0)
        run = {"out": tmp_path / "run", "images": 8, "device": "cpu", "precision": "fp32"} | (run or {})
        config = configure(method, root=Path("noise"), **run | TINY | given)
        return CUT(config, MemoryDomains(channels=channels))

    return recipe


def restated_nce(recipe, outputs, inputs, places):
    """PatchNCE as it is often written: the positive apart, the diagonal of the negatives masked by minus infinity."""
    losses = []
    for head, out, given, chosen in zip(
        recipe.heads.heads, recipe.g.features(outputs), recipe.g.features(inputs), places, strict=True
    ):
        for query_map, key_map in zip(out, given, strict=True):  # an image at a time: negatives are its own places
            query, key = (F.normalize(head(m.flatten(1).t()[chosen]), dim=1) for m in (query_map, key_map.detach()))
            positive = (query * key.detach()).sum(dim=1, keepdim=True)
            negatives = query @ key.detach().t()
            negatives.fill_diagonal_(-torch.inf)
            logits = torch.cat([positive, negatives], dim=1) / 0.07
            losses.append(F.cross_entropy(logits, torch.zeros(len(logits), dtype=torch.long)))
    return torch.stack(losses).mean()


@pytest.mark.parametrize("direction", ["a2b", "b2a"])
def test_losses_are_those_of_the_paper(make, monkeypatch, direction):
    recipe = make(direction=direction, nce_weight=2.0)
    places = [torch.randperm(16 * 16 // 4**n)[:6] for n in (0, 1, 2)] + [torch.randperm(16)[:6]] * 2
    monkeypatch.setattr("translate.recipes.cut.draw_places", lambda features, count: places)
    batch, scratch = recipe.data.batch(0, 2), {}
    source, target = (batch["a"], batch["b"]) if direction == "a2b" else (batch["b"], batch["a"])
    d = recipe.d_loss(batch, scratch)["d"]
    terms = recipe.g_loss(batch, scratch)
    fake, same = recipe.g(source), recipe.g(target)
    real_logits, fake_logits = recipe.d(target).logits[0], recipe.d(fake).logits[0]
    torch.testing.assert_close(d, 0.5 * ((real_logits - 1).square().mean() + fake_logits.square().mean()))
    torch.testing.assert_close(terms["g_gan"], (fake_logits - 1).square().mean())
    torch.testing.assert_close(terms["nce"], 0.5 * 2 * restated_nce(recipe, fake, source, places))
    torch.testing.assert_close(terms["nce_identity"], 0.5 * 2 * restated_nce(recipe, same, target, places))


def test_a_short_batch_has_the_same_loss_an_image(make, monkeypatch):
    """Negatives come from the image itself, whatever the batch: two images give the mean of each alone."""
    recipe = make(identity_nce=False)
    places = [torch.arange(6)] * 5
    monkeypatch.setattr("translate.recipes.cut.draw_places", lambda features, count: places)
    batch = recipe.data.batch(0, 2)
    both = recipe.g_loss(batch, {})["nce"]
    alone = [recipe.g_loss({name: images[n : n + 1] for name, images in batch.items()}, {})["nce"] for n in (0, 1)]
    torch.testing.assert_close(both, torch.stack(alone).mean())


@pytest.mark.parametrize("mirrored", [True, False])
def test_fastcut_compares_mirrored_outputs_mirrored_back(make, monkeypatch, mirrored):
    recipe = make("fastcut")
    places = [torch.arange(6)] * 5
    monkeypatch.setattr("translate.recipes.cut.draw_places", lambda features, count: places)
    batch, scratch = recipe.data.batch(0, 1), {}
    recipe.mirrored = mirrored
    terms = recipe.g_loss(batch, scratch)
    assert set(terms) == {"g_gan", "nce"}
    given = batch["a"].flip(-1) if mirrored else batch["a"]
    torch.testing.assert_close(scratch["fake"], recipe.g(given))
    # Mirrored back, the output's features are those of an output that lies as the input does.
    queries = [m.flip(-1) if mirrored else m for m in recipe.g.features(scratch["fake"])]
    keys = recipe.g.features(batch["a"])
    losses = []
    for head, query, key in zip(recipe.heads.heads, queries, keys, strict=True):
        q, k = (F.normalize(head(m.flatten(2)[0].t()[:6]), dim=1) for m in (query, key))
        losses.append(F.cross_entropy(q @ k.t() / 0.07, torch.arange(6)))
    torch.testing.assert_close(terms["nce"], 10 * torch.stack(losses).mean())


def test_half_of_fastcuts_steps_are_mirrored_whatever_came_before(make):
    recipe = make("fastcut")
    optimizers = recipe.optimizers()

    def decisions(numbers):
        found = {}
        for images in numbers:
            recipe.advance(Progress(images=images, total=10**6), optimizers)
            found[images] = recipe.mirrored
        return found

    forth = decisions(range(1000))
    assert 0.42 < sum(forth.values()) / 1000 < 0.58  # five deviations
    assert decisions(reversed(range(1000))) == forth


def test_the_generator_runs_once_a_step(make):
    recipe = make()
    calls = Counter()
    recipe.g.head.register_forward_hook(lambda *_: calls.update(["whole"]))
    recipe.g.stem.register_forward_hook(lambda *_: calls.update(["way down"]))
    recipe.d.register_forward_hook(lambda *_: calls.update(["d"]))
    engine = engine_of(recipe, recipe.data)
    engine.train_step(recipe.data.batch(0, 1))
    assert calls == {"whole": 1, "way down": 2, "d": 2}


def test_every_weight_is_in_an_optimizer_from_the_start_and_moves(make):
    recipe = make()
    held = {
        id(p) for optimizer in recipe.optimizers().values() for group in optimizer.param_groups for p in group["params"]
    }
    assert {id(p) for net in recipe.nets.values() for p in net.parameters()} == held
    before = {name: [p.clone() for p in net.parameters()] for name, net in recipe.nets.items()}
    engine = engine_of(recipe, recipe.data)
    engine.train_step(recipe.data.batch(0, 1))
    for name, net in recipe.nets.items():
        assert all(not torch.equal(old, new) for old, new in zip(before[name], net.parameters(), strict=True)), name


def test_features_go_on_to_the_output(make):
    recipe = make(num_blocks=9)
    images = recipe.data.batch(0, 1)["a"]
    features = recipe.g.features(images)
    assert tuple(f.shape[1] for f in features) == recipe.g.feature_channels == (3, 8, 16, 16, 16)
    assert [f.shape[-1] for f in features] == [16, 8, 4, 4, 4]
    torch.testing.assert_close(recipe.g.finish(features), recipe.g(images))
    few = make(num_blocks=0)
    assert tuple(f.shape[1] for f in few.g.features(images)) == few.g.feature_channels == (3, 8, 16)
    torch.testing.assert_close(few.g.finish(few.g.features(images)), few.g(images))


def test_fastcut_differs_in_its_defaults_alone(make):
    cut, fast = make(), make("fastcut")
    assert (cut.name, fast.name) == ("cut", "fastcut")
    assert (fast.config.nce_weight, fast.config.identity_nce, fast.config.flip_equivariance) == (10.0, False, True)


def test_one_direction_is_exported(make):
    network, config = make(direction="b2a").exports()["."]
    assert (network, config.name) == ("g", "winter2summer")
    assert (config.domains.source, config.domains.target) == ("winter", "summer")


def test_domains_of_other_channels_are_refused(make):
    with pytest.raises(ConfigError, match=r"summer has 1 channels and winter 3.*cyclegan does not"):
        make(channels=(1, 3))
