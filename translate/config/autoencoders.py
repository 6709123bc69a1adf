"""What a user decides about learning images: autoencoders, plain, variational and with a codebook."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Ge, Gt, Le, Lt

from translate.config.base import ConfigError
from translate.config.networks import Likelihood, Norm
from translate.config.training import ImageSetConfig, MethodConfig

Binarise = Literal["never", "once", "always"]


@dataclass(frozen=True, kw_only=True)
class BodyConfig(MethodConfig):
    """An autoencoder: images to a latent vector, and back."""

    data: ImageSetConfig
    body: Literal["conv", "dense"] = "conv"
    """Network type: convolutions (conv), or fully connected layers (dense)."""
    latent: Annotated[int, Ge(1)] = 32
    """Dimension of the latent vector."""
    hidden: tuple[Annotated[int, Ge(1)], ...] | None = None
    """Units of the dense layers between image and latent, mirrored in the decoder; default: 256."""
    width: Annotated[int, Ge(1)] | None = None
    """Channels of the first convolution, doubled at each halving of the size, up to 4 times as many; default: 32."""
    norm: Norm | None = None
    """Normalisation of the convolutions; default: group."""

    def __post_init__(self) -> None:
        wrong = ("width", "norm") if self.body == "dense" else ("hidden",)
        for name in wrong:
            if getattr(self, name) is not None:
                other = "conv" if self.body == "dense" else "dense"
                raise ConfigError(f"--{name} belongs to --body {other}: omit it, or choose that body")


@dataclass(frozen=True, kw_only=True)
class AutoencoderConfig(BodyConfig):
    """An autoencoder (Hinton and Salakhutdinov, 2006): images through a bottleneck and back."""

    loss: Literal["mse", "bce"] = "mse"
    """Reconstruction loss: squared error (mse), or cross-entropy with grey values as probabilities (bce)."""
    denoise: Annotated[float, Ge(0.0), Le(2.0)] = 0.0
    """Standard deviation, 0-2, of the Gaussian noise added to the inputs (values in [-1, 1]), which the network learns
    to remove; 0 for none."""


@dataclass(frozen=True, kw_only=True)
class VAEConfig(BodyConfig):
    """A variational autoencoder (Kingma and Welling, 2013): a bottleneck that can be sampled from."""

    likelihood: Likelihood = "bernoulli"
    """Likelihood of a pixel: bernoulli (black or white with a probability), or gaussian (a mean with a learned standard
    deviation)."""
    binarise: Binarise = "never"
    """Binarise pixels at random, with grey values as probabilities: never (grey values are the targets), once (each
    image always the same, as for published likelihoods), or always (resampled each time an image is seen)."""
    beta: Annotated[float, Ge(0.0)] = 1.0
    """Weight of the KL divergence from the prior (beta-VAE); 1 gives the evidence lower bound."""
    warm_up: Annotated[int, Ge(0)] = 0
    """Images over which beta rises from 0 to --beta; 0 for no warm-up."""
    free_bits: Annotated[float, Ge(0.0)] = 0.0
    """Free bits, in nats per latent dimension (batch average): KL divergence below this is not penalised; 0 for
    none."""
    importance_samples: Annotated[int, Ge(1)] = 1
    """Latent samples per image; more than one trains the tighter, importance-weighted bound (IWAE)."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.binarise != "never" and self.likelihood != "bernoulli":
            raise ConfigError("--binarise makes pixels black or white: it needs --likelihood bernoulli")
        if self.importance_samples > 1 and (self.beta != 1 or self.free_bits or self.warm_up):
            raise ConfigError(
                "the importance-weighted bound has no separate KL term: omit --beta, --warm-up and --free-bits, or "
                "--importance-samples"
            )


@dataclass(frozen=True, kw_only=True)
class VQVAEConfig(MethodConfig):
    """An autoencoder whose latents are entries of a learned codebook, with a prior (van den Oord et al., 2017)."""

    data: ImageSetConfig
    width: Annotated[int, Ge(1)] = 64
    """Channels of the convolutions."""
    num_downsamplings: Annotated[int, Ge(1), Le(5)] | None = None
    """Number of halvings of the size between image and codes, 1-5; default: 2 up to 32 px, 3 above."""
    num_blocks: Annotated[int, Ge(0)] = 2
    """Residual blocks at the size of the codes, in the encoder and in the decoder."""
    num_codes: Annotated[int, Ge(2), Le(65536)] = 256
    """Number of codebook entries."""
    code_dim: Annotated[int, Ge(1)] = 16
    """Dimension of a codebook entry."""
    norm: Norm = "none"
    """Normalisation of the convolutions; none as published, since normalisation discards the brightness of a photo."""
    commitment_weight: Annotated[float, Ge(0.0)] = 0.25
    """Weight of the commitment loss, between the encoder's outputs and their codebook entries."""
    decay: Annotated[float, Gt(0.0), Lt(1.0)] = 0.99
    """Decay, 0-1, of the moving averages that update the codebook entries."""
    prior_width: Annotated[int, Ge(4)] = 64
    """Channels of the transformer prior over the codes; a multiple of 4."""
    prior_layers: Annotated[int, Ge(0)] = 4
    """Layers of the prior; 0 for no prior, and no sampling."""

    def __post_init__(self) -> None:
        if self.prior_width % 4:
            raise ConfigError(f"--prior-width {self.prior_width} is split over four heads: choose a multiple of 4")
