"""What the images of a run have in common, paired or not: a size, a place for decoded pixels, an end."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

from translate.config.base import ConfigError
from translate.config.training import FolderConfig
from translate.data.batches import PairBatches, Wanted
from translate.data.sizes import default_size
from translate.data.store import PairStore

NUM_SAMPLES = 6
NUM_VALIDATION = 64
CROP = 1.25  # from this enlargement on, a run trains on parts of its images
T = TypeVar("T")


def held_out(members: Sequence[T], share: float) -> tuple[tuple[T, ...], tuple[T, ...]]:
    """Part a share of the members from the others, evenly spread: (the others, the share). Two are left at least."""
    count = min(round(len(members) * share), len(members) - 2)
    if count <= 0:
        return tuple(members), ()
    chosen = {(2 * number + 1) * len(members) // (2 * count) for number in range(count)}
    kept = tuple(member for number, member in enumerate(members) if number not in chosen)
    return kept, tuple(members[number] for number in sorted(chosen))


class FolderImages:
    """The images of a run; `PairedImages` and `UnpairedImages` say which.

    Args:
        config: How they are drawn.
        image_size: The usual (width, height), which decides the training size where it is not given.
        cache: Folder for decoded pixels; a process of several adds its number.
    """

    def __init__(self, config: FolderConfig, *, image_size: tuple[int, int], cache: Path | None) -> None:
        self._folder, self._image_size, self.cache = config, image_size, cache
        self.size = config.size if config.size is not None else default_size(*image_size)
        self._stores: list[PairStore] = []

    def check_size(self, *, stride: int, minimum: int) -> None:
        """Refuse a training size that the networks cannot take.

        Raises:
            ConfigError: names the sizes that would do.
        """
        if self.size % stride:
            upper = max((self.size // stride + 1) * stride, -(-minimum // stride) * stride)
            lower = self.size // stride * stride
            choice = f"{lower} or {upper}" if lower >= max(stride, minimum) else f"{upper}"
            raise ConfigError(f"--size {self.size} is not a multiple of the network's stride {stride}: choose {choice}")
        if self.size < minimum:
            raise ConfigError(
                f"--size {self.size} is smaller than the {minimum} px that these networks need: "
                "choose a larger size, or fewer --d-layers and --d-scales"
            )

    @property
    def _enlarged(self) -> list[str]:
        """The line that says that the images are smaller than the size; none where they are not."""
        width, height = self._image_size
        small = f"the images ({width}x{height}) are enlarged to --size {self.size}"
        return [small] if min(width, height) < self.size else []

    @property
    def shown_side(self) -> int:
        """The shorter side, in pixels, of images that are shown and scored: whole, at the scale they are trained at."""
        enlarge = self._folder.enlarge
        return self.size if enlarge < CROP else round(self.size * enlarge)

    def _keep(self, store: PairStore) -> PairStore:
        self._stores.append(store)
        return store

    def _stream(
        self,
        open_store: Callable[..., PairStore],
        wanted: Wanted,
        *,
        streams: int = 1,
        share: float = 1.0,
        **options: Any,
    ) -> PairBatches:
        """One of several streams of training batches, whose decoded pixels take a `share` of the room."""
        # A folder for each stream: one opened anew, as for another size, must not write into the maps of the last.
        cache = self.cache / f"decoded-{wanted.rank}-{len(self._stores)}" if self.cache is not None else None
        size = wanted.size or self.size
        budget = int(self._folder.cache_gb * 2**30 * share) // wanted.world_size
        workers = self._folder.workers or min(8, os.cpu_count() or 1)
        return PairBatches(
            open_store("train", side=round(size * self._folder.enlarge), cache=cache, cache_bytes=budget),
            wanted,
            size=size,
            mirror=self._folder.flip,
            workers=max(1, workers // streams),
            max_bad=self._folder.max_bad,
            **options,
        )

    def close(self) -> None:
        """Remove what was cached."""
        for store in self._stores:
            store.close()
        self._stores.clear()
        if self.cache is not None:
            with suppress(OSError):  # not empty: another process still has its own folder there
                self.cache.rmdir()
