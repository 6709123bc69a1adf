"""``translate sample WEIGHTS -o OUT``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from annotated_types import Ge, Gt, Le, Lt
from tyro.conf import Positional, arg

from translate.config.base import Config, ConfigError, validate


@dataclass(frozen=True, kw_only=True)
class Sample(Config):
    """Make new images: a sheet, a folder, ways between images, or a map of the latents."""

    weights: Positional[str]
    """A name (such as vae-mnist), a weights folder, a run folder, or a .safetensors file."""
    out: Annotated[Path, arg(aliases=["-o"])]
    """A .png for one sheet; or a folder, for a file each."""
    count: Annotated[int, Ge(1), Le(1_000_000)] = 64
    """Images; or ways, with --interpolate."""
    seed: Annotated[int, Ge(0), Lt(2**63)] = 0
    """The same seed makes the same images."""
    temperature: Annotated[float, Ge(0.0), Le(10.0)] = 1.0
    """Below 1 for likelier and less varied images."""
    interpolate: Annotated[int, Ge(2)] | None = None
    """Images from each drawn one to the next, along a great circle of the latents."""
    between: tuple[Path, Path] | None = None
    """With --interpolate: from this image to that one, in place of drawn ones."""
    map: Annotated[int, Ge(2), Le(100)] | None = None
    """A square of so many by so many images over two latents."""
    reach: Annotated[float, Gt(0.0)] = 2.0
    """Of the map, in deviations of the latents."""
    columns: Annotated[int, Ge(1)] | None = None
    """Of a sheet; nearly a square unless given."""
    device: str = "auto"
    """cuda, mps or cpu; the best there is unless given."""


def sample(command: Sample) -> int:
    validate(command)
    from translate.checkpoint.atomic import make_folder, written_beside
    from translate.data.images import read_image
    from translate.inference.grid import contact_sheet
    from translate.inference.library import load_image_model

    if command.between is not None and command.interpolate is None:
        raise ConfigError("--between goes with --interpolate: say how many images there should be, such as 10")
    if command.map is not None and command.interpolate is not None:
        raise ConfigError("--map and --interpolate are two pictures: choose one")
    on_sheet = command.out.suffix.lower() == ".png"
    if command.out.suffix and not on_sheet:
        raise ConfigError(f"--out {command.out}: a sheet is a .png; or name a folder")
    model = load_image_model(command.weights, device=command.device)
    columns = command.columns
    if command.map is not None:
        images, columns = model.plane(steps=command.map, reach=command.reach), command.map
    elif command.between is not None:
        first, last = model.pictures(model.prepared([read_image(path) for path in command.between]))
        assert command.interpolate is not None
        images = model.interpolate(first, last, steps=command.interpolate)
        columns = command.interpolate
    elif command.interpolate is not None:
        ends = model.sample(2 * command.count, seed=command.seed, temperature=command.temperature)
        pairs = zip(ends[::2], ends[1::2], strict=True)
        images = [one for a, b in pairs for one in model.interpolate(a, b, steps=command.interpolate)]
        columns = command.interpolate
    else:
        images = model.sample(command.count, seed=command.seed, temperature=command.temperature)
    make_folder(command.out.parent if on_sheet else command.out)
    if on_sheet:
        with written_beside(command.out) as beside:
            contact_sheet(images, columns=columns).save(beside, format="PNG")
    else:
        digits = max(6, len(str(len(images) - 1)))
        for number, image in enumerate(images):
            with written_beside(command.out / f"{number:0{digits}d}.png") as beside:
                image.save(beside, format="PNG")
    print(f"{len(images)} images made, seed {command.seed}: {command.out}")
    return 0
