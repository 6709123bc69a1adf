"""Build the API reference from the docstrings, with pdoc: ``python scripts/docs.py OUT``.

A folder of HTML that opens without a server; needs ``pip install ".[dev]"``. It is not committed.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import pdoc

import translate

FLOORS = (
    "config", "blocks", "networks", "losses", "data", "metrics", "checkpoint", "inference", "export", "recipes",
    "engine", "applications", "cli",
)  # fmt: skip


def build(out: Path, floors: Sequence[str] = FLOORS) -> None:
    """Write the pages of `floors`, and that of the package itself, into the folder `out`."""
    for name in translate.__all__:  # imported when they are first asked for, which pdoc does not do
        getattr(translate, name)
    pdoc.render.configure(docformat="google", footer_text=f"translate {translate.__version__}")
    found = [path for floor in floors for path in (Path(translate.__file__).parent / floor).rglob("*.py")]
    pdoc.pdoc("translate", *sorted(f"translate.{_module(path)}" for path in found), output_directory=out)


def _module(path: Path) -> str:
    relative = path.relative_to(Path(translate.__file__).parent).with_suffix("")
    return ".".join(part for part in relative.parts if part != "__init__")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    out = parser.parse_args().out
    build(out)
    print(f"{len(list(out.rglob('*.html')))} pages: {out / 'index.html'}")


if __name__ == "__main__":
    main()
