"""Step time of this toolkit's GANs beside plain re-statements of the published steps, on the same networks.

Published steps: eager, fp32, NCHW, optimizers as PyTorch makes them, real and generated images judged in calls of their
own, new images for the generator's step (DCGAN's code uses those of the discriminator's). A call is one step of the
generator with all the discriminator's steps that belong to it.

What is compared takes turns, medians of the rounds. Measure on a machine that does nothing else.

    python -m scripts.benchmarks.gans [--size 64] [--width 64] [--batch-size 64] [--device cuda] [--json FILE]
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

from scripts.benchmarks.pix2pix import Contender, measure, report
from scripts.studies.gans import GANS, configured, engine_step, open_engine
from translate.config import METHODS, GANConfig, ImageSetConfig
from translate.inference.device import choose_device


class PublishedStep:
    """The published step of a method in its plain form."""

    def __init__(self, g: nn.Module, d: nn.Module, config: GANConfig) -> None:
        self.g, self.d, self.config = g.train(), d.train(), config
        run = config.run
        if config.optimizer == "rmsprop":
            self.optimizers = [torch.optim.RMSprop(net.parameters(), lr=run.learning_rate) for net in (g, d)]
        else:
            betas = (float(run.beta1), float(run.beta2))
            self.optimizers = [torch.optim.Adam(net.parameters(), lr=run.learning_rate, betas=betas) for net in (g, d)]

    def _fake(self, real: Tensor) -> Tensor:
        return self.g(torch.randn(len(real), self.config.latent, device=real.device))

    def _losses(self, real: Tensor, fake: Tensor) -> Tensor:
        on_real, on_fake = self.d(real), self.d(fake)
        match self.config.adversarial:
            case "wasserstein":
                return on_fake.mean() - on_real.mean()
            case "hinge":
                return F.relu(1 - on_real).mean() + F.relu(1 + on_fake).mean()
        ones = torch.ones_like(on_real)
        return F.binary_cross_entropy_with_logits(on_real, ones) + F.binary_cross_entropy_with_logits(on_fake, 0 * ones)

    def _penalty(self, real: Tensor, fake: Tensor) -> Tensor:
        share = torch.rand(len(real), 1, 1, 1, device=real.device)
        between = (real + share * (fake - real)).requires_grad_()
        (gradient,) = torch.autograd.grad(self.d(between).sum(), between, create_graph=True)
        return (gradient.flatten(1).norm(dim=1) - 1).square().mean()

    def __call__(self, real: Tensor) -> None:
        g_optimizer, d_optimizer = self.optimizers
        self.d.requires_grad_(True)
        for _ in range(self.config.n_critic):
            fake = self._fake(real)
            d_optimizer.zero_grad()
            loss = self._losses(real, fake.detach())
            if self.config.penalty_weight:
                loss = loss + self.config.penalty_weight * self._penalty(real, fake.detach())
            loss.backward()
            d_optimizer.step()
            if self.config.clip:
                for parameter in self.d.parameters():
                    parameter.data.clamp_(-self.config.clip, self.config.clip)
        self.d.requires_grad_(False)
        g_optimizer.zero_grad()
        judged = self.d(fake if self.config.n_critic == 1 else self._fake(real))
        plain = self.config.adversarial in ("wasserstein", "hinge")
        (-judged.mean() if plain else F.softplus(-judged).mean()).backward()
        g_optimizer.step()


def contenders(method: str, folder: Path, given: argparse.Namespace) -> dict[str, Contender]:
    """The steps that are compared."""
    device = choose_device(given.device)
    noise = np.random.default_rng(0).integers(0, 256, (8, given.size, given.size, 3), dtype=np.uint8)
    np.savez(folder / "noise.npz", images=noise)
    options: dict[str, Any] = {} if method == "gan" else {"width": given.width, "d_width": given.width}
    run = {"batch_size": given.batch_size, "device": given.device, "precision": "auto", "ema_half_life": 0.0}
    data = ImageSetConfig(root=folder / "noise.npz")
    config = configured(method, data, folder / method, seed=0, run=run, **options)
    engine = open_engine(config)
    plain = [copy.deepcopy(engine.nets[name]).to(memory_format=torch.contiguous_format) for name in ("g", "d")]
    published = PublishedStep(plain[0], plain[1], config)
    real = torch.rand(given.batch_size, 3, given.size, given.size, device=device) * 2 - 1
    ours = engine_step(engine, config.n_critic, real)
    return {"published": lambda: published(real), f"translate, {engine.precision}": ours}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--methods", nargs="+", choices=GANS, default=GANS)
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--calls", type=int, default=1)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    if given.threads:
        torch.set_num_threads(given.threads)
    results: dict[str, Any] = {}
    for method in given.methods:
        with tempfile.TemporaryDirectory() as folder:
            compared = contenders(method, Path(folder), given)
            device = choose_device(given.device)
            seconds = measure(compared, rounds=given.rounds, calls=given.calls, warmup=1, device=device)
        images = given.batch_size * METHODS[method].preset.get("n_critic", 1)
        report(f"{method}, {given.size} px, batch {given.batch_size}", seconds, images=images, results=results)
    if given.json is not None:
        given.json.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
