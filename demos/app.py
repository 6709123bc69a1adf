"""The demo: a page on this computer with a tab for each thing to do; nothing leaves the machine."""

from __future__ import annotations

import os
import socket
from collections.abc import Sequence
from pathlib import Path

import gradio as gr

from translate.demos.catalogue import Catalogue
from translate.demos.draw_tab import draw_tab
from translate.demos.make_tab import make_tab
from translate.demos.styles_tab import styles_tab
from translate.demos.translate_tab import translate_tab

HOST, FIRST_PORT, NUM_PORTS = "127.0.0.1", 7860, 50
STYLE_SHEET = Path(__file__).parent / "assets" / "demo.css"


class DemoError(ValueError):
    """The demo cannot start; the message says why and what to do."""


def build_app(weights: Sequence[Path] = ()) -> gr.Blocks:
    """The page, not yet served.

    Args:
        weights: Weights to list after those that ship: folders, run folders or ``.safetensors`` files.

    Raises:
        WeightsError: one of them cannot be opened.
        InferenceError: one of them holds neither a translator nor what makes new images.
    """
    catalogue = Catalogue(weights)
    catalogue.warm_up()
    with gr.Blocks(title="translate", analytics_enabled=False, delete_cache=(3600, 3600)) as app:
        gr.Markdown("# translate")
        if catalogue.offers or catalogue.makers:
            with gr.Tabs():
                if catalogue.offers:
                    with gr.Tab("Translate", id="translate"):
                        translate_tab(catalogue)
                    with gr.Tab("Draw", id="draw"):
                        draw_tab(catalogue)
                with gr.Tab("Make", id="make"):
                    make_tab(catalogue)
                if catalogue.stylists():
                    with gr.Tab("Styles", id="styles"):
                        styles_tab(catalogue)
        else:
            gr.Markdown(
                "There are no weights to show. Train some with `translate train`, then start the demo with them: "
                "`translate demo --weights RUN`."
            )
    return app.queue(default_concurrency_limit=1, max_size=32)


def launch(
    *, port: int | None = None, open_browser: bool = True, weights: Sequence[Path] = (), wait: bool = True
) -> gr.Blocks:
    """Serve the demo on this computer, and say where.

    Args:
        port: To serve on; None takes the first free one from 7860 on.
        open_browser: Whether to open the page in the user's browser.
        weights: As in `build_app`.
        wait: Serve until interrupted; False returns while the server runs (end it with ``app.close()``).

    Raises:
        DemoError: the port is taken, or no port is free.
        WeightsError, InferenceError: as `build_app`.
    """
    chosen = choose_port(port)
    app = build_app(weights)
    app.launch(
        server_name=HOST,
        server_port=chosen,
        inbrowser=open_browser,
        prevent_thread_lock=True,
        quiet=True,
        share=False,
        show_error=True,
        max_file_size="20mb",
        ssr_mode=False,
        footer_links=[],
        run_history=False,
        theme=theme(),
        css_paths=[STYLE_SHEET],
    )
    print(f"The demo is at http://{HOST}:{chosen} (Ctrl+C ends it)", flush=True)
    if wait:
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


def choose_port(port: int | None) -> int:
    """The port asked for, or the first free one; says so when it is not the usual one.

    Raises:
        DemoError: the port is taken, or none is free.
    """
    if port is not None:
        if not _is_free(port):
            raise DemoError(f"port {port} is in use or not allowed: choose another with --port, or leave it out")
        return port
    for candidate in range(FIRST_PORT, FIRST_PORT + NUM_PORTS):
        if _is_free(candidate):
            if candidate != FIRST_PORT:
                print(f"Port {FIRST_PORT} is in use; taking {candidate}.", flush=True)
            return candidate
    raise DemoError(f"no port from {FIRST_PORT} to {FIRST_PORT + NUM_PORTS - 1} is free: choose one with --port")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        if os.name == "posix":  # as the server does: a port that was just given back counts as free
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except (OSError, OverflowError):
            return False
    return True
