"""Batches of images that are one array in memory: gathered, cropped and mirrored in a few operations on the device.

As for files, sample number p of a run is a pure function of the seed and p. Digits are so small that a Python loop over
the samples of a batch would take longer than training on them does.

Shapes: M images in memory, N batch, C channels, H height, W width, S side of the crop.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from translate.data.batches import Batch, DataError, Wanted, permutation, to_signed

DRAWS = 4  # values of a block of Philox: a block a sample
_CROPS_KEY = 1 << 63  # apart from the keys of the permutations


def draws(start: int, count: int, *, seed: int) -> np.ndarray:
    """The random decisions of samples `start` to ``start + count``: [count, 4] numbers in [0, 1)."""
    generator = np.random.Philox(key=np.array([seed | _CROPS_KEY, 1], np.uint64), counter=start)
    return (generator.random_raw(count * DRAWS) >> np.uint64(11)).reshape(count, DRAWS) * 2.0**-53


class ArrayBatches(Iterator[Batch]):
    """An infinite stream of ``{"images": [N, C, S, S], "label": [N]}``; labels where there are some.

    Args:
        pixels: uint8 or uint16 [M, H, W, C].
        labels: [M] numbers of classes, or None.
        wanted: Which batches; the images are kept on its device.
        size: Side of the square crop; at most H and W.
        mirror: Mirror half of the samples.
        members: Which images an epoch has, some perhaps more than once, int64 [L]; each once unless given.

    Raises:
        DataError: there are no images, the crop does not fit, or the processes cannot share a batch.
    """

    def __init__(
        self,
        pixels: np.ndarray,
        labels: np.ndarray | None,
        wanted: Wanted,
        *,
        size: int,
        mirror: bool = False,
        members: np.ndarray | None = None,
    ) -> None:
        batch_size, world_size = wanted.batch_size, wanted.world_size
        if len(pixels) == 0:
            raise DataError("there are no images to make batches of")
        self.height, self.width = pixels.shape[1:3]
        if size > min(self.height, self.width):
            raise DataError(f"a crop of {size} px does not fit in images of {self.width}x{self.height} px")
        if batch_size % world_size:
            raise DataError(f"a batch of {batch_size} images cannot be split evenly across {world_size} processes")
        self.device = torch.device(wanted.device)
        self.pixels = torch.from_numpy(pixels if pixels.flags.writeable else pixels.copy()).to(self.device)
        self.labels = None if labels is None else torch.from_numpy(labels.astype(np.int64)).to(self.device)
        self.size, self.seed, self.mirror = size, wanted.seed, mirror
        self.members = np.arange(len(pixels)) if members is None else members
        self.batch_size, self.share = batch_size, batch_size // world_size
        self.position = wanted.start + wanted.rank * self.share

    def _indices(self) -> np.ndarray:
        """Which images the next samples are."""
        length = len(self.members)
        epoch, place = divmod(self.position, length)
        found: list[np.ndarray] = []
        missing = self.share
        while missing > 0:
            part = permutation(length, epoch=epoch, seed=self.seed)[place : place + missing]
            found.append(part)
            missing -= len(part)
            epoch, place = epoch + 1, 0
        return self.members[np.concatenate(found)]

    def __next__(self) -> Batch:
        chosen = self._sent(self._indices())
        images = self.pixels[chosen]  # [N, H, W, C]
        free_y, free_x = self.height - self.size, self.width - self.size
        if free_y or free_x or self.mirror:
            images = self._cropped(images, free_y=free_y, free_x=free_x)
        batch = {"images": to_signed(images)}
        if self.labels is not None:
            batch["label"] = self.labels[chosen]
        self.position += self.batch_size
        return batch

    def _cropped(self, images: Tensor, *, free_y: int, free_x: int) -> Tensor:
        decisions = draws(self.position, self.share, seed=self.seed)
        left, top, mirrored = decisions[:, 0] * (free_x + 1), decisions[:, 1] * (free_y + 1), decisions[:, 2] < 0.5
        line = np.arange(self.size)
        columns = np.where((mirrored & self.mirror)[:, None], line[::-1], line) + left.astype(np.int64)[:, None]
        rows = line + top.astype(np.int64)[:, None]
        of_batch = torch.arange(self.share, device=self.device)[:, None, None]
        y, x = (self._sent(places) for places in (rows, columns))
        return images[of_batch, y[:, :, None], x[:, None, :]]  # [N, S, S, C]

    def _sent(self, numbers: np.ndarray) -> Tensor:
        """On the device; a GPU copies from pinned memory while the host goes on."""
        tensor = torch.from_numpy(numbers)
        return tensor.pin_memory().to(self.device, non_blocking=True) if self.device.type == "cuda" else tensor

    def close(self) -> None:
        """Nothing is open."""
