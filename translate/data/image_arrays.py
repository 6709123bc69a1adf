"""Image sets that are one array: idx files as MNIST has them, and .npz files as Keras and MedMNIST write them.

Shapes: N images, H height, W width, C channels.
"""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from translate.data.idx import idx_name, read_idx
from translate.data.images import ImageError
from translate.data.layouts_common import SPLIT_NAMES
from translate.data.problems import LayoutError

IDX_SPLITS = {"train": "train", "t10k": "test", "test": "test", "val": "val", "valid": "val", "": "train"}
_IMAGE_KEYS = ("x", "images", "image", "data")
_LABEL_KEYS = ("y", "labels", "label", "targets")


@dataclass(frozen=True, kw_only=True, eq=False)
class ArrayPart:
    """A split: uint8 or uint16 pixels [N, H, W, C], and labels [N] of integers, where there are some."""

    pixels: np.ndarray
    labels: np.ndarray | None


def idx_files(folder: Path) -> dict[str, dict[str, Path]]:
    """The idx files of a folder, or the one file given, by split and kind: ``{"train": {"images": ..., ...}}``."""
    found: dict[str, dict[str, Path]] = {}
    for path in sorted(folder.iterdir()) if folder.is_dir() else [folder]:
        named = idx_name(path) if path.is_file() else None
        if named is None or named[0] not in IDX_SPLITS:
            continue
        kinds = found.setdefault(IDX_SPLITS[named[0]], {})
        if named[1] in kinds:
            raise LayoutError(f"{folder}: {kinds[named[1]].name} and {path.name} are both there", "remove one of them")
        kinds[named[1]] = path
    return {split: kinds for split, kinds in found.items() if "images" in kinds}


def read_idx_parts(files: Mapping[str, Mapping[str, Path]]) -> dict[str, ArrayPart]:
    """The splits of `idx_files`.

    Raises:
        ImageError: a file is not idx, or torn.
        LayoutError: images and labels differ in number, or are not images.
    """
    parts = {}
    for split, kinds in files.items():
        path = kinds["images"]
        pixels = read_idx(path)
        labels = read_idx(kinds["labels"]) if "labels" in kinds else None
        parts[split] = _part(pixels, labels, where=str(path), labels_where=str(kinds.get("labels", "")))
    return parts


def read_npz_parts(path: Path) -> dict[str, ArrayPart]:
    """The splits of an .npz file: ``x_train y_train x_test``, ``train_images``, or ``images labels`` alone.

    Raises:
        ImageError: the file cannot be read, or would have to run code.
        LayoutError: no images are in it, or images and labels differ in number.
    """
    try:
        if not zipfile.is_zipfile(path):  # numpy would take it for a pickle
            raise ImageError(f"{path} is no whole .npz file: save it with numpy.savez(..., images=array)")
        with np.load(path, allow_pickle=False) as opened:
            names = {name: _key(name) for name in opened.files}
            wanted = {key: opened[name] for name, key in names.items() if key is not None}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        if isinstance(error, ImageError):
            raise
        if "pickle" in str(error):
            raise ImageError(f"{path} holds Python objects, which can run code and are not read") from None
        raise ImageError(f"{path} is no whole .npz file ({error})") from None
    parts = {
        split: _part(pixels, wanted.get((split, "labels")), where=f"{path}: images of {split}", labels_where=str(path))
        for (split, kind), pixels in wanted.items()
        if kind == "images"
    }
    if not parts:
        raise LayoutError(
            f"{path} has {', '.join(names) or 'nothing'}", "name arrays x_train and y_train, or images and labels"
        )
    return parts


def _key(name: str) -> tuple[str, str] | None:
    """``x_train`` or ``train_images`` -> ("train", "images"); None for what is neither images nor labels."""
    words = name.lower().split("_")
    split = next((SPLIT_NAMES[word] for word in words if word in SPLIT_NAMES), "train")
    rest = [word for word in words if word not in SPLIT_NAMES]
    if len(rest) != 1:
        return None
    return (split, "images") if rest[0] in _IMAGE_KEYS else (split, "labels") if rest[0] in _LABEL_KEYS else None


def _part(pixels: np.ndarray, labels: np.ndarray | None, *, where: str, labels_where: str) -> ArrayPart:
    if pixels.ndim == 3:
        pixels = pixels[..., None]
    if pixels.dtype not in (np.uint8, np.uint16):
        raise LayoutError(f"{where} are {pixels.dtype}", "save them as uint8, 0 to 255, or uint16")
    if pixels.ndim != 4 or not 1 <= pixels.shape[-1] <= 4 or 0 in pixels.shape:
        shape = "x".join(map(str, pixels.shape))
        raise LayoutError(f"{where} have shape {shape}", "expected [N, H, W] or [N, H, W, 1 to 4]")
    if labels is not None:
        labels = labels.reshape(len(labels), -1) if labels.size else labels
        if labels.ndim == 2 and labels.shape[1] != 1:
            raise LayoutError(f"{labels_where}: labels of {labels.shape[1]} numbers each", "expected one a image")
        labels = labels.reshape(-1)
        if len(labels) != len(pixels):
            raise LayoutError(
                f"{where} are {len(pixels):,}, and the labels of {labels_where} {len(labels):,}",
                "give the files that belong together",
            )
    return ArrayPart(pixels=pixels, labels=labels)


def npz_file(root: Path) -> Path | None:
    """The one .npz file that a path is or holds; None where there is none."""
    if root.is_file():
        return root if root.suffix.lower() == ".npz" else None
    found = sorted(root.glob("*.npz"))
    if len(found) > 1:
        raise LayoutError(f"{root}: {len(found)} .npz files are here", f"give one of them, such as {found[0]}")
    return found[0] if found else None
