"""Filling the small classes of a labelled set with samples of a conditional GAN, and measuring whether that helps.

A sample is kept when a classifier of the training images names it as asked, and when it is no copy: it must be farther
from every training image of its class than nearly all training images are from each other. What it is worth is measured
by classifiers, trained without and with the samples, beside repeating images and beside changing them (Ravuri and
Vinyals, 2019, found that samples may well do harm).

Shapes: N images, C channels, S side, K classes.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from torch import Tensor

from translate.applications.classifier import KeptClassifier, trained_classifier
from translate.checkpoint.atomic import make_folder
from translate.config.base import ConfigError
from translate.config.classifiers import ImageClassifierConfig
from translate.config.methods import run_config
from translate.config.training import ImageSetConfig
from translate.data.image_set import ImageSet
from translate.inference import GeneratorModel
from translate.metrics import nearest_distances

AT_ONCE = 256  # samples
MOST_COMPARED = 2_000  # training images whose distances from each other are measured
DATA_FILE = "data.sha256"
TRIES = 20  # samples made at most for one that is missing
COPY = 0.01  # share of training images that are nearer to another than a sample may be
AS_IS, REPEATED, CHANGED = "unbalanced", "oversampled", "oversampled and augmented"
FILLED, FILLED_CHANGED = "filled with samples", "filled with samples and augmented"
T_95 = {2: 12.706, 3: 4.303, 4: 3.182, 5: 2.776, 6: 2.571, 7: 2.447, 8: 2.365, 9: 2.306, 10: 2.262}
"""97.5 % quantiles of Student's t for so many runs."""


@dataclass(frozen=True, kw_only=True)
class ClassFilled:
    """What became of a class."""

    name: str
    real: int
    missing: int
    made: int
    misnamed: int
    """Samples that the classifier took for another class."""
    copies: int
    """Samples that were too near to a training image."""


@dataclass(frozen=True, kw_only=True)
class Filled:
    """The samples that were kept."""

    images: Tensor
    """uint8 [N, C, S, S]."""
    labels: Tensor
    """int64 [N]."""
    classes: tuple[ClassFilled, ...]
    least_distance: float
    """Root mean squared difference from a training image of the class, of a range of 2, below which one is a copy."""


def check_classes(data: ImageSet, model: GeneratorModel) -> None:
    """Refuse a model that cannot be asked for the classes of a set.

    Raises:
        ConfigError: says what to give instead.
    """
    root = data.config.root
    if not data.class_names:
        hint = " (--attribute names them for CelebA)" if data.found.layout == "celeba" else ""
        raise ConfigError(f"{root} has no labels: there are no classes to balance{hint}")
    if len(data.class_names) < 2:
        raise ConfigError(f"{root} has one class: there is nothing to balance")
    if missing := [name for name, count in zip(data.class_names, data.class_counts, strict=True) if not count]:
        raise ConfigError(f"{root} has no training images of class {missing[0]!r}: add some")
    if data.format.channels != model.format.channels:
        raise ConfigError(
            f"'{model.config.name}' generates images of {model.format.channels} channels, and those of {root} have "
            f"{data.format.channels}: train one on {root}"
        )
    if not model.class_names:
        raise ConfigError(
            f"'{model.config.name}' was trained without classes: train one with --conditional on {data.config.root}"
        )
    if unseen := [name for name in data.class_names if name not in model.class_names]:
        raise ConfigError(
            f"'{model.config.name}' was not trained on class {unseen[0]!r}, only on {', '.join(model.class_names)}"
        )


def real_images(data: ImageSet) -> tuple[Tensor, Tensor]:
    """All training images, uint8 [N, C, S, S], and their classes.

    Raises:
        ConfigError: some cannot be read.
    """
    part = data.part("train")
    assert part.labels is not None
    parts = []
    for start in range(0, len(part), 1000):
        found = data.images("train", range(start, min(start + 1000, len(part))))
        parts.append(((found + 1) * 127.5).round().byte())
    images = torch.cat(parts)
    if len(images) != len(part):
        raise ConfigError(
            f"{len(part) - len(images)} images of {data.config.root} cannot be read: remove them (translate doctor "
            "lists them)"
        )
    return images, torch.from_numpy(part.labels.astype(np.int64))


def fill(
    images: Tensor,
    labels: Tensor,
    class_names: Sequence[str],
    model: GeneratorModel,
    evaluator: KeptClassifier,
    *,
    size: int | None = None,
    seed: int = 0,
    on_class: Callable[[str], None] | None = None,
) -> Filled:
    """Samples for every class with fewer images than the largest.

    Args:
        images: Training images, uint8 [N, C, S, S].
        labels: Their classes.
        class_names: Of the numbers.
        model: A conditional generator that knows these classes.
        evaluator: A classifier of them.
        size: Images that every class is to have; as many as the largest has unless given.
        seed: Of the samples.
        on_class: Called with the name of each class before its samples are made.
    """
    counts = torch.bincount(labels, minlength=len(class_names))
    wanted = int(counts.max()) if size is None else size
    some = _unit(images[torch.randperm(len(images), generator=torch.Generator().manual_seed(seed))[:MOST_COMPARED]])
    least = float(torch.quantile(nearest_distances(some, some, skip_same=True), COPY))
    kept, kept_labels, rows = [], [], []
    for number, name in enumerate(class_names):
        missing = max(0, wanted - int(counts[number]))
        if missing and on_class is not None:
            on_class(name)
        own = _unit(images[labels == number])
        made: list[Tensor] = []
        found = misnamed = copies = 0
        asked = model.labels(AT_ONCE, classes=[name])
        assert asked is not None
        for chosen in model.latent_parts(missing * TRIES, seed=seed * 1_000 + number) if missing else ():
            if found >= missing:
                break
            samples = model.generated(chosen, asked[: len(chosen)])
            right = evaluator.logits(samples).argmax(dim=1) == number
            misnamed += int((~right).sum())
            samples = samples[right]
            if len(own) and len(samples):
                fresh = nearest_distances(samples, own) > least
                copies += int((~fresh).sum())
                samples = samples[fresh]
            samples = samples[: missing - found]
            found += len(samples)
            made.append(((samples.clamp(-1, 1) + 1) * 127.5).round().byte())
        if made:
            kept.append(torch.cat(made))
            kept_labels.append(torch.full((found,), number))
        rows.append(
            ClassFilled(
                name=name, real=int(counts[number]), missing=missing, made=found, misnamed=misnamed, copies=copies
            )
        )
    nothing = images[:0]
    return Filled(
        images=torch.cat([nothing, *kept]),
        labels=torch.cat([labels[:0], *kept_labels]),
        classes=tuple(rows),
        least_distance=least,
    )


def _unit(images: Tensor) -> Tensor:
    return images.float() / 127.5 - 1


@dataclass(frozen=True, kw_only=True)
class Arm:
    """One way of training a classifier, several seeds."""

    name: str
    with_samples: bool
    accuracies: tuple[float, ...]
    """On real test images, the mean over classes, so that none counts more."""

    @property
    def mean(self) -> float:
        return float(np.mean(self.accuracies))


@dataclass(frozen=True, kw_only=True)
class Gain:
    """How much better one way is than another, by differences of equal seeds."""

    name: str
    beside: str
    mean: float
    low: float
    high: float
    """95 % interval (Student's t)."""

    @property
    def sentence(self) -> str:
        worth = "gain" if self.low > 0 else "loss" if self.high < 0 else "no significant gain"
        interval = f"95% CI {100 * self.low:+.2f} to {100 * self.high:+.2f}"
        points = f"{100 * self.mean:+.2f} percentage points ({interval})"
        return f"{worth} of '{self.name}' over '{self.beside}': {points}"


@dataclass(frozen=True, kw_only=True)
class Measured:
    """What the samples are worth."""

    arms: tuple[Arm, ...]
    seeds: int
    images_seen: int
    gains: tuple[Gain, ...] = ()
    """Of each way with samples beside each without."""

    @property
    def verdict(self) -> str:
        """In a sentence: the best way with samples beside the best without."""
        best, beside = (
            max((arm for arm in self.arms if arm.with_samples == samples), key=lambda arm: arm.mean).name
            for samples in (True, False)
        )
        return next(gain.sentence for gain in self.gains if (gain.name, gain.beside) == (best, beside))


def measure(
    images: Tensor,
    labels: Tensor,
    filled: Filled,
    test: tuple[Tensor, Tensor],
    folder: Path,
    *,
    seeds: int = 5,
    images_seen: int = 50_000,
    device: torch.device | str = "cpu",
    console: Console | None = None,
    on_run: Callable[[str, int], None] | None = None,
) -> Measured:
    """Train classifiers in five settings, each with as many images seen, and test them on real images.

    Args:
        images: Training images, uint8 [N, C, S, S].
        labels: Their classes.
        filled: The samples.
        test: Real test images [M, C, S, S] in [-1, 1] and their classes.
        folder: For the runs, which are gone on with after an interruption; removed afterwards.
        seeds: Runs of each way; the same seeds for all of them.
        images_seen: Images that each training sees, repetitions counted.
        device: Where they are trained.
        console: Where progress is said.
        on_run: Called with the way and the seed before each run.

    Raises:
        ConfigError: fewer than two seeds, or more than ten.
        ClassifierError: a training was interrupted.
    """
    if seeds not in T_95:
        raise ConfigError(f"{seeds} seeds: a confidence interval needs 2 to 10")
    console = console or Console(emoji=False, stderr=True, highlight=False)
    real = images, labels
    together = torch.cat([images, filled.images]), torch.cat([labels, filled.labels])
    # What is still missing after the samples is repeated, too.
    ways = (
        _Way(name=AS_IS, shown=real, class_balanced=False),
        _Way(name=REPEATED, shown=real),
        _Way(name=CHANGED, shown=real, changed=True),
        _Way(name=FILLED, shown=together, with_samples=True),
        _Way(name=FILLED_CHANGED, shown=together, with_samples=True, changed=True),
    )
    belongs = f"{images_seen} {_digest(images, labels, filled.images, filled.labels)}"
    record = folder / DATA_FILE
    if not record.is_file() or record.read_text(encoding="utf-8") != belongs:  # of other data
        shutil.rmtree(folder, ignore_errors=True)
        make_folder(folder)
        record.write_text(belongs, encoding="utf-8")
    arms = []
    for place, way in enumerate(ways):
        file = folder / f"{place}.npz"
        pixels, classes = way.shown
        np.savez(file, images=pixels.permute(0, 2, 3, 1).numpy(), labels=classes.numpy())
        accuracies = []
        for seed in range(seeds):
            if on_run is not None:
                on_run(way.name, seed)
            config = ImageClassifierConfig(
                data=ImageSetConfig(root=file, enlarge=1.15 if way.changed else 1.0, class_balanced=way.class_balanced),
                augment=("translation",) if way.changed else (),
                run=run_config(
                    "classifier",
                    out=folder / f"{place}-{seed}",
                    images=images_seen,
                    batch_size=64,
                    learning_rate=2e-3,
                    device=str(device),
                    seed=seed,
                    keep=1,
                    log_every=images_seen,
                    sample_every=images_seen,
                    checkpoint_every=images_seen,
                ),
            )
            evaluator = trained_classifier(config, device=torch.device(str(device)), console=console)
            accuracies.append(class_mean_accuracy(evaluator.logits(test[0]).argmax(dim=1), test[1]))
        arms.append(Arm(name=way.name, with_samples=way.with_samples, accuracies=tuple(accuracies)))
    shutil.rmtree(folder, ignore_errors=True)
    return compared(arms, images_seen=images_seen)


@dataclass(frozen=True, kw_only=True)
class _Way:
    """How a classifier is trained."""

    name: str
    shown: tuple[Tensor, Tensor]
    with_samples: bool = False
    class_balanced: bool = True
    """Small classes are shown as often as the largest."""
    changed: bool = False
    """Cropped and moved by chance."""


def _digest(*tensors: Tensor) -> str:
    found = hashlib.sha256()
    for tensor in tensors:
        found.update(tensor.numpy().tobytes())
    return found.hexdigest()


def compared(arms: Sequence[Arm], *, images_seen: int) -> Measured:
    """The gains of the arms with samples over those without."""
    number = len(arms[0].accuracies)
    gains = []
    for arm in arms:
        for other in arms:
            if arm.with_samples and not other.with_samples:
                differences = np.subtract(arm.accuracies, other.accuracies)
                mean, reach = float(differences.mean()), float(T_95[number] * differences.std(ddof=1) / number**0.5)
                gains.append(Gain(name=arm.name, beside=other.name, mean=mean, low=mean - reach, high=mean + reach))
    return Measured(arms=tuple(arms), seeds=number, images_seen=images_seen, gains=tuple(gains))


def class_mean_accuracy(called: Tensor, labels: Tensor) -> float:
    """The mean over the classes that occur of the share of their images that are called right."""
    return float(
        torch.stack([(called[labels == number] == number).float().mean() for number in labels.unique()]).mean()
    )
