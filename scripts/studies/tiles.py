"""Faults of magnetic tiles: patches by pretrained features beside an autoencoder and beside the pixels alone.

The data set shows each tile at up to six exposures, so images are no independent witnesses: tiles are found again as
groups of images whose 48x48 px correlate by more than 0.9, the normal ones are held out by tile, intervals are taken by
resampling tiles, and a tile's score is the mean of its images'. Each seed holds out other tiles. The autoencoder
trains for `--minutes`, which is longer than the others are fitted.

    python -m scripts.studies.tiles DATA --out FOLDER [--seeds 0 1 2] [--minutes 2] [--json FILE]

FOLDER/padim-SEED and so on are detectors that can be used.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from translate.applications.anomaly import baselines, measured
from translate.applications.localisation import baseline_maps, find_ground_truth, heat_maps, localised
from translate.data.image_inputs import named_inputs
from translate.data.images import list_images, read_image
from translate.inference.image_model import Framing
from translate.inference.library import load_detector
from translate.metrics import auroc

ALIKE = 0.9  # correlation of images of one tile
HELD_OUT = 0.15  # share of the normal tiles
METHODS = ("padim", "patchcore", "ae")


def tiles_of(files: Sequence[Path]) -> list[int]:
    """The number of the tile that each image shows; images of different folders show different ones."""
    small = [np.asarray(Image.open(file).convert("L").resize((48, 48), Image.Resampling.BILINEAR)) for file in files]
    flat = np.stack(small).reshape(len(files), -1).astype(np.float64)
    flat -= flat.mean(axis=1, keepdims=True)
    flat /= np.linalg.norm(flat, axis=1, keepdims=True)
    alike = flat @ flat.T > ALIKE
    found = list(range(len(files)))
    for one, other in zip(*np.nonzero(alike), strict=True):
        if files[one].parent == files[other].parent and found[one] != found[other]:
            old, new = found[one], found[other]
            found = [new if number == old else number for number in found]
    return found


def arranged(data: Path, folder: Path, *, seed: int) -> Path:
    """The set with some normal tiles in ``val/``: links in a new folder."""
    shutil.rmtree(folder, ignore_errors=True)
    files = list_images(data / "train" / "good")
    tiles = tiles_of(files)
    names = sorted(set(tiles))
    held = set(random.Random(seed).sample(names, round(HELD_OUT * len(names))))
    for file, tile in zip(files, tiles, strict=True):
        target = folder / ("val" if tile in held else "train") / "good" / file.name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.symlink_to(file.resolve())
    for part in ("test", "ground_truth"):
        (folder / part).symlink_to((data / part).resolve(), target_is_directory=True)
    return folder


def run(*words: str | Path) -> float:
    """Run translate; the seconds it took."""
    start = time.monotonic()
    subprocess.run([sys.executable, "-m", "translate", *map(str, words)], check=True)
    return time.monotonic() - start


def made(data: Path, out: Path, *, seed: int, minutes: float) -> dict[str, float]:
    """Fit the three detectors of a seed; the seconds that each took."""
    seconds = {}
    for method in ("padim", "patchcore"):
        target = out / f"{method}-{seed}"
        seconds[method] = run("anomaly", "fit", method, data, "-o", target, "--normal", "good", "--seed", str(seed))
    trained = out / f"ae-run-{seed}"
    words = ["train", "ae", data, "--classes", "good", "--out", trained, "--size", "64", "--fit", "stretch"]
    words += ["--body", "conv", "--latent", "64", "--minutes", str(minutes), "--images", "10000000"]
    words += ["--seed", str(seed)]
    seconds["ae"] = run(*words) + run("anomaly", "fit", trained, data, "-o", out / f"ae-{seed}")
    return seconds


def scored(name: Path, data: Path) -> dict[str, Any]:
    """What a detector says of the test images: scores, maps and the truth; with what the pixels alone say."""
    detector, config = load_detector(name, device="cpu")
    framing = Framing(config)
    found = named_inputs((str(data),), split="test", count=None, recursive=False, out=None, fmt=framing.format).pictures
    images = framing.prepared([one.picture for one in found])
    files = [one.path for one in found]
    abnormal = torch.tensor([file.parent.name != "good" for file in files])
    truth = find_ground_truth(found, abnormal, root=data, folder=None, framing=framing)
    learned = framing.prepared([read_image(file) for file in list_images(data / "train" / "good")])
    own = measured(detector, images)[:, -1]
    return {
        "files": files,
        "abnormal": abnormal,
        "scores": {"detector": own, **baselines(learned, images)},
        "located": {
            name: localised(maps, truth)
            for name, maps in {
                "detector": heat_maps(detector, images),
                **baseline_maps(learned, images, smoothing=detector.smoothing),
            }.items()
        },
        "false alarms": float((own[~abnormal] > detector.thresholds[-1]).float().mean()),
        "found": float((own[abnormal] > detector.thresholds[-1]).float().mean()),
    }


def by_tile(scores: Tensor, abnormal: Tensor, tiles: Sequence[int]) -> tuple[float, tuple[float, float]]:
    """AUROC of tiles, with a 95 % interval from resampling normal and abnormal ones."""
    numbers = sorted(set(tiles))
    rows = [torch.tensor([tile == number for tile in tiles]) for number in numbers]
    means = torch.stack([scores[row].mean() for row in rows])
    wrong = torch.stack([abnormal[row][0] for row in rows])
    generator = torch.Generator().manual_seed(0)
    good, bad = means[~wrong], means[wrong]
    draws = []
    for _ in range(1000):
        some = [part[torch.randint(len(part), (len(part),), generator=generator)] for part in (good, bad)]
        draws.append(auroc(torch.cat(some), torch.arange(len(numbers)) >= len(good)))
    low, high = np.quantile(draws, (0.025, 0.975))
    return auroc(means, wrong), (float(low), float(high))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--minutes", type=float, default=2.0)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    rows: dict[str, list[dict[str, Any]]] = {}
    for seed in given.seeds:
        data = arranged(given.data, given.out / f"data-{seed}", seed=seed)
        seconds = made(data, given.out, seed=seed, minutes=given.minutes)
        for method in METHODS:
            found = scored(given.out / f"{method}-{seed}", data)
            tiles = tiles_of(found["files"])
            for who, scores in found["scores"].items():
                if who != "detector" and method != "padim":
                    continue  # the pixels are the same for all, but for their size
                area, interval = by_tile(scores, found["abnormal"], tiles)
                row = {"image": auroc(scores, found["abnormal"]), "tile": area, "interval": interval}
                if (places := found["located"].get(who)) is not None:
                    row |= {"pixel": places.pixel_auroc, "pro": places.pro}
                if who == "detector":
                    row |= {key: found[key] for key in ("false alarms", "found")} | {"seconds": seconds[method]}
                rows.setdefault(method if who == "detector" else who, []).append(row)
    for name, some in rows.items():
        parts = [f"{name:22}"]
        for key in ("image", "tile", "pixel", "pro", "false alarms", "found", "seconds"):
            values = [row[key] for row in some if row.get(key) is not None]
            if values:
                parts.append(f"{key} {np.median(values):.3f} ({min(values):.3f} to {max(values):.3f})")
        parts.append("interval by tiles {:.2f} to {:.2f}".format(*some[0]["interval"]))
        print("  ".join(parts))
    if given.json is not None:
        given.json.write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
