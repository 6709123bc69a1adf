"""L1, PSNR and SSIM against NumPy, SciPy and torchmetrics."""

import math

import numpy as np
import pytest
import torch

from translate.metrics import l1, psnr, ssim

METRICS = [l1, psnr, ssim]


@pytest.fixture
def pair() -> tuple[torch.Tensor, torch.Tensor]:
    """Five images and noisier and noisier versions of them."""
    generator = torch.Generator().manual_seed(0)
    target = torch.rand(5, 3, 6, 5, generator=generator)
    target = torch.nn.functional.interpolate(target, size=(27, 32), mode="bilinear")
    noise = torch.randn(target.shape, generator=generator) * torch.linspace(0.01, 0.4, 5).view(-1, 1, 1, 1)
    return (target + noise).clamp(0, 1), target


def test_l1_by_hand():
    black, grey = torch.zeros(2, 1, 2, 2), torch.tensor([[0.0, 0.5], [0.5, 1.0]]).expand(2, 1, 2, 2)
    torch.testing.assert_close(l1(black, grey), torch.tensor([0.5, 0.5]))
    torch.testing.assert_close(l1(255 * black, 255 * grey, data_range=255), torch.tensor([0.5, 0.5]))


def test_psnr_by_hand():
    black = torch.zeros(1, 3, 4, 4)
    assert psnr(black, 1 - black).item() == 0
    assert psnr(black, black + 1 / 255).item() == pytest.approx(20 * math.log10(255), rel=1e-6)  # 48.13 dB


def test_psnr_is_of_the_images_rounded_to_8_bits(pair):
    prediction, target = pair
    saved = [np.rint(images.numpy() * 255).astype(np.uint8).astype(np.float64) for images in pair]
    expected = 10 * np.log10(255**2 / ((saved[0] - saved[1]) ** 2).mean(axis=(1, 2, 3)))
    np.testing.assert_allclose(psnr(prediction, target).numpy(), expected, rtol=1e-5)
    assert psnr(target.mul(255).round() / 255, (target.mul(255).round() + 0.3).clamp(0, 255) / 255).isinf().all()


def test_psnr_against_torchmetrics(pair):
    functional = pytest.importorskip("torchmetrics.functional.image")
    rounded = [images.mul(255).round() / 255 for images in pair]
    expected = functional.peak_signal_noise_ratio(*rounded, data_range=1.0, dim=(1, 2, 3), reduction="none")
    torch.testing.assert_close(psnr(*pair), expected, rtol=1e-5, atol=1e-4)


def test_ssim_against_torchmetrics_in_the_valid_region(pair):
    functional = pytest.importorskip("torchmetrics.functional.image")
    _, full = functional.structural_similarity_index_measure(
        *pair, data_range=1.0, reduction="none", return_full_image=True
    )
    assert full.shape == pair[0].shape
    torch.testing.assert_close(ssim(*pair), full[..., 5:-5, 5:-5].mean(dim=(1, 2, 3)), rtol=0, atol=1e-4)


def test_ssim_against_scipy(pair):
    signal = pytest.importorskip("scipy.signal")
    taps = np.exp(-(np.arange(-5, 6) ** 2) / (2 * 1.5**2))
    window = np.outer(taps, taps) / taps.sum() ** 2
    prediction, target = (images.double().numpy() for images in pair)

    def similarity(p: np.ndarray, t: np.ndarray) -> float:
        def blur(x: np.ndarray) -> np.ndarray:
            return signal.correlate2d(x, window, mode="valid")

        mean_p, mean_t, c1, c2 = blur(p), blur(t), 0.01**2, 0.03**2
        covariance = blur(p * t) - mean_p * mean_t
        variances = blur(p * p) - mean_p**2 + blur(t * t) - mean_t**2
        ratio = (2 * mean_p * mean_t + c1) * (2 * covariance + c2)
        return (ratio / ((mean_p**2 + mean_t**2 + c1) * (variances + c2))).mean()

    expected = [
        np.mean([similarity(p, t) for p, t in zip(*images, strict=True)])
        for images in zip(prediction, target, strict=True)
    ]
    np.testing.assert_allclose(ssim(*pair).numpy(), expected, atol=1e-5)


def test_more_noise_is_worse(pair):
    assert (l1(*pair).diff() > 0).all()
    assert (psnr(*pair).diff() < 0).all()
    assert (ssim(*pair).diff() < 0).all()


@pytest.mark.parametrize(("metric", "best"), [(l1, 0.0), (psnr, math.inf), (ssim, 1.0)])
def test_equal_images(metric, best, pair):
    _, target = pair
    torch.testing.assert_close(metric(target, target), torch.full((5,), best), rtol=0, atol=1e-6)


@pytest.mark.parametrize("metric", METRICS)
def test_one_value_for_each_image_whatever_the_batch_and_range(metric, pair):
    values = metric(*pair)
    assert values.shape == (5,)
    one_by_one = torch.cat([metric(p[None], t[None]) for p, t in zip(*pair, strict=True)])
    torch.testing.assert_close(values, one_by_one, rtol=1e-5, atol=1e-5)
    as_bytes = [images * 255 for images in pair]
    torch.testing.assert_close(metric(*as_bytes, data_range=255), values, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("metric", METRICS)
def test_precision(metric, pair):
    half = [images.bfloat16() for images in pair]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        values = metric(*half)
    assert values.dtype == torch.float32
    assert torch.equal(values, metric(*[images.float() for images in half]))
    assert metric(*[images.double() for images in pair]).dtype == torch.float64


@pytest.mark.parametrize("metric", METRICS)
def test_integer_images(metric, pair):
    as_bytes = [images.mul(255).round() for images in pair]
    exact = metric(*[images.byte() for images in as_bytes], data_range=255)
    torch.testing.assert_close(exact, metric(*as_bytes, data_range=255))


@pytest.mark.parametrize("metric", METRICS)
def test_refuses_other_ranges_and_shapes(metric):
    image = torch.rand(2, 3, 12, 12)
    with pytest.raises(ValueError, match=r"prediction has values from -1 to 1, expected \[0, 1\]; .*\(x \+ 1\) / 2"):
        metric(torch.linspace(-1, 1, image.numel()).view_as(image), image)
    with pytest.raises(ValueError, match=r"target has values from 0 to 255, expected \[0, 1\]"):
        metric(image, torch.linspace(0, 255, image.numel()).view_as(image))
    with pytest.raises(ValueError, match="nan"):
        metric(torch.full_like(image, math.nan), image)
    with pytest.raises(ValueError, match=r"\(2, 3, 12, 12\) and target \(1, 3, 12, 12\)"):
        metric(image, image[:1])
    with pytest.raises(ValueError, match=r"\[N, C, H, W\], got shape \(3, 12, 12\)"):
        metric(image[0], image[0])
    with pytest.raises(ValueError, match="data_range must be positive"):
        metric(image, image, data_range=0)


def test_ssim_refuses_images_smaller_than_its_window():
    with pytest.raises(ValueError, match="at least 11x11 pixels, got 10x64"):
        ssim(torch.zeros(1, 1, 10, 64), torch.zeros(1, 1, 10, 64))
    assert ssim(torch.zeros(1, 1, 11, 11), torch.zeros(1, 1, 11, 11)).item() == pytest.approx(1)
