"""Normalisation has the gradient of its formula, however the tensors lie in memory."""

import itertools

import pytest
import torch

from translate.blocks.norm import norm_layer
from translate.config import ResNetConfig
from translate.networks import build_network

LAYOUTS = (torch.contiguous_format, torch.channels_last)
DIMENSIONS = {"instance": (2, 3), "batch": (0, 2, 3)}


@pytest.mark.parametrize("count", [1, 2, 3])
@pytest.mark.parametrize("kind", ["instance", "batch", "group"])
def test_layouts_do_not_matter(kind, count):
    generator = torch.Generator().manual_seed(0)
    x, gradient = (torch.randn(count, 8, 6, 6, generator=generator, dtype=torch.float64) for _ in range(2))
    exact = x.clone().requires_grad_()
    grouped = exact.view(count, 8, -1, 6, 6) if kind == "group" else exact  # eight channels: eight groups
    dimensions = DIMENSIONS.get(kind, (2, 3, 4))
    mean, variance = (grouped.mean(dimensions, keepdim=True), grouped.var(dimensions, correction=0, keepdim=True))
    expected = ((grouped - mean) / (variance + 1e-5).sqrt()).view_as(x)
    expected.backward(gradient)
    layer = norm_layer(kind)(8).double()
    for layout, gradient_layout in itertools.product(LAYOUTS, LAYOUTS):
        given = x.clone(memory_format=layout).requires_grad_()
        found = layer(given)
        found.backward(gradient.clone(memory_format=gradient_layout))
        torch.testing.assert_close(found, expected)
        torch.testing.assert_close(given.grad, exact.grad)


@pytest.mark.parametrize("upsampling", ["resize", "nearest", "transposed"])
@pytest.mark.parametrize("norm", ["instance", "group"])
def test_the_gradient_of_two_images_is_the_sum_of_each_alone(upsampling, norm):
    torch.manual_seed(0)
    network = build_network(ResNetConfig(width=4, num_blocks=1, upsampling=upsampling, norm=norm)).double()
    images = torch.rand(2, 3, 16, 16, dtype=torch.float64)

    def gradients(batch):
        network.zero_grad()
        network(batch).square().sum().backward()
        return torch.cat([parameter.grad.flatten() for parameter in network.parameters()])

    torch.testing.assert_close(gradients(images), gradients(images[:1]) + gradients(images[1:]))
