"""What a user decides about style transfer."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from annotated_types import Ge, Gt, Le

from translate.config.autoencoders import LearningRunConfig
from translate.config.base import Config
from translate.config.networks import Initialisation
from translate.config.training import ImageSetConfig

MOST_STRENGTH = 1.5
"""Of a style, 1 as it was learned."""


@dataclass(frozen=True, kw_only=True)
class PhotosConfig(ImageSetConfig):
    """Photographs of any kind."""

    enlarge: Annotated[float, Ge(1.0), Le(32.0)] = 286 / 256
    """The shorter side is resized to this times the size before a random crop."""
    flip: bool = True
    """Mirror half of the samples."""


@dataclass(frozen=True, kw_only=True)
class StyleTransferRunConfig(LearningRunConfig):
    """How long, how fast, on what, and where it is written; with what suits style transfer."""

    epochs: Annotated[float, Gt(0.0)] = 20.0
    """Times that each image is seen."""
    batch_size: Annotated[int, Ge(1)] = 4
    """Images of one step, over all processes."""
    init: Initialisation = "kaiming"
    """How weights start: normal with deviation 0.02, Xavier, Kaiming, or orthogonal."""
    log_every: Annotated[int, Ge(1)] | None = 200
    """Images between two lines of the log."""
    sample_every: Annotated[int, Ge(1)] | None = 2_000
    """Images between two sample grids."""
    checkpoint_every: Annotated[int, Ge(1)] | None = 5_000
    """Images between two saved states."""


@dataclass(frozen=True, kw_only=True)
class StyleTransferConfig(Config):
    """Style transfer (Johnson et al., 2016; Dumoulin et al., 2017): photographs painted in the styles of images."""

    data: PhotosConfig
    run: StyleTransferRunConfig
    styles: Path
    """One image, or a folder of them: each is a style of its name; so is each folder of images in it, as one style."""
    any_style: bool = False
    """Learn an encoder that finds the style of any image, in place of a code for each: each image of --styles is one to
    learn from, and hundreds are needed."""
    widths: tuple[Annotated[int, Ge(1)], Annotated[int, Ge(1)], Annotated[int, Ge(1)]] = (16, 32, 64)
    """Channels of the generator at full, half and quarter size."""
    packed: bool = True
    """Go to quarter size in one step, which is faster than by strided convolutions."""
    num_blocks: Annotated[int, Ge(0)] = 4
    """Residual blocks, at quarter size."""
    code: Annotated[int, Ge(1)] = 32
    """Numbers of the code of a style."""
    style_size: Annotated[int, Ge(32), Le(2048)] = 384
    """The shorter side of a style image is resized to this: larger images have broader strokes."""
    style_weight: Annotated[float, Ge(0.0)] = 3.0
    """Of the distance to the style, in Gram matrices of features."""
    content_weight: Annotated[float, Ge(0.0)] = 1.0
    """Of the distance to the photograph, in features."""
    smoothness_weight: Annotated[float, Ge(0.0)] = 0.02
    """Of the total variation: higher for calmer areas."""
