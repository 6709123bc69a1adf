"""``translate reconstruct WEIGHTS INPUT... -o OUT``."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from annotated_types import Ge
from tyro.conf import Positional, arg

from translate.config.base import Config, ConfigError, validate

EXIT_PARTLY = 1


@dataclass(frozen=True, kw_only=True)
class Reconstruct(Config):
    """Put images through an autoencoder: what it makes of them, and how near that is."""

    weights: Positional[str]
    """A name (such as vae-mnist), a weights folder, a run folder, or a .safetensors file."""
    inputs: Positional[tuple[str, ...]]
    """Images, folders, patterns; or an image set (idx files, .npz, folders of classes)."""
    out: Annotated[Path, arg(aliases=["-o"])]
    """A .png for one sheet, each image with what is made of it to its right; or a folder, for a file each: PNG, or TIFF
    where the weights were trained on measured values or bands."""
    recursive: Annotated[bool, arg(aliases=["-r"])] = False
    """Search the folders in folders, too; outputs lie in such folders again."""
    split: Literal["train", "val", "test"] | None = None
    """Of an image set; test, or else val or train, unless given."""
    count: Annotated[int, Ge(1)] | None = None
    """Images at most, evenly spread; 40 on a sheet unless given."""
    device: str = "auto"
    """cuda, mps or cpu; the best there is unless given."""


def reconstruct(command: Reconstruct) -> int:
    validate(command)
    from translate.checkpoint.atomic import make_folder, written_beside
    from translate.data.image_inputs import named_inputs
    from translate.data.images import write_image
    from translate.inference.files import files_of, names_a_file, output_paths, refuse_overwriting
    from translate.inference.grid import contact_sheet, to_images
    from translate.inference.library import load_image_model
    from translate.metrics import l1, psnr

    on_sheet = names_a_file(command.out, (".png",))
    model = load_image_model(command.weights, device=command.device)
    count = command.count or (40 if on_sheet else None)
    found = named_inputs(
        command.inputs, split=command.split, count=count, recursive=command.recursive, out=command.out, fmt=model.format
    )
    for line in found.lines:
        print(line, file=sys.stderr)
    named = found.pictures
    if not named:
        raise ConfigError("none of the images can be read")
    if on_sheet:
        refuse_overwriting(files_of(named), [command.out])
    else:
        targets = output_paths(named, command.out, suffix=".png" if model.format.encoding is None else ".tif")
    images = model.prepared([one.picture for one in named])
    made = model.reconstructed(images)
    if on_sheet:
        pairs = [image for both in zip(to_images(images), to_images(made), strict=True) for image in both]
        with written_beside(command.out) as beside:
            contact_sheet(pairs, columns=min(8, len(pairs))).save(beside, format="PNG")
    else:
        for target, picture in zip(targets, model.files(made, like=[one.picture for one in named]), strict=True):
            make_folder(target.parent)
            write_image(target, picture)
    unit_images, unit_made = (images + 1) / 2, (made + 1) / 2
    print(
        f"{len(named)} images reconstructed to {command.out}: L1 {float(l1(unit_made, unit_images).mean()):.4f}, "
        f"PSNR {float(psnr(unit_made, unit_images).mean()):.2f} dB"
    )
    return EXIT_PARTLY if found.failed else 0
