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
    """Open the demo in the browser; nothing leaves this machine, and nobody else sees it unless --host says so."""

    weights: Annotated[UseAppendAction[tuple[str, ...]], arg(aliases=["-w"])] = ()
    """Your own weights, beside those that ship; may be given several times."""
    port: Annotated[int, Ge(1), Le(65535)] | None = None
    """Port; the first free one from 7860 unless given."""
    browser: bool = True
    """Open a browser window."""
    host: str = "127.0.0.1"
    """The address to serve at, such as 0.0.0.0 for all of a network; this computer alone unless given. Behind a proxy
    or a tunnel give --auth as well: only this computer's own people may name its folders."""
    auth: str | None = None
    """user:password, without which nothing is shown; over a network, the Train tab needs it."""
    max_size: Annotated[int, Ge(1), Le(100_000)] = 200
    """Megabytes that a file may have which somebody brings."""
    runs: Path = Path("runs/demo")
    """Where what is trained on the page is kept."""


def demo(command: Demo) -> int:
    validate(command)
    user, colon, password = (command.auth or "").partition(":")
    if command.auth is not None and not (user and colon and password):
        raise ConfigError("--auth is user:password, both of one character at least")
    print("Starting the demo ...", flush=True)  # importing takes seconds
    from translate.inference.library import find_weights

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
