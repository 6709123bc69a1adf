"""What the distances between sets of images ask of their features."""

import torch
from torch import Tensor


def checked_sets(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """Two sets of features in float64 on the CPU, after a check of their shapes and values.

    Args:
        a: features of one set [N, D].
        b: features of the other [M, D].

    Raises:
        ValueError: not matrices of as many columns, fewer than two rows, or values that are not finite.
    """
    for name, features in (("a", a), ("b", b)):
        if features.dim() != 2 or len(features) < 2:
            raise ValueError(f"{name} must be features [N, D] of two images or more, got shape {tuple(features.shape)}")
        if not bool(torch.isfinite(features).all()):
            raise ValueError(f"{name} has features that are not finite: an image or the network is broken")
    if a.shape[1] != b.shape[1]:
        raise ValueError(f"a has {a.shape[1]} features and b {b.shape[1]}: they must come from one network")
    return a.detach().cpu().double(), b.detach().cpu().double()
