"""Images to latents and back, samples, and ways between images."""

import numpy as np
import pytest
import torch
from learned import NETWORKS, SIZE, save_learned
from PIL import Image

import translate
from translate.inference import ImageModel, InferenceError, load_image_model
from translate.inference.image_model import slerp


@pytest.fixture(scope="module", params=NETWORKS)
def model(request, tmp_path_factory):
    return translate.load(
        save_learned(tmp_path_factory.mktemp(request.param) / request.param, request.param), device="cpu"
    )


@pytest.fixture
def open_model(tmp_path):
    return lambda kind: translate.load(save_learned(tmp_path / kind, kind), device="cpu")


def photo(width, height, mode="RGB", seed=0):
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(pixels).convert(mode)


def test_images_of_any_kind_are_reconstructed(model):
    images = [photo(SIZE, SIZE), photo(33, 20, "L"), photo(5, 9, "RGBA"), photo(1, 1, "P")]
    made = model.reconstruct(images)
    mode = "RGB" if model.format.channels == 3 else "L"
    assert [(image.size, image.mode) for image in made] == [((SIZE, SIZE), mode)] * 4


def test_a_reconstruction_is_its_latents_decoded(model):
    images = [photo(SIZE, SIZE, seed=seed) for seed in range(3)]
    latents = model.encode(images)
    assert (latents.shape, latents.dtype) == ((3, model.latent_size), np.float32)
    for one, other in zip(model.decode(latents), model.reconstruct(images), strict=True):
        assert np.array_equal(np.asarray(one), np.asarray(other))


def test_the_whole_image_is_used(open_model):
    """A wide image is cropped in the middle after it was made as high as the model."""
    model = open_model("vae")
    wide = np.zeros((SIZE, 3 * SIZE), np.uint8)
    wide[:, SIZE : 2 * SIZE] = np.asarray(photo(SIZE, SIZE, "L"))
    middle = model.prepared([Image.fromarray(wide)])
    assert torch.equal(middle, model.prepared([photo(SIZE, SIZE, "L")]))


@pytest.mark.parametrize("kind", ["vae", "vqvae"])
def test_a_seed_makes_the_same_images(open_model, kind):
    model = open_model(kind)
    first, again, other = (np.stack([np.asarray(image) for image in model.sample(5, seed=seed)]) for seed in (3, 3, 4))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    cold = [np.asarray(image) for image in model.sample(3, temperature=0.0)]
    assert all(np.array_equal(image, cold[0]) for image in cold)


@pytest.mark.parametrize("kind", ["ae", "no-prior"])
def test_what_has_no_distribution_is_not_sampled(open_model, kind):
    with pytest.raises(InferenceError, match="has no prior over its latents"):
        open_model(kind).sample(1)


def test_ways_start_and_end_at_the_images(open_model):
    model = open_model("ae")
    a, b = photo(SIZE, SIZE, "L", seed=1), photo(SIZE, SIZE, "L", seed=2)
    way = model.interpolate(a, b, steps=5)
    assert len(way) == 5
    ends = [np.asarray(image).astype(int) for image in (way[0], way[-1])]
    made = [np.asarray(image).astype(int) for image in model.reconstruct([a, b])]
    assert max(abs(x - y).max() for x, y in zip(ends, made, strict=True)) <= 1


def test_slerp_keeps_to_the_sphere():
    a, b = torch.tensor([1.0, 0.0]), torch.tensor([0.0, 1.0])
    way = slerp(a, b, steps=5)
    assert torch.allclose(way.norm(dim=1), torch.ones(5))
    assert torch.allclose(way[2], torch.tensor([0.5, 0.5]).sqrt())
    assert torch.allclose(slerp(a, 3 * a, steps=3)[1], 2 * a)  # parallel: straight
    assert torch.allclose(slerp(a, -a, steps=3)[1], 0 * a)  # opposite: there is no one way
    assert torch.allclose(slerp(0 * a, b, steps=3)[1], b / 2)


def test_maps(open_model):
    assert len(open_model("vae").plane(steps=3)) == 9
    with pytest.raises(InferenceError, match="are discrete: they have no plane of directions"):
        open_model("vqvae").plane()


def test_what_cannot_be_is_refused(open_model, tiny_weights):
    model = open_model("vae")
    with pytest.raises(InferenceError, match="no images were given"):
        model.reconstruct([])
    with pytest.raises(InferenceError, match=r"expected latents \[N, 4\], not \[1, 5\]"):
        model.decode(np.zeros((1, 5)))
    with pytest.raises(InferenceError, match="the number of samples must be at least 1, not 0"):
        model.sample(0)
    with pytest.raises(InferenceError, match="holds a translator, which has no latents"):
        load_image_model(tiny_weights)
    assert isinstance(model, ImageModel)
    assert "vae" in repr(model)
