"""The cards of weights."""

from __future__ import annotations

import base64
import io
from dataclasses import replace

import pytest
from PIL import Image

from translate.demos.cards import HEIGHT, PREVIEW, WIDTH, card_html, preview_of
from translate.demos.catalogue import Catalogue
from translate.inference.finding import shipped_weights


@pytest.mark.parametrize("name", shipped_weights())
def test_all_that_ships_has_a_preview_and_terms(name):
    file = shipped_weights()[name] / PREVIEW
    assert Image.open(file).size == (WIDTH, HEIGHT)
    assert file.stat().st_size < 40_000
    card = card_html(Catalogue()[name])
    shown = card.partition('src="data:image/webp;base64,')[2].partition('"')[0]
    assert Image.open(io.BytesIO(base64.b64decode(shown))).size == (WIDTH, HEIGHT)
    assert "Terms: " in card


def test_a_run_shows_its_last_samples(tmp_path, make_weights):
    make_weights(tmp_path / "run" / "weights")
    (tmp_path / "run" / "samples").mkdir()
    for number, colour in enumerate(("red", "blue")):
        Image.new("RGB", (900, 300), colour).save(tmp_path / "run" / "samples" / f"{number}.png")
    paths = ["run", "run/weights", "run/weights/model.safetensors", "run/weights/a2b"]
    (tmp_path / "run" / "weights" / "a2b").mkdir()
    assert [preview_of(tmp_path / path, samples=True) for path in paths] == [None] * 4  # any folder of that name
    (tmp_path / "run" / "log.jsonl").write_text("")
    last = tmp_path / "run" / "samples" / "1.png"
    assert [preview_of(tmp_path / path, samples=True) for path in paths] == [last] * 4
    assert [preview_of(tmp_path / path, samples=False) for path in paths] == [None] * 4
    offer = Catalogue([tmp_path / "run"])["weights"]
    assert "data:image/webp" in card_html(replace(offer, name='<"x">'))
    assert '<"x">' not in card_html(replace(offer, name='<"x">'))
    assert "<img" not in card_html(replace(offer, local=False))  # they hold images of whoever trained it
    (tmp_path / "run" / "samples" / "2.png").write_bytes(b"half a file")
    assert "<img" not in card_html(offer)


def test_no_weights_are_said():
    assert card_html(None, empty="None & nothing.") == '<p class="hint">None &amp; nothing.</p>'
