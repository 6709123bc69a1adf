"""Styles in the Translate tab: the image in each named style, small, to choose from, and a mixture of two; or the style
of an image that is dropped; and a strength."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gradio as gr
from PIL import Image
from torch import Tensor

from translate.config.base import ConfigError
from translate.config.networks import ConditionalResNetConfig
from translate.config.style_transfer import MOST_STRENGTH
from translate.data.images import ImageError
from translate.demos.answers import as_toasts, for_page, read_small, unopened
from translate.demos.catalogue import Catalogue, Offer
from translate.demos.examples import photo
from translate.inference import Translator

SMALL = 192
"""Longer side of the images in the strip, in pixels."""


@dataclass(frozen=True)
class Painting:
    """The controls; none is seen for weights without styles."""

    group: gr.Column
    named: gr.Column
    """What is for named styles."""
    example: gr.Image
    """What is for the style of any image."""
    strip: gr.Gallery
    style: gr.Dropdown
    other: gr.Dropdown
    share: gr.Slider
    strength: gr.Slider
    keep_colours: gr.Checkbox

    @property
    def inputs(self) -> list[Any]:
        """What `code_of` takes, and whether colours are kept."""
        return [self.style, self.other, self.share, self.strength, self.keep_colours, self.example]


def painting_controls(first: Offer | None) -> Painting:
    """Lay the controls out."""
    names = list(first.config.styles) if first is not None else []
    start = names[0] if names else None
    shown = first is not None and paints(first)
    with gr.Column(visible=shown, elem_id="painting") as group:
        with gr.Column(visible=bool(names)) as named:
            strip = gr.Gallery(
                label="Styles",
                show_label=False,
                columns=4,
                height="auto",
                object_fit="cover",
                allow_preview=False,
                interactive=False,
                buttons=[],
                elem_id="style-strip",
            )
            with gr.Row():
                style = gr.Dropdown(names, value=start, label="Style", min_width=140, elem_id="style")
                other = gr.Dropdown(names, value=None, label="Mix with", min_width=140, elem_id="style-other")
            share = gr.Slider(0, 1, 0.5, step=0.05, label="Share of the second style", elem_id="style-share")
        example = gr.Image(
            type="filepath",
            image_mode=None,
            format="png",
            sources=["upload", "clipboard"],
            label="Style image",
            height=180,
            visible=shown and not names,
            elem_id="style-image",
            buttons=[],
            placeholder="Drop a style image here, for example a painting",
        )
        unopened(example)
        strength = gr.Slider(0, MOST_STRENGTH, 1, step=0.05, label="Strength", elem_id="style-strength")
        keep_colours = gr.Checkbox(False, label="Keep the colours of the image", elem_id="keep-colours")
    return Painting(group, named, example, strip, style, other, share, strength, keep_colours)


def paints(offer: Offer) -> bool:
    """Whether weights paint in styles, named ones or any."""
    return isinstance(offer.config.network, ConditionalResNetConfig)


def code_of(
    translator: Translator,
    style: str | None,
    other: str | None,
    share: float | None,
    strength: float | None,
    example: str | None = None,
) -> Tensor | None:
    """The code of what was chosen; None for weights without styles.

    Raises:
        ConfigError: a style or strength that there is not, or no image of a style.
        ImageError, InferenceError: that image cannot be read, or is too small.
    """
    strength = 1.0 if strength is None else strength
    if translator.any_style:
        if example is None:
            raise ConfigError("No style image yet: drop one, for example a painting.")
        return translator.style_code(read_small(example), strength=strength)
    if not translator.styles:
        return None
    style = style if style in translator.styles else translator.styles[0]  # of other weights, until the page is updated
    part = share if share is not None else 0.5
    mixture = {style: 1.0} if other not in translator.styles or other == style else {style: 1 - part, other: part}
    return translator.style_code(mixture, strength=strength)


def strip_of(catalogue: Catalogue, path: str | None, name: str | None) -> list[tuple[Image.Image, str]]:
    """The image, or else the example, in each style of some weights, with their names."""
    offer = catalogue.offers.get(name) if name is not None else None
    if offer is None or not offer.config.styles:
        return []
    try:
        start = photo() if path is None else for_page(read_small(path))
    except ImageError:  # reported when it is translated
        return []
    if start is None:
        return []
    start = start.convert("RGB")
    start.thumbnail((SMALL, SMALL))
    with as_toasts():
        translator = catalogue.translator(offer.name)
        return [(translator(start, style=one), one) for one in translator.styles]
