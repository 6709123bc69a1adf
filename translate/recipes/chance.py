"""Decisions that a step makes on the host: pure functions of the seed and a count, so that resuming needs no state."""

from __future__ import annotations

import numpy as np

POOL, MIRROR = 1, 2  # streams that have no action needed with each other


def chance(*, seed: int, stream: int, number: int) -> np.random.Generator:
    """A generator of its own for each number of a stream (Philox; Salmon et al., 2011)."""
    return np.random.Generator(np.random.Philox(key=np.array([seed, stream << 48 | number], np.uint64)))
