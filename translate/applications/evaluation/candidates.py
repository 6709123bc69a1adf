"""What each candidate makes of the images: the weights, and the baselines that no network is behind."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from torch import Tensor

from translate.applications.evaluation.baselines import match_histograms
from translate.applications.evaluation.data import EvaluationData, Example, resized, to_unit_tensor
from translate.applications.evaluation.result import IDENTITY, MATCHED, TRANSLATION, EvaluationError
from translate.data.images import ImageError, Picture
from translate.data.layouts import ImageSource, LayoutError
from translate.data.store import Format
from translate.data.values import in_class_colours
from translate.inference.translator import Translator

BATCH = 8
MAX_BATCH_PIXELS = 2**20  # larger images go alone


@dataclass(frozen=True, kw_only=True)
class Made:
    """An example and what was made of it: [1, C, H, W] in [0, 1] each, C the target domain's channels."""

    number: int
    """Among the examples."""
    example: Example
    source: Tensor
    """The input, in its own domain's channels."""
    target: Tensor | None
    outputs: dict[str, Tensor]
    """By candidate."""


def untouched(picture: Picture, own: Format, wanted: Format) -> Tensor:
    """An input as if it were an output, [1, C, H, W] in [0, 1]: of other bands the mean of its own, in each."""
    if own.labels:
        assert own.encoding is not None
        picture, own = in_class_colours(picture, own.encoding), Format(channels=3)
    if own.channels == wanted.channels or (own.encoding is None and wanted.encoding is None):
        return to_unit_tensor(picture, wanted)
    return to_unit_tensor(picture, own).mean(dim=1, keepdim=True).expand(-1, wanted.channels, -1, -1)


class Candidates:
    """Runs the weights and the baselines over the examples.

    Args:
        translator: The weights.
        data: What to translate.
        size: Resize the shorter side to this first; None for the images' own size.
        seed: Of the histogram references and of the weights' noise.

    Attributes:
        unreadable: The reason for each example that was left out.
    """

    def __init__(self, translator: Translator, data: EvaluationData, *, size: int | None, seed: int) -> None:
        self.translator, self.data, self.size, self.seed = translator, data, size, seed
        self.unreadable: list[str] = []
        rng = np.random.default_rng([seed, 3])
        count = len(data.references)
        own = {source: number for number, source in enumerate(data.references)}
        self._references = []
        for example in data.examples:
            number = int(rng.integers(count))
            target = None if example.pair is None else (example.pair.a if example.reverse else example.pair.b)
            if target is not None and own.get(target) == number and count > 1:  # its own target would give it away
                number = (number + 1 + int(rng.integers(count - 1))) % count
            self._references.append(data.references[number])

    def make(
        self, numbers: Sequence[int] | None = None, *, on_done: Callable[[int, int], None] | None = None
    ) -> Iterator[list[Made]]:
        """What is made of the examples, or of some of them, a few at a time; unreadable ones are left out.

        Raises:
            InferenceError: an image is too large for memory.
            EvaluationError: none can be read.
        """
        wanted = list(range(len(self.data.examples))) if numbers is None else list(numbers)
        done = 0
        for start in range(0, len(wanted), BATCH):
            group = [
                (number, *pictures)
                for number in wanted[start : start + BATCH]
                if (pictures := self._read(number)) is not None
            ]
            outputs = self._translate([number for number, *_ in group], [source for _, source, _, _ in group])
            if group:
                done += len(group)
                yield [
                    self._made(number, source, target, reference, output)
                    for (number, source, target, reference), output in zip(group, outputs, strict=True)
                ]
            if on_done is not None:
                on_done(min(start + BATCH, len(wanted)), len(wanted))
        if not done:
            raise EvaluationError(f"none of the {len(wanted)} images can be read: {self.unreadable[0]}")

    def read(self, source: ImageSource) -> Tensor | None:
        """A real image of the target domain, resized as the examples are; None where it cannot be read."""
        try:
            return to_unit_tensor(resized(source.read(), self.size), self.data.target.format)
        except (ImageError, LayoutError) as error:
            self._count(str(error))
            return None

    def _read(self, number: int) -> tuple[Picture, Picture | None, Picture] | None:
        try:
            source, target = self.data.examples[number].read(side=self.size)
            return source, target, resized(self._references[number].read(), self.size)
        except (ImageError, LayoutError) as error:
            self._count(str(error))
            return None

    def _count(self, reason: str) -> None:
        if reason not in self.unreadable:
            self.unreadable.append(reason)

    def _translate(self, numbers: Sequence[int], pictures: Sequence[Picture]) -> list[Picture]:
        """In one batch where all have one size; of weights with style codes each by a code of its own."""
        if self.translator.style:
            return [
                self.translator.apply([picture], seed=self.seed + number)[0]
                for number, picture in zip(numbers, pictures, strict=True)
            ]
        sizes = {picture.size for picture in pictures}
        width, height = next(iter(sizes), (0, 0))
        if len(sizes) == 1 and len(pictures) * width * height <= MAX_BATCH_PIXELS:
            return self.translator.apply(pictures, seed=self.seed)
        return [self.translator.apply([picture], seed=self.seed)[0] for picture in pictures]

    def _made(self, number: int, source: Picture, target: Picture | None, reference: Picture, output: Picture) -> Made:
        wanted = self.data.target.format
        identity = untouched(source, self.data.source.format, wanted)
        made = wanted  # whose channels are the bands that were chosen
        if wanted.encoding is not None:
            made = replace(wanted, encoding=replace(wanted.encoding, bands=()))
        levels = 65535 if wanted.bits == 16 else 255
        return Made(
            number=number,
            example=self.data.examples[number],
            source=to_unit_tensor(source, self.data.source.format),
            target=None if target is None else to_unit_tensor(target, wanted),
            outputs={
                TRANSLATION: to_unit_tensor(output, made),
                IDENTITY: identity,
                MATCHED: match_histograms(identity, to_unit_tensor(reference, wanted), levels=levels),
            },
        )
