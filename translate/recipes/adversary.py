"""The discriminator's part of every adversarial recipe: how it sees images, its loss, and what it tells the generator.

A recipe says what is real and what is generated; a new one writes its generator's other losses only.

Shapes: N real images, M generated ones (as many, or more), C channels, H height, W width.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import torch
from torch import Tensor, nn

from translate.losses import discriminator_loss, generator_loss, guessing_loss, r1_penalty
from translate.losses.adversarial import AdversarialKind, Logits


class Adversary:
    """A discriminator, and the game that is played against it.

    Args:
        network: From images, and labels where it is conditional, to logits or to an output that has ``logits``.
        kind: The objective (`translate.losses.adversarial`).
        augment: Random, differentiable changes of every image that the discriminator sees, real or generated (Zhao et
            al., 2020); none by default.
        batch_norm: Whether the discriminator has one: then real and generated images go through it one after the
            other, so that their statistics do not mix; otherwise together, which is faster.
        fake_first: Whether generated images go first where the two go one after the other, as in pix2pix's code: the
            running statistics of batch norm depend on it.
        r1_at: The images at which R1 takes the gradient: as ``given``, through the augmentation, or as ``seen``, after
            one that cannot be differentiated twice.
    """

    def __init__(
        self,
        network: nn.Module,
        *,
        kind: AdversarialKind,
        augment: Callable[[Tensor], Tensor] | None = None,
        batch_norm: bool = False,
        fake_first: bool = False,
        r1_at: Literal["given", "seen"] = "given",
    ) -> None:
        self.network, self.kind, self.batch_norm, self.r1_at = network, kind, batch_norm, r1_at
        self.fake_first = fake_first
        self.augment = augment if augment is not None else _unchanged

    @property
    def guessing_loss(self) -> float | None:
        """The loss of a discriminator that cannot tell real from generated; None where the objective has no such."""
        return guessing_loss(self.kind)

    def output(self, images: Tensor, labels: Tensor | None = None) -> Any:
        """What the network says of images [N, C, H, W], after the augmentation."""
        images = self.augment(images)
        return self.network(images) if labels is None else self.network(images, labels)

    def logits(self, images: Tensor, labels: Tensor | None = None) -> Logits:
        """Logits of images [N, C, H, W]: one tensor, or one for each scale."""
        return _logits(self.output(images, labels))

    def compare(
        self, real: Tensor, fake: Tensor, labels: Tensor | None = None, *, together: bool = True
    ) -> tuple[list[Tensor], list[Tensor]]:
        """Logits of real and of generated images, a tensor for each scale.

        Args:
            real: [N, C, H, W].
            fake: [M, C, H, W], detached.
            labels: Of the real images, and of the generated ones (then N is M).
            together: False for one pass each, as with batch norm.
        """
        fake = fake.to(real.dtype)
        if (self.batch_norm or not together) and self.fake_first:
            fake_logits = _scales(self.logits(fake, labels))
            return _scales(self.logits(real, labels)), fake_logits
        if self.batch_norm or not together:
            return _scales(self.logits(real, labels)), _scales(self.logits(fake, labels))
        twice = None if labels is None else torch.cat([labels, labels])
        both = [scale.split([len(real), len(fake)]) for scale in _scales(self.logits(torch.cat([real, fake]), twice))]
        return [first for first, _ in both], [second for _, second in both]

    def d_loss(self, real: Tensor, fake: Tensor, labels: Tensor | None = None) -> Tensor:
        """What the discriminator minimises on real [N, C, H, W] and detached generated images [M, C, H, W]."""
        return discriminator_loss(*self.compare(real, fake, labels), kind=self.kind)

    def g_loss(self, fake: Tensor, labels: Tensor | None = None) -> Tensor:
        """What the generator minimises on its images [M, C, H, W]."""
        return generator_loss(self.logits(fake, labels), kind=self.kind)

    def r1_loss(self, real: Tensor, labels: Tensor | None = None, *, weight: float) -> Tensor:
        """R1 penalty at real images [N, C, H, W] (Mescheder et al., 2018, eq. 9): ``weight`` is gamma."""
        if self.r1_at == "seen":
            real = self.augment(real).detach().requires_grad_()
            output = self.network(real) if labels is None else self.network(real, labels)
            logits = _logits(output)
        else:
            real = real.detach().requires_grad_()
            logits = self.logits(real, labels)
        return weight / 2 * r1_penalty(logits, real)


def guessing_losses(**adversaries: Adversary) -> dict[str, float]:
    """For the detectors: by the name of a discriminator's loss, what it is for one that cannot tell."""
    found = {name: adversary.guessing_loss for name, adversary in adversaries.items()}
    return {name: loss for name, loss in found.items() if loss is not None}


def _unchanged(images: Tensor) -> Tensor:
    return images


def _logits(output: Any) -> Logits:
    return output if isinstance(output, Tensor) else output.logits


def _scales(logits: Logits) -> list[Tensor]:
    return [logits] if isinstance(logits, Tensor) else list(logits)
