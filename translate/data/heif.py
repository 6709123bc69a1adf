"""HEIC and HEIF photos, as phones and cameras take them, through pillow-heif: upright, with all of their 8 to 12 bits.

It is not registered as a plugin of Pillow, which would read 8 bits. AVIF, of the same family, is Pillow's own.

Legend: H height, W width, C channels: 1 grey, 3 RGB, 4 RGB and alpha.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

import numpy as np

from translate.data.profiles import coded_profile

_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1")
_HDR = (16, 18)  # PQ and HLG, as ITU-T H.273 numbers them
_CHANNELS = {"L": 1, "I": 1, "LA": 2, "La": 2, "RGB": 3, "RGBA": 4, "RGBa": 4}


@dataclass(frozen=True, kw_only=True, eq=False)
class StoredHeif:
    """One image of a HEIF file: its description; `read` decodes."""

    page: int
    """0 is the one that the file calls its primary image."""
    pages: int
    """Images in the file, without thumbnails, depth maps and the tiles of a grid."""
    width: int
    """Upright, like the height: turns belong to the format, and EXIF's orientation only repeats them."""
    height: int
    channels: int
    dtype: np.dtype
    """u1 for 8 bits, u2 for more."""
    premultiplied: bool
    icc_profile: bytes | None
    image: Any
    """The `pillow_heif.HeifImage`."""

    def read(self) -> np.ndarray:
        """[H, W, C] of dtype, over its whole range, upright.

        Raises:
            OSError, ValueError and others: the file is damaged.
        """
        values = np.asarray(self.image).reshape(self.height, -1, self.channels)[:, : self.width]
        if self.dtype == np.uint8:
            return values
        top = 2 ** int(self.image.info["bit_depth"]) - 1
        return ((values.astype(np.uint32) * 65535 + top // 2) // top).astype(np.uint16)


def open_heif(path: str | os.PathLike[str], *, page: int = 0) -> StoredHeif | None:
    """Describe an image of a HEIF file, its primary one unless asked otherwise; None for a file of another format.

    Raises:
        OSError: the file cannot be opened.
        ValueError: pillow-heif is not installed, there is no such page, or the file is damaged.
    """
    with open(path, "rb") as file:
        start = file.read(12)
        if start[4:8] != b"ftyp" or start[8:] not in _BRANDS:
            return None
        try:
            import pillow_heif
        except ImportError as error:
            raise ValueError(
                'reading HEIC needs pillow-heif: pip install pillow-heif, or "image-translate[demo]"'
            ) from error
        # The values as they are: pillow-heif would shift 10 bits to the left, and white would be 65472.
        found = pillow_heif.open_heif(file, convert_hdr_to_8bit=False, hdr_to_16bit=False)
    images = [found[found.primary_index], *(each for place, each in enumerate(found) if place != found.primary_index)]
    if not 0 <= page < len(images):
        raise ValueError(f"there is no page {page + 1}: the file has {len(images)}")
    image = images[page]
    coded: Any = image.info.get("nclx_profile") or {}
    if coded.get("transfer_characteristics") in _HDR:
        raise ValueError(
            "has a high dynamic range (PQ or HLG), which is not read: save it as a plain HEIC, JPEG or PNG"
        )
    icc = image.info.get("icc_profile") or coded_profile(coded.get("color_primaries", 1))
    mode, _, bits = image.mode.partition(";")
    return StoredHeif(
        page=page,
        pages=len(images),
        width=image.size[0],
        height=image.size[1],
        channels=_CHANNELS[mode],
        dtype=np.dtype(np.uint16 if bits else np.uint8),
        premultiplied=mode.endswith("a"),
        icc_profile=icc if isinstance(icc, bytes) else None,
        image=image,
    )
