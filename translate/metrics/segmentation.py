"""Scores of label maps from one confusion matrix: those of the FCN and, with it, of the pix2pix paper.

Source: Long, Shelhamer and Darrell 2015, "Fully convolutional networks for semantic segmentation", section 5. With n_ij
the pixels of class i predicted as j:

    pixel accuracy         sum_i n_ii / sum_ij n_ij
    mean class accuracy    mean_i n_ii / sum_j n_ij
    mean class IoU         mean_i n_ii / (sum_j n_ij + sum_j n_ji - n_ii)

Classes that do not occur are left out of the means, as in the FCN authors' code; pix2pix's code counts them as 0.

Matrices are summed over a whole test set before a score is taken: a score of a class is not a mean over images.
"""

import torch
from torch import Tensor


def confusion_matrix(
    prediction: Tensor, target: Tensor, *, num_classes: int, ignore_index: int | None = None
) -> Tensor:
    """Count the pixels of each class by what they were predicted as.

    Args:
        prediction: integer label maps of any shape, values in [0, num_classes).
        target: integer label maps of the same shape.
        num_classes: K.
        ignore_index: pixels with this target are not counted, whatever their prediction.

    Returns:
        [K, K] int64 on the device of the maps, rows target, columns prediction. Add them up over batches.

    Raises:
        ValueError: the shapes differ, the maps are not integer, or a counted label is outside [0, num_classes).

    Example:
        >>> confusion_matrix(torch.tensor([0, 1, 1]), torch.tensor([0, 0, 1]), num_classes=2)
        tensor([[1, 1],
                [0, 1]])
    """
    if num_classes < 1:
        raise ValueError(f"num_classes must be at least 1, got {num_classes}")
    if prediction.shape != target.shape:
        raise ValueError(
            f"prediction {tuple(prediction.shape)} and target {tuple(target.shape)} must have the same shape"
        )
    for name, labels in (("prediction", prediction), ("target", target)):
        if labels.is_floating_point() or labels.is_complex():
            raise ValueError(f"{name} must hold integer labels, got {labels.dtype}; take the argmax over classes first")
    prediction, target = prediction.flatten().long(), target.flatten().long()
    if ignore_index is not None:
        counted = target != ignore_index
        prediction, target = prediction[counted], target[counted]
    for name, labels in (("prediction", prediction), ("target", target)):
        if labels.numel() and (labels.min() < 0 or labels.max() >= num_classes):
            low, high = labels.min().item(), labels.max().item()
            raise ValueError(
                f"{name} has labels from {low} to {high}, expected 0 to {num_classes - 1}; see ignore_index"
            )
    counts = torch.bincount(target * num_classes + prediction, minlength=num_classes**2)
    return counts.view(num_classes, num_classes)


def pixel_accuracy(matrix: Tensor) -> Tensor:
    """Share of pixels with the right label, a scalar in [0, 1] (NaN for an empty [K, K] matrix)."""
    return matrix.diagonal().sum() / matrix.sum()


def class_accuracy(matrix: Tensor) -> Tensor:
    """Share of each class's pixels that were found, [K] in [0, 1]; NaN for a class without target pixels."""
    return matrix.diagonal() / matrix.sum(dim=1)


def class_iou(matrix: Tensor) -> Tensor:
    """Intersection over union of each class, [K] in [0, 1]; NaN for a class in neither target nor prediction."""
    intersection = matrix.diagonal()
    return intersection / (matrix.sum(dim=1) + matrix.sum(dim=0) - intersection)


def mean_class_accuracy(matrix: Tensor) -> Tensor:
    """Mean of `class_accuracy` over the classes that have target pixels, a scalar."""
    return class_accuracy(matrix).nanmean()


def mean_class_iou(matrix: Tensor) -> Tensor:
    """Mean of `class_iou` over the classes that occur in target or prediction, a scalar."""
    return class_iou(matrix).nanmean()
