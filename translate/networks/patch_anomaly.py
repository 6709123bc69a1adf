"""Patches of images beside those of normal ones, by the features of a pretrained network.

PatchCore (Roth et al., 2022) keeps a choice of normal patches, and takes the distance to the nearest. PaDiM (Defard et
al., 2021) keeps a Gaussian for each place, and takes the Mahalanobis distance; here for each cell of a coarse grid, so
that the file is small and an object may lie a little beside its place. Features are EfficientNet-Lite0's, kept with the
weights. An image is as abnormal as its most abnormal place, of a smoothed map; PatchCore's reweighting is left out.

Shapes: N batch, C channels, S side of images, s = S / 8 side of maps, F features, M patches kept, K cells.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from translate.config.networks import PatchAnomalyConfig
from translate.networks.anomaly import LEAST, AnomalyDetector
from translate.networks.efficientnet import EfficientNetLite0, narrow_channels

BLOCKS = (4, 10)  # at an eighth and a sixteenth of the size
NUM_FEATURES = sum(narrow_channels(block) for block in BLOCKS)
SMOOTHING = 1 / 64  # deviation of the filter of maps, as a share of the side: 4 of 256 px, as in both papers
AT_ONCE = 4096  # patches beside the memory


class PatchDetector(AnomalyDetector):
    """By the patches of normal images.

    Args:
        config: Which method, and how much it keeps.
    """

    usual: Tensor
    spread: Tensor
    memory: Tensor
    gaussian_means: Tensor
    whitening: Tensor

    def __init__(self, config: PatchAnomalyConfig) -> None:
        super().__init__(("distance",), smoothing=2 * round(2 * SMOOTHING * config.size) + 1)
        self.config = config
        self.features = EfficientNetLite0(border="reflect", num_blocks=BLOCKS[-1] + 1)
        self.register_buffer("usual", torch.zeros(NUM_FEATURES))
        self.register_buffer("spread", torch.ones(NUM_FEATURES))
        if config.num_patches is not None:
            self.register_buffer("memory", torch.zeros(config.num_patches, NUM_FEATURES))
        if config.cells is not None:
            self.register_buffer("gaussian_means", torch.zeros(config.cells**2, NUM_FEATURES))
            # Of each cell a lower triangle, row by row.
            self.register_buffer("whitening", torch.zeros(config.cells**2, NUM_FEATURES * (NUM_FEATURES + 1) // 2))

    def patches(self, images: Tensor) -> Tensor:
        """Features around each place, a mean over 3x3 of them: [N, C, S, S] in [-1, 1] -> float32 [N, s, s, F]."""
        layers = self.features.maps(images, narrow=BLOCKS)
        maps = [F.avg_pool2d(layer.float(), 3, stride=1, padding=1) for layer in layers]
        size = maps[0].shape[-2:]
        together = [maps[0], *(F.interpolate(layer, size, mode="bilinear") for layer in maps[1:])]
        return torch.cat(together, dim=1).permute(0, 2, 3, 1)

    def distances(self, images: Tensor) -> Tensor:
        """Of each place from what is normal: [N, C, S, S] -> [N, s, s], of the order of 1."""
        found = (self.patches(images) - self.usual) / self.spread
        if self.config.cells is None:
            rows = found.flatten(0, 2).split(AT_ONCE)
            nearest = torch.cat([torch.cdist(row, self.memory).amin(dim=1) for row in rows])
            return nearest.view(found.shape[:3]) / NUM_FEATURES**0.5
        by_cell = in_cells(found, self.config.cells) - self.gaussian_means[:, None]
        triangles = self.whitening.new_zeros(len(by_cell), NUM_FEATURES, NUM_FEATURES)
        rows, columns = torch.tril_indices(NUM_FEATURES, NUM_FEATURES, device=triangles.device)
        triangles[:, rows, columns] = self.whitening
        distance = (by_cell @ triangles).square().mean(dim=2).sqrt()  # [K, N * places]
        return from_cells(distance, self.config.cells, number=len(images), side=found.shape[1])

    def heat(self, images: Tensor) -> Tensor:
        distances = self.distances(images)[:, None]
        return _smoothed(F.interpolate(distances, images.shape[-2:], mode="bilinear"), SMOOTHING * images.shape[-1])

    @property
    def heat_scale(self) -> tuple[float, float]:
        """The hottest place of a normal image on average; and as far above the threshold as that is below it."""
        cold = float(self.means[0].exp())
        threshold = float((self.means[0] + self.deviations[0] * self.thresholds[0]).exp())
        return cold, max(2 * threshold - cold, cold)

    def raw(self, images: Tensor) -> Tensor:
        return self.heat(images).amax(dim=(2, 3)).clamp_min(LEAST).log()


def in_cells(patches: Tensor, cells: int) -> Tensor:
    """Places by cells: [N, s, s, F] -> [K, N * (s / cells) ** 2, F]."""
    number, side, _, features = patches.shape
    step = side // cells
    apart = patches.reshape(number, cells, step, cells, step, features)
    return apart.permute(1, 3, 0, 2, 4, 5).reshape(cells**2, number * step**2, features)


def from_cells(values: Tensor, cells: int, *, number: int, side: int) -> Tensor:
    """The way back, of one value a place: [K, N * (s / cells) ** 2] -> [N, s, s]."""
    step = side // cells
    return values.reshape(cells, cells, number, step, step).permute(2, 0, 3, 1, 4).reshape(number, side, side)


def _smoothed(maps: Tensor, deviation: float) -> Tensor:
    """By a Gaussian filter; the border is reflected: [N, 1, H, W]."""
    reach = min(round(3 * deviation), min(maps.shape[-2:]) - 1)
    taps = torch.exp(-(torch.arange(-reach, reach + 1, device=maps.device).float() ** 2) / (2 * deviation**2))
    taps = taps / taps.sum()
    maps = F.pad(maps, (reach, reach, reach, reach), mode="reflect")
    return F.conv2d(F.conv2d(maps, taps[None, None, None]), taps[None, None, :, None])
