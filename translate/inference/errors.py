"""What goes wrong between an image and a network; without PyTorch."""

from __future__ import annotations

from translate.config.errors import TranslateError


class InferenceError(TranslateError, ValueError):
    """An image that cannot be translated; the message says what was wrong and what to give."""


class DeviceError(TranslateError, ValueError):
    """A device or precision that this machine does not have; the message says what it has."""


def a_kind(noun: str) -> str:
    """A noun with its article; of a kind of weights, too."""
    noun = "anomaly detector" if noun == "anomaly" else noun
    return f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"
