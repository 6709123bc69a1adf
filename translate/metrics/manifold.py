"""Precision, recall, density and coverage: whether samples look real, and whether all that is real is among them."""

from dataclasses import dataclass

import torch
from torch import Tensor

from translate.metrics.sets import checked_sets

AT_ONCE = 1000  # rows of distances


@dataclass(frozen=True, kw_only=True)
class Manifold:
    """Each a share, but density, which may exceed 1; higher is better."""

    precision: float
    """Of the samples, those within reach of a real image."""
    recall: float
    """Of the real images, those within reach of a sample."""
    density: float
    """Real images within whose reach a sample is, over k; not raised by single outliers, as precision is."""
    coverage: float
    """Of the real images, those that have a sample within their reach."""


def manifold(real: Tensor, made: Tensor, *, num_neighbours: int = 5) -> Manifold:
    """How two sets of features overlap; an image reaches as far as its k-th nearest neighbour of its own set.

    Sources: Kynkaanniemi et al. 2019, "Improved precision and recall metric for assessing generative models", eq. 1 and
    2 (precision and recall); Naeem et al. 2020, "Reliable fidelity and diversity metrics for generative models", eq. 6
    and 8 (density and coverage).

    Args:
        real: features of real images [N, D].
        made: features of samples [M, D].
        num_neighbours: k, below N and M.

    Raises:
        ValueError: the features are not as described, or not more than k of them.
    """
    real, made = checked_sets(real, made)
    if num_neighbours < 1 or min(len(real), len(made)) <= num_neighbours:
        raise ValueError(
            f"{num_neighbours} neighbours need more images than that, got {len(real)} real and {len(made)} samples"
        )
    reach_real, reach_made = _reach(real, num_neighbours), _reach(made, num_neighbours)
    inside, recalled = [], torch.zeros(len(real), dtype=torch.bool)
    nearest = torch.full((len(real),), torch.inf, dtype=real.dtype)
    for start in range(0, len(made), AT_ONCE):
        distances = torch.cdist(made[start : start + AT_ONCE], real)  # [m, N]
        within = distances <= reach_real
        inside.append(within.sum(dim=1))
        recalled |= (distances <= reach_made[start : start + AT_ONCE, None]).any(dim=0)
        nearest = torch.minimum(nearest, distances.min(dim=0).values)
    covered = nearest <= reach_real
    counts = torch.cat(inside).double()
    return Manifold(
        precision=float((counts > 0).double().mean()),
        recall=float(recalled.double().mean()),
        density=float(counts.mean() / num_neighbours),
        coverage=float(covered.double().mean()),
    )


def _reach(features: Tensor, num_neighbours: int) -> Tensor:
    """The distance of each row's k-th nearest other row: [N]."""
    return torch.cat(
        [
            torch.cdist(part, features).topk(num_neighbours + 1, dim=1, largest=False).values[:, -1]
            for part in features.split(AT_ONCE)
        ]
    )


def nearest_distances(images: Tensor, others: Tensor, *, skip_same: bool = False) -> Tensor:
    """The root mean squared difference of each image from the most similar of the others.

    Args:
        images: [N, C, H, W].
        others: [M, C, H, W].
        skip_same: The two are one set: an image is not compared with itself.

    Returns:
        [N], in the units of the images.
    """
    flat, reference = images.flatten(1).float(), others.flatten(1).float()
    count = 2 if skip_same else 1
    found = [
        torch.cdist(part, reference).topk(count, dim=1, largest=False).values[:, -1] for part in flat.split(AT_ONCE)
    ]
    return torch.cat(found) / flat.shape[1] ** 0.5
