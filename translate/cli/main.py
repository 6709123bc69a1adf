"""The commands, one file each; only that of the command that is called is imported, so that each starts at once.

A command is a frozen dataclass, whose fields are its flags, and a function that runs it and returns the exit code.
Torch and gradio are imported inside the functions, so that ``--help`` answers at once, too.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from functools import reduce
from importlib import import_module
from operator import or_
from typing import Annotated, Any

import tyro
from tyro.conf import OmitSubcommandPrefixes, subcommand

from translate.cli.options import OPTIONS
from translate.config.errors import TranslateError

EXIT_FAILED = 2

COMMANDS = {
    "train": ("train", "Train", "train"),
    "apply": ("apply", "Apply", "apply"),
    "evaluate": ("evaluate", "Evaluate", "evaluate"),
    "derive": ("derive", "Derive", "derive"),
    "reconstruct": ("reconstruct", "Reconstruct", "reconstruct"),
    "sample": ("sample", "Sample", "sample"),
    "directions": ("style", "Directions", "directions"),
    "project": ("style", "Project", "project"),
    "embed": ("embed", "Embed", "embed"),
    "anomaly": ("anomaly", "Anomaly", "anomaly"),
    "balance": ("balance", "Balance", "balance"),
    "compress": ("compress", "Compress", "compress"),
    "decompress": ("compress", "Decompress", "decompress"),
    "info": ("info", "Info", "info"),
    "export": ("export", "Export", "export"),
    "import": ("import_", "Import", "import_weights"),
    "doctor": ("doctor", "Doctor", "doctor"),
    "demo": ("demo", "Demo", "demo"),
}
"""By name: the module, its dataclass and its function."""


def command(name: str) -> tuple[Any, Callable[[Any], int]]:
    """The dataclass of a command and the function that runs it."""
    module, kind, run = COMMANDS[name]
    found = import_module(f"translate.cli.{module}")
    return getattr(found, kind), getattr(found, run)


def parsed(words: list[str]) -> tuple[Any, Callable[[Any], int]]:
    """The command that the words of a command line are, and what runs it; help and errors end the process."""
    if words and words[0] in COMMANDS:
        name, *rest = words
        kind, run = command(name)
        given = tyro.cli(kind, prog=f"translate {name}", args=rest, config=(OmitSubcommandPrefixes,), registry=OPTIONS)
        return given, run
    commands = {name: command(name) for name in COMMANDS}
    kinds: list[Any] = [Annotated[kind, subcommand(name)] for name, (kind, _) in commands.items()]
    given = tyro.cli(
        reduce(or_, kinds),
        prog="translate",
        description="Translate, reconstruct and generate images; train on your own folders; export weights.",
        args=words,
        config=(OmitSubcommandPrefixes,),
        registry=OPTIONS,
    )
    return given, dict(commands.values())[type(given)]


def main(arguments: list[str] | None = None) -> int:
    """Run a command; returns the exit code: 0 done, 1 some images failed, 2 nothing could be done.

    An error that a user can fix is printed as one line, without a traceback; TRANSLATE_TRACEBACK=1 shows it.
    """
    words = sys.argv[1:] if arguments is None else arguments
    if words == ["--version"]:
        from importlib.metadata import version

        print(f"translate {version('image-translate')}")
        return 0
    try:
        given, run = parsed(words)
        return run(given)
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
            from rich.console import Console

            Console(emoji=False, stderr=True, highlight=False).print(
                f"translate: {error}", markup=False, soft_wrap=True
            )
        return EXIT_FAILED
