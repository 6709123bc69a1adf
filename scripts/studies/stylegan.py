"""StyleGAN on faces: growing beside not growing and beside a DCGAN of equal time, final weights, several seeds.

Equal time: how many images a second each trains on, at each size, is measured first, in turns; each then gets the
images that it would see in --minutes, without augmentation. Distances are taken in the features of a classifier of
quarter turns that is trained on the faces. Beside them, those of held-out faces and of a Gaussian in pixel space; how
far a sample is from the nearest training image, and how much two of them differ, beside real ones: copies or a
collapse would show there.

    python -m scripts.studies.stylegan FACES --out DIR [--size 32] [--seeds 0 1 2] [--minutes 5] [--json FILE]
"""

import argparse
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from scripts.studies.gans import TENTHS, configured, rates, report, scored
from translate.config import ImageSetConfig, StyleGANConfig, run_config
from translate.config.training import MethodConfig
from translate.inference import contact_sheet, load_sampler
from translate.recipes.growth import Growth

Row = dict[str, Any]
METHODS = ("dcgan", "growing", "not growing")
SHARE = 0.1  # of the images of a run, for which a size stays, and over which it fades in


def stylegan(
    data: ImageSetConfig, out: Path, *, seed: int, images: int, grow: bool, given: argparse.Namespace
) -> StyleGANConfig:
    run = run_config(
        "stylegan", out=out, seed=seed, images=images, device=given.device, precision="fp32", keep=TENTHS,
        log_every=5_000, batch_size=given.batch_size, sample_every=20_000, checkpoint_every=max(1, images // TENTHS),
        schedule="linear", decay_from=0.7, learning_rate=given.learning_rate,
    )  # fmt: skip
    some = max(1, round(SHARE * images))
    return StyleGANConfig(
        data=data, run=run, grow=grow, width=given.width, path_weight=0.0, stay_images=some, fade_images=some,
    )  # fmt: skip


def seconds_of(config: StyleGANConfig, speed: dict[int, float], *, size: int) -> float:
    """How long a run takes that grows, by the images a second at each size."""
    first = config.grow_from if config.grow else size
    sizes = tuple(side for side in (4 * 2**number for number in range(9)) if first <= side <= size)
    growth = Growth(sizes=sizes, batch_size=config.run.batch_size, stay=config.stay_images, fade=config.fade_images)
    total, seconds = config.run.images or 0, 0.0
    stages = growth.stages()
    for stage, until in zip(stages, [*[later.start for later in stages[1:]], total], strict=True):
        assert stage.size is not None
        seconds += max(0, min(until, total) - stage.start) / speed[stage.size]
    return seconds


def fitting(make: Callable[[int], StyleGANConfig], speed: dict[int, float], *, size: int, minutes: float) -> int:
    """So many images as take so many minutes, to a thousandth, by halving."""
    low, high = 1, 10**8
    while high - low > max(1, low // 1000):
        middle = (low + high) // 2
        low, high = (middle, high) if seconds_of(make(middle), speed, size=size) <= 60 * minutes else (low, middle)
    return low


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--out", type=Path, required=True, help="of the runs; what is there already is gone on with")
    parser.add_argument("--size", type=int, default=32)
    parser.add_argument("--width", type=int, default=16, help="of StyleGAN, at 64 px")
    parser.add_argument("--seeds", type=int, nargs="*", default=[0, 1, 2], help="none: measure the rates alone")
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=METHODS)
    parser.add_argument(
        "--batch-size", type=int, default=8, help="of StyleGAN at the full size; small ones learn sooner"
    )
    parser.add_argument("--learning-rate", type=float, default=0.006, help="of StyleGAN; 0.002 is for days")
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--num-images", type=int, default=5_000, help="scored")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    data = ImageSetConfig(root=given.data, size=given.size, flip=True, hold_out=0.1)

    def style(images: int, seed: int, grow: bool) -> StyleGANConfig:
        out = given.out / f"style-{'on' if grow else 'off'}-{seed}"
        return stylegan(data, out, seed=seed, images=images, grow=grow, given=given)

    def dcgan(images: int, seed: int) -> MethodConfig:
        run = {"device": given.device, "images": images, "batch_size": 32}
        run |= {"checkpoint_every": max(1, images // TENTHS), "schedule": "linear", "ema_half_life": 10_000.0}
        options = {"width": 64, "d_width": 64, "augment": ()}
        return configured("dcgan", data, given.out / f"style-dcgan-{seed}", seed=seed, run=run, **options)

    sizes = [side for side in (8, 16, 32, 64, 128, 256) if side <= given.size]
    one_size = {
        f"stylegan, {side} px": replace(
            style(1, 0, "off"),
            data=replace(data, size=side),
            run=replace(style(1, 0, "off").run, batch_size=given.batch_size * min(4, given.size // side)),
        )
        for side in sizes
    }
    speed = rates({"dcgan": dcgan(1, 0), **one_size}, given.out / "style-rates.json", steps=16)
    by_size = {side: speed[f"stylegan, {side} px"] for side in sizes}
    rows: list[Row] = []
    for seed in given.seeds:
        for method in given.methods:
            if method == "dcgan":
                config: MethodConfig = dcgan(round(speed["dcgan"] * 60 * given.minutes), seed)
            else:
                grow = method == "growing"

                def make(images: int, seed: int = seed, grow: bool = grow) -> StyleGANConfig:
                    return style(images, seed, grow)

                config = make(fitting(make, by_size, size=given.size, minutes=given.minutes))
            row = scored(
                config,
                given.data,
                given.out,
                classifier=given.out / f"style-classifier-{given.size}",
                num_images=given.num_images,
                cas=False,
            )
            rows.append({"method": method, **row})
            print(rows[-1], flush=True)
            sheet = contact_sheet(load_sampler(config.run.out, device=given.device).sample(60, seed=0), columns=10)
            sheet.save(given.out / f"style-{method.replace(' ', '-')}-{seed}.png")
    report(rows)
    if given.json is not None:
        given.json.write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
