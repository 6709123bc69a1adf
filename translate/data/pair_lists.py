"""The pairs of each split of a layout: files of two folders, of one folder, or halves of one file."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from translate.data.images import Picture, list_images
from translate.data.layouts_common import (
    Folders,
    Half,
    ImageSource,
    first_names,
    list_or_refuse,
    refuse_same,
)
from translate.data.pair_folders import kind_and_split, voc_list
from translate.data.pair_names import (
    MASK_WORDS,
    Affix,
    Match,
    find_parting,
    in_roles,
    kinds_among,
    match_names,
    nfc,
    of_kind,
    words_of,
)
from translate.data.pair_trees import find_tree
from translate.data.problems import LayoutError, Problems

HALVES: dict[str, tuple[Half, Half]] = {"side-by-side": ("left", "right"), "top-bottom": ("top", "bottom")}
"""The layouts of one file a pair, and which half is A and which B."""
_COLOUR_WORDS = frozenset({"color", "colour"})
_ID_WORDS = frozenset({"ids", "labelids", "labelmap", "labelmaps"})
_INSTANCE_WORDS = frozenset({"instance", "instances", "inst", "train"})


@dataclass(frozen=True, kw_only=True)
class Pair:
    """The two sides of one example."""

    name: str
    """The file's stem, without what all names of its side have in common where the other side has it not."""
    a: ImageSource
    b: ImageSource

    def read(self) -> tuple[Picture, Picture]:
        """Read A and B; a file that holds both is decoded once. Raises as `ImageSource.read`."""
        if replace(self.a, half=None) != replace(self.b, half=None):
            return self.a.read(), self.b.read()
        picture = self.a.whole()
        return self.a.crop(picture), self.b.crop(picture)


@dataclass(frozen=True, kw_only=True)
class _Side:
    """The files of A, or of B, in a split."""

    where: str
    """In words: the folder, or the names in it."""
    files: Sequence[Path]


def list_pairs(
    layout: str, folders: Folders, problems: Problems, *, allow_unmatched: bool, ids: Literal["a", "b"] | None = None
) -> dict[str, tuple[Pair, ...]]:
    """The pairs of each split, by the rules of a layout.

    Args:
        layout: One of `translate.data.layouts.LAYOUTS`.
        folders: By split.
        problems: Where what is noticed goes.
        allow_unmatched: Leave out files that have no partner.
        ids: The side whose images are class ids.

    Raises:
        LayoutError: files have no partners, unless they may be left out.
    """
    if layout in HALVES:
        half_a, half_b = HALVES[layout]
        return {
            split: tuple(
                Pair(name=path.stem, a=ImageSource(path=path, half=half_a), b=ImageSource(path=path, half=half_b))
                for path in list_images(folder)
            )
            for split, (folder, _) in folders.items()
        }
    if layout == "one-folder":
        return _of_one_folder(folders, problems, allow_unmatched=allow_unmatched)
    if layout == "nested-folders":
        return _of_tree(folders, problems, allow_unmatched=allow_unmatched, ids=ids)
    found = {}
    for split, (a, b) in folders.items():
        assert b is not None, "only halves have no folder of B"
        refuse_same(a, b)
        sides = [_Side(where=str(folder), files=list_or_refuse(folder, problems)) for folder in (a, b)]
        if layout == "voc":
            sides = _listed(sides, b, split, problems)
        if all(side.files for side in sides):  # said already
            sides = _of_one_kind(sides, _kinds(sides, ids, problems))
            match = _meet(sides, problems)
            _tell_unmatched(match, sides, problems, allow_unmatched=allow_unmatched)
            _note_names(match, (a, b), problems)
            found[split] = _pairs(match)
    return found


def _of_tree(
    folders: Folders, problems: Problems, *, allow_unmatched: bool, ids: Literal["a", "b"] | None
) -> dict[str, tuple[Pair, ...]]:
    root, root_b = next(iter(folders.values()))
    tree = find_tree(root, root_b)
    if tree is None:
        raise LayoutError(f"{root}: the folders below hold no pairs")
    found: dict[str, tuple[Pair, ...]] = {}
    kinds: tuple[str, str] | None = None
    for split in folders:
        matches: list[Match] = []
        only_a: list[Path] = []
        only_b: list[Path] = []
        for branch in tree.branches[split]:
            parted = tree.parting.part(list_images(branch.a)) if tree.parting is not None and branch.a else None
            listed = [list_images(folder) if folder is not None else [] for folder in (branch.a, branch.b)]
            sides = [
                _Side(where=str(folder or branch.name), files=files)
                for folder, files in zip((branch.a, branch.b), parted or listed, strict=False)
            ]
            if all(side.files for side in sides):
                kinds = _kinds(sides, ids, problems) if kinds is None else kinds
                sides = _of_one_kind(sides, kinds)
                dropped = tree.parting.dropped if tree.parting is not None else None
                match = _meet(sides, problems, dropped=dropped)
                pairs = tuple((f"{branch.name}/{name}", a, b) for name, a, b in match.pairs)
                matches.append(replace(match, pairs=pairs))
            only_a += match.only_a if all(side.files for side in sides) else sides[0].files
            only_b += match.only_b if all(side.files for side in sides) else sides[1].files
        if not matches:
            continue
        if tree.parting is None:
            _note_dropped(matches[0], problems)
        whole = Match(
            pairs=tuple(pair for match in matches for pair in match.pairs), only_a=tuple(only_a), only_b=tuple(only_b)
        )
        _tell_unmatched(
            whole, [_Side(where=name, files=()) for name in tree.sides], problems, allow_unmatched=allow_unmatched
        )
        found[split] = _pairs(whole)
    return found


def _of_one_folder(folders: Folders, problems: Problems, *, allow_unmatched: bool) -> dict[str, tuple[Pair, ...]]:
    listed = {folder: list_images(folder) for folder, _ in folders.values()}
    files = listed[folders["train"][0]] if "train" in folders else [path for files in listed.values() for path in files]
    parting = find_parting(files)
    if parting is None:
        raise LayoutError(
            f"{next(iter(listed))}: no two suffixes split these files into pairs", "name them 7_image and 7_label"
        )
    found = {}
    for split, (folder, _) in folders.items():
        *parts, others = parting.part(listed[folder])
        sides = [
            _Side(where=f"{folder}/{shown}", files=files) for shown, files in zip(parting.shown, parts, strict=True)
        ]
        if others:
            problems.note(
                "loose",
                f"{len(others)} files of {folder} are neither {parting.shown[0]} nor {parting.shown[1]} "
                f"({first_names(others)}) and are not used",
                "move them away",
                files=others,
            )
        if not all(parts):
            there, missing = parting.shown if parts[0] else parting.shown[::-1]
            what = f"{split} has {there} and no {missing}: it is not used"
            problems.note("unmatched", what, f"add {missing}", files=[path for part in parts for path in part])
            continue
        match = _meet(sides, problems, dropped=parting.dropped)
        _tell_unmatched(match, sides, problems, allow_unmatched=allow_unmatched)
        found[split] = _pairs(match)
    return found


def _listed(sides: Sequence[_Side], masks: Path, split: str, problems: Problems) -> list[_Side]:
    """The files that a list of Pascal VOC names; without lists, the images that have masks."""
    a, b = ({nfc(path.stem): path for path in side.files} for side in sides)
    names = voc_list(masks, split)
    wanted = (a.keys() & b.keys()) if names is None else (names & a.keys() & b.keys())
    if names is not None and (missing := sorted(names - wanted)):
        what = f"{len(missing)} names of the list of {split} have no image or no mask ({', '.join(missing[:3])})"
        problems.note("unmatched", f"{what} and are not used", "copy those files again")
    elif names is None and (rest := [path for stem, path in a.items() if stem not in b]):
        problems.note("unmatched", f"{len(rest)} images have no mask and are not used", "no action needed", files=rest)
    return [_Side(where=side.where, files=[path for path in side.files if nfc(path.stem) in wanted]) for side in sides]


def _meet(sides: Sequence[_Side], problems: Problems, *, dropped: tuple[Affix, Affix] | None = None) -> Match:
    """Pair the files of two sides.

    Raises:
        LayoutError: none meet.
    """
    a, b = sides
    files_a, files_b = (_of_different_stems(side, problems) for side in sides)
    match = match_names(files_a, files_b, dropped=dropped)
    if not match.pairs:
        raise LayoutError(
            f"{a.where} and {b.where}: no file of one has the name of a file of the other ({files_a[0].name}; "
            f"{files_b[0].name}), as paired training needs it",
            _way_out(a, b),
        )
    return match


def _tell_unmatched(match: Match, sides: Sequence[_Side], problems: Problems, *, allow_unmatched: bool) -> None:
    """Files that meet none are refused, or left out."""
    a, b = sides
    if not (match.only_a or match.only_b):
        return
    what = f"{len(match.only_a)} of the files of {a.where} and {len(match.only_b)} of {b.where} have no partner"
    only = [*match.only_a, *match.only_b]
    if allow_unmatched:
        problems.note("unmatched", f"{what} and are not used", "add or remove them", files=only)
        return
    named = "; ".join(
        f"only in {Path(side.where).name}{'' if '*' in side.where else '/'}: {first_names(paths)}"
        for side, paths in ((a, match.only_a), (b, match.only_b))
        if paths
    )
    problems.refuse(
        "unmatched",
        f"{what}, {len(match.pairs)} have ({named})",
        "add or remove them, or skip them with --allow-unmatched",
        files=only,
    )


def _kinds(sides: Sequence[_Side], ids: Literal["a", "b"] | None, problems: Problems) -> tuple[str, str]:
    """Where a side has several files for each of the other, as Cityscapes has, the ending of those that are wanted.

    Colours, or class ids where those are read; empty where there is one for each, or where no ending says so.
    """
    found = []
    for name, side, other in zip("ab", sides, reversed(sides), strict=True):
        kinds = kinds_among(side.files, other.files)
        wanted = _ID_WORDS if ids == name else _COLOUR_WORDS
        plain = [kind for kind in kinds if set(words_of(kind)) & wanted and not set(words_of(kind)) & _INSTANCE_WORDS]
        if len(kinds) > 1 and len(plain) == 1:
            what = f"{name.upper()} has several files for each: *{', *'.join(kinds)}; *{plain[0]} is taken"
            way = "no action needed" if ids == name else "move it away to take another, or read class ids with --labels"
            problems.note("kinds", what, way, severity="hint")
        found.append(plain[0] if len(kinds) > 1 and len(plain) == 1 else "")
    return found[0], found[1]


def _of_one_kind(sides: Sequence[_Side], kinds: tuple[str, str]) -> list[_Side]:
    return [replace(side, files=of_kind(side.files, end)) for side, end in zip(sides, kinds, strict=True)]


def _way_out(a: _Side, b: _Side) -> str:
    """What to do where no names meet."""
    for side, other in ((a, b), (b, a)):
        if len(kinds := kinds_among(side.files, other.files)) > 1:
            return f"{side.where} has several files for each: *{', *'.join(kinds)}; move all but one kind away"
    if any(set(words_of(Path(side.where).name)) & MASK_WORDS for side in (a, b)):
        return "rename them, such as 7.jpg and 7_mask.png"
    return "these look like unpaired data, for `translate train cyclegan` or cut; if they are pairs, rename them"


def _of_different_stems(side: _Side, problems: Problems) -> list[Path]:
    found: dict[str, Path] = {}
    for path in side.files:
        stem = nfc(path.stem)
        if stem in found:
            what = f"{side.where}: {found[stem].name} and {path.name} have the same stem"
            problems.refuse("same-stem", what, "keep one of them", files=[found[stem], path])
        found.setdefault(stem, path)
    return list(found.values())


def _note_dropped(match: Match, problems: Problems) -> None:
    """Say what was dropped from the names of a side."""
    for side, (start, end) in (("A", match.dropped_a), ("B", match.dropped_b)):
        parts = [part for part in (start and f"{start}...", end and f"...{end}") if part]
        if parts and words_of(f"{start} {end}") != [side.lower()]:  # 7_A beside 7_B
            what = f"names of {side} are compared without {' and '.join(parts)}"
            problems.note("names", what, "no action needed", severity="hint")


def _note_names(match: Match, folders: tuple[Path, Path], problems: Problems) -> None:
    """Say what was dropped from names, and where a number alone says that two images are a pair."""
    _note_dropped(match, problems)
    above = os.path.commonpath(folders)
    a, b = (folder.relative_to(above) for folder in folders)
    if match.by_number and in_roles(kind_and_split(a.parts)[0], kind_and_split(b.parts)[0]) is None:
        what = f"images of {a}/ and {b}/ are paired by a number alone"
        problems.note("by-number", what, "if they are not pairs, train cyclegan or cut", severity="hint")


def _pairs(match: Match) -> tuple[Pair, ...]:
    return tuple(
        Pair(name=name, a=ImageSource(path=path_a), b=ImageSource(path=path_b)) for name, path_a, path_b in match.pairs
    )
