"""The Generate tab: new images from random latents, and videos that interpolate between them."""

from __future__ import annotations

import random
import re
import time
from typing import Any

import gradio as gr

from translate.demos.answers import as_toasts, in_words, kept_file, refuse, shown_at_first
from translate.demos.cards import card_html
from translate.demos.catalogue import Catalogue
from translate.inference import GeneratorModel, StyleModel, contact_sheet
from translate.inference.grid import enlarged, on_screen

COLUMNS, ROWS = 6, 4
WAYS, STEPS = 5, 12  # of a video
MILLISECONDS = 80  # of each of its images
SIDE = 256  # pixels, which a video's images are enlarged to at least
MOST_VARIETY = 1.5
LARGEST_SEED = 10**6


def make_tab(catalogue: Catalogue, tab: gr.Tab) -> gr.Dropdown:
    """Lay out the tab and connect it; call inside ``gr.Blocks``. Returns the picker of weights."""
    makers = catalogue.makers
    first = next(iter(makers.values()), None)
    empty = "There are no weights of a generator yet: train some on the Train tab, or open some on the Weights tab."
    names = list(first.config.classes) if first else []
    gr.Markdown("New images, generated from random latents.", elem_classes="lead")
    with gr.Row():
        with gr.Column(min_width=300):
            weights = gr.Dropdown(
                catalogue.titles(list(makers.values())), value=first.name if first else None, label="Weights"
            )
            card = gr.HTML(card_html(first, empty=empty), elem_id="make-card")
            classes = gr.CheckboxGroup(
                names, label="Classes (default: all)", visible=bool(names),
                elem_id="make-classes",
            )  # fmt: skip
            variety = gr.Slider(
                0.0, MOST_VARIETY, value=1.0, step=0.05, label="Truncation or temperature", elem_id="make-variety",
                info="Lower for more typical images, higher for more diverse ones.",
            )  # fmt: skip
            seed = gr.Number(0, precision=0, minimum=0, maximum=LARGEST_SEED, label="Seed",
                             info="The same seed gives the same images.", elem_id="make-seed")  # fmt: skip
            others = gr.Button("Generate new images", variant="primary", elem_id="make-others")
            way = gr.Button("Interpolation video", elem_id="make-way")
        with gr.Column(min_width=300):
            result = gr.Image(
                type="filepath", format="png", label="Generated images", show_label=False, interactive=False,
                buttons=["fullscreen"], elem_id="made",
            )  # fmt: skip
            took = gr.Markdown("The images appear here.", elem_id="make-took")
            download = gr.DownloadButton("Download", interactive=False, elem_id="make-download")

    def drawn(
        name: str | None, chosen: list[str] | None, variety: float, seed: float | None
    ) -> tuple[Any, dict[str, Any]]:
        """The model under the controls, and what it draws by."""
        if name is None or seed is None:  # what is out of range, Gradio itself refuses
            raise refuse("Choose weights and enter a seed.")
        model = catalogue.maker(name)
        given: dict[str, Any] = {"seed": int(seed)}
        if isinstance(model, StyleModel):
            model = model.styled(truncation=float(variety), space="w")
        else:
            given["temperature"] = float(variety)
        if isinstance(model, GeneratorModel):
            given["classes"] = tuple(chosen or ())
        return model, given

    def make(name: str | None, chosen: list[str] | None, variety: float, seed: float | None) -> tuple[str, str, str]:
        """A grid of new images: the image, the time in words, and the file to keep."""
        with as_toasts():
            model, given = drawn(name, chosen, variety, seed)
            started = time.perf_counter()
            images = model.sample(COLUMNS * ROWS, **given)
            seconds = time.perf_counter() - started
            sheet = contact_sheet(enlarged(images, least=96), columns=COLUMNS)
            file = kept_file(result, _file_name(name, given["seed"], ".png"), lambda target: sheet.save(target, "PNG"))
        return file, f"{len(images)} images of {in_words(seconds, images[0].size, model.device.type)}", file

    def film(name: str | None, chosen: list[str] | None, variety: float, seed: float | None) -> tuple[str, str, str]:
        """A video that leads from one new image to the next, and back to the first."""
        with as_toasts():
            model, given = drawn(name, chosen, variety, seed)
            started = time.perf_counter()
            images = model.walk(WAYS, steps=STEPS, closed=True, **given)
            seconds = time.perf_counter() - started
            start, *rest = enlarged([on_screen(image) for image in images], least=SIDE)

            def write(target: Any) -> None:
                start.save(target, "WEBP", save_all=True, append_images=rest, duration=MILLISECONDS, loop=0)

            file = kept_file(result, _file_name(name, given["seed"], ".webp"), write)
        return file, f"{len(images)} images of {in_words(seconds, images[0].size, model.device.type)}", file

    def describe(name: str | None) -> tuple[str, dict]:
        if name not in makers:
            return card_html(None, empty=empty), gr.update(visible=False)
        names = list(makers[name].config.classes)
        with as_toasts(makers[name].path):
            said = card_html(makers[name])
        return said, gr.update(choices=names, value=[], visible=bool(names))

    inputs, outputs = [weights, classes, variety, seed], [result, took, download]
    model: dict[str, Any] = {"concurrency_id": "model", "concurrency_limit": 1, "show_progress_on": result}
    hidden: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
    others.click(lambda: random.randrange(LARGEST_SEED), None, seed, **hidden).success(
        make, inputs, outputs, api_name="make", **model
    )
    way.click(film, inputs, outputs, api_name="film", **model)
    # Only what a user changes, when the slider is let go: `change` would answer to the button once more.
    for event in (variety.release, seed.submit, classes.input):
        event(make, inputs, outputs, api_visibility="private", **model)
    weights.change(describe, weights, [card, classes], **hidden).success(
        make, inputs, outputs, api_visibility="private", **model
    )
    shown_at_first(tab, make, inputs, outputs, **{**model, "show_progress": "hidden"})
    result.change(lambda: gr.update(interactive=True), None, download, **hidden)
    return weights


def _file_name(name: str | None, seed: int, suffix: str) -> str:
    return re.sub(r"[^\w.-]+", "-", f"{name}-{seed}") + suffix
