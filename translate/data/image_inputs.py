"""What a command line names where images are wanted: files, folders, patterns, or a set with its splits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from translate.data.idx import idx_name
from translate.data.images import ImageError, Picture, list_images
from translate.data.layouts_common import ImageSource, list_inputs
from translate.data.layouts_images import ImagePart, ImageSetData, find_images
from translate.data.problems import LayoutError


@dataclass(frozen=True, kw_only=True)
class NamedPicture:
    """An image, and what it is called."""

    name: str
    """The file's name without its suffix, or a number."""
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


def read_part(part: ImagePart, indices: Sequence[int] | np.ndarray) -> tuple[list[NamedPicture], list[str]]:
    """Some images of a split, and a line for each that cannot be read."""
    pictures, failed = [], []
    for index in map(int, indices):
        label = None if part.labels is None else int(part.labels[index])
        if part.pixels is not None:
            pictures.append(NamedPicture(name=f"{index:06d}", picture=Picture(pixels=part.pixels[index]), label=label))
            continue
        source = part.sources[index]
        try:
            named = NamedPicture(name=source.path.stem, picture=source.read(), label=label, path=source.path)
        except ImageError as error:
            failed.append(str(error))
        else:
            pictures.append(named)
    return pictures, failed


def spread(length: int, count: int | None) -> np.ndarray:
    """`count` numbers below `length`, evenly spread; all of them where there are no more, or for None."""
    if count is None or count >= length:
        return np.arange(length)
    return (np.arange(count) * length) // count


def named_inputs(
    inputs: Sequence[str], *, split: str | None = None, count: int | None = None
) -> tuple[list[NamedPicture], list[str]]:
    """The images that are named, `count` of them at most, evenly spread; and a line for each that cannot be read.

    One name may be an image set: idx files, an .npz file, folders of classes or of splits.

    Raises:
        LayoutError, ImageError: nothing is there.
    """
    only = Path(inputs[0]) if len(inputs) == 1 else None
    if only is not None and (
        only.suffix.lower() == ".npz" or idx_name(only) or (only.is_dir() and not list_images(only))
    ):
        found = find_images(only)
        part = found.splits[choose_split(found, split)]
    else:
        part = ImagePart(sources=tuple(ImageSource(path=path) for path in list_inputs(inputs)))
    return read_part(part, spread(len(part), count))
