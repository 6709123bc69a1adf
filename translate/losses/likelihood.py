"""What probability a decoder gives to images, and the bounds on it that variational autoencoders are trained by.

Everything is in nats and summed over the pixels and latents of an image: a mean over pixels would weigh the divergence
hundreds of times too heavily, and it would vanish. Losses are means over the batch of these sums.

Shapes: N batch, K samples of an image, D latents.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from translate.blocks.precision import at_least_float32

LOG_2_PI = math.log(2 * math.pi)


def bernoulli_log_likelihood(logits: Tensor, targets: Tensor) -> Tensor:
    """log p(x | z) of pixels that are white with probability sigmoid(logits), ``sum x log p + (1 - x) log (1 - p)``.

    For grey targets, taken for probabilities, it is the negative cross-entropy, and no likelihood.

    Args:
        logits: [N, ...].
        targets: [N, ...] in [0, 1].

    Returns:
        [N], at most 0.

    Raises:
        ValueError: the shapes differ.
    """
    logits, targets = _alike(logits, targets)
    return -F.binary_cross_entropy_with_logits(logits, targets, reduction="none").flatten(1).sum(dim=1)


def gaussian_log_likelihood(mean: Tensor, targets: Tensor, log_scale: Tensor) -> Tensor:
    """log p(x | z) of values around a mean with one deviation, exp(log_scale) (Rybkin et al., 2021, sigma-VAE).

    Args:
        mean: [N, ...].
        targets: [N, ...], the same shape.
        log_scale: A scalar, or of a shape that goes with it.

    Returns:
        [N], log-densities, of any sign.

    Raises:
        ValueError: the shapes differ.
    """
    mean, targets = _alike(mean, targets)
    return _log_normal(targets, mean, 2 * at_least_float32(log_scale)).flatten(1).sum(dim=1)


def gaussian_kl(mean: Tensor, log_variance: Tensor, *, free_bits: float = 0.0) -> Tensor:
    """Divergence of a diagonal Gaussian from the standard one: ``sum (mu^2 + s^2 - log s^2 - 1) / 2``.

    Source: Kingma and Welling, 2013, appendix B. With free bits (Kingma et al., 2016, appendix C.8) each latent counts
    for its mean over the batch, and for `free_bits` where that is less.

    Args:
        mean: [N, D].
        log_variance: [N, D].
        free_bits: In nats a latent.

    Returns:
        A scalar: the mean over the batch.

    Raises:
        ValueError: the shapes differ.
    """
    mean, log_variance = _alike(mean, log_variance)
    each = 0.5 * (mean.square() + log_variance.exp() - log_variance - 1).mean(dim=0)  # [D]
    return each.clamp_min(free_bits).sum() if free_bits else each.sum()


def log_weights(log_likelihood: Tensor, latents: Tensor, mean: Tensor, log_variance: Tensor) -> Tensor:
    """log of the importance weights, ``log p(x | z) + log p(z) - log q(z | x)``.

    Args:
        log_likelihood: [N, K].
        latents: [N, K, D], drawn from q.
        mean: [N, D], of q.
        log_variance: [N, D], of q.

    Returns:
        [N, K].
    """
    latents, mean, log_variance = (at_least_float32(tensor) for tensor in (latents, mean, log_variance))
    prior = _log_normal(latents, torch.zeros_like(latents), torch.zeros_like(latents)).sum(dim=-1)
    posterior = _log_normal(latents, mean[:, None], log_variance[:, None]).sum(dim=-1)
    return at_least_float32(log_likelihood) + prior - posterior


def importance_weighted_bound(weights: Tensor) -> Tensor:
    """``log 1/K sum w_k`` of log-weights [N, K]: at most log p(x) in expectation, nearer with more samples.

    Source: Burda et al., 2015 (IWAE), eq. 8; with K = 1 it is the evidence lower bound.

    Returns:
        [N].
    """
    return torch.logsumexp(weights, dim=1) - math.log(weights.shape[1])


def reparameterised(mean: Tensor, log_variance: Tensor, *, num_samples: int = 1) -> Tensor:
    """``mu + s * e`` with standard normal e, so that gradients reach mu and s: [N, D] -> [N, K, D]."""
    mean, log_variance = at_least_float32(mean), at_least_float32(log_variance)
    noise = torch.randn((len(mean), num_samples, mean.shape[1]), dtype=mean.dtype, device=mean.device)
    return mean[:, None] + (0.5 * log_variance).exp()[:, None] * noise


def _log_normal(x: Tensor, mean: Tensor, log_variance: Tensor) -> Tensor:
    return -0.5 * (LOG_2_PI + log_variance + (x - mean).square() * (-log_variance).exp())


def _alike(first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
    if first.shape != second.shape:  # broadcasting would hide a mistake
        raise ValueError(f"expected equal shapes, got {tuple(first.shape)} and {tuple(second.shape)}")
    return at_least_float32(first), at_least_float32(second)
