"""A ResNet generator for many styles: conditional instance norm (Dumoulin et al., 2017).

The convolutions are shared. Each norm's scale and shift are linear in a code, and the network holds a code for each
style that it was trained on. Codes may be mixed; a shorter code is less of a style, and zeros are none. Or an encoder
finds the code of any image, as in Ghiasi et al. (2017): there from the last features of a pretrained classifier, here
from the means and deviations, over places, of the features by which styles are compared.

Shapes: N batch, C channels, H height, W width, D code, K styles.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from translate.blocks.conv import ReflectConv2d
from translate.blocks.norm import InstanceNorm2d, block_moments, by_moments, moments
from translate.blocks.resample import UP_REACH, Enlarge
from translate.blocks.rows import Rows, joined
from translate.config.networks import ConditionalResNetConfig
from translate.networks.efficientnet import EfficientNetLite0, wide_channels
from translate.networks.generator import Generator

STYLE_BLOCKS = (-1, 1, 3, 5, 8)
"""Of EfficientNet-Lite0, by whose wide maps styles are told."""
HIDDEN = 128  # of the encoder
PACKED = 4  # by 4 pixels of an image become one of many channels


class ConditionalResNet(Generator):
    """Images in, images of the same size out, both RGB in [-1, 1].

    Args:
        config: What it is made of.
    """

    def __init__(self, config: ConditionalResNetConfig) -> None:
        super().__init__()
        self.config, self.stride, self.minimum_size = config, 4, 8
        (full, half, quarter), code = config.widths, config.code
        self.codes = nn.Parameter(torch.randn(config.num_styles, code))
        self.encoder = CodeEncoder(code) if config.style_size else None
        self.pack = nn.PixelUnshuffle(PACKED) if config.packed else nn.Identity()
        if config.packed:
            self.stem, down = _Layer(3 * PACKED**2, quarter, code=code), []
        else:
            self.stem = _Layer(3, full, code=code, kernel_size=5)
            down = [_Layer(full, half, code=code, stride=2), _Layer(half, quarter, code=code, stride=2)]
        self.down = nn.ModuleList(down)
        self.blocks = nn.ModuleList(_Block(quarter, code=code) for _ in range(config.num_blocks))
        self.up = nn.ModuleList(
            [_Layer(quarter, half, code=code, enlarges=True), _Layer(half, full, code=code, enlarges=True)]
        )
        self.head = ReflectConv2d(full, 3, 3 if config.packed else 5)

    @property
    def named_codes(self) -> Tensor | None:
        return self.codes if len(self.codes) else None

    def encode_style(self, images: Tensor) -> Tensor:
        """The codes of the styles of images, of a network with an encoder: [N, 3, H, W] in [-1, 1] -> [N, D]."""
        assert self.encoder is not None
        return self.encoder(images)

    def forward(self, images: Tensor, codes: Tensor | None = None) -> Tensor:
        """Paint.

        Args:
            images: [N, 3, H, W] in [-1, 1].
            codes: [N, D]; that of the first named style unless given, or else of the style of the images themselves.

        Returns:
            [N, 3, H, W] in [-1, 1].
        """
        if codes is None:
            codes = self.codes[:1].expand(len(images), -1) if len(self.codes) else self.encode_style(images)
        codes = codes.to(self.codes.dtype)
        x = self.stem(self.pack(images), codes)
        for layer in self.down:
            x = layer(x, codes)
        for block in self.blocks:
            x = block(x, codes)
        for layer in self.up:
            x = layer(x, codes)
        return torch.tanh(self.head(x))

    def in_rows(self, images: Rows, codes: Tensor | None = None) -> Rows:
        assert codes is not None or len(self.codes), "the code of an image's own style is found of the whole image"
        codes = (self.codes[:1] if codes is None else codes).to(self.codes.dtype)
        x = self.stem.in_rows(images.then(self.pack, down=PACKED) if self.config.packed else images, codes)
        for layer in self.down:
            assert isinstance(layer, _Layer)
            x = layer.in_rows(x, codes)
        x = x.stored()
        for block in self.blocks:
            assert isinstance(block, _Block)
            x = block.in_rows(x, codes)
        for layer in self.up:
            assert isinstance(layer, _Layer)
            x = layer.in_rows(x, codes)
        return x.then(self.head, reach=self.head.border).then(torch.tanh)


class CodeEncoder(nn.Module):
    """Images in, codes of their styles out.

    The features are EfficientNet-Lite0's and frozen; they are kept with the weights, so that nothing else is needed.

    Args:
        code: D.
    """

    centre: Tensor
    deviation: Tensor

    def __init__(self, code: int) -> None:
        super().__init__()
        self.features = EfficientNetLite0(border="reflect", num_blocks=STYLE_BLOCKS[-1] + 1)
        numbers = 2 * sum(wide_channels(block) for block in STYLE_BLOCKS)
        self.register_buffer("centre", torch.zeros(numbers))
        self.register_buffer("deviation", torch.ones(numbers))
        self.layers = nn.Sequential(nn.Linear(numbers, HIDDEN), nn.LeakyReLU(0.2), nn.Linear(HIDDEN, code))

    def forward(self, images: Tensor) -> Tensor:
        return self.code_of(statistics(self.features.maps(images, wide=STYLE_BLOCKS)))

    def code_of(self, found: Tensor) -> Tensor:
        """The codes [N, D] of what `statistics` found."""
        return self.layers((found - self.centre) / self.deviation)


def statistics(maps: Sequence[Tensor]) -> Tensor:
    """Means and deviations over places: [N, C, H, W] each -> float32 [N, F]."""
    found = []
    for layer in maps:
        if torch.compiler.is_exporting():  # `std_mean` would be divided by the number of places that were traced
            mean = layer.float().mean(dim=(2, 3))
            deviation = (layer - mean[..., None, None]).square().mean(dim=(2, 3)).sqrt()
        else:
            deviation, mean = torch.std_mean(layer.float(), dim=(2, 3), correction=0)
        found += [mean, deviation]
    return torch.cat(found, dim=1)


class _Layer(nn.Module):
    """Convolution, where that is asked for of what is twice as large, conditional instance norm, ReLU."""

    def __init__(
        self,
        in_channels: int,
        channels: int,
        *,
        code: int,
        kernel_size: int = 3,
        stride: int = 1,
        enlarges: bool = False,
        active: bool = True,
    ) -> None:
        super().__init__()
        self.conv = ReflectConv2d(in_channels, channels, kernel_size, stride=stride, bias=False)
        self.norm, self.style = InstanceNorm2d(channels), nn.Linear(code, 2 * channels)
        nn.init.normal_(self.style.weight, std=0.1 / code**0.5)
        nn.init.zeros_(self.style.bias)
        self.enlarge = Enlarge("nearest") if enlarges else None
        self.active = active

    def forward(self, x: Tensor, codes: Tensor) -> Tensor:
        scale, shift = self.style(codes).chunk(2, dim=1)
        if len(x) == 1 and self._is_fast:
            x, border = (self.conv(x), 0) if self.enlarge is None else (_enlarged(x, self.conv.weight), 1)
            x = _normalised(_from_first(x, border=border), 1 + scale[0].float(), shift[0].float(), self.norm.eps)
            return x.relu_() if self.active else x
        x = self.norm(self.conv(x if self.enlarge is None else self.enlarge(x)))
        x = x * (1 + scale[:, :, None, None].to(x.dtype)) + shift[:, :, None, None].to(x.dtype)
        return torch.relu(x) if self.active else x

    def in_rows(self, x: Rows, codes: Tensor, *, into: Rows | None = None) -> Rows:
        """The same of one image in strips; `into` as of `Rows.normalised`."""
        scale, shift = self.style(codes)[0].float().chunk(2)
        if self.enlarge is None:
            x = x.then(self.conv, reach=self.conv.border, down=self.conv.stride[0])
        else:
            x = x.then(self._convolved_large, reach=UP_REACH, up=2)
        if self._is_fast:
            x = x.normalised(self.norm, into=into, weight=1 + scale, bias=shift, as_batch=True)
        else:
            factor, added = (1 + scale)[:, None, None], shift[:, None, None]
            x = x.normalised(self.norm, into=into)
            x = x.then(lambda part: part * factor.to(part.dtype) + added.to(part.dtype))
        return x.then(torch.relu) if self.active else x

    def _convolved_large(self, x: Tensor) -> Tensor:
        assert self.enlarge is not None
        return _enlarged(x, self.conv.weight)[..., 1:-1, 1:-1] if self._is_fast else self.conv(self.enlarge(x))

    @property
    def _is_fast(self) -> bool:
        """Whether there are faster ways for one image: on a CPU, where nothing is learned.

        With channels last and not a multiple of 8 of them, oneDNN rounds otherwise near the border, and flat images
        would not stay flat.
        """
        channels, kind = len(self.conv.weight), self.conv.weight.device.type
        learns_or_leaves = torch.is_grad_enabled() or torch.compiler.is_exporting()
        return channels % 8 == 0 and kind == "cpu" and not learns_or_leaves


def _normalised(x: Tensor, scale: Tensor, shift: Tensor, epsilon: float) -> Tensor:
    """Instance norm of [1, C, H, W], channels last in memory."""
    found = moments(block_moments(x, block=1), groups=x.shape[1])
    return by_moments(x, *found, scale, shift, epsilon=epsilon)


def _from_first(x: Tensor, *, border: int) -> Tensor:
    """Without a border, and the first value of each channel taken from all of it, so that what is flat is exactly so.

    As in `InstanceNorm2d`. [1, C, H, W] -> [1, C, H - 2 border, W - 2 border], channels last in memory: seen as rows of
    pixels times channels, which takes half the time.
    """
    _, channels, height, width = x.shape
    rows = x.permute(0, 2, 3, 1).reshape(height, width * channels)
    inside = rows[border : height - border, border * channels : (width - border) * channels]
    inside = inside - x[0, :, border, border].repeat(width - 2 * border)
    return inside.view(1, height - 2 * border, width - 2 * border, channels).permute(0, 3, 1, 2)


def _enlarged(x: Tensor, weight: Tensor) -> Tensor:
    """A reflected 3x3 convolution of what repeating pixels makes twice as large, with a border that is to be cut off.

    [1, C, H, W] -> [1, D, 2H + 2, 2W + 2].

    The small image is padded in place of the large one, by a pixel that is repeated, too.
    """
    kind = x.device.type
    if torch.is_autocast_enabled(kind):
        x = x.to(torch.get_autocast_dtype(kind))
    with torch.autocast(kind, enabled=False):  # which would enlarge in fp32
        x = F.pad(x.contiguous(memory_format=torch.channels_last), (1, 1, 1, 1), mode="replicate")
        x = F.interpolate(x, scale_factor=2.0, mode="nearest")
    return F.conv2d(x, weight)


class _Block(nn.Module):
    def __init__(self, channels: int, *, code: int) -> None:
        super().__init__()
        self.first = _Layer(channels, channels, code=code)
        self.second = _Layer(channels, channels, code=code, active=False)

    def forward(self, x: Tensor, codes: Tensor) -> Tensor:
        return x + self.second(self.first(x, codes), codes)

    def in_rows(self, x: Rows, codes: Tensor) -> Rows:
        """The same of one image in strips; `x` is overwritten."""
        change = self.first.in_rows(x, codes)
        return joined(torch.add, x, self.second.in_rows(change, codes, into=change)).stored(into=x)
