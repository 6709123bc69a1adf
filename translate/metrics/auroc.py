"""Area under the ROC curve: how often the abnormal scores above the normal (Hanley and McNeil, 1982)."""

from __future__ import annotations

import torch
from torch import Tensor


def auroc(scores: Tensor, positive: Tensor) -> float:
    """The share of pairs of a positive and a negative that are in order; equal scores count half.

    One sort: ten million scores, those of all pixels of a test set, take a few seconds.

    Args:
        scores: [N], higher for positive.
        positive: bool [N]; some of each.

    Returns:
        From 0 to 1; 0.5 is chance.

    Raises:
        ValueError: the shapes differ, all are of one kind, or a score is no number.
    """
    if scores.shape != positive.shape or scores.dim() != 1:
        raise ValueError(f"expected two vectors of one length, got {tuple(scores.shape)} and {tuple(positive.shape)}")
    count = int(positive.sum())
    if count in (0, len(scores)):
        raise ValueError("an AUROC needs scores of both kinds, and these are all of one")
    if bool(torch.isnan(scores).any()):
        raise ValueError("scores must be numbers, and some are NaN")
    ordered, order = scores.sort()
    last = torch.unique_consecutive(ordered, return_counts=True)[1].cumsum(0) - 1  # of each group of equal scores
    upto = positive[order].cumsum(0)[last]  # positives among the scores so far
    here = upto.diff(prepend=upto.new_zeros(1))
    negatives = last + 1 - upto
    below = negatives - negatives.diff(prepend=negatives.new_zeros(1)) / 2  # those of equal scores count half
    return float((here * below.double()).sum() / (count * (len(scores) - count)))
