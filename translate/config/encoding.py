"""What the numbers in image files mean, where they are not plain grey or RGB: measured values, bands, class ids."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Ge

from translate.config.base import Config, ConfigError

NumberType = Literal[
    "uint8", "uint16", "uint32", "uint64", "int8", "int16", "int32", "int64", "float16", "float32", "float64"
]
Band = Annotated[int, Ge(1)]


@dataclass(frozen=True, kw_only=True)
class Reading(Config):
    """How image files are read: what a user may say of their values, bands and pages."""

    values: tuple[float, float] | None = None
    """LOW HIGH: file values that are mapped to black and white, in every image alike. Default: the full range of 8-bit
    and 16-bit files; for floating-point, signed and 32-bit files, one range found in the whole data set."""
    bands: tuple[Band, ...] = ()
    """Channels to use, counted from 1, such as 4 3 2 (pages, in a file of grey pages); default: all."""
    pages: bool = False
    """Take every page of a TIFF and every frame of an animation as an image; otherwise only the first."""

    def __post_init__(self) -> None:
        check_values(self.values)
        if len(set(self.bands)) < len(self.bands):
            raise ConfigError(f"--bands {' '.join(map(str, self.bands))} names a band twice: name each once")


@dataclass(frozen=True, kw_only=True)
class Encoding(Config):
    """How the numbers in one domain's files become a network's input, or are computed from its output.

    Its images are arrays of any number of channels, none of which is transparency, and no colour profile applies.
    """

    values: tuple[float, float] | None = None
    """Values that are mapped to the two ends of the network's range; default: the full range of the integers."""
    bands: tuple[Band, ...] = ()
    """Channels of the files that are used, counted from 1; default: all."""
    dtype: NumberType = "uint8"
    """Number type of the files, and of what is written."""
    labels: Annotated[int, Ge(0)] = 0
    """Number of classes, where the images hold class ids; 0 where they do not."""

    def __post_init__(self) -> None:
        check_values(self.values)


def check_values(values: tuple[float, float] | None) -> None:
    """Refuse a range that is empty or the wrong way round.

    Raises:
        ConfigError: the first value is not below the second.
    """
    if values is not None and not values[0] < values[1]:
        raise ConfigError(f"--values {values[0]:g} {values[1]:g}: the first must be smaller than the second")
