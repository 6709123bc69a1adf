"""Each alarm is raised on its planted fault within 200 steps, written to the log, said once; not on a healthy run."""

import io
import json
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from domains import MemoryDomains, data_config, run_config
from rich.console import Console
from torch import nn

from translate.config import CUTConfig, CycleGANConfig
from translate.engine import Display, Engine, TrainingError
from translate.engine.detectors import PREFIX, Detectors
from translate.engine.distributed import World
from translate.networks import Generator
from translate.recipes.base import Watched
from translate.recipes.cut import CUT
from translate.recipes.cyclegan import CycleGAN

TINY = {"width": 4, "num_blocks": 1, "d_width": 4, "d_layers": 1}


class Fault(Generator):
    """A generator that has gone wrong: a function of its input and of one weight, which training moves."""

    stride, minimum_size = 1, 1

    def __init__(self, function, config) -> None:
        super().__init__()
        self.function, self.config = function, config
        self.weight = nn.Parameter(torch.zeros(()))

    def forward(self, images):
        return self.function(images) + 0.001 * self.weight.tanh()


FAULTS = {
    "nothing": lambda images: images,
    "inverted": lambda images: -images,
    "collapsed": lambda images: images * 0.01 + 0.3,
}


@pytest.fixture
def train(tmp_path):
    """Train a CycleGAN of noise for some steps; the recipe may be spoilt before. The log, and what was said."""

    def train(*, spoil=lambda recipe: None, images=200, log_every=100, stop=False, learning_rate=2e-4, **given):
        torch.manual_seed(0)
        out = tmp_path / "run"
        run = run_config(out, images=images, log_every=log_every, sample_every=10**6, learning_rate=learning_rate)
        config = CycleGANConfig(data=data_config(), run=run, **TINY | given)
        recipe = CycleGAN(config, MemoryDomains())
        spoil(recipe)
        text = io.StringIO()
        display = Display(console=Console(file=text, width=1000, highlight=False))
        engine = Engine(
            recipe, recipe.data, config=config, world=World(rank=0, size=1, device=torch.device("cpu")), display=display
        )
        if stop:
            with pytest.raises(TrainingError):
                engine.train()
        else:
            engine.train()
        lines = (out / "log.jsonl").read_text(encoding="utf-8").splitlines()
        return [json.loads(line) for line in lines], text.getvalue()

    return train


def plant(function):
    def spoil(recipe):
        recipe.g_ab = recipe.nets["g_ab"] = Fault(function, recipe.configs["g_ab"])
        recipe.exports = dict  # what is spoilt is no network of its configuration

    return spoil


@pytest.mark.parametrize(
    ("kind", "words"),
    [("nothing", "hardly changes its inputs"), ("inverted", "inverts"), ("collapsed", "shows mode collapse")],
)
def test_planted_faults_of_a_generator_are_caught(train, kind, words):
    log, said = train(spoil=plant(FAULTS[kind]), images=300)
    assert [entry["images"] for entry in log] == [100, 200, 300]
    assert not log[0]["alarms"]  # one interval is no proof
    for entry in log[1:]:
        assert [line.startswith("g_ab") and words in line for line in entry["alarms"]] == [True]
        assert "Try " in entry["alarms"][0]
        assert not any(name.startswith(PREFIX) for name in entry["losses"])
    assert said.count("warning: g_ab") == 1


def test_a_discriminator_that_has_won_is_caught(train):
    """A generator that cannot move blurs, and the real images are noise: a discriminator soon tells them surely."""
    blur = plant(lambda images: F.avg_pool2d(images, 5, 1, 2))
    log, said = train(spoil=blur, d_width=16, learning_rate=5e-3, log_every=50)
    assert any(line.startswith("d_b dominates") for line in log[-1]["alarms"])
    assert "--r1-weight 1" in said


def test_a_loss_that_is_not_finite_is_written_and_stops_the_run(train):
    def spoil(recipe):
        whole = recipe.g_ab_loss
        calls = []

        def broken(batch, scratch):
            calls.append(1)
            terms = whole(batch, scratch)
            return terms | {"cycle_a": terms["cycle_a"] * torch.nan} if len(calls) > 20 else terms

        recipe.updates = (replace(recipe.updates[0], losses=(broken, recipe.g_ba_loss)), *recipe.updates[1:])

    log, _ = train(spoil=spoil, stop=True)
    assert log[-1]["alarms"] == ["cycle_a: not finite. Try a lower --learning-rate, or --precision fp32"]


def test_a_healthy_run_is_left_alone(train):
    log, said = train(images=300)
    assert all(entry["alarms"] == [] for entry in log)
    assert "warning" not in said


def test_an_alarm_ends_with_its_cause_and_may_come_again(train):
    recipe = CycleGAN.__new__(CycleGAN)
    recipe.guessing_losses = {"d": 0.25}
    detectors = Detectors(recipe)
    bad, good = {"d": 0.001}, {"d": 0.2}
    said = [len(detectors.check(means, broken=[])[1]) for means in (bad, bad, bad, good, bad, bad)]
    assert said == [0, 1, 0, 0, 0, 1]


def test_signals_are_the_statistics_they_name():
    generator = torch.Generator().manual_seed(0)
    first, second = (torch.rand(2, 3, 16, 16, generator=generator) * 2 - 1 for _ in range(2))
    detectors = Detectors(None)
    found = detectors.signals({"g": Watched(source=first, output=-first * 0.5)})
    assert found["watch/g/change"].item() == pytest.approx(1.5 * first.abs().mean().item(), rel=1e-5)
    assert found["watch/g/correlation"].item() == pytest.approx(-1, abs=1e-5)
    assert "watch/g/output_change" not in found  # nothing came before
    found = detectors.signals({"g": Watched(source=second, output=-second * 0.5)})
    ratio = found["watch/g/output_change"] / found["watch/g/reference_change"]
    assert ratio.item() == pytest.approx(0.5, rel=1e-5)


def test_a_target_is_the_reference_where_there_is_one():
    image = torch.rand(1, 3, 16, 16, generator=torch.Generator().manual_seed(0)) * 2 - 1
    found = Detectors(None).signals({"g": Watched(source=-image, output=image, target=image)})
    assert found["watch/g/correlation"].item() == pytest.approx(1, abs=1e-5)


def test_images_of_other_channels_have_no_change():
    source, output = torch.rand(1, 1, 16, 16), torch.rand(1, 3, 16, 16)
    found = Detectors(None).signals({"g": Watched(source=source, output=output)})
    assert set(found) == {"watch/g/correlation"}


@pytest.mark.parametrize("micro_batch", [None, 1])
def test_cut_is_watched_in_parts_too(tmp_path, micro_batch):
    run = run_config(tmp_path / "run", batch_size=2, micro_batch=micro_batch)
    recipe = CUT(CUTConfig(data=data_config(), run=run, **TINY, projection=8, num_patches=6), MemoryDomains())
    world = World(rank=0, size=1, device=torch.device("cpu"))
    engine = Engine(recipe, recipe.data, config=recipe.config, world=world, display=Display(enabled=False))
    engine.train_step(recipe.data.batch(0, 2))
    assert f"{PREFIX}g/change" in engine.meter.read()
