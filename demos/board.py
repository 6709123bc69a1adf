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
    marks = {"SWATCHES": swatches, "STARTS": starts, "SIZE": size, "PAPER": f"rgb{paper}"}
    return from_template("drawing_board", marks | {"LABEL": escape(label), "BARE": escape(bare)}, elem_id=elem_id)


def from_template(name: str, marks: dict[str, object], *, elem_id: str, elem_classes: str | None = None) -> gr.HTML:
    """A component of an HTML and a JavaScript file of that name, in which each [[MARK]] stands for a value."""
    template = (ASSETS / f"{name}.html").read_text(encoding="utf-8")
    for mark, value in marks.items():
        template = template.replace(f"[[{mark}]]", str(value))
    return gr.HTML(
        html_template=template,
        js_on_load=(ASSETS / f"{name}.js").read_text(encoding="utf-8"),
        apply_default_css=False,
        elem_id=elem_id,
        elem_classes=elem_classes,
    )
