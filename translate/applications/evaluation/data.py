"""What an evaluation reads: pairs or two sets, which domain is translated into which, and the images of a split."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from translate.config.base import ConfigError
from translate.config.encoding import Reading
from translate.config.training import Direction, Layout
from translate.config.weights import WeightsConfig
from translate.data.encodings import formats
from translate.data.images import Picture
from translate.data.layouts import ImageSource, LayoutError, Pair, PairedData, UnpairedData, find_domains, find_pairs
from translate.data.layouts_paired import with_ids
from translate.data.store import Format, fitted_size, to_format
from translate.data.store import resized as to_size
from translate.data.survey import survey
from translate.data.values import encoded, in_class_colours

Split = Literal["train", "val", "test"]

# Names that say where a domain lies and not what it shows.
_NAMELESS = {"", "a", "b", "input", "output", "source", "target", "left", "right", "domain a", "domain b"}


@dataclass(frozen=True, kw_only=True)
class Example:
    """An image to be translated, and what it should become where that is known."""

    name: str
    """The file's stem."""
    source: ImageSource
    pair: Pair | None = None
    reverse: bool = False
    """Whether the pair is translated from B to A."""

    def read(self, *, side: int | None = None) -> tuple[Picture, Picture | None]:
        """The input and its target, the shorter side resized to `side` where it is given.

        Raises:
            ImageError, LayoutError: the file cannot be read, or a half of an odd width is asked for.
        """
        if self.pair is None:
            return resized(self.source.read(), side), None
        a, b = self.pair.read()
        source, target = (b, a) if self.reverse else (a, b)
        return resized(source, side), resized(target, side)


@dataclass(frozen=True, kw_only=True)
class Domain:
    """One side of a data set."""

    name: str
    """What it shows, in a word or two."""
    side: str
    """Where it is, in words."""
    format: Format
    """What its images are converted to before they are compared; transparency is laid over white."""


@dataclass(frozen=True, kw_only=True)
class EvaluationData:
    """A data set with its roles."""

    found: PairedData | UnpairedData
    split: Split
    direction: Direction
    source: Domain
    target: Domain
    examples: tuple[Example, ...]
    """What is translated: the source images of the split."""
    targets: tuple[ImageSource, ...]
    """The real images of the target domain in the split."""
    references: tuple[ImageSource, ...]
    """Those in the training split, or again those of the split where there are no others."""

    @property
    def paired(self) -> bool:
        return isinstance(self.found, PairedData)

    @property
    def names(self) -> tuple[str, str]:
        """What A and B show."""
        return (self.source.name, self.target.name) if self.direction == "a2b" else (self.target.name, self.source.name)

    @property
    def held_out(self) -> bool:
        """Whether there are training images, and the split is another one."""
        return self.split != "train" and "train" in self.found.splits


def find_data(
    root: str | os.PathLike[str],
    *,
    root_b: str | os.PathLike[str] | None = None,
    layout: Layout = "auto",
    names: tuple[str, str] | None = None,
    unpaired: bool = False,
    reading: Reading | None = None,
) -> PairedData | UnpairedData:
    """Find pairs, or else two sets.

    Args:
        root: The data set; with `root_b`, domain A.
        root_b: Domain B, where the two are folders given by hand.
        layout: As for training.
        names: What the domains show; of unpaired folders, the folders' names unless given.
        unpaired: Take folders whose files have the same names for two sets all the same.
        reading: How values, bands and pages are read.

    Raises:
        LayoutError: neither is there; or some files have partners and some have none.
    """

    def domains() -> UnpairedData:
        return find_domains(root, root_b=root_b, layout=layout, names=names, reading=reading)

    if unpaired:
        return domains()
    try:
        paired = find_pairs(root, root_b=root_b, layout=layout, reading=reading)
        if root_b is None and paired.by_number:  # two sets whose images have numbers, rather
            with suppress(LayoutError):
                return domains()
        return paired
    except LayoutError as no_pairs:
        try:
            found = domains()
        except LayoutError:
            raise no_pairs from None
        try:
            partly = find_pairs(root, root_b=root_b, layout=layout, allow_unmatched=True)
        except LayoutError:
            return found
        pairs = sum(len(members) for members in partly.splits.values())
        if 2 * pairs >= min(sum(len(side) for side in sides) for sides in zip(*found.splits.values(), strict=True)):
            raise LayoutError(f"{no_pairs} Or use --unpaired to score them as two sets") from None
        return found


def open_data(
    found: PairedData | UnpairedData,
    weights: WeightsConfig,
    *,
    names: tuple[str, str] | None = None,
    direction: Direction | None = None,
    split: Split | None = None,
    num_images: int | None = None,
    seed: int = 0,
) -> tuple[EvaluationData, list[str]]:
    """Say which domain is translated into which, and what of it is scored.

    Args:
        found: The data set.
        weights: What the weights say of themselves; their domains' names decide the direction where they can.
        names: What A and B show, where it was given.
        direction: Where it was given.
        split: train, val or test; test, or else val, unless given.
        num_images: Score at most so many, drawn with the seed.
        seed: Of that draw.

    Returns:
        The data, and what should be said aloud.

    Raises:
        ConfigError: the domains are swapped, the direction cannot be told, or the split is not there.
    """
    called, trained = _domain_names(found, weights, names)
    chosen, notes = _direction(called, weights, direction, trained)
    if split is None:
        split = next((name for name in ("test", "val") if name in found.splits), None)  # type: ignore[assignment]
        if split is None:
            raise ConfigError(
                f"{found.root} has no test or val images: give a folder with test/, or --split train, which scores "
                "images that the weights may have been trained on"
            )
        if split == "val":
            notes.append("there is no test split: the val split is scored, which may have been used to select weights")
    elif split not in found.splits:
        raise ConfigError(f"{found.root} has no {split} split: it has {', '.join(found.splits)}")
    if weights.preprocessing.source is not None and weights.preprocessing.source.labels:
        if not isinstance(found, PairedData):
            raise ConfigError(f"'{weights.name}' takes class ids, and this is unpaired data: give pairs")
        found = with_ids(found, "a" if chosen == "a2b" else "b")
    wanted, said = _formats(found, weights, chosen)
    notes += said
    domains = [
        Domain(name=name, side=side, format=fmt) for name, side, fmt in zip(called, found.sides, wanted, strict=True)
    ]
    source, target = domains[::-1] if chosen == "b2a" else domains
    _check_channels(weights, source, target, chosen)
    examples = _examples(found, split, chosen)
    targets = _sources(found, split, chosen)
    back: Direction = "a2b" if chosen == "b2a" else "b2a"
    if num_images is not None and num_images < len(examples):
        draw = np.sort(np.random.default_rng([seed, 1]).choice(len(examples), num_images, replace=False))
        examples = tuple(examples[number] for number in draw)
        if isinstance(found, PairedData):
            targets = tuple(targets[number] for number in draw)
    references = _sources(found, "train", chosen) if "train" in found.splits else targets
    data = EvaluationData(
        found=found,
        split=split,
        direction=chosen,
        source=source,
        target=target,
        examples=examples,
        targets=targets,
        references=references,
    )
    looked = [
        (domain.name, _sources(found, split, way), domain.format) for domain, way in ((source, back), (target, chosen))
    ]
    return data, [*notes, *survey(looked), *found.notes]


def _formats(
    found: PairedData | UnpairedData, weights: WeightsConfig, direction: Direction
) -> tuple[list[Format], list[str]]:
    """What A and B become: with the values and bands that the weights know, or else those found in the data."""
    kinds = [
        replace(kind, channels=kind.channels if kind.dtype else 1 if kind.channels < 3 else 3) for kind in found.kinds
    ]
    known = [weights.preprocessing.source, weights.preprocessing.target]
    channels = [weights.network.in_channels, getattr(weights.network, "out_channels", weights.network.in_channels)]
    if direction == "b2a":
        known, channels = known[::-1], channels[::-1]
    every = [_sources(found, split, direction) for split in found.splits for direction in ("b2a", "a2b")]
    sources = [tuple(one for part in every[side::2] for one in part) for side in (0, 1)]
    given = [None if encoding is not None else kind for kind, encoding in zip(kinds, known, strict=True)]
    places = [number for number, kind in enumerate(given) if kind is not None]
    own, said = formats(
        [kinds[number] for number in places],
        [sources[number] for number in places],
        Reading(),
        names=["AB"[number] for number in places],
    )
    made = dict(zip(places, own, strict=True))
    for number, encoding in enumerate(known):
        if encoding is not None:
            bits = 16 if encoding.values is not None or encoding.dtype not in ("uint8",) else 8
            nearest = bool(encoding.labels)
            made[number] = Format(channels=channels[number], bits=bits, nearest=nearest, encoding=encoding)
    return [made[0], made[1]], said


def _examples(found: PairedData | UnpairedData, split: str, direction: Direction) -> tuple[Example, ...]:
    reverse = direction == "b2a"
    if isinstance(found, PairedData):
        return tuple(
            Example(name=pair.name, source=pair.b if reverse else pair.a, pair=pair, reverse=reverse)
            for pair in found.splits[split]
        )
    return tuple(Example(name=source.path.stem, source=source) for source in found.splits[split][1 if reverse else 0])


def _sources(found: PairedData | UnpairedData, split: str, direction: Direction) -> tuple[ImageSource, ...]:
    """The target domain's images of a split."""
    reverse = direction == "b2a"
    if isinstance(found, PairedData):
        return tuple(pair.a if reverse else pair.b for pair in found.splits[split])
    return found.splits[split][0 if reverse else 1]


def _domain_names(
    found: PairedData | UnpairedData, weights: WeightsConfig, names: tuple[str, str] | None
) -> tuple[tuple[str, str], Direction | None]:
    """What A and B show, as far as it is known; and the direction that the weights were trained in on this very folder.

    A data set whose folders say nothing takes its names from the weights' record where they were trained on a folder of
    the same name.
    """
    folders = found.names if isinstance(found, UnpairedData) else ("A", "B")
    record = weights.training.config.get("data", {}) if weights.training is not None else {}
    same = isinstance(record, dict) and Path(str(record.get("root", ""))).name == Path(found.root).resolve().name
    trained: Direction | None = None
    if same:
        recorded = record.get("names")
        told = recorded if isinstance(recorded, list | tuple) and len(recorded) == 2 else None
        if "direction" in record and isinstance(found, PairedData):
            trained = "b2a" if record["direction"] == "b2a" else "a2b"
        if names is None and told is not None and all(_nameless(name) for name in folders):
            names = str(told[0]), str(told[1])
    return names or folders, trained


def _nameless(name: str) -> bool:
    return name.strip().casefold() in _NAMELESS


def _direction(
    names: tuple[str, str], weights: WeightsConfig, given: Direction | None, trained: Direction | None
) -> tuple[Direction, list[str]]:
    """Which way, and what should be said of it."""
    source, target = weights.domains.source, weights.domains.target
    translating = f"'{weights.name}' translates {source} to {target}"
    a_and_b = f"A is {names[0]} and B is {names[1]}"
    told = _by_names(names, source, target)
    known = not any(_nameless(name) for name in (source, target))
    if given is not None:
        if known and told is not None and given != told:
            raise ConfigError(
                f"the domains are swapped: {translating}, {a_and_b}, and --direction {given} is the reverse. Give "
                f"--direction {told}, or --names {names[1]} {names[0]} if the names are wrong"
            )
        return given, []
    if told is not None:
        return told, [] if known else [f"--direction {told}, inferred from one name: {translating}"]
    if trained is not None:
        return trained, [f"--direction {trained}, as '{weights.name}' was trained on a folder of this name"]
    raise ConfigError(
        f"the direction is ambiguous: {translating}, and {a_and_b}. Give --direction a2b or b2a, or name A and B: "
        f"--names '{source}' '{target}'"
    )


def _by_names(names: tuple[str, str], source: str, target: str) -> Direction | None:
    """The only direction in which a domain of the weights is one of the data, if there is one."""
    forth = _same(source, names[0]) or _same(target, names[1])
    back = _same(source, names[1]) or _same(target, names[0])
    return None if forth == back else "a2b" if forth else "b2a"


def _same(name: str, other: str) -> bool:
    return name.strip().casefold() == other.strip().casefold()


def _check_channels(weights: WeightsConfig, source: Domain, target: Domain, direction: Direction) -> None:
    """Refuse a direction in which grey and colour are the wrong way round for the network."""
    if source.format.encoding is not None or target.format.encoding is not None:
        return  # checked image by image
    network = weights.network
    takes, makes = network.in_channels, getattr(network, "out_channels", network.in_channels)
    colours = ["grey" if channels < 3 else "RGB" for channels in (takes, makes)]
    shown = ["grey" if domain.format.channels == 1 else "RGB" for domain in (source, target)]
    if colours[0] != colours[1] and shown == colours[::-1]:
        other = "a2b" if direction == "b2a" else "b2a"
        raise ConfigError(
            f"the domains are swapped: '{weights.name}' translates {colours[0]} to {colours[1]}, and --direction "
            f"{direction} is from {shown[0]} to {shown[1]} images. Give --direction {other}"
        )


# Pixels


def resized(picture: Picture, side: int | None) -> Picture:
    """A picture whose shorter side is `side`; as it is without one."""
    if side is None:
        return picture
    width, height = fitted_size(*picture.size, side=side, fit="cover")
    return to_size(picture, width=width, height=height)


def to_unit_tensor(picture: Picture, wanted: Format) -> Tensor:
    """A picture as [1, C, H, W] in [0, 1], with the channels, depth and range of values of a domain; class ids as
    colours.

    Raises:
        ImageError: other bands than the domain's.
    """
    if wanted.labels:
        assert wanted.encoding is not None
        picture, wanted = in_class_colours(picture, wanted.encoding), Format(channels=3)
    if wanted.encoding is not None:
        return torch.from_numpy(encoded(picture, wanted.encoding, channels=wanted.channels)).permute(2, 0, 1)[None]
    pixels = to_format(picture, wanted)
    top = float(np.iinfo(pixels.dtype).max)
    return torch.from_numpy(pixels.astype(np.float32) / top).permute(2, 0, 1)[None]


def drawn(sources: Sequence[ImageSource], count: int, *, seed: int) -> tuple[ImageSource, ...]:
    """So many of the images, each at most once where there are enough."""
    rng = np.random.default_rng([seed, 2])
    order = [rng.permutation(len(sources)) for _ in range(-(-count // len(sources)))]
    return tuple(sources[number] for number in np.concatenate(order)[:count])
