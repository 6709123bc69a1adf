"""Ending what a page waits for."""

from __future__ import annotations

from collections.abc import Callable

import gradio as gr


class Cancelling:
    """A Cancel button beside a long action: the page asks by it, and what runs looks whether it was asked.

    Gradio itself only stops waiting: a function that runs would go on to its end, and hold up the next in the queue.
    """

    def __init__(self) -> None:
        self._asked: set[str | None] = set()

    def begun(self, request: gr.Request) -> Callable[[], None]:
        """What the action of a page is to call at each step; it raises `gr.Error` once that page has asked."""
        page = request.session_hash
        self._asked.discard(page)

        def look() -> None:
            if page in self._asked:
                self._asked.discard(page)
                raise gr.Error("Cancelled.", title="Ended", duration=4, print_exception=False)

        return look

    def connect(self, button: gr.Button, *actions: gr.events.Dependency) -> None:
        """Let a button end these actions of its page; what still waits in the queue is taken out of it."""
        button.click(self._ask, cancels=list(actions), queue=False, api_visibility="private", show_progress="hidden")

    def _ask(self, request: gr.Request) -> None:
        self._asked.add(request.session_hash)
