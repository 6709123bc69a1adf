"""Image files in, upright sRGB pixels out, and back again.

Everything that a camera, a scanner or an editor put into a file is settled here, once: EXIF orientation, palettes,
CMYK, Lab, ICC profiles, transparency, 16-bit grey. Past this module an image is an array [H, W, C] of uint8 or uint16
in sRGB.

What Pillow cannot do, this module cannot either: 16-bit colour (RGB, RGBA, grey with alpha) is read and written as
8 bits; 16-bit grey keeps its depth.

Legend: H height, W width, C channels: 1 grey, 2 grey and alpha, 3 RGB, 4 RGB and alpha.
"""

import io
import logging
import os
import re
import uuid
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import ExifTags, Image, ImageCms, UnidentifiedImageError

MAX_PIXELS = 178_956_970
"""Largest image that is opened, in pixels: the limit at which Pillow itself refuses a decompression bomb."""

IMAGE_SUFFIXES = frozenset(
    {".png", ".apng", ".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".webp", ".tif", ".tiff"}
    | {".bmp", ".gif", ".ppm", ".pgm", ".pbm", ".pnm", ".jp2", ".avif"}
)
"""File name endings (lower case) that count as images when a folder is listed."""

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
}
WRITABLE_SUFFIXES = tuple(_WRITE_FORMATS)
"""What `write_image` takes."""

# ImageOps.exif_transpose also rewrites the EXIF block, which raises where the block is broken; only the turn is needed.
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_PROFILE_SPACES = {"L": "GRAY", "RGB": "RGB", "CMYK": "CMYK", "LAB": "Lab"}
_OPAQUE_MODES = ("I", "F", "CMYK", "LAB")
_GREY_MODES = ("1", "L", "LA", "La", "I", "F")

# Set once for the process: warnings.catch_warnings is not safe where many threads read at once.
warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)
logging.getLogger("PIL").setLevel(logging.CRITICAL)


class ImageError(ValueError):
    """An image cannot be read or written: one line that names the file and the reason."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Picture:
    """An upright image in sRGB."""

    pixels: np.ndarray
    """[H, W, C], uint8 or uint16, contiguous; alpha, where there is one, is last and not premultiplied."""
    icc_profile: bytes | None = None
    """The RGB or grey profile that the file carried. The pixels are already sRGB; `write_image` converts them back."""

    def __post_init__(self) -> None:
        shape, dtype = self.pixels.shape, self.pixels.dtype
        if len(shape) != 3 or not 1 <= shape[2] <= 4 or 0 in shape or dtype not in (np.uint8, np.uint16):
            raise ValueError(f"a picture is [H, W, 1 to 4] of uint8 or uint16, not {list(shape)} of {dtype}")
        object.__setattr__(self, "pixels", np.ascontiguousarray(self.pixels))

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) in pixels."""
        return self.pixels.shape[1], self.pixels.shape[0]

    @property
    def channels(self) -> int:
        """1 grey, 2 grey and alpha, 3 RGB, 4 RGB and alpha."""
        return self.pixels.shape[2]

    @property
    def bits(self) -> int:
        """8 or 16 bits a channel."""
        return 8 * self.pixels.itemsize

    @property
    def colour(self) -> np.ndarray:
        """The pixels without alpha, [H, W, 1 or 3]."""
        return self.pixels[:, :, : 1 if self.channels < 3 else 3]

    @property
    def alpha(self) -> np.ndarray | None:
        """[H, W, 1], or None for an image without transparency."""
        return self.pixels[:, :, -1:] if self.channels in (2, 4) else None


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


def read_image(path: str | os.PathLike[str], *, max_pixels: int = MAX_PIXELS) -> Picture:
    """Read the first frame of an image file, upright and in sRGB.

    Palettes, 1-bit, CMYK, YCbCr and Lab become grey or RGB, with alpha where the file has transparency; a broken ICC
    profile or EXIF block is ignored. 16-bit grey keeps its depth; 16-bit colour comes as 8 bits, since Pillow has no
    mode for it. 32-bit grey becomes 16-bit (see `from_pil`). Safe to call from many threads.

    Args:
        path: the file; its content decides the format, not its name.
        max_pixels: larger images are refused. Above `MAX_PIXELS`, raise `PIL.Image.MAX_IMAGE_PIXELS` as well.

    Raises:
        ImageError: the file is missing, empty, truncated, too large or no image.
    """
    with _opened(path, max_pixels) as image:
        return from_pil(image)


def read_header(path: str | os.PathLike[str]) -> ImageHeader:
    """Read size, channels and depth as `read_image` would give them, without decoding pixels (well under 1 ms a file).

    An orientation that a PNG stores behind its pixels is not seen.

    Raises:
        ImageError: the file is missing, empty, too large or no image. A truncated one may pass.
    """
    with _opened(path, MAX_PIXELS) as image:
        width, height = image.size
        # A TIFF's size is upright already; PngImageFile.getexif would decode the pixels, its base class does not.
        if image.format != "TIFF" and _orientation(lambda: Image.Image.getexif(image)) >= 5:
            width, height = height, width
        deep = image.mode in ("I", "F") or image.mode.startswith("I;16")
        alpha = image.has_transparency_data and image.mode not in _OPAQUE_MODES
        channels = (1 if deep or image.mode in _GREY_MODES else 3) + alpha
        return ImageHeader(width=width, height=height, channels=channels, bits=16 if deep else 8, alpha=alpha)


@contextmanager
def _opened(path: str | os.PathLike[str], max_pixels: int) -> Iterator[Image.Image]:
    name = _one_line(path)
    try:
        with Image.open(path, formats=_READ_FORMATS) as image:
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
        raise ImageError(f"{name}: {'the file is empty' if empty else 'is not an image that can be read'}") from error
    except Exception as error:  # Pillow's decoders raise nearly everything for a damaged file
        raise ImageError(f"{name}: cannot be read: {_reason(error)}") from error


def from_pil(image: Image.Image) -> Picture:
    """Convert a PIL image of any mode, as `read_image` does, with its EXIF orientation and ICC profile.

    32-bit grey becomes 16-bit: integers in [0, 65535] are kept; floats in [0, 1] or [0, 255] use the full range;
    any other range is stretched from its smallest to its largest value.
    """
    image.load()  # before the orientation: a TIFF turns itself here, a PNG may store its EXIF behind the pixels
    turn = _TURNS.get(_orientation(image.getexif))
    icc = image.info.get("icc_profile")
    if turn is not None:
        image = image.transpose(turn)

    has_alpha = image.has_transparency_data and image.mode not in _OPAQUE_MODES
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        grey = _to_uint16(np.asarray(image))[:, :, None]
        if not has_alpha:
            return Picture(pixels=grey)
        alpha = np.where(grey == image.info["transparency"], 0, 65535).astype(np.uint16)
        return Picture(pixels=np.concatenate([grey, alpha], axis=2))

    if image.mode not in ("CMYK", "LAB"):
        base = "L" if image.mode in _GREY_MODES else "RGB"
        target = base + "A" if has_alpha else base
        image = image if image.mode == target else image.convert(target)  # to its own mode would be a copy
    if not has_alpha:
        colour, profile = _to_srgb(image, icc)
        return Picture(pixels=_array(colour), icc_profile=profile)
    colour, profile = _to_srgb(image.convert(base), icc)
    return Picture(pixels=np.concatenate([_array(colour), _array(image.getchannel("A"))], axis=2), icc_profile=profile)


def to_pil(picture: Picture) -> Image.Image:
    """Convert to a PIL image: L, LA, RGB, RGBA, or I;16 for 16-bit grey (16-bit colour becomes 8 bits)."""
    pixels = picture.pixels
    if picture.bits == 16 and picture.channels > 1:
        pixels = _to_bits(pixels, 8)
    return Image.fromarray(pixels[:, :, 0] if picture.channels == 1 else pixels)


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


def write_image(path: str | os.PathLike[str], picture: Picture, *, quality: int | None = None) -> None:
    """Write a picture in the format that the file name asks for, beside the target and renamed.

    PNG, TIFF and WebP keep alpha; JPEG and BMP composite it over white. PNG and TIFF keep 16-bit grey; all else is
    8 bits. `picture.icc_profile` is applied and embedded by PNG, TIFF, WebP and JPEG; where it does not fit the
    pixels (grey profile, RGB pixels; 16 bits), the file is plain sRGB without a profile.

    Args:
        path: .png, .jpg, .jpeg, .webp, .tif, .tiff or .bmp, in a folder that exists.
        quality: 1 to 100 for JPEG (95 if None) and WebP (lossless if None); the other formats are always lossless.

    Raises:
        ImageError: unknown suffix, unwritable folder, full disk, or a size that the format cannot hold.
    """
    path, name = Path(path), _one_line(path)
    file_format = _WRITE_FORMATS.get(path.suffix.lower())
    if file_format is None:
        raise ImageError(f"{name}: cannot write {path.suffix or 'no suffix'!r}; use one of {' '.join(_WRITE_FORMATS)}")
    if quality is not None and not 1 <= quality <= 100:
        raise ImageError(f"{name}: quality is 1 to 100, not {quality}")
    if not path.parent.is_dir():
        raise ImageError(f"{name}: cannot be written: the folder does not exist")
    temporary = path.with_name(f".{uuid.uuid4().hex}.tmp")
    try:
        try:
            temporary.write_bytes(_encode(picture, file_format, quality))
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)
    except (OSError, ValueError) as error:
        raise ImageError(f"{name}: cannot be written: {_reason(error)}") from error


def _encode(picture: Picture, file_format: str, quality: int | None) -> bytes:
    if file_format in ("JPEG", "BMP"):
        picture = composite(picture)
    pixels, alpha = picture.colour, picture.alpha
    if picture.bits == 16 and (alpha is not None or file_format not in ("PNG", "TIFF")):
        pixels = _to_bits(pixels, 8)
    image, profile = to_pil(Picture(pixels=pixels)), None
    if picture.icc_profile is not None and file_format != "BMP":
        image, profile = _from_srgb(image, picture.icc_profile)
    if alpha is not None:
        image.putalpha(Image.fromarray(_to_bits(alpha, 8)[:, :, 0]))
    options: dict[str, object] = {"icc_profile": profile}
    if file_format == "JPEG":
        # Full chroma resolution: label maps and drawings have hard colour edges.
        options |= {"quality": 95 if quality is None else quality, "subsampling": 0}
    elif file_format == "WEBP":
        options |= {"lossless": True, "exact": True} if quality is None else {"quality": quality}
    elif file_format == "PNG":
        options |= {"compress_level": 3}  # three times as fast as the default, files within 10 % of its size
    elif file_format == "TIFF":
        options |= {"compression": "tiff_lzw"}
    buffer = io.BytesIO()
    image.save(buffer, file_format, **options)
    return buffer.getvalue()


def list_images(folder: str | os.PathLike[str], *, recursive: bool = False) -> list[Path]:
    """List the image files of a folder in natural order (2.jpg before 10.jpg), without hidden files and folders.

    Raises:
        ImageError: the folder does not exist.
    """
    if not os.path.isdir(folder):
        raise ImageError(f"{_one_line(folder)}: no such folder")
    found: list[Path] = []
    for parent, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if recursive and not name.startswith(".")]
        suffixed = (Path(parent, name) for name in files if not name.startswith("."))
        found += [path for path in suffixed if path.suffix.lower() in IMAGE_SUFFIXES]
    return sorted(found, key=natural_key)


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


def _to_uint16(values: np.ndarray) -> np.ndarray:
    if values.dtype.kind == "u":
        return values.astype(np.uint16)  # I;16B is big-endian
    values = np.nan_to_num(values.astype(np.float64), posinf=0.0, neginf=0.0)
    low, high = float(values.min()), float(values.max())
    if low < 0 or high > 65535:
        values = (values - low) * (65535 / (high - low))
    elif np.any(values % 1):  # integers stored as floats keep their values
        values = values * (65535 if high <= 1 else 257 if high <= 255 else 1)
    return np.rint(values).astype(np.uint16)


def _to_bits(pixels: np.ndarray, bits: int) -> np.ndarray:
    if bits == 8 * pixels.itemsize:
        return pixels
    if bits == 16:
        return pixels.astype(np.uint16) * np.uint16(257)
    return ((pixels.astype(np.uint32) + 128) // 257).astype(np.uint8)


def _array(image: Image.Image) -> np.ndarray:
    pixels = np.array(image)
    return pixels if pixels.ndim == 3 else pixels[:, :, None]


def _to_srgb(image: Image.Image, icc: bytes | None) -> tuple[Image.Image, bytes | None]:
    """L, RGB, CMYK or LAB to L or RGB in sRGB, and the profile if it can be embedded again."""
    output_mode = "L" if image.mode == "L" else "RGB"
    try:
        if icc:
            source = ImageCms.ImageCmsProfile(io.BytesIO(icc))
            if source.profile.xcolor_space.strip() == _PROFILE_SPACES[image.mode]:
                converted = _transform(image, source, ImageCms.createProfile("sRGB"), "RGB")
                # The three channels of a converted grey image are equal.
                return (converted.getchannel("G") if output_mode == "L" else converted), (
                    icc if image.mode == output_mode else None
                )
    except (ImageCms.PyCMSError, OSError, ValueError):
        pass
    if image.mode == "LAB":
        return _transform(image, ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB"), "RGB"), None
    return image if image.mode == output_mode else image.convert(output_mode), None


def _from_srgb(image: Image.Image, icc: bytes) -> tuple[Image.Image, bytes | None]:
    """L or RGB in sRGB into the profile; unchanged and without one where that does not work."""
    try:
        target = ImageCms.ImageCmsProfile(io.BytesIO(icc))
        if target.profile.xcolor_space.strip() == _PROFILE_SPACES.get(image.mode):
            return _transform(image.convert("RGB"), ImageCms.createProfile("sRGB"), target, image.mode), icc
    except (ImageCms.PyCMSError, OSError, ValueError):
        pass
    return image, None


def _transform(image: Image.Image, source: object, target: object, mode: str) -> Image.Image:
    converted = ImageCms.profileToProfile(
        image,
        source,  # type: ignore[arg-type]
        target,  # type: ignore[arg-type]
        renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
        outputMode=mode,
        flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
    )
    assert converted is not None  # only in-place conversion returns None
    return converted


def _one_line(path: str | os.PathLike[str]) -> str:
    return os.fspath(path).replace("\n", " ").replace("\r", " ")


def _reason(error: BaseException) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    if isinstance(error, MemoryError):
        return "out of memory"
    return " ".join(str(error).split()) or type(error).__name__
