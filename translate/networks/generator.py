"""What every generator provides, so that images of any size can be put through it."""

from __future__ import annotations

import torch
from torch import Tensor, nn

LIMIT = 0.99  # of values that are changed: beyond it the inverse of tanh is too steep


class Generator(nn.Module):
    """Images in, images (or logits) of the same size out; the translator pads to what it needs and crops back.

    Attributes:
        stride: H and W must be multiples of it.
        minimum_size: The least H and W.
    """

    stride: int
    minimum_size: int

    @property
    def named_codes(self) -> Tensor | None:
        """Of a network with named styles, the code that it takes for each of them: [K, D]."""
        return None


def present(images: Tensor) -> tuple[Tensor, Tensor]:
    """Of images whose last channel says how much of a pixel is there, in [-1, 1]: the images with 0 where nothing is,
    and that share in [0, 1], [N, 1, H, W]. So what a transparent pixel's colour is does not matter."""
    share = (images[:, -1:] + 1) / 2
    return torch.cat([images[:, :-1] * share, images[:, -1:]], dim=1), share


def filled(images: Tensor, share: Tensor, made: Tensor) -> Tensor:
    """The images of `present` where they are there, and what was made elsewhere: [N, C - 1, H, W]."""
    return images[:, :-1] + (1 - share) * made


def changed(images: Tensor, change: Tensor) -> Tensor:
    """What a generator makes that learns a change of its input: ``tanh(atanh(0.99 x) + change)``, in [-1, 1].

    A network whose last convolution starts near 0 starts as the identity and has only the difference to learn.
    """
    return torch.tanh(torch.atanh(images.clamp(-1, 1) * LIMIT) + change)
