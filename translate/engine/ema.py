"""An exponential moving average of weights, its pace given in images."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn


class EMA:
    """Keeps averages of some networks.

    After each step ``average += (1 - decay) * (weights - average)`` with ``decay = 0.5 ** (batch / half_life)``: the
    batch size does not change the pace (Karras et al., 2020, use a half-life of 10,000 images).

    Args:
        nets: The networks to follow.
        half_life: In images.
        ramp_up: Share of the images seen that the half-life is at most, so that the average does not hang on to how the
            weights started; 0 for no such bound.
    """

    def __init__(self, nets: dict[str, nn.Module], *, half_life: float, ramp_up: float = 0.0) -> None:
        self.half_life, self.ramp_up = half_life, ramp_up
        self.nets = {name: copy.deepcopy(net).eval().requires_grad_(False) for name, net in nets.items()}
        # Found once: walking through the modules at every step takes longer than many a kernel of a GPU.
        self._averages, self._parameters = _tensors(self.nets, "parameters"), _tensors(nets, "parameters")
        self._kept, self._buffers = _tensors(self.nets, "buffers"), _tensors(nets, "buffers")

    @torch.no_grad()
    def update(self, batch_size: int, *, seen: int = 0) -> None:
        """Follow one step of so many images, before which the run had `seen` others."""
        half_life = self.half_life
        if self.ramp_up:
            half_life = min(half_life, self.ramp_up * (seen + batch_size))
        weight = 1.0 - 0.5 ** (batch_size / half_life)
        torch._foreach_lerp_(self._averages, self._parameters, weight)
        if self._kept:
            torch._foreach_copy_(self._kept, self._buffers)


def _tensors(nets: dict[str, nn.Module], kind: str) -> list[Tensor]:
    return [tensor for net in nets.values() for tensor in getattr(net, kind)()]
