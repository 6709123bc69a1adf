"""Random numbers that are a function of a key: the same for a sample in whichever process or part of a batch it is.

A generator gives numbers in the order in which they are asked for, so two processes with half a batch each would draw
others than one with the whole. Here each sample has a key, which is hashed with the number of the value by the mixing
function of SplitMix64 (Steele et al., 2014), on the device and without waiting for it.

Shapes: N samples.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

_STEP = -0x61C8864680B583EB  # the golden ratio in 64 bits, as a signed number
_FIRST, _SECOND = -0x40A7B892E31B1A47, -0x6B2FB644ECCEEE15


def _shifted(x: Tensor, bits: int) -> Tensor:
    """To the right, zeros from the left."""
    return (x >> bits) & ((1 << (64 - bits)) - 1)


def _wrapped(number: int) -> int:
    """As 64 bits with a sign."""
    return (number + 2**63) % 2**64 - 2**63


def _mixed(x: Tensor) -> Tensor:
    """int64 to int64, all bits depending on all; products wrap around."""
    x = (x ^ _shifted(x, 30)) * _FIRST
    x = (x ^ _shifted(x, 27)) * _SECOND
    return x ^ _shifted(x, 31)


def sample_keys(first: int, count: int, *, seed: int, device: torch.device | str = "cpu") -> Tensor:
    """Keys of samples `first` to ``first + count`` of a run: int64 [N]."""
    positions = torch.arange(first, first + count, device=device)
    return _mixed(positions * _STEP + _mixed(torch.full((), seed, dtype=torch.int64, device=device)))


def keyed_uniform(keys: Tensor, *shape: int, stream: int = 0) -> Tensor:
    """Numbers between 0 and 1, float32 [N, *shape].

    Args:
        keys: int64 [N].
        shape: Of each sample.
        stream: Another gives others, unrelated to these.
    """
    count = math.prod(shape)
    places = torch.arange(1, count + 1, device=keys.device) * _STEP
    values = _mixed(_mixed(keys + _wrapped(stream * _FIRST))[:, None] + places)
    # The 23 upper bits, in the middle of their step: with the half they are the 24 that float32 holds. Neither 0 nor 1
    # is drawn.
    return ((_shifted(values, 41).float() + 0.5) * 2.0**-23).view(len(keys), *shape)


def keyed_normal(keys: Tensor, *shape: int, stream: int = 0) -> Tensor:
    """Standard normal numbers, float32 [N, *shape]; as `keyed_uniform`."""
    return torch.erfinv(2 * keyed_uniform(keys, *shape, stream=stream) - 1) * 2**0.5
