"""Two folders of images that are scored without weights: what is in them, and which files belong together by name."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from translate.applications.evaluation.data import resized
from translate.config.encoding import Reading
from translate.data.images import ImageError, Picture, shown
from translate.data.inputs import list_inputs
from translate.data.layouts_common import ImageSource, Kind, common_formats, existing_folder, first_names, scan
from translate.data.pair_names import match_names, nfc
from translate.data.problems import LayoutError, Problems
from translate.data.ranges import find_range, full_range
from translate.data.store import Format, resize
from translate.data.values import read_sampled

NEARLY_ALL = 0.9
"""Share of the smaller folder's files that must meet one of their name before the folders are taken for pairs."""


@dataclass(kw_only=True)
class ImageFolder:
    """A folder of images and of images in the folders below it."""

    folder: Path
    files: tuple[Path, ...]
    """Those that have a readable header, in natural order."""
    format: Format
    size: tuple[int, int]
    """The most common (width, height)."""
    notes: list[str]
    """What should be said aloud."""
    kind: Kind
    """What its files hold."""
    values: tuple[float, float] | None = None
    """Black and white of measured values."""
    unreadable: dict[Path, str] = field(default_factory=dict)
    """The reason for each file that is left out."""

    @property
    def name(self) -> str:
        name = self.folder.name
        return (self.folder.resolve().name if name == ".." else name) or "images"

    def picture(self, file: Path) -> Picture | None:
        """An image of the folder; None where it cannot be read."""
        try:
            return shown(ImageSource(path=file).read(), self.values)
        except (ImageError, LayoutError) as error:
            self.unreadable[file] = str(error)
            return None

    def label(self, file: Path) -> str:
        """What an image is called: its path below the folder."""
        return file.relative_to(self.folder).as_posix()

    def key(self, file: Path) -> str:
        """That without the ending."""
        return file.relative_to(self.folder).with_suffix("").as_posix()


def open_folders(made: Path, real: Path, *, out: Path) -> tuple[ImageFolder, ImageFolder]:
    """The images of two folders, the folders below them included.

    Args:
        made: What is scored.
        real: What it is compared with.
        out: Where the scores go; it is not searched.

    Raises:
        LayoutError: a folder is missing or empty, none of its images can be read, or the two are the same.
    """
    made, real = (existing_folder(path).absolute() for path in (made, real))
    if made.samefile(real):
        raise LayoutError(
            f"{made} and {real} are the same folder, and every distance would be 0",
            "give the folder of images to score first, then the folder of real images",
        )
    folders = _open(made, other=real, out=out), _open(real, other=made, out=out)
    _share_values(*folders)
    return folders


def _share_values(made: ImageFolder, real: ImageFolder) -> None:
    """Bring measured values of both folders to the range of the real ones.

    Raises:
        LayoutError: one folder has measured values or bands, and the other has others or none.
    """
    if made.kind.dtype is None and real.kind.dtype is None:
        return
    if None in (made.kind.dtype, real.kind.dtype) or made.kind.channels != real.kind.channels:
        raise LayoutError(
            f"{made.name} holds {made.kind.describe()} and {real.name} {real.kind.describe()}: their value "
            "ranges are not comparable",
            "save both in the same format",
        )
    if real.kind.dtype in ("uint8", "uint16") and made.kind.dtype == real.kind.dtype:
        real.values = full_range(np.dtype(real.kind.dtype))
    else:
        real.values = find_range(read_sampled([ImageSource(path=path) for path in real.files])).values
        real.notes.append(f"values are compared over the range {real.values[0]:.10g} to {real.values[1]:.10g}")
    made.values = real.values
    if real.kind.channels not in (1, 3):
        seen = "the first 3 bands" if real.kind.channels > 3 else "the first band"
        real.notes.append(f"only {seen} of {real.kind.channels} are compared")


def _open(folder: Path, *, other: Path, out: Path) -> ImageFolder:
    listed = list_inputs([folder], recursive=True, out=out)
    # One of the two may lie in the other.
    own = not folder.resolve().is_relative_to(other.resolve())
    found = [one.path for one in listed.files if not (own and one.path.resolve().is_relative_to(other.resolve()))]
    if not found:
        raise LayoutError(f"{folder}: all of its images are in {other}", "give two folders that hold images")
    headers, broken = scan(found)
    if not headers:
        raise LayoutError(
            f"{folder}: none of the {len(found)} images can be read. First: {next(iter(broken.values()))}"
        )
    problems = Problems()
    (kind,) = common_formats({folder.name: headers}, problems, keep_alpha=False, reading=Reading())
    sizes = Counter((header.width, header.height) for header in headers.values())
    notes = [*listed.passed_over, *(problem.what for problem in problems.found)]
    deeper = [path for path in headers if path.parent != folder]
    if deeper and len(deeper) < len(headers):
        notes.append(f"{len(deeper)} of the {len(headers)} images of {folder.name} are in subfolders")
    return ImageFolder(
        folder=folder,
        files=tuple(headers),
        format=Format(channels=1 if kind.channels < 3 else 3, bits=kind.bits),
        kind=kind,
        size=sizes.most_common(1)[0][0],
        notes=notes,
        unreadable=broken,
    )


def pairs_by_name(made: ImageFolder, real: ImageFolder) -> dict[Path, Path]:
    """The real image of each made one: by their paths below the folders, or by their names alone if more meet so.

    Names meet as those of training pairs do: ``7_fake.png`` and ``007.png``. Those that occur twice in a folder belong
    to nobody.
    """
    below = [_by(side, side.key) for side in (made, real)]
    by_path = {path: below[1][key] for key, path in below[0].items() if key in below[1]}
    stems = [list(_by(side, lambda path: path.stem).values()) for side in (made, real)]
    by_name = {one: other for _, one, other in match_names(*stems).pairs} if all(stems) else {}
    return by_name if len(by_name) > len(by_path) else by_path


def _by(side: ImageFolder, key: Callable[[Path], str]) -> dict[str, Path]:
    """The files of a folder by a key in one Unicode form, where no two have the same."""
    keys = {path: nfc(key(path)) for path in side.files}
    times = Counter(keys.values())
    return {key: path for path, key in keys.items() if times[key] == 1}


def pairs_or_reason(made: ImageFolder, real: ImageFolder) -> tuple[dict[Path, Path], str]:
    """The pairs, if all or nearly all names meet; and a line that says what was found."""
    pairs = pairs_by_name(made, real)
    smaller = min(len(made.files), len(real.files))
    if len(pairs) < NEARLY_ALL * smaller:
        met = f"{len(pairs)} of {smaller}" if pairs else "none"
        return {}, (f"{met} of the names in {made.name} and {real.name} match: compared as two sets, not one by one")
    alone = [path for path in made.files if path not in pairs]
    without = f"; {len(alone)} of {made.name} have no counterpart ({first_names(alone)})" if alone else ""
    return pairs, f"{len(pairs)} images of {made.name} are also compared with the real image of the same name{without}"


def matched_sizes(made: Picture, real: Picture, *, side: int | None) -> tuple[Picture, Picture] | None:
    """A pair in one size: first both with their shorter side as it was asked for, then the made one in the real one's.

    None where the two have different proportions, and no pixel of one belongs to a pixel of the other.
    """
    made, real = resized(made, side), resized(real, side)
    (width, height), (real_width, real_height) = made.size, real.size
    if made.size == real.size:
        return made, real
    if abs(height * real_width - width * real_height) > max(width, real_width):  # more than a pixel of rounding
        return None
    return replace(made, pixels=resize(made.pixels, width=real_width, height=real_height)), real


def common(made: ImageFolder, real: ImageFolder) -> tuple[Format, list[str]]:
    """The format in which images of both folders are compared, and what should be said of it."""
    fmt = Format(channels=max(made.format.channels, real.format.channels), bits=max(made.format.bits, real.format.bits))
    notes = []
    for side in (made, real):
        if side.format.channels < fmt.channels:
            notes.append(f"the images of {side.name} are grey: compared as RGB")
        if side.format.bits < fmt.bits:
            notes.append(f"the images of {side.name} have 8 bits and the others 16: compared at 16 bits")
    return fmt, notes
