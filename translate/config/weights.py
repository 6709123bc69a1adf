"""The metadata of a weights file: the same JSON lies in ``config.json`` and in the safetensors metadata."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

from annotated_types import Ge, Le, Len, Lt
from pydantic import Field

from translate.config.base import Config, ConfigError, from_dict
from translate.config.encoding import Encoding
from translate.config.migrate import FORMAT_VERSION, migrate
from translate.config.networks import ConditionalResNetConfig, NetworkConfig, ResNetConfig, UNetConfig
from translate.config.training import ImageSetConfig, Noise


@dataclass(frozen=True, kw_only=True)
class Preprocessing(Config):
    """How an image becomes the network's input, and its output an image again."""

    size: Annotated[int, Ge(1), Le(4096)] = 256
    """Side, in pixels, of the squares it was trained on; any other size is translated as it is."""
    value_range: tuple[float, float] = (-1.0, 1.0)
    """Network values that the darkest and the brightest pixel value are mapped to."""
    fit: Literal["cover", "stretch"] = "cover"
    """Framing of other aspect ratios where a network takes squares only: cropped (cover) or squashed (stretch)."""
    bits: Literal[8, 16] = 8
    """Bit depth of the images it was trained on."""
    alpha: Literal["composite", "keep"] = "composite"
    source: Encoding | None = None
    """Encoding of the input files, where they are not plain grey or RGB."""
    target: Encoding | None = None
    """Encoding of the output files, where they are not plain grey or RGB."""


@dataclass(frozen=True, kw_only=True)
class Domains(Config):
    """Names of the network's input and output domains, in a word or two each."""

    source: str = "input"
    target: str = "output"


@dataclass(frozen=True, kw_only=True)
class TrainingRecord(Config):
    """How the weights were trained; for reference, and for reproducing it."""

    recipe: str
    images_seen: Annotated[int, Ge(0)]
    data: str = ""
    """The data set in one line."""
    hours: Annotated[float, Ge(0.0)] = 0.0
    device: str = ""
    precision: str = ""
    losses: dict[str, float] = field(default_factory=dict)
    """Last logged mean of each loss term."""
    validation: dict[str, float] = field(default_factory=dict)
    """Scores on the validation split, lower for better, where there is one."""
    versions: dict[str, str] = field(default_factory=dict)
    config: dict[str, Any] = field(default_factory=dict)
    """The training configuration as given; its paths are reduced to their last part."""


@dataclass(frozen=True, kw_only=True)
class Origin(Config):
    """The file of another project that weights were imported from."""

    file: str
    """Name of the file."""
    sha256: str
    """SHA-256 of its bytes, in hexadecimal."""
    key: str = ""
    """Key of the network in a file that held several."""


@dataclass(frozen=True, kw_only=True)
class WeightsConfig(Config):
    """Everything that is needed to rebuild a network and use it, with no flags."""

    format_version: int = FORMAT_VERSION
    kind: Literal["translator", "segmenter", "discriminator", "classifier", "autoencoder", "anomaly", "generator"]
    """Purpose of the network; commands refuse weights of another kind."""
    name: Annotated[str, Len(1)]
    network: Annotated[NetworkConfig, Field(discriminator="type")]
    preprocessing: Preprocessing = Preprocessing()
    domains: Domains = Domains()
    noise: Noise = "training"
    """Whether dropout stays on when translating (``always``)."""
    precision: Literal["auto", "fp32"] = "auto"
    """What ``auto`` runs a translator in: fp32 where bf16 was seen to change what it makes. It is measured while it is
    trained on a device that is fast at bf16."""
    classes: tuple[str, ...] = ()
    """Class names, of a segmenter or a classifier in the order of its logits, or of a conditional generator."""
    styles: tuple[str, ...] = ()
    """Names of the styles that the network has codes for, in their order."""
    false_alarms: Annotated[float, Ge(0.0), Lt(1.0)] | None = None
    """False-positive rate on normal images at which an anomaly detector's threshold was set."""
    training: TrainingRecord | None = None
    origin: Origin | None = None

    def __post_init__(self) -> None:
        if self.kind == "translator" and not isinstance(
            self.network, ResNetConfig | UNetConfig | ConditionalResNetConfig
        ):
            raise ConfigError(f"a translator needs a translation network, not '{self.network.type}'")
        low, high = self.preprocessing.value_range
        if not low < high:
            raise ConfigError(f"value_range {low, high}: the first must be smaller than the second")


def image_set_of(config: WeightsConfig, root: Path) -> ImageSetConfig | None:
    """The image set at `root`, sampled as it was when these weights were trained; None where that is not recorded.

    Classes, attribute, frame, transparency, values, bands and what was held out are those of the training.
    """
    drawn = config.training.config.get("data") if config.training is not None else None
    if not drawn:
        return None
    table = root / drawn["labels_csv"] if drawn.get("labels_csv") else None  # recorded without its folder
    there = str(table) if table is not None and table.is_file() else None
    known = config.preprocessing.source
    read = {} if known is None else {"values": known.values, "bands": known.bands}
    own = {"root": str(root), "labels_csv": there, "size": config.preprocessing.size}
    return from_dict(ImageSetConfig, {**drawn, **read, **own})


def weights_config(values: Any) -> WeightsConfig:
    """Read the JSON of a weights file of this release or of an earlier one.

    Raises:
        ConfigError: an unknown format version, an unknown key, or a value out of range.
    """
    return from_dict(WeightsConfig, migrate(values))
