"""Labels from a table: a .csv file with a column of file names and a column of labels."""

from __future__ import annotations

import csv
import io
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from translate.data.images import list_images
from translate.data.layouts_common import SPLIT_NAMES, first_names
from translate.data.pair_names import nfc
from translate.data.problems import LayoutError, Problems

_USUAL = ("labels.csv", "train.csv", "train_labels.csv", "metadata.csv")
_LABEL_COLUMNS = ("label", "labels", "class", "class_name", "classname", "category", "target", "species", "breed")
_SPLIT_COLUMNS = ("split", "partition", "set", "subset")
_SPLITS = {**SPLIT_NAMES, "0": "train", "1": "val", "2": "test"}
"""What a column of splits says, with the numbers of CelebA."""


@dataclass(frozen=True, kw_only=True)
class Table:
    """The rows of a .csv file."""

    path: Path
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    """As many values each as there are columns."""

    def column(self, name: str) -> list[str]:
        place = self.columns.index(name)
        return [row[place] for row in self.rows]


@dataclass(frozen=True, kw_only=True)
class Labelled:
    """What a table says of the images of a folder."""

    class_names: tuple[str, ...]
    """Empty where it has no labels that could be taken."""
    splits: dict[str, list[Path]]
    classes: dict[Path, int]


def read_table(path: Path) -> Table:
    """Read a .csv file, separated by commas, semicolons or tabs, its first row the names of the columns.

    Raises:
        LayoutError: it cannot be read, or is no table.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        text = path.read_text(encoding="latin-1")
    except OSError as error:
        raise LayoutError(f"{path} cannot be read: {error.strerror}", "give a .csv file with --labels-csv") from None
    head = text.partition("\n")[0]
    delimiter = max(",;\t", key=head.count)
    try:
        first, *rows = [row for row in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter) if any(row)] or [
            []
        ]
    except csv.Error as error:
        raise LayoutError(f"{path} is not a table: {error}", "save it as .csv") from None
    columns = tuple(name.strip() for name in first)
    if len(columns) < 2 or not rows:
        raise LayoutError(f"{path} has {len(columns)} columns and {len(rows)} rows", "give one with names and labels")
    if torn := [number for number, row in enumerate(rows, start=2) if len(row) != len(columns)]:
        raise LayoutError(f"{path}: row {torn[0]} must have {len(columns)} values like the first", "copy it again")
    return Table(path=path, columns=columns, rows=tuple(tuple(nfc(value.strip()) for value in row) for row in rows))


class _Files:
    """The images below a folder, by their paths, their names and their stems."""

    def __init__(self, root: Path) -> None:
        self.paths = list_images(root, recursive=True)
        self._by: dict[str, list[Path]] = {}
        for path in self.paths:
            relative = path.relative_to(root)
            for key in {relative.as_posix(), relative.with_suffix("").as_posix(), path.name, path.stem}:
                self._by.setdefault(nfc(key), []).append(path)

    def named(self, value: str) -> list[Path]:
        """The files that a value of a table names, with its ending or without, with folders or without."""
        value = value.replace(os.sep, "/").removeprefix("./")
        name = value.rpartition("/")[2]
        return self._by.get(value) or self._by.get(name) or self._by.get(name.rpartition(".")[0], [])


def find_table(root: Path) -> Path | None:
    """The .csv file in a folder that names its images; None where none does, or it is not clear which."""
    found = sorted(root.glob("*.csv")) if root.is_dir() else []
    usual = [path for name in _USUAL for path in found if path.name.lower() == name]
    path = usual[0] if usual else found[0] if len(found) == 1 else None
    if path is None:
        return None
    try:
        table = read_table(path)
    except LayoutError:
        return None
    return path if _name_column(table, _Files(root)) is not None else None


def _name_column(table: Table, files: _Files) -> str | None:
    """The column whose values name most files, if that are half of them at least."""
    counts = {name: sum(bool(files.named(value)) for value in table.column(name)) for name in table.columns}
    best = max(counts, key=lambda name: counts[name])
    return best if 2 * counts[best] >= len(table.rows) else None


def labelled(root: Path, path: Path, *, column: str | None, given: bool, problems: Problems) -> Labelled:
    """What a table says of the images below a folder.

    Args:
        root: The folder.
        path: The .csv file.
        column: Of the labels, where it was given.
        given: Whether the user asked for labels of this file, so that none will not do.
        problems: Where rows and images without each other are noted.

    Raises:
        LayoutError: no column names the images, the labels cannot be told, or an image has two.
    """
    table, files = read_table(path), _Files(root)
    names = _name_column(table, files)
    if names is None:
        raise LayoutError(
            f"{path}: no column has the names of images below {root}: {', '.join(table.columns)}",
            "give the folder of the images, or another --labels-csv",
        )
    splits = next(
        (name for name in table.columns if name.lower() in _SPLIT_COLUMNS and name not in (names, column)), None
    )
    if splits is not None and not all(value.lower() in _SPLITS for value in table.column(splits)):
        splits = None
    rest = [name for name in table.columns if name not in (names, splits)]
    values, what = _labels(table, rest, column)
    if what:
        if given:
            raise LayoutError(f"{path}: {what}", f"choose with --label-column: {', '.join(rest)}")
        problems.note("labels", f"{path.name}: {what}: no labels are used", "choose with --label-column")

    said: dict[Path, tuple[str, str]] = {}
    astray, unlabelled = [], 0
    for name, label, split in zip(
        table.column(names), values, table.column(splits) if splits is not None else [""] * len(values), strict=True
    ):
        match files.named(name):
            case []:
                astray.append(name)
                continue
            case [file]:
                pass
            case [file, other, *_]:
                raise LayoutError(f"{path}: {name} may be {file} or {other}", "write names with their folders")
        if not what and not label:
            unlabelled += 1
            continue
        row = label, _SPLITS[split.lower()] if split else _split_of(file, root)
        if said.setdefault(file, row) != row:
            raise LayoutError(f"{path}: {name} has two labels, {said[file][0]} and {label}", "keep one row of it")
    if unlabelled:
        problems.note("labels", f"rows of {path.name} without a label, not used: {unlabelled}", "add labels")
    if astray:
        named = ", ".join(astray[:3]) + (", ..." if len(astray) > 3 else "")
        problems.note(
            "labels", f"rows of {path.name} that name no image here: {len(astray)} ({named})", "copy those images"
        )
    if missing := [file for file in files.paths if file not in said]:
        without = f"images without a row in {path.name}, not used: {len(missing)} ({first_names(missing, root=root)})"
        problems.note("labels", without, "add rows, or take all without labels: --layout folder", files=missing)
    classes = () if what else tuple(sorted({label for label, _ in said.values()}, key=_order))
    by_split: dict[str, list[Path]] = {}
    for file in files.paths:  # in the order of the files
        if file in said:
            by_split.setdefault(said[file][1], []).append(file)
    numbers = {name: number for number, name in enumerate(classes)}
    return Labelled(
        class_names=classes,
        splits=by_split,
        classes={} if what else {file: numbers[label] for file, (label, _) in said.items()},
    )


def _labels(table: Table, columns: Sequence[str], column: str | None) -> tuple[list[str], str]:
    """The label of each row, and why there are none."""
    none = [""] * len(table.rows)
    if column is not None:
        if column not in columns:
            return none, f"no column of labels is called {column!r}"
        return table.column(column), ""
    usual = [name for name in columns if name.lower() in _LABEL_COLUMNS]
    if len(columns) == 1 or len(usual) == 1:
        values = table.column((usual or list(columns))[0])
        if len(values) > 2 and max(Counter(values).values()) == 1:
            return none, f"every row of {(usual or list(columns))[0]} has a different value, so they are not classes"
        return values, ""
    if len(columns) > 1:
        hot = list(zip(*(table.column(name) for name in columns), strict=True))
        numbers = [[value in ("1", "1.0") for value in row] for row in hot if set(row) <= {"0", "1", "0.0", "1.0"}]
        if len(numbers) == len(hot) and all(sum(row) == 1 for row in numbers):  # one-hot, as ISIC's
            return [columns[row.index(True)] for row in numbers], ""
    return none, f"{len(columns)} columns may be the labels" if columns else "there is no column of labels"


def _split_of(file: Path, root: Path) -> str:
    """The split that a file's folders say; train where they say none."""
    parts = (SPLIT_NAMES.get(part.lower()) for part in file.relative_to(root).parts[:-1])
    return next((split for split in parts if split is not None), "train")


def _order(label: str) -> tuple[float, str]:
    """Numbers by their value, before words."""
    try:
        return float(label), label
    except ValueError:
        return float("inf"), label
