"""Data sets, found by looking at a folder: which files are pairs, or which are of domain A and which of B.

| layout             | looks like                                                              | pairs | unpaired |
|--------------------|-------------------------------------------------------------------------|-------|----------|
| `side-by-side`     | one file a pair, A the left half; with or without `train/ val/ test/`    | yes   | no       |
| `ab-folders`       | `A/ B/`, for pairs with the same stems; or `A/train B/train` and so on   | yes   | yes      |
| `split-ab-folders` | `train/A train/B`, `val/A val/B`, ...                                   | yes   | yes      |
| `trainA-trainB`    | `trainA trainB`, `valA valB`, `testA testB`                             | yes   | yes      |
| `two-folders`      | two folders given by hand; or both with `train/ val/ test/`              | yes   | yes      |
|                    | one folder that holds two, of any names: `summer/ winter/`              | no    | yes      |

What is ambiguous or broken is refused with what was seen and how to mend it; nothing is guessed in silence. Only
headers are read.
"""

from translate.data.layouts_common import MAX_CORRUPT_SHARE, FoundData, ImageSource
from translate.data.layouts_paired import LAYOUTS, Pair, PairedData, find_pairs
from translate.data.layouts_unpaired import UNPAIRED_LAYOUTS, UnpairedData, find_domains
from translate.data.problems import LayoutError

__all__ = [
    "LAYOUTS",
    "MAX_CORRUPT_SHARE",
    "UNPAIRED_LAYOUTS",
    "FoundData",
    "ImageSource",
    "LayoutError",
    "Pair",
    "PairedData",
    "UnpairedData",
    "find_domains",
    "find_pairs",
]
