"""Means of losses without waiting for the device: sums stay there and are read once an interval."""

from __future__ import annotations

import torch
from torch import Tensor

from translate.engine.distributed import World


class Meter:
    """Running means of named scalars.

    A value that is not finite makes its mean not finite, so nothing slips through between two readings.
    """

    def __init__(self, world: World) -> None:
        self.world = world
        self._sums: dict[str, Tensor] = {}
        self._counts: dict[str, int] = {}

    def add(self, terms: dict[str, Tensor]) -> None:
        """Add one value of each term; no copy to the host."""
        for name, value in terms.items():
            value = value.detach().float()
            self._sums[name] = self._sums[name] + value if name in self._sums else value.clone()
            self._counts[name] = self._counts.get(name, 0) + 1

    def read(self) -> dict[str, float]:
        """The means since the last reading, over all processes, and start anew. The only copy to the host."""
        if not self._sums:
            return {}
        sums = self.world.sum(torch.stack(list(self._sums.values()))).tolist()
        means = {
            name: total / self._counts[name] / self.world.size for name, total in zip(self._sums, sums, strict=True)
        }
        self._sums.clear()
        self._counts.clear()
        return means
