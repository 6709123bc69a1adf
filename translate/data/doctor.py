"""What a data set is good for and what is wrong with it: every file decoded, every problem told with its fix.

The folders are looked at by the same `find_pairs` and `find_domains` that training uses, set to collect what they
would refuse, and the images are read by the same `Pair.read` and `ImageSource.read`.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Generic, TypeVar

from translate.config.encoding import Reading
from translate.config.methods import METHODS, DataKind
from translate.data.doctor_checks import Subject, run_checks
from translate.data.doctor_images import (
    Example,
    Look,
    domain_examples,
    examine_all,
    few_colours,
    looks_of,
    loose_examples,
    pair_examples,
    set_examples,
)
from translate.data.encodings import formats
from translate.data.images import ImageError
from translate.data.layouts import LayoutError, PairedData, UnpairedData, find_domains, find_pairs
from translate.data.layouts_common import SPLIT_NAMES, ImageSource, Kind, existing_folder, relative
from translate.data.layouts_images import ImageSetData, find_images
from translate.data.problems import Problem, Problems, Severity
from translate.data.survey import dim_array
from translate.data.unread import note_unread

_SEVERITIES: tuple[Severity, ...] = ("error", "warning", "hint")
_Data = TypeVar("_Data", PairedData, UnpairedData, ImageSetData)


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """Whether a method can train on a data set."""

    name: str
    suits: bool
    reason: str = ""
    """Why it cannot."""
    flags: str = ""
    """What its command needs beside the folder."""


@dataclass(frozen=True, kw_only=True)
class DomainReport:
    """The images of one domain."""

    name: str
    """A or B, or what its folder is called; empty where there are no domains."""
    where: str
    """In words: "left half", "trainA/"."""
    counts: dict[str, int]
    """Images that can be read, by split."""
    size: tuple[int, int]
    """The most common (width, height)."""
    smallest: tuple[int, int]
    largest: tuple[int, int]
    channels: int
    """1 grey, 3 RGB; one more where a pixel is transparent."""
    bits: int
    formats: dict[str, int]
    """Images by "RGB", "16-bit grey" and so on, the most common first."""
    few_colours: bool
    """Whether they look like label maps or drawings: flat areas of a few colours."""


@dataclass(frozen=True, kw_only=True)
class Diagnosis:
    """All that was found about a data set."""

    root: Path
    root_b: Path | None
    kind: str
    """pairs, unpaired, image-set, images (in no layout that a method takes) or nothing."""
    layout: str | None
    """One of `LAYOUTS`, where there is one."""
    num_files: int
    """Image files that were looked at."""
    domains: tuple[DomainReport, ...]
    methods: tuple[Verdict, ...]
    problems: tuple[Problem, ...]
    """The gravest first."""

    @property
    def refused(self) -> bool:
        """Whether something is wrong that the methods for such a layout do not start with."""
        return any(problem.severity == "error" for problem in self.problems)

    @property
    def exit_code(self) -> int:
        """0: nothing is wrong; 1: training would survive it; 2: what it is laid out for cannot train on it."""
        if not any(method.suits for method in self.methods) or self.refused:
            return 2
        return 1 if any(problem.severity != "hint" for problem in self.problems) else 0

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON; files relative to the root where they are below it."""
        return {
            "root": str(self.root),
            "root_b": str(self.root_b) if self.root_b is not None else None,
            "kind": self.kind,
            "layout": self.layout,
            "num_files": self.num_files,
            "domains": [vars(domain) for domain in self.domains],
            "methods": [vars(method) for method in self.methods],
            "problems": [
                {**vars(problem), "files": [relative(path, self.root) for path in problem.files]}
                for problem in self.problems
            ],
            "exit_code": self.exit_code,
        }


def examine(
    root: str | os.PathLike[str],
    *,
    root_b: str | os.PathLike[str] | None = None,
    reading: Reading | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Diagnosis:
    """Look at a data set, and decode every image of it.

    Args:
        root: The data set; with `root_b`, the folder of A. An .npz or idx file is one, too.
        root_b: The folder of B, where the two are given by hand.
        reading: How values, bands and pages are read.
        progress: Called from this thread with the pairs or images that are done, and their number.

    Raises:
        LayoutError: there is no such folder.
    """
    root = Path(root) if os.path.isfile(root) else existing_folder(root)
    root_b = existing_folder(root_b) if root_b is not None else None
    reading = reading or Reading()
    pairs = _attempt(partial(find_pairs, reading=reading), root, root_b)
    unpaired = _attempt(partial(find_domains, reading=reading), root, root_b)
    images = _attempt_set(root, root_b, reading)
    kind = _kind(pairs, unpaired, images)
    problems = Problems(collect=True)
    found: PairedData | UnpairedData | ImageSetData | None = None
    where: tuple[str, ...] = ("",)
    names: tuple[str, ...] = ("A", "B")
    if kind == "pairs" and pairs.found is not None:
        found, examples, where = pairs.found, pair_examples(pairs.found), pairs.found.sides
        problems.found += pairs.problems
    elif kind == "unpaired" and unpaired.found is not None:
        found, examples, where = unpaired.found, domain_examples(unpaired.found), unpaired.found.sides
        names = unpaired.found.names
        problems.found += unpaired.problems
    elif kind == "image-set":
        found, names = images.found, ("",)
        examples = set_examples(images.found) if images.found is not None else []
        problems.found += images.problems
    else:
        examples, names = loose_examples(root, root_b), ("",)
    _tell_values(found, examples, names, reading, problems)
    examine_all(examples, progress)
    looks = [looks_of(examples, domain) for domain in range(len(names))]
    reports = tuple(_report(*domain) for domain in zip(names, where, looks, strict=True) if domain[2])
    if not reports and isinstance(found, ImageSetData):
        reports = (_array_report(found),)
        known = found.splits["train"].pixels if "train" in found.splits and found.dtype is None else None
        if reading.values is None and (dark := dim_array(known)) is not None:
            problems.note("few-bits", *dark)
    subject = Subject(
        root=root,
        paired=kind == "pairs",
        names=names,
        sizes=tuple(report.size for report in reports),
        few_colours=tuple(few_colours([look for *_, look in domain]) for domain in looks),
        examples=examples,
        problems=problems,
    )
    run_checks(subject)
    if examples or kind != "image-set":  # those of an array are in such a file
        note_unread(root, problems)
    return Diagnosis(
        root=root,
        root_b=root_b,
        kind=kind if examples or kind == "image-set" else "nothing",
        layout=found.layout if found is not None else None,
        num_files=len({source.path for example in examples for source in example.sources}) or int(bool(reports)),
        domains=reports,
        methods=_verdicts(pairs, unpaired, images, kind=kind, reports=reports, problems=problems),
        problems=tuple(sorted(problems.found, key=lambda problem: _SEVERITIES.index(problem.severity))),
    )


@dataclass(frozen=True, kw_only=True)
class _Attempt(Generic[_Data]):
    """What one of the ways of looking found, and what training would say of it."""

    found: _Data | None
    problems: list[Problem]

    @property
    def refused(self) -> list[Problem]:
        return [problem for problem in self.problems if problem.severity == "error"]


def _attempt(find: Callable[..., _Data], root: Path, root_b: Path | None) -> _Attempt[_Data]:
    problems = Problems(collect=True)
    found: _Data | None = None
    try:
        found = find(root, root_b=root_b, problems=problems)
    except LayoutError as error:
        if not problems.refused:  # else it only follows from those
            problems.refuse("layout", error.what, error.fix)
    else:
        if "train" not in found.splits:
            problems.refuse("no-train", f"there is no train split, only {' and '.join(found.splits)}", "add train")
    return _Attempt(found=found, problems=problems.found)


def _tell_values(
    found: PairedData | UnpairedData | ImageSetData | None,
    examples: Sequence[Example],
    names: tuple[str, ...],
    reading: Reading,
    problems: Problems,
) -> None:
    """Say which values and bands training would take, and have the images looked at by the same."""
    if found is None or not examples:
        return
    kinds = [found.kind] if isinstance(found, ImageSetData) else found.kinds
    trained = [example for example in examples if example.split == "train"] or examples
    sources: list[list[ImageSource]] = [[] for _ in kinds]
    for example in trained:
        for domain, source in zip(example.domains, example.sources, strict=True):
            sources[domain].append(source)
    made, lines = formats(kinds, sources, reading, names=names)
    for line in lines:
        problems.note("values", line, "no action needed", severity="hint")
    for example in examples:
        example.encodings = tuple(made[domain].encoding for domain in example.domains)


def _attempt_set(root: Path, root_b: Path | None, reading: Reading) -> _Attempt[ImageSetData]:
    problems = Problems(collect=True)
    found: ImageSetData | None = None
    try:
        if root_b is not None:
            raise LayoutError("an image set is one folder, and two were given")
        found = find_images(root, reading=reading, problems=problems)
    except LayoutError as error:
        if not problems.refused:
            problems.refuse("layout", error.what, error.fix)
    except ImageError as error:  # of an idx or .npz file, which holds all of the images
        problems.refuse("damaged", str(error), "copy it again")
    else:
        if "train" not in found.splits:
            problems.refuse("no-train", f"there is no train split, only {' and '.join(found.splits)}", "add train")
    return _Attempt(found=found, problems=problems.found)


def _kind(pairs: _Attempt[PairedData], unpaired: _Attempt[UnpairedData], images: _Attempt[ImageSetData]) -> str:
    """Two folders are pairs if most names meet, the rest of which are then amiss, and do not meet by chance.

    They may meet by chance where few do, and where they are numbers and the folders are not called after pairs.
    """
    if pairs.found is None and unpaired.found is None:
        is_set = images.found is not None and not images.refused
        return (
            "image-set"
            if is_set or any(problem.kind in ("damaged", "array") for problem in images.problems)
            else "images"
        )
    if pairs.found is None:
        return "unpaired"
    if unpaired.found is None:
        return "pairs"
    paired_files = 2 * sum(map(len, pairs.found.splits.values()))
    astray = max((len(problem.files) for problem in pairs.refused), default=0)
    return "pairs" if astray <= paired_files / 4 and not pairs.found.by_number else "unpaired"


def _report(name: str, where: str, looks: Sequence[tuple[str, Path, Look]]) -> DomainReport:
    counts = Counter(split for split, *_ in looks)
    sizes = Counter(look.size for *_, look in looks)
    by_area = sorted(sizes, key=lambda size: size[0] * size[1])
    return DomainReport(
        name=name,
        where=where,
        counts={split: counts[split] for split in (*SPLIT_NAMES, "images") if split in counts},
        size=sizes.most_common(1)[0][0],
        smallest=by_area[0],
        largest=by_area[-1],
        channels=max(_colours(look) for *_, look in looks) + any(look.transparent for *_, look in looks),
        bits=max(look.bits for *_, look in looks),
        formats=dict(Counter(_format(look) for *_, look in looks).most_common()),
        few_colours=few_colours([look for *_, look in looks]),
    )


def _array_report(found: ImageSetData) -> DomainReport:
    """Of a set that is one array, read as it was found."""
    count = sum(map(len, found.splits.values()))
    return DomainReport(
        name="",
        where="",
        counts={split: len(part) for split, part in found.splits.items()},
        size=found.size,
        smallest=found.size,
        largest=found.size,
        channels=found.channels,
        bits=found.bits,
        formats={found.kind.describe(): count},
        few_colours=False,
    )


def _colours(look: Look) -> int:
    """Channels without alpha."""
    return look.channels if look.dtype is not None else 1 if look.channels < 3 else 3


def _format(look: Look) -> str:
    return Kind(channels=_colours(look) + look.transparent, bits=look.bits, dtype=look.dtype).describe()


def _are_classes(unpaired: _Attempt[UnpairedData], images: _Attempt[ImageSetData]) -> bool:
    """Two domains in two folders, called neither A nor B, are a set of two classes as well."""
    if unpaired.found is None or images.found is None or unpaired.found.layout != "two-folders" or images.refused:
        return False
    return len(images.found.class_names) == 2


def _verdicts(
    pairs: _Attempt[PairedData],
    unpaired: _Attempt[UnpairedData],
    images: _Attempt[ImageSetData],
    *,
    kind: str,
    reports: Sequence[DomainReport],
    problems: Problems,
) -> tuple[Verdict, ...]:
    """What every method of `METHODS` can do with a data set, by the kind of data that it learns from."""
    why: dict[DataKind, str] = {"pairs": _reason(pairs, problems, told=kind == "pairs")}
    labels = [domain for domain, report in enumerate(reports) if report.few_colours]
    ids = bool(labels) and all(reports[domain].channels != 3 for domain in labels)
    flags = [*(["--direction b2a"] if labels == [0] else []), *(["--labels"] if ids else [])]
    no_labels = "" if labels else "neither A nor B looks like label maps: flat areas of few colours"
    why["label maps"] = why["pairs"] or no_labels
    why["domains"] = _reason(unpaired, problems, told=kind == "unpaired")
    if kind not in ("pairs", "unpaired") or (kind == "unpaired" and _are_classes(unpaired, images)):
        why |= _why_not_images(images, kind, problems)
    found: list[Verdict] = []
    further: list[Verdict] = []
    for name, method in METHODS.items():
        if not method.is_command:
            continue
        if (reason := why.get(method.data)) is not None:
            needs = flags if method.data == "label maps" else []
            called = f"{name} {method.needs}".rstrip()
            verdict = Verdict(name=called, suits=not reason, reason=reason, flags=" ".join(needs))
            (further if method.needs else found).append(verdict)
        if method.from_images and (reason := why.get("images")) is not None:
            further.append(Verdict(name=f"{name} {method.from_images}", suits=not reason, reason=reason))
    return (*found, *further)


def _why_not_images(images: _Attempt[ImageSetData], kind: str, problems: Problems) -> dict[DataKind, str]:
    """Why what learns images of one kind cannot."""
    reason = _reason(images, problems, told=kind == "image-set")
    if not reason and images.found is not None and len(images.found.splits["train"]) < 2:
        reason = "there is one training image"
    labelled = images.found is not None and len(images.found.class_names) > 1
    rgb = images.found is not None and images.found.channels == 3 and images.found.dtype is None
    return {
        "images": reason,
        "photographs": reason or ("" if rgb else "it needs RGB photographs"),
        "classes": reason or ("" if labelled else "there are no labels, or one class"),
    }


def _reason(attempt: _Attempt[Any], problems: Problems, *, told: bool) -> str:
    """Why training would refuse; in short where the errors are `told` among the problems."""
    if attempt.refused and not told:
        first = attempt.refused[0]
        return f"{first.what}; {first.fix}" if first.fix else first.what
    errors = [problem for problem in problems.refused if told or problem.kind == "damaged"]
    return "fix the errors first" if errors else ""
