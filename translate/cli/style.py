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

    from translate.applications.image_classifier import ImageClassifier
    from translate.inference import StyleModel

STYLES, SHEET = "styles.safetensors", "projected.png"
FOR_SCORES = 2_000  # images by which a direction is learned


@dataclass(frozen=True, kw_only=True)
class Directions(Config):
    """Show in which directions the styles of a StyleGAN lead: a sheet, a row a direction, further and further."""

    weights: Positional[str]
    """A name, a weights folder, a run folder, or a .safetensors file."""
    out: Annotated[Path, arg(aliases=["-o"])]
    """The sheet, a .png."""
    kind: Literal["sefa", "pca"] = "sefa"
    """By the weights alone (SeFa), or the principal components of styles (GANSpace)."""
    count: Annotated[int, Ge(1), Le(50)] = 6
    """Directions."""
    only: Annotated[int, Ge(0)] | None = None
    """Only this one, counted from 0."""
    steps: Annotated[int, Ge(2), Le(50)] = 7
    """Images of each."""
    towards: str | None = None
    """One direction in place of those: in which images become more of this class of --classifier."""
    classifier: Path | None = None
    """A run of `translate train classifier` on such images, by which --towards is learned."""
    reach: Annotated[float, Gt(0.0)] | None = None
    """How far, both ways; 3 along SeFa's, and 2 deviations along the others unless given."""
    layers: Literal["all", "coarse", "middle", "fine"] = "all"
    """Where the styles are moved."""
    seed: Annotated[int, Ge(0), Lt(2**63)] = 0
    """Of the image that is changed."""
    styles: Path | None = None
    """A styles.safetensors of `translate project`, whose image is changed in place of a drawn one."""
    psi: float = 0.7
    """Truncation of a drawn image."""
    device: str = "auto"
    """cuda, mps or cpu; the best there is unless given."""


@dataclass(frozen=True, kw_only=True)
class Project(Config):
    """Find styles whose image comes near to a given one; then `translate directions --styles` changes it."""

    weights: Positional[str]
    """A name, a weights folder, a run folder, or a .safetensors file."""
    image: Positional[Path]
    """Of any size; its middle square is taken."""
    out: Annotated[Path, arg(aliases=["-o"])]
    """A folder, which gets the given image beside the found one, and its styles."""
    steps: Annotated[int, Ge(1), Le(100_000)] = 300
    """Of the optimisation."""
    features: Path | None = None
    """A run of `translate train classifier` on such images, whose features are compared, too."""
    seed: Annotated[int, Ge(0), Lt(2**63)] = 0
    device: str = "auto"
    """cuda, mps or cpu; the best there is unless given."""


def directions(command: Directions) -> int:
    validate(command)
    import torch

    from translate.checkpoint.atomic import make_folder, written_beside
    from translate.inference.grid import contact_sheet
    from translate.inference.library import load_style_model
    from translate.inference.style_model import PARTS, read_styles

    if command.out.suffix.lower() != ".png":
        raise ConfigError(f"--out {command.out}: the sheet is a .png")
    model = load_style_model(command.weights, device=command.device)
    layers = (0, None) if command.layers == "all" else PARTS[command.layers]
    styled = model.styled(psi=command.psi)
    kind: str = command.kind
    if command.towards is not None or command.classifier is not None:
        kind, found = f"--towards {command.towards}", _learned(command, model)[None]
    else:
        count = command.count if command.only is None else command.only + 1
        found = model.factorised(count, layers=layers) if command.kind == "sefa" else model.components(count)
        if len(found) < count:
            raise ConfigError(f"'{model.config.name}' has {len(found)} directions, numbered from 0")
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
        images = model.pictures(model.synthesised(torch.cat(moved)))
        contact_sheet(images, columns=command.steps).save(beside, format="PNG")
    print(f"{len(found)} directions by {kind}, {-reach:g} to {reach:g}: {command.out}")
    return 0


def _classifier(folder: Path, model: StyleModel) -> ImageClassifier:
    """A classifier of such images as a model makes.

    Raises:
        ConfigError: it knows others.
    """
    from translate.applications.image_classifier import read_classifier

    judge = read_classifier(folder, device=model.device)
    channels, size = judge.config.network.in_channels, judge.config.preprocessing.size
    if (channels, size) != (model.format.channels, model.size):
        raise ConfigError(
            f"{folder} knows images of {size} px and {channels} channels, and '{model.config.name}' makes some of "
            f"{model.size} px and {model.format.channels}: give a classifier of such images"
        )
    return judge


def _learned(command: Directions, model: StyleModel) -> Tensor:
    """The direction of a class, as long as the styles' deviation along it: [D]."""
    if command.towards is None or command.classifier is None:
        raise ConfigError("--towards names a class of --classifier: give both, or neither")
    judge = _classifier(command.classifier, model)
    if command.towards not in judge.config.classes:
        raise ConfigError(
            f"{command.classifier} knows no class {command.towards!r}: choose among "
            f"{', '.join(judge.config.classes) or 'none, it tells turns'}"
        )
    place = judge.config.classes.index(command.towards)
    found = model.learned(lambda images: {"class": judge.logits(images)[:, place]}, count=FOR_SCORES, seed=command.seed)
    return found["class"]


def project(command: Project) -> int:
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
    judge = None if command.features is None else _classifier(command.features, model)
    make_folder(command.out)
    with Console(stderr=True, highlight=False).status("projecting") as status:
        found = model.project(
            picture,
            steps=command.steps,
            features=None if judge is None else lambda images: [judge.network.features(images)],
            seed=command.seed,
            on_step=lambda step, distance: status.update(f"step {step} of {command.steps}, distance {distance:.4f}"),
        )
    save_styles(found.styles, command.out / STYLES, model)
    with written_beside(command.out / SHEET) as beside:
        given = model.pictures(model.prepared([picture]))
        contact_sheet([*given, found.image], columns=2).save(beside, format="PNG")
    named = "" if judge is None else f", features of {judge.file}, sha256 {judge.sha256[:8]}"
    print(
        f"distance {found.distance:.4f}, of the mean image {found.began:.4f} (pixels at all sizes{named})\n"
        f"{command.out / SHEET}; change it with: translate directions {command.weights} --styles "
        f"{command.out / STYLES} -o OUT.png"
    )
    return 0
