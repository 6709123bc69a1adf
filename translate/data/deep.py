"""16-bit colour in PNG, for which Pillow has no modes: grey with alpha, RGB and RGBA, in and out; TIFF out.

Pillow decodes such files, but unpacks only the high byte of each value. Its unpacker for the opposite byte order takes
the low byte of the very same data, so two passes give all 16 bits: exactly, in twice the time, with everything that its
decoder knows and refuses (filters, interlacing, torn and hostile files). PNG is written here, TIFF by tifffile
(`translate.data.tiff` reads it).

Tried and left: kornia_rs (three times as fast, but no grey with alpha, and names that change between releases),
pypng (a Python loop over the bytes, eight times as slow), OpenCV (150 MB, drops ICC profiles), imagecodecs (80 MB),
libvips (20 MB, a second reader with limits of its own), imageio (Pillow's 8 bits).

Legend: H height, W width, C channels: 1 grey, 2 grey and alpha, 3 RGB, 4 RGB and alpha.
"""

from __future__ import annotations

import io
import os
import struct
import zlib
from collections.abc import Iterator
from typing import IO, Any

import numpy as np
from PIL import ExifTags, Image, ImageFile
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from translate.data.metadata import XMP, Metadata

_PNG_CHANNELS = {"LA;16B": 2, "RGB;16B": 3, "RGBA;16B": 4}
_PNG_TYPES = {2: 4, 3: 2, 4: 6}
GDAL_NODATA = 42113  # the tag
PNG_XMP = "XML:com.adobe.xmp"
"""The key of a PNG's text chunk of XMP."""
_PNG_LEVEL = 3  # as for 8 bits; the default takes twice the time for files that are 1 % smaller
_ROWS_BYTES = 2**22  # filtered at a time


def deep_channels(image: Image.Image) -> int | None:
    """Channels of an opened file, not decoded yet, that `read_deep` takes; None for all but PNG of 16-bit colour."""
    channels = _PNG_CHANNELS.get(_rawmode(image)) if image.format == "PNG" else None
    return channels + ("transparency" in image.info) if channels is not None else None


def read_deep(image: ImageFile.ImageFile, path: str | os.PathLike[str]) -> np.ndarray:
    """Decode an opened PNG of which `deep_channels` says that it can be.

    Returns:
        [H, W, 2 to 4] uint16 as stored; alpha is not premultiplied.

    Raises:
        OSError, ValueError and others: whatever Pillow raises for a damaged file.
    """
    rawmode = _rawmode(image)
    if rawmode == "LA;16B":  # RGBA takes the four bytes of a pixel as they are
        return _unpacked(image, "RGBA").view(">u2").astype(np.uint16)
    pixels = _unpacked(image, rawmode).astype(np.uint16) << 8
    with Image.open(path, formats=["PNG"]) as again:
        pixels |= _unpacked(again, rawmode[:-1] + "L")
    key = image.info.get("transparency")
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


def _keyed(pixels: np.ndarray, key: tuple[int, int, int]) -> np.ndarray:
    """[H, W, 4]: what has the key's colour is transparent."""
    clear = (pixels == np.array(key, np.uint16)).all(axis=2, keepdims=True)
    return np.concatenate([pixels, np.where(clear, 0, 65535).astype(np.uint16)], axis=2)


def encode_png(pixels: np.ndarray, icc: bytes | None, metadata: Metadata | None = None) -> bytes:
    """A PNG of [H, W, 2 to 4] uint16, with its ICC profile and metadata."""
    height, width, channels = pixels.shape
    header = struct.pack(">IIBBBBB", width, height, 16, _PNG_TYPES[channels], 0, 0, 0)
    parts = [b"\x89PNG\r\n\x1a\n", _chunk(b"IHDR", header)]
    if icc is not None:
        parts.append(_chunk(b"iCCP", b"ICC profile\0\0" + zlib.compress(icc)))
    if metadata is not None:
        parts.append(_chunk(b"eXIf", metadata.exif.tobytes().removeprefix(b"Exif\0\0")))
        if metadata.xmp is not None:
            parts.append(_chunk(b"iTXt", PNG_XMP.encode() + bytes(5) + metadata.xmp))
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


def encode_tiff(pixels: np.ndarray, icc: bytes | None, metadata: Metadata | None = None) -> bytes:
    """A TIFF of [H, W, 1 to 4] uint8 or uint16, deflated with a predictor, with its ICC profile and metadata."""
    from tifffile import TiffWriter

    buffer = io.BytesIO()
    with TiffWriter(buffer, byteorder="<") as writer:
        channels = pixels.shape[2]
        values = pixels if channels > 1 else pixels[:, :, 0]
        writer.write(values, iccprofile=icc, **plain_tiff(channels), **tiff_tags(metadata))
    add_capture(buffer, metadata)
    return buffer.getvalue()


def plain_tiff(channels: int) -> dict[str, Any]:
    """How tifffile writes an image of 1 to 4 channels, grey or RGB and perhaps alpha."""
    return {
        "photometric": "rgb" if channels > 2 else "minisblack",
        "planarconfig": "contig" if channels > 1 else None,
        "extrasamples": ["unassalpha"] if channels in (2, 4) else None,
        "compression": "adobe_deflate",
        "predictor": True,
        "metadata": None,
    }


def tiff_tags(metadata: Metadata | None) -> dict[str, Any]:
    """Options of tifffile that write metadata as tags; that of the capture is added by `add_capture`."""
    if metadata is None:
        return {"software": False}
    found = dict(metadata.image)
    resolution = [float(found.pop(tag, 0) or 0) for tag in (ExifTags.Base.XResolution, ExifTags.Base.YResolution)]
    unit = found.pop(ExifTags.Base.ResolutionUnit, 2)
    options: dict[str, Any] = {"software": False, "extratags": []}
    if all(resolution) and unit in (1, 2, 3):
        options |= {"resolution": tuple(resolution), "resolutionunit": unit}
    for tag, value in found.items():
        if isinstance(value, str):
            options["extratags"].append((int(tag), "s", 0, value, True))
        elif isinstance(value, bytes):
            options["extratags"].append((int(tag), "B", len(value), value, True))
        elif isinstance(value, int):
            options["extratags"].append((int(tag), "H", 1, value, True))
    if metadata.xmp is not None:
        options["extratags"].append((XMP, "B", len(metadata.xmp), metadata.xmp, True))
    return options


def add_capture(file: IO[bytes], metadata: Metadata | None) -> None:
    """Append the Exif directory to a little-endian TIFF of one image, no BigTIFF, and an index of tags that names it.

    (Pillow writes none into a compressed TIFF, tifffile none at all.)
    """
    if metadata is None or not metadata.capture:
        return
    file.seek(4)
    file.seek(*struct.unpack("<I", file.read(4)))
    (count,) = struct.unpack("<H", file.read(2))
    entries = [file.read(12) for _ in range(count)]
    capture = ImageFileDirectory_v2(prefix=b"II")
    capture.update(metadata.capture)
    offset = file.seek(0, os.SEEK_END)
    start = offset + offset % 2
    data = capture.tobytes(start)
    index = start + len(data) + len(data) % 2
    entries.append(struct.pack("<HHII", ExifTags.IFD.Exif, 4, 1, start))
    entries.sort(key=lambda entry: struct.unpack("<H", entry[:2]))
    file.write(bytes(start - offset) + data + bytes(len(data) % 2))
    file.write(struct.pack("<H", len(entries)) + b"".join(entries) + bytes(4))
    file.seek(4)
    file.write(struct.pack("<I", index))


def encode_bands(pixels: np.ndarray, nodata: float | None) -> bytes:
    """A TIFF of [H, W, C] of any number type, deflated, whose channels are bands."""
    from tifffile import imwrite

    buffer = io.BytesIO()
    several = pixels.shape[2] > 1
    imwrite(
        buffer,
        pixels if several else pixels[:, :, 0],
        photometric="minisblack",
        planarconfig="contig" if several else None,
        extrasamples=["unspecified"] * (pixels.shape[2] - 1) if several else None,
        compression="adobe_deflate",
        # Those of floats and of 64 bits need codecs that tifffile has not.
        predictor=pixels.dtype.kind != "f" and pixels.dtype.itemsize <= 4,
        extratags=[(GDAL_NODATA, "s", 0, f"{nodata:.17g}", True)] if nodata is not None else [],
        metadata=None,
        software=False,
    )
    return buffer.getvalue()
