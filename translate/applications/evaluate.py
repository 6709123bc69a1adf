"""How good are translations? Scores of weights on the images of a test split, beside what costs nothing.

Pairs are scored against their targets: L1, PSNR, SSIM, MS-SSIM, and LPIPS where its weights are given. Two sets without
pairs are scored by how near the outputs are to real images of the target domain (kernel and Frechet distance in the
features of a named network), how many are seen as that domain by a classifier, and how much of each input is left
(edges, luminance). Beside them stand the same scores of the inputs themselves, of the inputs with the histogram of a
real target image, and, without pairs, of real target images.

Images are what ``translate apply`` makes of the files: whole, at their own size, rounded as they are saved. Every score
has a 95 % interval from resampling the images: it says what another draw of test images would change, not what another
training would.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from rich.console import Console

from translate.applications.classifier import open_domain_classifier
from translate.applications.evaluation.candidates import Candidates
from translate.applications.evaluation.data import EvaluationData, Split, find_data, open_data
from translate.applications.evaluation.networks import open_features, open_lpips
from translate.applications.evaluation.pairs import score_pairs
from translate.applications.evaluation.result import TRANSLATION, Evaluation, Scored, write_evaluation
from translate.applications.evaluation.sets import score_sets
from translate.applications.evaluation.sheet import Shown, choose, sheet
from translate.checkpoint.atomic import make_folder
from translate.config.base import ConfigError
from translate.config.encoding import Reading
from translate.config.training import Direction, Layout, Precision
from translate.data.layouts import PairedData, UnpairedData
from translate.data.layouts_common import data_name
from translate.inference.library import load_translator
from translate.inference.translator import Translator

EVALUATIONS, CLASSIFIER_FOLDER = "evaluations", "classifier"
"""Where evaluations are written unless a folder is given, and in it the folder of the domain classifier."""


def evaluate(
    weights: str | Path | Translator,
    root: str | Path,
    *,
    out: str | Path | None = None,
    root_b: str | Path | None = None,
    layout: Layout = "auto",
    names: tuple[str, str] | None = None,
    unpaired: bool = False,
    direction: Direction | None = None,
    split: Split | None = None,
    num_images: int | None = None,
    size: int | None = None,
    features: tuple[str, Path] | None = None,
    lpips: tuple[Path, Path] | None = None,
    classifier: Path | None = None,
    classifier_images: int | None = None,
    seed: int = 0,
    device: str = "auto",
    precision: Precision = "auto",
    console: Console | None = None,
    on_done: Callable[[int, int], None] | None = None,
) -> Evaluation:
    """Score weights on a data set; write ``<name of the weights>.json`` and a picture, ``<name of the weights>.png``.

    Args:
        weights: What `translate.load` takes, or what it gave.
        root: The data set; pairs or two sets, found by looking. With `root_b`, domain A.
        out: Folder for what is written, the domain classifier among it, which the next weights are scored with as well;
            ``evaluations/<name of the data set>`` unless given.
        root_b: Domain B, where the two are folders given by hand.
        layout: As for training.
        names: What A and B show, in a word or two each.
        unpaired: Score folders whose files have the same names as two sets all the same.
        direction: Which domain is translated; found from the names of the weights' domains where they are the data's.
        split: train, val or test; test, or else val, unless given.
        num_images: Score at most so many images, drawn with the seed.
        size: Resize the shorter side to this before translating; images keep their own size unless given.
        features: The name of a torchvision classifier, or ``inception_fid`` for the network of published FIDs, and the
            file of its weights, for the distances; the domain classifier's own features unless given.
        lpips: Two files: torchvision's weights of AlexNet, VGG-16 or SqueezeNet, and the LPIPS authors' heads.
        classifier: Folder in which the domain classifier is kept; ``classifier/`` in `out` unless given.
        classifier_images: Training images of each domain that it sees; from the data's size unless given.
        seed: Of the histogram references, the bootstrap, the classifier's training and the weights' noise.
        device: cuda, mps, cpu or auto.
        precision: Of the translator.
        console: Where progress is said; standard error unless given.
        on_done: Called with the examples done and all of them.

    Returns:
        The scores, and what has to be known to read them.

    Raises:
        LayoutError, ConfigError: the data set or the direction will not do; the message says what to change.
        WeightsError, FeaturesError: weights that cannot be opened, or are of another kind.
        ClassifierError, EvaluationError: the classifier's training was interrupted; too few images can be read.
        WriteError: `out` cannot be written.

    Example:
        >>> found = evaluate("facades", "data/facades", direction="b2a", out="scores/facades")
        >>> found.scores["translation"]["ssim"].value
    """
    out = Path(EVALUATIONS) / (Path(root).resolve().name or "data") if out is None else Path(out)
    console = console or Console(emoji=False, stderr=True, highlight=False)
    translator = (
        weights if isinstance(weights, Translator) else load_translator(weights, device=device, precision=precision)
    )
    known = translator.config.preprocessing.source or translator.config.preprocessing.target
    reading = Reading(bands=known.bands) if known is not None else Reading()
    found = find_data(root, root_b=root_b, layout=layout, names=names, unpaired=unpaired, reading=reading)
    data, notes = open_data(
        found, translator.config, names=names, direction=direction, split=split, num_images=num_images, seed=seed
    )
    notes += _scale_notes(translator, data, size)
    candidates = Candidates(translator, data, size=size, seed=seed)
    if data.paired:
        if features is not None or classifier is not None:
            raise ConfigError("--features and --classifier are for unpaired sets: omit them, or add --unpaired")
        perceptual = open_lpips(*lpips, device=translator.device) if lpips is not None else None
        make_folder(out)
        scored = score_pairs(candidates, lpips=perceptual, seed=seed, on_done=on_done)
    else:
        if lpips is not None:
            raise ConfigError("--lpips needs targets, and these images have none: omit it")
        network = open_features(*features, device=translator.device) if features is not None else None
        make_folder(out)
        assert isinstance(found, UnpairedData)
        folder = classifier or out / CLASSIFIER_FOLDER
        domains = open_domain_classifier(
            found,
            folder,
            names=data.names,
            root_b=Path(root_b) if root_b is not None else None,
            device=translator.device,
            console=console,
            seed=seed,
            images=classifier_images,
        )
        scored = score_sets(
            candidates,
            classifier=domains,
            classifier_folder=folder,
            network=network,
            network_file=features[1] if features is not None else None,
            seed=seed,
            on_done=on_done,
        )
    return _written(candidates, scored, notes, out)


def _written(candidates: Candidates, scored: Scored, notes: list[str], out: Path) -> Evaluation:
    """The result, its JSON and its picture."""
    data, translator = candidates.data, candidates.translator
    bands = choose(scored.ranking)
    wanted = [number for numbers in bands.values() for number in numbers]
    images = {made.number: made for group in candidates.make(wanted) for made in group}
    headings = ["input", "output", *(["target"] if data.paired else [])]
    picture = sheet(
        {
            band: [
                Shown(
                    name=images[number].example.name,
                    score=abs(scored.ranking[number]),
                    images=tuple(
                        image
                        for image in (images[number].source, images[number].outputs[TRANSLATION], images[number].target)
                        if image is not None
                    ),
                )
                for number in numbers
            ]
            for band, numbers in bands.items()
        },
        headings=headings,
        measure=scored.ordered_by,
    )
    labels = _labels([example.name for example in data.examples])
    if candidates.unreadable:
        some = "; ".join(candidates.unreadable[:3]) + ("; ..." if len(candidates.unreadable) > 3 else "")
        notes = [*notes, f"{len(candidates.unreadable)} files cannot be read and are not used: {some}"]
    stem = re.sub(r"[^\w.-]+", "-", translator.config.name).strip("-.") or "weights"
    measured = [number for number, value in enumerate(scored.ranking) if not math.isnan(value)]
    evaluation = Evaluation(
        weights=translator.config.name,
        kind="paired" if data.paired else "unpaired",
        source=data.source.name,
        target=data.target.name,
        data=f"{data_name(data.found.root)}: {data.found.describe()}",
        direction=data.direction,
        split=data.split,
        num_images=max(score.num_images for score in scored.scores[TRANSLATION].values()),
        size=candidates.size,
        seed=candidates.seed,
        scores=scored.scores,
        features=scored.features,
        classifier=scored.classifier,
        notes=(*notes, *scored.notes),
        ordered_by=scored.ordered_by,
        shown={band: [labels[number] for number in numbers] for band, numbers in bands.items()},
        images={
            labels[number]: {
                measure: values[number] if math.isfinite(values[number]) else None
                for measure, values in scored.values.items()
            }
            for number in measured
        },
        report=out / f"{stem}.json",
        sheet=out / f"{stem}.png",
    )
    write_evaluation(evaluation, picture)
    return evaluation


def _labels(names: list[str]) -> list[str]:
    """The names, with their place before those that occur twice."""
    times = Counter(names)
    return [name if times[name] == 1 else f"{place}/{name}" for place, name in enumerate(names)]


def _scale_notes(translator: Translator, data: EvaluationData, size: int | None) -> list[str]:
    """A line where the images are much larger or smaller than what the weights were trained on."""
    trained = translator.config.preprocessing.size
    found = data.found
    if isinstance(found, PairedData):
        width, height = found.size
    else:
        width, height = found.size_a if data.direction == "a2b" else found.size_b
    side = size or min(width, height)
    if max(side, trained) <= 1.5 * min(side, trained):
        return []
    return [
        f"'{translator.config.name}' was trained at {trained} px, and these images are scored at {side}: "
        f"--size {trained} scores them at the training size"
    ]
