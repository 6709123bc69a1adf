"""What a user decides about a StyleGAN."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Ge, Le, Lt

from translate.config.base import ConfigError
from translate.config.training import Augmentation, ImageSetConfig, MethodConfig


@dataclass(frozen=True, kw_only=True)
class StyleGANConfig(MethodConfig):
    """A compact StyleGAN2 (Karras et al., 2020), growing from small images to large ones."""

    data: ImageSetConfig
    conditional: bool = False
    """Condition on the classes of a labelled set, so that images of a chosen class can be generated."""
    latent: Annotated[int, Ge(1)] = 128
    """Dimension of the random latent vector."""
    style_dim: Annotated[int, Ge(1)] = 128
    """Dimension of a style vector."""
    width: Annotated[int, Ge(1)] = 32
    """Channels of both networks at 64 px; doubled at each halving of the size, up to six times as many, and halved at
    each doubling, down to 16."""
    mapping_layers: Annotated[int, Ge(1)] = 4
    """Layers of the mapping network from latents to styles; 8 as published."""
    styling: Literal["modulated", "adain"] = "modulated"
    """Style mechanism: modulated convolutions (StyleGAN2), or adaptive instance normalisation (adain, StyleGAN)."""
    mixing: Annotated[float, Ge(0.0), Le(1.0)] = 0.9
    """Style-mixing probability, 0-1: the share of images whose layers after a random crossover take the styles of a
    second latent."""
    grow: bool = True
    """Progressive growing: start with small images and grow the networks; without it, train at full size only."""
    grow_from: Annotated[int, Ge(4)] = 8
    """Starting resolution in pixels, a power of two."""
    stay_images: Annotated[int, Ge(1)] = 25_000
    """Images seen at each resolution after its fade-in."""
    fade_images: Annotated[int, Ge(1)] = 25_000
    """Images seen while a new resolution is faded in."""
    r1_weight: Annotated[float, Ge(0.0)] | None = None
    """Weight gamma of the R1 penalty, applied every 16 steps; default: 0.0002 * size^2 / batch (StyleGAN2-ADA)."""
    path_weight: Annotated[float, Ge(0.0)] = 2.0
    """Weight of the path-length penalty, applied every 4 steps on half a batch; 0 turns it off."""
    augment: tuple[Augmentation, ...] = ()
    """Augmentations of all images the discriminator sees, real and generated (DiffAugment), for small data sets;
    default: none."""
    ada_target: Annotated[float, Ge(0.0), Lt(1.0)] = 0.0
    """Adaptive augmentation (ADA): target for the mean sign of the discriminator's output on real images (0.6 as
    published); 0 turns it off."""
    ada_images: Annotated[int, Ge(1)] = 100_000
    """Images over which the ADA probability can rise from 0 to 1."""

    def __post_init__(self) -> None:
        if self.grow_from & (self.grow_from - 1):
            raise ConfigError(f"--grow-from {self.grow_from} is not a power of two: choose 4, 8 or 16, for example")
        if self.ada_target and self.augment:
            raise ConfigError("--augment and --ada-target both augment the images: give only one of them")
