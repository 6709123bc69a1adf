"""The drawn facades as thumbnails: examples on one tab, drawings to start from on the other."""

from __future__ import annotations

import base64
import io
import random
from functools import cache
from html import escape

import gradio as gr
from PIL import Image

from translate.config.networks import ConvGeneratorConfig, DenseGeneratorConfig
from translate.demos.answers import kept_file
from translate.demos.catalogue import Catalogue
from translate.demos.facade_drawings import STYLES, draw_facade

SIZE = 256
"""Side of the drawings in pixels."""

SEED = 3

CREDIT = "Photo: danielbuechele, CC BY 2.0, as it comes with scikit-learn"
"""Of `photo`."""

CHOOSE = """
element.querySelectorAll(".thumbnail").forEach((button) => {
  const example = { index: Number(button.dataset.index), value: button.title };
  button.addEventListener("click", () => trigger("select", example));
});
"""
"""What makes buttons of thumbnails work."""

URL_HEADER = "data:image/png;base64,"


@cache
def example(index: int) -> Image.Image:
    """The drawing of a style."""
    return draw_facade(STYLES[index], seed=SEED, size=SIZE)


@cache
def photo() -> Image.Image | None:
    """A photo to try weights with: scikit-learn's china.jpg; None where that is not installed."""
    try:
        from sklearn.datasets import load_sample_image
    except ImportError:
        return None
    return Image.fromarray(load_sample_image("china.jpg"))


def maker_of(catalogue: Catalogue, *, channels: int | None = None) -> str | None:
    """The name of the first GAN that makes images (of so many channels), which serve as examples."""
    kinds = (ConvGeneratorConfig, DenseGeneratorConfig)
    offers = (offer for offer in catalogue.makers.values() if not offer.private)
    fitting = (offer.name for offer in offers if isinstance(offer.config.network, kinds)
               and channels in (None, offer.config.network.channels))  # fmt: skip
    return next(fitting, None)


def made(
    catalogue: Catalogue, *, count: int, channels: int | None = None, seed: int | None = None
) -> list[Image.Image]:
    """New images of that GAN, others each time unless a seed is given.

    Raises:
        KeyError: there is none.
        WeightsError: its file has gone or changed.
    """
    name = maker_of(catalogue, channels=channels)
    if name is None:
        raise KeyError("no GAN makes such images")
    return catalogue.maker(name).sample(count, seed=random.randrange(10**6) if seed is None else seed)


def to_url(image: Image.Image) -> str:
    """An image as a PNG in a data URL."""
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return URL_HEADER + base64.b64encode(buffer.getvalue()).decode("ascii")


def photo_file(holder: gr.Image) -> str:
    """The photo as a file of a component."""
    found = photo()
    assert found is not None
    return kept_file(holder, "pagoda.png", found.save)


def photo_thumbnail() -> str:
    """A button with the photo, as HTML; empty where it is not here."""
    whole = photo()
    if whole is None:
        return ""
    small = whole.resize((240, 160), Image.Resampling.LANCZOS)
    button = (
        '<button type="button" class="thumbnail" data-index="0" title="A pagoda" aria-label="Example: a photo">'
        f'<img src="{to_url(small)}" alt=""></button>'
    )
    return f'<div class="thumbnails photos">{button}</div>'


def thumbnails(purpose: str) -> str:
    """A row of buttons with the drawings, as HTML; each carries its index.

    Args:
        purpose: What a button does, for those who hear the page: "Start from".
    """
    buttons = (
        f'<button type="button" class="thumbnail" data-index="{index}" title="{escape(style.name.capitalize())}" '
        f'aria-label="{escape(purpose)}: {escape(style.name)}"><img src="{to_url(example(index))}" alt=""></button>'
        for index, style in enumerate(STYLES)
    )
    return f'<div class="thumbnails">{"".join(buttons)}</div>'
