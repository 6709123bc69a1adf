"""All methods' configurations; the command line and `translate.recipes.open_recipe` name each once more."""

from __future__ import annotations

import shlex
from dataclasses import MISSING, fields, is_dataclass
from pathlib import Path
from typing import Any

from translate.config.autoencoders import AutoencoderConfig, VAEConfig, VQVAEConfig
from translate.config.base import flag
from translate.config.classifiers import ImageClassifierConfig
from translate.config.gans import DCGANConfig, GANConfig, HingeConfig, WGANConfig, WGANGPConfig
from translate.config.style_transfer import StyleTransferConfig
from translate.config.stylegan import StyleGANConfig
from translate.config.training import (
    ClassifierConfig,
    CUTConfig,
    CycleGANConfig,
    FastCUTConfig,
    Pix2PixConfig,
    SegmentationConfig,
)

TrainConfig = (
    Pix2PixConfig
    | CycleGANConfig
    | CUTConfig
    | FastCUTConfig
    | StyleTransferConfig
    | AutoencoderConfig
    | VAEConfig
    | VQVAEConfig
    | GANConfig
    | DCGANConfig
    | WGANConfig
    | WGANGPConfig
    | HingeConfig
    | StyleGANConfig
    | SegmentationConfig
    | ClassifierConfig
    | ImageClassifierConfig
)

METHODS: dict[type, str] = {
    Pix2PixConfig: "pix2pix",
    CycleGANConfig: "cyclegan",
    CUTConfig: "cut",
    FastCUTConfig: "fastcut",
    StyleTransferConfig: "style",
    AutoencoderConfig: "ae",
    VAEConfig: "vae",
    VQVAEConfig: "vqvae",
    GANConfig: "gan",
    DCGANConfig: "dcgan",
    WGANConfig: "wgan",
    WGANGPConfig: "wgan-gp",
    HingeConfig: "hinge",
    StyleGANConfig: "stylegan",
    ImageClassifierConfig: "classifier",
    SegmentationConfig: "segmentation",
}
"""What ``translate train`` calls them; `ClassifierConfig` is for scores and has no command."""


def train_command(config: TrainConfig) -> str | None:
    """The command that trains by a configuration, with a flag for whatever is no default; None where there is none."""
    method = METHODS.get(type(config))
    if method is None:
        return None
    words = ["translate", "train", method, str(config.data.root)]
    for owner in (config.data, config.run, config):
        for field in fields(owner):
            value = getattr(owner, field.name)
            default = field.default if field.default_factory is MISSING else field.default_factory()
            if field.name == "root" or is_dataclass(value) or value == default:
                continue
            name = flag(field.name)
            if isinstance(value, bool) and isinstance(default, bool):
                words.append(name if value else f"--no-{name[2:]}")
            else:
                words += [name, *_written(value)]
    return shlex.join(words)


def _written(value: Any) -> list[str]:
    """A value as words of a command line."""
    if isinstance(value, tuple):
        return [word for item in value for word in _written(item)]
    return [value.as_posix() if isinstance(value, Path) else str(value)]
