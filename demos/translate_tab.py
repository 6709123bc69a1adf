"""The Translate tab: any image through any weights, before and after."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Any

import gradio as gr
from PIL import Image

from translate.data.images import read_header, read_image, write_image
from translate.demos.answers import as_toasts, for_page, in_words, kept_file, refuse
from translate.demos.catalogue import Catalogue
from translate.demos.examples import example, thumbnails
from translate.demos.facade_drawings import STYLES

MAX_PIXELS = 2**23
"""Largest image that the tab takes: some 3 GB of memory in bf16, and 6 in fp32, for a U-Net of width 24."""

SHOWN_BY_BROWSERS = {".png", ".apng", ".jpg", ".jpeg", ".jfif", ".webp", ".gif", ".bmp", ".avif", ".ico"}

CHOOSE = """
element.querySelectorAll(".thumbnail").forEach((button) => {
  const example = { index: Number(button.dataset.index), value: button.title };
  button.addEventListener("click", () => trigger("select", example));
});
"""


def translate_tab(catalogue: Catalogue) -> None:
    """Lay out the tab and connect it; call inside ``gr.Blocks``."""
    offers = catalogue.offers
    first = next(iter(offers.values()))

    gr.Markdown(
        "Give an image, and see what the chosen network makes of it. Nothing leaves this computer.", elem_classes="lead"
    )
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
                show_label=False,
                height=300,
                elem_id="input",
                buttons=[],
                placeholder="Drop an image here, or click to choose one",
            )
            # Gradio would open the file with Pillow first: broken ones would end in its words, 16-bit ones be clipped.
            image.preprocess = lambda payload: payload.path if payload else None  # type: ignore[method-assign]
            button = gr.Button("Translate", variant="primary", elem_id="translate")
            examples = gr.HTML(
                html_template='<p class="hint">Examples: label maps of facades, drawn by code</p>'
                + thumbnails("Example"),
                js_on_load=CHOOSE,
                apply_default_css=False,
                visible=first.paints_facades,
                elem_id="examples",
            )
        with gr.Column(min_width=300):
            result = gr.ImageSlider(
                type="filepath",
                format="png",
                label="Before and after",
                show_label=False,
                interactive=False,
                buttons=["fullscreen"],
                max_height=580,
                elem_id="result",
            )
            took = gr.Markdown("Before and after appear here, with a handle to slide between them.", elem_id="took")
            download = gr.DownloadButton("Download PNG", interactive=False, elem_id="download")

    def translate(path: str | None, name: str | None) -> tuple[tuple[Image.Image, Image.Image], str, str]:
        """Translate an image: before and after, the time in words, and a PNG of the image's size, alpha and depth."""
        if path is None:
            raise refuse("There is no image yet: drop one, paste one, or choose an example.")
        if name not in offers:
            raise refuse("These weights are not in the list: choose others.")
        with as_toasts(path):
            header = read_header(path)
            if header.width * header.height > MAX_PIXELS:
                raise refuse(
                    f"{Path(path).name} has {header.width} × {header.height} pixels, and this page takes up to "
                    f"{MAX_PIXELS / 1e6:.0f} million: make it smaller, or use `translate apply`."
                )
            picture = read_image(path)
            translator = catalogue.translator(name)
            started = time.perf_counter()
            output = translator.pictures([picture])[0]
            seconds = time.perf_counter() - started
            file_name = re.sub(r"[^\w.-]+", "-", f"{Path(path).stem}-{name}") + ".png"
            file = kept_file(download, file_name, lambda target: write_image(target, output))
        return (for_page(picture), for_page(output)), in_words(seconds, picture.size, translator.device.type), file

    def show(path: str | None) -> str | dict:
        """Put a PNG in the place of a file that no browser can show, such as a TIFF; its depth and alpha stay."""
        if path is None or Path(path).suffix.lower() in SHOWN_BY_BROWSERS:
            return gr.skip()
        with as_toasts(path):
            picture = read_image(path)
            return kept_file(image, f"{Path(path).stem}.png", lambda target: write_image(target, picture))

    def choose(event: gr.SelectData) -> str:
        return kept_file(image, f"{STYLES[event.index].name}.png", example(event.index).save)

    def describe(name: str) -> tuple[str, dict]:
        return offers[name].card, gr.update(visible=offers[name].paints_facades)

    outputs = [result, took, download]
    model: dict[str, Any] = {"concurrency_id": "model", "concurrency_limit": 1, "show_progress_on": result}
    image.upload(show, image, image, api_visibility="private", show_progress="hidden")
    clicked = button.click(translate, [image, weights], outputs, api_name="translate", **model)
    chosen = examples.select(choose, None, image, api_visibility="private", show_progress="hidden").success(
        translate, [image, weights], outputs, api_visibility="private", **model
    )
    for done in (clicked, chosen):
        done.success(
            lambda: gr.update(interactive=True), None, download, api_visibility="private", show_progress="hidden"
        )
    weights.change(describe, weights, [card, examples], api_visibility="private", show_progress="hidden")
