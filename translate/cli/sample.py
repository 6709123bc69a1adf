"""``translate sample WEIGHTS -o OUT``."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from annotated_types import Ge, Gt, Le, Lt
from tyro.conf import Positional, arg

from translate.config.base import Config, ConfigError, validate

if TYPE_CHECKING:
    from PIL import Image

    from translate.inference import GeneratorModel, ImageModel, StyleModel


VIDEOS = (".gif", ".webp")
MOST_TOGETHER = 10_000  # images in memory at once: of an image grid, of interpolations, of a video
MOST_MIXED = 30  # images above, and on the left
MOST_WAITING = 64  # images to be written
MILLISECONDS = 80  # of a video's image


@dataclass(frozen=True, kw_only=True)
class Sample(Config):
    """Generate new images: an image grid, a folder, interpolations between images, or a plane of latents."""

    weights: Positional[str]
    """Weights: a name (such as gan-mnist or vae-mnist), a weights folder, a run folder or a .safetensors file."""
    out: Annotated[Path, arg(aliases=["-o"])]
    """Output: a .png for one image grid; a .gif or .webp for a video, with --interpolate; or a folder for one file per
    image, PNG, or TIFF where the weights were trained on measured values or bands (for a conditional GAN, one
    subfolder per class)."""
    count: Annotated[int, Ge(1), Le(1_000_000)] = 64
    """Number of images; or of interpolations, with --interpolate."""
    seed: Annotated[int, Ge(0), Lt(2**63)] = 0
    """Seed of the samples: the same seed gives the same images."""
    classes: tuple[str, ...] = ()
    """Classes of a conditional GAN to generate in turn; default: all."""
    temperature: Annotated[float, Ge(0.0), Le(10.0)] = 1.0
    """Sampling temperature, 0-10; below 1 for more typical and less varied images."""
    interpolate: Annotated[int, Ge(2), Le(1000)] | None = None
    """Number of images, 2-1000, per spherical interpolation between the latents of two samples; default: none."""
    between: tuple[Path, Path] | None = None
    """Two images to interpolate between, instead of samples (with --interpolate)."""
    plane: Annotated[int, Ge(2), Le(100)] | None = None
    """Side N, 2-100, of a plane (latent traversal): a grid of N x N images over two latent directions; default: no
    plane."""
    reach: Annotated[float, Gt(0.0)] = 2.0
    """Maximum shift along the directions of --plane, to either side of the mean, in standard deviations of the
    latents."""
    truncation: tuple[float, ...] = ()
    """Truncation (psi) of a StyleGAN, -2 to 2, one value or one per layer: 1 as trained, lower for more typical images,
    0 for the mean image; default: 1."""
    noise_mode: Literal["fixed", "random", "none"] = "fixed"
    """Noise inputs of a StyleGAN, which decide fine detail such as strands of hair: fixed, random or none."""
    space: Literal["z", "w"] = "z"
    """Space in which --interpolate runs in a StyleGAN: z, spherical interpolation of the latents, or w, linear
    interpolation of the styles."""
    mix: Literal["coarse", "middle", "fine"] | None = None
    """Style mixing of a StyleGAN: an image grid, --count by --count, in which these layers take the styles of the image
    above and the others those of the image on the left; default: no mixing."""
    columns: Annotated[int, Ge(1)] | None = None
    """Columns of the image grid; default: a nearly square grid, or one column per class."""
    device: str = "auto"
    """Device: cuda, mps, cpu, or auto for the best one available."""


def sample(command: Sample) -> int:
    """Run ``translate sample``; the exit code."""
    validate(command)
    from translate.checkpoint.atomic import make_folder, written_beside
    from translate.inference.files import names_a_file
    from translate.inference.grid import contact_sheet, enlarged, on_screen
    from translate.inference.library import load_sampler

    suffix = command.out.suffix.lower() if names_a_file(command.out, (".png", *VIDEOS)) else ""
    is_video, on_sheet = suffix in VIDEOS, suffix == ".png"
    _check(command, is_video=is_video, on_sheet=on_sheet)
    model = _styled(command, load_sampler(command.weights, device=command.device))
    if on_sheet or is_video:
        images, columns = _pictures(command, model, closed=is_video)
        make_folder(command.out.parent)
        with written_beside(command.out) as beside:
            if is_video:
                first, *others = enlarged([on_screen(image) for image in images], least=128)
                options = {"save_all": True, "append_images": others, "duration": MILLISECONDS, "loop": 0}
                first.save(beside, format=suffix[1:].upper(), **options)
            else:
                contact_sheet(images, columns=command.columns or columns).save(beside, format="PNG")
        made = len(images)
    else:
        made = _folder(command, model)
    if model.config.preprocessing.source is not None and (on_sheet or is_video or not _is_drawn(command)):
        note = "measured values are mapped to the range black to white, and three of many bands are shown"
        print(note, file=sys.stderr)
    print(f"{made:,} images generated, seed {command.seed}: {command.out}")
    return 0


def _check(command: Sample, *, is_video: bool, on_sheet: bool) -> None:
    if command.between is not None and command.interpolate is None:
        raise ConfigError("--between needs a number of images, such as --interpolate 10")
    pictures = {"--plane": command.plane, "--interpolate": command.interpolate, "--mix": command.mix}
    given = [name for name, value in pictures.items() if value is not None]
    if len(given) > 1:
        raise ConfigError(f"{' and '.join(given)} exclude each other: choose one")
    if command.space == "w" and command.interpolate is None:
        raise ConfigError("--space w is for interpolations: add --interpolate")
    if command.mix is not None and (command.temperature != 1.0 or command.columns is not None):
        raise ConfigError("--mix sets its own columns, and uses --truncation: omit --columns and --temperature")
    if command.mix is not None and (not on_sheet or command.count > MOST_MIXED):
        raise ConfigError(f"--mix makes a grid of --count by --count images: name a .png, --count {MOST_MIXED} at most")
    if is_video and (command.interpolate is None or command.between is not None):
        raise ConfigError(
            f"--out {command.out} is a video of interpolations between samples: add --interpolate, omit --between"
        )
    together = command.count * (command.interpolate or 1) if command.plane is None else command.plane**2
    if together > MOST_TOGETHER and (on_sheet or is_video or command.interpolate is not None):
        raise ConfigError(
            f"{together:,} images are too many for an image grid, a video or interpolations ({MOST_TOGETHER:,} at "
            "most): lower --count, or name a folder"
        )
    if not on_sheet and not is_video and command.out.is_dir() and any(command.out.iterdir()):
        raise ConfigError(f"{command.out} already holds files: name a new folder, so that they are not mixed")


def _styled(command: Sample, model: ImageModel | GeneratorModel) -> ImageModel | GeneratorModel:
    """The model under the controls that only a StyleGAN has."""
    from translate.inference import StyleModel

    if isinstance(model, StyleModel):
        return model.styled(
            truncation=command.truncation or 1.0, noise=command.noise_mode, space=command.space, seed=command.seed
        )
    given = {"--truncation": command.truncation, "--mix": command.mix, "--noise-mode": command.noise_mode != "fixed"}
    if wrong := [name for name, value in {**given, "--space": command.space != "z"}.items() if value]:
        raise ConfigError(f"'{model.config.name}' is not a StyleGAN: omit {wrong[0]}")
    return model


def _mixed(command: Sample, model: StyleModel) -> list[Image.Image]:
    """The images above and on the left, and every mixture of them; the corner is empty."""
    from PIL import Image

    from translate.inference.style_model import PARTS

    assert command.mix is not None
    count = command.count
    latents, labels = model.latents(2 * count, seed=command.seed), model.labels(2 * count, classes=command.classes)
    above, left = model.styles(latents, labels).split(count)
    mixtures = model.to_images(model.synthesised(model.mixed(left, above, layers=PARTS[command.mix])))
    first, rows = model.to_images(model.synthesised(above)), model.to_images(model.synthesised(left))
    found = [Image.new("RGB", first[0].size, (255, 255, 255)), *first]
    for number, image in enumerate(rows):
        found += [image, *mixtures[number * count : (number + 1) * count]]
    return found


def _drawn(command: Sample, model: ImageModel | GeneratorModel) -> dict[str, Any]:
    """What images are drawn by."""
    from translate.inference import GeneratorModel

    drawn: dict[str, Any] = {"seed": command.seed, "temperature": command.temperature}
    if isinstance(model, GeneratorModel):
        return {**drawn, "classes": command.classes}
    if command.classes:
        raise ConfigError(f"'{model.config.name}' was trained without classes: omit --classes")
    return drawn


def _pictures(
    command: Sample, model: ImageModel | GeneratorModel, *, closed: bool
) -> tuple[list[Image.Image], int | None]:
    """The images of a sheet or a video, and the columns that suit them."""
    from translate.data.images import read_image
    from translate.inference import GeneratorModel, StyleModel

    drawn = _drawn(command, model)
    if command.mix is not None:
        assert isinstance(model, StyleModel)
        return _mixed(command, model), command.count + 1
    if isinstance(model, GeneratorModel):
        if command.plane is not None or command.between is not None:
            raise ConfigError(
                f"'{model.config.name}' is a GAN, which cannot encode images and whose latents have no leading "
                "directions: --plane and --between are for a vae"
            )
    elif command.plane is not None:
        return model.plane(steps=command.plane, reach=command.reach), command.plane
    elif command.between is not None:
        assert command.interpolate is not None
        first, last = model.to_images(model.prepared([read_image(path) for path in command.between]))
        return model.interpolate(first, last, steps=command.interpolate), command.interpolate
    if command.interpolate is not None:
        return model.walk(command.count, steps=command.interpolate, closed=closed, **drawn), command.interpolate
    columns = None
    if isinstance(model, GeneratorModel) and model.class_names and command.count >= len(model.class_names):
        columns = len(command.classes or model.class_names)
    return model.sample(command.count, **drawn), columns


def _folder(command: Sample, model: ImageModel | GeneratorModel) -> int:
    """A file an image; returns how many."""
    from translate.checkpoint.atomic import make_folder
    from translate.data.images import Picture, from_pil, write_image
    from translate.data.layouts_common import class_folder

    images: Iterable[tuple[Picture, str | None]]
    if _is_drawn(command):
        images = model.samples(command.count, **_drawn(command, model))
    else:
        images = ((from_pil(image), None) for image in _pictures(command, model, closed=False)[0])
    made = 0
    with ThreadPoolExecutor(1) as behind:  # writes while more are made
        waiting: deque[Future[None]] = deque()
        try:
            for number, (picture, name) in enumerate(images):
                folder = command.out / class_folder(name) if name is not None else command.out
                make_folder(folder)
                file = folder / f"{number:06d}{'.tif' if picture.bands else '.png'}"
                waiting.append(behind.submit(write_image, file, picture))
                while waiting and (waiting[0].done() or len(waiting) > MOST_WAITING):
                    waiting.popleft().result()
                made += 1
            for written in waiting:
                written.result()
        except BaseException:
            behind.shutdown(cancel_futures=True)
            raise
    return made


def _is_drawn(command: Sample) -> bool:
    """Whether images are independent of one another, and none is between others."""
    return command.interpolate is None and command.plane is None
