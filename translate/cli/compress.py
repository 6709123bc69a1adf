"""``translate compress WEIGHTS INPUT... -o OUT`` and ``translate decompress WEIGHTS INPUT... -o OUT``."""

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
class Compress(Config):
    """Compress images with the codebook of a VQ-VAE; lossy, and the same weights are needed to decompress them."""

    weights: Positional[str]
    """Weights: a name (such as vqvae-faces), a weights folder, a run folder or a .safetensors file."""
    inputs: Positional[tuple[str, ...]]
    """Images, folders or glob patterns; or an image set."""
    out: Annotated[Path, arg(aliases=["-o"])]
    """Output folder; or a .tvq file, for a single image."""
    recursive: Annotated[bool, arg(aliases=["-r"])] = False
    """Search subfolders as well; outputs keep the same subfolders."""
    split: Literal["train", "val", "test"] | None = None
    """Split of an image set to use; default: test, else val, else train."""
    count: Annotated[int, Ge(1)] | None = None
    """Maximum number of images, evenly spaced; default: all."""
    compare: bool = False
    """Compare with JPEG and WebP at the same number of bytes, excluding headers."""
    device: str = "auto"
    """Device: cuda, mps, cpu, or auto for the best one available."""


@dataclass(frozen=True, kw_only=True)
class Decompress(Config):
    """Decompress .tvq files to images."""

    weights: Positional[str]
    """Weights that the files were compressed with."""
    inputs: Positional[tuple[str, ...]]
    """Compressed files (.tvq), folders of them, or glob patterns."""
    out: Annotated[Path, arg(aliases=["-o"])]
    """Output folder, for PNG, or TIFF where the weights were trained on measured values or bands; or a .png, .tif or
    .npy file, for a single input."""
    recursive: Annotated[bool, arg(aliases=["-r"])] = False
    """Search subfolders as well; outputs keep the same subfolders."""
    device: str = "auto"
    """Device: cuda, mps, cpu, or auto for the best one available."""


def compress(command: Compress) -> int:
    """Run ``translate compress``; the exit code."""
    validate(command)
    from translate.applications.compress import SUFFIX, Comparison, Compressor
    from translate.checkpoint.atomic import WriteError, written_beside
    from translate.data.image_inputs import named_inputs
    from translate.data.ranges import missing
    from translate.inference.files import names_a_file, outputs_for
    from translate.inference.library import load_image_model

    names_a_file(command.out, (SUFFIX,))
    compressor = Compressor(load_image_model(command.weights, device=command.device))
    found = named_inputs(
        command.inputs,
        split=command.split,
        count=command.count,
        recursive=command.recursive,
        out=command.out,
        fmt=compressor.model.format,
    )
    for line in found.lines:
        print(line, file=sys.stderr)
    named = found.pictures
    if not named:
        raise ConfigError("none of the images can be read")
    targets = outputs_for(named, command.out, suffix=SUFFIX, single=(SUFFIX,))

    empty = [
        one.name for one in named if one.picture.bands and missing(one.picture.pixels, one.picture.nodata) is not None
    ]
    if empty:
        print(
            f"{len(empty)} of {len(named)} images have no-data pixels, which a {SUFFIX} file cannot represent: they "
            f"become ordinary values ({', '.join(empty[:3])}{', ...' if len(empty) > 3 else ''})",
            file=sys.stderr,
        )
    comparison = Comparison(compressor, rivals=("JPEG", "WEBP") if command.compare else ())
    failed, done = len(found.failed), 0
    for one, target in zip(named, targets, strict=True):
        data = compressor.compress(one.picture)
        try:
            with written_beside(target) as beside:
                beside.write_bytes(data)
        except WriteError as error:
            print(f"failed: {str(error).removesuffix('. Nothing was changed')}", file=sys.stderr)
            failed += 1
            continue
        comparison.add(one.picture, data)
        done += 1
    if not done:
        return EXIT_PARTLY

    from rich.console import Console
    from rich.table import Table

    table = Table(title=f"{done} images", title_justify="left")
    for heading in ("", "bits per pixel", "excluding headers", "PSNR, dB"):
        table.add_column(heading, justify="left" if not heading else "right")
    for rate in comparison.rates():
        table.add_row(rate.name, f"{rate.bits:.3f}", f"{rate.bits_without_heads:.3f}", f"{rate.psnr:.2f}")
    Console(emoji=False, width=80, highlight=False).print(table)
    parameters = sum(tensor.numel() for tensor in compressor.network.state_dict().values())
    print(f"Not counted above, the decoder's weights: {parameters:,} values, {parameters * 2 / 1e6:.1f} MB in fp16")
    in_folders = any(target.parent not in (command.out, command.out.parent) for target in targets)
    print(f"{done} compressed to {command.out}{', in subfolders: decompress with -r' if in_folders else ''}")
    return EXIT_PARTLY if failed else 0


def decompress(command: Decompress) -> int:
    """Run ``translate decompress``; the exit code."""
    validate(command)
    from translate.applications.compress import SUFFIX, CompressedError, Compressor
    from translate.checkpoint.atomic import make_folder
    from translate.data.images import write_image
    from translate.data.inputs import list_inputs
    from translate.inference.files import names_a_file, outputs_for
    from translate.inference.library import load_image_model
    from translate.inference.measured import KEEP_VALUES

    single = (".png", *KEEP_VALUES)
    names_a_file(command.out, single)
    found = list_inputs(
        command.inputs, recursive=command.recursive, out=command.out, suffixes={SUFFIX}, kind=f"{SUFFIX} files"
    )
    for line in found.passed_over:
        print(line, file=sys.stderr)
    compressor = Compressor(load_image_model(command.weights, device=command.device))
    measured = compressor.model.format.encoding is not None
    targets = outputs_for(found.files, command.out, suffix=".tif" if measured else ".png", single=single)
    done = 0
    for file, target in zip(found.files, targets, strict=True):
        try:
            picture = compressor.restored(file.path.read_bytes())
        except (CompressedError, OSError) as error:
            reason = error.strerror if isinstance(error, OSError) else error
            print(f"failed: {file.path} {reason}", file=sys.stderr)
            continue
        make_folder(target.parent)
        write_image(target, picture)
        done += 1
    if done and measured and command.out.suffix.lower() == ".png":
        print("measured values are mapped to the range black to white", file=sys.stderr)
    print(f"{done} of {len(found.files)} decompressed" + (f" to {command.out}" if done else ""))
    return 0 if done == len(found.files) else EXIT_PARTLY
