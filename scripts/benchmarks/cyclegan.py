"""Step time and peak memory of this toolkit's CycleGAN beside a plain re-statement of the published step, and of CUT.

Published step (Zhu et al., 2017): eager, fp32, NCHW, Adam as PyTorch makes it, each network called for one image and
one role at a time, all six generator passes held in memory at once, transposed convolutions, identity included. The
networks are the same on both sides. A second comparison sets CUT and FastCUT beside this toolkit's CycleGAN.

With --peer the step is that of pytorch-CycleGAN-and-pix2pix itself, from a checkout. Times: what is compared takes
turns, medians of the rounds. Memory: each contender in a process of its own, at its peak and the growth over what it
held before its first step. Measure on a machine that does nothing else.

    python -m scripts.benchmarks.cyclegan [--peer DIR] [--size 256] [--width 64] [--device cuda] [--rounds 5]
        [--json FILE]
"""

import argparse
import copy
import json
import platform
import sys
import tempfile
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from scripts.benchmarks import peer
from scripts.benchmarks.peak import peak, peaks
from scripts.benchmarks.pix2pix import Contender, measure, report
from scripts.studies.resume import draw_pairs
from translate.config import configure
from translate.engine import Display, Engine
from translate.engine.display import device_name
from translate.engine.distributed import World
from translate.inference.device import choose_device
from translate.recipes import open_recipe


class PublishedStep:
    """The published step in its plain form, for networks of any make."""

    def __init__(self, nets: dict[str, nn.Module]) -> None:
        self.g_ab, self.g_ba, self.d_a, self.d_b = (nets[name].train() for name in ("g_ab", "g_ba", "d_a", "d_b"))
        generators = [*self.g_ab.parameters(), *self.g_ba.parameters()]
        discriminators = [*self.d_a.parameters(), *self.d_b.parameters()]
        self.adam_g = torch.optim.Adam(generators, lr=2e-4, betas=(0.5, 0.999))
        self.adam_d = torch.optim.Adam(discriminators, lr=2e-4, betas=(0.5, 0.999))

    @staticmethod
    def _judge(d: nn.Module, images: Tensor, *, real: bool) -> Tensor:
        logits = d(images).logits[0]
        return F.mse_loss(logits, torch.full_like(logits, float(real)))

    def __call__(self, batch: dict[str, Tensor]) -> None:
        a, b = batch["a"], batch["b"]
        for d in (self.d_a, self.d_b):
            d.requires_grad_(False)
        fake_b, fake_a = self.g_ab(a), self.g_ba(b)
        back_a, back_b = self.g_ba(fake_b), self.g_ab(fake_a)
        identity = F.l1_loss(self.g_ab(b), b) + F.l1_loss(self.g_ba(a), a)
        cycle = F.l1_loss(back_a, a) + F.l1_loss(back_b, b)
        gan = self._judge(self.d_b, fake_b, real=True) + self._judge(self.d_a, fake_a, real=True)
        self.adam_g.zero_grad()
        (gan + 10 * cycle + 5 * identity).backward()
        self.adam_g.step()
        self.adam_d.zero_grad()
        for d, real, fake in ((self.d_a, a, fake_a), (self.d_b, b, fake_b)):
            d.requires_grad_(True)
            loss = self._judge(d, real, real=True) + self._judge(d, fake.detach(), real=False)
            (0.5 * loss).backward()
        self.adam_d.step()


def open_engine(kind: str, root: Path, out: Path, given: argparse.Namespace, **method: Any) -> Engine:
    """An engine with this toolkit's defaults; `method` holds what differs."""
    config = configure(
        kind,
        root=root,
        out=out,
        size=given.size,
        workers=1,
        cache_gb=0.0,
        batch_size=given.batch_size,
        device=given.device,
        width=given.width,
        num_blocks=given.blocks,
        d_width=given.width,
        **method,
    )
    recipe, data = open_recipe(config)
    world = World(rank=0, size=1, device=choose_device(given.device))
    return Engine(recipe, data, config=config, world=world, display=Display(enabled=False))


def contenders(root: Path, folder: Path, given: argparse.Namespace) -> dict[str, dict[str, Any]]:
    """By comparison, by contender: how its engine is opened. The first is what the others are measured against."""
    precision = open_engine("cyclegan", root, folder / "probe", given).precision
    same = {"upsampling": "transposed"}
    against: dict[str, Any] = {
        **({peer.NAME: {"kind": "peer"}} if given.peer else {"published": {"kind": "published", **same}}),
        f"translate, {precision}": {"kind": "cyclegan", **same},
        f"translate, {precision}, resize up-path": {"kind": "cyclegan"},
    }
    if precision != "fp32":
        against["translate, fp32"] = {"kind": "cyclegan", **same, "precision": "fp32"}
    if given.compile:
        against[f"translate, {precision}, compiled"] = {"kind": "cyclegan", **same, "compile": True}
    others = {kind: {"kind": kind} for kind in ("cyclegan", "cut", "fastcut")}
    return {"CycleGAN": against, "CUT beside CycleGAN": others}


def prepare(options: dict[str, Any], root: Path, out: Path, given: argparse.Namespace) -> Contender:
    """One step of a contender, ready to be called."""
    device = choose_device(given.device)
    shape = (given.batch_size, 3, given.size, given.size)
    batch = {name: torch.rand(shape, device=device) * 2 - 1 for name in ("a", "b")}
    if options["kind"] == "peer":
        step_of_peer = peer.training_step(given.peer, "cycle_gan", given, device=device)
        return lambda: step_of_peer(batch["a"], batch["b"])
    kind, method = options["kind"], {key: value for key, value in options.items() if key != "kind"}
    engine = open_engine("cyclegan" if kind == "published" else kind, root, out, given, **method)
    if kind != "published":
        return lambda: engine.train_step(batch)
    plain = {name: copy.deepcopy(net).to(memory_format=torch.contiguous_format) for name, net in engine.nets.items()}
    step = PublishedStep(plain)
    return lambda: step(batch)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    peer.add_option(parser)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--threads", type=int, help="PyTorch's; its own choice unless given")
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--blocks", type=int, default=9)
    parser.add_argument("--batch-size", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--calls", type=int, default=1, help="calls a round")
    parser.add_argument("--warmup", type=int, default=1)
    parser.add_argument("--compile", action="store_true", help="a further row with compiled networks")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--memory-of", nargs=2, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.threads is not None:
        torch.set_num_threads(given.threads)
    device = choose_device(given.device)
    results: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        root = draw_pairs(folder / "domains", count=4, size=given.size)
        compared = contenders(root, folder, given)
        if given.memory_of:
            title, contender = given.memory_of
            step = prepare(compared[title][contender], root, folder / "run", given)
            print(json.dumps(peak(step, device)))
            return
        threads = torch.get_num_threads()
        print(f"{device_name(device)}, {threads} threads, torch {torch.__version__}, {platform.platform()}")
        setting = f"ResNet-{given.blocks} {given.width} wide, {given.size} px, batch {given.batch_size}"
        for title, group in compared.items():
            steps = {name: prepare(options, root, folder / f"run-{name}", given) for name, options in group.items()}
            seconds = measure(steps, rounds=given.rounds, calls=given.calls, warmup=given.warmup, device=device)
            steps.clear()
            report(f"{title}: step, {setting}", seconds, images=given.batch_size, results=results)
            program = ["-m", "scripts.benchmarks.cyclegan", *sys.argv[1:], "--memory-of", title]
            programs = {
                name: peer.memory_program("cycle_gan", given, device) if name == peer.NAME else [*program, name]
                for name in group
            }
            peaks(f"{title}: peak memory of a step, {setting}", programs, results)
    if given.json is not None:
        setting_values = {key: str(value) if isinstance(value, Path) else value for key, value in vars(given).items()}
        setting_values |= {
            "device": device_name(device),
            "threads": torch.get_num_threads(),
            "torch": torch.__version__,
        }
        values = {"setting": setting_values, "results": results}
        given.json.write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
