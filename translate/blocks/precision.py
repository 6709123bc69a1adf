"""The precision of what half types do badly.

Losses and statistics square, exponentiate and average: a bf16 mean over a patch map keeps two or three digits. Autocast
lowers matrix products and convolutions only, so what is element-wise needs nothing but its inputs raised; losses that
convolve or call a network also switch autocast off.
"""

import torch
from torch import Tensor


def at_least_float32(tensor: Tensor) -> Tensor:
    """Raise half types (and integers) to float32; leave float32 and float64 as they are."""
    return tensor if tensor.dtype in (torch.float32, torch.float64) else tensor.float()
