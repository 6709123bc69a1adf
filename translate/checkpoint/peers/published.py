"""The networks of other projects, layer by layer: what their files call each, and what ours do.

pytorch-CycleGAN-and-pix2pix (Zhu et al., 2017; Isola et al., 2017) and contrastive-unpaired-translation (CUT, Park et
al., 2020) number the members of one ``nn.Sequential``, those without parameters as well (padding, activation, dropout,
CUT's filters). So the numbers tell how a network was put together, even where a filter or a dropout stores nothing.

CUT's two filters are ours: [1, 2, 1] before every second value is `BlurPool`, [1, 3, 3, 1] between new values is
bilinear enlargement. pix2pix's activations work in place, which changes nothing: what a skip carries goes through a
ReLU next, and that takes a leaky ReLU's output for its input.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import product
from typing import Literal

import torch
from torch import Tensor

from translate.config.networks import Downsampling, PatchGANConfig, ResNetConfig, UNetConfig, Upsampling

PeerConfig = ResNetConfig | UNetConfig | PatchGANConfig

DROPOUT = 0.5  # of every dropout layer of both projects
MOST_DOWNSAMPLINGS, MOST_LAYERS = 6, 8


@dataclass(frozen=True)
class Stage:
    """A convolution and the normalisation behind it, under their names in the file and in our network.

    Attributes:
        biased: The convolution has a bias whatever the normalisation; else it has one with instance norm only.
    """

    conv: tuple[str, str]
    norm: tuple[str, str] | None = None
    biased: bool = False


@dataclass(frozen=True)
class Filter:
    """A fixed low-pass filter that a file may hold (CUT saved it as a buffer); ours store none."""

    key: str
    taps: tuple[float, ...]
    gain: float = 1.0

    def fits(self, stored: Tensor) -> bool:
        """Whether stored values, [C, 1, k, k], are this filter."""
        taps = torch.tensor(self.taps, dtype=torch.float64)
        kernel = self.gain * torch.outer(taps, taps) / taps.sum() ** 2
        if stored.ndim != 4 or stored.shape[1:] != (1, *kernel.shape):
            return False
        return bool(((stored.double() - kernel).abs() < 1e-3).all())  # files in half precision round


@dataclass(frozen=True)
class Layout:
    """A network of another project.

    Attributes:
        config: Ours, which does the same; its norm is found from the file.
        family: What such networks are called.
        detail: What tells it from others of its family: ``with 9 blocks``.
        kernels: Sides of its kernels.
    """

    config: PeerConfig
    family: str
    detail: str
    kernels: tuple[int, ...]
    stages: tuple[Stage, ...]
    filters: tuple[Filter, ...] = ()

    @property
    def words(self) -> str:
        return f"{self.family} {self.detail}".rstrip()


def layouts(state: dict[str, Tensor]) -> Iterable[Layout]:
    """Every published network that a state dict could be, its sizes read from the shapes where they are there."""
    yield from _resnets(state)
    yield from _unets(state)
    yield from _patchgans(state)
    yield _pixel(state)


def _size(state: dict[str, Tensor], key: str, axis: int, default: int) -> int:
    """A side of a convolution's weight."""
    weight = state.get(f"{key}.weight")
    return weight.shape[axis] if weight is not None and weight.ndim == 4 else default


def _down_filter(key: str) -> Filter:
    return Filter(key=f"{key}.filt", taps=(1.0, 2.0, 1.0))


def _up_filter(key: str) -> Filter:
    return Filter(key=f"{key}.filt", taps=(1.0, 3.0, 3.0, 1.0), gain=4.0)


# ResNet generators


def _resnets(state: dict[str, Tensor]) -> Iterable[Layout]:
    places = {int(found[1]) for key in state if (found := re.match(r"model\.(\d{1,4})\.conv_block\.", key))}
    num_blocks = max(places) - min(places) + 1 if places else 0
    num_blocks = min(num_blocks, 2 * len(places))  # a missing block is missed by name, a wild number is not believed
    downs: tuple[Downsampling, ...] = ("strided", "blur-after")
    ups: tuple[Upsampling, ...] = ("transposed", "resize")
    for levels, down, up, dropout in product(range(MOST_DOWNSAMPLINGS + 1), downs, ups, (0.0, DROPOUT)):
        yield _resnet(state, num_blocks=num_blocks, levels=levels, down=down, up=up, dropout=dropout)


def _resnet(
    state: dict[str, Tensor], *, num_blocks: int, levels: int, down: Downsampling, up: Upsampling, dropout: float
) -> Layout:
    stages, filters = [], []
    place = 1  # behind the padding

    def stage(ours: str, *, conv: str, norm: str) -> None:
        nonlocal place
        stages.append(Stage(conv=(f"model.{place}", f"{ours}.{conv}"), norm=(f"model.{place + 1}", f"{ours}.{norm}")))
        place += 3  # with its ReLU

    stage("stem", conv="conv", norm="norm")
    for level in range(levels):
        stage(f"down.{level}", conv="0", norm="1")
        if down == "blur-after":
            filters.append(_down_filter(f"model.{place}"))
            place += 1
    for block in range(num_blocks):
        # Padding, convolution, norm, ReLU, dropout if any, padding, convolution, norm.
        inner, second = f"model.{place}.conv_block", 6 if dropout else 5
        for ours, first in (("conv1", 1), ("conv2", second)):
            names = (f"blocks.{block}.{ours}.conv", f"blocks.{block}.{ours}.norm")
            stages.append(Stage(conv=(f"{inner}.{first}", names[0]), norm=(f"{inner}.{first + 1}", names[1])))
        place += 1
    for level in range(levels):
        if up == "resize":
            filters.append(_up_filter(f"model.{place}"))
            place += 1
        stage(f"up.{level}", conv="0.1" if up == "resize" else "0", norm="1")
    head = f"model.{place + 1}"  # behind the padding
    stages.append(Stage(conv=(head, "head.conv"), biased=True))
    config = ResNetConfig(
        in_channels=_size(state, "model.1", 1, 3),
        out_channels=_size(state, head, 0, 3),
        width=_size(state, "model.1", 0, 64),
        num_blocks=num_blocks,
        num_downsamplings=levels,
        upsampling=up,
        downsampling=down,
        dropout=dropout,
    )
    return Layout(
        config=config,
        family="ResNet generator",
        detail=f"with {num_blocks} blocks",
        kernels=(3, 7),
        stages=tuple(stages),
        filters=tuple(filters),
    )


# U-Net generators


def _unets(state: dict[str, Tensor]) -> Iterable[Layout]:
    depth, inner = 1, "model.model.1.model"
    while any(key.startswith(f"{inner}.") for key in state):
        depth, inner = depth + 1, f"{inner}.3.model"
    yield _unet(state, depth=depth if depth > 1 else 8)


def _unet(state: dict[str, Tensor], *, depth: int) -> Layout:
    # From the inside a block is: leaky ReLU, convolution, norm, the next block, ReLU, convolution, norm. The outermost
    # has no activation and no norm on its way down, the innermost no norm and no block.
    outer, levels = "model.model", range(1, depth)
    inner = [f"{outer}.1.model" + ".3.model" * (level - 1) for level in levels]
    up = [f"up.{depth - 1 - level}" for level in range(depth)]
    stages = [Stage(conv=(f"{outer}.0", "down.0.conv"))]
    for level, block in zip(levels, inner, strict=True):
        innermost = level == depth - 1
        norm = None if innermost else (f"{block}.2", f"down.{level}.norm")
        stages.append(Stage(conv=(f"{block}.1", f"down.{level}.conv"), norm=norm))
    for level, block in zip(levels, inner, strict=True):
        first = 3 if level == depth - 1 else 5
        stages.append(
            Stage(conv=(f"{block}.{first}", f"{up[level]}.conv"), norm=(f"{block}.{first + 1}", f"{up[level]}.norm"))
        )
    stages.append(Stage(conv=(f"{outer}.3", f"{up[0]}.conv"), biased=True))
    config = UNetConfig(
        in_channels=_size(state, f"{outer}.0", 1, 3),
        out_channels=_size(state, f"{outer}.3", 1, 3),
        width=_size(state, f"{outer}.0", 0, 64),
        depth=depth,
        upsampling="transposed",
        # A dropout ends the sequence it is in, so no number tells. It is between the fifth level and the innermost.
        dropout=DROPOUT if depth > 5 else 0.0,
    )
    detail = f"of depth {depth}"
    return Layout(config=config, family="U-Net generator", detail=detail, kernels=(4,), stages=tuple(stages))


# Discriminators


def _patchgans(state: dict[str, Tensor]) -> Iterable[Layout]:
    downs: tuple[Literal["strided", "blur-after"], ...] = ("strided", "blur-after")
    for num_layers, down in product(range(1, MOST_LAYERS + 1), downs):
        yield _patchgan(state, num_layers=num_layers, down=down)


def _patchgan(state: dict[str, Tensor], *, num_layers: int, down: Literal["strided", "blur-after"]) -> Layout:
    stages, filters = [], []
    place = 0
    for layer in range(num_layers + 1):
        names = (f"model.{place}", f"scales.0.{layer}.0")
        norm = (f"model.{place + 1}", f"scales.0.{layer}.1") if layer else None
        stages.append(Stage(conv=names, norm=norm, biased=layer == 0))
        place += 3 if layer else 2
        if down == "blur-after" and layer < num_layers:
            filters.append(_down_filter(f"model.{place}"))
            place += 1
    stages.append(Stage(conv=(f"model.{place}", f"scales.0.{num_layers + 1}.0"), biased=True))
    config = PatchGANConfig(
        in_channels=_size(state, "model.0", 1, 3),
        width=_size(state, "model.0", 0, 64),
        num_layers=num_layers,
        downsampling=down,
    )
    return Layout(
        config=config,
        family="PatchGAN discriminator",
        detail=f"of {num_layers} layers",
        kernels=(4,),
        stages=tuple(stages),
        filters=tuple(filters),
    )


def _pixel(state: dict[str, Tensor]) -> Layout:
    config = PatchGANConfig(in_channels=_size(state, "net.0", 1, 3), width=_size(state, "net.0", 0, 64), num_layers=0)
    stages = (
        Stage(conv=("net.0", "scales.0.0.0"), biased=True),
        Stage(conv=("net.2", "scales.0.1.0"), norm=("net.3", "scales.0.1.1")),
        Stage(conv=("net.5", "scales.0.2.0")),
    )
    return Layout(config=config, family="pixel discriminator", detail="", kernels=(1,), stages=stages)
