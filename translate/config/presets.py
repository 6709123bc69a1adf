"""What known data sets need, as plain values."""

from __future__ import annotations

# CMP Facade Database (Tylecek and Sara, 2013): the twelve classes in the order of its label files, and the colours of
# its label maps (MATLAB's jet of twelve steps).
FACADE_CLASSES: dict[str, tuple[int, int, int]] = {
    "background": (0, 0, 170),
    "facade": (0, 0, 255),
    "window": (0, 85, 255),
    "door": (0, 170, 255),
    "cornice": (0, 255, 255),
    "sill": (85, 255, 170),
    "balcony": (170, 255, 85),
    "blind": (255, 255, 0),
    "deco": (255, 170, 0),
    "molding": (255, 85, 0),
    "pillar": (255, 0, 0),
    "shop": (170, 0, 0),
}
