"""Pix2Pix (Isola et al., 2017): a conditional GAN with an L1 term, eq. 4 of the paper.

The discriminator sees the input beside the real or the generated image. The generator's forward pass is made once, with
its graph, while the discriminator is updated, and used again for the generator's own update. Differs from the paper in
its default norm (instance for batch) and up-path (resize and convolution); feature matching (Wang et al., 2018) and R1
(Mescheder et al., 2018) are added on request, and style codes (BicycleGAN; Zhu et al., 2017): then a step makes two
outputs of an input, one by the code of the target, which is compared with it, and one by a code drawn at random.

Shapes: N batch, C channels, H height, W width.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from translate.checkpoint.pretrained import pretrained_features
from translate.config.base import ConfigError
from translate.config.training import Pix2PixConfig, Precision
from translate.data.derived import DerivedPairs
from translate.data.paired import PairedImages
from translate.inference.grid import in_class_colours
from translate.inference.running import example_code, random_code, run_network
from translate.losses import (
    charbonnier_loss,
    feature_matching_loss,
    generator_loss,
    l1_loss,
    l2_loss,
    perceptual_loss,
    ssim_loss,
)
from translate.networks import ResNetGenerator
from translate.networks.efficientnet import EfficientNetLite0
from translate.recipes.adversary import Adversary, guessing_losses
from translate.recipes.base import R1_EVERY, Batch, Exported, Recipe, Scratch, Update, Watched, adam, lazy_r1
from translate.recipes.generators import generator_config, new_discriminator, new_generator, translator_weights
from translate.recipes.style_codes import check_encoded, code_loss, drawn_codes, found_codes

RECONSTRUCTIONS = {"l1": l1_loss, "l2": l2_loss, "charbonnier": charbonnier_loss, "ssim": ssim_loss}
DROPOUT = 0.5  # the paper's
PERCEPTUAL_BLOCKS = (-1, 1, 3, 5, 8)  # of the pretrained network: down to a sixteenth of the size


class Pix2Pix(Recipe):
    """The recipe; networks ``g`` and ``d``.

    Args:
        config: The configuration.
        data: The pairs, found or derived, which decide channels, depth and size.
    """

    kept = ("seen",)

    @classmethod
    def open_data(cls, config: Pix2PixConfig, *, cache: Path | None = None) -> PairedImages | DerivedPairs:
        """The data that this method learns from."""
        if config.derive is None:
            return PairedImages(config.data, cache=cache)
        return DerivedPairs(config.data, config.derive, cache=cache)

    def __init__(self, config: Pix2PixConfig, data: PairedImages | DerivedPairs) -> None:
        self.config, self.run, self.data = config, config.run, data
        in_channels, out_channels = data.source_format.channels, data.target_format.channels
        self.generator_config = generator_config(
            config,
            size=data.size,
            in_channels=in_channels,
            out_channels=out_channels,
            dropout=0.0 if config.noise == "never" else DROPOUT,
            derived=config.derive,
        )
        self.g = new_generator(self.generator_config, config)
        self.d = new_discriminator(config, in_channels=in_channels + out_channels)
        self.adversary = Adversary(self.d, kind=config.adversarial, batch_norm=config.norm == "batch", fake_first=True)
        if config.style_dim:
            check_encoded(data.size)
        data.check_size(stride=self.g.stride, minimum=max(self.g.minimum_size, self.d.minimum_size))
        self.nets = {"g": self.g, "d": self.d}
        self.ema_nets = ("g",) if config.run.ema_half_life else ()
        self.reconstruction = RECONSTRUCTIONS[config.reconstruction]
        self.features = self._features()
        # frozen=(): the generator's graph, made while D is updated, is backpropagated in G's own update.
        updates = [
            Update(name="d", optimizer="d", trains=("d",), losses=(self.d_loss,), frozen=()),
            Update(name="g", optimizer="g", trains=("g",), losses=(self.g_loss,)),
        ]
        if config.r1_weight:
            updates.append(lazy_r1(("d",), (self.r1_loss,)))
        self.updates = tuple(updates)
        self.guessing_losses = guessing_losses(d=self.adversary)
        self.remedies = {
            **Recipe.remedies,
            "nothing": "a higher --reconstruction-weight, or check whether A and B are the same images",
            "inverted": "a higher --reconstruction-weight, or check whether the pairs match",
            "collapsed": "--generator resnet, a smaller --depth, or a higher --reconstruction-weight",
        }

    def _features(self) -> EfficientNetLite0 | None:
        """The network of --perceptual-weight."""
        if not self.config.perceptual_weight:
            return None
        target = self.data.target_format
        if target.encoding is not None or target.channels not in (1, 3):
            what = f"{target.channels} channels" if target.channels not in (1, 3) else "measured values"
            raise ConfigError(f"--perceptual-weight is for grey or RGB outputs, and these have {what}: omit it")
        return pretrained_features(border="reflect")

    def optimizers(self) -> dict[str, Optimizer]:
        """Adam for each network, at the full learning rate."""
        lazy = R1_EVERY if self.config.r1_weight else 0
        return {"g": adam(self.g.parameters(), self.run), "d": adam(self.d.parameters(), self.run, lazy=lazy)}

    def watched(self, batch: Batch, scratch: Scratch) -> dict[str, Watched]:
        """What the generator made in a step, for the detectors."""
        if "seen" not in scratch:
            return {}
        return {"g": Watched(source=batch["source"], output=scratch["seen"], target=batch["target"])}

    def _fake(self, batch: Batch, scratch: Scratch) -> Tensor:
        """Outputs [N, C, H, W]; with style codes [2N, C, H, W], first those by the codes of the targets."""
        if "fake" not in scratch:
            source, style = batch["source"], self.config.style_dim
            if style:
                assert isinstance(self.g, ResNetGenerator)
                assert self.g.encoder is not None
                found, scratch["kl"] = found_codes(self.g.encoder, batch["target"], scratch["keys"])
                scratch["codes"] = drawn_codes(scratch["keys"], style)
                scratch["fake"] = self.g(torch.cat([source, source]), torch.cat([found, scratch["codes"]]))
            else:
                scratch["fake"] = self.g(source)
            scratch["seen"] = scratch["fake"][: len(source)].detach()
        return scratch["fake"]

    def _pairs(self, batch: Batch, images: Tensor) -> Tensor:
        """What the discriminator sees: inputs beside images, or beside twice as many by two codes of each input."""
        source = batch["source"]
        source = torch.cat([source] * (len(images) // len(source))) if len(images) > len(source) else source
        return torch.cat([source, images.to(source.dtype)], dim=1)

    def d_loss(self, batch: Batch, scratch: Scratch) -> dict[str, Tensor]:
        """Adversarial loss of the discriminator on pairs of input and target, and of input and output."""
        fake = self._fake(batch, scratch).detach()
        return {"d": self.adversary.d_loss(self._pairs(batch, batch["target"]), self._pairs(batch, fake))}

    def g_loss(self, batch: Batch, scratch: Scratch) -> dict[str, Tensor]:
        """Adversarial and reconstruction loss (Isola et al., 2017, eq. 4), and what else has a weight."""
        fake = self._fake(batch, scratch)
        scored, count = self.adversary.output(self._pairs(batch, fake)), len(batch["source"])
        terms = {
            "g_gan": generator_loss(scored.logits, kind=self.config.adversarial),
            f"g_{self.config.reconstruction}": self.config.reconstruction_weight
            * self.reconstruction(fake[:count], batch["target"]),
        }
        if self.config.feature_matching_weight:
            with torch.no_grad():
                real = self.adversary.output(self._pairs(batch, batch["target"])).features
            made = [[layer[:count] for layer in scale] for scale in scored.features]
            terms["g_features"] = self.config.feature_matching_weight * feature_matching_loss(real, made)
        if self.features is not None:
            features = self.features.to(fake.device)
            with torch.no_grad():
                wanted = features.maps(batch["target"].float(), wide=PERCEPTUAL_BLOCKS)
            found = features.maps(fake[:count].float(), wide=PERCEPTUAL_BLOCKS)
            terms["g_perceptual"] = self.config.perceptual_weight * perceptual_loss(found, wanted)
        if self.config.style_dim:
            assert isinstance(self.g, ResNetGenerator)
            assert self.g.encoder is not None
            terms["g_kl"] = self.config.kl_weight * scratch["kl"]
            recovered = code_loss(self.g.encoder, fake[count:], scratch["codes"])
            terms["g_code"] = self.config.code_weight * recovered
        return terms

    def r1_loss(self, batch: Batch, scratch: Scratch) -> dict[str, Tensor]:
        """R1 penalty on real pairs (Mescheder et al., 2018)."""
        pairs = self._pairs(batch, batch["target"])
        return {"d_r1": self.adversary.r1_loss(pairs, weight=self.config.r1_weight)}

    def sample(self, nets: dict[str, nn.Module], batch: Batch, *, precision: Precision) -> dict[str, Tensor]:
        """Columns of a sample grid, [N, C, S, S] in [-1, 1]."""
        g, images, style = nets["g"], batch["source"], self.config.style_dim
        if not style:
            outputs = {"output": self._outputs(g, images, precision=precision)}
        else:
            codes = {
                "output": random_code(style, seed=self.run.seed),
                "other style": random_code(style, seed=self.run.seed + 1),
            }
            outputs = {
                name: self._outputs(g, images, codes=[code.to(images.device)] * len(images), precision=precision)
                for name, code in codes.items()
            }
            found = [example_code(g, target, precision=precision) for target in batch["target"].split(1)]
            outputs["target style"] = self._outputs(g, images, codes=found, precision=precision)
        shown = in_class_colours(images) if self.data.source_format.labels else images
        return {"input": shown, **outputs, "target": batch["target"]}

    def _outputs(
        self, g: nn.Module, images: Tensor, *, codes: Sequence[Tensor] | None = None, precision: Precision
    ) -> Tensor:
        # One by one, as the translator takes them: noise and rounding depend on what else is in a batch.
        nothing: list[Tensor | None] = [None] * len(images)
        outputs = [
            run_network(g, image, noise=self.config.noise, seed=self.run.seed, code=code, precision=precision)
            for image, code in zip(images.split(1), codes or nothing, strict=True)
        ]
        return torch.cat(outputs)

    def validate(self, nets: dict[str, nn.Module], batch: Batch, *, precision: Precision) -> dict[str, Tensor]:
        """L1; with style codes of what is made by the middle code, which knows nothing of the target."""
        return {"l1": l1_loss(self._outputs(nets["g"], batch["source"], precision=precision), batch["target"])}

    def exports(self) -> dict[str, Exported]:
        """The weights files of a run, by sub-folder."""
        config = translator_weights(
            self.generator_config,
            name=self.run.out.resolve().name,
            domains=(self.data.source_name, self.data.target_name),
            size=self.data.size,
            source=self.data.source_format,
            target=self.data.target_format,
            alpha="keep" if self.config.derive == "mask" else self.config.data.alpha,
            noise="never" if self.config.style_dim else self.config.noise,  # it has codes in place of dropout
        )
        return {".": ("g", config)}
