"""The StyleGAN networks: sizes, growing, styles of layers, truncation; and the discriminator at every size."""

import pytest
import torch

from translate.blocks.style import enlarged, halved
from translate.config import ConfigError
from translate.config.networks import StyleDiscriminatorConfig, StyleGeneratorConfig
from translate.networks import StyleDiscriminator, StyleGenerator, build_network


def sampler(*, noise: float = 0.3, **given) -> StyleGenerator:
    torch.manual_seed(0)
    config = StyleGeneratorConfig(**{"size": 16, "widths": (12, 10, 8), "latent": 6, "style": 7} | given)
    network = build_network(config)
    assert isinstance(network, StyleGenerator)
    for name, parameter in network.named_parameters():
        if name.endswith("strength"):
            torch.nn.init.constant_(parameter, noise)
    return network.eval()


def judge(**given) -> StyleDiscriminator:
    torch.manual_seed(0)
    return StyleDiscriminator(StyleDiscriminatorConfig(**{"size": 16, "widths": (12, 10, 8)} | given))


@pytest.mark.parametrize("styling", ["modulated", "adain"])
@pytest.mark.parametrize("num_classes", [0, 3])
def test_shapes(styling, num_classes):
    network = sampler(styling=styling, num_classes=num_classes, channels=4)
    labels = torch.tensor([0, 2]) if num_classes else None
    images = network(torch.randn(2, 6), labels)
    assert images.shape == (2, 4, 16, 16)
    assert network.num_layers == 6
    if num_classes:
        assert not torch.equal(images, network(torch.randn(2, 6), torch.tensor([1, 2])))


def test_a_generator_of_64_px_is_compact():
    config = StyleGeneratorConfig(size=64, widths=(192, 192, 128, 64, 32))
    with torch.device("meta"):
        assert sum(p.numel() for p in build_network(config).parameters()) < 3e6


def test_images_are_the_same_again_but_not_while_training():
    network, latents = sampler(), torch.randn(2, 6)
    assert torch.equal(network(latents), network(latents))
    assert not torch.equal(network(latents), network.synthesis(network.styles(latents), noise="none"))
    network.train()
    assert not torch.equal(network(latents), network(latents))


def test_what_fades_in_at_0_is_the_size_below_enlarged_and_at_1_all_of_it():
    network, styles = sampler(), torch.randn(2, 6, 7)
    whole = network.synthesis(styles)
    below = network.synthesis(styles, size=8)
    assert below.shape == (2, 3, 8, 8)
    network.alpha.fill_(0.0)
    assert torch.equal(network.synthesis(styles), enlarged(below_at_1(network, styles)))
    network.alpha.fill_(0.5)
    half = network.synthesis(styles)
    torch.testing.assert_close(half, (whole + enlarged(below)) / 2)
    network.alpha.fill_(1.0)
    assert torch.equal(network.synthesis(styles), whole)


def below_at_1(network, styles):
    kept = network.alpha.clone()
    network.alpha.fill_(1.0)
    below = network.synthesis(styles, size=8)
    network.alpha.copy_(kept)
    return below


def test_the_discriminator_fades_in_alike():
    network, images = judge().eval(), torch.randn(4, 3, 16, 16)
    whole, below = network(images), network(halved(images))
    network.fading = True
    for alpha, expected in ((0.0, below), (1.0, whole)):
        network.alpha.fill_(alpha)
        torch.testing.assert_close(network(images), expected, atol=0.0, rtol=0.0)
    network.alpha.fill_(0.5)
    assert not torch.equal(network(images), whole)


def test_every_layer_has_a_style_of_its_own():
    network = sampler()
    styles = network.styles(torch.randn(1, 6)).contiguous()
    whole = network.synthesis(styles)
    for layer in range(network.num_layers):
        other = styles.clone()
        other[:, layer] += 1.0
        assert not torch.equal(network.synthesis(other), whole)
    # The image of a size and the first convolution of the next share one: of 8 px, only the first four are looked at.
    other = styles.clone()
    other[:, 4:] += 1.0
    assert torch.equal(network.synthesis(other, size=8), network.synthesis(styles, size=8))


def test_truncation():
    network = sampler()
    network.mapping.average.normal_()
    latents = torch.randn(2, 6)
    full = network.styles(latents)
    assert torch.equal(network.styles(latents, truncation=1.0), full)
    torch.testing.assert_close(network.styles(latents, truncation=0.0), network.mapping.average.expand(2, 6, 7))
    truncation = torch.tensor([1.0, 1.0, 0.5, 0.5, 0.0, 0.0])
    partly = network.styles(latents, truncation=truncation)
    torch.testing.assert_close(partly[:, :2], full[:, :2])
    torch.testing.assert_close(partly[:, 2], (full[:, 2] + network.mapping.average) / 2)


def test_the_mean_style_is_followed_by_images():
    network = sampler()
    styles = network.mapping(torch.randn(8, 6))
    assert network.mapping.average.abs().max() == 0
    network.mapping.follow(styles)
    expected = (1 - 0.5 ** (8 / 10_000)) * styles.mean(dim=0)
    torch.testing.assert_close(network.mapping.average, expected)
    network.mapping.average.zero_()
    for part in styles.split(4):  # in parts, nearly the same
        network.mapping.follow(part)
    torch.testing.assert_close(network.mapping.average, expected, rtol=1e-2, atol=1e-6)


def test_latents_are_taken_by_their_direction():
    network, latents = sampler(), torch.randn(2, 6)
    torch.testing.assert_close(network(latents), network(5 * latents), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("side", [4, 8, 16])
def test_images_enter_the_discriminator_at_their_size(side):
    network = judge(num_classes=3)
    logits = network(torch.randn(4, 3, side, side), torch.tensor([0, 1, 2, 0]))
    assert logits.shape == (4, 1)
    logits.sum().backward()
    unused = [name for name, p in network.named_parameters() if p.grad is None]
    assert all(name.startswith(("entries", "stages")) for name in unused)
    assert any(name.startswith("stages.1") for name in unused) == (side < 16)


def test_a_network_that_has_not_grown_up_makes_smaller_images():
    network = sampler(grown=8)
    assert network(torch.randn(2, 6)).shape == (2, 3, 8, 8)
    assert network.num_layers == 4


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"size": 24, "widths": (8, 8, 8)}, "24 is not a power of two: choose 16 or 32"),
        ({"size": 16, "widths": (8, 8)}, "2 widths for 16 px"),
    ],
)
def test_sizes_that_cannot_be(given, said):
    for kind in (StyleGeneratorConfig, StyleDiscriminatorConfig):
        with pytest.raises(ConfigError, match=said):
            kind(**given)
