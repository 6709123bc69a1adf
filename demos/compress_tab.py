"""The Compress tab: an image as the codes of a VQ-VAE, beside JPEG."""

from __future__ import annotations

import io
from functools import lru_cache
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np
from PIL import Image

from translate.applications.compress import HEAD, SUFFIX, Compressor
from translate.demos.answers import as_toasts, kept_file, read_small, refuse, unopened
from translate.demos.cancelling import Cancelling
from translate.demos.catalogue import Catalogue
from translate.demos.examples import CHOOSE, CREDIT, photo, photo_file, photo_thumbnail
from translate.inference import ImageModel

MAX_PIXELS = 2**19
"""Largest image that the tab takes: the codes are coded one after the other."""


def compress_tab(catalogue: Catalogue) -> gr.Dropdown:
    """Lay out the tab and connect it; call inside ``gr.Blocks``. Returns the picker of weights."""
    offers = catalogue.codecs()
    first = next((offer for offer in offers if offer.config.network.in_channels == 3), next(iter(offers), None))

    @lru_cache(maxsize=2)
    def opened(model: ImageModel) -> Compressor:
        return Compressor(model)

    def compressor(name: str) -> Compressor:
        return opened(catalogue.codec(name))

    gr.Markdown(
        "A VQ-VAE compresses an image to a very small file. For comparison: the same image as JPEG at the quality you "
        "choose.",
        elem_classes="lead",
    )
    data = gr.State(None)  # {"image": what was compressed}
    with gr.Row():
        with gr.Column(min_width=300):
            weights = gr.Dropdown(
                catalogue.titles(offers),
                value=first.name if first else None,
                label="Weights",
                elem_id="compress-weights",
            )
            image = gr.Image(
                type="filepath", image_mode=None, format="png", sources=["upload", "clipboard"], label="Image",
                height=260, elem_id="compress-input", buttons=[],
            )  # fmt: skip
            unopened(image)
            with gr.Row():
                button = gr.Button("Compress", variant="primary", min_width=140, elem_id="compress")
                cancel = gr.Button("Cancel", min_width=140, elem_id="compress-cancel")
            photos = gr.HTML(
                html_template=f'<p class="hint">Example. {CREDIT}</p>' + photo_thumbnail(),
                js_on_load=CHOOSE,
                apply_default_css=False,
                visible=photo() is not None,
                elem_id="compress-example",
            )
            quality = gr.Slider(1, 95, value=10, step=1, label="JPEG quality", elem_id="compress-quality")
            download = gr.DownloadButton("Download compressed file", interactive=False, elem_id="compress-download")
            with gr.Accordion("Decompress a file", open=False):
                small = gr.File(file_types=[SUFFIX], label=f"{SUFFIX} file", height=140, elem_id="compress-file")
        with gr.Column(min_width=300):
            ours = gr.ImageSlider(
                type="filepath", format="png", label="Original and reconstruction", show_label=False, interactive=False,
                buttons=["fullscreen"], max_height=400, elem_id="compress-ours",
            )  # fmt: skip
            said = gr.Markdown("The original and the reconstruction appear here.", elem_id="compress-said")
            jpeg = gr.Image(
                type="filepath", label="JPEG", interactive=False, visible=False, buttons=["fullscreen"],
                elem_id="compress-jpeg",
            )  # fmt: skip
            jpeg_said = gr.Markdown("", elem_id="compress-jpeg-said")

    cancelling = Cancelling()

    def compress(
        name: str | None,
        path: str | None,
        request: gr.Request,
        progress: gr.Progress = gr.Progress(),  # noqa: B008
    ) -> tuple[dict[str, Any], Any, str, dict]:
        """Compress an image, and show what comes back of it."""
        look = cancelling.begun(request)

        def on_place(done: int, places: int) -> None:
            look()
            if done % 8 == 0:
                progress(done / places, "compressing")

        if path is None:
            raise refuse("No image yet: drop or paste one.")
        if name is None or name not in [offer.name for offer in catalogue.codecs()]:
            raise refuse("These weights are not available: choose others.")
        with as_toasts(path):
            picture = read_small(path, max_pixels=MAX_PIXELS)
            one = compressor(name)
            small_file = one.compress(picture, on_place=on_place)
            made = one.reconstruct(picture)
        before = one.plain(picture)
        file = kept_file(download, f"{Path(path).stem}{SUFFIX}", lambda to: to.write_bytes(small_file))
        words = _rate("VQ-VAE", before, made, len(small_file), len(small_file) - HEAD.size)
        return {"image": before}, (before, made), words, gr.update(value=file, interactive=True)

    def rival(kept: dict[str, Any] | None, quality: float) -> tuple[dict, str]:
        """JPEG of the same image."""
        if kept is None:
            return gr.update(visible=False), ""
        before = kept["image"]
        buffer = io.BytesIO()
        before.save(buffer, "JPEG", quality=int(quality), optimize=True)
        size = len(buffer.getvalue())
        words = _rate("JPEG", before, Image.open(buffer).convert(before.mode), size, None)
        shown = kept_file(jpeg, "jpeg.jpg", lambda to: to.write_bytes(buffer.getvalue()))
        return gr.update(value=shown, visible=True), words

    def open_file(name: str | None, path: str | None) -> tuple[Any, str]:
        """The image of a small file."""
        if path is None or name is None:
            return gr.skip(), ""
        with as_toasts(path):
            made = compressor(name).decompress(Path(path).read_bytes(), max_pixels=MAX_PIXELS)
        return (made, made), f"{made.width} × {made.height} pixels from {Path(path).name}"

    hidden: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
    model: dict[str, Any] = {"api_visibility": "private", "concurrency_id": "model", "concurrency_limit": 1}

    def compressing(event: Any) -> gr.events.Dependency:
        running = event(compress, [weights, image], [data, ours, said, download], show_progress_on=ours, **model)
        running.success(rival, [data, quality], [jpeg, jpeg_said], **hidden)
        return running

    clicked = compressing(button.click)
    shot = photos.select(lambda: photo_file(image), None, image, **hidden)
    cancelling.connect(cancel, clicked, compressing(shot.success), shown=ours)
    quality.input(rival, [data, quality], [jpeg, jpeg_said], trigger_mode="always_last", **hidden)
    small.upload(open_file, [weights, small], [ours, said], **model)
    return weights


def _rate(name: str, before: Image.Image, after: Image.Image, size: int, body: int | None) -> str:
    """``**JPEG**: 1.2 kB, 0.53 bits per pixel, PSNR 27.1 dB``."""
    pixels = before.width * before.height
    error = np.square(np.asarray(before, np.float64) - np.asarray(after.convert(before.mode), np.float64)).mean()
    without = f" ({8 * body / pixels:.3f} excluding the header)" if body is not None else ""
    decibels = 10 * np.log10(255**2 / max(error, 1e-6))
    return f"**{name}**: {size / 1000:.1f} kB, {8 * size / pixels:.3f} bits per pixel{without}, PSNR {decibels:.1f} dB"
