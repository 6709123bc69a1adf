"""What weights are, for people: ``translate info``."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from translate.checkpoint.files import stored_dtype, weights_file
from translate.config.networks import NetworkConfig
from translate.config.weights import WeightsConfig
from translate.inference.library import open_network
from translate.inference.onnx import OnnxNetwork
from translate.inference.onnx_file import is_onnx
from translate.networks import PatchDetector, blank_network, build_network, example_inputs


@dataclass(frozen=True, kw_only=True)
class Description:
    """What a file of weights holds.

    Attributes:
        parameters: Values that were learned, here or by those who pretrained a part; of a detector all that it keeps.
        flops: Of one forward pass at the training size; a multiply and an add are two.
        dtype: Of the stored tensors.
        sides: Of an ONNX file, what the sides of images must be multiples of, and the least; 1 and 1 where any will do.
    """

    file: Path
    config: WeightsConfig
    file_bytes: int
    dtype: str
    parameters: int
    flops: int
    sides: tuple[int, int] | None = None


class _Counter(TorchFunctionMode):
    """Counts the floating-point operations of matrix products and convolutions; a product and its sum are two.

    PyTorch's own counter comes to the same, but imports its compiler, which takes longer than most passes.
    """

    def __init__(self) -> None:
        super().__init__()
        self.total = 0

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        if func in _CONVOLUTIONS:
            self.total += 2 * made.numel() * math.prod(args[1].shape[1:])
        elif func in _TRANSPOSED:
            self.total += 2 * args[0].numel() * math.prod(args[1].shape[1:])
        elif func in _PRODUCTS:
            self.total += 2 * made.numel() * args[0].shape[-1]
        elif func is F.scaled_dot_product_attention:
            query, keys, values = args[:3]
            self.total += 2 * query[..., :1].numel() * keys.shape[-2] * (query.shape[-1] + values.shape[-1])
        return made


_CONVOLUTIONS = {F.conv1d, F.conv2d, F.conv3d}
_TRANSPOSED = {F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d}
_PRODUCTS = {F.linear, torch.matmul, torch.mm, torch.bmm, Tensor.matmul, Tensor.__matmul__, Tensor.mm, Tensor.bmm}


COMPUTED_PIXELS = 512**2
"""Of an image that is computed for its operations: a larger one would take seconds and gigabytes."""


def count_flops(network: nn.Module, config: NetworkConfig, *, height: int, width: int) -> int:
    """Floating-point operations of one forward pass for one image, counted while it is computed.

    Those of a large image are counted on the meta device, where nothing is computed.
    """
    device = "cpu"
    if height * width > COMPUTED_PIXELS:
        device, network = "meta", blank_network(config).eval()
    generator = torch.Generator().manual_seed(0)
    given = [one.to(device) for one in example_inputs(config, height=height, width=width, generator=generator)]
    with _Counter() as counter, torch.no_grad():  # in inference mode, NNPACK may take convolutions that are not seen
        network(*given)
    return counter.total


def describe(path: Path) -> Description:
    """Open a file of weights and count.

    Raises:
        WeightsError: as `open_network`.
    """
    file = weights_file(path)
    opened, config = open_network(file)
    network = build_network(config.network).eval() if isinstance(opened, OnnxNetwork) else opened
    parameters = sum(parameter.numel() for parameter in network.parameters())
    if isinstance(network, PatchDetector):
        parameters = sum(tensor.numel() for tensor in network.state_dict().values())
    step = getattr(network, "stride", 1)
    side = -(-config.preprocessing.size // step) * step
    flops = count_flops(network, config.network, height=side, width=side)
    return Description(
        file=file,
        config=config,
        file_bytes=file.stat().st_size,
        dtype="fp32" if is_onnx(file) else stored_dtype(file),
        parameters=parameters,
        flops=flops,
        sides=(opened.stride, opened.minimum_size) if isinstance(opened, OnnxNetwork) else None,
    )
