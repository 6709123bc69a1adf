"""A compact StyleGAN2 (Karras et al., 2020) that may grow with its images (Karras et al., 2018).

Logistic loss, R1 on real images every 16 steps, path length every 4, styles of two latents in one image, an average of
the weights, and for small sets changes of all that the discriminator sees, adaptive or not. Latents, mixtures and noise
belong to the sample: several processes draw what one would. What the discriminator sees changed, and the path lengths,
are each process's own, as are the mean style and the strength of adaptive changes.

Shapes: N batch, C channels, S side, D latents or style, L layers that take a style.
"""

from __future__ import annotations

import math
from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from translate.blocks.keyed import keyed_normal, keyed_uniform
from translate.blocks.style import enlarged, halved
from translate.config.base import ConfigError
from translate.config.networks import StyleDiscriminatorConfig, StyleGeneratorConfig
from translate.config.stylegan import StyleGANConfig
from translate.data.adaptive import adaptive_augment
from translate.data.augment import diff_augment
from translate.data.image_set import ImageSet
from translate.losses import discriminator_loss, path_length_penalty
from translate.networks import StyleDiscriminator, StyleGenerator
from translate.recipes.adversary import Adversary, guessing_losses
from translate.recipes.base import R1_EVERY, Batch, Exported, Progress, Recipe, Scratch, Update, adam, lazy_r1
from translate.recipes.growth import Growth, Stage
from translate.recipes.sampling import Sampling

PATH_EVERY, PATH_PACE = 4, 0.01  # steps between two path length penalties, and of their running mean
SIGN_EVERY = 4  # steps between two changes of the strength of adaptive augmentation
FEW = 100  # images
LATENTS, OTHERS, MIXING, NOISE = range(4)  # what is drawn by the keys of samples
WIDEST, NARROWEST = 6, 16  # times the width, and channels


def widths(size: int, *, width: int) -> tuple[int, ...]:
    """Channels at 4, 8, 16 ... px up to a size: `width` at 64 px, and as many times more as the side is smaller."""
    sides = [4 * 2**number for number in range(size.bit_length() - 2)]
    return tuple(max(min(NARROWEST, width), min(WIDEST * width, width * 64 // side)) for side in sides)


class StyleGAN(Sampling):
    """The recipe; networks ``g`` and ``d``.

    Args:
        config: The configuration.
        data: The images, which decide channels and size; with labels, for a conditional one. Without a size of its own
            it is set to the largest power of two that is no larger than the images.

    Raises:
        ConfigError: a size that is no power of two, one smaller than that to grow from, or no two classes.
    """

    def __init__(self, config: StyleGANConfig, data: ImageSet) -> None:
        super().__init__(config, data)
        self.config, self.run = config, config.run
        if config.data.size is None:
            data.size = 2 ** (data.size.bit_length() - 1)
        size, channels, num_classes = data.size, data.format.channels, len(self.class_names)
        if not 8 <= size <= 1024:
            raise ConfigError(f"--size {size}: it must be 8 to 1024")
        if config.run.init != type(config.run).init:
            raise ConfigError(f"--init {config.run.init}: StyleGAN weights start with standard deviation 1: omit it")
        if config.grow and config.grow_from > size:
            raise ConfigError(f"--grow-from {config.grow_from} is larger than the images of {size} px")
        self.network_config: StyleGeneratorConfig = StyleGeneratorConfig(
            channels=channels,
            size=size,
            widths=widths(size, width=config.width),
            latent=config.latent,
            style=config.style_dim,
            mapping_layers=config.mapping_layers,
            styling=config.styling,
            num_classes=num_classes,
        )
        self.g = StyleGenerator(self.network_config)
        self.d = StyleDiscriminator(
            StyleDiscriminatorConfig(
                channels=channels, size=size, widths=widths(size, width=config.width), num_classes=num_classes
            )
        )
        self.nets = {"g": self.g, "d": self.d}
        self.ema_nets = ("g",) if config.run.ema_half_life else ()
        first = config.grow_from if config.grow else size
        self.growth = Growth(
            sizes=tuple(side for side in self.d.sides if side >= first),
            batch_size=config.run.batch_size,
            stay=config.stay_images,
            fade=config.fade_images,
        )
        self.now = self.growth.at(0)
        self.path_mean, self.probability = torch.zeros(()), torch.zeros(())
        self.signs = torch.zeros(2)  # sum, and how many
        self.updates = self._updates()
        # R1 at the images as they are seen: sampling between pixels cannot be differentiated twice.
        self.adversary = Adversary(self.d, kind="non-saturating", augment=self._augmented, r1_at="seen")
        self.guessing_losses = guessing_losses(d=self.adversary)
        self.remedies = {
            **Recipe.remedies,
            "collapsed": "--ada-target 0.6, a higher --r1-weight, or more images",
            "overpowered": "--ada-target 0.6, --augment colour translation cutout, or more images",
        }

    def _updates(self) -> tuple[Update, ...]:
        updates = [
            # frozen=(): the images made for the discriminator are backpropagated in the generator's own update.
            Update(name="d", optimizer="d", trains=("d",), losses=(self.d_loss,), frozen=()),
            Update(name="g", optimizer="g", trains=("g",), losses=(self.g_loss,)),
        ]
        if self.config.r1_weight != 0:
            updates.append(lazy_r1(("d",), (self.r1_loss,)))
        if self.config.path_weight:
            updates.append(
                Update(
                    name="g_path", optimizer="g", trains=("g",), losses=(self.path_loss,), every=PATH_EVERY,
                    gain=PATH_EVERY, double_backward=True,
                )
            )  # fmt: skip
        return tuple(updates)

    @property
    def announcement(self) -> list[str]:
        """What is reported before training starts."""
        found, count = super().announcement, self.data.num_images
        width, height = self.data.found.size
        if self.config.data.size is None and min(width, height) != self.data.size:
            found.append(f"trained at {self.data.size} px, a power of two; the images have {width}x{height}")
        if self.run.start_from is not None and len(self.growth.sizes) > 1:
            found.append(
                f"growing restarts at {self.growth.sizes[0]} px, whatever size --start-from has grown to: --no-grow "
                "continues at the full size"
            )
        if count < FEW:
            found.append(
                f"{count} images will be memorised: samples will be copies of them; --ada-target 0.6 and "
                "--flip delay that, more images prevent it"
            )
        total = self.run.images if self.run.images is not None else math.ceil(self.run.epochs * count)
        *_, last = self.growth.stages()
        if total <= last.start + last.fade:
            stage = self.growth.at(total - 1)
            found.append(
                f"training ends at {stage.size} px after {total:,} images seen; to reach {self.data.size} px, give "
                f"--images {last.start + last.fade + self.config.stay_images}, lower --stay-images and --fade-images, "
                "or --no-grow"
            )
        return found

    def optimizers(self) -> dict[str, Optimizer]:
        """Adam for each network, at the full learning rate."""
        return {
            "g": adam(self.g.parameters(), self.run, lazy=PATH_EVERY if self.config.path_weight else 0),
            "d": adam(self.d.parameters(), self.run, lazy=R1_EVERY if self.config.r1_weight != 0 else 0),
        }

    @property
    def r1_weight(self) -> float:
        """Gamma, which where it is not given follows the size and the batch that are trained at."""
        if self.config.r1_weight is not None:
            return self.config.r1_weight
        return 0.0002 * self.made_size**2 / self.now.batch_size

    # Where it is

    def stage(self, progress: Progress) -> Stage:
        """The training size and batch size after so many images (Karras et al., 2018)."""
        return self.growth.at(progress.images)

    def advance(self, progress: Progress, optimizers: dict[str, Optimizer]) -> float:
        """Set the learning rates, and the share of a size that is fading in."""
        self.now = self.stage(progress)
        alpha = self.now.alpha(progress.images)
        for network in (self.g, self.d):
            network.alpha.fill_(alpha)
        self.d.fading = alpha < 1.0
        self.g.grown = self.made_size
        return super().advance(progress, optimizers)

    @property
    def made_size(self) -> int:
        """Side of the images that are generated now."""
        return self.now.size or self.data.size

    def state_dict(self) -> dict[str, Tensor]:
        """The mean path length and the state of the adaptive augmentation."""
        return {"path_mean": self.path_mean, "probability": self.probability, "signs": self.signs}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Put back what `state_dict` took."""
        self.path_mean, self.probability, self.signs = (
            state[name].clone() for name in ("path_mean", "probability", "signs")
        )

    # The step

    def _augmented(self, images: Tensor) -> Tensor:
        """As the discriminator sees them."""
        if self.config.ada_target:
            self.probability = self.probability.to(images.device)
            return adaptive_augment(images, self.probability)
        return diff_augment(images, self.config.augment)

    def _styles(self, keys: Tensor, labels: Tensor | None, *, follow: bool = False) -> Tensor:
        """Of new latents, [N, L, D]; of two latents each, as often as is asked for. The mean style may follow them."""
        styles = self.g.styles(keyed_normal(keys, self.latent, stream=LATENTS), labels)
        if follow:
            self.g.mapping.follow(styles[:, 0])
        if not self.config.mixing:
            return styles
        others = self.g.styles(keyed_normal(keys, self.latent, stream=OTHERS), labels)
        layers = styles.shape[1]
        place, chance = keyed_uniform(keys, 2, 1, stream=MIXING).unbind(1)  # [N, 1] each
        first = 1 + (place * (layers - 1)).long()
        second = (chance < self.config.mixing) & (torch.arange(layers, device=keys.device) >= first)  # [N, L]
        return torch.where(second[:, :, None], others, styles)

    def _fake(self, batch: Batch, scratch: Scratch, *, follow: bool = False) -> Tensor:
        keys = scratch["keys"]
        noise = keyed_normal(keys, self.g.num_noise, stream=NOISE)
        return self.g(self._styles(keys, self._labels(batch), follow=follow), noise=noise)

    def _real(self, batch: Batch) -> Tensor:
        """As sharp as what is made: while a size fades in, what it adds is weaker (Karras et al., 2018)."""
        images = batch["images"]
        if not self.d.fading:
            return images
        return torch.lerp(enlarged(halved(images)), images, self.d.alpha.to(images.dtype))

    def d_loss(self, batch: Batch, scratch: Scratch) -> dict[str, Tensor]:
        """Non-saturating loss of the discriminator, on augmented images."""
        scratch["fake"] = self._fake(batch, scratch, follow=True)
        scratch["seen"] = scratch["fake"].detach()
        real, fake, labels = self._real(batch), scratch["seen"], self._labels(batch)
        together = len(real) % self.d.config.group == 0  # groups of the batch's deviation must not mix real and fake
        real_logits, fake_logits = self.adversary.compare(real, fake, labels, together=together)
        if self.config.ada_target:
            self._adapt(real_logits[0].detach())
        return {"d": discriminator_loss(real_logits, fake_logits, kind=self.adversary.kind)}

    def _adapt(self, logits: Tensor) -> None:
        """Raise or lower the probability of changes by the sign of the discriminator on real images."""
        if self.signs.device != logits.device:
            self.signs = self.signs.to(logits.device)
        self.signs += torch.stack([logits.float().sign().sum(), torch.ones_like(logits, dtype=torch.float32).sum()])
        seen = self.processes * self.signs[1]  # each of several processes goes by its own share of the images
        due = seen >= SIGN_EVERY * self.now.batch_size  # asked on the device, which nobody waits for
        direction = (self.signs[0] / self.signs[1] - self.config.ada_target).sign()
        changed = (self.probability + direction * seen / self.config.ada_images).clamp(0, 1)
        self.probability = torch.where(due, changed, self.probability)
        self.signs = torch.where(due, 0.0, self.signs)

    def g_loss(self, batch: Batch, scratch: Scratch) -> dict[str, Tensor]:
        """Non-saturating loss of the generator."""
        fake = scratch["fake"] if "fake" in scratch and scratch["fake"].requires_grad else self._fake(batch, scratch)
        return {"g": self.adversary.g_loss(fake, self._labels(batch))}

    def r1_loss(self, batch: Batch, scratch: Scratch) -> dict[str, Tensor]:
        """R1 penalty on real images, taken every 16 steps (Karras et al., 2020)."""
        return {"d_r1": self.adversary.r1_loss(self._real(batch), self._labels(batch), weight=self.r1_weight)}

    def path_loss(self, batch: Batch, scratch: Scratch) -> dict[str, Tensor]:
        """Path length regularisation (Karras et al., 2020, eq. 4)."""
        keys, labels = scratch["keys"][::2] + 1, self._labels(batch)  # other latents than the discriminator saw
        styles = self._styles(keys, None if labels is None else labels[::2])
        images = self.g.synthesis(styles, noise=keyed_normal(keys, self.g.num_noise, stream=NOISE))
        if self.path_mean.device != images.device:
            self.path_mean = self.path_mean.to(images.device)
        penalty, lengths = path_length_penalty(images, styles, self.path_mean)
        self.path_mean = self.path_mean.lerp(lengths.mean(), PATH_PACE)
        return {"g_path": self.config.path_weight * penalty}

    # Pictures and scores

    def _made(self, network: nn.Module, count: int, *, labels: Tensor | None, device: torch.device) -> Tensor:
        assert isinstance(network, StyleGenerator)
        network.grown = self.made_size  # the average does not know
        return super()._made(network, count, labels=labels, device=device)

    def exports(self) -> dict[str, Exported]:
        """The weights files of a run, by sub-folder."""
        ((_, config),) = super().exports().values()
        if self.made_size < self.network_config.size:
            config = replace(config, network=replace(self.network_config, grown=self.made_size))
        return {".": ("g", config)}
