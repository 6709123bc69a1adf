"""Weights for elsewhere, each checked against the network they came from."""

from translate.export.safetensors import Exported, ExportError, export_safetensors

__all__ = ["ExportError", "Exported", "export_safetensors"]
