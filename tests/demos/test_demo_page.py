"""The page in Chromium: what a user does, and what is then to be seen."""

from __future__ import annotations

import base64
import io
import re
import shutil
import time
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

import translate
from translate.applications.compress import Compressor
from translate.config.presets import FACADE_CLASSES
from translate.demos.examples import lines_of
from translate.demos.facade_drawings import STYLES, WALL, draw_facade
from translate.demos.icon_drawings import COLOURS, PAPER, SIDE
from translate.demos.training import GOALS
from translate.inference.image_model import Framing
from translate.inference.library import load_detector, load_image_model

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page

pytestmark = [pytest.mark.browser, pytest.mark.timeout(1200), pytest.mark.filterwarnings("ignore:::gradio")]

PATIENCE = 300
"""Seconds that a page may take for anything, since the machine may be busy with other things; none is waited for."""


@pytest.fixture(scope="module")
def context(browser: Browser) -> Iterator[BrowserContext]:
    """What all pages share: the scripts that were loaded and compiled."""
    with browser.new_context(viewport={"width": 1280, "height": 900}) as context:
        yield context


@pytest.fixture
def page(demo, context: BrowserContext) -> Iterator[Page]:
    """The demo's page; in the end nothing may have gone wrong in it, and nothing have left the machine."""
    page = context.new_page()
    page.set_default_timeout(1000 * PATIENCE)
    wrong: list[str] = []
    page.on("pageerror", lambda error: wrong.append(f"error: {error}"))
    page.on("console", lambda line: wrong.append(f"console: {line.text}") if line.type == "error" else None)
    inside = (demo.url, "data:", "blob:")
    page.on("request", lambda sent: None if sent.url.startswith(inside) else wrong.append(f"request: {sent.url}"))
    page.goto(demo.url)
    page.locator("#translate").wait_for()
    yield page
    page.close()
    assert wrong == []
    assert demo.outside == []


def shown(page: Page, selector: str, number: int) -> None:
    """Wait until as many pictures are loaded and to be seen."""
    page.wait_for_function(
        "([selector, number]) => { const all = [...document.querySelectorAll(selector)];"
        " return all.length === number && all.every((image) => image.complete && image.naturalWidth > 0); }",
        arg=[selector, number],
    )


def upload(page: Page, place: str, files: list[Path]) -> None:
    """Give files to a list of files, once, and wait until all are in it.

    A name is in the text of the page only while its file comes, which may be over at once: the list has "0" and ".png".
    """
    page.set_input_files(f"{place} input[type=file]", files)
    for file in files:
        page.locator(f'{place} td[aria-label="{file.name}"]').wait_for(state="attached")


def test_upload_click_result(page: Page, tmp_path: Path) -> None:
    draw_facade(STYLES[1]).crop((0, 0, 150, 100)).save(tmp_path / "house.png")
    page.set_input_files("#input input[type=file]", tmp_path / "house.png")
    shown(page, "#input img", 1)
    assert page.locator("#result img").count() == 0
    page.get_by_role("button", name="Translate", exact=True).click()
    shown(page, "#result img", 2)
    sizes = page.eval_on_selector_all(
        "#result img", "all => all.map((image) => [image.naturalWidth, image.naturalHeight])"
    )
    assert sizes == [[150, 100], [150, 100]]
    assert re.match(r"150 × 100 pixels in [\w. ]+ on the \w+", page.locator("#took").inner_text())
    page.locator("#download:not([disabled])").wait_for()
    with page.expect_download() as download:
        page.locator("#download").click()
    download.value.save_as(tmp_path / "result.png")
    assert download.value.suggested_filename == "house-tiny.png"
    assert Image.open(tmp_path / "result.png").size == (150, 100)
    page.screenshot(path=tmp_path / "translate.png", full_page=True)
    assert Image.open(tmp_path / "translate.png").width == 1280


def test_example_is_translated_at_once(page: Page) -> None:
    page.get_by_role("button", name=f"Example: {STYLES[2].name}", exact=True).click()
    shown(page, "#result img", 2)
    assert page.locator("#took").inner_text().startswith("256 × 256 pixels")


def test_tiff_is_shown_and_translated(page: Page, tmp_path: Path) -> None:
    draw_facade(STYLES[1]).crop((0, 0, 90, 60)).save(tmp_path / "scan.tif")
    page.set_input_files("#input input[type=file]", tmp_path / "scan.tif")
    shown(page, "#input img", 1)
    page.get_by_role("button", name="Translate", exact=True).click()
    shown(page, "#result img", 2)
    assert page.locator("#took").inner_text().startswith("90 × 60 pixels")


def test_error_is_a_sentence(page: Page) -> None:
    page.get_by_role("button", name="Translate", exact=True).click()
    toast = page.locator(".toast-body")
    toast.wait_for()
    assert "No image yet: drop one, paste one, or choose an example." in toast.inner_text()


def test_a_clip_is_translated_and_both_play_in_step(page: Page, tmp_path: Path) -> None:
    facade = draw_facade(STYLES[0], size=256)
    frames = [facade.crop((number, 0, number + 95, 71)) for number in range(20)]
    frames[0].save(tmp_path / "slide.gif", save_all=True, append_images=frames[1:], duration=100, loop=0)
    page.get_by_role("tab", name="Video", exact=True).click()
    upload(page, "#clip-input", [tmp_path / "slide.gif"])
    page.get_by_text("95 × 71 pixels, 0:02.0, 20 frames").wait_for()
    assert page.locator("#clip-end input").input_value() == "2"
    page.locator("#clip-translate").click()
    page.wait_for_function(
        "[...document.querySelectorAll('#clip-player video')].filter((film) => film.currentTime > 0.3).length === 2"
    )
    apart = "(() => { const [one, other] = document.querySelectorAll('#clip-player video');"
    assert page.evaluate(f"{apart} return Math.abs(one.currentTime - other.currentTime); }})()") < 0.25
    assert page.evaluate(f"{apart} return [one.videoWidth, other.videoHeight]; }})()") == [95, 71]
    assert page.locator("#clip-took").inner_text().startswith("20 frames, 95 × 71 pixels in ")
    page.locator("#clip-player [data-do=sound]").wait_for(state="hidden")  # there is none
    page.get_by_role("button", name="Play or pause").click()
    page.wait_for_function(f"{apart} return one.paused && other.paused; }})()")
    screen = page.locator("#clip-player .screen")
    box = screen.bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 20)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] / 4, box["y"] + 20)
    page.mouse.up()
    assert screen.get_attribute("aria-valuenow") == "25"
    screen.press("ArrowRight")
    assert screen.get_attribute("aria-valuenow") == "27"
    page.screenshot(path=tmp_path / "clip.png", full_page=True)
    with page.expect_download() as download:
        page.locator("#clip-download").click()
    assert download.value.suggested_filename == "slide-tiny.gif"


def test_a_webcam_is_translated_live(page: Page) -> None:
    page.get_by_role("tab", name="Webcam", exact=True).click()
    page.get_by_text("Click to Access Webcam").click()
    page.get_by_role("button", name="capture photo").click()
    shown(page, "#live img", 1)
    first = page.locator("#live img").get_attribute("src")
    page.wait_for_function("(first) => document.querySelector('#live img').src !== first", arg=first)
    assert re.search(r"\d+ × \d+ pixels in ", page.locator("#live-took").inner_text())
    page.get_by_role("tab", name="Draw", exact=True).click()
    page.locator("#camera video").wait_for(state="detached", timeout=15_000)  # it is off
    page.get_by_role("tab", name="Translate", exact=True).click()
    page.get_by_text("Click to Access Webcam").wait_for()
    page.get_by_role("tab", name="Image", exact=True).click()
    page.locator("#translate").wait_for()
    page.locator("#camera video").wait_for(state="detached", timeout=15_000)  # it is off


def test_other_weights_have_another_card_and_no_examples(page: Page) -> None:
    page.locator("#examples").wait_for()
    page.locator("#weights input").click()
    page.get_by_role("option", name="parser: photos → labels, 64 px").click()
    page.locator("#examples").wait_for(state="hidden")
    assert "U-Net" in page.locator("#card").inner_text()
    pytest.importorskip("sklearn", reason="the photo comes with scikit-learn")
    assert "CC BY" in page.locator("#examples-photo").inner_text()
    page.locator("#examples-photo .thumbnail").click()
    shown(page, "#result img", 2)
    assert page.locator("#took").inner_text().startswith("640 × 427 pixels")


def test_named_styles_are_chosen_from_a_strip_and_mixed(page: Page, demo, tmp_path: Path) -> None:
    page.locator("#painting").wait_for(state="hidden")
    page.locator("#weights input").click()
    page.get_by_role("option", name="brushes: photo → painting, 64 px").click()
    draw_facade(STYLES[1]).crop((0, 0, 120, 80)).save(tmp_path / "house.png")
    page.set_input_files("#input input[type=file]", tmp_path / "house.png")
    shown(page, "#style-strip .grid-container img", 3)
    page.locator("#style-strip .grid-container button").nth(1).click()
    shown(page, "#result img", 2)
    assert page.locator("#style input").input_value() == "lines"
    saved = [tmp_path / "one.png", tmp_path / "two.png"]
    for number, path in enumerate(saved):
        if number:
            page.locator("#style-other input").click()
            page.get_by_role("option", name="waves", exact=True).click()
            page.get_by_label("Keep the colours of the image").check()
            images = "[...document.querySelectorAll('#result img')].map((image) => image.src).join()"
            before = page.evaluate(images)
            page.get_by_role("button", name="Translate", exact=True).click()
            page.wait_for_function(f"(before) => {images} !== before", arg=before)
        page.locator("#download:not([disabled])").wait_for()
        with page.expect_download() as download:
            page.locator("#download").click()
        download.value.save_as(path)
    model, image = translate.load(demo.painter.parent / "brushes"), Image.open(tmp_path / "house.png")
    assert np.array_equal(Image.open(saved[0]), model(image, style="lines"))
    mixed = model(image, style={"lines": 0.5, "waves": 0.5}, keep_colours=True)
    assert np.array_equal(Image.open(saved[1]), mixed)
    page.locator("#weights input").click()
    page.get_by_role("option", name="parser: photos → labels, 64 px").click()
    page.locator("#painting").wait_for(state="hidden")


def test_a_detector_of_patches_takes_images_and_makes_none(page: Page, tmp_path: Path) -> None:
    page.get_by_role("tab", name="Anomalies").click()
    page.locator("#faults-board").wait_for()
    page.locator("#faults-weights input").click()
    page.get_by_role("option", name="patches: 32 px").click()
    page.locator("#faults-board").wait_for(state="hidden")
    draw_facade(STYLES[1]).crop((0, 0, 120, 80)).save(tmp_path / "part.png")
    page.set_input_files("#faults-own input[type=file]", tmp_path / "part.png")
    shown(page, "#faults-heat img", 1)
    shown(page, "#faults-seen img", 1)
    page.locator("#faults-made").wait_for(state="hidden")
    assert "Anomaly score" in page.locator("#faults-verdict").inner_text()


def test_the_style_of_an_image_that_is_dropped(page: Page, demo, tmp_path: Path) -> None:
    page.locator("#weights input").click()
    page.get_by_role("option", name="anything: photo → painting, 64 px").click()
    page.locator("#style-image").wait_for()
    page.locator("#style-strip").wait_for(state="hidden")
    assert "for any style" in page.locator("#card").inner_text()
    house, style = draw_facade(STYLES[1]).crop((0, 0, 120, 80)), draw_facade(STYLES[2]).crop((60, 60, 190, 150))
    house.save(tmp_path / "house.png")
    page.set_input_files("#input input[type=file]", tmp_path / "house.png")
    shown(page, "#input img", 1)
    page.get_by_role("button", name="Translate", exact=True).click()
    page.locator(".toast-body").wait_for()
    assert "No style image yet: drop one, for example a painting." in page.locator(".toast-body").inner_text()
    style.save(tmp_path / "style.png")
    page.set_input_files("#style-image input[type=file]", tmp_path / "style.png")
    shown(page, "#result img", 2)
    page.locator("#download:not([disabled])").wait_for()
    with page.expect_download() as download:
        page.locator("#download").click()
    download.value.save_as(tmp_path / "painted.png")
    model = translate.load(demo.painter.parent / "anything")
    assert np.array_equal(Image.open(tmp_path / "painted.png"), model(house, style=style))


def test_drawing(page: Page, tmp_path: Path) -> None:
    page.get_by_role("tab", name="Draw", exact=True).click()
    shown(page, "#photo img", 1)
    canvas = page.locator("#board canvas")

    def photo() -> str:
        return page.locator("#photo img").get_attribute("src")

    def act_and_wait(act) -> None:
        before = photo()
        act()
        page.wait_for_function("before => document.querySelector('#photo img').src !== before", arg=before)

    def pixel(x: int, y: int) -> tuple[int, ...]:
        data = canvas.evaluate("(board, [x, y]) => [...board.getContext('2d').getImageData(x, y, 1, 1).data]", [x, y])
        return tuple(data[:3])

    def drag(start: tuple[int, int], end: tuple[int, int]) -> None:
        box = canvas.bounding_box()
        scale = box["width"] / 256
        page.mouse.move(box["x"] + start[0] * scale, box["y"] + start[1] * scale)
        page.mouse.down()
        page.mouse.move(box["x"] + end[0] * scale, box["y"] + end[1] * scale)
        page.mouse.up()

    def press(name: str) -> None:
        page.locator("#board").get_by_role("button", name=name, exact=True).click()

    assert page.locator("#board .swatch").count() == len(FACADE_CLASSES)
    act_and_wait(lambda: press("Clear"))
    assert pixel(100, 100) == FACADE_CLASSES[WALL]
    empty = photo()

    press("Door")
    act_and_wait(lambda: drag((60, 60), (120, 200)))  # a box
    assert pixel(90, 150) == FACADE_CLASSES["door"]
    assert pixel(130, 150) == FACADE_CLASSES[WALL]
    press("Balcony")
    press("Brush")
    act_and_wait(lambda: drag((20, 30), (220, 30)))
    assert pixel(120, 30) == FACADE_CLASSES["balcony"]
    page.screenshot(path=tmp_path / "draw.png", full_page=True)
    colours = canvas.evaluate(
        "board => { const data = board.getContext('2d').getImageData(0, 0, 256, 256).data; const seen = new Set();"
        " for (let i = 0; i < data.length; i += 4) seen.add(data.slice(i, i + 3).join()); return [...seen]; }"
    )
    painted = {FACADE_CLASSES[name] for name in (WALL, "door", "balcony")}
    assert {tuple(map(int, colour.split(","))) for colour in colours} == painted

    page.get_by_role("tab", name="Translate", exact=True).click()
    page.get_by_role("tab", name="Draw", exact=True).click()
    assert pixel(120, 30) == FACADE_CLASSES["balcony"]  # a look at the other tab loses nothing

    press("Window")
    press("Fill")
    act_and_wait(lambda: drag((200, 200), (210, 210)))
    assert pixel(10, 250) == pixel(230, 100) == FACADE_CLASSES["window"]  # around the door, and below the balcony
    assert pixel(90, 150) == FACADE_CLASSES["door"]
    assert pixel(120, 30) == FACADE_CLASSES["balcony"]
    act_and_wait(lambda: press("Undo"))
    assert pixel(10, 250) == FACADE_CLASSES[WALL]

    press("Eraser")
    act_and_wait(lambda: drag((120, 20), (120, 40)))
    assert pixel(120, 30) == FACADE_CLASSES[WALL]
    act_and_wait(lambda: page.keyboard.press("Control+z"))
    for _ in range(2):
        act_and_wait(lambda: press("Undo"))
    assert photo() == empty  # the same drawing gives the same file
    act_and_wait(lambda: press(f"Start from: {STYLES[3].name}"))
    drawn = np.asarray(draw_facade(STYLES[3], seed=3))
    assert pixel(128, 128) == tuple(map(int, drawn[128, 128]))


def test_new_images_and_ways_between_them(page: Page, tmp_path: Path) -> None:
    page.get_by_role("tab", name="Generate", exact=True).click()
    shown(page, "#made img", 1)  # without a click
    first = page.evaluate("() => document.querySelector('#made img').src")
    page.get_by_role("button", name="Generate new images").click()
    page.wait_for_function("src => document.querySelector('#made img')?.src !== src", arg=first)
    assert page.locator("#make-took").inner_text().startswith("24 images of 16 × 16 pixels")
    page.locator("#make-download:not([disabled])").wait_for()
    before = page.evaluate("() => document.querySelector('#made img').src")
    page.get_by_label("star").check()
    page.wait_for_function("src => document.querySelector('#made img')?.src !== src", arg=before)
    page.get_by_role("button", name="Interpolation video").click()
    page.wait_for_function("() => document.querySelector('#made img')?.src.endsWith('.webp')")
    with page.expect_download() as download:
        page.locator("#make-download").click()
    download.value.save_as(tmp_path / "way.webp")
    assert Image.open(tmp_path / "way.webp").format == "WEBP"
    page.screenshot(path=tmp_path / "make.png", full_page=True)


def test_styles_are_chosen_changed_mixed_and_found(page: Page, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def picture() -> str:
        return page.evaluate("() => document.querySelector('#styled img')?.src ?? ''")

    def act_and_wait(act) -> None:
        before = picture()
        act()
        page.wait_for_function("old => (document.querySelector('#styled img')?.src ?? '') !== old", arg=before)

    def brightness() -> float:
        return float(np.asarray(Image.open(io.BytesIO(page.request.get(picture()).body()))).mean())

    page.get_by_role("tab", name="Styles", exact=True).click()
    shown(page, "#styles-choice img", 12)  # without a click
    first = page.evaluate("() => document.querySelector('#styles-choice img').src")
    page.get_by_role("button", name="Show other images").click()
    page.wait_for_function("src => document.querySelector('#styles-choice img')?.src !== src", arg=first)
    shown(page, "#styles-choice img", 12)
    act_and_wait(lambda: page.locator("#styles-choice button.thumbnail-item").nth(3).click())
    slider = page.locator("#change-0 input[type=range]")
    act_and_wait(lambda: (slider.focus(), slider.press("End")))
    act_and_wait(lambda: page.get_by_label("features (middle)").check())
    page.locator("#styles-download:not([disabled])").wait_for()
    act_and_wait(lambda: page.get_by_label("measured attributes").check())
    before = brightness()
    bright = page.get_by_label("range slider for Brighter", exact=True)
    act_and_wait(lambda: (bright.focus(), bright.press("End")))
    assert brightness() > before
    act_and_wait(lambda: page.get_by_label("GANSpace (principal components)").check())
    page.get_by_label("range slider for Direction 2").wait_for()
    act_and_wait(lambda: page.get_by_label("Noise").uncheck())
    page.get_by_role("button", name="Truncation per layer group").click()
    pull = page.locator("#styles-pull-1 input[type=range]")
    before_pull = picture()
    for _ in range(20):  # a slider that the page has only now made may not listen to the first of them yet
        pull.press("ArrowLeft")
        page.wait_for_timeout(1000)
        if picture() != before_pull:
            break
    act_and_wait(lambda: pull.press("Home"))
    page.locator("#styles-film button").first.click()
    page.get_by_role("button", name="Interpolate to the second image and back").click()
    shown(page, "#styles-moving img", 1)
    frames = Image.open(io.BytesIO(page.request.get(page.locator("#styles-moving img").get_attribute("src")).body()))
    assert (frames.format, frames.n_frames, frames.size) == ("WEBP", 24, (384, 384))
    page.get_by_role("button", name="Start from your own image").click()
    draw_facade(STYLES[1], size=32).save(tmp_path / "mine.png")
    page.set_input_files("#styles-own input[type=file]", tmp_path / "mine.png")
    shown(page, "#styles-own img", 1)
    said = page.locator("#styles-said").inner_text()
    with monkeypatch.context() as endless:
        endless.setattr("translate.demos.styles_tab.STEPS", 10**6)  # so that it cannot end before it is cancelled
        endless.setattr("translate.demos.cancelling.GRACE", 0.0)  # as where the page is too busy to stop waiting
        page.get_by_role("button", name="Project", exact=True).click()
        page.locator("#styles-said").get_by_text("projecting").wait_for()  # its progress
        page.locator("#styles-give-up").click()
        page.locator("#styles-said").get_by_text("projecting").wait_for(state="hidden")
    expect = pytest.importorskip("playwright.sync_api").expect
    expect(page.locator("#styles-said")).to_have_text(said, use_inner_text=True, timeout=1000 * PATIENCE)
    act_and_wait(lambda: page.get_by_role("button", name="Project", exact=True).click())
    assert "less than that of the mean image." in page.locator("#styles-said").inner_text()
    assert page.locator("#change-0 input[type=range]").input_value() == "0"  # another image begins anew
    assert pull.input_value() == "1"
    page.screenshot(path=tmp_path / "styles.png", full_page=True)


def test_the_plane_follows_the_mouse_and_images_have_ways(page: Page, tmp_path: Path) -> None:
    page.get_by_role("tab", name="Latents", exact=True).click()

    def here() -> str:
        return page.locator("#here img").get_attribute("src")

    def act_and_wait(act) -> None:
        before = here()
        act()
        page.wait_for_function("old => document.querySelector('#here img').src !== old", arg=before)

    shown(page, "#plane .plane img", 1)
    shown(page, "#here img", 1)
    plane = page.locator("#plane .plane img")
    box, before = plane.bounding_box(), here()
    for step in range(20):  # a busy page may not listen to the first of them yet
        plane.hover(position={"x": (0.9 - 0.02 * step) * box["width"], "y": 0.1 * box["height"]})
        page.wait_for_timeout(500)
        if here() != before:
            break
    assert here() != before
    page.wait_for_timeout(1000)  # what the last of them asked for comes before what the key asks for
    page.locator("#plane .plane").focus()
    act_and_wait(lambda: page.keyboard.press("ArrowDown"))
    paths = []
    for number in range(6):
        paths.append(tmp_path / f"{number}.png")
        draw_facade(STYLES[number % len(STYLES)], seed=number, size=32).save(paths[-1])
    page.locator("#latents-between").click()
    page.locator(".toast-body").get_by_text("Two images are needed").wait_for()
    for name, path in (("first", paths[0]), ("last", paths[1])):
        page.set_input_files(f"#latents-{name} input[type=file]", path)
        shown(page, f"#latents-{name} img", 1)
    page.locator("#latents-between").click()
    shown(page, "#latents-way img", 1)
    before = page.locator("#latents-way img").get_attribute("src")
    page.locator("#latents-two").click()
    page.wait_for_function("old => document.querySelector('#latents-way img').src !== old", arg=before)
    page.get_by_role("button", name="Map of many images").click()
    upload(page, "#latents-files", paths)
    page.locator("#latents-map-draw").click()
    page.frame_locator("#latents-map iframe").get_by_text("6 images").wait_for()
    before = page.locator("#plane img").get_attribute("src")
    page.locator("#latents-weights input").click()
    page.get_by_role("option", name="plain: 16 px").click()
    page.wait_for_function("old => document.querySelector('#plane img').src !== old", arg=before)


@pytest.mark.parametrize("side", [16, 64, 256])
def test_lines_are_drawn_for_weights_of_any_size(side: int) -> None:
    (drawn,) = lines_of([draw_facade(STYLES[0], size=64)], side=side)
    values = np.asarray(drawn.convert("L"))
    assert values.shape == (256, 256)
    assert values.min() < 60
    assert values.mean() > 80


def test_an_icon_is_drawn(page: Page) -> None:
    page.get_by_role("tab", name="Draw", exact=True).click()
    page.get_by_role("tab", name="An icon", exact=True).click()
    board = page.locator("#icon-board")
    canvas = board.locator("canvas")

    def pixel(x: int, y: int) -> tuple[int, ...]:
        data = canvas.evaluate("(board, [x, y]) => [...board.getContext('2d').getImageData(x, y, 1, 1).data]", [x, y])
        return tuple(data[:3])

    shown(page, "#rendering img", 1)
    first = page.locator("#rendering img").get_attribute("src")
    for name in ("Clear", "Red", "Ellipse"):
        board.get_by_role("button", name=name, exact=True).click()
    box = canvas.bounding_box()
    scale = box["width"] / SIDE
    page.mouse.move(box["x"] + 100 * scale, box["y"] + 100 * scale)
    page.mouse.down()
    page.mouse.move(box["x"] + 300 * scale, box["y"] + 400 * scale)
    page.mouse.up()
    page.wait_for_function("old => document.querySelector('#rendering img').src !== old", arg=first)
    inside, outside = [(200, 250), (110, 250), (200, 395)], [(110, 110), (290, 390), (320, 250)]
    assert {pixel(*place) for place in inside} == {COLOURS["Red"]}
    assert {pixel(*place) for place in outside} == {PAPER}
    board.get_by_role("button", name="Undo").click()
    assert pixel(200, 250) == PAPER


def test_a_sketch_is_drawn(page: Page) -> None:
    page.get_by_role("tab", name="Draw", exact=True).click()
    page.get_by_role("tab", name="A sketch", exact=True).click()
    box = page.locator("#sketch canvas").bounding_box()
    page.mouse.move(box["x"] + 50, box["y"] + 50)
    page.mouse.down()
    page.mouse.move(box["x"] + 150, box["y"] + 180, steps=4)
    page.mouse.up()
    shown(page, "#sketched img", 1)
    first = page.locator("#sketched img").get_attribute("src")
    page.locator("#sketch").get_by_role("button", name="Clear").click()
    page.wait_for_function("old => document.querySelector('#sketched img').src !== old", arg=first)
    blank = page.locator("#sketched img").get_attribute("src")
    page.get_by_label("Start from: sketch 2").click()
    page.wait_for_function("old => document.querySelector('#sketched img').src !== old", arg=blank)
    page.locator("#sketch").get_by_role("button", name="Undo").click()
    page.wait_for_function("old => document.querySelector('#sketched img').src === old", arg=blank)


def test_a_drawing_is_judged(page: Page, demo, tmp_path: Path) -> None:
    page.get_by_role("tab", name="Anomalies", exact=True).click()
    page.locator("#faults-verdict .verdict").wait_for()  # of an example, without a click
    shown(page, "#faults-seen img", 1)
    first = page.locator("#faults-seen img").get_attribute("src")
    box = page.locator("#faults-board canvas").bounding_box()
    page.mouse.move(box["x"] + 50, box["y"] + 50)
    page.mouse.down()
    page.mouse.move(box["x"] + 150, box["y"] + 180, steps=4)
    page.mouse.up()
    page.wait_for_function("old => document.querySelector('#faults-seen img').src !== old", arg=first)
    for name in ("seen", "made", "heat"):
        shown(page, f"#faults-{name} img", 1)
    words = page.locator("#faults-verdict").inner_text()
    detector, config = load_detector(demo.detector, device="cpu")
    url = page.locator("#faults-board canvas").evaluate("board => board.toDataURL('image/png')")
    drawing = Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2])))
    assert np.asarray(drawing.convert("L")).max() == 255
    score = float(detector(Framing(config).prepared([drawing]))[0, 2])
    assert f"Anomaly score {score:.1f}; threshold 0.0, set for a false-positive rate of 5%." in words
    assert ("Anomalous" in words) == (score > 0)
    page.locator("#faults-board").get_by_role("button", name="Undo").click()
    page.wait_for_function("old => document.querySelector('#faults-verdict').innerText !== old", arg=words)
    before = page.locator("#faults-seen img").get_attribute("src")
    page.locator("#faults-example").click()
    page.wait_for_function("old => document.querySelector('#faults-seen img').src !== old", arg=before)
    page.get_by_role("button", name="Upload an image").click()
    before = page.locator("#faults-verdict").inner_text()
    draw_facade(STYLES[1], size=64).save(tmp_path / "mine.png")
    page.set_input_files("#faults-own input[type=file]", tmp_path / "mine.png")
    page.wait_for_function("old => document.querySelector('#faults-verdict').innerText !== old", arg=before)


def test_an_image_is_compressed_beside_jpeg(page: Page, demo, tmp_path: Path) -> None:
    page.get_by_role("tab", name="Compress", exact=True).click()
    image = draw_facade(STYLES[1]).crop((0, 0, 60, 44))
    image.save(tmp_path / "house.png")
    page.set_input_files("#compress-input input[type=file]", tmp_path / "house.png")
    shown(page, "#compress-input img", 1)
    page.locator("button#compress").click()
    shown(page, "#compress-ours img", 2)
    shown(page, "#compress-jpeg img", 1)
    expected = Compressor(load_image_model(demo.codec, device="cpu")).compress(image)
    assert (
        f"{8 * len(expected) / image.width / image.height:.3f} bits per pixel"
        in page.locator("#compress-said").inner_text()
    )
    before = page.locator("#compress-jpeg-said").inner_text()
    page.locator("#compress-quality input[type=range]").focus()
    page.keyboard.press("End")
    page.wait_for_function("old => document.querySelector('#compress-jpeg-said').innerText !== old", arg=before)
    page.locator("#compress-download:not([disabled])").wait_for()
    with page.expect_download() as download:
        page.locator("#compress-download").click()
    download.value.save_as(tmp_path / "house.tvq")
    assert (tmp_path / "house.tvq").read_bytes() == expected
    if page.locator("#compress-example .thumbnail").count():  # the photo comes with scikit-learn
        before = page.locator("#compress-jpeg-said").inner_text()
        page.locator("#compress-example .thumbnail").click()
        page.wait_for_function("old => document.querySelector('#compress-jpeg-said').innerText !== old", arg=before)
    page.get_by_role("button", name="Decompress a file").click()
    page.set_input_files("#compress-file input[type=file]", tmp_path / "house.tvq")
    page.locator("#compress-said").get_by_text("60 × 44 pixels from house.tvq").wait_for()


def test_many_images_at_once(page: Page, tmp_path: Path) -> None:
    for number in range(3):
        draw_facade(STYLES[number]).crop((0, 0, 40 + number, 30)).save(tmp_path / f"{number}.png")
    (tmp_path / "broken.png").write_bytes(b"no image")
    page.get_by_role("button", name="Batch translation").click()
    names = ["0.png", "1.png", "broken.png", "2.png"]
    upload(page, "#many-files", [tmp_path / name for name in names])  # all come together
    page.get_by_role("button", name="Translate all", exact=True).click()
    page.locator("#many-download:not([disabled])").wait_for()
    words = page.locator("#many-summary").inner_text()
    assert words.startswith("3 of 4 translated.")
    assert "broken.png: is not an image" in words
    shown(page, "#many-results .grid-container img, #many-results .thumbnail-item img", 3)
    with page.expect_download() as download:
        page.locator("#many-download").click()
    download.value.save_as(tmp_path / "all.zip")
    with zipfile.ZipFile(tmp_path / "all.zip") as archive:
        assert sorted(archive.namelist()) == ["0.png", "1.png", "2.png"]
        assert Image.open(archive.open("2.png")).size == (42, 30)


def test_training_is_begun_watched_stopped_and_used(
    page: Page, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = ("--width", "4", "--d-width", "4", "--d-layers", "1", "--schedule", "constant", "--workers", "1")
    method = ("pix2pix", "--derive", "gray", *small, "--log-every", "2", "--sample-every", "4")
    monkeypatch.setitem(GOALS, "colour", replace(GOALS["colour"], method=method))
    with zipfile.ZipFile(tmp_path / "houses.zip", "w") as archive:
        for number in range(4):
            draw_facade(STYLES[number], size=64).save(tmp_path / "one.png")
            archive.write(tmp_path / "one.png", f"{number}.png")
    page.get_by_role("tab", name="Train", exact=True).click()
    page.locator("#train-look").click()
    page.locator(".toast-body").get_by_text("No images yet").wait_for()
    page.locator("#train-example").click()
    page.locator("#train-report").get_by_text("300 images, mostly 16 × 16 pixels").wait_for()
    upload(page, "#train-files", [tmp_path / "houses.zip"])
    page.locator("#train-look").click()
    page.locator("#train-report").get_by_text("4 images, mostly 64 × 64 pixels").wait_for()
    page.get_by_label("Colourise grey images").check()
    page.locator("#train-start").click()
    shown(page, "#train-sample img", 1)  # its process begins with importing PyTorch
    page.locator("#train-status figure").first.wait_for()
    page.screenshot(path=tmp_path / "train.png", full_page=True)
    page.reload()  # a page that is closed ends nothing, and one that is opened shows it
    page.get_by_role("tab", name="Train", exact=True).click()
    page.locator("#train-stop:not([disabled])").click()
    page.locator("#train-use:not([disabled])").wait_for()
    assert "Stopped and saved" in page.locator("#train-status").inner_text()
    page.locator("#train-use").click()
    page.wait_for_function("() => document.querySelector('#weights input').value.startsWith('houses-colour: grey')")
    draw_facade(STYLES[1]).crop((0, 0, 70, 50)).save(tmp_path / "house.png")
    page.set_input_files("#input input[type=file]", tmp_path / "house.png")
    shown(page, "#input img", 1)
    page.get_by_role("button", name="Translate", exact=True).click()
    shown(page, "#result img", 2)


def test_weights_are_described_brought_and_taken_away(page: Page, demo, tmp_path: Path) -> None:
    began = time.time() - 5
    page.get_by_role("tab", name="Weights", exact=True).click()
    assert "labels → photos" in page.locator("#models-card").inner_text()
    shutil.copy(demo.grey / "model.safetensors", tmp_path / "mine.safetensors")
    upload(page, "#models-file", [tmp_path / "mine.safetensors"])
    page.locator("#models-open").click()
    page.locator("#models-card").get_by_text("depth → height").wait_for()
    page.locator("#models-export").click()
    page.locator("#models-download:not([disabled])").wait_for()
    with page.expect_download() as download:
        page.locator("#models-download").click()
    download.value.save_as(tmp_path / "away.safetensors")
    assert translate.load(tmp_path / "away.safetensors").config.domains.target == "height"
    page.locator("#models-use").click()
    page.wait_for_function("() => document.querySelector('#weights input').value.startsWith('mine')")
    (tmp_path / "not.safetensors").write_bytes(b"words")
    page.get_by_role("tab", name="Weights", exact=True).click()
    page.locator("#models-file").get_by_label("Clear").click()
    upload(page, "#models-file", [tmp_path / "not.safetensors"])
    page.locator("#models-open").click()
    page.locator(".toast-body").get_by_text("not.safetensors").wait_for()
    from gradio.utils import get_upload_folder

    for file in Path(get_upload_folder()).glob("*/mine.safetensors"):  # as is done after an hour
        if file.stat().st_mtime >= began:  # others may be of a demo that runs beside
            file.unlink()
    page.get_by_role("tab", name="Translate", exact=True).click()
    draw_facade(STYLES[1]).crop((0, 0, 70, 50)).save(tmp_path / "house.png")
    page.set_input_files("#input input[type=file]", tmp_path / "house.png")
    shown(page, "#input img", 1)
    page.get_by_role("button", name="Translate", exact=True).click()
    page.locator(".toast-body").get_by_text("is no longer available").wait_for()


@pytest.mark.parametrize("width", [1440, 1024, 390])
def test_nothing_is_wider_than_the_window(page: Page, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 900})
    parts = {"Draw": "#board canvas", "Generate": "#made", "Styles": "#styles-choice", "Translate": "#input"}
    parts |= {
        "Train": "#train-files",
        "Weights": "#models-card",
        "Latents": "#plane",
        "Anomalies": "#faults-board canvas",
        "Compress": "#compress-input",
    }
    for tab, part in parts.items():
        tab_button = page.get_by_role("tab", name=tab, exact=True)
        if not tab_button.is_visible():  # on a phone some are behind a button with three dots
            page.locator(".overflow-menu > button").first.click()
            page.locator(".overflow-dropdown").first.get_by_text(tab, exact=True).click()
        else:
            tab_button.click()
        page.locator(part).wait_for()
        assert page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") <= 0
