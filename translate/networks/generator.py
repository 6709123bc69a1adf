"""What every generator provides, so that images of any size can be put through it."""

from __future__ import annotations

from torch import Tensor, nn

from translate.blocks.rows import Rows


class Generator(nn.Module):
    """Images in, images (or logits) of the same size out; the translator pads to what it needs and crops back.

    Attributes:
        stride: H and W must be multiples of it.
        minimum_size: The least H and W.
        reach: How far from a pixel of the output, in pixels, those of the input are that it depends on; None where it
            depends on all of them, by statistics of the image.
    """

    stride: int
    minimum_size: int
    reach: int | None = None

    def in_rows(self, images: Rows, codes: Tensor | None = None) -> Rows:
        """The output of one image [1, C_in, H, W] in strips of rows: what calling the network returns, in less memory.

        Maps on the way are computed now, as far as they are stored or normalised.

        Args:
            images: H and W multiples of `stride`.
            codes: As of the network.
        """
        raise NotImplementedError

    @property
    def step(self) -> int:
        """Of what parts of an image begin at multiples, in pixels."""
        return self.stride

    @property
    def named_codes(self) -> Tensor | None:
        """Of a network with named styles, the code that it takes for each of them: [K, D]."""
        return None
