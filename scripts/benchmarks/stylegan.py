"""Step time and memory of this toolkit's StyleGAN beside a plain re-statement of the published step, same networks.

Published: eager, fp32, NCHW, a convolution in groups with weights of its own for every image, new images for the
generator's step, real and generated images judged in calls of their own. A call is sixteen steps, so that it holds one
R1 penalty and four path length penalties. Takes turns; medians of the rounds. Measure on a machine that does nothing
else.

    python -m scripts.benchmarks.stylegan [--sizes 64] [--width 32] [--batch-size 16] [--device cuda] [--json FILE]
"""

import argparse
import copy
import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from scripts.benchmarks.pix2pix import measure, report
from translate.blocks.style import EPSILON, ModulatedConv, fir_kernel
from translate.config import ImageSetConfig, StyleGANConfig, run_config
from translate.engine import Display, Engine
from translate.engine.distributed import World
from translate.inference.device import choose_device
from translate.networks import StyleDiscriminator, StyleGenerator
from translate.recipes import open_recipe

STEPS = 16


class GroupedConv(ModulatedConv):
    """The published form: weights of its own for every image, all in one convolution of as many groups."""

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        count, channels, height, width = x.shape
        outside, side = len(self.weight), self.kernel_size
        weight = self.scale * self.weight[None] * self.affine(style).view(count, 1, channels, 1, 1)
        if self.demodulate:
            weight = weight * self.gain * (weight.square().sum((2, 3, 4), keepdim=True) + EPSILON).rsqrt()
        x = x.reshape(1, -1, height, width)
        if self.up:
            weight = weight.transpose(1, 2).reshape(count * channels, outside, side, side)
            x = F.conv_transpose2d(x, weight, stride=2, groups=count)
            blur = 4 * fir_kernel().to(x.device).expand(outside, 1, -1, -1)
            return F.conv2d(x.view(count, outside, *x.shape[2:]), blur, padding=1, groups=outside)
        weight = weight.view(count * outside, channels, side, side)
        return F.conv2d(x, weight, padding=side // 2, groups=count).view(count, outside, height, width)


class PublishedStep:
    """StyleGAN2's loss in its plain form, at one size."""

    def __init__(self, g: StyleGenerator, d: StyleDiscriminator, config: StyleGANConfig, gamma: float) -> None:
        self.g, self.d, self.config, self.gamma = g, d, config, gamma
        for module in g.modules():
            if isinstance(module, ModulatedConv):
                module.__class__ = GroupedConv
        rate = config.run.learning_rate
        self.g_optimizer = torch.optim.Adam(g.parameters(), lr=rate * 4 / 5, betas=(0.0, 0.99 ** (4 / 5)))
        self.d_optimizer = torch.optim.Adam(d.parameters(), lr=rate * 16 / 17, betas=(0.0, 0.99 ** (16 / 17)))
        self.mean: Tensor | float = 0.0
        self.number = 0

    def _styles(self, count: int, device: torch.device) -> Tensor:
        styles, others = (self.g.styles(torch.randn(count, self.config.latent, device=device)) for _ in range(2))
        first = int(torch.randint(1, styles.shape[1], ()))
        return torch.cat([styles[:, :first], others[:, first:]], dim=1)

    def _made(self, count: int, device: torch.device) -> Tensor:
        return self.g.synthesis(self._styles(count, device), noise="random")

    def __call__(self, real: Tensor) -> None:
        count, device = len(real), real.device
        self.d.requires_grad_(True)
        with torch.no_grad():
            fake = self._made(count, device)
        self._step(self.d_optimizer, F.softplus(-self.d(real)).mean() + F.softplus(self.d(fake)).mean())
        if self.number % 16 == 0:
            seen = real.detach().requires_grad_()
            (gradient,) = torch.autograd.grad(self.d(seen).sum(), seen, create_graph=True)
            self._step(self.d_optimizer, 16 * self.gamma / 2 * gradient.square().sum((1, 2, 3)).mean())
        self.d.requires_grad_(False)
        self._step(self.g_optimizer, F.softplus(-self.d(self._made(count, device))).mean())
        if self.number % 4 == 0 and self.config.path_weight:
            styles = self._styles(max(1, count // 2), device)
            images = self.g.synthesis(styles, noise="random")
            noise = torch.randn_like(images) / (images.shape[2] * images.shape[3]) ** 0.5
            (gradient,) = torch.autograd.grad((images * noise).sum(), styles, create_graph=True)
            lengths = gradient.square().sum(2).mean(1).sqrt()
            self.mean = self.mean + 0.01 * (lengths.mean().detach() - self.mean)
            self._step(self.g_optimizer, 4 * self.config.path_weight * (lengths - self.mean).square().mean())
        self.number += 1

    @staticmethod
    def _step(optimizer: torch.optim.Optimizer, loss: Tensor) -> None:
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def open_engine(folder: Path, given: argparse.Namespace, size: int) -> Engine:
    noise = np.random.default_rng(0).integers(0, 256, (200, size, size, 3), dtype=np.uint8)
    np.savez(folder / "noise.npz", images=noise)
    run = run_config(
        "stylegan",
        out=folder / "run",
        device=given.device,
        precision=given.precision,
        batch_size=given.batch_size,
        images=10**9,
        compile=given.compile,
    )
    data = ImageSetConfig(root=folder / "noise.npz")
    config = StyleGANConfig(data=data, run=run, width=given.width, grow=False)
    recipe, images = open_recipe(config)
    world = World(rank=0, size=1, device=choose_device(given.device))
    return Engine(recipe, images, config=config, world=world, display=Display(enabled=False))


def peak(call: Any, device: torch.device) -> float:
    """GiB that a call takes at most beyond what is there; of a GPU only."""
    torch.cuda.reset_peak_memory_stats(device)
    before = torch.cuda.memory_allocated(device)
    call()
    return (torch.cuda.max_memory_allocated(device) - before) / 2**30


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[64, 128])
    parser.add_argument("--width", type=int, default=32)
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--precision", default="auto", choices=["auto", "fp32", "bf16", "fp16"])
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    if given.threads:
        torch.set_num_threads(given.threads)
    results: dict[str, Any] = {}
    for size in given.sizes:
        with tempfile.TemporaryDirectory() as folder:
            engine = open_engine(Path(folder), given, size)
            device = engine.device
            plain: list[nn.Module] = [
                copy.deepcopy(engine.nets[name]).to(memory_format=torch.contiguous_format) for name in ("g", "d")
            ]
            published = PublishedStep(plain[0], plain[1], engine.config, engine.recipe.r1_weight)
            real = torch.rand(given.batch_size, 3, size, size, device=device) * 2 - 1

            def ours(engine: Engine = engine, real: Tensor = real) -> None:
                for _ in range(STEPS):
                    engine.recipe.advance(engine.progress, engine.optimizers)
                    engine.train_step({"images": real})
                    engine.images += len(real)

            def theirs(published: PublishedStep = published, real: Tensor = real) -> None:
                for _ in range(STEPS):
                    published(real)

            contenders = {"published, grouped": theirs, f"translate, {engine.precision}": ours}
            seconds = measure(contenders, rounds=given.rounds, calls=1, warmup=1, device=device)
            title = f"stylegan, {size} px, width {given.width}, batch {given.batch_size}"
            report(title, seconds, images=STEPS * given.batch_size, results=results)
            if device.type == "cuda":
                for name, call in contenders.items():
                    results[f"{title}: {name}"]["gib"] = peak(call, device)
                    print(f"{name:34}{results[f'{title}: {name}']['gib']:.2f} GiB")
    if given.json is not None:
        given.json.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
