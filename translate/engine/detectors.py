"""What goes wrong in the training of a generator, seen while it trains: one line each, with what to try.

| alarm           | what is seen, over a whole interval of the log                                                 |
|-----------------|------------------------------------------------------------------------------------------------|
| ``nothing``     | the output differs from the input by less than 1 % of the range                                |
| ``inverted``    | light and dark are swapped: luminance of output and reference correlate below -0.5             |
| ``collapsed``   | outputs of different inputs differ by less than 5 % of what their references differ             |
| ``overpowered`` | the discriminator's loss is under 8 % of what guessing costs: it has won                        |
| ``not finite``  | a loss is infinite or not a number; the run stops                                              |

The reference is the target where there is one, else the input; images made of random numbers have none of their own,
and are looked at for ``collapsed`` alone, beside real ones. A few scalars a step are computed on the device and
summed with the losses; the host reads them together with those, once an interval. All alarms but the last wait
for a second interval in a row, since a new generator may do anything for a while.

Shapes: N batch, C channels, H height, W width.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from translate.recipes.base import Recipe, Watched

PREFIX = "watch/"
THUMBNAIL = 8  # side in pixels of what outputs are compared by

LEAST_CHANGE = 0.02  # of a range of 2
LEAST_CORRELATION = -0.5
LEAST_DIVERSITY = 0.05
LEAST_LOSS = 0.08


@dataclass(frozen=True, kw_only=True)
class Alarm:
    """Something that goes wrong."""

    kind: str
    network: str
    line: str
    """What was seen and what to try."""


def _luminance(images: Tensor) -> Tensor:
    """[N, C, H, W] -> [N, H * W], around each image's mean."""
    flat = images.float().mean(dim=1).flatten(1)
    return flat - flat.mean(dim=1, keepdim=True)


def _thumbnails(images: Tensor) -> Tensor:
    return F.adaptive_avg_pool2d(images.float(), THUMBNAIL)


class Detectors:
    """Watches the generators of a recipe.

    Args:
        recipe: Says what to look at (`Recipe.watched`), what guessing costs its discriminators, and what to try.
    """

    def __init__(self, recipe: Recipe) -> None:
        self.recipe = recipe
        self._before: dict[str, tuple[Tensor, Tensor]] = {}  # thumbnails of the step before: output, reference
        self._suspected: set[tuple[str, str]] = set()
        self._said: set[tuple[str, str]] = set()

    @torch.no_grad()
    def signals(self, watched: dict[str, Watched]) -> dict[str, Tensor]:
        """The scalars of one step, for the meter; nothing waits for the device."""
        found: dict[str, Tensor] = {}
        for network, seen in watched.items():
            reference = seen.source if seen.target is None else seen.target
            assert reference is not None
            start = f"{PREFIX}{network}/"
            if seen.source is not None:  # what follows is of translations
                if seen.output.shape == seen.source.shape:
                    found[f"{start}change"] = (seen.output.float() - seen.source.float()).abs().mean()
                output, wanted = _luminance(seen.output), _luminance(reference)
                norms = output.norm(dim=1) * wanted.norm(dim=1)
                found[f"{start}correlation"] = ((output * wanted).sum(dim=1) / norms.clamp_min(1e-6)).mean()
            thumbnails = _thumbnails(seen.output[:1]), _thumbnails(reference[:1])
            if network in self._before:
                output_change, reference_change = (
                    (now - before).abs().mean() for now, before in zip(thumbnails, self._before[network], strict=True)
                )
                found |= {f"{start}output_change": output_change, f"{start}reference_change": reference_change}
            self._before[network] = thumbnails
        return found

    def check(self, means: dict[str, float], *, broken: list[str]) -> tuple[list[Alarm], list[Alarm]]:
        """What the means of an interval say.

        Args:
            means: Of the losses and of `signals`.
            broken: Losses that are not finite.

        Returns:
            All alarms that are on, and those of them that are new.
        """
        if broken:
            line = f"{', '.join(broken)}: not finite. Try {self.recipe.remedies['not finite']}"
            alarms = [Alarm(kind="not finite", network=broken[0], line=line)]
            return alarms, alarms
        found = {(alarm.kind, alarm.network): alarm for alarm in self._found(means)}
        alarms = [alarm for key, alarm in found.items() if key in self._suspected]
        new = [alarm for alarm in alarms if (alarm.kind, alarm.network) not in self._said]
        self._suspected = set(found)
        self._said = {(alarm.kind, alarm.network) for alarm in alarms}
        return alarms, new

    def _found(self, means: dict[str, float]) -> list[Alarm]:
        remedies, alarms = self.recipe.remedies, []

        def add(kind: str, network: str, seen: str) -> None:
            alarms.append(Alarm(kind=kind, network=network, line=f"{network} {seen}. Try {remedies[kind]}"))

        for name in sorted({key.split("/")[1] for key in means if key.startswith(PREFIX)}):
            signal = {key.split("/")[2]: value for key, value in means.items() if key.startswith(f"{PREFIX}{name}/")}
            if signal.get("change", 2.0) < LEAST_CHANGE:
                share = signal["change"] / 2
                add("nothing", name, f"hardly changes its inputs: by {share:.1%} of the range on average")
            if signal.get("correlation", 1.0) < LEAST_CORRELATION:
                add("inverted", name, f"inverts colours: the luminance correlation is {signal['correlation']:.2f}")
            wanted = signal.get("reference_change", 0.0)
            if wanted > 0 and signal["output_change"] < LEAST_DIVERSITY * wanted:
                share = signal["output_change"] / wanted
                add(
                    "collapsed",
                    name,
                    f"shows mode collapse: its outputs vary by {share:.1%} of what the real images do",
                )
        for name, guessing in self.recipe.guessing_losses.items():
            if name in means and means[name] < LEAST_LOSS * guessing:
                add(
                    "overpowered", name, f"dominates: its loss is {means[name]:.2g}, and chance level is {guessing:.2g}"
                )
        return alarms
