"""What may be tried without images of one's own: drawn facades, a photo, images that the networks here make."""

from __future__ import annotations

import base64
import io
import random
from functools import cache
from html import escape
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from translate.config.networks import ConvGeneratorConfig, DenseGeneratorConfig
from translate.data.images import from_pil, to_pil
from translate.demos.answers import kept_file
from translate.demos.catalogue import Catalogue, Offer
from translate.demos.facade_drawings import STYLES, draw_facade
from translate.inference.deriver import Deriver
from translate.inference.finding import shipped_weights

SIZE = 256
"""Side of the drawings in pixels."""

SEED = 3

CREDIT = "Photo: danielbuechele, CC BY 2.0, distributed with scikit-learn"
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


FIRST = Path(__file__).parent / "assets" / "first.webp"
"""The first drawing as the shipped facades weights translate it, so that the page opens with a result;
``python -m scripts.studies.previews facades`` makes it anew."""


def translated_example(offer: Offer | None) -> tuple[Image.Image, Image.Image] | None:
    """Input and output that the page shows before anything is asked of it: of the shipped facades weights alone."""
    shipped = shipped_weights().get("facades")
    if offer is None or shipped is None or offer.path != shipped or not FIRST.is_file():
        return None
    with Image.open(FIRST) as output:
        return example(0), output.convert("RGB")


@cache
def photo() -> Image.Image | None:
    """A photo to try weights with: scikit-learn's china.jpg; None where that is not installed.

    The file is read as it lies there: the import of scikit-learn would be an eighth of the demo's start.
    """
    package = find_spec("sklearn")
    if package is None or package.origin is None:
        return None
    try:
        with Image.open(Path(package.origin).parent / "datasets" / "images" / "china.jpg") as image:
            return image.convert("RGB")
    except OSError:
        return None


def metal(seed: int, *, fault: bool) -> Image.Image:
    """A piece of brushed metal, 256 px, drawn by code; with a hole and a crack in it."""
    from scipy.ndimage import gaussian_filter

    rng = np.random.default_rng(seed)
    grain = gaussian_filter(rng.normal(0, 40, (256, 256)), (12, 0.7)) + gaussian_filter(rng.normal(0, 8, (256, 256)), 1)
    pixels = 105 + grain + np.linspace(-12, 12, 256)[None, :]
    image = Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))
    if fault:
        pen, (x, y) = ImageDraw.Draw(image), rng.integers(70, 180, 2).tolist()
        pen.ellipse((x - 16, y - 12, x + 14, y + 13), fill=25, outline=190)
        way = [(x + 12 + 9 * step, y + 14 + 11 * step + int(rng.integers(-6, 7))) for step in range(6)]
        pen.line(way, fill=35, width=3)
    return image


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
        raise KeyError("no GAN generates such images")
    draw = random.Random(seed)
    classes = catalogue.makers[name].config.classes
    chosen = {"classes": draw.sample(classes, min(count, len(classes)))} if classes else {}
    return catalogue.maker(name).sample(count, seed=draw.randrange(10**6), **chosen)


def sketches(catalogue: Catalogue, *, count: int = 6) -> dict[str, Image.Image]:
    """Outlines of images that a GAN makes, in colour where there is one that does; none where there is no GAN.

    Found at the size of the first weights for sketches, which learned from such, and enlarged to `SIZE`.
    """
    channels = 3 if maker_of(catalogue, channels=3) is not None else None
    if maker_of(catalogue, channels=channels) is None:
        return {}
    images = made(catalogue, count=count, channels=channels, seed=6)
    sides = [offer.config.preprocessing.size for offer in catalogue.sketchers()][:1] or [SIZE]
    return {f"sketch {number + 1}": drawn for number, drawn in enumerate(lines_of(images, side=sides[0]))}


def lines_of(images: list[Image.Image], *, side: int) -> list[Image.Image]:
    """The outlines of square images as a pen would draw them, at `SIZE`, found where the images have so many pixels."""
    given = [from_pil(image.convert("RGB").resize((side, side), Image.Resampling.BICUBIC)) for image in images]
    return [_penned(to_pil(lines)) for lines in Deriver("edges").apply(given)]


def _penned(lines: Image.Image) -> Image.Image:
    """Enlarged to `SIZE`, with round strokes of half the width in place of pixels, as the pad's pen draws."""
    large = lines.resize((SIZE, SIZE), Image.Resampling.BICUBIC)
    reach = SIZE // lines.width // 2
    if not reach:  # a filter of one pixel ends the process (Pillow 12.3)
        return large
    soft = large.filter(ImageFilter.GaussianBlur(reach)).point([255 * (value > 127) for value in range(256)])
    return soft.filter(ImageFilter.MaxFilter(2 * reach + 1)).filter(ImageFilter.GaussianBlur(1))


def to_url(image: Image.Image, form: str = "PNG", **options: Any) -> str:
    """An image as a file in a data URL; a PNG begins with `URL_HEADER`.

    Args:
        image: The image.
        form: Of the file, as Pillow names it.
        options: Of `Image.save`.
    """
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return f"data:image/{form.lower()};base64,{base64.b64encode(buffer.getvalue()).decode('ascii')}"


def photo_file(holder: gr.Image) -> str:
    """The photo as a file of a component."""
    found = photo()
    assert found is not None
    return kept_file(holder, "pagoda.png", found.copy().save)  # saving changes an image, and others may save it, too


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
    return buttons(purpose, {style.name: example(index) for index, style in enumerate(STYLES)})


def buttons(purpose: str, images: dict[str, Image.Image]) -> str:
    """A row of buttons with images by their names, as HTML; each carries its index."""
    found = (
        f'<button type="button" class="thumbnail" data-index="{index}" title="{escape(name.capitalize())}" '
        f'aria-label="{escape(purpose)}: {escape(name)}"><img src="{to_url(image)}" alt=""></button>'
        for index, (name, image) in enumerate(images.items())
    )
    return f'<div class="thumbnails">{"".join(found)}</div>'
