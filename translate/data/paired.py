"""A paired data set as a run sees it: which is source and which target, at which size, and its batches."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

import torch

from translate.config.base import ConfigError
from translate.config.training import DataConfig
from translate.data.batches import Batch, PairBatches, Wanted, fixed_batch
from translate.data.changes import places
from translate.data.encodings import formats, label_encoding
from translate.data.folder_images import NUM_SAMPLES, NUM_VALIDATION, FolderImages, held_out
from translate.data.layouts import ImageSource, Pair, PairedData, find_pairs
from translate.data.layouts_common import data_name
from translate.data.layouts_paired import with_ids
from translate.data.problems import LayoutError
from translate.data.store import Format, PairStore
from translate.data.survey import survey


class PairedImages(FolderImages):
    """The pairs of a run.

    Args:
        config: Where they are and how they are drawn.
        cache: Folder for decoded pixels; a process of several adds its number.
        nearest_target: Resize targets to the nearest pixel, as label maps need.

    Attributes:
        pairs: What was found, as `PairedData`.
        size: Side of the training crop.
        source_format: Channels and depth of the network's input.
        target_format: Channels and depth of its output.
        source_name: The source domain, in a word.
        target_name: The target domain.

    Raises:
        LayoutError: the folder is no paired data set.
        ConfigError: there are no training pairs.
    """

    def __init__(self, config: DataConfig, *, cache: Path | None = None, nearest_target: bool = False) -> None:
        self.config = config
        self.reversed = config.direction == "b2a"
        # Class ids are what a translator takes, and what a segmenter makes.
        labelled: Literal["a", "b"] = "b" if self.reversed != nearest_target else "a"
        self.pairs: PairedData = find_pairs(
            config.root,
            root_b=config.root_b,
            layout=config.layout,
            keep_alpha=config.alpha == "keep",
            allow_unmatched=config.allow_unmatched,
            max_corrupt=config.max_bad,
            reading=config.reading,
            labelled=labelled if config.labels else None,
        )
        found = self.pairs
        if "train" not in found.splits:
            raise ConfigError(f"{config.root} has no training pairs: {found.describe()}")
        if "val" not in found.splits and config.hold_out:
            train, val = held_out(found.splits["train"], config.hold_out)
            self.pairs = found = replace(found, splits={**found.splits, "train": train, "val": val})
        super().__init__(config, image_size=found.size, cache=cache)
        train = found.splits["train"]
        sides = [tuple(pair.a for pair in train), tuple(pair.b for pair in train)]
        (a, b), self._said = formats(found.kinds, sides, config.reading, names=("A", "B"), values_b=config.values_b)
        self._formats = {"a": a, "b": b}
        target = "a" if self.reversed else "b"
        if nearest_target:
            self._formats[target] = replace(self._formats[target], nearest=True)
        if config.labels:
            self._label(labelled)
        a, b = self._formats["a"], self._formats["b"]
        self.source_format, self.target_format = (b, a) if self.reversed else (a, b)
        names = config.names[::-1] if self.reversed else config.names
        self.source_name, self.target_name = names

    def _survey(self) -> list[str]:
        train = self.pairs.splits["train"]
        sides: dict[str, list[ImageSource]] = {"A": [pair.a for pair in train], "B": [pair.b for pair in train]}
        return survey([(side, sources, self._formats[side.lower()]) for side, sources in sides.items()])

    def _label(self, side: Literal["a", "b"]) -> None:
        """Read the images of a side as class ids."""
        self.pairs = with_ids(self.pairs, side)
        every = [pair for pairs in self.pairs.splits.values() for pair in pairs]
        try:
            encoding, said = label_encoding([pair.a if side == "a" else pair.b for pair in every])
        except LayoutError as error:
            if not self._has_ids([replace(pair.b if side == "a" else pair.a, ids=True) for pair in every[:8]]):
                raise
            other = "B" if side == "a" else "A"
            way = "--direction a2b" if self.reversed else "--direction b2a"
            raise LayoutError(
                f"{side.upper()}: {error.what}; {other} holds some", f"translate from those: {way}"
            ) from None
        bits = 8 if encoding.dtype == "uint8" else 16
        self._formats[side] = Format(channels=encoding.labels, bits=bits, nearest=True, encoding=encoding)
        self._said.append(f"{side.upper()} holds {said}")

    @staticmethod
    def _has_ids(sources: Sequence[ImageSource]) -> bool:
        try:
            label_encoding(sources)
        except LayoutError:
            return False
        return True

    @property
    def formats(self) -> tuple[Format, ...]:
        """What the images of each domain are converted to."""
        return (self.source_format, self.target_format)

    @property
    def num_images(self) -> int:
        """Training pairs."""
        return len(self.pairs.splits["train"])

    @property
    def description(self) -> str:
        """The data set in one line."""
        found = self.pairs if self.config.root_b is None else self.pairs.without_places()
        return f"{data_name(found.root)}: {found.describe()}"

    @property
    def announcement(self) -> list[str]:
        """What should be said aloud before training starts."""
        a, b = self.pairs.sides
        source, target = (f"B ({b})", f"A ({a})") if self.reversed else (f"A ({a})", f"B ({b})")
        other = "a2b" if self.reversed else "b2a"
        return [
            self.pairs.describe(),
            f"translating {source} to {target}; --direction {other} is the reverse",
            *self._enlarged,
            *self._said,
            *self._survey(),
            *self.pairs.notes,
        ]

    def split(self, name: str) -> tuple[Pair, ...]:
        """The pairs of train, val or test; empty where there is no such split."""
        return self.pairs.splits.get(name, ())

    @property
    def files(self) -> dict[str, Path]:
        """Every file of every split, by its place in the data set."""
        sources = (source for pairs in self.pairs.splits.values() for pair in pairs for source in (pair.a, pair.b))
        return places((source.path for source in sources), (self.config.root, self.config.root_b))

    def store(self, split: str, *, side: int, cache: Path | None = None, cache_bytes: int = 0) -> PairStore:
        """Random access to a split whose shorter side is resized to `side`; closed with this object.

        Args:
            split: train, val or test.
            side: In pixels.
            cache: Folder for decoded pixels, of this store alone; None decodes each time.
            cache_bytes: Bound of that folder.
        """
        return self._keep(
            PairStore(
                self.split(split),
                a=self._formats["a"],
                b=self._formats["b"],
                side=side,
                fit=self.config.fit,
                cache=cache,
                cache_bytes=cache_bytes,
            )
        )

    def batches(self, wanted: Wanted) -> RoleBatches:
        """The training batches, named ``source`` and ``target``."""
        stream = self._stream(
            self.store,
            wanted,
            colour_jitter=self.config.colour_jitter,
            jitter_domain="b" if self.reversed else "a",
        )
        return RoleBatches(stream, self.roles)

    def samples(self, device: torch.device) -> Batch:
        """The first few validation pairs (test or training ones where there are none), undisturbed."""
        split = next(name for name in ("val", "test", "train") if self.split(name))
        count = min(NUM_SAMPLES, len(self.split(split)))
        return self.roles(fixed_batch(self.store(split, side=self.shown_side), indices=range(count), device=device))

    def validation(self, device: torch.device) -> Batch | None:
        """The first validation pairs, as many as there are up to 64; None where there are none."""
        if not self.split("val"):
            return None
        store = self.store("val", side=self.shown_side)
        return self.roles(fixed_batch(store, indices=range(min(NUM_VALIDATION, len(store))), device=device))

    def roles(self, batch: Batch) -> Batch:
        """Domains a and b as source and target."""
        source, target = ("b", "a") if self.reversed else ("a", "b")
        return {"source": batch[source], "target": batch[target]}


class RoleBatches:
    """A stream of pairs with its domains renamed to the roles they play."""

    def __init__(self, stream: PairBatches, roles: Callable[[Batch], Batch]) -> None:
        self._stream, self._roles = stream, roles

    def __iter__(self) -> RoleBatches:
        return self

    def __next__(self) -> Batch:
        return self._roles(next(self._stream))

    def close(self) -> None:
        self._stream.close()
