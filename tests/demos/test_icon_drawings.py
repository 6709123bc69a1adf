"""Icons drawn by code."""

import pytest

from translate.demos.icon_drawings import COLOURS, ICONS, PAPER, SIDE, draw_icon


@pytest.mark.parametrize("name", ICONS)
def test_icons_are_of_the_palette_on_paper(name: str) -> None:
    icon = draw_icon(name)
    assert icon.size == (SIDE, SIDE)
    shares = {colour: count / SIDE**2 for count, colour in icon.getcolors()}
    assert set(shares) <= set(COLOURS.values())
    assert icon.getpixel((0, 0)) == PAPER
    assert 0.15 < 1 - shares[PAPER] < 0.8
    assert len(shares) >= 3
