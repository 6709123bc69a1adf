"""Show that the detectors are silent on healthy runs, and see planted faults within 200 steps.

Healthy: fifty short runs of CycleGAN, CUT, FastCUT and Pix2Pix, each with its own seed, its own drawn images, and
settings that take turns. Faults: a generator that gives back its input, one that inverts it, one that makes one image
of all, a discriminator against a generator that lays chequers over its input, a loss that becomes NaN; each with
several seeds.

    python -m scripts.studies.detectors [--runs 50] [--steps 300] [--data DIR]
"""

import argparse
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from scripts.studies.resume import draw_pairs
from translate.config import configure
from translate.engine import Display, Engine, TrainingError
from translate.engine.distributed import World
from translate.networks import Generator
from translate.recipes import open_recipe

SETTINGS: list[tuple[str, dict[str, Any]]] = [
    ("cyclegan", {}),
    ("cut", {}),
    ("cyclegan", {"augment": ("colour", "translation", "cutout")}),
    ("pix2pix", {"depth": 4}),
    ("fastcut", {}),
    ("cyclegan", {"generator": "unet", "depth": 4}),
    ("pix2pix", {"generator": "resnet"}),
    ("cut", {"adversarial": "hinge"}),
    ("cyclegan", {"adversarial": "vanilla"}),
    ("pix2pix", {"depth": 4, "adversarial": "lsgan"}),
]


def chequers(images: Tensor) -> Tensor:
    """A pattern of single pixels that no drawn image has."""
    rows, columns = (torch.arange(length) for length in images.shape[-2:])
    return ((rows[:, None] + columns) % 2 * 2.0 - 1).expand_as(images)


FAULTS = {
    "nothing": lambda images: images,
    "inverted": lambda images: -images,
    "collapsed": lambda images: images * 0.01 + 0.3,
    "overpowered": lambda images: images * 0.3 + chequers(images) * 0.7,
}


class Fault(Generator):
    """A generator that has gone wrong, with one weight that hardly matters."""

    stride, minimum_size = 1, 1

    def __init__(self, kind: str, config: Any) -> None:
        super().__init__()
        self.kind, self.config = kind, config
        self.weight = nn.Parameter(torch.zeros(()))

    def forward(self, images: Tensor) -> Tensor:
        return FAULTS[self.kind](images) + 0.001 * self.weight.tanh()


def train(
    method: str, root: Path, out: Path, *, steps: int, seed: int, fault: str | None = None, **given: Any
) -> tuple[list[str], int]:
    """Train; all that was said as a warning or an error, and the step at which it was first said."""
    small: dict[str, Any] = {"width": 8, "d_width": 16, "d_layers": 2, **given}
    if method != "pix2pix" and small.get("generator", "resnet") == "resnet":
        small["num_blocks"] = 2
    config = configure(
        method, root=root, size=32, workers=1, out=out, images=steps, seed=seed, device="cpu", precision="fp32",
        log_every=50, sample_every=10**9, checkpoint_every=10**9, **small,
    )  # fmt: skip
    torch.manual_seed(seed)
    recipe, data = open_recipe(config)
    if fault in FAULTS:
        recipe.g_ab = recipe.nets["g_ab"] = Fault(fault, recipe.configs["g_ab"])  # type: ignore[attr-defined]
        recipe.exports = dict  # type: ignore[method-assign]
    elif fault == "not finite":
        first = recipe.updates[0]
        whole, calls = first.losses[0], []

        def broken(batch: dict[str, Tensor], scratch: dict[str, Tensor]) -> dict[str, Tensor]:
            calls.append(1)
            terms = whole(batch, scratch)
            return {name: term * float("nan") for name, term in terms.items()} if len(calls) > 20 else terms

        recipe.updates = (replace(first, losses=(broken, *first.losses[1:])), *recipe.updates[1:])
    engine = Engine(
        recipe, data, config=config, world=World(rank=0, size=1, device=torch.device("cpu")),
        display=Display(enabled=False),
    )  # fmt: skip
    said: list[str] = []
    at: list[int] = []

    def say(line: str) -> None:
        if line.startswith("warning: "):
            said.append(line.removeprefix("warning: "))
            at.append(engine.images)

    engine.display.say = say  # type: ignore[method-assign]
    try:
        engine.train()
    except TrainingError as error:
        if not said:
            said.append(str(error))
            at.append(engine.images)
    finally:
        data.close()
    return said, min(at, default=0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=50, help="healthy ones")
    parser.add_argument("--faulty", type=int, default=3, help="runs of each fault")
    parser.add_argument("--steps", type=int, default=300, help="of a healthy run")
    parser.add_argument("--data", type=Path, help="paired data for every run; drawn anew for each unless given")
    given = parser.parse_args()
    torch.set_num_threads(1)
    failed = 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)

        def root(number: int) -> Path:
            return given.data or draw_pairs(folder / f"data-{number}", count=24, size=48, first=1000 * number)

        for number in range(given.runs):
            method, setting = SETTINGS[number % len(SETTINGS)]
            said, at = train(method, root(number), folder / f"run-{number}", steps=given.steps, seed=number, **setting)
            what = f"{method} {setting or ''}".strip()
            if said:
                failed += 1
                print(f"healthy run {number} ({what}): after {at} steps: {'; '.join(said)}", flush=True)
        print(f"{given.runs - failed} of {given.runs} healthy runs of {given.steps} steps without an alarm", flush=True)
        for kind in (*FAULTS, "not finite"):
            steps = []
            for seed in range(given.faulty):
                rate = {"learning_rate": 2e-3} if kind == "overpowered" else {}
                said, at = train(
                    "cyclegan", root(seed), folder / f"{kind}-{seed}", steps=200, seed=seed, fault=kind, **rate
                )
                words = {"nothing": "hardly changes", "inverted": "inverts colours", "collapsed": "has collapsed"}
                word = words.get(kind, {"overpowered": "dominates"}.get(kind, "not finite"))
                if not any(word in line for line in said):
                    failed += 1
                    print(f"{kind}, seed {seed}: not seen; said: {said}", flush=True)
                else:
                    steps.append(at)
            print(f"{kind}: seen in {len(steps)} of {given.faulty} runs, after {steps} steps", flush=True)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
