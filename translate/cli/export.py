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
    """Write weights as one self-describing file, safetensors or ONNX, checked against its source."""

    weights: Positional[str]
    """A name, a weights folder, a run folder, or a .safetensors file."""
    out: Annotated[Path, arg(aliases=["-o"])]
    """A .safetensors file, a folder, or an .onnx file."""
    format: Literal["safetensors", "onnx"] | None = None
    """onnx is for onnxruntime, often the faster one on a CPU; by the suffix of --out unless given."""
    dtype: Literal["fp32", "fp16", "bf16"] | None = None
    """Of safetensors, fp16 unless given, which halves the size; ONNX is fp32."""
    name: str | None = None
    """What the weights are called from now on."""


def export(command: Export) -> int:
    validate(command)
    suffix = command.out.suffix.lower()
    if command.format == "onnx" or (command.format is None and suffix == ".onnx"):
        return _export_onnx(command)
    from translate.export import export_safetensors
    from translate.inference.files import names_a_file
    from translate.inference.library import find_weights

    names_a_file(command.out, (".safetensors",) if command.format else (".safetensors", ".onnx"))
    dtype = command.dtype or "fp16"
    _say(export_safetensors(find_weights(command.weights), command.out, dtype=dtype, name=command.name), dtype)
    return 0


def _export_onnx(command: Export) -> int:
    if command.out.suffix.lower() != ".onnx":
        raise ConfigError(f"--out {command.out}: ONNX is one file, so give a name that ends in .onnx")
    if command.dtype not in (None, "fp32"):
        raise ConfigError(f"--dtype {command.dtype} belongs to safetensors, and ONNX is fp32: leave --dtype out")
    from translate.export import export_onnx
    from translate.inference.library import find_weights

    _say(export_onnx(find_weights(command.weights), command.out, name=command.name), "fp32")
    print("it takes images of any height and width: the graph pads them to what the network needs, and crops")
    return 0


def _say(written: Exported, dtype: str) -> None:
    said = f"{' and '.join(map(str, (written.file, *written.others)))} ({written.file_bytes / 1e6:.1f} MB, {dtype})"
    if not isnan(written.mean_difference):
        scale = "relative" if written.relative else "of a range of 2"
        said += (
            f"; against its source, {scale}: mean {written.mean_difference:.2g}, at most {written.max_difference:.2g}"
        )
    print(said)
