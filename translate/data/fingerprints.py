"""Which images are the same, or nearly: equal pixels by a digest, re-encoded and resized ones by their gradients.

Near-duplicates have nearly the same difference hash (dHash: is a pixel of a 9x8 thumbnail brighter than its left
neighbour; N. Krawetz, "Kind of like that", 2013) and, since 64 bits are few, nearly the same 16x16 thumbnail as well.
Found are copies at another size or quality, or a little brighter, greyer or cut by a pixel or two; not found are
mirrored, turned and clearly cropped ones.

Legend: N images.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from translate.data.images import Picture, composite, convert

MAX_BITS = 10
"""Of the 64 gradients, as many may differ."""
MIN_CORRELATION = 0.99
"""Of two thumbnails. Different photographs of one data set were seen at 0.96 at the most, copies above 0.992."""
_ROWS = 2048


@dataclass(frozen=True, kw_only=True, eq=False)
class Fingerprint:
    """What is kept of an image to know it again."""

    digest: bytes
    """Of size, depth and every pixel."""
    gradients: np.ndarray
    """[64] bool."""
    thumbnail: np.ndarray
    """[768] uint8, RGB over white."""


def to_rgb(picture: Picture) -> np.ndarray:
    """[H, W, 3] uint8, over white: what a picture looks like."""
    return convert(composite(picture).colour, channels=3, bits=8)


def fingerprint(picture: Picture) -> Fingerprint:
    """The fingerprint of a picture, whatever its channels and depth."""
    pixels = picture.pixels
    digest = hashlib.blake2b(repr((pixels.shape, pixels.dtype.str)).encode(), digest_size=16)
    digest.update(pixels.data)
    image = Image.fromarray(to_rgb(picture))
    if max(image.size) > 256:  # in two steps, of which the second needs no second look at every pixel
        image = image.resize((min(256, image.width), min(256, image.height)), Image.Resampling.BOX)
    grey = np.asarray(image.convert("L").resize((9, 8), Image.Resampling.BOX))
    thumbnail = np.asarray(image.resize((16, 16), Image.Resampling.BOX))
    return Fingerprint(
        digest=digest.digest(), gradients=(grey[:, 1:] > grey[:, :-1]).ravel(), thumbnail=thumbnail.ravel()
    )


def near_duplicates(a: Sequence[Fingerprint], b: Sequence[Fingerprint]) -> list[tuple[int, int]]:
    """The places in `a` and in `b` of images that are nearly the same; equal ones are among them."""
    if not a or not b:
        return []
    thumbnails_a, thumbnails_b = _normalised(a), _normalised(b)
    found: list[tuple[int, int]] = []
    for i, j in _candidates(a, b):
        same = np.einsum("nc,nc->n", thumbnails_a[i], thumbnails_b[j]) >= MIN_CORRELATION
        found += zip(i[same].tolist(), j[same].tolist(), strict=True)
    return found


def _candidates(a: Sequence[Fingerprint], b: Sequence[Fingerprint]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Pairs of places with like gradients: two [M] a turn, for all the rows that fit into memory."""
    signs_a, signs_b = _signs(a), _signs(b)
    for start in range(0, len(signs_a), _ROWS):
        equal_minus_different = signs_a[start : start + _ROWS] @ signs_b.T
        i, j = np.nonzero(equal_minus_different >= 64 - 2 * MAX_BITS)
        for part in range(0, len(i), 2**16):
            yield i[part : part + 2**16] + start, j[part : part + 2**16]


def _signs(fingerprints: Sequence[Fingerprint]) -> np.ndarray:
    """[N, 64] of -1 and 1, whose products count equal bits."""
    return np.stack([fingerprint.gradients for fingerprint in fingerprints]).astype(np.float32) * 2 - 1


def _normalised(fingerprints: Sequence[Fingerprint]) -> np.ndarray:
    """[N, 768] of mean 0 and length 1; all 0 for an image of one colour, which is like no other."""
    values = np.stack([fingerprint.thumbnail for fingerprint in fingerprints]).astype(np.float32)
    values -= values.mean(axis=1, keepdims=True)
    return values / np.maximum(np.linalg.norm(values, axis=1, keepdims=True), 1e-6)
