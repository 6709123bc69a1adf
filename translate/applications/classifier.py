"""The classifiers that images are scored by: trained on the real images once, kept in a folder, and used again.

One tells the domains of unpaired translation apart: it says which share of the outputs is seen as the target domain.
Its accuracy on real images that it was not trained on is always measured with it: a score from a classifier that is
right on 70 % of the real images means little. The other names the classes of generated images where there are labels,
and tells quarter turns where there are none. Distances between sets of images are taken in their features; they compare
only with others that were taken in the same.

Shapes: N batch, C channels, H height, W width, S side, K classes, D features.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
import torch.nn.functional as F
from rich.console import Console
from torch import Tensor

from translate.checkpoint.atomic import written_beside
from translate.checkpoint.files import WeightsError, weights_file
from translate.checkpoint.weights import load_weights
from translate.config.base import ConfigError
from translate.config.classifiers import ClassifierConfig, DomainClassifierConfig, ImageClassifierConfig
from translate.config.errors import TranslateError
from translate.config.methods import run_config
from translate.config.training import ImageSetConfig, RunConfig, UnpairedDataConfig, UnpairedLayout
from translate.config.weights import WeightsConfig, image_set_of
from translate.data.folder_images import default_size
from translate.data.image_set import ImageSet
from translate.data.layouts import UnpairedData
from translate.engine import Display, train
from translate.networks import Classifier
from translate.recipes.classifier import NO_CLASS, turned

DATA_FILE = "data.json"
AT_ONCE = 500  # images
LARGEST_DOMAIN_SIZE = 64
"""Side in pixels at which domains are told apart: enough for a domain, too little for a generator's fine texture."""
UNRELIABLE = 0.8
"""Held-out accuracy below which what a domain classifier says of outputs means little."""


@dataclass(frozen=True, kw_only=True)
class Length:
    """How long a classifier is trained: each image so often, within bounds of all images seen, repetitions counted."""

    epochs: int
    fewest: int
    most: int

    def images(self, num_images: int) -> int:
        """Images to see, of so many."""
        return min(self.most, max(self.fewest, self.epochs * num_images))


IMAGES, DOMAINS = Length(epochs=10, fewest=20_000, most=300_000), Length(epochs=25, fewest=2_000, most=20_000)
"""Of the classifier of a set, and of that of two domains."""


class ClassifierError(TranslateError, RuntimeError):
    """A classifier that is not finished; the message says how to go on."""


class QuietDisplay(Display):
    """The line of a training, without what is said of runs that a user started."""

    def say(self, line: str) -> None:
        if line.startswith("skipped"):
            super().say(line)


@dataclass(frozen=True, kw_only=True)
class KeptClassifier:
    """A trained classifier."""

    network: Classifier
    config: WeightsConfig
    file: str
    sha256: str
    device: torch.device

    @property
    def by_turns(self) -> bool:
        """Whether it tells quarter turns and not classes."""
        return self.config.domains.target == "turns"

    @property
    def domains(self) -> tuple[str, ...]:
        """What it tells apart, in the order of the logits; a last logit may be for images of none of them."""
        return tuple(name for name in self.config.classes if name != NO_CLASS)

    @property
    def num_features(self) -> int:
        """D."""
        return self.network.config.num_features

    @torch.inference_mode()
    def features(self, images: Tensor) -> Tensor:
        """[N, C, S, S] in [-1, 1] -> [N, D] on the CPU."""
        return torch.cat([self.network.features(part.to(self.device)).cpu() for part in images.split(AT_ONCE)])

    @torch.inference_mode()
    def logits(self, images: Tensor) -> Tensor:
        """[N, C, S, S] in [-1, 1] -> [N, K] on the CPU."""
        return torch.cat([self.network(part.to(self.device)).float().cpu() for part in images.split(AT_ONCE)])

    @torch.inference_mode()
    def describe(self, images: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """Features [N, D] and probabilities [N, K], on the CPU, of images [1, C, H, W] of any size in [0, 1]."""
        size, channels = self.network.config.size, self.network.config.in_channels
        batch = torch.cat([squeezed(image, size=size, channels=channels) for image in images])
        features = self.network.features(batch.to(self.device))
        return features.cpu(), self.network.head(features).softmax(dim=1).cpu()

    def right(self, images: Tensor, labels: Tensor | None) -> Tensor:
        """Which images [N, C, S, S] it names right, bool [N]; by their turns, whether it knows all four."""
        if self.by_turns:
            found = [
                self.logits(turned(images, torch.full((len(images),), turn))).argmax(dim=1) == turn for turn in range(4)
            ]
            return torch.stack(found).float().mean(dim=0) == 1
        assert labels is not None
        return self.logits(images).argmax(dim=1) == labels


def squeezed(image: Tensor, *, size: int, channels: int) -> Tensor:
    """[1, C, H, W] in [0, 1] as [1, channels, size, size] in [-1, 1], by an anti-aliased bilinear filter."""
    if image.shape[1] != channels:
        image = image.mean(dim=1, keepdim=True) if channels == 1 else image[:, :1].expand(-1, channels, -1, -1)
    if image.shape[-2:] != (size, size):
        image = F.interpolate(image, (size, size), mode="bilinear", antialias=True)
    return image * 2 - 1


def read_classifier(folder: Path, *, device: torch.device) -> KeptClassifier:
    """The classifier of a run.

    Raises:
        WeightsError: there is none.
    """
    network, config = load_weights(folder)
    if not isinstance(network, Classifier):
        raise WeightsError(f"'{config.name}' is a {config.kind}: scoring needs a classifier")
    file = weights_file(folder)
    sha256 = hashlib.sha256(file.read_bytes()).hexdigest()
    return KeptClassifier(
        network=network.to(device).eval(), config=config, file=str(file), sha256=sha256, device=device
    )


def trained_classifier(config: ClassifierConfig, *, device: torch.device, console: Console) -> KeptClassifier:
    """The classifier of a training, which is gone on with where it is not finished.

    Raises:
        ClassifierError: it was interrupted.
    """
    folder = config.run.out
    if not _is_finished(config):
        train(config, display=QuietDisplay(console=console))
        if not _is_finished(config):
            raise ClassifierError("interrupted: the classifier is unfinished. Run the same command again to resume")
    return read_classifier(folder, device=device)


def _kept(
    config: ClassifierConfig, belongs: dict[str, Any], *, device: torch.device, console: Console, what: str
) -> KeptClassifier:
    """The classifier kept in the folder of a training, or else a new one.

    Args:
        config: The training.
        belongs: What it is of, by which the same data is known again.
        device: Where it is used.
        console: Where its training is shown.
        what: Of what it is, and how long it takes, for the console.
    """
    folder = config.run.out
    record = folder / DATA_FILE
    if record.is_file() or (folder / "states").is_dir():
        if _read(record) != belongs:
            raise ConfigError(f"{folder} holds a classifier of other images: give another folder, or remove it")
    else:
        with written_beside(record) as beside:
            beside.write_text(json.dumps(belongs, indent=2) + "\n", encoding="utf-8")
    if not _is_finished(config):
        console.print(f"training a classifier of {what}; it is kept in {folder}", markup=False, soft_wrap=True)
    return trained_classifier(config, device=device, console=console)


def _is_finished(config: ClassifierConfig) -> bool:
    try:
        _, said = load_weights(config.run.out)
    except WeightsError:
        return False
    assert config.run.images is not None
    return said.training is not None and said.training.images_seen >= config.run.images


def _read(record: Path) -> object:
    try:
        return json.loads(record.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def _digest(lines: Iterable[bytes]) -> str:
    found = hashlib.sha256()
    for line in lines:
        found.update(line)
    return found.hexdigest()


# Of the classes of a set, or of quarter turns


def open_trained_set(weights: WeightsConfig, root: Path, *, attribute: str | None = None) -> ImageSet:
    """The image set that weights were trained on.

    It is whole where there are test images, so that weights with another share held out are scored by the same
    classifier; else what was held out from them stays apart as ``val``.

    Args:
        weights: What they say of themselves.
        root: Where the set is.
        attribute: Of CelebA, in place of the one of the training.
    """
    config = image_set_of(weights, root) or ImageSetConfig(root=root, size=weights.preprocessing.size)
    if attribute is not None:
        config = replace(config, attribute=attribute)
    whole = ImageSet(replace(config, hold_out=0.0))
    return whole if len(whole.part("test")) or not config.hold_out else ImageSet(config)


def image_training(
    data: ImageSetConfig,
    out: Path,
    *,
    num_images: int,
    has_labels: bool,
    device: torch.device,
    seed: int,
    images_seen: int | None,
) -> ImageClassifierConfig:
    """The training that was found to name 99 % of MNIST's test digits right.

    Args:
        data: The images.
        out: Run folder.
        num_images: Training images.
        has_labels: It learns quarter turns where there are none.
        device: Where it is trained.
        seed: Of its weights and of the order of the images.
        images_seen: Images to see, repetitions counted; from their number unless given.
    """
    total = images_seen if images_seen is not None else IMAGES.images(num_images)
    return ImageClassifierConfig(
        # Shifts by a few pixels; turns of a mirrored image are turns the other way. Rare classes count as much.
        data=replace(data, enlarge=1.15, flip=False, class_balanced=has_labels),
        task="classes" if has_labels else "rotations",
        run=run_config(
            "classifier",
            out=out,
            images=total,
            batch_size=64,
            learning_rate=2e-3,
            device=str(device),
            seed=seed,
            keep=1,
            log_every=10_000,
            sample_every=total,
        ),
    )


def open_image_classifier(
    data: ImageSet,
    folder: Path,
    *,
    device: torch.device,
    console: Console,
    seed: int = 0,
    images_seen: int | None = None,
    name: str | None = None,
) -> KeptClassifier:
    """The classifier kept in a folder, or else a new one, trained on the data's training images and kept there.

    An interrupted training goes on where it stopped.

    Args:
        data: The images; without two classes it learns quarter turns.
        folder: A run folder; made where there is none.
        device: Where it is trained and used.
        console: Where its training is shown.
        seed: Of its weights and of the order of the images.
        images_seen: Images to see, repetitions counted; from their number unless given.
        name: What it is said to be of; the data's name unless given.

    Raises:
        ConfigError: the folder holds a classifier of other images.
        ClassifierError: its training was interrupted.
    """
    config = image_training(
        data.config,
        folder,
        num_images=data.num_images,
        has_labels=len(data.class_names) > 1,
        device=device,
        seed=seed,
        images_seen=images_seen,
    )
    belongs = {"classes": list(data.class_names), "size": data.size, "images": digest(data)}
    what = f"{name or data.config.root.resolve().name} once (several minutes)"
    return _kept(config, belongs, device=device, console=console, what=what)


def digest(data: ImageSet) -> str:
    """A digest of the training images, by which the same data is known again: of pixels, or of names and sizes."""
    part = data.part("train")
    lines = [] if part.pixels is None else [part.pixels.tobytes()]
    lines += [f"{source.path.name} {source.path.stat().st_size}\n".encode() for source in part.sources]
    return _digest(lines if part.labels is None else [*lines, part.labels.tobytes()])


# Of two domains


def open_domain_classifier(
    found: UnpairedData,
    folder: Path,
    *,
    names: tuple[str, str],
    root_b: Path | None = None,
    device: torch.device,
    console: Console,
    seed: int = 0,
    images: int | None = None,
) -> KeptClassifier:
    """The classifier kept in a folder, or else a new one, trained on the domains and kept there.

    An interrupted training goes on where it stopped. It is the training that was found to do on a few hundred photos of
    each domain.

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
    sides = found.splits["train"]
    total = images if images is not None else DOMAINS.images(max(map(len, sides)))
    shorter = [min(first, second) for first, second in zip(found.size_a, found.size_b, strict=True)]
    config = DomainClassifierConfig(
        data=UnpairedDataConfig(
            root=found.root,
            root_b=root_b,
            layout=cast(UnpairedLayout, found.layout),
            names=names,
            size=max(16, min(LARGEST_DOMAIN_SIZE, default_size(shorter[0], shorter[1]))),
            enlarge=1.125,
        ),
        run=RunConfig(
            out=folder,
            images=total,
            batch_size=16,
            learning_rate=2e-3,
            beta1=0.9,
            schedule="cosine",
            decay_from=0.0,
            ema_half_life=total / 25,
            init="kaiming",
            device=str(device),
            seed=seed,
            log_every=1000,
            keep=1,
        ),
    )
    lines = [
        f"{side} {source.path.name} {source.path.stat().st_size}\n".encode()
        for side, sources in enumerate(sides)
        for source in sources
    ]
    belongs = {"domains": list(names), "images": _digest(lines)}
    what = f"{names[0]} and {names[1]} once (1-2 minutes)"
    return _kept(config, belongs, device=device, console=console, what=what)


@dataclass(frozen=True, kw_only=True)
class HeldOut:
    """How often a classifier is right on real images that it was not trained on."""

    accuracy: float
    """Mean over the domains, so that their counts do not matter."""
    interval: tuple[float, float]
    """95 %, from resampling the images."""
    by_domain: dict[str, float]
    num_images: dict[str, int]


def held_out(classifier: KeptClassifier, probabilities: Sequence[Tensor], *, seed: int = 0) -> HeldOut:
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
