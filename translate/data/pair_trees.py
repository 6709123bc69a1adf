"""Pairs in folders of clips, cities, patients or days, as GoPro, REDS, Cityscapes and DAVIS have them.

``train/CLIP/blur`` beside ``train/CLIP/sharp``, ``photos/train/CITY`` beside ``gtFine/train/CITY``, or A and B by
the endings of their names in each ``CLIP/``.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path

from translate.data.images import list_images, natural_key, walk
from translate.data.layouts_common import SPLIT_NAMES, has_images
from translate.data.pair_names import Parting, find_parting, in_roles, kinds_among, match_names, nfc, of_kind, words_of

_MOSTLY = 0.75
_MOST_KINDS = 12  # folders at one level whose names are compared; a set of more is one of classes
_MOST_FOLDERS = 20_000
_SAMPLE = 4  # branches whose files are looked at


@dataclass(frozen=True, kw_only=True)
class Branch:
    """A clip, a city: two folders whose files are pairs, or one."""

    name: str
    """Its path without what names the split and the side: "aachen"."""
    a: Path | None
    """None where it is missing."""
    b: Path | None


@dataclass(frozen=True, kw_only=True)
class Tree:
    """Pairs in folders."""

    branches: dict[str, tuple[Branch, ...]]
    """By split."""
    sides: tuple[str, str]
    """What A and B are called."""
    parting: Parting | None = None
    """What parts the files of a branch that is one folder."""

    unused: tuple[Path, ...] = ()
    """Folders of images beside those of the pairs."""

    @property
    def folders(self) -> set[Path]:
        """All folders of its pairs."""
        return {
            path
            for branches in self.branches.values()
            for branch in branches
            for path in (branch.a, branch.b)
            if path is not None
        }


@dataclass(frozen=True, kw_only=True)
class _Folder:
    path: Path
    split: str
    named: bool
    """Whether a folder on the way is called after the split."""
    parts: tuple[str, ...]
    """Of its path, without what names the split."""


def find_tree(root: Path, root_b: Path | None = None) -> Tree | None:
    """Find pairs in folders that lie two or more levels below; None where there are none.

    Which folders are of A and which of B, their names have to say (`in_roles`), unless both are given.

    Args:
        root: What has both; or A.
        root_b: B, where the two are given by hand.
    """
    if root_b is not None:
        sides = [{(folder.split, folder.parts): folder.path for folder in _folders(top)} for top in (root, root_b)]
        return _tree(*sides, names=(str(root), str(root_b)))
    folders = [folder for folder in _folders(root) if folder.parts]
    if (found := _by_endings(folders)) is not None:
        return found
    best: tuple[tuple[int, int], Tree] | None = None
    for depth in {len(folder.parts) for folder in folders} - {1}:
        level = [folder for folder in folders if len(folder.parts) == depth]
        for place in range(depth):
            for a, b in _in_roles({folder.parts[place] for folder in level}):
                by_side = [_of_side(level, place, name) for name in (a, b)]
                tree = _tree(*by_side, names=(a, b), named=any(folder.named for folder in level))
                if tree is None:
                    continue
                met = sum(None not in (one.a, one.b) for branches in tree.branches.values() for one in branches)
                plain = -len(words_of(a)) - len(words_of(b))
                if best is None or (met, plain) > best[0]:
                    best = (met, plain), tree
    if best is None:
        return None
    taken = best[1].folders
    return replace(best[1], unused=tuple(folder.path for folder in folders if folder.path not in taken))


def parted_folders(root: Path) -> Tree | None:
    """Of `find_tree`, folders that hold A and B each."""
    return _by_endings([folder for folder in _folders(root) if folder.parts])


def _folders(root: Path) -> list[_Folder]:
    found: list[_Folder] = []
    for path, _, files in walk(root):
        if len(found) > _MOST_FOLDERS:
            return []
        if not files or not has_images(path):
            continue
        split: str | None = None
        parts: list[str] = []
        for part in path.relative_to(root).parts:
            words = words_of(part)
            called = next((word for word in words if word in SPLIT_NAMES), None)
            if called is not None and split in (None, SPLIT_NAMES[called]):
                split = SPLIT_NAMES[called]
                part = "_".join(word for word in words if word != called)
            if part:
                parts.append(nfc(part))
        found.append(_Folder(path=path, split=split or "train", named=split is not None, parts=tuple(parts)))
    return sorted(found, key=lambda folder: natural_key(folder.path))


def _in_roles(names: set[str]) -> list[tuple[str, str]]:
    """Two of the names of a level of which one is that of A and one that of B, in that order."""
    if len(names) > _MOST_KINDS:
        return []
    ordered = ((a, b, in_roles(a, b)) for a, b in combinations(sorted(names), 2))
    return [(a, b) if first else (b, a) for a, b, first in ordered if first is not None]


def _of_side(level: Sequence[_Folder], place: int, name: str) -> dict[tuple[str, tuple[str, ...]], Path]:
    return {
        (folder.split, folder.parts[:place] + folder.parts[place + 1 :]): folder.path
        for folder in level
        if folder.parts[place] == name
    }


def _tree(
    a: Mapping[tuple[str, tuple[str, ...]], Path],
    b: Mapping[tuple[str, tuple[str, ...]], Path],
    *,
    names: tuple[str, str],
    named: bool = False,
) -> Tree | None:
    """The folders of two sides by what they are of; None unless most meet, and some to train on.

    Of one clip alone, where a folder above it is called after a split (`named`).
    """
    both = a.keys() & b.keys()
    splits = {split for split, _ in both}
    keys = [key for key in dict.fromkeys((*a, *b)) if key[0] in splits]
    several = len({parts for _, parts in both}) > 1 or (named and any(parts for _, parts in both))
    if not several or len(both) < _MOSTLY * len(keys) or "train" not in splits:
        return None
    branches: dict[str, list[Branch]] = defaultdict(list)
    for key in keys:
        branches[key[0]].append(Branch(name="/".join(key[1]), a=a.get(key), b=b.get(key)))
    some = [(a[key], b[key]) for key in keys if key in both][:_SAMPLE]
    if not all(_meet(*map(list_images, folders)) for folders in some):
        return None
    return Tree(branches={split: tuple(found) for split, found in branches.items()}, sides=names)


def _meet(a: Sequence[Path], b: Sequence[Path]) -> bool:
    """Whether there is a file of B for most of A."""
    kinds = kinds_among(b, a)
    return len(match_names(a, of_kind(b, kinds[0]) if len(kinds) > 1 else b).pairs) >= len(a) / 2


def _by_endings(folders: Sequence[_Folder]) -> Tree | None:
    """Folders that hold A and B each, recognised by known suffixes or prefixes of their names, the same in all."""
    if len(folders) < 2:
        return None
    # A set of a thousand classes is recognised by a few of its folders.
    if not any(find_parting(list_images(folder.path)) for folder in folders[:: -(-len(folders) // _SAMPLE)]):
        return None
    found: Counter[Parting] = Counter()
    for folder in folders:
        parting = find_parting(list_images(folder.path))
        if parting is not None and (parting.is_known or parting.by == "suffix"):
            found[parting] += 1
    if not found or found.most_common(1)[0][1] < max(2, _MOSTLY * len(folders)):
        return None
    parting = found.most_common(1)[0][0]
    branches: dict[str, list[Branch]] = defaultdict(list)
    left = []
    for folder in folders:
        a, b, _ = parting.part(list_images(folder.path))
        if a and b:
            branches[folder.split].append(Branch(name="/".join(folder.parts), a=folder.path, b=folder.path))
        else:
            left.append(folder.path)
    if "train" not in branches:
        return None
    members = {split: tuple(some) for split, some in branches.items()}
    return Tree(branches=members, sides=parting.shown, parting=parting, unused=tuple(left))
