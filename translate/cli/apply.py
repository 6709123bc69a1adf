"""``translate apply WEIGHTS INPUT... -o OUT``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from annotated_types import Ge, Gt, Le, Lt
from rich.console import Console
from tyro.conf import Positional, arg

from translate.cli.apply_clips import apply_clips, sort_inputs
from translate.config.base import Config, ConfigError, validate
from translate.config.style_transfer import MOST_STRENGTH
from translate.config.training import Precision

if TYPE_CHECKING:
    from translate.inference.onnx_translator import OnnxTranslator
    from translate.inference.threads import Neighbours
    from translate.inference.translator import Translator

Say = Callable[[str], None]
EXIT_PARTLY = 1
NO_METADATA = (".bmp", ".npy")
"""Endings of files that hold neither EXIF nor XMP."""


@dataclass(frozen=True, kw_only=True)
class Apply(Config):
    """Translate images, animations or videos. Each output has the size of its input, times --scale.

    Several processes share a folder when started by torchrun: each output is made once.
    """

    weights: Positional[str]
    """Weights: a name (such as facades), a weights folder, a run folder or a .safetensors file."""
    inputs: Positional[tuple[str, ...]]
    """Images, folders, glob patterns, animations or videos; or the frames of a clip as frames/%05d.png."""
    out: Annotated[Path, arg(aliases=["-o"])]
    """Output folder; or, for a single input, a file whose suffix sets the format; or, for the frames of a clip, a
    pattern such as frames/%05d.png. Of several images, an output such as out.mp4 or out.gif makes a clip."""
    recursive: Annotated[bool, arg(aliases=["-r"])] = False
    """Search subfolders as well; outputs keep the same subfolders."""
    format: Literal["png", "jpg", "webp", "tif", "avif", "npy"] | None = None
    """Format of the files in the output folder; default: png, or tif for measured values or bands."""
    quality: Annotated[int, Ge(1), Le(100)] | None = None
    """JPEG, WebP, AVIF and video quality, 1-100; default: 95 for JPEG, lossless for WebP, 100 for AVIF (exact to within
    a few levels), 67 for video (a constant rate factor of 17)."""
    batch_size: Annotated[int, Ge(1)] = 8
    """Maximum number of images per forward pass; consecutive images of equal size are batched, on a CPU only
    small ones, since many larger ones are translated side by side."""
    device: str = "auto"
    """Device: cuda, mps, cpu, or auto for the best one available."""
    precision: Precision = "auto"
    """Precision: fp32, bf16, fp16, or auto for bf16 where the device is fast at it and the weights do not ask for
    fp32, else fp32. The last line says which it was."""
    threads: Annotated[int, Ge(1)] | None = None
    """CPU threads; default: one per core that other programs leave idle."""
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
    """Translate every page of a TIFF and every frame of an animation, each to its own file. Without it, the first page
    of a TIFF; of an animation, all frames to an animation, or from a folder the first."""
    start: Annotated[float, Ge(0.0)] | None = None
    """Start time in a video or animation, in seconds; default: its beginning."""
    end: Annotated[float, Gt(0.0)] | None = None
    """End time in a video or animation, in seconds; default: its end."""
    every: Annotated[int, Ge(1)] | None = None
    """Take every Nth frame of a video or animation; default: every frame."""
    rate: Annotated[float, Gt(0.0), Le(1000.0)] | None = None
    """Frame rate of image files that become a clip, in frames per second; default: 25."""
    smooth: bool = False
    """Reduce flicker: blend each frame of a clip with the one before it along the optical flow of the input."""
    keep_metadata: bool = False
    """Keep the EXIF and XMP of images (camera, exposure, dates, author), without GPS positions and orientation."""
    resume: bool = False
    """Skip outputs that this command has already made: of the same input, by the same weights and options."""
    overwrite: bool = False
    """Replace files that exist in the output folder; default: stop before anything is done. A single output file that
    --out names is always replaced."""
    tile: Literal["auto", "off"] | Annotated[int, Ge(4)] = "auto"
    """Translation in parts, which takes less memory and gives the same result: auto (large images), off, or
    the side of a tile (the height of a strip) in pixels."""
    scale: Annotated[int, Ge(1), Le(8)] = 1
    """Factor, 1-8, by which images are enlarged first, for weights trained with --derive low-res."""


NOT_OF_THE_JOB = (
    "inputs",
    "out",
    "recursive",
    "resume",
    "overwrite",
    "batch_size",
    "tile",
    "variants",
    "device",
    "threads",
)
"""Options that do not change what an output is."""


def apply(command: Apply) -> int:
    """Run ``translate apply``; the exit code."""
    from translate.inference.threads import Neighbours

    neighbours = Neighbours()
    validate(command)
    _check_combinations(command)
    clips, others = sort_inputs(command)
    code = apply_images(replace(command, inputs=others), neighbours) if others else 0
    return max(code, apply_clips(command, clips, neighbours)) if clips else code


def apply_images(command: Apply, neighbours: Neighbours) -> int:
    """Translate the images of files and folders; the exit code."""
    from translate.checkpoint.atomic import make_folder
    from translate.data.image_inputs import further_pages
    from translate.data.images import WRITABLE_SUFFIXES
    from translate.data.inputs import list_inputs
    from translate.inference.files import names_a_file, outputs_for, refuse_overwriting, translate_files
    from translate.inference.finding import weights_at
    from translate.inference.measured import KEEP_VALUES, as_sources, found_values, requested
    from translate.inference.record import Record, digest_of, forget_old, share, still_to_do

    errors = Console(emoji=False, stderr=True, highlight=False)

    def say(line: str) -> None:
        errors.print(line, markup=False, soft_wrap=True)

    one_file = names_a_file(command.out, WRITABLE_SUFFIXES)
    if one_file and command.variants > 1:
        raise ConfigError(f"--out {command.out} is one file, and --variants makes {command.variants}: name a folder")
    found = list_inputs(command.inputs, recursive=command.recursive, out=command.out)
    for line in found.passed_over:
        say(line)
    translator = open_translator(command, neighbours)
    check_weights(command, translator)
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
    if command.keep_metadata and (without := command.out.suffix.lower() if one_file else suffix) in NO_METADATA:
        raise ConfigError(
            f"--keep-metadata: {without} files hold no EXIF or XMP: write .png, .jpg, .webp, .avif or .tif"
        )
    if command.keep_metadata and in_units:
        say("--keep-metadata: files of measured values are written without EXIF and XMP")
    seeds = range(command.seed, command.seed + command.variants)
    marks = [f"-{seed}" for seed in seeds] if command.variants > 1 else [""]
    outputs_of = [outputs_for(named, command.out, suffix=suffix, single=WRITABLE_SUFFIXES, mark=mark) for mark in marks]
    if in_units and outputs_of[0][0].suffix.lower() not in KEEP_VALUES:
        kept = f"{' and '.join(KEEP_VALUES)} files keep their units"
        say(f"measured values are mapped to the range black to white; {kept}")
    if examples := [path for path in (command.reference, command.style_image) if path is not None]:
        refuse_overwriting(examples, outputs_of[0])
    code = code_of(command, translator, say)
    rank, world = share()
    job = {name: value for name, value in asdict(command).items() if name not in NOT_OF_THE_JOB}
    job |= {"weights": digest_of(weights_at(command.weights)), "precision": translator.precision, "values": values}
    job |= {path.name: digest_of(path) for path in examples}
    plans = []
    forget_old()
    for seed, outputs in zip(seeds, outputs_of, strict=True):
        own = {name: str(value) for name, value in (job | {"seed": seed}).items()}
        record = None if one_file else Record(command.out, own, rank=rank)
        jobs = list(zip(sources, outputs, strict=True))[rank::world]
        left = still_to_do(jobs, record, resume=command.resume, overwrite=command.overwrite)
        plans.append((seed, record, left, len(jobs) - len(left)))
    make_folder(command.out.parent if one_file else command.out)

    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("translating"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=errors, transient=True, disable=not errors.is_terminal) as progress:
        task = progress.add_task("", total=sum(len(left) for _, _, left, _ in plans))

        def on_done(source: Path, reason: str | None) -> None:
            progress.advance(task)
            if reason is not None:
                say(f"failed: {reason}")

        failed: set[Path] = set()
        done, in_parts, further = 0, 0, {}
        for seed, record, left, _ in plans:
            jobs = [one for one in left if one[0].path not in failed]
            summary = translate_files(
                translator,
                [source for source, _ in jobs],
                [output for _, output in jobs],
                batch_size=command.batch_size,
                quality=command.quality,
                seed=seed,
                code=code,
                keep_colours=command.keep_colours,
                scale=command.scale,
                values=values,
                tile=command.tile,
                keep_metadata=command.keep_metadata,
                record=record,
                on_done=on_done,
            )
            failed |= set(summary.failed)
            done, in_parts, further = len(summary.written), summary.in_parts, summary.further
    for line in further_pages({path.name: count for path, count in further.items()}):
        say(f"{line}: --pages reads them as well")
    skipped = plans[-1][3]
    total = len(sources[rank::world])
    where = outputs_of[0][0] if len(sources) == command.variants == 1 else command.out
    start = f"process {rank + 1} of {world}: " if world > 1 else ""
    times = f", {command.variants} variants each," if command.variants > 1 else ""
    before = f", {skipped} done before" if skipped else ""
    parts = f", {in_parts} of them in parts" if in_parts and total > 1 else ", in parts" if in_parts else ""
    made = f" to {where}, {translator.setting}" if done else ""
    print(f"{start}{done} of {total} translated{times}{made}{parts}{before}")
    return EXIT_PARTLY if failed else 0


def open_translator(command: Apply, neighbours: Neighbours) -> Translator | OnnxTranslator:
    """The weights of a command, ready to use on pictures: of ONNX without PyTorch."""
    from translate.inference.finding import weights_at
    from translate.inference.onnx_file import is_onnx
    from translate.inference.threads import threads_of_process

    if is_onnx(file := weights_at(command.weights)):
        from translate.inference.onnx_translator import OnnxTranslator

        threads = command.threads or neighbours.threads(threads_of_process())
        return OnnxTranslator(file, device=command.device, precision=command.precision, threads=threads)
    return load_with_threads(command, neighbours)


def load_with_threads(command: Apply, neighbours: Neighbours) -> Translator:
    """The weights of a command, on as many threads of PyTorch as it asks for, or as others leave."""
    import torch

    from translate.inference.library import load_translator

    torch.set_num_threads(command.threads or neighbours.threads(torch.get_num_threads()))
    translator = load_translator(command.weights, device=command.device, precision=command.precision)
    translator.cast_weights()
    return translator


def _check_combinations(command: Apply) -> None:
    """Raise ConfigError for options that exclude each other."""
    if command.style is not None and command.style_image is not None:
        raise ConfigError("--style and --style-image both set the style: give only one of them")
    if command.reference is not None and command.style_image is not None:
        raise ConfigError("--reference and --style-image both set the style: give only one of them")
    if command.reference is not None and command.variants > 1:
        raise ConfigError("--reference fixes the style, and --variants varies it: give only one of them")


def check_weights(command: Apply, translator: Translator | OnnxTranslator) -> None:
    """Raise ConfigError for options that are not for these weights."""
    name = translator.config.name
    several = (translator.style and not translator.styles) or translator.config.noise == "always"
    if command.variants > 1 and not several:
        raise ConfigError(
            f"'{name}' makes one output per image, whatever the seed: --variants is for weights that "
            "were trained with --style-dim or --noise always"
        )
    if command.style_image is not None and not translator.any_style:
        ways = f"choose --style from {', '.join(translator.styles)}" if translator.styles else "omit --style-image"
        raise ConfigError(f"'{name}' cannot paint in the style of an image: {ways}")
    if command.style_image is None and translator.any_style and command.reference is None:
        raise ConfigError(f"'{name}' needs a style image: --style-image PAINTING.jpg")
    translator.in_parts(1, 1, tile=command.tile)  # refuses one that does not fit


def code_of(command: Apply, translator: Translator | OnnxTranslator, say: Say) -> Any:
    """The style code that the options ask for; None for a random one, or none at all."""
    from translate.data.images import read_image
    from translate.inference.errors import InferenceError
    from translate.inference.styles import parse_mixture

    if command.reference is not None:
        return translator.reference_code(read_image(command.reference))
    if command.style_image is not None:
        try:
            return translator.style_code(read_image(command.style_image), strength=command.strength)
        except InferenceError as error:
            raise ConfigError(f"{command.style_image}: {error}") from None
    if command.style is not None or command.strength != 1.0:
        mixture = parse_mixture(command.style) if command.style is not None else None
        return translator.style_code(mixture, strength=command.strength)
    if len(translator.styles) > 1:
        say(f"style {translator.styles[0]}; choose another with --style, from {', '.join(translator.styles)}")
    return None
