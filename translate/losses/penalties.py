"""Gradient penalties for discriminators, differentiable with respect to the discriminator's weights.

The score of an image is the mean of its patch logits (and of its scales), which is what the adversarial losses average:
the weight of a penalty then does not depend on the number of patches. With one logit an image this is the published
penalty; code that sums the patches (CycleGAN's repository, for one) has a larger one for a PatchGAN.
Both need double backward: run the discriminator eagerly and in float32.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from translate.blocks.precision import at_least_float32
from translate.losses.adversarial import Logits, scales_of


def r1_penalty(logits: Logits, real: Tensor) -> Tensor:
    """R1, the squared gradient of the score at real images: E_x ||grad_x D(x)||^2.

    The factor gamma / 2 (and the interval of a lazy penalty) is left to the caller.
    Source: Mescheder et al. 2018, "Which training methods for GANs do actually converge?", eq. 9.

    Args:
        logits: the discriminator's logits of `real`, [N, ...], one tensor or one for each scale.
        real: the real images [N, C, H, W] with `requires_grad`, set before the discriminator saw them.

    Returns:
        A scalar, float32 (float64 for float64 images).

    Raises:
        ValueError: `real` does not require gradients, or `logits` do not depend on it.

    Example:
        >>> real = torch.ones(2, 3, 4, 4, requires_grad=True)
        >>> r1_penalty(real.sum(dim=(1, 2, 3)), real)  # the gradient is one everywhere: 3 * 4 * 4
        tensor(48.)
    """
    if not real.requires_grad:
        raise ValueError(
            "R1 needs the gradient at the real images; call real.requires_grad_() before the discriminator"
        )
    return _score_gradient(logits, real).square().sum(dim=1).mean()


def gradient_penalty(
    discriminator: Callable[[Tensor], Logits],
    real: Tensor,
    fake: Tensor,
    *,
    centre: float = 1.0,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Gradient penalty between real and generated images: E_z (||grad_z D(z)|| - centre)^2.

    z = (1 - epsilon) x + epsilon y with one epsilon ~ U[0, 1) for each pair. The factor lambda is left to the caller.
    Source: Gulrajani et al. 2017, eq. 3 (WGAN-GP, centre 1, lambda 10); centre 0 is that of Thanh-Tung et al. 2019.

    Args:
        discriminator: from images to logits; close over the condition of a conditional discriminator.
        real: real images [N, C, H, W].
        fake: generated images of the same shape. Both are detached.
        centre: the gradient norm that costs nothing.
        generator: source of epsilon; it may live on another device than the images.

    Returns:
        A scalar, float32 (float64 for float64 images).

    Raises:
        ValueError: the shapes differ, or the logits do not depend on the images.
    """
    if real.shape != fake.shape:
        raise ValueError(
            f"real {tuple(real.shape)} and fake {tuple(fake.shape)} must have the same shape to be interpolated"
        )
    real, fake = at_least_float32(real.detach()), at_least_float32(fake.detach())
    draw_device = real.device if generator is None else generator.device
    epsilon = torch.rand(real.shape[0], generator=generator, device=draw_device, dtype=real.dtype).to(real.device)
    between = torch.lerp(real, fake, epsilon.view(-1, *[1] * (real.dim() - 1))).requires_grad_()
    with torch.autocast(real.device.type, enabled=False):
        gradient = _score_gradient(discriminator(between), between)
    # The derivative of vector_norm at zero is zero, where that of a square root of a sum would be NaN.
    return (torch.linalg.vector_norm(gradient, dim=1) - centre).square().mean()


def _score_gradient(logits: Logits, images: Tensor) -> Tensor:
    """Gradient of each image's score with respect to that image, [N, C * H * W], with a graph."""
    scores = torch.stack([scale.reshape(len(scale), -1).mean(dim=1) for scale in scales_of(logits)]).mean(dim=0)  # [N]
    if not scores.requires_grad:
        raise ValueError(
            "the logits carry no graph; run the discriminator with gradients enabled and without detaching"
        )
    # Images do not see each other, so the gradient of the sum holds the gradient of each score.
    (gradient,) = torch.autograd.grad(scores.sum(), images, create_graph=True, allow_unused=True)
    if gradient is None:
        raise ValueError("the logits do not depend on the images; pass the very tensor that the discriminator saw")
    return at_least_float32(gradient).flatten(1)


def path_length_penalty(images: Tensor, styles: Tensor, mean: Tensor) -> tuple[Tensor, Tensor]:
    """How unevenly an image changes with its style: E (||J^T y||_2 - a)^2.

    J is the derivative of the image by the styles, y a random image, a the running mean of the lengths. The weight, and
    the factor of a lazy penalty, are left to the caller.
    Source: Karras et al. 2020, "Analyzing and improving the image quality of StyleGAN", eq. 4.

    Args:
        images: [N, C, H, W], made of the styles with a graph.
        styles: [N, L, D] that require gradients.
        mean: a, a scalar.

    Returns:
        The penalty, a scalar, and the lengths [N], without gradients, for the running mean.
    """
    noise = torch.randn_like(images) / (images.shape[2] * images.shape[3]) ** 0.5
    (gradient,) = torch.autograd.grad((images * noise).sum(), styles, create_graph=True)
    lengths = at_least_float32(gradient).square().sum(dim=2).mean(dim=1).sqrt()  # [N]
    return (lengths - mean).square().mean(), lengths.detach()
