"""Pairs: which files belong together, and which side is A."""

import os
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, NoReturn

from translate.config.encoding import Reading
from translate.data.images import ImageHeader, list_images
from translate.data.layouts_common import (
    MAX_CORRUPT_SHARE,
    SPLIT_NAMES,
    Folders,
    FoundData,
    Half,
    Kind,
    common_formats,
    contents,
    existing_folder,
    given_folders,
    has_images,
    image_folders,
    in_order,
    is_one_above_the_other,
    is_side_by_side,
    look_for_sides,
    look_inside,
    note_loose,
    note_unused,
    odd_side,
    paged,
    refuse_many_broken,
    refuse_several,
    scan,
    side_names,
    splits_of,
)
from translate.data.pair_folders import commands, find_two, find_voc
from translate.data.pair_lists import HALVES, Pair, list_pairs
from translate.data.pair_names import find_parting
from translate.data.pair_trees import find_tree, parted_folders
from translate.data.problems import LayoutError, Problems, be

LAYOUTS = (
    "side-by-side",
    "top-bottom",
    "ab-folders",
    "split-ab-folders",
    "trainA-trainB",
    "two-folders",
    "one-folder",
    "voc",
    "nested-folders",
)
IDS = Kind(channels=1, bits=8)  # class ids; how many decides their depth
_ARRANGED = {"side-by-side": "side by side", "top-bottom": "one above the other", "one-folder": "one folder"}
_LOOKS = {"side-by-side": is_side_by_side, "top-bottom": is_one_above_the_other}
_SAMPLE = 64  # files whose shape tells whether a folder's files have two halves


@dataclass(frozen=True, kw_only=True)
class PairedData(FoundData):
    """A paired data set as it was found."""

    splits: dict[str, tuple[Pair, ...]]
    """Keys among "train", "val", "test"; a data set without splits is all "train"."""
    size: tuple[int, int]
    """The most common (width, height) of one side of a pair."""
    by_number: bool = False
    """Whether a running number in their names is all that says which images are pairs, as it may be by chance."""

    def describe(self) -> str:
        """Say what it is in one line.

        For example "400 training pairs, 100 val, 53 test; side by side, A = left half, B = right half; 256x256, RGB".
        """
        (first, count), *others = [(name, len(self.splits[name])) for name in SPLIT_NAMES if name in self.splits]
        counts = [
            f"{count} {'training' if first == 'train' else first} pair{'s' * (count != 1)}",
            *(f"{n} {name}" for name, n in others),
        ]
        layout = _ARRANGED.get(self.layout, "folders")
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
    reading: Reading | None = None,
    labelled: Literal["a", "b"] | None = None,
    problems: Problems | None = None,
) -> PairedData:
    """Find the pairs of a data set.

    Args:
        root: the data set; with `root_b`, the folder of A.
        root_b: the folder of B, where the two are given by hand.
        layout: one of `LAYOUTS`, or "auto". Files of two halves that are not about 2:1 or 1:2 must be asked for by
            name, since they cannot be distinguished from single images.
        keep_alpha: count alpha as a channel instead of noting that it is composited over white.
        allow_unmatched: leave out files without a partner instead of refusing them.
        max_corrupt: share of unreadable files above which the data set is refused.
        reading: how values, bands and pages are read.
        labelled: the side whose images are class ids.
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
        layout, folders = _given(root, root_b, layout)
        sides = str(root), str(Path(root_b))
    else:
        layout, folders, sides = _choose(root, layout, problems)

    folders = in_order(folders)
    pairs = list_pairs(layout, folders, problems, allow_unmatched=allow_unmatched, ids=labelled)
    everything = [pair for members in pairs.values() for pair in members]
    if not everything:
        looked = ", ".join(
            dict.fromkeys(str(folder) for two in folders.values() for folder in two if folder is not None)
        )
        raise LayoutError(f"{root}: no pairs found in {looked} (deeper folders are not searched)")
    headers, broken = scan(source.path for pair in everything for source in (pair.a, pair.b))
    if layout in HALVES and not named:
        _refuse_single_images(root, layout, headers, problems)
    refuse_many_broken(root, headers, broken, problems, max_corrupt=max_corrupt)
    splits = {
        split: tuple(pair for pair in members if pair.a.path in headers and pair.b.path in headers)
        for split, members in pairs.items()
    }
    reading = reading or Reading()
    splits = {
        split: tuple(one for pair in members for one in _paged(pair, headers, reading, problems))
        for split, members in splits.items()
        if members
    }
    everything = [pair for members in splits.values() for pair in members]
    if len(everything) < 2:
        count = "only one pair" if everything else "no pair that can be read"
        raise LayoutError(f"{root}: {count} was found", "a data set needs two or more")
    sizes = _check_sizes(root, everything, headers, problems)
    headers_a, headers_b = (
        {path: headers[path] for path in paths}
        for paths in ([pair.a.path for pair in everything], [pair.b.path for pair in everything])
    )
    known = {side: of_side for side, of_side in (("A", headers_a), ("B", headers_b)) if labelled != side.lower()}
    kinds = dict(zip(known, common_formats(known, problems, keep_alpha=keep_alpha, reading=reading), strict=True))
    kind_a, kind_b = kinds.get("A", IDS), kinds.get("B", IDS)
    return PairedData(
        root=root,
        layout=layout,
        sides=sides,
        splits=splits,
        channels_a=kind_a.channels,
        channels_b=kind_b.channels,
        bits_a=kind_a.bits,
        bits_b=kind_b.bits,
        dtype_a=kind_a.dtype,
        dtype_b=kind_b.dtype,
        size=sizes.most_common(1)[0][0],
        mixed_sizes=len(sizes) > 1,
        by_number=any(problem.kind == "by-number" for problem in problems.found),
        problems=tuple(problems.found),
    )


def with_ids(data: PairedData, side: Literal["a", "b"]) -> PairedData:
    """The data set with the images of a side read as class ids."""
    splits = {
        split: tuple(
            replace(pair, a=replace(pair.a, ids=True)) if side == "a" else replace(pair, b=replace(pair.b, ids=True))
            for pair in pairs
        )
        for split, pairs in data.splits.items()
    }
    return replace(data, splits=splits)


def _paged(pair: Pair, headers: Mapping[Path, ImageHeader], reading: Reading, problems: Problems) -> tuple[Pair, ...]:
    """A pair of files as pairs of their pages."""
    a, b = (paged(source, headers[source.path], reading) for source in (pair.a, pair.b))
    if len(a) == len(b) == 1:
        return (replace(pair, a=a[0], b=b[0]),)
    if len(a) != len(b):
        what = f"{pair.a.path} has {len(a)} pages and {pair.b.path} has {len(b)}: with --pages each pairs with one"
        problems.refuse("pages", what, "use equal counts, or omit --pages", files=[pair.a.path, pair.b.path])
    return tuple(
        replace(pair, name=f"{pair.name}-{number}", a=one, b=other)
        for number, (one, other) in enumerate(zip(a, b, strict=False), start=1)
    )


@dataclass(frozen=True, kw_only=True)
class _Seen:
    """A layout that is here."""

    folders: Folders
    sides: tuple[str, str]


def _look(root: Path, *, top: Path) -> dict[str, _Seen]:
    """Every layout that is here, its sides named relative to the folder that was given."""
    seen = {name: _Seen(folders=two, sides=side_names(top, two)) for name, two in look_for_sides(root).items()}
    if not seen and (voc := find_voc(root)) is not None:
        seen["voc"] = _Seen(folders=voc, sides=side_names(top, voc))
    elif not seen and (tree := parted_folders(root)) is not None:
        seen["nested-folders"] = _Seen(folders=dict.fromkeys(tree.branches, (root, None)), sides=tree.sides)
    elif not seen and (two := find_two(root)) is not None:
        seen["two-folders"] = _Seen(folders=two, sides=side_names(top, two))
    elif not seen and (tree := find_tree(root)) is not None:
        seen["nested-folders"] = _Seen(folders=dict.fromkeys(tree.branches, (root, None)), sides=tree.sides)
    taken = {folder for found in seen.values() for two in found.folders.values() for folder in two}
    return seen | _look_at_files(_flat(root, taken), beside=bool(seen))


def _flat(root: Path, taken: Collection[Path | None] = ()) -> dict[str, Path]:
    """The splits whose files lie in the split itself, or the folder whose files do."""
    found = {split: path for split, path in splits_of(root).items() if path not in taken and has_images(path)}
    return found or ({"train": root} if has_images(root) else {})


def _look_at_files(flat: Mapping[str, Path], *, beside: bool) -> dict[str, _Seen]:
    """What files may be that lie in one folder, or in those of the splits.

    Args:
        flat: The folders.
        beside: Whether there are folders of pairs, too: then files of two halves count, and not a preview or a logo.
    """
    files = [path for folder in flat.values() for path in list_images(folder)]
    if not files:
        return {}
    folders: Folders = {split: (path, None) for split, path in flat.items()}
    headers, _ = scan(files if beside else files[:: -(-len(files) // _SAMPLE)])
    count = Counter(name for header in headers.values() for name, looks in _LOOKS.items() if looks(header))
    if beside:
        return {"side-by-side": _Seen(folders=folders, sides=_halves("side-by-side"))} if count["side-by-side"] else {}
    halves = next((name for name in HALVES if 2 * count[name] > len(headers)), None)
    parting = find_parting(list_images(flat["train"]) if "train" in flat else files)
    found = {"one-folder": _Seen(folders=folders, sides=parting.shown)} if parting is not None else {}
    if parting is None or (halves is not None and not parting.is_known):
        shape = halves or "side-by-side"
        found[shape] = _Seen(folders=folders, sides=_halves(shape))
    return found


def _halves(layout: str) -> tuple[str, str]:
    a, b = HALVES[layout]
    return f"{a} half", f"{b} half"


def _choose(root: Path, layout: str, problems: Problems) -> tuple[str, Folders, tuple[str, str]]:
    """The layout that is here, or the one that was named, and its sides; images beside it are noted."""
    inside, seen = look_inside(root, lambda folder: _look(folder, top=root), problems)
    if layout in HALVES and (flat := _flat(inside)):  # whatever its files look like
        return layout, {split: (path, None) for split, path in flat.items()}, _halves(layout)
    if layout != "auto":
        if layout not in seen:
            what = "needs the folder of B as well" if layout == "two-folders" else f"was not found: {contents(root)}"
            raise LayoutError(f"{root}: layout {layout} {what}")
        return layout, seen[layout].folders, seen[layout].sides
    if not seen:
        _refuse_all(root)
    refuse_several(root, seen)
    ((layout, found),) = seen.items()
    used = {folder for two in found.folders.values() for folder in two}
    tree = find_tree(inside) if layout == "nested-folders" else None
    unused = tree.unused if tree is not None else [path for path in image_folders(inside) if path not in used]
    note_loose([] if inside in used else list_images(inside), problems)
    note_unused(root, unused, problems)
    return layout, found.folders, found.sides


def _given(root: Path, root_b: str | os.PathLike[str], layout: str) -> tuple[str, Folders]:
    """The layout of two folders that were given by hand; neither has images itself where those lie deeper."""
    folders = given_folders(root, root_b, "auto" if layout == "nested-folders" else layout)
    deeper = not any(has_images(folder) for two in folders.values() for folder in two)
    if deeper and (tree := find_tree(root, Path(root_b))) is not None:
        return "nested-folders", dict.fromkeys(tree.branches, (root, Path(root_b)))
    return "two-folders", folders


def _refuse_all(root: Path) -> NoReturn:
    by_hand = commands(root) or ["translate train pix2pix FOLDER_OF_A --root-b FOLDER_OF_B --out runs/pix2pix"]
    raise LayoutError(
        f"{root}: no pairs found: {contents(root)}. Expected A|B side by side in one file, or two folders with the "
        "same file names, such as A/ and B/, trainA/ and trainB/, train/images and train/masks",
        f"or give the folders of A and of B by hand: {', or '.join(by_hand[:3])}",
    )


def _refuse_single_images(root: Path, layout: str, headers: Mapping[Path, ImageHeader], problems: Problems) -> None:
    others = [path for path, header in headers.items() if not _LOOKS[layout](header)]
    if not others:
        return
    header = headers[others[0]]
    first = f"{others[0].name} is {header.width}x{header.height}"
    if len(others) <= len(headers) / 2:
        shape = "twice as wide as high" if layout == "side-by-side" else "twice as high as wide"
        problems.refuse(
            "not-side-by-side",
            f"{root}: {len(others)} of {len(headers)} files {be(len(others))} not {shape}, as A|B pairs are, first "
            f"{first}",
            f"remove them, or, if every file is a pair, name the layout {layout}",
            files=others,
        )
        return
    raise LayoutError(
        f"{root}: these look like single images, not pairs: {len(headers)} files, {first}",
        "put A and B side by side in one file, or in two folders A/ and B/ under the same names, or into one folder as "
        "7_image and 7_label; if every file is a pair, name the layout side-by-side or top-bottom; or have A computed "
        "from each: --derive edges (gray, blur, low-res, mask)",
    )


def _size(header: ImageHeader) -> tuple[int, int]:
    return header.width, header.height


def _check_sizes(
    root: Path, pairs: Sequence[Pair], headers: Mapping[Path, ImageHeader], problems: Problems
) -> Counter[tuple[int, int]]:
    """Count the sizes of one side; refuse files that have no two equal halves, and pairs whose sides differ."""
    sizes: Counter[tuple[int, int]] = Counter()
    different: list[Pair] = []
    odd: list[tuple[Path, Half]] = []
    for pair in pairs:
        (width, height), b, half = _size(headers[pair.a.path]), _size(headers[pair.b.path]), pair.a.half
        if half is not None and (width if half == "left" else height) % 2:
            odd.append((pair.a.path, half))
        elif (width, height) != b:
            different.append(pair)
        sizes[width // 2 if half == "left" else width, height // 2 if half == "top" else height] += 1
    if odd:
        path, half = odd[0]
        what = f"{len(odd)} of {len(pairs)} files: {odd_side(path, *_size(headers[path]), half=half)}"
        problems.refuse("odd-width", what, "crop or resize it by one pixel", files=[path for path, _ in odd])
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
