"""Training methods, one file each; the table below is all that names them."""

from __future__ import annotations

from pathlib import Path

from translate.config.training import Pix2PixConfig, SegmentationConfig, TrainConfig
from translate.data.paired import PairedImages
from translate.recipes.base import Progress, Recipe, TrainingData, Update
from translate.recipes.pix2pix import Pix2Pix
from translate.recipes.segmentation import Segmentation


def open_recipe(config: TrainConfig, *, cache: Path | None = None) -> tuple[Recipe, PairedImages]:
    """The recipe that a configuration names, and its data.

    Raises:
        LayoutError, ConfigError: the data or the configuration will not do; the message says why and what to change.
    """
    match config:
        case Pix2PixConfig():
            data = PairedImages(config.data, cache=cache)
            return Pix2Pix(config, data), data
        case SegmentationConfig():
            data = PairedImages(config.data, cache=cache, nearest_target=True)
            return Segmentation(config, data), data


__all__ = ["Pix2Pix", "Progress", "Recipe", "Segmentation", "TrainingData", "Update", "open_recipe"]
