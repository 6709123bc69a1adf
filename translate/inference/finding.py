"""Finding weights: by the name of what ships, by path, by run folder; without PyTorch."""

from __future__ import annotations

import os
from difflib import get_close_matches
from importlib.resources import files
from pathlib import Path

from translate.checkpoint.files import MODEL_FILE, WeightsError, weights_file


def weights_root() -> Path:
    """The folder of the weights that ship."""
    return Path(str(files("translate.weights")))


def shipped_weights() -> dict[str, Path]:
    """The weights that ship, name to folder, in alphabetical order."""
    root = weights_root()
    return {folder.name: folder for folder in sorted(root.iterdir()) if (folder / MODEL_FILE).is_file()}


def find_weights(name: str | Path) -> Path:
    """The path that a name stands for; a file or folder of weights at that path comes first.

    Raises:
        WeightsError: neither a path nor a name of what ships; lists what ships, and the nearest name.
    """
    if not str(name):
        raise WeightsError("the name of the weights is empty: give a name, a file or a folder")
    path = Path(os.path.expanduser(name))  # Path.expanduser raises for an unknown ~user
    shipped = shipped_weights()
    if str(name) in shipped and not _holds_weights(path):  # a data set may well lie in a folder of that name
        return shipped[str(name)]
    if path.exists() or _holds_weights(path):  # RUN/NAME, one of the weights of a run
        return path
    close = get_close_matches(str(name), shipped, n=1)
    hint = f" Did you mean {close[0]}?" if close else ""
    raise WeightsError(
        f"'{name}' is not a file or folder, and no weights of that name ship with translate "
        f"(available: {', '.join(shipped) or 'none'}).{hint}"
    )


def weights_at(name: str | Path) -> Path:
    """The file that a name or path stands for. Raises WeightsError as `find_weights` does."""
    return weights_file(find_weights(name))


def _holds_weights(path: Path) -> bool:
    try:
        weights_file(path)
    except WeightsError:
        return False
    return True
