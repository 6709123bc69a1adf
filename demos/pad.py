"""A pad to draw on with a pen, for networks that take drawings; its value is the drawing, a PNG in a data URL."""

from __future__ import annotations

import gradio as gr

from translate.demos.board import from_template

SIDE = 256
"""Pixels of the drawing."""


START = """
element.addEventListener("click", (event) => {
  const image = event.target.closest(".thumbnail")?.querySelector("img");
  const canvas = document.querySelector("#PAD canvas");
  if (image) canvas.dispatchEvent(new CustomEvent("start", { detail: image }));
});
"""


def starts(elem_id: str) -> gr.HTML:
    """A place for thumbnails (`translate.demos.examples.buttons`), which the pad of that name starts from."""
    return gr.HTML(
        "", js_on_load=START.replace("PAD", elem_id), apply_default_css=False, elem_id=f"{elem_id}-starts",
        elem_classes="starts",
    )  # fmt: skip


def pad(*, paper: str, pen: str, width: int, elem_id: str, label: str) -> gr.HTML:
    """A square pad with undo and clear; call inside ``gr.Blocks``.

    Args:
        paper: Colour of the ground, as CSS has it.
        pen: Colour of the pen.
        width: Of the pen at first, in pixels of `SIDE`.
        elem_id: Of the component.
        label: For those who hear the page.
    """
    marks = {"PAPER": paper, "PEN": pen, "WIDTH": width, "LABEL": label, "SIDE": SIDE}
    return from_template("pad", marks, elem_id=elem_id, elem_classes="pad")
