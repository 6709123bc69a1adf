"""Learning-rate schedules over images, as pure functions: resuming needs no state, and each ends where it should."""

from __future__ import annotations

import math

from translate.config.training import Schedule


def learning_rate_factor(kind: Schedule, fraction: float, *, decay_from: float = 0.5) -> float:
    """Share of the full learning rate at a fraction of the run.

    Constant until `decay_from`; then ``linear`` falls to 0 in a line (pix2pix, CycleGAN), ``cosine`` in half a cosine
    (Loshchilov and Hutter, 2017, without restarts); ``constant`` never falls. Both reach 0 at fraction 1 and not
    before.

    Args:
        kind: The schedule.
        fraction: Images seen over images in all, 0 to 1.
        decay_from: Fraction at which it starts to fall.

    Raises:
        ValueError: an unknown kind.
    """
    if kind not in ("linear", "cosine", "constant"):
        raise ValueError(f"schedule '{kind}' is unknown: choose linear, cosine or constant")
    if kind == "constant" or fraction <= decay_from:
        return 1.0
    fallen = min(1.0, (fraction - decay_from) / (1.0 - decay_from))
    return 1.0 - fallen if kind == "linear" else 0.5 * (1.0 + math.cos(math.pi * fallen))
