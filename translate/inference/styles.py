"""Named styles: which code a name, a mixture and a strength stand for."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import TYPE_CHECKING

from translate.config.base import ConfigError
from translate.config.style_transfer import MOST_STRENGTH

if TYPE_CHECKING:
    from torch import Tensor


def parse_mixture(text: str) -> dict[str, float]:
    """``"starry-night"`` or ``"starry-night:0.6,red-fuji:0.4"`` as weights by name; without one it is 1.

    Raises:
        ConfigError: a weight that is no number of 0 or more, or a style that is named twice.
    """
    found: dict[str, float] = {}
    for part in text.split(","):
        name, given, weight = part.strip().rpartition(":")
        name, weight = (name, weight) if given else (weight, "1")
        try:
            number = float(weight)
        except ValueError:
            number = math.nan
        if not name or not 0 <= number < math.inf:
            raise ConfigError(
                f"--style {text}: {part.strip()!r} is not a style and weight: write NAME, or NAME:0.6,NAME:0.4"
            )
        if name in found:
            raise ConfigError(f"--style {text}: {name} is given twice: give it once")
        found[name] = number
    return found


def shares_of(names: Sequence[str], mixture: str | Mapping[str, float]) -> list[float]:
    """The share of each named style in a mixture, from 0 to 1; together they are 1.

    Args:
        names: Of the styles that there are.
        mixture: A style, or weights by name; their sum does not matter.

    Raises:
        ConfigError: a style that there is not, or weights of 0.
    """
    weights = {mixture: 1.0} if isinstance(mixture, str) else dict(mixture)
    for name in weights:
        if name not in names:
            close = get_close_matches(name, names, n=1)
            hint = f"did you mean {close[0]}?" if close else f"choose from {', '.join(names)}"
            raise ConfigError(f"there is no style {name!r}: {hint}")
    total = sum(weights.values())
    if not total > 0 or min(weights.values()) < 0:
        raise ConfigError("style weights must be 0 or more, and at least one above 0")
    return [weights.get(name, 0.0) / total for name in names]


def mixed_code(
    codes: Tensor, names: Sequence[str], mixture: str | Mapping[str, float], *, strength: float = 1.0
) -> Tensor:
    """The code of a style, or of several in proportion to their weights: [1, D].

    Args:
        codes: [K, D].
        names: K of them.
        mixture: As of `shares_of`.
        strength: 1 as learned; 0 leaves the image as it is, as far as the network can.

    Raises:
        ConfigError: as `shares_of`, or a strength out of range.
    """
    shares = shares_of(names, mixture)
    check_strength(strength)
    return strength * (codes.new_tensor(shares)[None] @ codes)


def check_strength(strength: float) -> None:
    """Refuse what is out of range.

    Raises:
        ConfigError: it is.
    """
    if not 0 <= strength <= MOST_STRENGTH:
        raise ConfigError(f"the strength must be 0 to {MOST_STRENGTH}, not {strength:g}: 1 is the style as trained")
