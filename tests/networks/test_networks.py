"""Generators and discriminators at many shapes, against published counts and stored outputs.

`TRANSLATE_GOLDEN=write pytest tests/networks` makes the golden tensors again, when an arithmetic is meant to change.
"""

import os
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from translate.blocks import upsample
from translate.config import ConfigError, PatchGANConfig, ResNetConfig, UNetConfig, from_dict, to_dict, unet_depth
from translate.networks import Generator, PatchGANDiscriminator, build_network, initialise

NORMS = ["instance", "instance-affine", "batch", "group", "none"]
GOLDEN = Path(__file__).parents[1] / "golden"


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def deviation(layer: nn.Module) -> float:
    return float(layer.weight.detach().std())


def count(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def normed_channels(network: nn.Module) -> int:
    """Channels behind normalisations: where the published code has biases (with instance norm) and this has none."""
    kinds = (nn.InstanceNorm2d, nn.BatchNorm2d)
    return sum(module.num_features for module in network.modules() if isinstance(module, kinds))


# Shapes


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("downsampling", ["strided", "blur", "blur-after"])
@pytest.mark.parametrize("upsampling", ["resize", "transposed"])
@pytest.mark.parametrize("padding", ["reflect", "replicate", "zeros"])
def test_resnet_of_every_kind_keeps_the_size(norm, downsampling, upsampling, padding):
    config = ResNetConfig(
        width=4, num_blocks=1, norm=norm, downsampling=downsampling, upsampling=upsampling, padding=padding, dropout=0.5
    )
    output = build_network(config)(noise(2, 3, 16, 20))
    assert output.shape == (2, 3, 16, 20)
    assert output.abs().max() <= 1


@pytest.mark.parametrize("num_downsamplings", [0, 1, 2, 3, 4])
@pytest.mark.parametrize("num_blocks", [0, 2])
@pytest.mark.parametrize("channels", [(1, 3), (4, 1), (7, 2)])
def test_resnet_runs_at_its_minimum_size(num_downsamplings, num_blocks, channels):
    config = ResNetConfig(
        width=2,
        num_blocks=num_blocks,
        num_downsamplings=num_downsamplings,
        in_channels=channels[0],
        out_channels=channels[1],
    )
    network = build_network(config)
    assert network.stride == 2**num_downsamplings
    assert network.minimum_size % network.stride == 0
    side = network.minimum_size
    assert network(noise(1, channels[0], side, side + network.stride)).shape == (
        *(1, channels[1]),
        *(side, side + network.stride),
    )


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("downsampling", ["strided", "blur"])
@pytest.mark.parametrize("upsampling", ["resize", "transposed"])
@pytest.mark.parametrize("output", ["image", "logits"])
def test_unet_of_every_kind_keeps_the_size(norm, downsampling, upsampling, output):
    config = UNetConfig(
        width=4, depth=4, norm=norm, downsampling=downsampling, upsampling=upsampling, output=output, out_channels=5
    )
    network = build_network(config)
    images = network(noise(2, 3, 32, 48))
    assert images.shape == (2, 5, 32, 48)
    bounded = network.output(torch.zeros(1, 3, 4, 4), torch.full((1, 3, 4, 4), 30.0))
    assert bounded.unique().tolist() == [1.0 if output == "image" else 30.0]


@pytest.mark.parametrize("depth", range(1, 11))
def test_unet_runs_at_its_minimum_size(depth):
    network = build_network(UNetConfig(width=1, depth=depth, in_channels=1, out_channels=1)).train()
    assert network.stride == network.minimum_size == 2**depth
    assert network(noise(1, 1, 2**depth, 2**depth)).shape == (1, 1, 2**depth, 2**depth)


@pytest.mark.parametrize(
    ("depth", "levels"), [(1, 0), (2, 0), (3, 1), (4, 1), (5, 1), (6, 1), (7, 2), (8, 3), (9, 4)], ids=str
)
def test_unet_drops_values_next_to_the_innermost_level(depth, levels):
    network = build_network(UNetConfig(width=1, depth=depth, dropout=0.5))
    rates = [up.dropout.p for up in network.up]  # from the innermost
    assert rates == [0.0] + [0.5] * levels + [0.0] * (depth - 1 - levels) if depth > 1 else rates == [0.0]


def test_unet_widths_stop_at_eight_times():
    network = build_network(UNetConfig(width=2, depth=6))
    assert [down.conv.out_channels for down in network.down] == [2, 4, 8, 16, 16, 16]


def test_unet_skips_reach_the_output():
    network = initialise(build_network(UNetConfig(width=4, depth=3, norm="none")), kind="kaiming").eval()
    for up in network.up[:-1]:  # nothing comes up from below
        for parameter in up.parameters():
            nn.init.zeros_(parameter)
    assert not torch.equal(network(noise(1, 3, 8, 8)), network(noise(1, 3, 8, 8, seed=1)))


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("num_layers", [0, 1, 2, 3, 4])
@pytest.mark.parametrize("num_scales", [1, 2, 3])
def test_patchgan_shapes_and_minimum_size(norm, num_layers, num_scales):
    if num_layers == 0 and num_scales > 1:
        pytest.skip("the pixel discriminator has one scale")
    config = PatchGANConfig(in_channels=4, width=2, norm=norm, num_layers=num_layers, num_scales=num_scales)
    network = build_network(config)
    side = network.minimum_size
    logits, features = network(noise(1, 4, side, side))
    assert len(logits) == len(features) == num_scales
    assert all(scale.shape[:2] == (1, 1) and scale.shape[-1] >= 1 for scale in logits)
    assert all(len(scale) == (num_layers + 1 if num_layers else 2) for scale in features)
    if norm == "instance" and num_layers:
        with pytest.raises((ValueError, RuntimeError), match=r"spatial|Kernel size"):
            network(noise(1, 4, side // 2, side // 2))


@pytest.mark.parametrize("num_layers", [1, 2, 3])
@pytest.mark.parametrize("extra", [0, 1, 2, 3])
def test_patchgan_with_filters_has_as_many_logits(num_layers, extra):
    strided = build_network(PatchGANConfig(width=1, num_layers=num_layers))
    blurred = build_network(PatchGANConfig(width=1, num_layers=num_layers, downsampling="blur-after"))
    images = noise(1, 6, blurred.minimum_size, blurred.minimum_size + extra)
    assert blurred(images).logits[0].shape == strided(images).logits[0].shape
    assert blurred.state_dict().keys() == strided.state_dict().keys()


def test_unet_has_no_place_for_a_filter_behind_its_activations():
    with pytest.raises(ConfigError, match=r"--downsampling blur-after is not for a U-Net: choose strided or blur"):
        UNetConfig(downsampling="blur-after")


@pytest.mark.parametrize(("num_layers", "field"), [(0, 1), (1, 16), (2, 34), (3, 70), (4, 142)])
def test_patchgan_receptive_field(num_layers, field):
    assert PatchGANDiscriminator(PatchGANConfig(width=1, num_layers=num_layers)).receptive_field == field


def test_patchgan_of_256_pixels_has_30_by_30_logits():
    (logits,), _ = build_network(PatchGANConfig(width=1))(noise(1, 6, 256, 256))
    assert logits.shape == (1, 1, 30, 30)


def test_patchgan_scales_see_halved_images():
    network = build_network(PatchGANConfig(width=2, num_layers=1, num_scales=2, norm="none"))
    network.scales[1].load_state_dict(network.scales[0].state_dict())
    logits = network(torch.full((1, 6, 64, 64), 0.3)).logits
    assert [scale.shape[-1] for scale in logits] == [30, 14]
    torch.testing.assert_close(logits[0][..., 15, 15], logits[1][..., 7, 7])


# Configurations


@pytest.mark.parametrize(
    "config",
    [
        ResNetConfig(width=3, num_blocks=2, downsampling="blur", norm="batch", dropout=0.25),
        UNetConfig(width=3, depth=5, upsampling="transposed", output="logits", out_channels=12),
        PatchGANConfig(width=3, num_scales=2, num_layers=2),
    ],
    ids=["resnet", "unet", "patchgan"],
)
def test_a_network_is_rebuilt_from_its_json(config):
    again = from_dict(type(config), to_dict(config))
    assert again == config
    network, rebuilt = build_network(config), build_network(again)
    rebuilt.load_state_dict(network.state_dict())
    x = noise(1, config.in_channels, 32, 32)
    outputs = [net.eval()(x) for net in (network, rebuilt)]
    if isinstance(config, PatchGANConfig):
        outputs = [output.logits[1] for output in outputs]
    else:
        assert isinstance(network, Generator)
    assert torch.equal(*outputs)


@pytest.mark.parametrize("size", [16, 32, 96, 128, 256, 512])
def test_unet_of_the_depth_for_a_size_runs_there(size):
    depth = unet_depth(size)
    assert size % build_network(UNetConfig(width=1, depth=depth)).stride == 0


# Published numbers


def test_resnet_9_has_the_published_parameters():
    network = build_network(ResNetConfig(upsampling="transposed"))
    assert count(network) + normed_channels(network) == 11_378_179  # CycleGAN's, which has biases before the norms
    assert abs(count(network) / 1e6 - 11.37) < 0.01


def test_unet_256_has_the_published_parameters():
    # pix2pix's 54.414 M with batch norm; its outermost and innermost encoders have no norm and yet no bias (64 + 512).
    assert count(build_network(UNetConfig(upsampling="transposed", norm="batch"))) == 54_413_955 + 64 + 512


def test_patchgan_has_the_published_parameters():
    assert count(build_network(PatchGANConfig(norm="batch"))) == 2_768_705
    plain = build_network(PatchGANConfig())  # instance norm has no parameters, so neither weight nor bias
    assert count(plain) == 2_768_705 - 2 * normed_channels(plain)


# Initial weights


@pytest.mark.parametrize("gain", [0.02, 0.1])
def test_normal_weights(gain):
    network = initialise(nn.Sequential(nn.Conv2d(32, 64, 4), nn.ConvTranspose2d(64, 32, 4)), gain=gain)
    for layer in network:
        assert deviation(layer) == pytest.approx(gain, rel=0.03)
        assert layer.weight.mean().abs() < 0.03 * gain
        assert layer.bias.eq(0).all()


def test_xavier_weights():
    layer = initialise(nn.Conv2d(32, 64, 4), kind="xavier", gain=0.5)
    assert deviation(layer) == pytest.approx(0.5 * (2 / (16 * (32 + 64))) ** 0.5, rel=0.03)


def test_kaiming_weights_keep_the_variance_behind_relu():
    layer = initialise(nn.Conv2d(64, 64, 3, padding=1), kind="kaiming")
    assert deviation(layer) == pytest.approx((2 / (9 * 64)) ** 0.5, rel=0.03)


def test_orthogonal_weights():
    weight = initialise(nn.Linear(24, 16), kind="orthogonal", gain=0.5).weight
    torch.testing.assert_close(weight @ weight.T, 0.25 * torch.eye(16), atol=1e-6, rtol=0)


def test_initialise_batch_norm_and_leaves_instance_norm():
    network = initialise(nn.Sequential(nn.BatchNorm2d(4096), nn.InstanceNorm2d(4)))
    assert float(network[0].weight.detach().mean()) == pytest.approx(1, abs=0.002)
    assert deviation(network[0]) == pytest.approx(0.02, rel=0.1)
    assert network[0].bias.eq(0).all()


def test_initialise_refuses_an_unknown_kind():
    with pytest.raises(ValueError, match=r"init 'ones' is unknown.*normal, xavier, kaiming or orthogonal"):
        initialise(nn.Conv2d(1, 1, 1), kind="ones")


# Behaviour


def checkerboard_share(images: Tensor) -> float:
    """Energy of the changes with a period of 2 pixels, which a transposed convolution's grid makes."""
    spectrum = torch.fft.fft2(images - images.mean(dim=(2, 3), keepdim=True)).abs().square().mean(dim=(0, 1))
    middle = images.shape[-1] // 2
    return float((spectrum[middle, :].sum() + spectrum[:, middle].sum()) / images[0, 0].numel() ** 2)


def test_resize_convolution_leaves_no_checkerboard():
    energies = {}
    for kind in ("resize", "transposed"):
        torch.manual_seed(0)
        layers = [nn.Sequential(upsample(16, 16, kernel_size=4, kind=kind, bias=False), nn.ReLU()) for _ in range(2)]
        network = initialise(nn.Sequential(*layers), kind="kaiming")
        with torch.no_grad():
            output = network(torch.ones(4, 16, 16, 16))[..., 8:-8, 8:-8]  # away from the border
        energies[kind] = checkerboard_share(output / output.std(dim=1, keepdim=True).mean())
    assert energies["resize"] < 1e-6 * energies["transposed"]


@pytest.mark.parametrize("config", [ResNetConfig(width=4, num_blocks=1), UNetConfig(width=4, depth=3)], ids=str)
def test_generators_treat_the_images_of_a_batch_alone(config):
    network = build_network(config).eval()
    images = noise(3, 3, 16, 16)
    torch.testing.assert_close(network(images)[1:2], network(images[1:2]), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("config", [ResNetConfig(width=4, num_blocks=1), UNetConfig(width=4, depth=3)], ids=str)
def test_gradients_reach_every_parameter(config):
    network = build_network(config)
    network(noise(2, 3, 16, 16)).square().mean().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() and p.grad.abs().sum() > 0 for p in network.parameters())


# Golden tensors

GOLDEN_CONFIGS = {
    "resnet": ResNetConfig(width=4, num_blocks=2),
    "resnet-transposed": ResNetConfig(width=4, num_blocks=1, upsampling="transposed", padding="zeros", norm="group"),
    "resnet-blur": ResNetConfig(width=4, num_blocks=1, downsampling="blur", norm="none", padding="replicate"),
    "unet": UNetConfig(width=4, depth=4),
    "unet-transposed": UNetConfig(width=4, depth=4, upsampling="transposed", norm="batch"),
    "patchgan": PatchGANConfig(width=4, num_scales=2, num_layers=2, in_channels=3),
}


def golden_weights(network: nn.Module) -> None:
    """Weights that depend on no random generator: a sine of the element's number, scaled by the fan-in."""
    for name, parameter in sorted(network.named_parameters()):
        values = torch.sin(torch.arange(parameter.numel(), dtype=torch.float64) * 1.7 + len(name))
        scale = parameter[0].numel() ** -0.5 if parameter.ndim > 1 else 0.1
        parameter.data.copy_((values * scale).view_as(parameter) + ("norm.weight" in name))


@pytest.mark.parametrize("name", GOLDEN_CONFIGS)
def test_outputs_equal_the_stored_ones(name):
    network = build_network(GOLDEN_CONFIGS[name]).eval()
    golden_weights(network)
    y, x = torch.meshgrid(torch.linspace(-1, 1, 32), torch.linspace(-1, 1, 32), indexing="ij")
    images = torch.stack([x, y, torch.sin(9 * x * y)])[None]
    with torch.no_grad():
        output = network(images)
    if isinstance(output, tuple):
        output = torch.cat([scale.flatten() for scale in output.logits])
    file = GOLDEN / f"{name}.safetensors"
    if os.environ.get("TRANSLATE_GOLDEN") == "write":
        file.parent.mkdir(exist_ok=True)
        save_file({"output": output.contiguous()}, file)
    torch.testing.assert_close(output, load_file(file)["output"], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("learns", [False, True])
@pytest.mark.parametrize("norm", ["instance", "group"])
def test_a_graph_of_torch_export_takes_any_size(norm, learns):
    """As `torch.export` makes it for a user; the export to ONNX has ways of its own."""
    torch.manual_seed(0)
    network = build_network(ResNetConfig(width=4, num_blocks=1, num_downsamplings=1, norm=norm)).eval()
    side = torch.export.Dim.DYNAMIC
    with torch.set_grad_enabled(learns):
        program = torch.export.export(
            network, (torch.rand(2, 3, 16, 20),), dynamic_shapes=({0: side, 2: side, 3: side},)
        )
    images = torch.rand(3, 3, 24, 12)
    with torch.no_grad():
        torch.testing.assert_close(program.module()(images), network(images), atol=1e-5, rtol=0)
        half = torch.export.export(network.bfloat16(), (images.bfloat16(),))
        assert half.module()(images.bfloat16()).dtype == torch.bfloat16
