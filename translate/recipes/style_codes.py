"""What the translators share that have style codes: drawing them, finding them, and holding on to them.

After BicycleGAN (Zhu et al., 2017, "Toward multimodal image-to-image translation"): a code comes from an example
through the encoder, or from a normal distribution; either way the output must have the look that belongs to it.

Shapes: N batch, D code.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.func import functional_call

from translate.blocks.keyed import keyed_normal
from translate.config.base import ConfigError
from translate.losses import gaussian_kl, l1_loss
from translate.networks import StyleEncoder
from translate.networks.style_encoder import LEAST

FOUND, DRAWN = 20, 21  # what is drawn by the keys of samples


def check_encoded(size: int) -> None:
    """Refuse images that are too small for the encoder.

    Raises:
        ConfigError: names what would do.
    """
    if size < LEAST:
        raise ConfigError(f"--size {size} is too small for --style-dim: choose {LEAST} or more, or omit --style-dim")


def found_codes(encoder: StyleEncoder, examples: Tensor, keys: Tensor, *, stream: int = 0) -> tuple[Tensor, Tensor]:
    """Codes of examples, drawn from what the encoder says of each, [N, D]; and their KL divergence from the prior."""
    mean, log_variance = encoder(examples)
    noise = keyed_normal(keys, mean.shape[1], stream=FOUND + 2 * stream)
    return mean + (log_variance / 2).exp() * noise, gaussian_kl(mean, log_variance)


def drawn_codes(keys: Tensor, style: int, *, stream: int = 0) -> Tensor:
    """Codes from the prior, [N, D]."""
    return keyed_normal(keys, style, stream=DRAWN + 2 * stream)


def code_loss(encoder: StyleEncoder, images: Tensor, codes: Tensor) -> Tensor:
    """How far the codes that are found in images are from those that they were made with.

    The encoder learns nothing of it: together, generator and encoder would hide the code in the image instead of
    showing it (section 3.3 of the paper).
    """
    held = {name: parameter.detach() for name, parameter in encoder.named_parameters()}
    mean, _ = functional_call(encoder, held, (images,))
    return l1_loss(mean, codes)


def both(first: Tensor | None, second: Tensor | None) -> Tensor | None:
    """Codes for the two halves of a batch, where there are any."""
    return None if first is None or second is None else torch.cat([first, second])
