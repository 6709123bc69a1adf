"""What a user decides about generative adversarial networks; each method is a set of defaults of one configuration."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Ge, Gt, Lt

from translate.config.base import Config, ConfigError
from translate.config.networks import Norm
from translate.config.training import Adversarial, Augmentation, ImageSetConfig, RunConfig, Schedule

DiscriminatorNorm = Literal["none", "batch", "group", "instance", "instance-affine", "spectral"]


@dataclass(frozen=True, kw_only=True)
class GANRunConfig(RunConfig):
    """How long, how fast, on what, and where it is written; with what suits generators of images."""

    epochs: Annotated[float, Gt(0.0)] = 50.0
    """Times that each image is seen by the discriminator."""
    batch_size: Annotated[int, Ge(1)] = 64
    """Images of one step, over all processes."""
    schedule: Schedule = "constant"
    """The learning rate over images: constant, then falling to 0 in a line or a cosine."""
    ema_half_life: Annotated[float, Ge(0.0)] = 5_000.0
    """Half-life, in images, of an average of the generator's weights that is exported in its place; 0 is off."""
    log_every: Annotated[int, Ge(1)] | None = 2_000
    """Images between two lines of the log."""
    sample_every: Annotated[int, Ge(1)] | None = 20_000
    """Images between two sample grids."""
    checkpoint_every: Annotated[int, Ge(1)] | None = 25_000
    """Images between two saved states, and between two scores on the validation split, which decide ``best/``."""


@dataclass(frozen=True, kw_only=True)
class GANConfig(Config):
    """A generator against a discriminator (Goodfellow et al., 2014), fully connected: 100-256-512-784 for digits."""

    data: ImageSetConfig
    run: GANRunConfig
    conditional: bool = False
    """Learn the classes of a labelled set, too; then images of a class can be asked for."""
    body: Literal["dense", "conv"] = "dense"
    """Fully connected networks, or strided convolutions (DCGAN)."""
    latent: Annotated[int, Ge(1)] = 100
    """Random numbers that an image is made of."""
    hidden: tuple[Annotated[int, Ge(1)], ...] | None = None
    """Units of the dense layers between latent and image, mirrored in the discriminator; 256 512 unless given."""
    width: Annotated[int, Ge(1)] | None = None
    """Channels of the generator's last but one convolution, doubled inwards up to 8 times; 64 unless given."""
    d_width: Annotated[int, Ge(1)] | None = None
    """Channels of the discriminator's first convolution, doubled inwards up to 8 times; 64 unless given."""
    norm: Norm | None = None
    """Of the generator's convolutions; batch unless given."""
    d_norm: DiscriminatorNorm | None = None
    """Of the discriminator's convolutions; or spectral: every weight, of dense layers, too, divided by its largest
    singular value."""
    adversarial: Adversarial = "non-saturating"
    """The objective; saturating is the minimax game of the classic text."""
    n_critic: Annotated[int, Ge(1)] = 1
    """Steps of the discriminator for one of the generator."""
    d_rate: Annotated[float, Gt(0.0)] = 1.0
    """The discriminator's learning rate, as so many times the generator's (two time scales; Heusel et al., 2017)."""
    clip: Annotated[float, Ge(0.0)] = 0.0
    """Keep each weight of the discriminator within this of 0 (WGAN); 0 is off."""
    penalty_weight: Annotated[float, Ge(0.0)] = 0.0
    """Of the penalty on gradients between real and generated images (WGAN-GP); 0 is off."""
    r1_weight: Annotated[float, Ge(0.0)] = 0.0
    """Weight gamma of the R1 penalty on real images, taken every 16 steps."""
    mismatch_weight: Annotated[float, Ge(0.0)] = 0.0
    """Of a conditional one: of a loss by which real images under the name of another class are judged like generated
    ones (Reed et al., 2016); 0 is off."""
    optimizer: Literal["adam", "rmsprop"] = "adam"
    augment: tuple[Augmentation, ...] = ()
    """What changes all that the discriminator sees, real or not (DiffAugment), for small sets."""

    def __post_init__(self) -> None:
        if self.mismatch_weight and not self.conditional:
            raise ConfigError("--mismatch-weight needs classes that can be mistaken: add --conditional")
        wrong = ("width", "d_width", "norm") if self.body == "dense" else ("hidden",)
        for name in wrong:
            if getattr(self, name) is not None:
                other = "conv" if self.body == "dense" else "dense"
                option = name.replace("_", "-")
                raise ConfigError(f"--{option} belongs to --body {other}: leave it out, or choose that")
        if self.body == "dense" and self.d_norm not in (None, "none", "spectral"):
            raise ConfigError(f"--d-norm {self.d_norm} belongs to --body conv: choose none or spectral")
        mixes = self.body == "conv" and (self.d_norm or "batch") == "batch"
        if (mixes or (self.body == "conv" and (self.norm or "batch") == "batch")) and 1 in (
            self.run.batch_size,
            self.run.micro_batch,
        ):
            raise ConfigError(
                "batch norm cannot learn from one image at a time: raise --batch-size and --micro-batch, or choose "
                "--norm group --d-norm group"
            )
        if mixes and (self.penalty_weight or self.r1_weight):
            raise ConfigError(
                "the penalty is on the gradient of each image, and --d-norm batch mixes them: choose none or group"
            )


@dataclass(frozen=True, kw_only=True)
class DCGANConfig(GANConfig):
    """A GAN of strided convolutions with batch norm (Radford et al., 2015)."""

    body: Literal["dense", "conv"] = "conv"


@dataclass(frozen=True, kw_only=True)
class WGANRunConfig(GANRunConfig):
    """As of any GAN, at the rate of WGAN."""

    learning_rate: Annotated[float, Gt(0.0)] = 5e-5


@dataclass(frozen=True, kw_only=True)
class WGANConfig(DCGANConfig):
    """A critic of clipped weights that estimates a distance (Arjovsky et al., 2017)."""

    run: WGANRunConfig
    adversarial: Adversarial = "wasserstein"
    n_critic: Annotated[int, Ge(1)] = 5
    clip: Annotated[float, Ge(0.0)] = 0.01
    optimizer: Literal["adam", "rmsprop"] = "rmsprop"


@dataclass(frozen=True, kw_only=True)
class WGANGPRunConfig(GANRunConfig):
    """As of any GAN, with the Adam of WGAN-GP."""

    learning_rate: Annotated[float, Gt(0.0)] = 1e-4
    beta1: Annotated[float, Ge(0.0), Lt(1.0)] = 0.0
    beta2: Annotated[float, Ge(0.0), Lt(1.0)] = 0.9


@dataclass(frozen=True, kw_only=True)
class WGANGPConfig(DCGANConfig):
    """A critic whose gradients are kept near length 1 in place of clipped weights (Gulrajani et al., 2017)."""

    run: WGANGPRunConfig
    adversarial: Adversarial = "wasserstein"
    n_critic: Annotated[int, Ge(1)] = 5
    penalty_weight: Annotated[float, Ge(0.0)] = 10.0
    d_norm: DiscriminatorNorm | None = "none"


@dataclass(frozen=True, kw_only=True)
class HingeRunConfig(GANRunConfig):
    """As of any GAN, with the Adam of SNGAN."""

    beta1: Annotated[float, Ge(0.0), Lt(1.0)] = 0.0
    beta2: Annotated[float, Ge(0.0), Lt(1.0)] = 0.9


@dataclass(frozen=True, kw_only=True)
class HingeConfig(DCGANConfig):
    """The hinge loss against a discriminator under spectral norm (Miyato et al., 2018)."""

    run: HingeRunConfig
    adversarial: Adversarial = "hinge"
    d_norm: DiscriminatorNorm | None = "spectral"


GAN_METHODS: dict[str, type[GANConfig]] = {
    "gan": GANConfig,
    "dcgan": DCGANConfig,
    "wgan": WGANConfig,
    "wgan-gp": WGANGPConfig,
    "hinge": HingeConfig,
}


def gan_method(config: GANConfig) -> str:
    """The name under which the command line knows a configuration."""
    return next(name for name, kind in GAN_METHODS.items() if type(config) is kind)
