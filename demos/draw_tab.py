"""The Draw tab: paint the plan of a facade, an icon or a sketch, and see what a network makes of it."""

from __future__ import annotations

import base64
import binascii
import io
import time
from collections.abc import Callable
from functools import cache

import gradio as gr
from PIL import Image

from translate.config.presets import FACADE_CLASSES
from translate.data.images import ImageError, from_pil
from translate.demos.answers import as_toasts, for_page, in_words, refuse
from translate.demos.board import board
from translate.demos.catalogue import Catalogue, Offer
from translate.demos.examples import SIZE, URL_HEADER, buttons, sketches, thumbnails
from translate.demos.facade_drawings import WALL, snap_to_palette
from translate.demos.icon_drawings import COLOURS, ICONS, PAPER, SIDE, draw_icon
from translate.demos.pad import pad, starts

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
            raise ValueError(f"{image.width}x{image.height} exceeds the limit of {MAX_PIXELS:,} pixels")
        image.load()
    except (ValueError, OSError, binascii.Error, SyntaxError) as error:
        raise ImageError(f"The drawing cannot be read: {error}") from None
    return image


def draw_tab(catalogue: Catalogue, tab: gr.Tab) -> None:
    """Lay out the tab and connect it; call inside ``gr.Blocks`` and the `tab`."""
    boards: dict[str, Callable[[Catalogue, gr.Tab], None]] = {}
    if catalogue.painters():
        boards["A facade"] = facade_board
    if catalogue.renderers():
        boards["An icon"] = icon_board
    if catalogue.sketchers():
        boards["A sketch"] = sketch_board
    if len(boards) > 1:
        with gr.Tabs(elem_id="draw-kinds"):
            for title, lay_out in boards.items():
                with gr.Tab(title) as shown:
                    lay_out(catalogue, shown)
    elif boards:
        next(iter(boards.values()))(catalogue, tab)
    else:
        gr.Markdown(
            "Drawing needs weights that translate labels to photos, sketches to images, or flat icons to renderings, "
            "and there are none. Start the demo with some: `translate demo --weights RUN`.",
            elem_classes="lead",
        )


def facade_board(catalogue: Catalogue, _: gr.Tab) -> None:
    """A board for the label maps of facades, and the photo of what is on it."""
    live_board(
        catalogue,
        catalogue.painters(),
        lead="Paint the label map of a facade; the photo updates with each stroke.",
        drawn=lambda: board(
            {words: FACADE_CLASSES[name] for name, words in NAMES.items()},
            paper=FACADE_CLASSES[WALL],
            starts=thumbnails("Start from"),
            size=SIZE,
            elem_id="board",
            label="Classes",
            bare="plain wall",
        ),
        taken=lambda drawing, size: snap_to_palette(drawing, size=size),
        picture=("photo", "Photo", "Photo generated from the drawing"),
        elem_id="draw",
        api_name="draw",
    )


def icon_board(catalogue: Catalogue, _: gr.Tab) -> None:
    """A board for icons in flat colours, and the rendering of what is on it."""
    live_board(
        catalogue,
        catalogue.renderers(),
        lead="Draw an icon in flat colours; the rendering updates with each stroke.",
        drawn=lambda: board(
            COLOURS,
            paper=PAPER,
            starts=buttons("Start from", {name: draw_icon(name) for name in ICONS}),
            size=SIDE,
            elem_id="icon-board",
            label="Colours",
            bare="white",
        ),
        taken=lambda drawing, size: drawing.convert("RGB").resize((size, size), Image.Resampling.LANCZOS),
        picture=("rendering", "Rendering", "Rendering generated from the drawing"),
        elem_id="icon",
        api_name="render",
    )


def sketch_board(catalogue: Catalogue, shown: gr.Tab) -> None:
    """A pad for line drawings, and the picture of what is on it; it gets drawings to start from when it is `shown`."""

    @cache
    def found() -> str:
        drawings = sketches(catalogue)
        return '<p class="hint">Or start from one of these</p>' + buttons("Start from", drawings) if drawings else ""

    def drawn() -> gr.HTML:
        painted = pad(paper="#fff", pen="#000", width=4, elem_id="sketch", label="Sketch pad")
        shown.select(found, None, starts("sketch"), api_visibility="private", show_progress="hidden")
        return painted

    live_board(
        catalogue,
        catalogue.sketchers(),
        lead="Draw with black lines; the image updates with each stroke.",
        drawn=drawn,
        taken=lambda drawing, size: drawing.convert("L").resize((size, size), Image.Resampling.LANCZOS),
        picture=("sketched", "Image", "Image generated from the sketch"),
        elem_id="sketch",
        api_name="sketch",
    )


def live_board(
    catalogue: Catalogue,
    offers: list[Offer],
    *,
    lead: str,
    drawn: Callable[[], gr.HTML],
    taken: Callable[[Image.Image, int], Image.Image],
    picture: tuple[str, str, str],
    elem_id: str,
    api_name: str,
) -> None:
    """A board to draw on, and what a network makes of the drawing with each stroke.

    Args:
        catalogue: It opens the weights.
        offers: The weights to choose from.
        lead: Said above the board.
        drawn: It lays the board out.
        taken: The drawing as a network of so many pixels takes it.
        picture: What the network makes: the component's name, what it is called, and a description of it.
        elem_id: Start of the other components' names.
        api_name: What the event is called in the API.
    """
    gr.Markdown(lead, elem_classes="lead")
    name, called, described = picture
    with gr.Row():
        with gr.Column(scale=3, min_width=300):
            painted = drawn()
        with gr.Column(scale=2, min_width=300):
            made = gr.Image(
                type="pil",
                format="png",
                label=called,
                show_label=False,
                interactive=False,
                buttons=["download", "fullscreen"],
                alt_text=described,
                elem_id=name,
            )
            took = gr.Markdown(f"The {called.lower()} appears with the first stroke.", elem_id=f"{elem_id}-took")
            weights = gr.Dropdown(
                catalogue.titles(offers),
                value=offers[0].name,
                label="Weights",
                visible=len(offers) > 1,
                elem_id=f"{elem_id}-weights",
            )

    def draw(drawing: str | None, name: str | None) -> tuple[Image.Image, str]:
        """What a network makes of a drawing: a PNG in a data URL, of any size."""
        if not drawing:
            raise refuse("No drawing yet: paint something, or start from one of the drawings.")
        if name not in {offer.name for offer in offers}:
            raise refuse("These weights are no longer available: choose others.")
        with as_toasts():
            size = catalogue.offers[name].config.preprocessing.size
            given = taken(from_url(drawing), size)
            translator = catalogue.translator(name)
            started = time.perf_counter()
            output = translator.apply([from_pil(given)])[0]
            seconds = time.perf_counter() - started
        return for_page(output), in_words(seconds, output.size, translator.device.type)

    gr.on(
        [painted.change, weights.change],
        draw,
        [painted, weights],
        [made, took],
        api_name=api_name,
        trigger_mode="always_last",
        concurrency_id="model",
        concurrency_limit=1,
        show_progress="hidden",
    )
