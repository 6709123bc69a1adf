"""The Draw tab: paint the label map of a facade, and see its photo."""

from __future__ import annotations

import base64
import binascii
import io
import time
from functools import cache
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr
from PIL import Image

from translate.config.presets import FACADE_CLASSES
from translate.data.images import ImageError, from_pil
from translate.demos.answers import as_toasts, for_page, in_words, refuse
from translate.demos.catalogue import Catalogue
from translate.demos.examples import SIZE, URL_HEADER, buttons, sketches, thumbnails
from translate.demos.facade_drawings import WALL, snap_to_palette
from translate.demos.pad import pad, starts

ASSETS = Path(__file__).parent / "assets"
MAX_PIXELS = 2**22
"""Largest drawing taken; the board sends far smaller ones."""
NAMES = {
    "window": "Window",
    "door": "Door",
    "shop": "Shop",
    "balcony": "Balcony",
    "sill": "Window sill",
    "cornice": "Window hood",
    "blind": "Shutter",
    "molding": "Moulding",
    "pillar": "Pillar",
    "deco": "Ornament",
    WALL: "Wall",
    "background": "Sky and street",
}
"""The classes as people say them, in the order of the palette."""


def from_url(url: str) -> Image.Image:
    """Read a drawing as the board sends it: a PNG in a data URL.

    Raises:
        ImageError: not a PNG in a data URL, or a drawing of an absurd size.
    """
    try:
        if not url.startswith(URL_HEADER):
            raise ValueError(f"it does not begin with {URL_HEADER}")
        image = Image.open(io.BytesIO(base64.b64decode(url.removeprefix(URL_HEADER), validate=True)), formats=["PNG"])
        if image.width * image.height > MAX_PIXELS:
            raise ValueError(f"{image.width}x{image.height} is over the limit of {MAX_PIXELS:,} pixels")
        image.load()
    except (ValueError, OSError, binascii.Error, SyntaxError) as error:
        raise ImageError(f"The drawing cannot be read: {error}") from None
    return image


def board_html() -> str:
    """The board's page fragment: palette, tools, canvas, and the drawings to start from."""
    swatches = "".join(
        f'<button type="button" class="swatch" data-colour="rgb{FACADE_CLASSES[name]}" data-name="{name}" '
        f'aria-pressed="false"><i style="background: rgb{FACADE_CLASSES[name]}"></i>{escape(words)}</button>'
        for name, words in NAMES.items()
    )
    template = (ASSETS / "drawing_board.html").read_text(encoding="utf-8")
    for mark, value in (("SWATCHES", swatches), ("STARTS", thumbnails("Start from")), ("SIZE", str(SIZE))):
        template = template.replace(f"[[{mark}]]", value)
    return template


def draw_tab(catalogue: Catalogue, tab: gr.Tab) -> None:
    """Lay out the tab and connect it; call inside ``gr.Blocks`` and the `tab`."""
    painters, sketchers = catalogue.painters(), catalogue.sketchers()
    if painters and sketchers:
        with gr.Tabs(elem_id="draw-kinds"):
            with gr.Tab("A facade"):
                facade_board(catalogue)
            with gr.Tab("A sketch") as shown:
                sketch_board(catalogue, shown)
    elif painters:
        facade_board(catalogue)
    elif sketchers:
        sketch_board(catalogue, tab)
    else:
        gr.Markdown(
            "Drawing needs weights that turn labels into photos, or sketches into pictures, and none are here. Start "
            "the demo with some: `translate demo --weights RUN`.",
            elem_classes="lead",
        )


def facade_board(catalogue: Catalogue) -> None:
    """A board for the label maps of facades, and the photo of what is on it."""
    painters = catalogue.painters()
    gr.Markdown("Paint the plan of a facade; the photo follows each stroke.", elem_classes="lead")
    with gr.Row():
        with gr.Column(scale=3, min_width=300):
            board = gr.HTML(
                html_template=board_html(),
                js_on_load=(ASSETS / "drawing_board.js").read_text(encoding="utf-8"),
                apply_default_css=False,
                elem_id="board",
            )
        with gr.Column(scale=2, min_width=300):
            photo = gr.Image(
                type="pil",
                format="png",
                label="Photo",
                show_label=False,
                interactive=False,
                buttons=["download", "fullscreen"],
                alt_text="The photo that the network makes of the drawing",
                elem_id="photo",
            )
            took = gr.Markdown("The photo appears with the first stroke.", elem_id="draw-took")
            weights = gr.Dropdown(
                catalogue.titles(painters),
                value=painters[0].name,
                label="Weights",
                visible=len(painters) > 1,
                elem_id="draw-weights",
            )

    def draw(drawing: str | None, name: str | None) -> tuple[Image.Image, str]:
        """Make the photo of a drawing: a PNG in a data URL, of any size; colours go to the nearest class."""
        if not drawing:
            raise refuse("There is no drawing yet: paint something, or start from one of the drawings.")
        if name not in {offer.name for offer in painters}:
            raise refuse("These weights are not in the list any more: choose others.")
        with as_toasts():
            size = catalogue.offers[name].config.preprocessing.size
            labels = snap_to_palette(from_url(drawing), size=size)
            translator = catalogue.translator(name)
            started = time.perf_counter()
            output = translator.pictures([from_pil(labels)])[0]
            seconds = time.perf_counter() - started
        return for_page(output), in_words(seconds, output.size, translator.device.type)

    model: dict[str, Any] = {"concurrency_id": "model", "concurrency_limit": 1, "show_progress": "hidden"}
    gr.on(
        [board.change, weights.change],
        draw,
        [board, weights],
        [photo, took],
        api_name="draw",
        trigger_mode="always_last",
        **model,
    )


def sketch_board(catalogue: Catalogue, shown: gr.Tab) -> None:
    """A pad for line drawings, and the picture of what is on it; it gets drawings to start from when it is `shown`."""
    sketchers = catalogue.sketchers()
    gr.Markdown("Draw with black lines; the picture follows each stroke.", elem_classes="lead")
    with gr.Row():
        with gr.Column(scale=3, min_width=300):
            board = pad(paper="#fff", pen="#000", width=4, elem_id="sketch", label="Sketch pad")
            examples = starts("sketch")
        with gr.Column(scale=2, min_width=300):
            picture = gr.Image(
                type="pil",
                format="png",
                label="Picture",
                show_label=False,
                interactive=False,
                buttons=["download", "fullscreen"],
                alt_text="The picture that the network makes of the sketch",
                elem_id="sketched",
            )
            took = gr.Markdown("The picture appears with the first stroke.", elem_id="sketch-took")
            weights = gr.Dropdown(
                catalogue.titles(sketchers),
                value=sketchers[0].name,
                label="Weights",
                visible=len(sketchers) > 1,
                elem_id="sketch-weights",
            )

    def sketch(drawing: str | None, name: str | None) -> tuple[Image.Image, str]:
        """Make the picture of a sketch: a PNG in a data URL, of any size, black on white."""
        if not drawing:
            raise refuse("There is no drawing yet: draw something.")
        if name not in {offer.name for offer in catalogue.sketchers()}:
            raise refuse("These weights are not in the list any more: choose others.")
        with as_toasts():
            size = catalogue.offers[name].config.preprocessing.size
            lines = from_url(drawing).convert("L").resize((size, size), Image.Resampling.LANCZOS)
            translator = catalogue.translator(name)
            started = time.perf_counter()
            output = translator.pictures([from_pil(lines)])[0]
            seconds = time.perf_counter() - started
        return for_page(output), in_words(seconds, output.size, translator.device.type)

    @cache
    def drawn() -> str:
        found = sketches(catalogue)
        return '<p class="hint">Or start from one of these</p>' + buttons("Start from", found) if found else ""

    shown.select(drawn, None, examples, api_visibility="private", show_progress="hidden")
    gr.on(
        [board.change, weights.change],
        sketch,
        [board, weights],
        [picture, took],
        api_name="sketch",
        trigger_mode="always_last",
        concurrency_id="model",
        concurrency_limit=1,
        show_progress="hidden",
    )
