"""``translate apply`` of films: what is made, what is refused, what is said."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from translate.cli.main import main
from translate.data.images import read_image
from translate.inference import load
from translate.inference.video import VideoReader

av = pytest.importorskip("av")


@pytest.fixture
def film(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Eight frames of 48x32 at 25 a second, with sound."""
    monkeypatch.chdir(tmp_path)
    with av.open("film.mkv", "w") as out:
        stream = out.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = 48, 32, "yuv444p"
        voice = out.add_stream("aac", rate=48000)
        for number in range(8):
            pixels = np.full((32, 48, 3), 20 * number, np.uint8)
            pixels[:16, :, 0] = 250
            out.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        out.mux(stream.encode())
        for start in range(0, 48000 * 8 // 25, 1024):
            samples = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
            samples.sample_rate, samples.pts = 48000, start
            out.mux(voice.encode(samples))
        out.mux(voice.encode())
    return "film.mkv"


def said(capsys: Any) -> str:
    found = capsys.readouterr()
    return " ".join((found.out + found.err).split())


def test_a_film_is_translated_frame_by_frame(film, tiny_weights, capsys):
    assert main(["apply", str(tiny_weights), film, "-o", "out.mp4"]) == 0
    assert "8 frames translated to out.mp4" in said(capsys)
    model = load(tiny_weights, device="cpu")
    with VideoReader(Path(film)) as before, VideoReader(Path("out.mp4")) as after:
        frames, made = list(before), list(after)
    assert len(made) == 8
    for frame, output in zip(frames, made, strict=True):
        assert np.abs(model(frame.pixels).astype(int) - output.pixels).mean() < 6  # at half the resolution of colour
    with av.open("out.mp4") as opened:
        assert [stream.type for stream in opened.streams] == ["video", "audio"]


def test_frames_are_written_by_a_pattern(film, tiny_weights, capsys):
    assert main(["apply", str(tiny_weights), film, "-o", "frames/%03d.png", "--every", "3"]) == 0
    assert sorted(path.name for path in Path("frames").iterdir()) == ["001.png", "002.png", "003.png"]
    model = load(tiny_weights, device="cpu")
    with VideoReader(Path(film)) as before:
        fourth = list(before)[3]
    assert np.array_equal(read_image("frames/002.png").pixels, model(fourth.pixels))
    assert main(["apply", str(tiny_weights), film, "-o", "frames/%03d.png"]) == 2
    assert "frames holds .png files already: --overwrite, or another --out" in said(capsys)
    for wrong in ("frames/%s%d.png", "frames/%d.mp4", "frames/100%.png"):
        assert main(["apply", str(tiny_weights), film, "-o", wrong, "--overwrite"]) == 2
        assert "frames are named by a pattern such as %05d.png" in said(capsys)


def test_a_folder_holds_films_of_the_same_name(film, tiny_weights, capsys):
    Path("other.avi").write_bytes(b"no film")
    assert main(["apply", str(tiny_weights), film, "other.avi", "-o", "out"]) == 1
    assert "failed: other.avi: " in said(capsys)
    assert [path.name for path in Path("out").iterdir()] == ["film.mkv"]
    assert main(["apply", str(tiny_weights), film, "-o", "out"]) == 2
    assert "out/film.mkv exists: --overwrite replaces it, or choose another --out" in said(capsys)
    assert main(["apply", str(tiny_weights), film, "-o", "out", "--overwrite"]) == 0


def test_what_cannot_be_is_refused(film, tiny_weights, capsys):
    Image.new("RGB", (32, 32)).save("photo.png")
    weights = str(tiny_weights)
    for arguments, message in (
        ([film, "photo.png", "-o", "out.mp4"], "out.mp4 is for one clip, and there are 2 inputs: name a folder"),
        (["photo.png", "-o", "out.mp4"], "photo.png is one image, which makes no .mp4: name an image file"),
        ([film, "-o", "out.avi"], "out.avi: .avi holds no clip; use one of .mp4"),
        ([film, "-o", "out.jpg"], "out.jpg: .jpg holds no clip; use one of .mp4"),
        ([film, "-o", film], "film.mkv is an input and would be overwritten"),
        ([film, film, "-o", "out.mp4"], "out.mp4 is for one clip, and there are 2 inputs: name a folder"),
        ([film, "-o", "out.mp4", "--scale", "2"], "--scale is for images, not for videos and animations: omit it"),
        ([film, "-o", "out.mp4", "--start", "2", "--end", "1"], "--end 1 is not after --start 2: give a later one"),
        (["photo.png", "-o", "out", "--every", "2"], "--every is for videos and animations, and there are none"),
        ([film, "-o", "out.mp4", "--start", "60"], "film.mkv: no frame lies between --start and --end"),
        ([film, "-o", "out", "--format", "jpg"], "film.jpg: .jpg holds no clip"),
        ([film, "-o", "out.mp4", "--rate", "20"], "--rate is for image files that become a clip"),
        (["none/%05d.png", "-o", "out.mp4"], "none/%05d.png: there are no such files"),
    ):
        assert main(["apply", weights, *arguments]) == 2, arguments
        assert message in said(capsys), arguments
    assert not Path("out.mp4").exists()


def test_a_broken_frame_is_repeated_and_named(film, tiny_weights, capsys, monkeypatch):
    decode = VideoReader._decoded

    def broken(self):
        for number, (frame, problem) in enumerate(decode(self)):
            yield (None, "invalid data") if number == 5 else (frame, problem)

    monkeypatch.setattr(VideoReader, "_decoded", broken)
    assert main(["apply", str(tiny_weights), film, "-o", "%d.png"]) == 0
    assert "film.mkv: a frame at 0:00.20 cannot be decoded (invalid data): the frame before it is repeated" in said(
        capsys
    )
    assert Path("6.png").read_bytes() == Path("5.png").read_bytes() != Path("7.png").read_bytes()


def test_ctrl_c_leaves_a_film_that_plays(film, tiny_weights, capsys, monkeypatch):
    from translate.inference.translator import Translator

    apply, calls = Translator.apply, []

    def interrupted(self, *given, **options):
        calls.append(1)
        if len(calls) == 5:
            raise KeyboardInterrupt
        return apply(self, *given, **options)

    monkeypatch.setattr(Translator, "apply", interrupted)
    main(["apply", str(tiny_weights), film, "-o", "out.mp4"])
    assert "stopped: out.mp4 holds the 4 frames until then" in said(capsys)
    with VideoReader(Path("out.mp4")) as reader:
        assert len(list(reader)) == 4


def test_without_pyav_the_install_command_is_named(film, tiny_weights, capsys, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "av", None)
    assert main(["apply", str(tiny_weights), film, "-o", "out.mp4"]) == 2
    assert "video needs PyAV: pip install 'image-translate[video]'" in said(capsys)


def test_animations_frames_and_films_become_each_other(film, tiny_weights, capsys):
    weights = str(tiny_weights)
    for number in range(1, 5):
        Path("in").mkdir(exist_ok=True)
        pixels = np.random.default_rng(number).integers(0, 256, (24, 32, 3), np.uint8)
        Image.fromarray(pixels).save(f"in/{number:03d}.png")
    assert main(["apply", weights, "in/%03d.png", "-o", "a.gif", "--rate", "20"]) == 0
    assert main(["apply", weights, "in", "-o", "b.mp4"]) == 0
    assert main(["apply", weights, "a.gif", "-o", "out"]) == 0
    assert main(["apply", weights, "a.gif", "-o", "c.webp"]) == 0
    assert main(["apply", weights, "a.gif", "in/001.png", "-o", "both"]) == 0
    assert main(["apply", weights, film, "-o", "d.gif", "--end", "0.12"]) == 0
    assert "film.mkv: without sound, which .gif cannot hold" in said(capsys)
    for path, count, each in (("a.gif", 4, 50), ("out/a.gif", 4, 50), ("c.webp", 4, 50), ("d.gif", 3, 40)):
        with Image.open(path) as image:
            assert (path, image.n_frames) == (path, count)
            for number in range(count):
                image.seek(number)
                image.load()
                assert (path, number, image.info["duration"]) == (path, number, each)
    with VideoReader(Path("b.mp4")) as reader:
        assert (len(list(reader)), reader.rate) == (4, 25)
    assert sorted(path.name for path in Path("both").iterdir()) == ["001.png", "a.gif"]
    assert main(["apply", weights, "a.gif", "-o", "pages", "--pages"]) == 0
    assert len(list(Path("pages").iterdir())) == 4


def test_the_working_folder_becomes_a_clip_and_deep_frames_are_said(film, tiny_weights, capsys):
    for number in range(3):
        Image.fromarray(np.full((24, 32), 9000 * number, np.uint16)).save(f"{number}.png")
    assert main(["apply", str(tiny_weights), ".", "-o", "out.mp4", "--overwrite"]) == 0
    assert "0.png: 16 bits per channel become 8" in said(capsys)
    with VideoReader(Path("out.mp4")) as reader:
        assert len(list(reader)) == 3


def test_smoothing_without_opencv_names_the_command(film, tiny_weights, capsys, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "cv2", None)
    assert main(["apply", str(tiny_weights), film, "-o", "new/out.mp4", "--smooth"]) == 2
    assert "--smooth needs OpenCV: pip install 'image-translate[smooth]'" in said(capsys)
    assert not Path("new").exists()


def test_an_animation_that_is_stopped_plays(film, tiny_weights, monkeypatch):
    from translate.inference.translator import Translator

    apply, calls = Translator.apply, []

    def stopped(self, *pictures, **options):
        calls.append(1)
        if len(calls) == 5:
            raise KeyboardInterrupt
        return apply(self, *pictures, **options)

    monkeypatch.setattr(Translator, "apply", stopped)
    assert main(["apply", str(tiny_weights), film, "-o", "out.webp"]) == 130
    with Image.open("out.webp") as image:
        assert image.n_frames == 4
    assert sorted(path.name for path in Path().iterdir() if "out" in path.name) == ["out.webp"]


LIMITED = """
import resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (5_000, resource.RLIM_INFINITY))
from translate.cli.main import main
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no limits of files")
@pytest.mark.parametrize("name", ["out.mp4", "out.gif", "%02d.png"])
def test_a_disk_that_holds_no_more(tiny_weights, tmp_path, name):
    """As a full one: the operating system refuses what goes beyond a size."""
    pixels = np.random.default_rng(0).integers(0, 256, (12, 96, 128, 3), np.uint8)
    frames = [Image.fromarray(one) for one in pixels]
    frames[0].save(tmp_path / "noise.webp", save_all=True, append_images=frames[1:], duration=40, lossless=True)
    out = tmp_path / "out"
    command = ["apply", str(tiny_weights), str(tmp_path / "noise.webp"), "-o", str(out / name)]
    done = subprocess.run([sys.executable, "-c", LIMITED, *command], capture_output=True, text=True)
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    assert "cannot be written" in done.stderr
    assert ("MB that are free" in done.stderr) == ("%" not in name)
    assert not out.exists() or list(out.iterdir()) == []
