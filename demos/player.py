"""A player of two clips, as they were and translated: one over the other, in step, with a divider to drag."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

import gradio as gr

from translate.demos.board import from_template


def player(*, elem_id: str) -> gr.HTML:
    """The player, without a clip; call inside ``gr.Blocks``."""
    shown = from_template("player", {}, elem_id=elem_id)
    shown.props |= played(None, None)
    return shown


def played(before: str | None, after: str | None, *, size: tuple[int, int] = (16, 9), sound: bool = False) -> dict:
    """What the player is to show.

    Args:
        before: A video that Gradio serves.
        after: Another of the same length, which may have sound; None for none.
        size: Width and height.
        sound: Whether the second has sound.
    """
    return {"value": _url(after), "before": _url(before), "ratio": f"{size[0] / size[1]:.4f}", "heard": int(sound)}


def _url(path: str | None) -> str:
    return f"gradio_api/file={quote(Path(path).as_posix())}" if path is not None else ""
