"""From what was found in files to what their numbers mean for a whole run: one range of values, one choice of bands."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from translate.config.encoding import Encoding, Reading
from translate.data.images import LOSSY_SUFFIXES, NO_CLASS, ImageError
from translate.data.layouts_common import ImageSource, Kind, first_names
from translate.data.problems import LayoutError
from translate.data.ranges import Sampled, find_range, spans_of
from translate.data.store import Format
from translate.data.values import NEAR, NEARLY_ALL, Readable, read_sampled

MOST_CLASSES = 4096
_MANY = 64  # classes, of which few sets have more
SHARED = 0.1  # of the common range, that each domain has to fill for the two to have one


def formats(
    kinds: Sequence[Kind],
    sources: Sequence[Sequence[Readable]],
    reading: Reading,
    *,
    names: Sequence[str] = ("",),
    values_b: tuple[float, float] | None = None,
) -> tuple[list[Format], list[str]]:
    """What the images of each domain are converted to, and lines that say which values and bands that means.

    Domains of one number type have one range of values, so that they can be compared, unless one of them would hardly
    fill it.

    Args:
        kinds: Of the domains, as found.
        sources: Of the same, the training images.
        reading: What the user said; its values are those of measured domains, or of all where none is.
        names: What the domains are called.
        values_b: What the user said of the second domain's values.

    Raises:
        LayoutError: none of the images can be read.
    """
    given = [reading.values, values_b or reading.values][: len(kinds)]
    measured = any(kind.dtype is not None for kind in kinds)
    kinds = [
        kind if measured or values is None else _taken_as_measured(kind)
        for kind, values in zip(kinds, given, strict=True)
    ]
    need = [
        number
        for number, kind in enumerate(kinds)
        if kind.dtype not in (None, "uint8", "uint16") and given[number] is None
    ]
    samples = {number: read_sampled(sources[number], reading.bands) for number in need}
    found = {number: find_range(part) for number, part in samples.items()}
    if len(need) == 2 and kinds[0].dtype == kinds[1].dtype:
        whole = find_range([one for part in samples.values() for one in part])
        if all(spans_of(part, whole) >= SHARED for part in samples.values()):
            found = dict.fromkeys(need, whole)
    made, lines = [], []
    for number, kind in enumerate(kinds):
        if kind.dtype is None:
            made.append(Format(channels=kind.channels, bits=kind.bits))
            continue
        values = found[number].values if number in found else given[number]
        encoding = Encoding(values=values, bands=reading.bands, dtype=kind.dtype)  # type: ignore[arg-type]
        made.append(Format(channels=kind.channels, bits=16 if values is not None else kind.bits, encoding=encoding))
    same = len({found[number].values for number in need}) == 1
    for number in [one for one in need[: 1 if same else None] if not all(part.empty for part in samples[one])]:
        whose = f" of {names[number]}" if names[number] and len(kinds) > 1 and not (same and len(need) == 2) else ""
        lines.append(f"{found[number].describe(len(sources[number]), whose)}. --values LOW HIGH sets another range")
    return made, [*lines, *_say_empty(samples, names), *_say_bands(made)]


def _taken_as_measured(kind: Kind) -> Kind:
    """Grey or RGB whose range of values was given."""
    return Kind(channels=1 if kind.channels < 3 else 3, bits=16, dtype=f"uint{kind.bits}")


def _say_empty(samples: Mapping[int, Sequence[Sampled]], names: Sequence[str]) -> list[str]:
    """Images without any data, which are learned as black."""
    lines = []
    for number, part in samples.items():
        if empty := [one.name for one in part if one.empty]:
            whose = f" of {names[number]}" if names[number] else ""
            shown = ", ".join(empty[:3]) + (", ..." if len(empty) > 3 else "")
            lines.append(
                f"{len(empty)} of {len(part)} examined images{whose} have no data at all ({shown}): they "
                "are trained on as black"
            )
    return lines


def _say_bands(made: Sequence[Format]) -> list[str]:
    """How images of more than colours are shown."""
    most = next((fmt for fmt in made if fmt.encoding is not None and fmt.channels not in (1, 3)), None)
    if most is None or most.encoding is None:
        return []
    return [f"previews show {band_names(most)} of {most.channels} bands"]


def band_names(fmt: Format) -> str:
    """The bands of a format that are shown: "bands 4, 3, 2", or "band 1"."""
    bands = fmt.encoding.bands if fmt.encoding is not None else ()
    numbers = (bands or tuple(range(1, fmt.channels + 1)))[: 3 if fmt.channels >= 3 else 1]
    return f"band{'s' * (len(numbers) > 1)} {', '.join(map(str, numbers))}"


def band_heading(heading: str, channels: int, formats: Sequence[Format]) -> str:
    """The heading of images that are shown, with the bands that are seen where they have others."""
    fmt = next((one for one in formats if one.encoding is not None and one.channels == channels), None)
    return heading if fmt is None or channels in (1, 3) or fmt.labels else f"{heading}, {band_names(fmt)}"


def label_encoding(sources: Sequence[ImageSource]) -> tuple[Encoding, str]:
    """What the ids of label maps mean, and a line that says so: as many classes as the highest id and one.

    Where there are others, 255 stands for no class, as in Pascal VOC; where there is 0 beside it alone, it is class 1.

    Raises:
        LayoutError: none of the images can be read, they have one class, or too many to be ids.
    """

    def ids(source: ImageSource) -> tuple[np.ndarray, np.ndarray] | None:
        try:
            return np.unique(source.read().pixels, return_counts=True)
        except ImageError:
            return None  # reported when training reads it

    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        found = [part for part in pool.map(ids, sources) if part is not None]
    if not found:
        raise LayoutError(
            f"none of the {len(sources)} label maps can be read as class ids", "give grey or palette images of ids"
        )
    every, places = np.unique(np.concatenate([part for part, _ in found]), return_inverse=True)
    counts = np.bincount(places, weights=np.concatenate([times for _, times in found]))
    blurred = [source.path for source in sources if source.path.suffix.lower() in LOSSY_SUFFIXES]
    ends = counts[(every < NEAR) | (every > NO_CLASS - NEAR)].sum() / counts.sum()
    if every.tolist() == [0, NO_CLASS] or (blurred and every[-1] > NO_CLASS / 2 and ends > NEARLY_ALL):
        return Encoding(labels=2, values=(0, NO_CLASS)), "class ids, 0 and 255: 2 channels, one per class"
    if blurred and len(every) > 2:
        raise LayoutError(
            f"{len(blurred)} of {len(sources)} label maps are JPEG or of another lossy format "
            f"({first_names(blurred)}), which blurs class ids: {len(every)} values occur",
            "save them as PNG from the originals",
        )
    void = bool(len(every) > 1 and every[-1] == NO_CLASS and every[-2] < NO_CLASS - 1)
    classes = int(every[-2 if void else -1]) + 1
    if not 2 <= classes <= MOST_CLASSES:
        raise LayoutError(
            f"the label maps have ids up to {classes - 1}, which are {classes} classes",
            "--labels is for class ids from 0 upwards, of 2 classes or more; omit it for colours and grey values",
        )
    known = len(every) - void
    said = f"class ids, 0 to {classes - 1}: {classes} channels, one per class"
    said += "; 255 is no class" if void else ""
    if classes > _MANY and known <= classes / 4:
        said += f"; {known} of them occur: with ids from 0 to {known - 1} the network would be far smaller"
    # Two classes, and nothing that is none: then a mask of 0 and 255 means the same.
    values = (0, 1) if classes == 2 and not void else None
    return Encoding(labels=classes, dtype="uint8" if classes <= NO_CLASS else "uint16", values=values), said
