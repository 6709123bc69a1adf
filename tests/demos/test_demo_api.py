"""The running demo through its API: the same answers as in Python, and errors in one sentence."""

import base64
import io
import socket
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from translate.data.images import read_image
from translate.demos.app import HOST, DemoError, build_app, choose_port
from translate.demos.examples import URL_HEADER, to_url
from translate.demos.facade_drawings import STYLES, draw_facade
from translate.demos.icon_drawings import draw_icon
from translate.inference import contact_sheet
from translate.inference.grid import enlarged
from translate.inference.library import load

gradio_client = pytest.importorskip("gradio_client")
pytestmark = pytest.mark.filterwarnings("ignore:::gradio")


@pytest.fixture(scope="module")
def client(demo):
    return gradio_client.Client(demo.url, verbose=False, download_files=True)


def translate(client, path: Path, name: str = "tiny") -> tuple[tuple[str, str], str, str]:
    return client.predict(gradio_client.handle_file(path), name, False, api_name="/translate")[:3]


def failure(call) -> str:
    with pytest.raises(Exception) as caught:  # noqa: PT011 (gradio_client has several)
        call()
    return str(caught.value)


def test_start_says_where_and_nothing_calls_home(demo) -> None:
    assert demo.url in demo.printed
    assert demo.outside == []


def test_translates_as_python_does(demo, client, tmp_path: Path) -> None:
    path = tmp_path / "my facade.png"
    image = draw_facade(STYLES[0]).crop((0, 0, 101, 67))
    image.save(path)
    (before, after), words, file = translate(client, path)
    expected = load(demo.painter)(image)
    assert np.array_equal(Image.open(file), expected)
    assert np.array_equal(Image.open(after), expected)
    assert np.array_equal(Image.open(before), image)
    assert Path(file).name.startswith("my")
    assert Path(file).name.endswith("-tiny.png")
    assert words.startswith("101 × 67 pixels in ")
    assert words.endswith(" on the CPU") or "GPU" in words


def test_other_weights_give_another_picture(client, tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    draw_facade(STYLES[0], size=64).save(path)
    assert Path(translate(client, path)[2]).read_bytes() != Path(translate(client, path, "parser")[2]).read_bytes()


def test_file_keeps_alpha_and_page_shows_it_over_white(demo, client, tmp_path: Path) -> None:
    image = draw_facade(STYLES[2], size=48).convert("RGBA")
    image.putalpha(Image.fromarray(np.arange(48 * 48).reshape(48, 48).astype(np.uint8)))
    image.save(tmp_path / "alpha.png")
    (before, after), _, file = translate(client, tmp_path / "alpha.png")
    result = Image.open(file)
    assert result.mode == "RGBA"
    assert np.array_equal(result.getchannel("A"), image.getchannel("A"))
    assert Image.open(before).mode == Image.open(after).mode == "RGB"
    assert Image.open(before).getpixel((0, 0)) == (255, 255, 255)


def test_16_bits_are_not_clipped(demo, client, tmp_path: Path) -> None:
    ramp = np.linspace(0, 65535, 64 * 64).reshape(64, 64).astype(np.uint16)
    Image.fromarray(ramp).save(tmp_path / "deep.png")
    (before, _), _, file = translate(client, tmp_path / "deep.png", "grey")
    shown = np.asarray(Image.open(before).convert("L")).astype(int)
    assert np.abs(shown - ramp // 257).max() <= 1
    result = read_image(file)
    assert result.bits == 16
    assert np.array_equal(result.pixels[..., 0], load(demo.grey)(ramp))


def test_orientation_is_applied(client, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    draw_facade(STYLES[0]).crop((0, 0, 80, 40)).save(tmp_path / "turned.jpg", exif=exif)
    _, words, file = translate(client, tmp_path / "turned.jpg")
    assert Image.open(file).size == (40, 80)
    assert words.startswith("40 × 80 pixels")


def test_draws_as_python_does(demo, client) -> None:
    drawing = draw_facade(STYLES[3], seed=7, size=64)
    photo, words = client.predict(to_url(drawing), "tiny", api_name="/draw")
    assert np.array_equal(Image.open(photo), load(demo.painter)(drawing))
    assert words.startswith("64 × 64 pixels in ")


def test_drawing_is_snapped_and_brought_to_the_size_of_the_weights(demo, client) -> None:
    drawing = draw_facade(STYLES[3], seed=7, size=64)
    rough = np.asarray(drawing.resize((256, 256), Image.Resampling.NEAREST)).astype(int)
    rough = np.clip(rough + np.random.default_rng(0).integers(-9, 10, rough.shape), 0, 255).astype(np.uint8)
    photo, _ = client.predict(to_url(Image.fromarray(rough)), "tiny", api_name="/draw")
    assert np.array_equal(Image.open(photo), load(demo.painter)(drawing))


def test_no_image_is_said(client) -> None:
    message = failure(lambda: client.predict(None, "tiny", api_name="/translate"))
    assert "No image yet: drop one" in message


@pytest.mark.parametrize(
    "content", [b"", b"not an image", b"\x89PNG\r\n\x1a\n" + b"\0" * 40], ids=["empty", "text", "torn"]
)
def test_unreadable_files_are_said_by_name(client, tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "broken.png"
    path.write_bytes(content)
    message = failure(lambda: translate(client, path))
    assert "broken.png" in message
    assert "Traceback" not in message
    assert "/" not in message.replace("http://", "")


def test_too_large_is_said(client, tmp_path: Path) -> None:
    Image.new("1", (4000, 3000)).save(tmp_path / "large.png")
    message = failure(lambda: translate(client, tmp_path / "large.png"))
    assert "large.png has 4000 × 3000 pixels, and the limit here is 8 million pixels" in message


def test_bad_drawings_are_said(client) -> None:
    bomb = io.BytesIO()
    Image.new("1", (3000, 3000)).save(bomb, "PNG")
    large = URL_HEADER + base64.b64encode(bomb.getvalue()).decode()
    for drawing, words in (
        ("hello", "cannot be read"),
        (URL_HEADER + "AAAA", "cannot be read"),
        (large, "exceeds the limit"),
        ("", "No drawing yet"),
    ):
        assert words in failure(lambda drawing=drawing: client.predict(drawing, "tiny", api_name="/draw"))


def test_a_busy_port_is_said() -> None:
    with socket.socket() as taken:
        taken.bind((HOST, 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(DemoError, match=f"port {port} is in use or not permitted: choose another with --port"):
            choose_port(port)


def test_the_next_port_is_taken(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as taken:
        taken.bind((HOST, 0))
        taken.listen()
        port = taken.getsockname()[1]
        monkeypatch.setattr("translate.demos.app.FIRST_PORT", port)
        chosen = choose_port(None)
    assert port < chosen < port + 50
    assert f"Port {port} is in use; using {chosen} instead" in capsys.readouterr().out


def test_no_weights_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("translate.demos.catalogue.shipped_weights", dict)
    texts = [str(block["props"].get("value")) for block in build_app().config["components"]]
    assert any("There are no weights yet: train some on the Train tab" in text for text in texts)


def test_strangers_cannot_name_files_and_train_only_behind_a_password(monkeypatch: pytest.MonkeyPatch) -> None:
    from translate.demos import app as module

    built = []

    class StopError(Exception):
        pass

    def build(weights, *, runs, local):
        built.append((runs, local))
        raise StopError

    monkeypatch.setattr(module, "build_app", build)
    monkeypatch.setattr(module, "choose_port", lambda port, host: 1)
    for given in ({}, {"host": "0.0.0.0"}, {"host": "0.0.0.0", "auth": ("me", "secret")}):
        with pytest.raises(StopError):
            module.launch(runs=Path("kept"), **given)
    assert built == [(Path("kept"), True), (None, False), (Path("kept"), False)]
    texts = [block["props"].get("elem_id") for block in build_app(runs=None, local=False).config["components"]]
    assert "train-start" not in texts
    hidden = {
        block["props"]["elem_id"]: block["props"]["visible"]
        for block in build_app(local=False).config["components"]
        if block["props"].get("elem_id") in ("train-path", "models-path")
    }
    assert hidden == {"train-path": False, "models-path": False}


def test_there_and_back_again_says_what_is_lost(demo, client, tmp_path: Path) -> None:
    image = draw_facade(STYLES[0], size=64)
    image.save(tmp_path / "a.png")
    given = gradio_client.handle_file(tmp_path / "a.png")
    (_, after), words, _, returned = client.predict(given, "tiny", True, api_name="/translate")
    expected = load(demo.other)(Image.open(after))
    assert np.array_equal(Image.open(returned["value"] if isinstance(returned, dict) else returned), expected)
    lost = np.abs(np.asarray(expected, float) - np.asarray(image, float)).mean() / 255
    assert f"translated back, the mean absolute difference is {lost:.1%} of the value range" in words


def test_drawing_needs_weights_from_labels(demo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("translate.demos.catalogue.shipped_weights", dict)
    texts = [str(block["props"].get("value")) for block in build_app([demo.other]).config["components"]]
    assert any("Drawing needs weights that translate labels to photos, sketches to" in text for text in texts)


def test_makes_images_as_python_does(demo, client) -> None:
    file, words, kept = client.predict("shapes", ["star"], 0.5, 7, api_name="/make")
    images = load(demo.maker).sample(24, seed=7, temperature=0.5, classes=["star"])
    expected = contact_sheet(enlarged(images, least=96), columns=6)
    assert np.array_equal(Image.open(file), expected)
    assert Path(kept).name == "shapes-7.png"
    assert words.startswith("24 images of 16 × 16 pixels in ")
    styled = client.predict("styles", [], 0.5, 7, api_name="/make")[0]
    images = load(demo.styles).styled(truncation=0.5).sample(24, seed=7)
    assert np.array_equal(Image.open(styled), contact_sheet(enlarged(images, least=96), columns=6))


def test_a_video_leads_back_to_where_it_began(client) -> None:
    file, words, _ = client.predict("styles", [], 1.0, 0, api_name="/film")
    assert Image.open(file).n_frames == 60
    assert words.startswith("60 images of 16 × 16 pixels")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (("nothing", [], 1.0, 0), "nothing is not in the list of choices"),
        (("shapes", [], -1.0, 0), "less than minimum value 0"),
        (("shapes", [], 1.0, 10**9), "greater than maximum value 1000000"),
        (("shapes", [], 1.0, None), "enter a seed"),
        (("shapes", ["moon"], 1.0, 0), "moon"),
    ],
)
def test_bad_wishes_are_said(client, given, message) -> None:
    assert message in failure(lambda: client.predict(*given, api_name="/make"))


def test_a_place_of_the_plane_is_what_python_makes(demo, client) -> None:
    url = client.predict("variational", "0.5 -1", api_name="/latents")
    model = load(demo.vae)
    axes = model.axes()
    assert axes.shape == (2, 5)
    latents = (2.5 * torch.tensor([[0.5, -1.0]]) @ axes).numpy()
    expected = enlarged(model.decode(latents), least=224)[0]
    assert np.array_equal(Image.open(io.BytesIO(base64.b64decode(url.removeprefix(URL_HEADER)))), expected)
    assert "two numbers" in failure(lambda: client.predict("variational", "up", api_name="/latents"))
    assert "not in the list" in failure(lambda: client.predict("shapes", "0 0", api_name="/latents"))


def test_a_sketch_becomes_a_picture(demo, client) -> None:
    drawing = draw_facade(STYLES[0], size=128).convert("L")
    file, words = client.predict(to_url(drawing), "lines", api_name="/sketch")
    expected = load(demo.sketcher)(drawing.resize((64, 64), Image.Resampling.LANCZOS)).convert("RGB")
    assert np.array_equal(Image.open(file), expected)
    assert words.startswith("64 × 64 pixels in ")
    assert "No drawing yet" in failure(lambda: client.predict("", "lines", api_name="/sketch"))
    assert "cannot be read" in failure(lambda: client.predict("data:image/png;base64,xx", "lines", api_name="/sketch"))


def test_an_icon_is_rendered(demo, client) -> None:
    drawing = draw_icon("fish")
    file, words = client.predict(to_url(drawing), "icons", api_name="/render")
    expected = load(demo.renderer)(drawing.resize((64, 64), Image.Resampling.LANCZOS))
    assert np.array_equal(Image.open(file), expected)
    assert words.startswith("64 × 64 pixels in ")
    assert "No drawing yet" in failure(lambda: client.predict("", "icons", api_name="/render"))
