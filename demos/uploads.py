"""Uploads to train on: zip files and images, of which only the images are unpacked, into a folder."""

from __future__ import annotations

import lzma
import shutil
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from translate.config.errors import TranslateError
from translate.data.images import IMAGE_SUFFIXES

TAKEN = IMAGE_SUFFIXES - {".npz"}  # these would be unpacked once more, to a size that nobody has counted
MAX_FILES = 50_000
MAX_BYTES = 4 * 2**30
"""Of all that is unpacked, as it is unpacked: what a zip file says of itself is not believed."""
DEEPEST = 20  # folders in one another
_CHUNK = 2**20


class UploadError(TranslateError, ValueError):
    """Files that nothing can be trained on; the message says why and what to upload."""


def unpack(files: Sequence[str | Path], into: Path) -> list[Path]:
    """Put images where a run can read them; everything else in a zip file is left out.

    Args:
        files: Zip files, or images, which become one folder.
        into: A folder that does not exist yet; removed again where something is wrong.

    Returns:
        The folders, one for each zip file, in their order; one of all images where there is no zip file.

    Raises:
        UploadError: no zip file, one that is damaged, locked, empty or too large, or zip files beside images.
    """
    paths = list(dict.fromkeys(map(Path, files)))  # a file that was dropped twice, as on a slow page, is one
    zips = [path for path in paths if path.suffix.lower() == ".zip"]
    if not paths:
        raise UploadError("No files yet: drop one zip file of a folder, two zip files, or some images.")
    if zips and len(zips) < len(paths):
        raise UploadError("These are zip files and single images: upload either zip files or images.")
    if len(zips) > 2:
        raise UploadError(f"These are {len(zips)} zip files: upload one of the whole folder, or two, one per domain.")
    into.mkdir(parents=True)
    try:
        if not zips:
            return [_copied(paths, into / "images")]
        roots, room = [], [MAX_FILES, MAX_BYTES]
        for number, path in enumerate(zips):
            root = into / ("".join(c if c.isalnum() or c in "-_ " else "-" for c in path.stem).strip() or "images")
            if root in roots:
                root = into / f"{root.name}-{number + 1}"
            _unzip(path, root, room)
            roots.append(_inner(root))
    except BaseException:
        shutil.rmtree(into, ignore_errors=True)
        raise
    return roots


def _copied(paths: Sequence[Path], folder: Path) -> Path:
    folder.mkdir()
    kept = [path for path in paths if path.suffix.lower() in TAKEN]
    if not kept:
        raise UploadError(
            f"None of the {len(paths)} files is an image: upload PNG, JPEG, WebP or TIFF files, or a zip file."
        )
    for path in kept:
        target, number = folder / path.name, 2
        while target.exists():
            target, number = folder / f"{path.stem}-{number}{path.suffix}", number + 1
        shutil.copyfile(path, target)
    return folder


def _unzip(path: Path, root: Path, room: list[int]) -> None:
    """Write the images of a zip file; `room` is how many files and bytes may still come, and is lowered."""
    try:
        with zipfile.ZipFile(path) as archive:
            wanted = [(member, place) for member in archive.infolist() if (place := _place(member)) is not None]
            if not wanted:
                raise UploadError(f"{path.name} contains no images: add PNG, JPEG, WebP or TIFF files.")
            room[0] -= len(wanted)
            if room[0] < 0:
                raise UploadError(
                    f"{path.name} contains more than {MAX_FILES:,} images: train on them from the command line."
                )
            for member, place in wanted:
                target = root / place
                target.parent.mkdir(parents=True, exist_ok=True)
                with archive.open(member) as source, target.open("wb") as sink:
                    while chunk := source.read(_CHUNK):
                        room[1] -= len(chunk)
                        if room[1] < 0:
                            raise UploadError(
                                f"{path.name} exceeds {MAX_BYTES / 2**30:.0f} GB unpacked: train on it from the "
                                "command line."
                            )
                        sink.write(chunk)
    except (zipfile.BadZipFile, EOFError, NotImplementedError, UnicodeDecodeError, zlib.error, lzma.LZMAError) as error:
        raise UploadError(f"{path.name} cannot be unpacked ({error}): create it again.") from None
    except RuntimeError:  # what zipfile raises for a password
        raise UploadError(f"{path.name} is password-protected: create one without a password.") from None
    except OSError as error:
        raise UploadError(f"{path.name} cannot be unpacked here: {error.strerror or error}.") from None


def _place(member: zipfile.ZipInfo) -> PurePosixPath | None:
    """Where a member goes, below the root whatever it says; None for what is no image."""
    parts = [part for part in PurePosixPath(member.filename.replace("\\", "/")).parts if part not in ("/", "..", ".")]
    parts = [part.replace(":", "-") for part in parts]
    if member.is_dir() or not 0 < len(parts) <= DEEPEST or any(part.startswith((".", "__MACOSX")) for part in parts):
        return None
    place = PurePosixPath(*parts)
    return place if place.suffix.lower() in TAKEN else None


def _inner(root: Path) -> Path:
    """The folder that holds more than one folder: zip files often have one around all."""
    while len(inside := list(root.iterdir())) == 1 and inside[0].is_dir():
        root = inside[0]
    return root
