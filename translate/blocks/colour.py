"""Grey and colour.

Shapes: N batch, H height, W width.
"""

import torch
from torch import Tensor


def luma(images: Tensor) -> Tensor:
    """Rec. 601, 0.299 R + 0.587 G + 0.114 B, of [N, 3, H, W], any range; grey [N, 1, H, W] as it is. [N, 1, H, W]."""
    if images.shape[1] == 1:
        return images
    red, green, blue = images.split(1, dim=1)
    return 0.299 * red + 0.587 * green + 0.114 * blue


def coloured(grey: Tensor, colours: Tensor) -> Tensor:
    """Colours on a grey image, whose luma stays what it is: all detail of the input is in the output.

    What `colours` have of luma does not matter. Where they would leave the range they are made paler, not cut off.

    Args:
        grey: [N, 1, H, W] in [-1, 1].
        colours: [N, 3, H, W], any range.

    Returns:
        [N, 3, H, W] in [-1, 1].
    """
    colours = colours.to(grey.dtype)  # under autocast the network's are of half precision, and luma would be rounded
    chroma = colours - luma(colours)
    room = torch.where(chroma > 0, 1 - grey, 1 + grey)
    share = (room / chroma.abs().clamp(min=1e-4)).amin(dim=1, keepdim=True).clamp(max=1)
    return grey + share * chroma
