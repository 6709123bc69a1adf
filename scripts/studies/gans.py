"""What the GANs make: four studies, final weights, each beside real test images and a Gaussian in pixel space.

digits    A conditional GAN on MNIST, three seeds: how many of 10,000 samples a classifier names as asked; how good a
          classifier is that saw samples alone; distances.
compare   The methods side by side at equal time on MNIST.
faces     DCGAN, WGAN-GP and hinge side by side at equal time on faces of 64 px.
balance   MNIST with every other class cut to a hundredth: a conditional GAN learns from it and fills it up, and
          classifiers of five ways are tested on real digits, five seeds.

Equal time: how many images a second each method trains on is measured first, in turns, and each gets as many images as
it would see in --minutes; so another process on the machine changes nothing. "last over best" is the Frechet distance
of the final weights over the least of ten, taken after each tenth of the training.

    python -m scripts.studies.gans STUDY DATA --out DIR [--seeds 0 1 2] [--minutes 10] [--json FILE]
"""

import argparse
import json
import tempfile
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from statistics import mean, median
from typing import Any

import numpy as np
import torch
from rich.console import Console

from scripts.benchmarks.pix2pix import measure as take_turns
from translate.applications.balance import fill, measure, real_images
from translate.applications.classifier import KeptClassifier, open_image_classifier, read_classifier
from translate.applications.generation import MEASURES, evaluate_samples
from translate.checkpoint.run_state import load_state, owned, saved_states
from translate.config import METHODS, GANConfig, ImageSetConfig, configure
from translate.config.training import MethodConfig
from translate.data.image_inputs import spread
from translate.data.image_set import ImageSet
from translate.engine import Display, Engine, train
from translate.engine.distributed import World
from translate.inference import GeneratorModel, image_grid, load
from translate.inference.device import choose_device
from translate.inference.grid import enlarged
from translate.metrics import frechet_distance
from translate.recipes import open_recipe

Row = dict[str, Any]
MAJORITY, MINORITY = 5_000, 50
TENTHS, LOOKED_AT = 10, 5_000  # scores on the way, and the samples of each
SHOWN = 10  # samples of each method in the picture
# As published a generator has one small step for five of the critic: in minutes it learns nothing.
FEW_STEPS: Row = {"n_critic": 2, "run": {"learning_rate": 4e-4, "beta1": 0.5}}


GANS = [name for name, method in METHODS.items() if method.config is GANConfig]


def configured(method: str, data: ImageSetConfig, out: Path, *, seed: int, run: Row, **options: Any) -> GANConfig:
    """A configuration with its method's own defaults."""
    settings = {"precision": "fp32", "keep": TENTHS, "log_every": 10_000, "sample_every": 50_000}
    return configure(method, out=out, seed=seed, **vars(data) | settings | run | options)


def open_engine(config: MethodConfig) -> Engine:
    """An engine that says nothing."""
    recipe, images = open_recipe(config)
    world = World(rank=0, size=1, device=choose_device(config.run.device))
    return Engine(recipe, images, config=config, world=world, display=Display(enabled=False))


def engine_step(engine: Engine, steps: int, real: torch.Tensor) -> Callable[[], None]:
    """A call that makes so many steps."""

    def step() -> None:
        for _ in range(steps):
            engine.train_step({"images": real})
            engine.images += len(real)

    return step


def rates(configs: dict[str, MethodConfig], file: Path, *, steps: int | None = None) -> dict[str, float]:
    """Images a second that each method trains on, in turns; measured once and kept in a file.

    Args:
        configs: By name.
        file: Where they are kept.
        steps: Taken in a turn, so many that lazy penalties are among them; one of the generator unless given.
    """
    if not file.is_file():
        with tempfile.TemporaryDirectory() as folder:
            calls, turns = {}, {}
            for name, config in configs.items():
                engine = open_engine(replace(config, run=replace(config.run, out=Path(folder) / name)))
                channels, size = engine.data.format.channels, engine.data.size
                noise = torch.rand(config.run.batch_size, channels, size, size, device=engine.device) * 2 - 1
                turns[name] = steps or getattr(config, "n_critic", 1)
                calls[name] = engine_step(engine, turns[name], noise)
            rounds = 7 if steps is None else 2
            calls_each = 20 if engine.device.type == "cuda" and steps is None else 1  # a step of a GPU is short
            seconds = take_turns(calls, rounds=rounds, calls=calls_each, warmup=calls_each, device=engine.device)
        found = {name: config.run.batch_size * turns[name] / median(seconds[name]) for name, config in configs.items()}
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    return json.loads(file.read_text(encoding="utf-8"))


def conditional(given: argparse.Namespace, *, seed: int) -> GANConfig:
    """The one whose weights ship, by its first seed."""
    images = given.images or 800_000
    run = {
        "device": given.device,
        "images": images,
        "batch_size": 32,
        "learning_rate": 4e-4,
        "beta1": 0.5,
        "schedule": "linear",
        "decay_from": 0.5,
        "ema_half_life": 20_000.0,
        "ema_ramp_up": 0.1,
        "checkpoint_every": images // TENTHS,
    }
    data = ImageSetConfig(root=given.data)
    options = {"conditional": True, "latent": 16, "mismatch_weight": given.mismatch_weight}
    return configured("hinge", data, given.out / f"digits-{seed}", seed=seed, run=run, **options)


def history(run: Path, model: GeneratorModel, evaluator: KeptClassifier, data: ImageSet) -> list[tuple[int, float]]:
    """Images seen and the Frechet distance from training images, at each state that a run kept."""
    reference = evaluator.features(data.labelled("train", spread(data.num_images, 2 * LOOKED_AT))[0])
    final = {name: tensor.clone() for name, tensor in model.network.state_dict().items()}
    found = []
    for path in saved_states(run / "states"):
        tensors = load_state(path).tensors
        model.network.load_state_dict(owned(tensors, "ema.g") or owned(tensors, "net.g"))
        made, _ = model.sampled(LOOKED_AT, seed=1)
        found.append((int(path.stem), round(frechet_distance(evaluator.features(made), reference), 4)))
    model.network.load_state_dict(final)
    return found


def scored(config: MethodConfig, root: Path, out: Path, *, classifier: Path, num_images: int, cas: bool) -> Row:
    """Train, or go on, and score the final weights."""
    model = load(train(config), device=config.run.device)
    assert isinstance(model, GeneratorModel)
    found = evaluate_samples(
        model,
        root,
        out=out / "scores" / config.run.out.name,
        classifier=classifier,
        num_images=num_images,
        cas=cas,
        seed=config.run.seed,
    )
    evaluator = read_classifier(classifier, device=choose_device(config.run.device))
    on_the_way = history(config.run.out, model, evaluator, ImageSet(config.data))
    return {
        "seed": config.run.seed,
        "scores": found.scores,
        "accuracy": found.accuracy,
        "frechet on the way": on_the_way,
        "last over best": on_the_way[-1][1] / min(score for _, score in on_the_way),
        "images": config.run.images,
    }


def digits(given: argparse.Namespace) -> list[Row]:
    rows = []
    for seed in given.seeds:
        config = conditional(given, seed=seed)
        row = scored(config, given.data, given.out, classifier=given.out / "classifier", num_images=10_000, cas=True)
        rows.append(row)
        print(row, flush=True)
    return rows


def _side_by_side(
    given: argparse.Namespace, methods: dict[str, Row], prefix: str, data: ImageSetConfig, run: Row
) -> list[Row]:
    """Methods, each with options of its own, at equal time; and a picture of what the first seed of each makes."""

    def config(method: str, seed: int, images: int) -> GANConfig:
        out = given.out / f"{prefix}-{method}-{seed}"
        every = max(1, images // TENTHS)
        settings = {"device": given.device, "images": images, "checkpoint_every": every, "schedule": "linear", **run}
        options = dict(methods[method])
        return configured(method, data, out, seed=seed, run=settings | options.pop("run", {}), **options)

    speed = rates({method: config(method, 0, 1) for method in methods}, given.out / f"{prefix}-rates.json")
    methods = {method: options for method, options in methods.items() if method in (given.methods or methods)}
    rows = []
    for seed in given.seeds:
        for method in methods:
            row = scored(
                config(method, seed, round(speed[method] * 60 * given.minutes)),
                given.data,
                given.out,
                classifier=given.out / f"{prefix}-classifier",
                num_images=given.num_images,
                cas=False,
            )
            rows.append({"method": method, "images a second": speed[method], **row})
            print(rows[-1], flush=True)
    columns = {}
    for method in methods if rows else ():
        model = load(given.out / f"{prefix}-{method}-{given.seeds[0]}", device="cpu")
        assert isinstance(model, GeneratorModel)
        columns[method] = enlarged(model.sample(SHOWN, seed=0))
    if columns:
        image_grid(columns).save(given.out / f"{prefix}.png")
    return rows


def compare(given: argparse.Namespace) -> list[Row]:
    data = ImageSetConfig(root=given.data)
    methods: dict[str, Row] = {
        "gan": {"d_rate": 0.5},  # at one rate D wins in the end, and samples lose variety again
        "dcgan": {},
        "wgan": {"n_critic": 2, "run": {"learning_rate": 2e-4}},
        "wgan-gp": FEW_STEPS,
        "hinge": {"run": {"learning_rate": 4e-4, "beta1": 0.5}},
    }
    return _side_by_side(given, methods, "compare", data, {})


def faces(given: argparse.Namespace) -> list[Row]:
    # A few thousand faces are learned by heart unless all that a discriminator sees is changed; a critic whose
    # gradients are bound does not come so far in this time, and learned blobs of what was changed.
    small: Row = {"width": 32, "d_width": 32}
    options = {**small, "augment": ("colour", "translation", "cutout")}
    methods: dict[str, Row] = {
        "dcgan": options,
        # A norm that does not mix images is what the paper suggests; a step of the generator for each of the critic.
        "wgan-gp": {**small, "n_critic": 1, "d_norm": "group", "run": {"learning_rate": 4e-4, "beta1": 0.0}},
        # Two time scales (Heusel et al., 2017): with one, D is as good as blind for long.
        "hinge": {**options, "d_rate": 2.0, "run": {"learning_rate": 2e-4}},
    }
    data = ImageSetConfig(root=given.data, size=64, flip=True, hold_out=0.1)
    return _side_by_side(given, methods, "faces", data, {"batch_size": 32, "ema_half_life": 10_000.0})


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
    run = {
        "device": given.device,
        "images": given.images or 200_000,
        "batch_size": 32,
        "learning_rate": 4e-4,
        "beta1": 0.5,
        "schedule": "linear",
        "ema_half_life": 20_000.0,
        "ema_ramp_up": 0.1,
    }
    config = configured(
        "hinge",
        ImageSetConfig(root=root, class_balanced=True),
        given.out / "balance-gan",
        seed=0,
        run=run,
        conditional=True,
        latent=16,
        mismatch_weight=given.mismatch_weight,
        augment=("translation",),
    )
    device = choose_device(given.device)
    model = load(train(config), device=given.device)
    assert isinstance(model, GeneratorModel)
    console = Console(stderr=True)
    evaluator = open_image_classifier(data, given.out / "balance-classifier", device=device, console=console)
    images, labels = real_images(data)
    filled = fill(images, labels, data.class_names, model, evaluator)
    assert test.labels is not None
    truth = data.images("test", range(len(test))), torch.from_numpy(test.labels.astype(np.int64))
    found = measure(images, labels, filled, truth, given.out / "balance-measuring", console=console)
    print(found.verdict)
    return [{"classes": [asdict(row) for row in filled.classes], **asdict(found), "verdict": found.verdict}]


STUDIES = {"digits": digits, "compare": compare, "faces": faces, "balance": balance}


def report(rows: list[Row]) -> None:
    """A table: a line for each method, real images and the Gaussian; means over seeds, and the extremes below."""
    if not rows or "scores" not in rows[0]:
        return
    methods = list(dict.fromkeys(row.get("method", "samples") for row in rows))
    samples, *beside = rows[0]["scores"]
    table: dict[str, list[Row]] = {
        method: [row["scores"][samples] for row in rows if row.get("method", "samples") == method] for method in methods
    }
    for name in beside:
        table[name] = [row["scores"][name] for row in rows]
    seeds = len({row["seed"] for row in rows})
    for name, measured in MEASURES.items():
        if name not in rows[0]["scores"][samples]:
            continue
        print(f"\n{measured.title} ({measured.better} is better), final, mean of {seeds} seeds")
        for candidate, found in table.items():
            values = [scores[name] for scores in found if name in scores]
            if values:
                print(f"  {candidate:20} {mean(values):9.4f}   {min(values):.4f} to {max(values):.4f}")
    print("\nFrechet distance, last over the best of the training")
    for method in methods:
        some = [row for row in rows if row.get("method", "samples") == method]
        ratios = ", ".join(f"{row['last over best']:.2f}" for row in some)
        print(f"  {method:20} {ratios}   after {some[0]['images']:,} images")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("study", choices=STUDIES)
    parser.add_argument("data", type=Path)
    parser.add_argument("--out", type=Path, required=True, help="of the runs; what is there already is gone on with")
    parser.add_argument("--seeds", type=int, nargs="*", default=[0, 1, 2], help="none: measure the rates alone")
    parser.add_argument("--methods", nargs="+", choices=GANS, help="of compare and faces; all unless given")
    parser.add_argument("--minutes", type=float, default=10.0, help="of each run of compare and faces")
    parser.add_argument("--images", type=int, help="that the GAN of digits (800,000) or of balance (200,000) sees")
    parser.add_argument("--mismatch-weight", type=float, default=0.1, help="of these")
    parser.add_argument("--num-images", type=int, default=10_000, help="scored, of compare and faces")
    parser.add_argument("--device", default="cpu")
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
