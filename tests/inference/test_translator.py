"""Any image in, an image of its size out, and nothing of it lost on the way around the network."""

import io
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from PIL import Image, ImageCms
from torch import Tensor, nn

from translate.config import PatchGANConfig, Preprocessing, ResNetConfig, UNetConfig, WeightsConfig
from translate.data.images import Picture, from_pil, read_image, write_image
from translate.inference import InferenceError, Translator
from translate.inference.running import pad_to, run_network
from translate.networks import Generator, build_network, initialise

SIZES = [(1, 1), (1, 7), (7, 1), (3000, 40), (255, 257), (7, 1500)]  # width, height


class Identity(Generator):
    """A generator that changes nothing, and asks for padding all the same."""

    def __init__(self, *, stride: int = 8, minimum_size: int = 16) -> None:
        super().__init__()
        self.stride, self.minimum_size = stride, minimum_size
        self.seen: list[tuple[int, ...]] = []

    def forward(self, images: Tensor) -> Tensor:
        assert images.shape[-1] % self.stride == images.shape[-2] % self.stride == 0
        assert min(images.shape[-2:]) >= self.minimum_size
        self.seen.append(tuple(images.shape))
        return images


def config_of(in_channels: int = 3, out_channels: int | None = None, **preprocessing: object) -> WeightsConfig:
    network = ResNetConfig(in_channels=in_channels, out_channels=out_channels or in_channels, width=2, num_blocks=0)
    return WeightsConfig(kind="translator", name="x", network=network, preprocessing=Preprocessing(**preprocessing))


def identity(channels: int = 3, **preprocessing: object) -> Translator:
    return Translator(Identity(), config_of(channels, **preprocessing), device="cpu", precision="fp32")


def translator_of(network: ResNetConfig | UNetConfig, **changes: object) -> Translator:
    torch.manual_seed(0)
    config = WeightsConfig(kind="translator", name="x", network=network, **changes)
    return Translator(initialise(build_network(network), gain=0.2), config, device="cpu", precision="fp32")


def noise(height: int, width: int, channels: int = 3, *, bits: int = 8) -> np.ndarray:
    values = np.random.default_rng(0).integers(0, 2**bits, (height, width, channels))
    return values.astype(np.uint16 if bits == 16 else np.uint8)


NETWORKS = [
    ResNetConfig(width=2, num_blocks=1),
    ResNetConfig(width=2, num_blocks=1, num_downsamplings=3, downsampling="blur", upsampling="transposed"),
    UNetConfig(width=2, depth=8),
    UNetConfig(width=2, depth=3, downsampling="blur"),
]


# Padding


@pytest.mark.parametrize("size", [(1, 1), (1, 7), (5, 3), (8, 16), (9, 16), (17, 2)])
@pytest.mark.parametrize("multiple", [1, 4, 8])
@pytest.mark.parametrize("minimum", [1, 12])
def test_padding_reaches_the_multiple_and_the_minimum(size, multiple, minimum):
    images = torch.rand(1, 2, *size)
    padded = pad_to(images, multiple=multiple, minimum=minimum)
    for before, after in zip(size, padded.shape[-2:], strict=True):
        assert after % multiple == 0
        assert max(before, minimum) <= after < max(before, minimum) + multiple
    assert torch.equal(padded[..., : size[0], : size[1]], images)


def test_padding_reflects_where_it_can_and_replicates_where_it_cannot():
    row = torch.tensor([[[[1.0, 2.0, 3.0]]]])
    padded = pad_to(row, multiple=5, minimum=1)
    assert padded[0, 0, 0].tolist() == [1, 2, 3, 2, 1]
    assert torch.equal(padded[0, 0], padded[0, 0, :1].expand(5, 5))  # one row has nothing to reflect
    assert pad_to(row, multiple=6, minimum=1)[0, 0, 0].tolist() == [1, 2, 3, 3, 3, 3]


def test_padding_nothing_copies_nothing():
    images = torch.rand(1, 1, 8, 8)
    assert pad_to(images, multiple=4, minimum=8) is images


# Sizes


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("network", NETWORKS, ids=["resnet", "resnet-blur", "unet-256", "unet-8"])
def test_every_size_gives_an_image_of_its_size(network, size):
    image = Image.fromarray(noise(size[1], size[0]))
    output = translator_of(network)(image)
    assert output.size == size
    assert output.mode == "RGB"


# Kinds of image


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr", "I;16", "I", "F"])
@pytest.mark.parametrize("channels", [(3, 3), (1, 1), (1, 3), (3, 1), (4, 4)])
def test_every_mode_of_pil_is_translated(mode, channels):
    base = Image.fromarray(noise(9, 12))
    image = Image.fromarray(noise(9, 12, 1, bits=16)[..., 0]) if mode == "I;16" else base.convert(mode)
    network = ResNetConfig(width=2, num_blocks=0, in_channels=channels[0], out_channels=channels[1])
    output = translator_of(network)(image)
    assert output.size == image.size
    out_colours = 1 if channels[1] == 1 else 3
    assert len(output.getbands()) in ((out_colours, out_colours + 1) if channels[1] < 4 else (4,))
    assert ("A" in output.getbands()) == (mode in ("LA", "RGBA") or channels[1] == 4)


@pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.float16, np.float32, np.float64])
@pytest.mark.parametrize("channels", [1, 3])
def test_arrays_give_arrays_of_their_kind(kind, channels):
    values = noise(9, 12, channels, bits=16 if kind == np.uint16 else 8)
    array = values.astype(kind) if np.issubdtype(kind, np.integer) else (values / 255).astype(kind)
    translator = identity(channels, bits=16 if kind == np.uint16 else 8)
    for given in [array, array[:, ::-1], *([array[..., 0]] if channels == 1 else [])]:
        output = translator(given)
        assert output.dtype == given.dtype
        assert output.shape == given.shape
        np.testing.assert_allclose(output, given, atol=1e-3 if kind == np.float16 else 1e-6)


def test_grey_arrays_are_widened_and_colour_arrays_narrowed():
    grey = noise(5, 6, 1)[..., 0]
    assert np.array_equal(identity(3)(grey), np.repeat(grey[..., None], 3, axis=2))
    colour = noise(5, 6, 3)
    assert identity(1)(colour).shape == (5, 6, 1)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32, torch.float64, torch.bfloat16])
@pytest.mark.parametrize("shape", [(3, 9, 12), (1, 3, 9, 12), (4, 3, 9, 12)])
def test_tensors_give_tensors_of_their_kind(dtype, shape):
    values = torch.randint(0, 256, shape, generator=torch.Generator().manual_seed(0))
    tensor = values.to(torch.uint8) if dtype == torch.uint8 else (values / 255).to(dtype)
    output = identity()(tensor)
    assert output.dtype == dtype
    assert output.shape == tensor.shape
    torch.testing.assert_close(output, tensor, atol=1e-6, rtol=0.01 if dtype == torch.bfloat16 else 1e-6)


def test_tensors_may_have_any_number_of_channels_and_images_of_colours_may_not():
    translator = identity(6)
    assert translator(torch.rand(6, 5, 5)).shape == (6, 5, 5)
    assert translator(np.random.default_rng(0).random((5, 5, 6))).shape == (5, 5, 6)
    with pytest.raises(InferenceError, match=r"the image has 3 channels, and 'x' takes 6: give as many"):
        translator(Image.new("RGB", (5, 5)))


def test_a_tensor_that_needs_gradients_is_taken_and_the_result_can_be_used_in_training():
    translator = translator_of(ResNetConfig(width=2, num_blocks=0))
    output = translator(torch.rand(3, 8, 8, requires_grad=True))
    weight = torch.ones(3, 1, 1, requires_grad=True)
    (output * weight).sum().backward()
    assert not output.requires_grad
    torch.testing.assert_close(weight.grad.flatten(), output.sum(dim=(1, 2)))


@pytest.mark.parametrize(
    ("image", "message"),
    [
        ("labels.png", "expected a PIL image, a NumPy array or a tensor, not str"),
        (None, "not NoneType"),
        (np.zeros((4,), np.uint8), r"expected an array \[H, W\] or \[H, W, C\], not \[4\]"),
        (np.zeros((0, 4, 3), np.uint8), r"not \[0, 4, 3\]"),
        (np.zeros((4, 4, 5), np.uint8), "the image has 5 channels, and 3 are expected"),
        (np.zeros((4, 4, 3), np.int64), "expected uint8, uint16 or floats in .*, not int64"),
        (np.full((4, 4, 3), 2.0), r"expected floats in \[0, 1\], found 2 to 2: scale the image first"),
        (np.full((4, 4, 3), np.nan), "found nan to nan"),
        (np.zeros((4, 4, 1)), "'x' takes 3 channels, and this has 1"),
        (torch.zeros(4, 4), r"expected a tensor \[C, H, W\] or \[N, C, H, W\], not \[4, 4\]"),
        (torch.zeros(3, 0, 4), r"not \[3, 0, 4\]"),
        (torch.zeros(1, 4, 4), "'x' takes 3 channels, and this has 1"),
        (torch.zeros(3, 4, 4, dtype=torch.int32), r"expected uint8 or floats in \[0, 1\], not torch.int32"),
        (torch.full((3, 4, 4), -1.0), r"expected floats in \[0, 1\], found -1 to -1"),
    ],
)
def test_what_is_no_image_is_refused_with_what_was_expected(image, message):
    with pytest.raises(InferenceError, match=message):
        identity()(image)


@pytest.mark.parametrize(
    ("kind", "network"), [("segmenter", UNetConfig(width=2)), ("discriminator", PatchGANConfig(width=2))]
)
def test_weights_of_another_kind_are_refused(kind, network):
    config = WeightsConfig(kind=kind, name="y", network=network)
    message = rf"'y' holds a {kind}, which .*: translating needs the weights of a translator"
    with pytest.raises(InferenceError, match=message):
        Translator(Identity(), config, device="cpu")


# Exactness


@pytest.mark.parametrize("value_range", [(-1.0, 1.0), (0.0, 1.0), (-0.5, 2.5)])
@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("trained_bits", [8, 16])
def test_the_identity_reproduces_every_value(bits, trained_bits, value_range):
    if bits == 16 and trained_bits == 8:
        pytest.skip("an 8-bit network sees 8 bits")
    values = np.arange(2**bits).astype(np.uint16 if bits == 16 else np.uint8).reshape(16, -1, 1)
    translator = identity(1, bits=trained_bits, value_range=value_range)
    assert np.array_equal(translator(values), values)
    pil = translator(Image.fromarray(values[..., 0]))
    assert pil.mode == ("I;16" if bits == 16 else "L")
    assert np.array_equal(np.asarray(pil), values[..., 0])


def test_an_8_bit_network_keeps_the_kind_of_a_16_bit_image():
    values = noise(5, 7, 1, bits=16)
    output = identity(1)(values)
    assert output.dtype == np.uint16
    assert np.abs(output.astype(int) - values).max() <= 129  # half a step of 8 bits


def test_tensors_of_bytes_are_reproduced():
    values = torch.arange(256, dtype=torch.uint8).view(1, 16, 16)
    assert torch.equal(identity(1)(values), values)


class Overshoot(Identity):
    def forward(self, images: Tensor) -> Tensor:
        return super().forward(images) * 3


def test_values_are_clamped_and_rounded_to_the_nearest():
    config = config_of(1, value_range=(-1.0, 1.0))
    translator = Translator(Overshoot(), config, device="cpu", precision="fp32")
    output = translator(np.array([[0, 60, 127, 128, 200, 255]], np.uint8))
    assert output.tolist() == [[0, 0, 126, 129, 255, 255]]


# What goes around the network


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_alpha_is_kept_bit_by_bit(mode):
    channels = len(mode)
    image = Image.fromarray(noise(9, 12, channels))
    output = translator_of(ResNetConfig(width=2, num_blocks=0))(image)
    assert output.mode == "RGBA"
    assert np.array_equal(np.asarray(output)[..., -1], np.asarray(image)[..., -1])


def test_colours_under_alpha_are_seen_over_white():
    pixels = noise(9, 12, 4)
    output = np.asarray(identity()(Image.fromarray(pixels)))
    alpha = pixels[..., 3:].astype(float) / 255
    expected = pixels[..., :3] * alpha + 255 * (1 - alpha)
    assert np.abs(output[..., :3] - expected).max() <= 0.51


def test_a_network_trained_with_alpha_makes_it():
    pixels = noise(9, 12, 4)
    assert np.array_equal(identity(4, alpha="keep")(pixels), pixels)
    opaque = identity(4, alpha="keep")(pixels[..., :3].copy())
    assert (opaque[..., 3] == 255).all()


def test_a_colour_profile_is_kept_in_the_file(tmp_path):
    icc = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    Image.fromarray(noise(9, 12)).save(tmp_path / "in.png", icc_profile=icc)
    (result,) = identity().apply([read_image(tmp_path / "in.png")])
    write_image(tmp_path / "out.png", result)
    with Image.open(tmp_path / "out.png") as output:
        assert output.info["icc_profile"] == icc


def test_a_profile_of_other_colours_is_not_kept():
    picture = Picture(pixels=noise(4, 4, 3), icc_profile=b"rgb")
    assert identity(3).apply([picture])[0].icc_profile == b"rgb"
    narrowed = Translator(Identity(), config_of(1), device="cpu").apply([picture])[0]
    assert narrowed.channels == 1
    assert narrowed.icc_profile is None


def test_an_exif_turn_is_made():
    image = Image.fromarray(noise(9, 12))
    exif = Image.Exif()
    exif[0x0112] = 6
    stream = io.BytesIO()
    image.save(stream, "PNG", exif=exif)
    output = identity()(Image.open(stream))
    assert np.array_equal(np.asarray(output), np.rot90(np.asarray(image), -1))


def test_pictures_of_one_size_are_one_batch():
    translator = identity()
    pictures = [from_pil(Image.fromarray(noise(9, 12, channels))) for channels in (3, 4)]
    outputs = translator.apply(pictures)
    assert [output.channels for output in outputs] == [3, 4]
    assert translator.network.seen == [(2, 3, 16, 16)]


# Dropout


NOISY = UNetConfig(width=4, depth=4, dropout=0.5)


def test_noise_that_is_always_on_is_seeded():
    translator = translator_of(NOISY, noise="always")
    image = noise(20, 20)
    one, again, other = (translator(image, seed=seed) for seed in (1, 1, 2))
    assert np.array_equal(one, again)
    assert not np.array_equal(one, other)


def test_noise_is_the_same_for_an_image_in_any_batch():
    translator = translator_of(NOISY, noise="always")
    images = torch.rand(3, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    batch = translator(images, seed=4)
    for number in range(3):
        assert torch.equal(translator(images[number], seed=4), batch[number])


@pytest.mark.parametrize("noise_policy", ["training", "never"])
def test_noise_of_training_is_off(noise_policy):
    translator = translator_of(NOISY, noise=noise_policy)
    image = noise(20, 20)
    assert np.array_equal(translator(image, seed=1), translator(image, seed=2))


@pytest.mark.parametrize("policy", ["always", "training"])
def test_the_callers_random_state_is_left_alone(policy):
    translator = translator_of(NOISY, noise=policy)
    before = torch.get_rng_state()
    translator(noise(20, 20), seed=5)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_the_random_state_of_the_gpu_is_left_alone():
    translator = translator_of(NOISY, noise="always")
    before = torch.cuda.get_rng_state()
    translator(noise(20, 20), seed=5)
    assert torch.equal(torch.cuda.get_rng_state(), before)


@pytest.mark.parametrize("training", [True, False])
def test_running_a_network_leaves_its_mode_even_when_it_fails(training):
    network = build_network(NOISY).train(training)
    run_network(network, torch.rand(1, 3, 16, 16), noise="always", seed=1)
    assert all(module.training == training for module in network.modules())
    with pytest.raises(RuntimeError):
        run_network(network, torch.rand(1, 5, 16, 16), noise="always", seed=1)
    assert all(module.training == training for module in network.modules())


def test_threads_take_turns():
    translator = translator_of(NOISY, noise="always")
    image = noise(20, 20)
    expected = [translator(image, seed=seed) for seed in range(4)]
    with ThreadPoolExecutor(4) as pool:
        outputs = list(pool.map(lambda seed: translator(image, seed=seed), list(range(4)) * 4))
    assert all(np.array_equal(output, expected[number % 4]) for number, output in enumerate(outputs))


# Memory and precision


class Hungry(Identity):
    def __init__(self, message: str) -> None:
        super().__init__()
        self.message = message

    def forward(self, images: Tensor) -> Tensor:
        raise RuntimeError(self.message)


@pytest.mark.parametrize(
    "message",
    [
        "CUDA out of memory. Tried to allocate",
        "DefaultCPUAllocator: can't allocate memory: you tried",
        "not enough memory",
    ],
)
def test_a_lack_of_memory_is_named_with_the_size(message):
    translator = Translator(Hungry(message), config_of(), device="cpu")
    with pytest.raises(InferenceError, match="12x9 is too large for the memory of cpu: make it smaller"):
        translator(noise(9, 12))


def test_other_errors_are_not_taken_for_a_lack_of_memory():
    translator = Translator(Hungry("unsupported memory format"), config_of(), device="cpu")
    with pytest.raises(RuntimeError, match="memory format"):
        translator(noise(9, 12))


def test_bf16_is_close_to_fp32():
    torch.manual_seed(0)
    network = initialise(build_network(ResNetConfig(width=4, num_blocks=1)), gain=0.1).eval()
    images = torch.rand(1, 3, 32, 32) * 2 - 1
    full, half = (run_network(network, images, precision=precision) for precision in ("fp32", "bf16"))
    assert half.dtype == torch.float32
    assert not torch.equal(full, half)
    assert (full - half).abs().mean() < 0.02


def test_a_network_of_another_kind_is_a_bug():
    with pytest.raises(AssertionError):
        run_network(nn.Identity(), torch.zeros(1, 3, 4, 4))
