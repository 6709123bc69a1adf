"""An unpaired data set as a run sees it: two domains, at which size, and their batches.

Sample number p of a run is a pure function of the seed and p, as it is for pairs: the two domains have streams of
their own, each with a seed made from the run's, so that their orders, crops and mirrors have no action needed with each
other. An epoch is the larger domain once; the smaller one starts anew as often as it must.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
import torch

from translate.config.base import ConfigError
from translate.config.training import UnpairedDataConfig
from translate.data.batches import Batch, PairBatches, Wanted, fixed_batch
from translate.data.changes import places
from translate.data.encodings import formats
from translate.data.folder_images import NUM_SAMPLES, NUM_VALIDATION, FolderImages, held_out
from translate.data.images import MAX_PIXELS, ImageError
from translate.data.layouts import ImageSource, Pair, UnpairedData, find_domains
from translate.data.layouts_common import CHANNEL_NAMES, data_name
from translate.data.store import Format, PairStore, fitted_size, resize
from translate.data.survey import survey

Domain = Literal["a", "b"]
DOMAINS: tuple[Domain, Domain] = ("a", "b")


def domain_seed(seed: int, domain: Domain) -> int:
    """The seed of one domain's draws, below 2 ** 63; unlike the run's own, which pairs draw from."""
    state = np.random.SeedSequence([seed, ord(domain)]).generate_state(1, np.uint64)
    return int(state[0]) >> 1


def common_channels(a: int, b: int) -> int:
    """Channels that hold the images of two domains: colour where one has it, and alpha."""
    return (3 if max(a, b) >= 3 else 1) + (a in (2, 4) or b in (2, 4))


class UnpairedImages(FolderImages):
    """The two domains of a run.

    Args:
        config: Where they are and how they are drawn.
        cache: Folder for decoded pixels; a process of several adds its number.
        alike: Give both domains the channels of both: grey beside RGB is read as RGB, and what has no alpha beside what
            has one as opaque.

    Attributes:
        domains: What was found, as `UnpairedData`.
        size: Side of the training crop.
        format_a: Channels and depth of domain A.
        format_b: Channels and depth of domain B.
        name_a: Domain A, in a word.
        name_b: Domain B, in a word.

    Raises:
        LayoutError: the folder is no unpaired data set.
        ConfigError: there are no training images, or the domains have the same name.
    """

    def __init__(self, config: UnpairedDataConfig, *, cache: Path | None = None, alike: bool = False) -> None:
        self.config = config
        self.domains: UnpairedData = find_domains(
            config.root,
            root_b=config.root_b,
            layout=config.layout,
            names=config.names,
            keep_alpha=config.alpha == "keep",
            max_corrupt=config.max_bad,
            reading=config.reading,
        )
        found = self.domains
        if "train" not in found.splits:
            raise ConfigError(f"{config.root} has no training images: {found.describe()}")
        if "val" not in found.splits and config.hold_out:
            halves = [held_out(sources, config.hold_out) for sources in found.splits["train"]]
            train, val = (tuple(part) for part in zip(*halves, strict=True))
            self.domains = found = replace(found, splits={**found.splits, "train": train, "val": val})
        (width_a, height_a), (width_b, height_b) = found.size_a, found.size_b
        super().__init__(config, image_size=(min(width_a, width_b), min(height_a, height_b)), cache=cache)
        kinds = found.kinds
        if alike and not any(kind.dtype for kind in kinds):
            channels = common_channels(found.channels_a, found.channels_b)
            kinds = (replace(kinds[0], channels=channels), replace(kinds[1], channels=channels))
        both, self._said = formats(
            kinds, found.splits["train"], config.reading, names=found.names, values_b=config.values_b
        )
        self.format_a, self.format_b = both
        self.name_a, self.name_b = found.names
        if self.name_a == self.name_b:
            raise ConfigError(f"both domains are called {self.name_a!r}: give --names two different ones")

    @property
    def formats(self) -> tuple[Format, ...]:
        """What the images of each domain are converted to."""
        return (self.format_a, self.format_b)

    @property
    def num_images(self) -> int:
        """Training images of the larger domain: an epoch."""
        return max(len(sources) for sources in self.domains.splits["train"])

    @property
    def description(self) -> str:
        """The data set in one line."""
        found = self.domains if self.config.root_b is None else self.domains.without_places()
        return f"{data_name(found.root)}: {found.describe()}"

    @property
    def announcement(self) -> list[str]:
        """What should be said aloud before training starts."""
        found = self.domains
        converted = [
            f"{name} is {CHANNEL_NAMES[channels]}, and read as {CHANNEL_NAMES[wanted.channels]}, as both must be alike"
            for name, channels, wanted in (
                (self.name_a, found.channels_a, self.format_a),
                (self.name_b, found.channels_b, self.format_b),
            )
            if wanted.encoding is None and channels != wanted.channels
        ]
        return [found.describe(), *self._enlarged, *converted, *self._said, *self._survey(), *found.notes]

    def _survey(self) -> list[str]:
        a, b = self.domains.splits["train"]
        return survey([(self.name_a, a, self.format_a), (self.name_b, b, self.format_b)])

    def split(self, name: str) -> tuple[tuple[ImageSource, ...], tuple[ImageSource, ...]]:
        """The images of A and of B in train, val or test; empty where there is no such split."""
        return self.domains.splits.get(name, ((), ()))

    @property
    def files(self) -> dict[str, Path]:
        """Every file of every split, by its place in the data set."""
        sources = (source for domains in self.domains.splits.values() for domain in domains for source in domain)
        return places((source.path for source in sources), (self.config.root, self.config.root_b))

    def store(
        self, split: str, *, domain: Domain, side: int, cache: Path | None = None, cache_bytes: int = 0
    ) -> ImageStore:
        """Random access to a domain of a split, its shorter side resized to `side`; closed with this object.

        Args:
            split: train, val or test.
            domain: a or b.
            side: In pixels.
            cache: Folder for decoded pixels, of this store alone; None decodes each time.
            cache_bytes: Bound of that folder.
        """
        store = ImageStore(
            self.split(split)["ab".index(domain)],
            image_format=self.format_a if domain == "a" else self.format_b,
            side=side,
            fit=self.config.fit,
            cache=cache,
            cache_bytes=cache_bytes,
        )
        self._keep(store)
        return store

    def batches(self, wanted: Wanted) -> UnpairedBatches:
        """The training batches, ``{"a": [N, C_a, S, S], "b": [N, C_b, S, S]}``."""
        counts = dict(zip("ab", map(len, self.split("train")), strict=True))

        def stream(domain: Domain) -> PairBatches:
            return self._stream(
                partial(self.store, domain=domain),
                wanted.with_seed(domain_seed(wanted.seed, domain)),
                streams=2,
                share=counts[domain] / sum(counts.values()),
            )

        return UnpairedBatches(stream("a"), stream("b"))

    def samples(self, device: torch.device) -> Batch:
        """The first few validation images of each domain (test or training ones where there are none), undisturbed."""
        split = next(name for name in ("val", "test", "train") if all(self.split(name)))
        a, b = (self._first(split, domain, NUM_SAMPLES, device) for domain in DOMAINS)
        count = min(len(a), len(b))  # each row of a sheet has both
        return {"a": a[:count], "b": b[:count]}

    def validation(self, device: torch.device) -> Batch | None:
        """The first validation images of each domain, as many as there are up to 64; None where there are none."""
        if not all(self.split("val")):
            return None
        return {domain: self._first("val", domain, NUM_VALIDATION, device) for domain in DOMAINS}

    def _first(self, split: str, domain: Domain, count: int, device: torch.device) -> torch.Tensor:
        store = self.store(split, domain=domain, side=self.shown_side)
        return fixed_batch(store, indices=range(min(count, len(store))), device=device)["a"]


class UnpairedBatches(Iterator[Batch]):
    """The streams of two domains, side by side."""

    def __init__(self, a: PairBatches, b: PairBatches) -> None:
        self._a, self._b = a, b

    def __next__(self) -> Batch:
        return {"a": next(self._a)["a"], "b": next(self._b)["a"]}

    def close(self) -> None:
        """Stop the threads."""
        self._a.close()
        self._b.close()


class ImageStore(PairStore):
    """Random access to the images of one domain, as pairs whose second half has no channels.

    Args:
        sources: What to read.
        image_format: What they are converted to.
        side: Shorter side in pixels after resizing.
        fit: ``cover`` keeps the aspect ratio, ``stretch`` makes a square.
        cache: Folder for the decoded pixels, of this store alone; removed by `close`. None decodes each time.
        cache_bytes: Bound of that folder.
    """

    noun = "images"

    def __init__(
        self,
        sources: Sequence[ImageSource],
        *,
        image_format: Format,
        side: int,
        fit: Literal["cover", "stretch"] = "cover",
        cache: Path | None = None,
        cache_bytes: int = 4 * 2**30,
    ) -> None:
        pairs = [Pair(name=source.path.stem, a=source, b=source) for source in sources]
        super().__init__(
            pairs, a=image_format, b=image_format, side=side, fit=fit, cache=cache, cache_bytes=cache_bytes
        )

    def _decode(self, pair: Pair) -> list[np.ndarray]:
        picture, image_format = pair.a.read(), self.formats[0]
        width, height = fitted_size(*picture.size, side=self.side, fit=self.fit)
        if width * height > MAX_PIXELS:
            raise ImageError(
                f"{pair.a.path} is {picture.size[0]}x{picture.size[1]}: too narrow to be cropped at "
                f"{self.side} px, it would grow to {width}x{height}"
            )
        pixels = self._formatted(picture, image_format, pair.a)
        pixels = resize(pixels, width=width, height=height, nearest=image_format.nearest)
        return [pixels, pixels[..., :0]]
