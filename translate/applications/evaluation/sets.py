"""Scores of translations without targets: how near to real images as a set, and how much of each input is left."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from translate.applications.classifier import UNRELIABLE, KeptClassifier, held_out
from translate.applications.evaluation.candidates import Candidates
from translate.applications.evaluation.data import drawn
from translate.applications.evaluation.result import (
    IDENTITY,
    MATCHED,
    REAL,
    TRANSLATION,
    EvaluationError,
    FeatureSpace,
    Score,
    Scored,
    mean_score,
)
from translate.checkpoint.files import weights_file
from translate.checkpoint.peers.reading import sha256
from translate.data.layouts import ImageSource, UnpairedData
from translate.metrics import (
    edge_agreement,
    frechet_distance,
    frechet_interval,
    kernel_distance,
    kernel_interval,
    luminance_ssim,
)
from translate.metrics.edges import BORDER
from translate.metrics.ssim import WINDOW_SIZE
from translate.networks.features import FeatureNetwork

CHUNK = 8
SWAPPED = 0.3  # share of real images below which the classifier knows each domain by the other's name, of
FEW = 20  # images or more


class Describer:
    """Features and domain probabilities of images.

    Args:
        classifier: Of the domains.
        network: In whose features distances are taken; the classifier's own without one.
        device: Where the network runs.
    """

    def __init__(self, classifier: KeptClassifier, network: FeatureNetwork | None, device: torch.device) -> None:
        self.classifier, self.network, self.device = classifier, network, device

    def __call__(self, images: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """[N, D] and [N, K] of images [1, C, H, W] in [0, 1]."""
        features, probabilities = self.classifier.describe(images)
        if self.network is not None:
            batch = torch.cat([self.network.squeeze(image * 2 - 1) for image in images])
            with torch.inference_mode():
                features = self.network(batch.to(self.device)).cpu()
        return features, probabilities


def score_sets(
    candidates: Candidates,
    *,
    classifier: KeptClassifier,
    classifier_folder: Path,
    network: FeatureNetwork | None = None,
    network_file: Path | None = None,
    seed: int,
    on_done: Callable[[int, int], None] | None = None,
) -> Scored:
    """Compare the outputs with real images of the target domain, and each with its input.

    Args:
        candidates: What makes the outputs.
        classifier: Of the domains.
        classifier_folder: Where it is kept.
        network: In whose features distances are taken; the classifier's own without one.
        network_file: Where its weights were read from.
        seed: Of the draws and the intervals.
        on_done: Called with the examples done and all of them.

    Raises:
        EvaluationError: fewer than two images of a set can be read.
    """
    data = candidates.data
    describe = Describer(classifier, network, candidates.translator.device)
    target = classifier.domains.index(data.target.name)
    count = len(data.examples)
    features: dict[str, list[Tensor]] = {name: [] for name in (TRANSLATION, IDENTITY, MATCHED)}
    values: dict[str, dict[str, list[float]]] = {
        name: {measure: [math.nan] * count for measure in ("domain", "edges", "luminance_ssim")}
        for name in (*features, REAL)
    }
    probability, sources = [math.nan] * count, []
    unrelated = drawn(data.targets, count, seed=seed)
    for group in candidates.make(on_done=on_done):
        for name in features:
            found, chances = describe([made.outputs[name] for made in group])
            features[name].append(found)
            for made, row in zip(group, chances, strict=True):
                values[name]["domain"][made.number] = float(row.argmax() == target)
                if name == TRANSLATION:
                    probability[made.number] = float(row[target])
                for measure, value in _content(made.outputs[name], made.source).items():
                    values[name][measure][made.number] = value
        sources.append(classifier.describe([made.source for made in group])[1])
        for made in group:  # what real images that have no action needed with the input would score
            if (real := candidates.read(unrelated[made.number])) is not None:
                real = F.interpolate(real, made.source.shape[-2:], mode="bilinear", antialias=True).clamp(0, 1)
                for measure, value in _content(real, made.source).items():
                    values[REAL][measure][made.number] = value
    real_features, real_chances = _described(candidates, describe, data.targets)
    sets = {name: torch.cat(found) for name, found in features.items()}
    floor = "train" in data.found.splits and data.split != "train"
    if floor:  # how far real images are from real ones
        sets[REAL], _ = _described(candidates, describe, drawn(data.references, len(sets[TRANSLATION]), seed=seed))
    if min(len(real_features), *map(len, sets.values())) < 2:
        raise EvaluationError(f"{data.found.root}: a set of fewer than two readable images has no distance")
    values[REAL]["domain"] = [float(row.argmax() == target) for row in real_chances]
    scores: dict[str, dict[str, Score]] = {}
    for name, row in values.items():
        measured = distances(sets[name], real_features, seed=seed) if name in sets else {}
        scores[name] = measured | {measure: mean_score(found, seed=seed) for measure, found in row.items()}

    by_class = [torch.cat(sources), real_chances]
    accuracy = held_out(classifier, by_class[::-1] if target == 0 else by_class, seed=seed)
    file = network_file if network is not None and network_file is not None else weights_file(classifier_folder)
    space = FeatureSpace(
        name=network.name if network is not None else "domain classifier",
        num_features=network.num_features if network is not None else classifier.num_features,
        file=file.name,
        sha256=sha256(file),
        num_outputs=len(sets[TRANSLATION]),
        num_targets=len(real_features),
    )
    notes = _notes(candidates, space, accuracy.accuracy, ceiling=accuracy.by_domain[data.target.name], floor=floor)
    edges = values[TRANSLATION]["edges"]
    return Scored(
        scores=scores,
        values={**values[TRANSLATION], "target_probability": probability},
        ranking=[chance * max(0.0, kept) for chance, kept in zip(probability, edges, strict=True)],
        ordered_by="probability of the target domain x edge agreement",
        notes=notes,
        features=space,
        classifier=accuracy,
    )


def _content(output: Tensor, source: Tensor) -> dict[str, float]:
    """What is left of the input, as far as its size allows."""
    side = min(source.shape[-2:])
    kept = {}
    if side >= 2 * BORDER + 2:
        kept["edges"] = float(edge_agreement(output, source))
    if side >= WINDOW_SIZE:
        kept["luminance_ssim"] = float(luminance_ssim(output, source))
    return kept


def _described(candidates: Candidates, describe: Describer, sources: Sequence[ImageSource]) -> tuple[Tensor, Tensor]:
    """Features and probabilities of real images; unreadable ones are left out."""
    found = []
    for start in range(0, len(sources), CHUNK):
        images = [image for source in sources[start : start + CHUNK] if (image := candidates.read(source)) is not None]
        if images:
            found.append(describe(images))
    if not found:
        raise EvaluationError(f"none of the {len(sources)} real images can be read: {candidates.unreadable[0]}")
    return torch.cat([features for features, _ in found]), torch.cat([chances for _, chances in found])


def distances(outputs: Tensor, targets: Tensor, *, seed: int) -> dict[str, Score]:
    """Kernel and Frechet distance of features [N, D] and [M, D], with their intervals."""
    count = len(outputs)
    images, width = max(count, len(targets)), outputs.shape[1]
    # Fewer draws where each is slow: seconds or a few minutes, not hours.
    kernel_draws = 1000 if images <= 1000 else 100
    frechet_draws = 200 if min(images, width) <= 512 else 20
    return {
        "kernel": Score(
            value=kernel_distance(outputs, targets),
            interval=kernel_interval(outputs, targets, num_resamples=kernel_draws, seed=seed),
            num_images=count,
        ),
        "frechet": Score(
            value=frechet_distance(outputs, targets),
            interval=frechet_interval(outputs, targets, num_resamples=frechet_draws, seed=seed),
            num_images=count,
        ),
    }


def _notes(candidates: Candidates, space: FeatureSpace, accuracy: float, *, ceiling: float, floor: bool) -> list[str]:
    data, notes = candidates.data, []
    assert isinstance(data.found, UnpairedData)
    if not data.held_out:
        notes.append(
            "the classifier was trained on these very images: its accuracy and its scores of the outputs are too "
            "optimistic"
        )
    elif accuracy < SWAPPED and space.num_outputs + space.num_targets >= FEW:
        notes.append(
            f"the domain classifier has an accuracy of only {accuracy:.0%} on held-out real images, far below chance: "
            f"{data.source.name} and {data.target.name} seem to be swapped in this split or in its training split"
        )
    elif accuracy < UNRELIABLE:
        notes.append(
            f"the domain classifier has an accuracy of only {accuracy:.0%} on held-out real images (chance: 50%): "
            "small differences in 'classified as target' mean nothing; it classifies "
            f"{ceiling:.0%} of real {data.target.name} images as target"
        )
    if not space.enough:
        notes.append(
            f"{space.num_outputs} outputs and {space.num_targets} real images are few for {space.num_features} "
            "features: the Frechet distance is biased by the number of images. Use the kernel distance"
        )
    real = f"'{REAL}' scores real {data.target.name} images"
    distances = "distances of as many training images; " if floor else "no distances without a training split; "
    notes.append(f"{real}: {distances}content against unrelated inputs (chance level)")
    return notes
