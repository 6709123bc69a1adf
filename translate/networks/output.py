"""From the last layer of a generator to its output: an image, or what is made of its input and the last layer.

Shapes: N batch, C channels, H height, W width.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from translate.blocks.colour import coloured
from translate.config.networks import Output

LIMIT = 0.99  # of the input of a residual network: beyond it the inverse of tanh is too steep


class OutputHead(nn.Module):
    """The last step of a generator; it has no parameters.

    Args:
        kind: ``image``, tanh of the last layer; ``logits``, the last layer itself; ``residual``, the last layer added
            to the input; ``inpainting``, the input where its mask says that it is known, and tanh of the last layer
            elsewhere; ``colourisation``, the last layer as the colours of a grey input.
    """

    def __init__(self, kind: Output) -> None:
        super().__init__()
        self.kind = kind

    def seen(self, images: Tensor) -> Tensor:
        """What the first layer is given of the input [N, C, H, W]: what lies in holes does not matter."""
        return _known(images)[0] if self.kind == "inpainting" else images

    def forward(self, images: Tensor, last: Tensor) -> Tensor:
        """The output [N, C, H, W] of the input and of the last layer, in [-1, 1] but for ``logits``."""
        match self.kind:
            case "logits":
                return last
            case "residual":
                # Starts as the identity where the last convolution starts near 0: only the difference is learned.
                return torch.tanh(torch.atanh(images.clamp(-1, 1) * LIMIT) + last)
            case "inpainting":
                known, share = _known(images)
                return known[:, :-1] + (1 - share) * torch.tanh(last)
            case "colourisation":
                return coloured(images, last)
        return torch.tanh(last)

    def extra_repr(self) -> str:
        """The kind, where the network is printed."""
        return repr(self.kind)


def _known(images: Tensor) -> tuple[Tensor, Tensor]:
    """Of images whose last channel is a mask of known pixels, in [-1, 1]: the images with 0 where nothing is known, and
    how much of each pixel is, in [0, 1], [N, 1, H, W]."""
    share = (images[:, -1:] + 1) / 2
    return torch.cat([images[:, :-1] * share, images[:, -1:]], dim=1), share
