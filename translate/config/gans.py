"""What a user decides about generative adversarial networks; each method is a set of defaults of one configuration."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Ge, Gt

from translate.config.base import ConfigError
from translate.config.networks import Norm
from translate.config.training import Adversarial, Augmentation, ImageSetConfig, MethodConfig

DiscriminatorNorm = Literal["none", "batch", "group", "instance", "instance-affine", "spectral"]


@dataclass(frozen=True, kw_only=True)
class GANConfig(MethodConfig):
    """A generator against a discriminator (Goodfellow et al., 2014), fully connected: 100-256-512-784 for digits."""

    data: ImageSetConfig
    conditional: bool = False
    """Condition on the classes of a labelled set, so that images of a chosen class can be generated."""
    body: Literal["dense", "conv"] = "dense"
    """Network type: fully connected (dense), or strided convolutions (conv; DCGAN)."""
    latent: Annotated[int, Ge(1)] = 100
    """Dimension of the random latent vector."""
    hidden: tuple[Annotated[int, Ge(1)], ...] | None = None
    """Units of the dense layers between latent and image, mirrored in the discriminator; default: 256 512."""
    width: Annotated[int, Ge(1)] | None = None
    """Channels before the generator's last convolution; doubled at each level before it, up to 8 times this; default:
    64."""
    d_width: Annotated[int, Ge(1)] | None = None
    """Channels of the discriminator's first convolution; doubled at each deeper level, up to 8 times this; default:
    64."""
    norm: Norm | None = None
    """Normalisation of the generator's convolutions; default: batch."""
    d_norm: DiscriminatorNorm | None = None
    """Normalisation of the discriminator: a layer after its convolutions, or spectral normalisation (spectral), which
    also covers dense layers; default: batch with --body conv, none with --body dense."""
    adversarial: Adversarial = "non-saturating"
    """Adversarial loss; saturating is the original minimax game (Goodfellow et al., 2014)."""
    n_critic: Annotated[int, Ge(1)] = 1
    """Discriminator steps per generator step."""
    d_rate: Annotated[float, Gt(0.0)] = 1.0
    """Discriminator's learning rate as a multiple of the generator's (two time scales; Heusel et al., 2017)."""
    clip: Annotated[float, Ge(0.0)] = 0.0
    """Weight clipping: bound on the absolute value of the critic's weights (WGAN); 0 turns it off."""
    penalty_weight: Annotated[float, Ge(0.0)] = 0.0
    """Weight of the gradient penalty between real and generated images (WGAN-GP); 0 turns it off."""
    r1_weight: Annotated[float, Ge(0.0)] = 0.0
    """Weight gamma of the R1 penalty on real images, applied every 16 steps; 0 turns it off."""
    mismatch_weight: Annotated[float, Ge(0.0)] = 0.0
    """Weight of a loss that counts real images with a wrong class label as generated ones (Reed et al., 2016; with
    --conditional); 0 turns it off."""
    optimizer: Literal["adam", "rmsprop"] = "adam"
    """Optimiser of both networks."""
    augment: tuple[Augmentation, ...] = ()
    """Augmentations of all images the discriminator sees, real and generated (DiffAugment), for small data sets;
    default: none."""

    def __post_init__(self) -> None:
        if self.mismatch_weight and not self.conditional:
            raise ConfigError("--mismatch-weight needs class labels: add --conditional")
        wrong = ("width", "d_width", "norm") if self.body == "dense" else ("hidden",)
        for name in wrong:
            if getattr(self, name) is not None:
                other = "conv" if self.body == "dense" else "dense"
                option = name.replace("_", "-")
                raise ConfigError(f"--{option} belongs to --body {other}: omit it, or choose that body")
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
                "the penalty needs one gradient per image, and --d-norm batch mixes the images: choose none or group"
            )
