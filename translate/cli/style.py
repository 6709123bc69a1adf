"""``translate directions WEIGHTS -o OUT`` and ``translate project WEIGHTS IMAGE -o OUT``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from annotated_types import Ge, Gt, Le, Lt
from tyro.conf import Positional, arg

from translate.config.base import Config, ConfigError, validate

if TYPE_CHECKING:
    from torch import Tensor

    from translate.applications.classifier import KeptClassifier
    from translate.inference import StyleModel

STYLES, SHEET = "styles.safetensors", "projected.png"
FOR_SCORES = 2_000  # images by which a direction is learned


@dataclass(frozen=True, kw_only=True)
class Directions(Config):
    """Show what directions in the style space of a StyleGAN change: an image grid with one row per direction."""

    weights: Positional[str]
    """Weights: a name, a weights folder, a run folder or a .safetensors file."""
    out: Annotated[Path, arg(aliases=["-o"])]
    """Output image grid, a .png."""
    kind: Literal["sefa", "pca"] = "sefa"
    """Method: from the weights alone (sefa), or the principal components of the styles (pca, as in GANSpace)."""
    count: Annotated[int, Ge(1), Le(50)] = 6
    """Number of directions, 1-50."""
    only: Annotated[int, Ge(0)] | None = None
    """Index of the only direction to show, counted from 0; default: all of --count."""
    steps: Annotated[int, Ge(2), Le(50)] = 7
    """Images per direction, 2-50."""
    towards: str | None = None
    """Class of --classifier; shows one direction instead, along which images come closer to this class."""
    classifier: Path | None = None
    """Run folder of `translate train classifier` on images of this kind, from which --towards is learned."""
    reach: Annotated[float, Gt(0.0)] | None = None
    """Maximum shift along a direction, to either side: in its length (SeFa, unit vectors; default: 3), else in standard
    deviations of the styles (default: 2)."""
    layers: Literal["all", "coarse", "middle", "fine"] = "all"
    """Layers whose styles are moved."""
    seed: Annotated[int, Ge(0), Lt(2**63)] = 0
    """Seed of the image that is edited."""
    styles: Path | None = None
    """File styles.safetensors of `translate project`, whose image is edited; default: a random image, by --seed."""
    truncation: float = 0.7
    """Truncation (psi) of the random image, -2 to 2: 1 as trained, 0 for the mean image."""
    device: str = "auto"
    """Device: cuda, mps, cpu, or auto for the best one available."""


@dataclass(frozen=True, kw_only=True)
class Project(Config):
    """Project an image into the style space (GAN inversion): find the styles that best reproduce it, to edit it with
    translate directions --styles."""

    weights: Positional[str]
    """Weights: a name, a weights folder, a run folder or a .safetensors file."""
    image: Positional[Path]
    """Image of any size; its central square is used."""
    out: Annotated[Path, arg(aliases=["-o"])]
    """Output folder for the styles, and for the given image beside its reproduction."""
    steps: Annotated[int, Ge(1), Le(100_000)] = 300
    """Optimisation steps."""
    features: Path | None = None
    """Run folder of `translate train classifier` on images of this kind, whose features are compared as well as pixels;
    default: pixels only."""
    seed: Annotated[int, Ge(0), Lt(2**63)] = 0
    """Seed of the optimisation."""
    device: str = "auto"
    """Device: cuda, mps, cpu, or auto for the best one available."""


def directions(command: Directions) -> int:
    """Run ``translate directions``; the exit code."""
    validate(command)
    import torch

    from translate.checkpoint.atomic import make_folder, written_beside
    from translate.inference.grid import contact_sheet
    from translate.inference.library import load_style_model
    from translate.inference.style_model import PARTS, read_styles

    if command.out.suffix.lower() != ".png":
        raise ConfigError(f"--out {command.out}: the image grid must be a .png")
    model = load_style_model(command.weights, device=command.device)
    layers = (0, None) if command.layers == "all" else PARTS[command.layers]
    styled = model.styled(truncation=command.truncation)
    kind: str = command.kind
    if command.towards is not None or command.classifier is not None:
        kind, found = f"--towards {command.towards}", _learned(command, model)[None]
    else:
        count = command.count if command.only is None else command.only + 1
        found = model.factorised(count, layers=layers) if command.kind == "sefa" else model.components(count)
        if len(found) < count:
            raise ConfigError(f"'{model.config.name}' has only {len(found)} directions, counted from 0")
        if command.only is not None:
            found = found[command.only :]
    styles = styled.seeded([command.seed]) if command.styles is None else read_styles(command.styles, model)[:1]
    reach = command.reach or (3.0 if kind == "sefa" else 2.0)
    moved = [
        model.edited(styles, direction, strength=float(strength), layers=layers)
        for direction in found
        for strength in torch.linspace(-reach, reach, command.steps)
    ]
    make_folder(command.out.parent)
    with written_beside(command.out) as beside:
        images = model.to_images(model.synthesised(torch.cat(moved)))
        contact_sheet(images, columns=command.steps).save(beside, format="PNG")
    print(f"{len(found)} directions by {kind}, {-reach:g} to {reach:g}: {command.out}")
    return 0


def _classifier(folder: Path, model: StyleModel) -> KeptClassifier:
    """A classifier of such images as a model makes.

    Raises:
        ConfigError: it knows others.
    """
    from translate.applications.classifier import read_classifier

    evaluator = read_classifier(folder, device=model.device)
    channels, size = evaluator.config.network.in_channels, evaluator.config.preprocessing.size
    if (channels, size) != (model.format.channels, model.size):
        raise ConfigError(
            f"{folder} was trained on images of {size} px and {channels} channels, and '{model.config.name}' generates "
            f"{model.size} px and {model.format.channels} channels: give a classifier of such images"
        )
    return evaluator


def _learned(command: Directions, model: StyleModel) -> Tensor:
    """The direction of a class, as long as the styles' deviation along it: [D]."""
    if command.towards is None or command.classifier is None:
        raise ConfigError("--towards names a class of --classifier: give both, or neither")
    evaluator = _classifier(command.classifier, model)
    if command.towards not in evaluator.config.classes:
        raise ConfigError(
            f"{command.classifier} has no class {command.towards!r}: choose from "
            f"{', '.join(evaluator.config.classes) or 'none (it was trained on rotations)'}"
        )
    place = evaluator.config.classes.index(command.towards)
    found = model.learned(
        lambda images: {"class": evaluator.logits(images)[:, place]}, count=FOR_SCORES, seed=command.seed
    )
    return found["class"]


def project(command: Project) -> int:
    """Run ``translate project``; the exit code."""
    validate(command)
    from rich.console import Console

    from translate.checkpoint.atomic import make_folder, written_beside
    from translate.data.images import read_image
    from translate.inference.files import names_a_file
    from translate.inference.grid import contact_sheet
    from translate.inference.library import load_style_model
    from translate.inference.style_model import save_styles

    names_a_file(command.out, ())
    model = load_style_model(command.weights, device=command.device)
    picture = read_image(command.image)
    evaluator = None if command.features is None else _classifier(command.features, model)
    make_folder(command.out)
    with Console(emoji=False, stderr=True, highlight=False).status("projecting") as status:
        found = model.project(
            picture,
            steps=command.steps,
            features=None if evaluator is None else lambda images: [evaluator.network.features(images)],
            seed=command.seed,
            on_step=lambda step, distance: status.update(f"step {step} of {command.steps}, distance {distance:.4f}"),
        )
    save_styles(found.styles, command.out / STYLES, model)
    with written_beside(command.out / SHEET) as beside:
        given = model.to_images(model.prepared([picture]))
        contact_sheet([*given, found.image], columns=2).save(beside, format="PNG")
    named = "" if evaluator is None else f", features of {evaluator.file}, sha256 {evaluator.sha256[:8]}"
    print(
        f"distance {found.distance:.4f}, down from {found.began:.4f} of the mean image (pixels at all scales{named})\n"
        f"{command.out / SHEET}; edit it with: translate directions {command.weights} --styles "
        f"{command.out / STYLES} -o OUT.png"
    )
    return 0
