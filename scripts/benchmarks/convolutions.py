"""NNPACK's convolutions beside oneDNN's, on one thread, by channels and sizes: where `translate.blocks.winograd` gains.

Both take turns; the ratio of the shortest times is printed, above 1 where NNPACK is faster. Measure on a machine that
does nothing else: what it says is of this CPU.

    python -m scripts.benchmarks.convolutions [--rounds 7]
"""

import argparse
import time

import torch
import torch.nn.functional as F

from translate.blocks.winograd import has_nnpack
from translate.engine.display import device_name

PAIRS = [(24, 24), (48, 24), (64, 64), (96, 48), (96, 96), (128, 64), (128, 128), (256, 128), (256, 256), (512, 512)]
SIDES = (16, 32, 48, 64, 128, 256)
LARGE = [(24, 3, 7), (64, 3, 7), (3, 64, 7), (16, 3, 9), (64, 3, 4), (64, 64, 5)]
LARGEST = 2**15  # channels times side


def ratio(channels: int, made: int, kernel: int, side: int, *, rounds: int) -> float:
    """Of oneDNN's time to NNPACK's."""
    x, weight = torch.randn(1, channels, side, side), torch.randn(made, channels, kernel, kernel)
    border = (kernel - 1) // 2
    ways = {
        "oneDNN": lambda: F.conv2d(x, weight, padding=border),
        "NNPACK": lambda: torch._nnpack_spatial_convolution(x, weight, None, (border, border)),
    }
    spent: dict[str, list[float]] = {name: [] for name in ways}
    with torch.inference_mode():
        for number in range(rounds + 1):
            for name, way in ways.items():
                began = time.thread_time()
                way()
                if number:
                    spent[name].append(time.thread_time() - began)
    return min(spent["oneDNN"]) / min(spent["NNPACK"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    given = parser.parse_args()
    torch.set_num_threads(1)
    print(f"{device_name(torch.device('cpu'))}, torch {torch.__version__}; chosen here: {has_nnpack()}")
    if not torch.backends.nnpack.is_available():
        parser.exit(1, "this PyTorch has no NNPACK\n")
    print(f"\n3x3{'':12}" + "".join(f"{side:>6} px" for side in SIDES))
    for channels, made in PAIRS:
        row = [ratio(channels, made, 3, side, rounds=given.rounds) for side in SIDES if channels * side <= LARGEST]
        print(f"{channels:>5} -> {made:<6}" + "".join(f"{one:9.2f}" for one in row), flush=True)
    print("\nother kernels, 128 px")
    for channels, made, kernel in LARGE:
        one = ratio(channels, made, kernel, 128, rounds=given.rounds)
        print(f"{channels:>5} -> {made:<4} {kernel}x{kernel}{one:9.2f}", flush=True)


if __name__ == "__main__":
    main()
