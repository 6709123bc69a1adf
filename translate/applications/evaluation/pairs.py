"""Scores of translations whose targets are known."""

from __future__ import annotations

import math
from collections.abc import Callable

from torch import Tensor

from translate.applications.evaluation.candidates import Candidates
from translate.applications.evaluation.result import IDENTITY, MATCHED, MEASURES, TRANSLATION, Scored, mean_score
from translate.metrics import LPIPS, l1, ms_ssim, psnr, ssim
from translate.metrics.edges import BORDER
from translate.metrics.ms_ssim import smallest_side
from translate.metrics.ssim import WINDOW_SIZE

SMALLEST = {
    "ssim": WINDOW_SIZE,
    "ms_ssim": smallest_side(),
    "lpips": 32,
    "edges": 2 * BORDER + 2,
    "luminance_ssim": WINDOW_SIZE,
}
"""Side in pixels below which a measure is not taken."""
Measured = dict[str, list[float]]
"""By measure, a value for each image; NaN where it could not be measured."""


def pair_measures(lpips: LPIPS | None) -> dict[str, Callable[[Tensor, Tensor], Tensor]]:
    """What compares an output with its target; LPIPS where its weights were given."""
    measures: dict[str, Callable[[Tensor, Tensor], Tensor]] = {"l1": l1, "psnr": psnr, "ssim": ssim, "ms_ssim": ms_ssim}
    if lpips is not None:
        device = next(lpips.parameters()).device
        measures["lpips"] = lambda output, target: lpips(output.to(device), target.to(device)).cpu()
    return measures


def measure_into(
    values: Measured,
    number: int,
    output: Tensor,
    target: Tensor,
    measures: dict[str, Callable[[Tensor, Tensor], Tensor]],
) -> None:
    """Compare an image with its target, [1, C, H, W] in [0, 1] each, by all that its size allows."""
    side = min(target.shape[-2:])
    for name, measure in measures.items():
        if side >= SMALLEST.get(name, 1):
            values[name][number] = float(measure(output, target))


def ranked(values: Measured) -> tuple[list[float], str]:
    """A number for each image, higher for better, and what it is of: LPIPS, else SSIM, else L1."""
    measured = [name for name in ("lpips", "ssim") if not all(map(math.isnan, values.get(name, [math.nan])))]
    by = measured[0] if measured else "l1"
    sign = 1 if MEASURES[by].better == "higher" else -1
    return [sign * value for value in values[by]], MEASURES[by].title


def left_out(values: dict[str, Measured], main: str) -> list[str]:
    """A line for each measure that could not be taken of all images.

    Args:
        values: By candidate.
        main: The candidate whose measures are reported.
    """
    notes = []
    read = sum(not math.isnan(value) for value in values[main]["l1"])
    for name, side in SMALLEST.items():
        measured = sum(map(math.isfinite, values[main][name])) if name in values[main] else read
        if measured < read:
            notes.append(f"{MEASURES[name].title} covers {measured} of {read} images: the others are under {side} px")
    for candidate, row in values.items():
        if equal := sum(math.isinf(value) for value in row["psnr"]):
            compared = sum(not math.isnan(value) for value in row["psnr"])
            notes.append(
                f"{candidate}: {equal} of {compared} images equal their targets; their infinite PSNR is excluded"
            )
    return notes


def score_pairs(
    candidates: Candidates,
    *,
    lpips: LPIPS | None,
    seed: int,
    on_done: Callable[[int, int], None] | None = None,
) -> Scored:
    """Compare every output with its target.

    Args:
        candidates: What makes the outputs.
        lpips: Where its weights were given.
        seed: Of the intervals.
        on_done: Called with the examples done and all of them.
    """
    measures, count = pair_measures(lpips), len(candidates.data.examples)
    values: dict[str, Measured] = {
        candidate: {name: [math.nan] * count for name in measures} for candidate in (TRANSLATION, IDENTITY, MATCHED)
    }
    for group in candidates.make(on_done=on_done):
        for made in group:
            assert made.target is not None
            for candidate, output in made.outputs.items():
                measure_into(values[candidate], made.number, output, made.target, measures)
    ranking, ordered_by = ranked(values[TRANSLATION])
    return Scored(
        scores={
            candidate: {name: mean_score(found, seed=seed) for name, found in row.items()}
            for candidate, row in values.items()
        },
        values=values[TRANSLATION],
        ranking=ranking,
        ordered_by=ordered_by,
        notes=left_out(values, TRANSLATION),
    )
