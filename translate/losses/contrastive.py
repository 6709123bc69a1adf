"""Contrastive losses between patches of an image and of its translation.

Shapes: N batch, P places in an image, K channels of a projected feature.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from translate.blocks.precision import at_least_float32


def patch_nce_loss(queries: Tensor, keys: Tensor, *, temperature: float = 0.07) -> Tensor:
    """A patch of the output should be closer to the input's patch at its place than to those at other places.

    ``-log(exp(q_i k_i / t) / sum_j exp(q_i k_j / t))``, the mean over places and images. The other places are those
    of the same image, so what else is in the batch does not matter. (With the positive apart and the diagonal
    of the negatives masked by minus infinity, as it is often written, this is the same sum.)

    Args:
        queries: Features of the output, [N, P, K], of unit length; they receive gradients.
        keys: Features of the input at the same places, [N, P, K], of unit length; detached here.
        temperature: t; 0.07 in the paper.

    Returns:
        A scalar, float32 (float64 for float64 features).

    Raises:
        ValueError: the shapes differ, or there are fewer than two places.

    Source: Park et al. 2020 (CUT), eq. 3 and 4; the InfoNCE loss of van den Oord et al. 2018.
    """
    if queries.shape != keys.shape or queries.ndim != 3:
        raise ValueError(f"queries {list(queries.shape)} and keys {list(keys.shape)} must both be [N, P, K]")
    if queries.shape[1] < 2:
        raise ValueError("a single location has no negatives: give at least two")
    with torch.autocast(queries.device.type, enabled=False):
        similarity = at_least_float32(queries) @ at_least_float32(keys.detach()).transpose(1, 2)  # [N, P, P]
        own = torch.arange(queries.shape[1], device=queries.device).expand(len(queries), -1)
        return F.cross_entropy((similarity / temperature).flatten(0, 1), own.flatten())
