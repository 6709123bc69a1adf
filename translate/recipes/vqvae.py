"""VQ-VAE (van den Oord et al., 2017) with a moving-average codebook, and beside it the prior of its codes.

Three updates of one step: the codec learns to reconstruct and to stay near the codebook entries it is given; the
codebook follows the vectors; the prior learns to predict the next code from those before it, from what the codec makes
of the images at that moment. So one run leaves weights that can be sampled from.

Shapes: N batch, C channels, S side, s side of the codes, D numbers of a codebook entry.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import Optimizer

from translate.blocks.quantize import MovingAverage, Quantizer, codebook_loss
from translate.config.autoencoders import VQVAEConfig
from translate.config.networks import CodecConfig, CodePriorConfig, QuantizerConfig, VQVAENetworkConfig
from translate.config.training import Precision
from translate.data.image_set import ImageSet
from translate.inference.device import autocast
from translate.losses import l2_loss
from translate.networks import Codec, CodePrior, initialise
from translate.networks.modes import evaluating
from translate.recipes.autoencoder import learned_weights
from translate.recipes.base import Batch, Exported, Progress, Recipe, Scratch, Update, adam


class VQVAE(Recipe):
    """The recipe.

    Args:
        config: The configuration.
        data: The images, which decide channels and size.

    Raises:
        ConfigError: the size cannot be halved as often as the codes need.
    """

    kept = ("vectors", "codes")
    command = "reconstruct {} IMAGE -o OUT"

    def __init__(self, config: VQVAEConfig, data: ImageSet) -> None:
        self.config, self.run, self.data = config, config.run, data
        halvings = config.num_downsamplings or (2 if data.size <= 32 else 3)
        codec = CodecConfig(
            channels=data.format.channels,
            size=data.size,
            width=config.width,
            num_downsamplings=halvings,
            num_blocks=config.num_blocks,
            code_dim=config.code_dim,
            norm=config.norm,
        )
        prior = None
        if config.prior_layers:
            prior = CodePriorConfig(
                num_codes=config.num_codes,
                side=codec.side,
                width=config.prior_width,
                num_layers=config.prior_layers,
            )
        quantizer = QuantizerConfig(num_codes=config.num_codes, code_dim=config.code_dim)
        self.network_config = VQVAENetworkConfig(codec=codec, quantizer=quantizer, prior=prior)
        self.codec, self.quantizer = Codec(codec), Quantizer(quantizer)
        initialise(self.codec, kind=config.run.init)
        self.nets = {"codec": self.codec, "quantizer": self.quantizer}
        updates = [
            Update(name="codec", optimizer="codec", trains=("codec",), losses=(self.codec_loss,)),
            Update(name="codebook", optimizer="codebook", trains=("quantizer",), losses=(self.codebook_loss,)),
        ]
        self.prior = CodePrior(prior) if prior is not None else None
        if self.prior is not None:
            self.nets["prior"] = self.prior
            updates.append(Update(name="prior", optimizer="prior", trains=("prior",), losses=(self.prior_loss,)))
        self.updates = tuple(updates)
        self.ema_nets = ("codec",) if config.run.ema_half_life else ()

    def optimizers(self) -> dict[str, Optimizer]:
        """Adam for each network, at the full learning rate."""
        found: dict[str, Optimizer] = {
            "codec": adam(self.codec.parameters(), self.run),
            "codebook": MovingAverage(self.quantizer.parameters(), rate=1 - self.config.decay),
        }
        if self.prior is not None:
            found["prior"] = adam(self.prior.parameters(), self.run)
        return found

    def advance(self, progress: Progress, optimizers: dict[str, Optimizer]) -> float:
        """Set the learning rates, but that of the codebook, which is a moving average."""
        factor = super().advance(progress, optimizers)
        for group in optimizers["codebook"].param_groups:
            group["lr"] = group["initial_lr"]  # an average has no learning rate to lower
        return factor

    def codec_loss(self, batch: Batch, scratch: Scratch) -> dict[str, Tensor]:
        """Reconstruction and commitment loss (van den Oord et al., 2017, eq. 3)."""
        vectors = self.codec.encode(batch["images"]).float()
        entries, codes = self.quantizer(vectors)
        scratch |= {"vectors": vectors.detach(), "codes": codes}
        return {
            "reconstruction": l2_loss(self.codec.decode(entries), batch["images"]),
            "commitment": self.config.commitment_weight * l2_loss(vectors, entries.detach()),
        }

    def codebook_loss(self, batch: Batch, scratch: Scratch) -> dict[str, Tensor]:
        """Distance of the codebook entries to the latents that they stand for."""
        loss = codebook_loss(self.quantizer, scratch["vectors"], scratch["codes"], decay=self.config.decay)
        return {"perplexity": loss}

    def prior_loss(self, batch: Batch, scratch: Scratch) -> dict[str, Tensor]:
        """Cross-entropy of the next code, by the autoregressive prior."""
        assert self.prior is not None
        codes = scratch["codes"]
        return {"prior": F.cross_entropy(self.prior(codes).float().flatten(0, 1), codes.flatten())}

    def _parts(self, nets: dict[str, nn.Module]) -> tuple[Codec, Quantizer]:
        codec, quantizer = nets["codec"], nets["quantizer"]
        assert isinstance(codec, Codec)
        assert isinstance(quantizer, Quantizer)
        return codec, quantizer

    def sample(self, nets: dict[str, nn.Module], batch: Batch, *, precision: Precision) -> dict[str, Tensor]:
        """Images, reconstructions, and samples of the prior."""
        codec, quantizer = self._parts(nets)
        parts = [codec] if self.prior is None else [codec, self.prior]
        with evaluating(*parts), torch.inference_mode(), autocast(precision, batch["images"].device):
            reconstructed = codec.decode(quantizer.look_up(quantizer.codes(codec.encode(batch["images"]))))
            columns = {"image": batch["images"], "reconstruction": reconstructed.float()}
            if self.prior is not None:
                generator = torch.Generator(device=batch["images"].device).manual_seed(self.run.seed)
                codes = self.prior.sample(len(batch["images"]), generator=generator)
                columns["sample"] = codec.decode(quantizer.look_up(codes)).float()
        return columns

    def validate(self, nets: dict[str, nn.Module], batch: Batch, *, precision: Precision) -> dict[str, Tensor]:
        """Mean squared error of the reconstructions of the validation split."""
        codec, quantizer = self._parts(nets)
        with evaluating(codec), autocast(precision, batch["images"].device):
            codes = quantizer.codes(codec.encode(batch["images"]))
            reconstructed = codec.decode(quantizer.look_up(codes))
        return {"mse": l2_loss(reconstructed, batch["images"])}

    def exports(self) -> dict[str, Exported]:
        """The weights files of a run, by sub-folder."""
        config = learned_weights(self.network_config, name=self.run.out.resolve().name, data=self.data)
        return {".": (tuple(self.nets), config)}
