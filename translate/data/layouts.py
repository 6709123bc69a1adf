"""Paired data sets, found by looking at a folder: which files are pairs, and which side is A.

| layout             | looks like                                                              |
|--------------------|-------------------------------------------------------------------------|
| `side-by-side`     | one file a pair, A the left half; with or without `train/ val/ test/`    |
| `ab-folders`       | `A/ B/` with the same stems; or `A/train B/train` and so on              |
| `split-ab-folders` | `train/A train/B`, `val/A val/B`, ...                                   |
| `trainA-trainB`    | `trainA trainB`, `valA valB`, `testA testB`                             |
| `two-folders`      | two folders given by hand; or both with `train/ val/ test/`              |

What is ambiguous or broken is refused with what was seen and how to mend it; nothing is guessed in silence. Only
headers are read.
"""

import glob
import os
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from translate.data.images import (
    IMAGE_SUFFIXES,
    ImageError,
    ImageHeader,
    Picture,
    list_images,
    natural_key,
    read_header,
    read_image,
)

LAYOUTS = ("side-by-side", "ab-folders", "split-ab-folders", "trainA-trainB", "two-folders")
MAX_CORRUPT_SHARE = 0.05
"""Above this share of unreadable files a data set is refused, unless given otherwise."""

_SPLIT_NAMES = {"train": "train", "val": "val", "valid": "val", "validation": "val", "test": "test"}
_CHANNEL_NAMES = {1: "grey", 2: "grey with alpha", 3: "RGB", 4: "RGBA"}

# By split, the folder of A and the folder of B; None where one file holds both.
_Folders = dict[str, tuple[Path, Path | None]]


class LayoutError(ValueError):
    """A folder is not the data set that was asked for: what was seen, and the mend."""


@dataclass(frozen=True, kw_only=True)
class ImageSource:
    """Where one side of a pair is: a file, or half of one."""

    path: Path
    half: Literal["left", "right"] | None = None

    def read(self) -> Picture:
        """Read the file and crop the half.

        Raises:
            ImageError: the file cannot be read.
            LayoutError: a half is asked for and the width is odd.
        """
        return self._crop(read_image(self.path))

    def _crop(self, picture: Picture) -> Picture:
        if self.half is None:
            return picture
        width, height = picture.size
        if width % 2:
            raise LayoutError(_odd_width(self.path, width, height))
        columns = slice(width // 2) if self.half == "left" else slice(width // 2, None)
        return Picture(pixels=picture.pixels[:, columns], icc_profile=picture.icc_profile)


@dataclass(frozen=True, kw_only=True)
class Pair:
    """The two sides of one example."""

    name: str
    """The file's stem."""
    a: ImageSource
    b: ImageSource

    def read(self) -> tuple[Picture, Picture]:
        """Read A and B; a file that holds both is decoded once. Raises as `ImageSource.read`."""
        if self.a.path != self.b.path:
            return self.a.read(), self.b.read()
        picture = read_image(self.a.path)
        return self.a._crop(picture), self.b._crop(picture)


@dataclass(frozen=True, kw_only=True)
class PairedData:
    """A paired data set as it was found."""

    root: Path
    layout: str
    """One of `LAYOUTS`."""
    sides: tuple[str, str]
    """Where A and B are, in words: ("left half", "right half")."""
    splits: dict[str, tuple[Pair, ...]]
    """Keys among "train", "val", "test"; a data set without splits is all "train"."""
    channels_a: int
    """1 grey, 3 RGB; one more with `keep_alpha` where a file of A has transparency. Mixed sides count as RGB."""
    channels_b: int
    bits_a: int
    """8 or 16; the larger where files differ."""
    bits_b: int
    size: tuple[int, int]
    """The most common (width, height) of one side of a pair."""
    mixed_sizes: bool
    notes: tuple[str, ...]
    """What should be said aloud: files left out, transparency, mixed channels."""

    def describe(self) -> str:
        """Say what it is in one line.

        For example "400 training pairs, 100 val, 53 test; side by side, A = left half, B = right half; 256x256, RGB".
        """
        (first, count), *others = [(name, len(self.splits[name])) for name in _SPLIT_NAMES if name in self.splits]
        counts = [
            f"{count} {'training' if first == 'train' else first} pair{'s' * (count != 1)}",
            *(f"{n} {name}" for name, n in others),
        ]
        layout = "side by side" if self.layout == "side-by-side" else "folders"
        width, height = self.size
        size = f"mostly {width}x{height} (sizes differ)" if self.mixed_sizes else f"{width}x{height}"
        a, b = (
            ("16-bit " if bits == 16 else "") + _CHANNEL_NAMES[channels]
            for channels, bits in ((self.channels_a, self.bits_a), (self.channels_b, self.bits_b))
        )
        colours = a if a == b else f"A {a}, B {b}"
        return f"{', '.join(counts)}; {layout}, A = {self.sides[0]}, B = {self.sides[1]}; {size}, {colours}"


def find_pairs(
    root: str | os.PathLike[str],
    *,
    root_b: str | os.PathLike[str] | None = None,
    layout: str = "auto",
    keep_alpha: bool = False,
    allow_unmatched: bool = False,
    max_corrupt: float = MAX_CORRUPT_SHARE,
) -> PairedData:
    """Find the pairs of a data set.

    Args:
        root: the data set; with `root_b`, the folder of A.
        root_b: the folder of B, where the two are given by hand.
        layout: one of `LAYOUTS`, or "auto". Side-by-side files that are not about 2:1 must be asked for by name, since
            they cannot be told from single images.
        keep_alpha: count alpha as a channel instead of noting that it is composited over white.
        allow_unmatched: leave out files without a partner instead of refusing them.
        max_corrupt: share of unreadable files above which the data set is refused.

    Raises:
        LayoutError: the data set is missing, empty, ambiguous or broken.
    """
    if layout not in ("auto", *LAYOUTS):
        raise LayoutError(f"unknown layout {layout!r}: expected auto or one of {', '.join(LAYOUTS)}")
    root = _existing_folder(root)
    notes: list[str] = []
    named = layout != "auto"
    if root_b is not None:
        root_b = _existing_folder(root_b)
        if os.path.samefile(root, root_b):
            raise LayoutError(f"{root}: A and B are the same folder; give the folder of A and then that of B")
        if layout not in ("auto", "two-folders"):
            raise LayoutError(f"layout {layout} is one folder, but two were given; leave one out, or the layout")
        layout, folders = "two-folders", _split_folders(root, root_b)
    else:
        layout, folders = _choose(root, layout, notes)

    pairs = {split: _list_pairs(a, b, notes, allow_unmatched=allow_unmatched) for split, (a, b) in folders.items()}
    everything = [pair for members in pairs.values() for pair in members]
    if not everything:
        looked = ", ".join(str(folder) for pair in folders.values() for folder in pair if folder is not None)
        raise LayoutError(f"{root}: no images found in {looked} (deeper folders are not searched)")
    headers, broken = _scan(source.path for pair in everything for source in (pair.a, pair.b))
    if layout == "side-by-side" and not named:
        _refuse_single_images(root, headers)
    _refuse_many_broken(root, headers, broken, notes, max_corrupt=max_corrupt)
    splits = {
        split: tuple(pair for pair in members if pair.a.path in headers and pair.b.path in headers)
        for split, members in pairs.items()
    }
    splits = {split: members for split, members in splits.items() if members}
    everything = [pair for members in splits.values() for pair in members]
    if len(everything) < 2:
        raise LayoutError(f"{root}: only one pair was found; a data set needs two or more")
    sizes = _check_sizes(root, everything, headers)
    channels_a, bits_a = _channels([headers[pair.a.path] for pair in everything], "A", notes, keep_alpha=keep_alpha)
    channels_b, bits_b = _channels([headers[pair.b.path] for pair in everything], "B", notes, keep_alpha=keep_alpha)
    return PairedData(
        root=root,
        layout=layout,
        sides=_side_names(root, layout, folders) if root_b is None else (str(root), str(root_b)),
        splits=splits,
        channels_a=channels_a,
        channels_b=channels_b,
        bits_a=bits_a,
        bits_b=bits_b,
        size=sizes.most_common(1)[0][0],
        mixed_sizes=len(sizes) > 1,
        notes=tuple(dict.fromkeys(notes)),
    )


def list_inputs(inputs: Sequence[str | os.PathLike[str]]) -> list[Path]:
    """List the images that a command line names: files, folders (not searched deeper), globs.

    Returns:
        Paths in the order given, each folder and glob in natural order, without duplicates.

    Raises:
        LayoutError: a name matches nothing.
    """
    found: dict[Path, Path] = {}
    for item in inputs:
        if not str(item):
            raise LayoutError("an input is empty: give an image, a folder of images or a pattern")
        path = Path(item)
        if path.is_dir():
            matches = list_images(path)
            if not matches:
                raise LayoutError(
                    f"{path}: no images in this folder (deeper folders are not searched; try {path}/**/*)"
                )
        elif path.exists():
            matches = [path]
        elif glob.has_magic(str(path)):
            matches = [Path(name) for name in glob.glob(str(path), recursive=True)]
            matches = [match for match in matches if match.suffix.lower() in IMAGE_SUFFIXES and match.is_file()]
            matches.sort(key=natural_key)
            if not matches:
                raise LayoutError(f"{path}: no image matches this pattern")
        else:
            raise LayoutError(f"{path}: no such file or folder")
        for match in matches:
            found.setdefault(match.resolve(), match)
    if not found:
        raise LayoutError("no input: give an image, a folder of images or a pattern such as 'photos/*.jpg'")
    return list(found.values())


def _existing_folder(path: str | os.PathLike[str]) -> Path:
    path = Path(path)
    if not path.exists():
        raise LayoutError(f"{path}: no such folder")
    if not path.is_dir():
        raise LayoutError(f"{path}: is a file; give the folder that holds the data set")
    if not os.access(path, os.R_OK | os.X_OK):
        raise LayoutError(f"{path}: permission to read this folder is denied")
    return path


def _children(folder: Path) -> dict[str, Path]:
    """Sub-folders by lower-case name, without hidden ones."""
    return {
        path.name.lower(): path
        for path in sorted(folder.iterdir(), key=natural_key)
        if path.is_dir() and not path.name.startswith(".")
    }


def _splits(folder: Path) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for name, path in _children(folder).items():
        split = _SPLIT_NAMES.get(name)
        if split in found:
            raise LayoutError(f"{folder}: both {found[split].name}/ and {path.name}/ are here; keep one of them")
        if split is not None:
            found[split] = path
    return found


def _split_folders(a: Path, b: Path) -> _Folders:
    """Two folders of images, or two folders of splits."""
    splits_a, splits_b = _splits(a), _splits(b)
    if not splits_a and not splits_b:
        return {"train": (a, b)}
    if splits_a.keys() != splits_b.keys():
        seen = " but ".join(
            f"{folder} has {', '.join(splits) or 'none'}" for folder, splits in ((a, splits_a), (b, splits_b))
        )
        raise LayoutError(f"the two sides have different splits: {seen}; give both the same, or none")
    return {split: (splits_a[split], splits_b[split]) for split in splits_a}


def _look(root: Path) -> dict[str, _Folders]:
    """Every layout whose folders are here."""
    seen: dict[str, _Folders] = {}
    children, splits = _children(root), _splits(root)
    if {"a", "b"} & children.keys():
        seen["ab-folders"] = _split_folders(*_both(root, children, "a", "b"))

    joined: _Folders = {}
    for name, path in children.items():
        match = re.fullmatch(rf"({'|'.join(_SPLIT_NAMES)})([_-]?)([ab])", name)
        if match:
            split = _SPLIT_NAMES[match[1]]
            folders = _both(root, children, f"{match[1]}{match[2]}a", f"{match[1]}{match[2]}b")
            if joined.setdefault(split, folders) != folders:
                raise LayoutError(
                    f"{root}: two folders for {split} A: {joined[split][0].name} and {path.name}; keep one"
                )
    if joined:
        seen["trainA-trainB"] = joined

    inner = {split: _children(path) for split, path in splits.items()}
    nested: _Folders = {
        split: _both(splits[split], children, "a", "b")
        for split, children in inner.items()
        if {"a", "b"} & children.keys()
    }
    if nested:
        seen["split-ab-folders"] = nested
    beside: _Folders = {split: (path, None) for split, path in splits.items() if list_images(path)}
    if beside:
        seen["side-by-side"] = beside
    elif list_images(root):
        seen["side-by-side"] = {"train": (root, None)}
    return seen


def _both(folder: Path, children: Mapping[str, Path], name_a: str, name_b: str) -> tuple[Path, Path]:
    if name_a not in children or name_b not in children:
        present, missing = (name_a, name_b) if name_a in children else (name_b, name_a)
        raise LayoutError(
            f"{folder}: {children[present].name}/ is here but its partner {missing!r} is not; add it or rename this one"
        )
    return children[name_a], children[name_b]


def _choose(root: Path, layout: str, notes: list[str]) -> tuple[str, _Folders]:
    """The layout that is here, or the one that was named; loose images beside it go into the notes."""
    seen = _look(root)
    if layout != "auto":
        if layout not in seen:
            what = "needs the folder of B as well" if layout == "two-folders" else f"is not there: {_contents(root)}"
            raise LayoutError(f"{root}: layout {layout} {what}")
        return layout, seen[layout]
    if not seen:
        raise LayoutError(
            f"{root}: no pairs found: {_contents(root)}. Expected A|B side by side in one file, or folders A/ and B/ "
            "with the same file names, trainA/ and trainB/, or train/A and train/B; or give the folders of A and of B "
            "by hand"
        )
    loose: list[Path] = []
    if len(seen) > 1 and "side-by-side" in seen:
        loose = [path for folder, _ in seen["side-by-side"].values() for path in list_images(folder)]
        headers, _ = _scan(loose)
        if not any(_is_side_by_side(header) for header in headers.values()):  # a preview or a logo beside the folders
            del seen["side-by-side"]
    elif (root, None) not in seen.get("side-by-side", {}).values():
        loose = list_images(root)
    if len(seen) > 1:
        raise LayoutError(
            f"{root}: several layouts at once: {' and '.join(seen)}: {_contents(root)}; move one away, "
            "or name the layout"
        )
    if loose:
        notes.append(f"{len(loose)} images beside the folders are not used ({_first(loose)})")
    ((layout, folders),) = seen.items()
    return layout, folders


def _contents(folder: Path) -> str:
    """What is in a folder, in words: "holds 3 images and the folders x/ (4 images), y/ (0 images)"."""
    count = len(list_images(folder))
    children = [f"{path.name}/ ({len(list_images(path))} images)" for path in _children(folder).values()]
    more = f" and {len(children) - 6} more" if len(children) > 6 else ""
    folders = f"the folders {', '.join(children[:6])}{more}" if children else "no folders"
    return f"it holds {count or 'no'} images and {folders}"


def _is_side_by_side(header: ImageHeader) -> bool:
    return abs(header.width - 2 * header.height) <= max(1, header.height / 10)


def _refuse_single_images(root: Path, headers: Mapping[Path, ImageHeader]) -> None:
    others = [path for path, header in headers.items() if not _is_side_by_side(header)]
    if not others:
        return
    header = headers[others[0]]
    first = f"{others[0].name} is {header.width}x{header.height}"
    if len(others) <= len(headers) / 2:
        raise LayoutError(
            f"{root}: {len(others)} of {len(headers)} files are not twice as wide as high, as A|B pairs are, "
            f"first {first}; remove them, or, if every file is a pair, name the layout side-by-side"
        )
    raise LayoutError(
        f"{root}: these look like single images, not pairs: {len(headers)} files, {first}. Put A and B side by side in "
        "one file, or in two folders A/ and B/ under the same names; if every file is a pair, name the layout "
        "side-by-side"
    )


def _list_pairs(a: Path, b: Path | None, notes: list[str], *, allow_unmatched: bool) -> list[Pair]:
    if b is None:
        return [
            Pair(
                name=path.stem,
                a=ImageSource(path=path, half="left"),
                b=ImageSource(path=path, half="right"),
            )
            for path in list_images(a)
        ]
    if a.samefile(b):
        raise LayoutError(f"{a} and {b} are the same folder: A and B must be two")
    by_stem_a, by_stem_b = _by_stem(a, "a"), _by_stem(b, "b")
    for folder, stems in ((a, by_stem_a), (b, by_stem_b)):
        if not stems:
            raise LayoutError(
                f"{folder}: no images in this folder (deeper folders are not searched); fill or remove it"
            )
    only_a = [path for stem, path in by_stem_a.items() if stem not in by_stem_b]
    only_b = [path for stem, path in by_stem_b.items() if stem not in by_stem_a]
    matched = len(by_stem_a) - len(only_a)
    if not matched:
        raise LayoutError(
            f"{a} and {b}: no file of one has the name of a file of the other ({_first(only_a)}; {_first(only_b)}). "
            "Paired training needs partners with the same name; these look like unpaired data"
        )
    if only_a or only_b:
        text = f"{len(only_a)} files of {a} and {len(only_b)} of {b} have no partner"
        if not allow_unmatched:
            named = "; ".join(
                f"only in {side.name}/: {_first(only)}" for side, only in ((a, only_a), (b, only_b)) if only
            )
            raise LayoutError(
                f"{text}, {matched} have ({named}). Add or remove them, or leave them out with --allow-unmatched"
            )
        notes.append(f"{text} and are not used")
    return [
        Pair(name=stem, a=ImageSource(path=path), b=ImageSource(path=by_stem_b[stem]))
        for stem, path in by_stem_a.items()
        if stem in by_stem_b
    ]


def _by_stem(folder: Path, side: str) -> dict[str, Path]:
    paths = list_images(folder)
    # 12_A.jpg beside 12_B.jpg, as in CycleGAN's facades: the ending counts only if every file of the side has it.
    ending = f"_{side}"
    drop = len(ending) if all(path.stem.lower().endswith(ending) for path in paths) else 0
    found: dict[str, Path] = {}
    for path in paths:
        stem = path.stem[: len(path.stem) - drop]
        if stem in found:
            raise LayoutError(f"{folder}: {found[stem].name} and {path.name} have the same stem; keep one of them")
        found[stem] = path
    return found


def _scan(paths: Iterable[Path]) -> tuple[dict[Path, ImageHeader], dict[Path, str]]:
    """Headers of the files that have one, and the errors of those that do not, in the order given."""

    def scan(path: Path) -> ImageHeader | str:
        try:
            return read_header(path)
        except ImageError as error:
            return str(error)

    paths = list(dict.fromkeys(paths))
    with ThreadPoolExecutor(max_workers=8) as pool:  # for the latency of network disks
        results = dict(zip(paths, pool.map(scan, paths), strict=True))
    headers = {path: result for path, result in results.items() if isinstance(result, ImageHeader)}
    return headers, {path: result for path, result in results.items() if isinstance(result, str)}


def _refuse_many_broken(
    root: Path,
    headers: Mapping[Path, ImageHeader],
    broken: Mapping[Path, str],
    notes: list[str],
    *,
    max_corrupt: float,
) -> None:
    if not broken:
        return
    total = len(headers) + len(broken)
    text = f"{len(broken)} of {total} files cannot be read ({_first(list(broken))})"
    if len(broken) > max_corrupt * total:
        reason = next(iter(broken.values()))
        raise LayoutError(f"{root}: {text}, more than {max_corrupt:.0%}; mend or remove them. First: {reason}")
    notes.append(f"{text} and are not used")


def _check_sizes(root: Path, pairs: Sequence[Pair], headers: Mapping[Path, ImageHeader]) -> Counter[tuple[int, int]]:
    """Count the sizes of one side; refuse odd A|B widths and pairs whose sides differ."""
    sizes: Counter[tuple[int, int]] = Counter()
    different: list[str] = []
    odd: list[Path] = []
    for pair in pairs:
        a, b = headers[pair.a.path], headers[pair.b.path]
        if pair.a.half is not None and a.width % 2:
            odd.append(pair.a.path)
        elif (a.width, a.height) != (b.width, b.height):
            different.append(f"{pair.a.path.name} is {a.width}x{a.height}, {pair.b.path.name} {b.width}x{b.height}")
        sizes[a.width // 2 if pair.a.half else a.width, a.height] += 1
    if odd:
        header = headers[odd[0]]
        raise LayoutError(f"{len(odd)} of {len(pairs)} files: {_odd_width(odd[0], header.width, header.height)}")
    if different:
        raise LayoutError(
            f"{root}: A and B differ in size in {len(different)} of {len(pairs)} pairs, first {different[0]}; "
            "resize one side so that both match"
        )
    return sizes


def _channels(headers: Sequence[ImageHeader], side: str, notes: list[str], *, keep_alpha: bool) -> tuple[int, int]:
    grey = sum(header.channels < 3 for header in headers)
    deep = sum(header.bits == 16 for header in headers)
    alpha = sum(header.alpha for header in headers)
    total = len(headers)
    if 0 < grey < total:
        notes.append(f"{grey} of {total} files of {side} are grey: converted to RGB")
    if 0 < deep < total:
        notes.append(f"{total - deep} of {total} files of {side} have 8 bits: converted to 16")
    if alpha and not keep_alpha:
        notes.append(f"{alpha} of {total} files of {side} have transparency: composited over white")
    elif 0 < alpha < total:
        notes.append(f"{total - alpha} of {total} files of {side} have no alpha: taken as opaque")
    return (1 if grey == total else 3) + bool(alpha and keep_alpha), 16 if deep else 8


def _side_names(root: Path, layout: str, folders: _Folders) -> tuple[str, str]:
    a, b = folders["train"] if "train" in folders else next(iter(folders.values()))
    if b is None:
        return "left half", "right half"
    a, b = a.relative_to(root), b.relative_to(root)
    if layout == "ab-folders":  # A/ even where the files are in A/train
        return f"{a.parts[0]}/", f"{b.parts[0]}/"
    return f"{a.as_posix()}/", f"{b.as_posix()}/"


def _odd_width(path: Path, width: int, height: int) -> str:
    return (
        f"{path} is {width}x{height}: a file with A and B side by side has an even width, each half of it; "
        "crop or resize it by one pixel"
    )


def _first(paths: Sequence[Path]) -> str:
    return ", ".join(path.name for path in paths[:3]) + (", ..." if len(paths) > 3 else "")
