"""Inference mode: activations and sums in place, of values that nobody else holds."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def in_inference() -> bool:
    """Whether inference mode is on, and nothing is being exported or compiled."""
    if torch.compiler.is_exporting() or torch.compiler.is_compiling():
        return False
    # Asked last: while it exports, PyTorch (2.14) loses a dynamic batch to the question for inference mode.
    return torch.is_inference_mode_enabled()


def activated(x: Tensor, activation: nn.Module) -> Tensor:
    """What an activation makes of a value that nobody else holds: a ReLU in place, in inference mode."""
    return x.relu_() if isinstance(activation, nn.ReLU) and in_inference() else activation(x)


def added(x: Tensor, change: Tensor) -> Tensor:
    """``x + change``, of one type, shape and device: in inference mode into `change`, which nobody else holds."""
    return change.add_(x) if in_inference() and change.dtype == x.dtype else x + change
