"""One label map, many photos: style codes beside dropout as the only noise, and beside none; facades, several seeds.

Each test label map is translated K times. Fidelity: does a segmenter, trained here on real photos, see in them what
the map asks for (mean over the variants)? Diversity: 1 - SSIM between two variants of a map, mean over pairs. Best of
K: L1 to the true photo of the nearest variant. "Like the truth" takes the code of the true photo. Beside them the real
photos: what the segmenter sees in them, and how much two of different houses differ.

    python -m scripts.studies.variants FACADES --out DIR [--images 4000] [--seeds 0 1 2] [--json FILE] [--picture FILE]
"""

import argparse
import itertools
import json
from pathlib import Path
from statistics import mean
from typing import Any

import torch
from torch import Tensor

import translate
from translate.applications.label_score import LabelScorer
from translate.checkpoint.weights import load_weights
from translate.config import DataConfig, Pix2PixConfig, RunConfig, SegmentationConfig
from translate.config.presets import FACADE_CLASSES
from translate.data.batches import fixed_batch
from translate.data.paired import PairedImages
from translate.engine import train
from translate.inference import Translator, image_grid, to_images
from translate.inference.running import example_code
from translate.metrics import l1
from translate.metrics.ssim import ssim

METHODS: dict[str, dict[str, Any]] = {
    "codes": {"style_dim": 64},
    "dropout": {"generator": "resnet", "noise": "always"},
    "no noise": {"generator": "resnet", "noise": "never"},
}
VARIANTS, SHOWN = 5, 4


def run(out: Path, given: argparse.Namespace, *, seed: int, images: int) -> RunConfig:
    return RunConfig(
        out=out, images=images, seed=seed, device=given.device, precision="fp32", log_every=500,
        sample_every=max(1, images // 4), checkpoint_every=max(1, images // 8), keep=1,
    )  # fmt: skip


def diversity(variants: list[Tensor]) -> float:
    """Mean of 1 - SSIM over pairs of variants, each [N, 3, S, S] in [0, 1]."""
    return mean(float((1 - ssim(a, b)).mean()) for a, b in itertools.combinations(variants, 2))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("facades", type=Path)
    parser.add_argument("--out", type=Path, required=True, help="of the runs; what is there already is gone on with")
    parser.add_argument("--images", type=int, default=4000)
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--json", type=Path)
    parser.add_argument(
        "--picture", type=Path, help="test maps chosen by number: variants of each, by codes of the first seed"
    )
    given = parser.parse_args()
    torch.set_num_threads(1)
    palette = tuple(FACADE_CLASSES.values())
    forth = DataConfig(root=given.facades, size=given.size)
    segmenter = train(
        SegmentationConfig(
            data=forth,
            run=run(given.out / "segmenter", given, seed=0, images=2 * given.images),
            palette=palette,
            class_names=tuple(FACADE_CLASSES),
        )
    )
    network, config = load_weights(segmenter)
    scorer = LabelScorer(network.to(given.device).eval(), config, palette=palette)
    data = PairedImages(forth, nearest_target=True)
    batch = data.roles(fixed_batch(data.store("test", side=given.size), indices=range(len(data.split("test")))))
    photos, labels = batch["source"], batch["target"]
    truth = photos / 2 + 0.5

    def fidelity(images: Tensor) -> float:
        return scorer.score((images * 2 - 1).to(given.device), labels.to(given.device)).pixel_accuracy

    results: dict[str, list[dict[str, float]]] = {
        "real photos": [{"fidelity": fidelity(truth), "diversity": diversity([truth, truth.roll(1, 0)])}]
    }
    shown: dict[str, Tensor] = {}
    for method in given.methods:
        results[method] = []
        for seed in given.seeds:
            out = given.out / f"{method.replace(' ', '-')}-{seed}"
            data_config = DataConfig(root=given.facades, size=given.size, direction="b2a", names=("photos", "labels"))
            settings = run(out, given, seed=seed, images=given.images)
            folder = train(Pix2PixConfig(data=data_config, run=settings, width=32, d_width=32, **METHODS[method]))
            model = translate.load(folder, device=given.device, precision="fp32")
            assert isinstance(model, Translator)
            maps = [(label + 1) / 2 for label in labels.split(1)]
            variants = [
                torch.cat([model.apply_tensor(each, seed=variant) for each in maps]) for variant in range(VARIANTS)
            ]
            distances = torch.stack([l1(variant, truth) for variant in variants])
            row = {
                "seed": seed,
                "fidelity": mean(fidelity(variant) for variant in variants),
                "diversity": diversity(variants),
                "l1": float(distances.mean()),
                "best of k": float(distances.min(dim=0).values.mean()),
            }
            if model.style:
                codes = [example_code(model.network, photo.to(model.device)).cpu() for photo in photos.split(1)]
                like = torch.cat([model.apply_tensor(each, code=code) for each, code in zip(maps, codes, strict=True)])
                row |= {"like the truth, l1": float(l1(like, truth).mean()), "like the truth": fidelity(like)}
                if not shown:
                    shown = {"labels": labels[:SHOWN]}
                    shown |= {f"variant {number}": variant[:SHOWN] * 2 - 1 for number, variant in enumerate(variants)}
                    shown |= {"like the truth": like[:SHOWN] * 2 - 1, "truth": photos[:SHOWN]}
            results[method].append(row)
            print(f"{method}, seed {seed}: {row}", flush=True)
    for method, rows in results.items():
        print(f"\n{method}")
        for name in [name for name in rows[0] if name != "seed"]:
            values = [row[name] for row in rows]
            print(f"  {name:20} {mean(values):.4f}   {min(values):.4f} to {max(values):.4f}")
    if given.picture is not None and shown:
        image_grid({heading: to_images(images) for heading, images in shown.items()}).save(given.picture)
    if given.json is not None:
        given.json.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
