"""Measured values: one range for a whole set, values as shares of it and back, and what an image of bands looks like.

A range is looked for in the set and not in each image, so that equal values look equal in every image. Pixels without
data (NaN, infinities, the value that a file names, and the usual ones such as -9999) count for no range, become the
low end for a network, and are put back where images are written.

Shapes: H height, W width, C channels.
"""

from __future__ import annotations

import colorsys
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Protocol

import numpy as np

from translate.config.encoding import Encoding
from translate.data.images import NO_CLASS, ImageError, Picture, composite
from translate.data.ranges import Sampled, find_range, full_range, missing, sample, shares

NEAR = 32  # grey levels, that JPEG moves black and white by
NEARLY_ALL = 0.97  # of the pixels of black and white masks that JPEG leaves near one of the two
MOST_FILES = 512  # whose values decide a range


class Readable(Protocol):
    """What can be read as an image; `translate.data.layouts.ImageSource` is one."""

    @property
    def name(self) -> str:
        """What people know it by."""

    def read(self) -> Picture:
        """Decode it."""


def sampled(picture: Picture, bands: Sequence[int] = ()) -> Sampled:
    """Some of an image's values, and their ends.

    Raises:
        ImageError: it has no such bands.
    """
    return sample(chosen(picture, bands), picture.nodata)


def read_sampled(sources: Sequence[Readable], bands: Sequence[int] = ()) -> list[Sampled]:
    """Values of a set's files, of `MOST_FILES` evenly spread at most; files that cannot be read are left out."""
    step = max(1, -(-len(sources) // MOST_FILES))

    def one(source: Readable) -> Sampled | None:
        try:
            return replace(sampled(source.read(), bands), name=source.name)
        except ValueError:  # an ImageError, or a LayoutError: reported when training reads it
            return None

    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        return [found for found in pool.map(one, sources[::step]) if found is not None]


# From values to a network's range, and back


def chosen(picture: Picture, bands: Sequence[int]) -> np.ndarray:
    """The bands of an image, [H, W, C]; of grey and RGB images their colours, over white.

    Raises:
        ImageError: the image has fewer.
    """
    pixels = picture.pixels if picture.bands else composite(picture).pixels
    if not bands:
        return pixels
    if max(bands) > pixels.shape[2]:
        raise ImageError(f"has {count_of(pixels.shape[2])}, and band {max(bands)} is requested")
    return pixels[:, :, [band - 1 for band in bands]]


def count_of(channels: int) -> str:
    """So many channels, in words."""
    return f"{channels} channel{'s' * (channels != 1)}"


def encoded(picture: Picture, encoding: Encoding, *, channels: int) -> np.ndarray:
    """An image as a network takes it, float32 [H, W, C] in [0, 1]; class ids as one channel a class.

    Raises:
        ImageError: the image has other channels, or ids that are no class.
    """
    if encoding.labels:
        ids = class_ids(picture, encoding)
        return (ids == np.arange(encoding.labels)).astype(np.float32)
    pixels = chosen(picture, encoding.bands)
    if pixels.shape[2] != channels:
        raise ImageError(f"has {count_of(pixels.shape[2])}, and {channels} are expected: choose them with --bands")
    # Plain images have no units: black and white are the ends of a range of measured values.
    plain = not picture.bands and encoding.dtype not in ("uint8", "uint16")
    values = None if plain else encoding.values
    if values is None and pixels.dtype.kind == "f":
        values = find_range([sampled(picture, encoding.bands)]).values
    return shares(pixels, values, picture.nodata)


def class_ids(picture: Picture, encoding: Encoding) -> np.ndarray:
    """Class ids [H, W, 1] as integers; 255 means no class where there are fewer.

    Args:
        picture: One band of ids, or with values in the encoding a mask whose black and white are 0 and 1.
        encoding: With labels.

    Raises:
        ImageError: more than one channel, or an id that is no class.
    """
    if picture.colour.shape[2] != 1 or picture.pixels.dtype.kind == "f":
        raise ImageError(f"has {count_of(picture.channels)}, and class ids are one channel of whole numbers")
    ids = picture.colour
    if encoding.values is not None and ids.max() > 1 and _is_mask(ids, encoding.values):
        return (ids > max(sum(encoding.values), NO_CLASS) / 2).astype(np.uint8)
    wrong = ids[(ids >= encoding.labels) & (ids != NO_CLASS)]
    if wrong.size:
        known = f"{encoding.labels} classes, 0 to {encoding.labels - 1}"
        raise ImageError(f"has the class id {int(wrong.max())}, and there are {known}")
    return ids


def _is_mask(ids: np.ndarray, values: tuple[float, float]) -> bool:
    """Whether grey values are those of a black and white mask, perhaps blurred by JPEG, and not ids and no class."""
    if values != (0, 1):
        return True
    found = np.unique(ids)
    if np.isin(found, (0, 1, NO_CLASS)).all():
        return 1 not in found
    near = (ids < NEAR) | (ids > NO_CLASS - NEAR)
    return bool(found[-1] > NO_CLASS / 2 and near.mean() > NEARLY_ALL)


def decoded(unit: np.ndarray, encoding: Encoding, *, like: Picture | None = None) -> Picture:
    """What a network made, as values in their units.

    Args:
        unit: [H, W, C] in [0, 1].
        encoding: Of what is made.
        like: The input, whose pixels without data stay without data; none unless given.
    """
    dtype = np.dtype(encoding.dtype)
    low, high = encoding.values if encoding.values is not None else full_range(dtype)
    found = low + unit.astype(np.float64) * (high - low)
    if dtype.kind != "f":
        limits = np.iinfo(dtype)
        found = np.clip(np.rint(found), limits.min, limits.max)
    pixels = found.astype(dtype)
    gone = missing(like.pixels, like.nodata) if like is not None and like.bands else None
    nodata = None
    if gone is not None and like is not None:
        same = gone.shape == pixels.shape
        where = gone if same else np.broadcast_to(gone.all(axis=2, keepdims=True), pixels.shape)
        source = like.pixels[gone]
        mark = float(source[np.isfinite(source)][0]) if np.isfinite(source).any() else float("nan")
        if dtype.kind == "f":
            pixels[where] = mark
            nodata = mark if np.isfinite(mark) else None
        elif np.isfinite(mark) and np.iinfo(dtype).min <= mark <= np.iinfo(dtype).max:
            pixels[where] = int(mark)
            nodata = mark
    return Picture(pixels=pixels, bands=True, nodata=nodata, values=(low, high))


# For people


def class_colours(count: int) -> np.ndarray:
    """A colour for each class, uint8 [count, 3]: black for the first, then hues far apart."""
    hues = [(number * 0.618034) % 1 for number in range(count - 1)]  # the golden ratio: never near an earlier one
    rows = [colorsys.hsv_to_rgb(hue, 0.55 + 0.4 * (number % 2), 1.0) for number, hue in enumerate(hues)]
    return np.rint(np.array([(0.0, 0.0, 0.0), *rows][:count]) * 255).astype(np.uint8)


def in_class_colours(picture: Picture, encoding: Encoding) -> Picture:
    """Class ids as RGB of 8 bits; white where a pixel has no class.

    Raises:
        ImageError: as `class_ids`.
    """
    ids, classes = class_ids(picture, encoding)[:, :, 0], encoding.labels
    colours = np.concatenate([class_colours(classes), np.full((1, 3), 255, np.uint8)])
    return Picture(pixels=colours[np.minimum(ids, classes)])
