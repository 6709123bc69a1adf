"""Images in, images out; no training code."""

from translate.inference.device import DeviceError, choose_device, choose_precision
from translate.inference.files import Summary, translate_files
from translate.inference.generator_model import GeneratorModel
from translate.inference.grid import contact_sheet, image_grid, to_images
from translate.inference.image_model import ImageModel
from translate.inference.library import (
    find_weights,
    load,
    load_image_model,
    load_sampler,
    load_style_model,
    load_translator,
    shipped_weights,
)
from translate.inference.style_model import StyleModel
from translate.inference.translator import InferenceError, Translator

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
