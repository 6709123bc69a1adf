"""Label scores by hand, against NumPy and torchmetrics."""

import numpy as np
import pytest
import torch

from translate.metrics import (
    class_accuracy,
    class_iou,
    confusion_matrix,
    mean_class_accuracy,
    mean_class_iou,
    pixel_accuracy,
)


@pytest.fixture
def maps() -> tuple[torch.Tensor, torch.Tensor]:
    """Predictions that are right about half of the time, [N, H, W], seven classes."""
    generator = torch.Generator().manual_seed(0)
    target = torch.randint(7, (4, 9, 11), generator=generator)
    wrong = torch.randint(7, target.shape, generator=generator)
    return torch.where(torch.rand(target.shape, generator=generator) < 0.5, target, wrong), target


def test_scores_by_hand():
    target = torch.tensor([[0, 0, 0, 0], [1, 1, 2, 2]])
    prediction = torch.tensor([[0, 0, 0, 1], [1, 2, 2, 2]])
    matrix = confusion_matrix(prediction, target, num_classes=3)
    assert matrix.tolist() == [[3, 1, 0], [0, 1, 1], [0, 0, 2]]
    assert pixel_accuracy(matrix).item() == pytest.approx(6 / 8)
    torch.testing.assert_close(class_accuracy(matrix), torch.tensor([3 / 4, 1 / 2, 1]))
    torch.testing.assert_close(class_iou(matrix), torch.tensor([3 / 4, 1 / 3, 2 / 3]))
    assert mean_class_accuracy(matrix).item() == pytest.approx(2.25 / 3)
    assert mean_class_iou(matrix).item() == pytest.approx((3 / 4 + 1 / 3 + 2 / 3) / 3)


def test_absent_classes_do_not_count():
    # Class 1 is predicted and never there: no accuracy, but an IoU of 0. Class 2 occurs nowhere.
    matrix = confusion_matrix(torch.tensor([0, 0, 0, 1]), torch.tensor([0, 0, 0, 0]), num_classes=3)
    assert class_accuracy(matrix).isnan().tolist() == [False, True, True]
    assert class_iou(matrix).isnan().tolist() == [False, False, True]
    assert mean_class_accuracy(matrix).item() == pytest.approx(3 / 4)
    assert mean_class_iou(matrix).item() == pytest.approx(3 / 8)


def test_matrix_against_a_loop(maps):
    expected = np.zeros((7, 7), dtype=np.int64)
    for predicted, true in zip(*(labels.flatten().tolist() for labels in maps), strict=True):
        expected[true, predicted] += 1
    matrix = confusion_matrix(*maps, num_classes=7)
    assert matrix.dtype == torch.int64
    assert matrix.tolist() == expected.tolist()


def test_matrices_add_up_over_batches(maps):
    whole = confusion_matrix(*maps, num_classes=7)
    parts = sum(confusion_matrix(p, t, num_classes=7) for p, t in zip(*maps, strict=True))
    assert torch.equal(parts, whole)
    small = [labels.to(torch.uint8) for labels in maps]
    assert torch.equal(confusion_matrix(*small, num_classes=7), whole)


@pytest.mark.parametrize("ignore_index", [0, 3, 255, -1])
def test_ignored_targets(ignore_index, maps):
    prediction, target = maps
    target = target.clone()
    target[:, :3] = ignore_index
    matrix = confusion_matrix(prediction, target, num_classes=7, ignore_index=ignore_index)
    kept = target != ignore_index
    assert matrix.sum() == kept.sum()
    assert torch.equal(matrix, confusion_matrix(prediction[kept], target[kept], num_classes=7))


def test_against_torchmetrics(maps):
    functional = pytest.importorskip("torchmetrics.functional.classification")
    prediction, target = maps
    kwargs = {"num_classes": 8, "ignore_index": 5}  # class 7 never occurs
    matrix = confusion_matrix(prediction, target, **kwargs)
    assert torch.equal(matrix, functional.multiclass_confusion_matrix(prediction, target, **kwargs))
    accuracy = functional.multiclass_accuracy(prediction, target, average="micro", **kwargs)
    torch.testing.assert_close(pixel_accuracy(matrix), accuracy)
    recall = functional.multiclass_recall(prediction, target, average="none", **kwargs)
    torch.testing.assert_close(class_accuracy(matrix).nan_to_num(0), recall)

    # torchmetrics leaves the ignored class out of the mean even where it was predicted: compare without one.
    matrix = confusion_matrix(prediction, target, num_classes=8)
    jaccard = functional.multiclass_jaccard_index(prediction, target, num_classes=8, average="none")
    torch.testing.assert_close(class_iou(matrix).nan_to_num(0), jaccard)
    jaccard = functional.multiclass_jaccard_index(prediction, target, num_classes=8, average="macro")
    torch.testing.assert_close(mean_class_iou(matrix), jaccard)


def test_refuses_bad_labels():
    labels = torch.tensor([0, 1, 2])
    with pytest.raises(ValueError, match=r"target has labels from 0 to 255, expected 0 to 2; see ignore_index"):
        confusion_matrix(labels, torch.tensor([0, 1, 255]), num_classes=3)
    with pytest.raises(ValueError, match="prediction has labels from -1 to 2"):
        confusion_matrix(torch.tensor([-1, 1, 2]), labels, num_classes=3)
    with pytest.raises(ValueError, match=r"integer labels, got torch.float32; take the argmax"):
        confusion_matrix(labels.float(), labels, num_classes=3)
    with pytest.raises(ValueError, match="same shape"):
        confusion_matrix(labels[:2], labels, num_classes=3)
    with pytest.raises(ValueError, match="at least 1"):
        confusion_matrix(labels, labels, num_classes=0)


def test_nothing_counted_is_nan():
    ignored = torch.full((2, 2), 255)
    matrix = confusion_matrix(torch.zeros_like(ignored), ignored, num_classes=2, ignore_index=255)
    assert matrix.sum() == 0
    assert pixel_accuracy(matrix).isnan()
    assert mean_class_iou(matrix).isnan()
