"""Icons in flat colours, drawn by code: where a drawing for weights that render icons starts."""

from __future__ import annotations

from collections.abc import Callable

from PIL import Image, ImageDraw

from translate.demos.board import Colour

PAPER: Colour = (255, 255, 255)
COLOURS: dict[str, Colour] = {
    "Yellow": (252, 213, 63),
    "Orange": (255, 130, 45),
    "Red": (248, 49, 47),
    "Pink": (255, 134, 160),
    "Purple": (141, 101, 197),
    "Blue": (0, 116, 186),
    "Light blue": (38, 201, 252),
    "Green": (68, 145, 28),
    "Lime": (134, 216, 42),
    "Brown": (109, 69, 52),
    "Dark": (50, 27, 65),
    "Grey": (155, 155, 155),
    "Light grey": (225, 225, 225),
    "White": (255, 255, 255),
}
SIDE = 512
"""Side of the drawings in pixels; networks are given half of it, so that edges are smooth."""


def draw_icon(name: str) -> Image.Image:
    """One of `ICONS`: RGB, `SIDE` x `SIDE`."""
    image = Image.new("RGB", (SIDE, SIDE), PAPER)
    ICONS[name](ImageDraw.Draw(image))
    return image


def icon(name: str, size: int) -> Image.Image:
    """One of `ICONS` as a network takes it: RGB, so many pixels a side, with smooth edges."""
    return draw_icon(name).resize((size, size), Image.Resampling.LANCZOS)


def _toadstool(pen: ImageDraw.ImageDraw) -> None:
    pen.rounded_rectangle((190, 250, 322, 468), 52, fill=COLOURS["Light grey"])
    pen.pieslice((52, 56, 460, 508), 180, 360, fill=COLOURS["Red"])
    pen.rounded_rectangle((52, 262, 460, 316), 27, fill=COLOURS["Red"])
    for left, top, side in ((128, 150, 70), (232, 92, 84), (340, 172, 64), (222, 218, 52)):
        pen.ellipse((left, top, left + side, top + side), fill=COLOURS["White"])


def _fish(pen: ImageDraw.ImageDraw) -> None:
    pen.polygon([(330, 256), (470, 150), (446, 256), (470, 362)], fill=COLOURS["Orange"])
    pen.polygon([(210, 150), (300, 78), (316, 170)], fill=COLOURS["Orange"])
    pen.ellipse((48, 134, 380, 378), fill=COLOURS["Yellow"])
    pen.chord((170, 134, 380, 378), 270, 90, fill=COLOURS["Orange"])
    pen.ellipse((108, 206, 168, 266), fill=COLOURS["White"])
    pen.ellipse((118, 220, 154, 256), fill=COLOURS["Dark"])


def _house(pen: ImageDraw.ImageDraw) -> None:
    pen.rectangle((352, 84, 402, 220), fill=COLOURS["Brown"])
    pen.rectangle((96, 230, 416, 456), fill=COLOURS["Yellow"])
    pen.polygon([(256, 66), (470, 250), (42, 250)], fill=COLOURS["Red"])
    pen.rounded_rectangle((214, 316, 298, 456), 12, fill=COLOURS["Brown"])
    pen.rounded_rectangle((124, 290, 186, 352), 8, fill=COLOURS["Light blue"])
    pen.rounded_rectangle((326, 290, 388, 352), 8, fill=COLOURS["Light blue"])


def _rocket(pen: ImageDraw.ImageDraw) -> None:
    pen.polygon([(206, 390), (256, 492), (306, 390)], fill=COLOURS["Orange"])
    pen.polygon([(186, 262), (96, 372), (96, 430), (200, 386)], fill=COLOURS["Red"])
    pen.polygon([(326, 262), (416, 372), (416, 430), (312, 386)], fill=COLOURS["Red"])
    pen.ellipse((166, 30, 346, 500), fill=COLOURS["Light grey"])
    pen.rectangle((150, 406, 362, 512), fill=PAPER)
    pen.polygon([(206, 406), (256, 500), (306, 406)], fill=COLOURS["Orange"])
    pen.pieslice((166, 30, 346, 500), 222, 318, fill=COLOURS["Red"])
    pen.rectangle((178, 134, 334, 264), fill=COLOURS["Light grey"])
    pen.ellipse((204, 180, 308, 284), fill=COLOURS["Dark"])
    pen.ellipse((222, 198, 290, 266), fill=COLOURS["Light blue"])


def _ice_cream(pen: ImageDraw.ImageDraw) -> None:
    pen.polygon([(148, 262), (364, 262), (256, 492)], fill=COLOURS["Orange"])
    pen.ellipse((124, 120, 276, 292), fill=COLOURS["Pink"])
    pen.ellipse((236, 120, 388, 292), fill=COLOURS["Lime"])
    pen.ellipse((168, 36, 344, 222), fill=COLOURS["Yellow"])
    pen.ellipse((240, 20, 296, 76), fill=COLOURS["Red"])


def _smile(pen: ImageDraw.ImageDraw) -> None:
    pen.ellipse((48, 48, 464, 464), fill=COLOURS["Yellow"])
    pen.ellipse((152, 164, 208, 244), fill=COLOURS["Dark"])
    pen.ellipse((304, 164, 360, 244), fill=COLOURS["Dark"])
    pen.chord((140, 190, 372, 402), 15, 165, fill=COLOURS["Dark"])
    pen.chord((196, 320, 316, 440), 202, 338, fill=COLOURS["Red"])


ICONS: dict[str, Callable[[ImageDraw.ImageDraw], None]] = {
    "toadstool": _toadstool,
    "fish": _fish,
    "house": _house,
    "rocket": _rocket,
    "ice cream": _ice_cream,
    "smile": _smile,
}
