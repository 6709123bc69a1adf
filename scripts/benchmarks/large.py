"""Large images in parts beside the whole image at once: memory, processor time, differences, seams.

Each measurement is a process of its own, which translates a small image first. Memory is what its peak resident set
rises by; it includes the image and the output. Differences are of 255 levels. Seams are the mean gradient across the
cuts over that elsewhere, divided by the same of the whole image. `resnet-9-64` is CycleGAN's generator with random
weights. The image is a mosaic of photos from --photos, or drawn noise.

    python -m scripts.benchmarks.large [--weights facades ...] [--sides 2048 4096] [--photos FOLDER] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from translate.config import Preprocessing, ResNetConfig, WeightsConfig
from translate.engine.display import device_name
from translate.inference import load_translator
from translate.inference.translator import Translator
from translate.networks import build_network, initialise

RANDOM = "resnet-9-64"
CELL = 256  # pixels, of a photo in the mosaic


def mosaic(photos: Path | None, side: int) -> np.ndarray:
    """[S, S, 3] uint8."""
    drawn = np.random.default_rng(0)
    found = sorted(photos.rglob("*.jpg"))[:64] if photos is not None else []
    cells = [np.array(Image.open(path).convert("RGB").resize((CELL, CELL))) for path in found]
    if not cells:
        coarse = drawn.integers(0, 256, (16, 12, 12, 3), np.uint8)
        cells = [np.array(Image.fromarray(one).resize((CELL, CELL), Image.Resampling.BICUBIC)) for one in coarse]
    count = -(-side // CELL)
    rows = [np.concatenate([cells[(7 * y + x) % len(cells)] for x in range(count)], axis=1) for y in range(count)]
    return np.concatenate(rows)[:side, :side]


def open_translator(name: str, precision: Any) -> Translator:
    if name != RANDOM:
        return load_translator(name, device="cpu", precision=precision)
    torch.manual_seed(0)
    network = ResNetConfig()
    config = WeightsConfig(kind="translator", name=RANDOM, network=network, preprocessing=Preprocessing(size=256))
    return Translator(initialise(build_network(network), kind="kaiming"), config, device="cpu", precision=precision)


def peak() -> float:
    """Of this process's resident set, MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024 if sys.platform == "linux" else 2**20)


def measure(given: argparse.Namespace) -> dict[str, float]:
    """In this process: memory in MB, processor time in seconds."""
    torch.set_num_threads(given.threads)
    name, side, tile = given.one
    model = open_translator(name, given.precision)
    image = mosaic(given.photos, int(side))
    channels = model.config.network.in_channels  # type: ignore[union-attr]
    image = image[..., :channels] if channels != 1 else np.ascontiguousarray(image[..., :1])
    style: Any = Image.fromarray(image[:CELL, :CELL]) if model.any_style else None
    model(image[:CELL, :CELL], style=style)
    before, began = peak(), time.process_time()
    output = model(image, style=style, tile=int(tile) if tile.isdecimal() else tile)
    seconds = time.process_time() - began
    np.save(given.out, output)
    return {"memory": peak() - before, "seconds": seconds}


def seams(parts: np.ndarray, whole: np.ndarray, tile: int) -> float:
    """Gradient across horizontal cuts over elsewhere, by that of the whole image."""
    ratios = []
    for image in (parts, whole):
        steps = np.abs(np.diff(image.astype(np.float32), axis=0)).mean(axis=(1, 2))
        cuts = np.zeros(len(steps), bool)
        cuts[tile - 1 :: tile] = True
        ratios.append(steps[cuts].mean() / steps[~cuts].mean())
    return float(ratios[0] / ratios[1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", nargs="+", default=["facades", "photo2ukiyoe", "colour-photos", "paintings"])
    parser.add_argument("--sides", type=int, nargs="+", default=[2048])
    parser.add_argument("--tiles", nargs="+", default=["off", "auto", "64"], help="off, auto, or pixels; off first")
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--photos", type=Path)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--one", nargs=3, help=argparse.SUPPRESS)
    parser.add_argument("--out", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        print(json.dumps(measure(given)))
        return
    print(f"{device_name(torch.device('cpu'))}, {given.threads} threads, torch {torch.__version__}")
    print(f"{'':28} {'memory':>9} {'time':>9} {'largest':>8} {'mean':>8} {'seams':>6}")
    results = []
    with tempfile.TemporaryDirectory() as folder:
        for name in given.weights:
            for side in given.sides:
                whole: dict[str, Any] | None = None
                for tile in given.tiles:
                    out = Path(folder) / f"{tile}.npy"
                    own = ["--threads", str(given.threads), "--precision", given.precision, "--out", str(out)]
                    own += ["--photos", str(given.photos)] if given.photos else []
                    command = [sys.executable, "-m", "scripts.benchmarks.large", "--one", name, str(side), tile, *own]
                    done = subprocess.run(command, capture_output=True, text=True)
                    if done.returncode:
                        print(f"{name}, {side} px, {tile}: {done.stderr.strip().splitlines()[-1]}")
                        continue
                    found = json.loads(done.stdout.splitlines()[-1])
                    row = {"weights": name, "side": side, "tile": tile, **found}
                    line = f"{name}, {side} px, {tile}"
                    text = f"{line:28} {found['memory']:6.0f} MB {found['seconds']:7.1f} s"
                    if tile == "off":
                        whole = {**found, "output": np.load(out)}
                    elif whole is not None:
                        parts = np.load(out)
                        apart = np.abs(parts.astype(np.int32) - whole["output"])
                        row |= {"largest": int(apart.max()), "mean": float(apart.mean())}
                        row["seams"] = seams(parts, whole["output"], int(tile) if tile.isdecimal() else 32)
                        text += f" {apart.max():8d} {apart.mean():8.5f} {row['seams']:6.3f}"
                    print(text, flush=True)
                    results.append(row)
    if given.json is not None:
        setting = {"device": device_name(torch.device("cpu")), "threads": given.threads, "torch": torch.__version__}
        given.json.write_text(json.dumps({"setting": setting, "results": results}, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
