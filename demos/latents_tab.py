"""The Latents tab: a plane of an autoencoder's latents, under the mouse; interpolations; a map of many images."""

from __future__ import annotations

from functools import lru_cache
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr
import torch
from torch import Tensor

from translate.applications.embed import flattened
from translate.applications.latent_map import map_page
from translate.data.images import ImageError, to_pil
from translate.demos.answers import as_toasts, kept_file, read_small, refuse, unopened
from translate.demos.catalogue import Catalogue
from translate.demos.examples import made, maker_of, to_url
from translate.inference import ImageModel, contact_sheet
from translate.inference.grid import enlarged

ASSETS = Path(__file__).parent / "assets"
STEPS, REACH = 15, 2.5  # of the plane: images along a side, and how far it goes, in deviations
SIDE = 224  # pixels, which images are enlarged to at least
WAY = 10  # images from one to the other
MAPPED = 1_000  # images of a map, at most
PLANE = """
<div class="plane" tabindex="0" role="img" aria-label="Plane of two latent directions; arrow keys move the point">
  <img src="${sheet}" alt="" draggable="false"><i></i>
</div>"""
HERE = '<img src="${value}" alt="The image at the point"><p class="hint">The image at the point</p>'
SHIPPED_MAP = {"vae-mnist": ASSETS / "digits-map.html"}
"""Maps of data that do not ship; what they show was made by the weights themselves."""


def latents_tab(catalogue: Catalogue) -> gr.Dropdown:
    """Lay out the tab and connect it; call inside ``gr.Blocks``. Returns the picker of weights."""
    offers = catalogue.encoders()
    first = offers[0] if offers else None

    @lru_cache(maxsize=4)
    def drawn(model: ImageModel) -> str:
        return to_url(contact_sheet(model.plane(steps=STEPS, reach=REACH), columns=STEPS))

    def sheet(name: str) -> str:
        """The plane as one picture, a data URL; of weights that were trained further, a new one."""
        return drawn(catalogue.encoder(name))

    def under(name: str | None, place: str) -> str:
        """The image at a place of the plane, "x y", each from -1 to 1, to the right and upwards: a data URL."""
        if name not in [offer.name for offer in catalogue.encoders()]:
            raise refuse("These weights are not available: choose others.")
        try:
            x, y = (max(-1.0, min(1.0, float(part))) for part in place.split())
        except (ValueError, AttributeError):
            raise refuse("A point is two numbers from -1 to 1, such as 0.5 -0.2.") from None
        with as_toasts():
            model = catalogue.encoder(name)
            axes = model.axes()
            places = REACH * torch.tensor([[x, y]])[:, : len(axes)]
            image = model.to_images(model.decoded(places @ axes))[0]
        return to_url(enlarged([image], least=SIDE)[0])

    gr.Markdown(
        "An autoencoder encodes an image as latents and decodes the latents back into an image. Move over the plane to "
        "decode points along two latent directions.",
        elem_classes="lead",
    )
    weights = gr.Dropdown(
        catalogue.titles(offers), value=first.name if first else None, label="Weights", elem_id="latents-weights"
    )
    with gr.Row():
        with gr.Column(scale=2, min_width=300):
            plane = gr.HTML(
                value="0 0",
                sheet=sheet(first.name) if first else "",
                html_template=PLANE,
                js_on_load=(ASSETS / "plane.js").read_text(encoding="utf-8"),
                apply_default_css=False,
                elem_id="plane",
            )
        with gr.Column(scale=1, min_width=200):
            here = gr.HTML(
                value=under(first.name, "0 0") if first else "",
                html_template=HERE,
                apply_default_css=False,
                elem_id="here",
            )
    gr.Markdown("Two images of your own, their reconstructions, and the interpolation between them:")
    with gr.Row():
        pair = [
            gr.Image(
                type="filepath", image_mode=None, format="png", sources=["upload", "clipboard"], label=label,
                height=200, elem_id=f"latents-{label.lower()}", buttons=[],
            )
            for label in ("First", "Last")
        ]  # fmt: skip
        for image in pair:
            unopened(image)
    with gr.Row():
        between = gr.Button("Interpolate", variant="primary", elem_id="latents-between")
        two = gr.Button(
            "Interpolate between two generated images",
            visible=first is not None and _example(catalogue, first.name),
            elem_id="latents-two",
        )
    way = gr.Image(
        type="filepath", format="png", label="Interpolation", show_label=False, interactive=False, visible=False,
        buttons=["download", "fullscreen"], elem_id="latents-way",
    )  # fmt: skip
    with gr.Accordion("Map of many images", open=False, elem_id="latents-many"):
        gr.Markdown(
            "Images with similar latents lie close together (t-SNE). Hover over a point to see its image; scroll to "
            "zoom.",
            elem_classes="small",
        )
        files = gr.File(
            file_count="multiple", file_types=["image"], label="Your images", height=160, elem_id="latents-files"
        )
        draw = gr.Button("Draw the map", elem_id="latents-map-draw")
        example = gr.Button(
            "Show a map of 600 digits",
            visible=first is not None and first.name in SHIPPED_MAP,
            elem_id="latents-map-example",
        )
        found = gr.HTML("", elem_id="latents-map")

    def describe(name: str | None, place: str) -> tuple[dict, str, dict, dict]:
        if name is None:
            return gr.update(sheet=""), "", gr.update(visible=False), gr.update(visible=False)
        with as_toasts():
            there, likewise = gr.update(visible=name in SHIPPED_MAP), gr.update(visible=_example(catalogue, name))
            return gr.update(sheet=sheet(name)), under(name, place), there, likewise

    def take_two(name: str) -> list[str]:
        with as_toasts():
            images = made(catalogue, channels=catalogue[name].config.network.in_channels, count=2)
        return [kept_file(place, "made.png", one.save) for place, one in zip(pair, images, strict=True)]

    def show_way(name: str | None, first: str | None, last: str | None) -> dict:
        """Both images made again, and the images between them, as a strip."""
        if name is None or first is None or last is None:
            raise refuse("Two images are needed: drop one into each field.")
        with as_toasts(first, last):
            model = catalogue.encoder(name)
            ends = [to_pil(read_small(path)) for path in (first, last)]
            images = model.interpolate(ends[0], ends[1], steps=WAY)
        strip = contact_sheet(enlarged(images, least=96), columns=WAY)
        return gr.update(value=kept_file(way, "between.png", lambda to: strip.save(to, "PNG")), visible=True)

    def show_map(name: str | None, paths: list[str] | None) -> str:
        """A map of uploaded images, as a page in a frame."""
        if name is None or not paths:
            raise refuse("No images yet: drop several dozen or more.")
        with as_toasts():
            model = catalogue.encoder(name)
        rows: list[Tensor] = []
        names: list[str] = []
        for path in paths[:MAPPED]:
            try:
                rows.append(model.prepared([read_small(path)]))
            except ImageError:
                continue
            names.append(Path(path).stem)
        if not rows:
            raise refuse("None of these files can be read as an image.")
        with as_toasts():
            seen = torch.cat(rows)
            points = flattened(model.encoded(seen).numpy())
            thumbnails = model.to_images(seen)
        for image in thumbnails:
            image.thumbnail((64, 64))
        left = len(paths) - len(rows)
        title = f"{len(rows)} images" + (f", {left} skipped" if left else "")
        return _framed(map_page(points, thumbnails, None, (), names, title=title))

    hidden: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
    model: dict[str, Any] = {"api_visibility": "private", "concurrency_id": "model", "concurrency_limit": 1}
    weights.change(describe, [weights, plane], [plane, here, example, two], **hidden)
    plane.change(
        under, [weights, plane], here, api_name="latents", trigger_mode="always_last", show_progress="hidden",
        concurrency_limit=4,
    )  # fmt: skip
    between.click(show_way, [weights, *pair], way, show_progress_on=way, **model)
    two.click(take_two, weights, pair, **hidden).success(show_way, [weights, *pair], way, show_progress_on=way, **model)
    draw.click(show_map, [weights, files], found, **model)
    example.click(lambda name: _framed(SHIPPED_MAP[name].read_text(encoding="utf-8")), weights, found, **hidden)
    return weights


def _example(catalogue: Catalogue, name: str) -> bool:
    """Whether images that another network makes are examples for an autoencoder."""
    return maker_of(catalogue, channels=catalogue[name].config.network.in_channels) is not None


def _framed(page: str) -> str:
    return f'<iframe title="Map of images" sandbox="allow-scripts" srcdoc="{escape(page)}"></iframe>'
