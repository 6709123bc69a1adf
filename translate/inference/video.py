"""Video files as clips: upright RGB frames, and back again, with their times and their sound.

Frames keep their times exactly, at any rate and at varying ones; sound is copied as it is; rotation is applied: frames
are upright. The colour matrix and range of the input are those of the output. Conversions round accurately: without
that, white comes back as (253, 255, 253). H.264 and VP9 are written with half the resolution of colour, as players
expect; H.264 of an odd width or height has no such form and is written with all of it.

Needs PyAV, which brings FFmpeg's libraries. Legend: H height, W width.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from fractions import Fraction
from functools import partial
from itertools import pairwise
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from translate.checkpoint.atomic import written_beside
from translate.data.images import Picture, composite
from translate.inference.clips import Clip, ClipError, ClipWriter, Frame, Stored

INSTALL = "pip install 'image-translate[video]'"
_CODECS = {".mp4": "libx264", ".mov": "libx264", ".m4v": "libx264", ".mkv": "libx264", ".webm": "libvpx-vp9"}
_FORMATS = {".mp4": "mp4", ".mov": "mov", ".m4v": "mp4", ".mkv": "matroska", ".webm": "webm"}
_MATRICES = {1: "bt709", 4: "fcc", 5: "bt601", 6: "bt601", 7: "smpte240m", 9: "bt2020"}
_HIGH_DEFINITION = 720  # rows, from which on BT.709 is meant where nothing is said
_FULL = 2  # colour range
_FLAGS = "flags=accurate_rnd+full_chroma_int+full_chroma_inp+bicubic"


def _av() -> Any:
    try:
        import av
    except ModuleNotFoundError:
        raise ClipError(f"video needs PyAV: {INSTALL}") from None
    av.logging.set_level(av.logging.PANIC)  # what goes wrong is raised as well
    return av


class VideoReader(Clip):
    """The first video stream of a file; arguments and attributes as of `Clip`.

    Raises:
        ClipError: PyAV is missing, or the file has no frames that can be decoded.
    """

    def __init__(self, path: Path, *, start: float = 0.0, end: float | None = None, every: int = 1) -> None:
        super().__init__(path, start=start, end=end, every=every)
        av = _av()
        try:
            self.container = av.open(str(path))
        except (av.FFmpegError, OSError) as error:
            raise ClipError(f"{path}: {_reason(error)}") from None
        try:
            if not self.container.streams.video:
                raise ClipError(f"{path}: there is no video in it")
            self.stream = self.container.streams.video[0]
            self.stream.thread_type = "AUTO"
            self.unit = self.stream.time_base or Fraction(1, 90_000)
            self.rate = self.stream.average_rate or self.stream.guessed_rate
            first = self._first()
        except BaseException:
            self.container.close()
            raise
        self._coded = first.width, first.height
        self._turns = round(first.rotation / 90) % 4  # counter-clockwise
        self.width, self.height = self._coded if self._turns % 2 == 0 else self._coded[::-1]
        self.matrix = _MATRICES.get(first.colorspace) or ("bt709" if first.height >= _HIGH_DEFINITION else "bt601")
        full = first.color_range == _FULL or first.format.name.startswith("yuvj")
        self.range = "pc" if full else "tv"
        self.origin = self.stream.start_time or 0
        self.stored = self.stream.frames or None
        self.bits = first.format.components[0].bits
        if self.stream.duration:
            self.seconds = float(self.stream.duration * self.unit)
        elif self.container.duration:
            self.seconds = self.container.duration / 1_000_000
        self.sound = path if self.container.streams.audio else None
        self._graph: Any = None

    def close(self) -> None:
        """Close the file."""
        self.container.close()

    def _first(self) -> Any:
        av = _av()
        with suppress(av.FFmpegError, StopIteration):
            for packet in self.container.demux(self.stream):
                with suppress(av.FFmpegError):
                    for frame in packet.decode():
                        self._rewind()
                        return frame
        raise ClipError(f"{self.path}: it has no frames that can be decoded: it is empty, truncated or no video")

    def _rewind(self) -> None:
        av = _av()
        try:
            self.container.seek(0)
        except av.FFmpegError:  # a stream that cannot be sought in
            self.container.close()
            self.container = av.open(str(self.path))
            self.stream = self.container.streams.video[0]

    def decoded(self) -> Iterator[Stored]:
        """Every frame; those that cannot be decoded without pixels."""
        for number, (frame, problem) in enumerate(self._decoded()):
            if frame is None:
                yield Stored(problem=problem)
                continue
            pixels = partial(self._upright, frame, number)
            yield Stored(time=frame.pts, duration=int(frame.duration or 0), pixels=pixels, problem=problem)

    def _decoded(self) -> Iterator[tuple[Any, str | None]]:
        """Frames, or why there is none."""
        av = _av()
        packets = self.container.demux(self.stream)
        while True:
            try:
                packet = next(packets)
            except StopIteration:
                return
            except av.FFmpegError:
                return  # the end of a truncated file
            try:
                found = packet.decode()
            except av.EOFError:
                continue
            except av.FFmpegError as error:
                yield None, _reason(error)
                continue
            for frame in found:
                yield frame, "it is corrupt" if frame.is_corrupt else None

    def _upright(self, frame: Any, number: int) -> np.ndarray:
        if (frame.width, frame.height) != self._coded:
            raise ClipError(
                f"{self.path}: frame {number} has {frame.width}x{frame.height} pixels and those before it "
                f"{self._coded[0]}x{self._coded[1]}: cut the clip there, for example by --end"
            )
        if self._graph is None:
            source = f"{_FLAGS}:in_color_matrix={self.matrix}:in_range={self.range}"
            rgb = frame.format.is_rgb or frame.format.name == "pal8"
            self._graph = _scaler(*self._coded, frame.format.name, _FLAGS if rgb else source, "rgb24")
        time, frame.time_base = frame.pts, self.unit
        frame.pts = 0  # the graph passes it on
        self._graph.push(frame)
        pixels = self._graph.pull().to_ndarray()
        frame.pts = time
        return np.ascontiguousarray(np.rot90(pixels, self._turns)) if self._turns else pixels


class VideoWriter(ClipWriter):
    """A video of the frames that are written to it, with the sound of another.

    Args:
        path: The file; its ending, of `WRITABLE_VIDEO`, decides the format.
        like: The clip that the frames were made of.
        width: Of the frames.
        height: Likewise.
        quality: Constant rate factor, 0 to 51; lower is better and larger.
    """

    def __init__(self, path: Path, *, like: Clip, width: int, height: int, quality: int = 17) -> None:
        self.path, self.like, self.size, self.quality = path, like, (width, height), quality
        self.lost: list[str] = []
        self._last: int | None = None

    def __enter__(self) -> VideoWriter:
        self._stack = ExitStack()
        try:
            self._open()
        except BaseException as error:
            self._stack.__exit__(type(error), error, error.__traceback__)
            raise
        return self

    def _open(self) -> None:
        av = _av()
        self._stack.enter_context(_said(self.path))
        self._beside = self._stack.enter_context(written_beside(self.path))
        form = _FORMATS[self.path.suffix.lower()]
        quick = {"movflags": "faststart"} if form in ("mp4", "mov") else {}  # it plays before all of it has come
        self._out = av.open(str(self._beside), "w", format=form, options=quick)
        like, (width, height) = self.like, self.size
        codec = _CODECS[self.path.suffix.lower()]
        odd = codec == "libx264" and (width % 2 or height % 2)
        self._stream = self._out.add_stream(codec, rate=(like.rate or 25) / Fraction(like.every))
        context = self._stream.codec_context
        context.width, context.height, context.pix_fmt = width, height, "yuv444p" if odd else "yuv420p"
        context.time_base = like.unit
        context.thread_type = "AUTO"
        context.options = {"crf": str(self.quality)} | ({"b": "0", "row-mt": "1"} if "vp9" in codec else {})
        target = f"{_FLAGS}:out_color_matrix={like.matrix}:out_range={like.range}"
        self._graph = _scaler(width, height, "rgb24", target, context.pix_fmt)
        context.color_range = 2 if like.range == "pc" else 1
        context.colorspace = next(number for number, name in _MATRICES.items() if name == like.matrix)
        self._sound = self._copied_sound()
        self._next_sound = next(self._sound, None)
        self._durations: dict[int, int] = {}

    def _copied_sound(self) -> Iterator[Any]:
        """Packets of the other film's sound, for streams that this file can hold."""
        av = _av()
        if self.like.sound is None:
            return iter(())
        other = av.open(str(self.like.sound))
        self._stack.callback(other.close)
        kept = {}
        for stream in other.streams:
            if stream.type == "audio":
                if stream.codec_context.name in self._out.supported_codecs or stream.codec.canonical_name in (
                    self._out.supported_codecs
                ):
                    kept[stream.index] = self._out.add_stream_from_template(stream)
                else:
                    self.lost.append(
                        f"sound in {stream.codec_context.name}, which {self.path.suffix} cannot hold (.mkv can)"
                    )
            elif stream.type != "video":
                self.lost.append(f"a stream of {stream.type}")
        if not kept:
            return iter(())

        def packets() -> Iterator[Any]:
            shift = Fraction(self.like.start) if self.like.start else Fraction(0)
            for packet in other.demux([stream for stream in other.streams if stream.index in kept]):
                if packet.pts is None:
                    continue
                time = packet.pts * packet.time_base
                end = self.like.end
                if (shift and time < shift) or (end is not None and time >= end):
                    continue
                moved = round(shift / packet.time_base)
                packet.pts -= moved
                packet.dts = None if packet.dts is None else packet.dts - moved
                packet.stream = kept[packet.stream.index]
                yield packet

        return packets()

    def write(self, frame: Frame, pixels: np.ndarray) -> None:
        """Add a frame: `pixels` [H, W, 1, 3 or 4] uint8, shown when `frame` was; what is transparent is white."""
        av = _av()
        pixels = composite(Picture(pixels=pixels)).pixels
        pixels = pixels if pixels.shape[2] == 3 else pixels.repeat(3, axis=2)
        shown = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24")
        shown.pts, shown.time_base = 0, self.like.unit
        self._graph.push(shown)
        converted = self._graph.pull()
        time = frame.time - self.like.origin - round(Fraction(self.like.start) / self.like.unit)
        if self._last is not None and time <= self._last:
            time = self._last + 1  # two frames at one time; a file cannot hold them
        self._last = time
        converted.pts, converted.time_base = time, self.like.unit
        self._durations[time] = frame.duration
        self._mux(self._stream.encode(converted), until=time * self.like.unit)

    def _mux(self, packets: Any, *, until: Fraction | None) -> None:
        """Packets of the picture, and of the sound up to a time in seconds; None for all of it."""
        for packet in packets:
            packet.duration = self._durations.pop(packet.pts, 0) or packet.duration
            self._out.mux(packet)
        while self._next_sound is not None:
            if until is not None and self._next_sound.pts * self._next_sound.time_base > until:
                return
            self._out.mux(self._next_sound)
            self._next_sound = next(self._sound, None)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        whole = error is None or (isinstance(error, KeyboardInterrupt) and self._last is not None)
        if whole:
            try:
                self._finish(cut=error is not None)
            except BaseException as found:
                with suppress(Exception):  # on a full disk this fails once more
                    self._out.close()
                self._stack.__exit__(type(found), found, found.__traceback__)
                raise
            self._stack.__exit__(None, None, None)
            return
        with suppress(Exception):
            self._out.close()
        self._stack.__exit__(kind, error, trace)

    def _finish(self, *, cut: bool) -> None:
        """What the encoder still holds, and the sound."""
        self._mux(self._stream.encode(), until=self._last * self.like.unit if cut and self._last is not None else None)
        self._out.close()


@contextmanager
def _said(path: Path) -> Iterator[None]:
    """Say in our words that a film could not be written."""
    av = _av()
    try:
        yield
    except av.FFmpegError as error:
        raise ClipError(f"{path}: cannot be written: {_reason(error)}") from None


def _scaler(width: int, height: int, source: str, options: str, target: str) -> Any:
    """A filter graph from one pixel format to another."""
    av = _av()
    graph = av.filter.Graph()
    nodes = [
        graph.add_buffer(width=width, height=height, format=source, time_base=Fraction(1, 1000)),
        graph.add("scale", options),
        graph.add("format", target),
        graph.add("buffersink"),
    ]
    for first, second in pairwise(nodes):
        first.link_to(second)
    graph.configure()
    return graph


def _reason(error: BaseException) -> str:
    found = getattr(error, "strerror", None) or str(error)
    return found[0].lower() + found[1:] if found else type(error).__name__
