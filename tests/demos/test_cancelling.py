"""What a page waits for ends when that page asks, and only then."""

from types import SimpleNamespace

import pytest

pytest.importorskip("gradio", reason="the demo needs gradio")

import gradio as gr

from translate.demos.cancelling import Cancelling


def page(name: str) -> gr.Request:
    return SimpleNamespace(session_hash=name)  # type: ignore[return-value]


def test_a_page_ends_its_own_action_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("translate.demos.cancelling.GRACE", 0.0)
    cancelling = Cancelling()
    one, other = cancelling.begun(page("one")), cancelling.begun(page("other"))
    one()
    cancelling.ask(page("one"))
    other()
    again = cancelling.begun(page("one"))  # the page goes on at once: the first must end all the same
    with pytest.raises(gr.Error, match="Cancelled"):
        one()
    again()


def test_what_was_asked_before_it_began_does_not_count() -> None:
    cancelling = Cancelling()
    cancelling.ask(page("one"))
    cancelling.begun(page("one"))()


def test_what_is_shown_all_the_same_is_told_that_the_page_asked() -> None:
    cancelling = Cancelling()
    asked = cancelling.asked(page("one"))
    assert not asked()
    cancelling.ask(page("one"))
    assert asked()
