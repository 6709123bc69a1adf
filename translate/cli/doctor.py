"""``translate doctor DATA``."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from annotated_types import Ge
from rich.console import Console
from tyro.conf import Positional

from translate.config.base import Config
from translate.config.encoding import Reading

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text

    from translate.data.doctor import Diagnosis

WIDTH = 80
_STYLES = {"error": "bold red", "warning": "yellow", "hint": "cyan"}
_KINDS = {
    "pairs": "pairs",
    "unpaired": "two unpaired domains",
    "image-set": "an image set",
    "images": "images, in a layout that no method supports",
    "nothing": "no images",
}


@dataclass(frozen=True, kw_only=True)
class Doctor(Config):
    """Check which methods a data set suits and what is wrong with it, with a fix for each problem; decodes every image.

    The exit code is 0 if nothing is wrong, 1 if training can run despite the problems, 2 if it cannot start.
    """

    root: Positional[Path]
    """Data set: a folder, a .npz file or an idx file; or the folder of domain A, with --root-b."""
    root_b: Path | None = None
    """Folder of domain B, where the two domains are separate folders."""
    values: tuple[float, float] | None = None
    """LOW HIGH: file values that are mapped to black and white; default: the range found in the files."""
    bands: tuple[Annotated[int, Ge(1)], ...] = ()
    """Channels of the files to use, counted from 1, such as 4 3 2; default: all."""
    pages: bool = False
    """Take every page of a TIFF and every frame of an animation as an image; otherwise only the first."""
    json: bool = False
    """Print JSON, with all files of each problem."""


def doctor(command: Doctor) -> int:
    """Run ``translate doctor``; the exit code."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from translate.data.doctor import examine

    errors = Console(emoji=False, stderr=True, highlight=False)
    columns = (TextColumn("reading"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=errors, transient=True, disable=not errors.is_terminal) as progress:
        task = progress.add_task("", total=None)
        found = examine(
            command.root,
            root_b=command.root_b,
            reading=Reading(values=command.values, bands=command.bands, pages=command.pages),
            progress=lambda done, total: progress.update(task, completed=done, total=total),
        )
    if command.json:
        import json

        print(json.dumps(found.as_dict(), indent=2))
    else:
        _print(found)
    return found.exit_code


def _print(found: Diagnosis) -> None:
    from rich.table import Table
    from rich.text import Text

    console = Console(emoji=False, highlight=False)
    console.width = min(console.width, WIDTH)
    name = found.root.resolve().name
    layout = f", {found.layout}" if found.layout else ""
    console.print(Text.assemble((name, "bold"), f": {_KINDS[found.kind]}{layout}"))
    if found.domains:
        console.print("", _domains(found), sep="\n")
    console.print()
    methods = Table.grid(padding=(0, 2))
    methods.add_column(no_wrap=True)
    methods.add_column(overflow="fold")
    for reason, names in _by_reason(found).items():
        verdict = Text("no", "red") if reason else Text("yes", "green")
        why = Text.assemble(": ", _without_root(reason, found)) if reason else ""
        methods.add_row(verdict, Text.assemble((", ".join(names), "bold"), why))
    console.print(methods)
    arrow = "->" if console.options.ascii_only else "→"
    for problem in found.problems:
        row = Table.grid(padding=(0, 2))
        row.add_column(width=7, no_wrap=True)
        row.add_column(overflow="fold")
        row.add_row(Text(problem.severity, _STYLES[problem.severity]), _without_root(problem.what, found))
        row.add_row("", Text(f"{arrow} {problem.fix}", "green"))
        console.print("", row, sep="\n")
    console.print("", Text(_verdict(found), "bold"), sep="\n")
    if (line := _next_command(found)) is not None:
        console.print(f"  {line}", markup=False, soft_wrap=True)


def _domains(found: Diagnosis) -> Table:
    """A row for each domain: where it is, how many of each split, how large, which colours."""
    from rich.table import Table
    from rich.text import Text

    splits = list(dict.fromkeys(split for domain in found.domains for split in domain.counts))
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("")
    table.add_column("", overflow="fold")
    for split in splits:
        table.add_column(split if split != "images" else "", justify="right")
    table.add_column("size", overflow="fold")
    table.add_column("colours", overflow="fold")
    for domain in found.domains:
        sizes = (domain.size, domain.smallest, domain.largest)
        size, smallest, largest = (f"{width}x{height}" for width, height in sizes)
        formats = [f"{name} {count:,}" for name, count in domain.formats.items()]
        colours = ", ".join(formats) if len(formats) > 1 else next(iter(domain.formats))
        table.add_row(
            Text(domain.name or "images", "bold"),
            _without_root(domain.where, found),
            *(f"{domain.counts.get(split, 0):,}" for split in splits),
            size if smallest == largest else f"mostly {size}, {smallest} to {largest}",
            colours + (", few flat colours" if domain.few_colours else ""),
        )
    return table


def _by_reason(found: Diagnosis) -> dict[str, list[str]]:
    """The methods, with the flags they need, by why they will not do; those that will, first and under ""."""
    names: dict[str, list[str]] = {"": []}
    for method in found.methods:
        shown = f"{method.name} ({method.flags})" if method.suits and method.flags else method.name
        names.setdefault(method.reason, []).append(shown)
    return {reason: members for reason, members in names.items() if members}


def _without_root(text: str, found: Diagnosis) -> Text:
    """Plain text (names may hold what rich reads as markup), without the folder that was given but in commands."""
    from rich.text import Text

    said, *commands = text.removeprefix(f"{found.root}: ").partition("translate train")
    return Text(said.replace(f"{found.root}/", "") + "".join(commands))


def _verdict(found: Diagnosis) -> str:
    files = f"{found.num_files:,} file{'s' * (found.num_files != 1)}"
    wrong = sum(problem.severity != "hint" for problem in found.problems)
    problems = f"{wrong} problem{'s' * (wrong != 1)} in {files}" if wrong else f"No problems in {files}"
    if found.exit_code == 2 and any(method.suits for method in found.methods):
        return f"{problems}: fix the errors before training on {_KINDS[found.kind]}."
    if found.exit_code == 2:
        return f"No method can train on this: {problems}." if wrong else f"No method can train on this ({files})."
    return f"{problems}{', but training can run' if wrong else ''}."


def _next_command(found: Diagnosis) -> str | None:
    """What to type where training can start."""
    kind = {"pairs": "pix2pix", "unpaired": "cyclegan", "image-set": "vae"}.get(found.kind)
    for method in found.methods:
        if method.name == kind and method.suits:
            data = [str(found.root), *(("--root-b", str(found.root_b)) if found.root_b is not None else ())]
            words = ["translate", "train", method.name, *data, *method.flags.split(), "--out", f"runs/{method.name}"]
            return shlex.join(words)
    return None
