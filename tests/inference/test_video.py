"""Films in and out: times, sound, sizes, colours, rotation; and what is wrong with them."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from translate.inference.clips import ClipError, Frame
from translate.inference.video import VideoReader, VideoWriter, _scaler

av = pytest.importorskip("av")
NTSC = Fraction(30000, 1001)


def drawn(number: int, height: int, width: int) -> np.ndarray:
    """[H, W, 3] uint8: a moving ramp, with white, black, grey and red in a corner each."""
    y, x = np.mgrid[:height, :width]
    image = np.stack([(2 * x + 3 * number) % 200, y * 255 // height, np.full_like(x, 40 + 3 * number)], axis=-1)
    for (top, left), colour in zip(((0, 0), (0, -24), (-24, 0), (-24, -24)), (255, 0, 128, (255, 0, 0)), strict=True):
        rows = slice(top, top + 24 if top == 0 else None)
        columns = slice(left, left + 24 if left == 0 else None)
        image[rows, columns] = colour
    return image.astype(np.uint8)


def film(
    path: Path,
    *,
    width: int = 96,
    height: int = 64,
    count: int = 12,
    rate: Fraction = NTSC,
    times: list[int] | None = None,
    sound: str | None = None,
    codec: str = "libx264",
    pixels: str = "yuv420p",
    tags: tuple[int, int] | None = None,
) -> Path:
    """Write a film of `drawn` frames, by PyAV alone."""
    with av.open(str(path), "w") as out:
        stream = out.add_stream(codec, rate=rate)
        stream.width, stream.height, stream.pix_fmt = width, height, pixels
        if codec == "libx264":
            stream.codec_context.options = {"crf": "4"}
            stream.codec_context.thread_count = 1  # the same film each time
        if tags is not None:
            stream.codec_context.colorspace, stream.codec_context.color_range = tags
        voice = out.add_stream(sound, rate=48000) if sound else None
        exact = None
        if tags is not None:  # PyAV's own conversion makes white (253, 255, 253)
            names = {1: "bt709", 6: "bt601", 9: "bt2020"}[tags[0]], {1: "tv", 2: "pc"}[tags[1]]
            options = "flags=accurate_rnd+full_chroma_int:out_color_matrix={}:out_range={}".format(*names)
            exact = _scaler(width, height, "rgb24", options, pixels)
        for number in range(count):
            frame = av.VideoFrame.from_ndarray(drawn(number, height, width), format="rgb24")
            frame.pts, frame.time_base = number if times is None else times[number], 1 / rate
            if exact is not None:
                frame.pts = 0
                exact.push(frame)
                frame = exact.pull()
                frame.pts, frame.time_base = number, 1 / rate
            out.mux(stream.encode(frame))
        out.mux(stream.encode())
        if voice is not None:
            wave = np.sin(np.arange(int(48000 * count / rate)) / 20).astype(np.float32)[None] * 0.3
            for start in range(0, wave.shape[1], 960):
                part = np.ascontiguousarray(wave[:, start : start + 960])
                samples = av.AudioFrame.from_ndarray(part, format="fltp", layout="mono")
                samples.sample_rate, samples.pts, samples.time_base = 48000, start, Fraction(1, 48000)
                resampler = av.AudioResampler(format=voice.codec_context.format.name, layout="mono", rate=48000)
                for one in resampler.resample(samples):
                    out.mux(voice.encode(one))
            out.mux(voice.encode())
    return path


def copied(source: Path, target: Path, **options: Any) -> VideoWriter:
    """What an identity network would make."""
    with VideoReader(source, **options) as reader:
        writer = VideoWriter(target, like=reader, width=reader.width, height=reader.height, quality=4)
        with writer:
            for frame in reader:
                writer.write(frame, frame.pixels)
    return writer


def frames(path: Path, **options: Any) -> list[Frame]:
    with VideoReader(path, **options) as reader:
        return list(reader)


def seconds(path: Path) -> list[Fraction]:
    with av.open(str(path)) as opened:
        return [frame.pts * frame.time_base for frame in opened.decode(video=0)]


def sound_of(path: Path) -> list[bytes]:
    with av.open(str(path)) as opened:
        return [bytes(packet) for packet in opened.demux(audio=0) if packet.size]


@pytest.mark.parametrize("rate", [NTSC, Fraction(24), Fraction(24000, 1001), Fraction(25, 2)])
def test_times_and_sound_are_kept(tmp_path: Path, rate: Fraction) -> None:
    source = film(tmp_path / "in.mp4", rate=rate, sound="aac")
    copied(source, tmp_path / "out.mp4")
    assert seconds(tmp_path / "out.mp4") == seconds(source)
    assert sound_of(tmp_path / "out.mp4") == sound_of(source)
    with av.open(str(source)) as one, av.open(str(tmp_path / "out.mp4")) as other:
        assert other.streams.video[0].average_rate == one.streams.video[0].average_rate == rate
        assert other.duration == one.duration


def test_varying_rates_are_kept(tmp_path: Path) -> None:
    source = film(tmp_path / "in.mp4", times=[0, 1, 2, 3, 7, 8, 9, 20, 21, 22, 23, 40])
    copied(source, tmp_path / "out.mp4")
    assert seconds(tmp_path / "out.mp4") == seconds(source)


@pytest.mark.parametrize("ending", [".mp4", ".mkv", ".mov", ".webm"])
@pytest.mark.parametrize("tags", [None, (1, 1), (1, 2), (6, 2), (9, 1)])
def test_colours_come_back(tmp_path: Path, ending: str, tags: tuple[int, int] | None) -> None:
    source = film(tmp_path / "in.mp4", tags=tags)
    copied(source, tmp_path / f"out{ending}")
    before, after = frames(source), frames(tmp_path / f"out{ending}")
    assert len(before) == len(after) == 12
    inside = slice(6, 18)
    for one, other in zip(before, after, strict=True):
        assert np.abs(one.pixels.astype(int) - other.pixels).mean() < 1.5
        corner = other.pixels[inside, inside].reshape(-1, 3)
        assert np.median(corner, axis=0).tolist() == [255, 255, 255]  # the codec itself changes some pixels
        assert np.median(other.pixels[inside, -18:-6]) == 0
    if tags is not None:
        with av.open(str(tmp_path / f"out{ending}")) as opened:
            frame = next(opened.decode(video=0))
            assert (frame.color_range, frame.colorspace in (5, 6)) == (tags[1], tags[0] in (5, 6))


def test_frames_are_those_that_were_drawn(tmp_path: Path) -> None:
    """By a codec without loss: only the conversion of colours remains."""
    source = film(tmp_path / "in.mkv", codec="ffv1", pixels="yuv444p")
    for number, frame in enumerate(frames(source)):
        assert np.abs(frame.pixels.astype(int) - drawn(number, 64, 96)).max() <= 4  # PyAV's own conversion when drawn


@pytest.mark.parametrize(("width", "height"), [(97, 63), (96, 63), (33, 64)])
@pytest.mark.parametrize("ending", [".mp4", ".webm"])
def test_odd_sizes_are_kept(tmp_path: Path, width: int, height: int, ending: str) -> None:
    source = film(tmp_path / "in.mkv", width=width, height=height, codec="ffv1", pixels="yuv444p")
    copied(source, tmp_path / f"out{ending}")
    after = frames(tmp_path / f"out{ending}")
    assert after[0].pixels.shape == (height, width, 3)
    assert np.abs(after[3].pixels.astype(int) - frames(source)[3].pixels).mean() < 2.5


@pytest.mark.parametrize("turned", [90, 180, 270])
def test_frames_are_upright(tmp_path: Path, turned: int) -> None:
    plain = frames(film(tmp_path / "plain.mp4"))
    source = tmp_path / "in.mp4"
    with av.open(str(tmp_path / "plain.mp4")) as whole, av.open(str(source), "w") as out:  # the very same packets
        stream = out.add_stream_from_template(whole.streams.video[0])
        stream.set_display_rotation(turned)
        for packet in whole.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                out.mux(packet)
    upright = frames(source)
    assert np.array_equal(upright[0].pixels, np.rot90(plain[0].pixels, turned // 90))
    copied(source, tmp_path / "out.mp4")
    again = frames(tmp_path / "out.mp4")
    assert again[0].pixels.shape == upright[0].pixels.shape
    assert np.abs(again[0].pixels.astype(int) - upright[0].pixels).mean() < 1.5
    with av.open(str(tmp_path / "out.mp4")) as opened:
        assert next(opened.decode(video=0)).rotation == 0


def test_a_part_is_cut_out_with_its_sound(tmp_path: Path) -> None:
    source = film(tmp_path / "in.mp4", count=50, rate=Fraction(25), sound="aac")
    copied(source, tmp_path / "out.mp4", start=0.4, end=1.2)
    assert seconds(tmp_path / "out.mp4") == [Fraction(number, 25) for number in range(20)]
    assert np.abs(frames(tmp_path / "out.mp4")[0].pixels.astype(int) - frames(source)[10].pixels).mean() < 1.5
    assert abs(len(sound_of(tmp_path / "out.mp4")) * 1024 / 48000 - 0.8) < 0.05
    copied(source, tmp_path / "few.mp4", every=5)
    assert seconds(tmp_path / "few.mp4") == [Fraction(number, 5) for number in range(10)]
    with pytest.raises(ClipError, match="no frame lies between --start and --end"):
        frames(source, start=9.0)


def test_sound_that_a_file_cannot_hold_is_named(tmp_path: Path) -> None:
    source = film(tmp_path / "in.mp4", sound="aac")
    writer = copied(source, tmp_path / "out.webm")
    assert writer.lost == ["sound in aac, which .webm cannot hold (.mkv can)"]
    assert len(frames(tmp_path / "out.webm")) == 12


def _written(writer: VideoWriter, reader: VideoReader, count: int, error: BaseException) -> None:
    """So many frames, and then an error."""
    with writer:
        for number, frame in enumerate(reader):
            if number == count:
                raise error
            writer.write(frame, frame.pixels)


def test_ctrl_c_leaves_a_film_that_plays(tmp_path: Path) -> None:
    source = film(tmp_path / "in.mp4", sound="aac")
    with VideoReader(source) as reader:
        writer = VideoWriter(tmp_path / "out.mp4", like=reader, width=96, height=64)
        with pytest.raises(KeyboardInterrupt):
            _written(writer, reader, 7, KeyboardInterrupt())
    assert len(frames(tmp_path / "out.mp4")) == 7
    assert 0 < len(sound_of(tmp_path / "out.mp4")) < len(sound_of(source))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.mp4", "out.mp4"]


def test_an_error_leaves_nothing(tmp_path: Path) -> None:
    source = film(tmp_path / "in.mp4")
    with VideoReader(source) as reader:
        writer = VideoWriter(tmp_path / "out.mp4", like=reader, width=96, height=64)
        with pytest.raises(ZeroDivisionError):
            _written(writer, reader, 7, ZeroDivisionError())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.mp4"]


def test_a_film_that_cannot_be_begun_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = film(tmp_path / "in.mp4")

    def failing(self: VideoWriter) -> Any:
        raise ZeroDivisionError

    monkeypatch.setattr(VideoWriter, "_copied_sound", failing)
    with pytest.raises(ZeroDivisionError):
        copied(source, tmp_path / "out.mp4")
    assert [path.name for path in tmp_path.iterdir()] == ["in.mp4"]


def test_what_is_no_film_is_refused(tmp_path: Path) -> None:
    (tmp_path / "text.mp4").write_bytes(b"no film at all" * 100)
    (tmp_path / "empty.mp4").write_bytes(b"")
    whole = film(tmp_path / "whole.mp4", count=40).read_bytes()
    (tmp_path / "torn.mp4").write_bytes(whole[: len(whole) // 2])
    with av.open(str(tmp_path / "voice.mp4"), "w") as out:
        voice = out.add_stream("aac", rate=48000)
        samples = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        samples.sample_rate = 48000
        out.mux(voice.encode(samples))
        out.mux(voice.encode())
    for name in ("text", "empty", "torn", "voice", "missing"):
        with pytest.raises(ClipError, match=f"{name}.mp4: "):
            frames(tmp_path / f"{name}.mp4")


def test_a_truncated_film_has_the_frames_that_are_there(tmp_path: Path) -> None:
    whole = film(tmp_path / "whole.mkv", count=60, codec="mpeg4").read_bytes()
    (tmp_path / "torn.mkv").write_bytes(whole[: 2 * len(whole) // 3])
    found = frames(tmp_path / "torn.mkv")
    assert 20 < len(found) < 60


def test_a_changed_size_is_named(tmp_path: Path) -> None:
    parts = []
    for number, width in enumerate((96, 64)):
        path = film(tmp_path / f"{number}.ts", width=width, codec="mpeg2video", rate=Fraction(25))
        parts.append(path.read_bytes())
    (tmp_path / "both.mpg").write_bytes(b"".join(parts))
    with pytest.raises(ClipError, match=r"frame \d+ has 64x64 pixels and those before it 96x64: cut the clip there"):
        frames(tmp_path / "both.mpg")
