"""``translate export WEIGHTS -o FILE``."""

from __future__ import annotations

from dataclasses import dataclass
from math import isnan
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from tyro.conf import Positional, arg

from translate.config.base import Config, ConfigError, validate

if TYPE_CHECKING:
    from translate.export import Exported


@dataclass(frozen=True, kw_only=True)
class Export(Config):
    """Export weights as one self-describing file, safetensors or ONNX, and check it against its source."""

    weights: Positional[str]
    """Weights: a name, a weights folder, a run folder or a .safetensors file."""
    out: Annotated[Path, arg(aliases=["-o"])]
    """Output: a .safetensors file, a folder, or an .onnx file."""
    format: Literal["safetensors", "onnx"] | None = None
    """Export format; onnx runs in onnxruntime, which is often faster on a CPU. Default: by the suffix of --out."""
    dtype: Literal["fp32", "fp16", "bf16", "int8"] | None = None
    """Data type of the weights in safetensors; default: fp16, which halves the size. int8 quarters it, by rounding the
    weights of layers to 8 bits. ONNX is always fp32."""
    name: str | None = None
    """New name of the weights; default: unchanged."""


def export(command: Export) -> int:
    """Run ``translate export``; the exit code."""
    validate(command)
    suffix = command.out.suffix.lower()
    if command.format == "onnx" or (command.format is None and suffix == ".onnx"):
        return _export_onnx(command)
    from translate.export import export_safetensors
    from translate.inference.files import names_a_file
    from translate.inference.finding import find_weights

    names_a_file(command.out, (".safetensors",) if command.format else (".safetensors", ".onnx"))
    dtype = command.dtype or "fp16"
    _say(export_safetensors(find_weights(command.weights), command.out, dtype=dtype, name=command.name), dtype)
    return 0


def _export_onnx(command: Export) -> int:
    if command.out.suffix.lower() != ".onnx":
        raise ConfigError(f"--out {command.out}: ONNX is one file, so give a name that ends in .onnx")
    if command.dtype not in (None, "fp32"):
        raise ConfigError(f"--dtype {command.dtype} is for safetensors only, and ONNX is fp32: omit --dtype")
    from translate.export import export_onnx
    from translate.inference.finding import find_weights

    _say(export_onnx(find_weights(command.weights), command.out, name=command.name), "fp32")
    print("it takes images of any height and width: the graph pads them for the network and crops the output")
    return 0


def _say(written: Exported, dtype: str) -> None:
    said = f"{' and '.join(map(str, (written.file, *written.others)))} ({written.file_bytes / 1e6:.1f} MB, {dtype})"
    if not isnan(written.mean_difference):
        scale = "relative" if written.relative else "on a range of 2"
        said += (
            f"; difference from its source, {scale}: mean {written.mean_difference:.2g}, maximum "
            f"{written.max_difference:.2g}"
        )
    print(said)
