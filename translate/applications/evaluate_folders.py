"""How near are the images of one folder to those of another? Scores of images that need no weights of ours.

As sets: kernel and Frechet distance, precision, recall, density and coverage in the features of a network; the sliced
Wasserstein distance of patches; how alike images are among themselves, and how near each is to a real one. Where the
names of the files meet, also image by image: L1, PSNR, SSIM, MS-SSIM, edges, luminance, and LPIPS where its weights are
given.

Beside them stands what real images score: as sets, one half of them against the other; image by image, a real image
against another one, which is chance. And, as a set, draws from a Gaussian of the real pixels.

The features are those of a network whose file is given, such as the Inception of published FIDs, or else of a small
classifier of quarter turns that is trained on the real images once and kept.

Shapes: N images, C channels, H height, W width, S side of a square, D features.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from rich.console import Console
from torch import Tensor

from translate.applications.classifier import (
    LARGEST_DOMAIN_SIZE,
    KeptClassifier,
    Length,
    open_image_classifier,
    squeezed,
)
from translate.applications.evaluate import EVALUATIONS
from translate.applications.evaluation.data import to_unit_tensor
from translate.applications.evaluation.folders import ImageFolder, common, matched_sizes, open_folders, pairs_or_reason
from translate.applications.evaluation.networks import open_features, open_lpips
from translate.applications.evaluation.pairs import Measured, left_out, measure_into, pair_measures, ranked
from translate.applications.evaluation.result import (
    GAUSSIAN,
    MADE,
    REAL,
    EvaluationError,
    FeatureSpace,
    FolderEvaluation,
    Score,
    mean_score,
    write_evaluation,
)
from translate.applications.evaluation.sets import distances
from translate.applications.evaluation.sheet import Shown, choose, sheet
from translate.applications.generation import gaussian_images, likeness
from translate.checkpoint.atomic import make_folder, written_beside
from translate.checkpoint.peers.reading import sha256
from translate.config.base import ConfigError
from translate.config.networks import ClassifierNetworkConfig
from translate.config.training import ImageSetConfig
from translate.data.image_inputs import spread
from translate.data.image_set import ImageSet
from translate.data.layouts_common import first_names
from translate.data.problems import be, have
from translate.data.sizes import default_size
from translate.data.store import Format
from translate.inference.device import choose_device
from translate.metrics import LPIPS, edge_agreement, frechet_distance, luminance_ssim, manifold, nearest_distances
from translate.metrics.sliced_wasserstein import sliced_wasserstein
from translate.networks.features import FeatureNetwork

MOST = 10_000
"""Images of a folder that are compared unless given otherwise, and of the real ones that the classifier learns from."""
FEATURES_FOLDER, LEARNED_FILE = "features", "real.npz"
"""The classifier's folder within the evaluation's, and in it, while it is trained, the images that it learns from."""
LENGTH = Length(epochs=10, fewest=2_000, most=20_000)
"""Of the classifier's training. So few that it knows the images it learned from no better than others,
which an honest distance of new images from them needs."""
PATCH_IMAGES, NEIGHBOURS, CHUNK = 2_000, 5, 8


@dataclass(frozen=True, kw_only=True)
class _Set:
    """Images as a set sees them."""

    squares: Tensor
    """[N, 3, S, S] in [-1, 1]."""
    features: Tensor
    """[N, D]."""

    def __len__(self) -> int:
        return len(self.squares)

    def __getitem__(self, chosen: Tensor | slice) -> _Set:
        return _Set(squares=self.squares[chosen], features=self.features[chosen])


@dataclass(kw_only=True)
class _Found:
    """What pairs, or sets, were found to score."""

    scores: dict[str, dict[str, Score]]
    """By candidate and by measure."""
    values: Measured
    """Of the made images, by measure and in their order; NaN where it could not be measured."""
    ranking: list[float]
    """A number for each made image, higher for better."""
    ordered_by: str
    shown: dict[int, Path]
    """The real image that stands beside each made one on the sheet."""
    notes: list[str]
    features: FeatureSpace | None = None


def evaluate_folders(
    made: str | Path,
    real: str | Path,
    *,
    out: str | Path | None = None,
    unpaired: bool = False,
    num_images: int | None = None,
    size: int | None = None,
    features: tuple[str, Path] | None = None,
    lpips: tuple[Path, Path] | None = None,
    classifier: Path | None = None,
    images_seen: int | None = None,
    seed: int = 0,
    device: str = "auto",
    console: Console | None = None,
    on_step: Callable[[str], None] | None = None,
) -> FolderEvaluation:
    """Score a folder of images against a folder of real ones; write ``<name of the folder>.json`` and a sheet of them.

    Both folders are searched with all that is below them. Where all or nearly all of the smaller folder's files have a
    partner of the same name in the other one, pairs are compared as well.

    Args:
        made: The images to score, of whatever origin.
        real: What they should be like: real images, or the targets of the same names.
        out: Folder for what is written; ``evaluations/<name of the real folder>`` unless given.
        unpaired: Compare them as sets alone, though names meet.
        num_images: At most so many of each, drawn with the seed; 10,000 unless given.
        size: Resize the shorter side of pairs to this before they are compared; images keep their own size unless
            given. A made image that is still of another size than its partner is resized to it.
        features: The name of a torchvision classifier, or ``inception_fid``, and the file of its weights, for the
            distances; a classifier of the real images' quarter turns unless given.
        lpips: Two files: torchvision's weights of AlexNet, VGG-16 or SqueezeNet, and the LPIPS authors' heads.
        classifier: Folder in which the classifier is kept; ``features/`` in `out` unless given.
        images_seen: Images that the classifier's training sees; from their number unless given.
        seed: Of all that is drawn: the images, halves, intervals, the classifier's training.
        device: cuda, mps, cpu or auto.
        console: Where the classifier's training is said; standard error unless given.
        on_step: Called with a word on what is done next.

    Returns:
        The scores, and what has to be known to read them.

    Raises:
        LayoutError: a folder is missing or empty, or both are the same.
        ConfigError: LPIPS without pairs, or `classifier` holds one of other images.
        EvaluationError: there are neither pairs nor two readable images of each to compare as sets.
        WeightsError, FeaturesError: networks that cannot be opened.
        ClassifierError: the classifier's training was interrupted.
        WriteError: `out` cannot be written.

    Example:
        >>> found = evaluate_folders("samples", "photos", out="scores")
        >>> found.scores["made"]["frechet"].value, found.scores["real"]["frechet"].value
    """
    console, say = console or Console(emoji=False, stderr=True, highlight=False), on_step or (lambda _: None)
    out = Path(EVALUATIONS) / (Path(real).resolve().name or "images") if out is None else Path(out)
    if features is not None and classifier is not None:
        raise ConfigError("--features and --classifier are alternative sources of features: give one of them")
    say("listing images")
    made_folder, real_folder = folders = open_folders(Path(made), Path(real), out=out)
    fmt, notes = common(*folders)
    notes = [*made_folder.notes, *real_folder.notes, *notes]
    pairs: dict[Path, Path] = {}
    if not unpaired:
        pairs, line = pairs_or_reason(*folders)
        notes.append(line)
    if lpips is not None and not pairs:
        raise ConfigError("--lpips compares pairs, and these are two sets: omit it")
    if not pairs and (few := next((side for side in folders if len(side.files) < 2), None)) is not None:
        raise EvaluationError(
            f"{few.folder} holds one readable image, and a set needs at least two: add images, or give it the name "
            "of the real image to compare it with"
        )
    device_ = choose_device(device)
    perceptual = open_lpips(*lpips, device=device_) if lpips is not None else None
    network = open_features(*features, device=device_) if features is not None else None
    files = [_drawn(side.files, num_images or MOST, seed=seed) for side in folders]
    for side, some in zip(folders, files, strict=True):
        if len(some) < len(side.files):
            notes.append(f"{len(some):,} of the {len(side.files):,} images of {side.name} are sampled")
    make_folder(out)
    found = []
    if pairs:
        say("comparing pairs")
        found.append(_score_pairs(folders, files[0], pairs, fmt, size=size, lpips=perceptual, seed=seed))
    if min(map(len, files)) >= 2:
        describe = _describer(
            real_folder,
            network,
            features[1] if features is not None else None,
            folder=classifier or out / FEATURES_FOLDER,
            device=device_,
            console=console,
            seed=seed,
            images_seen=images_seen,
            say=say,
        )
        found.append(_score_sets(folders, files, fmt, describe, seed=seed, say=say))
    else:
        notes.append("a single image is not a set: set distances are omitted")
    return _written(folders, files[0], found, notes, out=out, size=size, seed=seed)


def _drawn(files: Sequence[Path], count: int, *, seed: int) -> list[Path]:
    """So many of the files, in their order; of two folders with the same names, the same ones."""
    if count >= len(files):
        return list(files)
    draw = np.random.default_rng([seed, 1]).choice(len(files), count, replace=False)
    return [files[number] for number in np.sort(draw)]


# Pairs


def _score_pairs(
    folders: tuple[ImageFolder, ImageFolder],
    files: Sequence[Path],
    pairs: dict[Path, Path],
    fmt: Format,
    *,
    size: int | None,
    lpips: LPIPS | None,
    seed: int,
) -> _Found:
    """Compare each made image with its partner, and another real image with it too."""
    made, real = folders
    measures = {**pair_measures(lpips), "edges": edge_agreement, "luminance_ssim": luminance_ssim}
    values: dict[str, Measured] = {name: {m: [math.nan] * len(files) for m in measures} for name in (MADE, REAL)}
    rng = np.random.default_rng([seed, 2])
    resized, apart = 0, []
    for number, file in enumerate(files):
        partner = pairs.get(file)
        if partner is None:
            continue
        pictures = made.picture(file), real.picture(partner)
        if pictures[0] is None or pictures[1] is None:
            continue
        fitted = matched_sizes(pictures[0], pictures[1], side=size)
        if fitted is None:
            apart.append(file)
            continue
        resized += size is None and pictures[0].size != pictures[1].size
        output, target = (to_unit_tensor(picture, fmt) for picture in fitted)
        measure_into(values[MADE], number, output, target, measures)
        picture = real.picture(_another(partner, real.files, rng)) if len(real.files) > 1 else None
        if picture is not None:
            other = F.interpolate(to_unit_tensor(picture, fmt), target.shape[-2:], mode="bilinear", antialias=True)
            measure_into(values[REAL], number, other.clamp(0, 1), target, measures)
    ranking, ordered_by = ranked(values[MADE])
    scores = {
        candidate: {name: mean_score(found, seed=seed) for name, found in row.items()}
        for candidate, row in values.items()
        if not all(map(math.isnan, row["l1"]))
    }
    notes = left_out({name: values[name] for name in scores}, MADE) if MADE in scores else []
    if resized:
        notes.append(
            f"{resized} of {len(files)} images of {made.name} {have(resized)} a different size from the real image of "
            "the same name: resized to it"
        )
    if apart:
        notes.append(
            f"{len(apart)} of {len(files)} images of {made.name} {have(len(apart))} a different aspect ratio from the "
            f"real image of the same name: not compared with it ({first_names(apart)})"
        )
    if REAL in scores:
        notes.append(f"for pairs, '{REAL}' compares real images with unrelated real images (chance level)")
        own, chance = scores[MADE]["l1"].value, scores[REAL]["l1"].value
        if own is not None and chance is not None and own >= chance:
            notes.append(
                "by L1, pairs are no more similar than unrelated images: if their names match by accident, --unpaired "
                "compares the sets only"
            )
    return _Found(
        scores=scores,
        values=values[MADE],
        ranking=ranking,
        ordered_by=ordered_by,
        shown={number: pairs[file] for number, file in enumerate(files) if file in pairs},
        notes=notes,
    )


def _another(file: Path, files: Sequence[Path], rng: np.random.Generator) -> Path:
    """Any of the files but this one."""
    number = int(rng.integers(len(files) - 1))
    return files[number] if files[number] != file else files[-1]


# Sets


class _Describer:
    """What sets are compared in: squares of their pixels, and features.

    Args:
        size: S.
        features: Of squares [N, 3, S, S] in [-1, 1].
        network: A network that takes its features of the images themselves; it has them from squares without one.
        space: What is said of the features; its counts are filled in later.
        device: Where the network runs.
    """

    def __init__(
        self,
        size: int,
        features: Callable[[Tensor], Tensor],
        network: FeatureNetwork | None,
        space: FeatureSpace,
        device: torch.device,
    ) -> None:
        self.size, self.features, self.network, self.space, self.device = size, features, network, space, device

    def __call__(self, folder: ImageFolder, files: Sequence[Path], fmt: Format) -> tuple[_Set, list[int]]:
        """The images of a folder, and the numbers of those that could be read."""
        squares, found, kept = [], [], []
        for start in range(0, len(files), CHUNK):
            images = []
            for number, file in enumerate(files[start : start + CHUNK], start):
                if (picture := folder.picture(file)) is not None:
                    images.append(to_unit_tensor(picture, fmt))
                    kept.append(number)
            if not images:
                continue
            squares += [squeezed(image, size=self.size, channels=3) for image in images]
            if self.network is not None:
                batch = torch.cat([self.network.squeeze(image * 2 - 1) for image in images])
                found.append(_through(self.network, batch, self.device))
        if len(kept) < 2:
            raise EvaluationError(f"{folder.folder}: a set of fewer than two readable images has no distance")
        together = torch.cat(squares)
        return _Set(squares=together, features=torch.cat(found) if found else self.features(together)), kept


@torch.inference_mode()
def _through(network: FeatureNetwork, images: Tensor, device: torch.device) -> Tensor:
    """Features [N, D] on the CPU."""
    return network(images.to(device)).float().cpu()


def _describer(
    real: ImageFolder,
    network: FeatureNetwork | None,
    network_file: Path | None,
    *,
    folder: Path,
    device: torch.device,
    console: Console,
    seed: int,
    images_seen: int | None,
    say: Callable[[str], None],
) -> _Describer:
    """The network of a file, or else a classifier of the real images' quarter turns."""
    side = max(16, min(LARGEST_DOMAIN_SIZE, default_size(*real.size)))
    if network is not None:
        assert network_file is not None
        space = FeatureSpace(
            name=network.name,
            num_features=network.num_features,
            file=network_file.name,
            sha256=sha256(network_file),
            num_outputs=0,
            num_targets=0,
        )

        def features(squares: Tensor) -> Tensor:
            return torch.cat([_through(network, network.squeeze(part), device) for part in squares.split(CHUNK)])

        return _Describer(side, features, network, space, device)
    evaluator = _classifier(
        real, side, folder=folder, device=device, console=console, seed=seed, images_seen=images_seen, say=say
    )
    config = evaluator.config.network
    assert isinstance(config, ClassifierNetworkConfig)
    space = FeatureSpace(
        name=f"a classifier of 90-degree rotations of {real.name}",
        num_features=config.num_features,
        file=Path(evaluator.file).name,
        sha256=evaluator.sha256,
        num_outputs=0,
        num_targets=0,
    )
    return _Describer(side, evaluator.features, None, space, device)


def _classifier(
    real: ImageFolder,
    side: int,
    *,
    folder: Path,
    device: torch.device,
    console: Console,
    seed: int,
    images_seen: int | None,
    say: Callable[[str], None],
) -> KeptClassifier:
    """The classifier that is kept in a folder, or a new one of all real images, whatever is drawn of them."""
    say("reading")
    learned = [real.files[int(number)] for number in spread(len(real.files), MOST)]
    pictures = (picture for file in learned if (picture := real.picture(file)) is not None)
    deep = real.format.bits == 16
    top, kind = (65535, np.uint16) if deep else (255, np.uint8)
    rows = [
        (squeezed(to_unit_tensor(picture, real.format), size=side, channels=3) + 1) / 2 * top for picture in pictures
    ]
    if len(rows) < 2:
        raise EvaluationError(f"{real.folder}: a set of fewer than two readable images has no distance")
    pixels = torch.cat(rows).round().clamp(0, top).permute(0, 2, 3, 1).numpy().astype(kind)
    file = folder / LEARNED_FILE
    try:
        with written_beside(file) as beside, beside.open("wb") as stream:
            np.savez(stream, images=pixels)
        say("preparing features")
        data = ImageSet(ImageSetConfig(root=file, size=side))
        return open_image_classifier(
            data,
            folder,
            name=f"90-degree rotations of {real.name}",
            device=device,
            console=console,
            seed=seed,
            images_seen=images_seen if images_seen is not None else LENGTH.images(len(rows)),
        )
    finally:
        file.unlink(missing_ok=True)


def _score_sets(
    folders: tuple[ImageFolder, ImageFolder],
    files: Sequence[Sequence[Path]],
    fmt: Format,
    describe: _Describer,
    *,
    seed: int,
    say: Callable[[str], None],
) -> _Found:
    """Compare the made images with the real ones, half of the real ones with the others, and a Gaussian with them."""
    say("extracting features")
    made, kept = describe(folders[0], files[0], fmt)
    real, kept_real = describe(folders[1], files[1], fmt)
    say("comparing sets")
    squares = gaussian_images(real.squares, len(made), seed=seed)
    candidates = {MADE: (made, real), GAUSSIAN: (_Set(squares=squares, features=describe.features(squares)), real)}
    order = torch.randperm(len(real), generator=torch.Generator().manual_seed(seed))
    half = len(real) // 2
    notes = []
    if half >= 2:
        candidates[REAL] = real[order[:half]], real[order[half:]]
    else:
        notes.append(f"{len(real)} real images are too few to compare one half of them with the other")
    scores = {name: _compared(*pair, seed=seed) for name, pair in candidates.items()}
    space = replace(describe.space, num_outputs=len(made), num_targets=len(real))
    if not space.enough:
        notes.append(
            f"{len(made)} generated and {len(real)} real images are few for {space.num_features} features: the Frechet "
            "distance is biased by the number of images. Use the kernel distance"
        )
    if half >= 2:
        count = min(half, len(made))
        few = made.features[torch.randperm(len(made), generator=torch.Generator().manual_seed(seed))[:count]]
        value = frechet_distance(few, real.features[order[half:]])
        notes.append(
            f"as sets, '{REAL}' compares {half} of the real images with the other {len(real) - half}. The Frechet "
            f"distance grows as the number of images shrinks: for {count} images of {folders[0].name} against the "
            f"latter it is {value:.4g}"
        )
    if min(len(made), len(real)) <= NEIGHBOURS:
        notes.append(f"precision, recall, density and coverage need more than {NEIGHBOURS} images on each side")
    distance = nearest_distances(made.squares, real.squares)
    if copies := int((distance < 1 / 255).sum()):
        notes.append(
            f"{copies} of {len(made)} images of {folders[0].name} {be(copies)} identical to a real image at "
            f"{describe.size} px"
        )
    near = torch.cdist(made.features, real.features).min(dim=1)
    count = len(files[0])
    values, ranking = {"nearest": [math.nan] * count}, [math.nan] * count
    for number, pixels, away in zip(kept, distance.tolist(), near.values.tolist(), strict=True):
        values["nearest"][number], ranking[number] = pixels, -away
    return _Found(
        scores=scores,
        values=values,
        ranking=ranking,
        ordered_by="distance to the nearest real image in features",
        shown={number: files[1][kept_real[index]] for number, index in zip(kept, near.indices.tolist(), strict=True)},
        notes=notes,
        features=space,
    )


def _compared(images: _Set, real: _Set, *, seed: int) -> dict[str, Score]:
    """Scores of a set against another."""
    count = len(images)
    found: dict[str, float | None] = {}
    if min(count, len(real)) > NEIGHBOURS:
        overlap = manifold(real.features, images.features, num_neighbours=NEIGHBOURS)
        found |= asdict(overlap)
    generator = torch.Generator().manual_seed(seed)
    some, some_real = (torch.randperm(len(x), generator=generator)[:PATCH_IMAGES] for x in (images, real))
    found["sliced_wasserstein"] = float(sliced_wasserstein(images.squares[some], real.squares[some_real], seed=seed))
    found["likeness"] = likeness(images.squares, seed=seed)
    found["nearest"] = float(nearest_distances(images.squares, real.squares).median())
    return {
        **distances(images.features, real.features, seed=seed),
        **{name: Score(value=value, interval=None, num_images=count) for name, value in found.items()},
    }


# The result


def _written(
    folders: tuple[ImageFolder, ImageFolder],
    files: Sequence[Path],
    found: Sequence[_Found],
    notes: list[str],
    *,
    out: Path,
    size: int | None,
    seed: int,
) -> FolderEvaluation:
    """The result, its JSON and its sheet: of pairs where there are some."""
    made, real = folders
    scores: dict[str, dict[str, Score]] = {}
    for part in found:
        for candidate, row in part.scores.items():
            scores.setdefault(candidate, {}).update(row)
    scores = {name: scores[name] for name in (MADE, REAL, GAUSSIAN) if name in scores}
    if MADE not in scores:
        raise EvaluationError(f"none of the images of {made.folder} can be compared: {'; '.join(_unreadable(folders))}")
    leading = next(part for part in found if MADE in part.scores)
    bands = choose(leading.ranking)
    labels = [made.label(file) for file in files]

    def images(number: int) -> tuple[Tensor, ...]:
        pictures = made.picture(files[number]), real.picture(leading.shown[number])
        return tuple(to_unit_tensor(picture, replace(real.format, channels=3)) for picture in pictures if picture)

    paired = "l1" in leading.values
    picture = sheet(
        {
            band: [
                Shown(name=labels[number], score=abs(leading.ranking[number]), images=images(number))
                for number in numbers
            ]
            for band, numbers in bands.items()
        },
        headings=[made.name, real.name if paired else "nearest real image"],
        measure=leading.ordered_by,
    )
    values = {name: row for part in found for name, row in part.values.items()}
    num_pairs = scores[MADE]["l1"].num_images if "l1" in scores[MADE] else 0
    space = next((part.features for part in found if part.features is not None), None)
    stem = _stem(made, real, out)
    evaluation = FolderEvaluation(
        made=made.name,
        real=real.name,
        folders=(_place(made), _place(real)),
        num_made=space.num_outputs if space is not None else num_pairs,
        num_real=space.num_targets if space is not None else num_pairs,
        num_pairs=num_pairs,
        size=size,
        seed=seed,
        scores=scores,
        features=space,
        notes=(*notes, *(note for part in found for note in part.notes), *_unreadable(folders)),
        ordered_by=leading.ordered_by,
        shown={band: [labels[number] for number in numbers] for band, numbers in bands.items()},
        images={
            label: {name: row[number] if math.isfinite(row[number]) else None for name, row in values.items()}
            for number, label in enumerate(labels)
        },
        report=out / f"{stem}.json",
        sheet=out / f"{stem}.png",
    )
    write_evaluation(evaluation, picture)
    return evaluation


def _unreadable(folders: Sequence[ImageFolder]) -> list[str]:
    """A line for each folder with files that are left out."""
    lines = []
    for side in folders:
        if reasons := list(side.unreadable.values()):
            some = "; ".join(reasons[:3]) + ("; ..." if len(reasons) > 3 else "")
            lines.append(f"{len(reasons)} files of {side.name} cannot be read and are not used: {some}")
    return lines


def _place(side: ImageFolder) -> str:
    """A folder with the one that it is in."""
    return "/".join(side.folder.resolve().parts[-2:])


def _stem(made: ImageFolder, real: ImageFolder, out: Path) -> str:
    """The name of the report: that of the folder, with the one above where a report of another folder has it."""
    name = re.sub(r"[^\w.-]+", "-", made.name).strip("-.") or "images"
    try:
        said = json.loads((out / f"{name}.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return name
    if isinstance(said, dict) and said.get("folders") == [_place(made), _place(real)]:
        return name
    return re.sub(r"[^\w.-]+", "-", _place(made)).strip("-.")
