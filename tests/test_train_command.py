"""The table of methods: its options, its commands, and that one line in it is all that a new method needs."""

import shlex
import sys
from dataclasses import fields
from pathlib import Path
from types import ModuleType
from typing import get_args, get_type_hints

import numpy as np
import pytest
import tyro
from PIL import Image
from tyro.conf import OmitSubcommandPrefixes

from translate.cli.options import OPTIONS
from translate.cli.train import Train
from translate.config import (
    METHODS,
    ConfigError,
    Method,
    configure,
    from_dict,
    method_name,
    run_config,
    to_dict,
    validate,
)
from translate.config.methods import required_options, train_command

COMMANDS = [name for name, method in METHODS.items() if method.is_command]
RUN = {"out": Path("runs/my run"), "batch_size": 7}
NEEDED = {
    "style": {"styles": Path("a b")},
    "segmentation": {"palette": ((0, 0, 0), (255, 1, 2)), "class_names": ("sky", "the sea")},
}
SOME = {
    "pix2pix": {
        "root": Path("a b"), "root_b": Path("c"), "flip": False, "names": ("labels", "a photo"), "size": 64,
        "start_from": Path("runs/it's"), "compile": True, "channels_last": False, "depth": 3,
    },
    "cyclegan": {"augment": ("colour", "cutout"), "norm": "batch"},
    "cut": {"identity_nce": False},
    "fastcut": {"identity_nce": True},
    "vae": {"classes": ("1", "8"), "hidden": (9, 4), "body": "dense"},
    "wgan": {"n_critic": 2, "learning_rate": 1e-4},
    "style": {"widths": (4, 8, 9), "flip": False},
}  # fmt: skip


def parsed(words):
    return tyro.cli(Train, args=words, config=(OmitSubcommandPrefixes,), registry=OPTIONS).method


@pytest.mark.parametrize("given", [{}, SOME], ids=["defaults", "options"])
@pytest.mark.parametrize("name", COMMANDS)
def test_the_command_of_a_configuration_makes_that_configuration(name, given):
    config = configure(name, **{"root": Path("d")} | RUN | NEEDED.get(name, {}) | given.get(name, {}))
    words = shlex.split(train_command(config))
    assert words[:3] == ["translate", "train", name]
    assert parsed(words[2:]) == config


@pytest.mark.parametrize("name", METHODS)
def test_a_configuration_comes_back_from_json_with_its_method(name):
    config = configure(name, **{"root": Path("d")} | RUN | NEEDED.get(name, {}))
    again = from_dict(type(config), to_dict(config))
    assert again == validate(config) == config
    assert method_name(again) == name


@pytest.mark.parametrize("name", METHODS)
def test_options_have_one_place_each(name):
    """So that the command line needs no prefixes, and `configure` knows where an option belongs."""
    hints = get_type_hints(METHODS[name].config)
    kinds = (hints["data"], hints["run"], METHODS[name].config)
    names = [field.name for kind in kinds for field in fields(kind)]
    assert len(names) == len(set(names))
    assert set(METHODS[name].preset) <= set(names) - {"data", "run"}
    assert {"root", "out"} <= set(required_options(name))


def test_every_method_of_the_command_line_has_its_command():
    method = get_type_hints(Train, include_extras=True)["method"]
    assert len(get_args(get_args(method)[0])) == len(COMMANDS)


def test_a_classifier_for_scores_has_none():
    assert train_command(configure("domain-classifier", root="d", out="r")) is None


def test_the_defaults_of_a_method_are_its_own():
    wgan, plain = configure("wgan", root="d", out="r"), configure("gan", root="d", out="r")
    assert (wgan.run.learning_rate, wgan.n_critic, wgan.body) == (5e-5, 5, "conv")
    assert (plain.run.learning_rate, plain.n_critic, plain.body) == (2e-4, 1, "dense")
    assert run_config("wgan", out=Path("r"), seed=3).learning_rate == 5e-5
    assert configure("style", root="d", out="r", styles="s").data.flip is True
    assert configure("ae", root="d", out="r").data.flip is False
    assert configure("wgan", root="d", out="r").data.root == Path("d")


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        ("pix2pxi", {}, "no method is called 'pix2pxi': did you mean 'pix2pix'?"),
        ("xyz", {}, "choose one of pix2pix, cyclegan"),
        ("vae", {"out": "r"}, "vae needs the option 'root'"),
        ("style", {"root": "d", "out": "r"}, "style needs the option 'styles'"),
        ("vae", {"root": "d", "out": "r", "latnet": 3}, "vae has no option 'latnet': did you mean 'latent'?"),
        ("vae", {"root": "d", "out": "r", "run": 3}, "vae has no option 'run'"),
    ],
)
def test_wrong_options_are_named(name, options, said):
    with pytest.raises(ConfigError, match=said):
        configure(name, **options)


TOY = """
from dataclasses import dataclass
from translate.config.training import Pix2PixConfig
from translate.recipes.pix2pix import Pix2Pix

@dataclass(frozen=True, kw_only=True)
class ToyConfig(Pix2PixConfig):
    '''A toy.'''
    shine: float = 1.0
    '''How much brighter outputs should be.'''

class Toy(Pix2Pix):
    def g_loss(self, batch, scratch):
        return {**super().g_loss(batch, scratch), "g_shine": -self.config.shine * scratch["fake"].mean()}
"""


def test_a_new_method_needs_a_recipe_and_a_line(tmp_path, monkeypatch, capsys):
    """In the command line, in the doctor, in the demo's list, trained, sampled, exported and used."""
    import translate
    from translate.cli import main
    from translate.data.doctor import examine
    from translate.demos import training

    module = ModuleType("translate.recipes.toy")
    monkeypatch.setitem(sys.modules, "translate.recipes.toy", module)
    exec(TOY, vars(module))
    vars(module)["ToyConfig"].__module__ = "translate.recipes.toy"
    line = Method(
        config=module.ToyConfig, recipe="toy:Toy", data="pairs", task="Brighter images", preset={"shine": 0.5}
    )
    monkeypatch.setitem(METHODS, "toy", line)
    for number in range(3):
        pixels = np.random.default_rng(number).integers(0, 256, (32, 64, 3), dtype=np.uint8)
        (tmp_path / "pairs").mkdir(exist_ok=True)
        Image.fromarray(pixels).save(tmp_path / "pairs" / f"{number}.png")

    assert "toy" in [verdict.name for verdict in examine(tmp_path / "pairs").methods if verdict.suits]
    assert "Brighter images" in [goal.words for goal in training.all_goals().values()]
    config = configure(
        "toy", root=tmp_path / "pairs", out=tmp_path / "run", images=2, width=4, d_width=4, d_layers=1, depth=3,
        device="cpu",
    )  # fmt: skip
    assert config.shine == 0.5
    assert train_command(config).startswith("translate train toy")
    translate.train(config)
    assert "toy at 32 px" in capsys.readouterr().out
    assert list((tmp_path / "run" / "samples").iterdir())
    assert main(["export", str(tmp_path / "run"), "-o", str(tmp_path / "toy.safetensors")]) == 0
    model = translate.load(tmp_path / "toy.safetensors")
    assert model(Image.new("RGB", (20, 30))).size == (20, 30)
    assert model.config.training.recipe == "toy"
