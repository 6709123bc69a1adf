"""Detectors of patches by pretrained features: fitted in one pass over normal images, without training.

Shapes: N images, C channels, S side, s side of maps, F features, P patches, M patches kept, K cells.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from translate.applications.anomaly import FEWEST, set_thresholds
from translate.checkpoint.pretrained import pretrained_features
from translate.config.base import ConfigError
from translate.config.networks import PatchAnomalyConfig
from translate.networks import PatchDetector
from translate.networks.patch_anomaly import NUM_FEATURES, in_cells

MOST_PATCHES = 100_000  # that the memory is chosen from
PROJECTED = 32  # numbers of a patch by which it is chosen (Johnson and Lindenstrauss, 1984)
LEAST_DEVIATION = 1e-4  # of the logarithms of distances; below, what differs is rounding
SHRINKAGE = 0.01  # added to covariances, in variances of a feature over all places: as in PaDiM's code


@torch.inference_mode()
def fit_patches(
    config: PatchAnomalyConfig,
    learned: Iterable[Tensor],
    held_back: Tensor,
    *,
    num_images: int,
    false_alarms: float = 0.05,
    seed: int = 0,
    device: torch.device | str = "cpu",
) -> PatchDetector:
    """A detector of patches that are unlike those of normal images.

    Args:
        config: Which method.
        learned: Batches of normal images, [N, C, S, S] in [-1, 1], of the configuration's channels and size.
        held_back: Other normal images, from which the scale of the scores and the thresholds are taken.
        num_images: Of `learned`.
        false_alarms: Share of held-back images that the threshold calls abnormal.
        seed: Of the patches that PatchCore chooses from.
        device: Where it is fitted.

    Raises:
        ConfigError: too few images, or pretrained features are not installed.
    """
    if min(num_images, len(held_back)) < FEWEST:
        raise ConfigError(
            f"{num_images} normal training images and {len(held_back)} held-out ones: at least {FEWEST} of each are "
            "needed (--hold-out holds out more)"
        )
    detector = PatchDetector(config)
    detector.features.load_state_dict(pretrained_features(num_blocks=len(detector.features.blocks)).state_dict())
    detector.to(device).eval()
    sums, squares, count = torch.zeros(NUM_FEATURES).double(), torch.zeros(NUM_FEATURES).double(), 0
    places = (config.size // 8) ** 2
    taken = most_patches(num_images, size=config.size) // num_images  # of each image
    generator = torch.Generator().manual_seed(seed)
    chosen: list[Tensor] = []
    cells: _Moments | None = None
    for images in learned:
        for one in images.split(16):
            found = detector.patches(one.to(device)).cpu()
            flat = found.flatten(0, 2).double()
            sums, squares, count = sums + flat.sum(0), squares + flat.square().sum(0), count + len(flat)
            if config.cells is not None:
                cells = cells or _Moments(config.cells)
                cells.add(found)
            else:
                chosen += [row[torch.randperm(places, generator=generator)[:taken]] for row in found.flatten(1, 2)]
    if count < FEWEST * places:
        raise ConfigError(f"only {count // places} normal training images can be read, and {FEWEST} are needed")
    usual = sums / count
    spread = (squares / count - usual.square()).clamp_min(0).sqrt()
    spread = spread.clamp_min(0.01 * float(spread.mean()))  # a feature that never varies would be infinitely telling
    detector.usual.copy_(usual)
    detector.spread.copy_(spread)
    if cells is not None:
        means, whitening = cells.gaussians(usual, spread)
        detector.gaussian_means.copy_(means)
        detector.whitening.copy_(whitening)
    else:
        patches = ((torch.cat(chosen) - usual) / spread).float()
        assert config.num_patches is not None
        if len(patches) < config.num_patches:
            raise ConfigError(
                f"{num_images} images have {len(patches):,} patches, and {config.num_patches:,} are to be kept: lower "
                "--patches"
            )
        projection = torch.randn(NUM_FEATURES, PROJECTED, generator=generator) / PROJECTED**0.5
        detector.memory.copy_(patches[farthest(patches @ projection, config.num_patches)])
    set_thresholds(detector, held_back, false_alarms=false_alarms)
    if float(detector.deviations[0]) < LEAST_DEVIATION:
        raise ConfigError("the normal images are all identical, so nothing can be learned from them: give others")
    return detector.requires_grad_(False)


def most_patches(num_images: int, *, size: int) -> int:
    """How many patches of so many images there are to choose a memory from."""
    places = (size // 8) ** 2
    return num_images * max(1, min(places, MOST_PATCHES // num_images))


def farthest(points: Tensor, count: int) -> Tensor:
    """Numbers of points of which each is the farthest from all before it: a choice that leaves none far away.

    Source: Gonzalez (1985), as PatchCore takes it.

    Args:
        points: [P, D].
        count: M, at most P.

    Returns:
        int64 [M]; the first is the first point.
    """
    chosen = [0]
    distance = (points - points[0]).square().sum(dim=1)
    for _ in range(count - 1):
        chosen.append(int(distance.argmax()))
        distance = torch.minimum(distance, (points - points[chosen[-1]]).square().sum(dim=1))
    return torch.tensor(chosen)


class _Moments:
    """Sums and products of features in each cell."""

    def __init__(self, cells: int) -> None:
        self.cells, self.count = cells, 0
        self.sums = torch.zeros(cells**2, NUM_FEATURES, dtype=torch.float64)
        self.products = torch.zeros(cells**2, NUM_FEATURES, NUM_FEATURES, dtype=torch.float64)

    def add(self, patches: Tensor) -> None:
        """[N, s, s, F]."""
        values = in_cells(patches, self.cells).double()
        self.sums += values.sum(dim=1)
        self.products += values.mT @ values
        self.count += values.shape[1]

    def gaussians(self, usual: Tensor, spread: Tensor) -> tuple[Tensor, Tensor]:
        """Of scaled features, means [K, F], and matrices by which a difference becomes one of deviation 1.

        These are lower triangles, row by row: [K, F (F + 1) / 2].
        """
        means = self.sums / self.count
        covariance = self.products / self.count - means[:, :, None] * means[:, None, :]
        scaled = covariance / (spread[:, None] * spread[None, :])
        scaled += SHRINKAGE * torch.eye(NUM_FEATURES, dtype=torch.float64)
        whitening = torch.linalg.cholesky(torch.linalg.inv(scaled))
        rows, columns = torch.tril_indices(NUM_FEATURES, NUM_FEATURES)
        return (means - usual) / spread, whitening[:, rows, columns]
