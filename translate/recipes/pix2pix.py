"""Pix2Pix (Isola et al., 2017): a conditional GAN with an L1 term, eq. 4 of the paper.

The discriminator sees the input beside the real or the generated image. The generator's forward pass is made once, with
its graph, while the discriminator is updated, and used again for the generator's own update. Differs from the paper in
its default norm (instance for batch) and up-path (resize and convolution); feature matching (Wang et al., 2018) and R1
(Mescheder et al., 2018) are added on request.

Shapes: N batch, C channels, H height, W width.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from translate.config.training import Pix2PixConfig, Precision
from translate.data.paired import PairedImages
from translate.inference.translator import run_network
from translate.losses import (
    charbonnier_loss,
    discriminator_loss,
    feature_matching_loss,
    generator_loss,
    guessing_loss,
    l1_loss,
    l2_loss,
    r1_penalty,
    ssim_loss,
)
from translate.networks import PatchOutput
from translate.recipes.base import R1_EVERY, Batch, Exported, Recipe, Scratch, Update, Watched, adam, lazy_r1
from translate.recipes.generators import generator_config, new_discriminator, new_generator, translator_weights

RECONSTRUCTIONS = {"l1": l1_loss, "l2": l2_loss, "charbonnier": charbonnier_loss, "ssim": ssim_loss}
DROPOUT = 0.5  # the paper's


class Pix2Pix(Recipe):
    """The recipe; networks ``g`` and ``d``.

    Args:
        config: The configuration.
        data: The pairs, which decide channels, depth and size.
    """

    name = "pix2pix"
    kept = ("seen",)

    def __init__(self, config: Pix2PixConfig, data: PairedImages) -> None:
        self.config, self.run, self.data = config, config.run, data
        in_channels, out_channels = data.source_format.channels, data.target_format.channels
        self.generator_config = generator_config(
            config,
            size=data.size,
            in_channels=in_channels,
            out_channels=out_channels,
            dropout=0.0 if config.noise == "never" else DROPOUT,
        )
        self.g = new_generator(self.generator_config, config)
        self.d = new_discriminator(config, in_channels=in_channels + out_channels)
        data.check_size(stride=self.g.stride, minimum=max(self.g.minimum_size, self.d.minimum_size))
        self.nets = {"g": self.g, "d": self.d}
        self.ema_nets = ("g",) if config.run.ema_half_life else ()
        self.reconstruction = RECONSTRUCTIONS[config.reconstruction]
        # frozen=(): the generator's graph, made while D is updated, is backpropagated in G's own update.
        updates = [
            Update(name="d", optimizer="d", trains=("d",), losses=(self.d_loss,), frozen=()),
            Update(name="g", optimizer="g", trains=("g",), losses=(self.g_loss,)),
        ]
        if config.r1_weight:
            updates.append(lazy_r1(("d",), (self.r1_loss,)))
        self.updates = tuple(updates)
        if (guessing := guessing_loss(config.adversarial)) is not None:
            self.guessing_losses = {"d": guessing}
        self.remedies = {
            **Recipe.remedies,
            "nothing": "a higher --reconstruction-weight, or look whether A and B are the same images",
            "inverted": "a higher --reconstruction-weight, or look whether the pairs are pairs",
            "collapsed": "--generator resnet, a smaller --depth, or a higher --reconstruction-weight",
        }

    def optimizers(self) -> dict[str, Optimizer]:
        lazy = R1_EVERY if self.config.r1_weight else 0
        return {"g": adam(self.g.parameters(), self.run), "d": adam(self.d.parameters(), self.run, lazy=lazy)}

    def watched(self, batch: Batch, scratch: Scratch) -> dict[str, Watched]:
        if "seen" not in scratch:
            return {}
        return {"g": Watched(source=batch["source"], output=scratch["seen"], target=batch["target"])}

    def _fake(self, batch: Batch, scratch: Scratch) -> Tensor:
        if "fake" not in scratch:
            scratch["fake"] = self.g(batch["source"])
            scratch["seen"] = scratch["fake"].detach()
        return scratch["fake"]

    def _judge(self, batch: Batch, images: Tensor) -> PatchOutput:
        return self.d(torch.cat([batch["source"], images], dim=1))

    def d_loss(self, batch: Batch, scratch: Scratch) -> dict[str, Tensor]:
        fake = self._fake(batch, scratch).detach()
        if self.config.norm == "batch":  # statistics of real and fake must not mix
            fake_logits, real_logits = self._judge(batch, fake).logits, self._judge(batch, batch["target"]).logits
        else:
            pairs = torch.cat([batch["source"], batch["source"]])
            images = torch.cat([batch["target"], fake.to(batch["target"].dtype)])
            both = [scale.chunk(2) for scale in self.d(torch.cat([pairs, images], dim=1)).logits]
            real_logits, fake_logits = [real for real, _ in both], [fake for _, fake in both]
        return {"d": discriminator_loss(real_logits, fake_logits, kind=self.config.adversarial)}

    def g_loss(self, batch: Batch, scratch: Scratch) -> dict[str, Tensor]:
        fake = self._fake(batch, scratch)
        judged = self._judge(batch, fake)
        terms = {
            "g_gan": generator_loss(judged.logits, kind=self.config.adversarial),
            f"g_{self.config.reconstruction}": self.config.reconstruction_weight
            * self.reconstruction(fake, batch["target"]),
        }
        if self.config.feature_matching_weight:
            with torch.no_grad():
                real = self._judge(batch, batch["target"]).features
            terms["g_features"] = self.config.feature_matching_weight * feature_matching_loss(real, judged.features)
        return terms

    def r1_loss(self, batch: Batch, scratch: Scratch) -> dict[str, Tensor]:
        pairs = torch.cat([batch["source"], batch["target"]], dim=1).requires_grad_()
        return {"d_r1": self.config.r1_weight / 2 * r1_penalty(self.d(pairs).logits, pairs)}

    def sample(self, nets: dict[str, nn.Module], batch: Batch, *, precision: Precision) -> dict[str, Tensor]:
        outputs = self._outputs(nets["g"], batch["source"], precision=precision)
        return {"input": batch["source"], "output": outputs, "target": batch["target"]}

    def _outputs(self, g: nn.Module, images: Tensor, *, precision: Precision) -> Tensor:
        # One by one, as the translator takes them: noise and rounding depend on what else is in a batch.
        outputs = [
            run_network(g, image, noise=self.config.noise, seed=self.run.seed, precision=precision)
            for image in images.split(1)
        ]
        return torch.cat(outputs)

    def validate(self, nets: dict[str, nn.Module], batch: Batch, *, precision: Precision) -> dict[str, Tensor]:
        return {"l1": l1_loss(self._outputs(nets["g"], batch["source"], precision=precision), batch["target"])}

    def exports(self) -> dict[str, Exported]:
        config = translator_weights(
            self.generator_config,
            name=self.run.out.resolve().name,
            domains=(self.data.source_name, self.data.target_name),
            size=self.data.size,
            bits=self.data.target_format.bits,
            alpha=self.config.data.alpha,
            noise=self.config.noise,
        )
        return {".": ("g", config)}
