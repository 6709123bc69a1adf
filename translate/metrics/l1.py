"""Mean absolute error of images."""

from torch import Tensor

from translate.metrics.images import checked_pair


def l1(prediction: Tensor, target: Tensor, *, data_range: float = 1.0) -> Tensor:
    """Mean absolute error of each image, as a share of the data range: 0 for equal images, 1 for black against white.

    Args:
        prediction: images [N, C, H, W] with values in [0, data_range].
        target: images of the same shape and range.
        data_range: the value of white.

    Returns:
        One value for each image, [N].

    Raises:
        ValueError: shapes or values are not as described.
    """
    prediction, target = checked_pair(prediction, target, data_range=data_range)
    return (prediction - target).abs().mean(dim=(1, 2, 3))
