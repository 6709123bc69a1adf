"""The generator of styles: packed pixels or strided convolutions, one image or several, flat images."""

import pytest
import torch

from translate.config import ConfigError
from translate.config.networks import ConditionalResNetConfig
from translate.networks import ConditionalResNet

WIDTHS = [(6, 8), (4, 6, 8)]


def network(widths: tuple[int, ...]) -> ConditionalResNet:
    torch.manual_seed(0)
    made = ConditionalResNet(ConditionalResNetConfig(widths=widths, num_blocks=2, code=5, num_styles=3)).eval()
    made.even_phases()
    return made


@pytest.mark.parametrize("widths", WIDTHS)
def test_one_image_is_computed_as_several_are(widths: tuple[int, ...]) -> None:
    made, images = network(widths), torch.rand(2, 3, 24, 40) * 2 - 1
    together = made(images, made.codes[1:])
    assert together.shape == images.shape
    assert together.requires_grad
    with torch.inference_mode():
        for number in range(2):
            alone = made(images[number : number + 1], made.codes[1 + number : 2 + number])
            assert (alone[0] - together[number]).abs().max() < 1e-5
        assert (made(images[:1]) - made(images[:1], made.codes[:1])).abs().max() == 0


@pytest.mark.parametrize("widths", WIDTHS)
def test_flat_images_stay_flat(widths: tuple[int, ...]) -> None:
    """What is packed begins without a grid, and rounding is not enlarged by the norms."""
    made = network(widths)
    for value in (0.3, -1.0):
        with torch.inference_mode():
            flat = made(torch.full((1, 3, 32, 32), value), made.codes[:1])
        assert flat.flatten(2).std(dim=2).max() < 1e-6


@pytest.mark.parametrize("widths", WIDTHS)
def test_the_whole_image_learns(widths: tuple[int, ...]) -> None:
    made = network(widths)
    made(torch.rand(2, 3, 16, 16), made.codes[:2]).square().mean().backward()
    unused = [name for name, value in made.named_parameters() if value.grad is None or not value.grad.abs().sum()]
    assert not [name for name in unused if not name.endswith("style.bias")]


def test_widths_are_two_or_three() -> None:
    with pytest.raises(ConfigError, match="--widths has 1 numbers: give two, or three"):
        ConditionalResNetConfig(widths=(8,))
