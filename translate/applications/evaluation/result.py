"""What an evaluation says: scores with intervals, and what has to be known to read them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from PIL import Image

from translate.applications.classifier import HeldOut
from translate.applications.evaluation.data import Split
from translate.checkpoint.atomic import written_beside
from translate.config.errors import TranslateError
from translate.config.training import Direction
from translate.metrics import bootstrap_interval

TRANSLATION, IDENTITY, MATCHED, REAL = "translation", "identity", "histogram matching", "real"
"""The candidates: what the weights make, the inputs, the inputs with a target's histogram, real target images."""
MADE, GAUSSIAN = "made", "Gaussian pixels"
"""Those of two folders: the images that are scored, and draws from a Gaussian of the real pixels."""


class EvaluationError(TranslateError, ValueError):
    """An evaluation that cannot be made; the message says what to change."""


@dataclass(frozen=True, kw_only=True)
class Measure:
    """How a score is called and read."""

    title: str
    better: Literal["higher", "lower", "as real"]
    digits: int
    times: int = 1
    """What the table shows of it."""


MEASURES: dict[str, Measure] = {
    "l1": Measure(title="L1", better="lower", digits=4),
    "psnr": Measure(title="PSNR, dB", better="higher", digits=2),
    "ssim": Measure(title="SSIM", better="higher", digits=3),
    "ms_ssim": Measure(title="MS-SSIM", better="higher", digits=3),
    "lpips": Measure(title="LPIPS", better="lower", digits=3),
    "kernel": Measure(title="kernel distance", better="lower", digits=1, times=1000),
    "frechet": Measure(title="Frechet distance", better="lower", digits=2),
    "precision": Measure(title="precision", better="higher", digits=3),
    "recall": Measure(title="recall", better="higher", digits=3),
    "density": Measure(title="density", better="higher", digits=3),
    "coverage": Measure(title="coverage", better="higher", digits=3),
    "sliced_wasserstein": Measure(title="sliced Wasserstein", better="lower", digits=3),
    "likeness": Measure(title="MS-SSIM between images", better="as real", digits=3),
    "nearest": Measure(title="NN distance to real", better="as real", digits=3),
    "domain": Measure(title="classified as target", better="higher", digits=3),
    "edges": Measure(title="edge agreement", better="higher", digits=3),
    "luminance_ssim": Measure(title="luminance SSIM", better="higher", digits=3),
}
"""All scores, in the order in which they are reported."""


@dataclass(frozen=True, kw_only=True)
class Score:
    """A value, None where it could not be measured, and its 95 % interval."""

    value: float | None
    interval: tuple[float, float] | None
    num_images: int


@dataclass(frozen=True, kw_only=True)
class FeatureSpace:
    """The network in whose features distances are taken."""

    name: str
    num_features: int
    file: str
    sha256: str
    """Of the file: distances are comparable where it is the same."""
    num_outputs: int
    num_targets: int

    @property
    def enough(self) -> bool:
        """Whether there are more images than features; a Frechet distance says more of their number otherwise."""
        return min(self.num_outputs, self.num_targets) > self.num_features


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """What was measured, on what, and what has to be known to read it."""

    weights: str
    kind: Literal["paired", "unpaired"]
    source: str
    target: str
    data: str
    """The data set in one line."""
    direction: Direction
    split: Split
    num_images: int
    size: int | None
    """The shorter side to which images were resized; None for their own size."""
    seed: int
    scores: dict[str, dict[str, Score]]
    """By candidate and by measure."""
    features: FeatureSpace | None
    classifier: HeldOut | None
    notes: tuple[str, ...]
    """What should be said aloud."""
    ordered_by: str
    """What best, median and worst mean on the sheet."""
    shown: dict[str, list[str]]
    """The examples on the sheet."""
    images: dict[str, dict[str, float | None]] = field(repr=False)
    """By example, the scores of the weights' output; its place in the split goes before names that occur twice."""
    report: Path
    """Where this is, as JSON."""
    sheet: Path
    """Where the picture is."""

    def to_dict(self) -> dict[str, Any]:
        """As JSON-able values."""
        values = asdict(self)
        values["report"], values["sheet"] = self.report.name, self.sheet.name
        if self.features is not None:
            values["features"]["enough_images"] = self.features.enough
        values["measures"] = measures_of(self.scores)
        return values


def measures_of(scores: dict[str, dict[str, Score]]) -> dict[str, dict[str, str]]:
    """What the measures of these scores are called, and what is better."""
    return {
        name: {"title": measure.title, "better": measure.better}
        for name, measure in MEASURES.items()
        if any(name in row for row in scores.values())
    }


@dataclass(frozen=True, kw_only=True)
class FolderEvaluation:
    """How near a folder of images is to a folder of real ones, and what has to be known to read it."""

    made: str
    """The folder that is scored."""
    real: str
    folders: tuple[str, str]
    """Both with the folders that they are in."""
    num_made: int
    num_real: int
    num_pairs: int
    """Images that were compared with the real image of their name; 0 where the names do not meet."""
    size: int | None
    """The shorter side to which pairs were resized; None for their own size."""
    seed: int
    scores: dict[str, dict[str, Score]]
    """By candidate and by measure."""
    features: FeatureSpace | None
    """None where there are too few images to be compared as sets."""
    notes: tuple[str, ...]
    """What should be said aloud."""
    ordered_by: str
    """What best, median and worst mean on the sheet."""
    shown: dict[str, list[str]]
    """The images on the sheet."""
    images: dict[str, dict[str, float | None]] = field(repr=False)
    """By image, the scores of its own."""
    report: Path
    """Where this is, as JSON."""
    sheet: Path
    """Where the contact sheet is."""

    def to_dict(self) -> dict[str, Any]:
        """As JSON-able values."""
        values = {"kind": "folders", **asdict(self), "report": self.report.name, "sheet": self.sheet.name}
        if self.features is not None:
            values["features"]["enough_images"] = self.features.enough
        values["measures"] = measures_of(self.scores)
        return values


@dataclass(frozen=True, kw_only=True)
class Scored:
    """What pairs, or sets, were found to score, before it is written down."""

    scores: dict[str, dict[str, Score]]
    values: dict[str, list[float]]
    """Of the weights' outputs, by measure and in the order of the examples; NaN where it could not be measured."""
    ranking: list[float]
    """A number for each example, higher for better."""
    ordered_by: str
    notes: list[str]
    features: FeatureSpace | None = None
    classifier: HeldOut | None = None


def mean_score(values: Sequence[float], *, seed: int) -> Score:
    """The mean of the finite values, and its interval from resampling the images."""
    finite = [value for value in values if np.isfinite(value)]
    if not finite:
        return Score(value=None, interval=None, num_images=0)
    interval = bootstrap_interval(finite, seed=seed)
    return Score(value=float(np.mean(finite)), interval=interval, num_images=len(finite))


def write_evaluation(evaluation: Evaluation | FolderEvaluation, sheet: Image.Image) -> None:
    """Write the JSON and the contact sheet to where the evaluation says.

    Raises:
        WriteError: the folder cannot be written.
    """
    with written_beside(evaluation.sheet) as beside:
        sheet.save(beside, format="PNG")
    with written_beside(evaluation.report) as beside:
        beside.write_text(json.dumps(evaluation.to_dict(), indent=2, allow_nan=False) + "\n", encoding="utf-8")
