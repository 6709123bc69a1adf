"""The classifier's recipe, and a short training of it."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image

from translate.checkpoint import load_weights
from translate.config import DomainClassifierConfig, RunConfig, UnpairedDataConfig
from translate.engine import Display, train
from translate.recipes import open_recipe
from translate.recipes.classifier import DomainClassification


@pytest.fixture
def domains(tmp_path):
    """Six dark images and nine bright ones, 24 px; the dark ones are grey."""
    generator = np.random.default_rng(0)
    for name, count, low in (("dark", 6, 0), ("bright", 9, 130)):
        (tmp_path / "data" / name).mkdir(parents=True)
        for number in range(count):
            shape = (24, 24) if name == "dark" else (24, 24, 3)
            pixels = generator.integers(low, low + 120, shape, dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / "data" / name / f"{number}.png")
    return tmp_path / "data"


def config_for(root, out, **given):
    run = {"images": 8, "batch_size": 4, "device": "cpu", "precision": "fp32", "init": "kaiming"}
    run |= {key: given.pop(key) for key in list(given) if key in RunConfig.__dataclass_fields__}
    data = UnpairedDataConfig(root=root, size=16, workers=1)
    return DomainClassifierConfig(data=data, run=RunConfig(out=out, **run), width=4, num_features=8, **given)


def open_classification(root, out, **given):
    recipe, data = open_recipe(config_for(root, out, **given))
    assert isinstance(recipe, DomainClassification)
    return recipe, data


def test_classes_are_the_domains(domains, tmp_path):
    recipe, data = open_classification(domains, tmp_path / "run")
    assert recipe.domains == {"a": "bright", "b": "dark"}  # in the order of their folders
    network, config = recipe.exports()["."]
    assert (network, config.kind, config.classes) == ("c", "classifier", ("bright", "dark", "none of them"))
    assert config.network == recipe.c.config
    assert (config.network.in_channels, config.network.num_classes, config.network.size) == (3, 3, 16)
    plain, _ = open_classification(domains, tmp_path / "run", outliers=0.0)
    assert plain.exports()["."][1].classes == ("bright", "dark")
    assert plain.c.config.num_classes == 2
    data.close()


def test_loss_is_the_smoothed_cross_entropy(domains, tmp_path):
    recipe, data = open_classification(domains, tmp_path / "run", colour_jitter=0.0, label_smoothing=0.2, outliers=0.0)
    recipe.c.eval()
    generator = torch.Generator().manual_seed(0)
    batch = {"a": torch.rand(3, 3, 16, 16, generator=generator), "b": torch.rand(2, 1, 16, 16, generator=generator)}
    loss = recipe.loss(batch, {})["cross_entropy"]
    logits = recipe.c(torch.cat([batch["a"], batch["b"].expand(-1, 3, -1, -1)])).log_softmax(dim=1)
    wanted = F.one_hot(torch.tensor([0, 0, 0, 1, 1]), 2) * 0.8 + 0.1
    torch.testing.assert_close(loss, -(wanted * logits).sum(dim=1).mean())
    changed, _ = open_classification(domains, tmp_path / "run", colour_jitter=0.5, label_smoothing=0.2, outliers=0.0)
    changed.c.load_state_dict(recipe.c.state_dict())
    changed.c.eval()
    assert changed.loss(batch, {})["cross_entropy"] != loss
    data.close()


def test_distorted_images_are_a_class_of_their_own(domains, tmp_path):
    recipe, data = open_classification(domains, tmp_path / "run", colour_jitter=0.0, outliers=0.5)
    seen = []
    recipe.c.register_forward_pre_hook(lambda network, given: seen.append(given[0]))
    batch = {"a": torch.zeros(4, 3, 16, 16), "b": torch.ones(4, 3, 16, 16)}
    with torch.no_grad():
        recipe.c.head.weight.zero_()
        recipe.c.head.bias.copy_(torch.tensor([0.0, 0.0, 9.0]))  # everything is none of them
    loss = recipe.loss(batch, {})["cross_entropy"]
    (images,) = seen
    assert images.shape == (12, 3, 16, 16)
    assert torch.equal(images[:8], torch.cat([batch["a"], batch["b"]]))
    logs = torch.tensor([0.0, 0.0, 9.0]).log_softmax(dim=0)
    wanted = torch.tensor([[1.0, 0, 0]] * 4 + [[0, 1.0, 0]] * 4 + [[0, 0, 1.0]] * 4) * 0.9 + 0.1 / 3
    torch.testing.assert_close(loss, -(wanted * logs).sum(dim=1).mean())
    data.close()


def test_samples_dim_what_is_taken_for_another_class(domains, tmp_path):
    recipe, data = open_classification(domains, tmp_path / "run")
    with torch.no_grad():
        recipe.c.head.weight.zero_()
        recipe.c.head.bias.copy_(torch.tensor([1.0, 0.0, 0.0]))  # everything is bright
    batch = data.samples(torch.device("cpu"))
    shown = recipe.sample({"c": recipe.c.train()}, batch, precision="fp32")
    assert list(shown) == ["bright", "dark"]
    assert torch.equal(shown["bright"], batch["a"])
    torch.testing.assert_close(shown["dark"], ((batch["b"] + 1) / 4 - 1).expand(-1, 3, -1, -1))
    assert recipe.c.training
    data.close()


def test_weight_decay_reaches_the_optimizer(domains, tmp_path):
    recipe, data = open_classification(domains, tmp_path / "run", weight_decay=0.3, learning_rate=1e-3)
    (group,) = recipe.optimizers()["c"].param_groups
    assert (group["weight_decay"], group["lr"], group["initial_lr"]) == (0.3, 1e-3, 1e-3)
    data.close()


def test_a_short_training_tells_them_apart_and_resumes(domains, tmp_path):
    given = {"learning_rate": 1e-2, "beta1": 0.9, "schedule": "cosine", "decay_from": 0.0, "ema_half_life": 20.0}
    quiet = Display(enabled=False)
    train(config_for(domains, tmp_path / "run", images=60, **given), display=quiet)
    train(config_for(domains, tmp_path / "run", images=120, **given), display=quiet)  # goes on
    network, config = load_weights(tmp_path / "run")
    assert config.training is not None
    assert (config.training.recipe, config.training.images_seen) == ("domain-classifier", 120)
    dark, bright = (
        torch.stack([torch.from_numpy(np.array(Image.open(path).convert("RGB"))) for path in folder.iterdir()])
        for folder in (domains / "dark", domains / "bright")
    )
    seen = [network(x.permute(0, 3, 1, 2) / 127.5 - 1).argmax(dim=1) for x in (bright, dark)]
    assert [float(x.float().mean()) for x in seen] == [0.0, 1.0]
