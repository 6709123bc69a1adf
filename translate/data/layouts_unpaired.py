"""Unpaired data: which images are of domain A, which of domain B, and what the domains are called."""

import os
import re
import shlex
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from translate.config.encoding import Reading
from translate.data.images import ImageHeader, list_images
from translate.data.layouts_common import (
    MAX_CORRUPT_SHARE,
    SPLIT_NAMES,
    FoundData,
    ImageSource,
    TwoFolders,
    children_of,
    common_formats,
    contents,
    existing_folder,
    given_folders,
    image_folders,
    in_order,
    is_side_by_side,
    list_or_refuse,
    look_for_sides,
    look_inside,
    note_loose,
    note_unused,
    paged,
    refuse_many_broken,
    refuse_same,
    refuse_several,
    scan,
    side_names,
    split_folders,
    splits_of,
)
from translate.data.problems import LayoutError, Problems

UNPAIRED_LAYOUTS = ("ab-folders", "split-ab-folders", "trainA-trainB", "two-folders")

Domains = tuple[tuple[ImageSource, ...], tuple[ImageSource, ...]]


@dataclass(frozen=True, kw_only=True)
class UnpairedData(FoundData):
    """An unpaired data set as it was found."""

    names: tuple[str, str]
    """What the domains are called."""
    splits: dict[str, Domains]
    """Keys among "train", "val", "test", each the images of A and those of B; all "train" without splits."""
    size_a: tuple[int, int]
    """The most common (width, height) of A."""
    size_b: tuple[int, int]

    def describe(self) -> str:
        """Say what it is in one line.

        For example "680 training images of summer and 680 of winter, 100 and 100 test; summer/ and winter/; 256x256,
        RGB".
        """
        counts = [(name, *map(len, self.splits[name])) for name in SPLIT_NAMES if name in self.splits]
        (first, a, b), *others = counts
        said = [
            f"{a} {'training' if first == 'train' else first} image{'s' * (a != 1)} of {self.names[0]} "
            f"and {b} of {self.names[1]}",
            *(f"{a} and {b} {name}" for name, a, b in others),
        ]
        sizes = [f"{width}x{height}" for width, height in (self.size_a, self.size_b)]
        size = sizes[0] if sizes[0] == sizes[1] else f"A {sizes[0]}, B {sizes[1]}"
        size = f"mostly {size} (sizes differ)" if self.mixed_sizes else size
        return f"{', '.join(said)}; {self.sides[0]} and {self.sides[1]}; {size}, {self.colours}"


def find_domains(
    root: str | os.PathLike[str],
    *,
    root_b: str | os.PathLike[str] | None = None,
    layout: str = "auto",
    names: tuple[str, str] | None = None,
    keep_alpha: bool = False,
    max_corrupt: float = MAX_CORRUPT_SHARE,
    reading: Reading | None = None,
    problems: Problems | None = None,
) -> UnpairedData:
    """Find the two domains of an unpaired data set; they may differ in count and in size.

    Args:
        root: the data set; with `root_b`, the folder of A.
        root_b: the folder of B, where the two are given by hand.
        layout: one of `UNPAIRED_LAYOUTS`, or "auto". Of two folders of any names, the first in natural order is A.
        names: what the domains are called; taken from their folders unless given.
        keep_alpha: count alpha as a channel instead of noting that it is composited over white.
        max_corrupt: share of unreadable files of a domain above which the data set is refused.
        reading: how values, bands and pages are read.
        problems: where what is noticed goes; one that collects also takes what would be refused.

    Raises:
        LayoutError: the data set is missing, empty, ambiguous, broken, or of pairs; a domain has one image.
    """
    problems = problems or Problems()
    if layout not in ("auto", *UNPAIRED_LAYOUTS):
        raise LayoutError(f"unknown layout {layout!r}: expected auto or one of {', '.join(UNPAIRED_LAYOUTS)}")
    root = existing_folder(root)
    if root_b is not None:
        layout, folders = "two-folders", given_folders(root, root_b, layout)
        sides = (str(root), str(Path(root_b)))
    else:
        layout, folders, inside = _choose(root, layout, problems)
        sides = side_names(root, folders)
        note_loose(list_images(inside), problems)
        used = {folder for two in folders.values() for folder in two}
        note_unused(root, [path for path in image_folders(inside) if path not in used], problems)
    names = names or _domain_names(*folders["train" if "train" in folders else next(iter(folders))])

    folders = in_order(folders)
    for a, b in folders.values():
        refuse_same(a, b)
    found = {split: (list_or_refuse(a, problems), list_or_refuse(b, problems)) for split, (a, b) in folders.items()}
    headers = [
        _headers(root, [path for members in found.values() for path in members[side]], problems, max_corrupt)
        for side in (0, 1)
    ]
    reading = reading or Reading()
    splits = {
        split: (_pages(a, headers[0], reading), _pages(b, headers[1], reading))
        for split, (a, b) in _readable(found, headers, problems).items()
    }
    for side, name in enumerate(names):
        count = len(splits["train"][side]) if "train" in splits else sum(len(pair[side]) for pair in splits.values())
        if count < 2:
            raise LayoutError(
                f"{root}: domain {name} ({sides[side]}) has {'one image' if count else 'no image'} to train on",
                "each domain needs at least two, better hundreds",
            )
    if _looks_paired(splits, headers):
        what = "the files of A and B have the same names and sizes"
        fix = "if they are pairs, train pix2pix, which learns more from them"
        problems.note("paired", f"{what}: {fix}", fix, severity="hint")
    sizes = [Counter((header.width, header.height) for header in side.values()) for side in headers]
    both = {"A": headers[0], "B": headers[1]}
    kind_a, kind_b = common_formats(both, problems, keep_alpha=keep_alpha, reading=reading)
    return UnpairedData(
        root=root,
        layout=layout,
        sides=sides,
        names=names,
        splits=splits,
        channels_a=kind_a.channels,
        channels_b=kind_b.channels,
        bits_a=kind_a.bits,
        bits_b=kind_b.bits,
        dtype_a=kind_a.dtype,
        dtype_b=kind_b.dtype,
        size_a=sizes[0].most_common(1)[0][0],
        size_b=sizes[1].most_common(1)[0][0],
        mixed_sizes=any(len(side) > 1 for side in sizes),
        problems=tuple(problems.found),
    )


def _pages(
    sources: Sequence[ImageSource], headers: Mapping[Path, ImageHeader], reading: Reading
) -> tuple[ImageSource, ...]:
    return tuple(one for source in sources for one in paged(source, headers[source.path], reading))


def _choose(root: Path, layout: str, problems: Problems) -> tuple[str, TwoFolders, Path]:
    """The layout that is here, or the one that was named, and the folder that it is in."""
    inside, seen = look_inside(root, _look, problems)
    if layout != "auto":
        if layout not in seen:
            raise LayoutError(f"{root}: layout {layout} was not found: {contents(root)}")
        return layout, seen[layout], inside
    if not seen:
        _refuse_pairs(root)
        candidates = _domain_folders(root)
        if len(candidates) > 2:
            by_hand = ["translate", "train", "cyclegan", str(candidates[0]), "--root-b", str(candidates[1])]
            by_hand += ["--out", "runs/cyclegan"]
            raise LayoutError(
                f"{root}: {len(candidates)} folders of images are here, and two domains are needed: {contents(root)}",
                f"give two by hand: {shlex.join(by_hand)}",
            )
        raise LayoutError(
            f"{root}: no two domains found: {contents(root)}. Expected two folders of images under any names, A/ and "
            "B/, trainA/ and trainB/, or train/A and train/B",
            "or give the folder of A, and that of B with --root-b",
        )
    refuse_several(root, seen)
    ((layout, folders),) = seen.items()
    return layout, folders, inside


def _look(root: Path) -> dict[str, TwoFolders]:
    """Every layout whose folders are here; folders of any names count where none is called A or B."""
    seen = look_for_sides(root)
    if seen:
        return seen
    if two := _two_of(root):
        seen["two-folders"] = split_folders(*two)
    splits = splits_of(root)
    inner = {split: two for split, path in splits.items() if (two := _two_of(path))}
    called = {tuple(folder.name.lower() for folder in two) for two in inner.values()}
    if len(called) > 1:
        listed = "; ".join(f"{split} has {a.name}/ and {b.name}/" for split, (a, b) in inner.items())
        raise LayoutError(f"{root}: the splits have folders of different names: {listed}", "give them the same")
    if inner and ("train" in inner or "train" not in splits):
        seen["split-ab-folders"] = inner
    return seen


def _domain_folders(root: Path) -> list[Path]:
    """Sub-folders that may be domains: with images, or with splits."""
    return [
        path
        for name, path in children_of(root).items()
        if name not in SPLIT_NAMES and (list_images(path) or splits_of(path))
    ]


def _two_of(root: Path) -> tuple[Path, Path] | None:
    """The two folders of images in a folder; one of them may be empty where there is no third, to be reported."""
    found = _domain_folders(root)
    if len(found) == 1:
        found = [path for name, path in children_of(root).items() if name not in SPLIT_NAMES]
    return (found[0], found[1]) if len(found) == 2 else None


def _refuse_pairs(root: Path) -> None:
    """Images that lie in the folder itself, or in its splits, are pairs or one domain."""
    flat = list_images(root) or [path for folder in splits_of(root).values() for path in list_images(folder)]
    if not flat:
        return
    headers, _ = scan(flat)
    if headers and all(is_side_by_side(header) for header in headers.values()):
        raise LayoutError(
            f"{root}: these look like pairs, A and B side by side in one file ({len(flat)} files), and this method "
            "takes two folders without pairs",
            "train them with `translate train pix2pix`, or cut the halves into two folders A/ and B/",
        )
    raise LayoutError(
        f"{root}: one set of images, {len(flat)} files, and two domains are needed",
        "put each domain into a folder of its own, or give the other with --root-b",
    )


def _domain_names(a: Path, b: Path) -> tuple[str, str]:
    """What two folders are called: "A" for `trainA`, "summer" for `summer/` and `summer/train`."""
    called = [
        [name for name in reversed(folder.resolve().parts) if name.lower() not in SPLIT_NAMES] for folder in (a, b)
    ]
    for name_a, name_b in zip(*called, strict=False):
        if name_a != name_b:
            return _domain_name(name_a), _domain_name(name_b)
    return "A", "B"


def _domain_name(folder: str) -> str:
    match = re.fullmatch(rf"(?:(?:{'|'.join(SPLIT_NAMES)})[_-]?)?([ab])", folder.lower())
    return match[1].upper() if match else folder


def _headers(root: Path, paths: Sequence[Path], problems: Problems, max_corrupt: float) -> dict[Path, ImageHeader]:
    headers, broken = scan(paths)
    refuse_many_broken(root, headers, broken, problems, max_corrupt=max_corrupt)
    return headers


def _readable(
    found: Mapping[str, tuple[list[Path], list[Path]]],
    headers: Sequence[Mapping[Path, ImageHeader]],
    problems: Problems,
) -> dict[str, Domains]:
    """What is left without the unreadable files; a split that has lost a domain goes as a whole."""
    splits: dict[str, Domains] = {}
    for split, paths in found.items():
        a, b = (
            tuple(ImageSource(path=path) for path in side if path in known)
            for side, known in zip(paths, headers, strict=True)
        )
        if (a and b) or split == "train":
            splits[split] = a, b
        elif all(paths):  # an empty folder was said already
            what = f"no file of {split} {'B' if a else 'A'} can be read: {split} is not used"
            problems.note("unreadable", what, "fix or remove them")
    return splits


def _looks_paired(splits: Mapping[str, Domains], headers: Sequence[Mapping[Path, ImageHeader]]) -> bool:
    for sources in splits.values():
        a, b = (
            {source.path.stem: (known[source.path].width, known[source.path].height) for source in side}
            for side, known in zip(sources, headers, strict=True)
        )
        if a != b:
            return False
    return True
