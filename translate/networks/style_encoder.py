"""Which style an image has: a small encoder to a code, like BicycleGAN's (Zhu et al., 2017, "Toward multimodal
image-to-image translation").

No norm: it would take away the colours and contrasts that make a style. Convolutions of equalised learning rate, halved
with a filter, a mean over all places, and a linear layer.

Shapes: N batch, C channels, H height, W width, D code.
"""

from __future__ import annotations

from torch import Tensor, nn

from translate.blocks.style import EqualConv, EqualLinear

WIDTH, HALVINGS = 32, 4
LEAST = 2**HALVINGS  # of H and W
RATE = 10.0  # translators learn at a tenth of StyleGAN's rate, for which such layers are made
SPREAD = 0.1  # of the last layer: codes start near those of the prior's middle, and small


class StyleEncoder(nn.Module):
    """Images to the mean and the logarithm of the variance of their codes.

    Args:
        channels: C.
        style: D.
    """

    def __init__(self, channels: int, *, style: int) -> None:
        super().__init__()
        widths = [min(8, 2**number) * WIDTH for number in range(HALVINGS + 1)]
        self.stem = EqualConv(channels, widths[0], rate=RATE)
        self.down = nn.Sequential(*[EqualConv(widths[n], widths[n + 1], down=True, rate=RATE) for n in range(HALVINGS)])
        self.head = EqualLinear(widths[-1], 2 * style, rate=RATE)
        self.head.weight.data *= SPREAD

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """[N, C, H, W] in [-1, 1], 16 px at least -> two of [N, D], float32."""
        x = self.down(self.stem(images)).float().mean(dim=(2, 3))
        mean, log_variance = self.head(x).float().chunk(2, dim=1)
        return mean, log_variance
