"""What a user decides about a classifier of whole images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Ge, Le, Lt

from translate.config.networks import Norm
from translate.config.training import Augmentation, ImageSetConfig, MethodConfig

ClassifierTask = Literal["classes", "rotations"]


@dataclass(frozen=True, kw_only=True)
class ImageClassifierConfig(MethodConfig):
    """A small network that classifies images and describes them by feature vectors.

    Without labels, it can learn features by predicting how many quarter turns an image was rotated (Gidaris et al.,
    2018).
    """

    data: ImageSetConfig
    task: ClassifierTask = "classes"
    """Training task: predict the class of an image, or by how many quarter turns it was rotated."""
    width: Annotated[int, Ge(1)] = 32
    """Channels after the first convolution; doubled twice."""
    num_features: Annotated[int, Ge(1)] = 64
    """Dimension of the feature vector that describes an image."""
    norm: Norm = "batch"
    """Normalisation of the convolutions."""
    dropout: Annotated[float, Ge(0.0), Lt(1.0)] = 0.2
    """Dropout probability of the features, 0-1."""
    label_smoothing: Annotated[float, Ge(0.0), Lt(1.0)] = 0.0
    """Label smoothing, 0-1: share of the target probability that is spread evenly over all classes."""
    weight_decay: Annotated[float, Ge(0.0), Le(1.0)] = 0.01
    """Weight decay of the optimiser, 0-1."""
    augment: tuple[Augmentation, ...] = ()
    """Random augmentations: colour, translation, cutout; default: none."""
