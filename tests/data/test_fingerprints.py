"""Equal images, copies that were changed a little, and images that only look alike."""

import io

import numpy as np
import pytest
from PIL import Image, ImageEnhance

from translate.data.fingerprints import Fingerprint, fingerprint, near_duplicates
from translate.data.images import Picture, from_pil


def scene(seed: int, size: int = 96) -> Image.Image:
    """Soft blobs of colour, with grain: as smooth as a photograph."""
    rng = np.random.default_rng(seed)
    small = Image.fromarray(rng.integers(0, 256, (7, 7, 3), dtype=np.uint8))
    pixels = np.asarray(small.resize((size, size), Image.Resampling.BICUBIC)).astype(np.int16)
    return Image.fromarray((pixels + rng.integers(-12, 13, pixels.shape)).clip(0, 255).astype(np.uint8))


def known(image: Image.Image) -> Fingerprint:
    return fingerprint(from_pil(image))


def jpeg(image: Image.Image) -> Image.Image:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=50)
    return Image.open(buffer)


CHANGES = {
    "quality": jpeg,
    "smaller": lambda image: image.resize((50, 50), Image.Resampling.BICUBIC),
    "larger": lambda image: image.resize((300, 300), Image.Resampling.BICUBIC),
    "squashed": lambda image: image.resize((96, 70)),
    "brighter": lambda image: ImageEnhance.Brightness(image).enhance(1.1),
    "duller": lambda image: ImageEnhance.Contrast(image).enhance(0.85),
    "opaque alpha": lambda image: image.convert("RGBA"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_copies_are_found(change):
    originals = [known(scene(seed)) for seed in range(30)]
    copies = [known(CHANGES[change](scene(seed))) for seed in range(20, 40)]
    assert near_duplicates(originals, copies) == [(place + 20, place) for place in range(10)]


@pytest.mark.parametrize("seed", range(3))
def test_other_images_are_not(seed):
    first, second = scene(seed), scene(seed + 100)
    changed = [
        first.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
        first.rotate(90),
        Image.blend(first, second, 0.4),
        first.crop((20, 20, 76, 76)),
        Image.fromarray(255 - np.asarray(first)),
    ]
    assert near_duplicates([known(first)], [known(image) for image in changed]) == []


def test_images_of_one_colour_are_like_nothing():
    flat = [known(Image.new("RGB", (20, 20), (value,) * 3)) for value in (0, 0, 90)]
    assert near_duplicates(flat[:1], flat) == []


def test_digests_are_of_pixels_depth_and_size():
    pixels = np.arange(24, dtype=np.uint8).reshape(4, 6, 1)
    digests = [
        fingerprint(Picture(pixels=values)).digest
        for values in (pixels, pixels.reshape(6, 4, 1), pixels.astype(np.uint16) * 257, pixels.repeat(3, axis=2))
    ]
    assert len(set(digests)) == 4
    assert fingerprint(Picture(pixels=pixels.copy())).digest == digests[0]
    changed = pixels.copy()
    changed[-1, -1] += 1
    assert fingerprint(Picture(pixels=changed)).digest != digests[0]


@pytest.mark.parametrize(("shape", "dtype"), [((1, 1, 1), np.uint8), ((1, 300, 4), np.uint8), ((40, 2, 3), np.uint16)])
def test_odd_pictures_have_a_fingerprint(shape, dtype):
    found = fingerprint(Picture(pixels=np.ones(shape, dtype)))
    assert found.gradients.shape == (64,)
    assert found.thumbnail.shape == (768,)


def test_many_images_are_compared_in_parts(monkeypatch):
    monkeypatch.setattr("translate.data.fingerprints._ROWS", 4)
    prints = [known(scene(seed)) for seed in range(11)]
    assert near_duplicates(prints, prints) == [(place, place) for place in range(11)]
    assert near_duplicates(prints, []) == []
