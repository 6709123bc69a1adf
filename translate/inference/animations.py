"""Animations (GIF, APNG, WebP, AVIF) and rows of image files as clips, by Pillow.

Times are in milliseconds. What a file cannot say exactly (GIF counts in hundredths of a second) is rounded so that
errors do not add up. Transparency is kept; GIF has none between all and nothing. A frame of at most 256 colours is
written to GIF with just these; others get a palette of their own and are dithered.

Legend: H height, W width.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from PIL import Image

from translate.checkpoint.atomic import make_folder, written_beside
from translate.config.errors import TranslateError
from translate.data.images import WRITABLE_SUFFIXES, ImageError, Picture, convert, read_image, write_image
from translate.data.profiles import to_srgb
from translate.inference.clips import RATE, Clip, ClipError, ClipWriter, Frame, Stored

MILLISECOND = Fraction(1, 1000)
AS_PLAYED, LEAST = 100, 10
"""Browsers show a frame of at most 10 ms for 100 ms."""
_STEPS = {".gif": 10}  # milliseconds, of what a file can say
_FORMATS = {".gif": "GIF", ".png": "PNG", ".apng": "PNG", ".webp": "WEBP", ".avif": "AVIF"}
_HALF = 128
_FORMATS_READ = tuple(sorted(set(_FORMATS.values())))


def is_animation(path: Path) -> bool:
    """Whether an image file has more than one frame that are shown one after the other."""
    try:
        with Image.open(path, formats=_FORMATS_READ) as image:
            return bool(getattr(image, "is_animated", False)) and image.n_frames > _hidden(image) + 1  # type: ignore[attr-defined]
    except Exception:  # Pillow's decoders raise nearly everything; reading the file will say what is wrong
        return False


def _hidden(image: Any) -> int:
    """Frames before the first that is shown: an APNG may hold another image for programs that show none."""
    return int(bool(getattr(image, "default_image", False)))


class AnimationReader(Clip):
    """A GIF, APNG, WebP or AVIF file of one frame or more.

    Raises:
        ClipError: it cannot be opened.
    """

    unit = MILLISECOND

    def __init__(self, path: Path, *, start: float = 0.0, end: float | None = None, every: int = 1) -> None:
        super().__init__(path, start=start, end=end, every=every)
        try:
            self._image: Any = Image.open(path, formats=_FORMATS_READ)
            self.width, self.height = self._image.size
            self._first = _hidden(self._image)
            self._count = int(getattr(self._image, "n_frames", 1))
            self.stored = self._count - self._first
        except Exception as error:  # Pillow's decoders raise nearly everything
            raise ClipError(f"{path}: cannot be read: {' '.join(str(error).split())}") from None
        self.loops = self._loops()
        self.rate = None
        self._icc = self._image.info.get("icc_profile")

    def _loops(self) -> int:
        """How often it is shown: a GIF that does not say is shown once, one that says n once more than that."""
        loop = self._image.info.get("loop")
        if self._image.format == "GIF":
            return 1 if loop is None else 0 if loop == 0 else int(loop) + 1
        return int(loop or 0)

    def close(self) -> None:
        """Close the file."""
        self._image.close()

    @property
    def expected(self) -> int | None:
        """How many frames there will be, where all are taken; None else, before their times are known."""
        whole = self.start == 0 and self.end is None and self.stored is not None
        return -(-self.stored // self.every) if whole and self.stored is not None else None

    def decoded(self) -> Iterator[Stored]:
        """Every frame; one that is damaged without pixels, and with it those after it."""
        time = 0
        for number in range(self._first, self._count):
            try:
                self._image.seek(number)
                self._image.load()
            except Exception as error:  # Pillow's decoders raise nearly everything
                reason = " ".join(str(error).split()) or type(error).__name__
                yield Stored(time=time, problem=reason)
                return
            duration = round(self._image.info.get("duration", 0) or 0)
            yield Stored(time=time, duration=duration, pixels=self._pixels)
            time += duration if duration > LEAST else AS_PLAYED

    def _pixels(self) -> np.ndarray:
        image = self._image.convert("RGBA")
        colour, _ = to_srgb(image.convert("RGB"), self._icc)
        alpha = np.asarray(image.getchannel("A"))
        pixels = np.asarray(colour.convert("RGB"))
        return pixels if alpha.min() == 255 else np.concatenate([pixels, alpha[:, :, None]], axis=2)


class ImagesReader(Clip):
    """Image files of one size, in their order, at an even rate. Deeper ones become 8 bits.

    Args:
        paths: At least one.
        rate: Frames a second.
        start: As of `Clip`.
        end: Likewise.
        every: Likewise.

    Raises:
        ClipError: the first cannot be read.
    """

    def __init__(
        self,
        paths: Sequence[Path],
        *,
        rate: Fraction = RATE,
        start: float = 0.0,
        end: float | None = None,
        every: int = 1,
    ) -> None:
        super().__init__(paths[0], start=start, end=end, every=every)
        self.paths, self.rate, self.unit = paths, rate, 1 / rate
        try:
            first = read_image(paths[0])
        except ImageError as error:
            raise ClipError(str(error)) from None
        self.width, self.height = first.size
        self.bits = first.bits
        self.seconds, self.stored = float(len(paths) / rate), len(paths)
        if self.height >= 720:
            self.matrix = "bt709"

    def decoded(self) -> Iterator[Stored]:
        """Every file; one that cannot be read without pixels."""
        for number, path in enumerate(self.paths):
            try:
                picture = read_image(path)
                if picture.bands:
                    raise ClipError(
                        f"{path}: measured values are no frame of a clip: translate the files by themselves"
                    )
            except ImageError as error:
                yield Stored(time=number, duration=1, problem=str(error).removeprefix(f"{path}: "))
                continue
            if picture.size != (self.width, self.height):
                width, height = picture.size
                raise ClipError(
                    f"{path}: {width}x{height} pixels, and {self.path} has {self.width}x{self.height}: "
                    "the frames of a clip have one size"
                )
            yield Stored(time=number, duration=1, pixels=lambda picture=picture: _rgb(picture))  # type: ignore[misc]


def _rgb(picture: Picture) -> np.ndarray:
    """[H, W, 3 or 4] uint8."""
    colour = convert(picture.colour, channels=3, bits=8)
    if picture.alpha is None:
        return colour
    alpha = picture.alpha if picture.bits == 8 else convert(picture.alpha, channels=1, bits=8)
    return np.concatenate([colour, alpha], axis=2)


def numbered_files(pattern: Path) -> list[Path]:
    """The files that a pattern such as frames/%05d.png names, by their numbers.

    Raises:
        ClipError: it is no such pattern, or there are none.
    """
    found = re.fullmatch(r"([^%]*)%0?(\d*)d([^%]*)", pattern.name)
    if found is None:
        raise ClipError(f"{pattern}: frames are named by a pattern such as %05d.png")
    before, digits, after = found.groups()
    least = max(1, int(digits or 1))
    wanted = re.compile(rf"{re.escape(before)}(\d{{{least},}}){re.escape(after)}")
    numbered = []
    if pattern.parent.is_dir():
        for path in pattern.parent.iterdir():
            if (match := wanted.fullmatch(path.name)) is not None:
                numbered.append((int(match[1]), path))
    if not numbered:
        raise ClipError(f"{pattern}: there are no such files")
    return [path for _, path in sorted(numbered)]


def frame_path(pattern: Path, number: int) -> Path:
    """The file of a frame, by a pattern such as frames/%05d.png.

    Raises:
        ClipError: it is no such pattern.
    """
    try:
        name = pattern.name % number
    except (TypeError, ValueError):
        name = pattern.name
    if name == pattern.name or Path(name).suffix.lower() not in WRITABLE_SUFFIXES:
        raise ClipError(f"{pattern}: frames are named by a pattern such as %05d.png")
    return pattern.with_name(name)


class ImagesWriter(ClipWriter):
    """Image files, numbered from 1; each whole or not there.

    Args:
        path: A pattern of their names, such as frames/%05d.png.
        quality: As of `write_image`.
    """

    def __init__(self, path: Path, *, quality: int | None = None) -> None:
        self.path, self.quality, self.lost, self._count = path, quality, [], 0
        frame_path(path, 1)

    def __enter__(self) -> ImagesWriter:
        make_folder(self.path.parent)
        return self

    def write(self, frame: Frame, pixels: np.ndarray) -> None:
        """Add a frame: `pixels` [H, W, C] uint8."""
        self._count += 1
        write_image(frame_path(self.path, self._count), Picture(pixels=pixels), quality=self.quality)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass


class AnimationWriter(ClipWriter):
    """A GIF, APNG, WebP or AVIF file. Its frames are held in memory until it ends.

    Args:
        path: The file; its ending decides the format.
        like: The clip that the frames are made of.
        quality: 1 to 100 for WebP (lossless if None) and AVIF (100 if None); without effect otherwise.
    """

    def __init__(self, path: Path, *, like: Clip, quality: int | None = None) -> None:
        self.path, self.like, self.quality = path, like, quality
        self.lost = []
        self._suffix = path.suffix.lower()
        self._images: list[Image.Image] = []
        self._times: list[tuple[int, int]] = []  # when, and for how long

    def __enter__(self) -> AnimationWriter:
        if _FORMATS[self._suffix] not in Image.SAVE:
            raise ClipError(f"{self.path}: this Pillow cannot write {self._suffix}: pip install --upgrade pillow")
        if self.like.sound is not None:
            self.lost.append(f"sound, which {self._suffix} cannot hold")
        return self

    def write(self, frame: Frame, pixels: np.ndarray) -> None:
        """Add a frame: `pixels` [H, W, 1, 3 or 4] uint8, shown when `frame` was."""
        if self._suffix == ".gif":
            self._images.append(_with_palette(pixels))
        else:
            self._images.append(Image.fromarray(pixels if pixels.shape[2] > 1 else pixels.repeat(3, axis=2)))
        self._times.append((frame.time, frame.duration))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._images and (error is None or isinstance(error, KeyboardInterrupt)):
            try:
                self._save()
            except (OSError, ValueError) as found:
                if isinstance(found, TranslateError):
                    raise
                raise ClipError(f"{self.path}: cannot be written: {' '.join(str(found).split())}") from None

    def _save(self) -> None:
        images = self._images
        if any("A" in image.getbands() for image in images) and self._suffix != ".gif":
            images = [image.convert("RGBA") for image in images]
        options: dict[str, Any] = {"duration": self._durations(), "append_images": images[1:], "save_all": True}
        loops = self.like.loops
        if self._suffix == ".gif":
            # Each frame whole: what is transparent in one would show the frame before it.
            options |= {"disposal": 2, "optimize": False} | ({} if loops == 1 else {"loop": max(0, loops - 1)})
        else:
            options["loop"] = loops
        if self._suffix in (".png", ".apng"):
            options |= {"blend": 0, "disposal": 0}
        elif self._suffix == ".webp":
            lossless = {"lossless": True, "exact": True}
            options |= lossless if self.quality is None else {"quality": self.quality}
        elif self._suffix == ".avif":
            options |= {"quality": 100 if self.quality is None else self.quality, "subsampling": "4:4:4"}
            options.pop("loop")
        if len(options["duration"]) == 1:
            options["duration"] = options["duration"][0]
        with written_beside(self.path) as beside, beside.open("wb") as file:
            images[0].save(file, _FORMATS[self._suffix], **options)

    def _durations(self) -> list[int]:
        """Milliseconds of each frame, as the file can say them: of times that are rounded, so that no error adds up."""
        step, unit = _STEPS.get(self._suffix, 1), self.like.unit
        if unit == MILLISECOND and step == 1:
            return [duration for _, duration in self._times]
        ends = [time for time, _ in self._times[1:]]
        last, duration = self._times[-1]
        usual = round(1 / (self.like.rate * unit)) * self.like.every if self.like.rate else 0
        ends.append(last + (duration or usual or AS_PLAYED))
        first = self._times[0][0]
        marks = [0, *(round((end - first) * unit / MILLISECOND / step) for end in ends)]
        durations = [(after - before) * step for before, after in pairwise(marks)]
        if unit == MILLISECOND:  # as it was, where the file can say so, though browsers show it for longer
            return [own if own % step == 0 else found for (_, own), found in zip(self._times, durations, strict=True)]
        return durations


def _with_palette(pixels: np.ndarray) -> Image.Image:
    """A frame of a GIF, of its own colours where they are at most 256, and else of a palette made for it.

    Args:
        pixels: [H, W, 1, 3 or 4] uint8; where alpha is below a half, nothing is shown.
    """
    clear = pixels[:, :, 3] < _HALF if pixels.shape[2] == 4 else None
    rgb = pixels[:, :, :3] if pixels.shape[2] > 1 else pixels.repeat(3, axis=2)
    room = 256 if clear is None else 255
    packed = rgb.astype(np.uint32) @ np.array([65536, 256, 1], np.uint32)  # [H, W]
    if clear is not None:
        packed = np.where(clear, packed[~clear][:1] if not clear.all() else 0, packed)
    found, places = np.unique(packed, return_inverse=True)
    if len(found) <= room:
        indices = places.reshape(packed.shape).astype(np.uint8)
        colours = np.stack([found >> 16, found >> 8 & 255, found & 255], axis=1).astype(np.uint8)
    else:
        image = Image.fromarray(np.ascontiguousarray(rgb))
        palette = image.quantize(room, method=Image.Quantize.MEDIANCUT)
        image = image.quantize(palette=palette, dither=Image.Dither.FLOYDSTEINBERG)
        indices = np.array(image)
        colours = np.array(image.getpalette() or [], np.uint8).reshape(-1, 3)[:room]
    if clear is not None:
        colours = np.concatenate([colours[:room], np.zeros((1, 3), np.uint8)])
        indices = np.where(clear, np.uint8(len(colours) - 1), indices)
    made = Image.fromarray(indices)
    made.putpalette(colours.tobytes())
    if clear is not None:
        made.info["transparency"] = len(colours) - 1
    return made
