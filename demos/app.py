"""The demo: a page on this computer with a tab for each thing to do; nothing leaves the machine."""

from __future__ import annotations

import atexit
import os
import signal
import socket
import sys
import threading
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import gradio as gr
from PIL import Image

from translate.config.errors import TranslateError
from translate.demos.answers import as_toasts, refuse
from translate.demos.catalogue import Catalogue
from translate.demos.compress_tab import compress_tab
from translate.demos.draw_tab import draw_tab
from translate.demos.examples import made, maker_of
from translate.demos.faults_tab import faults_tab
from translate.demos.latents_tab import latents_tab
from translate.demos.make_tab import make_tab
from translate.demos.models_tab import models_tab
from translate.demos.styles_tab import styles_tab
from translate.demos.train_tab import train_tab
from translate.demos.training import Trainer
from translate.demos.translate_tab import translate_tab

HOST, FIRST_PORT, NUM_PORTS = "127.0.0.1", 7860, 50
LOOPBACK = ("127.0.0.1", "localhost", "::1")
RUNS = Path("runs") / "demo"
MAX_SIZE = 200  # megabytes
STYLE_SHEET = Path(__file__).parent / "assets" / "demo.css"


class DemoError(TranslateError, ValueError):
    """The demo cannot start; the message says why and what to do."""


def build_app(weights: Sequence[Path] = (), *, runs: Path | None = RUNS, local: bool = True) -> gr.Blocks:
    """The page, not yet served.

    Args:
        weights: Weights to list after those that ship: folders, run folders or ``.safetensors`` files.
        runs: Where what is trained on the page is kept; None leaves the Train tab out.
        local: Whether only people at this computer see the page, who may name files and folders of it.

    Raises:
        WeightsError: one of them cannot be opened.
        InferenceError: one of them holds a network that the demo has no tab for.
    """
    catalogue = Catalogue(weights, local=local)
    catalogue.warm_up()
    trainer = Trainer(runs) if runs is not None else None
    users: list[tuple[gr.Button, gr.State]] = []

    def opened(button: gr.Button, chosen: gr.State) -> None:
        users.append((button, chosen))

    with gr.Blocks(title="translate", analytics_enabled=False, delete_cache=(3600, 3600)) as app:
        gr.Markdown("# translate")
        own = gr.State(())  # names of weights that were uploaded on this page
        with gr.Tabs() as tabs:
            with gr.Tab("Translate", id="translate"):
                translators = translate_tab(catalogue, local=local, tabs=tabs)
            with gr.Tab("Draw", id="draw") as draw:
                draw_tab(catalogue, draw)
            with gr.Tab("Generate", id="make") as generate:
                makers = make_tab(catalogue, generate)
            with gr.Tab("Styles", id="styles", visible=bool(catalogue.stylists())) as styles:
                stylists = styles_tab(catalogue, styles)
            with gr.Tab("Latents", id="latents", visible=bool(catalogue.encoders())) as latents:
                encoders = latents_tab(catalogue)
            with gr.Tab("Anomalies", id="faults", visible=bool(catalogue.detectors)) as faults:
                detectors = faults_tab(catalogue, faults)
            with gr.Tab("Compress", id="compress", visible=bool(catalogue.codecs())) as small:
                codecs = compress_tab(catalogue)
            if trainer is not None:
                with gr.Tab("Train", id="train"):
                    example = partial(_made, catalogue) if maker_of(catalogue) is not None else None
                    train_tab(trainer, local=local, opened=opened, example=example)
            with gr.Tab("Weights", id="models"):
                everything = models_tab(catalogue, own, local=local, opened=opened)
        pickers = [translators, makers, stylists, encoders, detectors, codecs, everything]

        optional = [styles, latents, faults, small]

        def listed(mine: tuple[str, ...], chosen: str | None = None) -> list[dict]:
            """What each picker lists now, and the tabs that there are weights for."""
            some = [catalogue.stylists(), catalogue.encoders(), [*catalogue.detectors.values()], catalogue.codecs()]
            lists = [[*catalogue.offers.values()], [*catalogue.makers.values()], *some, catalogue.all()]
            updates = [gr.update(choices=catalogue.titles(offers, own=mine)) for offers in lists]
            for offers, update in zip(lists, updates, strict=True):
                if chosen in [offer.name for offer in offers]:
                    update["value"] = chosen
            return [*updates, *(gr.update(visible=bool(catalogue.titles(offers, own=mine))) for offers in some)]

        def use(chosen: tuple[str, ...], mine: tuple[str, ...]) -> list[dict]:
            """Go to the tab that the weights are for; the first of a run that learned both directions."""
            with as_toasts(*chosen):
                names = [name for name in chosen if name in catalogue]
                names = names or [offer.name for path in chosen for offer in catalogue.add(Path(path))]
            if not names:
                raise refuse("There are no weights yet.")
            uses = {"translate": catalogue.offers, "make": catalogue.makers, "faults": catalogue.detectors}
            uses["latents"] = {offer.name: offer for offer in catalogue.encoders()}
            tab = next((tab for tab, offers in uses.items() if names[0] in offers), "compress")
            return [gr.update(selected=tab), *listed(mine, names[0])]

        for button, chosen in users:
            button.click(
                use, [chosen, own], [tabs, *pickers, *optional], api_visibility="private", show_progress="hidden"
            )
        app.load(listed, own, [*pickers, *optional], api_visibility="private", show_progress="hidden")
    if trainer is not None:
        atexit.register(trainer.close)
    return app.queue(default_concurrency_limit=1, max_size=32)


def _made(catalogue: Catalogue, count: int) -> list[Image.Image]:
    return made(catalogue, count=count, seed=0)


def launch(
    *,
    port: int | None = None,
    open_browser: bool = True,
    weights: Sequence[Path] = (),
    host: str = HOST,
    auth: tuple[str, str] | None = None,
    max_size: int = MAX_SIZE,
    runs: Path | None = RUNS,
    wait: bool = True,
) -> gr.Blocks:
    """Serve the demo, and say where.

    People at other computers, where `host` lets them in, cannot name files of this one, and train only with `auth`.

    Args:
        port: To serve on; None takes the first free one from 7860 on.
        open_browser: Whether to open the page in the user's browser.
        weights: As in `build_app`.
        host: The address to serve at; this computer alone unless given.
        auth: A user and a password, without which nothing is shown.
        max_size: Largest upload, in megabytes.
        runs: As in `build_app`.
        wait: Serve until interrupted; False returns while the server runs (end it with ``app.close()``).

    Raises:
        DemoError: the port is taken, or no port is free.
        WeightsError, InferenceError: as `build_app`.
    """
    chosen = choose_port(port, host=host)
    alone = host in LOOPBACK
    local = alone and auth is None  # a password is for others: they may come by a tunnel or a proxy
    app = build_app(weights, runs=runs if alone or auth is not None else None, local=local)
    app.launch(
        server_name=host,
        auth=auth,
        server_port=chosen,
        inbrowser=open_browser,
        prevent_thread_lock=True,
        quiet=True,
        share=False,
        show_error=True,
        max_file_size=max_size * 2**20,
        ssr_mode=False,
        footer_links=[],
        run_history=False,
        theme=theme(),
        css_paths=[STYLE_SHEET],
    )
    where = f"[{host}]" if ":" in host else host
    print(f"Demo running at http://{where}:{chosen} (press Ctrl+C to stop)", flush=True)
    if wait:
        if threading.current_thread() is threading.main_thread():
            # As Ctrl+C does it: what is being trained is saved on the way out.
            signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
        app.block_thread()
    return app


def theme() -> gr.themes.Base:
    """Fonts of the system only, and colours with enough contrast in both modes."""
    return gr.themes.Default(
        primary_hue="teal",
        neutral_hue="slate",
        font=["system-ui", "Segoe UI", "Helvetica Neue", "Arial", "sans-serif"],
        font_mono=["ui-monospace", "Consolas", "monospace"],
    ).set(
        body_text_color_subdued="*neutral_500",
        body_text_color_subdued_dark="*neutral_400",
        color_accent="*primary_700",
        button_primary_background_fill="*primary_700",
        button_primary_background_fill_hover="*primary_800",
        button_primary_background_fill_dark="*primary_700",
        button_primary_background_fill_hover_dark="*primary_600",
    )


def choose_port(port: int | None, *, host: str = HOST) -> int:
    """The port asked for, or the first free one; says so when it is not the usual one.

    Raises:
        DemoError: the port is taken, or none is free.
    """
    if port is not None:
        if not _is_free(port, host):
            where = "" if host in LOOPBACK else f" at {host}"
            raise DemoError(f"port {port}{where} is in use or not permitted: choose another with --port, or omit it")
        return port
    for candidate in range(FIRST_PORT, FIRST_PORT + NUM_PORTS):
        if _is_free(candidate, host):
            if candidate != FIRST_PORT:
                print(f"Port {FIRST_PORT} is in use; using {candidate} instead.", flush=True)
            return candidate
    raise DemoError(f"no free port from {FIRST_PORT} to {FIRST_PORT + NUM_PORTS - 1}: choose one with --port")


def _is_free(port: int, host: str) -> bool:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        if os.name == "posix":  # as the server does: a port that was just given back counts as free
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except (OSError, OverflowError):
            return False
    return True
