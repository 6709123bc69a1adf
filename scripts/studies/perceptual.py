"""Pix2Pix with and without the features of a pretrained network in its loss: facades, equal minutes, several seeds.

Each seed trains both for `--minutes` on the same core, one after the other, at 128 px. Outputs for the test and
validation label maps are compared with the photos of the same maps (L1) and, by the Frechet distance of
`score_pairs`, with the training photos, in VGG16 as HED fine-tuned it, which neither side learned from.

    python -m scripts.studies.perceptual FACADES --out FOLDER [--seeds 0 1 2] [--minutes 4] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

import translate
from scripts.studies.score_pairs import pairs, rows
from scripts.studies.score_styles import VGG16
from translate.metrics import frechet_distance

SIDE = 128
ARMS = {
    "L1 100": ["--reconstruction-weight", "100"],
    "L1 25, features 30": ["--reconstruction-weight", "25", "--perceptual-weight", "30"],
}


def trained(data: Path, out: Path, options: list[str], *, seed: int, minutes: float) -> dict[str, Any]:
    """Train; images seen, images a second and memory in GB."""
    words = [sys.executable, "-m", "translate", "train", "pix2pix", data, "--out", out, "--direction", "b2a"]
    words += ["--names", "photos", "labels", "--size", str(SIDE), "--width", "24", "--depth", "6", "--d-width", "32"]
    words += ["--batch-size", "4", "--images", "1000000", "--minutes", str(minutes), "--seed", str(seed)]
    words += ["--ema-half-life", "200", "--log-every", "100", *options]
    subprocess.run([str(word) for word in words], check=True, stdout=subprocess.DEVNULL)
    lines = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    steps = [line for line in lines if "losses" in line]
    return {
        "images": steps[-1]["images"],
        "images a second": float(np.median([line["images_per_second"] for line in steps])),
        "memory": max(line["memory_gb"] for line in steps),
    }


def distance(image: Image.Image, other: Image.Image) -> float:
    """L1, of a range of 2."""
    return float(np.abs(np.asarray(image, float) - np.asarray(other, float)).mean() / 127.5)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("facades", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--minutes", type=float, default=4.0)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    network = VGG16()
    photos = [image.resize((SIDE, SIDE)) for image in pairs(given.facades, "train", direction="b2a")[1]]
    real = rows(network, photos)
    spread = float(real.var(dim=0).sum())
    parts = [pairs(given.facades, split, side=SIDE, direction="b2a") for split in ("test", "val")]
    maps, same = [one for part in parts for one in part[0]], [one for part in parts for one in part[1]]
    found: dict[str, list[dict[str, Any]]] = {
        "real photos": [{"frechet": frechet_distance(rows(network, same), real) / spread}]
    }
    for seed in given.seeds:
        for name, options in ARMS.items():
            out = given.out / f"{'features' if 'features' in name else 'l1'}-{seed}"
            row = trained(given.facades, out, options, seed=seed, minutes=given.minutes)
            model = translate.load(out, device="cpu")
            outputs = [model(image) for image in maps]
            row["frechet"] = frechet_distance(rows(network, outputs), real) / spread
            row["l1"] = float(np.mean([distance(*both) for both in zip(outputs, same, strict=True)]))
            found.setdefault(name, []).append(row)
            print(f"seed {seed}  {name:20}", "  ".join(f"{key} {value:.3f}" for key, value in row.items()), flush=True)
    for name, some in found.items():
        medians = {key: float(np.median([row[key] for row in some])) for key in some[0]}
        print(f"{name:28}", "  ".join(f"{key} {value:.3f}" for key, value in medians.items()))
    if given.json is not None:
        given.json.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
