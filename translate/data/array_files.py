"""Images that NumPy saved: .npy files, and .npz files of one array. Nothing in them is run.

Shapes: H height, W width, S samples of a pixel.
"""

from __future__ import annotations

import os
import zipfile
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np

MAGIC = b"\x93NUMPY"
_ZIP = b"PK\x03\x04"
_MOST_BYTES = 2**32
_MOST_CHANNELS = 512


@dataclass(frozen=True, kw_only=True)
class StoredArray:
    """An array file that is one image: its description; `read` decodes."""

    path: str | os.PathLike[str]
    member: str | None
    """Of an .npz file."""
    height: int
    width: int
    samples: int
    dtype: np.dtype
    """Of what `read` gives, in the machine's byte order; booleans are 0 and 255."""
    first: bool
    """Whether the channels are the first axis."""

    @property
    def is_image(self) -> bool:
        """Whether it is grey or RGB of 8 or 16 bits, and not measured values or bands."""
        return self.dtype in (np.uint8, np.uint16) and self.samples in (1, 3)

    def read(self) -> np.ndarray:
        """[H, W, S].

        Raises:
            OSError, ValueError: the file is damaged.
        """
        with ExitStack() as stack:
            values = np.lib.format.read_array(_opened(self.path, self.member, stack), allow_pickle=False)
        values = values.astype(np.uint8) * np.uint8(255) if values.dtype.kind == "b" else values.astype(self.dtype)
        if values.ndim == 2:
            return values[:, :, None]
        return np.moveaxis(values, 0, -1) if self.first else values


def open_array(path: str | os.PathLike[str]) -> StoredArray | None:
    """Describe an .npy file, or an .npz file of one array, of two or three axes; None for any other content.

    Channels are the last axis, or the first where that is the shorter one.

    Raises:
        ValueError: an array that is no image; the message says why.
    """
    with ExitStack() as stack:
        file: IO[bytes] = stack.enter_context(open(path, "rb"))
        start = file.read(6)
        member = None
        if start != MAGIC:
            if start[:4] != _ZIP or Path(path).suffix.lower() != ".npz":
                return None
            with zipfile.ZipFile(path) as archive:
                names = [name for name in archive.namelist() if name.endswith(".npy")]
            if len(names) != 1:
                raise ValueError(
                    f"an .npz file of {len(names)} arrays ({', '.join(name[:-4] for name in names[:4])}): as an image "
                    "it has one; give an image set by itself"
                )
            member = names[0]
        shape, dtype = _header(_opened(path, member, stack))
    if dtype.hasobject:
        raise ValueError("an array of Python objects, which can run code and is not read")
    if dtype.kind not in "buif" or dtype.itemsize > 8:
        raise ValueError(f"an array of {dtype}: an image is integers or floats")
    shown = "x".join(map(str, shape))
    if len(shape) not in (2, 3) or 0 in shape:
        raise ValueError(f"an array of shape {shown}: an image is [H, W], [H, W, C] or [C, H, W]")
    first = len(shape) == 3 and shape[0] < shape[2]
    height, width = shape[1:] if first else shape[:2]
    samples = 1 if len(shape) == 2 else shape[0] if first else shape[2]
    if samples > _MOST_CHANNELS:
        raise ValueError(f"an array of shape {shown}: its {samples} channels are over the limit of {_MOST_CHANNELS}")
    if height * width * samples * dtype.itemsize > _MOST_BYTES:
        raise ValueError(f"an array of shape {shown} is over the limit of 4 GB")
    kind = np.dtype(np.uint8) if dtype.kind == "b" else dtype.newbyteorder("=")
    return StoredArray(path=path, member=member, height=height, width=width, samples=samples, dtype=kind, first=first)


def _opened(path: str | os.PathLike[str], member: str | None, stack: ExitStack) -> Any:
    if member is None:
        return stack.enter_context(open(path, "rb"))
    return stack.enter_context(stack.enter_context(zipfile.ZipFile(path)).open(member))


def _header(file: Any) -> tuple[tuple[int, ...], np.dtype]:
    version = np.lib.format.read_magic(file)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, _, dtype = read(file)
    return shape, dtype
