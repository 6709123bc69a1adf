"""The layers whose graph would depend on the size of the image, written in ONNX's own operators.

PyTorch's exporter takes sizes for symbols and derives every other one from them, which is most of its time for a
deep U-Net. With these layers as operators whose sizes follow from what comes in, nothing in a generator's graph depends
on the size at which it was traced. Shapes: N batch, C channels, H height, W width.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from translate.blocks.norm import GroupNorm, InstanceNorm2d, first_values
from translate.blocks.resample import Enlarge
from translate.networks.efficientnet import SamePadding


def operator(
    name: str,
    *inputs: Tensor | None,
    shape: tuple[int, ...] | torch.Size,
    dtype: torch.dtype = torch.float32,
    **attributes: Any,
) -> Tensor:
    """An ONNX operator as a part of what is traced; it computes nothing.

    Args:
        name: Of the operator.
        inputs: Of the operator; None for one that is left out.
        shape: Of its output, at the size that is traced.
        dtype: Of its output.
        attributes: Of the operator.
    """
    return torch.onnx.ops.symbolic(name, inputs, attributes, dtype=dtype, shape=shape)


@contextmanager
def as_operators(network: nn.Module) -> Iterator[None]:
    """Within it, the layers of a network that depend on sizes are ONNX's operators; it can be traced, not run."""
    with ExitStack() as stack:
        for module in network.modules():
            if (write := _WRITTEN.get(type(module))) is not None:
                module.forward = partial(write, module)
                stack.callback(delattr, module, "forward")
        yield


def _enlarged(layer: Enlarge, x: Tensor) -> Tensor:
    count, channels, height, width = x.shape
    shape, factors = (count, channels, 2 * height, 2 * width), torch.tensor([1.0, 1.0, 2.0, 2.0])
    places = "half_pixel" if layer.mode == "bilinear" else "asymmetric"
    mode = "linear" if layer.mode == "bilinear" else "nearest"
    placed: dict[str, Any] = {"mode": mode, "coordinate_transformation_mode": places, "nearest_mode": "floor"}
    return operator("Resize", x, None, factors, shape=shape, **placed)


def _instance_norm(layer: InstanceNorm2d, x: Tensor) -> Tensor:
    x = x - first_values(x, groups=layer.num_features)
    weight = torch.ones(layer.num_features) if layer.weight is None else layer.weight
    bias = torch.zeros(layer.num_features) if layer.bias is None else layer.bias
    return operator("InstanceNormalization", x, weight, bias, shape=x.shape, epsilon=layer.eps)


def _group_norm(layer: GroupNorm, x: Tensor) -> Tensor:
    """As instance norm of the channels of a group below each other: of [N, G, C / G * H, W]."""
    groups = layer.num_groups
    x = x - first_values(x, groups=groups)
    count, channels, height, width = x.shape
    below = count, groups, channels // groups * height, width
    weight, bias = torch.ones(groups), torch.zeros(groups)
    # To ONNX, 0 is the size that comes in, and -1 what is left.
    grouped = operator("Reshape", x, torch.tensor([0, groups, -1, 0]), shape=below)
    grouped = operator("InstanceNormalization", grouped, weight, bias, shape=below, epsilon=layer.eps)
    x = operator("Reshape", grouped, torch.tensor([0, channels, -1, 0]), shape=x.shape)
    return x * layer.weight[:, None, None] + layer.bias[:, None, None]


def _packed(layer: nn.PixelUnshuffle, x: Tensor) -> Tensor:
    count, channels, height, width = x.shape
    side = layer.downscale_factor
    shape = count, channels * side**2, height // side, width // side
    x = operator("SpaceToDepth", x, shape=shape, blocksize=side)
    # ONNX has the channels of an image together, PyTorch the pixels of a channel.
    order = torch.arange(shape[1]).view(side**2, channels).t().flatten()
    return x.index_select(1, order)


def _same(layer: SamePadding, x: Tensor) -> Tensor:
    """Padded as odd sizes are; where a size is even, the first row or column is cut off again."""
    padded = layer.padded(x, above=layer.border, left=layer.border)
    if layer.stride == 1:
        return padded
    sizes = operator("Shape", x, shape=(2,), dtype=torch.int64, start=2, end=4)
    two, one = torch.tensor([2]), torch.tensor([1])
    odd = operator("Mod", sizes, two, shape=(2,), dtype=torch.int64)
    first = operator("Sub", one, odd, shape=(2,), dtype=torch.int64)
    last, axes = torch.tensor([torch.iinfo(torch.int64).max] * 2), torch.tensor([2, 3])
    count, channels, height, width = padded.shape
    shape = count, channels, height - 1 + x.shape[2] % 2, width - 1 + x.shape[3] % 2
    return operator("Slice", padded, first, last, axes, shape=shape)


_WRITTEN: dict[type[nn.Module], Callable[[Any, Tensor], Tensor]] = {
    Enlarge: _enlarged,
    InstanceNorm2d: _instance_norm,
    GroupNorm: _group_norm,
    nn.PixelUnshuffle: _packed,
    SamePadding: _same,
}
