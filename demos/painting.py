"""Named styles in the Translate tab: the image in each of them, small, to choose from; a mixture; a strength."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gradio as gr
from PIL import Image
from torch import Tensor

from translate.config.style_transfer import MOST_STRENGTH
from translate.data.images import ImageError
from translate.demos.answers import as_toasts, for_page, read_small
from translate.demos.catalogue import Catalogue, Offer
from translate.demos.examples import photo
from translate.inference import Translator

SMALL = 192
"""Longer side of the images in the strip, in pixels."""


@dataclass(frozen=True)
class Painting:
    """The controls; none is seen for weights without named styles."""

    group: gr.Column
    strip: gr.Gallery
    style: gr.Dropdown
    other: gr.Dropdown
    share: gr.Slider
    strength: gr.Slider
    keep_colours: gr.Checkbox

    @property
    def inputs(self) -> list[Any]:
        """What `code_of` takes, and whether colours are kept."""
        return [self.style, self.other, self.share, self.strength, self.keep_colours]


def painting_controls(first: Offer | None) -> Painting:
    """Lay the controls out."""
    names = list(first.config.styles) if first is not None else []
    start = names[0] if names else None
    with gr.Column(visible=bool(names), elem_id="painting") as group:
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
            other = gr.Dropdown(names, value=None, label="Mixed with", min_width=140, elem_id="style-other")
        with gr.Row():
            share = gr.Slider(0, 1, 0.5, step=0.05, label="Share of the second", min_width=140, elem_id="style-share")
            strength = gr.Slider(
                0, MOST_STRENGTH, 1, step=0.05, label="Strength", min_width=140, elem_id="style-strength"
            )
        keep_colours = gr.Checkbox(False, label="Keep the colours of the image", elem_id="keep-colours")
    return Painting(group, strip, style, other, share, strength, keep_colours)


def code_of(
    translator: Translator, style: str | None, other: str | None, share: float | None, strength: float | None
) -> Tensor | None:
    """The code of what was chosen; None for weights without named styles.

    Raises:
        ConfigError: a style or strength that there is not.
    """
    if not translator.styles:
        return None
    style = style if style in translator.styles else translator.styles[0]  # of other weights, until the page is told
    part = share if share is not None else 0.5
    mixture = {style: 1.0} if other not in translator.styles or other == style else {style: 1 - part, other: part}
    return translator.style_code(mixture, strength=1.0 if strength is None else strength)


def strip_of(catalogue: Catalogue, path: str | None, name: str | None) -> list[tuple[Image.Image, str]]:
    """The image, or else the example, in each style of some weights, with their names."""
    offer = catalogue.offers.get(name) if name is not None else None
    if offer is None or not offer.config.styles:
        return []
    try:
        start = photo() if path is None else for_page(read_small(path))
    except ImageError:  # told when it is to be translated
        return []
    if start is None:
        return []
    start = start.convert("RGB")
    start.thumbnail((SMALL, SMALL))
    with as_toasts():
        translator = catalogue.translator(offer.name)
        return [(translator(start, style=one), one) for one in translator.styles]
