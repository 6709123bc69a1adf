"""Running a generator: images of any size, at once or in parts.

Networks that take statistics of the image (instance and group norm) go through a large one layer by layer, in strips
of rows (`translate.blocks.rows`). Others need no statistics: tiles, each with as much of its surroundings as the
network reaches, in memory that does not grow with the image. Both give what the whole image gives at once.

Shapes: N batch, C channels, H height, W width, D code.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from translate.blocks.norm import BLOCK_ROWS
from translate.blocks.rows import Rows
from translate.config.training import Noise, Precision
from translate.inference.device import autocast
from translate.inference.onnx import OnnxNetwork
from translate.networks import ConditionalResNet, Generator, ResNetGenerator
from translate.networks.modes import evaluating

STRIP_PIXELS, STRIP_PIXELS_ELSEWHERE = 2**16, 2**20
"""Of a strip at full size: on a CPU what its cache holds, by which strips are faster than the whole image."""
LEAST_STRIP = 32  # rows; the fewer, the more is computed twice
LEAST_TILE = 256


def pad_to(images: Tensor, *, multiple: int, minimum: int) -> Tensor:
    """Pad [N, C, H, W] at the bottom and right to a multiple, and to a least size.

    By reflection without repeating the border; a side too short to reflect is replicated instead.
    """
    for axis in (-1, -2):
        length = images.shape[axis]
        target = -(-max(length, minimum) // multiple) * multiple
        extra = target - length
        if extra:
            mode = "reflect" if extra < length else "replicate"
            images = F.pad(images, (0, extra, 0, 0) if axis == -1 else (0, 0, 0, extra), mode=mode)
    return images


@torch.inference_mode()
def run_network(
    network: nn.Module,
    images: Tensor,
    *,
    noise: Noise = "training",
    seed: int = 0,
    code: Tensor | None = None,
    precision: Precision = "fp32",
) -> Tensor:
    """A generator's output for a batch of any size; what training's previews and the translator both call.

    Args:
        network: A `Generator`.
        images: [N, C, H, W] in the network's value range, on its device.
        noise: ``always`` keeps dropout on, drawn from `seed`.
        seed: Of the dropout; without effect otherwise. The caller's random state is left as it was.
        code: [N, D] or [1, D], of a network that takes style codes; the mean one unless given.
        precision: Of the arithmetic.

    Returns:
        float32 [N, C_out, H, W].
    """
    assert isinstance(network, Generator)
    height, width = images.shape[-2:]
    padded = pad_to(images, multiple=network.stride, minimum=network.minimum_size)
    dropouts = [module for module in network.modules() if isinstance(module, nn.Dropout)] if noise == "always" else []
    devices = [images.device] if images.is_cuda else []
    random = torch.random.fork_rng(devices=devices, enabled=bool(dropouts))
    with evaluating(network), random, autocast(precision, images.device):
        if dropouts:
            _seed(images.device, seed)
            for dropout in dropouts:
                dropout.train()
        output = network(padded) if code is None else network(padded, code.expand(len(padded), -1))
    return output[..., :height, :width].float()


def random_code(style: int, *, seed: int) -> Tensor:
    """The code that a seed stands for, on every machine: [1, D] on the CPU."""
    return torch.randn(1, style, generator=torch.Generator().manual_seed(seed), device="cpu")


@torch.inference_mode()
def example_code(network: nn.Module, examples: Tensor, *, precision: Precision = "fp32") -> Tensor:
    """The (mean) code of examples [N, C_out, H, W] in the network's value range, on its device: float32 [N, D]."""
    assert isinstance(network, ResNetGenerator | ConditionalResNet | OnnxNetwork)
    with autocast(precision, examples.device):
        found = network.encode_style(examples)
    return (found if isinstance(found, Tensor) else found[0]).float()


def _seed(device: torch.device, seed: int) -> None:
    """Seed the generator of one device; `torch.manual_seed` would seed those of all."""
    if device.type == "cuda":
        with torch.cuda.device(device):
            torch.cuda.manual_seed(seed)
    elif device.type == "mps":
        torch.mps.manual_seed(seed)
    else:
        torch.default_generator.manual_seed(seed)


class ImageRows(Rows):
    """An image that is read in strips, padded as `pad_to` does.

    Args:
        read: Rows of the image, from one to before another: [1, C, h, W] in the network's value range, on its device.
        size: Height and width of the image.
        multiple: Of which the padded height and width are multiples.
        minimum: The least of both.
        strip: Rows computed at a time.
    """

    def __init__(
        self, read: Callable[[int, int], Tensor], *, size: tuple[int, int], multiple: int, minimum: int, strip: int
    ) -> None:
        self.inside, self.width = size
        height, self.padded_width = (-(-max(side, minimum) // multiple) * multiple for side in size)
        super().__init__(height=height, full=height, strip=strip)
        self._read = read

    def read(self, low: int, high: int) -> Tensor:
        """Rows of the padded image."""
        inside = self.inside
        parts = [self._read(low, min(high, inside))] if low < inside else []
        if high > inside:  # its last rows but one upside down, or the last one repeated
            first = max(low, inside)
            if self.height - inside < inside:
                parts.append(self._read(2 * inside - 1 - high, 2 * inside - 1 - first).flip(2))
            else:
                parts.append(self._read(inside - 1, inside).expand(-1, -1, high - first, -1))
        rows = parts[0] if len(parts) == 1 else torch.cat(parts, dim=2)
        extra = self.padded_width - self.width
        return F.pad(rows, (0, extra, 0, 0), mode="reflect" if extra < self.width else "replicate") if extra else rows


def run_in_parts(
    network: Generator,
    read: Callable[[int, int], Tensor],
    *,
    size: tuple[int, int],
    device: torch.device,
    tile: int | None = None,
    noise: Noise = "training",
    seed: int = 0,
    code: Tensor | None = None,
    precision: Precision = "fp32",
) -> Iterator[Tensor]:
    """The output of one image, from top to bottom: what `run_network` returns for all of it.

    Args:
        network: A `Generator`, not one of ONNX that takes statistics of the image.
        read: Rows of the image, from one to before another: [1, C, h, W] in the network's value range, on its device.
        size: Height and width of the image.
        device: The network's.
        tile: Rows of a strip (rounded up to a multiple of 8), or the side of a tile, at least the network's stride and
            4; chosen unless given.
        noise: ``always`` keeps dropout on, drawn from `seed`.
        seed: Of the dropout.
        code: [1, D], of a network that takes style codes.
        precision: Of the arithmetic.

    Yields:
        float32 [1, C_out, h, W], each below the one before.
    """
    dropouts = [module for module in network.modules() if isinstance(module, nn.Dropout)] if noise == "always" else []

    def ready() -> ExitStack:  # for each part anew: nothing of it may reach the caller's code between two of them
        stack = ExitStack()
        random = torch.random.fork_rng(devices=[device] if device.type == "cuda" else [], enabled=bool(dropouts))
        for one in (torch.inference_mode(), evaluating(network), random, autocast(precision, device)):
            stack.enter_context(one)
        for dropout in dropouts:
            dropout.train()
        return stack

    tiled = network.reach is not None and not dropouts
    if tiled:
        side = tile or max(LEAST_TILE, 5 * (network.reach or 0))
        rows = -(-side // network.step) * network.step
    else:
        pixels = STRIP_PIXELS if device.type == "cpu" else STRIP_PIXELS_ELSEWHERE
        rows = -(-(tile or max(LEAST_STRIP, pixels // size[1])) // BLOCK_ROWS) * BLOCK_ROWS
    image = ImageRows(read, size=size, multiple=network.step, minimum=network.minimum_size, strip=rows)
    with ready():
        if dropouts:
            _seed(device, seed)
        output = None if tiled else network.in_rows(image, code)
    for low in range(0, size[0], rows):
        high = min(image.height, low + rows)
        with ready():
            part = _tiles(network, image, low, high, code=code) if output is None else output.read(low, high)
            part = part[:, :, : size[0] - low, : size[1]].float()
        yield part


def _tiles(network: Generator, image: ImageRows, low: int, high: int, *, code: Tensor | None) -> Tensor:
    """A row of tiles as high as it is long, each made with its surroundings: [1, C_out, high - low, W]."""
    side, width = image.strip, image.padded_width
    border = -(-(network.reach or 0) // network.step) * network.step
    first = max(0, low - border)
    around = image.read(first, min(image.height, high + border))
    made = []
    for left in range(0, width, side):
        right, start = min(width, left + side), max(0, left - border)
        tile = network(around[..., start : right + border], *(() if code is None else (code,)))
        made.append(tile[:, :, low - first : high - first, left - start : right - start])
    return torch.cat(made, dim=3)
