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
from translate.losses.likelihood import (
    bernoulli_log_likelihood,
    gaussian_kl,
    gaussian_log_likelihood,
    importance_weighted_bound,
    log_weights,
    reparameterised,
)
from translate.losses.penalties import gradient_penalty, path_length_penalty, r1_penalty
from translate.losses.perceptual import Features, feature_matching_loss, perceptual_loss
from translate.losses.reconstruction import charbonnier_loss, l1_loss, l2_loss, ssim_loss
from translate.losses.style import content_distances, gram, style_distances, total_variation

__all__ = [
    "AdversarialKind",
    "Features",
    "Logits",
    "bernoulli_log_likelihood",
    "binary_cross_entropy",
    "charbonnier_loss",
    "content_distances",
    "discriminator_fake_loss",
    "discriminator_gain",
    "discriminator_loss",
    "discriminator_real_loss",
    "feature_matching_loss",
    "gaussian_kl",
    "gaussian_log_likelihood",
    "generator_loss",
    "gradient_penalty",
    "gram",
    "guessing_loss",
    "hinge",
    "importance_weighted_bound",
    "l1_loss",
    "l2_loss",
    "least_squares",
    "log_weights",
    "patch_nce_loss",
    "path_length_penalty",
    "perceptual_loss",
    "r1_penalty",
    "reparameterised",
    "ssim_loss",
    "style_distances",
    "total_variation",
    "wasserstein",
]
