"""``translate anomaly fit WEIGHTS DATA -o OUT`` and ``translate anomaly score DETECTOR INPUT... -o OUT``."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from annotated_types import Ge, Gt, Le, Lt
from tyro.conf import OmitArgPrefixes, Positional, arg, subcommand

from translate.config.base import Config, ConfigError, validate

if TYPE_CHECKING:
    from torch import Tensor

    from translate.applications.localisation import DetectionReport
    from translate.data.image_inputs import NamedPicture
    from translate.inference.image_model import Framing
    from translate.networks import AnomalyDetector

EXIT_PARTLY = 1
MOST = 20_000  # images that a covariance is taken of
MOST_HELD_BACK = 2_000  # that a threshold is taken from, of large images
MOST_UNREAD = 0.05  # share of images that cannot be read, above which nothing is fitted
USEFUL = 0.6  # AUROC on planted faults, below which a detector is doubted
METHODS = ("patchcore", "padim")


@dataclass(frozen=True, kw_only=True)
class Fit(Config):
    """Fit an anomaly detector to normal images: to their patches, or to the errors of an autoencoder (ae or vae).

    patchcore and padim compare patches in the features of a pretrained network and need no training. PatchCore keeps a
    memory bank of normal patches: for textures, and for objects in any position. PaDiM keeps one Gaussian per cell of a
    grid over the image: for objects that are always aligned. An autoencoder is calibrated on the images it was trained
    on and on those that --hold-out kept from it.
    """

    weights: Annotated[Positional[str], arg(metavar="patchcore|padim|WEIGHTS")]
    """Method (patchcore or padim), or an autoencoder: a run folder, a weights folder or a .safetensors file."""
    root: Annotated[Positional[Path], arg(metavar="DATA")]
    """Image set of normal images; for an autoencoder, the set that it was trained on."""
    out: Annotated[Path, arg(aliases=["-o"])]
    """Output: a folder or a .safetensors file."""
    false_alarms: Annotated[float, Gt(0.0), Lt(1.0)] = 0.05
    """Target false-positive rate on normal images, 0-1; sets the threshold."""
    smoothing: Annotated[int, Ge(1)] | None = None
    """Side in pixels (odd) of the window over which an autoencoder's errors are averaged; default: 1, 3 or 5, whichever
    detects synthetic anomalies best."""
    normal: tuple[str, ...] = ()
    """Classes of DATA that are normal (patchcore and padim only); default: all."""
    size: Annotated[int, Ge(32), Le(1024)] | None = None
    """Side in pixels of the squares that images are resized to, a multiple of 32 (patchcore and padim only); default:
    256."""
    fit: Literal["stretch", "cover"] | None = None
    """Framing (patchcore and padim only): squash the whole image to a square (stretch, the default), or keep its aspect
    ratio and crop the central square (cover)."""
    hold_out: Annotated[float, Gt(0.0), Lt(1.0)] | None = None
    """Share of the images, 0-1, held out to set the threshold where there is no validation split (patchcore and padim
    only); default: 0.1, or as much as it takes to hold out 20 images."""
    patches: Annotated[int, Ge(1), Le(1_000_000)] | None = None
    """Size of PatchCore's memory bank (coreset) in patches; default: 4,000, or all patches if there are fewer."""
    seed: Annotated[int, Ge(0), Lt(2**63)] = 0
    """Seed of the random subset of patches from which PatchCore's coreset is selected."""
    device: str = "auto"
    """Device: cuda, mps, cpu, or auto for the best one available."""


@dataclass(frozen=True, kw_only=True)
class Score(Config):
    """Score images: how anomalous each one is, and where.

    On a labelled set with --normal, also measure how well abnormal images are separated from normal ones (AUROC),
    beside baselines on raw pixels; and with ground-truth masks, as in the ground_truth/ of MVTec AD, how well the heat
    maps find abnormal pixels (pixel AUROC) and regions (PRO, per-region overlap up to a false-positive rate of 30%).
    """

    weights: Positional[str]
    """Detector written by `translate anomaly fit`."""
    inputs: Positional[tuple[str, ...]]
    """Images, folders or glob patterns; or an image set."""
    out: Annotated[Path | None, arg(aliases=["-o"])] = None
    """Output folder for scores.csv, heat maps of the most anomalous images, and an image grid of them; with --normal
    also measures.csv. Ground-truth anomalies are outlined. Default: print the scores only, of up to 40 images."""
    recursive: Annotated[bool, arg(aliases=["-r"])] = False
    """Search subfolders as well; heat maps keep the same subfolders."""
    by: Literal["both", "error", "distance"] | None = None
    """Score of an autoencoder that is compared with its threshold: reconstruction error, latent distance, or both (the
    default)."""
    normal: tuple[str, ...] = ()
    """Classes of a labelled set that are normal; needed to measure the AUROC."""
    masks: Path | None = None
    """Folder of ground-truth masks, CLASS/NAME_mask.png or CLASS/NAME.png, black where normal (with --normal); default:
    a folder of the data set called ground_truth or masks, if there is one."""
    split: Literal["train", "val", "test"] | None = None
    """Split of an image set to use; default: test, else val, else train."""
    count: Annotated[int, Ge(1)] | None = None
    """Maximum number of images, evenly spaced; default: all."""
    maps: Annotated[int, Ge(0)] = 16
    """Maximum number of heat maps, of the most anomalous images."""
    device: str = "auto"
    """Device: cuda, mps, cpu, or auto for the best one available."""


@dataclass(frozen=True, kw_only=True)
class Anomaly:
    """Detect images that differ from normal ones."""

    action: Annotated[
        Annotated[OmitArgPrefixes[Fit], subcommand("fit")] | Annotated[OmitArgPrefixes[Score], subcommand("score")],
        arg(name=""),
    ]


def anomaly(command: Anomaly) -> int:
    """Run ``translate anomaly``; the exit code."""
    return _fit(command.action) if isinstance(command.action, Fit) else _score(command.action)


def _fit(command: Fit) -> int:
    validate(command)
    from translate.applications.anomaly import detector_config, fit, measured, told_from_planted
    from translate.checkpoint.weights import save_weights
    from translate.config.weights import image_set_of
    from translate.data.image_inputs import spread
    from translate.data.image_set import ImageSet
    from translate.inference.files import names_a_file
    from translate.inference.library import load_image_model

    names_a_file(command.out, (".safetensors",))
    if command.out.resolve() == command.root.resolve():
        raise ConfigError(f"--out {command.out} is the input folder: choose another")
    if command.weights in METHODS:
        return _fit_patches(command)
    if not Path(command.weights).exists() and (close := get_close_matches(command.weights.lower(), METHODS, n=1)):
        raise ConfigError(f"there is no method {command.weights!r}: did you mean {close[0]}?")
    for name in ("normal", "size", "fit", "hold_out", "patches"):
        if getattr(command, name) not in (None, ()):
            flag = name.replace("_", "-")
            raise ConfigError(f"--{flag} applies to patchcore and padim only: omit it for an autoencoder")
    model = load_image_model(command.weights, device=command.device)
    drawn = image_set_of(model.config, command.root)
    if drawn is None:
        raise ConfigError(f"{command.weights} does not record its training images: train it with translate train")
    images = ImageSet(drawn)
    learned = images.images("train", [int(index) for index in spread(len(images.part("train")), MOST)])
    num_held_back = len(images.part("val"))
    if num_held_back:
        held_back = images.images("val", range(num_held_back))
    else:
        held_back = learned
        print(
            "no images were held out in training, so the false-positive rate on new images will probably exceed the "
            "target: train with --hold-out 0.1 to prevent this"
        )
    detector = fit(model, learned, held_back, false_alarms=command.false_alarms, smoothing=command.smoothing)
    file = save_weights(detector, detector_config(model, detector, false_alarms=command.false_alarms), command.out)
    above = (measured(detector, held_back) > detector.thresholds.cpu()).float().mean(dim=0)
    said = ", ".join(f"{name} {share:.1%}" for name, share in zip(detector.scores, above.tolist(), strict=True))
    print(f"fitted to {len(learned):,} normal images; false-positive rate on {len(held_back):,} normal images: {said}")
    told = told_from_planted(detector, held_back)
    print(f"errors averaged over {detector.config.smoothing} px; AUROC on synthetic anomalies: {told:.3f}")
    print(f"{file}. Try it: translate anomaly score {command.out} IMAGES -o OUT")
    return 0


def _fit_patches(command: Fit) -> int:
    import time
    from dataclasses import replace

    import torch

    from translate.applications.anomaly import FEWEST, measured, told_from_planted
    from translate.applications.patch_anomaly import fit_patches, most_patches
    from translate.checkpoint.weights import save_weights
    from translate.config.networks import NUM_PATCHES, PatchAnomalyConfig
    from translate.config.training import ImageSetConfig
    from translate.config.weights import Domains, TrainingRecord, WeightsConfig
    from translate.data.folder_images import held_out
    from translate.data.image_inputs import part_names, read_part, spread
    from translate.data.image_set import ImageSet
    from translate.engine.display import device_name
    from translate.inference.device import choose_device
    from translate.inference.image_model import Framing
    from translate.recipes.base import preprocessing

    if command.smoothing is not None:
        raise ConfigError(f"--smoothing applies to autoencoders only: omit it for {command.weights}")
    if command.patches is not None and command.weights != "patchcore":
        raise ConfigError(f"--patches sets the size of patchcore's memory bank: omit it for {command.weights}")
    size, fit = command.size or 256, command.fit or "stretch"
    images = ImageSet(ImageSetConfig(root=command.root, classes=command.normal, size=size, fit=fit))
    if len(images.found.class_names) > 1 and not command.normal:
        raise ConfigError(
            f"{command.root} has the classes {', '.join(images.found.class_names)}: name the normal ones (--normal)"
        )
    if images.format.channels not in (1, 3):
        raise ConfigError(
            f"pretrained features need grey or RGB images, and these have {images.format.channels} channels: train an "
            "autoencoder (translate train ae) and fit that"
        )
    chosen, split = tuple(range(len(images.part("train")))), "val"
    others = tuple(range(len(images.part("val"))))
    if not others:
        share = command.hold_out or max(0.1, FEWEST / len(chosen))
        (chosen, others), split = held_out(chosen, share), "train"
    if min(len(chosen), len(others)) < FEWEST:
        whole = len(chosen) + len(others)
        advice = "add more" if whole < 2 * FEWEST else f"--hold-out {FEWEST / whole:.2g} holds out enough"
        raise ConfigError(
            f"{command.root}: {len(chosen)} normal images to fit and {len(others)} to set the threshold, but at least "
            f"{FEWEST} of each are needed: {advice}"
        )
    chosen = tuple(chosen[index] for index in spread(len(chosen), MOST))
    others = tuple(others[index] for index in spread(len(others), MOST_HELD_BACK))
    available = most_patches(len(chosen), size=size)
    if command.patches is not None and command.patches > available:
        raise ConfigError(f"--patches {command.patches}: {len(chosen)} images provide only {available:,} patches")
    config = PatchAnomalyConfig(
        method=command.weights,  # type: ignore[arg-type]
        channels=1 if images.format.channels == 1 else 3,
        size=size,
        num_patches=command.patches or min(available, NUM_PATCHES),
        cells=next(cells for cells in (8, 4, 2, 1) if size // 8 % cells == 0),
    )
    start = time.monotonic()
    device = choose_device(command.device)
    weights = WeightsConfig(
        kind="anomaly",
        name=command.out.stem if command.out.suffix else command.out.resolve().name,
        network=config,
        preprocessing=preprocessing(size, source=images.format, fit=fit),
        domains=Domains(source="images", target="scores"),
        noise="never",
        false_alarms=command.false_alarms,
    )
    for line in images.announcement:
        print(line, file=sys.stderr)
    framing = Framing(weights)
    unread: list[str] = []

    def read(part: str, numbers: Sequence[int]) -> Iterator[Tensor]:
        called = part_names(images.part(part), images.found.root)
        for first in range(0, len(numbers), 64):
            named, failed = read_part(images.part(part), numbers[first : first + 64], called, fmt=framing.format)
            unread.extend(failed)
            for line in failed:
                print(f"skipped: {line}", file=sys.stderr)
            if named:
                yield framing.prepared([one.picture for one in named])

    parts = list(read(split, others))
    held_back = torch.cat(parts) if parts else torch.zeros(0)
    detector = fit_patches(
        config,
        read("train", chosen),
        held_back,
        num_images=len(chosen),
        false_alarms=command.false_alarms,
        seed=command.seed,
        device=device,
    )
    if len(unread) > MOST_UNREAD * (len(chosen) + len(others)):
        raise ConfigError(
            f"{len(unread)} of {len(chosen) + len(others)} images of {command.root} cannot be read (listed above): "
            "remove them"
        )
    learned = len(chosen) + len(others) - len(unread) - len(held_back)
    record = TrainingRecord(
        recipe=command.weights,
        images_seen=learned,
        data=images.description,
        hours=round((time.monotonic() - start) / 3600, 4),
        device=device_name(device),
        precision="fp32",
        versions={"torch": torch.__version__},
    )
    file = save_weights(detector, replace(weights, training=record), command.out)
    above = float((measured(detector, held_back)[:, 0] > detector.thresholds.cpu()[0]).float().mean())
    print(
        f"fitted to {learned:,} normal images; false-positive rate {above:.1%} on {len(held_back):,} other normal "
        "images"
    )
    if command.false_alarms * len(held_back) < 1:
        print(f"{len(held_back)} images cannot show a false-positive rate under {1 / len(held_back):.1%}: add images")
    told = told_from_planted(detector, held_back)
    print(f"AUROC on synthetic anomalies: {told:.3f}")
    if told < USEFUL:
        print("that is little better than chance: are the normal images similar, and large enough?", file=sys.stderr)
    print(f"{file}. Try it: translate anomaly score {command.out} IMAGES -o OUT")
    return 0


def _score(command: Score) -> int:
    validate(command)

    from translate.applications.anomaly import measured
    from translate.data.image_inputs import named_inputs
    from translate.inference.files import names_a_file
    from translate.inference.image_model import Framing
    from translate.inference.library import load_detector

    if command.out is not None:
        names_a_file(command.out, ())
        if any(command.out.resolve() == Path(given).resolve() for given in command.inputs):
            raise ConfigError(f"--out {command.out} is an input folder: choose another")
    if command.masks is not None and not command.normal:
        raise ConfigError("--masks needs the names of the normal classes: --normal CLASS")
    detector, config = load_detector(command.weights, device=command.device)
    by = command.by or detector.scores[-1]
    if by not in detector.scores:
        raise ConfigError(f"'{config.name}' has no score '{by}', only {', '.join(detector.scores)}: omit --by")
    framing = Framing(config)
    found = named_inputs(
        command.inputs,
        split=command.split,
        count=command.count,
        recursive=command.recursive,
        out=command.out,
        fmt=framing.format,
    )
    for line in found.lines:
        print(line, file=sys.stderr)
    named = found.pictures
    if not named:
        raise ConfigError("none of the images can be read")
    grey = sum(one.picture.channels < 3 for one in named)
    if grey and framing.format.channels == 3 and framing.format.encoding is None:
        print(
            f"{grey} of {len(named)} images are grey, and '{config.name}' was fitted to colour images: that alone may "
            "make them abnormal",
            file=sys.stderr,
        )
    images = framing.prepared([one.picture for one in named])
    scores = measured(detector, images)
    column = detector.scores.index(by)
    threshold = float(detector.thresholds[column])
    abnormal = scores[:, column] > threshold
    report = _report(command, detector, images, scores, named, framing) if command.normal else None
    if command.out is not None:
        _write(command, detector, images, scores, abnormal, named, report, framing, by=by)
    elif len(named) <= 40:
        for one, score, wrong in zip(named, scores[:, column].tolist(), abnormal.tolist(), strict=True):
            print(f"{one.name:30} {score:8.2f}  {'abnormal' if wrong else 'normal'}")
    share = float(abnormal.float().mean())
    alarms = f", set for a false-positive rate of {100 * config.false_alarms:.2g}%" if config.false_alarms else ""
    print(
        f"{int(abnormal.sum())} of {len(named)} images ({share:.1%}) are abnormal: score '{by}' above "
        f"{threshold:.2f}{alarms}"
    )
    if report is not None:
        _print_report(command, report)
    return EXIT_PARTLY if found.failed else 0


def _write(
    command: Score,
    detector: AnomalyDetector,
    images: Tensor,
    scores: Tensor,
    abnormal: Tensor,
    named: Sequence[NamedPicture],
    report: DetectionReport | None,
    framing: Framing,
    *,
    by: str,
) -> None:
    """scores.csv, measures.csv, heat/ and worst.png."""
    import csv

    import torch

    from translate.checkpoint.atomic import make_folder, written_beside
    from translate.inference.files import files_of, output_paths, refuse_overwriting
    from translate.inference.grid import enlarged, heat_on, heat_overlay, image_grid, outlined, to_images

    assert command.out is not None
    maps = output_paths(named, command.out / "heat")
    refuse_overwriting(files_of(named), [command.out / "worst.png"])
    make_folder(command.out)
    _forget(command.out, keep=files_of(named))
    with written_beside(command.out / "scores.csv") as beside, beside.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["image", *detector.scores, "abnormal"])
        for one, row, wrong in zip(named, scores.tolist(), abnormal.tolist(), strict=True):
            table.writerow([one.name, *(f"{value:.4f}" for value in row), int(wrong)])
    if report is not None:
        with (
            written_beside(command.out / "measures.csv") as beside,
            beside.open("w", newline="", encoding="utf-8") as file,
        ):
            table = csv.writer(file)
            table.writerow(["score", "auroc", "pixel_auroc", "pro"])
            for row in report.rows:
                pixels = (row.localised.pixel_auroc, row.localised.pro) if row.localised is not None else (None, None)
                table.writerow([row.name, *("" if value is None else f"{value:.6f}" for value in (row.auroc, *pixels))])
    column = detector.scores.index(by)
    worst = scores[:, column].argsort(descending=True)[: command.maps]
    if not len(worst):
        return
    with torch.inference_mode():
        shown = images[worst].to(detector.device)
        heat, made = detector.heat(shown).cpu(), detector.again(shown[:8])
    overlays = heat_overlay(images[worst], heat, scale=detector.heat_scale)
    if report is not None and report.truth is not None:
        overlays = outlined(overlays, report.truth.masks[worst])
    for number, index in enumerate(worst.tolist()):
        own = heat_on(
            framing.seen(named[index].picture),
            heat[number : number + 1],
            scale=detector.heat_scale,
            mask=report.truth.masks[index] if report is not None and report.truth is not None else None,
        )
        with written_beside(maps[index]) as beside:
            own.save(beside, format="PNG")
    few = slice(0, 8)
    columns = {"image": to_images(images[worst][few])}
    if made is not None:
        columns["reconstruction"] = to_images(made.cpu())
    columns["heat map"] = overlays[few]
    with written_beside(command.out / "worst.png") as beside:
        image_grid({heading: enlarged(row, least=96) for heading, row in columns.items()}).save(beside, format="PNG")


def _forget(out: Path, *, keep: Sequence[Path]) -> None:
    """Take away what lies there of other scores, so that it is not taken for these; but nothing that is scored."""
    if not (out / "scores.csv").is_file():
        return
    kept = {file.resolve() for file in keep}
    for file in (out / "measures.csv", out / "worst.png", *(out / "heat").rglob("*.png")):
        if file.resolve() not in kept:
            file.unlink(missing_ok=True)


def _report(
    command: Score,
    detector: AnomalyDetector,
    images: Tensor,
    scores: Tensor,
    named: Sequence[NamedPicture],
    framing: Framing,
) -> DetectionReport:
    """How well abnormal images (and, with masks, abnormal pixels) are separated from normal ones, beside baselines."""
    import torch

    from translate.applications.localisation import evaluation_of, find_ground_truth
    from translate.data.image_inputs import choose_split, part_names, read_part, spread
    from translate.data.layouts_images import find_images

    found = find_images(command.inputs[0])
    if not found.class_names:
        raise ConfigError(f"{found.root} has no classes that --normal could name: omit it")
    if missing := [name for name in command.normal if name not in found.class_names]:
        raise ConfigError(f"{found.root} has no class {missing[0]!r}: choose from {', '.join(found.class_names)}")
    normal = torch.tensor([found.class_names.index(name) for name in command.normal])
    abnormal = ~torch.isin(torch.tensor([-1 if one.label is None else one.label for one in named]), normal)
    if bool(abnormal.all()) or not bool(abnormal.any()):
        raise ConfigError(f"all of these images are {'abnormal' if bool(abnormal.all()) else 'normal'}: no AUROC")
    learned = None
    if choose_split(found, command.split) != "train" and (part := found.splits.get("train")) is not None:
        assert part.labels is not None
        of_normal = part.chosen([int(i) for i in torch.isin(torch.from_numpy(part.labels), normal).nonzero()])
        read, _ = read_part(of_normal, spread(len(of_normal), None), part_names(of_normal, found.root))
        learned = framing.prepared([one.picture for one in read]) if read else None
    truth = find_ground_truth(named, abnormal, root=found.root, folder=command.masks, framing=framing)
    return evaluation_of(detector, learned, images, scores, abnormal, truth)


def _print_report(command: Score, report: DetectionReport) -> None:
    from rich.console import Console
    from rich.table import Table

    normal, abnormal = report.counts
    table = Table(
        title=f"{normal:,} normal ({', '.join(command.normal)}), {abnormal:,} abnormal",
        title_justify="left",
    )
    table.add_column("score")
    for heading in ("AUROC", "pixel AUROC", "PRO")[: 3 if report.truth is not None else 1]:
        table.add_column(heading, justify="right")
    for row in report.rows:
        pixels = row.localised
        values = (row.auroc, pixels.pixel_auroc if pixels else None, pixels.pro if pixels else None)
        table.add_row(
            row.name, *("-" if value is None else f"{value:.4f}" for value in values[: len(table.columns) - 1])
        )
    console = Console(emoji=False, width=80, highlight=False)
    console.print(table)
    for line in report.lines:
        console.print(line, markup=False, soft_wrap=True)
