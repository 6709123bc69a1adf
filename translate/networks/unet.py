"""U-Net generator of pix2pix (Isola et al., 2017).

Level i halves the size and widens to ``width * min(2 ** i, 8)``; the decoder mirrors it, with a skip at every level.
Outermost and innermost levels have no normalisation, so the innermost may be a single pixel. Dropout in the levels
of 8-fold width next to the innermost is the paper's noise. Shapes: N batch, C channels, H height, W width.
"""

from __future__ import annotations

from torch import Tensor, nn

from translate.blocks.norm import LOCAL, norm_layer
from translate.blocks.resample import reach
from translate.blocks.rows import Rows, joined
from translate.blocks.unet import UNetDown, UNetUp
from translate.config.networks import UNetConfig
from translate.networks.generator import Generator
from translate.networks.output import OutputHead


class UNetGenerator(Generator):
    """Images in, images (or logits) of the same size out.

    Args:
        config: What it is made of.
    """

    def __init__(self, config: UNetConfig) -> None:
        super().__init__()
        self.config = config
        self.stride = 2**config.depth
        norm = norm_layer(config.norm)
        # Level depth - 2 works on 2x2 values at the least, enough for instance norm.
        self.minimum_size = self.stride
        if config.norm in LOCAL:
            self.reach = reach(0, levels=config.depth, inside=0, filtered=config.downsampling != "strided")
        widths = [config.width * min(2**level, 8) for level in range(config.depth)]
        innermost = config.depth - 1
        noisy = range(max(1, min(4, innermost - 1)), innermost)  # the paper's levels 4 to 6 of 8

        self.down = nn.ModuleList(
            UNetDown(
                config.in_channels if level == 0 else widths[level - 1],
                widths[level],
                norm_layer=None if level in (0, innermost) else norm,
                activate=level > 0,
                downsampling=config.downsampling,
                padding=config.padding,
            )
            for level in range(config.depth)
        )
        self.up = nn.ModuleList(
            UNetUp(
                widths[level] if level == innermost else 2 * widths[level],
                config.out_channels if level == 0 else widths[level - 1],
                norm_layer=None if level == 0 else norm,
                upsampling=config.upsampling,
                dropout=config.dropout if level in noisy else 0.0,
                padding=config.padding,
            )
            for level in reversed(range(config.depth))
        )
        self.output = OutputHead(config.output)

    def forward(self, images: Tensor) -> Tensor:
        """Args: images: [N, C_in, H, W] in [-1, 1]. Returns: [N, C_out, H, W], in [-1, 1] but for logits."""
        skips: list[Tensor | None] = []
        x = self.output.seen(images)
        for down in self.down:
            x = down(x)
            skips.append(x)
        skips[-1] = None  # the innermost level is the decoder's input, not a skip
        for up, skip in zip(self.up, reversed(skips), strict=True):
            x = up(x, skip)
        return self.output(images, x)

    def in_rows(self, images: Rows, codes: Tensor | None = None) -> Rows:
        skips: list[Rows | None] = []
        x = images.then(self.output.seen)
        for level, down in enumerate(self.down):
            assert isinstance(down, UNetDown)
            x = down.in_rows(x, stored=level > 0)  # the outermost level is cheap to compute again, and large
            skips.append(x)
        skips[-1] = None
        for up in self.up:
            assert isinstance(up, UNetUp)
            x = up.in_rows(x, skips.pop())
        return joined(self.output, images, x)
