"""``translate demo``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from annotated_types import Ge, Le
from tyro.conf import UseAppendAction, arg

from translate.config.base import Config, ConfigError, validate


@dataclass(frozen=True, kw_only=True)
class Demo(Config):
    """Open the demo in the browser. No data leaves this machine, and only this machine can open it (but see --host)."""

    weights: Annotated[UseAppendAction[tuple[str, ...]], arg(aliases=["-w"])] = ()
    """Additional weights, as well as the bundled ones: a name, a weights folder, a run folder or a .safetensors
    file."""
    port: Annotated[int, Ge(1), Le(65535)] | None = None
    """Port to serve on, 1-65535; default: the first free one from 7860."""
    browser: bool = True
    """Open a browser window."""
    host: str = "127.0.0.1"
    """Address to serve on, such as 0.0.0.0 for the whole network; default: only this computer. Behind a proxy or a
    tunnel, also give --auth: without it, every visitor counts as a local user and may enter paths on this computer."""
    auth: str | None = None
    """Login as user:password, required to open the page; over a network, the Train tab needs it. Default: no login."""
    max_size: Annotated[int, Ge(1), Le(100_000)] = 200
    """Maximum size of an uploaded file, in megabytes."""
    runs: Path = Path("runs/demo")
    """Folder for training runs started in the demo."""


def demo(command: Demo) -> int:
    """Run ``translate demo``; the exit code."""
    validate(command)
    user, colon, password = (command.auth or "").partition(":")
    if command.auth is not None and not (user and colon and password):
        raise ConfigError("--auth must be user:password, neither of them empty")
    print("Starting the demo ...", flush=True)  # importing takes seconds
    from translate.inference.finding import find_weights

    try:
        from translate.demos.app import launch
    except ModuleNotFoundError as error:
        if error.name != "gradio":
            raise
        raise ConfigError("the demo needs gradio: pip install 'image-translate[demo]'") from None
    launch(
        port=command.port,
        open_browser=command.browser,
        weights=[find_weights(name) for name in command.weights],
        host=command.host,
        auth=(user, password) if command.auth is not None else None,
        max_size=command.max_size,
        runs=command.runs,
    )
    return 0
