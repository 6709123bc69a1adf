"""Autoencoders, codecs and the prior of codes: shapes, ranges, causality."""

import pytest
import torch

from translate.config import (
    CodecConfig,
    CodePriorConfig,
    ConfigError,
    ConvAutoencoderConfig,
    DenseAutoencoderConfig,
    QuantizerConfig,
    VQVAENetworkConfig,
)
from translate.networks import CodePrior, build_network

VECTOR = [
    DenseAutoencoderConfig(size=12, latent=3, hidden=(20, 10)),
    DenseAutoencoderConfig(size=8, channels=3, latent=1, hidden=(16,), likelihood="gaussian", variational=True),
    ConvAutoencoderConfig(size=28, latent=5, width=8),
    ConvAutoencoderConfig(size=32, channels=3, latent=2, width=4, num_downsamplings=3, likelihood="gaussian"),
    ConvAutoencoderConfig(size=16, latent=4, width=4, num_downsamplings=1, variational=True, norm="batch"),
]


@pytest.mark.parametrize("config", VECTOR, ids=lambda config: f"{config.type}-{config.size}")
def test_images_to_latents_and_back(config):
    network = build_network(config).eval()
    images = torch.rand(3, config.channels, config.size, config.size) * 2 - 1
    code = network.encode(images)
    assert code.mean.shape == (3, config.latent)
    assert (code.log_variance is not None) == config.variational
    assert network.decode(code.mean).shape == images.shape
    again = network(images)
    assert again.shape == images.shape
    assert again.abs().max() <= 1
    again.sum().backward()
    assert all(p.grad is not None for name, p in network.named_parameters() if name != "log_scale")


def test_log_variances_stay_within_bounds():
    network = build_network(DenseAutoencoderConfig(size=4, latent=2, hidden=(4,), variational=True))
    with torch.no_grad():
        network.encoder[-1].bias.fill_(100.0)
    assert network.encode(torch.zeros(1, 1, 4, 4)).log_variance.max() == 10


def test_a_learned_deviation_is_there_for_gaussian_pixels_alone():
    named = {
        likelihood: DenseAutoencoderConfig(variational=True, likelihood=likelihood)
        for likelihood in ("gaussian", "bernoulli")
    }
    assert build_network(named["gaussian"]).log_scale is not None
    assert build_network(named["bernoulli"]).log_scale is None


def test_sizes_that_cannot_be_halved_are_refused():
    with pytest.raises(ConfigError, match="--size 30 cannot be halved 2 times"):
        ConvAutoencoderConfig(size=30)
    with pytest.raises(ConfigError, match="--size 20 cannot be halved 3 times"):
        CodecConfig(size=20)


def vqvae(**given):
    codec = CodecConfig(**({"channels": 1, "size": 16, "width": 8, "num_downsamplings": 2, "code_dim": 4} | given))
    prior = CodePriorConfig(num_codes=6, side=codec.side, width=8, num_layers=2)
    return VQVAENetworkConfig(codec=codec, quantizer=QuantizerConfig(num_codes=6, code_dim=4), prior=prior)


def test_vqvae_goes_through_codes():
    network = build_network(vqvae()).eval()
    torch.nn.init.normal_(network.quantizer.total)
    torch.nn.init.ones_(network.quantizer.usage)
    images = torch.rand(2, 1, 16, 16) * 2 - 1
    codes = network.codes(images)
    assert codes.shape == (2, 4, 4)
    assert codes.max() < 6
    assert torch.equal(network(images), network.images(codes))
    drawn = network.sample(3, generator=torch.Generator().manual_seed(0))
    assert drawn.shape == (3, 1, 16, 16)
    assert torch.equal(drawn, network.sample(3, generator=torch.Generator().manual_seed(0)))


def test_parts_that_do_not_fit_are_refused():
    quantizer = QuantizerConfig(num_codes=6, code_dim=5)
    with pytest.raises(ConfigError, match="vectors of dimension 4 do not fit codebook entries of dimension 5"):
        VQVAENetworkConfig(codec=CodecConfig(code_dim=4), quantizer=quantizer)
    with pytest.raises(ConfigError, match="the size of their grid"):
        VQVAENetworkConfig(
            codec=CodecConfig(size=16, code_dim=5), quantizer=quantizer, prior=CodePriorConfig(num_codes=6, side=7)
        )


@pytest.fixture
def prior():
    torch.manual_seed(0)
    network = CodePrior(CodePriorConfig(num_codes=6, side=3, width=8, num_layers=2)).eval()
    torch.nn.init.normal_(network.places)
    return network


def test_a_place_sees_only_those_before_it(prior):
    codes = torch.randint(6, (2, 3, 3))
    before = prior(codes)
    for place in range(9):
        changed = codes.flatten(1).clone()
        changed[:, place] = (changed[:, place] + 1) % 6
        after = prior(changed.view(2, 3, 3))
        assert torch.equal(after[:, : place + 1], before[:, : place + 1])
        assert place == 8 or not torch.equal(after[:, place + 1 :], before[:, place + 1 :])


def test_one_place_at_a_time_is_the_same(prior):
    codes = torch.randint(6, (2, 3, 3))
    expected, memory, token = prior(codes), None, torch.full((2,), 6)
    for place in range(9):
        logits, memory = prior.next(token, place, memory)
        assert torch.allclose(logits, expected[:, place], atol=1e-5)
        token = codes.flatten(1)[:, place]


def test_a_low_temperature_takes_the_likeliest(prior):
    cold = prior.sample(4, temperature=0.0)
    assert (cold == cold[:1]).all()
    assert not (prior.sample(8) == cold[:1]).all()
