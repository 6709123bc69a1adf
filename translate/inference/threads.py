"""How many threads to compute on beside other programs.

Threads that share a computation wait for the slowest: beside a busy program, two threads on two cores take twice as
long as one (measured in scripts/README.md).
"""

from __future__ import annotations

import os
import time

import psutil


class Neighbours:
    """What other programs take of the machine, from when this is made until it is asked.

    Made before the imports of a command, it is known after them at no cost.
    """

    def __init__(self) -> None:
        self._began = _spent()

    def busy(self) -> float:
        """Cores, of those that this process may use, that others have kept busy."""
        wall, machine, own = (now - then for now, then in zip(_spent(), self._began, strict=True))
        return max(0.0, machine - own) / max(wall, 1e-3)

    def threads(self, most: int) -> int:
        """Of `most` threads, the share of cores that are idle, and at least 1; all where OMP_NUM_THREADS is set."""
        if os.environ.get("OMP_NUM_THREADS"):
            return most
        idle = 1 - self.busy() / len(_allowed())
        return max(1, min(most, round(most * idle)))


def _allowed() -> set[int]:
    """The numbers of the cores that this process may use."""
    return os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set(range(os.cpu_count() or 1))


def _spent() -> tuple[float, float, float]:
    """Seconds by the clock, of the allowed cores at work, and of this process alone."""
    allowed = _allowed()
    work = 0.0
    for number, times in enumerate(psutil.cpu_times(percpu=True)):
        if number in allowed:  # a guest's time is counted as its user's as well
            waiting = times.idle + getattr(times, "iowait", 0.0)
            work += sum(times) - waiting - getattr(times, "guest", 0.0) - getattr(times, "guest_nice", 0.0)
    return time.monotonic(), work, time.process_time()


def threads_of_process() -> int:
    """The number of threads to compute on: OMP_NUM_THREADS, or the cores that this process may use."""
    given = os.environ.get("OMP_NUM_THREADS", "")
    if given.isdecimal() and int(given):
        return int(given)
    allowed = len(_allowed())
    return max(1, min(allowed, psutil.cpu_count(logical=False) or allowed))
