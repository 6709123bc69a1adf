"""Adversarial losses against hand-computed numbers, NumPy formulas and numerical gradients."""

from typing import get_args

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from translate.losses import (
    AdversarialKind,
    binary_cross_entropy,
    discriminator_fake_loss,
    discriminator_gain,
    discriminator_loss,
    discriminator_real_loss,
    generator_loss,
    hinge,
    least_squares,
    wasserstein,
)

KINDS = get_args(AdversarialKind)


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


# Straight from the papers, with probabilities instead of softplus.
DISCRIMINATOR_FORMULAS = {
    "vanilla": lambda x, y: -0.5 * (np.log(sigmoid(x)).mean() + np.log(1 - sigmoid(y)).mean()),
    "non-saturating": lambda x, y: -np.log(sigmoid(x)).mean() - np.log(1 - sigmoid(y)).mean(),
    "saturating": lambda x, y: -np.log(sigmoid(x)).mean() - np.log(1 - sigmoid(y)).mean(),
    "lsgan": lambda x, y: 0.5 * (((x - 1) ** 2).mean() + (y**2).mean()),
    "hinge": lambda x, y: np.maximum(0, 1 - x).mean() + np.maximum(0, 1 + y).mean(),
    "wasserstein": lambda x, y: y.mean() - x.mean(),
}
GENERATOR_FORMULAS = {
    "vanilla": lambda y: -np.log(sigmoid(y)).mean(),
    "non-saturating": lambda y: -np.log(sigmoid(y)).mean(),
    "saturating": lambda y: np.log(1 - sigmoid(y)).mean(),
    "lsgan": lambda y: ((y - 1) ** 2).mean(),
    "hinge": lambda y: -y.mean(),
    "wasserstein": lambda y: -y.mean(),
}


@pytest.fixture
def logits() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(3)
    shape = (2, 1, 5, 4)
    return 2 * torch.randn(shape, generator=generator), 2 * torch.randn(shape, generator=generator)


@pytest.mark.parametrize("kind", KINDS)
def test_published_formulas(kind, logits):
    real, fake = logits
    x, y = real.double().numpy(), fake.double().numpy()
    assert discriminator_loss(real, fake, kind=kind).item() == pytest.approx(
        DISCRIMINATOR_FORMULAS[kind](x, y), rel=1e-5
    )
    assert generator_loss(fake, kind=kind).item() == pytest.approx(GENERATOR_FORMULAS[kind](y), rel=1e-5)


@pytest.mark.parametrize(
    ("criterion", "real", "fake"),
    [
        (binary_cross_entropy, (0.126928 + 0.693147) / 2, (2.126928 + 0.693147) / 2),
        (least_squares, 1.0, 2.0),
        (hinge, 0.5, 2.0),
        (wasserstein, -1.0, 1.0),
    ],
)
def test_criteria_by_hand(criterion, real, fake):
    logits = torch.tensor([[2.0], [0.0]])
    assert criterion(logits, target_is_real=True).item() == pytest.approx(real, abs=1e-5)
    assert criterion(logits, target_is_real=False).item() == pytest.approx(fake, abs=1e-5)


def test_pix2pix_discriminator_is_half_the_two_cross_entropies(logits):
    real, fake = logits
    published = 0.5 * (
        F.binary_cross_entropy_with_logits(real, torch.ones_like(real))
        + F.binary_cross_entropy_with_logits(fake, torch.zeros_like(fake))
    )
    torch.testing.assert_close(discriminator_loss(real, fake, kind="vanilla"), published)


@pytest.mark.parametrize("kind", KINDS)
def test_separate_terms_add_up(kind, logits):
    real, fake = logits
    terms = discriminator_real_loss(real, kind=kind) + discriminator_fake_loss(fake, kind=kind)
    torch.testing.assert_close(discriminator_gain(kind) * terms, discriminator_loss(real, fake, kind=kind))


def test_vanilla_is_non_saturating_up_to_the_discriminator_gain(logits):
    real, fake = logits
    assert generator_loss(fake, kind="vanilla") == generator_loss(fake, kind="non-saturating")
    halved = discriminator_loss(real, fake, kind="vanilla")
    torch.testing.assert_close(2 * halved, discriminator_loss(real, fake, kind="non-saturating"))


def test_saturating_gradient_vanishes_where_the_other_does_not():
    gradients = {}
    for kind in ("saturating", "non-saturating"):
        rejected = torch.tensor([[-12.0]], requires_grad=True)
        generator_loss(rejected, kind=kind).backward()
        gradients[kind] = rejected.grad.item()
    assert gradients["saturating"] == pytest.approx(-sigmoid(np.array(-12.0)), rel=1e-4)
    assert gradients["non-saturating"] == pytest.approx(-1, rel=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_every_scale_counts_the_same(kind, logits):
    fine, _ = logits
    coarse = fine[:, :, :2, :1] + 1
    expected = (generator_loss(fine, kind=kind) + generator_loss(coarse, kind=kind)) / 2
    torch.testing.assert_close(generator_loss([fine, coarse], kind=kind), expected)
    expected = (discriminator_loss(fine, -fine, kind=kind) + discriminator_loss(coarse, -coarse, kind=kind)) / 2
    torch.testing.assert_close(discriminator_loss([fine, coarse], (-fine, -coarse), kind=kind), expected)


@pytest.mark.parametrize("kind", KINDS)
def test_gradcheck(kind, logits):
    real, fake = (scores.double().requires_grad_() for scores in logits)
    assert torch.autograd.gradcheck(lambda x, y: discriminator_loss(x, y, kind=kind), (real, fake))
    assert torch.autograd.gradcheck(lambda y: generator_loss(y, kind=kind), (fake,))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_logits_are_averaged_in_float32(kind, dtype):
    # 299 is no bf16 number and 300^2 no fp16 number: both show where the arithmetic happens.
    logits = torch.full((1, 1, 8, 8), 300.0, dtype=dtype)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = discriminator_loss(logits, logits, kind=kind)
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss, discriminator_loss(logits.float(), logits.float(), kind=kind), rtol=0, atol=0)
    assert generator_loss(logits, kind=kind).dtype == torch.float32
    assert torch.isfinite(loss)


@pytest.mark.parametrize("kind", KINDS)
def test_extreme_logits_stay_finite(kind):
    logits = torch.tensor([-1e4, 1e4], requires_grad=True)
    loss = discriminator_loss(logits, logits, kind=kind) + generator_loss(logits, kind=kind)
    loss.backward()
    assert torch.isfinite(loss)
    assert torch.isfinite(logits.grad).all()


@pytest.mark.parametrize("function", [generator_loss, discriminator_real_loss, discriminator_fake_loss])
def test_refuses_unknown_kind_and_no_logits(function):
    with pytest.raises(ValueError, match=r"unknown adversarial loss 'bce'; choose one of vanilla"):
        function(torch.zeros(1), kind="bce")
    with pytest.raises(ValueError, match="no logits"):
        function([], kind="hinge")
    with pytest.raises(ValueError, match=r"no logits.*\(0, 1\)"):
        function(torch.zeros(0, 1), kind="hinge")


def test_refuses_different_numbers_of_scales_and_unknown_gain():
    with pytest.raises(ValueError, match="2 scales and fake logits 1"):
        discriminator_loss([torch.zeros(1), torch.zeros(1)], torch.zeros(1), kind="lsgan")
    with pytest.raises(ValueError, match="unknown adversarial loss"):
        discriminator_gain("wgan")
