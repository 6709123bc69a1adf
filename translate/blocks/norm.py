"""Normalisation by name.

Instance norm (Ulyanov et al., 2016) is the default: without affine parameters or running statistics, as in CycleGAN,
so that training and inference are the same computation. ``instance-affine`` learns a scale and a shift of each channel
as well: what batch norm computes of one image, by that image's own statistics. Batch norm keeps running statistics for
inference. Group norm (Wu and He, 2018) has at most 32 groups.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from translate.config.networks import Norm

NormLayer = Callable[[int], nn.Module]


class InstanceNorm2d(nn.InstanceNorm2d):
    """Instance norm of [N, C, H, W] without running statistics.

    On a CPU it is computed as group norm with a group for each channel, which is the same and up to twice as fast. It
    is also right: for one image, PyTorch's instance norm (2.14 and 2.15) returns a wrong gradient where the gradient
    that comes in has its channels last in memory, as enlarging leaves it.
    """

    def forward(self, x: Tensor) -> Tensor:
        x = _from_first_value(x, groups=self.num_features, training=self.training)
        # An exported graph keeps instance norm, which ONNX knows. A single pixel is refused by PyTorch's own.
        if x.device.type == "cpu" and not torch.compiler.is_exporting() and x.shape[2:].numel() > 1:
            return F.group_norm(x, self.num_features, self.weight, self.bias, self.eps)
        return super().forward(x)


class GroupNorm(nn.GroupNorm):
    """Group norm of [N, C, H, W].

    On a CPU PyTorch (2.14) takes the variance of what has its channels last in memory as a difference of two large
    sums: of values around 10 with a deviation of 0.1 the output is off by 0.06 at 64 px, of a flat channel it is noise.
    """

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(_from_first_value(x, groups=self.num_groups, training=self.training))


def _from_first_value(x: Tensor, *, groups: int, training: bool) -> Tensor:
    """Take the first value of each group from all of it, where the CPU or ONNX will normalise it for use: contiguous.

    It changes no result but for rounding: what is flat is 0 from now on. Else what rounding leaves of it is divided by
    next to nothing, in every layer again, and an image of one colour, or one pixel, becomes noise; another one by
    onnxruntime than by PyTorch. And onnxruntime's mean of many large values has few digits. In training it would cost
    time, and steps are those that were published.
    """
    if x.device.type != "cpu":
        return x
    if training:
        return x.contiguous()
    first = x[..., :1, :1]  # [N, C, 1, 1]
    if (each := x.shape[1] // groups) > 1:
        first = first.index_select(1, torch.arange(x.shape[1]) // each * each)
    return (x - first).contiguous()  # [N, C, H, W]


def _group_norm(channels: int) -> nn.GroupNorm:
    return GroupNorm(math.gcd(channels, 32), channels)


_LAYERS: dict[Norm, NormLayer] = {
    "instance": InstanceNorm2d,
    "instance-affine": partial(InstanceNorm2d, affine=True),
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
