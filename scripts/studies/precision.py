"""Show that mixed precision trains as well as fp32: the same small runs in each, with several seeds.

Trains Pix2Pix for each precision and seed, and measures the mean L1 of the validation (else the test) pairs, images in
[0, 1], translated in the precision of the training. Precisions may differ by no more than seeds do. Started again, it
resumes: runs that are finished are not repeated, and one that was interrupted goes on.

    python -m scripts.studies.precision [DATA] [--out precision-runs] [--direction b2a] [--device cuda]
"""

import argparse
import json
import sys
import time
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import torch

import translate
from scripts.studies.resume import draw_pairs
from translate.checkpoint import written_beside
from translate.config import DataConfig, Pix2PixConfig, RunConfig
from translate.data.batches import fixed_batch
from translate.data.paired import PairedImages
from translate.engine import Display, train
from translate.inference.device import choose_device
from translate.metrics import l1


def validation_l1(config: Pix2PixConfig) -> float:
    """Mean L1 over the validation pairs, in the precision and on the device of the run."""
    data = PairedImages(config.data)
    split = next(name for name in ("val", "test", "train") if data.split(name))
    store = data.store(split, side=data.size)
    model = translate.load(config.run.out, device=config.run.device, precision=config.run.precision)
    values: list[float] = []
    for index in range(len(store)):
        batch = {name: (images + 1) / 2 for name, images in data.roles(fixed_batch(store, indices=[index])).items()}
        values += l1(model.apply_tensor(batch["source"]), batch["target"]).tolist()
    data.close()
    return mean(values)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, nargs="?", help="a paired folder; pairs drawn by code unless given")
    parser.add_argument("--out", type=Path, default=Path("precision-runs"))
    parser.add_argument("--direction", choices=["a2b", "b2a"], default="a2b")
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--width", type=int, default=16)
    parser.add_argument("--images", type=int, default=4000)
    parser.add_argument("--batch-size", type=int, default=4)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--precisions", nargs="+", help="fp32, bf16, and fp16 on CUDA unless given")
    parser.add_argument("--device", default="auto")
    given = parser.parse_args()
    device = choose_device(given.device)
    precisions = given.precisions or ["fp32", "bf16", *(["fp16"] if device.type == "cuda" else [])]
    root = given.data
    if root is None:
        root = given.out / "drawn"
        for split, count, first in (("train", 100, 0), ("val", 40, 1000)):
            draw_pairs(root / split, count=count, size=given.size, first=first)

    results_file = given.out / "results.json"
    results: dict[str, Any] = json.loads(results_file.read_text()) if results_file.is_file() else {}
    for seed in given.seeds:
        for precision in precisions:
            name = f"{precision}-seed{seed}-{given.size}px-width{given.width}-{given.images}-{given.direction}"
            if name in results:
                continue
            config = Pix2PixConfig(
                data=DataConfig(root=root, size=given.size, direction=given.direction, workers=1),
                run=RunConfig(
                    out=given.out / name,
                    images=given.images,
                    batch_size=given.batch_size,
                    precision=precision,
                    device=str(device),
                    seed=seed,
                    checkpoint_every=max(given.batch_size, given.images // 4),
                    sample_every=given.images,
                    keep=1,
                ),
                width=given.width,
                d_width=given.width,
            )
            began = time.monotonic()
            train(config, display=Display(enabled=False))
            seconds = time.monotonic() - began
            score = validation_l1(config)
            results[name] = {"precision": precision, "seed": seed, "l1": score, "seconds": round(seconds, 1)}
            with written_beside(results_file) as beside:
                beside.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
            print(f"{precision}, seed {seed}: L1 {score:.5f} after {seconds:.0f} s", flush=True)

    ending = f"-{given.size}px-width{given.width}-{given.images}-{given.direction}"
    scores = {p: [results[f"{p}-seed{seed}{ending}"]["l1"] for seed in given.seeds] for p in precisions}
    print(f"\nValidation L1, {given.size} px, {given.images} images, {device.type}, torch {torch.__version__}")
    print(f"{'':>10}" + "".join(f"{f'seed {seed}':>10}" for seed in given.seeds) + f"{'mean':>10}{'spread':>10}")
    for precision, values in scores.items():
        spread = stdev(values) if len(values) > 1 else 0.0
        cells = "".join(f"{value:>10.5f}" for value in values)
        print(f"{precision:>10}{cells}{mean(values):>10.5f}{spread:>10.5f}")
    by_precision = max(map(mean, scores.values())) - min(map(mean, scores.values()))
    by_seed = max(max(values) - min(values) for values in scores.values())
    print(f"between the means of the precisions: {by_precision:.5f}; between seeds of one: {by_seed:.5f}")
    if by_precision > by_seed:
        sys.exit("the precisions differ by more than the seeds do")


if __name__ == "__main__":
    main()
