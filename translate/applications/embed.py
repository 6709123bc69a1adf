"""Latents of a data set: what they are good for, and how they lie.

k-nearest neighbours and a linear classifier are trained on the latents of the training images and tested on those of
the others, and beside them on the raw pixels and on as many principal components of these: latents that do no better
than those have learned nothing that a rotation does not show. Needs scikit-learn.

Shapes: N images, D latents.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from translate.config.base import ConfigError
from translate.metrics import bootstrap_interval

NEIGHBOURS = 5
FEWEST = 4  # images on a map


@dataclass(frozen=True, kw_only=True)
class Probe:
    """Linear-probe and k-NN accuracy of a representation: shares from 0 to 1 of the test images."""

    name: str
    num_values: int
    neighbours: float | None
    """None where there are fewer training images than neighbours."""
    linear: float
    neighbours_interval: tuple[float, float] | None
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
    near = None
    if len(train) >= NEIGHBOURS:
        neighbours = sklearn("neighbors").KNeighborsClassifier(NEIGHBOURS).fit(train, train_labels)
        near = (neighbours.predict(test) == test_labels).astype(np.float64)
    # Standardised, so that the penalty weighs all values alike and the solver ends.
    scaled = sklearn("preprocessing").StandardScaler().fit(train)
    classifier = sklearn("linear_model").LogisticRegression(max_iter=500).fit(scaled.transform(train), train_labels)
    right = (classifier.predict(scaled.transform(test)) == test_labels).astype(np.float64)
    return Probe(
        name=name,
        num_values=train.shape[1],
        neighbours=None if near is None else float(near.mean()),
        linear=float(right.mean()),
        neighbours_interval=None if near is None else bootstrap_interval(near),
        linear_interval=bootstrap_interval(right),
    )


@dataclass(frozen=True, kw_only=True)
class Tellable:
    """Of which test images it can be measured how well their classes are told, and what is not measured."""

    rows: np.ndarray
    """Numbers of test images; none where nothing can be measured."""
    lines: list[str]
    """What is not, and why."""


def tellable(train_labels: np.ndarray, test_labels: np.ndarray, class_names: Sequence[str]) -> Tellable:
    """Find what the labels allow to measure.

    Args:
        train_labels: Numbers of the classes of the training images, [N].
        test_labels: Of the test images, [M].
        class_names: Of the numbers.
    """
    known = np.unique(train_labels)
    if len(known) < 2:
        every = f"all {len(train_labels)} training images are" if len(train_labels) > 1 else "the one training image is"
        why = f"{every} of the class {class_names[int(known[0])]!r}, and two are needed"
        return Tellable(rows=np.arange(0), lines=[f"linear-probe and k-NN accuracy are not measured: {why}"])
    is_known = np.isin(test_labels, known)
    lines = []
    if missing := [class_names[int(label)] for label in np.unique(test_labels[~is_known])]:
        named = ", ".join(missing[:6]) + (", ..." if len(missing) > 6 else "")
        left = f"{int((~is_known).sum())} of {len(test_labels)} test images"
        lines.append(f"linear-probe and k-NN accuracy exclude {left}: no training image is of {named}")
    if len(train_labels) < NEIGHBOURS and is_known.any():
        lines.append(f"{NEIGHBOURS}-NN is not measured: there are {len(train_labels)} training images")
    return Tellable(rows=np.flatnonzero(is_known), lines=lines)


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
    if len(latents) < FEWEST:
        raise ConfigError(
            f"a map needs at least {FEWEST} images, and hundreds to show clusters: {len(latents)} were given"
        )
    if (latents == latents[0]).all():  # images of one latent are one point, and t-SNE would divide by zero
        return {name: np.full((len(latents), 2), 0.5) for name in ("t-SNE", "PCA")}
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
