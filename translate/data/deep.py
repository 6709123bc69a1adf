"""16-bit colour, for which Pillow has no modes: grey with alpha, RGB and RGBA of PNG and TIFF, in and out.

Pillow decodes such files, but unpacks only the high byte of each value. Its unpacker for the opposite byte order takes
the low byte of the very same data, so two passes give all 16 bits: exactly, in twice the time, with everything that its
decoders know and refuse (filters, interlacing, the compressions of libtiff, predictors, tiles; torn and hostile files).
Two kinds of TIFF it does not take apart, grey with alpha and channels that lie apart: tifffile describes those. PNG is
written here, TIFF by tifffile.

Tried and left: kornia_rs (three times as fast, but no grey with alpha, and names that change between releases),
pypng (a Python loop over the bytes, eight times as slow), OpenCV (150 MB, drops ICC profiles), imagecodecs (80 MB),
libvips (20 MB, a second reader with limits of its own), imageio (Pillow's 8 bits).

Legend: H height, W width, C channels: 1 grey, 2 grey and alpha, 3 RGB, 4 RGB and alpha.
"""

from __future__ import annotations

import io
import logging
import os
import struct
import sys
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from PIL import ExifTags, Image, ImageFile

if TYPE_CHECKING:
    from tifffile import TiffPage

logging.getLogger("tifffile").setLevel(logging.CRITICAL)

_PNG_CHANNELS = {"LA;16B": 2, "RGB;16B": 3, "RGBA;16B": 4}
_PNG_TYPES = {2: 4, 3: 2, 4: 6}
_PNG_LEVEL = 3  # as for 8 bits; the default takes twice the time for files that are 1 % smaller
_ROWS_BYTES = 2**22  # filtered at a time
_TIFF_CHANNELS = {"RGB": 3, "RGBX": 3, "RGBA": 4, "RGBa": 4}
_TIFF_STARTS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_PLANAR_CONFIGURATION = 284
_STORED, _DEFLATED = (1,), (8, 32946)  # the compressions of TIFF that tifffile reads on its own
_PREMULTIPLIED = 1  # of the ExtraSamples; 0 is no alpha, 2 is alpha
_BOMB_BYTES = 2**26  # what a strip may hold above the whole image; tiles reach over its edges


def deep_channels(image: Image.Image) -> int | None:
    """Channels of an opened file, not decoded yet, that `read_deep` takes; None for anything but 16-bit colour."""
    rawmode = _rawmode(image)
    if image.format == "PNG":
        channels = _PNG_CHANNELS.get(rawmode)
        return channels + ("transparency" in image.info) if channels is not None else None
    base, _, depth = rawmode.partition(";16")
    return _TIFF_CHANNELS.get(base) if image.format == "TIFF" and depth and not lies_apart(image) else None


def lies_apart(image: Image.Image) -> bool:
    """Whether an opened file is a TIFF that stores its channels one after the other."""
    return image.format == "TIFF" and image.tag_v2.get(_PLANAR_CONFIGURATION) == 2  # type: ignore[attr-defined]


def read_deep(image: ImageFile.ImageFile, path: str | os.PathLike[str]) -> np.ndarray:
    """Decode an opened file of which `deep_channels` says that it can be.

    Returns:
        [H, W, 2 to 4] uint16; alpha is not premultiplied. A TIFF is upright, as Pillow turns it; a PNG as stored.

    Raises:
        OSError, ValueError and others: whatever Pillow raises for a damaged file.
    """
    rawmode = _rawmode(image)
    if rawmode == "LA;16B":  # RGBA takes the four bytes of a pixel as they are
        return _unpacked(image, "RGBA").view(">u2").astype(np.uint16)
    base, order = rawmode[:-1], rawmode[-1]
    order = {"little": "L", "big": "B"}[sys.byteorder] if order == "N" else order  # libtiff's is the machine's
    unpack = base.replace("RGBa", "RGBA")  # Pillow would divide by alpha in 8 bits
    pixels = _unpacked(image, unpack + order).astype(np.uint16) << 8
    with Image.open(path, formats=[image.format or ""]) as again:
        pixels |= _unpacked(again, unpack + {"L": "B", "B": "L"}[order])
    if base.startswith("RGBa"):
        return _divided(pixels)
    key = image.info.get("transparency") if image.format == "PNG" else None
    return pixels if key is None else _keyed(pixels, key)


def _rawmode(image: Image.Image) -> str:
    """How Pillow would unpack the file."""
    tile = getattr(image, "tile", None)
    args = tile[0].args if tile else ""
    return str(args[0] if isinstance(args, tuple) and args else args)


def _unpacked(image: ImageFile.ImageFile, rawmode: str) -> np.ndarray:
    """[H, W, 3 or 4] uint8: decode with another unpacker, for values of the same width."""
    image.tile = [
        tile._replace(args=(rawmode, *tile.args[1:]) if isinstance(tile.args, tuple) else rawmode)
        for tile in image.tile
    ]
    return np.asarray(image)


def _divided(pixels: np.ndarray) -> np.ndarray:
    """Colour that was multiplied by alpha, [H, W, 2 or 4] uint16, divided by it."""
    alpha = pixels[:, :, -1:].astype(np.uint64)
    colour = np.minimum((pixels[:, :, :-1] * np.uint64(65535) + alpha // 2) // np.maximum(alpha, 1), 65535)
    return np.concatenate([np.where(alpha > 0, colour, 0).astype(np.uint16), pixels[:, :, -1:]], axis=2)


def _keyed(pixels: np.ndarray, key: tuple[int, int, int]) -> np.ndarray:
    """[H, W, 4]: what has the key's colour is transparent."""
    clear = (pixels == np.array(key, np.uint16)).all(axis=2, keepdims=True)
    return np.concatenate([pixels, np.where(clear, 0, 65535).astype(np.uint16)], axis=2)


@dataclass(frozen=True, kw_only=True)
class DeepTiff:
    """A TIFF of 16 bits that Pillow does not take apart: its description; `read` decodes."""

    path: str | os.PathLike[str]
    width: int
    """As stored, like the height."""
    height: int
    channels: int
    """Of what `read` gives."""
    orientation: int
    icc_profile: bytes | None
    offset: int
    """Of the tags of the first picture."""
    samples: int
    """Stored for a pixel."""
    apart: bool
    """One channel after the other."""
    premultiplied: bool

    def read(self) -> np.ndarray:
        """[H, W, C] uint16 as stored; alpha is not premultiplied. Raises nearly anything for a damaged file."""
        if self.samples == 2 and not self.apart:  # four bytes a pixel, which libtiff decodes whatever the compression
            with open(self.path, "rb") as file:
                size = self.width, self.height
                image = Image.frombytes("RGBA", size, file.read(), "libtiff", "RGBA", "", False, self.offset)  # type: ignore[arg-type]
            pixels = np.asarray(image).view(np.uint16)
        else:
            pixels = self._by_tifffile()
        pixels = pixels[:, :, : self.channels]
        return _divided(pixels) if self.premultiplied else pixels

    def _by_tifffile(self) -> np.ndarray:
        from tifffile import TiffFile

        with TiffFile(self.path) as file:
            page = file.pages.first
            if page.compression in _DEFLATED:
                self._refuse_bombs(page)
            values = page.asarray(maxworkers=1)
            if self.apart:
                return np.moveaxis(values.reshape(self.samples, self.height, self.width), 0, -1)
            return values.reshape(self.height, self.width, self.samples)

    def _refuse_bombs(self, page: TiffPage) -> None:
        """Before tifffile inflates a strip to whatever size it has."""
        most = 2 * self.width * self.height * self.samples + _BOMB_BYTES
        for offset, count in zip(page.dataoffsets, page.databytecounts, strict=True):
            page.parent.filehandle.seek(offset)
            if len(zlib.decompressobj().decompress(page.parent.filehandle.read(count), most)) == most:
                raise ValueError("a strip holds more than the image")


def open_deep_tiff(path: str | os.PathLike[str]) -> DeepTiff | None:
    """Describe a TIFF that Pillow does not take apart at 16 bits; None where this module cannot either."""
    with open(path, "rb") as file:
        if file.read(4) not in _TIFF_STARTS:
            return None
    from tifffile import TiffFile

    try:
        with TiffFile(path) as tiff:
            return _described(path, tiff.pages.first)
    except Exception:  # a broken one; what Pillow says of it stands
        return None


def _described(path: str | os.PathLike[str], page: TiffPage) -> DeepTiff | None:
    colours = {1: 1, 2: 3}.get(page.photometric, 0)
    extra = page.samplesperpixel - colours
    kind = int((*page.extrasamples, 2)[0])  # alpha, where a file does not say what an extra channel is
    together = page.planarconfig == 1
    plain = page.compression in _STORED + _DEFLATED
    orientation = page.tags.valueof(ExifTags.Base.Orientation, 1)
    if (
        not colours
        or (page.bitspersample, page.sampleformat, page.fillorder, page.imagedepth) != (16, 1, 1, 1)
        or extra < (colours == 1)  # Pillow reads plain grey
        or not ((together and page.samplesperpixel == 2) or plain)
        or min(page.imagewidth, page.imagelength) < 1
    ):
        return None
    return DeepTiff(
        path=path,
        width=page.imagewidth,
        height=page.imagelength,
        channels=colours + (extra > 0 and kind != 0),
        orientation=orientation if orientation in range(1, 9) else 1,
        icc_profile=page.iccprofile,
        offset=page.offset,
        samples=page.samplesperpixel,
        apart=page.planarconfig == 2,
        premultiplied=extra > 0 and kind == _PREMULTIPLIED,
    )


def encode_png(pixels: np.ndarray, icc: bytes | None) -> bytes:
    """A PNG of [H, W, 2 to 4] uint16, with its ICC profile."""
    height, width, channels = pixels.shape
    header = struct.pack(">IIBBBBB", width, height, 16, _PNG_TYPES[channels], 0, 0, 0)
    parts = [b"\x89PNG\r\n\x1a\n", _chunk(b"IHDR", header)]
    if icc is not None:
        parts.append(_chunk(b"iCCP", b"ICC profile\0\0" + zlib.compress(icc)))
    packer = zlib.compressobj(_PNG_LEVEL)
    data = [packer.compress(rows) for rows in _filtered(pixels)]
    parts += [_chunk(b"IDAT", piece) for piece in (*data, packer.flush()) if piece]
    return b"".join([*parts, _chunk(b"IEND", b"")])


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(data, zlib.crc32(name)))


def _filtered(pixels: np.ndarray) -> Iterator[bytes]:
    """The rows as PNG packs them, each by the Paeth filter (PNG, third edition, 9.4); choosing by row gains nothing."""
    height, width, channels = pixels.shape
    step = 2 * channels  # bytes to the neighbour on the left
    above = np.zeros((1, width * step + step), np.uint8)
    num_rows = max(1, _ROWS_BYTES // (width * step))
    for start in range(0, height, num_rows):
        values = pixels[start : start + num_rows].astype(">u2").view(np.uint8).reshape(-1, width * step)
        framed = np.concatenate([above, np.pad(values, ((0, 0), (step, 0)))])
        above = framed[-1:]
        neighbours = framed[1:, :-step], framed[:-1, step:], framed[:-1, :-step]
        left, up, corner = (bytes_.astype(np.int16) for bytes_ in neighbours)
        to_left, to_up, to_corner = abs(up - corner), abs(left - corner), abs(left + up - 2 * corner)
        nearest = np.where((to_left <= to_up) & (to_left <= to_corner), left, np.where(to_up <= to_corner, up, corner))
        yield np.pad(values - nearest.astype(np.uint8), ((0, 0), (1, 0)), constant_values=4).tobytes()


def encode_tiff(pixels: np.ndarray, icc: bytes | None) -> bytes:
    """A TIFF of [H, W, 2 to 4] uint16, deflated with a predictor, with its ICC profile."""
    from tifffile import imwrite

    buffer = io.BytesIO()
    imwrite(
        buffer,
        pixels,
        photometric="rgb" if pixels.shape[2] > 2 else "minisblack",
        planarconfig="contig",
        extrasamples=["unassalpha"] if pixels.shape[2] in (2, 4) else None,
        compression="adobe_deflate",
        predictor=True,
        iccprofile=icc,
        metadata=None,
        software=False,
    )
    return buffer.getvalue()
