"""From stored pairs to batches on the device: an infinite, resumable, reproducible stream.

Sample number p of a run is a pure function of the seed and p: which pair, which crop, which mirror. Nothing depends
on threads, on processes or on where a run was interrupted, so resuming is starting at p, and each process of several
takes its own stretch of every batch. Threads crop and mirror uint8; colour and normalisation are done on the device for
the whole batch at once.

Shapes: N batch, C channels, S side of the crop.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from translate.config.errors import TranslateError
from translate.data.images import ImageError
from translate.data.layouts import LayoutError
from translate.data.store import PairStore, crop

Batch = dict[str, Tensor]


class DataError(TranslateError, ValueError):
    """Data that a run cannot go on with; the message says what to fix."""


@lru_cache(maxsize=4)  # a run reads at the end of one epoch and the start of the next
def permutation(length: int, *, epoch: int, seed: int) -> np.ndarray:
    """The order of the pairs in an epoch: [length], each number below `length` once. Not to be changed."""
    return _generator(seed, epoch).permutation(length)


def evenly(labels: np.ndarray) -> np.ndarray:
    """Numbers of items, some of them again, such that each class that occurs has as many as the largest: int64 [L].

    Args:
        labels: [M] numbers of classes.
    """
    classes, counts = np.unique(labels, return_counts=True)
    most = int(counts.max()) if len(counts) else 0
    repeated = [np.resize(np.flatnonzero(labels == number), most) for number in classes]
    return np.concatenate([*repeated, np.zeros(0, np.int64)])


def _generator(*key: int) -> np.random.Generator:
    """A counter-based generator (Philox; Salmon et al., 2011): nearby keys give unrelated streams."""
    # With its type said: NumPy would round a list with a number above 2 ** 63 to floats, and lose the seed.
    return np.random.Generator(np.random.Philox(key=np.array(key, np.uint64)))


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """Which batches a run wants of its data."""

    batch_size: int
    """Images a step over all processes; a multiple of `world_size`."""
    start: int = 0
    """Samples already seen by the run."""
    seed: int = 0
    """With the sample's number, all that decides the draw."""
    rank: int = 0
    """This process."""
    world_size: int = 1
    """Processes."""
    size: int | None = None
    """Side of the crop, where it is smaller than the training size."""
    device: torch.device | str = "cpu"
    """Where the batches are wanted."""
    report: Callable[[str], None] = print
    """Called once with a line for each unreadable image, from a thread."""

    def with_seed(self, seed: int) -> Wanted:
        return replace(self, seed=seed)


@dataclass(frozen=True, kw_only=True)
class Draw:
    """The random decisions for one sample; the same for both halves."""

    left: float
    """Position of the crop in the free width, in [0, 1)."""
    top: float
    """Position of the crop in the free height, in [0, 1)."""
    mirror: bool
    colour: tuple[float, float, float]
    """Brightness, contrast and saturation, each from -1 to 1, scaled by the strength."""


def draw(position: int, *, seed: int) -> Draw:
    """The decisions for sample `position` of a run; `seed` is below 2 ** 63."""
    # A key of its own (the bit 63), apart from those of the permutations.
    values = _generator(seed | 1 << 63, position).random(6).tolist()
    left, top, mirror, *colour = values
    brightness, contrast, saturation = (2 * value - 1 for value in colour)
    return Draw(left=left, top=top, mirror=mirror < 0.5, colour=(brightness, contrast, saturation))


def to_signed(pixels: Tensor, *, labels: int = 0) -> Tensor:
    """uint8 or uint16 [N, S, S, C] to float32 [N, C, S, S] in [-1, 1]; class ids to [N, labels, S, S]."""
    return _planes_to_signed(pixels.permute(0, 3, 1, 2), labels=labels)


def _planes_to_signed(planes: Tensor, *, labels: int = 0) -> Tensor:
    """uint8 or uint16 [N, C, S, S] to float32 in [-1, 1]; with labels class ids [N, 1, S, S] to [N, labels, S, S]:
    1 in the channel of a pixel's class and -1 in the others, and -1 in all where it has none."""
    if labels:
        classes = torch.arange(labels, device=planes.device).view(1, -1, 1, 1)
        return (planes.to(torch.int32) == classes).float().mul_(2).sub_(1)
    top = 65535.0 if planes.dtype == torch.uint16 else 255.0
    # A tensor on the device: CUDA multiplies by the rounded reciprocal of a plain number.
    half = torch.full((), top / 2, device=planes.device)
    return planes.to(torch.float32, memory_format=torch.contiguous_format).div_(half).sub_(1.0)


def jitter_colour(images: Tensor, factors: Tensor) -> Tensor:
    """Change brightness, contrast and saturation of [N, C, S, S] in [-1, 1]; alpha is left alone.

    Args:
        images: What to change.
        factors: [N, 3] relative changes, 0 for none, -1 for black, flat or grey: brightness scales the distance from
            black, contrast that from the image's mean, saturation that from grey.

    Returns:
        [N, C, S, S], clamped to [-1, 1].
    """
    colour = 3 if images.shape[1] >= 3 else 1
    brightness, contrast, saturation = factors.view(-1, 3, 1, 1, 1).unbind(1)
    x = (images[:, :colour] + 1) / 2 * (1 + brightness)
    mean = x.mean(dim=(1, 2, 3), keepdim=True)
    x = mean + (x - mean) * (1 + contrast)
    grey = x.mean(dim=1, keepdim=True)
    x = grey + (x - grey) * (1 + saturation)
    return torch.cat([(x * 2 - 1).clamp(-1, 1), images[:, colour:]], dim=1)


Prepared = tuple[list[Tensor], list[Draw], np.ndarray]
MOST_AT_ONCE, BYTES_AT_ONCE = 8, 2**22


class PairBatches(Iterator[Batch]):
    """An infinite stream of batches ``{"a": [N, C_a, S, S], "b": [N, C_b, S, S]}`` in [-1, 1] on the device.

    Args:
        store: The pairs.
        wanted: Which batches.
        size: Side of the crop; at most the store's.
        mirror: Mirror half of the samples.
        colour_jitter: Strength, 0 to 1, of the changes of colour.
        jitter_domain: ``a`` or ``b``, the domain that is a network's input; the other keeps its colours.
        workers: Threads that decode and crop; so many batches and one more are prepared ahead, of small ones up to
            eight times as many.
        members: Which pairs an epoch has, some perhaps more than once, int64 [L]; each once unless given.
        max_bad: Share of the pairs that may be unreadable.

    Attributes:
        bad: The unreadable pairs so far, number to reason.
        indices: Which pairs the last batch is of, int64 [N].

    Raises:
        DataError: there are no pairs, the crop does not fit, or the processes cannot share a batch; from ``next``, when
            more than `max_bad` of the pairs cannot be read.
    """

    def __init__(
        self,
        store: PairStore,
        wanted: Wanted,
        *,
        size: int,
        mirror: bool = True,
        colour_jitter: float = 0.0,
        jitter_domain: str = "a",
        workers: int = 2,
        members: np.ndarray | None = None,
        max_bad: float = 0.05,
    ) -> None:
        batch_size, world_size = wanted.batch_size, wanted.world_size
        if size > store.side:
            raise DataError(f"a crop of {size} px does not fit in images of {store.side} px")
        if len(store) == 0:
            raise DataError(f"there are no {store.noun} to make batches of")
        if batch_size % world_size:
            raise DataError(f"a batch of {batch_size} images cannot be split evenly across {world_size} processes")
        self.store, self.size, self.seed, self.report = store, size, wanted.seed, wanted.report
        self.mirror, self.colour_jitter, self.jitter_domain = mirror, colour_jitter, jitter_domain
        self.max_bad, self.device = max_bad, torch.device(wanted.device)
        self.members = np.arange(len(store)) if members is None else members
        self.batch_size, self.share = batch_size, batch_size // world_size
        self.position = wanted.start + wanted.rank * self.share
        self.bad: dict[int, str] = {}
        self.indices = np.zeros(0, np.int64)
        self._lock = threading.Lock()
        self._closed = False
        # Small batches are handed over several at a time: waking a thread costs as much as cropping a sample.
        sample_bytes = size**2 * sum(fmt.stored_channels * np.dtype(fmt.dtype).itemsize for fmt in store.formats)
        self._at_once = max(1, min(MOST_AT_ONCE, BYTES_AT_ONCE // (self.share * sample_bytes)))
        self._ready: deque[Prepared] = deque()
        self._spare: deque[list[Tensor]] = deque()
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="decode")
        self._ahead: deque[Future[list[Prepared]]] = deque()
        for _ in range(workers + 1):
            self._submit()

    def _submit(self) -> None:
        positions = [self.position + number * self.batch_size for number in range(self._at_once)]
        self._ahead.append(self._pool.submit(self._load_several, positions))
        self.position += self._at_once * self.batch_size

    def _read(self, position: int) -> tuple[int, list[np.ndarray]]:
        """The pair of a sample and its number; an unreadable one gives way to the next of the epoch's order."""
        length = len(self.members)
        epoch, place = divmod(position, length)
        order = permutation(length, epoch=epoch, seed=self.seed)
        for step in range(length):
            index = int(self.members[order[(place + step) % length]])
            if index in self.bad:
                continue
            try:
                return index, self.store.read(index)
            except (ImageError, LayoutError) as error:
                self._count_bad(index, str(error))
        raise DataError(f"none of the {len(self.store)} {self.store.noun} can be read: {next(iter(self.bad.values()))}")

    def _count_bad(self, index: int, reason: str) -> None:
        with self._lock:  # two threads may meet the same file at once
            if index not in self.bad:
                self.bad[index] = reason
                self.report(f"skipped: {reason}")
        self._check_bad()

    def _check_bad(self) -> None:
        with self._lock:
            if len(self.bad) > self.max_bad * len(self.store):
                named = "; ".join(list(self.bad.values())[:3])
                raise DataError(
                    f"{len(self.bad)} of {len(self.store)} {self.store.noun} cannot be read, more than the "
                    f"{self.max_bad:.0%} that --max-bad allows: {named}. Fix or remove them, or raise --max-bad"
                )

    def _load_several(self, positions: Sequence[int]) -> list[Prepared]:
        return [self._load(position) for position in positions if not self._closed]

    def _load(self, position: int) -> Prepared:
        """The halves of this process's share of a batch, [N, C, S, S] as stored, their draws and numbers."""
        draws = [draw(position + offset, seed=self.seed) for offset in range(self.share)]
        indices, samples = zip(*(self._read(position + offset) for offset in range(self.share)), strict=True)
        try:
            halves = self._spare.pop()
        except IndexError:
            halves = self._empty(samples[0])
        for half, images in zip(halves, zip(*samples, strict=True), strict=True):
            rows = half.numpy()
            for number, (pixels, chosen) in enumerate(zip(images, draws, strict=True)):
                square = crop(pixels, size=self.size, left=chosen.left, top=chosen.top)
                rows[number] = square.transpose(2, 0, 1)
                if self.mirror and chosen.mirror:
                    half[number] = half[number].flip(-1)  # six times as fast as NumPy's view from behind
        return halves, draws, np.array(indices, np.int64)

    def _empty(self, sample: Sequence[np.ndarray]) -> list[Tensor]:
        """Room for the halves of a batch; a GPU copies from pinned memory."""
        pinned = self.device.type == "cuda"
        shapes = [(self.share, pixels.shape[2], self.size, self.size) for pixels in sample]
        dtypes = [torch.uint16 if pixels.dtype == np.uint16 else torch.uint8 for pixels in sample]
        return [torch.empty(shape, dtype=dtype, pin_memory=pinned) for shape, dtype in zip(shapes, dtypes, strict=True)]

    def __next__(self) -> Batch:
        if not self._ready:
            self._ready.extend(self._ahead.popleft().result())
            self._submit()
            self._check_bad()  # the thread that met one too many may be at work on a later batch
        halves, draws, self.indices = self._ready.popleft()
        images = [
            _planes_to_signed(half.to(self.device, non_blocking=True), labels=fmt.labels if half.shape[1] else 0)
            for half, fmt in zip(halves, self.store.formats, strict=True)
        ]
        if self.device.type == "cpu":  # read by now, and fresh memory is slow; elsewhere the copy may still go on
            self._spare.append(halves)
        batch = dict(zip(("a", "b"), images, strict=True))
        if self.colour_jitter:
            factors = torch.tensor([chosen.colour for chosen in draws]) * self.colour_jitter
            factors = factors.to(self.device, non_blocking=True)
            batch[self.jitter_domain] = jitter_colour(batch[self.jitter_domain], factors)
        return batch

    def close(self) -> None:
        """Stop the threads, and let go of what was prepared."""
        self._closed = True
        self._pool.shutdown(wait=True, cancel_futures=True)
        for prepared in (self._ahead, self._ready, self._spare):
            prepared.clear()


def fixed_batch(store: PairStore, *, indices: Sequence[int], device: torch.device | str = "cpu") -> Batch:
    """The middle squares of some pairs, undisturbed: what sample grids and scores are made from.

    Unreadable pairs are left out.

    Args:
        store: The pairs; each gives a square of the store's side.
        indices: Which of them.
        device: Where the batch is wanted.

    Returns:
        ``{"a": [N, C_a, S, S], "b": [N, C_b, S, S]}`` in [-1, 1].

    Raises:
        DataError: none of them can be read.
    """
    rows: list[list[np.ndarray]] = [[], []]
    for index in indices:
        try:
            halves = store.read(index)
        except (ImageError, LayoutError):
            continue
        for half, pixels in zip(rows, halves, strict=True):
            half.append(crop(pixels, size=store.side, left=0.5, top=0.5))
    if not rows[0]:
        raise DataError(f"none of the {len(indices)} {store.noun} for the samples can be read")
    a, b = (
        to_signed(torch.from_numpy(np.stack(half)).to(device), labels=fmt.labels if half[0].shape[2] else 0)
        for half, fmt in zip(rows, store.formats, strict=True)
    )
    return {"a": a, "b": b}
