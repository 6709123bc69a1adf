"""Losses between features of images."""

from collections.abc import Sequence

import torch
from torch import Tensor

from translate.losses.reconstruction import l1_loss

Features = Sequence[Tensor] | Sequence[Sequence[Tensor]]


def feature_matching_loss(features_real: Features, features_fake: Features) -> Tensor:
    """L1 between a discriminator's features of real and of generated images: mean_k mean_i |D_k^i(x) - D_k^i(y)|.

    Means over the elements of a layer, the layers i of a scale and the scales k, so that the weight does not depend on
    the number of layers. Source: Wang et al. 2018 (pix2pixHD), eq. 4, which sums over layers and scales; its code takes
    the mean over scales and 4 times the mean over layers, so that a weight of 10 there is one of 40 here.

    Args:
        features_real: one tensor for each layer, or for each scale such a sequence. The caller leaves the logits out.
            Detached here: the loss teaches the generator only.
        features_fake: the same structure and shapes.

    Returns:
        A scalar, float32 (float64 for float64 features).

    Raises:
        ValueError: there are no features, or the structures or shapes differ.
    """
    scales_real, scales_fake = _scales(features_real), _scales(features_fake)
    layers_real, layers_fake = [len(scale) for scale in scales_real], [len(scale) for scale in scales_fake]
    if not layers_real or 0 in layers_real:
        raise ValueError(f"no features to match: expected at least one layer at each scale, got layers {layers_real}")
    if layers_real != layers_fake:
        raise ValueError(f"layers at each scale differ: real {layers_real}, fake {layers_fake}; use one discriminator")
    return torch.stack(
        [
            torch.stack([l1_loss(fake, real.detach()) for real, fake in zip(*scale, strict=True)]).mean()
            for scale in zip(scales_real, scales_fake, strict=True)
        ]
    ).mean()


def perceptual_loss(made: Sequence[Tensor], target: Sequence[Tensor]) -> Tensor:
    """L1 between features of outputs and of targets in a pretrained network, relative to the targets' own.

    Each layer's mean difference is divided by its mean absolute value for the targets, so that layers and networks
    weigh alike; of layers the mean is taken. Source: Johnson et al. 2016, eq. 2, which squares and does not divide.

    Args:
        made: One tensor [N, C, H, W] for each layer.
        target: The same layers of the targets. Detached here.

    Returns:
        A scalar, float32: 0 for equal features, about 1 for unlike ones.

    Raises:
        ValueError: there are no layers, or their numbers or shapes differ.
    """
    if not made or len(made) != len(target):
        raise ValueError(f"expected equal numbers of layers, at least one: got {len(made)} and {len(target)}")
    return torch.stack(
        [
            l1_loss(ours, theirs.detach()) / theirs.detach().abs().float().mean().clamp_min(1e-8)
            for ours, theirs in zip(made, target, strict=True)
        ]
    ).mean()


def _scales(features: Features) -> list[list[Tensor]]:
    """Features as layers within scales; a flat sequence is one scale."""
    if features and all(isinstance(layer, Tensor) for layer in features):
        return [list(features)]  # type: ignore[arg-type]
    return [list(scale) for scale in features]
