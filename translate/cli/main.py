"""The commands, one file each. Torch and gradio are imported inside them, so that ``--help`` answers at once.

A command is a frozen dataclass, whose fields are its flags, and a function that runs it and returns the exit code.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Annotated, Any

import tyro
from rich.console import Console
from tyro.conf import OmitSubcommandPrefixes, subcommand

from translate.cli.anomaly import Anomaly, anomaly
from translate.cli.apply import Apply, apply
from translate.cli.balance import Balance, balance
from translate.cli.compress import Compress, Decompress, compress, decompress
from translate.cli.demo import Demo, demo
from translate.cli.derive import Derive, derive
from translate.cli.doctor import Doctor, doctor
from translate.cli.embed import Embed, embed
from translate.cli.evaluate import Evaluate, evaluate
from translate.cli.export import Export, export
from translate.cli.import_ import Import, import_weights
from translate.cli.info import Info, info
from translate.cli.options import OPTIONS
from translate.cli.reconstruct import Reconstruct, reconstruct
from translate.cli.sample import Sample, sample
from translate.cli.style import Directions, Project, directions, project
from translate.cli.train import Train, train
from translate.config.errors import TranslateError

EXIT_FAILED = 2

Command = (
    Annotated[Train, subcommand("train")]
    | Annotated[Apply, subcommand("apply")]
    | Annotated[Evaluate, subcommand("evaluate")]
    | Annotated[Derive, subcommand("derive")]
    | Annotated[Reconstruct, subcommand("reconstruct")]
    | Annotated[Sample, subcommand("sample")]
    | Annotated[Directions, subcommand("directions")]
    | Annotated[Project, subcommand("project")]
    | Annotated[Embed, subcommand("embed")]
    | Annotated[Anomaly, subcommand("anomaly")]
    | Annotated[Balance, subcommand("balance")]
    | Annotated[Compress, subcommand("compress")]
    | Annotated[Decompress, subcommand("decompress")]
    | Annotated[Info, subcommand("info")]
    | Annotated[Export, subcommand("export")]
    | Annotated[Import, subcommand("import")]
    | Annotated[Doctor, subcommand("doctor")]
    | Annotated[Demo, subcommand("demo")]
)

_RUN: dict[type, Callable[[Any], int]] = {
    Train: train,
    Apply: apply,
    Evaluate: evaluate,
    Derive: derive,
    Reconstruct: reconstruct,
    Sample: sample,
    Directions: directions,
    Project: project,
    Embed: embed,
    Anomaly: anomaly,
    Balance: balance,
    Compress: compress,
    Decompress: decompress,
    Info: info,
    Export: export,
    Import: import_weights,
    Doctor: doctor,
    Demo: demo,
}


def main(arguments: list[str] | None = None) -> int:
    """Run a command; returns the exit code: 0 done, 1 some images failed, 2 nothing could be done.

    An error that a user can fix is printed as one line, without a traceback; TRANSLATE_TRACEBACK=1 shows it.
    """
    if (sys.argv[1:] if arguments is None else arguments) == ["--version"]:
        from importlib.metadata import version

        print(f"translate {version('image-translate')}")
        return 0
    try:
        command = tyro.cli(
            Command,  # type: ignore[arg-type]
            prog="translate",
            description="Translate, reconstruct and generate images; train on your own folders; export weights.",
            args=arguments,
            config=(OmitSubcommandPrefixes,),
            registry=OPTIONS,
        )
        return _RUN[type(command)](command)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:  # what reads the output has ended, as head does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except TranslateError as error:
        if os.environ.get("TRANSLATE_TRACEBACK"):
            raise
        if os.environ.get("RANK", "0") == "0":  # processes of one run fail alike
            Console(emoji=False, stderr=True, highlight=False).print(
                f"translate: {error}", markup=False, soft_wrap=True
            )
        return EXIT_FAILED
