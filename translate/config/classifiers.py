"""What a user decides about a classifier of whole images, by class, by quarter turn or by domain."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Ge, Le, Lt

from translate.config.networks import Norm
from translate.config.training import Augmentation, ImageSetConfig, MethodConfig, UnpairedDataConfig

ClassifierTask = Literal["classes", "rotations"]


@dataclass(frozen=True, kw_only=True)
class ClassifierConfig(MethodConfig):
    """What every classifier has."""

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


@dataclass(frozen=True, kw_only=True)
class ImageClassifierConfig(ClassifierConfig):
    """A small network that classifies images and describes them by feature vectors.

    Without labels, it can learn features by predicting how many quarter turns an image was rotated (Gidaris et al.,
    2018).
    """

    data: ImageSetConfig
    task: ClassifierTask = "classes"
    """Training task: predict the class of an image, or by how many quarter turns it was rotated."""
    augment: tuple[Augmentation, ...] = ()
    """Random augmentations: colour, translation, cutout; default: none."""


@dataclass(frozen=True, kw_only=True)
class DomainClassifierConfig(ClassifierConfig):
    """A small network that classifies images by domain, and whose features describe them; for scoring translations."""

    data: UnpairedDataConfig
    label_smoothing: Annotated[float, Ge(0.0), Lt(1.0)] = 0.1
    """Label smoothing, 0-1: share of the target probability spread evenly over all classes, which bounds the
    features."""
    weight_decay: Annotated[float, Ge(0.0), Le(1.0)] = 0.02
    """Weight decay of the optimiser, 0-1."""
    colour_jitter: Annotated[float, Ge(0.0), Le(1.0)] = 0.1
    """Strength, 0-1, of random changes of brightness, contrast and saturation."""
    outliers: Annotated[float, Ge(0.0), Le(1.0)] = 0.25
    """Share of the images, 0-1, that are shown once more, distorted beyond recognition and labelled as an extra class,
    so that failed translations are not assigned to a domain."""
