"""Video in the Translate tab: a video or an animation through any weights, and both to play in step."""

from __future__ import annotations

import time
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from shutil import copyfile
from tempfile import TemporaryDirectory
from typing import Any

import gradio as gr
from gradio.context import Context

from translate.demos.answers import as_toasts, file_name, in_words, kept_file, refuse
from translate.demos.cancelling import Cancelling
from translate.demos.catalogue import Catalogue
from translate.demos.filming import TAKEN, Made, clock, look_at, translate_film
from translate.demos.painting import Painting, code_of
from translate.demos.player import played, player


class ClipPart:
    """The controls of clips, laid out by three methods where each belongs; then `connect` them.

    Args:
        catalogue: The weights.
    """

    def __init__(self, catalogue: Catalogue) -> None:
        self.catalogue = catalogue
        self.cancelling = Cancelling()

    def lay_out_input(self) -> None:
        """What is translated, and which part of it."""
        self.file = gr.File(
            file_types=list(TAKEN), label="Video or animation (MP4, MOV, WebM, MKV, GIF, WebP, APNG)", height=170,
            elem_id="clip-input",
        )  # fmt: skip
        self.said = gr.Markdown("", elem_id="clip-said")
        with gr.Row(visible=False) as self.part:
            self.start = gr.Number(0, label="Start (seconds)", minimum=0, step=0.1, min_width=120, elem_id="clip-start")
            self.end = gr.Number(None, label="End (seconds)", minimum=0, step=0.1, min_width=120, elem_id="clip-end")
        self.smooth = gr.Checkbox(
            False,
            label="Reduce flicker",
            info="Blends each frame with the one before it along the motion.",
            visible=find_spec("cv2") is not None,
            elem_id="clip-smooth",
        )

    def lay_out_buttons(self) -> None:
        """What begins and ends it."""
        with gr.Row():
            self.button = gr.Button("Translate", variant="primary", min_width=140, elem_id="clip-translate")
            self.cancel = gr.Button("Cancel", min_width=140, elem_id="clip-cancel")

    def lay_out_results(self) -> None:
        """What comes of it."""
        self.player = player(elem_id="clip-player")
        self.took = gr.Markdown("", elem_id="clip-took")
        self.download = gr.DownloadButton("Download clip", interactive=False, elem_id="clip-download")

    def connect(self, weights: gr.Dropdown, painting: Painting) -> None:
        """Make them work, with these weights and styles."""
        quiet: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
        self.file.change(self.describe, self.file, [self.said, self.part, self.start, self.end], **quiet)
        self.button.click(
            self.translate,
            [self.file, weights, self.start, self.end, self.smooth, *painting.inputs],
            [self.player, self.took, self.download],
            api_name="translate_clip",
            concurrency_id="many",  # between its frames, others have their turn
            concurrency_limit=1,
            show_progress_on=self.player,
        )
        self.cancel.click(self.cancelling.ask, queue=False, api_name="cancel_clip", show_progress="hidden")
        assert Context.root_block is not None
        Context.root_block.unload(self.cancelling.ask)  # nobody waits for it any more

    def describe(self, path: str | None) -> tuple[str, dict, float, float | None]:
        """What a clip is, and the part of it that is offered."""
        if path is None:
            return "", gr.update(visible=False), 0, None
        seen = gr.update(visible=True)
        with as_toasts(path):
            film = look_at(Path(path))
        if film.longest is None:
            return film.words(), seen, 0, None if film.seconds is None else round(film.seconds, 2)
        words = f"{film.words()}. At most {clock(film.longest)} of it can be translated at once: choose a part."
        return words, seen, 0, film.longest

    def translate(
        self,
        path: str | None,
        name: str | None,
        start: float | None,
        end: float | None,
        smooth: bool,
        style: str | None,
        other: str | None,
        share: float | None,
        strength: float | None,
        keep_colours: bool,
        style_image: str | None,
        request: gr.Request,
        progress: gr.Progress = gr.Progress(),  # noqa: B008
    ) -> tuple[dict, str, dict]:
        """Translate a clip: both for the player, what was done in words, and a file of the clip's format."""
        if path is None:
            raise refuse("No clip yet: drop a video or an animation.")
        if name not in self.catalogue.offers:
            raise refuse("These weights are not available: choose others.")
        asked = self.cancelling.asked(request)

        def on_frame(done: int, expected: int | None) -> bool:
            progress((done, expected), unit="frames")
            return not asked()

        progress((0, None), unit="frames")
        began = time.perf_counter()
        with as_toasts(path), TemporaryDirectory() as folder:
            translator = self.catalogue.translator(name)
            code = code_of(translator, style, other, share, strength, style_image)
            made = translate_film(
                translator,
                Path(path),
                Path(folder),
                start=start or 0.0,
                end=end or None,  # an empty field is 0 on the page
                smooth=smooth,
                on_frame=on_frame,
                code=code,
                keep_colours=bool(keep_colours),
            )
            took = _in_words(made, time.perf_counter() - began, translator.device.type)
            before = kept_file(self.player, made.before.name, partial(copyfile, made.before))
            after = kept_file(self.player, made.after.name, partial(copyfile, made.after))
            file = kept_file(
                self.download, file_name(path, name, made.file.suffix), partial(copyfile, made.file)
            )  # fmt: skip
        shown = played(before, after, size=made.size, sound=made.sound)
        return gr.update(**shown), took, gr.update(value=file, interactive=True)


def _in_words(made: Made, seconds: float, device: str) -> str:
    """``48 frames of 640 × 360 pixels in 3.2 seconds on the CPU``."""
    count = f"{made.frames:,}" + (f" of {made.expected:,}" if made.stopped and made.expected else "")
    words = f"{count} frames, {in_words(seconds, made.size, device)}"
    return "; ".join([f"Stopped after {words}" if made.stopped else words, *made.notes])
