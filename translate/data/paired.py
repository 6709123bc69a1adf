"""A paired data set as a run sees it: which is source and which target, at which size, and its batches."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import torch

from translate.config.base import ConfigError
from translate.config.training import DataConfig
from translate.data.batches import Batch, PairBatches, fixed_batch
from translate.data.layouts import Pair, PairedData, find_pairs
from translate.data.store import Format, PairStore

NUM_SAMPLES = 6
LARGEST_DEFAULT_SIZE = 256


def default_size(width: int, height: int) -> int:
    """The training size for images of this size: the shorter side, at most 256, down to a multiple of 32, or 16, 8."""
    shorter = min(width, height, LARGEST_DEFAULT_SIZE)
    return shorter // 32 * 32 if shorter >= 32 else 16 if shorter >= 16 else 8


class PairedImages:
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
        self.config, self.cache = config, cache
        self.pairs: PairedData = find_pairs(
            config.root,
            root_b=config.root_b,
            layout=config.layout,
            keep_alpha=config.alpha == "keep",
            allow_unmatched=config.allow_unmatched,
            max_corrupt=config.max_bad,
        )
        found = self.pairs
        if "train" not in found.splits:
            raise ConfigError(f"{config.root} has no training pairs: {found.describe()}")
        self.size = config.size if config.size is not None else default_size(*found.size)
        self.reversed = config.direction == "b2a"
        a = Format(channels=found.channels_a, bits=found.bits_a, nearest=nearest_target and self.reversed)
        b = Format(channels=found.channels_b, bits=found.bits_b, nearest=nearest_target and not self.reversed)
        self._formats = {"a": a, "b": b}
        self.source_format, self.target_format = (b, a) if self.reversed else (a, b)
        names = config.names[::-1] if self.reversed else config.names
        self.source_name, self.target_name = names
        self._stores: list[PairStore] = []

    @property
    def num_images(self) -> int:
        """Training pairs."""
        return len(self.pairs.splits["train"])

    @property
    def description(self) -> str:
        """The data set in one line."""
        return f"{Path(self.pairs.root).name}: {self.pairs.describe()}"

    @property
    def announcement(self) -> list[str]:
        """What should be said aloud before training starts."""
        a, b = self.pairs.sides
        source, target = (f"B ({b})", f"A ({a})") if self.reversed else (f"A ({a})", f"B ({b})")
        other = "a2b" if self.reversed else "b2a"
        width, height = self.pairs.size
        small = f"the images ({width}x{height}) are enlarged to --size {self.size}"
        return [
            self.pairs.describe(),
            f"translating {source} to {target}; --direction {other} is the other way",
            *([small] if min(width, height) < self.size else []),
            *self.pairs.notes,
        ]

    def split(self, name: str) -> tuple[Pair, ...]:
        """The pairs of train, val or test; empty where there is no such split."""
        return self.pairs.splits.get(name, ())

    def check_size(self, *, stride: int, minimum: int) -> None:
        """Refuse a training size that the networks cannot take.

        Raises:
            ConfigError: names the sizes that would do.
        """
        if self.size % stride:
            upper = max((self.size // stride + 1) * stride, -(-minimum // stride) * stride)
            lower = self.size // stride * stride
            choice = f"{lower} or {upper}" if lower >= max(stride, minimum) else f"{upper}"
            raise ConfigError(f"--size {self.size} is not a multiple of {stride}, the network's step: choose {choice}")
        if self.size < minimum:
            raise ConfigError(
                f"--size {self.size} is smaller than the {minimum} px that these networks need: "
                "choose a larger size, or fewer --d-layers and --d-scales"
            )

    def store(self, split: str, *, side: int, cache: Path | None = None, cache_bytes: int = 0) -> PairStore:
        """Random access to a split whose shorter side is resized to `side`; closed with this object.

        Args:
            split: train, val or test.
            side: In pixels.
            cache: Folder for decoded pixels, of this store alone; None decodes each time.
            cache_bytes: Bound of that folder.
        """
        store = PairStore(
            self.split(split),
            a=self._formats["a"],
            b=self._formats["b"],
            side=side,
            fit=self.config.fit,
            cache=cache,
            cache_bytes=cache_bytes,
        )
        self._stores.append(store)
        return store

    def batches(
        self,
        *,
        batch_size: int,
        start: int,
        seed: int,
        rank: int,
        world_size: int,
        device: torch.device,
        report: Callable[[str], None],
    ) -> RoleBatches:
        """The training batches from sample `start` on, named ``source`` and ``target``."""
        side = round(self.size * self.config.enlarge)
        # A folder for each stream: one opened anew, as for another size, must not write into the maps of the last.
        cache = self.cache / f"decoded-{rank}-{len(self._stores)}" if self.cache is not None else None
        budget = int(self.config.cache_gb * 2**30) // world_size
        stream = PairBatches(
            self.store("train", side=side, cache=cache, cache_bytes=budget),
            size=self.size,
            batch_size=batch_size,
            start=start,
            seed=seed,
            rank=rank,
            world_size=world_size,
            mirror=self.config.flip,
            colour_jitter=self.config.colour_jitter,
            jitter_domain="b" if self.reversed else "a",
            workers=self.config.workers or min(8, os.cpu_count() or 1),
            max_bad=self.config.max_bad,
            device=device,
            report=report,
        )
        return RoleBatches(stream, self.roles)

    def samples(self, device: torch.device) -> Batch:
        """The first few validation pairs (test or training ones where there are none), undisturbed."""
        split = next(name for name in ("val", "test", "train") if self.split(name))
        count = min(NUM_SAMPLES, len(self.split(split)))
        return self.roles(fixed_batch(self.store(split, side=self.size), indices=range(count), device=device))

    def roles(self, batch: Batch) -> Batch:
        """Domains a and b as source and target."""
        source, target = ("b", "a") if self.reversed else ("a", "b")
        return {"source": batch[source], "target": batch[target]}

    def close(self) -> None:
        """Remove what was cached."""
        for store in self._stores:
            store.close()
        self._stores.clear()
        if self.cache is not None:
            with suppress(OSError):  # not empty: another process still has its own folder there
                self.cache.rmdir()


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
