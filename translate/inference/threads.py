"""How many threads to compute on beside other programs.

Two threads that share two cores with a busy program take 3.4 times as long as alone, one takes 1.8 times: threads that
share a computation wait for the slowest.
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
        """Cores that others have kept busy."""
        wall, machine, own = (now - then for now, then in zip(_spent(), self._began, strict=True))
        return max(0.0, machine - own) / max(wall, 1e-3)

    def threads(self, most: int) -> int:
        """Of `most` threads, as many as there are idle cores, and at least 1; all where OMP_NUM_THREADS says so."""
        if os.environ.get("OMP_NUM_THREADS"):
            return most
        idle = (psutil.cpu_count() or most) - self.busy()
        return max(1, min(most, round(idle)))


def _spent() -> tuple[float, float, float]:
    """Seconds by the clock, of all cores at work, and of this process alone."""
    times = psutil.cpu_times()
    waiting = times.idle + getattr(times, "iowait", 0.0) + getattr(times, "guest", 0.0)  # guests count as users, too
    return time.monotonic(), sum(times) - getattr(times, "guest_nice", 0.0) - waiting, time.process_time()


def threads_of_process() -> int:
    """The number of threads to compute on: OMP_NUM_THREADS, or the cores that this process may use."""
    given = os.environ.get("OMP_NUM_THREADS", "")
    if given.isdecimal() and int(given):
        return int(given)
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(allowed, psutil.cpu_count(logical=False) or allowed))
