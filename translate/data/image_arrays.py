"""Image sets that are one array: idx files as MNIST has them, and .npz files as Keras and MedMNIST write them.

Shapes: N images, H height, W width, C channels.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from translate.data.array_files import open_array
from translate.data.array_values import to_labels, to_pixels
from translate.data.idx import idx_name, read_idx
from translate.data.images import ImageError
from translate.data.layouts_common import SPLIT_NAMES
from translate.data.problems import LayoutError, Problems

IDX_SPLITS = {"train": "train", "t10k": "test", "test": "test", "val": "val", "valid": "val", "": "train"}
_IMAGE_KEYS = ("x", "images", "image", "data")
_UNNAMED = {"arr_0": "images", "arr_1": "labels"}
"""What numpy.savez calls arrays that were given no names."""
_LABEL_KEYS = ("y", "labels", "label", "targets")


@dataclass(frozen=True, kw_only=True, eq=False)
class ArrayPart:
    """A split: uint8 or uint16 pixels [N, H, W, C], and labels [N] of integers, where there are some."""

    pixels: np.ndarray
    labels: np.ndarray | None


def idx_files(root: Path) -> dict[str, dict[str, Path]]:
    """The idx files of a folder, by split and kind: ``{"train": {"images": ..., "labels": ...}}``.

    Each may lie in a folder of its own, called as Kaggle's archives call them. A file given stands for itself, and for
    the labels beside it.

    Raises:
        LayoutError: a file is there twice, or there are files of several sets.
    """
    if root.is_dir():
        sets = _idx_sets(root)
    elif idx_name(root) is not None:
        above = root.parent.parent if idx_name(root.parent) is not None else root.parent
        sets = {
            name: {split: {"images": root} | kinds}
            for name, splits in _idx_sets(above, only=root).items()
            for split, kinds in splits.items()
            if kinds.get("images") == root
        }
    else:
        return {}
    sets = {
        name: found for name, splits in sets.items() if (found := {s: k for s, k in splits.items() if "images" in k})
    }
    if len(sets) > 1:
        first = next(iter(next(iter(sets.values())).values()))["images"]
        raise LayoutError(
            f"{root}: files of {len(sets)} data sets are here: {', '.join(sets)}",
            f"move those of one into a folder of its own, or give one file, such as {first}",
        )
    return next(iter(sets.values()), {})


def _idx_sets(folder: Path, *, only: Path | None = None) -> dict[str, dict[str, dict[str, Path]]]:
    """The idx files of a folder by the name of their set ("emnist-letters", mostly ""), by split and by kind."""
    found: dict[str, dict[str, dict[str, Path]]] = {}
    paths = [path for path in sorted(folder.iterdir()) if idx_name(path) is not None]
    own = [inner for path in paths if path.is_dir() for inner in sorted(path.iterdir()) if idx_name(inner) is not None]
    for path in [path for path in (*paths, *own) if path.is_file()]:
        named = idx_name(path)
        assert named is not None
        *words, last = re.split(r"[-._ ]+", named[0])
        name = "-".join(words if last in IDX_SPLITS else [*words, last])
        kinds = found.setdefault(name, {}).setdefault(IDX_SPLITS.get(last, "train"), {})
        first = kinds.setdefault(named[1], path)
        if only in (first, path):
            kinds[named[1]] = only if only is not None else path
        elif first != path and path.parent == first.parent:  # one in a folder of its own is the same again
            raise LayoutError(f"{folder}: {first.name} and {path.name} are both there", "remove one of them")
    return found


def read_idx_parts(files: Mapping[str, Mapping[str, Path]], problems: Problems) -> dict[str, ArrayPart]:
    """The splits of `idx_files`.

    Raises:
        ImageError: a file is not idx, or torn.
        LayoutError: images and labels differ in number, or are not images.
    """
    pixels = {}
    for split, kinds in files.items():
        path = kinds["images"]
        pixels[split] = read_idx(path)
        if "emnist" in path.name.lower() and pixels[split].ndim == 3:
            pixels[split] = np.ascontiguousarray(pixels[split].swapaxes(1, 2))
            what = "EMNIST's files have rows and columns exchanged: the images are turned upright"
            problems.note("array", what, "no action needed", severity="hint")
    where = str(next(iter(files.values()))["images"].parent)
    labels = {split: read_idx(kinds["labels"]) for split, kinds in files.items() if "labels" in kinds}
    return _parts(pixels, labels, where=where, problems=problems)


def _parts(
    pixels: Mapping[str, np.ndarray], labels: Mapping[str, np.ndarray], *, where: str, problems: Problems
) -> dict[str, ArrayPart]:
    images = to_pixels(pixels, where=f"{where}: images", problems=problems)
    return {
        split: ArrayPart(
            pixels=array,
            labels=to_labels(labels[split], count=len(array), where=f"{where}: {split}", problems=problems)
            if split in labels
            else None,
        )
        for split, array in images.items()
    }


def read_npz_parts(path: Path, problems: Problems) -> dict[str, ArrayPart]:
    """The splits of an .npz file: ``x_train y_train x_test``, ``train_images``, or ``images labels`` alone.

    Raises:
        ImageError: the file cannot be read, or would have to run code.
        LayoutError: no images are in it, or none that can be read so, or images and labels differ in number.
    """
    try:
        if not zipfile.is_zipfile(path):  # numpy would take it for a pickle
            raise ImageError(f"{path} is not a complete .npz file: save it with numpy.savez(..., images=array)")
        with np.load(path, allow_pickle=False) as opened:
            names = {name: _key(name) for name in opened.files}
            wanted = {key: opened[name] for name, key in names.items() if key is not None}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        if isinstance(error, ImageError):
            raise
        if "pickle" in str(error):
            raise ImageError(f"{path} holds Python objects, which can run code and are not read") from None
        raise ImageError(f"{path} is not a complete .npz file ({error})") from None
    arrays = {
        kind: {split: array for (split, other), array in wanted.items() if other == kind}
        for kind in ("images", "labels")
    }
    if not arrays["images"]:
        raise LayoutError(
            f"{path} has {', '.join(names) or 'nothing'}", "name arrays x_train and y_train, or images and labels"
        )
    return _parts(arrays["images"], arrays["labels"], where=str(path), problems=problems)


def _key(name: str) -> tuple[str, str] | None:
    """``x_train`` or ``train_images`` -> ("train", "images"); None for what is neither images nor labels."""
    if name in _UNNAMED:
        return "train", _UNNAMED[name]
    words = name.lower().split("_")
    split = next((SPLIT_NAMES[word] for word in words if word in SPLIT_NAMES), "train")
    rest = [word for word in words if word not in SPLIT_NAMES]
    if len(rest) != 1:
        return None
    return (split, "images") if rest[0] in _IMAGE_KEYS else (split, "labels") if rest[0] in _LABEL_KEYS else None


def npz_file(root: Path) -> Path | None:
    """The one .npz file that a path is or holds; None where there is none, or several that are an image each.

    Raises:
        LayoutError: there are several, and one of them is not an image.
    """
    if root.is_file():
        return root if root.suffix.lower() == ".npz" else None
    found = sorted(root.glob("*.npz"))
    if len(found) > 1 and all(map(_is_image, found)):
        return None
    if len(found) > 1:
        raise LayoutError(
            f"{root}: {len(found)} .npz files are here",
            f"give one set of them, such as {found[0]}; of one image each, they have one array each",
        )
    return found[0] if found else None


def _is_image(path: Path) -> bool:
    try:
        return open_array(path) is not None
    except (OSError, ValueError, zipfile.BadZipFile):
        return False
