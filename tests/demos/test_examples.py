"""What the page shows before anything is asked of it."""

import numpy as np
import pytest

pytest.importorskip("gradio", reason="the demo needs gradio")

from translate.demos.catalogue import Catalogue
from translate.demos.examples import example, translated_example
from translate.inference.library import load_translator


def test_the_first_result_is_what_the_shipped_weights_make() -> None:
    first = next(iter(Catalogue([]).offers.values()))
    found = translated_example(first)
    assert found is not None
    before, after = found
    assert before.tobytes() == example(0).tobytes()
    output = load_translator("facades", device="cpu", precision="fp32")(before)
    difference = np.abs(np.asarray(after, np.float32) - np.asarray(output, np.float32)).mean()
    assert after.size == output.size
    assert difference < 4  # of 255, by WebP


def test_other_weights_have_no_first_result(demo) -> None:
    others = Catalogue([demo.detector]).offers
    assert [translated_example(offer) is not None for offer in others.values()].count(True) == 1
    assert translated_example(None) is None
