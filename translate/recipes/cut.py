"""CUT (Park et al., 2020): one direction, kept to its input by a contrastive loss over patches; and FastCUT.

Networks: ``g`` translates, ``d`` discriminates, ``heads`` project features of ``g``. The input and, for the identity
term, an image of the target domain go through ``g`` together, once; the features of that pass are the keys. Only the
way down and half the residual blocks are computed again, for the features of the outputs. The generator's graph is
made while the discriminator is updated and used for its own update, as in pix2pix. FastCUT is the same without the
identity term, with a heavier contrastive loss and mirrored inputs.

Shapes: N batch, C channels, H height, W width.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from translate.config.base import ConfigError
from translate.config.networks import PatchHeadsConfig, ResNetConfig
from translate.config.training import CUTConfig, Precision
from translate.data.augment import diff_augment
from translate.data.unpaired import UnpairedImages
from translate.inference.running import run_network
from translate.losses import patch_nce_loss
from translate.metrics.sliced_wasserstein import sliced_wasserstein
from translate.networks import PatchHeads, ResNetGenerator, draw_places, initialise
from translate.recipes.adversary import Adversary, guessing_losses
from translate.recipes.base import R1_EVERY, Batch, Exported, Progress, Recipe, Scratch, Update, Watched, adam, lazy_r1
from translate.recipes.chance import MIRROR, chance
from translate.recipes.generators import (
    file_names,
    generator_config,
    new_discriminator,
    new_generator,
    translator_weights,
)


class CUT(Recipe):
    """The recipe.

    Args:
        config: The configuration, of ``cut`` or ``fastcut``.
        data: The two domains, which decide channels, depth and size.

    Raises:
        ConfigError: the size does not suit the networks, or the identity is asked for where the domains differ in
            their channels.
    """

    kept = ("seen",)

    @classmethod
    def open_data(cls, config: CUTConfig, *, cache: Path | None = None) -> UnpairedImages:
        """The data that this method learns from."""
        return UnpairedImages(config.data, cache=cache, alike=True)

    def __init__(self, config: CUTConfig, data: UnpairedImages) -> None:
        self.config, self.run, self.data = config, config.run, data
        domains = [(data.name_a, data.format_a, "a"), (data.name_b, data.format_b, "b")]
        source, target = domains if config.direction == "a2b" else domains[::-1]
        self.source_name, self.source_format, self.source = source
        self.target_name, self.target_format, self.target = target
        channels = self.target_format.channels
        if self.source_format.channels != channels:
            raise ConfigError(
                f"{self.source_name} has {self.source_format.channels} channels and {self.target_name} {channels}: CUT "
                "compares inputs with outputs and needs the same number in both; cyclegan does not"
            )
        network = generator_config(config, size=data.size, in_channels=channels, out_channels=channels)
        assert isinstance(network, ResNetConfig)
        self.generator_config = network
        generator = new_generator(network, config)
        assert isinstance(generator, ResNetGenerator)
        self.g = generator
        self.d = new_discriminator(config, in_channels=channels)
        self.adversary = Adversary(
            self.d,
            kind=config.adversarial,
            augment=lambda images: diff_augment(images, config.augment),
            batch_norm=config.norm == "batch",
        )
        self.heads = PatchHeads(PatchHeadsConfig(channels=self.g.feature_channels, projection=config.projection))
        initialise(self.heads, kind=config.run.init)
        data.check_size(stride=self.g.stride, minimum=max(self.g.minimum_size, self.d.minimum_size))
        self.nets = {"g": self.g, "d": self.d, "heads": self.heads}
        self.ema_nets = ("g",) if config.run.ema_half_life else ()
        self.mirrored = False  # whether this step's inputs are
        # frozen=(): the generator's graph, made while D is updated, is backpropagated in G's own update.
        updates = [
            Update(name="d", optimizer="d", trains=("d",), losses=(self.d_loss,), frozen=()),
            Update(name="g", optimizer="g", trains=("g", "heads"), losses=(self.g_loss,)),
        ]
        if config.r1_weight:
            updates.append(lazy_r1(("d",), (self.r1_loss,)))
        self.updates = tuple(updates)
        self.guessing_losses = guessing_losses(d=self.adversary)
        self.remedies = {
            **Recipe.remedies,
            "nothing": "a lower --nce-weight, or --no-identity-nce",
            "inverted": "--identity-nce, a higher --nce-weight, or another --seed",
            "collapsed": "a higher --nce-weight, a lower --learning-rate, or --augment colour translation cutout",
            "overpowered": "--augment colour translation cutout, --r1-weight 1, or a smaller --d-width",
        }

    @property
    def announcement(self) -> list[str]:
        """What is reported before training starts."""
        other = "b2a" if self.config.direction == "a2b" else "a2b"
        return [f"translating {self.source_name} to {self.target_name}; --direction {other} is the reverse"]

    def advance(self, progress: Progress, optimizers: dict[str, Optimizer]) -> float:
        """Set the learning rates, and decide whether this step compares mirrored inputs."""
        if self.config.flip_equivariance:
            generator = chance(seed=self.run.seed, stream=MIRROR, number=progress.images)
            self.mirrored = generator.random() < 0.5
        return super().advance(progress, optimizers)

    def optimizers(self) -> dict[str, Optimizer]:
        """Adam for each network, at the full learning rate."""
        lazy = R1_EVERY if self.config.r1_weight else 0
        return {
            "g": adam([*self.g.parameters(), *self.heads.parameters()], self.run),
            "d": adam(self.d.parameters(), self.run, lazy=lazy),
        }

    def watched(self, batch: Batch, scratch: Scratch) -> dict[str, Watched]:
        """What the generator made in a step, for the detectors."""
        if "seen" not in scratch:
            return {}
        source = batch[self.source]
        return {"g": Watched(source=source.flip(-1) if self.mirrored else source, output=scratch["seen"])}

    def _translate(self, batch: Batch, scratch: Scratch) -> None:
        """Put the ``outputs``, the translations ``fake`` among them, and the keys into the scratch, once a step."""
        if "fake" in scratch:
            return
        source, target = batch[self.source], batch[self.target]
        images = torch.cat([source, target]) if self.config.identity_nce else source
        if self.mirrored:
            images = images.flip(-1)
        features = self.g.features(images)
        outputs = self.g.finish(features)
        scratch["fake"] = outputs[: len(source)]
        scratch["outputs"], scratch["seen"] = outputs, scratch["fake"].detach()
        if self.mirrored:  # what the outputs are compared with has not been mirrored
            with torch.no_grad():
                features = self.g.features(images.flip(-1))
        scratch |= {f"key_{number}": layer.detach() for number, layer in enumerate(features)}

    def d_loss(self, batch: Batch, scratch: Scratch) -> dict[str, Tensor]:
        """Adversarial loss of the discriminator on real and translated images, [N, C, S, S] in [-1, 1]."""
        self._translate(batch, scratch)
        return {"d": self.adversary.d_loss(batch[self.target], scratch["fake"].detach())}

    def g_loss(self, batch: Batch, scratch: Scratch) -> dict[str, Tensor]:
        """Adversarial loss plus PatchNCE between inputs and outputs, and of the identity (Park et al., 2020, eq. 6)."""
        self._translate(batch, scratch)
        config, count = self.config, len(scratch["fake"])
        terms = {"g_gan": self.adversary.g_loss(scratch["fake"])}
        queries = self.g.features(scratch["outputs"])
        keys = [scratch[f"key_{number}"] for number in range(len(queries))]
        if self.mirrored:
            queries = [layer.flip(-1) for layer in queries]
        places = draw_places(keys, count=config.num_patches)
        with torch.no_grad():  # the loss holds the keys fixed
            key_vectors = self.heads(keys, places)
        pairs = list(zip(self.heads(queries, places), key_vectors, strict=True))

        def contrast(rows: slice) -> Tensor:
            layers = [patch_nce_loss(query[rows], key[rows], temperature=config.temperature) for query, key in pairs]
            return config.nce_weight * torch.stack(layers).mean()

        # Both contrastive terms count half, as in the published code.
        share = 0.5 if config.identity_nce else 1.0
        terms["nce"] = share * contrast(slice(count))
        if config.identity_nce:
            terms["nce_identity"] = share * contrast(slice(count, None))
        return terms

    def r1_loss(self, batch: Batch, scratch: Scratch) -> dict[str, Tensor]:
        """R1 penalty on real images of the target domain (Mescheder et al., 2018)."""
        return {"d_r1": self.adversary.r1_loss(batch[self.target], weight=self.config.r1_weight)}

    def sample(self, nets: dict[str, nn.Module], batch: Batch, *, precision: Precision) -> dict[str, Tensor]:
        """Columns of a sample grid, [N, C, S, S] in [-1, 1]."""
        # One by one, as the translator takes them: rounding depends on what else is in a batch.
        images = batch[self.source]
        outputs = torch.cat([run_network(nets["g"], image, precision=precision) for image in images.split(1)])
        return {self.source_name: images, f"to {self.target_name}": outputs}

    def validate(self, nets: dict[str, nn.Module], batch: Batch, *, precision: Precision) -> dict[str, Tensor]:
        """Sliced Wasserstein distance between translations and the target domain."""
        images = [run_network(nets["g"], image, precision=precision) for image in batch[self.source].split(1)]
        return {"sliced_wasserstein": sliced_wasserstein(torch.cat(images), batch[self.target])}

    def exports(self) -> dict[str, Exported]:
        """The weights files of a run, by sub-folder."""
        source, target = file_names(self.source_name, self.target_name)
        config = translator_weights(
            self.generator_config,
            name=f"{source}2{target}",
            domains=(self.source_name, self.target_name),
            size=self.data.size,
            source=self.source_format,
            target=self.target_format,
            alpha=self.config.data.alpha,
        )
        return {".": ("g", config)}
