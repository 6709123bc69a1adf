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
    """Translate images: a file, several, a folder, or a pattern. Every output has its input's size, times --scale."""

    weights: Positional[str]
    """A name (such as facades), a weights folder, a run folder, or a .safetensors file."""
    inputs: Positional[tuple[str, ...]]
    """Images, folders, patterns."""
    out: Annotated[Path, arg(aliases=["-o"])]
    """A folder; or a file, for a single image: its suffix decides the format."""
    recursive: Annotated[bool, arg(aliases=["-r"])] = False
    """Search the folders in folders, too; outputs lie in such folders again."""
    format: Literal["png", "jpg", "webp", "tif", "avif", "npy"] | None = None
    """Format of the files in a folder; png unless given, or tif where the weights make measured values or bands."""
    quality: Annotated[int, Ge(1), Le(100)] | None = None
    """Of JPEG, WebP and AVIF (WebP is lossless unless given, AVIF within a few levels)."""
    batch_size: Annotated[int, Ge(1)] = 8
    """Most images in one pass; neighbours of equal size go together."""
    device: str = "auto"
    """cuda, mps or cpu; the best there is unless given."""
    precision: Precision = "auto"
    """bf16 where the device is fast at it, else fp32."""
    seed: Annotated[int, Ge(0), Lt(2**63)] = 0
    """Of the noise, for weights that keep their dropout on; of the look, for weights that were trained with
    --style-dim."""
    looks: Annotated[int, Ge(1), Le(1000)] = 1
    """Of such weights: so many outputs of each image, of the seed and those after it, named NAME-SEED."""
    like: Path | None = None
    """Of such weights: an image whose look is taken over."""
    style: str | None = None
    """Of weights with named styles: one of them, or several and their shares, as starry-night:0.6,red-fuji:0.4; the
    first unless given."""
    style_image: Path | None = None
    """Of weights that paint in any style: an image of that style, such as a painting."""
    strength: Annotated[float, Ge(0.0), Le(MOST_STRENGTH)] = 1.0
    """Of the style: 1 as it was learned, less for more of the photograph."""
    keep_colours: bool = False
    """Take the colours of the input, and only light and dark of what is made of it."""
    values: tuple[float, float] | None = None
    """LOW HIGH: the values of the files that become black and white; as the weights were trained unless given, or else
    found in all the files that are named."""
    bands: tuple[Annotated[int, Ge(1)], ...] = ()
    """Channels of the files to take, counted from 1, such as 4 3 2; as the weights were trained unless given."""
    labels: bool = False
    """The files hold class ids (grey values or palette indices), and the weights take one-hot classes."""
    pages: bool = False
    """Translate every page of a TIFF and every frame of an animation, each to a file of its own."""
    scale: Annotated[int, Ge(1), Le(8)] = 1
    """Enlarge the images so many times first, for weights that were trained with --derive low-res."""


def apply(command: Apply) -> int:
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

    errors = Console(stderr=True, highlight=False)

    def say(line: str) -> None:
        errors.print(line, markup=False, soft_wrap=True)

    one_file = names_a_file(command.out, WRITABLE_SUFFIXES)
    found = list_inputs(command.inputs, recursive=command.recursive, out=command.out)
    for line in found.passed_over:
        say(line)
    if command.style is not None and command.style_image is not None:
        raise ConfigError("--style names a style, and --style-image shows one: give one of them")
    if command.like is not None and command.style_image is not None:
        raise ConfigError("--like and --style-image both show what the output should look like: give one of them")
    if command.like is not None and command.looks > 1:
        raise ConfigError("--like is one look, and --looks asks for several: give one of them")
    if one_file and command.looks > 1:
        raise ConfigError(f"--out {command.out} is one file, and --looks makes {command.looks}: name a folder")
    translator = load_translator(command.weights, device=command.device, precision=command.precision)
    several = (translator.style and not translator.styles) or translator.config.noise == "always"
    if command.looks > 1 and not several:
        raise ConfigError(
            f"'{translator.config.name}' makes one output of an image, whatever the seed: --looks is for weights that "
            "were trained with --style-dim, or with --noise always"
        )
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
    seeds = range(command.seed, command.seed + command.looks)
    marks = [f"-{seed}" for seed in seeds] if command.looks > 1 else [""]
    looks = [outputs_for(named, command.out, suffix=suffix, single=WRITABLE_SUFFIXES, mark=mark) for mark in marks]
    if command.like is not None:
        refuse_overwriting([command.like], looks[0])
    if in_units and looks[0][0].suffix.lower() not in KEEP_VALUES:
        say(f"measured values are written as black to white; {' and '.join(KEEP_VALUES)} keep them in their units")
    if command.style_image is not None:
        if not translator.any_style:
            ways = f"choose one of {', '.join(translator.styles)} by --style" if translator.styles else "leave it out"
            raise ConfigError(f"'{translator.config.name}' does not paint in the style of an image: {ways}")
        refuse_overwriting([command.style_image], looks[0])
    code = None if command.like is None else translator.encode(read_image(command.like))
    if translator.any_style:
        if command.style_image is None:
            raise ConfigError(
                f"'{translator.config.name}' needs a style: give an image of it, --style-image PAINTING.jpg"
            )
        try:
            code = translator.style_code(read_image(command.style_image), strength=command.strength)
        except InferenceError as error:
            raise ConfigError(f"{command.style_image}: {error}") from None
    elif command.style is not None or command.strength != 1.0:
        mixture = parse_mixture(command.style) if command.style is not None else None
        code = translator.style_code(mixture, strength=command.strength)
    elif len(translator.styles) > 1:
        say(f"in the style of {translator.styles[0]}; --style takes another of {', '.join(translator.styles)}")
    make_folder(command.out.parent if one_file else command.out)

    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("translating"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=errors, transient=True, disable=not errors.is_terminal) as progress:
        task = progress.add_task("", total=command.looks * len(sources))

        def on_done(source: Path, reason: str | None) -> None:
            progress.advance(task)
            if reason is not None:
                say(f"failed: {reason}")

        failed: set[Path] = set()
        done, further = 0, {}
        for number, outputs in enumerate(looks):
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
                on_done=on_done,
            )
            failed |= set(summary.failed)
            done, further = len(summary.written), summary.further
    for line in further_pages({path.name: count for path, count in further.items()}):
        say(f"{line}: --pages reads them")
    where = looks[0][0] if len(sources) == command.looks == 1 else command.out
    times = f", {command.looks} times each," if command.looks > 1 else ""
    print(f"{done} of {len(sources)} translated{times}" + (f" to {where}" if done else ""))
    return EXIT_PARTLY if failed else 0
