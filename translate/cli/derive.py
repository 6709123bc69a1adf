"""``translate derive KIND INPUT... -o OUT``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from annotated_types import Ge, Lt
from rich.console import Console
from tyro.conf import Positional, arg

from translate.config.base import Config, validate
from translate.config.training import Derivation

EXIT_PARTLY = 1
SINGLE = (".png",)


@dataclass(frozen=True, kw_only=True)
class Derive(Config):
    """Compute the inputs of networks trained with --derive: edges, grey, blurred or low-resolution images, holes.

    To score weights on them: translate evaluate RUN OUT --root-b INPUT --direction a2b.
    """

    kind: Positional[Derivation]
    """Kind of input: edges, grey images, blurred images, low-resolution images, or images with holes (mask)."""
    inputs: Positional[tuple[str, ...]]
    """Images, folders or glob patterns."""
    out: Annotated[Path, arg(aliases=["-o"])]
    """Output folder; or a .png file, for a single image."""
    recursive: Annotated[bool, arg(aliases=["-r"])] = False
    """Search subfolders as well; outputs keep the same subfolders."""
    seed: Annotated[int, Ge(0), Lt(2**63)] = 0
    """Seed of the holes, which differ from image to image."""


def derive(command: Derive) -> int:
    """Run ``translate derive``; the exit code."""
    validate(command)
    from translate.checkpoint.atomic import make_folder
    from translate.data.image_inputs import further_pages
    from translate.data.inputs import list_inputs
    from translate.data.layouts_common import ImageSource
    from translate.inference.deriver import Deriver
    from translate.inference.files import names_a_file, outputs_for, translate_files
    from translate.inference.measured import found_values

    errors = Console(emoji=False, stderr=True, highlight=False)
    one_file = names_a_file(command.out, SINGLE)
    found = list_inputs(command.inputs, recursive=command.recursive, out=command.out)
    inputs = [one.path for one in found.files]
    for line in found.passed_over:
        errors.print(line, markup=False, soft_wrap=True)
    outputs = outputs_for(found.files, command.out, suffix=".png", single=SINGLE)
    make_folder(command.out.parent if one_file else command.out)

    def on_done(_: Path, reason: str | None) -> None:
        if reason is not None:
            errors.print(f"failed: {reason}", markup=False, soft_wrap=True)

    ranged = found_values([ImageSource(path=path) for path in inputs])
    if ranged is not None:
        errors.print(ranged.describe(), markup=False, soft_wrap=True)
    summary = translate_files(
        Deriver(command.kind),
        inputs,
        outputs,
        seed=command.seed,
        values=None if ranged is None else ranged.values,
        on_done=on_done,
    )
    for line in further_pages({path.name: count for path, count in summary.further.items()}):
        errors.print(line, markup=False, soft_wrap=True)
    where = outputs[0] if len(inputs) == 1 else command.out
    print(f"{len(summary.written)} of {len(inputs)} derived" + (f" to {where}" if summary.written else ""))
    return EXIT_PARTLY if summary.failed else 0
