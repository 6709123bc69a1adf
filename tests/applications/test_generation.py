"""Scores of samples: real images near the floor, noise far from it; the classifier is trained once and kept."""

import io
import json

import numpy as np
import pytest
import torch
from learned import SIZE, save_learned, save_sampler
from rich.console import Console

from translate.applications.classifier import open_image_classifier, open_trained_set
from translate.applications.generation import MEASURES, compared, evaluate_samples, gaussian_images, likeness
from translate.config import ConfigError, ImageSetConfig
from translate.data.image_set import ImageSet
from translate.inference import load_sampler

CPU = torch.device("cpu")


def images_and_labels(count, seed=0):
    """Bright above or bright below, at two heights each."""
    rng = np.random.default_rng(seed)
    images, labels = rng.integers(0, 60, (count, SIZE, SIZE)), np.arange(count) % 2
    for image, label in zip(images, labels, strict=True):
        top = 8 * label + rng.integers(0, 4)
        image[top : top + 4] += 180
    return images.astype(np.uint8), labels


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    train, test = images_and_labels(300), images_and_labels(120, seed=1)
    path = tmp_path_factory.mktemp("stripes") / "stripes.npz"
    np.savez(path, x_train=train[0], y_train=train[1], x_test=test[0], y_test=test[1])
    return path


@pytest.fixture(scope="module")
def classifier(root, tmp_path_factory):
    folder = tmp_path_factory.mktemp("judge") / "classifier"
    quiet = Console(file=io.StringIO())
    open_image_classifier(ImageSet(ImageSetConfig(root=root)), folder, device=CPU, console=quiet, images_seen=2500)
    return folder


def test_a_set_is_scored_beside_real_images_and_noise(root, classifier, tmp_path):
    model = load_sampler(save_sampler(tmp_path / "w", "conditional"), device="cpu")
    found = evaluate_samples(model, root, out=tmp_path / "out", num_images=200, classifier=classifier, images_seen=2500)
    assert set(found.scores) == {"samples", "real test images", "Gaussian pixels"}
    assert set(found.scores["samples"]) == set(MEASURES)
    made, real, noise = found.scores.values()
    assert real["frechet"] < 0.3 * noise["frechet"] < made["frechet"]  # weights by chance make grey
    # Neither the order of the classes nor their taking turns decides a score of a part of the images.
    assert real["kernel"] < 0.2 * noise["kernel"]
    assert real["coverage"] > 0.6 > made["coverage"]
    assert real["asked"] == found.accuracy > 0.95
    assert made["cas"] < 0.9  # nothing is learned from grey
    assert abs(made["asked"] - 0.5) < 0.2
    low, high = found.intervals["asked"]
    assert low <= made["asked"] <= high
    kept = json.loads((tmp_path / "out" / "conditional.json").read_text())
    assert kept["scores"]["samples"] == made
    assert (tmp_path / "out" / "conditional.png").is_file()
    assert not (tmp_path / "out" / "cas").exists()


def test_a_vae_is_scored_too_and_by_the_same_classifier(root, classifier, tmp_path):
    model = load_sampler(save_learned(tmp_path / "vae", "vae"), device="cpu")
    before = (classifier / "weights" / "model.safetensors").stat().st_mtime_ns
    found = evaluate_samples(model, root, out=tmp_path / "out", num_images=150, classifier=classifier, images_seen=2500)
    assert "asked" not in found.scores["samples"]
    assert found.num_images == 150
    assert (classifier / "weights" / "model.safetensors").stat().st_mtime_ns == before


def test_unlabelled_images_are_told_by_their_turns(root, tmp_path):
    images = np.load(root)["x_train"]
    np.savez(tmp_path / "plain.npz", images=images)
    data = ImageSet(ImageSetConfig(root=tmp_path / "plain.npz", hold_out=0.2))
    quiet = Console(file=io.StringIO())
    judge = open_image_classifier(data, tmp_path / "judge", device=CPU, console=quiet, images_seen=2500)
    assert judge.by_turns
    # Above or below, seen from a side, is left or right: one turn is not told from its opposite.
    assert 0.3 < float((judge.logits(data.images("val", range(40))).argmax(dim=1) % 2 == 0).float().mean()) <= 1
    with pytest.raises(ConfigError, match="other images"):
        open_image_classifier(
            ImageSet(ImageSetConfig(root=root)), tmp_path / "judge", device=CPU, console=quiet, images_seen=2500
        )


def test_other_classes_and_channels_are_refused(root, tmp_path):
    model = load_sampler(save_sampler(tmp_path / "w", "conditional"), device="cpu")
    images, labels = images_and_labels(200)
    np.savez(tmp_path / "three.npz", images=images, labels=np.arange(200) % 3)
    with pytest.raises(ConfigError, match="has the classes"):
        evaluate_samples(model, tmp_path / "three.npz", out=tmp_path / "out")
    np.savez(tmp_path / "colour.npz", images=np.repeat(images[..., None], 3, axis=3), labels=labels)
    with pytest.raises(ConfigError, match="channels"):
        evaluate_samples(model, tmp_path / "colour.npz", out=tmp_path / "out")
    np.savez(tmp_path / "few.npz", images=images[:50], labels=labels[:50])
    with pytest.raises(ConfigError, match="too few"):
        evaluate_samples(model, tmp_path / "few.npz", out=tmp_path / "out")


def test_gaussian_images_have_the_mean_and_covariance():
    generator = torch.Generator().manual_seed(0)
    mixing = torch.randn(4, 4, generator=generator) * 0.1
    images = (torch.randn(4000, 4, generator=generator) @ mixing).view(-1, 1, 2, 2) + 0.1
    drawn = gaussian_images(images, 20_000)
    torch.testing.assert_close(drawn.mean(dim=0), images.mean(dim=0), atol=5e-3, rtol=0)
    covariances = [torch.cov(some.flatten(1).T) for some in (drawn, images)]
    torch.testing.assert_close(*covariances, atol=3e-3, rtol=0.05)


def test_likeness_is_one_for_one_image_and_low_for_noise():
    one = torch.rand(1, 1, 32, 32, generator=torch.Generator().manual_seed(0)) * 2 - 1
    assert likeness(one.expand(20, -1, -1, -1)) == pytest.approx(1, abs=1e-5)
    assert likeness(torch.rand(20, 1, 32, 32, generator=torch.Generator().manual_seed(1)) * 2 - 1) < 0.3


def test_scores_do_not_hang_on_the_order_of_images(monkeypatch):
    """Samples have the classes in turn, files lie class by class, and some scores take a part of them."""
    monkeypatch.setattr("translate.applications.generation.KERNEL_IMAGES", 60)
    monkeypatch.setattr("translate.applications.generation.PATCH_IMAGES", 60)
    pixels, labels = images_and_labels(300)
    images = torch.from_numpy(pixels)[:, None] / 127.5 - 1
    ordered = images[np.argsort(labels, kind="stable")]
    features = [some[:, 0, :, 8] for some in (images, ordered)]
    found = compared(images, features[0], ordered, features[1], seed=0)
    assert abs(found["kernel"]) < 0.05
    assert found["sliced_wasserstein"] < 0.3
    swapped = compared(ordered, features[1], images, features[0], seed=0)
    assert abs(swapped["kernel"]) < 0.05
    other = images * 0.2
    assert compared(other, other[:, 0, :, 8], ordered, features[1], seed=0)["kernel"] > 0.2


def test_a_set_with_test_images_is_whole_whatever_was_held_out(root, tmp_path):
    weights = load_sampler(save_learned(tmp_path / "vae", "vae", hold_out=0.25), device="cpu").config
    assert open_trained_set(weights, root).num_images == 300
    np.savez(tmp_path / "plain.npz", images=np.load(root)["x_train"])
    apart = open_trained_set(weights, tmp_path / "plain.npz")
    assert (apart.num_images, len(apart.part("val"))) == (225, 75)
