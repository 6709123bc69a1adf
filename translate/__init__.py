"""translate: an image-to-image translation and style toolkit.

>>> import translate
>>> model = translate.load("facades")
>>> photo = model(image)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from translate.config.errors import TranslateError
    from translate.config.methods import configure
    from translate.engine import train
    from translate.inference import Translator, load

    __version__: str

__all__ = ["TranslateError", "Translator", "__version__", "configure", "load", "train"]

# Torch takes seconds to import: what needs it is imported when it is first asked for.
_HOMES = {
    "load": "translate.inference",
    "Translator": "translate.inference",
    "TranslateError": "translate.config.errors",
    "configure": "translate.config.methods",
    "train": "translate.engine",
}


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        globals()[name] = version("image-translate")
        return globals()[name]
    if name in _HOMES:
        from importlib import import_module

        globals()[name] = getattr(import_module(_HOMES[name]), name)
        return globals()[name]
    raise AttributeError(f"module 'translate' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
