"""Pairs: which files belong together, and which side is A."""

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from translate.data.images import ImageHeader, Picture, list_images, read_image
from translate.data.layouts_common import (
    MAX_CORRUPT_SHARE,
    SPLIT_NAMES,
    Folders,
    FoundData,
    ImageSource,
    common_format,
    contents,
    existing_folder,
    first_names,
    given_folders,
    in_order,
    is_side_by_side,
    list_or_refuse,
    look_for_sides,
    note_loose,
    odd_width,
    refuse_many_broken,
    refuse_same,
    refuse_several,
    scan,
    side_names,
    splits_of,
)
from translate.data.problems import LayoutError, Problems, be

LAYOUTS = ("side-by-side", "ab-folders", "split-ab-folders", "trainA-trainB", "two-folders")


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
        return self.a.crop(picture), self.b.crop(picture)


@dataclass(frozen=True, kw_only=True)
class PairedData(FoundData):
    """A paired data set as it was found."""

    splits: dict[str, tuple[Pair, ...]]
    """Keys among "train", "val", "test"; a data set without splits is all "train"."""
    size: tuple[int, int]
    """The most common (width, height) of one side of a pair."""

    def describe(self) -> str:
        """Say what it is in one line.

        For example "400 training pairs, 100 val, 53 test; side by side, A = left half, B = right half; 256x256, RGB".
        """
        (first, count), *others = [(name, len(self.splits[name])) for name in SPLIT_NAMES if name in self.splits]
        counts = [
            f"{count} {'training' if first == 'train' else first} pair{'s' * (count != 1)}",
            *(f"{n} {name}" for name, n in others),
        ]
        layout = "side by side" if self.layout == "side-by-side" else "folders"
        width, height = self.size
        size = f"mostly {width}x{height} (sizes differ)" if self.mixed_sizes else f"{width}x{height}"
        return f"{', '.join(counts)}; {layout}, A = {self.sides[0]}, B = {self.sides[1]}; {size}, {self.colours}"


def find_pairs(
    root: str | os.PathLike[str],
    *,
    root_b: str | os.PathLike[str] | None = None,
    layout: str = "auto",
    keep_alpha: bool = False,
    allow_unmatched: bool = False,
    max_corrupt: float = MAX_CORRUPT_SHARE,
    problems: Problems | None = None,
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
        problems: where what is noticed goes; one that collects also takes what would be refused.

    Raises:
        LayoutError: the data set is missing, empty, ambiguous or broken.
    """
    problems = problems or Problems()
    if layout not in ("auto", *LAYOUTS):
        raise LayoutError(f"unknown layout {layout!r}: expected auto or one of {', '.join(LAYOUTS)}")
    root = existing_folder(root)
    named = layout != "auto"
    folders: Folders
    if root_b is not None:
        layout, folders = "two-folders", given_folders(root, root_b, layout)
    else:
        layout, folders = _choose(root, layout, problems)

    folders = in_order(folders)
    pairs = {split: _list_pairs(a, b, problems, allow_unmatched=allow_unmatched) for split, (a, b) in folders.items()}
    everything = [pair for members in pairs.values() for pair in members]
    if not everything:
        looked = ", ".join(str(folder) for pair in folders.values() for folder in pair if folder is not None)
        raise LayoutError(f"{root}: no pairs found in {looked} (deeper folders are not searched)")
    headers, broken = scan(source.path for pair in everything for source in (pair.a, pair.b))
    if layout == "side-by-side" and not named:
        _refuse_single_images(root, headers, problems)
    refuse_many_broken(root, headers, broken, problems, max_corrupt=max_corrupt)
    splits = {
        split: tuple(pair for pair in members if pair.a.path in headers and pair.b.path in headers)
        for split, members in pairs.items()
    }
    splits = {split: members for split, members in splits.items() if members}
    everything = [pair for members in splits.values() for pair in members]
    if len(everything) < 2:
        count = "only one pair" if everything else "no pair that can be read"
        raise LayoutError(f"{root}: {count} was found", "a data set needs two or more")
    sizes = _check_sizes(root, everything, headers, problems)
    headers_a, headers_b = (
        {path: headers[path] for path in paths}
        for paths in ([pair.a.path for pair in everything], [pair.b.path for pair in everything])
    )
    channels_a, bits_a = common_format(headers_a, "A", problems, keep_alpha=keep_alpha)
    channels_b, bits_b = common_format(headers_b, "B", problems, keep_alpha=keep_alpha)
    return PairedData(
        root=root,
        layout=layout,
        sides=_sides(root, root_b, layout, folders),
        splits=splits,
        channels_a=channels_a,
        channels_b=channels_b,
        bits_a=bits_a,
        bits_b=bits_b,
        size=sizes.most_common(1)[0][0],
        mixed_sizes=len(sizes) > 1,
        problems=tuple(problems.found),
    )


def _look(root: Path) -> dict[str, Folders]:
    """Every layout whose folders are here."""
    seen: dict[str, Folders] = {**look_for_sides(root)}
    beside: Folders = {split: (path, None) for split, path in splits_of(root).items() if list_images(path)}
    if beside:
        seen["side-by-side"] = beside
    elif list_images(root):
        seen["side-by-side"] = {"train": (root, None)}
    return seen


def _choose(root: Path, layout: str, problems: Problems) -> tuple[str, Folders]:
    """The layout that is here, or the one that was named; loose images beside it are noted."""
    seen = _look(root)
    if layout != "auto":
        if layout not in seen:
            what = "needs the folder of B as well" if layout == "two-folders" else f"is not there: {contents(root)}"
            raise LayoutError(f"{root}: layout {layout} {what}")
        return layout, seen[layout]
    if not seen:
        raise LayoutError(
            f"{root}: no pairs found: {contents(root)}. Expected A|B side by side in one file, or folders A/ and B/ "
            "with the same file names, trainA/ and trainB/, or train/A and train/B",
            "or give the folders of A and of B by hand",
        )
    loose: list[Path] = []
    if len(seen) > 1 and "side-by-side" in seen:
        loose = [path for folder, _ in seen["side-by-side"].values() for path in list_images(folder)]
        headers, _ = scan(loose)
        if not any(is_side_by_side(header) for header in headers.values()):  # a preview or a logo beside the folders
            del seen["side-by-side"]
    elif (root, None) not in seen.get("side-by-side", {}).values():
        loose = list_images(root)
    refuse_several(root, seen)
    note_loose(loose, problems)
    ((layout, folders),) = seen.items()
    return layout, folders


def _refuse_single_images(root: Path, headers: Mapping[Path, ImageHeader], problems: Problems) -> None:
    others = [path for path, header in headers.items() if not is_side_by_side(header)]
    if not others:
        return
    header = headers[others[0]]
    first = f"{others[0].name} is {header.width}x{header.height}"
    if len(others) <= len(headers) / 2:
        problems.refuse(
            "not-side-by-side",
            f"{root}: {len(others)} of {len(headers)} files {be(len(others))} not twice as wide as high, as A|B pairs "
            f"are, first {first}",
            "remove them, or, if every file is a pair, name the layout side-by-side",
            files=others,
        )
        return
    raise LayoutError(
        f"{root}: these look like single images, not pairs: {len(headers)} files, {first}",
        "put A and B side by side in one file, or in two folders A/ and B/ under the same names; if every file is a "
        "pair, name the layout side-by-side; or have A computed from each: --derive edges (gray, blur, low-res, mask)",
    )


def _list_pairs(a: Path, b: Path | None, problems: Problems, *, allow_unmatched: bool) -> list[Pair]:
    if b is None:
        return [
            Pair(
                name=path.stem,
                a=ImageSource(path=path, half="left"),
                b=ImageSource(path=path, half="right"),
            )
            for path in list_images(a)
        ]
    refuse_same(a, b)
    by_stem_a, by_stem_b = _by_stem(a, "a", problems), _by_stem(b, "b", problems)
    if not by_stem_a or not by_stem_b:  # said already
        return []
    only_a = [path for stem, path in by_stem_a.items() if stem not in by_stem_b]
    only_b = [path for stem, path in by_stem_b.items() if stem not in by_stem_a]
    matched = len(by_stem_a) - len(only_a)
    if not matched:
        raise LayoutError(
            f"{a} and {b}: no file of one has the name of a file of the other ({only_a[0].name}; {only_b[0].name}), as "
            "paired training needs it",
            "these look like unpaired data, for `translate train cyclegan` or cut",
        )
    if only_a or only_b:
        what = f"{len(only_a)} of the files of {a} and {len(only_b)} of {b} have no partner"
        if allow_unmatched:
            problems.note("unmatched", f"{what} and are not used", "add or remove them", files=[*only_a, *only_b])
        else:
            named = "; ".join(
                f"only in {side.name}/: {first_names(only)}" for side, only in ((a, only_a), (b, only_b)) if only
            )
            what = f"{what}, {matched} have ({named})"
            mend = "add or remove them, or leave them out with --allow-unmatched"
            problems.refuse("unmatched", what, mend, files=[*only_a, *only_b])
    return [
        Pair(name=stem, a=ImageSource(path=path), b=ImageSource(path=by_stem_b[stem]))
        for stem, path in by_stem_a.items()
        if stem in by_stem_b
    ]


def _by_stem(folder: Path, side: str, problems: Problems) -> dict[str, Path]:
    paths = list_or_refuse(folder, problems)
    # 12_A.jpg beside 12_B.jpg, as in CycleGAN's facades: the ending counts only if every file of the side has it.
    ending = f"_{side}"
    drop = len(ending) if all(path.stem.lower().endswith(ending) for path in paths) else 0
    found: dict[str, Path] = {}
    for path in paths:
        stem = path.stem[: len(path.stem) - drop]
        if stem in found:
            what = f"{folder}: {found[stem].name} and {path.name} have the same stem"
            problems.refuse("same-stem", what, "keep one of them", files=[found[stem], path])
        found.setdefault(stem, path)
    return found


def _check_sizes(
    root: Path, pairs: Sequence[Pair], headers: Mapping[Path, ImageHeader], problems: Problems
) -> Counter[tuple[int, int]]:
    """Count the sizes of one side; refuse odd A|B widths and pairs whose sides differ."""
    sizes: Counter[tuple[int, int]] = Counter()
    different: list[Pair] = []
    odd: list[Path] = []
    for pair in pairs:
        a, b = headers[pair.a.path], headers[pair.b.path]
        if pair.a.half is not None and a.width % 2:
            odd.append(pair.a.path)
        elif (a.width, a.height) != (b.width, b.height):
            different.append(pair)
        sizes[a.width // 2 if pair.a.half else a.width, a.height] += 1
    if odd:
        header = headers[odd[0]]
        what = f"{len(odd)} of {len(pairs)} files: {odd_width(odd[0], header.width, header.height)}"
        problems.refuse("odd-width", what, "crop or resize it by one pixel", files=odd)
    if different:
        first = ", ".join(
            f"{path.name} is {headers[path].width}x{headers[path].height}"
            for path in (different[0].a.path, different[0].b.path)
        )
        problems.refuse(
            "unequal-pairs",
            f"{root}: A and B differ in size in {len(different)} of {len(pairs)} pairs, first {first}",
            "resize one side so that both match",
            files=[path for pair in different for path in (pair.a.path, pair.b.path)],
        )
    return sizes


def _sides(root: Path, root_b: str | os.PathLike[str] | None, layout: str, folders: Folders) -> tuple[str, str]:
    if root_b is not None:
        return str(root), str(Path(root_b))
    both_given = {split: (a, b) for split, (a, b) in folders.items() if b is not None}
    return side_names(root, layout, both_given) if both_given else ("left half", "right half")
