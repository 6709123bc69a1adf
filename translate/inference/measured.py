"""Inputs of measured values, bands, class ids and pages: how the files of a command are read for given weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import PurePosixPath

from translate.config.encoding import Encoding
from translate.config.weights import WeightsConfig
from translate.data.images import ImageError, ImageHeader, read_header
from translate.data.inputs import Input
from translate.data.layouts_common import ImageSource, is_stack
from translate.data.ranges import FoundRange, find_range
from translate.data.values import read_sampled

KEEP_VALUES = (".tif", ".npy")
"""Endings of files that keep measured values in their units; .tiff is one, too."""
_MAY_BE_MEASURED = frozenset({".tif", ".tiff", ".npy"})


def requested(
    config: WeightsConfig, *, values: tuple[float, float] | None, bands: tuple[int, ...], labels: bool
) -> Encoding:
    """How inputs are read where that was said, over what the weights say.

    Args:
        config: Of the weights.
        values: Black and white.
        bands: Channels to take.
        labels: Read class ids as one-hot classes.
    """
    if labels:
        return Encoding(labels=config.network.in_channels)
    known = config.preprocessing.source or Encoding()
    return replace(known, values=values or known.values, bands=bands or known.bands)


def as_sources(
    inputs: Sequence[Input], *, pages: bool, ids: bool, bands: tuple[int, ...] = ()
) -> tuple[list[Input], list[ImageSource]]:
    """The files of a command as images, each with what it is called.

    Args:
        inputs: The files.
        pages: Take every page of a file, as NAME-1, NAME-2 and so on.
        ids: Read class ids.
        bands: Those that are taken, which may be the pages of a file.
    """
    named, sources = [], []
    for one in inputs:
        header = _header(one) if pages or bands else None
        if header is not None and is_stack(header, bands):
            named.append(one)
            sources.append(ImageSource(path=one.path, stacked=True))
            continue
        header = header if pages else None
        count = 1 if header is None else header.pages
        name = PurePosixPath(one.name)
        for page in range(count):
            own = name if count == 1 else name.with_name(f"{name.stem}-{page + 1}{name.suffix}")
            named.append(replace(one, name=own.as_posix()))
            sources.append(ImageSource(path=one.path, page=page, ids=ids))
    return named, sources


def found_values(sources: Sequence[ImageSource]) -> FoundRange | None:
    """The range of the values of all files that hold measured ones; None where none does."""
    measured = [
        source
        for source in sources
        if source.path.suffix.lower() in _MAY_BE_MEASURED
        and (header := _header(source)) is not None
        and header.dtype not in (None, "uint8", "uint16")
    ]
    return find_range(read_sampled(measured)) if measured else None


def _header(source: ImageSource | Input) -> ImageHeader | None:
    try:
        return read_header(source.path)
    except ImageError:
        return None  # reported when it is read
