"""Which files belong together by their names, and which of two names is the input's.

Names meet if they are equal once what all names of a side have in common is dropped: ``ISIC_7.jpg`` and
``ISIC_7_segmentation.png``, ``image_7.png`` and ``mask_7.png``. They are compared in one Unicode form; capitals and
leading zeros count only where more names meet with them than without.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, product
from pathlib import Path
from typing import Literal

WORDS_A = frozenset(
    {"a", "in", "input", "inputs", "source", "src", "x", "left"}
    | {"image", "images", "img", "imgs", "photo", "photos", "picture", "pictures", "rgb", "jpeg", "sat"}
    | {"original", "originals", "orig", "raw", "before", "low", "lr", "lq", "lowres", "gray", "grey"}
    | {"noisy", "blur", "blurred", "blurry", "hazy", "foggy", "rainy", "degraded", "damaged"}
)
"""Words that name what a network is given: of two folders or endings, this one is A."""
MASK_WORDS = frozenset(
    {"mask", "masks", "matte", "mattes", "label", "labels", "labelids", "labelmap", "labelmaps"}
    | {"seg", "segs", "segmentation", "segmentations", "segmented", "gt", "gts", "groundtruth", "truth"}
    | {"annotation", "annotations", "annot", "anno", "ann"}
)
"""Words that name what belongs to other images and is no photograph."""
WORDS_B = MASK_WORDS | frozenset(
    {"b", "out", "output", "outputs", "target", "targets", "tgt", "y", "right"}
    | {"high", "hr", "hq", "highres", "clean", "clear", "sharp", "after", "color", "colour"}
    | {"depth", "normals", "expert", "manual"}
)
"""Words that name what a network shall make: of two folders or endings, this one is B."""

_WORD = re.compile(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])|[\W\d_]+")
_SEPARATORS = "_-. "
_MOSTLY = 0.75
"""Of the files of a folder, the share that must be in pairs for their endings to say so."""

_MASK = re.compile("|".join(sorted(MASK_WORDS)))
_MOST_KINDS = 12  # folders of different kinds that are compared; of more, none has the masks of another
_PHOTO_SUFFIXES = (".jpg", ".jpeg")
Role = Literal["a", "b"]
Affix = tuple[str, str]
"""What a name begins and ends with."""


def nfc(name: str) -> str:
    """A name in one Unicode form; macOS and archives made there write another than Linux and Windows."""
    return unicodedata.normalize("NFC", name)


def words_of(name: str) -> list[str]:
    """``SegmentationClass`` -> segmentation, class; ``train_masks2`` -> train, masks."""
    return [word.lower() for word in _WORD.split(nfc(name)) if word]


def role_of(name: str) -> Role | None:
    """Whether a name is that of an input or of a target; None where it says neither. A letter counts alone."""
    words = set(words_of(name))
    words = words if len(words) == 1 else {word for word in words if len(word) > 1}
    return "b" if words & WORDS_B else "a" if words & WORDS_A else None


def in_roles(first: str, second: str) -> bool | None:
    """Whether the first of two names is A; None where the names do not say."""
    roles = role_of(first), role_of(second)
    if roles[0] == roles[1]:
        return None
    return roles[0] == "a" or roles[1] == "b"


@dataclass(frozen=True, kw_only=True)
class Match:
    """The files of two sides, paired by their names."""

    pairs: tuple[tuple[str, Path, Path], ...]
    """Name, file of A, file of B."""
    only_a: tuple[Path, ...]
    only_b: tuple[Path, ...]
    dropped_a: Affix = ("", "")
    """What was dropped from each name of A."""
    dropped_b: Affix = ("", "")

    @property
    def by_number(self) -> bool:
        """Whether the names differ in one running number alone, as those of unrelated images may."""
        if len({re.sub(r"\d+", "", name) for name, *_ in self.pairs}) != 1:
            return False
        numbers = [int(digits) for name, *_ in self.pairs if (digits := "".join(re.findall(r"\d+", name)))]
        return bool(numbers) and max(numbers) - min(numbers) < 4 * len(numbers)


_FORMS: tuple[Callable[[str], str], ...] = (
    lambda stem: stem,
    str.casefold,
    lambda stem: re.sub(r"\d+", lambda digits: str(int(digits[0])), stem.casefold()),
)


def match_names(a: Sequence[Path], b: Sequence[Path], *, dropped: tuple[Affix, Affix] | None = None) -> Match:
    """Pair the files of two sides, in the order of A; the way in which most names meet, and the plainest of those.

    A side whose names all begin or end with the same is compared without it. Both sides lose something only if what is
    lost says that it names a target: ``image_7`` meets ``mask_7``, and ``summer7`` does not meet ``winter7``.

    Args:
        a: Files of different stems.
        b: Likewise.
        dropped: What each side is compared without, where that is known; found unless given.
    """
    stems = [nfc(path.stem) for path in a], [nfc(path.stem) for path in b]
    ways = [dropped] if dropped is not None else _ways(*stems)
    best: tuple[int, dict[str, int], list[str], tuple[Affix, Affix]] = (-1, {}, [], ways[0])
    for form, way in product(_FORMS, ways):
        keys_a, keys_b = (_keys(side, affix, form) for side, affix in zip(stems, way, strict=True))
        places = {key: place for place, key in enumerate(keys_b)}
        if len(set(keys_a)) < len(a) or len(places) < len(b):
            continue  # 1.png and 01.png are two
        count = sum(key in places for key in keys_a)
        if count > best[0]:
            best = count, places, keys_a, way
        if count == len(a) == len(b):
            break
    _, places, keys_a, (dropped_a, dropped_b) = best
    names = _keys(stems[0], dropped_a, _FORMS[0])
    pairs = tuple(
        (name, path, b[places[key]]) for name, path, key in zip(names, a, keys_a, strict=True) if key in places
    )
    met = {path for _, *paths in pairs for path in paths}
    return Match(
        pairs=pairs,
        only_a=tuple(path for path in a if path not in met),
        only_b=tuple(path for path in b if path not in met),
        dropped_a=dropped_a,
        dropped_b=dropped_b,
    )


def _ways(a: Sequence[str], b: Sequence[str]) -> list[tuple[Affix, Affix]]:
    """What may be dropped from the two sides, the least first."""
    ways = sorted(
        product(_droppable(a), _droppable(b)), key=lambda way: sum(len(part) for affix in way for part in affix)
    )
    return [way for way in ways if not all(map(any, way)) or _names_target(*way)]


def _names_target(a: Affix, b: Affix) -> bool:
    """Whether one of what two sides drop is a word for a target, and the other is none; ``_B``, and not B, is one."""
    words = [" ".join(affix) for affix in (a, b)]
    return [role_of(word) for word in words if len(word.strip()) > 1].count("b") == 1


def _keys(stems: Sequence[str], dropped: Affix, form: Callable[[str], str]) -> list[str]:
    start, end = (len(affix) for affix in dropped)
    return [form(stem[start : len(stem) - end]) for stem in stems]


def _droppable(stems: Sequence[str]) -> list[Affix]:
    """What can be dropped from all stems, nothing first: whole words, the separators beside them included."""
    beginnings, endings = (
        ["", *(part for part in of(stems[0]) if all(part in of(stem) for stem in stems))]
        for of in (_beginnings, _endings)
    )
    shortest = min(map(len, stems))
    return [affix for affix in product(beginnings, endings) if len(affix[0]) + len(affix[1]) < shortest]


def _endings(stem: str) -> list[str]:
    """Every ending that is whole words: it starts at a separator, or with a letter behind a digit."""
    return [
        stem[place:]
        for place in range(1, len(stem))
        if stem[place] in _SEPARATORS or (stem[place].isalpha() and stem[place - 1].isdigit())
    ]


def _beginnings(stem: str) -> list[str]:
    """Every beginning that is whole words: it stops behind a separator, or with a letter before a digit."""
    return [
        stem[:place]
        for place in range(1, len(stem))
        if stem[place - 1] in _SEPARATORS or (stem[place - 1].isalpha() and stem[place].isdigit())
    ]


@dataclass(frozen=True, kw_only=True)
class Parting:
    """How the names of one folder say which files are of A and which of B."""

    by: Literal["ending", "beginning", "suffix"]
    a: str
    """What the names of A have: an ending, a beginning or a suffix; empty for all that have not what B has."""
    b: str

    def part(self, files: Iterable[Path]) -> tuple[list[Path], list[Path], list[Path]]:
        """The files of A, those of B, and the others."""
        sides: tuple[list[Path], list[Path], list[Path]] = [], [], []
        longer_first = sorted((0, 1), key=lambda side: -len((self.a, self.b)[side]))
        for path in files:
            sides[next((side for side in longer_first if self._has(path, (self.a, self.b)[side])), 2)].append(path)
        return sides

    def _has(self, path: Path, part: str) -> bool:
        if self.by == "suffix":
            return path.suffix.lower() == part
        stem = nfc(path.stem)
        return len(stem) > len(part) and (stem.endswith(part) if self.by == "ending" else stem.startswith(part))

    @property
    def dropped(self) -> tuple[Affix, Affix]:
        """What to drop from the stems of A, and from those of B."""
        if self.by == "suffix":
            return ("", ""), ("", "")
        return (("", self.a), ("", self.b)) if self.by == "ending" else ((self.a, ""), (self.b, ""))

    @property
    def is_known(self) -> bool:
        """Whether a known word says so, and not only that as many names have the one as the other."""
        return self.by == "beginning" or role_of(self.a) is not None or role_of(self.b) is not None

    @property
    def shown(self) -> tuple[str, str]:
        """The two sides in words: ``*_image`` and ``*_label``."""
        if self.by == "beginning":
            return f"{self.a}*", f"{self.b}*"
        return (f"*{self.a}" if self.a else f"no *{self.b}", f"*{self.b}" if self.b else f"no *{self.a}")


def find_parting(files: Sequence[Path]) -> Parting | None:
    """Find the two endings, beginnings or suffixes that part the files of a folder into pairs; None without such.

    Two endings may be any. Two beginnings, and one ending that the other side lacks, must be known words: ``cat_7`` and
    ``dog_7`` are no pair.
    """
    best: tuple[int, Parting] | None = None
    for parting in _partings(files):
        a, b, _ = parting.part(files)
        keys = [
            set(_keys([nfc(path.stem) for path in side], dropped, _FORMS[0]))
            for side, dropped in zip((a, b), parting.dropped, strict=True)
        ]
        met = len(keys[0] & keys[1])
        if met > 1 and 2 * met >= _MOSTLY * len(files) and (best is None or met > best[0]):
            best = met, parting
    return best[1] if best is not None else None


def _partings(files: Sequence[Path]) -> Iterator[Parting]:
    """Those that may be; the likeliest first."""
    stems = [nfc(path.stem) for path in files]
    least = _MOSTLY / 2 * len(files)
    endings = [
        part
        for part, count in Counter(part for stem in stems for part in _endings(stem)).items()
        if count >= least and words_of(part)
    ]
    beginnings = [
        part for part, count in Counter(part for stem in stems for part in _beginnings(stem)).items() if count >= least
    ]
    for first, second in combinations(sorted(endings), 2):
        a, b = (second, first) if in_roles(first, second) is False else (first, second)
        yield Parting(by="ending", a=a, b=b)
    for part in endings:
        if (role := role_of(part)) is not None:
            yield Parting(by="ending", a="" if role == "b" else part, b=part if role == "b" else "")
    for first, second in combinations(sorted(beginnings), 2):
        if (forth := in_roles(first, second)) is not None:
            yield Parting(by="beginning", a=first if forth else second, b=second if forth else first)
    suffixes = Counter(path.suffix.lower() for path in files)
    if len(suffixes) == 2:  # photographs are JPEG where their masks are not
        a, b = sorted(suffixes, key=lambda suffix: (suffix not in _PHOTO_SUFFIXES, suffix))
        yield Parting(by="suffix", a=a, b=b)


def kinds_among(files: Sequence[Path], others: Sequence[Path]) -> list[str]:
    """Endings of files of which each is there once for every one of the others: ``_color`` and ``_labelIds``."""
    counts = Counter(end for path in files for end in _by_word(nfc(path.stem)))
    found = []
    for end in [end for end, count in counts.items() if _MOSTLY * len(others) <= count < len(files)]:
        if len(match_names(others, of_kind(files, end)).pairs) >= _MOSTLY * len(others):
            found.append(end)
    return [end for end in found if not any(other.endswith(end) and other != end for other in found)]


def of_kind(files: Iterable[Path], end: str) -> list[Path]:
    """The files whose stems end so."""
    return [path for path in files if nfc(path.stem).endswith(end)]


def masks_among(files: Sequence[Path]) -> list[Path]:
    """The files that their names call the mask of another one in the same folder: ``7_mask.png`` beside ``7.png``."""
    called = [path for path in files if _MASK.search(path.stem.lower())]
    if not called:
        return []
    cores = Counter(
        (path.parent, core) for path in files for core in {nfc(path.stem), *_by_word(nfc(path.stem)).values()}
    )
    return [
        path
        for path in called
        if any(
            set(words_of(word)) & MASK_WORDS and cores[path.parent, core] > 1
            for word, core in _by_word(nfc(path.stem)).items()
        )
    ]


def _by_word(stem: str) -> dict[str, str]:
    """The endings of a stem that have no number, and what is before each."""
    return {end: stem[: -len(end)] for end in _endings(stem) if not any(map(str.isdigit, end))}


def masks_beside(folders: Mapping[str, Sequence[Path]]) -> tuple[str, str] | None:
    """The names of two folders of which one has the masks of the other, by what they or their files are called."""
    if len(folders) > _MOST_KINDS:
        return None
    masks = [name for name in folders if set(words_of(name)) & MASK_WORDS]
    others = sorted((name for name in folders if name not in masks), key=lambda name: role_of(name) != "a")
    for images, called in product(others, masks):
        plainly = set(words_of(called)) <= WORDS_A | WORDS_B
        least = min(len(folders[images]), len(folders[called]))
        if least and (plainly or 2 * len(match_names(folders[images], folders[called]).pairs) > least):
            return images, called
    return None
