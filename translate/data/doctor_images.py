"""What the doctor keeps of each image that it decodes, pair by pair or image by image."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from translate.config.encoding import Encoding
from translate.data.fingerprints import Fingerprint, fingerprint, to_rgb
from translate.data.images import ImageError, Picture, composite, list_images, shown
from translate.data.layouts import ImageSource, LayoutError, PairedData, UnpairedData
from translate.data.layouts_common import SPLIT_NAMES
from translate.data.layouts_images import ImageSetData
from translate.data.survey import is_blank, top_of
from translate.data.values import chosen


@dataclass(frozen=True, kw_only=True, eq=False)
class Look:
    """What is kept of a decoded image."""

    size: tuple[int, int]
    channels: int
    bits: int
    dtype: str | None
    """Number type of bands and measured values; None for grey and RGB."""
    top: int
    """The largest value of its colours, or of what is made of measured values."""
    fractions: bool
    """Whether its values are no whole numbers."""
    transparent: bool
    """Somewhere; not only an alpha channel that is full everywhere."""
    blank: bool
    """One colour everywhere."""
    flat_share: float
    """Of the pixels, those like their left neighbour."""
    flat_colours: np.ndarray
    """[2, <= 32]: the commonest colours among those, at 6 bits a channel, and how often each is there."""
    flat_pixels: int
    """How many of those there are, of the pixels that were looked at."""
    fingerprint: Fingerprint

    @staticmethod
    def at(picture: Picture, encoding: Encoding | None = None) -> Look:
        """Look at a picture; its colours on 128 lines at the most.

        Args:
            picture: What was read.
            encoding: What its numbers mean, where they are not plain grey or RGB.
        """
        stored = picture
        raw = stored.pixels.dtype.kind == "u" and (encoding is None or encoding.values is None)
        if picture.bands:
            values = encoding.values if encoding is not None else None
            picture = shown(replace(picture, pixels=chosen(picture, encoding.bands if encoding else ())), values)
        rows = slice(None, None, -(-picture.pixels.shape[0] // 128))
        colours = to_rgb(Picture(pixels=picture.pixels[rows])).astype(np.int16)  # [<= 128, W, 3]
        steps = np.abs(np.diff(colours, axis=1)) <= 2
        flat = steps[..., 0] & steps[..., 1] & steps[..., 2]
        codes = (colours[:, 1:][flat] >> 2) @ np.array([1 << 12, 1 << 6, 1], np.int32)
        found, counts = np.unique(codes, return_counts=True)
        common = np.argsort(-counts)[:32]
        known = fingerprint(picture)
        blank = np.ptp(known.thumbnail.reshape(-1, 3), axis=0).max() == 0  # and if so, to the pixel
        return Look(
            size=picture.size,
            channels=stored.channels,
            bits=stored.bits,
            dtype=stored.pixels.dtype.name if stored.bands else None,
            top=top_of((stored if raw else picture).colour),
            fractions=stored.pixels.dtype.kind == "f" and bool((stored.pixels % 1 > 0).any()),
            transparent=picture.alpha is not None and bool(picture.alpha.min() < np.iinfo(picture.pixels.dtype).max),
            blank=bool(blank and is_blank(stored.pixels if stored.bands else composite(picture).pixels)),
            flat_share=float(flat.mean()) if flat.size else 1.0,
            flat_colours=np.stack([found[common], counts[common]]).astype(np.int32),
            flat_pixels=int(flat.sum()),
            fingerprint=known,
        )


def few_colours(looks: Sequence[Look]) -> bool:
    """Whether images are like label maps or drawings: mostly flat, and of few colours there beside the commonest.

    Seen: label maps that went through JPEG are 0.67 flat, with 0.70 of that in 16 colours; photographs, grey ones and
    ones cut out on white among them, do not have both above 0.55 and 0.6.
    """
    if any(look.fractions for look in looks):
        return False
    colours: Counter[int] = Counter()
    for look in looks:
        colours.update(dict(look.flat_colours.T.tolist()))
    if not colours or np.mean([look.flat_share for look in looks]) < 0.55:
        return False
    background, *others = (count for _, count in colours.most_common())
    return sum(others[:16]) >= 0.6 * (sum(look.flat_pixels for look in looks) - background)


@dataclass(kw_only=True, eq=False)
class Example:
    """A pair, or an image of a domain; `examine` decodes it."""

    split: str
    domains: tuple[int, ...]
    """0 for A, 1 for B; one for each source."""
    sources: tuple[ImageSource, ...]
    read: Callable[[], Sequence[Picture]]
    looks: tuple[Look, ...] = ()
    """One for each source, once it was decoded."""
    fault: ImageError | None = None
    """Why it could not be decoded."""
    encodings: tuple[Encoding | None, ...] = ()
    """What the numbers of each source mean; none for grey and RGB."""

    def __post_init__(self) -> None:
        self.path = self.sources[0].path  # the file, or that of A, or the one that is at fault

    def examine(self) -> None:
        """Decode it, all of it, and keep what the checks need."""
        try:
            encodings = self.encodings or (None,) * len(self.sources)
            self.looks = tuple(Look.at(picture, own) for picture, own in zip(self.read(), encodings, strict=True))
        except LayoutError:
            pass  # an odd width, which was reported when the headers were read
        except ImageError as error:
            self.fault = error
            self.path = next((source.path for source in self.sources if not _readable(source)), self.path)


def looks_of(examples: Sequence[Example], domain: int) -> list[tuple[str, Path, Look]]:
    """What was seen of a domain, with its split and file."""
    return [
        (example.split, source.path, look)
        for example in examples
        for place, source, look in zip(example.domains, example.sources, example.looks, strict=False)
        if place == domain
    ]


def examine_all(examples: Sequence[Example], progress: Callable[[int, int], None] | None) -> None:
    """Decode everything, in threads; `progress` is called with the examples done and their number."""
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1), thread_name_prefix="decode") as pool:
        try:
            for done, _ in enumerate(pool.map(Example.examine, examples), start=1):
                if progress is not None:
                    progress(done, len(examples))
        except BaseException:  # an interrupted command does not wait for the rest
            pool.shutdown(cancel_futures=True)
            raise


def pair_examples(data: PairedData) -> list[Example]:
    return [
        Example(split=split, domains=(0, 1), sources=(pair.a, pair.b), read=pair.read)
        for split, members in data.splits.items()
        for pair in members
    ]


def domain_examples(data: UnpairedData) -> list[Example]:
    return [
        _single(source, split=split, domain=domain)
        for split, sides in data.splits.items()
        for domain, sources in enumerate(sides)
        for source in sources
    ]


def set_examples(data: ImageSetData) -> list[Example]:
    """The files of an image set; none where it is one array."""
    return [_single(source, split=split, domain=0) for split, part in data.splits.items() for source in part.sources]


def loose_examples(root: Path, root_b: Path | None) -> list[Example]:
    """Every image below the folders, where they are no data set; all of one domain."""
    examples = []
    for folder in [one for one in (root, root_b) if one is not None and one.is_dir()]:
        for path in list_images(folder, recursive=True):
            splits = (SPLIT_NAMES.get(name.lower()) for name in path.relative_to(folder).parts[:-1])
            split = next((name for name in splits if name), "images")
            examples.append(_single(ImageSource(path=path), split=split, domain=0))
    return examples


def _readable(source: ImageSource) -> bool:
    try:
        source.read()
    except ImageError:
        return False
    return True


def _single(source: ImageSource, *, split: str, domain: int) -> Example:
    return Example(split=split, domains=(domain,), sources=(source,), read=lambda: (source.read(),))
