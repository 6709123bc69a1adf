"""What has changed in a data set since a run was started: a few numbers of each file, kept with the run's state."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from hashlib import blake2b
from pathlib import Path

import torch
from torch import Tensor

NAMED = 3  # of the files that were added or replaced


def places(paths: Iterable[Path], roots: Iterable[Path | None]) -> dict[str, Path]:
    """Files by where they are in a data set of one or two folders, so that the data set may be moved as a whole."""
    found = {}
    folders = [root if root.is_dir() else root.parent for root in roots if root is not None]
    for path in paths:
        number = next((number for number, folder in enumerate(folders) if path.is_relative_to(folder)), None)
        inside = path.name if number is None else path.relative_to(folders[number]).as_posix()
        found[f"{number or 0}/{inside}"] = path
    return found


def file_record(files: Mapping[str, Path]) -> dict[str, Tensor]:
    """A number for each file's place, and its size in bytes: ``names`` and ``sizes``, int64 [files]."""
    ordered = sorted(files)
    names = [int.from_bytes(blake2b(place.encode(), digest_size=8).digest(), "big", signed=True) for place in ordered]
    sizes = [_size(files[place]) for place in ordered]
    return {"names": torch.tensor(names, dtype=torch.int64), "sizes": torch.tensor(sizes, dtype=torch.int64)}


def changes(before: Mapping[str, Tensor], files: Mapping[str, Path]) -> str | None:
    """What is no longer as a record says, in words; None where all is. A file of another size was replaced."""
    now = file_record(files)
    sizes = dict(zip(before["names"].tolist(), before["sizes"].tolist(), strict=True))
    added, replaced = [], []
    for place, name, size in zip(sorted(files), now["names"].tolist(), now["sizes"].tolist(), strict=True):
        if name not in sizes:
            added.append(place)
        elif sizes[name] != size:
            replaced.append(place)
    removed = len(sizes.keys() - set(now["names"].tolist()))
    words = [
        *([f"{_files(len(added))} added ({_some(added, files)})"] if added else []),
        *([f"{_files(removed)} removed"] if removed else []),
        *([f"{_files(len(replaced))} replaced ({_some(replaced, files)})"] if replaced else []),
    ]
    return ", ".join(words) or None


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:  # gone since it was listed: whoever reads it says so
        return -1


def _files(count: int) -> str:
    return f"{count:,} file{'s' * (count != 1)}"


def _some(places: list[str], files: Mapping[str, Path]) -> str:
    return ", ".join(str(files[place]) for place in places[:NAMED]) + ", ..." * (len(places) > NAMED)
