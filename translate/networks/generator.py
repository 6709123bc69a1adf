"""What every generator provides, so that images of any size can be put through it."""

from __future__ import annotations

from torch import Tensor, nn


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
