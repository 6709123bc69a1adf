"""Per-region overlap: how well maps of scores find each region of the ground truth, whatever its size."""

from __future__ import annotations

from typing import Any

import numpy as np
from torch import Tensor

from translate.config.errors import TranslateError

INSTALL = 'connected regions need scipy: pip install "image-translate[learn]", or pip install scipy'


class RegionsError(TranslateError, RuntimeError):
    """What connected regions are found with is not installed; the message says how to install it."""


def pro(maps: Tensor, masks: Tensor, *, max_fpr: float = 0.3) -> float:
    """Area under the per-region overlap over the share of false positives, up to a limit, as a share of that area.

    At a threshold the overlap of a region is the share of its pixels that score at or above it; the mean is over all
    connected regions of all masks, so that a small region counts as much as a large one. False positives are the
    pixels outside all regions that do. Every score is a threshold, and the curve is linear between them.
    Source: Bergmann et al. 2021, "The MVTec anomaly detection dataset", section 5.3; regions are connected at corners
    too, as in the authors' code.

    Args:
        maps: [N, H, W], higher for pixels that are less normal; of normal images, too.
        masks: bool [N, H, W], the abnormal pixels.
        max_fpr: The limit, in (0, 1].

    Returns:
        From 0 to 1. A map that says nothing has ``max_fpr / 2``.

    Raises:
        ValueError: shapes or values are not as described, or the pixels are all normal, or all abnormal.
        RegionsError: scipy is not installed.
    """
    if maps.shape != masks.shape or maps.dim() != 3:
        raise ValueError(f"expected two stacks of maps of one shape, got {tuple(maps.shape)} and {tuple(masks.shape)}")
    if not 0 < max_fpr <= 1:
        raise ValueError(f"max_fpr must be in (0, 1], got {max_fpr}")
    scores, labels = maps.detach().cpu().numpy().ravel(), regions(masks).ravel()
    if np.isnan(scores).any():
        raise ValueError("maps must hold numbers, and some are NaN")
    areas = np.bincount(labels)
    if areas[0] in (0, len(labels)):
        raise ValueError(f"a PRO needs abnormal and normal pixels, and all are {'normal' if areas[0] else 'abnormal'}")
    order = np.argsort(-scores, kind="stable")
    last = np.append(np.flatnonzero(np.diff(scores[order])), len(order) - 1)  # of each group of equal scores
    weights = 1 / (areas * np.double(len(areas) - 1))  # of a pixel of each region, in the mean over them
    weights[0] = 0.0
    found = labels[order]
    # The curve, from nothing found to all.
    overlap = np.concatenate([[0.0], np.cumsum(weights[found])[last]])
    false = np.concatenate([[0.0], np.cumsum(found == 0)[last] / areas[0]])
    end = int(np.searchsorted(false, max_fpr))  # the first threshold at or beyond the limit
    share = (max_fpr - false[end - 1]) / (false[end] - false[end - 1])
    overlap[end] = overlap[end - 1] + share * (overlap[end] - overlap[end - 1])
    false[end] = max_fpr
    widths, heights = np.diff(false[: end + 1]), (overlap[1 : end + 1] + overlap[:end]) / 2
    return float(widths @ heights / max_fpr)


def regions(masks: Tensor) -> np.ndarray:
    """Number the connected regions of masks, bool [N, H, W], through all of them: int64 [N, H, W], 0 outside."""
    ndimage = _ndimage()
    found, total = np.zeros(tuple(masks.shape), np.int64), 0
    for number, mask in enumerate(masks.cpu().numpy()):
        if mask.any():
            labels, count = ndimage.label(mask, structure=np.ones((3, 3)))
            found[number] = np.where(labels > 0, labels + total, 0)
            total += count
    return found


def _ndimage() -> Any:
    try:
        from scipy import ndimage
    except ModuleNotFoundError:
        raise RegionsError(INSTALL) from None
    return ndimage
