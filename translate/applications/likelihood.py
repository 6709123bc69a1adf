"""How likely a variational autoencoder finds images: an estimate of -log p(x) by importance sampling.

``-log 1/K sum p(x, z_k) / q(z_k | x)`` with K samples of each image (Burda et al., 2015): in expectation an upper bound
on the negative log-likelihood, nearer to it with more samples.

Shapes: N images, K samples, C channels, S side.
"""

from __future__ import annotations

import torch
from torch import Tensor

from translate.losses import importance_weighted_bound
from translate.networks import Autoencoder
from translate.recipes.vae import importance_weights

ROWS = 20_000  # decoded at once


@torch.inference_mode()
def negative_log_likelihood(network: Autoencoder, images: Tensor, *, num_samples: int = 200, seed: int = 0) -> Tensor:
    """Nats of each image, with exactly `num_samples` samples of each.

    Args:
        network: Variational.
        images: [N, C, S, S] in [-1, 1]; black and white for Bernoulli pixels, for which grey ones have no likelihood.
        num_samples: K.
        seed: Of the samples; the caller's random state is left as it was.

    Returns:
        [N], float64 on the CPU.
    """
    assert network.config.variational
    rows = max(1, ROWS // num_samples)
    network.eval()
    found = []
    with torch.random.fork_rng(devices=[images.device] if images.is_cuda else []):
        torch.manual_seed(seed)
        for part in images.split(rows):
            weights = importance_weights(network, part, num_samples=num_samples)
            found.append(-importance_weighted_bound(weights.double()).cpu())
    return torch.cat(found)
