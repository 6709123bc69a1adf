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
LOCAL: frozenset[Norm] = frozenset({"batch", "none"})
"""What takes no statistics of the image, in evaluation mode."""


class InstanceNorm2d(nn.InstanceNorm2d):
    """Instance norm of [N, C, H, W] without running statistics.

    On a CPU it is computed as group norm with a group for each channel, which is the same and up to twice as fast. It
    is also right: for one image, PyTorch's instance norm (2.14 and 2.15) returns a wrong gradient where the gradient
    that comes in has its channels last in memory, as enlarging leaves it.
    """

    def forward(self, x: Tensor) -> Tensor:
        x = _from_first_value(x, groups=self.num_features)
        # An exported graph keeps instance norm, which ONNX knows. A single pixel is refused by PyTorch's own.
        if x.device.type == "cpu" and not torch.compiler.is_exporting() and x.shape[2:].numel() > 1:
            if not torch.is_grad_enabled():
                return _normalised(x, self, groups=self.num_features)
            return F.group_norm(x, self.num_features, self.weight, self.bias, self.eps)
        return super().forward(x)


class GroupNorm(nn.GroupNorm):
    """Group norm of [N, C, H, W].

    On a CPU PyTorch (2.14) takes the variance of what has its channels last in memory as a difference of two large
    sums: of values around 10 with a deviation of 0.1 the output is off by 0.06 at 64 px, of a flat channel it is noise.
    """

    def forward(self, x: Tensor) -> Tensor:
        x = _from_first_value(x, groups=self.num_groups)
        if x.device.type == "cpu" and not torch.is_grad_enabled() and not torch.compiler.is_exporting():
            return _normalised(x, self, groups=self.num_groups)
        return super().forward(x)


def _from_first_value(x: Tensor, *, groups: int) -> Tensor:
    """Take the first value of each group from all of it, where the CPU or ONNX will normalise it for use: contiguous.

    It changes no result but for rounding: what is flat is 0 from now on. Else what rounding leaves of it is divided by
    next to nothing, in every layer again, and an image of one colour, or one pixel, becomes noise; another one by
    onnxruntime than by PyTorch. And onnxruntime's mean of many large values has few digits. In training it would cost
    time, and steps are those that were published.
    """
    if x.device.type != "cpu":
        return x
    if torch.is_grad_enabled() and not torch.compiler.is_exporting():
        return x.contiguous()
    return (x - first_values(x, groups=groups)).contiguous()  # [N, C, H, W]


def first_values(x: Tensor, *, groups: int) -> Tensor:
    """The first value of the group of each channel: [N, C, H, W] -> [N, C, 1, 1]."""
    first = x[..., :1, :1]
    if (each := x.shape[1] // groups) > 1:
        first = first.index_select(1, torch.arange(x.shape[1], device=x.device) // each * each)
    return first


def row_moments(x: Tensor) -> Tensor:
    """Mean and variance of each row of each channel: [N, C, H, W] -> float32 or 64 [2, N, C, H].

    A row's do not depend on the others: statistics of an image are the same to the last bit however it was parted.
    """
    mean = x.mean(dim=3, dtype=torch.promote_types(x.dtype, torch.float32))
    apart = x - mean[..., None]
    if x.stride(1) == 1 and x.shape[1] > 1:  # channels last in memory, where a norm along rows is slow
        return torch.stack([mean, apart.square_().mean(dim=3)])
    return torch.stack([mean, torch.linalg.vector_norm(apart, dim=3).square_() / x.shape[3]])


def moments(rows: Tensor, *, groups: int) -> tuple[Tensor, Tensor]:
    """Mean and variance of each channel's group, of the `row_moments` of all rows.

    [2, N, C, H] -> [N, C, 1, 1] each, float64 where there is such.
    """
    wide = torch.float32 if rows.device.type == "mps" else torch.float64
    means, variances = rows.to(wide).unflatten(2, (groups, -1)).flatten(3)  # [N, G, C / G * H] each
    mean = means.mean(dim=2)
    variance = variances.mean(dim=2) + (means - mean[..., None]).square_().mean(dim=2)
    each = rows.shape[2] // groups
    mean, variance = (one.repeat_interleave(each, dim=1)[..., None, None] for one in (mean, variance))
    return mean, variance


def factors(
    mean: Tensor, variance: Tensor, *, epsilon: float, weight: Tensor | None, bias: Tensor | None
) -> tuple[Tensor, Tensor]:
    """What normalising multiplies by and then adds, with a weight and bias [C] or none; as `moments`, its input."""
    factor = (variance + epsilon).rsqrt_()
    if weight is not None:
        factor = factor * weight.to(factor.dtype)[:, None, None]
    added = -mean * factor
    if bias is not None:
        added = added + bias.to(added.dtype)[:, None, None]
    return factor, added


def by_moments(x: Tensor, mean: Tensor, variance: Tensor, weight: Tensor, bias: Tensor, *, epsilon: float) -> Tensor:
    """Normalise [1, C, H, W] in its own type, as a batch norm: in one go, and with channels last in memory."""
    mean, variance = (one.flatten().to(x.device, torch.float32) for one in (mean, variance))
    return F.batch_norm(x, mean, variance, weight, bias, training=False, eps=epsilon)


def _normalised(x: Tensor, norm: nn.InstanceNorm2d | nn.GroupNorm, *, groups: int) -> Tensor:
    """Normalise [N, C, H, W] by its own statistics; nothing is learned from it."""
    mean, variance = moments(row_moments(x), groups=groups)
    return scaled(x, *factors(mean, variance, epsilon=norm.eps, weight=norm.weight, bias=norm.bias))


def scaled(x: Tensor, factor: Tensor, added: Tensor) -> Tensor:
    """``x * factor + added`` in the type that a norm's output has: [N, C, H, W] and `factors`; x may be overwritten."""
    values = x.to(torch.promote_types(x.dtype, torch.float32))
    kind = x.device.type
    mixed = torch.amp.is_autocast_available(kind) and torch.is_autocast_enabled(kind)
    torch.addcmul(added.to(values), values, factor.to(values), out=values)
    return values if mixed else values.to(x.dtype)


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
