"""The Weights tab: open weights of one's own, inspect them, and export them in another format."""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Callable, Sequence
from html import escape
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from zipfile import ZipFile

import gradio as gr

from translate.checkpoint import peers
from translate.checkpoint.files import FOREIGN_SUFFIXES, MODEL_FILE
from translate.config.weights import Domains
from translate.demos.answers import as_toasts, kept_file, refuse
from translate.demos.cards import preview_html
from translate.demos.catalogue import Catalogue, Offer
from translate.demos.painting import paints
from translate.export import export_onnx, export_safetensors

FORMATS = {
    "safetensors, fp16 (half the size)": ("safetensors", "fp16"),
    "safetensors, int8 (a quarter of the size)": ("safetensors", "int8"),
    "safetensors, fp32 (full precision)": ("safetensors", "fp32"),
    "ONNX, fp32": ("onnx", "fp32"),
}
"""What weights can be exported as."""


def models_tab(
    catalogue: Catalogue, own: gr.State, *, local: bool, opened: Callable[[gr.Button, gr.State], None]
) -> gr.Dropdown:
    """Lay out the tab and connect it; call inside ``gr.Blocks``.

    Args:
        catalogue: Where the weights are listed.
        own: The names of what was uploaded on this page, which nobody else's pickers list.
        local: Whether only people at this computer see the page, who may name folders of it.
        opened: Connects the button that opens the weights whose names are in the state.

    Returns:
        The picker of all weights.
    """
    gr.Markdown(
        "Inspect and export weights. You can open your own: files of this toolkit, pytorch-CycleGAN-and-pix2pix, CUT "
        "or stylegan2-pytorch.",
        elem_classes="lead",
    )
    names = everything(catalogue)
    first = names[0][1] if names else None
    chosen = gr.State(())
    with gr.Row():
        with gr.Column(min_width=300):
            picker = gr.Dropdown(names, value=first, label="Weights", elem_id="models-weights")
            card = gr.HTML(_card(_offer(catalogue, first)), elem_id="models-card")
            use = gr.Button("Use these weights", variant="primary", interactive=first is not None, elem_id="models-use")
            form = gr.Radio(list(FORMATS), value=next(iter(FORMATS)), label="Export format", elem_id="models-format")
            export = gr.Button("Export", interactive=first is not None, elem_id="models-export")
            download = gr.DownloadButton("Download", interactive=False, elem_id="models-download")
        with gr.Column(min_width=300):
            file = gr.File(
                file_types=[".safetensors", *FOREIGN_SUFFIXES], label=".safetensors or .pth file", height=180,
                elem_id="models-file",
            )  # fmt: skip
            with gr.Row():
                source = gr.Textbox(label="Source domain", placeholder="horses", elem_id="models-source")
                target = gr.Textbox(label="Target domain", placeholder="zebras", elem_id="models-target")
            path = gr.Textbox(
                label="Or a run or weights folder on this computer", placeholder="runs/mine", visible=local,
                elem_id="models-path",
            )  # fmt: skip
            bring = gr.Button("Open", elem_id="models-open")
            gr.Markdown(
                "The domains are for files of other projects, which do not record them. No code in a file is executed.",
                elem_classes="small",
            )

    def open_weights(
        given: str | None, typed: str | None, source: str | None, target: str | None, mine: tuple[str, ...]
    ) -> tuple[dict, str, tuple[str, ...], tuple[str, ...]]:
        """List weights that somebody opened: for this page alone where they are an uploaded file."""
        if given:
            with as_toasts(given):
                found = _from_file(catalogue, Path(given), (source or "").strip(), (target or "").strip(), picker)
        elif local and (typed or "").strip():
            with as_toasts():
                found = catalogue.add(Path(os.path.expanduser((typed or "").strip())))
        else:
            raise refuse("No weights yet: drop a .safetensors or .pth file.")
        name = found[0].name
        mine = (*mine, *(offer.name for offer in found if offer.private))
        return gr.update(choices=everything(catalogue, own=mine), value=name), _card(found[0]), (name,), mine

    def describe(name: str | None) -> tuple[str, tuple[str, ...]]:
        offer = _offer(catalogue, name)
        with as_toasts(*([offer.path] if offer is not None else [])):
            return _card(offer), (name,) if name else ()

    def make_file(name: str | None, words: str) -> str:
        """A file of the weights in another format."""
        offer = _offer(catalogue, name)
        if offer is None or words not in FORMATS:
            raise refuse("Choose weights first.")
        stem = re.sub(r"[^\w.-]+", "-", offer.name) or "weights"
        file = f"{stem}{ending_of(offer, words)}"
        with as_toasts(offer.path):
            return kept_file(download, file, lambda to: write_as(offer, words, to))

    hidden: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
    bring.click(
        open_weights,
        [file, path, source, target, own],
        [picker, card, chosen, own],
        api_visibility="private",
        show_progress_on=card,
    )
    picker.change(describe, picker, [card, chosen], **hidden)
    picker.change(lambda: gr.update(interactive=False), None, download, **hidden)
    export.click(make_file, [picker, form], download, api_visibility="private").success(
        lambda: gr.update(interactive=True), None, download, **hidden
    )
    opened(use, chosen)
    return picker


def ending_of(offer: Offer, words: str) -> str:
    """Suffix of the exported file: a zip file where ONNX would be two files."""
    if FORMATS[words][0] != "onnx":
        return ".safetensors"
    return ".zip" if paints(offer) and not offer.config.styles else ".onnx"


def write_as(offer: Offer, words: str, to: Path) -> None:
    """Write weights in another form, of `FORMATS`.

    Raises:
        WeightsError, ExportError: they cannot be opened, or have no such form.
    """
    kind, dtype = FORMATS[words]
    if ending_of(offer, words) == ".zip":
        with TemporaryDirectory() as folder, ZipFile(to, "w") as archive:
            written = export_onnx(offer.path, Path(folder) / f"{offer.config.name}.onnx")
            for one in (written.file, *written.others):
                archive.write(one, one.name)
    elif kind == "onnx":
        export_onnx(offer.path, to)
    else:
        export_safetensors(offer.path, to, dtype=dtype)  # type: ignore[arg-type]


def everything(catalogue: Catalogue, *, own: Sequence[str] = ()) -> list[tuple[str, str]]:
    """What the picker lists: translators first."""
    return catalogue.titles(catalogue.all(), own=own)


def _offer(catalogue: Catalogue, name: str | None) -> Offer | None:
    return catalogue[name] if name is not None and name in catalogue else None


def _from_file(catalogue: Catalogue, file: Path, source: str, target: str, holder: gr.Dropdown) -> list[Offer]:
    """Weights of an uploaded file, under a name that nobody else can guess."""
    stem = re.sub(r"[^\w.-]+", "-", file.stem)[:40]
    name = f"{stem} {secrets.token_hex(3)}"
    if file.suffix.lower() not in FOREIGN_SUFFIXES:
        return catalogue.add(file, name=name, private=True)
    with TemporaryDirectory() as folder:
        network, config = peers.import_weights(
            file, name=name, domains=Domains(source=source or "input", target=target or "output")
        )
        peers.save_checked(network, config, Path(folder) / "one.safetensors")
        kept = kept_file(holder, MODEL_FILE, lambda to: to.write_bytes((Path(folder) / "one.safetensors").read_bytes()))
    return catalogue.add(Path(kept), name=name, private=True)


def _card(offer: Offer | None) -> str:
    """What weights are, as a table in HTML."""
    if offer is None:
        return '<p class="hint">No weights yet.</p>'
    rows = "".join(f"<tr><th>{escape(key)}</th><td>{escape(value)}</td></tr>" for key, value in offer.facts.items())
    shown = preview_html(offer)
    picture = f'<div class="card">{shown}</div>' if shown else ""
    return f'{picture}<table class="facts"><caption>{escape(offer.name)}</caption>{rows}</table>'
