"""Image files in, upright sRGB pixels out, and back again.

Everything that a camera, a scanner or an editor put into a file is settled here, once: EXIF orientation, palettes,
CMYK, Lab, ICC profiles, transparency, 16 bits. Past this module an image is an array [H, W, C] of uint8 or uint16 in
sRGB; or, where a file holds measured values (floats, signed and 32-bit integers) or bands (channels that are neither
colours nor alpha), an array of just those.

PNG (`translate.data.deep`) and TIFF (`translate.data.tiff`) keep 16 bits, grey and colour alike. PIL images, which
have no such modes for colour, come as 8 bits.

Legend: H height, W width, C channels: 1 grey, 2 grey and alpha, 3 RGB, 4 RGB and alpha.
"""

import io
import logging
import os
import re
import uuid
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from PIL import ExifTags, Image, ImageFile, UnidentifiedImageError
from PIL.PngImagePlugin import PngInfo

from translate.config.errors import TranslateError
from translate.data.array_files import StoredArray, open_array
from translate.data.deep import PNG_XMP, deep_channels, encode_bands, encode_png, encode_tiff, read_deep
from translate.data.heif import StoredHeif, open_heif
from translate.data.metadata import Metadata
from translate.data.profiles import deep_cmyk_to_srgb, deep_from_srgb, deep_to_srgb, from_srgb, to_srgb
from translate.data.ranges import find_range, sample, shares
from translate.data.tiff import (
    CMYK,
    MIN_IS_BLACK,
    MIN_IS_WHITE,
    PREMULTIPLIED,
    RGB,
    UNSPECIFIED,
    StoredTiff,
    misread_by_pillow,
    open_tiff,
    undo_premultiplied,
)

MAX_PIXELS = 178_956_970
"""Largest image that is opened, in pixels: the limit at which Pillow itself refuses a decompression bomb."""

IMAGE_SUFFIXES = frozenset(
    {".png", ".apng", ".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".webp", ".tif", ".tiff"}
    | {".bmp", ".gif", ".ppm", ".pgm", ".pbm", ".pnm", ".jp2", ".avif", ".heic", ".heif", ".hif", ".npy", ".npz"}
)
"""File name endings (lower case) that count as images when a folder is listed."""

_FOREIGN = {
    "a vector graphic; export it as PNG, for example with: inkscape --export-type=png": (".svg .svgz .ai .eps .pdf"),
    "the raw data of a camera; develop it first, for example with: darktable-cli FILE out.tif": (
        ".dng .cr2 .cr3 .nef .arw .raf .orf .rw2 .raw"
    ),
    "a high-dynamic-range image; save it as a TIFF of 32-bit floats, for example with: oiiotool FILE -o out.tif": (
        ".exr .hdr"
    ),
    "a medical image; save its slices as TIFF, for example by pydicom or nibabel, and tifffile": ".dcm .nii .mha .nrrd",
    "a video; take its frames out first, for example with: ffmpeg -i FILE frame_%05d.png": (
        ".mp4 .mov .avi .mkv .webm .m4v .mpg .mpeg"
    ),
    "an archive; unpack it first": ".zip .tar .gz .tgz .bz2 .xz .7z .rar",
    "an image of a format that is not read; convert it, for example with: magick FILE out.png": (
        ".tga .pcx .xcf .jxl .psb .sgi .dds .fits .qoi .j2k .wmf .icns"
    ),
}
UNREAD_SUFFIXES = {suffix: what for what, suffixes in _FOREIGN.items() for suffix in suffixes.split()}
"""File name endings (lower case) of what holds images and is not read: what it is, and the way from there."""

Image.init()  # all plugins now, not in the first of many threads
# Named one by one: Pillow would otherwise also try formats that run other programs (EPS calls Ghostscript).
_READ_FORMATS = ["PNG", "JPEG", "WEBP", "TIFF", "BMP", "DIB", "GIF", "PPM", "JPEG2000", "AVIF", "ICO", "PSD"]
_READ_FORMATS = [name for name in _READ_FORMATS if name in Image.OPEN]
_WRITE_FORMATS = {
    ".png": "PNG",
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".webp": "WEBP",
    ".tif": "TIFF",
    ".tiff": "TIFF",
    ".bmp": "BMP",
    ".avif": "AVIF",
    ".npy": "NPY",
}
WRITABLE_SUFFIXES = tuple(_WRITE_FORMATS)
"""What `write_image` takes."""
LOSSY_SUFFIXES = frozenset({".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".heic", ".heif", ".hif", ".avif"})
"""File name endings (lower case) of formats that do not keep every value."""
NO_CLASS = 255
"""Of class ids in 8 bits: no class, as in Pascal VOC and Cityscapes."""

# ImageOps.exif_transpose also rewrites the EXIF block, which raises where the block is broken; only the turn is needed.
_TURNS: dict[int, Callable[[np.ndarray], np.ndarray]] = {
    2: lambda pixels: pixels[:, ::-1],
    3: lambda pixels: pixels[::-1, ::-1],
    4: lambda pixels: pixels[::-1],
    5: lambda pixels: pixels.swapaxes(0, 1),
    6: lambda pixels: pixels.swapaxes(0, 1)[:, ::-1],
    7: lambda pixels: pixels[::-1, ::-1].swapaxes(0, 1),
    8: lambda pixels: pixels.swapaxes(0, 1)[::-1],
}
_PAGED_FORMATS = frozenset({"TIFF", "GIF", "PNG", "WEBP", "AVIF"})
_WHOLE_16 = frozenset({"PPM", "PNG", "JPEG2000"})  # whose mode I is 16-bit grey
_NEW_SUBFILE_TYPE = 254
_OPAQUE_MODES = ("I", "F", "CMYK", "LAB")
_GREY_MODES = ("1", "L", "LA", "La", "I", "F")
_STORED_COLOURS = {MIN_IS_WHITE: 1, MIN_IS_BLACK: 1, RGB: 3, CMYK: 4}

# Set once for the process: warnings.catch_warnings is not safe where many threads read at once.
warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)
logging.getLogger("PIL").setLevel(logging.CRITICAL)


class ImageError(TranslateError, ValueError):
    """An image cannot be read or written: one line that names the file and the reason."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Picture:
    """An upright image in sRGB; or with `bands`, an array of measured values."""

    pixels: np.ndarray
    """[H, W, C], uint8 or uint16, contiguous; alpha, where there is one, is last and not premultiplied. With `bands`
    any number of channels, and any type of integers or floats."""
    icc_profile: bytes | None = None
    """The RGB or grey profile that the file carried. The pixels are already sRGB; `write_image` converts them back."""
    bands: bool = False
    """The channels are measured values or bands in the file's own units: no sRGB, and none of them is alpha."""
    nodata: float | None = None
    """The value that marks pixels without data, where the file names one; NaN always does. Of bands alone."""
    values: tuple[float, float] | None = None
    """The values shown as black and white, where the image is shown. Of bands alone."""
    ids: bool = False
    """The one band holds class ids, which have nothing between them."""
    pages: int = 1
    """Pages or frames of the file, this one among them."""

    def __post_init__(self) -> None:
        shape, dtype = self.pixels.shape, self.pixels.dtype
        if self.bands:
            if len(shape) != 3 or 0 in shape or dtype.kind not in "uif":
                raise ValueError(f"an image of bands is [H, W, C] of integers or floats, not {list(shape)} of {dtype}")
        elif len(shape) != 3 or not 1 <= shape[2] <= 4 or 0 in shape or dtype not in (np.uint8, np.uint16):
            raise ValueError(f"an image is [H, W, 1 to 4] of uint8 or uint16, not {list(shape)} of {dtype}")
        object.__setattr__(self, "pixels", np.ascontiguousarray(self.pixels))

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) in pixels."""
        return self.pixels.shape[1], self.pixels.shape[0]

    @property
    def channels(self) -> int:
        """1 grey, 2 grey and alpha, 3 RGB, 4 RGB and alpha; or the number of bands."""
        return self.pixels.shape[2]

    @property
    def bits(self) -> int:
        """8 or 16 bits a channel; measured values are worked on with 16."""
        return 8 if self.pixels.dtype == np.uint8 else 16

    @property
    def colour(self) -> np.ndarray:
        """The pixels without alpha, [H, W, 1 or 3]; all bands."""
        return self.pixels if self.bands else self.pixels[:, :, : 1 if self.channels < 3 else 3]

    @property
    def alpha(self) -> np.ndarray | None:
        """[H, W, 1], or None for an image without transparency."""
        return self.pixels[:, :, -1:] if self.channels in (2, 4) and not self.bands else None


_Opened = ImageFile.ImageFile | StoredTiff | StoredHeif | StoredArray


@dataclass(frozen=True, kw_only=True)
class ImageHeader:
    """What `read_image` would give, known without decoding a pixel."""

    width: int
    height: int
    channels: int
    """Channels of `Picture.pixels`, alpha counted."""
    bits: int
    alpha: bool
    """Whether there is an alpha channel; it may turn out to be opaque everywhere."""
    dtype: str | None = None
    """Number type of an image of bands or measured values; None for grey and RGB."""
    pages: int = 1
    """Pages or frames of the file."""
    palette: bool = field(default=False, compare=False)
    """Whether the file stores indices into a palette; its pixels are read as RGB."""


def read_image(path: str | os.PathLike[str], *, page: int = 0, max_pixels: int = MAX_PIXELS) -> Picture:
    """Read an image file, upright and in sRGB, or with its measured values or bands as they are.

    Palettes, 1-bit, CMYK, YCbCr and Lab become grey or RGB, with alpha where the file has transparency; an alpha of 0
    everywhere is ignored, as is a broken ICC profile or EXIF block. 16-bit PNG and TIFF keep their depth, as do HEIC of
    more than 8 bits and 16-bit grey of any format. Safe to call from many threads.

    Args:
        path: the file; its content decides the format, not its name.
        page: of a file of several pages or frames, counted from 0.
        max_pixels: larger images are refused. Above `MAX_PIXELS`, raise `PIL.Image.MAX_IMAGE_PIXELS` as well.

    Raises:
        ImageError: the file is missing, empty, truncated, too large or no image, or has no such page.
    """
    with _opened(path, max_pixels, page=page) as image:
        pages, picture = _num_pages(image), _decoded(image, path, page)
        return picture if pages == 1 else replace(picture, pages=pages)


def _decoded(image: _Opened, path: str | os.PathLike[str], page: int) -> Picture:
    if isinstance(image, StoredArray):
        return Picture(pixels=image.read(), bands=not image.is_image)
    if isinstance(image, StoredTiff):
        if holds_colours(image):
            return stored_picture(image, image.read())
        return Picture(pixels=_upright(image.read(), image.orientation), bands=True, nodata=image.nodata)
    if isinstance(image, StoredHeif):
        return _heif_picture(image)
    if page or deep_channels(image) is None:
        return from_pil(image)
    pixels, icc = read_deep(image, path), image.info.get("icc_profile")
    num_colours = 1 if pixels.shape[2] < 3 else 3
    turn = _orientation(image.getexif)
    return _converted(pixels[:, :, :num_colours], pixels[:, :, num_colours:], icc, orientation=turn)


def read_stack(path: str | os.PathLike[str]) -> Picture:
    """Read all pages of a file as the bands of one image.

    Raises:
        ImageError: as `read_image`; or the pages differ in size or kind.
    """
    pages = [read_image(path)]
    pages += [read_image(path, page=page) for page in range(1, pages[0].pages)]
    if len({(page.size, page.channels, page.pixels.dtype) for page in pages}) > 1 or pages[0].alpha is not None:
        raise ImageError(f"{_one_line(path)}: its {len(pages)} pages are not bands of one image: they differ in type")
    return Picture(pixels=np.concatenate([page.pixels for page in pages], axis=2), bands=True, nodata=pages[0].nodata)


def read_ids(path: str | os.PathLike[str], *, page: int = 0) -> Picture:
    """Read class ids: grey values as they are stored, or indices into a palette.

    Returns:
        A picture of one band of integers.

    Raises:
        ImageError: as `read_image`; or the file holds colours or fractions.
    """
    name = _one_line(path)
    with _opened(path, MAX_PIXELS, page=page) as image:
        if isinstance(image, StoredTiff | StoredArray | StoredHeif):
            ids = image.read()
            orientation = image.orientation if isinstance(image, StoredTiff) else 1
        else:
            image.load()
            ids = np.asarray(image.convert("L") if image.mode == "LA" else image)
            ids = (ids.astype(np.uint8) if image.mode == "1" else ids)[:, :, None] if ids.ndim == 2 else ids[:, :, :3]
            orientation = _orientation(image.getexif)
    if ids.shape[2] == 3 and (ids == ids[:, :, :1]).all():
        ids = ids[:, :, :1]
    if ids.dtype.kind == "f":
        gone = ~np.isfinite(ids)
        ids = np.where(gone, NO_CLASS, ids)
        ids = ids if (ids != np.rint(ids)).any() or ids.max() >= 2**16 else ids.astype(np.int32)
    if ids.shape[2] != 1 or ids.dtype.kind == "f" or ids.min() < 0:
        raise ImageError(
            f"{name}: class ids are whole grey values from 0 or palette indices, and it has colours or measured values"
        )
    return Picture(pixels=_upright(ids, orientation), bands=True, ids=True)


def read_header(path: str | os.PathLike[str]) -> ImageHeader:
    """Read size, channels and depth as `read_image` would give them, without decoding pixels (well under 1 ms a file).

    An orientation that a PNG stores behind its pixels is not seen.

    Raises:
        ImageError: the file is missing, empty, too large or no image. A truncated one may pass.
    """
    with _opened(path, MAX_PIXELS) as image:
        width, height, orientation, dtype = image.width, image.height, 1, None
        if isinstance(image, StoredArray):
            channels, alpha, bits = image.samples, False, 8 if image.dtype == np.uint8 else 16
            dtype = None if image.is_image else image.dtype.name
        elif isinstance(image, StoredHeif):
            channels, alpha, bits = image.channels, image.channels in (2, 4), 8 * image.dtype.itemsize
        elif isinstance(image, StoredTiff):
            orientation, bits, alpha = image.orientation, 8 if image.dtype == np.uint8 else 16, False
            if holds_colours(image):
                channels = stored_channels(image)
                alpha = channels in (2, 4)
            else:
                channels, dtype = image.samples, image.dtype.name
        else:
            # A TIFF's size is upright already; PngImageFile.getexif would decode the pixels, its base class does not.
            orientation = 1 if image.format == "TIFF" else _orientation(lambda: Image.Image.getexif(image))
            channels, bits, alpha = _layout(image)
            dtype = _measured_type(image)
        if orientation >= 5:
            width, height = height, width
        return ImageHeader(
            width=width,
            height=height,
            channels=channels,
            bits=bits,
            alpha=alpha,
            dtype=dtype,
            pages=_num_pages(image),
            palette=getattr(image, "mode", "") == "P",
        )


def _layout(image: Image.Image) -> tuple[int, int, bool]:
    """Channels, bits and whether there is alpha, as `read_image` will give them."""
    channels = deep_channels(image)
    if channels is not None:
        return channels, 16, channels in (2, 4)
    deep = image.mode in ("I", "F") or image.mode.startswith("I;16")
    alpha = image.has_transparency_data and image.mode not in _OPAQUE_MODES
    return (1 if deep or image.mode in _GREY_MODES else 3) + alpha, 16 if deep else 8, alpha


def _measured_type(image: Image.Image) -> str | None:
    """The number type of a PIL image of measured values; None for others."""
    if image.mode == "F":
        return "float32"
    return "int32" if image.mode == "I" and image.format not in _WHOLE_16 else None


def _num_pages(image: _Opened) -> int:
    """Pages or frames of a file; layers, thumbnails and the second views of a camera do not count."""
    if isinstance(image, StoredArray):
        return 1
    if isinstance(image, StoredTiff | StoredHeif):
        return image.pages
    if image.format not in _PAGED_FORMATS or not getattr(image, "is_animated", False):
        return 1
    return len(_frames(image))


def _frames(image: ImageFile.ImageFile) -> list[int]:
    """The numbers of a file's pages among all that Pillow counts, the open one left as it was."""
    count = int(getattr(image, "n_frames", 1))
    if image.format != "TIFF" or count == 1:
        return list(range(count))
    place, found = image.tell(), []
    for number in range(count):
        image.seek(number)
        if not _is_reduced(image):
            found.append(number)
    image.seek(place)
    return found or [0]


def _is_reduced(image: ImageFile.ImageFile) -> bool:
    """Whether an opened image is a thumbnail of another one in its TIFF, or a mask."""
    return image.format == "TIFF" and bool(int(image.tag_v2.get(_NEW_SUBFILE_TYPE, 0)) & 0b101)  # type: ignore[attr-defined]


def _seek(image: ImageFile.ImageFile, page: int) -> None:
    frames = _frames(image) if image.format in _PAGED_FORMATS else [0]
    if page >= len(frames):
        raise ValueError(f"there is no page {page + 1}: the file has {len(frames)}")
    image.seek(frames[page])


@contextmanager
def _opened(path: str | os.PathLike[str], max_pixels: int, *, page: int = 0) -> Iterator[_Opened]:
    name = _one_line(path)
    try:
        with ExitStack() as stack:
            image: _Opened
            try:
                image = stack.enter_context(Image.open(path, formats=_READ_FORMATS))
                if page or _is_reduced(image):
                    _seek(image, page)
                if image.format == "TIFF" and misread_by_pillow(image):
                    image = open_tiff(path, page=page) or image
            except (UnidentifiedImageError, SyntaxError):  # the latter of a page that Pillow has no mode for
                stored = open_tiff(path, page=page) or open_heif(path, page=page) or open_array(path)
                if stored is None:
                    raise
                image = stored
            if image.width * image.height > max_pixels:
                raise ImageError(f"{name}: {image.width}x{image.height} is over the limit of {max_pixels:,} pixels")
            yield image
    except ImageError:
        raise
    except FileNotFoundError as error:
        raise ImageError(f"{name}: no such file") from error
    except IsADirectoryError as error:
        raise ImageError(f"{name}: is a folder, not an image") from error
    except UnidentifiedImageError as error:
        empty = os.path.isfile(path) and os.path.getsize(path) == 0
        kind = UNREAD_SUFFIXES.get(Path(path).suffix.lower())
        what = "the file is empty" if empty else f"is {kind}" if kind else "is not an image that can be read"
        raise ImageError(f"{name}: {what}") from error
    except Exception as error:  # Pillow's decoders raise nearly everything for a damaged file
        raise ImageError(f"{name}: cannot be read: {_reason(error)}") from error


def from_pil(image: Image.Image) -> Picture:
    """Convert a PIL image of any mode, as `read_image` does, with its EXIF orientation and ICC profile.

    Floats (mode F) and 32-bit integers (mode I) are measured values, but for integers in [0, 65535], which are 16-bit
    grey. An image that PIL opened from a file of 16-bit colour has 8 bits: `read_image` keeps them all.
    """
    image.load()  # before the orientation: a TIFF turns itself here, a PNG may store its EXIF behind the pixels
    orientation = _orientation(image.getexif)
    icc = image.info.get("icc_profile")

    has_alpha = image.has_transparency_data and image.mode not in _OPAQUE_MODES
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        values = np.asarray(image)[:, :, None]
        of_file = image.format is not None and _measured_type(image) is not None
        if image.mode == "F" or of_file or values.min() < 0 or values.max() > 65535:
            return Picture(pixels=_upright(values, orientation), bands=True)
        grey = values.astype(np.uint16)  # I;16B is big-endian
        alpha = np.where(grey == image.info["transparency"], 0, 65535) if has_alpha else grey[:, :, :0]
        # A profile says nothing of 32-bit values.
        icc = icc if image.mode.startswith("I;16") else None
        return _converted(grey, alpha.astype(np.uint16), icc, orientation=orientation)

    if image.mode not in ("CMYK", "LAB"):
        base = "L" if image.mode in _GREY_MODES else "RGB"
        target = base + "A" if has_alpha else base
        image = image if image.mode == target else image.convert(target)  # to its own mode would be a copy
    if not has_alpha:
        colour, profile = to_srgb(image, icc)
        pixels = _array(colour)
    else:
        colour, profile = to_srgb(image.convert(base), icc)
        pixels = _seen(np.concatenate([_array(colour), _array(image.getchannel("A"))], axis=2))
    return Picture(pixels=_upright(pixels, orientation), icc_profile=profile)


def _seen(pixels: np.ndarray) -> np.ndarray:
    """Pixels [H, W, 2 or 4] without their alpha where it is 0 everywhere: nobody saves an image to hide all of it."""
    return pixels if pixels[:, :, -1].any() else pixels[:, :, :-1]


def holds_colours(tiff: StoredTiff) -> bool:
    """Whether a TIFF holds grey or colours, perhaps with alpha, and not measured values or bands."""
    extra = tiff.samples - _STORED_COLOURS.get(tiff.photometric, tiff.samples + 1)
    known = tiff.dtype in (np.uint8, np.uint16) and tiff.nodata is None
    return known and (extra == 0 or (extra == 1 and tiff.extras[:1] != (UNSPECIFIED,)))


def stored_channels(tiff: StoredTiff) -> int:
    """Channels of the picture of a TIFF of colours, alpha counted."""
    colours = 1 if _STORED_COLOURS[tiff.photometric] == 1 else 3
    return colours + (tiff.samples > _STORED_COLOURS[tiff.photometric])


def stored_picture(tiff: StoredTiff, values: np.ndarray, *, alpha_counts: bool | None = None) -> Picture:
    """What values of a TIFF of colours, all or some of its rows, look like.

    Args:
        tiff: The file, of which `holds_colours`.
        values: [h, W, S], as `StoredTiff.rows` gives them.
        alpha_counts: Whether to keep alpha; unless given, it is where it is not 0 everywhere.
    """
    channels, num_colours = stored_channels(tiff), _STORED_COLOURS[tiff.photometric]
    if tiff.bits not in (8, 16):
        top = np.iinfo(values.dtype).max
        values = (values.astype(np.uint32) * top // (2**tiff.bits - 1)).astype(values.dtype)
    colour, alpha = values[:, :, :num_colours], values[:, :, num_colours:][:, :, : channels % 2 == 0]
    if alpha.size and tiff.extras[:1] == (PREMULTIPLIED,):
        colour = undo_premultiplied(colour, alpha)
    turn = tiff.orientation
    return _converted(colour, alpha, tiff.icc_profile, orientation=turn, alpha_counts=alpha_counts)


def _heif_picture(heif: StoredHeif) -> Picture:
    values, num_colours = heif.read(), 1 if heif.channels < 3 else 3
    colour, alpha = values[:, :, :num_colours], values[:, :, num_colours:]
    if heif.premultiplied:
        colour = undo_premultiplied(colour, alpha)
    return _converted(colour, alpha, heif.icc_profile, orientation=1)


def _converted(
    colour: np.ndarray, alpha: np.ndarray, icc: bytes | None, *, orientation: int, alpha_counts: bool | None = None
) -> Picture:
    """From [H, W, 1, 3 or (CMYK) 4] and [H, W, 0 or 1], uint8 or uint16, in the profile, as stored."""
    height, width, num_colours = colour.shape
    profile: bytes | None = None
    if colour.dtype == np.uint8:
        image = Image.frombytes({1: "L", 3: "RGB", 4: "CMYK"}[num_colours], (width, height), colour.tobytes())
        image, profile = to_srgb(image, icc)
        colour = _array(image)
    elif num_colours == 4:
        colour = deep_cmyk_to_srgb(colour, icc)
    else:
        colour, profile = deep_to_srgb(colour, icc)
    # Nobody saves an image to hide all of it: an alpha of 0 everywhere says nothing.
    if alpha_counts is None:
        alpha_counts = bool(alpha.any())
    pixels = np.concatenate([colour, alpha], axis=2) if alpha_counts else colour
    return Picture(pixels=_upright(pixels, orientation), icc_profile=profile)


def _upright(pixels: np.ndarray, orientation: int) -> np.ndarray:
    return _TURNS[orientation](pixels) if orientation in _TURNS else pixels


def to_pil(picture: Picture) -> Image.Image:
    """Convert to a PIL image: L, LA, RGB, RGBA, or I;16 for 16-bit grey (16-bit colour becomes 8 bits).

    One band of measured values becomes F, or I for integers; of several the first or the first three are shown.
    """
    if picture.bands and picture.channels == 1 and picture.pixels.dtype not in (np.uint8, np.uint16):
        kind = np.float32 if picture.pixels.dtype.kind == "f" else np.int32
        return Image.fromarray(picture.pixels[:, :, 0].astype(kind))
    picture = shown(picture)
    pixels = picture.pixels
    if picture.bits == 16 and picture.channels > 1:
        pixels = _to_bits(pixels, 8)
    return Image.fromarray(pixels[:, :, 0] if picture.channels == 1 else pixels)


def shown(picture: Picture, values: tuple[float, float] | None = None) -> Picture:
    """What an image of bands looks like: 16-bit grey or RGB of its first band or first three; others as they are.

    Args:
        picture: Any.
        values: Black and white; the picture's own, or the range of its values, unless given.
    """
    if not picture.bands:
        return picture
    pixels = picture.pixels[:, :, : 3 if picture.channels >= 3 else 1]
    if pixels.dtype in (np.uint8, np.uint16) and values is None and picture.values is None:
        return Picture(pixels=pixels)
    values = values or picture.values or find_range([sample(pixels, picture.nodata)]).values
    return Picture(pixels=np.rint(shares(pixels, values, picture.nodata) * 65535).astype(np.uint16))


def composite(picture: Picture, *, background: tuple[int, int, int] = (255, 255, 255)) -> Picture:
    """Lay a picture over a plain background and drop its alpha.

    Args:
        background: 8-bit RGB; a grey picture takes its luma.
    """
    if picture.alpha is None:
        return picture
    behind = np.array(background, np.uint8)[None, None]  # [1, 1, 3]
    behind = convert(behind, channels=picture.colour.shape[2], bits=picture.bits).astype(np.uint32)
    alpha, top = picture.alpha.astype(np.uint32), np.uint32(2**picture.bits - 1)
    mixed = (picture.colour * alpha + behind * (top - alpha) + top // 2) // top  # 65535^2 + 32767 < 2^32
    return Picture(pixels=mixed.astype(picture.pixels.dtype), icc_profile=picture.icc_profile)


def convert(pixels: np.ndarray, *, channels: int, bits: int) -> np.ndarray:
    """Convert colour pixels (no alpha) between grey and RGB, and between 8 and 16 bits.

    Grey is the Rec. 601 luma, 0.299 R + 0.587 G + 0.114 B; 16 bits are 257 times 8 bits; both are rounded.

    Args:
        pixels: [H, W, 1 or 3], uint8 or uint16.
        channels: 1 or 3.
        bits: 8 or 16.

    Returns:
        [H, W, channels], uint8 or uint16.
    """
    if pixels.shape[2] not in (1, 3) or channels not in (1, 3) or bits not in (8, 16):
        raise ValueError(
            f"expected 1 or 3 channels and 8 or 16 bits, not {pixels.shape[2]} to {channels} at {bits} bits"
        )
    if channels > pixels.shape[2]:
        pixels = np.repeat(pixels, 3, axis=2)
    elif channels < pixels.shape[2]:
        luma = (pixels.astype(np.uint32) @ np.array([299, 587, 114], np.uint32) + 500) // 1000  # [H, W]
        pixels = luma.astype(pixels.dtype)[:, :, None]
    return _to_bits(pixels, bits)


def write_image(
    path: str | os.PathLike[str], picture: Picture, *, quality: int | None = None, metadata: Metadata | None = None
) -> None:
    """Write a picture in the format that the file name asks for, beside the target and renamed.

    PNG, TIFF, WebP and AVIF keep alpha; JPEG and BMP composite it over white. PNG and TIFF keep 16 bits; all else is 8
    bits, rounded. TIFF and NPY keep measured values and bands in their own units; other formats hold one or three of
    them, with `picture.values` from black to white.
    `picture.icc_profile` is applied and embedded by all but BMP and NPY; where it does not fit the pixels (grey
    profile, RGB pixels), the file is plain sRGB without a profile.

    Args:
        path: .png, .jpg, .jpeg, .webp, .avif, .tif, .tiff or .bmp, in a folder that exists.
        quality: 1 to 100 for JPEG (95 if None), WebP (lossless if None) and AVIF (100 if None, which is within a few
            levels); the other formats are always lossless.
        metadata: EXIF and XMP to embed, in all but BMP, NPY and bands.

    Raises:
        ImageError: unknown suffix, unwritable folder, full disk, or a size that the format cannot hold.
    """
    path, name = Path(path), _one_line(path)
    file_format = _WRITE_FORMATS.get(path.suffix.lower())
    if file_format is None:
        raise ImageError(f"{name}: cannot write {path.suffix or 'no suffix'!r}; use one of {' '.join(_WRITE_FORMATS)}")
    if file_format != "NPY" and file_format not in Image.SAVE:
        raise ImageError(f"{name}: this Pillow cannot write {file_format}: pip install --upgrade pillow")
    if quality is not None and not 1 <= quality <= 100:
        raise ImageError(f"{name}: quality is 1 to 100, not {quality}")
    if not path.parent.is_dir():
        raise ImageError(f"{name}: cannot be written: the folder does not exist")
    temporary = path.with_name(f".{uuid.uuid4().hex}.tmp")
    try:
        try:
            temporary.write_bytes(_encode(picture, file_format, quality, metadata))
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)
    except (OSError, ValueError) as error:
        raise ImageError(f"{name}: cannot be written: {_reason(error)}") from error


def _encode(picture: Picture, file_format: str, quality: int | None, metadata: Metadata | None) -> bytes:
    if file_format == "NPY":
        buffer = io.BytesIO()
        np.save(buffer, picture.pixels[:, :, 0] if picture.channels == 1 else picture.pixels, allow_pickle=False)
        return buffer.getvalue()
    if picture.bands:
        if file_format == "TIFF":
            return encode_bands(picture.pixels, picture.nodata)
        if picture.channels not in (1, 3):
            raise ValueError(f"{picture.channels} bands fit into .tif and .npy alone")
        picture = shown(picture)
    if file_format in ("JPEG", "BMP"):
        picture = composite(picture)
    pixels, alpha, icc = picture.colour, picture.alpha, picture.icc_profile if file_format != "BMP" else None
    if picture.bits == 16 and file_format in ("PNG", "TIFF"):
        pixels, profile = deep_from_srgb(pixels, icc)
        if picture.channels > 1:
            encode = encode_png if file_format == "PNG" else encode_tiff
            return encode(pixels if alpha is None else np.concatenate([pixels, alpha], axis=2), profile, metadata)
        image = Image.fromarray(pixels[:, :, 0])
    else:
        image, profile = to_pil(Picture(pixels=_to_bits(pixels, 8))), None
        if icc is not None:
            image, profile = from_srgb(image, icc)
        if alpha is not None:
            image.putalpha(Image.fromarray(_to_bits(alpha, 8)[:, :, 0]))
    if metadata is not None and file_format == "TIFF":  # Pillow writes no Exif directory into a compressed one
        return encode_tiff(_array(image), profile, metadata)
    options: dict[str, object] = {"icc_profile": profile}
    if metadata is not None and file_format != "BMP":
        options["exif"] = metadata.exif
        if metadata.xmp is not None and file_format == "PNG":
            text = PngInfo()
            text.add_itxt(PNG_XMP, metadata.xmp.decode())
            options["pnginfo"] = text
        elif metadata.xmp is not None:
            options["xmp"] = metadata.xmp
    if file_format == "JPEG":
        # Full chroma resolution: label maps and drawings have hard colour edges.
        options |= {"quality": 95 if quality is None else quality, "subsampling": 0}
    elif file_format == "WEBP":
        options |= {"lossless": True, "exact": True} if quality is None else {"quality": quality}
    elif file_format == "AVIF":
        options |= {"quality": 100 if quality is None else quality, "subsampling": "4:4:4"}
    elif file_format == "PNG":
        options |= {"compress_level": 3}  # three times as fast as the default, files within 10 % of its size
    elif file_format == "TIFF":
        options |= {"compression": "tiff_lzw"}
    buffer = io.BytesIO()
    image.save(buffer, file_format, **options)
    return buffer.getvalue()


def list_images(folder: str | os.PathLike[str], *, recursive: bool = False) -> list[Path]:
    """List the image files of a folder in natural order (2.jpg before 10.jpg), links followed; none that are hidden.

    Raises:
        ImageError: the folder does not exist.
    """
    if not os.path.isdir(folder):
        raise ImageError(f"{_one_line(folder)}: no such folder")
    found: list[Path] = []
    for parent, folders, files in walk(folder):
        if not recursive:
            folders.clear()
        found += [path for path in (parent / name for name in files) if path.suffix.lower() in IMAGE_SUFFIXES]
    return sorted(found, key=natural_key)


def walk(
    folder: str | os.PathLike[str], *, on_error: Callable[[OSError], object] | None = None
) -> Iterator[tuple[Path, list[str], list[str]]]:
    """As `os.walk` from the top: each folder, the names of its folders, which may be pruned, and of its files.

    Links to folders are followed, but for those that lead back to a folder that they are in. Nothing hidden is listed.

    Args:
        folder: Where to start.
        on_error: Called for each folder that cannot be opened.
    """
    above = {Path(folder): folders_above(folder)}
    for name, folders, files in os.walk(folder, followlinks=True, onerror=on_error):
        parent = Path(name)
        inside = above.pop(parent) | {folder_identity(parent)}
        visible = [parent / child for child in folders if not child.startswith(".")]
        deeper = [child for child in visible if (found := folder_identity(child)) is None or found not in inside]
        above |= dict.fromkeys(deeper, inside)
        folders[:] = [child.name for child in deeper]
        yield parent, folders, [file for file in files if not file.startswith(".")]


def folders_above(folder: str | os.PathLike[str]) -> frozenset[tuple[int, int] | None]:
    """The identities of the folders that a folder lies in, by its name and, where links are in that, really."""
    folder = Path(folder)
    return frozenset(map(folder_identity, {*folder.absolute().parents, *folder.resolve().parents}))


def folder_identity(folder: Path) -> tuple[int, int] | None:
    """The same for two names of one folder; None where the disk does not tell."""
    try:
        status = folder.stat()
    except OSError:
        return None
    return (status.st_dev, status.st_ino) if status.st_ino else None


def natural_key(path: str | os.PathLike[str]) -> tuple[list[str | int], str]:
    """Sort key under which numbers inside names count as numbers."""
    text = os.fspath(path)
    pieces = re.split(r"(\d+)", text.casefold())  # text, digits, text, ...: the same kind meets at every place
    return [int(piece) if place % 2 else piece for place, piece in enumerate(pieces)], text


def _orientation(getexif: Callable[[], Image.Exif]) -> int:
    try:
        value = getexif().get(ExifTags.Base.Orientation, 1)
    except Exception:  # a broken EXIF block raises nearly everything and is no reason to refuse the pixels
        return 1
    return value if isinstance(value, int) and value in range(1, 9) else 1


def _to_bits(pixels: np.ndarray, bits: int) -> np.ndarray:
    if bits == 8 * pixels.itemsize:
        return pixels
    if bits == 16:
        return pixels.astype(np.uint16) * np.uint16(257)
    return ((pixels.astype(np.uint32) + 128) // 257).astype(np.uint8)


def _array(image: Image.Image) -> np.ndarray:
    pixels = np.asarray(image)  # read-only, and without another copy
    return pixels if pixels.ndim == 3 else pixels[:, :, None]


def _one_line(path: str | os.PathLike[str]) -> str:
    return os.fspath(path).replace("\n", " ").replace("\r", " ")


def _reason(error: BaseException) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    if isinstance(error, MemoryError):
        return "out of memory"
    return " ".join(str(error).split()) or type(error).__name__
