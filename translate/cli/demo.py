"""``translate demo``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from annotated_types import Ge, Le
from tyro.conf import UseAppendAction, arg

from translate.config.base import Config, ConfigError, validate


@dataclass(frozen=True, kw_only=True)
class Demo(Config):
    """Open the demo in the browser; nothing leaves this machine."""

    weights: Annotated[UseAppendAction[tuple[str, ...]], arg(aliases=["-w"])] = ()
    """Your own weights, beside those that ship; may be given several times."""
    port: Annotated[int, Ge(1), Le(65535)] | None = None
    """Port; the first free one from 7860 unless given."""
    browser: bool = True
    """Open a browser window."""


def demo(command: Demo) -> int:
    validate(command)
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
    )
    return 0
