"""Pairs made of single images: the target is the image, and the source is computed from it.

As everywhere, sample number p of a run is a pure function of the seed and p.
"""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path

import torch

from translate.blocks.keyed import sample_keys
from translate.config.base import ConfigError
from translate.config.training import DataConfig, Derivation, FolderConfig, ImageSetConfig
from translate.data.array_batches import ArrayBatches
from translate.data.batches import Batch, Wanted, fixed_batch
from translate.data.derive import derive, derived_channels
from translate.data.folder_images import NUM_SAMPLES, NUM_VALIDATION
from translate.data.image_inputs import spread
from translate.data.image_set import ImageSet, SetBatches
from translate.data.sizes import default_size
from translate.data.store import Format

NAMES: dict[Derivation, tuple[str, str]] = {
    "edges": ("sketch", "picture"),
    "gray": ("grey", "colour"),
    "blur": ("blurred", "sharp"),
    "low-res": ("low resolution", "high resolution"),
    "mask": ("holes", "whole"),
}
WORDS: dict[Derivation, str] = {
    "edges": "sketches are drawn from the images",
    "gray": "the images are converted to grey",
    "blur": "the images are blurred",
    "low-res": "the images are downsampled",
    "mask": "holes are cut into the images",
}
SHOWN_SEED = 2**62  # of what is shown and scored: another stream than a run's own


class DerivedPairs:
    """The pairs of a run; `translate.data.paired.PairedImages` for folders of single images.

    Args:
        config: Where the images are and how they are drawn.
        kind: How the source is made of an image.
        cache: Folder for decoded pixels; a process of several adds its number.

    Attributes:
        images: The `ImageSet`.
        source_format: Channels and depth of the network's input.
        target_format: Channels and depth of its output.
        source_name: The source, in a word.
        target_name: The target.

    Raises:
        LayoutError, ImageError: there is no image set.
        ConfigError: there are too few training images, or they are of a kind that nothing is derived from.
    """

    def __init__(self, config: DataConfig, kind: Derivation, *, cache: Path | None = None) -> None:
        shared = {field.name: getattr(config, field.name) for field in fields(FolderConfig)}
        self.kind, self.config = kind, config
        self.images = ImageSet(ImageSetConfig(**shared), cache=cache)
        if config.size is None:
            self.images.size = default_size(*self.images.found.size)
        target = self.images.format
        if target.channels in (2, 4):
            raise ConfigError("--derive is for images without transparency: omit --alpha keep")
        if kind == "gray" and target.channels == 1:
            raise ConfigError(f"{config.root} has grey images, and --derive gray needs colours to restore")
        if target.channels not in (1, 3):
            raise ConfigError(
                f"--derive is for grey and RGB, and these images have {target.channels} bands: take one or three of "
                "them with --bands"
            )
        self.target_format = target
        self.source_format = replace(target, channels=derived_channels(kind, target.channels))
        named = config.names != DataConfig.names
        self.source_name, self.target_name = config.names if named else NAMES[kind]

    @property
    def size(self) -> int:
        """Side of the training crop."""
        return self.images.size

    @property
    def formats(self) -> tuple[Format, ...]:
        """What the images of each domain are converted to."""
        return (self.source_format, self.target_format)

    @property
    def num_images(self) -> int:
        """Training images."""
        return self.images.num_images

    @property
    def description(self) -> str:
        """The data set in one line."""
        return self.images.description

    @property
    def files(self) -> dict[str, Path]:
        """Every file of every split, by its place in the data set."""
        return self.images.files

    @property
    def announcement(self) -> list[str]:
        """What should be said aloud before training starts."""
        return [*self.images.announcement, f"{WORDS[self.kind]}: translating {self.source_name} to {self.target_name}"]

    def check_size(self, *, stride: int, minimum: int) -> None:
        """As `FolderImages.check_size`."""
        self.images.check_size(stride=stride, minimum=minimum)

    def batches(self, wanted: Wanted) -> DerivedBatches:
        """The training batches, named ``source`` and ``target``."""
        return DerivedBatches(self.images.batches(wanted), self.kind, wanted)

    def samples(self, device: torch.device) -> Batch:
        """A few validation images (test or training ones where there are none), evenly spread."""
        split = next(name for name in ("val", "test", "train") if len(self.images.part(name)))
        return self.examples(split, NUM_SAMPLES, device)

    def validation(self, device: torch.device) -> Batch | None:
        """Validation images, evenly spread, as many as there are up to 64; None where there are none."""
        return self.examples("val", NUM_VALIDATION, device) if len(self.images.part("val")) else None

    def examples(self, split: str, count: int, device: torch.device) -> Batch:
        """So many images of a split at most, evenly spread, and what is derived from them: always the same."""
        indices = [int(index) for index in spread(len(self.images.part(split)), count)]
        if self.images.part(split).pixels is not None:
            target = self.images.images(split, indices, device=device)
        else:
            store = self.images.store(split, side=self.images.shown_side)
            target = fixed_batch(store, indices=indices, device=device)["a"]
        keys = sample_keys(0, len(target), seed=SHOWN_SEED, device=device)
        return {"source": derive(target, self.kind, keys=keys), "target": target}

    def close(self) -> None:
        """Remove what was cached."""
        self.images.close()


class DerivedBatches:
    """A stream of images, and what is derived from them, on their device.

    Args:
        stream: ``{"images": [N, C, S, S]}``.
        kind: How the source is made of an image.
        wanted: Which batches the stream has.
    """

    def __init__(self, stream: ArrayBatches | SetBatches, kind: Derivation, wanted: Wanted) -> None:
        self._stream, self._kind, self._wanted = stream, kind, wanted
        self._share = wanted.batch_size // wanted.world_size
        self._position = wanted.start + wanted.rank * self._share

    def __iter__(self) -> DerivedBatches:
        return self

    def __next__(self) -> Batch:
        target = next(self._stream)["images"]
        keys = sample_keys(self._position, self._share, seed=self._wanted.seed, device=target.device)
        self._position += self._wanted.batch_size
        return {"source": derive(target, self._kind, keys=keys), "target": target}

    def close(self) -> None:
        self._stream.close()
