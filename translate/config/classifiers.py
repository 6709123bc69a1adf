"""What a user decides about a classifier of whole images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Ge, Le, Lt

from translate.config.autoencoders import LearningRunConfig
from translate.config.base import Config
from translate.config.networks import Norm
from translate.config.training import Augmentation, ImageSetConfig

ClassifierTask = Literal["classes", "rotations"]


@dataclass(frozen=True, kw_only=True)
class ImageClassifierConfig(Config):
    """A small network that names the class of an image, and describes it by a few numbers.

    Without labels it can learn by how many quarter turns an image was rotated (Gidaris et al., 2018), for its features.
    """

    data: ImageSetConfig
    run: LearningRunConfig
    task: ClassifierTask = "classes"
    """Name the class of an image, or tell by how much it was turned."""
    width: Annotated[int, Ge(1)] = 32
    """Channels after the first convolution."""
    num_features: Annotated[int, Ge(1)] = 64
    """Values that describe an image."""
    norm: Norm = "batch"
    dropout: Annotated[float, Ge(0.0), Lt(1.0)] = 0.2
    """Probability of dropping a feature."""
    label_smoothing: Annotated[float, Ge(0.0), Lt(1.0)] = 0.0
    """Probability that another class is given."""
    weight_decay: Annotated[float, Ge(0.0), Le(1.0)] = 0.01
    augment: tuple[Augmentation, ...] = ()
    """What changes the images by chance: colour, translation, cutout."""
