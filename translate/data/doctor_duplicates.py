"""Which pairs or images of a data set are the same, or nearly."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from itertools import combinations

from translate.data.doctor_images import Example
from translate.data.fingerprints import Fingerprint, near_duplicates


def equal_examples(examples: Sequence[Example], telling: Collection[int]) -> list[tuple[Example, Example]]:
    """Examples equal to the pixel in all their `telling` domains.

    Returns:
        For each that repeats an earlier one, that one and it; one of another split or domain where there is one.
    """
    groups: dict[tuple[bytes, ...], list[Example]] = defaultdict(list)
    for example in examples:
        groups[tuple(one.digest for one in _fingerprints(example, telling))].append(example)
    found = []
    for group in groups.values():
        for place, example in enumerate(group[1:], start=1):
            earlier = group[:place]
            apart = [other for other in earlier if (other.split, other.domains) != (example.split, example.domains)]
            found.append(((apart or earlier)[0], example))
    return found


def like_examples(examples: Sequence[Example], telling: Collection[int]) -> list[tuple[Example, Example]]:
    """Examples of different splits or domains that are nearly, but not quite, the same in all their `telling` domains.

    Returns:
        Each such two once.
    """
    groups: dict[tuple[str, tuple[int, ...]], list[Example]] = defaultdict(list)
    for example in examples:
        groups[example.split, example.domains].append(example)
    found = []
    for first, second in combinations(groups.values(), 2):
        prints = [[_fingerprints(example, telling) for example in group] for group in (first, second)]
        alike = set.intersection(
            *(
                set(near_duplicates([side[part] for side in prints[0]], [side[part] for side in prints[1]]))
                for part in range(len(prints[0][0]))
            )
        )
        for i, j in sorted(alike):
            if any(a.digest != b.digest for a, b in zip(prints[0][i], prints[1][j], strict=True)):
                found.append((first[i], second[j]))
    return found


def _fingerprints(example: Example, telling: Collection[int]) -> list[Fingerprint]:
    return [look.fingerprint for domain, look in zip(example.domains, example.looks, strict=True) if domain in telling]
