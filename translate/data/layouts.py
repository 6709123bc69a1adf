"""Data sets, found by looking at a folder: which files are pairs, or which are of domain A and which of B.

| layout             | looks like                                                              | pairs | unpaired |
|--------------------|-------------------------------------------------------------------------|-------|----------|
| `side-by-side`     | one file a pair, A the left half; with or without `train/ val/ test/`    | yes   | no       |
| `top-bottom`       | one file a pair, A the upper half; likewise                             | yes   | no       |
| `ab-folders`       | `A/ B/`, for pairs with the same stems; or `A/train B/train` and so on   | yes   | yes      |
| `split-ab-folders` | `train/A train/B`, `val/A val/B`, ...                                   | yes   | yes      |
| `trainA-trainB`    | `trainA trainB`, `valA valB`, `testA testB`                             | yes   | yes      |
| `two-folders`      | two folders given by hand; or both with `train/ val/ test/`              | yes   | yes      |
|                    | one folder that holds two, of any names: `summer/ winter/`              | yes   | yes      |
|                    | `train/images train/masks`, `images/train masks/train`, `train_images`,  | yes   |          |
|                    | `train/ train_masks/` (Carvana), `train_label/ train_img/` (pix2pixHD)  |       |          |
| `one-folder`       | `7_image.png 7_label.png`, `7.jpg 7_mask.png`, `7.jpg 7.png`, in splits  | yes   | no       |
| `voc`              | `JPEGImages/ SegmentationClass/ ImageSets/Segmentation/train.txt`       | yes   | no       |
| `nested-folders`   | `train/CLIP/blur train/CLIP/sharp` (GoPro), `train_blur/CLIP` (REDS),     | yes   | no       |
|                    | `leftImg8bit/train/CITY gtFine/train/CITY` (Cityscapes), `CASE/7_mask.png` |       |          |

Of two names for pairs, A is the one that says input (images, input, low, noisy, ...) and B the one that says target
(masks, labels, target, high, clean, ...), as `translate.data.pair_names` lists them; where neither says so, A is the
first in natural order, as it is for unpaired data always. Only pix2pixHD's label maps are A. Stems need not be equal:
what all names of a side begin or end with is dropped where that makes them meet.

Where nothing is found, the only sub-folder is looked into. What is ambiguous or broken is refused with what was seen
and how to fix it; nothing is guessed in silence. Only headers are read.
"""

from translate.data.layouts_common import MAX_CORRUPT_SHARE, FoundData, ImageSource
from translate.data.layouts_paired import LAYOUTS, PairedData, find_pairs
from translate.data.layouts_unpaired import UNPAIRED_LAYOUTS, UnpairedData, find_domains
from translate.data.pair_lists import Pair
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
