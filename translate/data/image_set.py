"""An image set as a run sees it: the images of one kind, at which size, and their batches.

Files are decoded once and streamed, as pairs are; what is one array already stays in memory.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from translate.config.base import ConfigError
from translate.config.training import ImageSetConfig
from translate.data.array_batches import ArrayBatches
from translate.data.batches import Batch, DataError, PairBatches, Wanted, evenly, fixed_batch, to_signed
from translate.data.changes import places
from translate.data.encodings import formats
from translate.data.folder_images import NUM_SAMPLES, NUM_VALIDATION, FolderImages, held_out
from translate.data.image_inputs import spread
from translate.data.images import Picture
from translate.data.layouts_common import ImageSource, data_name, in_order
from translate.data.layouts_images import ImagePart, ImageSetData, find_images
from translate.data.sizes import image_set_size
from translate.data.store import Format, crop, fitted_size, resize, to_format
from translate.data.survey import dim_array, survey
from translate.data.unpaired import ImageStore
from translate.data.values import Readable

_BINARISE_KEY = 0x0B1A


class ImageSet(FolderImages):
    """The images of a run.

    Args:
        config: Where they are and how they are drawn.
        cache: Folder for decoded pixels; a process of several adds its number.
        binarise: Make each pixel black or white once, with its grey value as the probability; the same at each opening.

    Attributes:
        found: What was found, as `ImageSetData`.
        size: Side of the training crop.
        format: Channels and depth.

    Raises:
        LayoutError, ImageError: there is no image set.
        ConfigError: there are no training images.
    """

    def __init__(self, config: ImageSetConfig, *, cache: Path | None = None, binarise: bool = False) -> None:
        self.config, self.binarise = config, binarise
        self.found: ImageSetData = find_images(
            config.root,
            layout=config.layout,
            classes=config.classes,
            attribute=config.attribute,
            labels_csv=config.labels_csv,
            label_column=config.label_column,
            keep_alpha=config.alpha == "keep",
            max_corrupt=config.max_bad,
            reading=config.reading,
        )
        found = self.found
        if "train" not in found.splits or len(found.splits["train"]) == 0:
            raise ConfigError(f"{config.root} has no training images: {found.describe()}")
        if len(found.splits["train"]) == 1:
            raise ConfigError(f"{config.root} has one training image: at least two are needed, better hundreds")
        if "val" not in found.splits and config.hold_out:
            train, val = held_out(range(len(found.splits["train"])), config.hold_out)
            whole = found.splits["train"]
            parts = {**found.splits, "train": whole.chosen(train), "val": whole.chosen(val)}
            self.found = found = replace(found, splits=in_order(parts))
        super().__init__(config, image_size=found.size, cache=cache)
        if config.size is None:
            self.size = image_set_size(*found.size)
        learned = found.splits["train"]
        sources: Sequence[Readable] = learned.sources
        if learned.pixels is not None and found.dtype is not None:
            sources = [_OfArray(learned, index) for index in range(len(learned))]
        (self.format,), self._said = formats([found.kind], [sources], config.reading)
        if config.class_balanced and not found.class_names:
            raise ConfigError(
                f"{config.root} has no labels, so --class-balanced means nothing: omit it, or put the images into "
                "one folder per class"
            )
        if binarise and found.channels != 1:
            raise ConfigError("--binarise once is for grey images, and these have colours")

    @property
    def formats(self) -> tuple[Format, ...]:
        """What the images of each domain are converted to."""
        return (self.format,)

    @property
    def num_images(self) -> int:
        """Training images."""
        return len(self.found.splits["train"])

    @property
    def class_names(self) -> tuple[str, ...]:
        return self.found.class_names

    @property
    def class_counts(self) -> tuple[int, ...]:
        """Training images of each class."""
        labels = self.part("train").labels
        if labels is None:
            return ()
        return tuple(int(count) for count in np.bincount(labels, minlength=len(self.class_names)))

    @property
    def description(self) -> str:
        """The set in one line."""
        return f"{data_name(self.found.root)}: {self.found.describe()}"

    @property
    def files(self) -> dict[str, Path]:
        """Every file of every split, by its place in the data set; what was read as arrays may be any file there."""
        root = self.config.root
        sources = [source.path for part in self.found.splits.values() for source in part.sources]
        whole = [root] if root.is_file() else [path for path in root.iterdir() if path.is_file()]
        return places(sources or whole, (root,))

    @property
    def announcement(self) -> list[str]:
        """What should be said aloud before training starts."""
        width, height = self.found.size
        square = []
        if width != height or self.found.mixed_sizes:
            how = "squashed to squares" if self.config.fit == "stretch" else "cropped to squares"
            square = [f"images are {how} of {self.size} px"]
        surveyed = survey([("", self.part("train").sources, self.format)])
        if self.format.encoding is None and (dark := dim_array(self.part("train").pixels)) is not None:
            surveyed.append("; ".join(dark))
        return [self.found.describe(), *self._enlarged, *square, *self._said, *surveyed, *self.found.notes]

    def part(self, split: str) -> ImagePart:
        """The images of train, val or test; empty where there is no such split."""
        return self.found.splits.get(split, ImagePart())

    def _pixels(self, split: str, *, side: int) -> np.ndarray:
        """An array of a split, its shorter side resized to `side`: [M, H, W, C]."""
        pixels = self.part(split).pixels
        assert pixels is not None
        height, width = pixels.shape[1:3]
        new_width, new_height = fitted_size(width, height, side=side, fit=self.config.fit)
        as_it_is = self.format.encoding is None and pixels.shape[-1] == self.format.channels
        if not as_it_is or (width, height) != (new_width, new_height):
            part = self.part(split)
            rows = (to_format(part.picture(index), self.format) for index in range(len(part)))
            pixels = np.stack([resize(row, width=new_width, height=new_height) for row in rows])
        return binarised(pixels, split=split) if self.binarise else pixels

    def batches(self, wanted: Wanted) -> ArrayBatches | SetBatches:
        """The training batches, ``{"images": [N, C, S, S]}``; with labels ``"label"`` [N]."""
        part, size = self.part("train"), wanted.size or self.size
        members = evenly(part.labels) if self.config.class_balanced and part.labels is not None else None
        if part.pixels is not None:
            return ArrayBatches(
                self._pixels("train", side=round(size * self.config.enlarge)),
                part.labels,
                wanted,
                size=size,
                mirror=self.config.flip,
                members=members,
            )
        return SetBatches(self._stream(self.store, wanted, members=members), part.labels)

    def store(self, split: str, *, side: int, cache: Path | None = None, cache_bytes: int = 0) -> ImageStore:
        """Random access to the files of a split, the shorter side resized to `side`; closed with this object."""
        store = SetStore(
            self.part(split).sources,
            split=split,
            binarise=self.binarise,
            image_format=self.format,
            side=side,
            fit=self.config.fit,
            cache=cache,
            cache_bytes=cache_bytes,
        )
        self._keep(store)
        return store

    def images(self, split: str, indices: Sequence[int], *, device: torch.device | str = "cpu") -> Tensor:
        """The middle squares of some images, undisturbed: [N, C, S, S] in [-1, 1].

        Unreadable files are left out.

        Raises:
            DataError: none of them can be read.
        """
        if self.part(split).pixels is None:
            return fixed_batch(self.store(split, side=self.size), indices=indices, device=device)["a"]
        part = self.part(split)
        assert part.pixels is not None
        height, width = part.pixels.shape[1:3]
        new_width, new_height = fitted_size(width, height, side=self.size, fit=self.config.fit)
        rows = []
        for number in indices:
            pixels = resize(to_format(part.picture(number), self.format), width=new_width, height=new_height)
            pixels = crop(pixels, size=self.size, left=0.5, top=0.5)
            rows.append(binarised(pixels[None], split=split, start=number)[0] if self.binarise else pixels)
        return to_signed(torch.from_numpy(np.stack(rows)).to(device))

    def labelled(self, split: str, indices: Sequence[int] | np.ndarray) -> tuple[Tensor, Tensor | None]:
        """As `images`, and the classes of those that can be read, int64 [N]; None where there are no labels.

        Raises:
            DataError: none of them can be read.
        """
        part, chosen = self.part(split), [int(index) for index in indices]
        if part.pixels is None:
            store, found, kept = self.store(split, side=self.size), [], []
            for index in chosen:
                with suppress(DataError):
                    found.append(fixed_batch(store, indices=[index])["a"])
                    kept.append(index)
            if not found:
                raise DataError(f"none of the {len(chosen)} {split} images can be read")
            images, chosen = torch.cat(found), kept
        else:
            images = self.images(split, chosen)
        return images, None if part.labels is None else torch.from_numpy(part.labels[chosen].astype(np.int64))

    def samples(self, device: torch.device) -> Batch:
        """A few validation images (test or training ones where there are none), evenly spread, undisturbed."""
        split = next(name for name in ("val", "test", "train") if len(self.part(name)))
        return {"images": self.images(split, self._spread(split, NUM_SAMPLES), device=device)}

    def validation(self, device: torch.device) -> Batch | None:
        """Validation images, evenly spread, up to 64 times 8, and their labels; None where there are none."""
        if not len(self.part("val")):
            return None
        images, labels = self.labelled("val", self._spread("val", 8 * NUM_VALIDATION))
        batch = {"images": images.to(device)}
        return batch if labels is None else {**batch, "label": labels.to(device)}

    def _spread(self, split: str, count: int) -> list[int]:
        """Numbers of some images, evenly spread: folders are in the order of their classes."""
        return [int(index) for index in spread(len(self.part(split)), count)]


@dataclass(frozen=True)
class _OfArray:
    """An image of an array, to be read as a file is."""

    part: ImagePart
    index: int

    @property
    def name(self) -> str:
        return f"image {self.index + 1}"

    def read(self) -> Picture:
        return self.part.picture(self.index)


class SetBatches:
    """A stream of single images, called ``images``, and with labels their classes, ``label``.

    Args:
        stream: The images.
        labels: [M] numbers of classes, by the images' numbers; or None.
    """

    def __init__(self, stream: PairBatches, labels: np.ndarray | None) -> None:
        self._stream = stream
        self._labels = None if labels is None else torch.from_numpy(labels.astype(np.int64))

    def __iter__(self) -> SetBatches:
        return self

    def __next__(self) -> Batch:
        batch = {"images": next(self._stream)["a"]}
        if self._labels is not None:
            chosen = self._labels[torch.from_numpy(self._stream.indices)]
            batch["label"] = chosen.to(batch["images"].device, non_blocking=True)
        return batch

    def close(self) -> None:
        """Stop the threads, and remove what was decoded: of images that grow, the next size is decoded anew."""
        self._stream.close()
        self._stream.store.close()


def binarised(pixels: np.ndarray, *, split: str, start: int = 0) -> np.ndarray:
    """Black or white with the grey value as the probability: uint8 [M, ...], image number `start` first.

    A pure function of the split and an image's number, as a file of binarised images would be.
    """
    key = np.array([_BINARISE_KEY, sum(split.encode())], np.uint64)
    length = int(np.prod(pixels.shape[1:]))
    blocks = -(-length // 4)  # a block of Philox is four numbers
    raw = np.random.Philox(key=key, counter=start * blocks).random_raw(len(pixels) * blocks * 4)
    uniform = (raw >> np.uint64(11)).reshape(len(pixels), -1)[:, :length].reshape(pixels.shape) * 2.0**-53
    top = np.iinfo(pixels.dtype).max
    return np.where(uniform * top < pixels, top, 0).astype(pixels.dtype)


class SetStore(ImageStore):
    """Random access to the files of an image set; as `ImageStore`, and binarised where that is asked for."""

    def __init__(
        self,
        sources: Sequence[ImageSource],
        *,
        split: str,
        binarise: bool,
        image_format: Format,
        side: int,
        fit: Literal["cover", "stretch"] = "cover",
        cache: Path | None = None,
        cache_bytes: int = 0,
    ) -> None:
        super().__init__(sources, image_format=image_format, side=side, fit=fit, cache=cache, cache_bytes=cache_bytes)
        self.split, self.binarise = split, binarise

    def read(self, index: int) -> list[np.ndarray]:
        arrays = super().read(index)
        if not self.binarise:
            return arrays
        return [binarised(arrays[0][None], split=self.split, start=index)[0], arrays[1]]
