"""``log.jsonl``: one line an interval; TensorBoard beside it where it is installed."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from translate.checkpoint.atomic import WriteError, written_beside


class RunLog:
    """Appends entries; what is not finite is written as NaN or Infinity.

    Args:
        out: The run's folder.
        enabled: False on all processes but the first.
    """

    def __init__(self, out: Path, *, enabled: bool = True) -> None:
        self.path, self.enabled = out / "log.jsonl", enabled
        self._folder = out / "tensorboard"
        self._writer: Any = None
        self._board = enabled and find_spec("tensorboard") is not None

    def cut(self, *, after: int) -> None:
        """Drop entries after so many images: a resumed run writes them again."""
        if not self.enabled or not self.path.is_file():
            return
        kept = []
        for line in self.path.read_text(encoding="utf-8", errors="replace").splitlines(keepends=True):
            try:
                if line.endswith("\n") and json.loads(line)["images"] <= after:
                    kept.append(line)
            except (ValueError, KeyError, TypeError):
                continue  # the last line of a process that was killed, or one that somebody damaged
        with written_beside(self.path) as beside:
            beside.write_text("".join(kept), encoding="utf-8")

    def write(self, entry: dict[str, Any]) -> None:
        """Append an entry; its ``losses`` and speed go to TensorBoard too.

        Raises:
            WriteError: the disk is full or the folder is not writable.
        """
        if not self.enabled:
            return
        try:
            with self.path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(entry) + "\n")
        except OSError as error:
            raise WriteError(f"{self.path} cannot be written ({error.strerror}): free some space") from error
        if self._board:
            if self._writer is None:
                from torch.utils.tensorboard import SummaryWriter

                self._writer = SummaryWriter(str(self._folder), purge_step=entry["images"])
            for group, prefix in (("losses", "loss"), ("validation", "validation")):
                for name, value in entry.get(group, {}).items():
                    self._writer.add_scalar(f"{prefix}/{name}", value, entry["images"])
            for name in ("images_per_second", "learning_rate", "memory_gb"):
                if name in entry:
                    self._writer.add_scalar(name, entry[name], entry["images"])

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()
