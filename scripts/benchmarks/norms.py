"""Our instance norm beside PyTorch's, for use on a CPU: time by shape, and the largest error beside float64.

Followed by a ReLU, on one thread, in inference mode. They take turns; the ratio of the median times is printed, above 1
where ours (`translate.blocks.norm`) is faster. The error is that of a channel of little contrast, values around 10 that
deviate by 0.1, in what becomes values of a deviation of 1. Measure on a machine that does nothing else.

    python -m scripts.benchmarks.norms [--rounds 25]
"""

import argparse
import time
from statistics import median

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from translate.blocks.norm import norm_layer
from translate.engine.display import device_name

SHAPES = [(1, 24, 256, 256), (1, 48, 128, 128), (1, 96, 64, 64), (1, 64, 256, 256), (1, 256, 64, 64), (64, 128, 8, 8)]


def spent(ways: dict[str, nn.Module], x: Tensor, *, rounds: int) -> dict[str, float]:
    """Median seconds of each."""
    times: dict[str, list[float]] = {name: [] for name in ways}
    with torch.inference_mode():
        for number in range(rounds + 1):
            for name, way in ways.items():
                began = time.thread_time()
                F.relu(way(x), inplace=True)
                if number:
                    times[name].append(time.thread_time() - began)
    return {name: median(found) for name, found in times.items()}


def error(norm: nn.Module, x: Tensor) -> float:
    """The largest."""
    x = 10 + x / 10
    with torch.inference_mode():
        return float((norm(x).double() - F.instance_norm(x.double())).abs().max())


class _GroupNorm(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return F.group_norm(x, x.shape[1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=25)
    given = parser.parse_args()
    torch.set_num_threads(1)
    print(f"{device_name(torch.device('cpu'))}, torch {torch.__version__}\n")
    print(f"{'shape':24}{'instance / ours':>16}{'group / ours':>14}{'errors: instance, group, ours':>32}")
    for shape in SHAPES:
        x = torch.randn(shape, generator=torch.Generator().manual_seed(0))
        ways = {
            "instance": nn.InstanceNorm2d(shape[1]),
            "group": _GroupNorm(),
            "ours": norm_layer("instance")(shape[1]),
        }
        times = spent(ways, x, rounds=given.rounds)
        ratios = [times[name] / times["ours"] for name in ("instance", "group")]
        errors = ", ".join(f"{error(way, x):.0e}" for way in ways.values())
        print(f"{' x '.join(map(str, shape)):24}{ratios[0]:16.2f}{ratios[1]:14.2f}{errors:>32}", flush=True)


if __name__ == "__main__":
    main()
