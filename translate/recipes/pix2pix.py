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

from translate.config.networks import GeneratorConfig, PatchGANConfig, ResNetConfig, UNetConfig, unet_depth
from translate.config.training import Pix2PixConfig, Precision
from translate.config.weights import Domains, Preprocessing, WeightsConfig
from translate.data.paired import PairedImages
from translate.inference.translator import run_network
from translate.losses import (
    charbonnier_loss,
    discriminator_loss,
    feature_matching_loss,
    generator_loss,
    l1_loss,
    l2_loss,
    r1_penalty,
    ssim_loss,
)
from translate.networks import PatchGANDiscriminator, PatchOutput, ResNetGenerator, UNetGenerator, initialise
from translate.recipes.base import Batch, Recipe, Scratch, Update, adam

RECONSTRUCTIONS = {"l1": l1_loss, "l2": l2_loss, "charbonnier": charbonnier_loss, "ssim": ssim_loss}
R1_EVERY = 16  # steps between two penalties, as in StyleGAN2
DROPOUT = 0.5  # the paper's


def generator_config(config: Pix2PixConfig, data: PairedImages) -> GeneratorConfig:
    """The generator that a configuration and its data ask for.

    Raises:
        ConfigError: the size does not suit the network.
    """
    in_channels, out_channels = data.source_format.channels, data.target_format.channels
    dropout = 0.0 if config.noise == "never" else DROPOUT
    if config.generator == "resnet":
        return ResNetConfig(
            in_channels=in_channels,
            out_channels=out_channels,
            width=config.width,
            num_blocks=config.num_blocks if config.num_blocks is not None else (6 if data.size <= 128 else 9),
            norm=config.norm,
            padding=config.padding,
            upsampling=config.upsampling,
            downsampling=config.downsampling,
            dropout=dropout,
        )
    return UNetConfig(
        in_channels=in_channels,
        out_channels=out_channels,
        width=config.width,
        depth=config.depth if config.depth is not None else unet_depth(data.size),
        norm=config.norm,
        padding=config.padding,
        upsampling=config.upsampling,
        downsampling=config.downsampling,
        dropout=dropout,
    )


def build_generator(config: GeneratorConfig) -> ResNetGenerator | UNetGenerator:
    return ResNetGenerator(config) if isinstance(config, ResNetConfig) else UNetGenerator(config)


class Pix2Pix(Recipe):
    """The recipe; networks ``g`` and ``d``.

    Args:
        config: The configuration.
        data: The pairs, which decide channels, depth and size.
    """

    name = "pix2pix"

    def __init__(self, config: Pix2PixConfig, data: PairedImages) -> None:
        self.config, self.run, self.data = config, config.run, data
        self.generator_config = generator_config(config, data)
        channels = self.generator_config.in_channels + self.generator_config.out_channels
        d_config = PatchGANConfig(
            in_channels=channels,
            width=config.d_width,
            num_layers=config.d_layers,
            num_scales=config.d_scales,
            norm=config.norm,
        )
        self.g = build_generator(self.generator_config)
        initialise(self.g, kind=config.run.init)
        self.d = PatchGANDiscriminator(d_config)
        initialise(self.d, kind=config.run.init)
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
            updates.append(
                Update(
                    name="d_r1",
                    optimizer="d",
                    trains=("d",),
                    losses=(self.r1_loss,),
                    every=R1_EVERY,
                    gain=R1_EVERY,
                    double_backward=True,
                )
            )
        self.updates = tuple(updates)

    def optimizers(self) -> dict[str, Optimizer]:
        lazy = R1_EVERY if self.config.r1_weight else 0
        return {"g": adam(self.g.parameters(), self.run), "d": adam(self.d.parameters(), self.run, lazy=lazy)}

    def _fake(self, batch: Batch, scratch: Scratch) -> Tensor:
        if "fake" not in scratch:
            scratch["fake"] = self.g(batch["source"])
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
        # One by one, as the translator takes them: noise and rounding depend on what else is in a batch.
        outputs = [
            run_network(nets["g"], image, noise=self.config.noise, seed=self.run.seed, precision=precision)
            for image in batch["source"].split(1)
        ]
        return {"input": batch["source"], "output": torch.cat(outputs), "target": batch["target"]}

    def exports(self) -> dict[str, tuple[str, WeightsConfig]]:
        config = WeightsConfig(
            kind="translator",
            name=self.run.out.resolve().name,
            network=self.generator_config,
            preprocessing=Preprocessing(
                size=self.data.size, bits=16 if self.data.target_format.bits == 16 else 8, alpha=self.config.data.alpha
            ),
            domains=Domains(source=self.data.source_name, target=self.data.target_name),
            noise=self.config.noise,
        )
        return {".": ("g", config)}
