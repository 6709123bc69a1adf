"""Maps of latents: a picture, and a page that works offline."""

import numpy as np
import pytest
from PIL import Image

from translate.applications.embed import flattened
from translate.applications.latent_map import COLOURS, colour_of, map_page, thumbnail_map
from translate.config import ConfigError

POINTS = np.array([[0.5, 0.5], [0.1, 0.1], [0.9, 0.1], [0.9, 0.9]])
THUMBNAILS = [Image.new("L", (28, 28), 60 * number) for number in range(4)]
LABELS, CLASSES = [0, 1, 1, 0], ["cats </script>", "dogs"]


def make_page():
    maps = {"t-SNE": POINTS, "PCA": POINTS[::-1]}
    names = ["middle", "left", "right", "top"]
    return map_page(maps, THUMBNAILS, LABELS, CLASSES, names, title="a <b> of latents")


def test_thumbnails_are_where_their_points_are():
    picture = np.asarray(thumbnail_map(POINTS, THUMBNAILS, LABELS, CLASSES, title="x"))
    assert picture.shape == (1244, 1200, 3)
    assert (picture[600, 600] == 0).all()  # the first, in the middle
    assert (picture[1200 - 40 - 112, 40 + 112] == 60).all()  # the second, below on the left
    frame = tuple(picture[600 - 13, 600])
    assert frame == tuple(int(COLOURS[0][place : place + 2], 16) for place in (1, 3, 5))
    assert thumbnail_map(POINTS, THUMBNAILS, None, [], title="x").size == (1200, 1200)


def test_the_page_needs_nothing_from_outside():
    page = make_page()
    assert "http" not in page
    assert page.count("</script>") == 1  # that of a class does not end the script
    assert "a &lt;b&gt; of latents" in page


def test_colours_repeat_and_no_label_is_grey():
    assert colour_of(len(COLOURS)) == colour_of(0)
    assert colour_of(None) == "#777777"
    assert len(set(COLOURS)) == len(COLOURS)


@pytest.mark.browser
def test_the_page_in_chromium(browser, tmp_path):
    (tmp_path / "map.html").write_text(make_page(), encoding="utf-8")
    page = browser.new_page(viewport={"width": 800, "height": 600})
    wrong = []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("console", lambda line: wrong.append(line.text))
    page.on("request", lambda sent: None if sent.url.startswith(("file:", "data:")) else wrong.append(sent.url))
    page.goto((tmp_path / "map.html").as_uri())
    box = page.locator("#points").bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.locator("#card").wait_for()
    assert page.locator("#name").text_content() == "middle \u00b7 cats </script>"
    page.get_by_role("button", name="cats").click()  # hides them
    page.mouse.move(box["x"] + box["width"] / 2 + 1, box["y"] + box["height"] / 2)
    assert not page.locator("#card").is_visible()
    page.get_by_role("button", name="PCA").click()
    assert page.get_by_role("button", name="PCA").get_attribute("aria-pressed") == "true"
    assert page.get_by_role("button", name="t-SNE").get_attribute("aria-pressed") == "false"
    page.close()
    assert wrong == []


@pytest.mark.parametrize("size", [1, 2, 5])
def test_latents_of_any_size_are_flattened(size):
    pytest.importorskip("sklearn")
    latents = np.random.default_rng(0).normal(size=(12, size)).astype(np.float32)
    maps = flattened(latents)
    assert list(maps) == ["t-SNE", "PCA"]
    for points in maps.values():
        assert points.shape == (12, 2)
        assert points.min() >= 0
        assert points.max() <= 1
    assert np.array_equal(maps["t-SNE"], flattened(latents)["t-SNE"])


def test_a_map_needs_some_images():
    with pytest.raises(ConfigError, match="a map needs at least 4 images"):
        flattened(np.zeros((3, 2)))
