"""What a run should say of its images before it starts: values that look black, class ids, images that become blank."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from translate.data.images import LOSSY_SUFFIXES, NO_CLASS, ImageError, Picture, composite, read_header
from translate.data.layouts_common import ImageSource, first_names
from translate.data.problems import LayoutError
from translate.data.store import Format

_IDS = "; for pairs, --labels reads ids as one-hot classes"
SAMPLED = 24  # images of a domain
DIM, DIM_BANDS = 2**13, 2**14  # values of 16 bits below these are dark; satellites have reflectances times 10,000
MOST_IDS = 64  # label maps of ids have fewer classes, and no 8-bit photograph is so dark throughout


def dim(name: str, tops: Sequence[int], *, bits: int, below: int = DIM) -> tuple[str, str] | None:
    """What is wrong with images whose values fill a small part of their range, and the fix; None where nothing is.

    Args:
        name: What the images are called.
        tops: The largest value of each.
        bits: 8 or 16, of all of them.
        below: Which values of 16 bits are small.
    """
    top = max(tops, default=0)
    if bits == 16 and 0 < top < below:
        used = max(1, top.bit_length())
        return (
            f"{name} has 16 bits and uses {used} of them: it looks black",
            f"--values 0 {2**used - 1} uses its range" + (_IDS if top < MOST_IDS else ""),
        )
    if bits == 8 and 0 < top < MOST_IDS:
        return (
            f"{name} has values from 0 to {top} of 255: probably class ids, and nearly black to every method",
            f"--values 0 {top} uses its range" + _IDS,
        )
    return None


def top_of(colour: np.ndarray) -> int:
    """The largest value of an image's colours; of class ids without 255, which stands for no class."""
    top = int(colour.max())
    if colour.dtype == np.uint8 and top == NO_CLASS:
        others = colour[colour != NO_CLASS]
        if others.size and 0 < int(others.max()) < MOST_IDS:
            return int(others.max())
    return top


def survey(domains: Sequence[tuple[str, Sequence[ImageSource], Format]]) -> list[str]:
    """Lines about the images of each domain, from a sample of those that are not photographs by their format.

    Args:
        domains: What each is called, its images, and what they are converted to.
    """
    lines = []
    for name, sources, fmt in domains:
        if fmt.encoding is not None and (fmt.labels or fmt.encoding.values is not None):
            continue
        candidates = [source for source in sources if source.path.suffix.lower() not in LOSSY_SUFFIXES]
        step = max(1, -(-len(candidates) // SAMPLED))
        with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
            seen = [
                (source, one)
                for source, one in zip(candidates[::step], pool.map(_read, candidates[::step]), strict=True)
            ]
        known = [(source, one) for source, one in seen if one is not None]
        if not known or len(candidates) < len(sources) / 2:
            continue
        bits = {one.bits for _, one in known}
        if len(bits) == 1:
            below = DIM if fmt.encoding is None else DIM_BANDS
            tops = [top_of(one.colour) for _, one in known]
            found = dim(name or "the set", tops, bits=bits.pop(), below=below)
            lines += [f"{found[0]}; {found[1]}"] if found is not None else []
        whose = f" of {name}" if name else ""
        clear = [source.path for source, one in known if one.alpha is None and read_header(source.path).alpha]
        if clear:
            lines.append(
                f"{len(clear)} of {len(known)} examined images{whose} have an alpha of 0 everywhere, which "
                f"is ignored ({first_names(clear)})"
            )
        blank = [source.path for source, one in known if one.alpha is not None and is_blank(composite(one).pixels)]
        if blank and fmt.channels in (1, 3):
            lines.append(
                f"{len(blank)} of {len(known)} examined images{whose} are blank "
                f"over white ({first_names(blank)}); --alpha keep keeps what is under their transparency"
            )
    return lines


def dim_array(pixels: np.ndarray | None) -> tuple[str, str] | None:
    """As `dim`, of a set that is one array of grey or colours; None for bands, and where it is no array."""
    if pixels is None or pixels.dtype not in (np.uint8, np.uint16) or pixels.shape[-1] not in (1, 3):
        return None
    return dim("the set", [top_of(pixels)], bits=8 * pixels.itemsize)


def is_blank(pixels: np.ndarray) -> bool:
    """Whether all pixels [H, W, C] are the same."""
    return bool((pixels == pixels[:1, :1]).all())


def _read(source: ImageSource) -> Picture | None:
    try:
        return source.read()
    except (ImageError, LayoutError):
        return None  # reported when training reads it
