"""An exponential moving average of weights, its pace given in images."""

from __future__ import annotations

import copy

import torch
from torch import nn


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
        self.sources = nets
        self.nets = {name: copy.deepcopy(net).eval().requires_grad_(False) for name, net in nets.items()}

    @torch.no_grad()
    def update(self, batch_size: int, *, seen: int = 0) -> None:
        """Follow one step of so many images, before which the run had `seen` others."""
        half_life = self.half_life
        if self.ramp_up:
            half_life = min(half_life, self.ramp_up * (seen + batch_size))
        weight = 1.0 - 0.5 ** (batch_size / half_life)
        for name, average in self.nets.items():
            source = self.sources[name]
            torch._foreach_lerp_(list(average.parameters()), list(source.parameters()), weight)
            for kept, buffer in zip(average.buffers(), source.buffers(), strict=True):
                kept.copy_(buffer)
