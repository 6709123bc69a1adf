"""One unpaired task whose truth is known: facades, photos to label maps, with the pairs shuffled and hidden.

Two folders are made of the training pairs, one of photos and one of label maps, their names and order unrelated.
CycleGAN and CUT learn from those alone; the test pairs then tell what they should have made. Scores: the label score
(each pixel of an output is snapped to the nearest of the twelve class colours: per-pixel accuracy and class IoU against
the true classes) and L1 to the true map. Beside them the photo itself, and the photo with the histogram of a label map.

    python -m scripts.studies.hidden_pairs FACADES --out DIR [--images 3000] [--seeds 0 1 2] [--json FILE]
"""

import argparse
import json
import random
from pathlib import Path
from statistics import mean
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

import translate
from translate.applications.evaluation.baselines import match_histograms
from translate.applications.label_score import summarise
from translate.config import CUTConfig, CycleGANConfig, DataConfig, RunConfig, UnpairedDataConfig
from translate.config.presets import FACADE_CLASSES
from translate.data.batches import fixed_batch
from translate.data.images import to_pil
from translate.data.paired import PairedImages
from translate.engine import train
from translate.inference import image_grid, to_images
from translate.metrics import l1
from translate.metrics.segmentation import confusion_matrix
from translate.recipes.segmentation import nearest_class, to_palette

SIZE, WIDTH = 64, 32
KINDS = {"CycleGAN": CycleGANConfig, "CUT": CUTConfig}


def hide_pairs(facades: Path, folder: Path) -> Path:
    """Write photos/ and labels/, each in an order and under names of its own."""
    pairs = PairedImages(DataConfig(root=facades)).split("train")
    for side, name in enumerate(("photos", "labels")):
        order = list(range(len(pairs)))
        random.Random(side).shuffle(order)
        (folder / name).mkdir(parents=True, exist_ok=True)
        for number, index in enumerate(order):
            target = folder / name / f"{number:04d}.png"
            if not target.exists():
                to_pil(pairs[index].read()[side]).save(target)
    return folder


def test_pairs(facades: Path) -> tuple[Tensor, Tensor]:
    """Photos and label maps of the test split, [N, 3, 64, 64] in [-1, 1]; labels resized without mixing."""
    data = PairedImages(DataConfig(root=facades, size=SIZE), nearest_target=True)
    count = len(data.split("test"))
    batch = data.roles(fixed_batch(data.store("test", side=SIZE), indices=range(count)))
    return batch["source"], batch["target"]


def weights_of(method: str, hidden: Path, out: Path, given: argparse.Namespace, *, seed: int) -> Path:
    """Train, or go on training, and give the folder of the weights that make label maps."""
    run = RunConfig(
        out=out, images=given.images, batch_size=given.batch_size, seed=seed, device=given.device, precision="fp32",
        log_every=100, sample_every=1000, checkpoint_every=500, keep=1,
    )  # fmt: skip
    # The whole image, as the test shows it, and no mirror image of it.
    data = UnpairedDataConfig(root=hidden / "photos", root_b=hidden / "labels", size=SIZE)
    folder = train(KINDS[method](data=data, run=run, width=WIDTH, d_width=WIDTH))
    return folder / "photos2labels" if method == "CycleGAN" else folder


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("facades", type=Path)
    parser.add_argument("--out", type=Path, required=True, help="of the runs; what is there already is gone on with")
    parser.add_argument("--images", type=int, default=3000)
    parser.add_argument("--batch-size", type=int, default=1)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--methods", nargs="+", choices=KINDS, default=list(KINDS))
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--picture", type=Path, help="test pairs chosen by number: photo, outputs, truth")
    given = parser.parse_args()
    torch.set_num_threads(1)
    hidden = hide_pairs(given.facades, given.out / "hidden")
    photos, labels = test_pairs(given.facades)
    palette = to_palette(tuple(FACADE_CLASSES.values()))
    truth = nearest_class(labels, palette)

    def scored(images: Tensor) -> dict[str, float]:
        seen = nearest_class(images, palette)
        matrices = [confusion_matrix(a, b, num_classes=len(palette)) for a, b in zip(seen, truth, strict=True)]
        score = summarise(torch.stack(matrices))
        distance = l1((images.clamp(-1, 1) + 1) / 2, (labels + 1) / 2)
        return {"accuracy": score.pixel_accuracy, "iou": score.class_iou, "l1": float(distance.mean())}

    references = np.random.default_rng(0).integers(0, len(labels), len(labels))
    matched = torch.cat(
        [match_histograms((p[None] + 1) / 2, (labels[[r]] + 1) / 2) for p, r in zip(photos, references, strict=True)]
    )
    counts = torch.bincount(truth.flatten(), minlength=len(palette))
    majority = palette[counts.argmax()].view(1, 3, 1, 1).expand_as(photos)
    results: dict[str, Any] = {
        "the photo itself": [scored(photos)],
        "histogram matching": [scored(matched * 2 - 1)],
        "the commonest class everywhere": [scored(majority)],
    }
    shown: dict[str, Tensor] = {}
    for method in given.methods:
        results[method] = []
        for seed in given.seeds:
            out = given.out / f"{method.lower()}-{seed}"
            model = translate.load(weights_of(method, hidden, out, given, seed=seed), device="cpu", precision="fp32")
            outputs = torch.cat([model.apply_tensor((photo + 1) / 2) for photo in photos.split(1)]) * 2 - 1
            results[method].append({"seed": seed, **scored(outputs)})
            shown.setdefault(method, outputs)
            print(f"{method}, seed {seed}: {results[method][-1]}", flush=True)
    print(f"\n{'':32}{'accuracy':>10}{'IoU':>8}{'L1':>8}   of {len(photos)} test pairs, {given.images} images seen")
    for name, rows in results.items():
        values = {key: [row[key] for row in rows] for key in ("accuracy", "iou", "l1")}
        spread = f"   accuracy {min(values['accuracy']):.3f} to {max(values['accuracy']):.3f}" if len(rows) > 1 else ""
        print(
            f"{name:32}{mean(values['accuracy']):>10.3f}{mean(values['iou']):>8.3f}{mean(values['l1']):>8.3f}{spread}"
        )
    if given.picture is not None:
        rows = list(range(0, len(photos), 13))[:4]
        columns = {"photo": photos, "histogram": matched * 2 - 1, **shown, "truth": labels}
        grid = image_grid({name: to_images(images[rows]) for name, images in columns.items()})
        grid.resize((grid.width * 2, grid.height * 2), Image.Resampling.NEAREST).save(given.picture)
    if given.json is not None:
        given.json.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
