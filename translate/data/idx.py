"""Idx files, in which MNIST is distributed, plain or gzipped.

Format: two zero bytes, a type code, the number of axes, the length of each as a big-endian 32-bit integer, the values.
"""

from __future__ import annotations

import gzip
import math
import re
import struct
import zlib
from pathlib import Path

import numpy as np

from translate.data.images import ImageError

UINT8 = 0x08
MAX_BYTES = 8 * 2**30
_NAME = re.compile(r"(?P<stem>.*?)[-._]?(?P<kind>images|labels)[-._]idx[13][-._]ubyte(\.gz)?", re.IGNORECASE)


def idx_name(path: Path) -> tuple[str, str] | None:
    """What a name says: ``train-images-idx3-ubyte.gz`` -> ("train", "images"); None for what is no idx file."""
    found = _NAME.fullmatch(path.name)
    return (found["stem"].lower(), found["kind"].lower()) if found else None


def read_idx(path: Path) -> np.ndarray:
    """The uint8 values of an idx file, in the shape that it says.

    Raises:
        ImageError: not idx, of another type than unsigned bytes, cut short, or with bytes left over.
    """
    try:
        with path.open("rb") as file:
            zipped = file.read(2) == b"\x1f\x8b"
        with gzip.open(path, "rb") if zipped else path.open("rb") as file:
            head = file.read(4)
            if len(head) < 4 or head[:2] != b"\x00\x00":
                raise ImageError(f"{path} is not an idx file: it starts with {head.hex(' ') or 'nothing'}, not 00 00")
            kind, axes = head[2], head[3]
            if kind != UINT8 or not 1 <= axes <= 4:
                raise ImageError(
                    f"{path} holds values of type 0x{kind:02x} along {axes} axes: expected unsigned bytes (0x08) "
                    "along 1 to 4"
                )
            lengths = file.read(4 * axes)
            if len(lengths) < 4 * axes:
                raise ImageError(f"{path} is truncated: it ends within its header")
            shape = struct.unpack(f">{axes}I", lengths)
            expected = math.prod(shape)
            if expected > MAX_BYTES:
                raise ImageError(f"{path} claims {expected:,} values ({'x'.join(map(str, shape))}): not read")
            body = file.read(expected + 1)
    except (OSError, EOFError, zlib.error) as error:  # gzip raises all three
        raise ImageError(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}") from None
    if len(body) != expected:
        wrong = f"{len(body):,}" if len(body) < expected else "more"
        raise ImageError(
            f"{path} says {expected:,} values ({'x'.join(map(str, shape))}) and has {wrong}: copy it again"
        )
    return np.frombuffer(body, np.uint8).reshape(shape)
