"""What can be wrong with images that training would take: one function a check, each noting what it found."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from translate.data.doctor_duplicates import equal_examples, like_examples
from translate.data.doctor_images import Example, Look, looks_of
from translate.data.images import MAX_PIXELS
from translate.data.layouts import MAX_CORRUPT_SHARE
from translate.data.layouts_common import SPLIT_NAMES, first_names, relative
from translate.data.problems import Problems, Severity, be
from translate.data.sizes import default_size
from translate.data.survey import DIM, DIM_BANDS, dim

ENLARGED = 286 / 256
"""How much larger than its crops an image is made, by the default of ``--enlarge``."""
FEW_PAIRS, FEW_IMAGES = 50, 100
SPLITS = (*dict.fromkeys(SPLIT_NAMES.values()), "images")
_TINY = 64
_ELONGATED = 3


@dataclass(frozen=True, kw_only=True)
class Subject:
    """What the checks look at.

    Attributes:
        root: The data set's folder; files are named relative to it.
        paired: Whether A and B are pairs.
        names: What the domains are called; ("",) for images that are in no layout.
        sizes: The most common (width, height) of each domain.
        few_colours: Whether a domain is like label maps or drawings.
        examples: All that was read, or could not be.
        problems: Where the findings go.
    """

    root: Path
    paired: bool
    names: tuple[str, ...]
    sizes: tuple[tuple[int, int], ...]
    few_colours: tuple[bool, ...]
    examples: Sequence[Example]
    problems: Problems

    @property
    def trainable(self) -> bool:
        """Whether there are two domains, both with images."""
        return len(self.sizes) == 2

    @property
    def size(self) -> int:
        """The side of the crops that training would take."""
        return default_size(*(min(size[axis] for size in self.sizes) for axis in (0, 1)))

    def looks(self, domain: int) -> list[tuple[Path, Look]]:
        return [(path, look) for _, path, look in looks_of(self.examples, domain)]

    def named(self, paths: Sequence[Path]) -> str:
        """The first few files, as their owner knows them."""
        return first_names(paths, root=self.root)


def run_checks(subject: Subject) -> None:
    """All of them, in the order in which the findings are told."""
    for check in (_decoding, _duplicates, _depth, _transparency, _blank):
        check(subject)
    if subject.trainable:
        for check in (_pairs, _narrow, _counts, _small, _shapes):
            check(subject)


def _decoding(subject: Subject) -> None:
    """Files whose header is right and whose pixels are not."""
    damaged = [example for example in subject.examples if example.fault is not None]
    if not damaged:
        return
    files = [example.path for example in damaged]
    kind = "pairs" if subject.paired else "files"
    what = f"{len(damaged)} of {len(subject.examples)} {kind} cannot be decoded ({subject.named(files)})"
    what += f". First: {' '.join(str(damaged[0].fault).split())}"
    trained = [example for example in subject.examples if example.split == "train"]
    for domains in {example.domains for example in trained}:
        members = [example for example in trained if example.domains == domains]
        bad = sum(example.fault is not None for example in members)
        if len(subject.names) == 2 and bad > MAX_CORRUPT_SHARE * len(members):
            what += f". More than {MAX_CORRUPT_SHARE:.0%} of the training set: a run stops"
            subject.problems.refuse("damaged", what, "fix or remove them, or raise --max-bad", files=files)
            return
    skipped = " Training skips such files" if subject.trainable else ""
    subject.problems.note("damaged", f"{what}.{skipped}", "fix or remove them", files=files)


def _pairs(subject: Subject) -> None:
    """Pairs whose halves are one image, or of two sizes once they are upright."""
    if not subject.paired:
        return
    pairs = [(example, *example.looks) for example in subject.examples if len(example.looks) == 2]
    same = [pair.path for pair, a, b in pairs if a.fingerprint.digest == b.fingerprint.digest]
    if same:
        what = f"the same image is A and B in {len(same)} of {len(pairs)} pairs ({subject.named(same)})"
        subject.problems.note("same-halves", what, "remove them: they teach the network the identity", files=same)
    unequal = [pair.path for pair, a, b in pairs if a.size != b.size]
    if unequal and not any(problem.kind == "unequal-pairs" for problem in subject.problems.found):
        what = f"A and B differ in size in {len(unequal)} of {len(pairs)} pairs ({subject.named(unequal)})"
        subject.problems.note("unequal-pairs", what, "resize one side so that both match", files=unequal)


def _narrow(subject: Subject) -> None:
    """Images so narrow that their shorter side cannot be resized to the training size."""
    side = round(subject.size * ENLARGED)
    files = []
    for domain in range(len(subject.names)):
        for path, look in subject.looks(domain):
            if side * side * max(look.size) / min(look.size) > MAX_PIXELS:  # of the whole, its shorter side enlarged
                files.append(path)
    if files:
        what = f"too narrow to be enlarged to {side} px, and skipped: {subject.named(files)}"
        subject.problems.note("too-narrow", what, "remove them", files=files)


def _duplicates(subject: Subject) -> None:
    """The same image in two splits, in two domains, or twice; to the pixel, or nearly."""
    photos = [domain for domain, few in enumerate(subject.few_colours) if not few]
    seen = [example for example in subject.examples if example.looks and not all(look.blank for look in example.looks)]
    # Label maps may be alike where their photographs are not: only what is like a photograph tells pairs apart.
    telling = photos if photos and subject.paired else range(len(subject.names))
    _tell_duplicates(subject, equal_examples(seen, telling))
    if photos:
        photographs = [example for example in seen if not set(example.domains).isdisjoint(photos)]
        _tell_duplicates(subject, like_examples(photographs, photos), nearly=True)


def _tell_duplicates(subject: Subject, pairs: Sequence[tuple[Example, Example]], *, nearly: bool = False) -> None:
    kinds: dict[tuple[str, str, str], list[tuple[Example, Example]]] = defaultdict(list)
    for one, other in pairs:
        if one.path == other.path:  # one file, seen twice because its folder was given twice
            continue
        if one.domains != other.domains:
            kinds["domains", subject.names[0], subject.names[1]].append((one, other))
        else:
            first, second = sorted((one.split, other.split), key=SPLITS.index)
            kinds["twice" if first == second else "splits", first, second].append((one, other))
    for (kind, first, second), found in kinds.items():
        count = len({other.path for _, other in found})
        images = f"{count} images are" if count > 1 else "one image is"
        what, fix = {
            "domains": (f"both in {first} and in {second}", "remove it from one: nothing distinguishes the two there"),
            "splits": (f"both in {first} and in {second}", f"remove it from one, or {second} scores will be too good"),
            "twice": (f"in {first if first != 'images' else 'the folder'} more than once", "keep one copy"),
        }[kind]
        equals = " ~ " if nearly else " = "
        named = "; ".join(equals.join(relative(one.path, subject.root) for one in pair) for pair in found[:2])
        subject.problems.note(
            f"{'near-' if nearly else ''}duplicate-{kind}",
            f"{images}{', nearly the same,' if nearly else ''} {what} ({named}{'; ...' if len(found) > 2 else ''})",
            fix,
            files=[example.path for pair in found for example in pair],
            severity="hint" if kind == "twice" else "warning",
        )


def _counts(subject: Subject) -> None:
    """Too few to learn from; nothing held back to look at."""
    trained = [example for example in subject.examples if example.looks and example.split == "train"]
    if subject.paired and len(trained) < FEW_PAIRS:
        what = f"only {len(trained)} pairs to train on"
        subject.problems.note("few", what, f"expect overfitting; use {2 * FEW_PAIRS} or more if you can")
    for domain, name in enumerate(subject.names if not subject.paired else ()):
        count = sum(example.domains == (domain,) for example in trained)
        if count < FEW_IMAGES:
            what = f"only {count} images{f' of {name}' if name else ''} to train on"
            fix = "add some, or train with --augment colour translation cutout" if name else "add some"
            subject.problems.note("few", what, fix)
    if trained and all(example.split == "train" for example in subject.examples):
        what = "there is no val or test split: progress is shown on training images"
        subject.problems.note("no-test", what, "hold some out in val/ or test/ if scores matter", severity="hint")


def _depth(subject: Subject) -> None:
    """Values that fill a small part of their range; they show as black."""
    for domain, name in enumerate(subject.names):
        looks = [look for _, look in subject.looks(domain) if look.dtype in (None, "uint8", "uint16")]
        bits = {look.bits for look in looks}
        below = DIM if all(look.dtype is None for look in looks) else DIM_BANDS
        tops = [look.top for look in looks]
        if len(bits) == 1 and (found := dim(name or "the set", tops, bits=bits.pop(), below=below)):
            subject.problems.note("few-bits", *found)


def _transparency(subject: Subject) -> None:
    """Transparent pixels; an alpha channel that is full everywhere does no harm, and only its header shows it."""
    subject.problems.found = [problem for problem in subject.problems.found if problem.kind != "transparent"]
    fix = "leave them to be composited over white, or keep the alpha with --alpha keep"
    for domain in range(len(subject.names)):
        _tell_some(subject, domain, lambda look: look.transparent, "transparent", "partly transparent", fix)


def _blank(subject: Subject) -> None:
    """Images of nothing, where they are no label maps of one class."""
    for domain, few in enumerate(subject.few_colours):
        if not few:
            _tell_some(subject, domain, lambda look: look.blank, "blank", "of one colour", "remove them")


def _small(subject: Subject) -> None:
    """Images much smaller than the training size, which is made for most."""
    size = subject.size
    fix = f"remove them, or train at a smaller --size: enlarging them to {size} px blurs them"
    for domain in (0, 1):
        _tell_some(
            subject, domain, lambda look: 2 * min(look.size) < size, "small", f"smaller than {size // 2} px", fix
        )
    if size < _TINY:
        width, height = min(subject.sizes)
        what = f"the images are tiny ({width}x{height}): training uses --size {size}"
        subject.problems.note("tiny", what, f"enlarge them with --size {_TINY} if that is too small for the networks")


def _shapes(subject: Subject) -> None:
    """Long images, of which little is seen at a time, and images of many sizes."""
    shape = f"{_ELONGATED} times as long as wide, or more"
    fix = "cut them into pieces, or squash them with --fit stretch: a crop shows a third at most"
    for domain in (0, 1):
        _tell_some(
            subject,
            domain,
            lambda look: max(look.size) >= _ELONGATED * min(look.size),
            "elongated",
            shape,
            fix,
            severity="hint",
        )
    sizes = {look.size for domain in (0, 1) for _, look in subject.looks(domain)}
    if len(sizes) > 1:
        what = f"there are {len(sizes)} sizes: the shorter side of each image is resized, and a square cut out"
        subject.problems.note("mixed-sizes", what, "no action needed", severity="hint")


def _tell_some(
    subject: Subject,
    domain: int,
    chosen: Callable[[Look], bool],
    kind: str,
    trait: str,
    fix: str,
    *,
    severity: Severity = "warning",
) -> None:
    """Note the images of a domain that have a trait, where there are some."""
    looks, name = subject.looks(domain), subject.names[domain]
    files = [path for path, look in looks if chosen(look)]
    if files:
        whose = f" of {name}" if name else ""
        what = f"{len(files)} of {len(looks)} images{whose} {be(len(files))} {trait} ({subject.named(files)})"
        subject.problems.note(kind, what, fix, files=files, severity=severity)
