"""The commands. Torch and gradio are imported inside them, so that ``--help`` answers at once."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro
from annotated_types import Ge, Le, Lt
from rich.console import Console
from tyro.conf import OmitArgPrefixes, OmitSubcommandPrefixes, Positional, UseAppendAction, arg, subcommand

from translate.config.base import Config, ConfigError, validate
from translate.config.training import Pix2PixConfig, Precision, SegmentationConfig

if TYPE_CHECKING:
    from translate.inference.describe import Description

EXIT_FAILED, EXIT_PARTLY = 2, 1


@dataclass(frozen=True, kw_only=True)
class Apply(Config):
    """Translate images: a file, several, a folder, or a pattern. Every output has its input's size."""

    weights: Positional[str]
    """A name (such as facades), a weights folder, a run folder, or a .safetensors file."""
    inputs: Positional[tuple[str, ...]]
    """Images, folders, patterns."""
    out: Annotated[Path, arg(aliases=["-o"])]
    """A folder; or a file, for a single image: its suffix decides the format."""
    format: Literal["png", "jpg", "webp", "tif"] = "png"
    """Format of the files in a folder."""
    quality: Annotated[int, Ge(1), Le(100)] | None = None
    """Of JPEG and WebP (WebP is lossless unless given)."""
    batch_size: Annotated[int, Ge(1)] = 8
    """Most images in one pass; neighbours of equal size go together."""
    device: str = "auto"
    """cuda, mps or cpu; the best there is unless given."""
    precision: Precision = "auto"
    """bf16 where the device is fast at it, else fp32."""
    seed: Annotated[int, Ge(0), Lt(2**63)] = 0
    """Of the noise, for weights that keep their dropout on."""


@dataclass(frozen=True, kw_only=True)
class Info(Config):
    """Say what weights are: network, sizes, FLOPs, how they were trained."""

    weights: Positional[str]
    """A name, a weights folder, a run folder, or a .safetensors file."""
    json: bool = False
    """As JSON."""


@dataclass(frozen=True, kw_only=True)
class Export(Config):
    """Write weights as one self-describing safetensors file, checked against its source."""

    weights: Positional[str]
    """A name, a weights folder, a run folder, or a .safetensors file."""
    out: Annotated[Path, arg(aliases=["-o"])]
    """A .safetensors file, or a folder."""
    dtype: Literal["fp32", "fp16", "bf16"] = "fp16"
    """fp16 halves the size."""
    name: str | None = None
    """What the weights are called from now on."""


@dataclass(frozen=True, kw_only=True)
class Demo(Config):
    """Open the demo in the browser; nothing leaves this machine."""

    weights: Annotated[UseAppendAction[tuple[str, ...]], arg(aliases=["-w"])] = ()
    """Your own weights, beside those that ship; may be given several times."""
    port: Annotated[int, Ge(1), Le(65535)] | None = None
    """Port; the first free one from 7860 unless given."""
    browser: bool = True
    """Open a browser window."""


@dataclass(frozen=True, kw_only=True)
class Train:
    """Train on your own folders."""

    method: Annotated[
        Annotated[OmitArgPrefixes[Pix2PixConfig], subcommand("pix2pix", description=Pix2PixConfig.__doc__)]
        | Annotated[
            OmitArgPrefixes[SegmentationConfig], subcommand("segmentation", description=SegmentationConfig.__doc__)
        ],
        arg(name=""),
    ]


Command = (
    Annotated[Train, subcommand("train")]
    | Annotated[Apply, subcommand("apply")]
    | Annotated[Info, subcommand("info")]
    | Annotated[Export, subcommand("export")]
    | Annotated[Demo, subcommand("demo")]
)


def _train(command: Train) -> int:
    validate(command.method)
    from translate.engine import train

    train(command.method)
    return 0


def _apply(command: Apply) -> int:
    validate(command)
    from translate.checkpoint.atomic import make_folder
    from translate.data.images import IMAGE_SUFFIXES, WRITABLE_SUFFIXES
    from translate.data.layouts import list_inputs
    from translate.inference.files import output_paths, translate_files
    from translate.inference.library import load

    inputs = list_inputs(command.inputs)
    if command.out.suffix.lower() in IMAGE_SUFFIXES and not command.out.is_dir():
        if len(inputs) != 1:
            raise ConfigError(f"--out {command.out} is one file, and there are {len(inputs)} inputs: name a folder")
        if command.out.resolve() == inputs[0].resolve():
            raise ConfigError(f"--out {command.out} is the input itself: choose another name")
        if command.out.suffix.lower() not in WRITABLE_SUFFIXES:
            known = " ".join(WRITABLE_SUFFIXES)
            raise ConfigError(f"--out {command.out}: {command.out.suffix} cannot be written; use one of {known}")
        outputs = [command.out]
    else:
        outputs = output_paths(inputs, command.out, suffix=f".{command.format}")
    translator = load(command.weights, device=command.device, precision=command.precision)
    make_folder(outputs[0].parent)

    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    errors = Console(stderr=True, highlight=False)
    columns = (TextColumn("translating"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=errors, transient=True, disable=not errors.is_terminal) as progress:
        task = progress.add_task("", total=len(inputs))

        def on_done(source: Path, reason: str | None) -> None:
            progress.advance(task)
            if reason is not None:
                errors.print(f"failed: {reason}", markup=False, soft_wrap=True)

        summary = translate_files(
            translator,
            inputs,
            outputs,
            batch_size=command.batch_size,
            quality=command.quality,
            seed=command.seed,
            on_done=on_done,
        )
    where = outputs[0] if len(outputs) == 1 else command.out
    print(f"{len(summary.written)} of {len(inputs)} translated" + (f" to {where}" if summary.written else ""))
    return EXIT_PARTLY if summary.failed else 0


def _info(command: Info) -> int:
    from translate.config.base import to_dict
    from translate.inference.describe import describe
    from translate.inference.library import find_weights

    found = describe(find_weights(command.weights))
    if command.json:
        import json

        values = {
            "file": str(found.file),
            "bytes": found.file_bytes,
            "dtype": found.dtype,
            "parameters": found.parameters,
            "flops": found.flops,
            **to_dict(found.config),
        }
        print(json.dumps(values, indent=2))
    else:
        _print_info(found)
    return 0


def _print_info(found: Description) -> None:
    from rich.table import Table
    from rich.text import Text

    config, network = found.config, found.config.network
    side = config.preprocessing.size
    made_of = {
        field: value
        for field, value in vars(network).items()
        if field not in ("type", "in_channels", "out_channels") and value is not None
    }
    domains = "" if config.kind == "discriminator" else f", {config.domains.source} to {config.domains.target}"
    rows = {
        config.name: f"{config.kind}{domains}",
        "file": f"{found.file} ({found.file_bytes / 1e6:.1f} MB, {found.dtype})",
        "network": f"{network.type}: " + ", ".join(f"{field} {value}" for field, value in made_of.items()),
        "parameters": f"{found.parameters:,}",
        "FLOPs": f"{found.flops / 1e9:.3g} G for {side}x{side}",
        "images": f"{config.preprocessing.bits}-bit, trained at {side}x{side} px, any size translated",
    }
    if config.kind == "translator":
        rows["dropout"] = {
            "always": "on when translating: another seed, another picture",
            "training": "while training only",
            "never": "none",
        }[config.noise]
    if config.classes:
        rows["classes"] = ", ".join(config.classes)
    if (record := config.training) is not None:
        rows["trained"] = f"{record.recipe}, {record.images_seen:,} images, {record.hours:.2f} h, {record.precision}"
        rows["on"] = record.device
        rows["data"] = record.data
        rows["last losses"] = ", ".join(f"{term} {value:.3g}" for term, value in record.losses.items())
    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in rows.items():
        table.add_row(Text(name), Text(value))  # plain text: names may hold what rich reads as markup
    Console(highlight=False).print(table)


def _export(command: Export) -> int:
    validate(command)
    if command.out.suffix.lower() not in ("", ".safetensors"):
        raise ConfigError(f"--out {command.out}: give a .safetensors file, or a folder")
    from translate.export import export_safetensors
    from translate.inference.library import find_weights

    written = export_safetensors(find_weights(command.weights), command.out, dtype=command.dtype, name=command.name)
    print(
        f"{written.file} ({written.file_bytes / 1e6:.1f} MB, {command.dtype}); against its source, of a range of 2: "
        f"mean {written.mean_difference:.2g}, at most {written.max_difference:.2g}"
    )
    return 0


def _demo(command: Demo) -> int:
    validate(command)
    print("Starting the demo ...", flush=True)  # importing takes seconds
    from translate.inference.library import find_weights

    try:
        from translate.demos.app import launch
    except ModuleNotFoundError as error:
        if error.name != "gradio":
            raise
        raise ConfigError("the demo needs gradio: pip install 'image-translate[demo]'") from None
    launch(
        port=command.port,
        open_browser=command.browser,
        weights=[find_weights(name) for name in command.weights],
    )
    return 0


_COMMANDS: dict[type, Callable[[Any], int]] = {
    Train: _train,
    Apply: _apply,
    Info: _info,
    Export: _export,
    Demo: _demo,
}


def main(arguments: list[str] | None = None) -> int:
    """Run a command; returns the exit code: 0 done, 1 some images failed, 2 nothing could be done.

    What a user can mend is said in a line, without a traceback; TRANSLATE_TRACEBACK=1 shows it.
    """
    try:
        command = tyro.cli(
            Command,  # type: ignore[arg-type]
            prog="translate",
            description="Translate images, train on your own folders, export safetensors.",
            args=arguments,
            config=(OmitSubcommandPrefixes,),
        )
        return _COMMANDS[type(command)](command)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    except (ValueError, OSError, RuntimeError) as error:
        if os.environ.get("TRANSLATE_TRACEBACK") or not _is_ours(error):
            raise
        if os.environ.get("RANK", "0") == "0":  # processes of one run fail alike
            Console(stderr=True, highlight=False).print(f"translate: {error}", markup=False, soft_wrap=True)
        return EXIT_FAILED


def _is_ours(error: Exception) -> bool:
    """Whether an error was raised by this package's own checks, with a message made for users."""
    return type(error).__module__.startswith("translate.")


if __name__ == "__main__":
    sys.exit(main())
