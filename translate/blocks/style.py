"""Style modulation: what StyleGAN and StyleGAN2 are built from (Karras et al., 2019 and 2020).

A style is a vector that decides how strong each channel of a layer is. ``modulated`` scales the input channels of a
convolution and divides each output channel by its expected deviation; ``adain`` normalises each channel of an image and
gives it a new deviation and mean, as the first StyleGAN did. Weights have deviation 1 and are scaled as they are used,
so that Adam moves all layers at one pace (equalised learning rate; Karras et al., 2018).

A modulated convolution has weights of its own for every image. Here the images are scaled before and after one common
convolution instead, which is the same sum in another order: convolutions in groups, one for each image, are slow.

Shapes: N batch, C channels, H height, W width, D style.
"""

from __future__ import annotations

from functools import cache
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from translate.blocks.precision import at_least_float32

GAIN = 2**0.5  # keeps the variance behind a leaky ReLU of slope 0.2
SLOPE = 0.2
TAPS = (1.0, 3.0, 3.0, 1.0)
EPSILON = 1e-8

LayerNoise = Literal["random", "fixed", "none"] | Tensor
"""Of a layer: drawn anew, always the same, none, or given: [N, 1, H, W]."""


def activated(x: Tensor) -> Tensor:
    """Leaky ReLU of slope 0.2, times the square root of 2."""
    return F.leaky_relu(x, SLOPE) * GAIN


LARGEST_ON_CPU = 64  # pixels, up to which products of matrices are as fast there as convolutions


@cache
def _band(
    size: int, kind: Literal["up", "down", "same"], border: int, gain: float, device: torch.device, dtype: torch.dtype
) -> Tensor:
    """The filter along one axis as a matrix, [outputs, size]; made once for each size, and not a part of any state."""
    with torch.inference_mode(False):
        taps = gain * torch.tensor(TAPS, device="cpu")[None, None] / sum(TAPS)
        eye = torch.eye(size, device="cpu")[:, None]
        if kind == "up":
            rows = F.conv_transpose1d(eye, taps, stride=2, padding=border)
        else:
            rows = F.conv1d(eye, taps, stride=2 if kind == "down" else 1, padding=border)
        return rows[:, 0].t().contiguous().to(device=device, dtype=dtype)


def _matrix(
    size: int, kind: Literal["up", "down", "same"], border: int, gain: float, device: torch.device, dtype: torch.dtype
) -> Tensor:
    """`_band` as a constant of a compiled network, which would make it anew at every pass (`ready_to_compile`)."""
    return _band(size, kind, border, gain, device, dtype)


def ready_to_compile() -> None:
    """Mark what `torch.compile` may take for constant; not by a decorator, which costs every start a second."""
    torch.compiler.assume_constant_result(_matrix)


def fir_kernel() -> Tensor:
    """The filter as published: [1, 3, 3, 1], outer product with itself, sum 1: [4, 4]."""
    taps = torch.tensor(TAPS) / sum(TAPS)
    return torch.outer(taps, taps)


def _along_both(x: Tensor, kind: Literal["up", "down", "same"], *, border: int = 1, gain: float = 1.0) -> Tensor:
    """[N, C, H, W] -> [N, C, H', W']: a matrix times the columns, and another times the rows.

    As products of matrices: a convolution of each channel by itself takes a GPU six times as long. Of a large image it
    is the faster one on a CPU.
    """
    count, channels, height, width = x.shape
    with torch.autocast(x.device.type if torch.amp.is_autocast_available(x.device.type) else "cpu", enabled=False):
        if x.device.type == "cpu" and max(height, width) > LARGEST_ON_CPU:
            kernel = (gain**2 * fir_kernel().to(x)).expand(channels, 1, -1, -1)
            if kind == "up":
                return F.conv_transpose2d(x, kernel, stride=2, padding=border, groups=channels)
            return F.conv2d(x, kernel, stride=2 if kind == "down" else 1, padding=border, groups=channels)
        down = _matrix(height, kind, border, gain, x.device, x.dtype)
        across = _matrix(width, kind, border, gain, x.device, x.dtype)
        if not x.is_contiguous() and x.is_contiguous(memory_format=torch.channels_last):
            x = down @ x.permute(0, 2, 3, 1).reshape(count, height, width * channels)
            x = across @ x.view(count * len(down), width, channels)
            return x.view(count, len(down), len(across), channels).permute(0, 3, 1, 2)
        return down @ x @ across.t()


def filtered(x: Tensor, *, border: int, gain: float = 1.0) -> Tensor:
    """Each channel low-pass filtered by [1, 3, 3, 1] both ways, so many zeros around, times the square of a gain.

    [N, C, H, W] -> [N, C, H + 2 border - 3, W + 2 border - 3].
    """
    return _along_both(x, "same", border=border, gain=gain)


def enlarged(x: Tensor) -> Tensor:
    """Twice the size, every second pixel 0 and then filtered, four times as strong: [N, C, 2H, 2W]."""
    return _along_both(x, "up", gain=2.0)


def halved(x: Tensor) -> Tensor:
    """Filtered, then every second pixel: [N, C, H / 2, W / 2]."""
    return _along_both(x, "down")


class EqualLinear(nn.Module):
    """A linear layer of equalised learning rate.

    Args:
        in_features: Of the input.
        out_features: Of the output.
        bias: With which the output starts.
        rate: Factor on the learning rate of this layer (0.01 in mapping networks).
        activation: Whether a leaky ReLU follows.
    """

    def __init__(
        self, in_features: int, out_features: int, *, bias: float = 0.0, rate: float = 1.0, activation: bool = False
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(out_features, in_features).div_(rate))
        self.bias = nn.Parameter(torch.full((out_features,), bias / rate))
        self.scale, self.rate, self.activation = rate / in_features**0.5, rate, activation

    def forward(self, x: Tensor) -> Tensor:
        x = F.linear(x, self.weight * self.scale, self.bias * self.rate)
        return activated(x) if self.activation else x


class EqualConv(nn.Module):
    """A convolution of equalised learning rate, perhaps with a bias, an activation and a halving of the size.

    Args:
        in_channels: Of the input.
        out_channels: Of the output.
        kernel_size: Odd.
        down: Filter and halve the size.
        bias: Whether there is one.
        rate: Factor on the learning rate of this layer.
        activation: Whether a leaky ReLU follows.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        kernel_size: int = 3,
        down: bool = False,
        bias: bool = True,
        rate: float = 1.0,
        activation: bool = True,
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(out_channels, in_channels, kernel_size, kernel_size).div_(rate))
        self.bias = nn.Parameter(torch.zeros(out_channels)) if bias else None
        self.scale = rate / (in_channels * kernel_size**2) ** 0.5
        self.kernel_size, self.down, self.activation = kernel_size, down, activation

    def forward(self, x: Tensor) -> Tensor:
        weight = self.weight * self.scale
        if not self.down:
            x = F.conv2d(x, weight, self.bias, padding=self.kernel_size // 2)
        elif self.kernel_size == 1:  # the same at a quarter of the pixels
            x = F.conv2d(halved(x), weight, self.bias)
        else:
            x = F.conv2d(filtered(x, border=2), weight, self.bias, stride=2)
        return activated(x) if self.activation else x


class ModulatedConv(nn.Module):
    """A convolution whose input channels are scaled by a style (StyleGAN2, section 2.2).

    Args:
        in_channels: Of the input.
        out_channels: Of the output.
        style: D.
        kernel_size: Odd.
        up: Enlarge to twice the size, and filter.
        demodulate: Divide each output channel by the deviation that it is expected to have.
        gain: Factor on the output.
        rate: Factor on the learning rate of this layer.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        style: int,
        kernel_size: int = 3,
        up: bool = False,
        demodulate: bool = True,
        gain: float = 1.0,
        rate: float = 1.0,
    ) -> None:
        super().__init__()
        self.affine = EqualLinear(style, in_channels, bias=1.0, rate=rate)
        self.weight = nn.Parameter(torch.randn(out_channels, in_channels, kernel_size, kernel_size).div_(rate))
        # Demodulation would take a factor away again, so there it follows.
        self.scale = rate * (1 if demodulate else gain) / (in_channels * kernel_size**2) ** 0.5
        self.kernel_size, self.up, self.demodulate, self.gain = kernel_size, up, demodulate, gain

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        """[N, C_in, H, W] and [N, D] -> [N, C_out, H, W], or twice the size."""
        scales = self.affine(style)  # [N, C_in]
        weight = self.weight * self.scale
        x = x * scales.to(x.dtype)[:, :, None, None]
        if self.up:
            x = F.conv_transpose2d(x, weight.transpose(0, 1), stride=2)  # [N, C_out, 2H + 1, 2W + 1]
            x = filtered(x, border=1, gain=2.0)  # three of four pixels came as zeros
        else:
            x = F.conv2d(x, weight, padding=self.kernel_size // 2)
        if self.demodulate:
            kind = x.device.type if torch.amp.is_autocast_available(x.device.type) else "cpu"  # meta has none
            with torch.autocast(kind, enabled=False):
                power = scales.to(weight.dtype).square() @ weight.square().sum(dim=(2, 3)).t()  # [N, C_out]
                factors = self.gain * (power + EPSILON).rsqrt()
            x = x * factors.to(x.dtype)[:, :, None, None]
        return x


class StyledConv(nn.Module):
    """A styled convolution, noise of a strength that is learned, a bias, and a leaky ReLU.

    Args:
        in_channels: Of the input.
        out_channels: Of the output.
        size: Side of the output, for the noise that is always the same.
        style: D.
        up: Enlarge to twice the size.
        kind: ``modulated`` (StyleGAN2) or ``adain`` (StyleGAN).
    """

    noise: Tensor

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        size: int,
        style: int,
        up: bool = False,
        kind: Literal["modulated", "adain"] = "modulated",
    ) -> None:
        super().__init__()
        self.conv = (
            ModulatedConv(in_channels, out_channels, style=style, up=up, gain=GAIN)
            if kind == "modulated"
            else AdaINConv(in_channels, out_channels, style=style, up=up)
        )
        self.strength = nn.Parameter(torch.zeros(()))
        self.bias = nn.Parameter(torch.zeros(out_channels))
        self.register_buffer("noise", torch.randn(1, 1, size, size))

    def forward(self, x: Tensor, style: Tensor, *, noise: LayerNoise = "random") -> Tensor:
        """[N, C_in, H, W] and [N, D] -> [N, C_out, H, W], or twice the size."""
        adain = isinstance(self.conv, AdaINConv)
        x = self.conv.convolved(x) if isinstance(self.conv, AdaINConv) else self.conv(x, style)
        gain = 1.0 if adain else GAIN  # of a modulated one the factors hold it: one pass over the image less
        if (drawn := self._noise(x, noise)) is not None:
            x = x + drawn.to(x.dtype) * (self.strength * gain).to(x.dtype)
        x = F.leaky_relu(x + (self.bias * gain).to(x.dtype)[:, None, None], SLOPE)
        return self.conv.restyled(x * GAIN, style) if isinstance(self.conv, AdaINConv) else x

    def _noise(self, x: Tensor, noise: LayerNoise) -> Tensor | None:
        if isinstance(noise, Tensor):
            return noise
        if noise == "random":
            return torch.randn(len(x), 1, *x.shape[2:], device=x.device)
        return self.noise if noise == "fixed" else None


class AdaINConv(nn.Module):
    """A convolution, and adaptive instance normalisation behind the activation (StyleGAN, equation 1).

    Args:
        in_channels: Of the input.
        out_channels: Of the output.
        style: D.
        up: Enlarge to twice the size first.
    """

    def __init__(self, in_channels: int, out_channels: int, *, style: int, up: bool = False) -> None:
        super().__init__()
        self.conv = EqualConv(in_channels, out_channels, bias=False, activation=False)
        self.affine = EqualLinear(style, 2 * out_channels)
        self.up = up

    def convolved(self, x: Tensor) -> Tensor:
        """[N, C_in, H, W] -> [N, C_out, H, W], or twice the size."""
        return self.conv(enlarged(x) if self.up else x)

    def restyled(self, x: Tensor, style: Tensor) -> Tensor:
        """Each channel with the deviation and the mean that the style says."""
        scales, shifts = self.affine(style).to(x.dtype)[:, :, None, None].chunk(2, dim=1)
        return F.instance_norm(x, eps=1e-5) * (1 + scales) + shifts


class ToImage(nn.Module):
    """A styled convolution of single pixels to the channels of an image; not demodulated.

    Args:
        in_channels: Of the input.
        channels: Of the image.
        style: D.
    """

    def __init__(self, in_channels: int, channels: int, *, style: int) -> None:
        super().__init__()
        self.conv = ModulatedConv(in_channels, channels, style=style, kernel_size=1, demodulate=False)
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        """[N, C_in, H, W] and [N, D] -> [N, C, H, W]."""
        return self.conv(x, style) + self.bias.to(x.dtype)[:, None, None]


class BatchDeviation(nn.Module):
    """One more channel: how much the images of a group differ, the same at every place (Karras et al., 2018).

    Groups are images that follow each other, so that two processes with half a batch each see the groups of one.

    Args:
        group: Images of a group; fewer where the batch cannot be parted so.
    """

    def __init__(self, group: int = 4) -> None:
        super().__init__()
        self.group = group

    def forward(self, x: Tensor) -> Tensor:
        """[N, C, H, W] -> [N, C + 1, H, W]."""
        count, _, height, width = x.shape
        group = next(size for size in range(min(self.group, count), 0, -1) if count % size == 0)
        parts = at_least_float32(x.reshape(count // group, group, -1))  # [N / G, G, C * H * W]
        deviation = (parts.var(dim=1, unbiased=False) + EPSILON).sqrt().mean(dim=1)  # [N / G]
        channel = deviation.repeat_interleave(group).to(x.dtype)[:, None, None, None].expand(-1, 1, height, width)
        return torch.cat([x, channel], dim=1)
