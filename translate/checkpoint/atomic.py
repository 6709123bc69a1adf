"""Files that are either whole or not there: written beside, flushed to disk, renamed."""

from __future__ import annotations

import errno
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from translate.config.errors import TranslateError

PART_SUFFIX = ".part"


class WriteError(TranslateError, OSError):
    """A file could not be written; the message says which, why, and what to do. Nothing half-written is left."""


def make_folder(folder: Path) -> None:
    """Make a folder and those above it, where they are not there yet.

    Raises:
        WriteError: something else is there, or the place is not writable.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _write_error(folder, error) from error


@contextmanager
def written_beside(path: Path) -> Iterator[Path]:
    """A temporary path in the folder of `path`; renamed to it when the block ends, removed when it fails.

    Raises:
        WriteError: the folder cannot be written, or the disk is full.
    """
    beside = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}{PART_SUFFIX}")
    is_new = not path.parent.exists()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        beside.touch(exist_ok=False)
        mode = beside.stat().st_mode  # what the user's mask gives; safetensors would make the file private
    except OSError as error:
        _remove_empty(path.parent, when=is_new)
        raise _write_error(path, error) from error
    try:
        yield beside
        with beside.open("rb+") as file:
            os.fsync(file.fileno())
        beside.chmod(mode)
        os.replace(beside, path)
    except BaseException as error:
        beside.unlink(missing_ok=True)
        _remove_empty(path.parent, when=is_new)
        # safetensors wraps the operating system's errors in its own type
        if isinstance(error, OSError) or type(error).__name__ == "SafetensorError":
            raise _write_error(path, error) from error
        raise


def is_full(error: BaseException) -> bool:
    """Whether an error comes of a disk that is full, or that holds no file as large."""
    found: BaseException | None = error
    while found is not None:
        if getattr(found, "errno", None) in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            return True
        found = found.__cause__ or found.__context__
    return False


def _remove_empty(folder: Path, *, when: bool) -> None:
    """Take back a folder that was made for a file that could not be written."""
    if when:
        with suppress(OSError):  # it may have other files by now
            folder.rmdir()


def _write_error(path: Path, error: BaseException) -> WriteError:
    reason = getattr(error, "strerror", None) or str(error)
    advice = "free some space, or choose another folder" if "space" in reason.lower() else "choose another folder"
    return WriteError(f"{path} cannot be written ({reason}): {advice}. Nothing was changed")
