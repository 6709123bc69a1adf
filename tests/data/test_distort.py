"""Distortions: what they keep, what they change, that they are drawn for each image."""

import pytest
import torch

from translate.data.distort import DISTORTIONS, coarsen, distort, invert, random_network, shuffle_patches


@pytest.fixture
def images() -> torch.Tensor:
    torch.manual_seed(0)
    return torch.rand(6, 3, 24, 20) * 2 - 1


@pytest.mark.parametrize("distortion", DISTORTIONS)
@pytest.mark.parametrize("channels", [1, 3])
def test_shapes_stay_and_pixels_do_not(distortion, channels, images):
    given = images[:, :channels].clone()
    made = distortion(given)
    assert made.shape == given.shape
    assert torch.equal(given, images[:, :channels])  # not in place
    assert ((made - given).abs().flatten(1).mean(dim=1) > 0.05).all()


def test_every_image_is_distorted_in_range_in_ways_of_its_own(images):
    made = distort(images.expand(6, -1, -1, -1)[:1].repeat(30, 1, 1, 1))
    assert made.min() >= -1
    assert made.max() <= 1
    assert len({tuple(image.flatten()[:9].tolist()) for image in made}) > 15
    torch.manual_seed(3)
    first = distort(images)
    torch.manual_seed(3)
    assert torch.equal(first, distort(images))
    assert not torch.equal(first, distort(images))
    assert not distort(images.requires_grad_()).requires_grad


def test_patches_change_places_and_a_border_stays():
    image = torch.arange(18 * 21.0).view(1, 1, 18, 21).repeat(40, 1, 1, 1)
    made = shuffle_patches(image)
    assert torch.equal(made[..., 16:, :], image[..., 16:, :])
    assert torch.equal(made[..., 20:], image[..., 20:])
    inner, moved = image[0, 0, :16, :20], made[:, 0, :16, :20]
    assert all(torch.equal(one.flatten().sort().values, inner.flatten().sort().values) for one in moved)
    # Within a patch neighbours stay neighbours.
    assert torch.equal(moved[:, 0:4, 1:5] - moved[:, 0:4, 0:4], torch.ones(40, 4, 4))
    assert moved[:, 0, 0].unique().numel() > 8


def test_negatives_are_of_one_channel_or_all(images):
    made = invert(images.repeat(20, 1, 1, 1))
    given = images.repeat(20, 1, 1, 1)
    inverted = (made == -given).flatten(2).all(dim=2).sum(dim=1)
    assert set(inverted.tolist()) == {1, 3}


def test_random_networks_differ_between_images(images):
    made = random_network(images[:1].repeat(3, 1, 1, 1))
    assert not torch.allclose(made[0], made[1])
    assert (made.flatten(1).std(dim=1) > 0.05).all()


def test_coarse_images_keep_their_mean(images):
    smooth = images.mean(dim=(2, 3), keepdim=True).expand_as(images)
    torch.testing.assert_close(coarsen(smooth), smooth)
    assert coarsen(images).std() < images.std() / 4
