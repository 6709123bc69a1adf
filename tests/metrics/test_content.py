"""What is left of an image: edges and luminance."""

import pytest
import torch

from translate.metrics import edge_agreement, luminance, luminance_ssim, ssim


@pytest.fixture
def images() -> torch.Tensor:
    """Four images of soft blobs, [4, 3, 48, 40]."""
    coarse = torch.rand(4, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    return torch.nn.functional.interpolate(coarse, size=(48, 40), mode="bicubic").clamp(0, 1)


def test_edges_stay_where_only_colours_change(images):
    torch.testing.assert_close(edge_agreement(images, images), torch.ones(4))
    torch.testing.assert_close(edge_agreement(1 - images, images), torch.ones(4), atol=1e-5, rtol=0)
    torch.testing.assert_close(edge_agreement(images * 0.4 + 0.3, images), torch.ones(4), atol=1e-5, rtol=0)


def test_edges_of_other_images_are_unrelated(images):
    generator = torch.Generator().manual_seed(1)
    coarse = torch.rand(120, 3, 8, 8, generator=generator)
    # Of grids that lie differently, so that the blobs do.
    first = torch.nn.functional.interpolate(coarse[:60], size=(48, 40), mode="bicubic").clamp(0, 1)
    second = torch.nn.functional.interpolate(coarse[60:], size=(66, 54), mode="bicubic")[..., 9:57, 7:47].clamp(0, 1)
    assert abs(edge_agreement(first, second).mean()) < 0.05
    shifted = edge_agreement(images.roll(2, dims=3), images)
    assert ((shifted < 0.95) & (shifted > 0.05)).all()
    assert (edge_agreement(images.roll(4, dims=3), images) < shifted).all()


def test_edges_by_hand():
    step, other = torch.zeros(2, 1, 1, 32, 32).unbind(0)
    step[..., 16:] = 1  # a vertical edge
    other[..., 16:, :] = 1  # a horizontal one
    agreement = edge_agreement(other, step).item()
    # Edge pixels are a share s of the columns, or rows; both at once are s^2: uncorrelated.
    assert agreement == pytest.approx(0, abs=0.02)


def test_images_without_edges():
    flat, step = torch.full((1, 3, 16, 16), 0.5), torch.zeros(1, 3, 16, 16)
    step[..., 8:] = 1
    assert edge_agreement(flat, flat * 0.2).item() == 1
    assert edge_agreement(flat, step).item() == edge_agreement(step, flat).item() == 0
    rounding = flat + torch.randint(0, 2, flat.shape, generator=torch.Generator().manual_seed(0)) * 1e-5
    assert edge_agreement(rounding, flat).item() == 1


def test_luminance_is_that_of_pillow(images):
    from PIL import Image

    pixels = images.mul(255).round().byte()
    expected = torch.tensor(list(Image.fromarray(pixels[0].permute(1, 2, 0).numpy()).convert("L").get_flattened_data()))
    assert (luminance(pixels[:1].float()).flatten() - expected).abs().max() <= 1
    grey = images[:, :1]
    assert luminance(grey) is grey


def test_luminance_ssim_ignores_colour_alone(images):
    grey = luminance(images)
    torch.testing.assert_close(luminance_ssim(grey.expand(-1, 3, -1, -1), images), torch.ones(4))
    torch.testing.assert_close(luminance_ssim(grey, images), torch.ones(4))
    other = images.flip(0)
    torch.testing.assert_close(luminance_ssim(other, images), ssim(luminance(other), grey))


@pytest.mark.parametrize("measure", [edge_agreement, luminance_ssim])
def test_refuses_other_shapes_and_ranges(measure, images):
    with pytest.raises(ValueError, match=r"grey or RGB images \[N, 1 or 3, H, W\], got shape \(4, 2, 48, 40\)"):
        measure(images[:, :2], images)
    with pytest.raises(ValueError, match="same shape"):
        measure(images, images[..., 1:])
    with pytest.raises(ValueError, match="prediction has values from"):
        measure(images * 2 - 1, images)
    with pytest.raises(ValueError, match="at least"):
        measure(images[..., :2, :], images[..., :2, :])
