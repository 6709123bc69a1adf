"""Convolutions in fp32 on one thread of a CPU, by algorithms that PyTorch has and does not choose.

oneDNN, which PyTorch takes for every convolution, multiplies directly. NNPACK, which its wheels for Linux and macOS
hold as well, transforms tiles of the image (Winograd's algorithm; Fourier's for large kernels), so that a 3x3
convolution needs a fifth of the products. The conditions below are those under which that gained on a CPU with AVX2 but
no AVX-512 (`python -m scripts.benchmarks.convolutions`). It is used on one thread only: NNPACK has a thread pool of its
own, which competes with OpenMP's for the cores, and on two threads it was slower.

The result differs by what rounding leaves, at most 1e-4 of outputs of a deviation of 1; cuDNN takes the same algorithms
on GPUs.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from translate.blocks.inference import in_inference

LEAST_CHANNELS, LEAST_CHANNELS_3 = 16, 96
"""Of the input, and for 3x3 kernels of the output as well: with fewer, the transforms cost more than they save."""
LEAST_PIXELS = 48**2
"""Of the input, for the same reason."""
KERNELS = range(3, 17)
"""Sides that NNPACK takes."""


class Conv2d(nn.Conv2d):
    """As PyTorch's, and faster in inference mode where this module knows a way."""

    def forward(self, x: Tensor) -> Tensor:
        if in_inference() and self._suits_nnpack(x):
            padding: Any = self.padding
            if self.padding_mode != "zeros":
                x, padding = F.pad(x, self._reversed_padding_repeated_twice, mode=self.padding_mode), (0, 0)
            parts = [torch._nnpack_spatial_convolution(one, self.weight, self.bias, padding) for one in x.split(1)]
            return parts[0] if len(parts) == 1 else torch.cat(parts)
        return super().forward(x)

    def _suits_nnpack(self, x: Tensor) -> bool:
        tall, wide = self.kernel_size
        plain = self.groups == 1 and self.stride == (1, 1) == self.dilation and isinstance(self.padding, tuple)
        if not plain or tall not in KERNELS or wide not in KERNELS:
            return False
        fewest = min(self.in_channels, self.out_channels) if tall == wide == 3 else self.in_channels
        if fewest < (LEAST_CHANNELS_3 if tall == wide == 3 else LEAST_CHANNELS):
            return False
        return (
            x.dim() == 4
            and x.shape[2] * x.shape[3] >= LEAST_PIXELS
            and x.dtype == self.weight.dtype == torch.float32
            and x.device.type == "cpu"
            and not torch.is_autocast_enabled("cpu")
            and torch.get_num_threads() == 1
            and has_nnpack()
        )


@cache
def has_nnpack() -> bool:
    """Whether NNPACK is there and gains on this CPU. Asking PyTorch also makes it ready: without, its calls fail."""
    backend = getattr(torch.backends, "nnpack", None)
    able = backend is not None and hasattr(torch, "_nnpack_spatial_convolution") and backend.is_available()
    return bool(able) and torch.backends.cpu.get_cpu_capability() == "AVX2"
