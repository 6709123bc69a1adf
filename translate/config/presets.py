"""What known data sets need, as plain values."""

from __future__ import annotations

# CMP Facade Database (Tylecek and Sara, 2013): the twelve classes in the order of its label files. The colours are
# those of the label maps as pix2pix distributes them: the medians of the twelve clusters of the 400 training maps,
# whose flat parts lie within 5 of them. They are not the colours of the original database.
FACADE_CLASSES: dict[str, tuple[int, int, int]] = {
    "background": (0, 0, 222),
    "facade": (0, 48, 255),
    "window": (0, 128, 255),
    "door": (0, 207, 255),
    "cornice": (32, 255, 224),
    "sill": (112, 255, 142),
    "balcony": (192, 255, 63),
    "blind": (255, 240, 0),
    "deco": (255, 159, 0),
    "molding": (255, 80, 0),
    "pillar": (254, 0, 0),
    "shop": (174, 0, 0),
}
