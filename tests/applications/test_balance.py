"""Small classes are filled with what is named right and is no copy; the gain is measured and said as it is."""

import io
import json

import numpy as np
import pytest
import torch
from learned import SIZE, save_sampler
from rich.console import Console
from torch import nn

from translate.applications.balance import Arm, Filled, check_classes, class_mean_accuracy, compared, fill, measure
from translate.applications.classifier import Length
from translate.cli.main import main
from translate.config import ConfigError, ImageSetConfig
from translate.data.image_set import ImageSet
from translate.inference import load_sampler

CPU = torch.device("cpu")


def stripes(count, label, seed=0):
    """Bright above (0) or below (1): uint8 [count, 1, SIZE, SIZE]."""
    rng = np.random.default_rng(seed + 10 * label)
    images = rng.integers(0, 60, (count, 1, SIZE, SIZE))
    for image in images:
        top = 8 * label + rng.integers(0, 4)
        image[:, top : top + 4] += 180
    return torch.from_numpy(images.astype(np.uint8))


class Painter(nn.Module):
    """In place of a trained generator: stripes of the class; of every third latent another class, or a copy."""

    def __init__(self, config, copied):
        super().__init__()
        self.config, self.copied = config, copied

    def forward(self, latents, labels):
        made = []
        for number, (latent, label) in enumerate(zip(latents, labels.tolist(), strict=True)):
            drawn = label if number % 3 else 1 - label
            image = stripes(1, drawn, seed=int(latent[0].abs() * 1e6))[0]
            made.append(self.copied if number % 3 == 1 else image)
        return torch.stack(made).float() / 127.5 - 1


class Discriminator:
    """Names the brighter half."""

    def logits(self, images):
        halves = images.mean(dim=1).unflatten(1, (2, SIZE // 2)).mean(dim=(2, 3))
        return 10 * halves


@pytest.fixture
def model(tmp_path):
    return load_sampler(save_sampler(tmp_path / "w", "conditional"), device="cpu")


def test_fill_leaves_out_the_misnamed_and_copies(model):
    images, labels = torch.cat([stripes(30, 0), stripes(6, 1)]), torch.tensor([0] * 30 + [1] * 6)
    model.network = Painter(model.network.config, images[31])
    judge = Discriminator()
    filled = fill(images, labels, ("0", "1"), model, judge, seed=1)
    first, second = filled.classes
    assert (first.real, first.missing, first.made) == (30, 0, 0)
    assert (second.real, second.missing, second.made) == (6, 24, 24)
    assert second.misnamed > 0
    assert second.copies > 0
    assert filled.labels.tolist() == [1] * 24
    own = images[30:].float().flatten(1)
    distances = torch.cdist(filled.images.float().flatten(1), own).min(dim=1).values / SIZE / 127.5
    assert distances.min() > filled.least_distance
    assert (judge.logits(filled.images / 127.5 - 1).argmax(dim=1) == 1).all()
    assert torch.equal(filled.images, fill(images, labels, ("0", "1"), model, judge, seed=1).images)


def test_what_cannot_be_filled_is_counted(model):
    images, labels = torch.cat([stripes(30, 0), stripes(6, 1)]), torch.tensor([0] * 30 + [1] * 6)
    model.network = Painter(model.network.config, images[31])

    class Stubborn(Discriminator):
        def logits(self, images):
            return torch.tensor([1.0, 0.0]).expand(len(images), 2)

    (row,) = [row for row in fill(images, labels, ("0", "1"), model, Stubborn()).classes if row.missing]
    assert row.made == 0
    assert row.misnamed == 24 * 20


def test_gains_are_paired_differences():
    arms = [
        Arm(name="without", with_samples=False, accuracies=(0.80, 0.82, 0.81)),
        Arm(name="repeated", with_samples=False, accuracies=(0.90, 0.91, 0.92)),
        Arm(name="with", with_samples=True, accuracies=(0.90, 0.92, 0.91)),
    ]
    found = compared(arms, images_seen=1)
    first, second = found.gains
    assert (first.name, first.beside, second.beside) == ("with", "without", "repeated")
    assert (first.mean, first.low, first.high) == pytest.approx((0.10, 0.10, 0.10), abs=1e-9)
    reach = 4.303 * np.std([0.0, 0.01, -0.01], ddof=1) / 3**0.5
    assert (second.mean, second.low, second.high) == pytest.approx((0.0, -reach, reach), abs=1e-9)
    assert found.verdict.startswith("no significant gain of 'with' over 'repeated'")  # the best of the others
    worse = Arm(name="worse", with_samples=True, accuracies=(0.70, 0.71, 0.72))
    assert compared([*arms[:2], worse], images_seen=1).verdict.startswith("loss of 'worse' over 'repeated'")
    better = Arm(name="better", with_samples=True, accuracies=(0.95, 0.961, 0.97))
    assert compared([*arms[:2], worse, better], images_seen=1).verdict.startswith("gain of 'better' over 'repeated'")


def test_measure_trains_all_ways(tmp_path):
    images, labels = torch.cat([stripes(60, 0), stripes(8, 1)]), torch.tensor([0] * 60 + [1] * 8)
    filled = Filled(
        images=stripes(52, 1, seed=5), labels=torch.ones(52, dtype=torch.int64), classes=(), least_distance=0.0
    )
    test = torch.cat([stripes(20, 0, seed=7), stripes(20, 1, seed=7)]) / 127.5 - 1, torch.tensor([0] * 20 + [1] * 20)
    seen = []
    found = measure(
        images,
        labels,
        filled,
        test,
        tmp_path / "runs",
        seeds=2,
        images_seen=700,
        console=Console(file=io.StringIO()),
        on_run=lambda name, seed: seen.append((name, seed)),
    )
    assert [arm.name for arm in found.arms] == [
        "unbalanced", "oversampled", "oversampled and augmented", "filled with samples",
        "filled with samples and augmented",
    ]  # fmt: skip
    assert [arm.with_samples for arm in found.arms] == [False, False, False, True, True]
    assert len(seen) == 10
    assert found.arms[-2].mean > 0.8  # half by chance
    assert len(found.gains) == 6
    assert not (tmp_path / "runs").exists()


def test_class_mean_accuracy():
    called, labels = torch.tensor([0, 0, 0, 1, 1]), torch.tensor([0, 0, 0, 0, 2])
    assert class_mean_accuracy(called, labels) == pytest.approx(0.375)


def test_the_command(tmp_path, monkeypatch, capsys):
    images = torch.cat([stripes(120, 0), stripes(20, 1)])
    labels = np.array([0] * 120 + [1] * 20)
    test = torch.cat([stripes(10, 0, seed=3), stripes(10, 1, seed=3)])
    np.savez(
        tmp_path / "set.npz",
        x_train=images[:, 0].numpy(), y_train=labels, x_test=test[:, 0].numpy(), y_test=[0] * 10 + [1] * 10,
    )  # fmt: skip
    weights = save_sampler(tmp_path / "w", "conditional")
    model = load_sampler(weights, device="cpu")
    model.network = Painter(model.network.config, images[0])
    monkeypatch.setattr("translate.inference.library.load", lambda *_, **__: model)
    monkeypatch.setattr("translate.applications.classifier.IMAGES", Length(epochs=1, fewest=1500, most=300_000))
    options = ["-o", str(tmp_path / "out"), "--seeds", "2", "--images", "300", "--device", "cpu"]
    assert main(["balance", str(tmp_path / "set.npz"), str(weights), *options]) == 0
    said = capsys.readouterr().out
    assert "misclassified" in said
    names = sorted(path.name for path in (tmp_path / "out" / "train" / "1").iterdir())
    assert [name for name in names if name.startswith("real")] == [f"real-{n:06d}.png" for n in range(20)]
    values = json.loads((tmp_path / "out" / "balance.json").read_text())
    made = values["classes"][1]["made"]
    assert len(names) == 20 + made > 100
    assert values["measured"]["verdict"][1:] in " ".join(said.split())
    # Again, in its place; but never into the images themselves, or over others' files.
    assert main(["balance", str(tmp_path / "set.npz"), str(weights), *options, "--no-measure"]) == 0
    assert len(list((tmp_path / "out" / "train" / "1").iterdir())) == len(names)
    (tmp_path / "other" / "train").mkdir(parents=True)
    for out, reason in ((tmp_path, "overlap: choose another folder"), (tmp_path / "other", "did not write")):
        assert main(["balance", str(tmp_path / "set.npz"), str(weights), "-o", str(out)]) == 2
        assert reason in capsys.readouterr().err
    # What was written is a set again.
    again = ImageSet(ImageSetConfig(root=tmp_path / "out"))
    assert (again.class_names, again.num_images) == (("0", "1"), 140 + made)


def test_models_without_the_classes_are_refused(tmp_path, model, capsys):
    images = stripes(30, 0)[:, 0].numpy()
    np.savez(tmp_path / "three.npz", images=images, labels=np.arange(30) % 3)
    with pytest.raises(ConfigError, match="not trained on class '2', only on "):
        check_classes(ImageSet(ImageSetConfig(root=tmp_path / "three.npz")), model)
    np.savez(tmp_path / "plain.npz", images=images)
    colour = np.repeat(images[..., None], 3, axis=3)
    np.savez(tmp_path / "colour.npz", images=colour, labels=np.arange(30) % 2)
    with pytest.raises(ConfigError, match="channels"):
        check_classes(ImageSet(ImageSetConfig(root=tmp_path / "colour.npz")), model)
    np.savez(tmp_path / "one.npz", images=images, labels=np.zeros(30, np.int64))
    with pytest.raises(ConfigError, match="one class"):
        check_classes(ImageSet(ImageSetConfig(root=tmp_path / "one.npz")), model)
    with pytest.raises(ConfigError, match="has no labels"):
        check_classes(ImageSet(ImageSetConfig(root=tmp_path / "plain.npz")), model)
    plain = save_sampler(tmp_path / "plain", "gan")
    options = ["-o", str(tmp_path / "out")]
    assert main(["balance", str(tmp_path / "three.npz"), str(plain), *options]) == 2
    assert "trained without classes" in capsys.readouterr().err
    assert main(["balance", str(tmp_path / "three.npz"), "facades", *options]) == 2
    assert "is not a GAN: give one trained with --conditional" in capsys.readouterr().err
