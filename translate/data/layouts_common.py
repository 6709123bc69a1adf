"""What the layouts of paired and of unpaired data share: looking into folders, and saying what is there."""

import os
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence, Sized
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, Self, TypeVar

import numpy as np

from translate.config.encoding import Reading
from translate.data.images import (
    IMAGE_SUFFIXES,
    ImageError,
    ImageHeader,
    Picture,
    folder_identity,
    folders_above,
    list_images,
    natural_key,
    read_header,
    read_ids,
    read_image,
    read_stack,
)
from translate.data.problems import LayoutError, Problem, Problems, be, have

MAX_CORRUPT_SHARE = 0.05
"""Above this share of unreadable files a data set is refused, unless given otherwise."""

SPLIT_NAMES = {"train": "train", "val": "val", "valid": "val", "validation": "val", "test": "test"}
SPLIT_NAMES |= {"training": "train", "testing": "test", "our485": "train", "eval15": "test"}  # the latter LOL's
"""Folder names to splits, in the order in which splits are told."""
CHANNEL_NAMES = {1: "grey", 2: "grey with alpha", 3: "RGB", 4: "RGBA"}

Half = Literal["left", "right", "top", "bottom"]
Folders = Mapping[str, tuple[Path, Path | None]]
"""By split, the folder of A and the folder of B; None where one file holds both."""
TwoFolders = dict[str, tuple[Path, Path]]
_Split = TypeVar("_Split")
_DEEPEST = 6  # levels that are looked into; links may lead round in a circle
_Seen = TypeVar("_Seen", bound=Sized)
_SPLIT_OR_SIDE = re.compile(rf"{'|'.join(SPLIT_NAMES)}|(?:(?:{'|'.join(SPLIT_NAMES)})[_-]?)?[ab]")


@dataclass(frozen=True, kw_only=True)
class ImageSource:
    """Where one side of a pair is: a file, or half of one."""

    path: Path
    half: Half | None = None
    page: int = 0
    """Of a file of several pages or frames, counted from 0."""
    stacked: bool = False
    """The pages of the file are the bands of one image."""
    ids: bool = False
    """The file holds class ids, as grey values or as indices into a palette."""

    @property
    def name(self) -> str:
        """Of the file."""
        return self.path.name

    def read(self) -> Picture:
        """Read the file and crop the half.

        Raises:
            ImageError: the file cannot be read.
            LayoutError: a half is asked for and the side that is cut in two is odd.
        """
        return self.crop(self.whole())

    def whole(self) -> Picture:
        """The file, of which this may be a half. Raises ImageError where it cannot be read."""
        if self.ids:
            return read_ids(self.path, page=self.page)
        return read_stack(self.path) if self.stacked else read_image(self.path, page=self.page)

    def crop(self, picture: Picture) -> Picture:
        if self.half is None:
            return picture
        side = picture.size[0 if self.half in ("left", "right") else 1]
        if side % 2:
            raise LayoutError(odd_side(self.path, *picture.size, half=self.half), "crop or resize it by one pixel")
        part = slice(side // 2) if self.half in ("left", "top") else slice(side // 2, None)
        pixels = picture.pixels[:, part] if self.half in ("left", "right") else picture.pixels[part]
        return replace(picture, pixels=pixels)


@dataclass(frozen=True, kw_only=True)
class Kind:
    """What all images of a domain can be converted to."""

    channels: int
    """1 grey, 2 grey with alpha, 3 RGB, 4 RGBA; or bands."""
    bits: int
    dtype: str | None = None
    """Number type of bands or measured values; None for grey and RGB."""

    def describe(self) -> str:
        """For example "16-bit grey", "int16 values", "13 bands of uint16"."""
        if self.dtype is not None:
            return f"{self.dtype} values" if self.channels == 1 else f"{self.channels} bands of {self.dtype}"
        return ("16-bit " if self.bits == 16 else "") + CHANNEL_NAMES[self.channels]


@dataclass(frozen=True, kw_only=True)
class FoundData:
    """What a paired and an unpaired data set have in common."""

    root: Path
    layout: str
    """One of `LAYOUTS`."""
    sides: tuple[str, str]
    """Where A and B are, in words: ("left half", "right half")."""
    channels_a: int
    """1 grey, 3 RGB; one more with `keep_alpha` where a file of A has transparency. Mixed sides count as RGB."""
    channels_b: int
    bits_a: int
    """8 or 16; the larger where files differ."""
    bits_b: int
    dtype_a: str | None = None
    """Number type of files of bands or measured values; None for grey and RGB."""
    dtype_b: str | None = None
    mixed_sizes: bool
    """Whether a domain has images of different sizes."""
    problems: tuple[Problem, ...]
    """Files left out, transparency, mixed channels; also what training would refuse, where that was collected."""

    @property
    def notes(self) -> tuple[str, ...]:
        """What should be said aloud."""
        return tuple(problem.what for problem in self.problems)

    @property
    def kinds(self) -> tuple[Kind, Kind]:
        """Those of A and of B."""
        return (
            Kind(channels=self.channels_a, bits=self.bits_a, dtype=self.dtype_a),
            Kind(channels=self.channels_b, bits=self.bits_b, dtype=self.dtype_b),
        )

    @property
    def colours(self) -> str:
        """For example "RGB", or "A 16-bit grey, B RGB"."""
        a, b = (kind.describe() for kind in self.kinds)
        return a if a == b else f"A {a}, B {b}"

    def without_places(self) -> Self:
        """Itself, with the folders of A and B called by their names alone, for what goes into weights."""
        a, b = self.sides
        return replace(self, sides=(data_name(a), data_name(b)))


def existing_folder(path: str | os.PathLike[str]) -> Path:
    path = Path(path)
    if not path.exists():
        raise LayoutError(f"{path}: no such folder")
    if not path.is_dir():
        raise LayoutError(f"{path}: is a file; give the folder that holds the data set")
    if not os.access(path, os.R_OK | os.X_OK):
        raise LayoutError(f"{path}: permission to read this folder is denied")
    return path


def children_of(folder: Path) -> dict[str, Path]:
    """Sub-folders by lower-case name, without hidden ones and links back to a folder that they are in.

    Of names that differ in case alone, only the lower-case one is so; the others keep theirs.
    """
    inside = folders_above(folder) | {folder_identity(folder)}
    children = [
        path
        for path in sorted(folder.iterdir(), key=natural_key)
        if path.is_dir() and not path.name.startswith(".")
        if (found := folder_identity(path)) is None or found not in inside
    ]
    equal = Counter(path.name.lower() for path in children)
    return {path.name if equal[path.name.lower()] > 1 else path.name.lower(): path for path in children}


def has_images(folder: Path) -> bool:
    """Whether images lie in a folder itself."""
    with os.scandir(folder) as entries:
        return any(
            not entry.name.startswith(".") and Path(entry.name).suffix.lower() in IMAGE_SUFFIXES and entry.is_file()
            for entry in entries
        )


def holds_images(folder: Path, *, depth: int = _DEEPEST) -> bool:
    """Whether there are images in a folder or, so many levels down, in those below it."""
    return has_images(folder) or (
        depth > 0 and any(holds_images(c, depth=depth - 1) for c in children_of(folder).values())
    )


def image_folders(root: Path) -> list[Path]:
    """The folders up to two levels below that hold images."""
    children = children_of(root).values()
    return [path for child in children for path in (child, *children_of(child).values()) if has_images(path)]


def only_folder(root: Path) -> Path | None:
    """The one sub-folder that has everything: the only one, or the only one with images; splits, A and B are others."""
    children = list(children_of(root).values())
    found = children if len(children) == 1 else [path for path in children if holds_images(path)]
    if len(found) != 1 or _SPLIT_OR_SIDE.fullmatch(found[0].name.lower()):
        return None
    return found[0]


def look_inside(root: Path, look: Callable[[Path], _Seen], problems: Problems) -> tuple[Path, _Seen]:
    """Look into a folder, or into the only one in it where nothing else is there, and so on; that is said."""
    inside, seen = root, look(root)
    for _ in range(_DEEPEST):
        if seen or (folder := only_folder(inside)) is None:
            break
        inside, seen = folder, look(folder)
    if not seen:
        return root, seen
    if inside != root:
        where = inside.relative_to(root).as_posix()
        problems.note("one-folder-down", f"everything is in {where}/", "no action needed", severity="hint")
    return inside, seen


def splits_of(folder: Path) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for name, path in children_of(folder).items():
        split = SPLIT_NAMES.get(name)
        if split in found:
            raise LayoutError(f"{folder}: both {found[split].name}/ and {path.name}/ are here", "keep one of them")
        if split is not None:
            found[split] = path
    return found


def data_name(root: Path | str) -> str:
    """What a data set is called: its folder, with the one above where that is called after a split, as any may be.

    The home folder is left out: its name is of a person, and this goes into weights.
    """
    path = Path(root).resolve()
    above = path.parent
    named = path.name.lower() in SPLIT_NAMES and above.name and above != Path.home()
    return f"{above.name}/{path.name}" if named else path.name


def split_folders(a: Path, b: Path) -> TwoFolders:
    """Two folders of images, or two folders of splits."""
    splits_a, splits_b = splits_of(a), splits_of(b)
    if not splits_a and not splits_b:
        return {"train": (a, b)}
    if splits_a.keys() != splits_b.keys():
        seen = " but ".join(
            f"{folder} has {', '.join(splits) or 'none'}" for folder, splits in ((a, splits_a), (b, splits_b))
        )
        raise LayoutError(f"the two sides have different splits: {seen}", "give both the same, or none")
    return {split: (splits_a[split], splits_b[split]) for split in splits_a}


def given_folders(root: Path, root_b: str | os.PathLike[str], layout: str) -> TwoFolders:
    """The two folders that were given by hand."""
    root_b = existing_folder(root_b)
    if os.path.samefile(root, root_b):
        raise LayoutError(f"{root}: A and B are the same folder", "give the folder of A and then that of B")
    if layout not in ("auto", "two-folders"):
        raise LayoutError(f"layout {layout} is one folder, but two were given; omit one of them, or --layout")
    return split_folders(root, root_b) | _beside(root, root_b)


def _beside(a: Path, b: Path) -> TwoFolders:
    """Beside ``train/images`` and ``train/masks``, those of the other splits: ``val/images`` and ``val/masks``."""
    found: TwoFolders = {}
    parts = [path.resolve().parts for path in (a, b)]
    for place, (name_a, name_b) in enumerate(zip(*parts, strict=False)):
        if name_a.lower() == name_b.lower() == "train" and parts[0][:place] == parts[1][:place]:
            for split, folder in splits_of(Path(*parts[0][:place])).items():
                sides = tuple(folder.joinpath(*path[place + 1 :]) for path in parts)
                if split != "train" and all(side.is_dir() and has_images(side) for side in sides):
                    found[split] = sides[0], sides[1]
    return found


def look_for_sides(root: Path) -> dict[str, TwoFolders]:
    """Every layout that names its folders A and B and is here."""
    seen: dict[str, TwoFolders] = {}
    children = children_of(root)
    if {"a", "b"} & children.keys():
        seen["ab-folders"] = split_folders(*both(root, children, "a", "b"))

    joined: TwoFolders = {}
    for name, path in children.items():
        match = re.fullmatch(rf"({'|'.join(SPLIT_NAMES)})([_-]?)([ab])", name)
        if match:
            split = SPLIT_NAMES[match[1]]
            folders = both(root, children, f"{match[1]}{match[2]}a", f"{match[1]}{match[2]}b")
            if joined.setdefault(split, folders) != folders:
                raise LayoutError(
                    f"{root}: two folders for {split} A: {joined[split][0].name} and {path.name}", "keep one"
                )
    if joined:
        seen["trainA-trainB"] = joined

    inner = {split: (path, children_of(path)) for split, path in splits_of(root).items()}
    nested: TwoFolders = {
        split: both(path, children, "a", "b")
        for split, (path, children) in inner.items()
        if {"a", "b"} & children.keys()
    }
    if nested:
        seen["split-ab-folders"] = nested
    return seen


def both(folder: Path, children: Mapping[str, Path], name_a: str, name_b: str) -> tuple[Path, Path]:
    if name_a not in children or name_b not in children:
        present, missing = (name_a, name_b) if name_a in children else (name_b, name_a)
        raise LayoutError(
            f"{folder}: {children[present].name}/ is here but its partner {missing!r} is not",
            "add it or rename this one",
        )
    return children[name_a], children[name_b]


def refuse_several(root: Path, seen: Iterable[str]) -> None:
    """There is one layout, or the user has to say which."""
    if len(names := list(seen)) > 1:
        raise LayoutError(
            f"{root}: several layouts at once: {' and '.join(names)}: {contents(root)}",
            "move one away, or name the layout",
        )


def note_loose(loose: Sequence[Path], problems: Problems) -> None:
    if loose:
        subject = f"{len(loose)} images beside the folders are" if len(loose) > 1 else "one image beside the folders is"
        problems.note(
            "loose", f"{subject} not used ({first_names(loose)})", "move them to where they belong", files=loose
        )


def note_unused(root: Path, folders: Sequence[Path], problems: Problems) -> None:
    if folders:
        names = ", ".join(f"{relative(folder, root)}/" for folder in folders[:3]) + (
            ", ..." if len(folders) > 3 else ""
        )
        problems.note(
            "unused", f"not used: {names}", "no action needed, if nothing there belongs to the others", severity="hint"
        )


def list_or_refuse(folder: Path, problems: Problems) -> list[Path]:
    """The images of a folder that should have some."""
    paths = list_images(folder)
    if not paths:
        what = f"{folder}: no images in this folder (deeper folders are not searched)"
        problems.refuse("empty", what, "fill it, or give the folders that hold the images")
    return paths


def refuse_same(a: Path, b: Path) -> None:
    """One folder under two names, as by a link."""
    if a.samefile(b):
        raise LayoutError(f"{a} and {b} are the same folder", "A and B must be two")


def contents(folder: Path) -> str:
    """What is in a folder, in words: "it holds 3 images and the folders x/ (4 images), y/ (0 images)"."""
    count = len(list_images(folder))
    others = [] if count else _other_files(folder)
    images = f"{count or 'no'} images" + (f" ({', '.join(others)})" if others else "")
    children = [f"{path.name}/ ({len(list_images(path))} images)" for path in children_of(folder).values()]
    more = f" and {len(children) - 6} more" if len(children) > 6 else ""
    folders = f"the folders {', '.join(children[:6])}{more}" if children else "no folders"
    return f"it holds {images} and {folders}"


def _other_files(folder: Path) -> list[str]:
    """The endings of a folder's other files: ["4 .gz files"]."""
    endings = Counter(path.suffix for path in folder.iterdir() if path.is_file() and not path.name.startswith("."))
    return [f"{count} {ending or 'other'} file{'s' * (count != 1)}" for ending, count in endings.most_common(2)]


def is_side_by_side(header: ImageHeader) -> bool:
    return _is_twice(header.width, header.height)


def is_one_above_the_other(header: ImageHeader) -> bool:
    return _is_twice(header.height, header.width)


def _is_twice(longer: int, shorter: int) -> bool:
    return abs(longer - 2 * shorter) <= max(1, shorter / 10)


def scan(paths: Iterable[Path]) -> tuple[dict[Path, ImageHeader], dict[Path, str]]:
    """Headers of the files that have one, and the errors of those that do not, in the order given."""

    def header_or_reason(path: Path) -> ImageHeader | str:
        try:
            return read_header(path)
        except ImageError as error:
            return str(error)

    paths = list(dict.fromkeys(paths))
    with ThreadPoolExecutor(max_workers=8) as pool:  # for the latency of network disks
        results = dict(zip(paths, pool.map(header_or_reason, paths), strict=True))
    headers = {path: result for path, result in results.items() if isinstance(result, ImageHeader)}
    return headers, {path: result for path, result in results.items() if isinstance(result, str)}


def refuse_many_broken(
    root: Path,
    headers: Mapping[Path, ImageHeader],
    broken: Mapping[Path, str],
    problems: Problems,
    *,
    max_corrupt: float,
) -> None:
    if not broken:
        return
    total, files = len(headers) + len(broken), list(broken)
    what = f"{len(files)} of {total} files cannot be read ({first_names(files, root=root)})"
    if len(files) > max_corrupt * total:
        what = f"{root}: {what}, more than {max_corrupt:.0%}. First: {next(iter(broken.values()))}"
        problems.refuse("unreadable", what, "fix or remove them", files=files)
    else:
        problems.note("unreadable", f"{what} and {be(len(files))} not used", "fix or remove them", files=files)


def common_formats(
    sides: Mapping[str, Mapping[Path, ImageHeader]], problems: Problems, *, keep_alpha: bool, reading: Reading
) -> list[Kind]:
    """Channels, bits and number type that hold every file of each side.

    Bands that were named are those of sides with bands or measured values, or of all sides where none has any.

    Args:
        sides: What each side is called, and the headers of its files.
        problems: Where what is noticed goes.
        keep_alpha: Count alpha as a channel.
        reading: What was said of values, bands and pages.
    """
    measured = [
        any(header.dtype is not None or is_stack(header, reading.bands) for header in headers.values())
        for headers in sides.values()
    ]
    plain = replace(reading, bands=())
    return [
        _common_format(headers, side, problems, keep_alpha, reading if own or not any(measured) else plain)
        for (side, headers), own in zip(sides.items(), measured, strict=True)
    ]


def _common_format(
    headers: Mapping[Path, ImageHeader], side: str, problems: Problems, keep_alpha: bool, reading: Reading
) -> Kind:
    several = [path for path, header in headers.items() if header.pages > 1 and not is_stack(header, reading.bands)]
    if several and not reading.pages:
        most = max(headers[path].pages for path in several)
        what = (
            f"{len(several)} of {len(headers)} files of {side} {have(len(several))} further pages or frames, {most} at "
            f"most ({first_names(several)}): the first of each is read"
        )
        fix = "take every one as an image with --pages, or grey pages as the bands of one image with --bands 1 2 3"
        problems.note("pages", what, fix, files=several)
    if reading.bands or any(header.dtype is not None for header in headers.values()):
        return _measured_format(headers, side, problems, reading)
    grey = [path for path, header in headers.items() if header.channels < 3]
    deep = [path for path, header in headers.items() if header.bits == 16]
    alpha = [path for path, header in headers.items() if header.alpha]
    total = len(headers)
    palettes = [path for path, header in headers.items() if header.palette]
    if palettes and grey and len(palettes) + len(grey) == total:
        what = (
            f"{len(palettes)} of {total} files of {side} {have(len(palettes))} a palette and the others grey values: "
            "if they are class ids, each class has two colours"
        )
        fix = "read ids and palette indices alike with --labels, or save all in the same format"
        problems.note("mixed-palettes", what, fix, files=palettes)
    elif 0 < len(grey) < total:
        what = f"{len(grey)} of {total} files of {side} {be(len(grey))} grey: converted to RGB"
        problems.note("mixed-channels", what, "leave it so, or move them away if they are there by mistake", files=grey)
    if 0 < len(deep) < total:
        shallow = [path for path, header in headers.items() if header.bits != 16]
        what = f"{len(shallow)} of {total} files of {side} {have(len(shallow))} 8 bits: converted to 16"
        problems.note("mixed-bits", what, "save all at the same depth", files=shallow)
    if alpha and not keep_alpha:
        what = f"{len(alpha)} of {total} files of {side} {have(len(alpha))} transparency: composited over white"
        problems.note("transparent", what, "leave it so, or keep it as a channel with --alpha keep", files=alpha)
    elif 0 < len(alpha) < total:
        opaque = [path for path, header in headers.items() if not header.alpha]
        what = f"{len(opaque)} of {total} files of {side} {have(len(opaque))} no alpha: taken as opaque"
        fix = "leave it so, or composite the others with --alpha composite"
        problems.note("mixed-channels", what, fix, files=opaque)
    return Kind(channels=(1 if len(grey) == total else 3) + bool(alpha and keep_alpha), bits=16 if deep else 8)


def _measured_format(headers: Mapping[Path, ImageHeader], side: str, problems: Problems, reading: Reading) -> Kind:
    """Of a side with files of bands or measured values, or whose bands were named."""
    channels = {
        path: header.pages if is_stack(header, reading.bands) else header.channels - header.alpha
        for path, header in headers.items()
    }
    first = next(iter(headers))
    counts = sorted(set(channels.values()))
    if reading.bands:
        short = [path for path, count in channels.items() if count < max(reading.bands)]
        if short:
            problems.refuse(
                "bands",
                f"{len(short)} of {len(headers)} files of {side} {have(len(short))} fewer than {max(reading.bands)} "
                f"channels, first {short[0].name} with {channels[short[0]]}",
                "name channels that all have with --bands",
                files=short,
            )
    elif len(counts) > 1:
        other = next(path for path, count in channels.items() if count != channels[first])
        problems.refuse(
            "mixed-bands",
            f"the files of {side} have {' and '.join(map(str, counts))} channels: {first.name} has {channels[first]}, "
            f"{other.name} {channels[other]}",
            "convert them alike, or take the same channels of each: "
            f"--bands {' '.join(map(str, range(1, counts[0] + 1)))}",
        )
    plain = [path for path, header in headers.items() if header.dtype is None]
    if 0 < len(plain) < len(headers) and reading.values is None:
        problems.refuse(
            "mixed-values",
            f"{len(plain)} of {len(headers)} files of {side} {be(len(plain))} plain 8-bit or 16-bit images "
            f"({first_names(plain)}) and the others measured values: their ranges are not comparable",
            "convert them alike, or give one range for all with --values LOW HIGH",
            files=plain,
        )
    types = {header.dtype or f"uint{header.bits}" for header in headers.values()}
    dtype = np.result_type(*types).name
    return Kind(
        channels=len(reading.bands) or channels[first],
        bits=8 if dtype == "uint8" else 16,
        dtype=dtype,
    )


def is_stack(header: ImageHeader, bands: Sequence[int]) -> bool:
    """Whether the pages of a file are the bands that are asked for."""
    return bool(bands) and header.channels == 1 and header.pages >= max(bands) > 1


def paged(source: ImageSource, header: ImageHeader, reading: Reading) -> tuple[ImageSource, ...]:
    """A file as the images that it is read as: one, or each page of several."""
    if is_stack(header, reading.bands):
        return (replace(source, stacked=True),)
    if reading.pages and header.pages > 1:
        return tuple(replace(source, page=page) for page in range(header.pages))
    return (source,)


def in_order(folders: Mapping[str, _Split]) -> dict[str, _Split]:
    """train, val, test: the order in which splits are told."""
    return {split: folders[split] for split in SPLIT_NAMES if split in folders}


def side_names(root: Path, folders: TwoFolders) -> tuple[str, str]:
    """Where A and B are, in words, relative to the root."""
    a, b = (folder.relative_to(root) for folder in folders["train" if "train" in folders else next(iter(folders))])
    if a.parts[0] != b.parts[0]:  # A/ even where the files are in A/train
        return f"{a.parts[0]}/", f"{b.parts[0]}/"
    return f"{a.as_posix()}/", f"{b.as_posix()}/"


def odd_side(path: Path, width: int, height: int, *, half: Half) -> str:
    """What is wrong with a file that cannot be cut into two equal halves."""
    how, even = ("side by side", "width") if half in ("left", "right") else ("one above the other", "height")
    return f"{path} is {width}x{height}: a file with A and B {how} has an even {even}, each half of it"


def first_names(paths: Sequence[Path], *, root: Path | None = None) -> str:
    """The first few of many files, by their names, or relative to a root."""
    names = [path.name if root is None else relative(path, root) for path in paths[:3]]
    return ", ".join(names) + (", ..." if len(paths) > 3 else "")


def relative(path: Path, root: Path) -> str:
    """A path as the owner of a data set knows it."""
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else str(path)


def class_folder(name: str) -> str:
    """The name of a class as that of a folder; a set's labels, and those that weights know, are free text.

    Raises:
        LayoutError: it would lead elsewhere, or mean a split.
    """
    if not name.strip() or name in (".", "..") or any(mark in name for mark in "/\\\0") or name in SPLIT_NAMES:
        raise LayoutError(f"a class is called {name!r}, which cannot be the name of a folder", "rename the class")
    return name
