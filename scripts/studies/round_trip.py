"""What an identity network changes of a file between reading and writing: how many values, by kind of input and output.

Inputs are drawn, written by Pillow, tifffile and NumPy, translated by `translate_files` with a network that returns
what it is given, and read again; the values read are compared with those of the input as it is read. RGBA is for a
network of four channels; one of three sees its colours over white. A dash: the format cannot hold the input.

    python -m scripts.studies.round_trip [--size 61 47] [--json FILE]
"""

from __future__ import annotations

import argparse
import io
import json
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import tifffile
from PIL import Image, ImageCms
from torch import Tensor

from translate.config import Preprocessing, ResNetConfig, WeightsConfig
from translate.data.images import read_image
from translate.inference import translate_files
from translate.inference.translator import Translator
from translate.networks.generator import Generator

FORMATS = (".png", ".tif", ".webp", ".npy")
MEASURED = (".tif", ".npy")


class Identity(Generator):
    """Returns its input; strides as a U-Net does, so that images are padded."""

    stride, minimum_size = 16, 16

    def forward(self, images: Tensor) -> Tensor:
        return images


def identity(channels: int) -> Translator:
    """A translator that changes nothing."""
    network = ResNetConfig(in_channels=channels, out_channels=channels, width=2, num_blocks=0)
    alpha = "keep" if channels == 4 else "composite"
    config = WeightsConfig(
        kind="translator", name="identity", network=network, preprocessing=Preprocessing(alpha=alpha)
    )
    return Translator(Identity(), config, device="cpu", precision="fp32")


def profile() -> bytes:
    """An RGB profile."""
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def inputs(folder: Path, width: int, height: int) -> dict[str, tuple[Path, int]]:
    """Files of every kind, and the channels of the network for each."""
    drawn = np.random.default_rng(0)
    found: dict[str, tuple[Path, int]] = {}

    def add(name: str, channels: int, suffix: str, write: Callable[[Path], object]) -> None:
        path = folder / f"{len(found):02}{suffix}"
        write(path)
        found[name] = path, channels

    def values(channels: int, dtype: type) -> np.ndarray:
        shape = (height, width) if channels == 1 else (height, width, channels)
        if np.issubdtype(dtype, np.floating):
            return drawn.normal(0, 100, shape).astype(dtype)
        info = np.iinfo(dtype)
        return drawn.integers(info.min, info.max, shape, dtype, endpoint=True)

    def tiff(array: np.ndarray, **options: object) -> Callable[[Path], object]:
        return lambda path: tifffile.imwrite(path, array, **options)

    for bits, dtype in ((8, np.uint8), (16, np.uint16)):
        for channels, name in ((1, "grey"), (3, "RGB")):
            kind = "minisblack" if channels == 1 else "rgb"
            add(f"{name}, {bits} bits", channels, ".tif", tiff(values(channels, dtype), photometric=kind))
        array = values(4, dtype)
        add(f"RGBA, {bits} bits", 4, ".tif", tiff(array, photometric="rgb", extrasamples=["unassalpha"]))
    rgb = Image.fromarray(values(3, np.uint8))
    add("palette", 3, ".png", lambda path: rgb.quantize(200).save(path))
    add("CMYK", 3, ".tif", lambda path: rgb.convert("CMYK").save(path))
    add("JPEG", 3, ".jpg", lambda path: rgb.save(path, quality=90))
    add("with ICC profile", 3, ".png", lambda path: rgb.save(path, icc_profile=profile()))
    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[274] = orientation
        block = io.BytesIO(exif.tobytes()).getvalue()
        add(f"orientation {orientation}", 3, ".png", lambda path, block=block: rgb.save(path, exif=block))
    for dtype in (np.int16, np.float32):
        for channels in (1, 5):
            array = np.moveaxis(values(channels, dtype), -1, 0) if channels > 1 else values(1, dtype)
            name = f"{np.dtype(dtype).name}, {channels} channel{'s' * (channels > 1)}"
            options = {"photometric": "minisblack", "planarconfig": "separate"} if channels > 1 else {}
            add(f"{name}, TIFF", channels, ".tif", tiff(array, **options))
            plain = values(channels, dtype)
            add(f"{name}, NumPy", channels, ".npy", lambda path, plain=plain: np.save(path, plain))
    add("12 bands, 16 bits", 12, ".npy", lambda path: np.save(path, values(12, np.uint16)))
    return found


def changed(source: Path, target: Path, channels: int) -> int:
    """How many values of `source` an identity network changes on the way to `target`.

    Raises:
        ValueError: it could not be translated.
    """
    summary = translate_files(identity(channels), [source], [target])
    if summary.failed:
        raise ValueError(next(iter(summary.failed.values())))
    before, after = read_image(source).pixels, read_image(target).pixels
    if before.shape[2] == 1 and after.shape[2] == 3:  # WebP knows no grey
        before = before.repeat(3, axis=2)
    same_kind = before.shape == after.shape and before.dtype == after.dtype
    return int((before != after).sum()) if same_kind else before.size


def holds(source: Path, suffix: str) -> bool:
    """Whether a format can hold what a file has."""
    picture = read_image(source)
    if picture.bands:
        return suffix in MEASURED
    return picture.bits == 8 or suffix != ".webp"


def table(width: int, height: int) -> dict[str, dict[str, int | None]]:
    """Changed values by input and format; None where the format cannot hold the input."""
    rows: dict[str, dict[str, int | None]] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for kind, (path, channels) in inputs(folder, width, height).items():
            rows[kind] = {}
            for suffix in FORMATS:
                target = folder / f"out-{path.stem}{suffix}"
                rows[kind][suffix] = changed(path, target, channels) if holds(path, suffix) else None
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, nargs=2, default=[61, 47], metavar=("WIDTH", "HEIGHT"))
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    rows = table(*given.size)
    print(f"{'values changed':28}" + "".join(f"{suffix:>8}" for suffix in FORMATS))
    for kind, row in rows.items():
        print(f"{kind:28}" + "".join(f"{'-' if count is None else count:>8}" for count in row.values()))
    if given.json is not None:
        given.json.write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
