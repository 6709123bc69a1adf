"""What latents tell of classes, where that can be measured, and how they lie."""

import warnings

import numpy as np
import pytest

from translate.applications.embed import flattened, probe, probes, tellable
from translate.config.base import ConfigError

NAMES = ("good", "crack", "hole")


def labels(*given: int) -> np.ndarray:
    return np.array(given)


@pytest.mark.parametrize(
    ("train", "test", "rows", "lines"),
    [
        (labels(0, 1, 0, 1, 0, 1), labels(1, 0), [0, 1], []),
        (
            labels(0, 0, 0),
            labels(0, 1),
            [],
            [
                "linear-probe and k-NN accuracy are not measured: all 3 training images are of the class 'good', "
                "and two are needed"
            ],
        ),
        (
            labels(2),
            labels(0, 1),
            [],
            [
                "linear-probe and k-NN accuracy are not measured: the one training image is of the class 'hole', "
                "and two are needed"
            ],
        ),
        (
            labels(0, 1, 0, 1, 0),
            labels(2, 1, 2, 0),
            [1, 3],
            ["linear-probe and k-NN accuracy exclude 2 of 4 test images: no training image is of hole"],
        ),
        (
            labels(0, 1, 0, 1, 0),
            labels(2, 2),
            [],
            ["linear-probe and k-NN accuracy exclude 2 of 2 test images: no training image is of hole"],
        ),
        (labels(0, 1, 0, 1), labels(0), [0], ["5-NN is not measured: there are 4 training images"]),
    ],
)
def test_what_can_be_measured(train, test, rows, lines):
    found = tellable(train, test, NAMES)
    assert found.rows.tolist() == rows
    assert found.lines == lines


def test_probes_of_few_training_images():
    pytest.importorskip("sklearn")
    rng = np.random.default_rng(0)
    train, test = rng.normal(size=(4, 3)), rng.normal(size=(2, 3))
    train[1::2] += 20
    test[1] += 20
    found = probe("latents", train, labels(0, 1, 0, 1), test, labels(0, 1))
    assert (found.neighbours, found.neighbours_interval) == (None, None)
    assert found.linear == 1.0
    enough = probe("latents", np.tile(train, (2, 1)), np.tile(labels(0, 1, 0, 1), 2), test, labels(0, 1))
    assert enough.neighbours == 1.0
    rows = probes((train, test), (train[:, None], test[:, None]), (labels(0, 1, 0, 1), labels(0, 1)))
    assert [row.num_values for row in rows] == [3, 3, 3]


@pytest.mark.parametrize("size", [1, 2, 5])
def test_maps(size):
    pytest.importorskip("sklearn")
    latents = np.random.default_rng(0).normal(size=(12, size)).astype(np.float32)
    for points in flattened(latents).values():
        assert points.shape == (12, 2)
        assert points.min() >= 0
        assert points.max() <= 1
    with pytest.raises(ConfigError, match="a map needs at least 4 images, and hundreds to show clusters: 3 were given"):
        flattened(latents[:3])


def test_equal_latents_are_one_point():
    pytest.importorskip("sklearn")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for points in flattened(np.ones((5, 3), np.float32)).values():
            assert np.array_equal(points, np.full((5, 2), 0.5))
