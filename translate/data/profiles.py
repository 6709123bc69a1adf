"""ICC profiles: what a file carries into sRGB, and sRGB back into it, at 8 and at 16 bits.

8-bit images go through Little CMS, as Pillow brings it. Pillow hands it no colour of 16 bits, so at that depth the
common profiles (tone curves and, for RGB, a matrix: sRGB, Adobe RGB, Display P3, ProPhoto, the grey ones) are computed
here from the curves and the matrix themselves, within 1 of 65535 of what Little CMS makes of floats. For profiles that
hold tables instead, Little CMS converts the 8-bit neighbours of every colour, and the rest is interpolation: the
gradation of 16 bits at the accuracy of 8. (The one small binding to all of Little CMS, python-lcms2, is under the GPL.)

Source: ICC.1:2022, sections 8.3 and 8.4 (three-component matrix-based and monochrome profiles), 10.6 and 10.18
(curveType, parametricCurveType).
"""

from __future__ import annotations

import io
import struct
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import product
from typing import Any

import numpy as np
from PIL import Image, ImageCms

_SPACES = {"L": "GRAY", "RGB": "RGB", "CMYK": "CMYK", "LAB": "Lab"}
_MODES = {1: "L", 3: "RGB", 4: "CMYK"}
_RENDERING: dict[str, Any] = {
    "renderingIntent": ImageCms.Intent.RELATIVE_COLORIMETRIC,
    "flags": ImageCms.Flags.BLACKPOINTCOMPENSATION,
}
_PROFILE_ERRORS = (ImageCms.PyCMSError, OSError, ValueError)
_VALUES = 65536
_FINE = (
    2**18
)  # entries of a table from light to values; in the root of the light, where tone curves are nearly straight
_ROWS = 2**16  # colours that are converted at a time, so that they stay in the processor's cache
_MANY_ROWS = 2**20  # ... and by Little CMS, which prepares itself for each call


_PRIMARIES = {
    9: ((0.67348, 0.27904, -0.00194), (0.16566, 0.67535, 0.02998), (0.12505, 0.04561, 0.79686)),  # BT.2020
    12: ((0.51512, 0.24120, -0.00105), (0.29198, 0.69225, 0.04189), (0.15710, 0.06657, 0.78407)),  # Display P3
}
"""Red, green and blue in XYZ, adapted to D50, by the numbers of ITU-T H.273 (8.1)."""


@lru_cache
def coded_profile(primaries: int) -> bytes | None:
    """An ICC profile of the primaries that a video format names by a number, with the tone curve of sRGB; None for
    sRGB's own, and for those that are not known.

    Args:
        primaries: As in ITU-T H.273, table 2: 1 is sRGB, 9 is BT.2020, 12 is Display P3.
    """
    if primaries not in _PRIMARIES:
        return None
    data = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    (count,) = struct.unpack_from(">I", data, 128)
    tags = {name: place for name, place, _ in struct.iter_unpack(">4sII", data[132 : 132 + 12 * count])}
    for name, colour in zip((b"rXYZ", b"gXYZ", b"bXYZ"), _PRIMARIES[primaries], strict=True):
        struct.pack_into(">3i", data, tags[name] + 8, *(round(value * 65536) for value in colour))
    struct.pack_into(">16s", data, 84, b"")  # the digest of what it was
    return bytes(data)


def to_srgb(image: Image.Image, icc: bytes | None) -> tuple[Image.Image, bytes | None]:
    """L, RGB, CMYK or LAB to L or RGB in sRGB, and the profile if it can be embedded again."""
    output_mode = "L" if image.mode == "L" else "RGB"
    try:
        if icc and (source := _fitting(icc, image.mode)) is not None:
            converted = _transform(image, source, _srgb_profile(), "RGB")
            # The three channels of a converted grey image are equal.
            return (converted.getchannel("G") if output_mode == "L" else converted), (
                icc if image.mode == output_mode else None
            )
    except _PROFILE_ERRORS:
        pass
    if image.mode == "LAB":
        return _transform(image, ImageCms.createProfile("LAB"), _srgb_profile(), "RGB"), None
    return image if image.mode == output_mode else image.convert(output_mode), None


def from_srgb(image: Image.Image, icc: bytes) -> tuple[Image.Image, bytes | None]:
    """L or RGB in sRGB into the profile; unchanged and without one where that does not work."""
    try:
        if (target := _fitting(icc, image.mode)) is not None:
            return _transform(image.convert("RGB"), _srgb_profile(), target, image.mode), icc
    except _PROFILE_ERRORS:
        pass
    return image, None


def deep_to_srgb(pixels: np.ndarray, icc: bytes | None) -> tuple[np.ndarray, bytes | None]:
    """[H, W, 1 or 3] uint16 to sRGB, and the profile; unchanged and without one where there is none that fits."""
    return _deep(pixels, icc, inward=True)


def deep_cmyk_to_srgb(pixels: np.ndarray, icc: bytes | None) -> np.ndarray:
    """[H, W, 4] uint16, full ink at 65535, to [H, W, 3] uint16 in sRGB; without a profile that fits, plain inks."""
    try:
        if icc and (source := _fitting(icc, "CMYK")) is not None:
            transform = ImageCms.buildTransform(source, _srgb_profile(), "CMYK", "RGB", **_RENDERING)  # takes 0.3 s

            def convert(image: Image.Image) -> tuple[Image.Image, bytes | None]:
                converted = ImageCms.applyTransform(image, transform)
                assert converted is not None  # only in-place conversion returns None
                return converted, icc

            return _by_neighbours(pixels, convert)[0]
    except _PROFILE_ERRORS:
        pass
    paper = (65535 - pixels).astype(np.uint32)
    return ((paper[:, :, :3] * paper[:, :, 3:] + 32767) // 65535).astype(np.uint16)


def deep_from_srgb(pixels: np.ndarray, icc: bytes | None) -> tuple[np.ndarray, bytes | None]:
    """[H, W, 1 or 3] uint16 in sRGB into the profile; unchanged and without one where there is none that fits."""
    return _deep(pixels, icc, inward=False)


def _deep(pixels: np.ndarray, icc: bytes | None, *, inward: bool) -> tuple[np.ndarray, bytes | None]:
    mode = _MODES[pixels.shape[2]]
    try:
        if not icc or _fitting(icc, mode) is None:
            return pixels, None
        other, srgb = _tones(icc), _srgb_tones(mode)
        if other is not None:
            return _between(pixels, *((other, srgb) if inward else (srgb, other))), icc
        convert = to_srgb if inward else from_srgb
        return _by_neighbours(pixels, lambda image: convert(image, icc))
    except _PROFILE_ERRORS:
        return pixels, None


def _fitting(icc: bytes, mode: str) -> ImageCms.ImageCmsProfile | None:
    """The profile, if it is one of the mode's colour space."""
    profile = ImageCms.ImageCmsProfile(io.BytesIO(icc))
    return profile if profile.profile.xcolor_space.strip() == _SPACES.get(mode) else None


def _srgb_profile() -> ImageCms.ImageCmsProfile:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))


def _transform(image: Image.Image, source: object, target: object, mode: str) -> Image.Image:
    converted = ImageCms.profileToProfile(
        image,
        source,  # type: ignore[arg-type, return-value]
        target,  # type: ignore[arg-type, return-value]
        outputMode=mode,
        **_RENDERING,
    )
    assert converted is not None  # only in-place conversion returns None
    return converted


@dataclass(frozen=True, kw_only=True, eq=False)
class _Tones:
    """A profile of tone curves and, for RGB, a matrix."""

    light: np.ndarray
    """[1 or 3, 65536] float32, rising: the linear light of each value, 0 to 1."""
    matrix: np.ndarray | None
    """[3, 3]: linear RGB to XYZ at D50; None for grey."""

    @property
    def black(self) -> float:
        """The luminance of black, 0 to 1; Little CMS, too, takes no more than that of L* = 50."""
        light = self.light[:, 0].astype(np.float64)
        return float(np.clip(light[0] if self.matrix is None else self.matrix[1] @ light, 0, 0.184))

    @cached_property
    def values(self) -> np.ndarray:
        """[1 or 3, 2 ** 18 + 1] uint16: the value of each light, by the root of the light."""
        light = np.linspace(0, 1, _FINE + 1) ** 2
        steps = np.arange(_VALUES)
        return np.stack([np.rint(np.interp(light, curve, steps)) for curve in self.light]).astype(np.uint16)


@lru_cache(maxsize=8)  # a folder of images has one profile, or a few
def _tones(icc: bytes) -> _Tones | None:
    """Read a profile's curves and matrix; None where it has tables, or anything that is not understood."""
    try:
        tags = _tags(icc)
        if any(name.startswith((b"A2B", b"B2A", b"D2B", b"B2D")) for name in tags):  # Little CMS prefers them as well
            return None
        if icc[16:20] == b"GRAY":
            curve = _curve(tags[b"kTRC"])
            # With Lab as the connection space, the curve gives the lightness L*.
            curve = _light_of_lightness(curve) if icc[20:24] == b"Lab " else curve
            return _Tones(light=curve[None], matrix=None)
        matrix = np.stack([_xyz(tags[name]) for name in (b"rXYZ", b"gXYZ", b"bXYZ")], axis=1)
        np.linalg.inv(matrix)
        return _Tones(light=np.stack([_curve(tags[name]) for name in (b"rTRC", b"gTRC", b"bTRC")]), matrix=matrix)
    except (KeyError, IndexError, ValueError, struct.error):  # LinAlgError is a ValueError
        return None


@lru_cache(maxsize=2)
def _srgb_tones(mode: str) -> _Tones:
    tones = _tones(_srgb_profile().tobytes())
    assert tones is not None
    return tones if mode == "RGB" else _Tones(light=tones.light[:1], matrix=None)


def _tags(icc: bytes) -> dict[bytes, bytes]:
    (count,) = struct.unpack_from(">I", icc, 128)
    tags = {}
    for number in range(min(count, 100)):
        name, offset, size = struct.unpack_from(">4sII", icc, 132 + 12 * number)
        tags[name] = icc[offset : offset + size]
    return tags


def _xyz(tag: bytes) -> np.ndarray:
    return np.array(struct.unpack_from(">3i", tag, 8)) / 65536


def _curve(tag: bytes) -> np.ndarray:
    """[65536] float32: the light of each value."""
    x = np.linspace(0, 1, _VALUES)
    with np.errstate(all="ignore"):
        if tag[:4] == b"curv":
            (count,) = struct.unpack_from(">I", tag, 8)
            points = np.frombuffer(tag, ">u2", count, 12).astype(np.float64)
            if count == 1:
                y = x ** (points[0] / 256)
            else:
                y = np.interp(x, np.linspace(0, 1, count), points / 65535) if count else x
        elif tag[:4] == b"para":
            y = _parametric(tag, x)
        else:
            raise ValueError("a curve of another type")
    if not np.isfinite(y).all():
        raise ValueError("a curve that is not finite")
    return np.maximum.accumulate(np.clip(y, 0, 1)).astype(np.float32)


def _parametric(tag: bytes, x: np.ndarray) -> np.ndarray:
    (kind,) = struct.unpack_from(">H", tag, 8)
    count = (1, 3, 4, 5, 7)[kind]
    parameters = np.array([0, 1, 0, 0, 0, 0, 0], np.float64)
    parameters[:count] = np.frombuffer(tag, ">i4", count, 12) / 65536
    gamma, a, b, c, d, e, f = parameters
    power = np.maximum(a * x + b, 0) ** gamma
    if kind < 3:  # a power above -b / a, and nothing below; c is added to both
        return np.where(x >= -b / a, power, 0) + c
    return np.where(x >= d, power + e, c * x + f)


def _light_of_lightness(curve: np.ndarray) -> np.ndarray:
    """CIE L*, as a share of 100, to Y."""
    return np.where(curve > 0.08, ((curve + 0.16) / 1.16) ** 3, curve * (2700 / 24389)).astype(np.float32)


def _between(pixels: np.ndarray, source: _Tones, target: _Tones) -> np.ndarray:
    """[H, W, 1 or 3] uint16 from one profile to another; what lies outside the target's colours is clipped."""
    flat = pixels.reshape(-1, pixels.shape[2])
    output = np.empty_like(flat)
    mix = None
    if source.matrix is not None and target.matrix is not None:
        mix = (np.linalg.inv(target.matrix) @ source.matrix).astype(np.float32).T
    # Black point compensation: black becomes black, and white stays white.
    scale = np.float32((1 - target.black) / (1 - source.black))
    shift = np.float32((target.black - source.black) / (1 - source.black))
    channels = range(pixels.shape[2])
    for start in range(0, len(flat), _ROWS):
        part = flat[start : start + _ROWS]
        light = np.stack([source.light[channel][part[:, channel]] for channel in channels], axis=1)
        light = (light if mix is None else light @ mix) * scale + shift
        places = np.rint(np.sqrt(np.clip(light, 0, 1)) * np.float32(_FINE)).astype(np.int32)
        for channel in channels:
            output[start : start + _ROWS, channel] = target.values[channel][places[:, channel]]
    return output.reshape(pixels.shape)


def _by_neighbours(
    pixels: np.ndarray, convert: Callable[[Image.Image], tuple[Image.Image, bytes | None]]
) -> tuple[np.ndarray, bytes | None]:
    """[H, W, 1, 3 or 4] uint16: convert the 2, 8 or 16 nearest colours of 8 bits, and interpolate between them.

    CMYK becomes RGB.
    """
    height, width, channels = pixels.shape
    output, profile = np.empty((height, width, min(channels, 3)), np.uint16), None
    num_rows = max(1, _MANY_ROWS // width)
    for start in range(0, height, num_rows):
        part = pixels[start : start + num_rows]
        low = np.minimum(part // 257, 254).astype(np.uint8)
        shares = np.moveaxis((part - low * np.uint16(257)).astype(np.float32) / 257, -1, 0)
        total = np.zeros((*part.shape[:2], output.shape[2]), np.float32)
        for corner in product((0, 1), repeat=channels):
            colours = low + np.array(corner, np.uint8)
            image, profile = convert(Image.frombytes(_MODES[channels], (width, len(part)), colours.tobytes()))
            if profile is None:
                return pixels, None
            weight = np.full(part.shape[:2], 257, np.float32)
            for side, share in zip(corner, shares, strict=True):
                weight *= share if side else 1 - share
            total += np.asarray(image).reshape(total.shape) * weight[:, :, None]
        output[start : start + num_rows] = np.rint(total)
    return output, profile
