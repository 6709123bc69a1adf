"""What a command line names where images are wanted: files, folders, patterns, or a set with its splits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from translate.data.idx import idx_name
from translate.data.images import ImageError, Picture, list_images
from translate.data.inputs import list_inputs
from translate.data.layouts_common import ImageSource, relative
from translate.data.layouts_images import ImagePart, ImageSetData, find_images
from translate.data.problems import LayoutError, counted
from translate.data.store import Format, why_unfit


@dataclass(frozen=True, kw_only=True)
class NamedPicture:
    """An image, and what it is called."""

    name: str
    """The file's path below what was given, with "/", or a number."""
    picture: Picture
    label: int | None = None
    path: Path | None = None


def choose_split(found: ImageSetData, split: str | None) -> str:
    """The named split, or test, val or train, whichever is first there.

    Raises:
        LayoutError: there is no such split.
    """
    if split is None:
        return next(name for name in ("test", "val", "train") if len(found.splits.get(name, ImagePart())))
    if not len(found.splits.get(split, ImagePart())):
        raise LayoutError(f"{found.root} has no {split} images: {found.describe()}", "choose another --split")
    return split


def part_names(part: ImagePart, root: Path) -> list[str]:
    """What the images of a split are called: their paths below the set's folder, or numbers."""
    if part.pixels is not None:
        return [f"{index:06d}" for index in range(len(part))]
    return [relative(source.path, root) for source in part.sources]


def read_part(
    part: ImagePart, indices: Sequence[int] | np.ndarray, names: Sequence[str], *, fmt: Format | None = None
) -> tuple[list[NamedPicture], list[str]]:
    """Some images of a split, and a line for each that cannot be read.

    Args:
        part: The split.
        indices: Of the images.
        names: Of all images of the split, as `part_names` gives them.
        fmt: What they are converted to; those with other bands count as unreadable.
    """
    pictures, failed = [], []
    for index in map(int, indices):
        label = None if part.labels is None else int(part.labels[index])
        path = None if part.pixels is not None else part.sources[index].path
        try:
            picture = part.picture(index) if part.pixels is not None else part.sources[index].read()
        except ImageError as error:
            failed.append(str(error))
            continue
        if fmt is not None and (reason := why_unfit(picture, fmt)) is not None:
            failed.append(f"{path or names[index]}: {reason}")
            continue
        pictures.append(NamedPicture(name=names[index], picture=picture, label=label, path=path))
    return pictures, failed


def spread(length: int, count: int | None) -> np.ndarray:
    """`count` numbers below `length`, evenly spread; all of them where there are no more, or for None."""
    if count is None or count >= length:
        return np.arange(length)
    return (np.arange(count) * length) // count


@dataclass(frozen=True, kw_only=True)
class ReadInputs:
    """The images that a command line names, read."""

    pictures: list[NamedPicture]
    failed: list[str]
    """A line for each that cannot be read."""
    passed_over: tuple[str, ...] = ()
    """A line for each folder or set of which a part was not read."""

    @property
    def lines(self) -> list[str]:
        """What should be said of those that are not among the pictures."""
        return [*self.passed_over, *(f"failed: {line}" for line in self.failed)]


def further_pages(counts: Mapping[str, int]) -> list[str]:
    """A line about the pages or frames that were not read, by the name of the file; none where there are none."""
    several = {name: count for name, count in counts.items() if count}
    if not several:
        return []
    some = ", ".join(f"{name} {count}" for name, count in list(several.items())[:3])
    more = ", ..." if len(several) > 3 else ""
    return [f"{counted(len(several), 'file')} with further pages or frames that were not read ({some}{more})"]


def named_inputs(
    inputs: Sequence[str],
    *,
    split: str | None = None,
    count: int | None = None,
    recursive: bool = False,
    out: Path | None = None,
    fmt: Format | None = None,
) -> ReadInputs:
    """The images that are named, `count` of them at most, evenly spread.

    One name may be an image set: idx files, an .npz file, folders of classes or of splits; not with `recursive`, which
    takes every image below a folder, nor where images lie in the folder itself.

    Args:
        inputs: Files, folders, patterns, or one set.
        split: Of a set.
        count: Images at most.
        recursive: Search the folders in folders, too.
        out: The folder of the outputs, as of `list_inputs`.
        fmt: What the images are converted to, as of `read_part`.

    Raises:
        LayoutError, ImageError: nothing is there.
    """
    only = Path(inputs[0]) if len(inputs) == 1 else None
    if only is not None and (
        only.suffix.lower() == ".npz" or idx_name(only) or (only.is_dir() and not recursive and not list_images(only))
    ):
        try:
            found = find_images(only)
        except LayoutError as error:
            if only.is_dir() and any(list_images(only, recursive=True)):
                raise LayoutError(error.what, "or -r searches the folders in it for images") from None
            raise
        chosen = choose_split(found, split)
        part, root = found.splits[chosen], found.root
        names, lines = part_names(part, root), [f"{root}: {line}" for line in found.notes]
        if others := [name for name in found.splits if name != chosen]:
            lines.append(f"{root}: the {chosen} images are read, and those of {' and '.join(others)} are not (--split)")
    else:
        listed = list_inputs(inputs, recursive=recursive, out=out)
        part = ImagePart(sources=tuple(ImageSource(path=one.path) for one in listed.files))
        names, lines = [one.name for one in listed.files], list(listed.passed_over)
    pictures, failed = read_part(part, spread(len(part), count), names, fmt=fmt)
    lines += further_pages({one.name: one.picture.pages - 1 for one in pictures})
    return ReadInputs(pictures=pictures, failed=failed, passed_over=tuple(lines))
