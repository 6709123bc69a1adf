"""Means of losses without waiting for the device: sums stay there and are read once an interval."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from translate.engine.distributed import World


class Meter:
    """Running means of named scalars.

    A value that is not finite makes its mean not finite, so nothing slips through between two readings.

    Attributes:
        broken: At the last reading, the terms that were the first not to be finite; the others followed from them.
    """

    def __init__(self, world: World) -> None:
        self.world = world
        self.broken: list[str] = []
        self._sums: dict[str, Tensor] = {}
        self._counts: dict[str, int] = {}
        self._breaks: dict[str, Tensor] = {}  # number of the first call whose value was not finite, infinite for none
        self._calls = 0

    def add(self, terms: dict[str, Tensor]) -> None:
        """Add one value of each term; no copy to the host."""
        self._calls += 1
        for name, value in terms.items():
            value = value.detach().float()
            here = torch.where(value.isfinite(), math.inf, float(self._calls))
            if name in self._sums:
                self._sums[name] = self._sums[name] + value
                self._breaks[name] = torch.minimum(self._breaks[name], here)
                self._counts[name] += 1
            else:
                self._sums[name], self._breaks[name], self._counts[name] = value.clone(), here, 1

    def read(self) -> dict[str, float]:
        """The means since the last reading, over all processes, and start anew. The only copy to the host."""
        if not self._sums:
            return {}
        sums = self.world.sum(torch.stack(list(self._sums.values())))
        totals, breaks = torch.stack([sums, torch.stack(list(self._breaks.values()))]).tolist()
        means = {
            name: total / self._counts[name] / self.world.size for name, total in zip(self._sums, totals, strict=True)
        }
        first = min(breaks)
        # Where another process broke first, this one knows no better than to name them all.
        self.broken = [name for name, at in zip(self._sums, breaks, strict=True) if at == first < math.inf]
        self.broken = self.broken or [name for name, mean in means.items() if not math.isfinite(mean)]
        self._sums.clear()
        self._counts.clear()
        self._breaks.clear()
        self._calls = 0
        return means
