"""CycleGAN (Zhu et al., 2017): two translators that undo each other, each with a discriminator of its target; eq. 3.

Networks: ``g_ab`` and ``g_ba`` translate, ``d_a`` and ``d_b`` discriminate. Each runs once for each role that it has
in a step: an image's translation and the other domain's identity go through a generator together, and the
discriminators see the translations that the generators were trained on. The two ways around are backpropagated one
after the other, so that memory holds the activations of one of them. Differs from the published code in its default
up-path (resize and convolution). With style codes each generator takes a code of its target domain, drawn at random
on the way there; the way back and the identity take that of the image which they are to make.

Shapes: N batch, C channels, H height, W width, D code.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from translate.config.base import ConfigError
from translate.config.training import CycleGANConfig, Precision
from translate.data.augment import diff_augment
from translate.data.unpaired import UnpairedImages
from translate.inference.running import example_code, random_code, run_network
from translate.losses import l1_loss
from translate.metrics.sliced_wasserstein import sliced_wasserstein
from translate.networks import ResNetGenerator, StyleEncoder
from translate.recipes.adversary import Adversary, guessing_losses
from translate.recipes.base import R1_EVERY, Batch, Exported, Recipe, Scratch, Update, Watched, adam, lazy_r1
from translate.recipes.generators import (
    file_names,
    generator_config,
    new_discriminator,
    new_generator,
    translator_weights,
)
from translate.recipes.pool import ImagePool
from translate.recipes.style_codes import both, check_encoded, code_loss, drawn_codes, found_codes


class CycleGAN(Recipe):
    """The recipe.

    Args:
        config: The configuration.
        data: The two domains, which decide channels, depth and size.

    Raises:
        ConfigError: the size does not suit the networks, or the identity is asked for where the domains differ in
            their channels.
    """

    kept = ("fake_a", "fake_b")

    @classmethod
    def open_data(cls, config: CycleGANConfig, *, cache: Path | None = None) -> UnpairedImages:
        """The data that this method learns from."""
        alike = config.identity_weight > 0 or config.residual  # without, each domain may keep its channels
        return UnpairedImages(config.data, cache=cache, alike=alike)

    def __init__(self, config: CycleGANConfig, data: UnpairedImages) -> None:
        self.config, self.run, self.data = config, config.run, data
        channels_a, channels_b = data.format_a.channels, data.format_b.channels
        if config.identity_weight and channels_a != channels_b:
            raise ConfigError(
                f"{data.name_a} has {channels_a} channels and {data.name_b} {channels_b}: the identity loss "
                "needs the same number in both, so give --identity-weight 0"
            )
        self.configs = {
            "g_ab": generator_config(config, size=data.size, in_channels=channels_a, out_channels=channels_b),
            "g_ba": generator_config(config, size=data.size, in_channels=channels_b, out_channels=channels_a),
        }
        self.g_ab, self.g_ba = (new_generator(network, config) for network in self.configs.values())
        self.d_a = new_discriminator(config, in_channels=channels_a)
        self.d_b = new_discriminator(config, in_channels=channels_b)
        self.adversaries = {
            domain: Adversary(
                network,
                kind=config.adversarial,
                augment=lambda images: diff_augment(images, config.augment),
                batch_norm=config.norm == "batch",
            )
            for domain, network in (("a", self.d_a), ("b", self.d_b))
        }
        if config.style_dim:
            check_encoded(data.size)
        data.check_size(stride=self.g_ab.stride, minimum=max(self.g_ab.minimum_size, self.d_a.minimum_size))
        self.nets = {"g_ab": self.g_ab, "g_ba": self.g_ba, "d_a": self.d_a, "d_b": self.d_b}
        self.ema_nets = ("g_ab", "g_ba") if config.run.ema_half_life else ()
        self.pools = {domain: ImagePool(config.pool_size, seed=config.run.seed) for domain in "ab"}
        generators, discriminators = ("g_ab", "g_ba"), ("d_a", "d_b")
        updates = [
            Update(name="g", optimizer="g", trains=generators, losses=(self.g_ab_loss, self.g_ba_loss)),
            Update(name="d", optimizer="d", trains=discriminators, losses=(self.d_a_loss, self.d_b_loss)),
        ]
        if config.r1_weight:
            updates.append(lazy_r1(discriminators, (self.d_a_r1_loss, self.d_b_r1_loss)))
        self.updates = tuple(updates)
        self.guessing_losses = guessing_losses(d_a=self.adversaries["a"], d_b=self.adversaries["b"])
        self.remedies = {
            **Recipe.remedies,
            "nothing": "a lower --identity-weight, a lower --cycle-weight, or another --init",
            "inverted": "--identity-weight 0.5 or more, or another --seed",
            "collapsed": "a higher --cycle-weight, a lower --learning-rate, or --augment colour translation cutout",
            "overpowered": "--augment colour translation cutout, --r1-weight 1, or a smaller --d-width",
        }

    @property
    def announcement(self) -> list[str]:
        """What is reported before training starts."""
        return [f"translating {self.data.name_a} to {self.data.name_b}, and back"]

    def optimizers(self) -> dict[str, Optimizer]:
        """Adam for each network, at the full learning rate."""
        lazy = R1_EVERY if self.config.r1_weight else 0
        return {
            "g": adam([*self.g_ab.parameters(), *self.g_ba.parameters()], self.run),
            "d": adam([*self.d_a.parameters(), *self.d_b.parameters()], self.run, lazy=lazy),
        }

    def watched(self, batch: Batch, scratch: Scratch) -> dict[str, Watched]:
        """What the generator made in a step, for the detectors."""
        return {
            name: Watched(source=batch[start], output=scratch[f"fake_{goal}"])
            for name, start, goal in (("g_ab", "a", "b"), ("g_ba", "b", "a"))
            if f"fake_{goal}" in scratch
        }

    # Generators

    def g_ab_loss(self, batch: Batch, scratch: Scratch) -> dict[str, Tensor]:
        """From a to b and back: fools d_b, comes home, leaves b alone."""
        return self._around(batch, scratch, there="ab", start="a", goal="b")

    def g_ba_loss(self, batch: Batch, scratch: Scratch) -> dict[str, Tensor]:
        """From b to a and back."""
        return self._around(batch, scratch, there="ba", start="b", goal="a")

    def _around(self, batch: Batch, scratch: Scratch, *, there: str, start: str, goal: str) -> dict[str, Tensor]:
        config = self.config
        forth, back = self.nets[f"g_{there}"], self.nets[f"g_{there[::-1]}"]
        drawn = own = home = None
        codes: dict[str, Tensor] = {}
        if config.style_dim:
            stream, keys = 1 + "ab".index(goal), scratch["keys"]
            drawn = drawn_codes(keys, config.style_dim, stream=stream)
            own, codes[f"kl_{goal}"] = found_codes(_encoder(forth), batch[goal], keys, stream=stream)
            home, _ = found_codes(_encoder(back), batch[start], keys, stream=2 + stream)
        if not config.identity_weight:
            fake, same = _run(forth, batch[start], drawn), None
        elif config.norm == "batch":  # statistics of the two domains must not mix
            fake, same = _run(forth, batch[start], drawn), _run(forth, batch[goal], own)
        else:
            fake, same = _run(forth, torch.cat([batch[start], batch[goal]]), both(drawn, own)).chunk(2)
        scratch[f"fake_{goal}"] = fake.detach()
        terms = {
            f"g_{there}_gan": self.adversaries[goal].g_loss(fake),
            f"cycle_{start}": config.cycle_weight * l1_loss(_run(back, fake, home), batch[start]),
        }
        if drawn is not None:
            terms |= {name: config.kl_weight * value for name, value in codes.items()}
            terms[f"code_{goal}"] = config.code_weight * code_loss(_encoder(forth), fake, drawn)
        if same is not None:
            terms[f"identity_{goal}"] = config.cycle_weight * config.identity_weight * l1_loss(same, batch[goal])
        return terms

    # Discriminators

    def d_a_loss(self, batch: Batch, scratch: Scratch) -> dict[str, Tensor]:
        """Adversarial loss of the discriminator of domain A."""
        return self._d_loss(batch, scratch, domain="a")

    def d_b_loss(self, batch: Batch, scratch: Scratch) -> dict[str, Tensor]:
        """Adversarial loss of the discriminator of domain B."""
        return self._d_loss(batch, scratch, domain="b")

    def _d_loss(self, batch: Batch, scratch: Scratch, *, domain: str) -> dict[str, Tensor]:
        fake = self.pools[domain].exchange(scratch[f"fake_{domain}"])
        return {f"d_{domain}": self.adversaries[domain].d_loss(batch[domain], fake)}

    def d_a_r1_loss(self, batch: Batch, scratch: Scratch) -> dict[str, Tensor]:
        """R1 penalty on real images of domain A."""
        return self._r1_loss(batch, domain="a")

    def d_b_r1_loss(self, batch: Batch, scratch: Scratch) -> dict[str, Tensor]:
        """R1 penalty on real images of domain B."""
        return self._r1_loss(batch, domain="b")

    def _r1_loss(self, batch: Batch, *, domain: str) -> dict[str, Tensor]:
        return {f"d_{domain}_r1": self.adversaries[domain].r1_loss(batch[domain], weight=self.config.r1_weight)}

    # What it shows and leaves

    def sample(self, nets: dict[str, nn.Module], batch: Batch, *, precision: Precision) -> dict[str, Tensor]:
        """Columns of a sample grid, [N, C, S, S] in [-1, 1]."""
        style, seed = self.config.style_dim, self.run.seed

        def translated(network: str, images: Tensor, *, like: Tensor | None = None, seed: int = seed) -> Tensor:
            # One by one, as the translator takes them: rounding depends on what else is in a batch.
            examples = images.split(1) if like is None else like.split(1)
            outputs = []
            for image, example in zip(images.split(1), examples, strict=True):
                code = None
                if style:
                    drawn = random_code(style, seed=seed).to(image.device)
                    code = drawn if like is None else example_code(nets[network], example, precision=precision)
                outputs.append(run_network(nets[network], image, code=code, precision=precision))
            return torch.cat(outputs)

        count = min(len(batch["a"]), len(batch["b"]))
        a, b = batch["a"][:count], batch["b"][:count]
        fake_b, fake_a = translated("g_ab", a), translated("g_ba", b)
        name_a, name_b = self.data.name_a, self.data.name_b
        others = {
            name_a: {f"to {name_b}, other style": translated("g_ab", a, seed=seed + 1)} if style else {},
            name_b: {f"to {name_a}, other style": translated("g_ba", b, seed=seed + 1)} if style else {},
        }
        return {
            name_a: a,
            f"to {name_b}": fake_b,
            **others[name_a],
            f"back to {name_a}": translated("g_ba", fake_b, like=a),
            name_b: b,
            f"to {name_a}": fake_a,
            **others[name_b],
            f"back to {name_b}": translated("g_ab", fake_a, like=b),
        }

    def validate(self, nets: dict[str, nn.Module], batch: Batch, *, precision: Precision) -> dict[str, Tensor]:
        """Sliced Wasserstein distances; with style codes of a code for each image."""
        found, style = {}, self.config.style_dim
        for network, start, goal in (("g_ab", "a", "b"), ("g_ba", "b", "a")):
            images = []
            for number, image in enumerate(batch[start].split(1)):
                code = random_code(style, seed=number).to(image.device) if style else None
                images.append(run_network(nets[network], image, code=code, precision=precision))
            found[f"sliced_wasserstein_{goal}"] = sliced_wasserstein(torch.cat(images), batch[goal])
        return found

    def exports(self) -> dict[str, Exported]:
        """The weights files of a run, by sub-folder."""
        data, alpha = self.data, self.config.data.alpha
        a, b = file_names(data.name_a, data.name_b)
        forth = translator_weights(
            self.configs["g_ab"], name=f"{a}2{b}", domains=(data.name_a, data.name_b), size=data.size,
            source=data.format_a, target=data.format_b, alpha=alpha,
        )  # fmt: skip
        back = translator_weights(
            self.configs["g_ba"], name=f"{b}2{a}", domains=(data.name_b, data.name_a), size=data.size,
            source=data.format_b, target=data.format_a, alpha=alpha,
        )  # fmt: skip
        return {forth.name: ("g_ab", forth), back.name: ("g_ba", back)}

    # The pools

    def state_dict(self) -> dict[str, Tensor]:
        """The image pools of earlier translations."""
        return {
            f"pool_{domain}.{name}": tensor
            for domain, pool in self.pools.items()
            for name, tensor in pool.state_dict().items()
        }

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Put the image pools back."""
        device = next(self.g_ab.parameters()).device
        for domain, pool in self.pools.items():
            start = f"pool_{domain}."
            own = {key.removeprefix(start): tensor for key, tensor in state.items() if key.startswith(start)}
            pool.load_state_dict(own, device=device)


def _run(network: nn.Module, images: Tensor, codes: Tensor | None) -> Tensor:
    return network(images) if codes is None else network(images, codes)


def _encoder(network: nn.Module) -> StyleEncoder:
    assert isinstance(network, ResNetGenerator)
    assert network.encoder is not None
    return network.encoder
