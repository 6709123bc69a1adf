"""Clips and webcam frames through the running demo's API: frames, times and sound, and what is refused."""

from __future__ import annotations

import base64
import io
import json
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from translate.data.images import Picture
from translate.demos.camera_part import FIRST, LEAST, MOST, PACE, next_side, smaller
from translate.demos.examples import to_url
from translate.demos.facade_drawings import STYLES, draw_facade
from translate.demos.filming import MAX_FRAMES, look_at, most_frames, translate_film
from translate.inference.clips import open_clip
from translate.inference.library import load

gradio_client = pytest.importorskip("gradio_client")
av = pytest.importorskip("av")
pytestmark = pytest.mark.filterwarnings("ignore:::gradio")


@pytest.fixture(scope="module")
def client(demo):
    return gradio_client.Client(demo.url, verbose=False, download_files=True)


def moving(path: Path, *, count: int = 10, size: tuple[int, int] = (64, 48), milliseconds: int = 80) -> Path:
    """An animation of a facade that slides by."""
    facade = draw_facade(STYLES[0], size=256)
    frames = [facade.crop((number, 0, number + size[0], size[1])) for number in range(count)]
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=milliseconds, loop=0)
    return path


def film(path: Path, *, count: int = 12, size: tuple[int, int] = (64, 48), sound: bool = True) -> Path:
    """A video of 10 frames a second of it, with a second's tone."""
    facade = np.asarray(draw_facade(STYLES[0], size=256))
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=10)
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        voice = out.add_stream("aac", rate=48000) if sound else None
        for number in range(count):
            pixels = facade[: size[1], number % 64 : number % 64 + size[0]]
            out.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24")))
        out.mux(stream.encode())
        if voice is not None:
            for number in range(count * 4800 // 1024):
                tone = np.sin(np.arange(1024) / 20 + number)[None].astype(np.float32)
                heard = av.AudioFrame.from_ndarray(tone, format="fltp", layout="mono")
                heard.sample_rate, heard.pts = 48000, 1024 * number
                out.mux(voice.encode(heard))
            out.mux(voice.encode())
    return path


def facts(path: str | Path) -> tuple[int, float, int]:
    """Frames of a video, its length in seconds, and packets of its sound."""
    with av.open(str(path)) as opened:
        frames = sum(1 for _ in opened.decode(video=0))
        length = float((opened.streams.video[0].duration or 0) * opened.streams.video[0].time_base)  # .mkv says none
    with av.open(str(path)) as opened:
        packets = sum(packet.size > 0 for packet in opened.demux(audio=0)) if opened.streams.audio else 0
    return frames, length, packets


def arguments(path: Path, *, name: str = "tiny", start: float | None = 0, end: float | None = None) -> tuple:
    return (gradio_client.handle_file(path), name, start, end, False, None, None, 0.5, 1, False, None)


def translate(client, path: Path, **options) -> tuple[dict, str, str]:
    player, words, file = client.predict(*arguments(path, **options), api_name="/translate_clip")
    return player["props"] | {"after": player["value"]}, words, file["value"]


def failure(call) -> str:
    with pytest.raises(Exception) as caught:  # noqa: PT011 (gradio_client has several)
        call()
    return str(caught.value)


def served(client, url: str, to: Path) -> Path:
    """A file of the player."""
    import httpx

    answer = httpx.get(client.src + url)
    assert answer.status_code == 200
    to.write_bytes(answer.content)
    return to


def test_a_video_keeps_its_frames_its_length_and_its_sound(demo, client, tmp_path: Path) -> None:
    path = film(tmp_path / "my film.mp4")
    player, words, file = translate(client, path)
    assert facts(file) == facts(path)
    assert facts(path)[2] > 0
    assert Path(file).name == "my-film-tiny.mp4"
    assert words.startswith("12 frames, 64 × 48 pixels in ")
    assert player["heard"] == 1
    before, after = (served(client, player[key], tmp_path / f"{key}.mp4") for key in ("before", "after"))
    assert facts(before)[:2] == facts(after)[:2] == facts(path)[:2]
    assert facts(before)[2] == 0
    with open_clip(path) as clip:
        expected = load(demo.painter).apply([Picture(pixels=next(iter(clip)).pixels)])[0].pixels
    with open_clip(Path(file)) as clip:
        assert np.abs(next(iter(clip)).pixels.astype(int) - expected).mean() < 4


def test_a_part_of_it(client, tmp_path: Path) -> None:
    path = film(tmp_path / "film.mp4")
    file = translate(client, path, start=0.3, end=0.8)[2]
    frames, length, packets = facts(file)
    assert (frames, round(length, 3)) == (5, 0.5)
    assert 0 < packets < facts(path)[2]
    assert "the end, 0:00.2, is not after the start, 0:00.8" in failure(
        lambda: translate(client, path, start=0.8, end=0.2)
    )


@pytest.mark.parametrize("suffix", [".gif", ".webp", ".png"])
@pytest.mark.parametrize("size", [(64, 48), (63, 47)])
def test_an_animation_stays_one_and_is_played_as_a_video(
    client, tmp_path: Path, suffix: str, size: tuple[int, int]
) -> None:
    path = moving(tmp_path / f"slides{suffix}", size=size)
    player, words, file = translate(client, path)
    assert Path(file).suffix == suffix
    with Image.open(file) as image:
        image.load()
        assert (image.n_frames, image.size, image.info["duration"]) == (10, size, 80)
    assert words.startswith(f"10 frames, {size[0]} × {size[1]} pixels in ")
    ending = ".mp4" if size == (64, 48) else ".webm"
    for key in ("before", "after"):
        assert player[key].endswith(ending)
        with open_clip(served(client, player[key], tmp_path / f"{key}{ending}")) as clip:
            assert sum(1 for _ in clip) == 10


def test_a_grey_network_sees_no_colours(client, tmp_path: Path) -> None:
    player = translate(client, moving(tmp_path / "slides.gif"), name="grey")[0]
    with open_clip(served(client, player["before"], tmp_path / "before.mp4")) as clip:
        assert np.ptp(next(iter(clip)).pixels.astype(int), axis=2).max() <= 4


@pytest.mark.parametrize(
    "content", [b"", b"no film", b"\0\0\0\x18ftypmp42" + b"\0" * 64], ids=["empty", "text", "torn"]
)
@pytest.mark.parametrize("suffix", [".mp4", ".gif"])
def test_broken_files_are_said_by_name(client, tmp_path: Path, content: bytes, suffix: str) -> None:
    path = tmp_path / f"broken{suffix}"
    path.write_bytes(content)
    message = failure(lambda: translate(client, path))
    assert f"broken{suffix}: " in message
    assert "/" not in message.replace("http://", "")
    assert "\n" not in message.strip()


def test_what_is_no_clip_is_said(client, tmp_path: Path) -> None:
    Image.new("RGB", (64, 48)).save(tmp_path / "one.gif")
    assert "one.gif is one image and no animation: translate it under Image" in failure(
        lambda: translate(client, tmp_path / "one.gif")
    )
    assert "No clip yet: drop a video or an animation." in failure(
        lambda: client.predict(None, *arguments(tmp_path / "one.gif")[1:], api_name="/translate_clip")
    )


def test_a_clip_that_is_too_long_is_said_and_a_part_of_it_taken(
    client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = film(tmp_path / "long.mp4", count=24)
    monkeypatch.setattr("translate.demos.filming.MAX_FRAMES", 10)
    message = failure(lambda: translate(client, path))
    assert "long.mp4 has 24 frames here, and the limit is 10 frames of 64 × 48 pixels at once" in message
    assert "or 0:01.0 of this clip: choose a shorter part" in message
    assert facts(translate(client, path, start=1, end=2)[2])[0] == 10
    found = look_at(path)
    assert found.longest == 1.0
    assert found.words() == "64 × 48 pixels, 0:02.4, 24 frames, with sound"


def test_large_frames_are_refused_and_few_are_taken(client, tmp_path: Path) -> None:
    assert most_frames(64, 48) == MAX_FRAMES
    assert most_frames(1920, 1080) == 517
    images = [Image.new("1", (4000, 3000), number) for number in range(2)]
    images[0].save(tmp_path / "large.gif", save_all=True, append_images=images[1:])
    assert "large.gif has frames of 4000 × 3000 pixels, and the limit here is 8 million pixels" in failure(
        lambda: translate(client, tmp_path / "large.gif")
    )


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".gif"])
def test_what_was_made_until_cancelled_plays(demo, tmp_path: Path, suffix: str) -> None:
    path = moving(tmp_path / "a.gif") if suffix == ".gif" else film(tmp_path / f"a{suffix}")
    seen = []

    def on_frame(done: int, expected: int | None) -> bool:
        seen.append((done, expected))
        return done < 4

    made = translate_film(load(demo.painter), path, tmp_path, on_frame=on_frame)
    total = 10 if suffix == ".gif" else 12
    assert [done for done, _ in seen] == [1, 2, 3, 4]
    assert total <= seen[0][1] <= total + 1  # .mkv does not say how long its picture is, only how long the film
    assert made.stopped
    assert made.frames == 4
    assert made.file.suffix == suffix
    for file in (made.before, made.after, made.file):
        with open_clip(file) as clip:
            assert sum(1 for _ in clip) == 4
    if suffix != ".gif":
        assert 0 < facts(made.after)[2] < facts(path)[2]


def test_the_page_cancels(client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from translate.inference import Translator

    apply = Translator.apply
    monkeypatch.setattr(Translator, "apply", lambda *args, **given: (time.sleep(0.1), apply(*args, **given))[1])
    running = client.submit(*arguments(film(tmp_path / "a.mp4", count=100)), api_name="/translate_clip")
    for _ in range(600):
        update = running.status().progress_data
        if update and (update[0].index or 0) >= 3:
            break
        time.sleep(0.1)
    assert (update[0].length, update[0].unit) == (100, "frames")
    client.predict(api_name="/cancel_clip")
    _, words, file = running.result(timeout=60)
    frames = facts(file["value"])[0]
    assert 3 <= frames < 100
    assert words.startswith(f"Stopped after {frames} of 100 frames, 64 × 48 pixels in ")


def test_webcam_frames_are_translated(demo, client) -> None:
    """As a page streams them: the stream is begun with one, the next goes to where it is open."""
    import httpx

    frame = draw_facade(STYLES[0], size=256).crop((0, 0, 256, 192))
    number = next(one["id"] for one in client.config["dependencies"] if one["connection"] == "stream")

    def body(name: str) -> dict:
        chosen = [{"url": to_url(frame)}, None, name, None, None, 0.5, 1, False, None]
        return {"data": chosen, "fn_index": number, "session_hash": "camera"}

    with httpx.Client(base_url=f"{client.src}gradio_api", timeout=60) as page:
        event = page.post("/queue/join", json=body("tiny")).json()["event_id"]
        found = []
        with page.stream("GET", "/queue/data?session_hash=camera") as answer:
            for line in answer.iter_lines():
                message = json.loads(line.removeprefix("data: ") or "{}")
                if message.get("msg") == "process_streaming":
                    found.append(message["output"]["data"])
                    if len(found) == 1:
                        page.post(f"/stream/{event}", json=body("parser"))
                    else:
                        page.post(f"/stream/{event}/close")
                if message.get("msg") == "process_completed":
                    break
    assert len(found) >= 2
    for (url, words, *_), weights in zip(found, (demo.painter, demo.other), strict=False):
        header, _, data = url.partition(",")
        assert header == "data:image/jpeg;base64"
        made = Image.open(io.BytesIO(base64.b64decode(data)))
        expected = load(weights)(smaller(frame, max(made.size)))
        assert made.size == expected.size
        assert np.abs(np.asarray(made, int) - np.asarray(expected, int)).mean() < 4
        assert words.startswith(f"{made.width} × {made.height} pixels in ")


def test_frames_are_as_large_as_the_machine_manages() -> None:
    assert next_side(FIRST, PACE) == FIRST
    assert next_side(FIRST, 4 * PACE) == FIRST // 2
    assert next_side(FIRST, PACE / 100) == MOST
    assert next_side(LEAST, 9) == LEAST
