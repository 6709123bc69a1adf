"""What a user decides about a StyleGAN."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Ge, Gt, Le, Lt

from translate.config.base import Config, ConfigError
from translate.config.gans import GANRunConfig
from translate.config.training import Augmentation, ImageSetConfig


@dataclass(frozen=True, kw_only=True)
class StyleGANRunConfig(GANRunConfig):
    """As of any GAN, with the Adam and the average of StyleGAN2."""

    batch_size: Annotated[int, Ge(1)] = 32
    """Images of one step at the training size, over all processes; up to four times as many while it grows."""
    learning_rate: Annotated[float, Gt(0.0)] = 2e-3
    beta1: Annotated[float, Ge(0.0), Lt(1.0)] = 0.0
    beta2: Annotated[float, Ge(0.0), Lt(1.0)] = 0.99
    ema_half_life: Annotated[float, Ge(0.0)] = 10_000.0
    """Half-life, in images, of an average of the generator's weights that is exported in its place; 0 is off."""
    ema_ramp_up: Annotated[float, Ge(0.0), Le(1.0)] = 0.05
    """Share of the images seen that the half-life is at most; 0 is no bound."""


@dataclass(frozen=True, kw_only=True)
class StyleGANConfig(Config):
    """A compact StyleGAN2 (Karras et al., 2020), growing from small images to large ones."""

    data: ImageSetConfig
    run: StyleGANRunConfig
    conditional: bool = False
    """Learn the classes of a labelled set, too; then images of a class can be asked for."""
    latent: Annotated[int, Ge(1)] = 128
    """Random numbers that an image is made of."""
    style: Annotated[int, Ge(1)] = 128
    """Numbers of a style."""
    width: Annotated[int, Ge(1)] = 32
    """Channels of both networks at 64 px; twice as many at each half of that up to six times, half at each double
    down to 16."""
    mapping_layers: Annotated[int, Ge(1)] = 4
    """Layers from latents to styles; 8 as published."""
    styling: Literal["modulated", "adain"] = "modulated"
    """Modulated convolutions (StyleGAN2), or adaptive instance normalisation (StyleGAN)."""
    mixing: Annotated[float, Ge(0.0), Le(1.0)] = 0.9
    """Probability that an image has the styles of two latents, the second from a layer on that is drawn."""
    grow: Literal["on", "off"] = "on"
    """Begin with small images and let the networks grow, or train at the full size from the start."""
    grow_from: Annotated[int, Ge(4)] = 8
    """Side of the first images, a power of two."""
    stay_images: Annotated[int, Ge(1)] = 25_000
    """Images for which a size is kept once it has faded in."""
    fade_images: Annotated[int, Ge(1)] = 25_000
    """Images over which a size fades in."""
    r1_weight: Annotated[float, Ge(0.0)] | None = None
    """Weight gamma of the R1 penalty, taken every 16 steps; 0.0002 * size^2 / batch unless given (StyleGAN2-ADA)."""
    path_weight: Annotated[float, Ge(0.0)] = 2.0
    """Of the path length penalty, taken every 4 steps on half a batch; 0 is off."""
    augment: tuple[Augmentation, ...] = ()
    """What changes all that the discriminator sees (DiffAugment), for small sets."""
    ada_target: Annotated[float, Ge(0.0), Lt(1.0)] = 0.0
    """Adaptive augmentation: as strong as needed to keep the mean sign of the discriminator on real images here (0.6
    as published); 0 is off."""
    ada_images: Annotated[int, Ge(1)] = 100_000
    """Images in which its probability may go from 0 to 1."""

    def __post_init__(self) -> None:
        if self.grow_from & (self.grow_from - 1):
            raise ConfigError(f"--grow-from {self.grow_from} is no power of two: choose 8 or 16")
        if self.ada_target and self.augment:
            raise ConfigError("--augment and --ada-target are two ways to the same end: give one of them")
