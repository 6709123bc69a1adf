"""Scores of images that were made of random numbers, beside those of real images and of a Gaussian in pixel space.

Every set is compared with the training images. Real test images say how good a score can be, a Gaussian of the mean and
covariance of the training pixels how good it is for nothing. Distances are taken in the features of a classifier that
is trained on the data and named in the result: they compare with no published number.

Shapes: N images, C channels, S side.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from torch import Tensor

from translate.applications.classifier import (
    KeptClassifier,
    image_training,
    open_image_classifier,
    open_trained_set,
    trained_classifier,
)
from translate.applications.evaluation.result import GAUSSIAN, Measure
from translate.applications.evaluation.result import MEASURES as SHARED
from translate.checkpoint.atomic import make_folder, written_beside
from translate.config.base import ConfigError
from translate.config.training import ImageSetConfig
from translate.data.image_inputs import spread
from translate.data.image_set import ImageSet
from translate.inference import GeneratorModel, ImageModel, contact_sheet, to_images
from translate.metrics import (
    bootstrap_interval,
    frechet_distance,
    kernel_distance,
    manifold,
    ms_ssim,
    nearest_distances,
)
from translate.metrics.ms_ssim import WEIGHTS, smallest_side
from translate.metrics.sliced_wasserstein import sliced_wasserstein

FEWEST = 100
KERNEL_IMAGES, PATCH_IMAGES, PAIRS = 2_000, 2_000, 1_000
SAMPLES, REAL = "samples", "real test images"

MEASURES: dict[str, Measure] = {
    "frechet": Measure(title="Frechet distance", better="lower", digits=2),
    "kernel": Measure(title="kernel distance", better="lower", digits=2),
    **{name: SHARED[name] for name in ("precision", "recall", "density", "coverage", "sliced_wasserstein")},
    "asked": Measure(title="conditional accuracy", better="higher", digits=4),
    "cas": Measure(title="classification accuracy score", better="higher", digits=4),
    "likeness": SHARED["likeness"],
    "nearest": replace(SHARED["nearest"], title="NN distance to training"),
}
"""All scores, in the order in which they are reported."""


@dataclass(frozen=True, kw_only=True)
class Generation:
    """What was measured, on what, and what has to be known to read it."""

    weights: str
    data: str
    num_images: int
    """Samples."""
    num_real: int
    """Real test images."""
    num_compared: int
    """Of each of them, those whose distances from the training images are taken."""
    num_learned: int
    """Training images."""
    split: str
    seed: int
    classifier: str
    """What it tells apart, its file and how often it is right on real test images."""
    accuracy: float
    scores: dict[str, dict[str, float]]
    """By candidate and by measure."""
    intervals: dict[str, tuple[float, float]]
    """95 %, of the samples' shares, from resampling the images."""
    notes: tuple[str, ...]
    """What should be said aloud."""
    report: Path
    sheet: Path

    def to_dict(self) -> dict[str, Any]:
        """As JSON-able values."""
        return {**asdict(self), "report": self.report.name, "sheet": self.sheet.name}


def gaussian_images(images: Tensor, count: int, *, seed: int = 0) -> Tensor:
    """Draws from the Gaussian of the mean and covariance of images [N, C, S, S]: [count, C, S, S], within [-1, 1].

    A combination of the centred images with random weights has just their covariance, so no matrix of pixels by pixels
    is needed.
    """
    generator = torch.Generator().manual_seed(seed)
    mean = images.mean(dim=0, keepdim=True)
    centred = (images - mean).flatten(1)
    weights = torch.randn(count, len(images), generator=generator) / max(1, len(images) - 1) ** 0.5
    return (mean + (weights @ centred).view(count, *images.shape[1:])).clamp(-1, 1)


def likeness(images: Tensor, *, seed: int = 0) -> float | None:
    """How alike two images of a set are on average: MS-SSIM of random pairs, at as many scales as the size allows."""
    pairs = min(PAIRS, len(images) // 2)
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(seed))[: 2 * pairs]
    scales = max(
        number for number in range(len(WEIGHTS) + 1) if number == 0 or smallest_side(number) <= images.shape[-1]
    )
    if scales == 0:
        return None  # too small for a window
    weights = [weight / sum(WEIGHTS[:scales]) for weight in WEIGHTS[:scales]]
    first, second = (((images[half] + 1) / 2).clamp(0, 1) for half in order.chunk(2))
    return float(ms_ssim(first, second, weights=weights).mean())


def evaluate_samples(
    model: GeneratorModel | ImageModel,
    root: str | Path,
    *,
    out: str | Path,
    num_images: int = 10_000,
    classifier: Path | None = None,
    images_seen: int | None = None,
    cas: bool = True,
    attribute: str | None = None,
    seed: int = 0,
    console: Console | None = None,
    on_step: Callable[[str], None] | None = None,
) -> Generation:
    """Score what a model makes of random numbers; write ``<name>.json`` and a sheet of samples, ``<name>.png``.

    Args:
        model: A GAN, a VAE or a VQ-VAE with its prior.
        root: The image set that it was trained on.
        out: Folder for what is written, the classifier among it.
        num_images: Samples, and training images, at most.
        classifier: Folder in which the classifier is kept; ``classifier/`` in `out` unless given.
        images_seen: Images that its training sees; from their number unless given.
        cas: Of a conditional model, also train a classifier on samples alone and test it on real images, as often as
            there are training images.
        attribute: Of CelebA, what the two classes differ in.
        seed: Of the samples and of all that is drawn.
        console: Where progress is said.
        on_step: Called with a word on what is done next.

    Raises:
        LayoutError, ConfigError: the data will not do.
        ClassifierError: a training was interrupted.
        WriteError: `out` cannot be written.
    """
    out, console = Path(out), console or Console(emoji=False, stderr=True, highlight=False)
    say = on_step or (lambda _: None)
    data, notes = open_trained_set(model.config, Path(root), attribute=attribute), []
    if not len(data.part("test")) and not len(data.part("val")):
        data = ImageSet(replace(data.config, hold_out=0.1))
        if model.config.training is not None:
            notes.append(
                "there are no test images: every tenth training image is used instead, though it was trained on"
            )
    split = "test" if len(data.part("test")) else "val"
    if data.format.channels != model.format.channels:
        raise ConfigError(
            f"'{model.config.name}' generates images of {model.format.channels} channels, and those of {root} have "
            f"{data.format.channels}: give the data set that it was trained on"
        )
    conditional = isinstance(model, GeneratorModel) and bool(model.class_names)
    if conditional and data.class_names and data.class_names != model.config.classes:
        raise ConfigError(
            f"'{model.config.name}' has the classes {', '.join(model.config.classes)}, and {root} has "
            f"{', '.join(data.class_names)}: give the data set that it was trained on"
        )
    if num_images < FEWEST:
        raise ConfigError(f"--count {num_images} is too few to compare sets: give at least {FEWEST}")
    if min(len(data.part(name)) for name in ("train", split)) < FEWEST:
        raise ConfigError(f"{root} has too few images to compare sets: at least {FEWEST} train and {FEWEST} {split}")
    make_folder(out)
    say("reading")
    learned, _ = data.labelled("train", spread(len(data.part("train")), num_images))
    held_back, truth = data.labelled(split, spread(len(data.part(split)), num_images))
    evaluator = open_image_classifier(
        data, classifier or out / "classifier", device=model.device, console=console, seed=seed, images_seen=images_seen
    )
    say("sampling")
    made, labels = _sampled(model, num_images, seed=seed)
    # As many of each: a Frechet distance is the larger, the fewer images it is taken of.
    count = min(len(made), len(held_back))
    candidates = {
        SAMPLES: made[:count],
        REAL: held_back[:count],
        GAUSSIAN: gaussian_images(learned, count, seed=seed),
    }
    reference = evaluator.features(learned)
    scores, intervals = {}, {}
    for name, images in candidates.items():
        say(f"scoring {name}")
        scores[name] = compared(images, evaluator.features(images), learned, reference, seed=seed)
    known = evaluator.right(held_back, truth).float()
    if conditional and not evaluator.by_turns:
        right = evaluator.right(made, labels).float()
        scores[SAMPLES]["asked"], scores[REAL]["asked"] = float(right.mean()), float(known.mean())
        intervals["asked"] = bootstrap_interval(right.numpy(), seed=seed)
        if cas:
            assert isinstance(model, GeneratorModel)
            assert truth is not None
            say("training a classifier on samples only")
            taught = trained_on_samples(model, data, out / "cas", seed=seed, images_seen=images_seen, console=console)
            right = taught.right(held_back, truth).float()
            scores[SAMPLES]["cas"], scores[REAL]["cas"] = float(right.mean()), float(known.mean())
            intervals["cas"] = bootstrap_interval(right.numpy(), seed=seed)
    stem = re.sub(r"[^\w.-]+", "-", model.config.name).strip("-.") or "weights"
    what = "90-degree rotations" if evaluator.by_turns else f"{len(data.class_names)} classes"
    found = Generation(
        weights=model.config.name,
        data=data.description,
        num_images=len(made),
        num_real=len(held_back),
        num_compared=count,
        num_learned=len(learned),
        split=split,
        seed=seed,
        classifier=f"{what}, {evaluator.file}, sha256 {evaluator.sha256[:8]}",
        accuracy=float(known.mean()),
        scores=scores,
        intervals=intervals,
        notes=tuple(notes),
        report=out / f"{stem}.json",
        sheet=out / f"{stem}.png",
    )
    with written_beside(found.sheet) as beside:
        columns = len(model.config.classes) or 10
        contact_sheet(to_images(made[: 10 * columns]), columns=columns).save(beside, format="PNG")
    with written_beside(found.report) as beside:
        beside.write_text(json.dumps(found.to_dict(), indent=2) + "\n", encoding="utf-8")
    data.close()
    return found


def compared(images: Tensor, features: Tensor, real: Tensor, reference: Tensor, *, seed: int) -> dict[str, float]:
    """Scores of a set of images against real training images.

    Args:
        images: [N, C, S, S] in [-1, 1].
        features: [N, D].
        real: Training images [M, C, S, S].
        reference: Their features [M, D].
        seed: Of what is drawn.
    """
    overlap = manifold(reference, features)
    # By chance: files are in the order of their classes, and samples have the classes in turn.
    generator = torch.Generator().manual_seed(seed)
    order, order_real = (torch.randperm(len(x), generator=generator) for x in (images, real))
    some, some_real = order[:KERNEL_IMAGES], order_real[:KERNEL_IMAGES]
    patches = min(PATCH_IMAGES, len(images), len(real))
    few, few_real = order[:patches], order_real[:patches]
    alike = likeness(images, seed=seed)
    return {
        "frechet": frechet_distance(features, reference),
        "kernel": kernel_distance(features[some], reference[some_real]),
        "precision": overlap.precision,
        "recall": overlap.recall,
        "density": overlap.density,
        "coverage": overlap.coverage,
        "sliced_wasserstein": float(sliced_wasserstein(images[few], real[few_real], seed=seed)),
        **({} if alike is None else {"likeness": alike}),
        "nearest": float(nearest_distances(images[some], real).median()),
    }


def _sampled(model: GeneratorModel | ImageModel, count: int, *, seed: int) -> tuple[Tensor, Tensor | None]:
    """Samples as they would be saved, in steps of their depth, and their classes."""
    if isinstance(model, GeneratorModel):
        made, labels = model.sampled(count, seed=seed)
    else:
        made, labels = model.sampled(count, seed=seed), None
    steps = 2**model.format.bits - 1
    return (((made + 1) / 2 * steps).round() / steps * 2 - 1).clamp(-1, 1), labels


def trained_on_samples(
    model: GeneratorModel, data: ImageSet, folder: Path, *, seed: int, images_seen: int | None, console: Console
) -> KeptClassifier:
    """A classifier that has seen nothing but samples, as many as there are training images (Ravuri and Vinyals, 2019).

    Args:
        model: A conditional generator.
        data: The real images, whose number counts.
        folder: For the samples and the run; removed afterwards.
        seed: Of the samples and of the training.
        images_seen: Images that the training sees.
        console: Where progress is said.
    """
    shutil.rmtree(folder, ignore_errors=True)  # left by a run that was interrupted
    make_folder(folder)
    made, labels = _sampled(model, data.num_images, seed=seed + 1)
    assert labels is not None
    pixels = ((made + 1) * 127.5).round().byte().permute(0, 2, 3, 1).numpy()
    np.savez(folder / "samples.npz", images=pixels, labels=labels.numpy())
    config = image_training(
        ImageSetConfig(root=folder / "samples.npz", size=model.size),
        folder / "run",
        num_images=data.num_images,
        has_labels=True,
        device=model.device,
        seed=seed,
        images_seen=images_seen,
    )
    taught = trained_classifier(config, device=model.device, console=console)
    shutil.rmtree(folder, ignore_errors=True)
    return taught
