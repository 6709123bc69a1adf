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

from translate.blocks.precision import at_least_float32
from translate.config.networks import Norm

NormLayer = Callable[[int], nn.Module]
LOCAL: frozenset[Norm] = frozenset({"batch", "none"})
"""What takes no statistics of the image, in evaluation mode."""
VALUES_AT_ONCE = 2**19
"""Values that a CPU normalises at a time, 2 MiB: larger maps leave its cache, smaller ones are more calls."""
BLOCK_ROWS = 8
"""Strips of large images have a multiple of so many rows (`block_moments`)."""
TINY = 1e-30  # keeps the variance of a flat block from a division by 0


class InstanceNorm2d(nn.InstanceNorm2d):
    """Instance norm of [N, C, H, W] without running statistics.

    On a CPU it is computed as group norm with a group for each channel, which is the same and up to twice as fast. It
    is also right: for one image, PyTorch's instance norm (2.14 and 2.15) returns a wrong gradient where the gradient
    that comes in has its channels last in memory, as enlarging leaves it.
    """

    def forward(self, x: Tensor) -> Tensor:
        if torch.compiler.is_exporting():  # by `torch.export`, for any size: no size may decide
            return super().forward(row_major(x - first_values(x, groups=self.num_features)))
        if x.device.type == "cpu" and x.shape[2:].numel() > 1:  # a single pixel is refused by PyTorch's own
            if not torch.is_grad_enabled():
                return _normalised(x, self, groups=self.num_features)
            return F.group_norm(row_major(x), self.num_features, self.weight, self.bias, self.eps)
        return super().forward(x)


class GroupNorm(nn.GroupNorm):
    """Group norm of [N, C, H, W].

    On a CPU PyTorch (2.14) takes the variance of what has its channels last in memory as a difference of two large
    sums: of values around 10 with a deviation of 0.1 the output is off by 0.06 at 64 px, of a flat channel it is noise.
    """

    def forward(self, x: Tensor) -> Tensor:
        if torch.compiler.is_exporting():
            return super().forward(row_major(x - first_values(x, groups=self.num_groups)))
        if x.device.type == "cpu" and not torch.is_grad_enabled():
            return _normalised(x, self, groups=self.num_groups)
        return super().forward(row_major(x) if x.device.type == "cpu" else x)


def row_major(x: Tensor) -> Tensor:
    """The same [N, C, H, W], contiguous, and with the strides of that even where C is 1.

    Of a single channel `contiguous` leaves the strides as they are, and by those PyTorch (2.14) takes it for one whose
    channels are last in memory, with the variance that `GroupNorm` avoids.
    """
    return x.contiguous().flatten().view(x.shape)


def first_values(x: Tensor, *, groups: int) -> Tensor:
    """The first value of the group of each channel: [N, C, H, W] -> [N, C, 1, 1]."""
    first = x[..., :1, :1]
    if (each := x.shape[1] // groups) > 1:
        first = first.index_select(1, torch.arange(x.shape[1], device=x.device) // each * each)
    return first


def from_first(x: Tensor, first: Tensor, *, as_batch: bool = False) -> Tensor:
    """``x - first`` as a norm takes it: `row_major`, in float32 at least, since bf16 would round the difference.

    Taking the first value from all of a group changes no result but for rounding: what is flat is 0 from now on. Else
    what rounding leaves of it is divided by next to nothing, in every layer again, and an image of one colour, or one
    pixel, becomes noise. In training it would cost time, and steps are those that were published.

    Args:
        x: [N, C, H, W].
        first: Of `first_values`.
        as_batch: Whether `by_moments` takes it: in its own type, with channels last in memory.
    """
    if as_batch:
        return (x - first).contiguous(memory_format=torch.channels_last)
    return row_major(at_least_float32(x) - first)


def block_of(height: int) -> int:
    """Rows of a map that `block_moments` takes together, of a map so high."""
    return next(rows for rows in (BLOCK_ROWS, 4, 2, 1) if height % rows == 0)


def block_moments(x: Tensor, *, block: int) -> Tensor:
    """Mean and variance of each block of rows of each channel: [N, C, H, W] -> float32 or 64 [2, N, C, B].

    A block's do not depend on the others: statistics of an image are the same to the last bit whatever its strips are,
    which have whole blocks. In bf16 the least difference would round the next layer's input otherwise; in float32 it
    stays as small, and the whole image is normalised by PyTorch's group norm, which is faster.

    Args:
        x: From `from_first`.
        block: Of `block_of` the whole map's height. Where blocks are not faster, each is one row.
    """
    if x.device.type == "cpu" and x.is_contiguous():
        count, channels, height, width = x.shape
        blocks = channels * height // block
        x = x.view(count, blocks, block * width)
        _, mean, factor = torch.native_group_norm(x, None, None, count, blocks, block * width, blocks, TINY)
        return torch.stack([mean, factor**-2 - TINY]).view(2, count, channels, -1)
    mean = x.mean(dim=3, dtype=torch.promote_types(x.dtype, torch.float32))
    apart = x - mean[..., None]
    if x.stride(1) == 1 and x.shape[1] > 1:  # channels last in memory, where a norm along rows is slow
        return torch.stack([mean, apart.square_().mean(dim=3)])
    return torch.stack([mean, torch.linalg.vector_norm(apart, dim=3).square_() / x.shape[3]])


def moments(blocks: Tensor, *, groups: int) -> tuple[Tensor, Tensor]:
    """Mean and variance of each channel's group, of the `block_moments` of all of a map.

    [2, N, C, B] -> [N, C, 1, 1] each, float64 where there is such.
    """
    wide = torch.float32 if blocks.device.type == "mps" else torch.float64
    each = blocks.shape[2] // groups
    means, variances = blocks.to(wide).view(2, blocks.shape[1], groups, 1, -1)  # [N, G, 1, C / G * B] each
    apart, mean = torch.var_mean(means, dim=3, correction=0, keepdim=True)  # [N, G, 1, 1] each
    variance = variances.mean(dim=3, keepdim=True).add_(apart)
    return (mean, variance) if each == 1 else (mean.repeat_interleave(each, 1), variance.repeat_interleave(each, 1))


def factors(
    mean: Tensor, variance: Tensor, *, epsilon: float, weight: Tensor | None, bias: Tensor | None
) -> tuple[Tensor, Tensor]:
    """What normalising multiplies by and then adds, with a weight and bias [C] or none; as `moments`, its input."""
    factor = (variance + epsilon).rsqrt_()
    if weight is not None:
        factor = factor * weight.to(factor.dtype)[:, None, None]
    added = (mean * factor).neg_()
    if bias is not None:
        added = added + bias.to(added.dtype)[:, None, None]
    return factor, added


def by_moments(x: Tensor, mean: Tensor, variance: Tensor, weight: Tensor, bias: Tensor, *, epsilon: float) -> Tensor:
    """Normalise [1, C, H, W] in its own type, as a batch norm: in one go, and with channels last in memory."""
    mean, variance = (one.flatten().to(x.device, torch.float32) for one in (mean, variance))
    return F.batch_norm(x, mean, variance, weight, bias, training=False, eps=epsilon)


def _normalised(x: Tensor, norm: nn.InstanceNorm2d | nn.GroupNorm, *, groups: int) -> Tensor:
    """Normalise [N, C, H, W] on a CPU by its own statistics, from first values on; nothing is learned from it.

    Some images or channels at a time, which stay in the processor's cache: one map is written to memory, and not five.
    """
    count, channels, height, width = x.shape
    each = channels // groups
    # As many whole samples as fit, or as many groups of channels of one sample.
    samples = max(1, VALUES_AT_ONCE // max(1, channels * height * width))
    step = each * max(1, VALUES_AT_ONCE // max(1, each * height * width))
    if torch.compiler.is_compiling() or (samples >= count and step >= channels):
        return _normalised_at_once(x, norm.weight, norm.bias, groups=groups, epsilon=norm.eps)
    out = torch.empty(x.shape, dtype=dtype_of_norm(x), device=x.device)
    for first in range(0, count, samples):
        for low in range(0, channels, step):
            weight, bias = (None if one is None else one[low : low + step] for one in (norm.weight, norm.bias))
            part = slice(first, first + samples), slice(low, low + step)
            values = x[part]
            out[part] = _normalised_at_once(values, weight, bias, groups=values.shape[1] // each, epsilon=norm.eps)
    return out


def _normalised_at_once(
    x: Tensor, weight: Tensor | None, bias: Tensor | None, *, groups: int, epsilon: float
) -> Tensor:
    values = from_first(x, first_values(x, groups=groups))
    if x.dtype == values.dtype:  # float32 or 64, where the bits do not matter that `block_moments` keeps
        weight, bias = (None if one is None else one.to(x.dtype) for one in (weight, bias))
        return torch.group_norm(values, groups, weight, bias, epsilon)
    mean, variance = moments(block_moments(values, block=block_of(x.shape[2])), groups=groups)
    factor, added = factors(mean, variance, epsilon=epsilon, weight=weight, bias=bias)
    return scaled(values, factor, added).to(dtype_of_norm(x))


def scaled(x: Tensor, factor: Tensor, added: Tensor) -> Tensor:
    """``x * factor + added``, of float32 or 64 [N, C, H, W] and `factors`: x, overwritten."""
    return x.mul_(factor.to(x)).add_(added.to(x))


def dtype_of_norm(x: Tensor) -> torch.dtype:
    """What PyTorch's norms make of x: with autocast, float32 at least."""
    kind = x.device.type
    mixed = torch.amp.is_autocast_available(kind) and torch.is_autocast_enabled(kind)
    return torch.promote_types(x.dtype, torch.float32) if mixed else x.dtype


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
