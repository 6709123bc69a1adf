"""The label score, on cases whose answer is known."""

import pytest
import torch

from translate.applications.label_score import LabelScorer, nearest_by_labels, summarise
from translate.checkpoint.files import WeightsError
from translate.config import UNetConfig, WeightsConfig
from translate.networks import Generator
from translate.recipes.segmentation import nearest_class, to_palette

PALETTE = [(0, 0, 0), (255, 0, 0), (0, 0, 255)]
CONFIG = WeightsConfig(
    kind="segmenter",
    name="oracle",
    network=UNetConfig(width=4, depth=3, out_channels=3, output="logits"),
    classes=("black", "red", "blue"),
)


class Oracle(Generator):
    """Sees the class of a pixel in its colour, as photos of these tests show their label map itself."""

    stride = minimum_size = 1

    def forward(self, images):
        distance = (images[:, None] - to_palette(tuple(PALETTE)).view(1, 3, 3, 1, 1)).square().sum(dim=2)
        return -distance


def label_maps(classes):
    return to_palette(tuple(PALETTE))[classes].permute(0, 3, 1, 2)


@pytest.fixture
def classes():
    return torch.randint(0, 3, (4, 8, 8), generator=torch.Generator().manual_seed(0))


def test_photos_that_show_their_labels_score_one(classes):
    scorer = LabelScorer(Oracle(), CONFIG, palette=PALETTE)
    maps = label_maps(classes)
    score = scorer.score(maps, maps)
    assert score.pixel_accuracy == score.class_accuracy == score.class_iou == 1.0
    assert score.intervals["class_iou"] == (1.0, 1.0)


def test_half_wrong_scores_what_hand_counting_says():
    wanted = torch.zeros(2, 4, 4, dtype=torch.int64)
    wanted[:, :, 2:] = 1
    shown = wanted.clone()
    shown[0] = 0  # the first photo shows no red at all
    scorer = LabelScorer(Oracle(), CONFIG, palette=PALETTE)
    score = scorer.score(label_maps(shown), label_maps(wanted))
    assert score.pixel_accuracy == pytest.approx(24 / 32)
    assert score.class_iou == pytest.approx((16 / 24 + 8 / 16) / 2)
    low, high = score.intervals["pixel_accuracy"]
    assert (low, high) == (0.5, 1.0)


def test_colours_off_the_palette_snap_to_the_nearest():
    noisy = to_palette(((30, 10, 5), (200, 40, 30), (20, 30, 220)))
    images = noisy.t().reshape(1, 3, 1, 3)
    assert nearest_class(images, to_palette(tuple(PALETTE))).flatten().tolist() == [0, 1, 2]


def test_nearest_neighbour_finds_itself_and_the_closest(classes):
    assert nearest_by_labels(classes, classes).tolist() == [0, 1, 2, 3]
    almost = classes[2:3].clone()
    almost[0, 0] = (almost[0, 0] + 1) % 3
    assert nearest_by_labels(almost, classes).tolist() == [2]


def test_wrong_weights_are_refused():
    from dataclasses import replace

    with pytest.raises(WeightsError, match="needs a segmenter"):
        LabelScorer(Oracle(), replace(CONFIG, kind="translator"), palette=PALETTE)
    with pytest.raises(WeightsError, match="3 classes"):
        LabelScorer(Oracle(), CONFIG, palette=PALETTE[:2])


def test_the_interval_is_seeded():
    matrices = torch.randint(1, 50, (12, 3, 3), generator=torch.Generator().manual_seed(3))
    assert summarise(matrices, seed=1) == summarise(matrices, seed=1)
    assert summarise(matrices, seed=1).intervals != summarise(matrices, seed=2).intervals
