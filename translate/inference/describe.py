"""What weights are, for people: ``translate info``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from translate.checkpoint.weights import stored_dtype, weights_file
from translate.config.networks import NetworkConfig
from translate.config.weights import WeightsConfig
from translate.inference.library import open_network
from translate.inference.onnx import OnnxNetwork, is_onnx
from translate.networks import PatchDetector, build_network, example_inputs


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


def count_flops(network: nn.Module, config: NetworkConfig, *, height: int, width: int) -> int:
    """Floating-point operations of one forward pass for one image, counted by PyTorch without computing anything."""
    from torch.utils.flop_counter import FlopCounterMode

    with torch.device("meta"):
        given = example_inputs(config, height=height, width=width)
    shadow = network.to("meta").requires_grad_(False)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        shadow(*given)
    return counter.get_total_flops()


def describe(path: Path) -> Description:
    """Open a file of weights and count.

    Raises:
        WeightsError: as `open_network`.
    """
    file = weights_file(path)
    opened, config = open_network(file)
    with torch.device("meta"):
        network = build_network(config.network)
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
