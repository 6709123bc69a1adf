"""Weights for elsewhere, each checked against the network they came from."""

from translate.export.exported import Exported, ExportError
from translate.export.onnx import export_onnx
from translate.export.safetensors import export_safetensors

__all__ = ["ExportError", "Exported", "export_onnx", "export_safetensors"]
