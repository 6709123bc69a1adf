"""Images in, images out; no training code."""

from translate.inference.device import DeviceError, choose_device, choose_precision
from translate.inference.files import Summary, translate_files
from translate.inference.grid import image_grid, to_images
from translate.inference.library import find_weights, load, shipped_weights
from translate.inference.translator import InferenceError, Translator

__all__ = [
    "DeviceError",
    "InferenceError",
    "Summary",
    "Translator",
    "choose_device",
    "choose_precision",
    "find_weights",
    "image_grid",
    "load",
    "shipped_weights",
    "to_images",
    "translate_files",
]
