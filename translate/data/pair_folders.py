"""Where pairs lie by the names of folders: ``images/`` and ``masks/``, ``train/low`` and ``train/high``, Pascal VOC."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from itertools import combinations
from pathlib import Path

from translate.data.images import list_images
from translate.data.layouts_common import SPLIT_NAMES, TwoFolders, image_folders
from translate.data.pair_names import WORDS_A, WORDS_B, find_parting, in_roles, match_names, nfc, role_of, words_of

VOC_IMAGES, VOC_MASKS, VOC_LISTS = "JPEGImages", "SegmentationClass", "ImageSets/Segmentation"
PIX2PIXHD = ("label", "img")
"""What pix2pixHD calls its folders, ``train_label`` and ``train_img``: there the label maps are A."""
_BESIDE = frozenset({"inst", "instance", "instances", "thumbs", "thumbnails", "preview", "previews"})
"""Folders beside those of pairs that are neither A nor B."""
_MOST_KINDS = 12  # folders of different kinds that are compared; a set of more is one of classes
_JOINED = re.compile(rf"({'|'.join(sorted(SPLIT_NAMES, key=len, reverse=True))})(\w+)")  # CamVid's trainannot


def kinds_of(root: Path) -> dict[str, dict[str, Path]]:
    """The folders of images up to two levels below, by what they show, and those by split.

    ``train/images``, ``images/train`` and ``train_images`` are all the images of train: ``{"images": {"train": ...}}``.
    What a folder shows is empty where it is called after a split alone, as Carvana's ``train/`` is. A second folder of
    one kind and split is a kind of its own.
    """
    found: dict[str, dict[str, Path]] = {}
    for folder in image_folders(root):
        parts = folder.relative_to(root).parts
        kind, split = kind_and_split(parts)
        if found.setdefault(kind, {}).setdefault(split, folder) != folder:
            found["/".join(parts)] = {split: folder}
    return found


def kind_and_split(parts: tuple[str, ...]) -> tuple[str, str]:
    """What a folder shows, by its name and those above it, and the split that they say."""
    kinds, split = [], None
    for part in parts:
        name = nfc(part).lower()
        if (joined := _JOINED.fullmatch(name)) and joined[2] in WORDS_A | WORDS_B:
            name = f"{joined[1]}_{joined[2]}"
        words = [word for word in re.split(r"[_\-. ]+", name) if word]
        if split is None and (called := next((word for word in words if word in SPLIT_NAMES), None)):
            split = SPLIT_NAMES[called]
            words.remove(called)
        kinds += ["_".join(words)] if words else []
    return "/".join(kinds), split or "train"


def find_two(root: Path) -> TwoFolders | None:
    """The two kinds of images below a folder, A first, by split; splits that only one has are left out.

    None where there are not two, or not to train on. Which is A, their names say (`in_roles`); else it is the first in
    natural order.
    """
    kinds = kinds_of(root)
    beside = {kind for kind in kinds if set(words_of(kind)) & _BESIDE}
    names = [kind for kind in kinds if kind not in beside]
    if len(names) != 2 or (names[0].split("/")[0] == names[1].split("/")[0] != ""):  # the latter one folder down
        return None
    first, second = names
    if "" in names:  # images in the split itself, and those of a target beside it
        other = first or second
        if role_of(other) is None:
            return None
        first, second = ("", other) if role_of(other) == "b" else (other, "")
    elif set(names) == set(PIX2PIXHD):
        first, second = PIX2PIXHD
    elif in_roles(first, second) is False:
        first, second = second, first
    folders = {split: (path, kinds[second][split]) for split, path in kinds[first].items() if split in kinds[second]}
    return folders if "train" in folders or all("train" not in kinds[name] for name in names) else None


def find_voc(root: Path) -> TwoFolders | None:
    """The images and masks of Pascal VOC, the same folders for each split that its lists name."""
    images, masks = root / VOC_IMAGES, root / VOC_MASKS
    if not (images.is_dir() and masks.is_dir()):
        return None
    splits = [split for split in dict.fromkeys(SPLIT_NAMES.values()) if (root / VOC_LISTS / f"{split}.txt").is_file()]
    return dict.fromkeys(splits or ["train"], (images, masks))


def voc_list(masks: Path, split: str) -> set[str] | None:
    """The names of a split of Pascal VOC; None where it has no such list."""
    path = masks.parent / VOC_LISTS / f"{split}.txt"
    return (
        {nfc(line.split()[0]) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()}
        if path.is_file()
        else None
    )


def commands(root: Path) -> list[str]:
    """The whole commands that train on folders below: on two whose names meet, the likeliest first, or on pairs in one.

    Where the names of some two say best which is A, other two are not told.
    """
    kinds = kinds_of(root)
    if len(kinds) > _MOST_KINDS:
        return []
    listed = {kind: list_images(_first(folders)) for kind, folders in kinds.items()}
    found: list[tuple[int, bool, str]] = []
    for first, second in combinations(kinds, 2):
        a, b = (second, first) if in_roles(first, second) is False else (first, second)
        last = [kind.rsplit("/", 1)[-1] for kind in (a, b)]
        if last[0] == last[1] or all(name.isdigit() for name in last):  # two scenes, two days: no pairs
            continue
        if 2 * len(match_names(listed[a], listed[b]).pairs) > max(len(listed[a]), len(listed[b])):
            folders = _first(kinds[a]), _first(kinds[b])
            known = (role_of(a) == "a") + (role_of(b) == "b")
            found.append((known, folders[0].parent == folders[1].parent, command(*folders)))
    best = max(((known, beside) for known, beside, _ in found), default=None)
    return [said for known, beside, said in found if (known, beside) == best] or [
        command(_first(folders)) for kind, folders in kinds.items() if find_parting(listed[kind]) is not None
    ]


def command(a: Path, b: Path | None = None) -> str:
    """What to type to train on two folders given by hand, or on one."""
    given = [str(a)] if b is None else [str(a), "--root-b", str(b)]
    return shlex.join(["translate", "train", "pix2pix", *given, "--out", "runs/pix2pix"])


def _first(folders: Mapping[str, Path]) -> Path:
    return folders["train"] if "train" in folders else next(iter(folders.values()))
