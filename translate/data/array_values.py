"""Arrays of images and of labels as people save them, brought to what image sets are made of.

Shapes: N images, H height, W width, C channels.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from translate.data.problems import LayoutError, Problems

_CHANNELS = range(1, 5)
_WHOLE = 0.01  # of a grey level, that values may be off and still be whole numbers


def to_pixels(arrays: Mapping[str, np.ndarray], *, where: str, problems: Problems) -> dict[str, np.ndarray]:
    """The images of each split as [N, H, W, C] of uint8 or uint16; what is done to them is noted.

    All splits are read alike. Floats are in [0, 1], [-1, 1] or [0, 255], by the smallest and the largest value of all;
    they become 8 bits where those hold them (they were made of 8 bits), else 16. Booleans are black and white.

    Raises:
        LayoutError: they are no images, or their values are in no such range.
    """
    shaped = {
        split: _channels_last(array, where=f"{where} {split}", problems=problems) for split, array in arrays.items()
    }
    kinds = {array.dtype.kind for array in shaped.values()}
    if kinds <= set("b"):
        return {split: array.astype(np.uint8) * np.uint8(255) for split, array in shaped.items()}
    if not kinds <= set("biuf"):
        raise LayoutError(f"{where} {' and '.join(_types(shaped))}", "save them as uint8, 0 to 255, or uint16")
    if all(array.dtype in (np.uint8, np.uint16) for array in shaped.values()):
        return shaped
    low = min(float(array.min()) for array in shaped.values())
    high = max(float(array.max()) for array in shaped.values())
    between = f"from {low:.6g} to {high:.6g}"
    said = f"{where} {' and '.join(_types(shaped))} {between}"
    if not (np.isfinite(low) and np.isfinite(high)):
        raise LayoutError(f"{said}: some are no numbers", "replace them, and save the images as uint8 or uint16")
    if "f" not in kinds:
        if low < 0 or high > 65535:
            raise LayoutError(said, "bring them to 0 to 255 as uint8, or to 0 to 65535 as uint16")
        return {split: array.astype(np.uint8 if high <= 255 else np.uint16) for split, array in shaped.items()}
    bottom, top = next(
        ((bottom, top) for bottom, top in ((0, 1), (-1, 1), (0, 255)) if bottom <= low and high <= top), (None, None)
    )
    if bottom is None or top is None:
        raise LayoutError(
            f"{said}, which is none of [0, 1], [-1, 1] and [0, 255]",
            "bring them to one of those, or save them as uint8",
        )
    levels = {split: (array.astype(np.float32) - bottom) * (255 / (top - bottom)) for split, array in shaped.items()}
    whole = all(np.abs(values - np.rint(values)).max() <= _WHOLE for values in levels.values())
    problems.note(
        "array",
        f"{said}: read as in [{bottom}, {top}], with {8 if whole else 16} bits",
        "save them as uint8 or uint16 if that is wrong",
        severity="hint",
    )
    if whole:
        return {split: np.rint(values).astype(np.uint8) for split, values in levels.items()}
    return {split: np.rint(values * 257).astype(np.uint16) for split, values in levels.items()}


def _types(arrays: Mapping[str, np.ndarray]) -> list[str]:
    return list(dict.fromkeys(f"are {array.dtype}" for array in arrays.values()))


def _channels_last(array: np.ndarray, *, where: str, problems: Problems) -> np.ndarray:
    """[N, H, W] and [N, C, H, W] as [N, H, W, C]."""
    if array.ndim == 3:
        array = array[..., None]
    if array.ndim == 4 and array.shape[-1] not in _CHANNELS and array.shape[1] in _CHANNELS:
        what = f"{where} is {_shape(array)}, channels first: they are put last"
        problems.note("array", what, "nothing to do", severity="hint")
        array = np.ascontiguousarray(np.moveaxis(array, 1, -1))
    if array.ndim != 4 or array.shape[-1] not in _CHANNELS or 0 in array.shape:
        raise LayoutError(
            f"{where} have shape {_shape(array)}", "expected [N, H, W], [N, H, W, 1 to 4] or [N, 1 to 4, H, W]"
        )
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
                f"{where}: labels of {labels.shape[1]} numbers each", "expected one an image, or one-hot: one 1, else 0"
            )
        what = f"{where}: labels are one-hot, of {labels.shape[1]} classes"
        problems.note("array", what, "nothing to do", severity="hint")
        labels = labels.argmax(1)
    labels = labels.reshape(-1)
    if len(labels) != count:
        raise LayoutError(
            f"{where}: {count:,} images and {len(labels):,} labels", "give the files that belong together"
        )
    if labels.dtype.kind == "f" and (labels == np.rint(labels)).all():
        labels = labels.astype(np.int64)
    return labels
