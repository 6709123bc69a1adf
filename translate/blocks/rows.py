"""Maps of a large image that are computed a strip of rows at a time: the values of the whole in a part of its memory.

A network says of its output which maps it is computed from, and how; nothing is computed before it is read. A
convolution reads as many rows around a strip as it reaches. A norm that takes its statistics from the image goes over
all strips once, and is exact from then on: they are the statistics of the whole, so there are no seams and nothing to
choose. Maps below full size are stored, as they come from their convolution (on disk where memory is short, see
`translate.blocks.maps`); at full size, where a map takes most memory and least time, it is computed again by whoever
reads it.

Shapes: C channels, H height, W width; the batch is of one image.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from translate.blocks.maps import empty_map
from translate.blocks.norm import (
    block_moments,
    block_of,
    by_moments,
    dtype_of_norm,
    factors,
    first_values,
    from_first,
    moments,
    scaled,
)

Norm = nn.InstanceNorm2d | nn.GroupNorm
"""Norms whose statistics are those of the image."""


class Rows(ABC):
    """A map [1, C, H, W].

    Args:
        height: H.
        full: Height of the image.
        strip: Rows computed at a time, a multiple of `BLOCK_ROWS`.
    """

    def __init__(self, *, height: int, full: int, strip: int) -> None:
        self.height, self.full, self.strip = height, full, strip

    @abstractmethod
    def read(self, low: int, high: int) -> Tensor:
        """The rows from `low` to before `high`, [1, C, high - low, W]; a view of a stored map: do not change them."""

    def strips(self) -> Iterator[tuple[int, int]]:
        """First row, and the row behind the last, of each strip."""
        for low in range(0, self.height, self.strip):
            yield low, min(self.height, low + self.strip)

    def then(self, function: Callable[[Tensor], Tensor], *, reach: int = 0, up: int = 1, down: int = 1) -> Rows:
        """What a function makes of this map.

        Args:
            function: From [1, C, h, W] to [1, C', h * up / down, W'].
            reach: Rows of its input, above and below those at the same place, that a row of its output depends on.
            up: Rows of output ...
            down: ... for so many rows of input.
        """
        return _Computed(self, function, reach=reach, up=up, down=down)

    def normalised(
        self,
        norm: nn.Module,
        *,
        into: Rows | None = None,
        weight: Tensor | None = None,
        bias: Tensor | None = None,
        as_batch: bool = False,
    ) -> Rows:
        """What a norm makes of this map; below full size, it is stored before.

        Args:
            norm: Any, or an identity. Statistics of the image are taken now.
            into: A map of this size, which is no longer needed: where to store.
            weight: [C], where it is not the norm's own.
            bias: [C], with it.
            as_batch: Whether the norm is computed as a batch norm (`translate.blocks.norm.by_moments`).
        """
        stored = self.height < self.full
        if not isinstance(norm, Norm):
            plain = self.stored(into=into) if stored else self
            return plain if isinstance(norm, nn.Identity) else plain.then(norm)
        groups = norm.num_groups if isinstance(norm, nn.GroupNorm) else norm.num_features
        block = block_of(self.height)
        first: list[Tensor] = []
        found: list[Tensor] = []

        def see(part: Tensor) -> None:
            if not first:
                first.append(first_values(part, groups=groups).clone())
            found.append(block_moments(from_first(part, first[0], as_batch=as_batch), block=block))

        rows: Rows = self
        if stored:
            rows = self.stored(into=into, see=see)
        else:
            for low, high in self.strips():
                see(self.read(low, high))
        if weight is None and norm.weight is not None:
            weight, bias = norm.weight, norm.bias
        return _Normalised(
            rows, torch.cat(found, dim=3), first[0], norm, groups=groups, weight=weight, bias=bias, as_batch=as_batch
        )

    def dropped(self, dropout: nn.Dropout) -> Rows:
        """What dropout leaves of this map; drawn for all of it at once, as it is for the whole image."""
        return _Dropped(self, dropout.p) if dropout.training and dropout.p else self

    def stored(self, *, into: Rows | None = None, see: Callable[[Tensor], None] | None = None) -> Stored:
        """This map, computed now.

        Args:
            into: A map of this size to overwrite, which this one may be computed from, by a reach of one strip at most.
            see: Called with each strip.
        """
        found = _store_of(into)
        waiting: tuple[int, int, Tensor] | None = None
        for low, high in [*self.strips(), (self.height, self.height)]:
            part = self.read(low, high) if low < high else None
            if waiting is not None:  # only now: the strip behind may have been computed from what is overwritten
                first, last, ready = waiting
                if found is None or found.dtype != ready.dtype or found.shape[1] != ready.shape[1]:
                    found = empty_map(1, ready.shape[1], self.height, ready.shape[3], like=ready)
                found[:, :, first:last] = ready
            if part is not None:
                if see is not None:
                    see(part)
                waiting = low, high, part
        assert found is not None
        return Stored(found, full=self.full, strip=self.strip)


def joined(function: Callable[..., Tensor], *parts: Rows) -> Rows:
    """What a function makes of the same rows of several maps of one height."""
    return _Joined(function, parts)


class Stored(Rows):
    """A map that is there: [1, C, H, W]."""

    def __init__(self, values: Tensor, *, full: int, strip: int) -> None:
        super().__init__(height=values.shape[2], full=full, strip=strip)
        self.values = values

    def read(self, low: int, high: int) -> Tensor:
        """A view."""
        return self.values[:, :, low:high]


def _store_of(rows: Rows | None) -> Tensor | None:
    while rows is not None and not isinstance(rows, Stored):
        rows = getattr(rows, "parent", None)
    return None if rows is None else rows.values


class _Computed(Rows):
    def __init__(self, parent: Rows, function: Callable[[Tensor], Tensor], *, reach: int, up: int, down: int) -> None:
        super().__init__(height=parent.height * up // down, full=parent.full, strip=parent.strip)
        self.parent, self.function, self.reach, self.up, self.down = parent, function, reach, up, down

    def read(self, low: int, high: int) -> Tensor:
        up, down, height = self.up, self.down, self.parent.height
        first = max(0, low * down // up - self.reach) // down * down
        last = min(height, -(-(-(-high * down // up) + self.reach) // down) * down)
        start = low - first * up // down
        return self.function(self.parent.read(first, last))[:, :, start : start + high - low]


class _Joined(Rows):
    def __init__(self, function: Callable[..., Tensor], parts: tuple[Rows, ...]) -> None:
        super().__init__(height=parts[0].height, full=parts[0].full, strip=parts[0].strip)
        self.function, self.parts = function, parts

    def read(self, low: int, high: int) -> Tensor:
        return self.function(*(part.read(low, high) for part in self.parts))


class _Dropped(Rows):
    def __init__(self, parent: Rows, probability: float) -> None:
        super().__init__(height=parent.height, full=parent.full, strip=parent.strip)
        self.parent = parent
        like = parent.read(0, 1)
        # Drawn in the order in which values lie in memory.
        whole = empty_map(1, like.shape[1], parent.height, like.shape[3], like=like).fill_(1)
        self.kept = F.dropout(whole, probability) > 0
        self.gain = 1 / (1 - probability)

    def read(self, low: int, high: int) -> Tensor:
        return self.parent.read(low, high) * self.kept[:, :, low:high] * self.gain


class _Normalised(Rows):
    def __init__(
        self,
        parent: Rows,
        rows: Tensor,
        first: Tensor,
        norm: Norm,
        *,
        groups: int,
        weight: Tensor | None,
        bias: Tensor | None,
        as_batch: bool,
    ) -> None:
        super().__init__(height=parent.height, full=parent.full, strip=parent.strip)
        self.parent, self.first, self.as_batch = parent, first, as_batch
        self.mean, self.variance = moments(rows, groups=groups)
        self.norm, self.weight, self.bias = norm, weight, bias
        self.factor, self.added = factors(self.mean, self.variance, epsilon=norm.eps, weight=weight, bias=bias)

    def read(self, low: int, high: int) -> Tensor:
        part = self.parent.read(low, high)
        values = from_first(part, self.first, as_batch=self.as_batch)
        if self.as_batch:
            assert self.weight is not None
            assert self.bias is not None
            return by_moments(values, self.mean, self.variance, self.weight, self.bias, epsilon=self.norm.eps)
        return scaled(values, self.factor, self.added).to(dtype_of_norm(part))
