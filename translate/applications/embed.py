"""Latents of a data set: what they are good for, and how they lie.

k-nearest neighbours and a linear classifier are trained on the latents of the training images and tested on those of
the others, and beside them on the raw pixels and on as many principal components of these: latents that do no better
than those have learned nothing that a rotation does not show. Needs scikit-learn.

Shapes: N images, D latents.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from translate.config.base import ConfigError
from translate.metrics import bootstrap_interval

NEIGHBOURS = 5


@dataclass(frozen=True, kw_only=True)
class Probe:
    """How well classes are told by a representation: shares from 0 to 1 of the test images."""

    name: str
    num_values: int
    neighbours: float
    linear: float
    neighbours_interval: tuple[float, float]
    linear_interval: tuple[float, float]


def sklearn(part: str) -> Any:
    """A part of scikit-learn, imported when it is needed.

    Raises:
        ConfigError: it is not installed.
    """
    from importlib import import_module

    try:
        return import_module(f"sklearn.{part}")
    except ModuleNotFoundError as error:
        raise ConfigError(
            f'this needs scikit-learn ({error}): pip install "image-translate[learn]", or pip install scikit-learn'
        ) from None


def probe(name: str, train: np.ndarray, train_labels: np.ndarray, test: np.ndarray, test_labels: np.ndarray) -> Probe:
    """Tell the classes of the test images from representations.

    Args:
        name: Of the representation.
        train: [N, D] float.
        train_labels: [N].
        test: [M, D].
        test_labels: [M].
    """
    neighbours = sklearn("neighbors").KNeighborsClassifier(NEIGHBOURS).fit(train, train_labels)
    near = (neighbours.predict(test) == test_labels).astype(np.float64)
    # Standardised, so that the penalty weighs all values alike and the solver ends.
    scaled = sklearn("preprocessing").StandardScaler().fit(train)
    classifier = sklearn("linear_model").LogisticRegression(max_iter=500).fit(scaled.transform(train), train_labels)
    right = (classifier.predict(scaled.transform(test)) == test_labels).astype(np.float64)
    return Probe(
        name=name,
        num_values=train.shape[1],
        neighbours=float(near.mean()),
        linear=float(right.mean()),
        neighbours_interval=bootstrap_interval(near),
        linear_interval=bootstrap_interval(right),
    )


def probes(
    latents: tuple[np.ndarray, np.ndarray],
    pixels: tuple[np.ndarray, np.ndarray],
    labels: tuple[np.ndarray, np.ndarray],
) -> list[Probe]:
    """The latents beside as many principal components of the pixels, and the pixels.

    Args:
        latents: Of the training and of the test images, [N, D] and [M, D].
        pixels: Of the same, [N, ...] and [M, ...].
        labels: Of the same.
    """
    flat = tuple(part.reshape(len(part), -1).astype(np.float32) for part in pixels)
    count = min(latents[0].shape[1], *flat[0].shape)
    components = sklearn("decomposition").PCA(count, svd_solver="randomized", random_state=0).fit(flat[0])
    reduced = components.transform(flat[0]), components.transform(flat[1])
    candidates = {"latents": latents, f"PCA-{count} of the pixels": reduced, "pixels": flat}
    return [probe(name, train, labels[0], test, labels[1]) for name, (train, test) in candidates.items()]


def flattened(latents: np.ndarray, *, seed: int = 0) -> dict[str, np.ndarray]:
    """Latents in two dimensions, by t-SNE (van der Maaten and Hinton, 2008) and by PCA: [N, 2] each, within [0, 1].

    Args:
        latents: [N, D], four images or more.
        seed: Of the t-SNE.

    Raises:
        ConfigError: too few images.
    """
    if len(latents) < 4:
        raise ConfigError(
            f"a map of {len(latents)} images shows nothing: give four at least, and hundreds to see groups"
        )
    components = min(2, latents.shape[1])
    linear = sklearn("decomposition").PCA(components, random_state=seed).fit_transform(latents)
    if components < 2:
        linear = np.stack([linear[:, 0], np.zeros(len(linear))], axis=1)
    perplexity = min(30.0, (len(latents) - 1) / 3)
    tsne = sklearn("manifold").TSNE(2, perplexity=perplexity, init="pca", random_state=seed)
    if latents.shape[1] < 2:
        tsne.set_params(init="random")
    return {"t-SNE": _within(tsne.fit_transform(latents.astype(np.float32))), "PCA": _within(linear)}


def _within(points: np.ndarray) -> np.ndarray:
    """Moved and scaled into the unit square, both axes alike."""
    low, high = points.min(axis=0), points.max(axis=0)
    span = float((high - low).max()) or 1.0
    return (points - (low + high) / 2) / span + 0.5
