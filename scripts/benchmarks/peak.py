"""The memory that training steps take at their peak, each contender in a process of its own."""

import json
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

STEPS = 3
FORGET = Path("/proc/self/clear_refs")


def peak(step: Callable[[], object], device: torch.device) -> dict[str, float]:
    """GB (2**30 bytes) at the peak of three steps: ``process``, all that is held; ``steps``, beyond what was before.

    On CUDA that of PyTorch's allocator; on a CPU the resident memory, of Linux.
    """
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device) / 2**30
        for _ in range(STEPS):
            step()
        most = torch.cuda.max_memory_allocated(device) / 2**30
        return {"process": most, "steps": most - before}
    status = Path("/proc/self/status")

    def held(name: str) -> float:
        return next(int(line.split()[1]) for line in status.read_text().splitlines() if line.startswith(name)) / 2**20

    FORGET.write_text("5")  # forget the peak so far, which may be that of the imports
    before = held("VmRSS")
    for _ in range(STEPS):
        step()
    most = held("VmHWM")
    return {"process": most, "steps": most - before}


def peaks(title: str, programs: Mapping[str, Sequence[str]], results: dict[str, Any]) -> None:
    """A table of what programs print, the JSON of `peak`.

    Args:
        title: Above it.
        programs: Arguments of Python, by contender; the first is what the others are compared with.
        results: Where the numbers go.
    """
    if not torch.cuda.is_available() and not FORGET.exists():
        print(f"\n{title}: measured on Linux or CUDA only")
        return
    print(f"\n{title}\n{'':34}{'GB, process':>12}{'of first':>9}{'GB, steps':>11}{'of first':>9}")
    first: dict[str, float] | None = None
    for name, program in programs.items():
        done = subprocess.run([sys.executable, *program], check=True, stdout=subprocess.PIPE, text=True)
        found = {kind: max(1e-3, value) for kind, value in json.loads(done.stdout.splitlines()[-1]).items()}
        first = first or found
        cells = "".join(
            f"{found[kind]:>{wide}.2f}{found[kind] / first[kind]:>9.2f}"
            for kind, wide in (("process", 12), ("steps", 11))
        )
        print(f"{name:34}{cells}", flush=True)
        results[f"{title}: {name}"] = found
