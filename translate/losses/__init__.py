"""Losses: pure functions of logits, features and images; no state, float32 inside."""

from translate.losses.adversarial import (
    AdversarialKind,
    Logits,
    binary_cross_entropy,
    discriminator_fake_loss,
    discriminator_gain,
    discriminator_loss,
    discriminator_real_loss,
    generator_loss,
    guessing_loss,
    hinge,
    least_squares,
    wasserstein,
)
from translate.losses.contrastive import patch_nce_loss
from translate.losses.penalties import gradient_penalty, r1_penalty
from translate.losses.perceptual import Features, feature_matching_loss
from translate.losses.reconstruction import charbonnier_loss, l1_loss, l2_loss, ssim_loss

__all__ = [
    "AdversarialKind",
    "Features",
    "Logits",
    "binary_cross_entropy",
    "charbonnier_loss",
    "discriminator_fake_loss",
    "discriminator_gain",
    "discriminator_loss",
    "discriminator_real_loss",
    "feature_matching_loss",
    "generator_loss",
    "gradient_penalty",
    "guessing_loss",
    "hinge",
    "l1_loss",
    "l2_loss",
    "least_squares",
    "patch_nce_loss",
    "r1_penalty",
    "ssim_loss",
    "wasserstein",
]
