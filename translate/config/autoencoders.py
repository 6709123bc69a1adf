"""What a user decides about learning images: autoencoders, plain, variational and with a codebook."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Ge, Gt, Le, Lt

from translate.config.base import Config, ConfigError
from translate.config.networks import Initialisation, Likelihood, Norm
from translate.config.training import ImageSetConfig, RunConfig, Schedule

Binarise = Literal["never", "once", "always"]


@dataclass(frozen=True, kw_only=True)
class LearningRunConfig(RunConfig):
    """How long, how fast, on what, and where it is written; with what suits a single loss."""

    epochs: Annotated[float, Gt(0.0)] = 50.0
    """Times that each image is seen."""
    batch_size: Annotated[int, Ge(1)] = 128
    """Images of one step, over all processes."""
    learning_rate: Annotated[float, Gt(0.0)] = 1e-3
    beta1: Annotated[float, Ge(0.0), Lt(1.0)] = 0.9
    schedule: Schedule = "cosine"
    """The learning rate over images: constant, then falling to 0 in a line or a cosine."""
    decay_from: Annotated[float, Ge(0.0), Lt(1.0)] = 0.0
    """Share of the images after which the learning rate starts to fall."""
    init: Initialisation = "kaiming"
    """How weights start: normal with deviation 0.02, Xavier, Kaiming, or orthogonal."""
    log_every: Annotated[int, Ge(1)] | None = 2_000
    """Images between two lines of the log."""
    sample_every: Annotated[int, Ge(1)] | None = 20_000
    """Images between two sample grids."""
    checkpoint_every: Annotated[int, Ge(1)] | None = 100_000
    """Images between two saved states."""


@dataclass(frozen=True, kw_only=True)
class BodyConfig(Config):
    """The networks of an autoencoder: images to a vector of numbers, and back."""

    data: ImageSetConfig
    run: LearningRunConfig
    body: Literal["conv", "dense"] = "conv"
    """Convolutions, or fully connected layers as in the classic text."""
    latent: Annotated[int, Ge(1)] = 32
    """Numbers that an image becomes."""
    hidden: tuple[Annotated[int, Ge(1)], ...] | None = None
    """Units of the dense layers between image and latent, mirrored on the way back; 256 unless given."""
    width: Annotated[int, Ge(1)] | None = None
    """Channels of the first convolution, doubled by each halving up to 4 times; 32 unless given."""
    norm: Norm | None = None
    """Of the convolutions; group unless given."""

    def __post_init__(self) -> None:
        wrong = ("width", "norm") if self.body == "dense" else ("hidden",)
        for name in wrong:
            if getattr(self, name) is not None:
                other = "conv" if self.body == "dense" else "dense"
                raise ConfigError(f"--{name} belongs to --body {other}: leave it out, or choose that")


@dataclass(frozen=True, kw_only=True)
class AutoencoderConfig(BodyConfig):
    """An autoencoder (Hinton and Salakhutdinov, 2006): images through a bottleneck and back."""

    loss: Literal["mse", "bce"] = "mse"
    """Squared error, or cross-entropy of grey values taken for probabilities."""
    denoise: Annotated[float, Ge(0.0), Le(2.0)] = 0.0
    """Deviation of noise on the inputs, of a range from -1 to 1, that it learns to take away; 0 for none."""


@dataclass(frozen=True, kw_only=True)
class VAEConfig(BodyConfig):
    """A variational autoencoder (Kingma and Welling, 2013): a bottleneck that can be sampled from."""

    likelihood: Likelihood = "bernoulli"
    """What the decoder says of a pixel: black or white with a probability, or a mean with a learned deviation."""
    binarise: Binarise = "never"
    """Make pixels black or white with their grey values as probabilities: never (grey values are taken for
    probabilities), once (each image always the same, as in the published likelihoods), or anew at each look."""
    beta: Annotated[float, Ge(0.0)] = 1.0
    """Weight of the divergence from the prior (beta-VAE); 1 is the bound itself."""
    warm_up: Annotated[int, Ge(0)] = 0
    """Images over which beta rises from 0."""
    free_bits: Annotated[float, Ge(0.0)] = 0.0
    """Nats of each latent, on average over a batch, below which its divergence costs nothing more."""
    importance_samples: Annotated[int, Ge(1)] = 1
    """Of each image; more than one trains the tighter, importance-weighted bound (IWAE)."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.binarise != "never" and self.likelihood != "bernoulli":
            raise ConfigError("--binarise makes black and white pixels: it goes with --likelihood bernoulli")
        if self.importance_samples > 1 and (self.beta != 1 or self.free_bits or self.warm_up):
            raise ConfigError(
                "--importance-samples has one bound for both terms: leave out --beta, --warm-up and --free-bits"
            )


@dataclass(frozen=True, kw_only=True)
class VQVAEConfig(Config):
    """An autoencoder whose latents are words of a learned codebook (van den Oord et al., 2017), and their prior."""

    data: ImageSetConfig
    run: LearningRunConfig
    width: Annotated[int, Ge(1)] = 64
    """Channels of the convolutions."""
    num_downsamplings: Annotated[int, Ge(1), Le(5)] | None = None
    """Halvings between image and codes; 2 up to 32 px, 3 above unless given."""
    num_blocks: Annotated[int, Ge(0)] = 2
    """Residual blocks at the size of the codes, on either side."""
    num_codes: Annotated[int, Ge(2), Le(65536)] = 256
    """Words of the codebook."""
    code_dim: Annotated[int, Ge(1)] = 16
    """Numbers of a word."""
    norm: Norm = "none"
    """Of the convolutions; none, as published: a norm forgets how bright a photo is."""
    commitment_weight: Annotated[float, Ge(0.0)] = 0.25
    """Of the distance that the encoder keeps from the words it is given."""
    decay: Annotated[float, Gt(0.0), Lt(1.0)] = 0.99
    """Share of a word that a step leaves, in the moving average of what it stands for."""
    prior_width: Annotated[int, Ge(4)] = 64
    """Channels of the transformer that learns which codes follow which; a multiple of 4."""
    prior_layers: Annotated[int, Ge(0)] = 4
    """Its layers; 0 for no prior, and no sampling."""

    def __post_init__(self) -> None:
        if self.prior_width % 4:
            raise ConfigError(f"--prior-width {self.prior_width} is shared by four heads: choose a multiple of 4")
