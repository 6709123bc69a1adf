"""``translate derive KIND INPUT... -o OUT``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from annotated_types import Ge, Lt
from rich.console import Console
from tyro.conf import Positional, arg

from translate.config.base import Config, ConfigError, validate
from translate.config.training import Derivation

EXIT_PARTLY = 1


@dataclass(frozen=True, kw_only=True)
class Derive(Config):
    """Compute the inputs of networks that were trained with --derive: sketches, grey or blurred images, holes.

    Weights are scored with them: translate evaluate RUN OUT --root-b INPUT --direction a2b.
    """

    kind: Positional[Derivation]
    inputs: Positional[tuple[str, ...]]
    """Images, folders, patterns."""
    out: Annotated[Path, arg(aliases=["-o"])]
    """A folder; or a .png, for a single image."""
    seed: Annotated[int, Ge(0), Lt(2**63)] = 0
    """Of holes; each image has others."""


def derive(command: Derive) -> int:
    validate(command)
    from translate.checkpoint.atomic import make_folder
    from translate.data.layouts import list_inputs
    from translate.inference.deriver import Deriver
    from translate.inference.files import output_paths, translate_files

    inputs = list_inputs(command.inputs)
    if command.out.suffix.lower() == ".png" and not command.out.is_dir():
        if len(inputs) != 1:
            raise ConfigError(f"--out {command.out} is one file, and there are {len(inputs)} inputs: name a folder")
        outputs = [command.out]
    else:
        outputs = output_paths(inputs, command.out)
    make_folder(outputs[0].parent)
    errors = Console(stderr=True, highlight=False)

    def on_done(_: Path, reason: str | None) -> None:
        if reason is not None:
            errors.print(f"failed: {reason}", markup=False, soft_wrap=True)

    summary = translate_files(Deriver(command.kind), inputs, outputs, seed=command.seed, on_done=on_done)
    where = outputs[0] if len(inputs) == 1 else command.out
    print(f"{len(summary.written)} of {len(inputs)} derived" + (f" to {where}" if summary.written else ""))
    return EXIT_PARTLY if summary.failed else 0
