"""What exports of every format share."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from translate.checkpoint.files import weights_file
from translate.config.errors import TranslateError
from translate.inference.onnx_file import is_onnx


class ExportError(TranslateError, ValueError):
    """An export that would not do what its source does."""


@dataclass(frozen=True, kw_only=True)
class Exported:
    """What was written, and how far its output is from the source's on test images (range 2, or relative); nan for
    networks that make no images, whose values alone are rounded."""

    file: Path
    file_bytes: int
    """Of all files."""
    mean_difference: float
    max_difference: float
    relative: bool = False
    others: tuple[Path, ...] = ()
    """What lies beside the file and belongs to it."""


def source_file(source: Path, *, destination: Path) -> Path:
    """The file that is exported from, which the destination must not be.

    Raises:
        WeightsError: nothing is there that could be opened.
        ExportError: it is the destination, or it was exported to ONNX itself.
    """
    file = weights_file(source)
    if destination.exists() and destination.samefile(file):
        raise ExportError(f"{destination} is the source itself and would be overwritten: choose another --out")
    if is_onnx(file):
        raise ExportError(f"{file} was exported already: export from the weights it was made from")
    return file
