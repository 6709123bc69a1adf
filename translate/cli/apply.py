"""``translate apply WEIGHTS INPUT... -o OUT``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from annotated_types import Ge, Le, Lt
from rich.console import Console
from tyro.conf import Positional, arg

from translate.config.base import Config, ConfigError, validate
from translate.config.style_transfer import MOST_STRENGTH
from translate.config.training import Precision

EXIT_PARTLY = 1


@dataclass(frozen=True, kw_only=True)
class Apply(Config):
    """Translate images: files, folders or glob patterns. Each output has the size of its input, times --scale."""

    weights: Positional[str]
    """Weights: a name (such as facades), a weights folder, a run folder or a .safetensors file."""
    inputs: Positional[tuple[str, ...]]
    """Images, folders or glob patterns."""
    out: Annotated[Path, arg(aliases=["-o"])]
    """Output folder; or, for a single image, a file whose suffix sets the format."""
    recursive: Annotated[bool, arg(aliases=["-r"])] = False
    """Search subfolders as well; outputs keep the same subfolders."""
    format: Literal["png", "jpg", "webp", "tif", "avif", "npy"] | None = None
    """Format of the files in the output folder; default: png, or tif for measured values or bands."""
    quality: Annotated[int, Ge(1), Le(100)] | None = None
    """JPEG, WebP and AVIF quality, 1-100; default: 95 for JPEG, lossless for WebP, 100 for AVIF (exact to within a few
    levels)."""
    batch_size: Annotated[int, Ge(1)] = 8
    """Maximum number of images per forward pass; consecutive images of equal size are batched."""
    device: str = "auto"
    """Device: cuda, mps, cpu, or auto for the best one available."""
    precision: Precision = "auto"
    """Precision: fp32, bf16, fp16, or auto for bf16 where the device is fast at it, else fp32."""
    seed: Annotated[int, Ge(0), Lt(2**63)] = 0
    """Seed of the noise, for weights that keep dropout on; of the style code, for weights trained with --style-dim."""
    variants: Annotated[int, Ge(1), Le(1000)] = 1
    """Outputs per image, from --seed and the seeds after it, named NAME-SEED (weights trained with --style-dim or
    --noise always)."""
    reference: Path | None = None
    """Reference image whose style code is used (weights trained with --style-dim); default: a random code."""
    style: str | None = None
    """Named style, or a weighted mixture such as starry-night:0.6,red-fuji:0.4 (weights with named styles); default:
    the first style."""
    style_image: Path | None = None
    """Style image, such as a painting (weights trained with --any-style)."""
    strength: Annotated[float, Ge(0.0), Le(MOST_STRENGTH)] = 1.0
    """Style strength, 0-1.5: 1 as trained, lower to keep more of the photograph."""
    keep_colours: bool = False
    """Keep the colours of the input, and take only the luminance of the output."""
    values: tuple[float, float] | None = None
    """LOW HIGH: file values that are mapped to black and white; default: as in training, or else the range found in all
    input files."""
    bands: tuple[Annotated[int, Ge(1)], ...] = ()
    """Channels of the files to use, counted from 1, such as 4 3 2; default: as in training."""
    labels: bool = False
    """Read the files as class ids (grey values or palette indices), for weights trained with --labels."""
    pages: bool = False
    """Translate every page of a TIFF and every frame of an animation, each to its own file; else only the first."""
    tile: Literal["auto", "off"] | Annotated[int, Ge(4)] = "auto"
    """Translation in parts, which takes less memory and gives the same result: auto (images above 1 megapixel,
    8 on a GPU), off, or the side of a tile (the height of a strip) in pixels."""
    scale: Annotated[int, Ge(1), Le(8)] = 1
    """Factor, 1-8, by which images are enlarged first, for weights trained with --derive low-res."""


def apply(command: Apply) -> int:
    """Run ``translate apply``; the exit code."""
    validate(command)
    from translate.checkpoint.atomic import make_folder
    from translate.data.image_inputs import further_pages
    from translate.data.images import WRITABLE_SUFFIXES, read_image
    from translate.data.inputs import list_inputs
    from translate.inference.files import names_a_file, outputs_for, refuse_overwriting, translate_files
    from translate.inference.library import load_translator
    from translate.inference.measured import KEEP_VALUES, as_sources, found_values, requested
    from translate.inference.styles import parse_mixture
    from translate.inference.translator import InferenceError

    errors = Console(emoji=False, stderr=True, highlight=False)

    def say(line: str) -> None:
        errors.print(line, markup=False, soft_wrap=True)

    one_file = names_a_file(command.out, WRITABLE_SUFFIXES)
    found = list_inputs(command.inputs, recursive=command.recursive, out=command.out)
    for line in found.passed_over:
        say(line)
    if command.style is not None and command.style_image is not None:
        raise ConfigError("--style and --style-image both set the style: give only one of them")
    if command.reference is not None and command.style_image is not None:
        raise ConfigError("--reference and --style-image both set the style: give only one of them")
    if command.reference is not None and command.variants > 1:
        raise ConfigError("--reference fixes the style, and --variants varies it: give only one of them")
    if one_file and command.variants > 1:
        raise ConfigError(f"--out {command.out} is one file, and --variants makes {command.variants}: name a folder")
    translator = load_translator(command.weights, device=command.device, precision=command.precision)
    several = (translator.style and not translator.styles) or translator.config.noise == "always"
    if command.variants > 1 and not several:
        raise ConfigError(
            f"'{translator.config.name}' makes one output per image, whatever the seed: --variants is for weights that "
            "were trained with --style-dim or --noise always"
        )
    translator.in_parts(1, 1, tile=command.tile)  # refuses one that does not fit
    if command.values is not None or command.bands or command.labels:
        translator.read_as(
            requested(translator.config, values=command.values, bands=command.bands, labels=command.labels)
        )
    named, sources = as_sources(
        found.files,
        pages=command.pages,
        ids=translator.takes_ids,
        bands=translator.source.bands if translator.source is not None else (),
    )
    values = None
    if translator.source is None and (ranged := found_values(sources)) is not None:
        values = ranged.values
        say(f"{ranged.describe()}. --values LOW HIGH sets another range")
    in_units = translator.target is not None or values is not None
    suffix = f".{command.format or ('tif' if in_units else 'png')}"
    seeds = range(command.seed, command.seed + command.variants)
    marks = [f"-{seed}" for seed in seeds] if command.variants > 1 else [""]
    outputs_of = [outputs_for(named, command.out, suffix=suffix, single=WRITABLE_SUFFIXES, mark=mark) for mark in marks]
    if command.reference is not None:
        refuse_overwriting([command.reference], outputs_of[0])
    if in_units and outputs_of[0][0].suffix.lower() not in KEEP_VALUES:
        kept = f"{' and '.join(KEEP_VALUES)} files keep their units"
        say(f"measured values are mapped to the range black to white; {kept}")
    if command.style_image is not None:
        if not translator.any_style:
            ways = f"choose --style from {', '.join(translator.styles)}" if translator.styles else "omit --style-image"
            raise ConfigError(f"'{translator.config.name}' cannot paint in the style of an image: {ways}")
        refuse_overwriting([command.style_image], outputs_of[0])
    code = None if command.reference is None else translator.reference_code(read_image(command.reference))
    if translator.any_style:
        if command.style_image is None:
            raise ConfigError(f"'{translator.config.name}' needs a style image: --style-image PAINTING.jpg")
        try:
            code = translator.style_code(read_image(command.style_image), strength=command.strength)
        except InferenceError as error:
            raise ConfigError(f"{command.style_image}: {error}") from None
    elif command.style is not None or command.strength != 1.0:
        mixture = parse_mixture(command.style) if command.style is not None else None
        code = translator.style_code(mixture, strength=command.strength)
    elif len(translator.styles) > 1:
        say(f"style {translator.styles[0]}; choose another with --style, from {', '.join(translator.styles)}")
    make_folder(command.out.parent if one_file else command.out)

    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("translating"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=errors, transient=True, disable=not errors.is_terminal) as progress:
        task = progress.add_task("", total=command.variants * len(sources))

        def on_done(source: Path, reason: str | None) -> None:
            progress.advance(task)
            if reason is not None:
                say(f"failed: {reason}")

        failed: set[Path] = set()
        done, further = 0, {}
        for number, outputs in enumerate(outputs_of):
            jobs = [job for job in zip(sources, outputs, strict=True) if job[0].path not in failed]
            summary = translate_files(
                translator,
                [source for source, _ in jobs],
                [output for _, output in jobs],
                batch_size=command.batch_size,
                quality=command.quality,
                seed=command.seed + number,
                code=code,
                keep_colours=command.keep_colours,
                scale=command.scale,
                values=values,
                tile=command.tile,
                on_done=on_done,
            )
            failed |= set(summary.failed)
            done, further = len(summary.written), summary.further
    for line in further_pages({path.name: count for path, count in further.items()}):
        say(f"{line}: --pages reads them as well")
    where = outputs_of[0][0] if len(sources) == command.variants == 1 else command.out
    times = f", {command.variants} variants each," if command.variants > 1 else ""
    print(f"{done} of {len(sources)} translated{times}" + (f" to {where}" if done else ""))
    return EXIT_PARTLY if failed else 0
