"""Files that are either whole or not there: written beside, flushed to disk, renamed."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class WriteError(OSError):
    """A file could not be written; the message says which, why, and what to do. Nothing half-written is left."""


@contextmanager
def written_beside(path: Path) -> Iterator[Path]:
    """A temporary path in the folder of `path`; renamed to it when the block ends, removed when it fails.

    Raises:
        WriteError: the folder cannot be written, or the disk is full.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
        os.close(handle)
    except OSError as error:
        raise _write_error(path, error) from error
    beside = Path(name)
    try:
        yield beside
        with beside.open("rb+") as file:
            os.fsync(file.fileno())
        beside.chmod(0o666 & ~_umask())  # mkstemp makes private files
        os.replace(beside, path)
    except BaseException as error:
        beside.unlink(missing_ok=True)
        # safetensors wraps the operating system's errors in its own type
        if isinstance(error, OSError) or type(error).__name__ == "SafetensorError":
            raise _write_error(path, error) from error
        raise


def _umask() -> int:
    mask = os.umask(0o022)
    os.umask(mask)
    return mask


def _write_error(path: Path, error: BaseException) -> WriteError:
    reason = getattr(error, "strerror", None) or str(error)
    advice = "free some space, or choose another folder" if "space" in reason.lower() else "choose another folder"
    return WriteError(f"{path} cannot be written ({reason}): {advice}. Nothing was changed")
