"""The Train tab: upload images, see what can be trained on them, watch the training, and use the weights."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Sequence
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr
from PIL import Image

from translate.checkpoint.files import WeightsError
from translate.config.base import ConfigError
from translate.data.doctor import Diagnosis, examine
from translate.data.problems import LayoutError
from translate.demos.answers import as_toasts, kept_file, refuse
from translate.demos.training import UPLOADED, Progress, Trainer, TrainerError, all_goals, goals_for
from translate.demos.uploads import UploadError, unpack

Looked = tuple[dict, str, dict, dict, dict]
EXAMPLES = 300
"""Images that are generated for those who have none at hand."""
SIZES = [64, 128, 256]
TICK = 2.0  # seconds between two updates of a running training
KINDS = {
    "pairs": "Image pairs",
    "unpaired": "Two unpaired domains",
    "image-set": "Image set",
    "images": "Image set",
    "nothing": "No images",
}
LOSSES = {
    "d": "discriminator",
    "g": "generator",
    "g_gan": "generator, GAN",
    "g_l1": "L1",
    "g_features": "feature matching",
    "cycle": "cycle consistency",
    "identity": "identity",
}
"""Terms of the losses by their usual names; others keep their keys."""
MARKS = {"error": "Error", "warning": "Warning", "hint": "Hint"}


def train_tab(
    trainer: Trainer,
    *,
    local: bool,
    opened: Callable[[gr.Button, gr.State], None],
    example: Callable[[int], list[Image.Image]] | None = None,
) -> None:
    """Lay out the tab and connect it; call inside ``gr.Blocks``.

    Args:
        trainer: Whose training is shown to everyone who opens the page.
        local: Whether only people at this computer see the page, who may name folders of it.
        opened: Connects the button that opens the weights whose folders are in the state.
        example: Makes so many images for those who have none at hand.
    """
    gr.Markdown(
        "Upload your own images: the page checks them, trains on them while you watch, and saves the weights.",
        elem_classes="lead",
    )
    uploaded = gr.State(None)  # {"folder": of the training, "roots": of the data}
    watched = gr.State(None)  # the folder of the training that is shown
    shown_sample = gr.State("")
    weights = gr.State(())
    timer = gr.Timer(TICK, active=False)
    with gr.Row():
        with gr.Column(min_width=300):
            files = gr.File(
                file_count="multiple", file_types=[".zip", "image"],
                label="A zip file of a folder, two zip files, or images", height=180, elem_id="train-files",
            )  # fmt: skip
            path = gr.Textbox(
                label="Or a folder on this computer", placeholder="/home/me/images", visible=local,
                info="For two domains, give two folders separated by a semicolon.", elem_id="train-path",
            )  # fmt: skip
            with gr.Row():
                look = gr.Button("Check images", elem_id="train-look")
                faces = gr.Button(
                    f"Try it with {EXAMPLES} generated images", visible=example is not None, elem_id="train-example"
                )
            report = gr.HTML("", elem_id="train-report")
            goal = gr.Radio([], label="Task", visible=False, elem_id="train-goal")
            with gr.Row():
                minutes = gr.Slider(1, 240, value=20, step=1, label="Training time (minutes)", elem_id="train-minutes")
                size = gr.Radio(SIZES, value=128, label="Image size (pixels)", elem_id="train-size")
            start = gr.Button("Start", variant="primary", interactive=False, elem_id="train-start")
        with gr.Column(min_width=300):
            earlier = gr.Dropdown([], label="Training runs", visible=False, elem_id="train-earlier")
            status = gr.HTML(_empty(), elem_id="train-status")
            sample = gr.Image(
                type="filepath", format="png", label="Samples", show_label=False, interactive=False,
                visible=False, buttons=["fullscreen"], elem_id="train-sample",
            )  # fmt: skip
            with gr.Row():
                stop = gr.Button("Stop and save", interactive=False, elem_id="train-stop")
                go_on = gr.Button("Resume", interactive=False, elem_id="train-go-on")
                use = gr.Button("Use these weights", variant="primary", interactive=False, elem_id="train-use")

    def made_here(before: dict | None) -> Looked:
        """As `examined`, of images that a network makes."""
        return examined(None, None, before, make=example)

    def examined(
        given: list[str] | None,
        typed: str | None,
        before: dict | None,
        make: Callable[[int], list[Image.Image]] | None = None,
    ) -> Looked:
        """What the doctor says of the images, and what can be learned from them."""
        if before is not None and before["folder"] and not before["used"]:
            shutil.rmtree(before["folder"], ignore_errors=True)  # looked at, and never trained on
        folder: Path | None = None
        try:
            if make is not None:
                folder = trainer.new_folder(UPLOADED)
                roots = [folder / "images"]
                roots[0].mkdir(parents=True)
                for number, image in enumerate(make(EXAMPLES)):
                    image.save(roots[0] / f"{number:03}.png")
            elif given:
                folder = trainer.new_folder(UPLOADED)
                roots = unpack(given, folder / "images")
            elif local and (typed or "").strip():
                parts = [part.strip() for part in (typed or "").split(";") if part.strip()][:2]
                roots = [Path(os.path.expanduser(part)) for part in parts]
            else:
                roots = []
            if not roots:
                raise refuse("No images yet: drop a zip file, or some images.")
            found = examine(roots[0], root_b=roots[1] if len(roots) > 1 else None)
        except (UploadError, LayoutError, ConfigError, TrainerError, WeightsError, OSError) as error:
            if folder is not None:
                shutil.rmtree(folder, ignore_errors=True)
            raise refuse(_without(str(error), folder)) from None
        goals = goals_for(found)
        choices = [(one.words, name) for name, one in goals.items()]
        smallest = min((min(domain.size) for domain in found.domains), default=128)
        fitting = max([side for side in SIZES if side <= smallest], default=SIZES[0])
        return (
            {"folder": str(folder or ""), "roots": [str(root) for root in roots], "used": False},
            _report(found),
            gr.update(choices=choices, value=choices[0][1] if choices else None, visible=bool(choices)),
            gr.update(value=min(128, fitting)),
            gr.update(interactive=bool(choices)),
        )

    def begin(asked: dict | None, chosen: str | None, minutes: float, size: int) -> tuple[str, dict]:
        if asked is None or chosen not in all_goals():
            raise refuse("Upload and check images first.")
        roots = [Path(root) for root in asked["roots"]]
        try:
            folder = trainer.new_folder("training")
            trainer.start(
                chosen,
                roots,
                folder=folder,
                minutes=float(minutes),
                size=int(size),
                names=[root.name for root in roots],
            )
        except TrainerError as error:
            raise refuse(str(error)) from None
        return str(folder), {**asked, "used": True}

    def resume(folder: str | None, minutes: float) -> None:
        known = _known(trainer, folder)
        try:
            if known is not None:
                trainer.go_on(known, minutes=float(minutes))
        except TrainerError as error:
            raise refuse(str(error)) from None

    def show(folder: str | None, last: str) -> tuple[Any, ...]:
        """How the training is getting on: everything on the right."""
        found = trainer.progress(_known(trainer, folder))
        choices = [(_title(trainer, each), str(each)) for each in trainer.folders()]
        if found is None:
            return (None, _empty(), gr.skip(), last, *[gr.update(interactive=False)] * 3, gr.Timer(active=False),
                    gr.update(visible=False), ())  # fmt: skip
        running = found.state in ("running", "stopping")
        image: Any = gr.skip()
        name = "" if found.sample is None else str(found.sample)
        if name != last:
            with as_toasts():
                image = gr.update(
                    value=kept_file(sample, "sample.png", lambda target: target.write_bytes(Path(name).read_bytes()))
                    if name else None,
                    visible=bool(name),
                )  # fmt: skip
        return (
            str(found.folder),
            _progress(found),
            image,
            name,
            gr.update(interactive=found.state == "running"),
            gr.update(interactive=not trainer.busy),
            gr.update(interactive=bool(found.weights) and not running),
            gr.Timer(active=running),
            gr.update(choices=choices, value=str(found.folder), visible=len(choices) > 1),
            tuple(str(each) for each in found.weights),
        )

    private: dict[str, Any] = {"api_visibility": "private"}
    hidden: dict[str, Any] = {**private, "show_progress": "hidden"}
    everything = [watched, status, sample, shown_sample, stop, go_on, use, timer, earlier, weights]
    looked = {"fn": show, "inputs": [watched, shown_sample], "outputs": everything, **hidden}
    gr.on(
        [look.click, path.submit], examined, [files, path, uploaded], [uploaded, report, goal, size, start],
        show_progress_on=report, **private,
    )  # fmt: skip
    faces.click(made_here, uploaded, [uploaded, report, goal, size, start], show_progress_on=report, **private)
    start.click(begin, [uploaded, goal, minutes, size], [watched, uploaded], **hidden).success(**looked)
    go_on.click(resume, [watched, minutes], None, **hidden).success(**looked)
    stop.click(trainer.stop, None, None, **hidden).success(**looked)
    earlier.input(lambda folder: (folder, ""), earlier, [watched, shown_sample], **hidden).success(**looked)
    timer.tick(**looked)
    blocks = gr.context.Context.root_block
    assert blocks is not None
    blocks.load(**looked)
    opened(use, weights)


def _known(trainer: Trainer, folder: str | None) -> Path | None:
    """A folder of the trainer's own: what a page sends is not believed."""
    return next((each for each in trainer.folders() if str(each) == folder), None)


def _title(trainer: Trainer, folder: Path) -> str:
    day = time.strftime("%d %B, %H:%M", time.localtime(folder.stat().st_mtime))
    return f"{trainer.words(folder)}, {day}"


def _without(message: str, folder: Path | None) -> str:
    if folder is None:
        return message
    return message.replace(f"{folder / 'images'}/", "").replace(str(folder / "images"), "the images")


def _empty() -> str:
    return '<p class="hint">No training runs yet. Progress and samples appear here.</p>'


def _report(found: Diagnosis) -> str:
    """What the doctor found, as HTML."""
    lines = [f"<strong>{KINDS[found.kind]}</strong>: {found.num_files:,} files"]
    for domain in found.domains:
        count = sum(domain.counts.values())
        name = f"{domain.name}: " if domain.name else ""
        width, height = domain.size
        lines.append(escape(f"{name}{count:,} images, mostly {width} × {height} pixels"))
    problems = "".join(
        f'<li class="{problem.severity}"><b>{MARKS[problem.severity]}.</b> {escape(_short(problem.what, found))}'
        f"<br>→ {escape(problem.fix)}</li>"
        for problem in found.problems
    )
    fine = "" if problems else "<p>No problems found.</p>"
    return f'<div class="report"><p>{"<br>".join(lines)}</p>{fine}<ul>{problems}</ul></div>'


def _short(text: str, found: Diagnosis) -> str:
    return text.replace(f"{found.root}: ", "").replace(f"{found.root}/", "").replace(str(found.root), "the images")


def _progress(found: Progress) -> str:
    """State, time, losses as small curves, and what is amiss, as HTML."""
    states = {
        "running": "Training",
        "stopping": "Finishing the current step and saving",
        "stopped": "Stopped and saved",
        "failed": "Failed",
    }
    share = min(1.0, found.seconds / (60 * found.minutes))
    times = f"{found.seconds / 60:.0f} of {found.minutes:g} minutes" if found.state == "running" else ""
    counted = f"{found.images:,} images seen" if found.images else "reading the first images"
    parts = [f"<b>{states[found.state]}</b>", escape(found.words.lower()), counted, times]
    bar = found.state == "running" and (
        f'<div class="bar" role="progressbar" aria-label="Time" aria-valuenow="{100 * share:.0f}" aria-valuemin="0" '
        f'aria-valuemax="100"><i style="width: {share:.1%}"></i></div>'
    )
    curves = "".join(_curve(name, points) for name, points in found.losses.items() if len(points) > 1)
    alarms = "".join(f'<p class="alarm">{escape(alarm)}</p>' for alarm in found.alarms)
    failed = f'<p class="alarm">{escape(found.said.removeprefix("translate: "))}</p>' if found.state == "failed" else ""
    heading = " · ".join(part for part in parts if part)
    return f'<div class="progress"><p>{heading}</p>{bar or ""}{failed}{alarms}<div class="curves">{curves}</div></div>'


def _curve(name: str, points: Sequence[tuple[int, float]]) -> str:
    """A loss over the images seen, as a small drawing; the last value in figures."""
    step = max(1, len(points) // 120)
    some = [*points[::step], points[-1]]
    finite = [value for _, value in some if value == value and abs(value) != float("inf")]
    low, high = min(finite, default=0.0), max(finite, default=1.0)
    first, last = points[0][0], points[-1][0]
    places = " ".join(
        f"{100 * (images - first) / ((last - first) or 1):.1f},{28 - 26 * (value - low) / ((high - low) or 1):.1f}"
        for images, value in some
        if value in finite
    )
    return (
        f"<figure><figcaption>{escape(LOSSES.get(name, name))} <b>{points[-1][1]:.3g}</b></figcaption>"
        f'<svg viewBox="0 0 100 30" preserveAspectRatio="none" role="img" aria-label="{escape(name)} over time">'
        f'<polyline points="{places}" vector-effect="non-scaling-stroke"/></svg></figure>'
    )
