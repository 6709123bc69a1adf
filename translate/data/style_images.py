"""The images whose styles are learned: one, a folder of them, or a folder for each style."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from translate.config.style_transfer import LEAST_STYLE
from translate.data.images import ImageError, composite, convert, list_images, natural_key, read_image
from translate.data.layouts_common import children_of, existing_folder
from translate.data.problems import LayoutError
from translate.data.store import fitted_size, resize

KEPT_IMAGES = 2_000  # in memory
_SPREAD = 64  # images of a style that are taken at most


@dataclass(frozen=True, kw_only=True)
class Style:
    """A style by name, and the images that show it."""

    name: str
    files: tuple[Path, ...]


def find_styles(path: str | os.PathLike[str]) -> tuple[Style, ...]:
    """The styles that lie at a path, in natural order.

    Args:
        path: An image, or a folder: each image in it is a style, and each folder of images.

    Raises:
        LayoutError: nothing is there, or two styles have one name.
    """
    path = Path(path)
    if path.is_file():
        return (Style(name=_named(path.stem), files=(path,)),)
    path = existing_folder(path)
    found = [Style(name=_named(file.stem), files=(file,)) for file in list_images(path)]
    for child in children_of(path).values():
        if files := list_images(child, recursive=True):
            step = -(-len(files) // _SPREAD)
            found.append(Style(name=_named(child.name), files=tuple(files[::step])))
    if not found:
        raise LayoutError(f"{path}: no style images in it", "give an image, or a folder of images")
    names = [style.name for style in found]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise LayoutError(f"{path}: two styles are called {twice!r}", "rename one of them")
    return tuple(sorted(found, key=lambda style: natural_key(style.name)))


def read_style(file: Path, *, size: int) -> np.ndarray:
    """An image of a style, uint8 [H, W, 3], its shorter side as long as asked.

    Raises:
        LayoutError: it cannot be read, or is too small to show a style.
    """
    try:
        picture = composite(read_image(file))
    except ImageError as error:
        raise LayoutError(str(error)) from None
    if picture.bands:
        raise LayoutError(f"{file}: a style is a colour or grey image, and this has measured values")
    if min(picture.size) < LEAST_STYLE:
        width, height = picture.size
        raise LayoutError(
            f"{file} is {width}x{height}, too small to show a style",
            f"give images of at least {LEAST_STYLE} px per side",
        )
    width, height = fitted_size(*picture.size, side=size, fit="cover")
    return resize(convert(picture.colour, channels=3, bits=8), width=width, height=height)


class StyleImages:
    """The images of styles as tensors, read when they are wanted and kept while there is room.

    Files are read by numbers, so these are waited for where they come from another device.

    Args:
        styles: K of them. Of several files, those that cannot be read are left out; of very many some are tried.
        size: S, of the shorter side.
        max_bad: Share of those files above which none is left out.

    Attributes:
        styles: K of them, of whose first files is taken.
        left_out: Why files were left out.

    Raises:
        LayoutError: more files than that cannot be read, all of a style, or one that is a style alone.
    """

    def __init__(self, styles: Sequence[Style], *, size: int, max_bad: float = 0.0) -> None:
        self.size, self.left_out = size, list[str]()
        self.read = lru_cache(KEPT_IMAGES)(self._read)
        self.styles = tuple(style if len(style.files) == 1 else self._readable(style, max_bad) for style in styles)

    def _readable(self, style: Style, max_bad: float) -> Style:
        """A style without the files of it that cannot be read."""
        tried = style.files[:: -(-len(style.files) // KEPT_IMAGES)]
        reasons: dict[Path, str] = {}
        for file in tried:
            try:
                self.read(file)
            except LayoutError as error:
                reasons[file] = str(error)
        files = tuple(file for file in style.files if file not in reasons)
        if len(reasons) > max_bad * (count := len(tried)) or not files:
            first = next(iter(reasons.values()))
            raise LayoutError(
                f"{len(reasons)} of {count} images of the style {style.name!r} cannot be used, such as: {first}",
                f"take them out, or allow more (--max-bad {len(reasons) / count:.2g})" if files else "give others",
            )
        self.left_out += reasons.values()
        return Style(name=style.name, files=files)

    def split(self) -> None:
        """Make each file a style of its own."""
        files = [file for style in self.styles for file in style.files]
        self.styles = tuple(Style(name=_named(file.stem), files=(file,)) for file in files)

    def _read(self, file: Path) -> Tensor:
        """uint8 [1, 3, H, W] of a file."""
        pixels = torch.from_numpy(read_style(file, size=self.size).copy())
        return pixels.permute(2, 0, 1)[None].contiguous()

    def whole(self, number: int) -> Tensor:
        """uint8 [1, 3, H, W] of a style."""
        return self.read(self.styles[number].files[0])

    def wholes(self, numbers: Tensor) -> list[Tensor]:
        """uint8 [1, 3, H, W] each, of int64 [N]; on its device."""
        return [self.whole(number).to(numbers.device) for number in numbers.tolist()]

    def squares(self, numbers: Tensor, draws: Tensor) -> Tensor:
        """A square of each of some styles, uint8 [N, 3, S, S].

        Args:
            numbers: int64 [N].
            draws: [N, 3] between 0 and 1: how far down, how far to the right, and below a half mirrored.
        """
        squares = []
        for number, (down, across, mirrored) in zip(numbers.tolist(), draws.tolist(), strict=True):
            image = self.whole(number)
            height, width = image.shape[-2:]
            top, left = int(down * (height - self.size + 1)), int(across * (width - self.size + 1))
            square = image[..., top : top + self.size, left : left + self.size]
            squares.append(square.flip(-1) if mirrored < 0.5 else square)
        return torch.cat(squares).to(numbers.device)


def _named(stem: str) -> str:
    """A name that is easy to type: "The Great Wave" -> "the-great-wave"."""
    return re.sub(r"[^\w]+", "-", stem).strip("-").lower() or "style"
