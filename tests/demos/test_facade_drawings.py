"""The drawn label maps, and colours snapped to the palette."""

import numpy as np
import pytest
from PIL import Image

from translate.config.presets import FACADE_CLASSES
from translate.demos.facade_drawings import STYLES, WALL, draw_facade, snap_to_palette

PALETTE = set(FACADE_CLASSES.values())


def colours(image: Image.Image) -> set[tuple[int, ...]]:
    return {colour for _, colour in image.getcolors(maxcolors=image.width * image.height)}


def classes(image: Image.Image) -> set[str]:
    found = colours(image)
    return {name for name, colour in FACADE_CLASSES.items() if colour in found}


@pytest.mark.parametrize("style", STYLES, ids=lambda style: style.name)
@pytest.mark.parametrize("size", [32, 256])
def test_drawings_are_label_maps(style, size: int) -> None:
    for seed in range(8):
        drawing = draw_facade(style, seed=seed, size=size)
        assert drawing.mode == "RGB"
        assert drawing.size == (size, size)
        assert colours(drawing) <= PALETTE
        assert {"background", "facade", "window", "door", "molding"} <= classes(drawing)


def test_drawings_show_what_their_style_says() -> None:
    for style in STYLES:
        found = classes(draw_facade(style, seed=1))
        assert ("shop" in found) == (style.ground == "shops")
        assert ("balcony" in found) == (style.balconies != "none")
        assert ("cornice" in found) == style.hoods
        assert ("blind" in found) == style.shutters
        assert ("pillar" in found) == style.pillars


def test_every_class_is_drawn_by_some_style() -> None:
    assert set.union(*(classes(draw_facade(style)) for style in STYLES)) == set(FACADE_CLASSES)


def test_drawings_differ_by_seed_and_style_and_come_again() -> None:
    drawings = [draw_facade(style, seed=seed).tobytes() for style in STYLES for seed in range(4)]
    assert len(set(drawings)) == len(drawings)
    assert draw_facade(STYLES[0], seed=2).tobytes() == drawings[2]


def test_mostly_wall_windows_and_background() -> None:
    """As in the data set, where these three cover most of a map."""
    for style in STYLES:
        pixels = np.asarray(draw_facade(style, seed=0)).reshape(-1, 3)
        main = [FACADE_CLASSES[name] for name in ("background", "facade", "window")]
        assert np.mean([tuple(pixel) in main for pixel in pixels[::7]]) > 0.5


def test_palette_colours_stay() -> None:
    drawing = draw_facade(STYLES[1])
    assert snap_to_palette(drawing).tobytes() == drawing.tobytes()


def test_colours_near_a_class_become_it() -> None:
    drawing = draw_facade(STYLES[4], seed=5)
    noise = np.random.default_rng(0).integers(-12, 13, (256, 256, 3))
    noisy = np.clip(np.asarray(drawing).astype(int) + noise, 0, 255).astype(np.uint8)
    assert snap_to_palette(Image.fromarray(noisy)).tobytes() == drawing.tobytes()


def test_soft_edges_give_no_new_colour() -> None:
    soft = draw_facade(STYLES[0]).resize((301, 200), Image.Resampling.BICUBIC)
    assert not colours(soft) <= PALETTE
    snapped = snap_to_palette(soft, size=64)
    assert snapped.size == (64, 64)
    assert colours(snapped) <= PALETTE
    assert snap_to_palette(soft).size == soft.size


def test_transparent_pixels_are_wall() -> None:
    image = Image.new("RGBA", (4, 4), (0, 0, 0, 0))
    image.putpixel((1, 2), (*FACADE_CLASSES["door"], 255))
    snapped = snap_to_palette(image)
    assert snapped.getpixel((0, 0)) == FACADE_CLASSES[WALL]
    assert snapped.getpixel((1, 2)) == FACADE_CLASSES["door"]


@pytest.mark.parametrize("mode", ["L", "P", "1", "CMYK"])
def test_any_mode_is_snapped(mode: str) -> None:
    assert colours(snap_to_palette(Image.new(mode, (5, 3)))) <= PALETTE
