"""What the image metrics ask of their input."""

import torch
from torch import Tensor


def checked_pair(prediction: Tensor, target: Tensor, *, data_range: float) -> tuple[Tensor, Tensor]:
    """Two batches of images in [0, 1], float32 (float64 stays), after a check of their shapes and values.

    A metric of images in another range than the one assumed is a plausible number and wrong, so the values are looked
    at. That is a copy to the host, which an evaluation can afford.

    Args:
        prediction: images [N, C, H, W] with values in [0, data_range].
        target: images of the same shape and range.
        data_range: the value of white; black is 0.

    Raises:
        ValueError: the shapes differ or are not [N, C, H, W], or values are not finite or outside [0, data_range].
    """
    if prediction.shape != target.shape:
        raise ValueError(
            f"prediction {tuple(prediction.shape)} and target {tuple(target.shape)} must have the same shape"
        )
    if prediction.dim() != 4 or prediction.numel() == 0:
        raise ValueError(f"expected a batch of images [N, C, H, W], got shape {tuple(prediction.shape)}")
    if data_range <= 0:
        raise ValueError(f"data_range must be positive, got {data_range}")
    dtype = torch.float64 if torch.float64 in (prediction.dtype, target.dtype) else torch.float32
    scaled = [images.to(dtype) / data_range for images in (prediction, target)]
    for name, images in zip(("prediction", "target"), scaled, strict=True):
        low, high = torch.stack(images.aminmax()).tolist()
        if not (low >= -1e-3 and high <= 1 + 1e-3):  # rounding may overshoot a little; NaN fails too
            raise ValueError(
                f"{name} has values from {low * data_range:.4g} to {high * data_range:.4g}, "
                f"expected [0, {data_range:g}]; map images in [-1, 1] by (x + 1) / 2, clamp, or pass their data_range"
            )
    return scaled[0], scaled[1]
