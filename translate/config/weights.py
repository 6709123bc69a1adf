"""What a file of weights says of itself: the same JSON lies in ``config.json`` and in the safetensors metadata."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

from annotated_types import Ge, Le, Len, Lt
from pydantic import Field

from translate.config.base import Config, ConfigError, from_dict
from translate.config.encoding import Encoding
from translate.config.networks import ConditionalResNetConfig, NetworkConfig, ResNetConfig, UNetConfig
from translate.config.training import ImageSetConfig, Noise

FORMAT_VERSION = 1


@dataclass(frozen=True, kw_only=True)
class Preprocessing(Config):
    """How an image becomes the network's input, and its output an image again."""

    size: Annotated[int, Ge(1), Le(4096)] = 256
    """Side in pixels of the squares it was trained on; any other size is translated as it is."""
    value_range: tuple[float, float] = (-1.0, 1.0)
    """What the darkest and the brightest value become."""
    fit: Literal["cover", "stretch"] = "cover"
    """What becomes of other proportions where a network takes squares only: cropped (cover) or squashed (stretch)."""
    bits: Literal[8, 16] = 8
    """Depth of the images it was trained on."""
    alpha: Literal["composite", "keep"] = "composite"
    source: Encoding | None = None
    """How the numbers of its inputs are read, where they are not plain grey or RGB."""
    target: Encoding | None = None
    """How the numbers of what it makes are written, where they are not plain grey or RGB."""


@dataclass(frozen=True, kw_only=True)
class Domains(Config):
    """What the network takes and what it makes, in a word or two each."""

    source: str = "input"
    target: str = "output"


@dataclass(frozen=True, kw_only=True)
class TrainingRecord(Config):
    """How the weights were made; for people, and for doing it again."""

    recipe: str
    images_seen: Annotated[int, Ge(0)]
    data: str = ""
    """The data set in one line."""
    hours: Annotated[float, Ge(0.0)] = 0.0
    device: str = ""
    precision: str = ""
    losses: dict[str, float] = field(default_factory=dict)
    """Last logged mean of each term."""
    validation: dict[str, float] = field(default_factory=dict)
    """Scores on the validation split, lower for better, where there is one."""
    versions: dict[str, str] = field(default_factory=dict)
    config: dict[str, Any] = field(default_factory=dict)
    """The training configuration as given; its paths are reduced to their last part."""


@dataclass(frozen=True, kw_only=True)
class Origin(Config):
    """The file of another project that weights were imported from."""

    file: str
    """Its name."""
    sha256: str
    """Of its bytes, in hexadecimal."""
    key: str = ""
    """Where in it the network was, for a file that held more."""


@dataclass(frozen=True, kw_only=True)
class WeightsConfig(Config):
    """Everything that is needed to rebuild a network and use it, with no flags."""

    format_version: int = FORMAT_VERSION
    kind: Literal["translator", "segmenter", "discriminator", "classifier", "autoencoder", "anomaly", "generator"]
    """What the network is for; a command that needs another kind says so."""
    name: Annotated[str, Len(1)]
    network: Annotated[NetworkConfig, Field(discriminator="type")]
    preprocessing: Preprocessing = Preprocessing()
    domains: Domains = Domains()
    noise: Noise = "training"
    """Whether dropout stays on when translating (``always``)."""
    classes: tuple[str, ...] = ()
    """Class names: of a segmenter or a classifier in the order of its logits, of a conditional generator."""
    styles: tuple[str, ...] = ()
    """Names of the styles that the network has codes of, in their order."""
    false_alarms: Annotated[float, Ge(0.0), Lt(1.0)] | None = None
    """Share of normal images that an anomaly detector's threshold calls abnormal."""
    training: TrainingRecord | None = None
    origin: Origin | None = None

    def __post_init__(self) -> None:
        if self.kind == "translator" and not isinstance(
            self.network, ResNetConfig | UNetConfig | ConditionalResNetConfig
        ):
            raise ConfigError(f"a translator needs a generator network, not '{self.network.type}'")
        low, high = self.preprocessing.value_range
        if not low < high:
            raise ConfigError(f"value_range {low, high}: the first must be smaller than the second")


def image_set_of(config: WeightsConfig, root: Path) -> ImageSetConfig | None:
    """The image set at `root`, drawn as it was when these weights were trained; None where they do not say how.

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
    """Read the JSON of a file of weights.

    Raises:
        ConfigError: an unknown format version, an unknown key, or a value out of range.
    """
    if not isinstance(values, dict) or "format_version" not in values:
        raise ConfigError("no format_version: not a configuration that translate wrote")
    version = values["format_version"]
    if version != FORMAT_VERSION:
        raise ConfigError(
            f"format version {version!r}, and this release reads {FORMAT_VERSION}: "
            "update translate (pip install -U image-translate)"
        )
    return from_dict(WeightsConfig, values)
