"""MS-SSIM against torchmetrics and SciPy."""

import numpy as np
import pytest
import torch

from translate.metrics import ms_ssim
from translate.metrics.ms_ssim import WEIGHTS, smallest_side


def noisy_pair(height: int, width: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Three images and noisier and noisier versions of them, one of which is inverted."""
    generator = torch.Generator().manual_seed(0)
    target = torch.rand(4, 3, height // 8, width // 8, generator=generator)
    target = torch.nn.functional.interpolate(target, size=(height, width), mode="bilinear")
    noise = torch.randn(target.shape, generator=generator) * torch.linspace(0.02, 0.5, 4).view(-1, 1, 1, 1)
    prediction = (target + noise).clamp(0, 1)
    prediction[3] = 1 - target[3]
    return prediction, target


def test_against_torchmetrics():
    functional = pytest.importorskip("torchmetrics.functional.image")
    prediction, target = noisy_pair(192, 208)
    # torchmetrics counts the reflected borders at the coarsest scale: take the finer scales from there, and of the
    # coarsest the map without its borders.
    finer = functional.multiscale_structural_similarity_index_measure(
        prediction, target, data_range=1.0, reduction="none", betas=(*WEIGHTS[:4], 0.0)
    )
    small = [torch.nn.functional.avg_pool2d(images, 16) for images in (prediction, target)]
    _, full = functional.structural_similarity_index_measure(
        *small, data_range=1.0, reduction="none", return_full_image=True
    )
    coarsest = full[..., 5:-5, 5:-5].mean(dim=(1, 2, 3)).clamp(min=0)
    torch.testing.assert_close(ms_ssim(prediction, target), finer * coarsest ** WEIGHTS[4], rtol=0, atol=1e-4)


@pytest.mark.parametrize("size", [(161, 175), (192, 161)])
def test_against_scipy_at_odd_sizes(size):
    signal, ndimage = pytest.importorskip("scipy.signal"), pytest.importorskip("scipy.ndimage")
    taps = np.exp(-(np.arange(-5, 6) ** 2) / (2 * 1.5**2))
    window = np.outer(taps, taps) / taps.sum() ** 2
    c1, c2 = 0.01**2, 0.03**2

    def blur(x: np.ndarray) -> np.ndarray:
        return signal.correlate2d(x, window, mode="valid")

    def halved(x: np.ndarray) -> np.ndarray:  # as the authors' own program: average, symmetric border, every second
        return ndimage.uniform_filter(x, 2, mode="reflect", origin=-1)[::2, ::2]

    def similarity(p: np.ndarray, t: np.ndarray) -> tuple[float, float]:
        mean_p, mean_t = blur(p), blur(t)
        structure = (2 * (blur(p * t) - mean_p * mean_t) + c2) / (
            blur(p * p) - mean_p**2 + blur(t * t) - mean_t**2 + c2
        )
        return structure.mean(), (structure * (2 * mean_p * mean_t + c1) / (mean_p**2 + mean_t**2 + c1)).mean()

    prediction, target = noisy_pair(*size)
    expected = []
    for image, wanted in zip(prediction.double().numpy(), target.double().numpy(), strict=True):
        planes, value = [list(image), list(wanted)], 1.0
        for scale, weight in enumerate(WEIGHTS):
            if scale:
                planes = [[halved(plane) for plane in side] for side in planes]
            found = np.mean([similarity(p, t) for p, t in zip(*planes, strict=True)], axis=0)
            value *= max(0.0, found[1 if scale == 4 else 0]) ** weight
        expected.append(value)
    np.testing.assert_allclose(ms_ssim(prediction, target).numpy(), expected, atol=1e-4)


def test_equal_images_score_one_and_more_noise_is_worse():
    prediction, target = noisy_pair(176, 176)
    torch.testing.assert_close(ms_ssim(target, target), torch.ones(4))
    values = ms_ssim(prediction, target)
    assert (values[:3].diff() < 0).all()
    assert values[3] == 0  # inverted: a negative structure is no power's base


def test_one_value_for_each_image_whatever_the_batch_the_range_and_the_precision():
    prediction, target = noisy_pair(168, 168)
    values = ms_ssim(prediction, target)
    one_by_one = torch.cat([ms_ssim(p[None], t[None]) for p, t in zip(prediction, target, strict=True)])
    torch.testing.assert_close(values, one_by_one, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(ms_ssim(prediction * 255, target * 255, data_range=255), values, rtol=1e-4, atol=1e-5)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(ms_ssim(prediction, target), values)
    assert ms_ssim(prediction.double(), target.double()).dtype == torch.float64


def test_refuses_what_it_cannot_measure():
    assert smallest_side() == 161
    with pytest.raises(ValueError, match="at 5 scales needs images of at least 161x161 pixels, got 160x300"):
        ms_ssim(torch.zeros(1, 1, 160, 300), torch.zeros(1, 1, 160, 300))
    assert ms_ssim(torch.zeros(1, 1, 11, 12), torch.zeros(1, 1, 11, 12), weights=[1.0]).item() == pytest.approx(1)
    with pytest.raises(ValueError, match="one scale or more"):
        ms_ssim(torch.zeros(1, 1, 11, 12), torch.zeros(1, 1, 11, 12), weights=[])
    with pytest.raises(ValueError, match="same shape"):
        ms_ssim(torch.zeros(1, 1, 176, 176), torch.zeros(1, 3, 176, 176))
