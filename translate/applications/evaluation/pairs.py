"""Scores of translations whose targets are known."""

from __future__ import annotations

import math
from collections.abc import Callable

from torch import Tensor

from translate.applications.evaluation.candidates import Candidates
from translate.applications.evaluation.result import IDENTITY, MATCHED, MEASURES, TRANSLATION, Score, Scored, mean_score
from translate.metrics import LPIPS, l1, ms_ssim, psnr, ssim
from translate.metrics.ms_ssim import smallest_side
from translate.metrics.ssim import WINDOW_SIZE

SMALLEST = {"ssim": WINDOW_SIZE, "ms_ssim": smallest_side(), "lpips": 32}
"""Side in pixels below which a measure is not taken."""


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
    measures: dict[str, Callable[[Tensor, Tensor], Tensor]] = {"l1": l1, "psnr": psnr, "ssim": ssim, "ms_ssim": ms_ssim}
    if lpips is not None:
        device = next(lpips.parameters()).device
        measures["lpips"] = lambda output, target: lpips(output.to(device), target.to(device)).cpu()
    count = len(candidates.data.examples)
    values = {
        candidate: {name: [math.nan] * count for name in measures} for candidate in (TRANSLATION, IDENTITY, MATCHED)
    }
    for group in candidates.make(on_done=on_done):
        for made in group:
            assert made.target is not None
            side = min(made.target.shape[-2:])
            for candidate, output in made.outputs.items():
                for name, measure in measures.items():
                    if side >= SMALLEST.get(name, 1):
                        values[candidate][name][made.number] = float(measure(output, made.target))
    scores = {
        candidate: {name: mean_score(found, seed=seed) for name, found in row.items()}
        for candidate, row in values.items()
    }
    by = "lpips" if lpips is not None else "ssim"
    if all(math.isnan(value) for value in values[TRANSLATION][by]):
        by = "l1"
    sign = 1 if MEASURES[by].better == "higher" else -1
    return Scored(
        scores=scores,
        values=values[TRANSLATION],
        ranking=[sign * value for value in values[TRANSLATION][by]],
        ordered_by=MEASURES[by].title,
        notes=_notes(scores, values, count),
    )


def _notes(scores: dict[str, dict[str, Score]], values: dict[str, dict[str, list[float]]], count: int) -> list[str]:
    """What was left out of the means."""
    notes = []
    read = sum(not math.isnan(value) for value in values[TRANSLATION]["l1"])
    for name, side in SMALLEST.items():
        measured = scores[TRANSLATION][name].num_images if name in scores[TRANSLATION] else read
        if measured < read:
            notes.append(f"{MEASURES[name].title} is of {measured} of {read} images: the others are under {side} px")
    for candidate, row in values.items():
        if equal := sum(math.isinf(value) for value in row["psnr"]):
            notes.append(
                f"{candidate}: {equal} of {count} images equal their targets, whose PSNR is infinite and left out"
            )
    return notes
