"""A detector tells squares from discs after it has seen squares, and its threshold is what it says."""

import numpy as np
import pytest
import torch
from learned import SIZE, save_learned

import translate
from translate.applications.anomaly import (
    auroc_rows,
    baselines,
    detector_config,
    fit,
    measured,
    planted,
    told_from_planted,
)
from translate.checkpoint import load_weights, save_weights
from translate.config import ConfigError
from translate.metrics import auroc
from translate.networks.anomaly import SCORES


def shapes(count, *, kind, seed=0):
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:SIZE, :SIZE]
    images = np.full((count, 1, SIZE, SIZE), -1.0, np.float32)
    for image in images:
        cx, cy, r = rng.uniform(5, 11), rng.uniform(5, 11), rng.uniform(2, 4)
        near = np.maximum(abs(x - cx), abs(y - cy)) if kind == "square" else abs(np.hypot(x - cx, y - cy) - r)
        image[0][near < (r if kind == "square" else 1)] = 1
    return torch.from_numpy(images)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """An autoencoder that has learned squares for a second."""
    model = translate.load(save_learned(tmp_path_factory.mktemp("ae") / "ae", "ae"), device="cpu")
    network = model.network.train().requires_grad_(True)
    optimizer = torch.optim.Adam(network.parameters(), 3e-3)
    images = shapes(256, kind="square")
    for step in range(300):
        part = images[(step * 32) % 256 :][:32]
        loss = (network.decode(network.encode(part).mean) - part).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    network.eval().requires_grad_(False)
    return model


@pytest.fixture(scope="module")
def detector(model):
    return fit(model, shapes(256, kind="square"), shapes(100, kind="square", seed=1), false_alarms=0.1)


def test_abnormal_images_score_higher(detector):
    images = torch.cat([shapes(60, kind="square", seed=2), shapes(60, kind="ring", seed=3)])
    abnormal = torch.arange(120) >= 60
    scores = measured(detector, images)
    assert scores.shape == (120, 3)
    found = {row.name: row.auroc for row in auroc_rows({name: scores[:, n] for n, name in enumerate(SCORES)}, abnormal)}
    assert found["error"] > 0.9
    assert found["both"] > 0.8


def test_the_false_alarms_are_those_that_were_asked_for(detector):
    scores = measured(detector, shapes(100, kind="square", seed=1))
    assert ((scores > detector.thresholds).float().mean(dim=0) - 0.1).abs().max() <= 0.011
    assert torch.allclose(scores[:, 2], scores[:, 0] + scores[:, 1], atol=1e-5)
    assert scores[:, :2].mean(dim=0).abs().max() < 1e-4
    assert (scores[:, :2].std(dim=0) - 1).abs().max() < 1e-3


def test_a_planted_fault_is_one_rectangle_of_another_image():
    images = torch.arange(6.0).view(6, 1, 1, 1).expand(6, 1, SIZE, SIZE)
    spoilt = planted(images, seed=3)
    for number, image in enumerate(spoilt[:, 0]):
        rows, columns = (image != number).nonzero(as_tuple=True)
        patch = image[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
        assert patch.unique().numel() == 1  # whole, and of a single other image
        assert all(SIZE // 4 <= side <= SIZE // 2 + 1 for side in patch.shape)
    assert torch.equal(spoilt, planted(images, seed=3))
    assert not torch.equal(spoilt, planted(images, seed=4))


def test_the_smoothing_is_the_one_that_tells_planted_faults_best(model, detector):
    learned, held_back = shapes(256, kind="square"), shapes(100, kind="square", seed=1)
    each = {side: told_from_planted(fit(model, learned, held_back, smoothing=side), held_back) for side in (1, 3, 5)}
    assert told_from_planted(detector, held_back) == max(each.values())
    assert detector.config.smoothing == max(each, key=lambda side: each[side])
    with pytest.raises(ConfigError, match="odd"):
        fit(model, learned, held_back, smoothing=4)


def test_heat_is_where_the_image_differs(detector):
    image = shapes(1, kind="square", seed=5)
    spoilt = image.clone()
    spoilt[..., :4, :4] = 1
    heat = detector.heat(spoilt)
    assert heat.shape == (1, 1, SIZE, SIZE)
    assert heat[..., :4, :4].mean() > 3 * heat[..., 8:, 8:].mean()


def test_a_detector_is_saved_whole(detector, model, tmp_path):
    save_weights(detector, detector_config(model, detector, false_alarms=0.1), tmp_path / "detector")
    again, config = load_weights(tmp_path / "detector")
    assert (config.kind, config.false_alarms) == ("anomaly", 0.1)
    images = shapes(5, kind="ring")
    assert torch.equal(measured(again, images), measured(detector, images))
    with pytest.raises(ValueError, match="holds an anomaly detector, which scores images"):
        translate.load(tmp_path / "detector")


def test_what_will_not_do_is_refused(model, tmp_path):
    images = shapes(30, kind="square")
    with pytest.raises(ConfigError, match="20 of each are needed"):
        fit(model, images, images[:3])
    codebook = translate.load(save_learned(tmp_path / "vq", "vqvae"), device="cpu")
    with pytest.raises(ConfigError, match="anomaly detection needs an ae or a vae"):
        fit(codebook, images, images)


def test_baselines_are_those_of_sklearn():
    decomposition, neighbors = pytest.importorskip("sklearn.decomposition"), pytest.importorskip("sklearn.neighbors")
    normal, images = shapes(60, kind="square").flatten(1).numpy(), shapes(20, kind="ring").flatten(1).numpy()
    pca = decomposition.PCA(32).fit(normal)
    error = np.square(images - pca.inverse_transform(pca.transform(images))).sum(axis=1)
    near = neighbors.NearestNeighbors(n_neighbors=5).fit(normal).kneighbors(images)[0].mean(axis=1)
    found = baselines(
        torch.from_numpy(normal).view(60, 1, SIZE, SIZE), torch.from_numpy(images).view(20, 1, SIZE, SIZE)
    )
    assert list(found) == ["PCA-32 of the pixels", "5-NN of the pixels"]
    assert np.allclose(found["PCA-32 of the pixels"].numpy(), error, rtol=1e-3)
    assert np.allclose(found["5-NN of the pixels"].numpy(), near, rtol=1e-3)


def test_auroc_is_that_of_sklearn():
    metrics = pytest.importorskip("sklearn.metrics")
    generator = torch.Generator().manual_seed(0)
    for levels in (3, 1000):  # with ties and without
        scores, positive = (
            torch.randint(levels, (200,), generator=generator),
            torch.rand(200, generator=generator) > 0.7,
        )
        assert auroc(scores, positive) == pytest.approx(
            metrics.roc_auc_score(positive.numpy(), scores.numpy()), abs=1e-12
        )
    with pytest.raises(ValueError, match="both kinds"):
        auroc(torch.zeros(3), torch.ones(3, dtype=torch.bool))
