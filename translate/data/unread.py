"""Files that hold images, and that nothing here opens."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from translate.data.images import IMAGE_SUFFIXES, walk
from translate.data.images import UNREAD_SUFFIXES as EXPLAINED
from translate.data.problems import Problems

UNREAD_SUFFIXES = ({".mat", ".h5", ".psd", ".ico"} | EXPLAINED.keys()) - IMAGE_SUFFIXES
"""Their endings, lower case."""


def note_unread(root: Path, problems: Problems) -> None:
    """Note such files in a folder and all below it."""
    endings: Counter[str] = Counter()
    for _, _, files in walk(root):
        endings.update(Path(name).suffix.lower() for name in files)
    named = [f"{count} {ending}" for ending, count in endings.most_common() if ending in UNREAD_SUFFIXES]
    if named:
        what = f"files that are not read: {', '.join(named[:3])}"
        problems.note("unread", what, "convert or unpack them to PNG or JPEG", severity="hint")
