"""The classifier that scores translations without pairs: trained on the real images, kept, and used again.

It says which share of the outputs is seen as the target domain, and distances are taken in its features where no other
network is given. Its own accuracy on real images that it was not trained on is always measured with it: a score from a
classifier that is right on 70 % of the real images means little.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
import torch
import torch.nn.functional as F
from rich.console import Console
from torch import Tensor, nn

from translate.checkpoint.atomic import written_beside
from translate.checkpoint.weights import WeightsError, load_weights
from translate.config.base import ConfigError
from translate.config.errors import TranslateError
from translate.config.networks import ClassifierNetworkConfig
from translate.config.training import ClassifierConfig, RunConfig, UnpairedDataConfig, UnpairedLayout
from translate.config.weights import WeightsConfig
from translate.data.folder_images import default_size
from translate.data.layouts import UnpairedData
from translate.engine import Display, train
from translate.recipes.classifier import NO_CLASS

LARGEST_SIZE = 64
"""Side in pixels at which images are looked at: enough for a domain, and too little for a generator's fine texture."""
FEWEST_IMAGES, MOST_IMAGES, EPOCHS = 2_000, 20_000, 25
"""Training images of each domain that are seen, repetitions counted."""
UNRELIABLE = 0.8
"""Held-out accuracy below which what the classifier says of outputs means little."""
DATA_FILE = "data.json"


class QuietDisplay(Display):
    """The line of a training, without what is said of runs that a user started."""

    def say(self, line: str) -> None:
        if line.startswith("skipped"):
            super().say(line)


class ClassifierError(TranslateError, RuntimeError):
    """A domain classifier that is not finished; the message says how to go on."""


@dataclass(frozen=True, kw_only=True)
class HeldOut:
    """How often a classifier is right on real images that it was not trained on."""

    accuracy: float
    """Mean over the domains, so that their counts do not matter."""
    interval: tuple[float, float]
    """95 %, from resampling the images."""
    by_domain: dict[str, float]
    num_images: dict[str, int]


class DomainClassifier:
    """A trained classifier: images in [0, 1] of any size in, probabilities and features out.

    Args:
        network: A `Classifier`.
        config: What its weights say.
        device: Where it runs.

    Attributes:
        domains: Their names, in the order of the logits; a last logit may be for images of none of them.
        num_features: Values that describe an image.
        size: Side of the square that it sees.

    Raises:
        WeightsError: the weights are no classifier's.
    """

    name = "domain classifier"

    def __init__(self, network: nn.Module, config: WeightsConfig, *, device: torch.device) -> None:
        if config.kind != "classifier" or not isinstance(config.network, ClassifierNetworkConfig):
            raise WeightsError(f"'{config.name}' is a {config.kind}: distinguishing domains needs a classifier")
        self.network, self.config, self.device = network.to(device).eval(), config, device
        self.domains = tuple(name for name in config.classes if name != NO_CLASS)
        self.num_features, self.size = config.network.num_features, config.network.size
        self._channels = config.network.in_channels

    @torch.inference_mode()
    def describe(self, images: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """Features [N, D] and probabilities [N, K], on the CPU, of images [1, C, H, W] in [0, 1]."""
        batch = torch.cat([squeezed(image, size=self.size, channels=self._channels) for image in images])
        features = self.network.features(batch.to(self.device))  # type: ignore[operator]
        return features.cpu(), self.network.head(features).softmax(dim=1).cpu()  # type: ignore[operator]


def squeezed(image: Tensor, *, size: int, channels: int) -> Tensor:
    """[1, C, H, W] in [0, 1] as [1, channels, size, size] in [-1, 1], by an anti-aliased bilinear filter."""
    if image.shape[1] != channels:
        image = image.mean(dim=1, keepdim=True) if channels == 1 else image[:, :1].expand(-1, channels, -1, -1)
    if image.shape[-2:] != (size, size):
        image = F.interpolate(image, (size, size), mode="bilinear", antialias=True)
    return image * 2 - 1


def open_classifier(
    found: UnpairedData,
    folder: Path,
    *,
    names: tuple[str, str],
    root_b: Path | None = None,
    device: torch.device,
    console: Console,
    seed: int = 0,
    images: int | None = None,
) -> DomainClassifier:
    """The classifier kept in a folder, or else a new one, trained on the data and kept there.

    An interrupted training goes on where it stopped.

    Args:
        found: The two domains.
        folder: A run folder; made where there is none.
        names: What the domains show.
        root_b: As it was given for `found`.
        device: Where it is trained and used.
        console: Where its training is shown.
        seed: Of its weights and of the order of the images.
        images: Training images of each domain to see, repetitions counted; from the data's size unless given.

    Raises:
        ConfigError: the folder holds a classifier of other data, or there are no training images.
        ClassifierError: its training was interrupted.
    """
    if "train" not in found.splits:
        raise ConfigError(f"{found.root} has no training images for the domain classifier: {found.describe()}")
    belongs = {"domains": list(names), "images": _digest(found)}
    record = folder / DATA_FILE
    if record.is_file() or (folder / "states").is_dir():
        if _read(record) != belongs:
            raise ConfigError(
                f"{folder} holds a classifier of other domains or other images: give another folder, or remove it"
            )
    else:
        with written_beside(record) as beside:
            beside.write_text(json.dumps(belongs, indent=2) + "\n", encoding="utf-8")
    count = max(len(sources) for sources in found.splits["train"])
    total = images if images is not None else min(MOST_IMAGES, max(FEWEST_IMAGES, EPOCHS * count))
    if not _is_finished(folder, total):
        console.print(
            f"training a classifier of {names[0]} and {names[1]} once (1-2 minutes); it is kept in {folder}",
            markup=False,
            soft_wrap=True,
        )
        config = _training(found, folder, names, root_b, device=device, seed=seed, images=total)
        train(config, display=QuietDisplay(console=console))
        if not _is_finished(folder, total):
            raise ClassifierError("the domain classifier is unfinished: run the same command again to resume")
    network, said = load_weights(folder)
    return DomainClassifier(network, said, device=device)


def _training(
    found: UnpairedData,
    folder: Path,
    names: tuple[str, str],
    root_b: Path | None,
    *,
    device: torch.device,
    seed: int,
    images: int,
) -> ClassifierConfig:
    """The training that was found to do on a few hundred photos of each domain."""
    shorter = [min(first, second) for first, second in zip(found.size_a, found.size_b, strict=True)]
    return ClassifierConfig(
        data=UnpairedDataConfig(
            root=found.root,
            root_b=root_b,
            layout=cast(UnpairedLayout, found.layout),
            names=names,
            size=max(16, min(LARGEST_SIZE, default_size(shorter[0], shorter[1]))),
            enlarge=1.125,
        ),
        run=RunConfig(
            out=folder,
            images=images,
            batch_size=16,
            learning_rate=2e-3,
            beta1=0.9,
            schedule="cosine",
            decay_from=0.0,
            ema_half_life=images / 25,
            init="kaiming",
            device=str(device),
            seed=seed,
            log_every=1000,
            keep=1,
        ),
    )


def _is_finished(folder: Path, images: int) -> bool:
    try:
        _, config = load_weights(folder)
    except WeightsError:
        return False
    return config.training is not None and config.training.images_seen >= images


def _digest(found: UnpairedData) -> str:
    """A digest of the training images' names and sizes in bytes, by which the same data is known again."""
    digest = hashlib.sha256()
    for side, sources in enumerate(found.splits["train"]):
        for source in sources:
            digest.update(f"{side} {source.path.name} {source.path.stat().st_size}\n".encode())
    return digest.hexdigest()


def _read(record: Path) -> dict[str, object]:
    try:
        values = json.loads(record.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return values if isinstance(values, dict) else {}


def held_out(classifier: DomainClassifier, probabilities: Sequence[Tensor], *, seed: int = 0) -> HeldOut:
    """The accuracy on real images of each domain.

    Args:
        classifier: What saw them.
        probabilities: [N, K] for the real images of each domain, in their order.
        seed: Of the interval.
    """
    right = [(p.argmax(dim=1) == number).double().numpy() for number, p in enumerate(probabilities)]
    rng = np.random.default_rng(seed)
    draws = [np.mean([rng.choice(values, len(values)).mean() for values in right]) for _ in range(2000)]
    low, high = np.quantile(draws, [0.025, 0.975])
    return HeldOut(
        accuracy=float(np.mean([values.mean() for values in right])),
        interval=(float(low), float(high)),
        by_domain={name: float(values.mean()) for name, values in zip(classifier.domains, right, strict=True)},
        num_images={name: len(values) for name, values in zip(classifier.domains, right, strict=True)},
    )
