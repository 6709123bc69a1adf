"""Generative adversarial networks: a generator of images from random numbers, against a discriminator.

One recipe: the methods differ in bodies, objective, and what holds the discriminator back (clipped weights, a penalty
on its gradients, spectral norm). A step shows the discriminator a batch; the generator follows every ``n_critic`` of
them, and where that is every step, it learns from the very images that the discriminator has just seen.

Shapes: N batch, C channels, S side, D latents.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from translate.config.base import ConfigError
from translate.config.gans import GANConfig, gan_method
from translate.config.networks import (
    ConvDiscriminatorConfig,
    ConvGeneratorConfig,
    DenseDiscriminatorConfig,
    DenseGeneratorConfig,
    SamplerConfig,
)
from translate.config.training import Precision, RunConfig
from translate.config.weights import Domains, Preprocessing, WeightsConfig
from translate.data.augment import diff_augment
from translate.data.image_set import ImageSet
from translate.inference.device import autocast
from translate.losses import discriminator_loss, generator_loss, gradient_penalty, guessing_loss, r1_penalty
from translate.metrics.sliced_wasserstein import sliced_wasserstein
from translate.networks import ConvJudge, DenseJudge, Judge, Sampler, build_network, initialise
from translate.recipes.base import R1_EVERY, Batch, Exported, Recipe, Scratch, Update, Watched, adam, lazy_r1

LEAST_SIDE = 4  # of the smallest convolutional level
MOST_COLUMNS = 10  # of a sample grid


def halvings(size: int) -> int:
    """How often a side is halved, down to an odd number or to 4 to 7 pixels: 28 -> 2, 32 -> 3, 64 -> 4, 96 -> 4.

    Raises:
        ConfigError: an odd size, or one below 8.
    """
    found = 0
    while size % 2 == 0 and size // 2 >= LEAST_SIDE:
        size, found = size // 2, found + 1
    if found == 0:
        raise ConfigError(
            f"--size {size}: convolutions double a small square, so the size must be even and 8 at least; "
            "choose such as 28, 32, 64 or 96, or --body dense"
        )
    return found


class Clipped(torch.optim.RMSprop):
    """RMSprop that keeps each weight within a bound of 0 (WGAN; Arjovsky et al., 2017, algorithm 1).

    Args:
        parameters: What it trains.
        bound: c.
        rate: Learning rate.
    """

    def __init__(self, parameters: Iterable[nn.Parameter], *, bound: float, rate: float) -> None:
        super().__init__(list(parameters), lr=rate)
        self.bound = bound

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        loss = super().step(closure)
        if self.bound:
            for group in self.param_groups:
                torch._foreach_clamp_min_(group["params"], -self.bound)
                torch._foreach_clamp_max_(group["params"], self.bound)
        return loss


class GAN(Recipe):
    """The recipe; networks ``g`` and ``d``.

    Args:
        config: The configuration.
        data: The images, which decide channels and size; with labels, for a conditional one.

    Raises:
        ConfigError: a conditional one without two classes, or a size that the networks cannot make.
    """

    kept = ("latents",)
    command = "sample {} -o OUT.png"

    def __init__(self, config: GANConfig, data: ImageSet) -> None:
        self.name = gan_method(config)
        self.config, self.run, self.data = config, config.run, data
        self.class_names = _classes(data) if config.conditional else ()
        self.network_config: SamplerConfig
        num_classes = len(self.class_names)
        channels, size = data.format.channels, data.size
        if config.body == "dense":
            hidden = config.hidden or (256, 512)
            self.network_config = DenseGeneratorConfig(
                channels=channels, size=size, num_classes=num_classes, latent=config.latent, hidden=hidden
            )
            self.d: Judge = DenseJudge(
                DenseDiscriminatorConfig(channels=channels, size=size, num_classes=num_classes, hidden=hidden[::-1])
            )
        else:
            levels = halvings(data.size)
            self.network_config = ConvGeneratorConfig(
                channels=channels,
                size=size,
                num_classes=num_classes,
                latent=config.latent,
                width=config.width or 64,
                num_upsamplings=levels,
                norm=config.norm or "batch",
            )
            self.d = ConvJudge(
                ConvDiscriminatorConfig(
                    channels=channels,
                    size=size,
                    num_classes=num_classes,
                    width=config.d_width or 64,
                    num_downsamplings=levels,
                    norm=config.d_norm or "batch",
                )
            )
        self.g: Sampler = build_network(self.network_config)
        for network in (self.g, self.d):
            initialise(network, kind=config.run.init)
        if config.d_norm == "spectral":
            self.d.under_spectral_norm()
        self.nets = {"g": self.g, "d": self.d}
        self.ema_nets = ("g",) if config.run.ema_half_life else ()
        self.mixes = config.body == "conv" and (config.d_norm or "batch") == "batch"
        self.updates = self._updates()
        if (guessing := guessing_loss(config.adversarial)) is not None:
            self.guessing_losses = {"d": guessing}
        self.remedies = {
            **Recipe.remedies,
            "collapsed": "another --seed, translate train hinge or wgan-gp, or more images",
            "overpowered": "--d-norm none --r1-weight 1, --augment translation, a smaller --d-width, or more images",
        }

    def _updates(self) -> tuple[Update, ...]:
        config = self.config
        every = config.n_critic
        d_losses = (self.d_loss, self.penalty_loss) if config.penalty_weight else (self.d_loss,)
        # frozen=(): the images made for the discriminator are backpropagated in the generator's own update.
        updates = [
            Update(
                name="d",
                optimizer="d",
                trains=("d",),
                losses=d_losses,
                frozen=() if every == 1 else None,
                double_backward=bool(config.penalty_weight),
            ),
            Update(name="g", optimizer="g", trains=("g",), losses=(self.g_loss,), every=every),
        ]
        if config.r1_weight:
            updates.append(lazy_r1(("d",), (self.r1_loss,)))
        return tuple(updates)

    @property
    def announcement(self) -> list[str]:
        unscored = [] if len(self.data.part("val")) else ["no validation images: best/ is not kept (--hold-out 0.05)"]
        if not self.config.conditional:
            return unscored
        counts = zip(self.class_names, self.data.class_counts, strict=True)
        lonely = [name for name, count in counts if count == 1]
        heart = [f"class {', '.join(lonely)} has one image, which will be learned by heart"] if lonely else []
        return [*unscored, *heart]

    def optimizers(self) -> dict[str, Optimizer]:
        config = self.config
        lazy = R1_EVERY if config.r1_weight else 0
        if config.optimizer == "rmsprop":
            return {
                "g": _rmsprop(self.g.parameters(), self.run, bound=0.0),
                "d": _rmsprop(self.d.parameters(), self.run, bound=config.clip),
            }
        if config.clip:
            raise ConfigError("--clip goes with --optimizer rmsprop, as published")
        return {"g": adam(self.g.parameters(), self.run), "d": adam(self.d.parameters(), self.run, lazy=lazy)}

    # The step

    def _labels(self, batch: Batch) -> Tensor | None:
        return batch["label"] if self.config.conditional else None

    def _fake(self, batch: Batch, scratch: Scratch) -> Tensor:
        """Images of the step's latents, and of the classes of its real images."""
        images = batch["images"]
        if "latents" not in scratch:
            scratch["latents"] = torch.randn(len(images), self.config.latent, device=images.device)
        return self.g(scratch["latents"], self._labels(batch))

    def _judge(self, images: Tensor, labels: Tensor | None) -> Tensor:
        return self.d(diff_augment(images, self.config.augment), labels)

    def d_loss(self, batch: Batch, scratch: Scratch) -> dict[str, Tensor]:
        scratch["fake"] = self._fake(batch, scratch)
        scratch["seen"] = scratch["fake"].detach()
        real, fake, labels = batch["images"], scratch["seen"], self._labels(batch)
        if self.mixes:  # statistics of real and fake must not mix
            real_logits, fake_logits = self._judge(real, labels), self._judge(fake, labels)
        else:
            twice = None if labels is None else torch.cat([labels, labels])
            real_logits, fake_logits = self._judge(torch.cat([real, fake.to(real.dtype)]), twice).chunk(2)
        return {"d": discriminator_loss(real_logits, fake_logits, kind=self.config.adversarial)}

    def penalty_loss(self, batch: Batch, scratch: Scratch) -> dict[str, Tensor]:
        labels = self._labels(batch)
        with torch.no_grad():
            fake = scratch["seen"] if "seen" in scratch else self._fake(batch, scratch)
        penalty = gradient_penalty(lambda images: self._judge(images, labels), batch["images"], fake)
        return {"penalty": self.config.penalty_weight * penalty}

    def g_loss(self, batch: Batch, scratch: Scratch) -> dict[str, Tensor]:
        fake = scratch["fake"] if "fake" in scratch and scratch["fake"].requires_grad else self._fake(batch, scratch)
        return {"g": generator_loss(self._judge(fake, self._labels(batch)), kind=self.config.adversarial)}

    def r1_loss(self, batch: Batch, scratch: Scratch) -> dict[str, Tensor]:
        real = batch["images"].detach().requires_grad_()
        return {"d_r1": self.config.r1_weight / 2 * r1_penalty(self._judge(real, self._labels(batch)), real)}

    def watched(self, batch: Batch, scratch: Scratch) -> dict[str, Watched]:
        if "seen" not in scratch:
            return {}
        return {"g": Watched(output=scratch["seen"], target=batch["images"])}

    # Pictures and scores

    def _made(self, network: nn.Module, count: int, *, labels: Tensor | None, device: torch.device) -> Tensor:
        generator = torch.Generator().manual_seed(self.run.seed)
        latents = torch.randn(count, self.config.latent, generator=generator).to(device)
        was_training = network.training
        with torch.inference_mode():
            made = network.eval()(latents, labels).float()
        network.train(was_training)
        return made

    def sample(self, nets: dict[str, nn.Module], batch: Batch, *, precision: Precision) -> dict[str, Tensor]:
        """A column for each class, or three of no class; always of the same latents."""
        real = batch["images"]
        rows = len(real)
        headings = self.class_names[:MOST_COLUMNS] or ("sample", "another", "and another")
        count = rows * len(headings)
        labels = None
        if self.config.conditional:
            labels = torch.arange(len(headings), device=real.device).repeat_interleave(rows)
        with autocast(precision, real.device):
            made = self._made(nets["g"], count, labels=labels, device=real.device)
        return {"real": real, **dict(zip(headings, made.split(rows), strict=True))}

    def validate(self, nets: dict[str, nn.Module], batch: Batch, *, precision: Precision) -> dict[str, Tensor]:
        """The sliced Wasserstein distance of as many samples from the validation images: no network is needed."""
        real = batch["images"]
        made = self._made(nets["g"], len(real), labels=self._labels(batch), device=real.device)
        return {"sliced_wasserstein": sliced_wasserstein(made, real)}

    def exports(self) -> dict[str, Exported]:
        bits: Literal[8, 16] = 16 if self.data.format.bits == 16 else 8
        config = WeightsConfig(
            kind="generator",
            name=self.run.out.resolve().name,
            network=self.network_config,
            preprocessing=Preprocessing(size=self.data.size, bits=bits, alpha=self.data.config.alpha),
            domains=Domains(source="random numbers", target="images"),
            noise="never",
            classes=self.class_names,
        )
        return {".": ("g", config)}


def _classes(data: ImageSet) -> tuple[str, ...]:
    names = data.class_names
    if not names:
        raise ConfigError(
            f"{data.config.root} has no labels, which --conditional needs: put the images into one folder a class, "
            "give idx or .npz files with labels, --attribute for CelebA, or leave out --conditional"
        )
    counts = data.class_counts
    if sum(count > 0 for count in counts) < 2:
        raise ConfigError(f"{data.config.root} has one class: there is nothing to ask for, leave out --conditional")
    if missing := [name for name, count in zip(names, counts, strict=True) if not count]:
        raise ConfigError(
            f"{data.config.root} has no training images of class {missing[0]!r}: add some, or name the others with "
            "--classes"
        )
    return names


def _rmsprop(parameters: Iterable[nn.Parameter], run: RunConfig, *, bound: float) -> Optimizer:
    optimizer = Clipped(parameters, bound=bound, rate=run.learning_rate)
    for group in optimizer.param_groups:
        group["initial_lr"] = run.learning_rate
    return optimizer
