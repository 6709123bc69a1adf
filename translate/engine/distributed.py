"""Several processes as one: ``torchrun`` starts them, gradients are averaged in one flat all-reduce per update.

Networks stay unwrapped, so that penalties and calls of inner modules need no special path, as in StyleGAN3.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from typing import cast

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch._utils import _flatten_dense_tensors, _unflatten_dense_tensors

from translate.inference.device import choose_device


@dataclass(frozen=True, kw_only=True)
class World:
    """This process among its peers."""

    rank: int
    size: int
    device: torch.device
    control: dist.ProcessGroup | None = None
    """A group on the CPU for what must not wait for the devices; None where the default group is on the CPU."""

    @property
    def is_main(self) -> bool:
        return self.rank == 0

    def average_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Replace each gradient by its mean over the processes, in one message."""
        if self.size == 1:
            return
        gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
        flat = _flatten_dense_tensors(gradients)
        dist.all_reduce(flat)
        flat.div_(self.size)
        for gradient, mean in zip(gradients, _unflatten_dense_tensors(flat, gradients), strict=True):
            gradient.copy_(mean)

    def sum(self, values: Tensor) -> Tensor:
        """The sum of a tensor over the processes."""
        if self.size > 1:
            dist.all_reduce(values)
        return values

    def any(self, flag: bool) -> bool:
        """Whether a flag is set on any process; waits for the processes, not for their devices."""
        if self.size == 1:
            return flag
        votes = torch.tensor(int(flag))
        dist.all_reduce(votes, group=self.control)
        return bool(votes)

    def gather_bytes(self, state: Tensor) -> list[Tensor]:
        """The same-sized CPU tensor of each process, in the order of their ranks."""
        if self.size == 1:
            return [state]
        own = state.to(self.device)
        states = [torch.empty_like(own) for _ in range(self.size)]
        dist.all_gather(states, own)
        return [other.cpu() for other in states]

    def broadcast(self, tensors: Iterable[Tensor]) -> None:
        """Give every process the main one's values."""
        if self.size > 1:
            for tensor in tensors:
                dist.broadcast(tensor, 0)

    def wait(self) -> None:
        """Wait until every process is here."""
        if self.size > 1:
            dist.barrier()

    def close(self) -> None:
        """Leave the group."""
        if self.size > 1 and dist.is_initialized():
            dist.destroy_process_group()


def join_world(device: str = "auto") -> World:
    """Join the processes that ``torchrun`` started; a world of one without it.

    Args:
        device: As for `choose_device`; each process of several takes the CUDA device of its local rank.
    """
    size = int(os.environ.get("WORLD_SIZE", "1"))
    chosen = choose_device(device)
    if size == 1:
        return World(rank=0, size=1, device=chosen)
    if chosen.type == "cuda":
        chosen = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
        torch.cuda.set_device(chosen)
    dist.init_process_group("nccl" if chosen.type == "cuda" else "gloo")
    control = cast(dist.ProcessGroup, dist.new_group(backend="gloo")) if chosen.type == "cuda" else None
    return World(rank=dist.get_rank(), size=size, device=chosen, control=control)
