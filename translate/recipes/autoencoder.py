"""An autoencoder (Hinton and Salakhutdinov, 2006): an image through a few numbers and back, as near as can be.

The loss is a mean over pixels: of squared errors, or of cross-entropies with grey values taken for probabilities. With
``--denoise`` (Vincent et al., 2008) noise is put on the inputs, and the clean image is asked for.

Shapes: N batch, C channels, S side.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import Optimizer

from translate.config.autoencoders import AutoencoderConfig, BodyConfig
from translate.config.networks import (
    ConvAutoencoderConfig,
    DenseAutoencoderConfig,
    Likelihood,
    VectorAutoencoderConfig,
    VQVAENetworkConfig,
)
from translate.config.training import Precision
from translate.config.weights import Domains, WeightsConfig
from translate.data.image_set import ImageSet
from translate.inference.device import autocast
from translate.losses import l2_loss
from translate.networks import Autoencoder, build_network, initialise
from translate.networks.modes import evaluating
from translate.recipes.base import Batch, Exported, Recipe, Scratch, Update, adam, preprocessing

LEAST_SIDE = 4  # of the smallest convolutional level


def body_config(
    config: BodyConfig, *, channels: int, size: int, likelihood: Likelihood, variational: bool
) -> VectorAutoencoderConfig:
    """The networks that a configuration asks for, at a size."""
    if config.body == "dense":
        return DenseAutoencoderConfig(
            channels=channels,
            size=size,
            latent=config.latent,
            hidden=config.hidden or (256,),
            likelihood=likelihood,
            variational=variational,
        )
    halvings = 0
    while size % 2 ** (halvings + 1) == 0 and size // 2 ** (halvings + 1) >= LEAST_SIDE:
        halvings += 1
    return ConvAutoencoderConfig(
        channels=channels,
        size=size,
        latent=config.latent,
        width=config.width or 32,
        num_downsamplings=halvings,
        norm=config.norm or "group",
        likelihood=likelihood,
        variational=variational,
    )


def learned_weights(
    network: VectorAutoencoderConfig | VQVAENetworkConfig, *, name: str, data: ImageSet
) -> WeightsConfig:
    """What the weights of an autoencoder say of themselves."""
    return WeightsConfig(
        kind="autoencoder",
        name=name,
        network=network,
        preprocessing=preprocessing(data.size, source=data.format, alpha=data.config.alpha, fit=data.config.fit),
        domains=Domains(source="images", target="reconstructions"),
        noise="never",
    )


class VectorRecipe(Recipe):
    """What plain and variational autoencoders share: one network ``ae``, one optimizer, the same pictures."""

    ae: Autoencoder
    command = "reconstruct {} IMAGE -o OUT"

    def __init__(self, config: BodyConfig, data: ImageSet, network_config: VectorAutoencoderConfig) -> None:
        self.run, self.data, self.network_config = config.run, data, network_config
        self.ae = build_network(network_config)
        initialise(self.ae, kind=config.run.init)
        self.nets = {"ae": self.ae}
        self.ema_nets = ("ae",) if config.run.ema_half_life else ()
        self.updates = (Update(name="ae", optimizer="ae", trains=("ae",), losses=(self.loss,)),)

    def loss(self, batch: Batch, scratch: Scratch) -> dict[str, Tensor]:
        """The loss of a batch of images [N, C, S, S] in [-1, 1]: terms by name, each a scalar."""
        raise NotImplementedError

    def optimizers(self) -> dict[str, Optimizer]:
        """Adam for each network, at the full learning rate."""
        return {"ae": adam(self.ae.parameters(), self.run)}

    def sample(self, nets: dict[str, nn.Module], batch: Batch, *, precision: Precision) -> dict[str, Tensor]:
        """Images and their reconstructions, [N, C, S, S] in [-1, 1]."""
        network = nets["ae"]
        with evaluating(network), torch.inference_mode(), autocast(precision, batch["images"].device):
            reconstructed = network(batch["images"])
        return {"image": batch["images"], "reconstruction": reconstructed}

    def exports(self) -> dict[str, Exported]:
        """The weights files of a run, by sub-folder."""
        return {".": ("ae", learned_weights(self.network_config, name=self.run.out.resolve().name, data=self.data))}


class AE(VectorRecipe):
    """The plain one.

    Args:
        config: The configuration.
        data: The images, which decide channels and size.
    """

    def __init__(self, config: AutoencoderConfig, data: ImageSet) -> None:
        self.config = config
        likelihood: Likelihood = "bernoulli" if config.loss == "bce" else "gaussian"
        network = body_config(
            config, channels=data.format.channels, size=data.size, likelihood=likelihood, variational=False
        )
        super().__init__(config, data, network)

    def loss(self, batch: Batch, scratch: Scratch) -> dict[str, Tensor]:
        """Distance of reconstructions to the images; with ``denoise`` from noisy inputs (Vincent et al., 2008)."""
        images = batch["images"]
        noisy = images
        if self.config.denoise:
            noisy = (images + self.config.denoise * torch.randn_like(images)).clamp(-1, 1)
        return self._distance(self.ae.decode(self.ae.encode(noisy).mean), images)

    def _distance(self, raw: Tensor, images: Tensor) -> dict[str, Tensor]:
        if self.config.loss == "mse":
            return {"mse": l2_loss(raw, images)}
        return {"bce": F.binary_cross_entropy_with_logits(raw.float(), (images + 1) / 2)}

    def validate(self, nets: dict[str, nn.Module], batch: Batch, *, precision: Precision) -> dict[str, Tensor]:
        """The same distance on the validation split, without noise."""
        network = nets["ae"]
        assert isinstance(network, Autoencoder)
        with evaluating(network), autocast(precision, batch["images"].device):
            raw = network.decode(network.encode(batch["images"]).mean)
        return self._distance(raw, batch["images"])
