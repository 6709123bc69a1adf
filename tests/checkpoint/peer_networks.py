"""The networks of pytorch-CycleGAN-and-pix2pix and CUT, restated from their papers and the names in their files.

Plain sequences whose members stand at the published numbers, for files to test the import with.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

NORMS = ["instance", "batch", "none"]


def normalise(norm: str, channels: int) -> nn.Module:
    layers: dict[str, Callable[[], nn.Module]] = {
        "instance": lambda: nn.InstanceNorm2d(channels),
        "old instance": lambda: nn.InstanceNorm2d(channels, track_running_stats=True),
        "batch": lambda: nn.BatchNorm2d(channels),
        "none": nn.Identity,
    }
    return layers[norm]()


class Filter(nn.Module):
    """A fixed filter; CUT's files hold it."""

    def __init__(self, taps: list[float], channels: int, *, gain: float, kept: bool) -> None:
        super().__init__()
        weights = torch.tensor(taps)
        kernel = gain * torch.outer(weights, weights) / weights.sum() ** 2
        self.register_buffer("filt", kernel.repeat(channels, 1, 1, 1), persistent=kept)


class Halve(Filter):
    def __init__(self, channels: int, *, kept: bool = True) -> None:
        super().__init__([1, 2, 1], channels, gain=1, kept=kept)

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(F.pad(x, (1, 1, 1, 1), mode="reflect"), self.filt, stride=2, groups=x.shape[1])


class Double(Filter):
    def __init__(self, channels: int, *, kept: bool = True) -> None:
        super().__init__([1, 3, 3, 1], channels, gain=4, kept=kept)

    def forward(self, x: Tensor) -> Tensor:
        x = F.pad(x, (1, 1, 1, 1), mode="replicate")
        return F.conv_transpose2d(x, self.filt, stride=2, padding=2, groups=x.shape[1])[..., 1:-1, 1:-1]


class Block(nn.Module):
    def __init__(self, width: int, *, norm: str, dropout: bool) -> None:
        super().__init__()
        half = [nn.ReflectionPad2d(1), nn.Conv2d(width, width, 3, bias="instance" in norm), normalise(norm, width)]
        again = [nn.ReflectionPad2d(1), nn.Conv2d(width, width, 3, bias="instance" in norm), normalise(norm, width)]
        self.conv_block = nn.Sequential(*half, nn.ReLU(), *[nn.Dropout(0.5)] * dropout, *again)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv_block(x)


class Network(nn.Module):
    """What the files call ``model`` (``net`` for the pixel discriminator)."""

    def __init__(self, *members: nn.Module, called: str = "model") -> None:
        super().__init__()
        self.add_module(called, nn.Sequential(*members))

    def forward(self, x: Tensor) -> Tensor:
        return next(self.children())(x)


def resnet(
    *,
    width: int = 4,
    channels: tuple[int, int] = (3, 3),
    num_blocks: int = 2,
    norm: str = "instance",
    dropout: bool = False,
    halve: bool = False,
    double: bool = False,
    kept: bool = True,
    levels: int = 2,
) -> Network:
    """CycleGAN's generator; with `halve` and `double`, CUT's, whose filters are `kept` in its files."""
    bias, members = (
        "instance" in norm,
        [nn.ReflectionPad2d(3), nn.Conv2d(channels[0], width, 7, bias="instance" in norm)],
    )
    members += [normalise(norm, width), nn.ReLU()]
    for _ in range(levels):
        members.append(nn.Conv2d(width, 2 * width, 3, stride=1 if halve else 2, padding=1, bias=bias))
        width *= 2
        members += [normalise(norm, width), nn.ReLU(), *[Halve(width, kept=kept)] * halve]
    members += [Block(width, norm=norm, dropout=dropout) for _ in range(num_blocks)]
    for _ in range(levels):
        if double:
            members += [Double(width, kept=kept), nn.Conv2d(width, width // 2, 3, padding=1, bias=bias)]
        else:
            members.append(nn.ConvTranspose2d(width, width // 2, 3, stride=2, padding=1, output_padding=1, bias=bias))
        width //= 2
        members += [normalise(norm, width), nn.ReLU()]
    return Network(*members, nn.ReflectionPad2d(3), nn.Conv2d(width, channels[1], 7), nn.Tanh())


class Level(nn.Module):
    """A level of the U-Net, with all that lies below it; its output has its input beside it."""

    def __init__(self, *members: nn.Module) -> None:
        super().__init__()
        self.model = nn.Sequential(*members)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([x, self.model(x)], dim=1)


def unet(
    *, depth: int = 6, width: int = 2, channels: tuple[int, int] = (3, 3), norm: str = "batch", dropout: bool = False
) -> Network:
    """pix2pix's generator, from the innermost level outwards."""
    bias, widths = "instance" in norm, [width * min(2**level, 8) for level in range(depth)]
    inside: nn.Module | None = None
    for level in reversed(range(1, depth)):
        outer, inner = widths[level - 1], widths[level]
        down: list[nn.Module] = [nn.LeakyReLU(0.2), nn.Conv2d(outer, inner, 4, stride=2, padding=1, bias=bias)]
        if inside is not None:
            down += [normalise(norm, inner), inside]
        from_below = inner if inside is None else 2 * inner
        up = [nn.ReLU(), nn.ConvTranspose2d(from_below, outer, 4, stride=2, padding=1, bias=bias)]
        noisy = dropout and inside is not None and level > 3
        inside = Level(*down, *up, normalise(norm, outer), *[nn.Dropout(0.5)] * noisy)
    assert inside is not None
    down_first = nn.Conv2d(channels[0], width, 4, stride=2, padding=1, bias=bias)
    up_last = nn.ConvTranspose2d(2 * width, channels[1], 4, stride=2, padding=1)
    network = Network()
    network.model = Network(down_first, inside, nn.ReLU(), up_last, nn.Tanh())
    return network


def patchgan(
    *,
    num_layers: int = 3,
    width: int = 4,
    channels: int = 3,
    norm: str = "instance",
    halve: bool = False,
    kept: bool = True,
) -> Network:
    """pix2pix's discriminator, or with `halve` CUT's."""
    members: list[nn.Module] = []
    inside = channels
    for layer in range(num_layers + 1):
        outside = width * min(2**layer, 8)
        strided = layer < num_layers
        stride = 2 if strided and not halve else 1
        bias = layer == 0 or "instance" in norm
        members.append(nn.Conv2d(inside, outside, 4, stride=stride, padding=1, bias=bias))
        members += [normalise(norm, outside)] if layer else []
        members += [nn.LeakyReLU(0.2), *[Halve(outside, kept=kept)] * (halve and strided)]
        inside = outside
    return Network(*members, nn.Conv2d(inside, 1, 4, padding=1))


def pixel(*, width: int = 4, channels: int = 3, norm: str = "instance") -> Network:
    bias = "instance" in norm
    return Network(
        nn.Conv2d(channels, width, 1),
        nn.LeakyReLU(0.2),
        nn.Conv2d(width, 2 * width, 1, bias=bias),
        normalise(norm, 2 * width),
        nn.LeakyReLU(0.2),
        nn.Conv2d(2 * width, 1, 1, bias=bias),
        called="net",
    )


def trained(network: nn.Module, *, channels: int = 3, side: int = 32) -> nn.Module:
    """The network in evaluation mode, its normalisations with statistics, scales and shifts as training leaves them."""
    generator = torch.Generator().manual_seed(1)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.weight.data.uniform_(0.5, 1.5, generator=generator)
            module.bias.data.uniform_(-0.5, 0.5, generator=generator)
    network.train()
    with torch.no_grad():
        for _ in range(2):
            network(torch.rand(2, channels, side, side, generator=generator) * 2 - 1)
    return network.eval()
