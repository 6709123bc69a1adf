"""``translate embed WEIGHTS DATA -o OUT``."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from annotated_types import Ge, Lt
from tyro.conf import Positional, arg

from translate.config.base import Config, ConfigError, validate

if TYPE_CHECKING:
    from translate.applications.embed import Probe


AT_ONCE = 1024  # images in memory as numbers
WRITTEN = ("latents.npz", "tsne.png", "pca.png", "map.html", "probes.json")


@dataclass(frozen=True, kw_only=True)
class Embed(Config):
    """Encode images as latents, or as features of a pretrained network; map them and probe them for the classes.

    Writes latents.npz, map.html (interactive), tsne.png and pca.png; with labels, also the linear-probe and k-NN
    accuracy of the latents, beside that of principal components and raw pixels (probes.json).
    """

    weights: Positional[str]
    """Weights: a name (such as vae-mnist), a weights folder, a run folder or a .safetensors file; or a feature network:
    efficientnet_lite0 (needs the extra "features"), or a torchvision network and its file, as resnet50=FILE.pth."""
    root: Positional[Path]
    """Image set: a folder, class folders, a folder with a .csv of labels, idx files, .npz, or CelebA."""
    out: Annotated[Path, arg(aliases=["-o"])]
    """Output folder."""
    split: Literal["train", "val", "test"] | None = None
    """Split to encode; default: test, else val, else train."""
    attribute: str | None = None
    """CelebA attribute that defines the two classes, such as Smiling."""
    labels_csv: Path | None = None
    """CSV file with a column of file names and one of labels; default: the one found in the folder."""
    label_column: str | None = None
    """Column of the CSV file that holds the labels, needed where it has several."""
    count: Annotated[int, Ge(4)] | None = None
    """Maximum number of images, evenly spaced; default: all."""
    map_count: Annotated[int, Ge(0)] = 2_000
    """Maximum number of images on the map; 0 for no map."""
    show: Literal["images", "reconstructions"] = "images"
    """Thumbnails on the map: the images themselves, or their reconstructions."""
    probe_count: Annotated[int, Ge(10)] = 10_000
    """Maximum number of training images for the linear probe and k-NN."""
    seed: Annotated[int, Ge(0), Lt(2**32)] = 0
    """Seed of the t-SNE."""
    device: str = "auto"
    """Device: cuda, mps, cpu, or auto for the best one available."""


def embed(command: Embed) -> int:
    """Run ``translate embed``; the exit code."""
    validate(command)
    import json
    from difflib import get_close_matches

    import numpy as np
    import torch
    from PIL import Image

    from translate.applications.embed import FEWEST, flattened, probes, sklearn, tellable
    from translate.applications.evaluation.networks import named_features, open_features
    from translate.applications.latent_map import map_page, thumbnail_map
    from translate.checkpoint.atomic import make_folder, written_beside
    from translate.data.image_arrays import npz_file
    from translate.data.image_inputs import choose_split, part_names, read_part, spread
    from translate.data.layouts_common import data_name
    from translate.data.layouts_images import find_images
    from translate.inference.device import choose_device
    from translate.inference.feature_model import FeatureModel
    from translate.inference.files import names_a_file, refuse_overwriting
    from translate.inference.grid import to_images
    from translate.inference.image_model import ImageModel
    from translate.inference.library import load_image_model
    from translate.networks.efficientnet import EfficientNetLite0

    names_a_file(command.out, ())
    if command.map_count:
        sklearn("manifold")  # before minutes of work
    model: ImageModel | FeatureModel
    if command.weights == EfficientNetLite0.name or ("=" in command.weights and not Path(command.weights).exists()):
        if command.show == "reconstructions":
            raise ConfigError("--show reconstructions needs an autoencoder: omit it for a feature network")
        name, weights_file = named_features(command.weights)
        device = choose_device(command.device)
        model = FeatureModel(open_features(name, weights_file, device=device), device=device)
    elif (close := get_close_matches(command.weights.lower(), [EfficientNetLite0.name], n=1, cutoff=0.8)) and not Path(
        command.weights
    ).exists():
        raise ConfigError(f"there is no feature network {command.weights!r}: did you mean {close[0]}?")
    else:
        model = load_image_model(command.weights, device=command.device)
    found = find_images(
        command.root,
        attribute=command.attribute,
        labels_csv=command.labels_csv,
        label_column=command.label_column,
    )
    split = choose_split(found, command.split)
    print(found.describe())
    for line in found.notes:
        print(line, file=sys.stderr)
    files = [source.path for part in found.splits.values() for source in part.sources]
    arrays_file = npz_file(found.root) if found.layout == "npz" else None
    outputs = [command.out / name for name in WRITTEN]
    refuse_overwriting(files if arrays_file is None else [arrays_file], outputs)
    dtype, half = (np.uint16, 65535 / 2) if model.format.bits == 16 else (np.uint8, 255 / 2)

    def read(name: str, count: int | None) -> tuple[np.ndarray, np.ndarray, np.ndarray, list[str]]:
        """Latents, pixels as the model sees them (uint8 or uint16), labels and names."""
        part = found.splits[name]
        called = part_names(part, found.root)
        latents, pixels, labels, names = [], [], [], []
        chosen = spread(len(part), count)
        for some in np.array_split(chosen, -(-len(chosen) // AT_ONCE)):
            named, failed = read_part(part, some, called, fmt=model.format)
            for line in failed:
                print(f"skipped: {line}", file=sys.stderr)
            if named:
                images = model.prepared([one.picture for one in named])
                latents.append(model.encoded(images).numpy())
                pixels.append(((images + 1) * half).round().numpy().astype(dtype))  # a fraction of the room
                labels += [-1 if one.label is None else one.label for one in named]
                names += [one.name for one in named]
        if not names:
            raise ConfigError(f"none of the {name} images can be read")
        return np.concatenate(latents), np.concatenate(pixels), np.array(labels), names

    latents, pixels, labels, names = read(split, command.count)
    make_folder(command.out)
    arrays: dict[str, np.ndarray] = {"latents": latents, "names": np.array(names)}
    if found.class_names:
        arrays |= {"labels": labels, "class_names": np.array(found.class_names)}
    with written_beside(command.out / "latents.npz") as beside, beside.open("wb") as file:
        np.savez(file, **arrays)  # type: ignore[arg-type]  # keyword arrays of any type
    print(f"{len(latents)} latents of dimension {latents.shape[1]}: {command.out / 'latents.npz'}")

    chosen = spread(len(latents), command.map_count)
    if command.map_count and len(chosen) < FEWEST:
        print(f"no map: {len(chosen)} images are too few; give at least four, and hundreds to see clusters")
    elif command.map_count:
        maps = flattened(latents[chosen], seed=command.seed)
        shown_pixels = torch.from_numpy(pixels[chosen].astype(np.float32)) / half - 1
        if command.show == "reconstructions":
            assert isinstance(model, ImageModel)
            shown_pixels = model.reconstructed(shown_pixels)
        thumbnails = to_images(shown_pixels)
        if model.format.channels < 3:
            thumbnails = [image.convert("L") for image in thumbnails]
        if model.size > 64:
            thumbnails = [image.resize((64, 64), Image.Resampling.LANCZOS) for image in thumbnails]
        shown = [int(label) for label in labels[chosen]] if found.class_names else None
        name = model.name if isinstance(model, FeatureModel) else model.config.name
        title = f"{name}: {len(chosen)} {split} images of {data_name(found.root)}"
        for name, points in maps.items():
            picture = thumbnail_map(points, thumbnails, shown, found.class_names, title=f"{title}, {name}")
            with written_beside(command.out / f"{name.lower().replace('-', '')}.png") as beside:
                picture.save(beside, format="PNG")
        page = map_page(maps, thumbnails, shown, found.class_names, [names[index] for index in chosen], title=title)
        with written_beside(command.out / "map.html") as beside:
            beside.write_text(page, encoding="utf-8")
        print(f"map of {len(chosen)} images: {command.out / 'map.html'}")

    if found.class_names and split != "train" and "train" in found.splits:
        train_latents, train_pixels, train_labels, _ = read("train", command.probe_count)
        told = tellable(train_labels, labels, found.class_names)
        for line in told.lines:
            print(line)
        if len(told.rows):
            rows = probes(
                (train_latents, latents[told.rows]),
                (train_pixels, pixels[told.rows]),
                (train_labels, labels[told.rows]),
            )
            with written_beside(command.out / "probes.json") as beside:
                beside.write_text(json.dumps([vars(row) for row in rows], indent=2) + "\n", encoding="utf-8")
            _print(rows, train=len(train_latents), test=len(told.rows))
    else:
        lacks = "a train split and another one" if found.class_names else "labels in both splits"
        print(f"linear-probe and k-NN accuracy are not measured: that needs {lacks}")
    return 0


def _print(rows: list[Probe], *, train: int, test: int) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(title=f"Probe accuracy: {train:,} training images, {test:,} test images", title_justify="left")
    for heading in ("", "dimension", "5-NN", "linear"):
        table.add_column(heading, justify="left" if not heading else "right")
    for row in rows:
        low, high = row.linear_interval
        near = "-"
        if row.neighbours is not None and row.neighbours_interval is not None:
            near = f"{row.neighbours:.3f} ({row.neighbours_interval[0]:.3f}-{row.neighbours_interval[1]:.3f})"
        table.add_row(
            row.name,
            str(row.num_values),
            near,
            f"{row.linear:.3f} ({low:.3f}-{high:.3f})",
        )
    Console(emoji=False, width=80, highlight=False).print(table)
