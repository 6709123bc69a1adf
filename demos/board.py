"""A board to paint flat colours on: box, disc, brush, fill; its value is the drawing, a PNG in a data URL."""

from __future__ import annotations

from html import escape
from pathlib import Path

import gradio as gr

ASSETS = Path(__file__).parent / "assets"
Colour = tuple[int, int, int]


def board(
    colours: dict[str, Colour], *, paper: Colour, starts: str, size: int, elem_id: str, label: str, bare: str
) -> gr.HTML:
    """The board; call inside ``gr.Blocks``. It begins with the first drawing of `starts`.

    Args:
        colours: The palette: RGB by what it stands for, in words.
        paper: What the eraser and Clear leave.
        starts: Drawings to start from (`translate.demos.examples.buttons`), as HTML.
        size: Side of the drawing in pixels.
        elem_id: Of the component.
        label: Of the palette, for those who hear the page.
        bare: What the eraser paints, in words.
    """
    swatches = "".join(
        f'<button type="button" class="swatch" data-colour="rgb{colour}" aria-pressed="false">'
        f'<i style="background: rgb{colour}"></i>{escape(words)}</button>'
        for words, colour in colours.items()
    )
    template = (ASSETS / "drawing_board.html").read_text(encoding="utf-8")
    marks = {
        "SWATCHES": swatches,
        "STARTS": starts,
        "SIZE": str(size),
        "PAPER": f"rgb{paper}",
        "LABEL": escape(label),
        "BARE": escape(bare),
    }
    for mark, value in marks.items():
        template = template.replace(f"[[{mark}]]", value)
    return gr.HTML(
        html_template=template,
        js_on_load=(ASSETS / "drawing_board.js").read_text(encoding="utf-8"),
        apply_default_css=False,
        elem_id=elem_id,
    )
