"""What a run says while it trains: a live line on a terminal, plain lines elsewhere."""

from __future__ import annotations

import platform
import sys
import time
from typing import Any

import torch
from rich.console import Console
from rich.live import Live
from rich.text import Text

from translate.inference.device import cpu_name


def memory_gb(device: torch.device) -> float:
    """Peak memory so far: of the device where it is a GPU, else of this process; in 2**30 bytes."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**30
    try:
        import resource
    except ImportError:  # Windows
        return 0.0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**30 if sys.platform == "darwin" else 2**20)


def device_name(device: torch.device) -> str:
    """The device in words, as a model card wants it."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    if device.type != "cpu":
        return f"{device.type} ({platform.machine()})"
    threads = torch.get_num_threads()
    return f"CPU ({cpu_name()}, {threads} thread{'s' if threads > 1 else ''})"


def duration(seconds: float) -> str:
    """4000 -> '1:06:40', 62 -> '1:02'."""
    hours, rest = divmod(int(seconds), 3600)
    minutes, seconds = divmod(rest, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"


class Display:
    """Says what a run does.

    Args:
        enabled: False on all processes but the first.
        console: Where to; the terminal unless given.
    """

    def __init__(self, *, enabled: bool = True, console: Console | None = None) -> None:
        self.console = console or Console(emoji=False, highlight=False, quiet=not enabled)
        self.enabled = enabled
        self.total = self.images = 0
        self._entry: dict[str, Any] = {}
        self._live: Live | None = None
        self._clock: list[tuple[float, int]] = []

    def start(self, *, images: int, total: int) -> None:
        """Begin a run of `total` images, `images` of which are behind it."""
        self.total, self.images = total, images
        self._clock = [(time.monotonic(), images)]
        if self.enabled and self.console.is_terminal:
            self._live = Live(get_renderable=self._render, console=self.console, refresh_per_second=4)
            self._live.start()

    def stop(self) -> None:
        """End the live line."""
        if self._live is not None:
            self._live.stop()
            self._live = None

    def say(self, line: str) -> None:
        """A line that stays."""
        self.console.print(line, markup=False, soft_wrap=not self.console.is_terminal)

    def advance(self, images: int) -> None:
        """A step was made. Costs nothing: the screen is drawn by its own thread."""
        self.images = images
        self._clock.append((time.monotonic(), images))
        if len(self._clock) > 64:
            del self._clock[:32]

    def report(self, entry: dict[str, Any]) -> None:
        """New means of the losses."""
        self._entry = entry
        if self._live is None:
            self.say(f"{self._progress()}  {self._losses()}")

    def _speed(self) -> float:
        (start, first), (end, last) = self._clock[0], self._clock[-1]
        return (last - first) / (end - start) if end > start else 0.0

    def _progress(self) -> str:
        speed = self._speed()
        left = duration(max(0, self.total - self.images) / speed) if speed else "-"
        share = min(1.0, self.images / self.total)  # the last batch may go beyond it
        memory = self._entry.get("memory_gb", 0.0)
        return f"{self.images:,}/{self.total:,} {share:4.0%}  {speed:.1f} img/s  {left} left  memory {memory:.1f} GB"

    def _losses(self) -> str:
        return "  ".join(f"{name} {value:.3g}" for name, value in self._entry.get("losses", {}).items())

    def _render(self) -> Text:
        width = max(10, min(self.console.width, 80))
        filled = round(width * min(1.0, self.images / max(1, self.total)))
        text = Text("━" * filled, style="cyan")
        text.append("━" * (width - filled), style="bright_black")
        text.append(f"\n{self._progress()}\n", style="default")
        text.append(self._losses() or "waiting for the first losses", style="default")
        return text
