"""The generator of styles: packed pixels or strided convolutions, one image or several, flat images."""

import pytest
import torch

from translate.config.networks import ConditionalResNetConfig
from translate.networks import ConditionalResNet

WIDTHS = [(8, 8, 16), (4, 6, 8), (8, 6, 16)]


def network(widths: tuple[int, int, int], *, packed: bool = False) -> ConditionalResNet:
    torch.manual_seed(0)
    config = ConditionalResNetConfig(widths=widths, packed=packed, num_blocks=2, code=5, num_styles=3)
    return ConditionalResNet(config).eval()


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("widths", WIDTHS)
def test_one_image_is_computed_as_several_are(widths: tuple[int, int, int], packed: bool) -> None:
    made, images = network(widths, packed=packed), torch.rand(2, 3, 24, 40) * 2 - 1
    together = made(images, made.codes[1:])
    assert together.shape == images.shape
    assert together.requires_grad
    with torch.inference_mode():
        for number in range(2):
            alone = made(images[number : number + 1], made.codes[1 + number : 2 + number])
            assert (alone[0] - together[number]).abs().max() < 1e-5
        assert (made(images[:1]) - made(images[:1], made.codes[:1])).abs().max() == 0


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("widths", WIDTHS)
def test_flat_images_stay_flat(widths: tuple[int, int, int], packed: bool) -> None:
    """Rounding is not enlarged by the norms."""
    made = network(widths, packed=packed)
    for value in (0.3, -1.0):
        with torch.inference_mode():
            flat = made(torch.full((1, 3, 32, 32), value), made.codes[:1])
        assert flat.flatten(2).std(dim=2).max() < 1e-6


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("widths", WIDTHS)
def test_the_whole_image_learns(widths: tuple[int, int, int], packed: bool) -> None:
    made = network(widths, packed=packed)
    made(torch.rand(2, 3, 16, 16), made.codes[:2]).square().mean().backward()
    unused = [name for name, value in made.named_parameters() if value.grad is None or not value.grad.abs().sum()]
    assert not [name for name in unused if not name.endswith("style.bias")]
