"""What the tabs do around a network: errors in one sentence, pictures for the page, files to keep, time in words."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from html import escape
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import gradio as gr
from gradio.components import Component
from PIL import Image

from translate.config.errors import TranslateError
from translate.data.images import ImageError, Picture, composite, convert, read_header, read_image, shown, to_pil


def refuse(message: str) -> gr.Error:
    """A toast with one sentence; the page would take the message as HTML."""
    return gr.Error(escape(message, quote=False), title="That did not work", duration=8, print_exception=False)


@contextmanager
def as_toasts(*paths: str | Path) -> Iterator[None]:
    """Show the errors of the toolkit as they are written, with `paths` by their last part."""
    try:
        yield
    except TranslateError as error:
        message = str(error)
        for path in paths:
            message = message.replace(str(path), Path(path).name)
        raise refuse(message) from None


def shown_at_first(
    tab: gr.Tab, fn: Callable[..., Any], inputs: list[Component], outputs: list[Component], **given: Any
) -> None:
    """Fill a tab when it is first opened: run `fn`, unless it holds something already or there are no weights.

    Args:
        tab: The tab.
        fn: Takes the values of `inputs`, gives those of `outputs`.
        inputs: What the user controls; the first is the picker of weights.
        outputs: Components to fill; the first one is empty until then.
        **given: Options of Gradio's event.
    """

    def fill(shown: Any, name: str | None, *values: Any) -> Any:
        return tuple(gr.skip() for _ in outputs) if shown or name is None else fn(name, *values)

    hidden = {"api_visibility": "private", "show_progress": "hidden"}
    tab.select(fill, [outputs[0], *inputs], outputs, **hidden | given)


def unopened(image: gr.Image) -> None:
    """Have the handlers get an image's path, and open it by the toolkit, whose errors are sentences.

    Gradio would open the file with Pillow first: broken ones would end in its words, 16-bit ones be clipped.
    """
    image.preprocess = lambda payload: payload.path if payload else None  # type: ignore[method-assign]


MAX_PIXELS = 2**23
"""Largest image that the page takes: some 3 GB of memory in bf16, and 6 in fp32, for a U-Net of width 24."""


def read_small(path: str | Path, *, max_pixels: int = MAX_PIXELS) -> Picture:
    """Read an uploaded image; one that is too large is refused before a pixel is decoded.

    Raises:
        ImageError: it cannot be read, or has more pixels.
    """
    header = read_header(path)
    if header.width * header.height > max_pixels:
        raise ImageError(
            f"{path} has {header.width} × {header.height} pixels, and the limit here is "
            f"{max_pixels / 1e6:.1g} million pixels: resize it, or use the command line"
        )
    return read_image(path)


def for_page(picture: Picture) -> Image.Image:
    """8-bit RGB over white: a browser lays pictures over one another, and alpha would show what lies beneath."""
    opaque = composite(shown(picture))
    return to_pil(Picture(pixels=convert(opaque.colour, channels=3, bits=8)))


def kept_file(component: Component, name: str, write: Callable[[Path], None]) -> str:
    """Write a file where Gradio serves files from, until ``delete_cache`` removes it; returns its path."""
    with TemporaryDirectory() as folder:
        file = Path(folder, name)
        write(file)
        kept = component.move_resource_to_block_cache(file)
    assert kept is not None  # only None gives None
    return kept


def file_name(path: str, name: str | None, suffix: str = ".png") -> str:
    """What a download is called: after an uploaded file and the weights."""
    return re.sub(r"[^\w.-]+", "-", f"{Path(path).stem}-{name}") + suffix


def in_words(seconds: float, size: tuple[int, int], device: str) -> str:
    """``256 × 256 pixels in 0.3 seconds on the CPU``."""
    where = {"cpu": "the CPU", "cuda": "the GPU", "mps": "the Apple GPU"}.get(device, device)
    took = "less than 0.1 seconds" if seconds < 0.1 else f"{seconds:.1f} seconds"
    return f"{size[0]} × {size[1]} pixels in {took} on {where}"
