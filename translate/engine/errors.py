"""Why a run cannot go on."""

from __future__ import annotations

import torch

from translate.config.errors import TranslateError


class TrainingError(TranslateError, RuntimeError):
    """A run that cannot go on; the message says what happened, what is kept, and what to try."""


def out_of_memory(error: RuntimeError) -> bool:
    """Whether the device or, as its allocators put it, the host has no memory left."""
    phrases = ("out of memory", "not enough memory", "can't allocate memory")
    return isinstance(error, torch.OutOfMemoryError) or any(phrase in str(error) for phrase in phrases)
