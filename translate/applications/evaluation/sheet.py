"""The picture of an evaluation: the best, the median and the worst examples, one band each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from translate.inference.grid import GAP, INK, PAPER, to_images

CELL = 192  # side in pixels of the square that an image is fitted into
BAND_GAP, CAPTION, TITLE = 16, 20, 26


@dataclass(frozen=True, kw_only=True)
class Shown:
    """An example on the sheet."""

    name: str
    score: float
    images: tuple[Tensor, ...]
    """Input, output and, where it is known, target: [1, C, H, W] in [0, 1] each."""


def choose(scores: Sequence[float], *, count: int = 3) -> dict[str, list[int]]:
    """Numbers of the best, median and worst examples, at most `count` of each, none twice; higher scores are better.

    Examples without a score (NaN) are left out.
    """
    order = [int(number) for number in np.argsort(-np.asarray(scores), kind="stable") if np.isfinite(scores[number])]
    count = min(count, max(1, len(order) // 3))
    middle = (len(order) - count) // 2
    bands = {"best": order[:count], "median": order[middle : middle + count], "worst": order[-count:]}
    taken: set[int] = set()
    chosen = {}
    for band, numbers in bands.items():
        chosen[band] = [number for number in numbers if number not in taken]
        taken.update(numbers)
    return {band: numbers for band, numbers in chosen.items() if numbers}


def sheet(bands: dict[str, list[Shown]], *, headings: Sequence[str], measure: str) -> Image.Image:
    """The bands below each other, the examples of a band beside each other.

    Args:
        bands: "best", "median" and "worst" to their examples; every example has as many images as there are headings.
        headings: What each image of an example is.
        measure: What the examples are ordered by.

    Returns:
        An RGB image.
    """
    across = max(len(shown) for shown in bands.values())
    width_of_one = len(headings) * (CELL + GAP) - GAP
    width = across * (width_of_one + BAND_GAP) - BAND_GAP
    height_of_band = TITLE + CELL + CAPTION
    canvas = Image.new("RGB", (width, len(bands) * (height_of_band + BAND_GAP) - BAND_GAP), PAPER)
    pen = ImageDraw.Draw(canvas)
    title, small = ImageFont.load_default(size=15), ImageFont.load_default(size=12)
    for number, (band, examples) in enumerate(bands.items()):
        top = number * (height_of_band + BAND_GAP)
        pen.text((2, top + TITLE / 2), f"{band} by {measure}: {', '.join(headings)}", fill=INK, font=title, anchor="lm")
        for place, shown in enumerate(examples):
            left = place * (width_of_one + BAND_GAP)
            for column, image in enumerate(shown.images):
                cell = fitted(to_images(image * 2 - 1)[0])
                x = left + column * (CELL + GAP) + (CELL - cell.width) // 2
                canvas.paste(cell, (x, top + TITLE + (CELL - cell.height) // 2))
            caption = f"{shortened(shown.name, 7 * len(headings) + 8)}  {shown.score:.3f}"
            pen.text((left + 2, top + TITLE + CELL + CAPTION / 2), caption, fill=INK, font=small, anchor="lm")
    return canvas


def fitted(image: Image.Image) -> Image.Image:
    """An image whose longer side is that of a cell; small ones are enlarged in whole pixels."""
    longer = max(image.size)
    if longer <= CELL // 2:
        times = CELL // longer
        return image.resize((image.width * times, image.height * times), Image.Resampling.NEAREST)
    size = [max(1, round(side * CELL / longer)) for side in image.size]
    return image.resize((size[0], size[1]), Image.Resampling.LANCZOS)


def shortened(name: str, length: int) -> str:
    """The end of a name that is too long; that is where file names differ."""
    return name if len(name) <= length else f"...{name[3 - length :]}"
