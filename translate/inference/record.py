"""What the files of an output folder were made of, so that a command that was interrupted can go on where it was.

One line of JSON for each output, appended when it is written, in a file of the user's cache folder, so that nothing but
images lies among the outputs; each of several processes that share a folder has a file of its own. An output counts as
done where a line says that it was made of the same input, by the same weights and options, and it still has the size
that was written. A machine that knows nothing of a folder takes nothing in it for done.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import platformdirs

from translate.config.errors import TranslateError
from translate.data.layouts_common import ImageSource

KEPT_DAYS = 90
"""After the last output."""


class ExistingError(TranslateError, ValueError):
    """Outputs are there already; the message says which, and what to do."""


def share() -> tuple[int, int]:
    """Number of this process and of all, where `torchrun` started several; 0 of 1 otherwise."""
    rank, world = (os.environ.get(name, "") for name in ("RANK", "WORLD_SIZE"))
    return (int(rank), int(world)) if rank.isdecimal() and world.isdecimal() else (0, 1)


def digest_of(file: Path) -> str:
    """SHA-256 of a file."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def records() -> Path:
    """The folder of all records."""
    return Path(platformdirs.user_cache_dir("image-translate", appauthor=False)) / "applied"


def forget_old() -> None:
    """Remove the records of folders that nothing was added to for long."""
    with suppress(OSError):
        for file in records().glob("*.jsonl"):
            if time.time() - file.stat().st_mtime > KEPT_DAYS * 86_400:
                file.unlink()


class Record:
    """Of one folder and one job.

    Args:
        folder: Of the outputs.
        job: Everything but the input that decides what an output is, as JSON.
        rank: Number of this process, where several share the folder.
    """

    def __init__(self, folder: Path, job: Mapping[str, Any], *, rank: int = 0) -> None:
        self.folder, self.job = folder, json.dumps(job, sort_keys=True)
        place = hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:24]
        self.file = records() / f"{place}.{rank}.jsonl"
        self._done: dict[str, tuple[str, int]] | None = None

    def add(self, source: ImageSource, target: Path) -> None:
        """Note an output that was written. A folder that cannot be written to is no reason to stop."""
        with suppress(OSError):
            line = {"output": self._name(target), "made_of": self._made_of(source), "bytes": target.stat().st_size}
            self.file.parent.mkdir(parents=True, exist_ok=True)
            with self.file.open("a", encoding="utf-8") as stream:
                stream.write(f"\n{json.dumps(line)}")  # first the end of a line that may be torn

    def is_done(self, source: ImageSource, target: Path) -> bool:
        """Whether an output is there and was made of this input by this job."""
        if self._done is None:
            self._done = self._read()
        try:
            return self._done.get(self._name(target)) == (self._made_of(source), target.stat().st_size)
        except OSError:
            return False

    def _name(self, target: Path) -> str:
        return target.relative_to(self.folder).as_posix()

    def _made_of(self, source: ImageSource) -> str:
        status = source.path.stat()
        parts = [status.st_size, status.st_mtime_ns, source.page, source.half, source.stacked, source.ids]
        return hashlib.sha256(f"{self.job}\n{json.dumps(parts)}".encode()).hexdigest()

    def _read(self) -> dict[str, tuple[str, int]]:
        """The last line of each output; a torn one, of a process that was killed, is passed over."""
        found: dict[str, tuple[str, int]] = {}
        for file in sorted(self.file.parent.glob(f"{self.file.name.partition('.')[0]}.*.jsonl")):
            for line in file.read_text(encoding="utf-8", errors="replace").splitlines():
                with suppress(ValueError, KeyError, TypeError):
                    one = json.loads(line)
                    found[one["output"]] = one["made_of"], one["bytes"]
        return found


def still_to_do(
    jobs: Sequence[tuple[ImageSource, Path]], record: Record | None, *, resume: bool, overwrite: bool
) -> list[tuple[ImageSource, Path]]:
    """The inputs and outputs that are left.

    Args:
        jobs: All of them.
        record: Of the folder; None for a single file, which is replaced: its name was given.
        resume: Leave out those that are done.
        overwrite: Make anew what is there.

    Raises:
        ExistingError: an output is there that is neither done nor to be overwritten.
    """
    left = [job for job in jobs if not (resume and record is not None and record.is_done(*job))]
    there = [target for _, target in left if target.exists()]
    if there and not overwrite and record is not None:
        more = f" and {len(there) - 1:,} more" if len(there) > 1 else ""
        exist = "exist" if more else "exists"
        if resume:
            raise ExistingError(
                f"{there[0]}{more} {exist} and came of another input, weights or options: --overwrite replaces such "
                "files, or choose another --out"
            )
        raise ExistingError(
            f"{there[0]}{more} {exist}: --resume keeps what this command has already made, --overwrite replaces it"
        )
    return left
