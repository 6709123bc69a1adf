"""A codebook, whose entries follow a moving average of the vectors assigned to them (van den Oord et al., 2017).

The average is kept as two parameters, how many vectors an entry has (``usage``) and their sum (``total``); an entry
is ``total / usage``. What a step adds to them is given as their gradient by `codebook_loss`, and `MovingAverage` takes
the step: so it is averaged over micro-batches and processes, saved and resumed as everything else is.

Shapes: N batch, D numbers of an entry, H height, W width, K entries, M = N H W vectors.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from typing import Any, overload

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import Optimizer

from translate.config.networks import QuantizerConfig

DEAD = 0.03  # of an even share: an entry that is given less is unused


def in_float32(device: torch.device) -> AbstractContextManager[object]:
    """No mixed precision within; a device of shapes alone (meta) has none."""
    return torch.autocast(device.type, enabled=False) if device.type != "meta" else nullcontext()


class Quantizer(nn.Module):
    """Vectors in, the nearest entries of the codebook and their numbers out.

    Args:
        config: Number of entries, and numbers of an entry.
    """

    def __init__(self, config: QuantizerConfig) -> None:
        super().__init__()
        self.config = config
        self.usage = nn.Parameter(torch.zeros(config.num_codes))
        self.total = nn.Parameter(torch.zeros(config.num_codes, config.code_dim))

    @property
    def entries(self) -> Tensor:
        """[K, D], float32."""
        return self.total.float() / self.usage.float().clamp_min(1e-6)[:, None]

    def codes(self, vectors: Tensor) -> Tensor:
        """The number of the nearest entry: [N, D, H, W] -> int64 [N, H, W]."""
        flat = vectors.float().permute(0, 2, 3, 1)  # [N, H, W, D]
        entries = self.entries
        with in_float32(vectors.device):
            # |v - w|^2 without |v|^2, which is the same for all entries.
            distances = entries.square().sum(dim=1) - 2 * flat @ entries.T  # [N, H, W, K]
        return distances.argmin(dim=-1)

    def look_up(self, codes: Tensor) -> Tensor:
        """The entries of codes: int64 [N, H, W] -> [N, D, H, W]."""
        return F.embedding(codes, self.entries).permute(0, 3, 1, 2).contiguous()

    def forward(self, vectors: Tensor) -> tuple[Tensor, Tensor]:
        """The entries in place of vectors [N, D, H, W], with their gradient (straight-through), and the codes."""
        with torch.no_grad():
            codes = self.codes(vectors)
            entries = self.look_up(codes)
        vectors = vectors.float()
        return vectors + (entries - vectors).detach(), codes


def codebook_loss(quantizer: Quantizer, vectors: Tensor, codes: Tensor, *, decay: float) -> Tensor:
    """What has for gradient what a step adds to the averages of a codebook: counts [K], sums of vectors [K, D].

    An entry that few vectors are given gets one of the batch by chance, as if it stood for an even share of it; so
    the codebook starts, too.

    Args:
        quantizer: Its parameters receive the gradient.
        vectors: [N, D, H, W], detached.
        codes: int64 [N, H, W], what they were given.
        decay: Of the moving average.

    Returns:
        A scalar whose value is the perplexity of these codes.
    """
    num_codes = quantizer.config.num_codes
    flat = vectors.float().permute(0, 2, 3, 1).flatten(0, 2)  # [M, D]
    chosen = codes.flatten()
    even = len(flat) / num_codes
    with torch.no_grad(), in_float32(vectors.device):
        counts = torch.zeros(num_codes, device=flat.device).index_add_(
            0, chosen, torch.ones(len(flat), device=flat.device)
        )
        in_use = torch.special.entr(counts / len(flat)).sum().exp()
        sums = torch.zeros(num_codes, flat.shape[1], device=flat.device).index_add_(0, chosen, flat)
        dead = (quantizer.usage < DEAD * even).float()
        offered = flat[torch.randint(len(flat), (num_codes,), device=flat.device)]
        weight = dead * even / (1 - decay)  # so that after this step it has an even share
        counts, sums = counts + weight, sums + weight[:, None] * offered
    to_follow = (quantizer.usage.float() * counts).sum() + (quantizer.total.float() * sums).sum()
    return to_follow - to_follow.detach() + in_use


class MovingAverage(Optimizer):
    """Parameters that follow their gradients: ``p += rate * (gradient - p)``.

    Args:
        parameters: What follows.
        rate: One less the decay.
    """

    def __init__(self, parameters: Iterable[nn.Parameter], *, rate: float) -> None:
        super().__init__(list(parameters), {"lr": rate, "initial_lr": rate})

    @overload
    def step(self, closure: None = None) -> None: ...
    @overload
    def step(self, closure: Callable[[], float]) -> float: ...
    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    parameter.lerp_(parameter.grad, group["lr"])


def perplexity(codes: Tensor, *, num_codes: int) -> Tensor:
    """How many entries are in use: exp of the entropy of their shares; from 1 to the size of the codebook.

    Args:
        codes: int64, any shape.
        num_codes: Of the codebook.
    """
    shares = torch.bincount(codes.flatten(), minlength=num_codes).double() / codes.numel()
    return torch.special.entr(shares).sum().exp()
