"""Peak signal-to-noise ratio of images."""

import torch
from torch import Tensor

from translate.metrics.images import checked_pair


def psnr(prediction: Tensor, target: Tensor, *, data_range: float = 1.0) -> Tensor:
    """Peak signal-to-noise ratio of each image in dB, 10 log10(255^2 / MSE), of the images rounded to 8 bits.

    Rounded, because the images that people get are: the value equals the one computed from the saved files. It is
    infinite for images that are equal after rounding, and so is any mean over them.

    Args:
        prediction: images [N, C, H, W] with values in [0, data_range].
        target: images of the same shape and range.
        data_range: the value of white.

    Returns:
        One value for each image, [N], over all its channels and pixels.

    Raises:
        ValueError: shapes or values are not as described.
    """
    prediction, target = checked_pair(prediction, target, data_range=data_range)
    levels = [(images * 255).round().clamp(0, 255) for images in (prediction, target)]
    mean_squared_error = (levels[0] - levels[1]).square().mean(dim=(1, 2, 3))
    return 10 * torch.log10(255**2 / mean_squared_error)
