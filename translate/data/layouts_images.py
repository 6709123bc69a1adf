"""Image sets: images of one kind, with labels or without, found by looking.

| layout          | looks like                                                                    | labels            |
|-----------------|-------------------------------------------------------------------------------|-------------------|
| `folder`        | images in one folder, or in `train/ val/ test/`; or in folders of dates       | no                |
| `class-folders` | `cats/*.png dogs/*.png`, or `train/cats/*.png` and so on                      | the folders       |
| `csv`           | images, and a `labels.csv` (or `train.csv`, or any one .csv) that names them  | a column          |
| `idx`           | `train-images-idx3-ubyte(.gz)`, `t10k-...`, `emnist-letters-train-...`, or    | `...-labels-idx1` |
|                 | one such file; each may lie in a folder of its own name                       |                   |
| `npz`           | one .npz file of `x_train y_train x_test y_test`, or `images labels`          | the second array  |
| `celeba`        | `img_align_celeba/*.jpg`, `list_attr_celeba.txt`, `list_eval_partition.txt`;  | one attribute     |
|                 | or both as .csv, and the images one folder further down                       |                   |

Where nothing is found, the only sub-folder is looked into. What is set apart by dates alone (`2021/01/`) is one set.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from translate.config.encoding import Reading
from translate.data.image_arrays import ArrayPart, idx_files, npz_file, read_idx_parts, read_npz_parts
from translate.data.images import Picture, list_images
from translate.data.labels_csv import Labelled, find_table, labelled, read_table
from translate.data.layouts_common import (
    MAX_CORRUPT_SHARE,
    SPLIT_NAMES,
    ImageSource,
    Kind,
    children_of,
    common_formats,
    contents,
    existing_folder,
    first_names,
    has_images,
    holds_images,
    in_order,
    look_inside,
    note_loose,
    note_unused,
    paged,
    refuse_many_broken,
    refuse_several,
    scan,
    splits_of,
)
from translate.data.pair_names import masks_among, masks_beside, nfc
from translate.data.pair_trees import find_tree
from translate.data.problems import LayoutError, Problem, Problems
from translate.data.unread import note_unread

IMAGE_SET_LAYOUTS = ("folder", "class-folders", "csv", "idx", "npz", "celeba")
CELEBA_IMAGES, CELEBA_ATTRIBUTES, CELEBA_SPLITS = (
    "img_align_celeba",
    "list_attr_celeba",
    "list_eval_partition",
)
_DOMAIN = re.compile(rf"({'|'.join(SPLIT_NAMES)})[_-]?[ab]")  # trainA: a domain of an unpaired set, and no class
_CELEBA_SPLIT = {"0": "train", "1": "val", "2": "test"}
_YEAR = re.compile(r"(19|20)\d\d")
_DATE = re.compile(r"(19|20)\d\d([-_. ]?(0[1-9]|1[0-2])([-_. ]?[0-3]\d)?)?")
_MONTH = re.compile(r"0?[1-9]|1[0-2]")
_NO_CLASSES = frozenset({"ground_truth"})
"""Folders beside those of classes that are none: MVTec's masks."""


@dataclass(frozen=True, kw_only=True, eq=False)
class ImagePart:
    """The images of a split: files, or one array."""

    sources: tuple[ImageSource, ...] = ()
    pixels: np.ndarray | None = None
    """[N, H, W, C], in place of files: uint8 or uint16 of grey or colours, or measured values or bands of any type."""
    labels: np.ndarray | None = None
    """[N] numbers of classes, where the set has labels."""

    @property
    def measured(self) -> bool:
        """Whether it is an array of measured values or of bands."""
        array = self.pixels
        return array is not None and (array.dtype not in (np.uint8, np.uint16) or array.shape[-1] > 4)

    def picture(self, index: int) -> Picture:
        """An image of an array."""
        assert self.pixels is not None
        return Picture(pixels=self.pixels[index], bands=self.measured)

    def __len__(self) -> int:
        return len(self.sources) if self.pixels is None else len(self.pixels)

    def chosen(self, indices: Sequence[int] | np.ndarray) -> ImagePart:
        """Some of the images, in the order given."""
        return ImagePart(
            sources=tuple(self.sources[int(index)] for index in indices) if self.sources else (),
            pixels=None if self.pixels is None else self.pixels[np.asarray(indices, np.int64)],
            labels=None if self.labels is None else self.labels[np.asarray(indices, np.int64)],
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class ImageSetData:
    """An image set as it was found."""

    root: Path
    layout: str
    """One of `IMAGE_SET_LAYOUTS`."""
    splits: Mapping[str, ImagePart]
    class_names: tuple[str, ...]
    """Of the labels; empty where there are none."""
    channels: int
    bits: int
    size: tuple[int, int]
    """The most common (width, height)."""
    mixed_sizes: bool
    problems: tuple[Problem, ...]
    dtype: str | None = None
    """Number type of files of bands or measured values; None for grey and RGB."""

    @property
    def kind(self) -> Kind:
        """What its images are converted to."""
        return Kind(channels=self.channels, bits=self.bits, dtype=self.dtype)

    @property
    def notes(self) -> tuple[str, ...]:
        """What should be said aloud."""
        return tuple(problem.what for problem in self.problems)

    def describe(self) -> str:
        """The set in one line."""
        counts = [f"{len(part):,} {'training' if name == 'train' else name}" for name, part in self.splits.items()]
        classes = f" of {len(self.class_names)} classes" if self.class_names else ", no labels"
        size = (
            f"mostly {self.size[0]}x{self.size[1]} (sizes differ)" if self.mixed_sizes else "{}x{}".format(*self.size)
        )
        return f"{', '.join(counts)} images{classes}; {self.layout}; {size}, {self.kind.describe()}"


def find_images(
    root: str | os.PathLike[str],
    *,
    layout: str = "auto",
    classes: Sequence[str] = (),
    attribute: str | None = None,
    labels_csv: Path | None = None,
    label_column: str | None = None,
    keep_alpha: bool = False,
    max_corrupt: float = MAX_CORRUPT_SHARE,
    reading: Reading | None = None,
    problems: Problems | None = None,
) -> ImageSetData:
    """Find the images of a set, their splits and their labels.

    Args:
        root: A folder, or an .npz or idx file.
        layout: One of `IMAGE_SET_LAYOUTS`, or "auto".
        classes: Keep only the images of these classes.
        attribute: Of CelebA, what its two classes differ in.
        labels_csv: A table with a column of file names and a column of labels; found in the folder unless given.
        label_column: Its column of labels, where it has several.
        keep_alpha: Count alpha as a channel instead of noting that it is composited over white.
        max_corrupt: Share of unreadable files above which the set is refused.
        reading: How values, bands and pages are read.
        problems: Where what is noticed goes; one that collects also takes what would be refused.

    Raises:
        LayoutError: the set is missing, empty, ambiguous or broken.
        ImageError: an idx or .npz file cannot be read.
    """
    problems = problems or Problems()
    if layout not in ("auto", *IMAGE_SET_LAYOUTS):
        raise LayoutError(f"unknown layout {layout!r}: expected auto or one of {', '.join(IMAGE_SET_LAYOUTS)}")
    root = Path(root)
    if not root.is_file():
        root = existing_folder(root)
    if (labels_csv is not None or label_column is not None) and layout in ("auto", "csv"):
        layout = "csv"
    elif labels_csv is not None or label_column is not None:
        raise LayoutError(f"--labels-csv and --label-column are not for layout {layout}", "omit them")
    inside, chosen = _choose(root, layout, problems, labels_csv=labels_csv)
    if attribute is not None and chosen != "celeba":
        raise LayoutError(f"{root}: --attribute is for CelebA, and this is {chosen}", "omit it")
    if chosen in ("idx", "npz"):
        try:
            found = _arrays(root, inside, chosen, reading or Reading(), problems)
        except LayoutError as error:
            problems.refuse("array", error.what, error.fix)
            raise
    else:
        if layout == "auto":
            _refuse_masks(inside, chosen, problems)
        listing = _list(inside, chosen, attribute, labels_csv, label_column, problems)
        found = _files(root, chosen, listing, keep_alpha, max_corrupt, reading or Reading(), problems)
    if classes:
        found = of_classes(found, classes)
    if not any(len(part) for part in found.splits.values()):
        raise LayoutError(f"{root}: no images were found", "give a folder of images, idx files or an .npz file")
    return found


def of_classes(found: ImageSetData, classes: Sequence[str]) -> ImageSetData:
    """Only the images of some classes, whose numbers become 0, 1, ... in the order given.

    Raises:
        LayoutError: the set has no labels, or no such class.
    """
    if not found.class_names:
        raise LayoutError(f"{found.root} has no labels", "omit --classes")
    if missing := [name for name in classes if name not in found.class_names]:
        raise LayoutError(
            f"{found.root} has no class {missing[0]!r}", f"choose among {', '.join(found.class_names[:12])}"
        )
    numbers = [found.class_names.index(name) for name in classes]
    places = np.zeros(len(found.class_names), np.int64)
    places[numbers] = np.arange(len(numbers))
    splits = {}
    for name, part in found.splits.items():
        assert part.labels is not None
        kept = part.chosen(np.flatnonzero(np.isin(part.labels, numbers)))
        assert kept.labels is not None
        splits[name] = replace(kept, labels=places[kept.labels])
    return replace(found, splits=splits, class_names=tuple(classes))


def _choose(root: Path, layout: str, problems: Problems, *, labels_csv: Path | None) -> tuple[Path, str]:
    """The layout that is here, or the one that was named, and the folder that it is in."""
    if labels_csv is not None:
        return existing_folder(root), "csv"
    if root.is_file():
        inside, seen = root, _look(root)
    else:
        inside, seen = look_inside(root, _look, problems)
    if layout != "auto":
        if layout not in seen:
            where = contents(root) if root.is_dir() else "it is a file"
            raise LayoutError(f"{root}: layout {layout} was not found: {where}")
        return inside, layout
    if layout == "auto" and inside.is_dir() and not splits_of(inside):
        sets = [child for child in children_of(inside).values() if "train" in splits_of(child)]
        if sets:
            raise LayoutError(
                f"{root}: {len(sets)} data sets are here, each with its own splits: "
                f"{', '.join(child.name for child in sets[:4])}{', ...' if len(sets) > 4 else ''}",
                f"give one of them: {sets[0]}",
            )
    if not seen:
        if root.is_file() and root.suffix.lower() == ".npy":
            raise LayoutError(
                f"{root} is one array, and an image set needs an .npz file",
                f"convert it: python -c \"import numpy; numpy.savez('set.npz', images=numpy.load('{root.name}'))\"",
            )
        if root.is_file():
            raise LayoutError(f"{root} is neither an .npz nor an idx file of images", "give one, or a folder")
        if (table := _table_of_pixels(root)) is not None:
            raise LayoutError(
                f"{table}: the pixels of the images are in the table, and tables are not read",
                'make an .npz file of it: python -c "import numpy as np; '
                f"t = np.loadtxt('{table.name}', delimiter=',', skiprows=1, dtype=np.uint8); "
                "side = round((t.shape[1] - 1) ** 0.5); "
                "np.savez('digits.npz', images=t[:, 1:].reshape(-1, side, side), labels=t[:, 0])\"",
            )
        raise LayoutError(
            f"{root}: no image set found: {contents(root)}",
            "expected images, a folder for each class, images with a .csv of labels, idx files, an .npz file or CelebA",
        )
    for whole, parts in (
        ("celeba", ("class-folders", "folder", "csv")),
        ("class-folders", ("csv",)),
        ("csv", ("folder",)),
    ):
        if whole in seen:  # what the same files would do for as well
            seen = [name for name in seen if name not in parts]
    refuse_several(root, seen)
    return inside, seen[0]


def _table_of_pixels(root: Path) -> Path | None:
    """A .csv file with a column for each pixel, as Kaggle has MNIST."""
    for path in sorted(root.glob("*.csv")):
        with path.open("rb") as file:
            names = file.readline(10_000).decode("utf-8", "replace").lower().split(",")
        if len(names) > 2 and names[0].strip() == "label" and names[1].strip() in ("pixel0", "1x1"):
            return path
    return None


def _look(root: Path) -> list[str]:
    """Every layout that is here."""
    return [name for name, is_here in _LOOKS.items() if is_here(root)]


def _class_folders(folder: Path) -> dict[str, list[Path]]:
    """The sub-folders that hold images, by their names, without splits and dates."""
    if _are_dates(folder):
        return {}
    found = {
        nfc(path.name): list_images(path, recursive=True)
        for name, path in children_of(folder).items()
        if name not in SPLIT_NAMES and name not in _NO_CLASSES and not _DOMAIN.fullmatch(name)
    }
    return {name: images for name, images in found.items() if images}


def _are_dates(folder: Path) -> bool:
    """Whether the sub-folders are called after dates, or after months in a folder of a year."""
    date = _MONTH if _YEAR.fullmatch(folder.resolve().name) else _DATE
    names = list(children_of(folder))
    return bool(names) and all(date.fullmatch(name) for name in names)


def _split_or_whole(root: Path) -> dict[str, Path]:
    """The splits, or all as train; the splits one folder further down where all have but one, of the same name."""
    splits = in_order(splits_of(root))
    if not splits:
        return {"train": root}
    inner = {split: list(children_of(path).values()) for split, path in splits.items() if not has_images(path)}
    names = {child.name for children in inner.values() for child in children}
    if len(inner) == len(splits) and len(names) == 1 and all(inner.values()):
        return {split: children[0] for split, children in inner.items()}
    return splits


def _all_images(folder: Path) -> list[Path]:
    """The images of a folder; those below folders of dates."""
    return list_images(folder, recursive=not has_images(folder) and _are_dates(folder))


def _is_folder(root: Path) -> bool:
    """Images lie in the folder, or in its splits; beside folders of images they are left-overs. One .npz is a set."""
    if root.is_dir() and list_images(root) == [npz_file(root)]:
        return False
    return root.is_dir() and any(map(_all_images, _split_or_whole(root).values())) and not _has_classes(root)


def _has_classes(root: Path) -> bool:
    """Two folders of images at least, in all splits together: one alone tells nothing apart."""
    if not root.is_dir():
        return False
    return len({name for path in _split_or_whole(root).values() for name in _class_folders(path)}) > 1


def _is_celeba(root: Path) -> bool:
    return (root / CELEBA_IMAGES).is_dir() and any(
        (root / f"{CELEBA_ATTRIBUTES}{end}").is_file() for end in (".txt", ".csv")
    )


_LOOKS: dict[str, Callable[[Path], bool]] = {
    "celeba": _is_celeba,
    "idx": lambda root: bool(idx_files(root)),
    "npz": lambda root: npz_file(root) is not None,
    "csv": lambda root: find_table(root) is not None,
    "class-folders": _has_classes,
    "folder": _is_folder,
}


# Arrays


def _arrays(root: Path, inside: Path, layout: str, reading: Reading, problems: Problems) -> ImageSetData:
    if layout == "idx":
        parts = read_idx_parts(idx_files(inside), problems)
    else:
        path = npz_file(inside)
        assert path is not None
        parts = read_npz_parts(path, problems)
    parts = in_order(parts)
    first = next(iter(parts.values()))
    shapes = {part.pixels.shape[1:] for part in parts.values()}
    if len(shapes) > 1:
        said = ", ".join(f"{name} {'x'.join(map(str, part.pixels.shape[1:]))}" for name, part in parts.items())
        raise LayoutError(f"{root}: the splits have images of different shapes: {said}", "give them one shape")
    names, splits = _numbered(parts, problems)
    height, width, channels = first.pixels.shape[1:]
    if reading.bands and max(reading.bands) > channels:
        raise LayoutError(f"{root}: the images have {channels} channels", "name channels that they have with --bands")
    measured = bool(reading.bands) or any(part.measured for part in splits.values())
    return ImageSetData(
        root=root,
        layout=layout,
        splits=splits,
        class_names=names,
        channels=len(reading.bands) or channels,
        bits=8 if first.pixels.dtype == np.uint8 else 16,
        dtype=np.result_type(*(part.pixels.dtype for part in parts.values())).name if measured else None,
        size=(width, height),
        mixed_sizes=False,
        problems=tuple(problems.found),
    )


def _numbered(parts: Mapping[str, ArrayPart], problems: Problems) -> tuple[tuple[str, ...], dict[str, ImagePart]]:
    """Class names, the values of the labels in their order, and the parts with the numbers of classes."""
    labelled = [part.labels for part in parts.values() if part.labels is not None]
    if len(labelled) < len(parts):
        if labelled:
            problems.note("labels", "one split has labels and another none: not used", "give both, or none")
        return (), {name: ImagePart(pixels=part.pixels) for name, part in parts.items()}
    values = np.unique(np.concatenate(labelled))
    return tuple(str(value) for value in values), {
        name: ImagePart(pixels=part.pixels, labels=np.searchsorted(values, part.labels))
        for name, part in parts.items()
        if part.labels is not None
    }


# Files


def _list(
    root: Path,
    layout: str,
    attribute: str | None,
    labels_csv: Path | None,
    label_column: str | None,
    problems: Problems,
) -> Labelled:
    """The files of each split, and their classes."""
    if layout == "celeba":
        return _celeba(root, attribute)
    if layout == "csv":
        table = labels_csv or find_table(root)
        assert table is not None, "the layout was found by it"
        given = labels_csv is not None or label_column is not None
        return labelled(root, table, column=label_column, given=given, problems=problems)
    folders = _split_or_whole(root)
    if any(path.parent.parent == root for path in folders.values()):
        where = next(iter(folders.values())).name
        problems.note(
            "one-folder-down", f"everything is in {where}/ of each split", "no action needed", severity="hint"
        )
    if layout == "folder":
        listed = {split: _all_images(path) for split, path in folders.items()}
        if any(path.parent != folders[split] for split, paths in listed.items() for path in paths):
            what = "the folders are named after dates: all images are one set, without classes"
            problems.note("dates", what, "no action needed", severity="hint")
        _note_unused(root, listed, problems)
        return Labelled(class_names=(), splits=listed, classes={})
    by_split = {split: _class_folders(path) for split, path in folders.items()}
    names = tuple(dict.fromkeys(name for classes in by_split.values() for name in classes))
    for split in by_split:
        note_loose(list_images(folders[split]), problems)
    gaps = {split: [name for name in names if name not in classes] for split, classes in by_split.items()}
    if missing := [f"{split} has no {', '.join(absent[:6])}" for split, absent in gaps.items() if absent]:
        problems.note("classes", "; ".join(missing), "add images of them, or leave it so")
    listed = {split: [path for paths in classes.values() for path in paths] for split, classes in by_split.items()}
    _note_unused(root, listed, problems)
    return Labelled(
        class_names=names,
        splits=listed,
        classes={
            path: names.index(name)
            for classes in by_split.values()
            for name, paths in classes.items()
            for path in paths
        },
    )


def _note_unused(root: Path, listed: Mapping[str, Sequence[Path]], problems: Problems) -> None:
    """Say which folders of images are left out."""
    used = {path.relative_to(root).parts[0] for paths in listed.values() for path in paths}
    unused = [path for path in children_of(root).values() if path.name not in used and holds_images(path)]
    note_unused(root, [path for path in unused if path.name not in _NO_CLASSES], problems)
    for path in unused:
        if path.name in _NO_CLASSES:
            what = f"{path.name}/ has masks of the defects in test/: anomaly score uses them, training does not"
            problems.note("unused", what, "no action needed", severity="hint")


def _files(
    root: Path,
    layout: str,
    listing: Labelled,
    keep_alpha: bool,
    max_corrupt: float,
    reading: Reading,
    problems: Problems,
) -> ImageSetData:
    listed, labels = listing.splits, listing.classes
    note_unread(root, problems)
    headers, broken = scan(path for paths in listed.values() for path in paths)
    refuse_many_broken(root, headers, broken, problems, max_corrupt=max_corrupt)
    if not headers:
        raise LayoutError(f"{root}: none of the images can be read", next(iter(broken.values()), "add some"))
    (kind,) = common_formats({"the set": headers}, problems, keep_alpha=keep_alpha, reading=reading)
    sizes = Counter((header.width, header.height) for header in headers.values())
    splits = {}
    for split, paths in listed.items():
        sources = [
            source
            for path in paths
            if path in headers
            for source in paged(ImageSource(path=path), headers[path], reading)
        ]
        if sources:
            splits[split] = ImagePart(
                sources=tuple(sources),
                labels=np.array([labels[source.path] for source in sources], np.int64) if labels else None,
            )
    return ImageSetData(
        root=root,
        layout=layout,
        splits=in_order(splits),
        class_names=listing.class_names,
        channels=kind.channels,
        bits=kind.bits,
        dtype=kind.dtype,
        size=sizes.most_common(1)[0][0],
        mixed_sizes=len(sizes) > 1,
        problems=tuple(problems.found),
    )


def _celeba(root: Path, attribute: str | None) -> Labelled:
    """The files of each split, and of what class they are, as CelebA's own tables or Kaggle's say."""
    images = root / CELEBA_IMAGES
    if not has_images(images) and (images / CELEBA_IMAGES).is_dir():
        images /= CELEBA_IMAGES
    attributes, rows = _celeba_attributes(root)
    column = None
    if attribute is not None:
        if attribute not in attributes:
            raise LayoutError(f"CelebA has no attribute {attribute!r}", f"choose among {', '.join(attributes)}")
        column = attributes.index(attribute)
    split_of = _celeba_splits(root)
    there = {path.name for path in list_images(images)}
    listed: dict[str, list[Path]] = {}
    labels: dict[Path, int] = {}
    for name, *values in rows:
        if name in there:
            path = images / name
            listed.setdefault(split_of.get(name, "train"), []).append(path)
            if column is not None:
                labels[path] = int(values[column] == "1")
    names = (f"not {attribute}", attribute) if attribute is not None else ()
    return Labelled(class_names=names, splits=listed, classes=labels)


def _celeba_attributes(root: Path) -> tuple[Sequence[str], Sequence[Sequence[str]]]:
    """The names of the attributes, and of each image its name and what it has of them."""
    path = root / f"{CELEBA_ATTRIBUTES}.txt"
    if not path.is_file():
        table = read_table(path.with_suffix(".csv"))
        return table.columns[1:], table.rows
    lines = path.read_text(encoding="utf-8").split("\n")
    attributes = lines[1].split() if len(lines) > 1 else []
    if not attributes:
        raise LayoutError(f"{path} names no attributes in its second line", "copy it again")
    rows = [line.split() for line in lines[2:] if line.strip()]
    if torn := [row for row in rows if len(row) != 1 + len(attributes)]:
        what = f"the line of {torn[0][0]} has {len(torn[0]) - 1} values, and there are {len(attributes)} attributes"
        raise LayoutError(f"{path}: {what}", "copy it again")
    return attributes, rows


def _celeba_splits(root: Path) -> dict[str, str]:
    path = root / f"{CELEBA_SPLITS}.txt"
    if path.is_file():
        rows: Sequence[Sequence[str]] = [
            line.split() for line in path.read_text(encoding="utf-8").splitlines() if line.strip()
        ]
    elif path.with_suffix(".csv").is_file():
        rows = read_table(path.with_suffix(".csv")).rows
    else:
        return {}
    return {row[0]: _CELEBA_SPLIT.get(row[-1], "train") for row in rows}


def _refuse_masks(root: Path, layout: str, problems: Problems) -> None:
    """Photographs and their masks are pairs, and no set of images of one kind."""
    take_both = f"or name the layout {layout} to take both"
    if (tree := find_tree(root)) is not None:
        what = f"{root}: the folders below hold pairs, of {' and '.join(tree.sides)}, and no images of one kind"
        problems.refuse("masks", what, f"train pix2pix on them, {take_both}")
        return
    for folder in _split_or_whole(root).values() if layout in ("folder", "class-folders") else ():
        classes = _class_folders(folder) if layout == "class-folders" else {}
        if (two := masks_beside(classes)) is not None:
            what = f"{folder}: {two[1]}/ has masks or labels of the images in {two[0]}/: those are pairs, not classes"
            problems.refuse("masks", what, f"give {folder / two[0]}/ alone, {take_both}")
            return
        files = [path for images in classes.values() for path in images] or list_images(folder)
        if len(masks := masks_among(files)) > len(files) / 4:
            what = f"{folder}: {len(masks)} of {len(files)} files are named as masks of others ({first_names(masks)})"
            problems.refuse("masks", what, f"train pix2pix on the pairs, move the masks away, {take_both}", files=masks)
            return
