"""Where is an image abnormal? Heat maps against masks of the faults, beside maps that no network made.

Masks lie as MVTec AD has them: ``ground_truth/crack/000_mask.png`` belongs to ``test/crack/000.png``. They may be
called ``000.png``, lie in ``masks/``, be several in a folder ``000/``, or lie in a folder that is given.

Shapes: N images, M normal ones, C channels, S side.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from translate.applications.anomaly import at_once, auroc_rows, baselines, principal
from translate.config.base import ConfigError
from translate.data.image_inputs import NamedPicture
from translate.data.images import ImageError, list_images, read_image
from translate.data.layouts_common import SPLIT_NAMES, children_of, existing_folder, relative
from translate.data.pair_names import MASK_WORDS, nfc
from translate.data.problems import have
from translate.data.store import resize
from translate.inference.image_model import Framing
from translate.metrics import auroc, pro
from translate.metrics.pro import INSTALL, RegionsError
from translate.networks import AnomalyDetector
from translate.networks.anomaly import heat_of

MASK_FOLDERS = ("ground_truth", "ground-truth", "groundtruth", "gt", "masks", "mask")
"""Names, lower case, of folders in which masks are looked for, beside the images or their splits."""
_MARK = re.compile(rf"[-_. ]({'|'.join(sorted(MASK_WORDS, key=len, reverse=True))})[-_]?\d{{0,2}}$", re.IGNORECASE)
_LOSSY = (".jpg", ".jpeg", ".jpe", ".jfif")
Key = tuple[tuple[str, ...], str]
"""The folders that a file is in, and its name without its ending and without a word for a mask."""


@dataclass(frozen=True, kw_only=True)
class GroundTruth:
    """Which pixels of images are abnormal."""

    masks: Tensor
    """bool [N, S, S], as the images are framed; nothing of normal ones."""
    known: Tensor
    """bool [N]: whether it is known of the image. Others count for no measure of pixels."""
    lines: tuple[str, ...]
    """What should be said aloud."""


@dataclass(frozen=True, kw_only=True)
class Localised:
    """How well a map finds what is abnormal."""

    pixel_auroc: float
    pro: float | None
    """None where scipy is not installed."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """How well one score tells abnormal images, and the map that it is of finds where."""

    name: str
    auroc: float
    localised: Localised | None
    """None without masks, or where the score has no map."""


@dataclass(frozen=True, kw_only=True)
class DetectionReport:
    """How well a detector does, and baselines beside it."""

    rows: tuple[Row, ...]
    truth: GroundTruth | None
    counts: tuple[int, int]
    """Normal and abnormal images."""
    lines: tuple[str, ...]
    """What should be said aloud."""


def mask_folder(root: Path) -> Path | None:
    """The folder of masks of an image set: in the set's folder, or beside it where it is a split or called images.

    Args:
        root: Of the set.
    """
    beside = root.resolve().name.lower() in (*SPLIT_NAMES, "images", "image")
    for place in (root, root.resolve().parent) if beside else (root,):
        if place.is_dir():
            children = children_of(place)
            if (name := next((name for name in MASK_FOLDERS if name in children), None)) is not None:
                return children[name]
    return None


def find_ground_truth(
    images: Sequence[NamedPicture], abnormal: Tensor, *, root: Path, folder: Path | None, framing: Framing
) -> GroundTruth | None:
    """The masks of images; None where there is no folder of masks.

    Args:
        images: Files, else they have no masks.
        abnormal: bool [N].
        root: Of the image set.
        folder: Of the masks; looked for unless given.
        framing: How the images were framed.

    Raises:
        ConfigError: a folder was given, and no abnormal image has a mask in it.
        LayoutError: it is not there.
    """
    given = folder is not None
    folder = existing_folder(folder) if folder is not None else mask_folder(root)
    if folder is None:
        return None
    masks = torch.zeros(len(images), framing.size, framing.size, dtype=torch.bool)
    known = ~abnormal
    there = _masks_by_key(folder)
    keys = [None if image.path is None else _key(image.path, root) for image in images]
    stems = Counter(key[1] for key, wrong in zip(keys, abnormal.tolist(), strict=True) if key is not None and wrong)
    left: dict[str, list[str]] = {"no mask": [], "an empty (all-black) mask": []}
    outside = "the defect outside the central square, which is all that is scored"
    small = f"a defect too small for {framing.size} px"
    spotted, broken = [], []
    for number, (image, key, wrong) in enumerate(zip(images, keys, abnormal.tolist(), strict=True)):
        found = [] if key is None else _masks_of(key, there, alone=wrong and stems[key[1]] == 1)
        try:
            mask = _read(found, image.picture.size) if found else None
        except ImageError as error:
            broken.append(str(error))
            continue
        if not wrong:
            spotted += [image.name] if mask is not None and mask.any() else []
        elif mask is None or not mask.any():
            left["no mask" if mask is None else "an empty (all-black) mask"].append(image.name)
        else:
            masks[number] = framing.framed(mask)
            known[number] = bool(masks[number].any())
            if not known[number]:
                left.setdefault(small if _middle(mask).any() else outside, []).append(image.name)
    total, count = int(abnormal.sum()), int((known & abnormal).sum())
    if given and len(left["no mask"]) == total:
        raise ConfigError(
            f"{folder} has no mask of any of the {total} abnormal images: CLASS/NAME_mask.png or CLASS/NAME.png is "
            f"expected for CLASS/NAME, as for {_some(left['no mask'])}"
        )
    lines = [f"masks of {count} of {total} abnormal images, from {folder}"]
    for why, names in left.items():
        if names:
            which = f"{len(names)} of {total} abnormal images {have(len(names))} {why}"
            lines.append(f"{which}: excluded from the pixel metrics ({_some(names)})")
    if spotted:
        which = f"{len(spotted)} of {len(images) - total} normal images {have(len(spotted))} a mask that is not black"
        lines.append(f"{which}: treated as normal ({_some(spotted)})")
    lines += [f"failed: {line}" for line in broken]
    return GroundTruth(masks=masks, known=known, lines=tuple(lines))


def _middle(mask: np.ndarray) -> np.ndarray:
    """The middle square of a mask."""
    side = min(mask.shape)
    top, left = ((length - side) // 2 for length in mask.shape)
    return mask[top : top + side, left : left + side]


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")


def _key(path: Path, folder: Path) -> Key:
    parts = [nfc(part).casefold() for part in Path(relative(path, folder)).parts]
    if len(parts) > 1 and parts[0] in SPLIT_NAMES:
        parts = parts[1:]
    return tuple(parts[:-1]), nfc(path.stem).casefold()


def _masks_by_key(folder: Path) -> dict[Key, list[Path]]:
    """Masks by their names, with and without the word for a mask; by an empty name, all in a folder."""
    found: dict[Key, list[Path]] = {}
    for path in list_images(folder, recursive=True):
        parents, stem = _key(path, folder)
        for name in {stem, _MARK.sub("", stem), ""}:
            found.setdefault((parents, name), []).append(path)
    return found


def _masks_of(key: Key, there: Mapping[Key, list[Path]], *, alone: bool) -> list[Path]:
    """The masks of an image: of its name in its class's folder, or all in a folder of its own name.

    Args:
        key: Of the image.
        there: The masks.
        alone: No other abnormal image has this name: a mask in no folder can be its own.
    """
    folders, stem = key
    if found := there.get(key):
        return found
    if inside := there.get(((*folders, stem), "")):
        return inside
    return there.get(((), stem), []) if alone else []


def _read(paths: Sequence[Path], size: tuple[int, int]) -> np.ndarray:
    """What any of the masks of an image marks: bool [H, W].

    Args:
        paths: Of the masks.
        size: (width, height) of the image.

    Raises:
        ImageError: one cannot be read, or has other proportions than the image.
    """
    masks = []
    for path in paths:
        picture = read_image(path)
        values = picture.pixels if picture.bands else picture.colour
        # Lossy files have faint spots around what they mark.
        marked = np.asarray((values > (127 if path.suffix.lower() in _LOSSY else 0)).any(axis=2))
        if picture.alpha is not None and not picture.bands:
            marked &= picture.alpha[:, :, 0] > 0
        if abs(picture.size[0] * size[1] - picture.size[1] * size[0]) > max(*picture.size, *size):
            raise ImageError(
                f"{path}: the mask is {picture.size[0]}x{picture.size[1]}, and its image {size[0]}x{size[1]}"
            )
        masks.append(resize(marked.astype(np.uint8)[:, :, None], width=size[0], height=size[1], nearest=True) > 0)
    return np.asarray(np.concatenate(masks, axis=2).any(axis=2))


@torch.inference_mode()
def heat_maps(detector: AnomalyDetector, images: Tensor) -> Tensor:
    """Where images are abnormal: [N, C, S, S] in [-1, 1] -> [N, S, S] on the CPU."""
    device = detector.device
    return torch.cat([detector.heat(part.to(device)).cpu()[:, 0] for part in images.split(at_once(detector))])


def baseline_maps(learned: Tensor, images: Tensor, *, smoothing: int) -> dict[str, Tensor]:
    """Maps [N, S, S] that no network made: where images differ from their principal components, and from the mean.

    Args:
        learned: Normal images, [M, C, S, S].
        images: [N, C, S, S].
        smoothing: Pixels that differences are averaged over, as the network's are.
    """
    centre, basis = principal(learned)
    away = images.flatten(1).float() - centre
    again = (centre + away @ basis @ basis.T).view_as(images)
    return {
        f"PCA-{basis.shape[1]} of the pixels": heat_of(again, images, smoothing=smoothing)[:, 0],
        "mean image": heat_of(centre.view_as(images[0])[None], images, smoothing=smoothing)[:, 0],
    }


def localised(maps: Tensor, truth: GroundTruth) -> Localised:
    """Pixel AUROC and PRO of maps [N, S, S], over all pixels of all images whose abnormal pixels are known.

    Raises:
        ValueError: no pixel of them is abnormal, or all are.
    """
    scores, masks = maps[truth.known], truth.masks[truth.known]
    try:
        overlap = pro(scores, masks)
    except RegionsError:
        overlap = None
    return Localised(pixel_auroc=auroc(scores.flatten(), masks.flatten()), pro=overlap)


def evaluation_of(
    detector: AnomalyDetector,
    learned: Tensor | None,
    images: Tensor,
    scores: Tensor,
    abnormal: Tensor,
    truth: GroundTruth | None,
) -> DetectionReport:
    """How well a detector and the baselines tell abnormal images, and find where they are.

    Args:
        detector: What gave the scores.
        learned: Other normal images, for the baselines, [M, C, S, S] in [-1, 1]; None where there are none.
        images: What was scored, [N, C, S, S].
        scores: [N, len(detector.scores)].
        abnormal: bool [N], some of each.
        truth: Masks, where there are some.
    """
    told = {name: scores[:, number] for number, name in enumerate(detector.scores)}
    if learned is not None:
        told |= baselines(learned, images)
    found: dict[str, Localised] = {}
    if truth is not None and bool(truth.masks.any()):
        maps = {detector.scores[0]: heat_maps(detector, images)}
        if learned is not None:
            maps |= baseline_maps(learned, images, smoothing=detector.smoothing)
        found = {name: localised(values, truth) for name, values in maps.items()}
        told |= {name: values.mean(dim=(1, 2)) for name, values in maps.items() if name not in told}
    rows = tuple(
        Row(name=row.name, auroc=row.auroc, localised=found.get(row.name)) for row in auroc_rows(told, abnormal)
    )
    lines = truth.lines if truth is not None else ()
    if any(one.pro is None for one in found.values()):
        lines = (*lines, f"no PRO: {INSTALL}")
    if learned is None:
        lines = (
            *lines,
            "no baselines: they need normal images of a train split, separate from those that are scored",
        )
    counts = int((~abnormal).sum()), int(abnormal.sum())
    return DetectionReport(rows=rows, truth=truth, counts=counts, lines=lines)
