"""Compressed files open to exactly what the codes say, and nothing else opens."""

import numpy as np
import pytest
import torch
from learned import SIZE, save_learned
from PIL import Image

import translate
from translate.applications.compress import (
    HEAD,
    Comparison,
    CompressedError,
    Compressor,
    _inside,
    _joined,
    _squares,
    at_equal_rate,
)
from translate.config import ConfigError
from translate.data.images import Picture, composite

pytest.importorskip("constriction")


@pytest.fixture(scope="module", params=["vqvae", "no-prior"])
def compressor(request, tmp_path_factory):
    return Compressor(translate.load(save_learned(tmp_path_factory.mktemp("w") / "w", request.param), device="cpu"))


def photo(width, height, seed=0):
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8))


@pytest.mark.parametrize("size", [(16, 16), (1, 1), (17, 15), (40, 33), (3, 70)])
def test_a_file_opens_to_the_image_of_its_codes(compressor, size):
    image = photo(*size)
    heard = []
    made = compressor.decompress(compressor.compress(image, on_place=lambda done, places: heard.append((done, places))))
    assert made.size == size
    assert np.array_equal(np.asarray(compressor.reconstruct(image)), np.asarray(made))
    assert [done for done, _ in heard] == list(range(1, heard[0][1] + 1))
    if size == (SIZE, SIZE):
        (expected,) = compressor.model.reconstruct([image])
        assert np.array_equal(np.asarray(made), np.asarray(expected))


def test_a_sharp_prior_makes_small_files(compressor):
    """The bits are those of the chances, to within the coder's words of 32."""
    image = photo(64, 64)
    num_bits = 8 * (len(compressor.compress(image)) - HEAD.size)
    codes = compressor._codes(translate_picture(image))
    if compressor.prior is None:
        expected = codes.numel() * np.log2(6)
    else:
        squares = _squares(codes, 4).view(-1, 4, 4)
        logits = compressor.prior(squares)
        expected = torch.nn.functional.cross_entropy(logits.flatten(0, 1), squares.flatten(), reduction="sum").item()
        expected /= np.log(2)
    assert abs(num_bits - expected) < 64 + 0.01 * expected


def translate_picture(image):
    from translate.data.images import from_pil

    return from_pil(image)


def test_squares_are_put_together_again():
    codes = torch.arange(7 * 10).view(7, 10)
    squares = _squares(codes, 4)
    assert squares.shape == (6, 16)
    assert torch.equal(_joined(squares, codes.shape, 4), codes)
    assert _inside(codes.shape, 4).sum() == 70


def test_what_is_damaged_or_foreign_is_refused(compressor, tmp_path):
    data = compressor.compress(photo(40, 40))
    for wrong, said in (
        (b"", "was not written by translate compress"),
        (b"PNG" + data[3:], "was not written by translate compress"),
        (data[:-4], "damaged"),
        (data[:-1], "damaged"),
        (data[: HEAD.size], "damaged"),
        (data[:16] + bytes([data[16] ^ 255]) + data[17:], "damaged"),
    ):
        with pytest.raises(CompressedError, match=said):
            compressor.decompress(wrong)
    others = {"vqvae": "no-prior", "no-prior": "vqvae"}[compressor.model.config.name]
    other = Compressor(translate.load(save_learned(tmp_path / "other", others), device="cpu"))
    with pytest.raises(CompressedError, match="with other weights than"):
        other.decompress(data)


def test_no_codebook_no_compression(tmp_path):
    with pytest.raises(ConfigError, match="has no codebook"):
        Compressor(translate.load(save_learned(tmp_path / "vae", "vae"), device="cpu"))


@pytest.mark.parametrize("form", ["JPEG", "WEBP"])
def test_rivals_keep_to_the_rate(form):
    y, x = np.mgrid[:96, :96]
    image = Image.fromarray(np.stack([x * 2, y * 2, x + y], axis=-1).astype(np.uint8))
    small, large = (at_equal_rate(image, form, body=body) for body in (400, 2000))
    assert small.size - small.head <= 400
    assert small.size < large.size
    assert large.head > 20
    assert at_equal_rate(image, form, body=1).size == at_equal_rate(image, form, body=2).size  # no better can be had


def test_a_head_that_promises_too_much_is_refused_before_room_is_made(compressor):
    data = compressor.compress(photo(16, 16))
    huge = HEAD.pack(b"TVQ1", compressor.weights_id, 65535, 65535, 0) + data[HEAD.size :]
    with pytest.raises(CompressedError, match="claims to hold 65535x65535 pixels"):
        compressor.decompress(huge)
    with pytest.raises(CompressedError, match="the limit is 100"):
        compressor.decompress(data, max_pixels=100)


@pytest.mark.parametrize("alpha", [False, True])
def test_16_bits_and_alpha_are_compared_as_8_bits_over_white(compressor, alpha):
    pixels = np.asarray(photo(24, 24).convert("L"))[:, :, None]
    grey = Picture(pixels=pixels)
    if alpha:
        covered = np.concatenate([pixels, np.full_like(pixels, 255)], axis=2)
        covered[:4, :, 1] = 0
        grey = composite(Picture(pixels=covered))
        pixels = covered
    found = []
    for picture in (grey, Picture(pixels=pixels.astype(np.uint16) * 257)):
        comparison = Comparison(compressor, rivals=("JPEG",))
        comparison.add(picture, compressor.compress(picture))
        found.append([(rate.name, rate.bits, rate.psnr) for rate in comparison.rates()])
    assert found[0] == found[1]
