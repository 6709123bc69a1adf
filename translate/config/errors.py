"""The base of all errors that this package raises on purpose."""

from __future__ import annotations


class TranslateError(Exception):
    """What went wrong with what a user gave: input, options, files, memory. Catch it to catch all of them.

    Its subclasses also derive from the built-in error they are a kind of (`ValueError`, `RuntimeError`, `OSError`);
    the message names what was wrong, what was expected, and the fix. The command line prints it without a traceback.
    """
