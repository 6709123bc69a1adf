"""Ending what a page waits for."""

from __future__ import annotations

import time
from collections.abc import Callable
from threading import Event
from typing import Any
from weakref import WeakValueDictionary

import gradio as gr
from gradio.components import Component

GRACE = 2.0
"""Seconds until an action that was asked to end does so: by then the page waits no longer, and shows no error of it."""


class Cancelling:
    """A Cancel button beside a long action: the page asks by it, and what runs looks whether it was asked.

    Gradio itself only stops waiting: a function that runs would go on to its end, beside the next one.
    """

    def __init__(self) -> None:
        # Held by the actions themselves: what has ended is forgotten.
        self._running: WeakValueDictionary[str | None, Event] = WeakValueDictionary()

    def begun(self, request: gr.Request) -> Callable[[], None]:
        """What the action of a page is to call at each step; it raises `gr.Error` once that page has asked."""
        asked = self.asked(request)

        def look() -> None:
            if asked():
                time.sleep(GRACE)
                raise gr.Error("Cancelled.", title="Stopped", duration=4, print_exception=False)

        return look

    def asked(self, request: gr.Request) -> Callable[[], bool]:
        """As `begun`, for an action that shows what it has made until then: whether its page has asked, or is closed.

        Its button calls `ask`.
        """
        ended = self._running[request.session_hash] = Event()
        return ended.is_set

    def connect(self, button: gr.Button, *actions: gr.events.Dependency, shown: Component) -> None:
        """Let a button end these actions of its page; what still waits in the queue is taken out of it.

        Args:
            button: The Cancel button.
            actions: What it ends.
            shown: Where their progress is shown: the "Error" that a page writes there where it was too busy to stop
                waiting in time is taken away, as that of a true error, which is told by a toast.
        """
        quiet: dict[str, Any] = {"queue": False, "api_visibility": "private", "show_progress": "hidden"}
        button.click(self.ask, cancels=list(actions), **quiet)
        for action in actions:
            action.failure(gr.skip, None, shown, **quiet)

    def ask(self, request: gr.Request) -> None:
        """End what runs of a page."""
        running = self._running.pop(request.session_hash, None)
        if running is not None:
            running.set()
