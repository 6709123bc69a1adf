"""Cards: what weights do, at a glance, as HTML."""

from __future__ import annotations

import base64
import io
from functools import lru_cache
from html import escape
from pathlib import Path

from PIL import Image

from translate.demos.catalogue import Offer

PREVIEW = "preview.webp"
"""Beside the weights that ship: what they make, by `scripts/studies/previews.py`."""
WIDTH, HEIGHT = 388, 192
"""Of a preview, in pixels; it is shown half as large."""


def card_html(offer: Offer | None, *, empty: str = "No weights yet.") -> str:
    """A preview where there is one, what the weights are, and their terms."""
    if offer is None:
        return f'<p class="hint">{escape(empty)}</p>'
    terms = offer.facts.get("Terms", "")
    said = f'<p class="terms" title="{escape(terms)}">Terms: {escape(terms)}</p>' if terms else ""
    return f'<div class="card">{preview_html(offer)}<div><p>{escape(offer.card)}</p>{said}</div></div>'


def preview_html(offer: Offer) -> str:
    """The preview of weights, or nothing where there is none."""
    found = preview_of(offer.path, samples=offer.local)
    url = _url(found, _changed(found)) if found is not None else ""
    return f'<img src="{url}" alt="{escape(f"Example output of {offer.name}")}">' if url else ""


def preview_of(path: Path, *, samples: bool) -> Path | None:
    """The picture of weights: the one beside them, or the last samples of their run, if these may be shown."""
    folder = path if path.is_dir() else path.parent
    if (folder / PREVIEW).is_file():
        return folder / PREVIEW
    runs = [run for run in (folder, *folder.parents[:2]) if samples and (run / "log.jsonl").is_file()]
    grids = sorted((runs[0] / "samples").glob("[0-9]*.png")) if runs else []
    return grids[-1] if grids else None


def _changed(path: Path) -> int:
    """When a file was changed; 0 where it has just gone."""
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0


@lru_cache(maxsize=64)
def _url(path: Path, changed: int) -> str:
    """A small picture as a data URL; empty where it cannot be read, such as one that is being written."""
    try:
        with Image.open(path) as opened:
            image = opened.convert("RGB")
    except (OSError, ValueError, Image.DecompressionBombError):
        return ""
    image.thumbnail((WIDTH, HEIGHT), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    image.save(buffer, "WEBP", quality=85)
    return "data:image/webp;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
