"""Normalisation by name.

Instance norm (Ulyanov et al., 2016) is the default: without affine parameters or running statistics, as in CycleGAN,
so that training and inference are the same computation. Batch norm keeps running statistics for inference. Group
norm (Wu and He, 2018) has at most 32 groups.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from torch import nn

from translate.config.networks import Norm

NormLayer = Callable[[int], nn.Module]


def _group_norm(channels: int) -> nn.GroupNorm:
    return nn.GroupNorm(math.gcd(channels, 32), channels)


_LAYERS: dict[Norm, NormLayer] = {
    "instance": nn.InstanceNorm2d,
    "batch": nn.BatchNorm2d,
    "group": _group_norm,
    "none": lambda channels: nn.Identity(),
}


def norm_layer(kind: Norm) -> NormLayer:
    """The constructor of a normalisation: called with the number of channels.

    Raises:
        ValueError: an unknown name.
    """
    if kind not in _LAYERS:
        raise ValueError(f"norm '{kind}' is unknown: choose one of {', '.join(_LAYERS)}")
    return _LAYERS[kind]
