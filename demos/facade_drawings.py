"""Label maps of facades, drawn by code: the examples of the demo, and where a drawing starts.

They follow the habits of the CMP Facade Database (Tylecek and Sara, 2013): upright rectangles of flat colour, the house
before a background, windows in rows and columns with what belongs to them (hood, sill, shutters, balcony) close around,
moulding lines along whole floors, shops and doors on the ground floor.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import Literal

import numpy as np
from PIL import Image, ImageDraw

from translate.config.presets import FACADE_CLASSES

WALL = "facade"
"""The class of plain wall: what an eraser leaves behind."""

Balconies = Literal["none", "centre", "some", "all"]
Ground = Literal["shops", "door", "windows"]


@dataclass(frozen=True, kw_only=True)
class Style:
    """What the houses of a kind have in common; pairs of numbers are the least and the most."""

    name: str
    floors: tuple[int, int]
    """Floors above the ground floor."""
    bays: tuple[int, int]
    """Columns of windows."""
    sky: tuple[float, float]
    """Share of the height above the roof line."""
    sides: tuple[float, float]
    """Share of the width left free on each side."""
    window: tuple[float, float]
    """Share of a bay's width that its window takes."""
    ground: Ground
    balconies: Balconies = "none"
    mouldings: bool = True
    """A moulding line under each floor, not only along the roof and above the ground floor."""
    hoods: bool = True
    sills: bool = True
    shutters: bool = False
    pillars: bool = False
    ornaments: bool = False
    twin: bool = False
    """Two narrow windows in each bay."""


STYLES = (
    Style(
        name="town house",
        floors=(3, 4),
        bays=(4, 6),
        sky=(0.05, 0.14),
        sides=(0.02, 0.10),
        window=(0.44, 0.54),
        ground="shops",
    ),
    Style(
        name="palace",
        floors=(2, 3),
        bays=(5, 7),
        sky=(0.02, 0.08),
        sides=(0.0, 0.03),
        window=(0.42, 0.50),
        ground="door",
        balconies="centre",
        pillars=True,
        ornaments=True,
    ),
    Style(
        name="apartment block",
        floors=(4, 6),
        bays=(4, 6),
        sky=(0.03, 0.10),
        sides=(0.0, 0.08),
        window=(0.50, 0.62),
        ground="windows",
        balconies="some",
        mouldings=False,
        hoods=False,
    ),
    Style(
        name="shuttered house",
        floors=(2, 3),
        bays=(3, 4),
        sky=(0.12, 0.24),
        sides=(0.06, 0.14),
        window=(0.30, 0.36),
        ground="door",
        mouldings=False,
        hoods=False,
        shutters=True,
    ),
    Style(
        name="balcony house",
        floors=(3, 4),
        bays=(3, 5),
        sky=(0.04, 0.12),
        sides=(0.03, 0.12),
        window=(0.46, 0.56),
        ground="shops",
        balconies="all",
    ),
    Style(
        name="office",
        floors=(4, 6),
        bays=(5, 7),
        sky=(0.0, 0.05),
        sides=(0.0, 0.02),
        window=(0.62, 0.72),
        ground="shops",
        hoods=False,
        twin=True,
    ),
)
"""The styles, in the order in which the demo shows them."""


class _Canvas:
    """Rectangles in shares of the canvas, from the top left; each covers what it meets."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.image = Image.new("RGB", (size, size), FACADE_CLASSES["background"])
        self._draw = ImageDraw.Draw(self.image)

    def fill(self, name: str, left: float, top: float, right: float, bottom: float) -> None:
        """At least one pixel, so that thin lines do not vanish on small canvases."""
        x0, y0, x1, y1 = (round(value * self.size) for value in (left, top, right, bottom))
        self._draw.rectangle((x0, y0, max(x1 - 1, x0), max(y1 - 1, y0)), fill=FACADE_CLASSES[name])


def draw_facade(style: Style, *, seed: int = 0, size: int = 256) -> Image.Image:
    """Draw a label map: flat colours of `FACADE_CLASSES` and no others.

    Args:
        style: The kind of house.
        seed: Of everything that differs between two houses of a kind.
        size: Side in pixels.

    Returns:
        An RGB image of `size` x `size`.
    """
    random = Random(f"{style.name} {seed}")
    canvas = _Canvas(size)
    left, right = random.uniform(*style.sides), 1 - random.uniform(*style.sides)
    roof = random.uniform(*style.sky)
    street = 1 - random.uniform(0.01, 0.04)
    num_floors, num_bays = random.randint(*style.floors), random.randint(*style.bays)

    canvas.fill(WALL, left, roof, right, street)
    eaves = roof + random.uniform(0.035, 0.06)
    canvas.fill("molding", left, roof, right, eaves)
    upper = (street - eaves) / (num_floors + 1.25)  # the ground floor is a quarter higher than the others
    ground = street - 1.25 * upper
    bay = (right - left) / num_bays
    share = random.uniform(*style.window)

    if style.pillars:
        for number in range(num_bays + 1):
            x = min(max(left + number * bay, left + 0.06 * bay), right - 0.06 * bay)
            canvas.fill("pillar", x - 0.06 * bay, eaves, x + 0.06 * bay, ground)
    with_balcony = {
        "none": set(),
        "centre": {num_bays // 2},
        "some": set(random.sample(range(num_bays), max(1, num_bays // 3))),
        "all": set(range(num_bays)),
    }[style.balconies]
    for floor in range(num_floors):
        top = eaves + floor * upper
        if floor and style.mouldings:
            canvas.fill("molding", left, top - 0.02 * upper, right, top + 0.07 * upper)
        for number in range(num_bays):
            # A palace has one balcony, above its door.
            balcony = number in with_balcony and (style.balconies != "centre" or floor == num_floors - 1)
            _window(canvas, style, left + number * bay, top, bay, upper, share=share, balcony=balcony)
    canvas.fill("molding", left, ground - 0.05 * upper, right, ground + 0.06 * upper)
    _ground_floor(canvas, style, random, left, ground + 0.06 * upper, street, bay, num_bays, share)
    return canvas.image


def _window(
    canvas: _Canvas, style: Style, x: float, top: float, bay: float, height: float, *, share: float, balcony: bool
) -> None:
    """A window in its bay, with what belongs to it."""
    width = share * bay
    left, right = x + (bay - width) / 2, x + (bay + width) / 2
    upper, lower = top + 0.26 * height, top + 0.80 * height
    edge = 0.12 * width
    canvas.fill("window", left, upper, right, lower)
    if style.twin:
        middle = (left + right) / 2
        canvas.fill(WALL, middle - 0.05 * width, upper, middle + 0.05 * width, lower)
    if style.hoods:
        canvas.fill("cornice", left - edge, upper - 0.12 * height, right + edge, upper - 0.02 * height)
    if style.ornaments:
        middle = (left + right) / 2
        canvas.fill("deco", middle - edge, upper - 0.14 * height, middle + edge, upper + 0.02 * height)
    if style.shutters:
        canvas.fill("blind", left - 0.5 * width, upper, left - 0.06 * width, lower)
        canvas.fill("blind", right + 0.06 * width, upper, right + 0.5 * width, lower)
    if balcony:
        canvas.fill("balcony", left - 0.3 * width, lower - 0.16 * height, right + 0.3 * width, lower + 0.10 * height)
    elif style.sills:
        canvas.fill("sill", left - edge, lower + 0.01 * height, right + edge, lower + 0.08 * height)


def _ground_floor(
    canvas: _Canvas,
    style: Style,
    random: Random,
    left: float,
    top: float,
    street: float,
    bay: float,
    num_bays: int,
    share: float,
) -> None:
    """Shops, or windows, with one door among them."""
    height = street - top
    door = num_bays // 2 if style.ground == "door" else random.randrange(num_bays)
    for number in range(num_bays):
        middle = left + (number + 0.5) * bay
        if number == door:
            half = min(0.24 * bay, 0.035)
            canvas.fill("door", middle - half, top + 0.30 * height, middle + half, street)
            if style.ornaments:
                canvas.fill("deco", middle - 1.4 * half, top + 0.14 * height, middle + 1.4 * half, top + 0.28 * height)
        elif style.ground == "shops":
            canvas.fill("shop", middle - 0.42 * bay, top + 0.16 * height, middle + 0.42 * bay, street)
        else:
            half = share * bay / 2
            canvas.fill("window", middle - half, top + 0.28 * height, middle + half, top + 0.72 * height)
            if style.sills:
                canvas.fill("sill", middle - 1.2 * half, top + 0.73 * height, middle + 1.2 * half, top + 0.79 * height)


def snap_to_palette(image: Image.Image, *, size: int | None = None) -> Image.Image:
    """Give every pixel the nearest class colour, as strokes with soft edges and JPEG files need.

    Colours are snapped before the size changes, and the size changes by whole pixels, so that no new colour appears.

    Args:
        image: Any mode; transparent pixels become wall.
        size: Side in pixels of the square that is returned; the image's own size if None.

    Returns:
        An RGB image with colours of `FACADE_CLASSES` only.
    """
    wall = Image.new("RGBA", image.size, (*FACADE_CLASSES[WALL], 255))
    pixels = np.asarray(Image.alpha_composite(wall, image.convert("RGBA")).convert("RGB"), np.int32)  # [H, W, 3]
    palette = np.array(list(FACADE_CLASSES.values()), np.int32)
    best = np.zeros(pixels.shape[:2], np.intp)
    least = np.full(pixels.shape[:2], np.iinfo(np.int32).max, np.int32)
    for index, colour in enumerate(palette):  # one class at a time: memory stays that of the image
        distance = ((pixels - colour) ** 2).sum(axis=-1)
        closer = distance < least
        best[closer], least[closer] = index, distance[closer]
    snapped = Image.fromarray(palette[best].astype(np.uint8))
    return snapped if size is None else snapped.resize((size, size), Image.Resampling.NEAREST)
