"""Style blocks against plain re-statements: weights for each image, filters of SciPy, statistics by hand."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scipy.signal import upfirdn

from translate.blocks.style import (
    AdaINConv,
    BatchDeviation,
    EqualConv,
    EqualLinear,
    ModulatedConv,
    StyledConv,
    ToImage,
    enlarged,
    filtered,
    fir_kernel,
    halved,
)


def published(x, style, conv):
    """A modulated convolution with weights of its own for every image, in groups (Karras et al., 2020, eq. 1 and 3)."""
    count, channels, height, width = x.shape
    out, size = len(conv.weight), conv.kernel_size
    weight = conv.weight[None] / (channels * size**2) ** 0.5 * conv.affine(style)[:, None, :, None, None]
    if conv.demodulate:
        weight = weight / (weight.square().sum(dim=(2, 3, 4), keepdim=True) + 1e-8).sqrt()
    if conv.up:
        weight = weight.transpose(1, 2).reshape(count * channels, out, size, size)
        x = F.conv_transpose2d(x.reshape(1, -1, height, width), weight, stride=2, groups=count)
        x = x.view(count, out, 2 * height + 1, 2 * width + 1)
        x = F.conv2d(x, 4 * fir_kernel().to(x).expand(out, 1, -1, -1), padding=1, groups=out)
    else:
        weight = weight.view(count * out, channels, size, size)
        x = F.conv2d(x.reshape(1, -1, height, width), weight, padding=size // 2, groups=count)
        x = x.view(count, out, height, width)
    return conv.gain * x


@pytest.mark.parametrize(("kernel_size", "up", "demodulate"), [(3, False, True), (3, True, True), (1, False, False)])
def test_modulated_convolution_is_the_published_one(kernel_size, up, demodulate):
    torch.manual_seed(0)
    conv = ModulatedConv(6, 5, style=7, kernel_size=kernel_size, up=up, demodulate=demodulate, gain=1.5).double()
    x, style = torch.randn(3, 6, 8, 8).double().requires_grad_(), torch.randn(3, 7).double()
    ours, theirs = conv(x, style), published(x, style, conv)
    torch.testing.assert_close(ours, theirs)
    gradients = [torch.autograd.grad(out.square().sum(), [x, *conv.parameters()]) for out in (ours, theirs)]
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(one, other)


def test_demodulated_outputs_have_deviation_one_whatever_the_style():
    torch.manual_seed(0)
    conv = ModulatedConv(64, 64, style=8)
    out = conv(torch.randn(4, 64, 16, 16), 5 * torch.randn(4, 8))[:, :, 1:-1, 1:-1]  # the border has zeros around
    assert out.std(dim=(2, 3)).mean().item() == pytest.approx(1.0, abs=0.05)


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("side", [1, 4, 7, 66])  # on a CPU large ones go another way
def test_filters_against_scipy(side, memory_format):
    x = np.random.default_rng(0).normal(size=(2, 3, side, side))
    taps = np.array([1.0, 3.0, 3.0, 1.0]) / 8

    def both(up, down, before, after):
        found = x
        for axis in (2, 3):
            padded = upfirdn([1.0], found, up=up, axis=axis)
            ends = [(0, 0)] * 4
            # SciPy leaves out the zeros behind the last value.
            ends[axis] = (before, after + up * found.shape[axis] - padded.shape[axis])
            found = upfirdn(taps * up, np.pad(padded, ends), axis=axis)
            found = np.take(found, range(3, found.shape[axis] - 3), axis=axis)  # where the filter lies within
            found = np.take(found, range(0, found.shape[axis], down), axis=axis)
        return torch.from_numpy(found)

    tensor = torch.from_numpy(x).contiguous(memory_format=memory_format)
    torch.testing.assert_close(enlarged(tensor), both(2, 1, 2, 1))
    assert side == 1 or enlarged(tensor).is_contiguous(memory_format=memory_format)
    torch.testing.assert_close(filtered(tensor, border=2), both(1, 1, 2, 2))
    torch.testing.assert_close(filtered(tensor, border=2, gain=3.0), 9 * both(1, 1, 2, 2))
    if side % 2 == 0:
        torch.testing.assert_close(halved(tensor), both(1, 2, 1, 1))


def test_filters_keep_their_precision_and_differentiate_twice_after_inference():
    x = torch.randn(1, 2, 4, 4)
    with torch.inference_mode():
        enlarged(x)  # what it makes once for a size must serve training, too
    with torch.autocast("cpu", torch.bfloat16):
        assert enlarged(x).dtype == torch.float32
        assert halved(x.bfloat16()).dtype == torch.bfloat16
    assert torch.autograd.gradcheck(enlarged, x.double().requires_grad_())
    assert torch.autograd.gradgradcheck(lambda y: filtered(y, border=2).square(), x.double().requires_grad_())


def test_equalised_layers_keep_the_variance_and_scale_gradients():
    torch.manual_seed(0)
    x = torch.randn(4000, 128)
    assert EqualLinear(128, 64)(x).std().item() == pytest.approx(1.0, abs=0.05)
    assert EqualLinear(128, 64, rate=0.01)(x).std().item() == pytest.approx(1.0, abs=0.05)
    assert EqualLinear(128, 64, bias=1.0, rate=0.01)(torch.zeros(1, 128)).tolist() == [pytest.approx([1.0] * 64)]
    image = torch.randn(2, 32, 24, 24)
    assert EqualConv(32, 64, activation=False)(image)[:, :, 1:-1, 1:-1].std().item() == pytest.approx(1.0, abs=0.05)
    active = EqualConv(32, 64)(image)[:, :, 1:-1, 1:-1]
    assert active.square().mean().item() == pytest.approx(1.04, abs=0.05)  # (1 + 0.04) / 2, times 2
    assert EqualConv(32, 8, down=True)(image).shape == (2, 8, 12, 12)


def test_a_short_way_of_single_pixels_may_be_halved_first():
    conv = EqualConv(5, 4, kernel_size=1, down=True, bias=False, activation=False).double()
    x = torch.randn(2, 5, 8, 8).double()
    after = halved(F.conv2d(x, conv.weight * conv.scale))
    torch.testing.assert_close(conv.double()(x), after)


@pytest.mark.parametrize("kind", ["modulated", "adain"])
def test_noise_is_drawn_fixed_or_none(kind):
    torch.manual_seed(0)
    block = StyledConv(4, 6, size=8, style=5, up=True, kind=kind)
    x, style = torch.randn(2, 4, 4, 4), torch.randn(2, 5)
    assert torch.equal(block(x, style, noise="random"), block(x, style, noise="none"))  # its strength starts at 0
    torch.nn.init.constant_(block.strength, 0.5)
    fixed = block(x, style, noise="fixed")
    assert fixed.shape == (2, 6, 8, 8)
    assert torch.equal(fixed, block(x, style, noise="fixed"))
    assert not torch.equal(fixed, block(x, style, noise="none"))
    assert not torch.equal(block(x, style, noise="random"), block(x, style, noise="random"))
    assert [name for name in block.state_dict() if "kernel" in name] == []  # filters are no weights


def test_modulated_block_is_convolution_noise_bias_activation():
    torch.manual_seed(0)
    block = StyledConv(4, 6, size=8, style=5)
    torch.nn.init.constant_(block.strength, 0.7)
    torch.nn.init.normal_(block.bias)
    x, style = torch.randn(2, 4, 8, 8), torch.randn(2, 5)
    conv = block.conv
    plain = published(x, style, conv) / conv.gain + 0.7 * block.noise + block.bias[:, None, None]
    torch.testing.assert_close(block(x, style, noise="fixed"), F.leaky_relu(plain, 0.2) * 2**0.5, atol=1e-5, rtol=1e-5)


def test_adain_gives_each_channel_the_deviation_and_mean_of_the_style():
    torch.manual_seed(0)
    block = StyledConv(4, 6, size=8, style=5, kind="adain")
    style = torch.randn(3, 5)
    out = block(torch.randn(3, 4, 8, 8), style)
    assert isinstance(block.conv, AdaINConv)
    scales, shifts = block.conv.affine(style).chunk(2, dim=1)
    torch.testing.assert_close(out.mean(dim=(2, 3)), shifts, atol=1e-4, rtol=1e-3)
    torch.testing.assert_close(out.std(dim=(2, 3), unbiased=False), (1 + scales).abs(), atol=1e-3, rtol=1e-3)


def test_to_image_is_not_demodulated():
    layer = ToImage(8, 3, style=5)
    x, style = torch.randn(2, 8, 4, 4), torch.randn(2, 5)
    torch.testing.assert_close(layer(3 * x, style), 3 * layer(x, style), atol=1e-5, rtol=1e-5)


def test_deviation_of_groups():
    x = torch.randn(6, 2, 3, 3)
    out = BatchDeviation(group=3)(x)
    assert out.shape == (6, 3, 3, 3)
    for part, made in zip(x.split(3), out.split(3), strict=True):
        expected = part.numpy().reshape(3, -1).std(axis=0).mean()
        assert made[:, 2].numpy() == pytest.approx(np.full((3, 3, 3), expected), abs=1e-5)
    # Two processes with half a batch each see the groups of one.
    torch.testing.assert_close(out[:3], BatchDeviation(group=3)(x[:3]))
    assert BatchDeviation(group=4)(x)[:, 2].unique().numel() == 2  # by threes: six are no multiple of four
    assert BatchDeviation(group=4)(x[:1])[:, 2].abs().max() < 1e-3  # one image differs from none
