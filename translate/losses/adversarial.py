"""Adversarial losses on raw logits (no sigmoid in the discriminator).

Four criteria score one set of logits against "real" or "fake"; the losses of discriminator and generator combine them:

    kind             discriminator                          generator        source
    vanilla          1/2 (BCE(D(x), 1) + BCE(D(y), 0))      BCE(D(y), 1)     Isola et al. 2017 (pix2pix)
    non-saturating   BCE(D(x), 1) + BCE(D(y), 0)            BCE(D(y), 1)     Goodfellow et al. 2014, section 3
    saturating       BCE(D(x), 1) + BCE(D(y), 0)            -BCE(D(y), 0)    Goodfellow et al. 2014, eq. 1
    lsgan            1/2 ((D(x) - 1)^2 + D(y)^2)            (D(y) - 1)^2     Mao et al. 2017, as in CycleGAN
    hinge            max(0, 1 - D(x)) + max(0, 1 + D(y))    -D(y)            Lim and Ye 2017, Miyato et al. 2018
    wasserstein      D(y) - D(x)                            -D(y)            Arjovsky et al. 2017, eq. 2

with x real and y generated. What pix2pix calls vanilla *is* the non-saturating loss: the two differ only in the factor
1/2 that pix2pix puts before the discriminator's loss to slow it down. `discriminator_gain` gives that factor to callers
that need the real and the fake term apart.

Logits are one tensor of any shape (a PatchGAN's [N, 1, h, w]), or a sequence of tensors, one for each scale of a
multi-scale discriminator. A loss is the mean over batch and patches, then over scales: every scale counts the same
(pix2pixHD sums them).
"""

from collections.abc import Callable, Sequence
from typing import Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor

from translate.blocks.precision import at_least_float32

AdversarialKind = Literal["vanilla", "non-saturating", "saturating", "lsgan", "hinge", "wasserstein"]
Logits = Tensor | Sequence[Tensor]


def binary_cross_entropy(logits: Logits, *, target_is_real: bool) -> Tensor:
    """Binary cross-entropy with logits: -log sigmoid(D) for real, -log(1 - sigmoid(D)) for fake.

    Both are softplus(-+D), which neither overflows nor loses its gradient. Source: Goodfellow et al. 2014, eq. 1.
    """
    return _mean_over_scales(logits, lambda scale: F.softplus(-scale if target_is_real else scale))


def least_squares(logits: Logits, *, target_is_real: bool) -> Tensor:
    """(D - 1)^2 for real, D^2 for fake. Source: Mao et al. 2017, eq. 9 (a = 0, b = c = 1), without its factor 1/2."""
    return _mean_over_scales(logits, lambda scale: (scale - float(target_is_real)).square())


def hinge(logits: Logits, *, target_is_real: bool) -> Tensor:
    """max(0, 1 - D) for real, max(0, 1 + D) for fake: the discriminator's terms. Source: Miyato et al. 2018, eq. 16."""
    return _mean_over_scales(logits, lambda scale: F.relu(1 - scale if target_is_real else 1 + scale))


def wasserstein(logits: Logits, *, target_is_real: bool) -> Tensor:
    """-D for real, D for fake. Source: Arjovsky et al. 2017, eq. 2; the critic must be Lipschitz (see penalties)."""
    return _mean_over_scales(logits, lambda scale: -scale if target_is_real else scale)


def discriminator_gain(kind: AdversarialKind) -> float:
    """Factor before the sum of the real and the fake term: 0.5 for vanilla and lsgan, 1 for the others.

    Raises:
        ValueError: `kind` is unknown.
    """
    _criterion(kind)
    return 0.5 if kind in ("vanilla", "lsgan") else 1.0


def guessing_loss(kind: AdversarialKind) -> float | None:
    """The discriminator's loss when it cannot tell real from fake and says so; None where it has no such value.

    ln 2 for vanilla, 2 ln 2 for the other cross-entropies, 1/4 for lsgan, 2 for hinge; a Wasserstein critic's loss is
    an estimate of a distance.

    Raises:
        ValueError: `kind` is unknown.
    """
    if kind == "wasserstein":
        return None
    undecided = torch.full((1,), 0.5 if kind == "lsgan" else 0.0)
    return float(discriminator_loss(undecided, undecided, kind=kind))


def discriminator_real_loss(real_logits: Logits, *, kind: AdversarialKind) -> Tensor:
    """The discriminator's term for real images, without `discriminator_gain`.

    Args:
        real_logits: logits of real images, one tensor or one for each scale.
        kind: the objective, see the table above.

    Returns:
        A scalar, float32 (float64 for float64 logits).

    Raises:
        ValueError: `kind` is unknown, or there are no logits.
    """
    return _criterion(kind)(real_logits, target_is_real=True)


def discriminator_fake_loss(fake_logits: Logits, *, kind: AdversarialKind) -> Tensor:
    """The discriminator's term for generated images, without `discriminator_gain`.

    Args:
        fake_logits: logits of generated, detached images, one tensor or one for each scale.
        kind: the objective, see the table above.

    Returns:
        A scalar, float32 (float64 for float64 logits).

    Raises:
        ValueError: `kind` is unknown, or there are no logits.
    """
    return _criterion(kind)(fake_logits, target_is_real=False)


def discriminator_loss(real_logits: Logits, fake_logits: Logits, *, kind: AdversarialKind) -> Tensor:
    """What the discriminator minimises: gain * (real term + fake term), as published (table above).

    Args:
        real_logits: logits of real images, one tensor or one for each scale.
        fake_logits: logits of generated, detached images; as many scales, but not necessarily as many images.
        kind: the objective.

    Returns:
        A scalar, float32 (float64 for float64 logits).

    Raises:
        ValueError: `kind` is unknown, there are no logits, or the numbers of scales differ.

    Example:
        >>> discriminator_loss(torch.zeros(2, 1, 3, 3), torch.zeros(2, 1, 3, 3), kind="lsgan")
        tensor(0.5000)
    """
    num_real, num_fake = len(scales_of(real_logits)), len(scales_of(fake_logits))
    if num_real != num_fake:
        raise ValueError(
            f"real logits have {num_real} scales and fake logits {num_fake}; pass both from one discriminator"
        )
    real = discriminator_real_loss(real_logits, kind=kind)
    fake = discriminator_fake_loss(fake_logits, kind=kind)
    return discriminator_gain(kind) * (real + fake)


def generator_loss(fake_logits: Logits, *, kind: AdversarialKind) -> Tensor:
    """What the generator minimises (table above).

    Args:
        fake_logits: logits of generated images, one tensor or one for each scale.
        kind: the objective. "vanilla" and "non-saturating" are the same here.

    Returns:
        A scalar, float32 (float64 for float64 logits).

    Raises:
        ValueError: `kind` is unknown, or there are no logits.
    """
    match kind:
        case "saturating":
            return -binary_cross_entropy(fake_logits, target_is_real=False)
        case "hinge":  # the margin is the discriminator's alone
            return wasserstein(fake_logits, target_is_real=True)
        case _:
            return _criterion(kind)(fake_logits, target_is_real=True)


def scales_of(logits: Logits) -> tuple[Tensor, ...]:
    """The logits as one tensor for each scale, in full precision.

    Raises:
        ValueError: there is no tensor, or one without elements.
    """
    scales = (logits,) if isinstance(logits, Tensor) else tuple(logits)
    if not scales or any(scale.numel() == 0 for scale in scales):
        shapes = [tuple(scale.shape) for scale in scales]
        raise ValueError(f"no logits to average: expected one or more non-empty tensors, got shapes {shapes}")
    return tuple(at_least_float32(scale) for scale in scales)


def _criterion(kind: AdversarialKind) -> Callable[..., Tensor]:
    match kind:
        case "vanilla" | "non-saturating" | "saturating":
            return binary_cross_entropy
        case "lsgan":
            return least_squares
        case "hinge":
            return hinge
        case "wasserstein":
            return wasserstein
    raise ValueError(f"unknown adversarial loss {kind!r}; choose one of {', '.join(get_args(AdversarialKind))}")


def _mean_over_scales(logits: Logits, term: Callable[[Tensor], Tensor]) -> Tensor:
    return torch.stack([term(scale).mean() for scale in scales_of(logits)]).mean()
