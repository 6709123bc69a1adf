"""Images in parts are what the whole image is: no seam, no approximation."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from translate.blocks.rows import Stored
from translate.config.networks import ConditionalResNetConfig, ResNetConfig, UNetConfig
from translate.config.weights import Domains, WeightsConfig
from translate.inference.errors import InferenceError
from translate.inference.running import ImageRows, pad_to, random_code, run_in_parts, run_network
from translate.inference.translator import Translator
from translate.networks import Generator, build_network, initialise

RESNET = ResNetConfig(width=8, num_blocks=2)
UNET = UNetConfig(width=8, depth=4)
NETWORKS: dict[str, Any] = {
    "resnet": RESNET,
    "resnet affine": replace(RESNET, norm="instance-affine"),
    "resnet group": replace(RESNET, norm="group"),
    "resnet batch": replace(RESNET, norm="batch", output="residual"),
    "resnet none": replace(RESNET, norm="none"),
    "resnet zeros": replace(RESNET, padding="zeros", upsampling="transposed"),
    "resnet replicate": replace(RESNET, padding="replicate", upsampling="nearest", downsampling="blur"),
    "resnet blur-after": replace(RESNET, downsampling="blur-after"),
    "resnet blur-after batch": replace(RESNET, downsampling="blur-after", norm="batch"),
    "resnet of three halvings": replace(RESNET, num_downsamplings=3),
    "resnet of one size": replace(RESNET, num_downsamplings=0),
    "resnet with styles": replace(RESNET, style=4),
    "unet": UNET,
    "unet affine": replace(UNET, norm="instance-affine", padding="reflect"),
    "unet group": replace(UNET, norm="group", upsampling="transposed"),
    "unet batch": replace(UNET, norm="batch", padding="reflect"),
    "unet none": replace(UNET, norm="none", upsampling="nearest", downsampling="blur"),
    "unet of one level": replace(UNET, depth=1, norm="batch"),
    "unet inpainting": replace(UNET, in_channels=4, output="inpainting"),
    "unet colourisation": replace(UNET, in_channels=1, output="colourisation", norm="batch"),
    "conditional": ConditionalResNetConfig(widths=(8, 16, 24), num_blocks=2, num_styles=3, code=6),
    "conditional packed": ConditionalResNetConfig(widths=(8, 16, 24), num_blocks=2, num_styles=3, code=6, packed=True),
    "conditional narrow": ConditionalResNetConfig(widths=(6, 10, 12), num_blocks=1, num_styles=3, code=6),
}


def made(name: str) -> Generator:
    """A network whose batch norms have seen something, and whose biases are not 0."""
    torch.manual_seed(0)
    network = build_network(NETWORKS[name])
    assert isinstance(network, Generator)
    initialise(network, kind="kaiming")
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.ndim == 1:
                parameter += 0.2 * torch.randn_like(parameter)
        for module in network.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                assert module.running_mean is not None
                module.running_mean.normal_(std=0.1)
    return network.eval()


def photo(channels: int, height: int, width: int) -> Tensor:
    """Smooth, with edges: [1, C, H, W] in [-1, 1]."""
    torch.manual_seed(1)
    coarse = torch.randn(1, channels, height // 16 + 2, width // 16 + 2)
    smooth = torch.nn.functional.interpolate(coarse, size=(height, width), mode="bicubic")
    smooth[..., height // 3 :, : width // 2] *= -0.7
    return smooth.clamp(-1, 1)


def code_of(network: Generator) -> Tensor | None:
    """A style code, of a network that takes one."""
    config: Any = network.config
    length = config.code if isinstance(config, ConditionalResNetConfig) else getattr(config, "style", 0)
    return random_code(length, seed=3) if length else None


def in_parts(network: Generator, image: Tensor, **options: Any) -> Tensor:
    """All of an image [1, C, H, W], in parts."""
    parts = run_in_parts(
        network,
        lambda low, high: image[:, :, low:high],
        size=(image.shape[2], image.shape[3]),
        device=torch.device("cpu"),
        code=code_of(network),
        **options,
    )
    return torch.cat(list(parts), dim=2)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("name", NETWORKS)
def test_parts_are_the_whole(name: str, precision: Any) -> None:
    network = made(name)
    height, width = (203, 150) if precision == "fp32" else (107, 70)  # many processors emulate bf16, which is slow
    image = photo(network.config.in_channels, height, width)  # type: ignore[union-attr, operator]
    whole = run_network(network, image, code=code_of(network), precision=precision)
    assert whole.std() > 0.02
    for tile in (16, 48, 512):
        parts = in_parts(network, image, tile=tile, precision=precision)
        assert parts.shape == whole.shape
        # A level of 255 is .0078. Statistics are the same to the last bit; a convolution may round otherwise at the
        # width of a tile.
        assert (parts - whole).abs().max() <= (5e-5 if precision == "fp32" else 0.0079)


@pytest.mark.parametrize("name", [name for name in NETWORKS if made(name).reach is not None])
def test_reach_is_the_real_one(name: str) -> None:
    network = made(name)
    assert network.reach is not None
    size = 6 * max(network.reach, network.stride) // network.stride * network.stride
    channels: int = network.config.in_channels  # type: ignore[union-attr, operator, assignment]
    image = photo(channels, size, size).requires_grad_()
    middle = size // 2 // network.stride * network.stride
    around = image
    network(around)[..., middle : middle + network.stride, middle : middle + network.stride].sum().backward()
    assert image.grad is not None
    rows = image.grad.abs().sum(dim=(0, 1, 3)).nonzero().flatten()
    first, last = int(rows.min()), int(rows.max())
    assert middle - network.reach <= first
    assert last < middle + network.stride + network.reach
    assert last - first > network.reach  # and not a wide guess


def test_dropout_that_stays_on_is_the_same_in_parts() -> None:
    for name in ("unet", "unet batch", "resnet"):
        config = NETWORKS[name]
        network = build_network(replace(config, dropout=0.5))
        assert isinstance(network, Generator)
        initialise(network, kind="kaiming")
        image = photo(3, 200, 150)
        whole = run_network(network, image, noise="always", seed=5)
        assert not torch.equal(whole, run_network(network, image, noise="always", seed=6))
        state = torch.random.get_rng_state()
        assert (in_parts(network, image, tile=32, noise="always", seed=5) - whole).abs().max() < 1e-5
        assert torch.equal(torch.random.get_rng_state(), state)


def test_flat_images_stay_flat_in_parts() -> None:
    network = made("resnet")
    parts = in_parts(network, torch.full((1, 3, 160, 96), 0.3), tile=16)
    inside = parts[..., 16:-16, 16:-16]
    assert inside.amax(dim=(2, 3)).sub(inside.amin(dim=(2, 3))).max() < 1e-6


def test_rows_of_an_image_are_padded_as_the_whole_is() -> None:
    for height, width in ((37, 50), (3, 70), (70, 3), (1, 1), (64, 64)):
        image = photo(3, height, width)
        padded = pad_to(image, multiple=16, minimum=16)
        rows = ImageRows(
            lambda low, high, image=image: image[:, :, low:high],
            size=(height, width), multiple=16, minimum=16, strip=8,
        )  # fmt: skip
        for low, high in rows.strips():
            assert torch.equal(rows.read(low, high), padded[:, :, low:high])


def test_a_map_is_overwritten_by_what_is_computed_from_it() -> None:
    values = torch.arange(40.0)[None, None, :, None].repeat(1, 1, 1, 3)
    rows = Stored(values.clone(), full=80, strip=4)
    blurred = rows.then(lambda x: torch.nn.functional.avg_pool2d(x, (3, 1), 1, (1, 0)), reach=1).stored(into=rows)
    expected = torch.nn.functional.avg_pool2d(values, (3, 1), 1, (1, 0))
    assert torch.equal(blurred.values, expected)
    assert blurred.values is rows.values


def translator(config: Any, **fields: Any) -> Translator:
    """With an untrained network."""
    torch.manual_seed(0)
    network = build_network(config)
    initialise(network, kind="kaiming")
    weights = WeightsConfig(
        kind="translator", network=config, name="little", domains=Domains(source="a", target="b"), **fields
    )
    return Translator(network, weights, device="cpu", precision="fp32")


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_a_tile_changes_nothing_that_is_returned(bits: int, channels: int) -> None:
    model = translator(RESNET)
    generator = np.random.default_rng(0)
    pixels = generator.integers(0, 2**bits, (90, 70, channels)).astype(f"uint{bits}")
    whole = model(pixels, tile="off")
    parts = model(pixels, tile=16)
    assert parts.dtype == whole.dtype
    assert np.abs(parts.astype(int) - whole.astype(int)).max() <= (1 if bits == 8 else 2)  # convolutions may round
    assert np.array_equal(model(pixels), whole)
    floats = generator.random((90, 70, 3)).astype(np.float32)
    assert np.allclose(model(floats, tile=16), model(floats, tile="off"), atol=1e-5)
    batch = torch.rand(2, 3, 60, 50)
    both = (model(batch, tile=tile, keep_colours=True) for tile in (16, "off"))
    torch.testing.assert_close(*both, atol=1e-5, rtol=0)


def test_large_images_are_made_in_parts_by_themselves(monkeypatch: pytest.MonkeyPatch) -> None:
    model = translator(RESNET)
    assert model.in_parts(513, 512)
    assert not model.in_parts(513, 512, tile="off")
    assert not model.in_parts(512, 512)
    without = translator(replace(RESNET, norm="batch"))
    assert without.in_parts(1025, 1024)
    assert not without.in_parts(1024, 1024)
    small = Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 80, 4), np.uint8))
    whole = np.array(model(small)).astype(int)
    monkeypatch.setattr("translate.inference.translator.STRIPS_FROM", 1000)
    monkeypatch.setattr("translate.inference.translator.run_network", None)
    assert np.abs(np.array(model(small)).astype(int) - whole).max() <= 1


def test_tiles_that_cannot_be_are_refused() -> None:
    model = translator(UNET)
    image = np.zeros((64, 64, 3), np.uint8)
    with pytest.raises(InferenceError, match="a tile of 8 px is too small for 'little': give 16 or more"):
        model(image, tile=8)
    with pytest.raises(InferenceError, match="tile 'half' is unknown: give auto, off, or a number of pixels"):
        model(image, tile="half")  # type: ignore[call-overload]
