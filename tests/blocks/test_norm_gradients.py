"""Normalisation has the gradient of its formula, however the tensors lie in memory."""

import itertools

import pytest
import torch

from translate.blocks.norm import norm_layer
from translate.config import ResNetConfig, WeightsConfig
from translate.export.onnx import _exported
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


@pytest.mark.parametrize("learns", [False, True])
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("channels", [1, 4, 64])
@pytest.mark.parametrize("kind", ["instance", "instance-affine", "group"])
def test_little_contrast_keeps_its_digits(kind, channels, layout, learns):
    """A sky: values around 10 that deviate by 0.1. PyTorch's own group norm of channels_last is off by 0.06.

    A single channel is contiguous whatever its strides, and still taken for channels_last by those.
    """
    generator = torch.Generator().manual_seed(0)
    x = 10 + 0.1 * torch.randn(1, channels, 64, 64, generator=generator)
    layer = norm_layer(kind)(channels).eval()
    expected = norm_layer(kind)(channels).double().eval()(x.double())
    with torch.set_grad_enabled(learns):
        found = layer(x.contiguous(memory_format=layout))
        alone = layer(torch.cat([x, x]).contiguous(memory_format=layout)[:1])
    torch.testing.assert_close(found.double(), expected, atol=1e-4, rtol=0)
    torch.testing.assert_close(alone.double(), expected, atol=1e-4, rtol=0)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("side", [2, 7, 64, 100])
@pytest.mark.parametrize("kind", ["instance", "instance-affine", "group"])
def test_a_flat_channel_becomes_its_shift_and_nothing_else(kind, side, layout):
    x = torch.linspace(-9, 9, 8)[None, :, None, None].expand(2, 8, side, side).contiguous(memory_format=layout)
    layer = norm_layer(kind)(8)
    if (shift := getattr(layer, "bias", None)) is not None:
        torch.nn.init.normal_(shift)
    expected = torch.zeros(8) if shift is None else shift
    with torch.no_grad():  # in use, and not in training
        assert torch.equal(layer(x), expected[:, None, None].expand_as(x))


@pytest.mark.parametrize("channels", [4, 64])
@pytest.mark.parametrize("kind", ["instance", "group"])
def test_onnxruntime_keeps_the_digits_too(tmp_path, kind, channels):
    """Its own mean of 200,000 values around 100 would make an error of 0.1 of this."""
    for library in ("onnx", "onnxscript", "onnxruntime"):
        pytest.importorskip(library)
    import onnxruntime
    from onnxscript import ir

    layer = norm_layer(kind)(channels).eval()
    weights = WeightsConfig(kind="translator", name="norm", network=ResNetConfig())
    inputs = {"x": (torch.randn(2, channels, 6, 8), ("batch", channels, "height", "width"))}
    ir.save(_exported(torch.nn.Sequential(layer), weights, inputs, output="y"), tmp_path / "norm.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "norm.onnx")
    generator = torch.Generator().manual_seed(0)
    sky = 100.3 + 0.1 * torch.randn(1, channels, 320, 320, generator=generator)
    flat = torch.full_like(sky, 3.3)
    for x, tolerance in ((sky, 1e-3), (flat, 0.0)):
        with torch.no_grad():
            exact = norm_layer(kind)(channels).double()(x.double())
        (found,) = session.run(None, {session.get_inputs()[0].name: x.numpy()})
        torch.testing.assert_close(torch.from_numpy(found).double(), exact, atol=tolerance, rtol=0)
        with torch.no_grad():
            torch.testing.assert_close(layer(x).double(), exact, atol=tolerance, rtol=0)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize(("count", "side"), [(1, 600), (3, 40), (2, 300), (40, 80)])
@pytest.mark.parametrize("kind", ["instance-affine", "group"])
def test_maps_that_are_normalised_some_channels_at_a_time(kind, count, side, dtype, layout):
    """600 x 600 values are more than a processor's cache holds: one channel at a time."""
    channels = 64 if kind == "group" else 3  # two channels a group
    layer = norm_layer(kind)(channels)
    generator = torch.Generator().manual_seed(0)
    for values in layer.parameters():
        torch.nn.init.normal_(values, generator=generator)
    x = torch.randn(count, channels, side // (8 if kind == "group" else 1), side, generator=generator)
    x = (5 + x).to(dtype)  # of which PyTorch's variance is off by 0.001 where channels are last
    with torch.no_grad():
        found = layer.to(dtype)(x.contiguous(memory_format=layout))
        expected = layer.double().train()(x.double())
    assert found.dtype == dtype
    tolerance = {"atol": 1e-5, "rtol": 0} if dtype == torch.float32 else {"atol": 1e-3, "rtol": 2**-8}  # its output's
    torch.testing.assert_close(found.double(), expected, **tolerance)


@pytest.mark.parametrize("norm", ["instance", "batch", "none"])
@pytest.mark.parametrize("downsampling", ["strided", "blur-after"])
def test_inference_in_place_changes_nothing(norm, downsampling):
    torch.manual_seed(0)
    config = ResNetConfig(width=4, num_blocks=2, norm=norm, downsampling=downsampling)
    network = build_network(config).eval()
    images = torch.rand(2, 3, 24, 32) * 2 - 1
    kept = images.clone()
    with torch.no_grad():
        expected = network(images)
        features = network.features(images)
    with torch.inference_mode():
        assert torch.equal(network(images), expected)
        for found, known in zip(network.features(images), features, strict=True):
            assert torch.equal(found, known)
    assert torch.equal(images, kept)
