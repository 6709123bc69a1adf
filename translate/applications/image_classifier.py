"""The classifier by which generated images are scored: trained on the real images once, kept, and used again.

It names classes where there are labels, and tells quarter turns where there are none. Distances between sets of images
are taken in its features; they compare only with others that were taken in the same.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from rich.console import Console
from torch import Tensor

from translate.applications.domain_classifier import ClassifierError, QuietDisplay
from translate.checkpoint.atomic import written_beside
from translate.checkpoint.weights import WeightsError, load_weights, weights_file
from translate.config.base import ConfigError
from translate.config.classifiers import ImageClassifierConfig
from translate.config.methods import run_config
from translate.config.training import ImageSetConfig
from translate.config.weights import WeightsConfig, image_set_of
from translate.data.image_set import ImageSet
from translate.engine import train
from translate.networks import Classifier
from translate.recipes.image_classifier import turned

DATA_FILE = "data.json"
AT_ONCE = 500  # images
MOST_IMAGES, FEWEST_IMAGES, EPOCHS = 300_000, 20_000, 10
"""Images that a training sees at most and at least, and how often each unless that is too much or too little."""


@dataclass(frozen=True, kw_only=True)
class ImageClassifier:
    """A trained classifier."""

    network: Classifier
    config: WeightsConfig
    file: str
    sha256: str
    device: torch.device

    @property
    def by_turns(self) -> bool:
        return self.config.domains.target == "turns"

    @torch.inference_mode()
    def features(self, images: Tensor) -> Tensor:
        """[N, C, S, S] in [-1, 1] -> [N, D] on the CPU."""
        return torch.cat([self.network.features(part.to(self.device)).cpu() for part in images.split(AT_ONCE)])

    @torch.inference_mode()
    def logits(self, images: Tensor) -> Tensor:
        """[N, C, S, S] in [-1, 1] -> [N, K] on the CPU."""
        return torch.cat([self.network(part.to(self.device)).float().cpu() for part in images.split(AT_ONCE)])

    def right(self, images: Tensor, labels: Tensor | None) -> Tensor:
        """Which images it names right, bool [N]; by their turns, whether it knows all four."""
        if self.by_turns:
            found = [
                self.logits(turned(images, torch.full((len(images),), turn))).argmax(dim=1) == turn for turn in range(4)
            ]
            return torch.stack(found).float().mean(dim=0) == 1
        assert labels is not None
        return self.logits(images).argmax(dim=1) == labels


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


def classifier_training(
    data: ImageSetConfig,
    out: Path,
    *,
    num_images: int,
    has_labels: bool,
    device: str,
    seed: int,
    images_seen: int | None,
) -> ImageClassifierConfig:
    """The training that was found to name 99 % of MNIST's test digits right.

    Args:
        data: The images.
        out: Run folder.
        num_images: Training images.
        has_labels: It learns turns where there are none.
        device: Where it is trained.
        seed: Of its weights and of the order of the images.
        images_seen: Images to see, repetitions counted; from their number unless given.
    """
    total = images_seen if images_seen is not None else min(MOST_IMAGES, max(FEWEST_IMAGES, EPOCHS * num_images))
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
            device=device,
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
) -> ImageClassifier:
    """The classifier kept in a folder, or else a new one, trained on the data's training images and kept there.

    An interrupted training goes on where it stopped.

    Args:
        data: The images.
        folder: A run folder; made where there is none.
        device: Where it is trained and used.
        console: Where its training is shown.
        seed: Of its training.
        images_seen: As for `classifier_training`.
        name: What it is said to be of; the data's name unless given.

    Raises:
        ConfigError: the folder holds a classifier of other images.
        ClassifierError: its training was interrupted.
    """
    config = classifier_training(
        data.config,
        folder,
        num_images=data.num_images,
        has_labels=len(data.class_names) > 1,
        device=str(device),
        seed=seed,
        images_seen=images_seen,
    )
    belongs = {"classes": list(data.class_names), "size": data.size, "images": digest(data)}
    record = folder / DATA_FILE
    if record.is_file() or (folder / "states").is_dir():
        if _read(record) != belongs:
            raise ConfigError(f"{folder} holds a classifier of other images: give another folder, or remove it")
    else:
        with written_beside(record) as beside:
            beside.write_text(json.dumps(belongs, indent=2) + "\n", encoding="utf-8")
    if not _is_finished(folder, config):
        name = name or data.config.root.resolve().name
        console.print(
            f"training a classifier of {name} once (several minutes); it is kept in {folder}",
            markup=False,
            soft_wrap=True,
        )
    return trained_classifier(config, device=device, console=console)


def trained_classifier(config: ImageClassifierConfig, *, device: torch.device, console: Console) -> ImageClassifier:
    """The classifier of a training, which is gone on with where it is not finished.

    Raises:
        ClassifierError: it was interrupted.
    """
    folder = config.run.out
    if not _is_finished(folder, config):
        train(config, display=QuietDisplay(console=console))
        if not _is_finished(folder, config):
            raise ClassifierError("interrupted: the classifier is unfinished. Run the same command again to resume")
    return read_classifier(folder, device=device)


def read_classifier(folder: Path, *, device: torch.device) -> ImageClassifier:
    """The classifier of a run.

    Raises:
        WeightsError: there is none.
    """
    network, config = load_weights(folder)
    if not isinstance(network, Classifier):
        raise WeightsError(f"'{config.name}' is a {config.kind}: scoring needs a classifier")
    file = weights_file(folder)
    sha256 = hashlib.sha256(file.read_bytes()).hexdigest()
    return ImageClassifier(
        network=network.to(device).eval(), config=config, file=str(file), sha256=sha256, device=device
    )


def digest(data: ImageSet) -> str:
    """A digest of the training images, by which the same data is known again: of pixels, or of names and sizes."""
    part, found = data.part("train"), hashlib.sha256()
    if part.pixels is not None:
        found.update(part.pixels.tobytes())
    for source in part.sources:
        found.update(f"{source.path.name} {source.path.stat().st_size}\n".encode())
    if part.labels is not None:
        found.update(part.labels.tobytes())
    return found.hexdigest()


def _is_finished(folder: Path, config: ImageClassifierConfig) -> bool:
    try:
        _, said = load_weights(folder)
    except WeightsError:
        return False
    assert config.run.images is not None
    return said.training is not None and said.training.images_seen >= config.run.images


def _read(record: Path) -> object:
    try:
        return json.loads(record.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
