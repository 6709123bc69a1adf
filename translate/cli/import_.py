"""``translate import FILE.pth -o weights/NAME``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from annotated_types import Ge
from tyro.conf import Positional, arg

from translate.config.base import Config, ConfigError, validate
from translate.config.training import Noise

if TYPE_CHECKING:
    from translate.config.weights import WeightsConfig


@dataclass(frozen=True, kw_only=True)
class Import(Config):
    """Import weights from pytorch-CycleGAN-and-pix2pix, CUT or stylegan2-pytorch. The architecture is read from the
    file, and no code in it is executed."""

    file: Positional[Path]
    """Weights file (.pth), such as latest_net_G.pth."""
    out: Annotated[Path, arg(aliases=["-o"])]
    """Output: a folder, such as weights/horse2zebra, or a .safetensors file."""
    name: str | None = None
    """Name of the weights; default: the name of the output folder or file."""
    source: str = "input"
    """Name of the generator's input domain, in a word or two."""
    target: str = "output"
    """Name of the generator's output domain."""
    value_range: tuple[float, float] = (-1.0, 1.0)
    """LOW HIGH: network values that the darkest and the brightest pixel value are mapped to."""
    size: Annotated[int, Ge(1)] | None = None
    """Training size: side of the images in pixels; default: 256, or what the depth of a U-Net implies."""
    statistics: Literal["running", "image"] = "running"
    """Batch-norm statistics: the running averages of training (their test.py --eval), or each image's own (without
    it)."""
    noise: Noise = "training"
    """Dropout: on in training only (training), also when translating (always; their test.py without --eval), or
    never."""
    key: str | None = None
    """Network to import from a file that holds several, such as netG_A."""


def import_weights(command: Import) -> int:
    """Run ``translate import``; the exit code."""
    validate(command)
    from translate.checkpoint import peers
    from translate.checkpoint.files import MODEL_FILE
    from translate.config.weights import Domains
    from translate.inference.files import names_a_file

    target = command.out if names_a_file(command.out, (".safetensors",)) else command.out / MODEL_FILE
    if target.exists() and command.file.exists() and target.samefile(command.file):
        raise ConfigError(f"--out {command.out} would overwrite {command.file} itself: choose another name")
    network, config = peers.import_weights(
        command.file,
        name=command.out.resolve().stem if command.name is None else command.name,
        domains=Domains(source=command.source, target=command.target),
        value_range=command.value_range,
        size=command.size,
        statistics=command.statistics,
        noise=command.noise,
        key=command.key,
    )
    file = peers.save_checked(network, config, command.out)
    print(f"{file} ({file.stat().st_size / 1e6:.1f} MB): {peers.in_words(config)}")
    if assumed := _assumed(command, config):
        print(f"assumed: {'; '.join(assumed)}")
    if config.kind == "discriminator":
        print("A discriminator scores images and cannot translate or generate any.")
    return 0


def _assumed(command: Import, config: WeightsConfig) -> list[str]:
    """What neither the file nor a flag said, each with its flag."""
    (low, high), size, network = config.preprocessing.value_range, config.preprocessing.size, config.network
    lines: list[str] = []
    if config.kind == "generator":
        return lines
    if config.kind == "translator" and (command.source, command.target) == (Import.source, Import.target):
        lines.append(f"from '{command.source}' to '{command.target}' (--source, --target)")
    if command.value_range == Import.value_range:
        lines.append(f"values from {low:g} to {high:g} (--value-range)")
    if command.size is None:
        lines.append(f"trained at {size} px (--size)")
    if getattr(network, "norm", None) == "batch":
        lines.append("batch norm with its running averages (--statistics image uses each image's own)")
    if config.noise == "training":
        where = ", if it has any," if network.type == "unet" else ""  # whose files do not say
        lines.append(f"dropout{where} off when translating (--noise always keeps it on)")
    return lines
