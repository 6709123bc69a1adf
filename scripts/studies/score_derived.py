"""Score weights that were trained with ``--derive`` on images that they have not seen, beside what costs nothing.

The folder has ``train`` and ``test``; inputs are computed from test images as in training. Beside the weights: the
input itself, the training image whose input is nearest, and the mean training image. The Frechet distance from the
training images is taken in the features of a classifier of quarter turns, trained once and kept in --classifier; that
of the real test images is what images have that are as good as real ones, and new. Chroma is how far colours are from
grey, of a range of 2.

    python -m scripts.studies.score_derived WEIGHTS FOLDER --kind edges --classifier DIR [--sheet FILE] [--json FILE]
"""

import argparse
import json
from pathlib import Path
from typing import Any, get_args

import torch
import torch.nn.functional as F
from rich.console import Console
from torch import Tensor

from translate.applications.classifier import KeptClassifier, open_image_classifier
from translate.blocks.colour import luma
from translate.config import DataConfig, ImageSetConfig
from translate.config.training import Derivation
from translate.data.derived import DerivedPairs
from translate.data.image_set import ImageSet
from translate.inference import image_grid, load_translator, to_images
from translate.metrics import bootstrap_interval, frechet_distance, l1, psnr, ssim

CPU = torch.device("cpu")
PAIRED = {"l1": l1, "psnr": psnr, "ssim": ssim}
AT_ONCE = 50


def nearest(given: Tensor, known: Tensor) -> Tensor:
    """Of each input the number of the one that is most like it, both made coarse: lines need not lie on lines."""
    coarse, others = (F.avg_pool2d(images, 4).flatten(1) for images in (given, known))
    return torch.cat([torch.cdist(part, others).argmin(dim=1) for part in coarse.split(AT_ONCE)])


def measured(made: Tensor, target: Tensor | None, learned: Tensor, evaluator: KeptClassifier) -> dict[str, Any]:
    """Of images [N, 3, S, S] in [-1, 1]; against a target where it is not the target itself."""
    found: dict[str, Any] = {
        "frechet": frechet_distance(evaluator.features(made), learned),
        "chroma": float((made - luma(made)).abs().mean()),
    }
    if target is not None:
        pair = [((images + 1) / 2).clamp(0, 1) for images in (made, target)]
        for name, function in PAIRED.items():
            values = torch.cat([function(*rows) for rows in zip(*(one.split(AT_ONCE) for one in pair), strict=True)])
            low, high = bootstrap_interval(values.numpy())
            found[name] = {"value": float(values.mean()), "low": low, "high": high}
    return found


def cell(found: Any) -> str:
    """A number, and its interval where it has one."""
    if isinstance(found, dict):
        return f"{found['value']:.3f} ({found['low']:.3f} to {found['high']:.3f})"
    return "-" if found is None else f"{found:.3f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("weights")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--kind", choices=get_args(Derivation), required=True)
    parser.add_argument("--classifier", type=Path, required=True)
    parser.add_argument("--images", type=int, default=60_000, help="images seen in the training of the classifier")
    parser.add_argument("--sheet", type=Path, help="inputs, outputs and targets of eight test images, by their number")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    translator = load_translator(given.weights, device="cpu")
    size = translator.config.preprocessing.size
    pairs = DerivedPairs(DataConfig(root=given.folder, size=size), given.kind)
    test, train = (pairs.examples(split, len(pairs.images.part(split)), CPU) for split in ("test", "train"))
    pairs.close()
    images = ImageSet(ImageSetConfig(root=given.folder, size=size))
    evaluator = open_image_classifier(images, given.classifier, device=CPU, console=Console(), images_seen=given.images)
    images.close()

    source, target = test["source"], test["target"]
    made = torch.cat([translator.apply_tensor((part + 1) / 2) for part in source.split(AT_ONCE)]) * 2 - 1
    made = ((made + 1) * 127.5).round() / 127.5 - 1  # as saved, in 8 bits
    candidates = {
        translator.config.name: made,
        "the input itself": source[:, :3].expand_as(target),
        "training image of the nearest input": train["target"][nearest(source, train["source"])],
        "mean training image": train["target"].mean(dim=0, keepdim=True).expand_as(target),
    }
    learned = evaluator.features(train["target"])
    rows = {name: measured(one, target, learned, evaluator) for name, one in candidates.items()}
    rows["real test images"] = measured(target, None, learned, evaluator)
    print(f"{len(target)} test images, {len(train['target']):,} training images, {size} px")
    lines = [["", "L1", "PSNR, dB", "SSIM", "Frechet distance", "chroma"], ["---"] * 6]
    for name, row in rows.items():
        lines.append([name, *(cell(row.get(key)) for key in PAIRED), cell(row["frechet"]), cell(row["chroma"])])
    print("\n".join("| " + " | ".join(line) + " |" for line in lines))
    if given.sheet is not None:
        step = max(1, len(target) // 8)
        chosen = list(range(0, len(target), step))[:8]
        columns = {"input": source[chosen, :3].expand(-1, 3, -1, -1), "made": made[chosen], "real": target[chosen]}
        image_grid({name: to_images(column) for name, column in columns.items()}).save(given.sheet)
    if given.json is not None:
        given.json.write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
