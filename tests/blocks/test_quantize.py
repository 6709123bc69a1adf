"""The codebook: nearest words, straight-through gradients, moving averages, restarts."""

import copy
import math

import pytest
import torch

from translate.blocks.quantize import MovingAverage, Quantizer, codebook_loss, perplexity
from translate.config import QuantizerConfig


@pytest.fixture
def quantizer():
    found = Quantizer(QuantizerConfig(num_codes=4, code_dim=2))
    with torch.no_grad():
        found.usage.copy_(torch.tensor([2.0, 1.0, 4.0, 1.0]))
        found.total.copy_(torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 4.0], [1.0, 1.0]]))
    return found


def test_words_are_totals_over_usage(quantizer):
    assert torch.equal(quantizer.entries, torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 1.0]]))


def test_the_nearest_word_is_taken(quantizer):
    vectors = torch.tensor([[0.9, 0.1], [0.1, 0.8], [2.0, 2.0], [-1.0, -1.0]]).T.reshape(1, 2, 2, 2)
    words, codes = quantizer(vectors)
    assert codes.tolist() == [[[1, 2], [3, 0]]]
    assert torch.equal(words, quantizer.look_up(codes))
    assert words.shape == vectors.shape


def test_gradients_go_straight_through(quantizer):
    vectors = torch.randn(2, 2, 3, 3, requires_grad=True)
    words, _ = quantizer(vectors)
    weight = torch.randn_like(words)
    (words * weight).sum().backward()
    assert torch.allclose(vectors.grad, weight)
    assert quantizer.usage.grad is None


def test_the_step_is_the_published_moving_average(quantizer):
    """N <- d N + (1 - d) n, m <- d m + (1 - d) sum z (van den Oord et al., 2017, appendix A.1)."""
    vectors = torch.tensor([[0.9, 0.1], [0.1, 0.8], [1.2, 0.9], [-0.1, -0.1]]).T.reshape(1, 2, 2, 2)
    _, codes = quantizer(vectors)
    counts, sums = (
        torch.ones(4),
        torch.stack([vectors[0, :, 1, 1], vectors[0, :, 0, 0], vectors[0, :, 0, 1], vectors[0, :, 1, 0]]),
    )
    usage, total = 0.9 * quantizer.usage + 0.1 * counts, 0.9 * quantizer.total + 0.1 * sums
    codebook_loss(quantizer, vectors, codes, decay=0.9).backward()
    MovingAverage(quantizer.parameters(), rate=0.1).step()
    assert torch.allclose(quantizer.usage, usage)
    assert torch.allclose(quantizer.total, total)


def test_micro_batches_make_the_step_of_the_whole_batch(quantizer):
    vectors = torch.randn(4, 2, 4, 4)
    other = copy.deepcopy(quantizer)
    for network, parts in ((quantizer, [vectors]), (other, list(vectors.split(2)))):
        for part in parts:
            (codebook_loss(network, part, network.codes(part), decay=0.9) / len(parts)).backward()
        # Counts are those of a micro-batch: a word is a ratio of two averages, so their scale does not matter.
    ratio = [network.total.grad / network.usage.grad.clamp_min(1e-6)[:, None] for network in (quantizer, other)]
    assert torch.allclose(*ratio, atol=1e-5)


def test_the_loss_has_the_value_of_the_perplexity(quantizer):
    codes = torch.tensor([[[0, 0], [1, 1]]])
    value = codebook_loss(quantizer, torch.zeros(1, 2, 2, 2), codes, decay=0.9)
    assert value.item() == pytest.approx(2.0)
    assert perplexity(codes, num_codes=4).item() == pytest.approx(2.0)


@pytest.mark.parametrize(("shares", "expected"), [((1,), 1), ((1, 1, 1, 1), 4), ((3, 1), math.exp(0.5623351))])
def test_perplexity(shares, expected):
    codes = torch.repeat_interleave(torch.arange(len(shares)), torch.tensor(shares))
    assert perplexity(codes, num_codes=8).item() == pytest.approx(expected, rel=1e-5)


def test_dead_words_are_given_vectors_of_the_batch():
    torch.manual_seed(0)
    quantizer = Quantizer(QuantizerConfig(num_codes=8, code_dim=3))  # nothing is used yet
    vectors = torch.randn(2, 3, 4, 4)
    flat = vectors.permute(0, 2, 3, 1).flatten(0, 2)
    _, codes = quantizer(vectors)
    codebook_loss(quantizer, vectors, codes, decay=0.99).backward()
    MovingAverage(quantizer.parameters(), rate=0.01).step()
    even = len(flat) / 8
    assert (quantizer.usage >= 0.99 * even).all()
    distances = torch.cdist(quantizer.entries[1:], flat).min(dim=1).values  # entry 0 was given all of them, too
    assert distances.max() < 1e-2


def test_all_words_come_into_use():
    torch.manual_seed(0)
    quantizer = Quantizer(QuantizerConfig(num_codes=16, code_dim=2))
    optimizer = MovingAverage(quantizer.parameters(), rate=0.05)
    for _ in range(200):
        vectors = torch.rand(8, 2, 8, 8)
        codes = quantizer.codes(vectors)
        optimizer.zero_grad()
        codebook_loss(quantizer, vectors, codes, decay=0.95).backward()
        optimizer.step()
    assert perplexity(quantizer.codes(torch.rand(64, 2, 8, 8)), num_codes=16) > 0.9 * 16
