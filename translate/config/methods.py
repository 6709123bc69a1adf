"""The one table of training methods; the command line, recipes, the doctor, the demo and the tests derive from it."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import MISSING, Field, dataclass, field, fields
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import Any, Literal, get_type_hints

from translate.config.autoencoders import AutoencoderConfig, VAEConfig, VQVAEConfig
from translate.config.base import ConfigError, flag
from translate.config.classifiers import DomainClassifierConfig, ImageClassifierConfig
from translate.config.gans import GANConfig
from translate.config.style_transfer import StyleTransferConfig
from translate.config.stylegan import StyleGANConfig
from translate.config.training import (
    CUTConfig,
    CycleGANConfig,
    FolderConfig,
    MethodConfig,
    Pix2PixConfig,
    RunConfig,
    SegmentationConfig,
)

DataKind = Literal["pairs", "label maps", "domains", "images", "photographs", "classes"]


@dataclass(frozen=True, kw_only=True)
class Method:
    """One training method: a configuration, what it changes of its defaults, and the recipe that trains by it.

    Attributes:
        config: The configuration's class; several methods may share one.
        recipe: Where the recipe is, as ``module:Class`` below `translate.recipes`; imported when it is opened.
        data: What it learns from: pairs, pairs with label maps, two domains, images, photographs (RGB), or images of
            several classes.
        preset: Options that differ from the configuration's own defaults, whether of the data, the run or the method.
        summary: The line of ``translate train --help``; the docstring of the configuration by default.
        from_images: Flags with which it also learns from single images; empty where it cannot.
        needs: Required flags beside the data, as the doctor shows them.
        task: What it teaches, in words, for the demo's Train tab; empty for methods that are not offered there.
        is_command: Whether ``translate train`` offers it.
    """

    config: type[MethodConfig]
    recipe: str
    data: DataKind
    preset: Mapping[str, Any] = field(default_factory=dict)
    summary: str = ""
    from_images: str = ""
    needs: str = ""
    task: str = ""
    is_command: bool = True

    @property
    def description(self) -> str:
        """What the method is, with its source."""
        return self.summary or self.config.__doc__ or ""


_SINGLE_LOSS = {
    "epochs": 50.0,
    "batch_size": 128,
    "learning_rate": 1e-3,
    "beta1": 0.9,
    "schedule": "cosine",
    "decay_from": 0.0,
    "init": "kaiming",
    "log_every": 2_000,
    "sample_every": 20_000,
    "checkpoint_every": 100_000,
}
_ADVERSARIAL = {
    "epochs": 50.0,
    "batch_size": 64,
    "schedule": "constant",
    "ema_half_life": 5_000.0,
    "log_every": 2_000,
    "sample_every": 20_000,
    "checkpoint_every": 25_000,
}
_CONVOLUTIONAL = {**_ADVERSARIAL, "body": "conv"}

METHODS: dict[str, Method] = {
    "pix2pix": Method(config=Pix2PixConfig, recipe="pix2pix:Pix2Pix", data="pairs", from_images="--derive edges"),
    "cyclegan": Method(config=CycleGANConfig, recipe="cyclegan:CycleGAN", data="domains"),
    "cut": Method(config=CUTConfig, recipe="cut:CUT", data="domains"),
    "fastcut": Method(
        config=CUTConfig,
        recipe="cut:CUT",
        data="domains",
        preset={"nce_weight": 10.0, "identity_nce": False, "flip_equivariance": True},
        summary="A faster CUT (Park et al., 2020): no identity loss, larger contrastive weight, flip equivariance.",
    ),
    "style": Method(
        config=StyleTransferConfig,
        recipe="style_transfer:StyleTransfer",
        data="photographs",
        preset={
            **_SINGLE_LOSS,
            "epochs": 20.0,
            "batch_size": 4,
            "log_every": 200,
            "sample_every": 2_000,
            "checkpoint_every": 5_000,
            "enlarge": 286 / 256,
            "flip": True,
        },
        needs="--styles PAINTINGS",
    ),
    "ae": Method(config=AutoencoderConfig, recipe="autoencoder:AE", data="images", preset=_SINGLE_LOSS),
    "vae": Method(config=VAEConfig, recipe="vae:VAE", data="images", preset=_SINGLE_LOSS),
    "vqvae": Method(config=VQVAEConfig, recipe="vqvae:VQVAE", data="images", preset=_SINGLE_LOSS),
    "gan": Method(
        config=GANConfig,
        recipe="gan:GAN",
        data="images",
        preset=_ADVERSARIAL,
        summary="A GAN of fully connected layers (Goodfellow et al., 2014): 100-256-512-784 for digits.",
    ),
    "dcgan": Method(
        config=GANConfig,
        recipe="gan:GAN",
        data="images",
        preset=_CONVOLUTIONAL,
        summary="A GAN of strided convolutions with batch norm (Radford et al., 2015).",
    ),
    "wgan": Method(
        config=GANConfig,
        recipe="gan:GAN",
        data="images",
        preset={
            **_CONVOLUTIONAL,
            "adversarial": "wasserstein",
            "n_critic": 5,
            "clip": 0.01,
            "optimizer": "rmsprop",
            "learning_rate": 5e-5,
        },
        summary="A Wasserstein GAN with weight clipping (Arjovsky et al., 2017): the critic estimates a distance.",
    ),
    "wgan-gp": Method(
        config=GANConfig,
        recipe="gan:GAN",
        data="images",
        preset={
            **_CONVOLUTIONAL,
            "adversarial": "wasserstein",
            "n_critic": 5,
            "penalty_weight": 10.0,
            "d_norm": "none",
            "learning_rate": 1e-4,
            "beta1": 0.0,
            "beta2": 0.9,
        },
        summary="A Wasserstein GAN with a gradient penalty instead of weight clipping (Gulrajani et al., 2017).",
    ),
    "hinge": Method(
        config=GANConfig,
        recipe="gan:GAN",
        data="images",
        preset={**_CONVOLUTIONAL, "adversarial": "hinge", "d_norm": "spectral", "beta1": 0.0, "beta2": 0.9},
        summary="A GAN with the hinge loss and a spectrally normalised discriminator (SNGAN; Miyato et al., 2018).",
    ),
    "stylegan": Method(
        config=StyleGANConfig,
        recipe="stylegan:StyleGAN",
        data="images",
        preset={
            **_ADVERSARIAL,
            "batch_size": 32,
            "learning_rate": 2e-3,
            "beta1": 0.0,
            "beta2": 0.99,
            "ema_half_life": 10_000.0,
            "ema_ramp_up": 0.05,
        },
    ),
    "classifier": Method(
        config=ImageClassifierConfig,
        recipe="classifier:ImageClassification",
        data="classes",
        preset=_SINGLE_LOSS,
        summary="An image classifier; or, without labels, features from predicting rotations (Gidaris et al., 2018).",
    ),
    "segmentation": Method(config=SegmentationConfig, recipe="segmentation:Segmentation", data="label maps"),
    "domain-classifier": Method(
        config=DomainClassifierConfig, recipe="classifier:DomainClassification", data="domains", is_command=False
    ),
}
"""By the name that ``translate train`` gives them."""


PARTS = ("data", "run")
"""The fields of a configuration that are configurations themselves."""


@cache
def _kinds(name: str) -> tuple[type[FolderConfig], type[RunConfig], type[MethodConfig]]:
    """The classes of a method's data, of its run and of its configuration."""
    config = METHODS[name].config
    hints = get_type_hints(config)
    return hints["data"], hints["run"], config


def find_method(name: str) -> Method:
    """The method of a name.

    Raises:
        ConfigError: there is none; the message suggests one.
    """
    if name not in METHODS:
        close = get_close_matches(name, METHODS, n=1)
        said = f"did you mean {close[0]!r}?" if close else f"choose one of {', '.join(METHODS)}"
        raise ConfigError(f"no method is called {name!r}: {said}")
    return METHODS[name]


def configure(name: str, **options: Any) -> Any:
    """A configuration for `translate.train`, by the method's name and the options of ``translate train NAME --help``.

    >>> translate.train(translate.configure("vae", root="digits/", out="runs/vae", latent=16, batch_size=64))

    Args:
        name: The method, such as ``"pix2pix"``.
        **options: ``root`` (the data), ``out`` (the run's folder), and whatever is to differ from the defaults; names
            as on the command line, with underscores.

    Raises:
        ConfigError: no such method, an unknown option (the message suggests one), or one that is missing.
    """
    method = find_method(name)
    data, run, config = _kinds(name)
    owners: dict[str, Any] = {"data": data, "run": run, "": config}
    places = {one.name: owner for owner, kind in owners.items() for one in fields(kind)}
    values: dict[str, dict[str, Any]] = {owner: {} for owner in owners}
    for option, value in {**method.preset, **options}.items():
        if option not in places or option in PARTS:
            close = get_close_matches(option, places, n=1)
            raise ConfigError(f"{name} has no option {option!r}" + (f": did you mean {close[0]!r}?" if close else ""))
        if option in ("root", "root_b", "out", "start_from", "styles") and isinstance(value, str):
            value = Path(value)
        values[places[option]][option] = value
    for owner, kind in owners.items():
        for needed in fields(kind):
            if needed.name not in PARTS and _is_required(needed) and needed.name not in values[owner]:
                raise ConfigError(f"{name} needs the option {needed.name!r}")
    return config(data=data(**values["data"]), run=run(**values["run"]), **values[""])  # type: ignore[call-arg]


def run_config(name: str, **options: Any) -> RunConfig:
    """How to train by a method: its defaults, and `options` in their place (``out`` is required)."""
    find_method(name)
    kind = _kinds(name)[1]
    known = {one.name for one in fields(kind)}
    preset = {option: value for option, value in METHODS[name].preset.items() if option in known}
    return kind(**preset | options)


def required_options(name: str) -> list[str]:
    """The options of a method that have no default."""
    found = [one.name for kind in _kinds(name) for one in fields(kind) if _is_required(one)]
    return [option for option in found if option not in PARTS]


def default_options(name: str) -> dict[str, Any]:
    """What each option of a method is where it is not given; without the required ones."""
    found: dict[str, Any] = {}
    for one in (one for kind in _kinds(name) for one in fields(kind)):
        if not _is_required(one):
            found[one.name] = one.default if one.default_factory is MISSING else one.default_factory()
    return found | dict(METHODS[name].preset)


def _is_required(one: Field[Any]) -> bool:
    return one.default is MISSING and one.default_factory is MISSING


def _changed(name: str, config: MethodConfig) -> dict[str, Any]:
    """The options of a configuration that differ from the defaults of a method."""
    default = default_options(name)
    owners = (config.data, config.run, config)
    options = {one.name: getattr(owner, one.name) for owner in owners for one in fields(owner)}
    return {
        option: value
        for option, value in options.items()
        if option not in PARTS and (option not in default or value != default[option])
    }


def method_name(config: MethodConfig) -> str:
    """The method that a configuration is of: where several share a class, the one with the nearest defaults."""
    names = [name for name, method in METHODS.items() if method.config is type(config)]
    if not names:
        raise ConfigError(f"{type(config).__name__} is the configuration of no method")
    return min(names, key=lambda name: len(_changed(name, config)))


def train_command(config: MethodConfig) -> str | None:
    """The command that trains by a configuration, with a flag for whatever is no default; None where there is none."""
    name = method_name(config)
    if not METHODS[name].is_command:
        return None
    default = default_options(name)
    words = ["translate", "train", name, str(config.data.root)]
    for option, value in _changed(name, config).items():
        if option == "root":
            continue
        if isinstance(value, bool) and isinstance(default.get(option), bool):
            words.append(flag(option) if value else f"--no-{flag(option)[2:]}")
        else:
            words += [flag(option), *_written(value)]
    return shlex.join(words)


def _written(value: Any) -> list[str]:
    """A value as words of a command line."""
    if isinstance(value, tuple):
        return [word for item in value for word in _written(item)]
    return [value.as_posix() if isinstance(value, Path) else str(value)]
