"""Every kind of block: shapes, values, refusals, gradients."""

import pytest
import torch
from torch import nn

from translate.blocks import (
    BlurPool,
    ConvBlock,
    ResidualBlock,
    UNetDown,
    UNetUp,
    blur_after,
    downsample,
    norm_layer,
    patch_stage,
    receptive_field,
    relu,
    upsample,
)

NORMS = ["instance", "instance-affine", "batch", "group", "none"]
PADDINGS = ["reflect", "replicate", "zeros"]
UPS = ["resize", "nearest", "transposed"]
DOWNS = ["strided", "blur"]


def noise(*shape: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0), dtype=dtype)


def zero(module: nn.Module) -> nn.Module:
    for parameter in module.parameters():
        nn.init.zeros_(parameter)
    return module


# Convolution and normalisation


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("padding", PADDINGS)
@pytest.mark.parametrize(("kernel_size", "stride"), [(1, 1), (3, 1), (3, 2), (7, 1)])
def test_conv_block_keeps_or_divides_the_size(norm, padding, kernel_size, stride):
    block = ConvBlock(
        3, 8, kernel_size=kernel_size, stride=stride, padding=padding, norm_layer=norm_layer(norm), activation=relu
    )
    output = block(noise(2, 3, 9, 13))
    assert output.shape == (2, 8, -(-9 // stride), -(-13 // stride))
    assert output.min() >= 0
    assert (block.conv.bias is None) == (norm != "none")


def test_conv_block_without_norm_or_activation_is_a_convolution():
    block = ConvBlock(2, 3)
    x = noise(1, 2, 5, 5)
    expected = nn.functional.conv2d(x, block.conv.weight, block.conv.bias, padding=1)
    assert torch.equal(block(x), expected)


@pytest.mark.parametrize(("padding", "left"), [("reflect", 2.0), ("replicate", 1.0), ("zeros", 0.0)])
def test_padding_fills_the_border_as_named(padding, left):
    block = zero(ConvBlock(1, 1, padding=padding))
    block.conv.weight.data[0, 0, 1, 0] = 1.0  # copies the left neighbour
    assert block(torch.tensor([[[[1.0, 2.0, 3.0]] * 3]]))[0, 0, 1].tolist() == [left, 1.0, 2.0]


@pytest.mark.parametrize("kind", ["instance", "instance-affine", "batch", "group"])
def test_norms_normalise(kind):
    x = 5 + 3 * noise(4, 8, 6, 6)
    output = norm_layer(kind)(8)(x)
    axes = (0, 2, 3) if kind == "batch" else (2, 3)  # 8 channels make 8 groups of 1
    assert output.mean(dim=axes).abs().max() < 1e-5
    torch.testing.assert_close(output.var(dim=axes, unbiased=False), torch.ones(()).expand_as(output.mean(dim=axes)))


@pytest.mark.parametrize("channels", [1, 3, 24, 32, 48, 64, 100])
def test_group_norm_takes_any_channels(channels):
    layer = norm_layer("group")(channels)
    assert channels % layer.num_groups == 0
    assert layer.num_groups <= 32
    assert layer(noise(1, channels, 4, 4)).shape == (1, channels, 4, 4)


def test_affine_instance_norm_is_batch_norm_of_a_single_image():
    alone, batch = norm_layer("instance-affine")(3), norm_layer("batch")(3)
    for layer in (alone, batch):
        layer.weight.data, layer.bias.data = torch.tensor([0.5, 1.0, -2.0]), torch.tensor([1.0, 0.0, -1.0])
    images = 2 + 3 * noise(2, 3, 5, 5)
    assert set(alone.state_dict()) == {"weight", "bias"}
    torch.testing.assert_close(alone(images), torch.cat([batch(image) for image in images.split(1)]))
    assert torch.equal(alone.eval()(images), alone.train()(images))


def test_instance_norm_has_no_state_and_none_changes_nothing():
    assert not norm_layer("instance")(4).state_dict()
    x = noise(1, 4, 3, 3)
    assert norm_layer("none")(4)(x) is x


def test_unknown_names_are_refused_with_the_known_ones():
    with pytest.raises(ValueError, match=r"norm 'layer' is unknown.*instance, instance-affine, batch, group, none"):
        norm_layer("layer")
    with pytest.raises(ValueError, match=r"downsampling 'pool' is unknown.*strided, blur or blur-after"):
        downsample(1, 1, kernel_size=3, kind="pool", bias=True)
    with pytest.raises(ValueError, match=r"upsampling 'shuffle' is unknown.*resize, nearest or transposed"):
        upsample(1, 1, kernel_size=3, kind="shuffle", bias=True)


# Resampling


@pytest.mark.parametrize("kind", DOWNS)
@pytest.mark.parametrize("kernel_size", [3, 4])
@pytest.mark.parametrize("size", [(2, 2), (8, 6), (16, 2)])
def test_downsample_halves(kind, kernel_size, size):
    layer = downsample(3, 5, kernel_size=kernel_size, kind=kind, bias=False)
    assert layer(noise(2, 3, *size)).shape == (2, 5, size[0] // 2, size[1] // 2)
    assert not [name for name in layer.state_dict() if name.endswith("bias")]


@pytest.mark.parametrize("kernel_size", [3, 4])
@pytest.mark.parametrize("size", [(2, 2), (8, 6), (16, 2)])
def test_blur_after_halves_behind_the_activation(kernel_size, size):
    layers = [downsample(3, 5, kernel_size=kernel_size, kind="blur-after", bias=False), relu()]
    layers += blur_after(5, kind="blur-after")
    assert nn.Sequential(*layers)(noise(2, 3, *size)).shape == (2, 5, size[0] // 2, size[1] // 2)
    assert isinstance(layers[-1], BlurPool)
    assert blur_after(5, kind="strided") == blur_after(5, kind="blur") == []


def test_resize_is_the_filter_of_the_published_upsampling():
    """CUT's: repeat the border, then a transposed convolution with [1, 3, 3, 1] x [1, 3, 3, 1] / 16, cut to size."""
    x = noise(2, 3, 4, 6)
    taps = torch.tensor([1.0, 3.0, 3.0, 1.0]) / 4
    kernel = torch.outer(taps, taps).expand(3, 1, 4, 4)
    padded = nn.functional.pad(x, (1, 1, 1, 1), mode="replicate")
    expected = nn.functional.conv_transpose2d(padded, kernel, stride=2, padding=2, groups=3)[..., 1:-1, 1:-1]
    torch.testing.assert_close(upsample(3, 1, kernel_size=3, kind="resize", bias=False)[0](x), expected)


@pytest.mark.parametrize("kind", UPS)
@pytest.mark.parametrize("kernel_size", [3, 4])
@pytest.mark.parametrize("size", [(1, 1), (3, 5)])
def test_upsample_doubles(kind, kernel_size, size):
    layer = upsample(3, 5, kernel_size=kernel_size, kind=kind, bias=True)
    assert layer(noise(2, 3, *size)).shape == (2, 5, 2 * size[0], 2 * size[1])
    assert [name for name in layer.state_dict() if name.endswith("bias")]


@pytest.mark.parametrize(
    ("kind", "row"), [("nearest", [1.0, 1.0, 5.0, 5.0]), ("resize", [1.0, 2.0, 4.0, 5.0])], ids=["nearest", "bilinear"]
)
def test_enlarging_comes_before_the_convolution(kind, row):
    layer = upsample(1, 1, kernel_size=4, kind=kind, bias=False)
    zero(layer)[1].weight.data[0, 0, 1, 1] = 1.0
    assert layer(torch.tensor([[[[1.0, 5.0]]]])).tolist() == [[[row, row]]]


@pytest.mark.parametrize("size", [(1, 1), (1, 7), (2, 2), (5, 8), (9, 1)])
def test_blur_pool_keeps_a_constant_image_constant(size):
    output = BlurPool(3)(torch.full((2, 3, *size), 0.7))
    assert output.shape == (2, 3, -(-size[0] // 2), -(-size[1] // 2))
    torch.testing.assert_close(output, torch.full_like(output, 0.7))


def test_blur_pool_removes_the_checkerboard_and_stores_nothing():
    y, x = torch.meshgrid(torch.arange(8), torch.arange(8), indexing="ij")
    checkerboard = ((x + y) % 2 * 2.0 - 1)[None, None]
    pool = BlurPool(1)
    assert pool(checkerboard).abs().max() < 1e-6
    assert not pool.state_dict()
    assert pool.double()(checkerboard.double()).dtype == torch.float64


def test_blur_pool_weighs_neighbours_by_the_binomial():
    impulse = torch.zeros(1, 1, 7, 7)
    impulse[0, 0, 3, 3] = 16.0
    assert BlurPool(1)(impulse)[0, 0, 1:3, 1:3].tolist() == [[1, 1], [1, 1]]  # both neighbours are diagonal
    impulse = impulse.roll((1, 1), (2, 3))
    assert BlurPool(1)(impulse)[0, 0, 2, 2] == 4


# Residual and U-Net blocks


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("padding", PADDINGS)
@pytest.mark.parametrize("dropout", [0.0, 0.5])
def test_residual_block_is_the_identity_when_its_convolutions_are_zero(norm, padding, dropout):
    block = ResidualBlock(4, norm_layer=norm_layer(norm), padding=padding, dropout=dropout)
    for conv in (block.conv1.conv, block.conv2.conv):
        zero(conv)
    x = noise(2, 4, 5, 7)
    assert torch.equal(block(x), x)


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("padding", PADDINGS)
def test_residual_block_keeps_the_shape(norm, padding):
    block = ResidualBlock(4, norm_layer=norm_layer(norm), padding=padding, dropout=0.5)
    x = noise(2, 4, 2, 7)
    output = block(x)
    assert output.shape == x.shape
    assert not torch.equal(output, x)
    assert not torch.equal(block(x), output)  # dropout, while training
    assert torch.equal(block.eval()(x), block(x))


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("down", DOWNS)
@pytest.mark.parametrize("up", UPS)
def test_unet_blocks_halve_and_double(norm, down, up):
    encoder = UNetDown(3, 8, norm_layer=norm_layer(norm), downsampling=down)
    decoder = UNetUp(16, 5, norm_layer=norm_layer(norm), upsampling=up, dropout=0.5)
    x = noise(2, 3, 8, 12)
    inner = encoder(x)
    assert inner.shape == (2, 8, 4, 6)
    assert decoder(inner, inner).shape == (2, 5, 8, 12)
    has_bias = any(name.endswith("bias") and "conv" in name for name in encoder.state_dict())
    assert has_bias == (norm == "none")


@pytest.mark.parametrize("norm", NORMS)
def test_unet_blocks_change_nothing_in_place(norm):
    x, skip = noise(2, 4, 4, 4), noise(2, 4, 4, 4).flip(-1)
    before, before_skip = x.clone(), skip.clone()
    UNetDown(4, 4, norm_layer=norm_layer(norm))(x)
    UNetUp(8, 4, norm_layer=norm_layer(norm), dropout=0.5)(x, skip)
    assert torch.equal(x, before)
    assert torch.equal(skip, before_skip)


def test_unet_outermost_encoder_sees_negative_values():
    first = UNetDown(1, 1, norm_layer=None, activate=False)
    x = noise(1, 1, 4, 4)
    bias = first.conv.bias.view(1, 1, 1, 1)
    torch.testing.assert_close(first(-x) - bias, -(first(x) - bias))


# PatchGAN stages


@pytest.mark.parametrize(("num_layers", "field"), [(1, 16), (2, 34), (3, 70), (4, 142)])
def test_receptive_field_of_a_patchgan(num_layers, field):
    stages = [patch_stage(1, 1, stride=2, norm_layer=None) for _ in range(num_layers)]
    stages += [patch_stage(1, 1, stride=1, norm_layer=None) for _ in range(2)]
    assert receptive_field(nn.Sequential(*stages)) == field


def test_receptive_field_of_nothing_and_of_pixels():
    assert receptive_field(nn.Identity()) == 1
    assert receptive_field(patch_stage(3, 1, stride=1, norm_layer=None, kernel_size=1)) == 1


@pytest.mark.parametrize(("downsampling", "field"), [("strided", 34), ("blur-after", 40)])
def test_receptive_field_is_what_gradients_say(downsampling, field):
    stages = nn.Sequential(
        *[patch_stage(1, 1, stride=s, norm_layer=None, downsampling=downsampling) for s in (2, 2, 1, 1)]
    )
    for parameter in stages.parameters():
        nn.init.constant_(parameter, 0.1)
    x = torch.ones(1, 1, 96, 96, requires_grad=True)
    logits = stages(x)
    logits[0, 0, 10, 10].backward()
    rows = x.grad[0, 0].abs().sum(dim=1).nonzero()
    assert int(rows.max() - rows.min()) + 1 == receptive_field(stages) == field


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("downsampling", ["strided", "blur-after"])
def test_patch_stage_shapes_and_bias(norm, downsampling):
    stage = patch_stage(3, 8, stride=2, norm_layer=norm_layer(norm), downsampling=downsampling)
    assert stage(noise(2, 3, 16, 10)).shape == (2, 8, 8, 5)
    assert stage(noise(2, 3, 15, 11)).shape == (2, 8, 7, 5)
    assert (stage[0].bias is None) == (norm != "none")
    assert patch_stage(3, 8, stride=1, norm_layer=None)(noise(2, 3, 16, 10)).shape == (2, 8, 15, 9)


def test_patch_stage_logits_are_linear():
    stage = patch_stage(2, 1, stride=1, norm_layer=None, activate=False)
    zero(stage)[0].bias.data.fill_(-3.0)
    assert stage(noise(1, 2, 5, 5)).eq(-3).all()


# Gradients


@pytest.mark.parametrize(
    "block",
    [
        lambda: ResidualBlock(2, norm_layer=norm_layer("instance")),
        lambda: ResidualBlock(2, norm_layer=norm_layer("group"), padding="replicate"),
        lambda: UNetDown(2, 3, norm_layer=norm_layer("instance"), downsampling="blur"),
        lambda: UNetUp(2, 3, norm_layer=norm_layer("instance"), upsampling="transposed"),
        lambda: patch_stage(2, 3, stride=2, norm_layer=norm_layer("batch")),
        lambda: patch_stage(2, 3, stride=2, norm_layer=norm_layer("instance-affine"), downsampling="blur-after"),
        lambda: BlurPool(2),
    ],
    ids=["residual", "residual-group", "unet-down", "unet-up", "patch", "patch-blur", "blur"],
)
def test_gradients_are_those_of_finite_differences(block):
    torch.manual_seed(0)
    module = block().double()
    x = noise(2, 2, 4, 6, dtype=torch.float64).requires_grad_()
    assert torch.autograd.gradcheck(module, (x,), nondet_tol=0.0)
    assert torch.autograd.gradgradcheck(module, (x,))
