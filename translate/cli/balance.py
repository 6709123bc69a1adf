"""``translate balance DATA WEIGHTS -o OUT``."""

from __future__ import annotations

import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from annotated_types import Ge, Le, Lt
from rich.console import Console
from tyro.conf import Positional, arg

from translate.config.base import Config, ConfigError, validate

if TYPE_CHECKING:
    from torch import Tensor

    from translate.applications.balance import Filled, Measured
    from translate.data.image_set import ImageSet

WIDTH = 80
TRAIN, REPORT = "train", "balance.json"


@dataclass(frozen=True, kw_only=True)
class Balance(Config):
    """Fill up the small classes of a labelled set with samples of a conditional GAN, and measure whether that helps.

    Samples that a classifier assigns to another class, and near-copies of training images, are discarded. Classifiers
    are then trained with and without the samples, and compared with oversampling and augmenting the real images.
    """

    root: Positional[Path]
    """Labelled image set: class folders, idx or .npz files with labels, or CelebA with --attribute."""
    weights: Positional[str]
    """Conditional GAN that was trained on this set: a name, a weights folder, a run folder or a .safetensors file."""
    out: Annotated[Path, arg(aliases=["-o"])]
    """Output folder for balance.json and train/, with one folder per class of real images and samples."""
    count: Annotated[int, Ge(1)] | None = None
    """Number of images to fill every class up to; default: the size of the largest class."""
    measure: bool = True
    """Train classifiers in five settings and test them on real images; takes minutes."""
    seeds: Annotated[int, Ge(2), Le(10)] = 5
    """Classifiers per setting, 2-10, each with its own seed."""
    images: Annotated[int, Ge(1)] = 50_000
    """Training images that each classifier sees, repetitions included."""
    classifier: Path | None = None
    """Folder of the classifier that filters the samples; default: classifier/ in --out."""
    attribute: str | None = None
    """CelebA attribute that defines the two classes, such as Smiling."""
    seed: Annotated[int, Ge(0), Lt(2**31)] = 0
    """Seed of the samples."""
    device: str = "auto"
    """Device: cuda, mps, cpu, or auto for the best one available."""


def balance(command: Balance) -> int:
    """Run ``translate balance``; the exit code."""
    validate(command)
    import json

    from translate.applications.balance import check_classes, fill, measure, real_images
    from translate.applications.classifier import open_image_classifier, open_trained_set
    from translate.checkpoint.atomic import make_folder, written_beside
    from translate.data.layouts_common import class_folder
    from translate.inference.files import names_a_file
    from translate.inference.generator_model import GeneratorModel
    from translate.inference.library import load

    names_a_file(command.out, ())
    model = load(command.weights, device=command.device)
    if not isinstance(model, GeneratorModel):
        raise ConfigError(f"{command.weights} is not a GAN: give one trained with --conditional")
    out, root = command.out.resolve(), command.root.resolve()
    if out == root or out in root.parents or root in out.parents:
        raise ConfigError(f"--out {command.out} and the data set {command.root} overlap: choose another folder")
    if (out / TRAIN).exists() and not (out / REPORT).is_file():
        raise ConfigError(f"{command.out} has a folder {TRAIN}/ that this command did not write: choose another folder")
    data = open_trained_set(model.config, command.root, attribute=command.attribute)
    check_classes(data, model)
    folders = {name: class_folder(name) for name in data.class_names}
    split = next((name for name in ("test", "val") if len(data.part(name))), None)
    if command.measure and split is None:
        raise ConfigError(f"{command.root} has no test images to measure on: add a split test/, or use --no-measure")
    errors = Console(emoji=False, stderr=True, highlight=False)
    make_folder(command.out)
    images, labels = real_images(data)
    evaluator = open_image_classifier(
        data, command.classifier or command.out / "classifier", device=model.device, console=errors
    )
    with errors.status("sampling") as status:
        filled = fill(
            images,
            labels,
            data.class_names,
            model,
            evaluator,
            size=command.count,
            seed=command.seed,
            on_class=lambda name: status.update(f"sampling {name}"),
        )
    _print_filled(filled)
    found: Measured | None = None

    def report() -> None:
        values = {
            "weights": model.config.name,
            "data": data.description,
            "classes": [asdict(row) for row in filled.classes],
            "least_distance": filled.least_distance,
            "measured": None if found is None else {**asdict(found), "verdict": found.verdict},
        }
        with written_beside(command.out / REPORT) as beside:
            beside.write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")

    report()
    _write(command.out, data, folders, filled, images, labels)
    print(f"{len(filled.images):,} samples and {len(images):,} real images: {command.out / TRAIN}")
    if command.measure and len(filled.images):
        assert split is not None
        pictures, truth = data.labelled(split, range(len(data.part(split))))
        assert truth is not None
        test = pictures, truth
        with errors.status("measuring") as status:
            found = measure(
                images,
                labels,
                filled,
                test,
                command.out / "measuring",
                seeds=command.seeds,
                images_seen=command.images,
                device=model.device,
                console=errors,
                on_run=lambda name, seed: status.update(f"training a classifier ({name}, seed {seed})"),
            )
        _print_measured(found, len(test[1]))
        report()
    data.close()
    return 0


def _write(out: Path, data: ImageSet, folders: dict[str, str], filled: Filled, images: Tensor, labels: Tensor) -> None:
    """One folder per class under ``train/``: real images as they were, or as PNG where they were an array; samples.

    Written beside and renamed, in the place of what an earlier call wrote.
    """
    from translate.checkpoint.atomic import make_folder, written_beside
    from translate.inference.grid import to_images

    sources = data.part("train").sources
    counts = dict.fromkeys(range(len(data.class_names)), 0)
    part = out / f".{TRAIN}.part"
    shutil.rmtree(part, ignore_errors=True)  # of a call that was interrupted
    for name in folders.values():
        make_folder(part / name)
    grey = images.shape[1] == 1
    for place, label in enumerate(labels.tolist()):
        folder = part / folders[data.class_names[label]]
        if sources:
            path = sources[place].path
            shutil.copyfile(path, folder / f"real-{counts[label]:06d}{path.suffix.lower()}")
        else:
            (image,) = to_images(images[place : place + 1] / 127.5 - 1)
            with written_beside(folder / f"real-{counts[label]:06d}.png") as beside:
                (image.convert("L") if grey else image).save(beside, format="PNG")
        counts[label] += 1
    counts = dict.fromkeys(counts, 0)
    for sample, label in zip(filled.images, filled.labels.tolist(), strict=True):
        (image,) = to_images(sample[None] / 127.5 - 1)
        with written_beside(part / folders[data.class_names[label]] / f"made-{counts[label]:06d}.png") as beside:
            (image.convert("L") if grey else image).save(beside, format="PNG")
        counts[label] += 1
    shutil.rmtree(out / TRAIN, ignore_errors=True)
    part.rename(out / TRAIN)


def _print_filled(filled: Filled) -> None:
    from rich.table import Table

    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold", show_edge=False)
    for heading in ("class", "real", "missing", "added", "misclassified", "near-copies"):
        table.add_column(heading, justify="left" if heading == "class" else "right")
    for row in filled.classes:
        numbers = (row.real, row.missing, row.made, row.misnamed, row.copies)
        table.add_row(row.name, *(f"{number:,}" for number in numbers))
    Console(emoji=False, width=WIDTH, highlight=False).print(table)
    if short := [row for row in filled.classes if row.made < row.missing]:
        names = ", ".join(row.name for row in short[:5])
        print(f"too few usable samples of {names}: the others were misclassified, or near-copies")


def _print_measured(found: Measured, num_test: int) -> None:
    from rich.table import Table

    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold", show_edge=False)
    for heading in ("training set", "mean class accuracy", "lowest", "highest"):
        table.add_column(heading, justify="left" if heading.startswith("training") else "right")
    for arm in found.arms:
        values = (arm.mean, min(arm.accuracies), max(arm.accuracies))
        table.add_row(arm.name, *(f"{100 * value:.2f} %" for value in values))
    console = Console(emoji=False, width=WIDTH, highlight=False)
    console.print(f"\n{found.seeds} seeds each, {found.images_seen:,} images seen, {num_test:,} real test images\n")
    console.print(table)
    console.print(f"\n{found.verdict[0].upper()}{found.verdict[1:]}", markup=False)
