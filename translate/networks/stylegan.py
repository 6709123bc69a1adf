"""StyleGAN2, compact: a mapping network, a synthesis network that grows, and a residual discriminator.

Karras et al., 2020, "Analyzing and improving the image quality of StyleGAN": images are sums of what each size adds to
the enlarged image of the size below (skips), so a network that has grown to a size is a part of the whole one. While a
size fades in, what it adds is multiplied by alpha, and the discriminator sees as much of the image at that size.

Shapes: N batch, C channels, S side, D latents or style, L layers that take a style, K classes.
"""

from __future__ import annotations

import itertools

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from translate.blocks.precision import at_least_float32
from translate.blocks.style import (
    BatchDeviation,
    EqualConv,
    EqualLinear,
    LayerNoise,
    StyledConv,
    ToImage,
    enlarged,
    halved,
)
from translate.config.networks import StyleDiscriminatorConfig, StyleGeneratorConfig
from translate.networks.gan import LatentGenerator

LEAST = 4  # side of the learned constant
MAPPING_RATE = 0.01  # factor on the learning rate of the mapping network
AVERAGE_HALF_LIFE = 10_000  # images, of the mean style


def _normalised(x: Tensor) -> Tensor:
    """Vectors [N, D] of mean square 1."""
    return x * (x.square().mean(dim=1, keepdim=True) + 1e-8).rsqrt()


class Mapping(nn.Module):
    """Latents, and perhaps classes, to styles.

    Args:
        config: Of the generator.
    """

    average: Tensor

    def __init__(self, config: StyleGeneratorConfig) -> None:
        super().__init__()
        self.embedding = EqualLinear(config.num_classes, config.latent) if config.num_classes else None
        widths = [config.latent * (2 if config.num_classes else 1), *[config.style] * config.mapping_layers]
        self.layers = nn.Sequential(
            *[
                EqualLinear(before, after, rate=MAPPING_RATE, activation=True)
                for before, after in itertools.pairwise(widths)
            ]
        )
        self.num_classes = config.num_classes
        self.register_buffer("average", torch.zeros(config.style))

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        """[N, D] and int64 [N] -> styles [N, D]."""
        x = _normalised(at_least_float32(latents))
        if self.embedding is not None:
            assert labels is not None
            classes = self.embedding(F.one_hot(labels, self.num_classes).to(x.dtype))
            x = torch.cat([x, _normalised(classes)], dim=1)
        return self.layers(x)

    @torch.no_grad()
    def follow(self, styles: Tensor) -> None:
        """Move the mean style towards that of a batch [N, D], by its number of images: parts may come one by one."""
        self.average.lerp_(at_least_float32(styles.detach()).mean(dim=0), 1 - 0.5 ** (len(styles) / AVERAGE_HALF_LIFE))


class SynthesisStage(nn.Module):
    """What one size adds: two styled convolutions (one at 4 px), and an image.

    Args:
        in_channels: Of the size below.
        out_channels: Of this one.
        size: S.
        config: Of the generator.
    """

    def __init__(self, in_channels: int, out_channels: int, *, size: int, config: StyleGeneratorConfig) -> None:
        super().__init__()

        def conv(channels: int, *, up: bool) -> StyledConv:
            return StyledConv(channels, out_channels, size=size, style=config.style, up=up, kind=config.styling)

        first = [conv(in_channels, up=True)] if size > LEAST else []
        self.convs = nn.ModuleList([*first, conv(out_channels, up=False)])
        self.to_image = ToImage(out_channels, config.channels, style=config.style)

    def forward(self, x: Tensor, styles: Tensor, *, noise: LayerNoise | tuple[Tensor, ...]) -> tuple[Tensor, Tensor]:
        """Features and styles [N, len(convs) + 1, D] -> features of this size, and what it adds to the image."""
        for number, (conv, style) in enumerate(zip(self.convs, styles.unbind(1), strict=False)):
            x = conv(x, style, noise=noise[number] if isinstance(noise, tuple) else noise)
        return x, self.to_image(x, styles[:, len(self.convs)])


class StyleGenerator(LatentGenerator):
    """The generator.

    Styles of the layers are numbered from the coarsest: the first is that of 4 px, then two for each size, then that
    of the last image; the image of a size shares its style with the first convolution of the next.

    Args:
        config: What it is made of.

    Attributes:
        alpha: How far the largest size has faded in, a scalar that is saved with the weights; 1 at the end.
        grown: Side of the images that it makes; a training sets it.
    """

    config: StyleGeneratorConfig
    alpha: Tensor

    def __init__(self, config: StyleGeneratorConfig) -> None:
        super().__init__()
        self.config = config
        self.mapping = Mapping(config)
        self.constant = nn.Parameter(torch.randn(1, config.widths[0], LEAST, LEAST))
        sides = [LEAST * 2**number for number in range(len(config.widths))]
        before = (config.widths[0], *config.widths)
        self.stages = nn.ModuleList(
            SynthesisStage(before[number], width, size=sides[number], config=config)
            for number, width in enumerate(config.widths)
        )
        self.sides, self.grown = sides, config.grown or config.size
        self.register_buffer("alpha", torch.ones(()))

    @property
    def num_layers(self) -> int:
        """L, for the size that it has grown to."""
        return 2 * len(self.grown_stages())

    @property
    def num_noise(self) -> int:
        """Values of noise of an image, for the size that it has grown to."""
        stages = self.grown_stages()
        return sum(len(stage.convs) * side**2 for stage, side in zip(stages, self.sides, strict=False))

    def grown_stages(self, size: int | None = None) -> list[SynthesisStage]:
        """The stages up to a size; up to what it has grown to unless given."""
        wanted = size or self.grown
        return [stage for stage, side in zip(self.stages, self.sides, strict=True) if side <= wanted]  # type: ignore[misc]

    def synthesis(self, styles: Tensor, *, noise: LayerNoise = "fixed", size: int | None = None) -> Tensor:
        """Images of styles.

        Args:
            styles: [N, L, D]; of a smaller size the first are taken.
            noise: ``random``, drawn anew; ``fixed``, always the same; ``none``; or [N, `num_noise`], all of it given.
            size: Side of the images; what it has grown to unless given.

        Returns:
            [N, C, S, S], about [-1, 1].
        """
        stages = self.grown_stages(size)
        x = self.constant.expand(len(styles), -1, -1, -1)
        image, layer = torch.zeros(()), 0
        taken = 0
        for number, (stage, side) in enumerate(zip(stages, self.sides, strict=False)):
            count = len(stage.convs)
            own: LayerNoise | tuple[Tensor, ...] = noise
            if isinstance(noise, Tensor):
                parts = noise[:, taken : taken + count * side**2].view(-1, count, 1, side, side)
                own, taken = parts.unbind(1), taken + count * side**2
            x, added = stage(x, styles[:, layer : layer + count + 1], noise=own)
            layer += count
            added = at_least_float32(added)  # a sum of many sizes, of few channels
            if number == 0:
                image = added
            elif number < len(stages) - 1:
                image = enlarged(image) + added
            else:
                image = enlarged(image) + self.alpha.to(added.dtype) * added
        return image

    def styles(self, latents: Tensor, labels: Tensor | None = None, *, truncation: float | Tensor = 1.0) -> Tensor:
        """Styles of every layer, [N, L, D].

        Args:
            latents: [N, D].
            labels: int64 [N], for a conditional one.
            truncation: How far from the mean style, 1 for as learned, 0 for the mean; or [L], one for each layer
                (truncation; StyleGAN, appendix B).
        """
        styles = self.mapping(latents, labels)[:, None].expand(-1, self.num_layers, -1)
        if isinstance(truncation, Tensor) or truncation != 1.0:
            share = truncation[:, None] if isinstance(truncation, Tensor) else truncation
            styles = self.mapping.average + share * (styles - self.mapping.average)
        return styles

    def forward(self, latents: Tensor, labels: Tensor | None = None, *, noise: LayerNoise | None = None) -> Tensor:
        """Images of latents, or of styles: what is called in training, since only a call is compiled.

        Args:
            latents: [N, D], or styles [N, L, D].
            labels: int64 [N], for a conditional one, with latents.
            noise: As for `synthesis`; random while training and else fixed, unless given.

        Returns:
            [N, C, S, S], about [-1, 1].
        """
        styles = latents if latents.dim() == 3 else self.styles(latents, labels)
        return self.synthesis(styles, noise=noise if noise is not None else "random" if self.training else "fixed")


class StyleDiscriminator(nn.Module):
    """The discriminator: an entry for images at each size, residual stages, deviation of the batch, one logit.

    Args:
        config: What it is made of.

    Attributes:
        alpha: As of the generator.
        fading: Whether alpha is below 1; said by who sets it, so that nobody has to ask the device.
    """

    alpha: Tensor

    def __init__(self, config: StyleDiscriminatorConfig) -> None:
        super().__init__()
        self.config = config
        self.fading = False
        widths = config.widths
        self.sides = [LEAST * 2**number for number in range(len(widths))]
        self.entries = nn.ModuleList(EqualConv(config.channels, width, kernel_size=1) for width in widths)
        self.stages = nn.ModuleList(DiscriminatorStage(wide, narrow) for narrow, wide in itertools.pairwise(widths))
        self.deviation = BatchDeviation(config.group)
        self.last = EqualConv(widths[0] + 1, widths[0])
        self.dense = EqualLinear(widths[0] * LEAST**2, widths[0], activation=True)
        self.head = EqualLinear(widths[0], 1)
        self.embedding = EqualLinear(config.num_classes, widths[0]) if config.num_classes else None
        self.register_buffer("alpha", torch.ones(()))

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """Logits of images, [N, 1]: positive for real.

        Args:
            images: [N, C, S, S]; S says where they enter.
            labels: int64 [N], for a conditional one.
        """
        place = self.sides.index(images.shape[-1])
        x = self.entries[place](images)
        for number in range(place, 0, -1):
            x = self.stages[number - 1](x)
            if number == place and self.fading:
                before = self.entries[place - 1](halved(images))
                x = torch.lerp(before, x, self.alpha.to(x.dtype))
        features = self.dense(self.last(self.deviation(x)).flatten(1))  # [N, F]
        logits = self.head(features)
        if self.embedding is not None:
            assert labels is not None
            classes = _normalised(self.embedding(F.one_hot(labels, self.config.num_classes).to(features.dtype)))
            logits = logits + (classes * features).sum(dim=1, keepdim=True) / features.shape[1] ** 0.5
        return logits


class DiscriminatorStage(nn.Module):
    """Two convolutions to half the size, beside a short way.

    Args:
        in_channels: Of the larger size.
        out_channels: Of the smaller one.
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.first = EqualConv(in_channels, in_channels)
        self.second = EqualConv(in_channels, out_channels, down=True)
        self.short = EqualConv(in_channels, out_channels, kernel_size=1, down=True, bias=False, activation=False)

    def forward(self, x: Tensor) -> Tensor:
        """[N, C_in, S, S] -> [N, C_out, S / 2, S / 2]."""
        return (self.second(self.first(x)) + self.short(x)) / 2**0.5
