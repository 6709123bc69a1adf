"""``translate info WEIGHTS``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rich.console import Console
from tyro.conf import Positional

from translate.config.base import Config
from translate.config.encoding import Encoding
from translate.config.networks import ConditionalResNetConfig, ResNetConfig

if TYPE_CHECKING:
    from translate.inference.describe import Description


@dataclass(frozen=True, kw_only=True)
class Info(Config):
    """Inspect weights: network, sizes, FLOPs, how they were trained, and the precision they run in here."""

    weights: Positional[str]
    """Weights: a name, a weights folder, a run folder or a .safetensors file."""
    json: bool = False
    """Print JSON."""


def info(command: Info) -> int:
    """Run ``translate info``; the exit code."""
    from translate.config.base import to_dict
    from translate.inference.describe import describe
    from translate.inference.device import choose_device, choose_precision
    from translate.inference.finding import find_weights
    from translate.inference.onnx_file import is_onnx

    found = describe(find_weights(command.weights))
    device = choose_device()
    precision = choose_precision(found.config.precision, device) if found.config.kind == "translator" else "fp32"
    runs = None if is_onnx(found.file) else (str(device), precision)
    if command.json:
        import json

        values = {
            "file": str(found.file),
            "bytes": found.file_bytes,
            "dtype": found.dtype,
            "parameters": found.parameters,
            "flops": found.flops,
            "runs": None if runs is None else dict(zip(("device", "precision"), runs, strict=True)),
            **to_dict(found.config),
        }
        print(json.dumps(values, indent=2))
    else:
        _print(found, runs)
    return 0


def _print(found: Description, runs: tuple[str, str] | None) -> None:
    from rich.table import Table
    from rich.text import Text

    from translate.inference.onnx_file import is_onnx

    config, network = found.config, found.config.network
    side = config.preprocessing.size
    domains = "" if config.kind == "discriminator" else f", {config.domains.source} to {config.domains.target}"
    framed = "squashed" if config.preprocessing.fit == "stretch" else "resized and cropped"
    rows = {
        config.name: f"{config.kind}{domains}",
        "file": f"{found.file} ({found.file_bytes / 1e6:.1f} MB, {found.dtype})",
        "network": _made_of(network),
        "parameters": f"{found.parameters:,}",
        "FLOPs": f"{found.flops / 1e9:.3g} G for {side}x{side}",
        "images": f"{config.preprocessing.bits}-bit, trained at {side}x{side} px, "
        + {
            "autoencoder": f"other sizes are {framed} to that",
            "anomaly": f"other sizes are {framed} to that",
            "generator": "generated at that size",
        }.get(config.kind, "any size can be translated"),
    }
    for name, encoding in (("inputs", config.preprocessing.source), ("outputs", config.preprocessing.target)):
        if encoding is not None:
            rows[name] = _numbers(encoding)
    if config.kind == "translator":
        rows["dropout"] = {
            "always": "on when translating: each seed gives a different output",
            "training": "in training only",
            "never": "none",
        }[config.noise]
        if isinstance(network, ResNetConfig) and network.style and not is_onnx(found.file):
            rows["style code"] = f"{network.style} numbers: random by --seed, or taken from an image by --reference"
    if found.sides is not None:
        multiple, least = found.sides
        rows["ONNX"] = (
            "takes images of any height and width in other programs"
            if multiple == least == 1
            else f"needs heights and widths that are multiples of {multiple}, at least {least}, in other programs; "
            "export it again to support any size"
        )
    if config.styles:
        rows["styles"] = ", ".join(config.styles)
    if isinstance(network, ConditionalResNetConfig) and network.style_size:
        rows["styles"] = "any, taken from an image: --style-image FILE"
    if config.classes:
        rows["classes"] = ", ".join(config.classes)
    if runs is not None:
        asked = " (by default everywhere: bf16 changes its output)" if config.precision == "fp32" else ""
        rows["runs here"] = f"on {runs[0]}, in {runs[1]}{asked}"
    if (origin := config.origin) is not None:
        inside = f", {origin.key}" if origin.key else ""
        rows["imported"] = f"{origin.file}{inside} (SHA-256 {origin.sha256[:12]}...)"
    if (record := config.training) is not None:
        rows["trained"] = f"{record.recipe}, {record.images_seen:,} images, {record.hours:.2f} h, {record.precision}"
        rows["device"] = record.device
        rows["data"] = record.data
        if record.losses:
            rows["last losses"] = ", ".join(f"{term} {value:.3g}" for term, value in record.losses.items())
    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in rows.items():
        table.add_row(Text(name), Text(value))  # plain text: names may hold what rich reads as markup
    Console(emoji=False, highlight=False).print(table)


def _numbers(encoding: Encoding) -> str:
    """The meaning of the numbers in files, as text."""
    if encoding.labels:
        return f"class ids 0 to {encoding.labels - 1}, one channel each"
    bands = f"bands {' '.join(map(str, encoding.bands))}, " if encoding.bands else ""
    if encoding.values is None:
        return f"{bands}{encoding.dtype}"
    low, high = encoding.values
    return f"{bands}{encoding.dtype}, values {low:.10g} to {high:.10g}"


def _made_of(network: Any) -> str:
    """A network's configuration as text: "unet: width 24, depth 7", parts of it in brackets."""
    fields = []
    for field, value in vars(network).items():
        if field in ("type", "in_channels", "out_channels") or value is None:
            continue
        if isinstance(value, Config):
            value = f"({_made_of(value)})"
        elif isinstance(value, tuple):
            value = "-".join(map(str, value))
        fields.append(f"{field} {value}")
    return f"{network.type}: {', '.join(fields)}"
