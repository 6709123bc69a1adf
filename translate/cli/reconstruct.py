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
    """Reconstruct images with an autoencoder, and measure how close the reconstructions are."""

    weights: Positional[str]
    """Weights: a name (such as vae-mnist), a weights folder, a run folder or a .safetensors file."""
    inputs: Positional[tuple[str, ...]]
    """Images, folders or glob patterns; or an image set (idx files, .npz, class folders)."""
    out: Annotated[Path, arg(aliases=["-o"])]
    """Output: a .png for one image grid, each image with its reconstruction to its right; or a folder, for one file per
    image: PNG, or TIFF where the weights were trained on measured values or bands."""
    recursive: Annotated[bool, arg(aliases=["-r"])] = False
    """Search subfolders as well; outputs keep the same subfolders."""
    split: Literal["train", "val", "test"] | None = None
    """Split of an image set to use; default: test, else val, else train."""
    count: Annotated[int, Ge(1)] | None = None
    """Maximum number of images, evenly spaced; default: 40 in an image grid, else all."""
    device: str = "auto"
    """Device: cuda, mps, cpu, or auto for the best one available."""


def reconstruct(command: Reconstruct) -> int:
    """Run ``translate reconstruct``; the exit code."""
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
