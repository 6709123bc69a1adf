"""The files that a command line names: files, folders, patterns; and what was passed over on the way."""

from __future__ import annotations

import glob
import os
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatch
from itertools import takewhile
from pathlib import Path, PurePosixPath

from translate.data.images import IMAGE_SUFFIXES, natural_key, walk
from translate.data.problems import LayoutError

_OF_THE_SYSTEM = frozenset({"thumbs.db", "desktop.ini"})  # nobody put these there


@dataclass(frozen=True, kw_only=True)
class Input:
    """A file that was named."""

    path: Path
    name: str
    """Its path below what was given, with "/" on every system: "clip1/frame_001.png"."""


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """The files that a command line names."""

    files: tuple[Input, ...]
    passed_over: tuple[str, ...]
    """A line for each folder and pattern of which a part is not read."""


@dataclass(kw_only=True)
class _Given:
    """A name on the command line, and what it stands for."""

    root: Path
    """Below which names are told."""
    files: list[Path] = field(default_factory=list)
    others: Counter[str] = field(default_factory=Counter)
    """Of the files that are not wanted, how many there are of each ending."""
    closed: list[str] = field(default_factory=list)
    """Folders that cannot be opened."""
    unsearched: int = 0
    """Folders that were not looked into."""
    own: str = ""
    """The folder of the outputs, where it was not looked into for that."""

    def left(self) -> str:
        """What is not read, in words; empty where all is."""
        common = self.others.most_common(6)
        unread = [f"{count:,} {ending or 'without an ending'}" for ending, count in common]
        if rest := self.others.total() - sum(count for _, count in common):
            unread.append(f"{rest:,} more")
        said = [f"{', '.join(unread)} not read"] if unread else []
        if self.unsearched == 1:
            said.append("1 folder not searched (-r searches it)")
        elif self.unsearched:
            said.append(f"{self.unsearched:,} folders not searched (-r searches them)")
        if self.own:
            said.append(f"{self.own} not searched: outputs go there")
        if self.closed:
            said.append(f"{', '.join(self.closed[:3])} cannot be opened")
        return "; ".join(said)


def list_inputs(
    inputs: Sequence[str | os.PathLike[str]],
    *,
    recursive: bool = False,
    out: Path | None = None,
    suffixes: Collection[str] = IMAGE_SUFFIXES,
    kind: str = "images",
) -> Inputs:
    """List the files that a command line names: files, folders, patterns.

    Each is named by its path below the folder that was given, below the fixed part of a pattern (``frames/*/*``:
    below ``frames``), or, of several, below the folder that all of them share.

    Args:
        inputs: What was given. A file is taken whatever its name.
        recursive: Search the folders in folders, too.
        out: The folder of the outputs, which is not searched where it lies in one that is.
        suffixes: Endings, lower case, of the files that are wanted from folders and by patterns.
        kind: What these are, in words.

    Returns:
        The files in the order given, each folder and pattern in natural order. A path that is named twice is one
        input; two paths that lead to the same file by a link are two.

    Raises:
        LayoutError: a name matches nothing.
    """
    found: dict[Path, Path] = {}
    roots: list[Path] = []
    lines: list[str] = []
    for item in inputs:
        if not str(item):
            raise LayoutError("an input is empty: give an image, a folder of images or a pattern")
        path = Path(item)
        if path.is_dir():
            given = _Given(root=path)
            _search(path, given, recursive=recursive, out=out, suffixes=suffixes)
            missing = f"no {kind} in this folder{' or below it' if recursive else ''}"
        elif path.exists():
            given, missing = _Given(root=path.parent, files=[path]), ""
        elif glob.has_magic(str(path)):
            given = _matching(path, recursive=recursive, out=out, suffixes=suffixes)
            missing = f"no {'image' if kind == 'images' else 'file'} matches this pattern"
        else:
            raise LayoutError(f"{path}: no such file or folder")
        left = given.left()
        if not given.files:
            raise LayoutError(f"{path}: {missing}{f': {left}' if left else ''}")
        if left:
            total = len(given.files) + given.others.total()
            counts = f"{len(given.files):,} of {total:,} files read: " if given.others else ""
            lines.append(f"{path}: {counts}{left}")
        root = _lexical(given.root)
        for file in sorted(given.files, key=natural_key):
            key = _lexical(file)
            roots.append(root if key.is_relative_to(root) else key.parent)
            found.setdefault(key, file)
    if not found:
        raise LayoutError("no input: give an image, a folder of images or a pattern such as 'photos/*.jpg'")
    shared = _num_shared(roots)
    return Inputs(
        files=tuple(
            Input(path=path, name=PurePosixPath(*key.parts[shared:]).as_posix()) for key, path in found.items()
        ),
        passed_over=tuple(lines),
    )


def _search(folder: Path, given: _Given, *, recursive: bool, out: Path | None, suffixes: Collection[str]) -> None:
    """Add what is in a folder."""
    own = None if out is None else _lexical(out)
    for parent, folders, files in walk(folder, on_error=lambda error: given.closed.append(str(error.filename))):
        _sort_out((parent / name for name in files), given, suffixes)
        if own is not None and own.parent == _lexical(parent) and own.name in folders:
            folders.remove(own.name)
            given.own = str(out)
        if not recursive:
            given.unsearched += len(folders)
            folders.clear()


def _sort_out(files: Iterable[Path], given: _Given, suffixes: Collection[str]) -> None:
    for path in files:
        if path.suffix.lower() in suffixes:
            given.files.append(path)
        elif path.name.lower() not in _OF_THE_SYSTEM:
            given.others[path.suffix.lower()] += 1


def _matching(pattern: Path, *, recursive: bool, out: Path | None, suffixes: Collection[str]) -> _Given:
    """What a pattern stands for."""
    parts = pattern.parts
    fixed = Path(*takewhile(lambda part: not glob.has_magic(part), parts))
    while (longer := fixed / parts[len(fixed.parts)]).is_dir():  # a folder may be called "photos [2020]"
        fixed = longer
    given = _Given(root=fixed)
    wanted = parts[len(fixed.parts) :]
    if "**" in wanted:
        _sort_out(
            (path for path in _below(fixed, given) if _matches(path.parts[len(fixed.parts) :], wanted)), given, suffixes
        )
        return given
    matches = [Path(name) for name in glob.glob(os.path.join(glob.escape(str(fixed)), *wanted))]
    _sort_out((path for path in matches if not path.is_dir()), given, suffixes)
    for folder in matches:
        if folder.is_dir() and recursive:
            _search(folder, given, recursive=True, out=out, suffixes=suffixes)
        elif folder.is_dir():
            given.unsearched += 1
    return given


def _below(folder: Path, given: _Given) -> Iterator[Path]:
    """Every file; `glob` would go round in circles of links."""
    for parent, _, files in walk(folder, on_error=lambda error: given.closed.append(str(error.filename))):
        yield from (parent / name for name in files)


def _matches(names: Sequence[str], pattern: Sequence[str]) -> bool:
    if not pattern:
        return not names
    if pattern[0] == "**":
        return _matches(names, pattern[1:]) or (bool(names) and _matches(names[1:], pattern))
    return bool(names) and fnmatch(names[0], pattern[0]) and _matches(names[1:], pattern[1:])


def _lexical(path: Path) -> Path:
    """Absolute, with links as they are named; only what ".." goes back over is resolved."""
    path = path.absolute()
    if ".." not in path.parts:
        return path
    back = len(path.parts) - path.parts[::-1].index("..")
    return Path(*path.parts[:back]).resolve().joinpath(*path.parts[back:])


def _num_shared(roots: Iterable[Path]) -> int:
    """How many parts the roots have in common, the drive counted in any case."""
    columns = zip(*(root.parts for root in roots), strict=False)
    return max(1, sum(1 for _ in takewhile(lambda column: len(set(column)) == 1, columns)))
