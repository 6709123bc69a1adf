"""The networks that the translators share: a generator and a PatchGAN, as a training configuration asks for them."""

from __future__ import annotations

import re
from typing import Literal

from torch import nn

from translate.config.base import ConfigError
from translate.config.networks import GeneratorConfig, Output, PatchGANConfig, ResNetConfig, UNetConfig, unet_depth
from translate.config.training import CUTConfig, CycleGANConfig, Derivation, Noise, Pix2PixConfig
from translate.config.weights import Domains, WeightsConfig
from translate.data.store import Format
from translate.networks import Generator, PatchGANDiscriminator, build_network, initialise
from translate.recipes.base import preprocessing

Translator = Pix2PixConfig | CycleGANConfig | CUTConfig
OUTPUTS: dict[Derivation | None, Output] = {"mask": "inpainting", "gray": "colourisation"}


def generator_config(
    config: Translator,
    *,
    size: int,
    in_channels: int,
    out_channels: int,
    dropout: float = 0.0,
    derived: Derivation | None = None,
) -> GeneratorConfig:
    """The generator that a training configuration and its data ask for.

    Args:
        config: Of the method.
        size: Training size in pixels, from which depth and blocks follow where they are not given.
        in_channels: Of its inputs.
        out_channels: Of its outputs.
        dropout: Probability, where the network has dropout.
        derived: How inputs are computed from outputs, where they are: holes are filled, and grey is coloured.

    Raises:
        ConfigError: the size does not suit the network.
    """
    if config.residual and in_channels != out_channels:
        raise ConfigError(
            f"--residual needs the same number of channels in input and output, not {in_channels} and {out_channels}: "
            "omit it"
        )
    output: Output = "residual" if config.residual else OUTPUTS.get(derived, "image")
    if not isinstance(config, CUTConfig) and config.generator == "unet":
        return UNetConfig(
            in_channels=in_channels,
            out_channels=out_channels,
            width=config.width,
            depth=config.depth if config.depth is not None else unet_depth(size),
            norm=config.norm,
            padding=config.padding,
            upsampling=config.upsampling,
            downsampling=config.downsampling,
            dropout=dropout,
            output=output,
        )
    style = 0 if isinstance(config, CUTConfig) else config.style_dim
    return ResNetConfig(
        in_channels=in_channels,
        out_channels=out_channels,
        width=config.width,
        num_blocks=config.num_blocks if config.num_blocks is not None else (6 if size <= 128 else 9),
        norm=config.norm,
        padding=config.padding,
        upsampling=config.upsampling,
        downsampling=config.downsampling,
        dropout=0.0 if style else dropout,
        style=style,
        output=output,
    )


def new_generator(config: GeneratorConfig, training: Translator) -> Generator:
    """A generator with the initial weights that the run asks for; one that learns a change starts as the identity,
    one that learns colours without any."""
    generator = build_network(config)
    initialise(generator, kind=training.run.init)
    if config.output in ("residual", "colourisation"):
        last = [module for module in generator.modules() if isinstance(module, nn.Conv2d | nn.ConvTranspose2d)][-1]
        nn.init.zeros_(last.weight)
    return generator


def new_discriminator(training: Translator, *, in_channels: int) -> PatchGANDiscriminator:
    """A PatchGAN with the initial weights that the run asks for."""
    discriminator = PatchGANDiscriminator(
        PatchGANConfig(
            in_channels=in_channels,
            width=training.d_width,
            num_layers=training.d_layers,
            num_scales=training.d_scales,
            norm=training.norm,
        )
    )
    initialise(discriminator, kind=training.run.init)
    return discriminator


def translator_weights(
    network: GeneratorConfig,
    *,
    name: str,
    domains: tuple[str, str],
    size: int,
    source: Format,
    target: Format,
    alpha: Literal["composite", "keep"],
    noise: Noise = "never",
) -> WeightsConfig:
    """What a translator's weights say of themselves; `source` and `target` are the formats of its two domains."""
    return WeightsConfig(
        kind="translator",
        name=name,
        network=network,
        preprocessing=preprocessing(size, source=source, target=target, alpha=alpha),
        domains=Domains(source=domains[0], target=domains[1]),
        noise=noise,
    )


def file_names(name_a: str, name_b: str) -> tuple[str, str]:
    """Two domains' names as parts of file names: ("Winter, at night", "B") -> ("Winter-at-night", "B")."""
    a, b = (re.sub(r"[^\w.]+", "-", words).strip("-.") for words in (name_a, name_b))
    return (a, b) if a and b and a.lower() != b.lower() else ("a", "b")
