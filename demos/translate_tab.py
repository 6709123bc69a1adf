"""The Translate tab: any image through any weights, before and after."""

from __future__ import annotations

import re
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import gradio as gr
from PIL import Image

from translate.data.images import read_image, write_image
from translate.demos.answers import as_toasts, for_page, in_words, refuse
from translate.demos.catalogue import Catalogue
from translate.demos.facade_drawings import STYLES, draw_facade

MAX_PIXELS = 2**24
"""Largest image that the tab takes: what a processor with 8 GB of memory can do (`translate apply` takes larger ones)."""


def translate_tab(catalogue: Catalogue) -> None:
    """Lay out the tab and connect it; call inside ``gr.Blocks``."""
    offers = catalogue.offers
    first = next(iter(offers.values()))
    drawings = [draw_facade(style, seed=3) for style in STYLES]

    gr.Markdown("Turn an image into another kind of image. It stays on this computer.", elem_classes="lead")
    with gr.Row():
        with gr.Column(min_width=300):
            weights = gr.Dropdown(catalogue.titles(), value=first.name, label="Weights", elem_id="weights")
            card = gr.Markdown(first.card, elem_id="card")
            image = gr.Image(
                type="filepath",
                image_mode=None,
                format="png",
                sources=["upload", "clipboard"],
                label="Image",
                height=300,
                elem_id="input",
                buttons=[],
                placeholder="Drop an image here, or click to choose one",
            )
            # Gradio would open the file with Pillow first: broken ones would end in its words, 16-bit ones be clipped.
            image.preprocess = lambda payload: None if payload is None else payload.path
            button = gr.Button("Translate", variant="primary", elem_id="translate")
            examples = gr.Gallery(
                [(drawing, style.name) for drawing, style in zip(drawings, STYLES, strict=True)],
                label="Examples: label maps of facades, drawn by code",
                columns=6,
                height="auto",
                format="png",
                allow_preview=False,
                interactive=False,
                buttons=[],
                visible=first.paints_facades,
                elem_id="examples",
            )
        with gr.Column(min_width=300):
            result = gr.ImageSlider(
                type="filepath",
                format="png",
                label="Before and after",
                interactive=False,
                buttons=["fullscreen"],
                max_height=560,
                elem_id="result",
            )
            took = gr.Markdown("The result appears here.", elem_id="took")
            download = gr.DownloadButton("Download PNG", interactive=False, elem_id="download")

    def translate(path: str | None, name: str | None) -> tuple[tuple[Image.Image, Image.Image], str, str]:
        """Translate an image; the result has its size, and the file its alpha and depth."""
        if path is None:
            raise refuse("There is no image yet: drop one here, paste one, or choose an example.")
        if name not in offers:
            raise refuse("These weights are not in the list any more: choose others.")
        with as_toasts(path):
            picture = read_image(path, max_pixels=MAX_PIXELS)
            translator = catalogue.translator(name)
            started = time.perf_counter()
            output = translator.pictures([picture])[0]
            seconds = time.perf_counter() - started
            with TemporaryDirectory() as folder:
                file = Path(folder, re.sub(r"[^\w.-]+", "-", f"{Path(path).stem}-{name}") + ".png")
                write_image(file, output)
                kept = download.move_resource_to_block_cache(file)
        return (for_page(picture), for_page(output)), in_words(seconds, picture.size, translator.device.type), kept

    def show(before_after: tuple, words: str, file: str) -> dict:
        return {result: before_after, took: words, download: gr.DownloadButton(value=file, interactive=True)}

    def run(path: str | None, name: str | None) -> dict:
        return show(*translate(path, name))

    run.__name__ = "translate"
    run.__doc__ = translate.__doc__
    model = {"concurrency_id": "model", "concurrency_limit": 1, "show_progress_on": result}
    button.click(run, [image, weights], [result, took, download], api_name="translate", **model)

    def choose(event: gr.SelectData) -> Image.Image:
        return drawings[event.index]

    examples.select(choose, None, image, api_visibility="private", show_progress="hidden").then(
        run, [image, weights], [result, took, download], api_visibility="private", **model
    )

    def describe(name: str) -> tuple[str, dict]:
        return offers[name].card, gr.update(visible=offers[name].paints_facades)

    weights.change(describe, weights, [card, examples], api_visibility="private", show_progress="hidden")
