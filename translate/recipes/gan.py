"""Generative adversarial networks: a generator of images from random numbers, against a discriminator.

One recipe: the methods differ in bodies, objective, and what holds the discriminator back (clipped weights, a penalty
on its gradients, spectral norm). A step shows the discriminator a batch; the generator follows every ``n_critic`` of
them, and where that is every step, it learns from the very images that the discriminator has just seen.

Shapes: N batch, C channels, S side, D latents.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from translate.blocks.keyed import keyed_normal
from translate.config.base import ConfigError
from translate.config.gans import GANConfig
from translate.config.networks import (
    ConvDiscriminatorConfig,
    ConvGeneratorConfig,
    DenseDiscriminatorConfig,
    DenseGeneratorConfig,
    LatentGeneratorConfig,
)
from translate.config.training import RunConfig
from translate.data.augment import diff_augment
from translate.data.image_set import ImageSet
from translate.losses import discriminator_fake_loss, gradient_penalty
from translate.networks import (
    ConvDiscriminator,
    DenseDiscriminator,
    Discriminator,
    LatentGenerator,
    build_network,
    initialise,
)
from translate.recipes.adversary import Adversary, guessing_losses
from translate.recipes.base import R1_EVERY, Batch, Recipe, Scratch, Update, adam, lazy_r1
from translate.recipes.sampling import Sampling

LEAST_SIDE = 4  # of the smallest convolutional level


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
            f"--size {size}: convolutions double a small square, so the size must be even and at least 8; "
            "choose 28, 32, 64 or 96, for example, or --body dense"
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
        """Take a step, then clip every weight to ``[-bound, bound]`` (WGAN)."""
        loss = super().step(closure)
        if self.bound:
            for group in self.param_groups:
                torch._foreach_clamp_min_(group["params"], -self.bound)
                torch._foreach_clamp_max_(group["params"], self.bound)
        return loss


class GAN(Sampling):
    """The recipe; networks ``g`` and ``d``.

    Args:
        config: The configuration.
        data: The images, which decide channels and size; with labels, for a conditional one.

    Raises:
        ConfigError: a conditional one without two classes, or a size that the networks cannot make.
    """

    def __init__(self, config: GANConfig, data: ImageSet) -> None:
        super().__init__(config, data)
        self.config, self.run = config, config.run
        num_classes = len(self.class_names)
        channels, size = data.format.channels, data.size
        if config.body == "dense":
            hidden = config.hidden or (256, 512)
            self.network_config: LatentGeneratorConfig = DenseGeneratorConfig(
                channels=channels, size=size, num_classes=num_classes, latent=config.latent, hidden=hidden
            )
            self.d: Discriminator = DenseDiscriminator(
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
            self.d = ConvDiscriminator(
                ConvDiscriminatorConfig(
                    channels=channels,
                    size=size,
                    num_classes=num_classes,
                    width=config.d_width or 64,
                    num_downsamplings=levels,
                    norm=config.d_norm or "batch",
                )
            )
        self.g: LatentGenerator = build_network(self.network_config)
        for network in (self.g, self.d):
            initialise(network, kind=config.run.init)
        if config.d_norm == "spectral":
            self.d.under_spectral_norm()
        self.nets = {"g": self.g, "d": self.d}
        self.ema_nets = ("g",) if config.run.ema_half_life else ()
        self.adversary = Adversary(
            self.d,
            kind=config.adversarial,
            augment=lambda images: diff_augment(images, config.augment),
            batch_norm=config.body == "conv" and (config.d_norm or "batch") == "batch",
        )
        self.updates = self._updates()
        self.guessing_losses = guessing_losses(d=self.adversary)
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

    def optimizers(self) -> dict[str, Optimizer]:
        """Adam, or RMSprop with clipped weights (WGAN), for each network at the full learning rate."""
        config, run = self.config, self.run
        d_run = replace(run, learning_rate=run.learning_rate * config.d_rate)
        lazy = R1_EVERY if config.r1_weight else 0
        if config.optimizer == "rmsprop":
            return {
                "g": _rmsprop(self.g.parameters(), run, bound=0.0),
                "d": _rmsprop(self.d.parameters(), d_run, bound=config.clip),
            }
        if config.clip:
            raise ConfigError("--clip requires --optimizer rmsprop, as published")
        return {"g": adam(self.g.parameters(), run), "d": adam(self.d.parameters(), d_run, lazy=lazy)}

    # The step

    def _fake(self, batch: Batch, scratch: Scratch) -> Tensor:
        """Images of the step's latents, and of the classes of its real images."""
        return self.g(keyed_normal(scratch["keys"], self.latent), self._labels(batch))

    def d_loss(self, batch: Batch, scratch: Scratch) -> dict[str, Tensor]:
        """Adversarial loss of the discriminator on real and generated images, and of wrong labels."""
        scratch["fake"] = self._fake(batch, scratch)
        scratch["seen"] = scratch["fake"].detach()
        real, fake, labels = batch["images"], scratch["seen"], self._labels(batch)
        losses = {}
        if self.config.mismatch_weight:
            losses["mismatch"] = self.config.mismatch_weight * self._mismatch_loss(real, labels)
        return {"d": self.adversary.d_loss(real, fake, labels), **losses}

    def _mismatch_loss(self, real: Tensor, labels: Tensor | None) -> Tensor:
        """Of real images under the name of another class, which count as if they were generated."""
        assert labels is not None
        count = len(self.class_names)
        others = (labels + torch.randint(1, count, labels.shape, device=labels.device)) % count
        return discriminator_fake_loss(self.adversary.logits(real, others), kind=self.config.adversarial)

    def penalty_loss(self, batch: Batch, scratch: Scratch) -> dict[str, Tensor]:
        """Gradient penalty between real and generated images (Gulrajani et al., 2017, eq. 3)."""
        labels = self._labels(batch)
        with torch.no_grad():
            fake = scratch["seen"] if "seen" in scratch else self._fake(batch, scratch)
        penalty = gradient_penalty(lambda images: self.adversary.logits(images, labels), batch["images"], fake)
        return {"penalty": self.config.penalty_weight * penalty}

    def g_loss(self, batch: Batch, scratch: Scratch) -> dict[str, Tensor]:
        """Adversarial loss of the generator."""
        fake = scratch["fake"] if "fake" in scratch and scratch["fake"].requires_grad else self._fake(batch, scratch)
        return {"g": self.adversary.g_loss(fake, self._labels(batch))}

    def r1_loss(self, batch: Batch, scratch: Scratch) -> dict[str, Tensor]:
        """R1 penalty on real images (Mescheder et al., 2018)."""
        penalty = self.adversary.r1_loss(batch["images"], self._labels(batch), weight=self.config.r1_weight)
        return {"d_r1": penalty}


def _rmsprop(parameters: Iterable[nn.Parameter], run: RunConfig, *, bound: float) -> Optimizer:
    optimizer = Clipped(parameters, bound=bound, rate=run.learning_rate)
    for group in optimizer.param_groups:
        group["initial_lr"] = run.learning_rate
    return optimizer
