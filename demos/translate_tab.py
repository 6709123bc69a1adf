"""The Translate tab: any image through any weights, before and after."""

from __future__ import annotations

import time
import zipfile
from collections.abc import Iterator
from functools import partial
from html import escape
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import gradio as gr
import numpy as np
from PIL import Image

from translate.config.errors import TranslateError
from translate.data.images import write_image
from translate.data.inputs import Input
from translate.demos.answers import as_toasts, file_name, for_page, in_words, kept_file, read_small, refuse, unopened
from translate.demos.camera_part import CameraPart
from translate.demos.cards import card_html
from translate.demos.catalogue import SKETCHES, Catalogue, Offer
from translate.demos.clip_part import ClipPart
from translate.demos.examples import (
    CHOOSE,
    CREDIT,
    example,
    photo,
    photo_file,
    photo_thumbnail,
    thumbnails,
    translated_example,
)
from translate.demos.facade_drawings import STYLES
from translate.demos.painting import code_of, painting_controls, paints, strip_of
from translate.inference.files import output_paths

MAX_MANY = 200
"""Images that are taken at once."""

THUMBNAIL = 384
"""Longer side, in pixels, of the results of many images; the zip file has them whole."""

SHOWN_BY_BROWSERS = {".png", ".apng", ".jpg", ".jpeg", ".jfif", ".webp", ".gif", ".bmp", ".avif", ".ico"}


def _save_small(image: Image.Image, to: Path) -> None:
    image.thumbnail((THUMBNAIL, THUMBNAIL))
    image.save(to, "WEBP", quality=90)


def _suits(offer: Offer) -> bool:
    """Whether the photo that comes with scikit-learn is an example for weights, and is here."""
    network = offer.config.network
    return (
        not offer.paints_facades
        and offer.config.domains.source not in SKETCHES
        and (network.in_channels == 3 or network.output == "colourisation")
        and photo() is not None
    )


def translate_tab(catalogue: Catalogue, *, local: bool = True, tabs: gr.Tabs | None = None) -> gr.Dropdown:
    """Lay out the tab and connect it; call inside ``gr.Blocks``. Returns the picker of weights."""
    offers = catalogue.offers
    first = next(iter(offers.values()), None)
    empty = "There are no weights yet: train some on the Train tab, or open some on the Weights tab."

    opening = translated_example(first)
    clips, camera = ClipPart(catalogue), CameraPart(catalogue, local=local)
    gr.Markdown(
        "Translate an image, a video or your webcam with the chosen weights."
        + (" Nothing leaves this computer." if local else " Uploads are deleted within two hours."),
        elem_classes="lead",
    )
    with gr.Row():
        with gr.Column(min_width=300):
            weights = gr.Dropdown(
                catalogue.titles(), value=first.name if first else None, label="Weights", elem_id="weights"
            )
            card = gr.HTML(card_html(first, empty=empty), elem_id="card")
            with gr.Tabs(elem_id="translate-kinds"):
                with gr.Tab("Image") as of_image:
                    image = gr.Image(
                        opening[0] if opening else None,
                        type="filepath",
                        image_mode=None,
                        format="png",
                        sources=["upload", "webcam", "clipboard"],
                        label="Image",
                        show_label=False,
                        height=300,
                        elem_id="input",
                        buttons=[],
                        placeholder="Drop an image here, or click to choose one",
                    )
                    unopened(image)
                    back = gr.Checkbox(
                        False,
                        label="Translate back (cycle consistency)",
                        info="Shows how much of the image is lost in the round trip.",
                        visible=catalogue.inverse(first.name if first else None) is not None,
                        elem_id="back",
                    )
                with gr.Tab("Video") as of_clip:
                    clips.lay_out_input()
                with gr.Tab("Webcam") as of_camera:
                    camera.lay_out_input()
            painting = painting_controls(first)
            with gr.Column() as image_actions:
                button = gr.Button("Translate", variant="primary", elem_id="translate")
                examples = gr.HTML(
                    html_template='<p class="hint">Examples: synthetic label maps of facades</p>'
                    + thumbnails("Example"),
                    js_on_load=CHOOSE,
                    apply_default_css=False,
                    visible=first is not None and first.paints_facades,
                    elem_id="examples",
                )
                photos = gr.HTML(
                    html_template=f'<p class="hint">Example. {CREDIT}</p>' + photo_thumbnail(),
                    js_on_load=CHOOSE,
                    apply_default_css=False,
                    visible=first is not None and _suits(first),
                    elem_id="examples-photo",
                )
            with gr.Column(visible=False) as clip_actions:
                clips.lay_out_buttons()
        with gr.Column(min_width=300):
            with gr.Column() as image_results:
                result = gr.ImageSlider(
                    opening,
                    type="filepath",
                    format="png",
                    label="Input and output",
                    show_label=False,
                    interactive=False,
                    buttons=["fullscreen"],
                    max_height=580,
                    elem_id="result",
                )
                took = gr.Markdown(
                    "An example. Upload an image, or choose another example."
                    if opening
                    else "Input and output appear here, with a slider to compare them.",
                    elem_id="took",
                )
                download = gr.DownloadButton("Download PNG", interactive=False, elem_id="download")
                returned = gr.Image(
                    type="pil",
                    format="png",
                    label="Translated back",
                    interactive=False,
                    visible=False,
                    buttons=["download", "fullscreen"],
                    elem_id="returned",
                )
            with gr.Column(visible=False) as clip_results:
                clips.lay_out_results()
            with gr.Column(visible=False) as camera_results:
                camera.lay_out_results()
    with gr.Accordion("Batch translation", open=False, elem_id="many") as many:
        files = gr.File(
            file_count="multiple", file_types=["image"], label="Images", height=180, elem_id="many-files"
        )  # fmt: skip
        with gr.Row():
            translate_all = gr.Button("Translate all", variant="primary", elem_id="many-translate")
            cancel = gr.Button("Cancel", elem_id="many-cancel")
        summary = gr.Markdown("", elem_id="many-summary")
        gallery = gr.Gallery(
            label="Results", columns=6, height="auto", object_fit="contain", interactive=False, visible=False,
            elem_id="many-results",
        )  # fmt: skip
        together = gr.DownloadButton("Download all (zip)", interactive=False, elem_id="many-download")

    def translate(
        path: str | None,
        name: str | None,
        back: bool = False,
        style: str | None = None,
        other: str | None = None,
        share: float | None = None,
        strength: float | None = None,
        keep_colours: bool = False,
        style_image: str | None = None,
    ) -> tuple[tuple[Image.Image, Image.Image], str, str, dict]:
        """Translate an image: before and after, the time in words, a PNG of the image's size, alpha and depth, and the
        way back where it is wanted."""
        if path is None:
            raise refuse("No image yet: drop one, paste one, or choose an example.")
        if name not in offers:
            raise refuse("These weights are not available: choose others.")
        with as_toasts(path):
            picture = read_small(path)
            translator = catalogue.translator(name)
            started = time.perf_counter()
            code = code_of(translator, style, other, share, strength, style_image)
            output = translator.apply([picture], code=code, keep_colours=bool(keep_colours))[0]
            seconds = time.perf_counter() - started
            file = kept_file(download, file_name(path, name), lambda target: write_image(target, output))
            home = catalogue.inverse(name) if back else None
            again = catalogue.translator(home.name).apply([output])[0] if home is not None else None
        took = in_words(seconds, picture.size, translator.device.type)
        start = for_page(picture)
        if translator.config.network.in_channels == 1:
            start = start.convert("L").convert("RGB")  # before is what the network sees
        if again is None:
            return (start, for_page(output)), took, file, gr.update(visible=False)
        end = for_page(again)
        lost = np.abs(np.asarray(start, np.float32) - np.asarray(end, np.float32)).mean() / 255
        took = f"{took}; translated back, the mean absolute difference is {lost:.1%} of the value range"
        return (start, for_page(output)), took, file, gr.update(value=end, visible=True)

    def translate_again(path: str | None, *chosen: Any) -> tuple:
        """`translate`, where there is an image."""
        return translate(path, *chosen) if path is not None else (gr.skip(),) * 4

    def translate_many(
        paths: list[str] | None,
        name: str | None,
        style: str | None = None,
        other: str | None = None,
        share: float | None = None,
        strength: float | None = None,
        keep_colours: bool = False,
        style_image: str | None = None,
        progress: gr.Progress = gr.Progress(),  # noqa: B008
    ) -> Iterator[tuple[dict, str, dict]]:
        """Translate images one by one; those that cannot be are named, and the others go into a zip file."""
        if not paths:
            raise refuse("No images yet: drop some.")
        if len(paths) > MAX_MANY:
            raise refuse(f"These are {len(paths)} images, and the limit is {MAX_MANY} at once.")
        if name not in offers:
            raise refuse("These weights are not available: choose others.")
        failed: list[str] = []
        shown: list[str] = []
        with TemporaryDirectory() as folder:
            names = output_paths([Input(path=Path(path), name=Path(path).name) for path in paths], Path(folder))
            for number, (path, target) in enumerate(zip(paths, names, strict=True)):
                progress((number, len(paths)), unit="images")
                try:
                    picture = read_small(path)
                    translator = catalogue.translator(name)
                    code = code_of(translator, style, other, share, strength, style_image)
                    output = translator.apply([picture], code=code, keep_colours=bool(keep_colours))[0]
                    write_image(target, output)
                except TranslateError as error:
                    failed.append(str(error).replace(path, Path(path).name))
                else:
                    shown.append(kept_file(gallery, f"{number}.webp", partial(_save_small, for_page(output))))
                words = f"{len(shown)} of {len(paths)} translated."
                words += "".join(f"\n- {escape(reason)}" for reason in failed)
                yield gr.update(value=shown, visible=True), words, gr.update(interactive=False)
            if not shown:
                return

            def pack(to: Path) -> None:
                with zipfile.ZipFile(to, "w") as archive:  # PNG files are compressed already
                    for file in names:
                        if file.exists():
                            archive.write(file, file.name)

            file = kept_file(together, file_name("images", name, ".zip"), pack)
        # the whole again: when two updates come to the page together, it keeps the last
        yield gr.update(value=shown, visible=True), words, gr.update(value=file, interactive=True)

    def show(path: str | None) -> str | None:
        """Put a PNG in the place of a file that no browser can show, such as a TIFF; its depth and alpha stay."""
        if path is None or Path(path).suffix.lower() in SHOWN_BY_BROWSERS:
            return path  # no update: one would bring back Gradio's own way of opening files
        with as_toasts(path):
            picture = read_small(path)
            return kept_file(image, f"{Path(path).stem}.png", lambda target: write_image(target, picture))

    def choose(event: gr.SelectData) -> str:
        return kept_file(image, f"{STYLES[event.index].name}.png", example(event.index).save)

    def describe(name: str | None) -> tuple[str | dict, ...]:
        if name not in offers:
            return card_html(None, empty=empty), *[gr.update(visible=False)] * 6, gr.update(), gr.update()
        there = offers[name]
        with as_toasts(there.path):  # uploads are deleted after a while
            said = card_html(there)
        return (
            said,
            gr.update(visible=there.paints_facades),
            gr.update(visible=_suits(there)),
            gr.update(visible=catalogue.inverse(name) is not None),
            gr.update(visible=paints(there)),
            gr.update(visible=bool(there.config.styles)),
            gr.update(visible=paints(there) and not there.config.styles),
            gr.update(choices=list(there.config.styles), value=next(iter(there.config.styles), None)),
            gr.update(choices=list(there.config.styles), value=None),
        )

    def in_each_style(path: str | None, name: str | None) -> list[tuple[Image.Image, str]]:
        return strip_of(catalogue, path, name)

    def choose_style(name: str | None, event: gr.SelectData) -> str:
        return offers[str(name)].config.styles[event.index]

    outputs = [result, took, download, returned]
    model: dict[str, Any] = {"concurrency_id": "model", "concurrency_limit": 1, "show_progress_on": result}
    image.upload(show, image, image, api_visibility="private", show_progress="hidden")
    clicked = button.click(translate, [image, weights, back, *painting.inputs], outputs, api_name="translate", **model)
    chosen = examples.select(choose, None, image, api_visibility="private", show_progress="hidden").success(
        translate, [image, weights, back, *painting.inputs], outputs, api_visibility="private", **model
    )
    shot = photos.select(
        lambda: photo_file(image), None, image, api_visibility="private", show_progress="hidden"
    ).success(translate, [image, weights, back, *painting.inputs], outputs, api_visibility="private", **model)
    running = translate_all.click(
        translate_many,
        [files, weights, *painting.inputs],
        [gallery, summary, together],
        api_visibility="private",
        concurrency_id="many",  # between its images, others have their turn
        concurrency_limit=1,
        show_progress_on=summary,
    )
    cancel.click(None, cancels=running)
    described = [card, examples, photos, back, painting.group, painting.named, painting.example]
    described += [painting.style, painting.other]
    small: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden", "concurrency_id": "model"}
    weights.change(describe, weights, described, api_visibility="private", show_progress="hidden").success(
        in_each_style, [image, weights], painting.strip, **small
    )
    image.change(in_each_style, [image, weights], painting.strip, **small)
    picked = painting.strip.select(
        choose_style, weights, painting.style, api_visibility="private", show_progress="hidden"
    ).success(translate_again, [image, weights, back, *painting.inputs], outputs, api_visibility="private", **model)
    dropped = painting.example.upload(
        show, painting.example, painting.example, api_visibility="private", show_progress="hidden"
    ).success(
        translate_again, [image, weights, back, *painting.inputs], outputs, api_visibility="private", **model
    )  # fmt: skip
    parts = {of_image: (image_actions, image_results, many), of_clip: (clip_actions, clip_results)}
    parts[of_camera] = (camera_results,)
    shown = [part for own in parts.values() for part in own]
    for kind, own in parts.items():
        seen = [gr.update(visible=part in own) for part in shown]
        kind.select(
            lambda seen=seen: seen, None, shown, queue=False, api_visibility="private", show_progress="hidden"
        )  # fmt: skip
    clips.connect(weights, painting)
    camera.connect(weights, painting, of_camera, leaving=(of_image, of_clip), outer=tabs)
    for done in (clicked, chosen, shot, picked, dropped):
        done.success(
            lambda: gr.update(interactive=True), None, download, api_visibility="private", show_progress="hidden"
        )
    return weights
