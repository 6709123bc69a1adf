"""Images in, images out; no training code."""

from __future__ import annotations

from typing import TYPE_CHECKING

from translate.config.lazy import lazily

if TYPE_CHECKING:
    from translate.inference.device import choose_device, choose_precision
    from translate.inference.errors import DeviceError, InferenceError
    from translate.inference.files import Summary, translate_files
    from translate.inference.finding import find_weights, shipped_weights
    from translate.inference.generator_model import GeneratorModel
    from translate.inference.grid import contact_sheet, image_grid, to_images
    from translate.inference.image_model import ImageModel
    from translate.inference.library import (
        load,
        load_image_model,
        load_sampler,
        load_style_model,
        load_translator,
    )
    from translate.inference.style_model import StyleModel
    from translate.inference.translator import Translator

_NAMES = {
    "device": ("choose_device", "choose_precision"),
    "errors": ("DeviceError", "InferenceError"),
    "files": ("Summary", "translate_files"),
    "finding": ("find_weights", "shipped_weights"),
    "generator_model": ("GeneratorModel",),
    "grid": ("contact_sheet", "image_grid", "to_images"),
    "image_model": ("ImageModel",),
    "library": ("load", "load_image_model", "load_sampler", "load_style_model", "load_translator"),
    "style_model": ("StyleModel",),
    "translator": ("Translator",),
}

__all__ = [
    "DeviceError",
    "GeneratorModel",
    "ImageModel",
    "InferenceError",
    "StyleModel",
    "Summary",
    "Translator",
    "choose_device",
    "choose_precision",
    "contact_sheet",
    "find_weights",
    "image_grid",
    "load",
    "load_image_model",
    "load_sampler",
    "load_style_model",
    "load_translator",
    "shipped_weights",
    "to_images",
    "translate_files",
]

__getattr__, __dir__ = lazily(__name__, {name: module for module, names in _NAMES.items() for name in names})
