"""Webcam in the Translate tab: its frames through any weights, one by one, as large as this machine manages."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import gradio as gr
from PIL import Image

from translate.data.images import from_pil
from translate.demos.answers import as_toasts, for_page, in_words, refuse
from translate.demos.catalogue import Catalogue
from translate.demos.examples import to_url
from translate.demos.painting import Painting, code_of

PACE = 0.15
"""Seconds that a frame may take; frames that come meanwhile are left out."""
LEAST, FIRST, MOST = 128, 256, 512
"""Longer side of a frame in pixels: at least, at first, at most."""
STEP = 32
PUBLIC_SECONDS = 120
"""Of one stream, where others may be waiting."""
AT_ONCE = 2
"""Streams."""
SHOWN = """
<div class="stage" ${value ? "hidden" : ""}>Allow the webcam and start it: its frames appear here, translated.</div>
<img src="${value}" alt="The translated frame" ${value ? "" : "hidden"}>"""


def next_side(side: int, seconds: float) -> int:
    """Longer side of the next frame, in pixels, where one of `side` took so long; `side` unless that is far off."""
    wanted = side * min(2.0, max(0.5, math.sqrt(PACE / max(seconds, 1e-3))))
    if 0.8 < wanted / side < 1.25:
        return side
    return min(MOST, max(LEAST, round(wanted / STEP) * STEP))


class CameraPart:
    """The controls of a webcam, laid out by two methods where each belongs; then `connect` them.

    Args:
        catalogue: The weights.
        local: Whether only people at this computer see the page.
    """

    def __init__(self, catalogue: Catalogue, *, local: bool) -> None:
        self.catalogue, self.local = catalogue, local
        self.code_of = lru_cache(maxsize=4)(code_of)  # a style image is not looked at for each frame

    def lay_out_input(self) -> None:
        """The camera; it is off until somebody starts it."""
        self.camera = gr.Image(
            type="pil",
            sources=["webcam"],
            streaming=True,
            label="Webcam",
            show_label=False,
            height=300,
            visible=False,  # until its tab is opened; a browser turns off the camera of what is hidden again
            elem_id="camera",
            buttons=[],
            webcam_options=gr.WebcamOptions(constraints={"video": {"width": {"ideal": 640}, "height": {"ideal": 480}}}),
        )
        self.side = gr.State(FIRST)
        self.chosen = gr.State(False)  # whether its tab is the one among its neighbours

    def lay_out_results(self) -> None:
        """What its frames become."""
        self.live = gr.HTML(html_template=SHOWN, apply_default_css=False, elem_id="live")
        self.took = gr.Markdown("", elem_id="live-took")

    def connect(
        self, weights: gr.Dropdown, painting: Painting, tab: gr.Tab, *, leaving: Sequence[gr.Tab], outer: gr.Tabs | None
    ) -> None:
        """Make it work, with these weights and styles; it ends when its tab is left, or that of `outer` it is in."""
        quiet: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden", "queue": False}
        self.camera.stream(
            self.translate,
            [self.camera, self.side, weights, *painting.inputs],
            [self.live, self.took, self.side],
            stream_every=0.1,
            time_limit=None if self.local else PUBLIC_SECONDS,
            concurrency_limit=AT_ONCE,
            api_visibility="private",
            show_progress="hidden",
        )
        tab.select(lambda: (gr.update(visible=True), True), None, [self.camera, self.chosen], **quiet)
        for other in leaving:
            other.select(lambda: (gr.update(visible=False), False), None, [self.camera, self.chosen], **quiet)

        def moved(chosen: bool, event: gr.SelectData) -> dict:
            return gr.update(visible=chosen and event.value == "Translate")

        if outer is not None:
            outer.select(moved, self.chosen, self.camera, **quiet)

    def translate(self, frame: Image.Image | None, side: int, name: str | None, *chosen: Any) -> tuple[Any, str, int]:
        """Translate a frame: a data URL of it, the time in words, and the longer side of the next one."""
        if frame is None:
            return gr.skip(), "", side
        if name not in self.catalogue.offers:
            raise refuse("These weights are not available: choose others.")
        *style, keep_colours, style_image = chosen
        with as_toasts():
            translator = self.catalogue.translator(name)
            code = self.code_of(translator, *style, style_image)
            began = time.perf_counter()
            picture = from_pil(smaller(frame, side))
            made = translator.apply([picture], code=code, keep_colours=bool(keep_colours))[0]
            seconds = time.perf_counter() - began
        shown = to_url(for_page(made), "JPEG", quality=90)
        return shown, in_words(seconds, picture.size, translator.device.type), next_side(side, seconds)


def smaller(frame: Image.Image, side: int) -> Image.Image:
    """A frame in RGB, whose longer side is at most `side` pixels."""
    frame = frame.convert("RGB")
    frame.thumbnail((side, side), Image.Resampling.BILINEAR)
    return frame
