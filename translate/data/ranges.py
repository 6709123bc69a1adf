"""Ranges of measured values: found in arrays, and values as shares of them.

Pixels without data (NaN, infinities, the value that a file names, and the usual ones such as -9999) count for no range.

Shapes: H height, W width, C channels.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from translate.data.problems import counted

NODATA = (-9999.0, -99999.0, -32768.0, float(np.finfo(np.float32).min), float(np.finfo(np.float64).min))
"""Values that mark pixels without data by convention, where they lie far below all others."""
MOST_VALUES = 2**14  # of each of them
BULK = 0.001  # share of the values at each end that may be outliers
SPREAD = 4  # a bulk that fills less than one part in so many of the whole range leaves the rest as outliers
_FRACTIONS = ((0.0, 1.0), (-1.0, 1.0), (0.0, 255.0))
_WHOLE = tuple((0.0, float(2**bits - 1)) for bits in (8, 10, 12, 14, 16))
_FEW = 64  # whole numbers below this have a range of their own
_DIM = 0.3  # of a range by convention: below this share of its top, it is not the one that is meant
_NEAR = 1e-3  # beyond the ends of a range by convention, as a share of it: rounding


@dataclass(frozen=True, kw_only=True)
class FoundRange:
    """The range of a set's values."""

    low: float
    high: float
    least: float
    """The smallest of all values."""
    most: float
    """The largest."""
    outside: float
    """Share of the values beyond the range."""
    num_files: int

    @property
    def values(self) -> tuple[float, float]:
        return self.low, self.high

    def describe(self, num_files: int | None = None, whose: str = "") -> str:
        """For example "values of A from 0 to 1, found in 3 of 9 files, become black to white".

        Args:
            num_files: How many files there are; those that were looked at, unless given.
            whose: What is between "values" and "from", with its space.
        """
        files = counted(self.num_files if num_files is None else num_files, "file")
        where = files if num_files is None or self.num_files >= num_files else f"{self.num_files:,} of {files}"
        beyond = f"; {max(self.outside, 0.0001):.2%} of them lie outside and are clipped" if self.outside else ""
        return (
            f"values{whose} from {self.low:.10g} to {self.high:.10g}, found in {where}, become black to white{beyond}"
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class Sampled:
    """Values of one image, or of several."""

    values: np.ndarray
    """[M] float64, evenly spread over the pixels; without pixels that have no data."""
    low: float
    """The lowest of all the pixels; infinite where none has data."""
    high: float
    whole: bool
    """Whether all are whole numbers."""
    name: str = ""
    """Of the image."""

    @property
    def empty(self) -> bool:
        """Whether no pixel has data."""
        return not np.isfinite(self.low)


def missing(pixels: np.ndarray, nodata: float | None) -> np.ndarray | None:
    """Which values [H, W, C] are no data: bool [H, W, C]; None where all are."""
    found = ~np.isfinite(pixels) if pixels.dtype.kind == "f" else None
    marks = [nodata] if nodata is not None and _holds(pixels.dtype, nodata) else []
    if pixels.dtype.kind != "u" and not marks and (lowest := _lowest(pixels)) in _as_stored(pixels.dtype):
        others = pixels[np.isfinite(pixels) & (pixels != lowest)]
        # Data that go down to the mark themselves are no sign of anything.
        if not others.size or others.min() > lowest / 2:
            marks = [lowest]
    for mark in marks:
        marked = pixels == np.asarray(mark).astype(pixels.dtype)
        found = marked if found is None else found | marked
    return found if found is not None and found.any() else None


def _holds(dtype: np.dtype, mark: float) -> bool:
    """Whether a number type can hold a mark; one that would wrap around marks nothing."""
    if not np.isfinite(mark):
        return False
    if dtype.kind == "f":
        return abs(mark) <= float(np.finfo(dtype).max)
    limits = np.iinfo(dtype)
    return mark == round(mark) and limits.min <= mark <= limits.max


def _lowest(pixels: np.ndarray) -> float:
    finite = pixels[np.isfinite(pixels)] if pixels.dtype.kind == "f" else pixels
    return float(finite.min()) if finite.size else 0.0


def _as_stored(dtype: np.dtype) -> set[float]:
    """The conventional marks that a number type can hold, as it holds them."""
    limits = np.iinfo(dtype) if dtype.kind == "i" else np.finfo(dtype)
    held = [mark for mark in NODATA if float(limits.min) <= mark]
    return {float(dtype.type(mark)) for mark in held}


def sample(pixels: np.ndarray, nodata: float | None) -> Sampled:
    """Some of the values [H, W, C] of an image, and their ends."""
    gone = missing(pixels, nodata)
    flat = pixels[~gone] if gone is not None else pixels.reshape(-1)
    if not flat.size:
        return Sampled(values=np.zeros(0), low=np.inf, high=-np.inf, whole=True)
    some = flat[:: max(1, flat.size // MOST_VALUES)].astype(np.float64)
    whole = pixels.dtype.kind != "f" or bool((some == np.rint(some)).all())
    return Sampled(values=some, low=float(flat.min()), high=float(flat.max()), whole=whole)


def find_range(samples: Iterable[Sampled]) -> FoundRange:
    """The range of several images' values: one by convention where the bulk of them fits it, else their own.

    By convention floats lie in [0, 1], [-1, 1] or [0, 255], and whole numbers in as many bits as they need, 8, 10, 12,
    14 or 16. A few outliers change nothing; of a set's own range they are left out where the bulk of the values would
    fill less than a quarter of it.
    """
    parts = list(samples)
    values = np.concatenate([part.values for part in parts]) if parts else np.zeros(0)
    if not values.size:
        return FoundRange(low=0.0, high=1.0, least=0.0, most=0.0, outside=0.0, num_files=len(parts))
    least, most = min(part.low for part in parts), max(part.high for part in parts)
    # Of few values one at each end, so that a single outlier changes nothing in a small image either.
    apart = min(max(1, round(BULK * values.size)), (values.size - 1) // 8)
    ends = np.partition(values, [apart, values.size - 1 - apart])
    low, high = float(ends[apart]), float(ends[values.size - 1 - apart])
    usual = _usual(low, high, whole=all(part.whole for part in parts))
    if usual is not None:
        found = usual
    elif (high - low) * SPREAD < most - least and low < high:
        found = low, high
    else:
        found = least, most
    if found[0] == found[1]:  # flat images, such as a slice of air: anything but a division by zero
        found = found[0], found[0] + 1
    outside = float(((values < found[0]) | (values > found[1])).mean())
    beyond = least < found[0] or most > found[1]
    return FoundRange(
        low=found[0],
        high=found[1],
        least=least,
        most=most,
        outside=max(outside, 1 / values.size) if beyond else 0.0,
        num_files=len(parts),
    )


def spans_of(samples: Iterable[Sampled], whole: FoundRange) -> float:
    """The share of a range that the values of some images fill, 0 to 1."""
    parts = [part for part in samples if part.values.size]
    if not parts:
        return 1.0
    low, high = min(part.low for part in parts), max(part.high for part in parts)
    return (min(high, whole.high) - max(low, whole.low)) / (whole.high - whole.low)


def _usual(low: float, high: float, *, whole: bool) -> tuple[float, float] | None:
    """The range by convention into which the bulk of the values fits."""
    if whole and 1 < high < _FEW:  # class ids or counts, which 8 bits would show as black
        return None
    ranges = _WHOLE if whole and high > 1 else _FRACTIONS
    for first, last in ranges:
        slack = _NEAR * (last - first)
        if low < first - slack or high > last + slack:
            continue
        if first < 0:
            return (first, last) if low < 0 else None
        # Depths of a few metres fit [0, 255] as well, and mean something else; black images fit anything.
        if ranges is _WHOLE or last == 1 or high >= _DIM * last:
            return first, last
        return None
    return None


def shares(pixels: np.ndarray, values: tuple[float, float] | None, nodata: float | None = None) -> np.ndarray:
    """Values [H, W, C] as shares of a range, float32 in [0, 1]: what lies beyond is cut off, no data becomes 0."""
    low, high = values if values is not None else full_range(pixels.dtype)
    kind = np.float32 if pixels.dtype.itemsize <= 2 or pixels.dtype == np.float32 else np.float64
    found = np.divide(np.subtract(pixels, low, dtype=kind), high - low, dtype=kind)
    gone = missing(pixels, nodata)
    if gone is not None:
        found[gone] = 0
    return np.clip(found, 0, 1).astype(np.float32)


def full_range(dtype: np.dtype) -> tuple[float, float]:
    """The range of an integer type; of floats [0, 1]."""
    return (0.0, 1.0) if dtype.kind == "f" else (float(np.iinfo(dtype).min), float(np.iinfo(dtype).max))
