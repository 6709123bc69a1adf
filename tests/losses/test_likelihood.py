"""Likelihoods and bounds, against torch.distributions and against a model whose likelihood is known."""

import math

import pytest
import torch
from torch.distributions import Bernoulli, Independent, Normal, kl_divergence

from translate.losses import (
    bernoulli_log_likelihood,
    gaussian_kl,
    gaussian_log_likelihood,
    importance_weighted_bound,
    log_weights,
    reparameterised,
)


def test_bernoulli_is_the_sum_over_pixels():
    logits, targets = torch.randn(3, 1, 4, 4), (torch.rand(3, 1, 4, 4) > 0.5).float()
    expected = Independent(Bernoulli(logits=logits), 3).log_prob(targets)
    assert torch.allclose(bernoulli_log_likelihood(logits, targets), expected, atol=1e-5)


def test_gaussian_is_the_sum_over_pixels():
    mean, targets, log_scale = torch.randn(3, 2, 4, 4), torch.randn(3, 2, 4, 4), torch.tensor(-0.7)
    expected = Independent(Normal(mean, log_scale.exp()), 3).log_prob(targets)
    assert torch.allclose(gaussian_log_likelihood(mean, targets, log_scale), expected, atol=1e-4)


def test_kl_is_the_closed_form():
    mean, log_variance = torch.randn(5, 4), torch.randn(5, 4)
    posterior, prior = Normal(mean, (log_variance / 2).exp()), Normal(torch.zeros(5, 4), torch.ones(5, 4))
    expected = kl_divergence(posterior, prior).sum(dim=1).mean()
    assert torch.allclose(gaussian_kl(mean, log_variance), expected, atol=1e-5)
    assert gaussian_kl(torch.zeros(2, 3), torch.zeros(2, 3)) == 0


def test_free_bits_cost_what_they_are_and_have_no_gradient():
    mean = torch.tensor([[0.01, 3.0], [-0.01, 2.0]], requires_grad=True)
    loss = gaussian_kl(mean, torch.zeros(2, 2), free_bits=0.5)
    loss.backward()
    assert loss.item() == pytest.approx(0.5 + (9 + 4) / 4, rel=1e-5)
    assert (mean.grad[:, 0] == 0).all()
    assert (mean.grad[:, 1] != 0).all()


def linear_model(num_samples, *, exact=False):
    """x = z + noise of deviation 0.5 in two dimensions: -log p(x) is known; weights from q, exact or too wide."""
    torch.manual_seed(0)
    x = torch.randn(400, 2, dtype=torch.float64)
    variance = 0.2 if exact else 0.4
    mean, log_variance = x * 0.8, torch.full_like(x, math.log(variance))
    latents = reparameterised(mean, log_variance, num_samples=num_samples)
    likelihood = Normal(latents, 0.5).log_prob(x[:, None]).sum(dim=-1)
    truth = Normal(torch.zeros_like(x), math.sqrt(1.25)).log_prob(x).sum(dim=-1)
    return importance_weighted_bound(log_weights(likelihood, latents, mean, log_variance)), truth


def test_with_the_exact_posterior_one_sample_is_enough():
    bound, truth = linear_model(1, exact=True)
    assert torch.allclose(bound, truth, atol=1e-9)


def test_more_samples_come_nearer_from_below():
    gaps = []
    for num_samples in (1, 5, 500):
        bound, truth = linear_model(num_samples)
        gaps.append((truth - bound).mean().item())
    assert gaps[0] > gaps[1] > abs(gaps[2])
    assert abs(gaps[2]) < 0.01


def test_one_sample_is_the_evidence_lower_bound():
    weights = torch.randn(4, 1)
    assert torch.equal(importance_weighted_bound(weights), weights[:, 0])


def test_reparameterised_draws_the_number_that_is_asked_for():
    mean = torch.randn(3, 4, requires_grad=True)
    latents = reparameterised(mean, torch.zeros(3, 4), num_samples=7)
    assert latents.shape == (3, 7, 4)
    latents.sum().backward()
    assert torch.allclose(mean.grad, torch.full((3, 4), 7.0))


def test_half_precision_is_raised():
    logits, targets = torch.randn(2, 8).bfloat16(), torch.ones(2, 8).bfloat16()
    assert bernoulli_log_likelihood(logits, targets).dtype == torch.float32
    assert gaussian_kl(logits, targets).dtype == torch.float32


@pytest.mark.parametrize("function", [bernoulli_log_likelihood, gaussian_kl])
def test_shapes_must_agree(function):
    with pytest.raises(ValueError, match="expected equal shapes"):
        function(torch.zeros(2, 3), torch.zeros(2, 1))
