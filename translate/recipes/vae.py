"""The variational autoencoder (Kingma and Welling, 2013), and the importance-weighted one (Burda et al., 2015).

The loss is the negative of a bound on log p(x), in nats an image: the log-likelihood summed over the pixels, less the
divergence of the latents from the prior in closed form. With ``--importance-samples`` above 1 it is the tighter bound.

Shapes: N batch, K samples, C channels, S side, D latents.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from translate.config.autoencoders import VAEConfig
from translate.config.training import Precision
from translate.data.image_set import ImageSet
from translate.losses import (
    bernoulli_log_likelihood,
    gaussian_kl,
    gaussian_log_likelihood,
    importance_weighted_bound,
    log_weights,
    reparameterised,
)
from translate.networks import Autoencoder
from translate.networks.modes import evaluating
from translate.recipes.autoencoder import VectorRecipe, body_config
from translate.recipes.base import Batch, Progress, Scratch


def log_likelihood(network: Autoencoder, latents: Tensor, images: Tensor) -> Tensor:
    """log p(x | z) of images [N, C, S, S] in [-1, 1] for latents [N, K, D]: [N, K], in nats.

    For Gaussian pixels it is a density of values in [-1, 1].
    """
    count, num_samples = latents.shape[:2]
    raw = network.decode(latents.flatten(0, 1))
    targets = images.repeat_interleave(num_samples, dim=0)
    if network.log_scale is None:
        found = bernoulli_log_likelihood(raw, (targets + 1) / 2)
    else:
        found = gaussian_log_likelihood(raw, targets, network.log_scale)
    return found.unflatten(0, (count, num_samples))


def importance_weights(network: Autoencoder, images: Tensor, *, num_samples: int) -> Tensor:
    """log-weights [N, K] of K fresh samples of the latents of each image [N, C, S, S]."""
    code = network.encode(images)
    assert code.log_variance is not None
    latents = reparameterised(code.mean, code.log_variance, num_samples=num_samples)
    return log_weights(log_likelihood(network, latents, images), latents, code.mean, code.log_variance)


class VAE(VectorRecipe):
    """The recipe.

    Args:
        config: The configuration.
        data: The images, which decide channels and size.
    """

    @classmethod
    def open_data(cls, config: VAEConfig, *, cache: Path | None = None) -> ImageSet:
        """The data that this method learns from."""
        return ImageSet(config.data, cache=cache, binarise=config.binarise == "once")

    def __init__(self, config: VAEConfig, data: ImageSet) -> None:
        self.config = config
        network = body_config(
            config, channels=data.format.channels, size=data.size, likelihood=config.likelihood, variational=True
        )
        super().__init__(config, data, network)
        self.beta = config.beta

    def advance(self, progress: Progress, optimizers: dict[str, Optimizer]) -> float:
        """Set the learning rates and the weight of the KL term while it warms up."""
        warm = progress.images / self.config.warm_up if progress.images < self.config.warm_up else 1.0
        self.beta = self.config.beta * warm
        return super().advance(progress, optimizers)

    def loss(self, batch: Batch, scratch: Scratch) -> dict[str, Tensor]:
        """Negative evidence lower bound per image in nats (Kingma and Welling, 2013), or the tighter one of IWAE."""
        images = batch["images"]
        if self.config.binarise == "always":
            images = 2 * torch.bernoulli((images + 1) / 2) - 1
        if self.config.importance_samples > 1:
            weights = importance_weights(self.ae, images, num_samples=self.config.importance_samples)
            return {"bound": -importance_weighted_bound(weights).mean()}
        code = self.ae.encode(images)
        assert code.log_variance is not None
        latents = reparameterised(code.mean, code.log_variance)
        return {
            "reconstruction": -log_likelihood(self.ae, latents, images).mean(),
            "kl": self.beta * gaussian_kl(code.mean, code.log_variance, free_bits=self.config.free_bits),
        }

    def sample(self, nets: dict[str, nn.Module], batch: Batch, *, precision: Precision) -> dict[str, Tensor]:
        """Images, their reconstructions, and as many new ones, always from the same latents."""
        columns, network = super().sample(nets, batch, precision=precision), nets["ae"]
        assert isinstance(network, Autoencoder)
        generator = torch.Generator().manual_seed(self.run.seed)
        latents = torch.randn(len(batch["images"]), self.config.latent, generator=generator)
        with evaluating(network), torch.inference_mode():
            drawn = network.to_images(network.decode(latents.to(batch["images"].device)))
        return {**columns, "sample": drawn}

    def validate(self, nets: dict[str, nn.Module], batch: Batch, *, precision: Precision) -> dict[str, Tensor]:
        """The negative evidence lower bound, in fp32 and from the same draws each time."""
        network, images = nets["ae"], batch["images"]
        assert isinstance(network, Autoencoder)
        with evaluating(network), torch.random.fork_rng(devices=[images.device] if images.is_cuda else []):
            torch.manual_seed(0)
            if self.config.binarise == "always":
                images = 2 * torch.bernoulli((images + 1) / 2) - 1
            bound = importance_weighted_bound(importance_weights(network, images, num_samples=1)).mean()
        return {"negative_elbo": -bound}
