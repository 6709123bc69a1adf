"""Area under the ROC curve: how often the abnormal scores above the normal (Hanley and McNeil, 1982)."""

from __future__ import annotations

import torch
from torch import Tensor


def auroc(scores: Tensor, positive: Tensor) -> float:
    """The share of pairs of a positive and a negative that are in order; equal scores count half.

    Args:
        scores: [N], higher for positive.
        positive: bool [N]; some of each.

    Returns:
        From 0 to 1; 0.5 is chance.

    Raises:
        ValueError: the shapes differ, or all are of one kind.
    """
    if scores.shape != positive.shape or scores.dim() != 1:
        raise ValueError(f"expected two vectors of one length, got {tuple(scores.shape)} and {tuple(positive.shape)}")
    count = int(positive.sum())
    if count in (0, len(scores)):
        raise ValueError("an AUROC needs scores of both kinds, and these are all of one")
    _, place, times = torch.unique(scores.double(), return_inverse=True, return_counts=True)
    last = times.cumsum(0).double()
    ranks = (last - (times - 1) / 2)[place]  # of equal scores, the mean of theirs
    above = ranks[positive].sum() - count * (count + 1) / 2
    return float(above / (count * (len(scores) - count)))
