"""Reconstruction losses against hand-computed numbers and an SSIM written with SciPy."""

import numpy as np
import pytest
import torch

from translate.losses import charbonnier_loss, l1_loss, l2_loss, ssim_loss

LOSSES = [l1_loss, l2_loss, charbonnier_loss, ssim_loss]


def pair(*, size: tuple[int, int] = (16, 13), dtype: torch.dtype = torch.float32) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    first, second = torch.rand(2, 2, 3, *size, generator=generator, dtype=dtype) * 2 - 1
    return first, (first + second) / 2


def test_values_by_hand():
    prediction, target = torch.tensor([[1.0, -2.0]]), torch.tensor([[0.0, 2.0]])
    assert l1_loss(prediction, target).item() == 2.5
    assert l2_loss(prediction, target).item() == 8.5
    assert charbonnier_loss(prediction, target, eps=3.0).item() == pytest.approx((10**0.5 + 5) / 2)


def test_charbonnier_is_smooth_at_equality_and_l1_far_away():
    image = torch.zeros(1, 1, 2, 2, requires_grad=True)
    loss = charbonnier_loss(image, image.detach(), eps=0.01)
    loss.backward()
    assert loss.item() == pytest.approx(0.01)
    assert torch.equal(image.grad, torch.zeros_like(image))
    far = torch.full((1, 1, 2, 2), 100.0)
    assert charbonnier_loss(far, -far).item() == pytest.approx(l1_loss(far, -far).item(), rel=1e-6)


def test_ssim_against_scipy():
    ndimage = pytest.importorskip("scipy.ndimage")
    prediction, target = pair(dtype=torch.float64)

    def blur(
        image: np.ndarray,
    ) -> np.ndarray:  # scipy's "mirror" is torch's "reflect"; radius 5 of sigma 1.5 is 11 taps
        return ndimage.gaussian_filter(image, sigma=1.5, radius=5, mode="mirror", axes=(2, 3))

    p, t = ((image.numpy() + 1) / 2 for image in (prediction, target))
    mean_p, mean_t = blur(p), blur(t)
    variance_p, variance_t, covariance = blur(p * p) - mean_p**2, blur(t * t) - mean_t**2, blur(p * t) - mean_p * mean_t
    c1, c2 = 0.01**2, 0.03**2
    similarity = (2 * mean_p * mean_t + c1) * (2 * covariance + c2)
    similarity /= (mean_p**2 + mean_t**2 + c1) * (variance_p + variance_t + c2)
    assert ssim_loss(prediction, target).item() == pytest.approx(1 - similarity.mean(), abs=1e-9)


def test_ssim_of_equal_images_is_no_loss_and_of_opposite_ones_more_than_one():
    image, _ = pair()
    assert ssim_loss(image, image).item() == pytest.approx(0, abs=1e-6)
    assert 1 < ssim_loss(image, -image).item() <= 2


def test_ssim_takes_the_value_range():
    prediction, target = pair(dtype=torch.float64)
    as_bytes = [(image + 1) * 127.5 for image in (prediction, target)]
    torch.testing.assert_close(ssim_loss(*as_bytes, value_range=(0, 255)), ssim_loss(prediction, target))


@pytest.mark.parametrize("loss", LOSSES)
def test_gradcheck(loss):
    prediction, target = (image[:1, :1].requires_grad_() for image in pair(size=(6, 6), dtype=torch.float64))
    assert torch.autograd.gradcheck(loss, (prediction, target))


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_images_give_float32_even_under_autocast(loss, dtype):
    prediction, target = (image.to(dtype) for image in pair())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        value = loss(prediction, target)
    assert value.dtype == torch.float32
    assert torch.equal(value, loss(prediction.float(), target.float()))


@pytest.mark.parametrize("loss", LOSSES)
def test_refuses_shapes_that_would_broadcast(loss):
    with pytest.raises(ValueError, match=r"prediction \(2, 3, 16, 13\) and target \(2, 1, 16, 13\)"):
        loss(torch.zeros(2, 3, 16, 13), torch.zeros(2, 1, 16, 13))
    with pytest.raises(ValueError, match="empty"):
        loss(torch.zeros(0, 3, 16, 13), torch.zeros(0, 3, 16, 13))


def test_refuses_bad_arguments():
    small = torch.zeros(1, 1, 5, 40)
    with pytest.raises(ValueError, match=r"5x40 are too small for an SSIM window of 11.* at most 9"):
        ssim_loss(small, small)
    assert ssim_loss(small, small, window_size=9).item() == pytest.approx(0, abs=1e-6)
    with pytest.raises(ValueError, match="odd"):
        ssim_loss(small, small, window_size=4)
    with pytest.raises(ValueError, match="black < white"):
        ssim_loss(small, small, value_range=(1, -1))
    with pytest.raises(ValueError, match=r"\[N, C, H, W\]"):
        ssim_loss(small[0], small[0])
    with pytest.raises(ValueError, match="eps must be positive"):
        charbonnier_loss(small, small, eps=0)
