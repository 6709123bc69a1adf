"""What the GANs make: four studies, final weights, each beside real test images and a Gaussian in pixel space.

digits    A conditional GAN on MNIST, three seeds: how many of 10,000 samples a classifier names as asked; how good a
          classifier is that saw samples alone; distances; the validation score of the last weights over the best.
compare   The methods side by side at equal time on MNIST.
faces     DCGAN, WGAN-GP and hinge side by side at equal time on faces of 64 px.
balance   MNIST with every other class cut to a hundredth: a conditional GAN learns from it and fills it up, and
          classifiers of four ways are tested on real digits, five seeds.

    python scripts/study_gans.py STUDY DATA --out DIR [--seeds 0 1 2] [--minutes 10] [--json FILE]
"""

import argparse
import json
from dataclasses import asdict
from pathlib import Path
from statistics import mean
from typing import Any

import numpy as np
import torch
from rich.console import Console

from translate.applications.balance import fill, measure, real_images
from translate.applications.generation import evaluate_samples
from translate.applications.image_classifier import open_image_classifier
from translate.config import GAN_METHODS, GANConfig, ImageSetConfig
from translate.config import gans as gan_configs
from translate.data.image_set import ImageSet
from translate.engine import train
from translate.inference import GeneratorModel, load

Row = dict[str, Any]
MAJORITY, MINORITY = 5_000, 50


def configured(method: str, data: ImageSetConfig, out: Path, *, seed: int, run: Row, **options: Any) -> GANConfig:
    """A configuration with its method's own kind of run."""
    kind = GAN_METHODS[method]
    run_kind = getattr(gan_configs, str(kind.__dataclass_fields__["run"].type))
    settings = {"device": "cpu", "precision": "fp32", "keep": 1, "log_every": 10_000, "sample_every": 50_000}
    return kind(data=data, run=run_kind(out=out, seed=seed, **settings | run), **options)


def conditional(mnist: Path, out: Path, *, seed: int) -> GANConfig:
    """The one whose weights ship, by its first seed."""
    data = ImageSetConfig(root=mnist, hold_out=0.02)
    run = {
        "images": 600_000,
        "batch_size": 32,
        "learning_rate": 4e-4,
        "beta1": 0.5,
        "schedule": "linear",
        "decay_from": 0.5,
        "checkpoint_every": 60_000,
    }
    return configured("hinge", data, out / f"digits-{seed}", seed=seed, run=run, conditional=True)


def scored(config: GANConfig, root: Path, out: Path, *, classifier: Path, cas: bool = True) -> Row:
    model = load(train(config), device="cpu")
    assert isinstance(model, GeneratorModel)
    found = evaluate_samples(
        model, root, out=out / "scores" / config.run.out.name, classifier=classifier, cas=cas, seed=config.run.seed
    )
    log = [json.loads(line) for line in (config.run.out / "log.jsonl").read_text().splitlines()]
    validation = [sum(line["validation"].values()) for line in log if "validation" in line]
    return {
        "scores": found.scores,
        "accuracy": found.accuracy,
        "last over best": validation[-1] / min(validation) if validation else None,
        "images": model.config.training.images_seen if model.config.training else None,
    }


def digits(given: argparse.Namespace) -> list[Row]:
    rows = []
    for seed in given.seeds:
        config = conditional(given.data, given.out, seed=seed)
        rows.append({"seed": seed, **scored(config, given.data, given.out, classifier=given.out / "classifier")})
        print(rows[-1], flush=True)
    return rows


def _side_by_side(
    given: argparse.Namespace, methods: tuple[str, ...], prefix: str, options: Row, data: Row
) -> list[Row]:
    """Methods at equal time; the classifier is trained before the first of them."""
    rows = []
    for seed in given.seeds:
        for method in methods:
            config = configured(
                method,
                ImageSetConfig(root=given.data, **data),
                given.out / f"{prefix}-{method}-{seed}",
                seed=seed,
                run={"images": 50_000_000, "minutes": given.minutes, "checkpoint_every": 20_000},
                **options.get(method, {}),
            )
            if not (config.run.out / "weights").exists():
                train(config)
            # Trained by the clock: what is there is not trained on.
            model = load(config.run.out, device="cpu")
            assert isinstance(model, GeneratorModel)
            found = evaluate_samples(
                model,
                given.data,
                out=given.out / "scores" / config.run.out.name,
                classifier=given.out / f"{prefix}-classifier",
                num_images=given.num_images,
                cas=False,
                seed=seed,
            )
            log = [json.loads(line) for line in (config.run.out / "log.jsonl").read_text().splitlines()]
            validation = [sum(line["validation"].values()) for line in log if "validation" in line]
            record = model.config.training
            rows.append(
                {
                    "seed": seed,
                    "method": method,
                    "images": record.images_seen if record else None,
                    "scores": found.scores,
                    "last over best": validation[-1] / min(validation) if validation else None,
                }
            )
            print(rows[-1], flush=True)
    return rows


def compare(given: argparse.Namespace) -> list[Row]:
    return _side_by_side(given, tuple(GAN_METHODS), "compare", {}, {"hold_out": 0.02})


def faces(given: argparse.Namespace) -> list[Row]:
    options = {method: {"width": 32, "d_width": 32} for method in ("dcgan", "wgan-gp", "hinge")}
    data = {"size": 64, "flip": True, "hold_out": 0.1}
    return _side_by_side(given, tuple(options), "faces", options, data)


def balance(given: argparse.Namespace) -> list[Row]:
    whole = ImageSet(ImageSetConfig(root=given.data))
    part, test = whole.part("train"), whole.part("test")
    assert part.labels is not None
    assert part.pixels is not None
    assert test.pixels is not None
    kept = np.concatenate(
        [np.flatnonzero(part.labels == number)[: MAJORITY if number % 2 == 0 else MINORITY] for number in range(10)]
    )
    root = given.out / "imbalanced.npz"
    given.out.mkdir(parents=True, exist_ok=True)
    np.savez(
        root,
        x_train=part.pixels[kept][..., 0],
        y_train=part.labels[kept],
        x_test=test.pixels[..., 0],
        y_test=test.labels,
    )
    data = ImageSet(ImageSetConfig(root=root))
    run = {"images": given.images, "batch_size": 32}
    augment = {"augment": ("translation",)}
    config = configured(
        "hinge", ImageSetConfig(root=root), given.out / "balance-gan", seed=0, run=run, conditional=True, **augment
    )
    model = load(train(config), device="cpu")
    assert isinstance(model, GeneratorModel)
    console = Console(stderr=True)
    judge = open_image_classifier(data, given.out / "balance-classifier", device=torch.device("cpu"), console=console)
    images, labels = real_images(data)
    filled = fill(images, labels, data.class_names, model, judge)
    assert test.labels is not None
    truth = data.images("test", range(len(test))), torch.from_numpy(test.labels.astype(np.int64))
    found = measure(images, labels, filled, truth, given.out / "balance-measuring", console=console)
    print(found.verdict)
    return [{"classes": [asdict(row) for row in filled.classes], **asdict(found), "verdict": found.verdict}]


STUDIES = {"digits": digits, "compare": compare, "faces": faces, "balance": balance}


def report(rows: list[Row]) -> None:
    """Means and extremes over seeds, by method where there are several."""
    methods = list(dict.fromkeys(row.get("method", "") for row in rows))
    for method in methods:
        some = [row for row in rows if row.get("method", "") == method]
        for candidate in some[0].get("scores", {}):
            for name in some[0]["scores"][candidate]:
                values = [row["scores"][candidate][name] for row in some]
                print(
                    f"{method:8} {candidate:18} {name:20} mean {mean(values):9.4f}   {min(values):.4f} to "
                    f"{max(values):.4f}   of {len(values)}"
                )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("study", choices=STUDIES)
    parser.add_argument("data", type=Path)
    parser.add_argument("--out", type=Path, required=True, help="of the runs; what is there already is gone on with")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--minutes", type=float, default=10.0, help="of each run of compare and faces")
    parser.add_argument("--images", type=int, default=300_000, help="that the GAN of balance sees")
    parser.add_argument("--num-images", type=int, default=10_000, help="scored, of compare and faces")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    rows = STUDIES[given.study](given)
    report(rows)
    if given.json is not None:
        given.json.write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
