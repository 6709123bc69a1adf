"""How much of an image's luminance structure a translation keeps."""

from torch import Tensor

from translate.blocks.colour import luma
from translate.metrics.ssim import ssim


def luminance(images: Tensor) -> Tensor:
    """Rec. 601 luma, 0.299 R + 0.587 G + 0.114 B, of [N, 3, H, W]; grey [N, 1, H, W] as it is.

    Raises:
        ValueError: another number of channels.
    """
    if images.dim() != 4 or images.shape[1] not in (1, 3):
        raise ValueError(f"expected grey or RGB images [N, 1 or 3, H, W], got shape {tuple(images.shape)}")
    return luma(images)


def luminance_ssim(output: Tensor, source: Tensor, *, data_range: float = 1.0) -> Tensor:
    """SSIM between the luminance of translations and that of what they were made from; as `ssim`, but colours may go.

    Args:
        output: images [N, 1 or 3, H, W] with values in [0, data_range], at least 11 pixels high and wide.
        source: images of the same height and width; the channels may be others.
        data_range: the value of white.

    Returns:
        One value for each image, [N], in [-1, 1]; 1 where nothing but colour changed.

    Raises:
        ValueError: shapes or values are not as described.
    """
    return ssim(luminance(output), luminance(source), data_range=data_range)
