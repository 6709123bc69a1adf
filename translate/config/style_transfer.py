"""What a user decides about style transfer."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from annotated_types import Ge, Le

from translate.config.training import ImageSetConfig, MethodConfig

MOST_STRENGTH = 1.5
"""Maximum strength of a style; 1 is as trained."""
LEAST_STYLE = 64
"""Minimum length of the shorter side of a style image, in pixels."""


@dataclass(frozen=True, kw_only=True)
class StyleTransferConfig(MethodConfig):
    """Style transfer (Johnson et al., 2016; Dumoulin et al., 2017): photographs painted in the styles of images."""

    data: ImageSetConfig
    styles: Path
    """Style images: one file, or a folder in which each image, and each subfolder of images, is a style of its
    name."""
    any_style: bool = False
    """Arbitrary style transfer: train an encoder that infers the style code of any image, instead of one code per
    style; needs hundreds of images in --styles."""
    widths: tuple[Annotated[int, Ge(1)], Annotated[int, Ge(1)], Annotated[int, Ge(1)]] = (16, 32, 64)
    """Channels of the generator at full, half and a quarter of the size."""
    packed: bool = True
    """Downsample to a quarter of the size by space-to-depth (pixel unshuffle), which is faster than strided
    convolutions."""
    num_blocks: Annotated[int, Ge(0)] = 4
    """Residual blocks, at a quarter of the size."""
    style_dim: Annotated[int, Ge(1)] = 32
    """Dimension of a style code."""
    style_size: Annotated[int, Ge(32), Le(2048)] = 384
    """Length in pixels to which the shorter side of a style image is resized; larger gives broader strokes."""
    style_weight: Annotated[float, Ge(0.0)] = 3.0
    """Weight of the style loss, between Gram matrices of features."""
    content_weight: Annotated[float, Ge(0.0)] = 1.0
    """Weight of the content loss, between features of output and photograph."""
    smoothness_weight: Annotated[float, Ge(0.0)] = 0.02
    """Weight of the total-variation loss; higher for smoother areas."""
