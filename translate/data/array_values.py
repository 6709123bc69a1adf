"""Arrays of images and of labels as people save them, converted to what image sets are made of.

Shapes: N images, H height, W width, C channels.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from translate.data.problems import LayoutError, Problems
from translate.data.ranges import find_range, missing, sample

_CHANNELS = range(1, 5)
_USUAL = ((0.0, 1.0), (-1.0, 1.0), (0.0, 255.0))
_WHOLE = 0.01  # of a grey level, that values may be off and still be whole numbers


def to_pixels(arrays: Mapping[str, np.ndarray], *, where: str, problems: Problems) -> dict[str, np.ndarray]:
    """The images of each split as [N, H, W, C], of uint8 or uint16 where they are grey or colours; what is done to them
    is noted.

    All splits are read alike. Floats whose values lie in [0, 1], [-1, 1] or [0, 255], but for a few, become 8 bits
    where those hold them (they were made of 8 bits), else 16. Booleans are black and white. Other values, and
    more than 4 channels, stay as they are: they are measured values and bands.

    Raises:
        LayoutError: they are no images.
    """
    shaped = {
        split: _channels_last(array, where=f"{where} {split}", problems=problems) for split, array in arrays.items()
    }
    kinds = {array.dtype.kind for array in shaped.values()}
    if kinds <= set("b"):
        return {split: array.astype(np.uint8) * np.uint8(255) for split, array in shaped.items()}
    if not kinds <= set("biuf"):
        raise LayoutError(f"{where} {' and '.join(_types(shaped))}", "save them as uint8, 0 to 255, or uint16")
    bands = any(array.shape[-1] not in _CHANNELS for array in shaped.values())
    if bands or all(array.dtype in (np.uint8, np.uint16) for array in shaped.values()):
        return shaped
    found = find_range([sample(array, None) for array in shaped.values()])
    said = f"{where} {' and '.join(_types(shaped))} from {found.least:.6g} to {found.most:.6g}"
    gone = any(missing(array, None) is not None for array in shaped.values())
    if gone or found.values not in _USUAL:
        if "f" not in kinds and not gone and found.least >= 0 and found.most <= 65535:
            return {
                split: array.astype(np.uint8 if found.most <= 255 else np.uint16) for split, array in shaped.items()
            }
        return shaped
    bottom, top = found.values
    levels = {
        split: (np.clip(array.astype(np.float32), bottom, top) - bottom) * (255 / (top - bottom))
        for split, array in shaped.items()
    }
    cut = f"; {found.outside:.2%} lie outside and are clipped" if found.outside else ""
    whole = all(np.abs(values - np.rint(values)).max() <= _WHOLE for values in levels.values())
    problems.note(
        "array",
        f"{said}: read as in [{bottom:g}, {top:g}], with {8 if whole else 16} bits{cut}",
        "save them as uint8 or uint16 if that is wrong",
        severity="hint",
    )
    if whole:
        return {split: np.rint(values).astype(np.uint8) for split, values in levels.items()}
    return {split: np.rint(values * 257).astype(np.uint16) for split, values in levels.items()}


def _types(arrays: Mapping[str, np.ndarray]) -> list[str]:
    return list(dict.fromkeys(f"are {array.dtype}" for array in arrays.values()))


def _channels_last(array: np.ndarray, *, where: str, problems: Problems) -> np.ndarray:
    """[N, H, W] and [N, C, H, W] as [N, H, W, C]; of bands the channels are the shortest axis."""
    if array.ndim == 3 and array.shape[-1] in (3, 4) and min(array.shape[:2]) > 4:
        raise LayoutError(
            f"{where} has shape {_shape(array)}: that is one image, not a set",
            "save all images as one array [N, H, W, C], or each in a file of its own",
        )
    if array.ndim == 3:
        array = array[..., None]
    first = array.ndim == 4 and (array.shape[1] in _CHANNELS or array.shape[1] < min(array.shape[2:]))
    if first and array.shape[-1] not in _CHANNELS:
        what = f"{where} is {_shape(array)}, channels first: moved last"
        problems.note("array", what, "no action needed", severity="hint")
        array = np.ascontiguousarray(np.moveaxis(array, 1, -1))
    if array.ndim != 4 or 0 in array.shape or array.shape[-1] > max(4, *array.shape[1:3]):
        raise LayoutError(f"{where} have shape {_shape(array)}", "expected [N, H, W], [N, H, W, C] or [N, C, H, W]")
    return array


def _shape(array: np.ndarray) -> str:
    return "x".join(map(str, array.shape))


def to_labels(labels: np.ndarray, *, count: int, where: str, problems: Problems) -> np.ndarray:
    """The labels of so many images as [N]; one-hot ones, [N, K], become numbers.

    Raises:
        LayoutError: they are neither, or of another number.
    """
    labels = labels.reshape(len(labels), -1) if labels.ndim else labels.reshape(1, 1)
    if labels.shape[1] > 1:
        if labels.dtype.kind not in "biuf" or not (
            ((labels == 0) | (labels == 1)).all() and (labels.sum(1) == 1).all()
        ):
            raise LayoutError(
                f"{where}: labels of {labels.shape[1]} numbers each", "expected one per image, or one-hot: a 1, else 0"
            )
        what = f"{where}: labels are one-hot, of {labels.shape[1]} classes"
        problems.note("array", what, "no action needed", severity="hint")
        labels = labels.argmax(1)
    labels = labels.reshape(-1)
    if len(labels) != count:
        raise LayoutError(
            f"{where}: {count:,} images and {len(labels):,} labels", "give the files that belong together"
        )
    if labels.dtype.kind == "f" and (labels == np.rint(labels)).all():
        labels = labels.astype(np.int64)
    return labels
