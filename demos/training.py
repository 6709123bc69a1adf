"""Training for the demo: one at a time, in a process of its own, which goes on when the page is closed.

A training is a folder: ``command.json`` (what was asked for), ``output.txt`` (what was said), and the run. Everything
that the page shows is read from it, so a server that was started anew shows it, too. Uploads to train on lie beside it,
in a folder of their own that several trainings may share.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from translate.checkpoint.atomic import written_beside
from translate.checkpoint.files import weights_files
from translate.config.errors import TranslateError
from translate.config.methods import METHODS, DataKind
from translate.data.doctor import Diagnosis

UPLOADED = "images"  # begins the name of a folder of uploads
COMMAND_FILE, OUTPUT_FILE = "command.json", "output.txt"
ENDLESS = "1000000000"  # images: the minutes end a training
State = Literal["running", "stopping", "stopped", "failed"]

_TRANSLATOR = ("--width", "32", "--d-width", "32", "--schedule", "constant", "--ema-half-life", "500")
_SHORT = ("--log-every", "50", "--sample-every", "200", "--checkpoint-every", "2000")
# Lines tell no colours: with the paper's weights a short training ends in muted blurs.
_VIVID = (
    "--norm",
    "batch",
    "--batch-size",
    "8",
    "--adversarial",
    "hinge",
    "--reconstruction-weight",
    "3",
    "--feature-matching-weight",
    "2",
)
_GAN = (
    "--augment",
    "colour",
    "translation",
    "cutout",
    "--batch-size",
    "32",
    "--flip",
    "--width",
    "32",
    "--d-width",
    "32",
)
_LONG = ("--log-every", "500", "--sample-every", "5000", "--checkpoint-every", "10000")


class TrainerError(TranslateError, ValueError):
    """A training cannot start; the message says why."""


@dataclass(frozen=True, kw_only=True)
class Goal:
    """What can be learned from images, in words, and the command for it."""

    words: str
    method: tuple[str, ...]
    kinds: tuple[str, ...]
    """Of `Diagnosis.kind`, from which it can be learned."""
    translates: bool = True
    """Whether it learns to make images of images, which have names."""


GOALS = {
    "pairs": Goal(
        words="Translate the first image of each pair to the second",
        method=("pix2pix", *_TRANSLATOR, *_SHORT),
        kinds=("pairs",),
    ),
    "pairs-back": Goal(
        words="Translate the second image of each pair to the first",
        method=("pix2pix", "--direction", "b2a", *_TRANSLATOR, *_SHORT),
        kinds=("pairs",),
    ),
    "both-ways": Goal(
        words="Translate between the two domains, both directions",
        method=("cyclegan", "--num-blocks", "6", "--residual", *_TRANSLATOR, *_SHORT),
        kinds=("unpaired", "pairs"),
    ),
    "one-way": Goal(
        words="Translate the first domain to the second, in half the time",
        method=("fastcut", "--num-blocks", "6", *_TRANSLATOR, *_SHORT),
        kinds=("unpaired",),
    ),
    "colour": Goal(
        words="Colourise grey images",
        method=("pix2pix", "--derive", "gray", *_TRANSLATOR, *_SHORT),
        kinds=("image-set", "images"),
    ),
    "sketch": Goal(
        words="Turn sketches into images",
        method=("pix2pix", "--derive", "edges", *_VIVID, *_TRANSLATOR, *_SHORT),
        kinds=("image-set", "images"),
    ),
    "sharpen": Goal(
        words="Deblur images",
        method=("pix2pix", "--derive", "blur", "--generator", "resnet", "--residual", *_TRANSLATOR, *_SHORT),
        kinds=("image-set", "images"),
    ),
    "fill": Goal(
        words="Fill holes in images (inpainting)",
        method=("pix2pix", "--derive", "mask", *_TRANSLATOR, *_SHORT),
        kinds=("image-set", "images"),
    ),
    "new": Goal(
        words="Generate new images of the same kind",
        method=("dcgan", *_GAN, *_LONG),
        kinds=("image-set", "images"),
        translates=False,
    ),
}


_KINDS: dict[DataKind, tuple[str, ...]] = {
    "pairs": ("pairs",),
    "domains": ("unpaired", "pairs"),
    "images": ("image-set", "images"),
    "photographs": ("image-set", "images"),
}
"""By what a method learns from, the kinds of `Diagnosis` that have it."""


def all_goals() -> dict[str, Goal]:
    """The goals above, and every method with a task of its own in the table of methods."""
    own = {
        name: Goal(
            words=method.task,
            method=(name, *_SHORT),
            kinds=_KINDS.get(method.data, ()),
            translates=method.data in ("pairs", "domains"),
        )
        for name, method in METHODS.items()
        if method.task
    }
    return GOALS | own


def goals_for(found: Diagnosis) -> dict[str, Goal]:
    """What can be learned from a data set that was looked at; nothing where something forbids it."""
    if found.refused and not any(method.suits for method in found.methods):
        return {}
    return {name: goal for name, goal in all_goals().items() if found.kind in goal.kinds}


@dataclass(frozen=True, kw_only=True)
class Progress:
    """How a training is getting on; all of it read from its folder."""

    folder: Path
    state: State
    words: str
    """The goal."""
    images: int = 0
    seconds: float = 0.0
    """Of this session."""
    minutes: float = 0.0
    """That were given to it."""
    losses: dict[str, list[tuple[int, float]]] = field(default_factory=dict)
    """Of each loss its means, by the images seen."""
    alarms: tuple[str, ...] = ()
    sample: Path | None = None
    said: str = ""
    """The last line that the training said, which names an error."""
    weights: tuple[Path, ...] = ()
    """What can be opened."""


class Trainer:
    """The one training of a server.

    Args:
        root: Where the folders of trainings are.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._folder: Path | None = None
        self._started = 0.0
        self._stopping = False
        self._tidy()

    def _tidy(self) -> None:
        """Remove uploads from before this server was started that nobody trained on."""
        if not self.root.is_dir():
            return
        asked = " ".join(str(_asked(folder)) for folder in self.folders())
        for folder in self.root.glob(f"{UPLOADED}-*"):
            if not (folder / COMMAND_FILE).exists() and str(folder) not in asked:
                shutil.rmtree(folder, ignore_errors=True)

    @property
    def busy(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def new_folder(self, name: str) -> Path:
        """Make a folder for a training, or for what it learns from.

        Raises:
            TrainerError: it cannot be made.
        """
        stem = re.sub(r"[^\w-]+", "-", name).strip("-") or "training"
        stamp = time.strftime("%Y-%m-%d-%H%M%S")
        for mark in ("", *(f"-{number}" for number in range(2, 1000))):
            folder = self.root / f"{stem}-{stamp}{mark}"
            try:
                folder.mkdir(parents=True)
            except FileExistsError:
                continue
            except OSError as error:
                raise TrainerError(f"{self.root} cannot be written: {error.strerror}.") from None
            return folder
        raise TrainerError(f"{self.root} contains too many training runs: remove some.")

    def start(
        self, goal: str, roots: Sequence[Path], *, folder: Path, minutes: float, size: int, names: Sequence[str] = ()
    ) -> None:
        """Begin.

        Args:
            goal: Of `all_goals`.
            roots: The data set; two folders for two kinds.
            folder: Of the training, from `new_folder`.
            minutes: After which it stops and is saved.
            size: Side of the images that it sees, in pixels.
            names: What the two kinds show.

        Raises:
            TrainerError: another one is running, or the folder cannot be written.
        """
        chosen = all_goals()[goal]
        data = [str(roots[0]), *(["--root-b", str(roots[1])] if len(roots) > 1 else [])]
        words = ["train", chosen.method[0], *data, *chosen.method[1:], "--size", str(size), "--images", ENDLESS]
        if len(names) == 2 and chosen.translates and "--derive" not in chosen.method:
            words += ["--names", *(name.lstrip("-") or "images" for name in names)]  # "-x" would be a flag
        called = re.sub(r"[^\w-]+", "-", f"{roots[0].name}-{goal}").strip("-")
        self._run(folder, {"goal": goal, "run": called, "command": words, "minutes": minutes})

    def go_on(self, folder: Path, *, minutes: float) -> None:
        """Resume a training for some more minutes.

        Raises:
            TrainerError: there is none, or one is running.
        """
        asked = _asked(folder)
        if asked is None:
            raise TrainerError("This training run no longer exists: start a new one.")
        self._run(folder, {**asked, "minutes": minutes})

    def _run(self, folder: Path, asked: dict[str, Any]) -> None:
        with self._lock:
            if self.busy:
                raise TrainerError("Another training run is in progress: wait for it to finish, or stop it first.")
            try:
                folder.mkdir(parents=True, exist_ok=True)
                with written_beside(folder / COMMAND_FILE) as beside:
                    beside.write_text(json.dumps(asked, indent=2) + "\n", encoding="utf-8")
                output = (folder / OUTPUT_FILE).open("wb")
            except OSError as error:
                raise TrainerError(f"{folder} cannot be written: {error.strerror}.") from None
            command = [*asked["command"], "--out", str(folder / asked["run"]), "--minutes", f"{asked['minutes']:g}"]
            cores = os.cpu_count() or 1
            # A core is left to the page. Ctrl+C at the server is not for the training: `close` tells it on, once.
            options: dict[str, Any] = {"start_new_session": True}
            if sys.platform == "win32":
                options = {"creationflags": 0x200}  # a group of its own
            with output:
                self._process = subprocess.Popen(
                    [sys.executable, "-m", "translate", *command],
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    env={**os.environ, "OMP_NUM_THREADS": str(max(1, cores - 1)), "PYTHONUNBUFFERED": "1"},
                    **options,  # type: ignore[call-overload]
                )
            if sys.platform != "win32":
                os.setpriority(os.PRIO_PROCESS, self._process.pid, 10)
            self._folder, self._started, self._stopping = folder, time.monotonic(), False

    def stop(self) -> None:
        """Ask the training to finish its step, save and end; it takes seconds, and nothing is lost."""
        with self._lock:
            if self.busy and not self._stopping:
                assert self._process is not None
                # Not SIGINT: one that comes while PyTorch is imported can be lost.
                self._process.send_signal(getattr(signal, "CTRL_BREAK_EVENT", signal.SIGTERM))
                self._stopping = True

    def close(self, *, seconds: float = 60.0) -> None:
        """Stop, and wait for the end."""
        self.stop()
        if self._process is not None:
            try:
                self._process.wait(seconds)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()

    def words(self, folder: Path) -> str:
        """The goal of a training."""
        asked = _asked(folder)
        return all_goals()[asked["goal"]].words if asked is not None else folder.name

    def folders(self) -> list[Path]:
        """All trainings, the newest first."""
        if not self.root.is_dir():
            return []
        found = [folder for folder in self.root.iterdir() if (folder / COMMAND_FILE).is_file()]
        return sorted(found, key=lambda folder: (folder / COMMAND_FILE).stat().st_mtime, reverse=True)

    def progress(self, folder: Path | None = None) -> Progress | None:
        """Of a training, or of the one that was begun last; None where there is none."""
        folder = folder or self._folder or next(iter(self.folders()), None)
        asked = _asked(folder) if folder is not None else None
        if folder is None or asked is None:
            return None
        goal = all_goals()[asked["goal"]]
        mine = folder == self._folder and self._process is not None
        state: State = "stopped"
        if mine and self.busy:
            state = "stopping" if self._stopping else "running"
        elif mine and self._process is not None and self._process.returncode not in (0, None) and not self._stopping:
            state = "failed"  # one that is stopped while it still reads images ends with an error, and is none
        run = folder / asked["run"]
        entries = _entries(run / "log.jsonl")
        losses: dict[str, list[tuple[int, float]]] = {}
        for entry in entries:
            for name, value in entry.get("losses", {}).items():
                losses.setdefault(name, []).append((int(entry["images"]), float(value)))
        logged = [entry for entry in entries if "losses" in entry]
        return Progress(
            folder=folder,
            state=state,
            words=goal.words,
            images=int(entries[-1]["images"]) if entries else 0,
            seconds=time.monotonic() - self._started if mine and self.busy else 0.0,
            minutes=float(asked["minutes"]),
            losses=losses,
            alarms=tuple(logged[-1].get("alarms", ())) if logged else (),
            sample=max((run / "samples").glob("*.png"), default=None),
            said=_last_line(folder / OUTPUT_FILE),
            weights=tuple(file.parent for file in weights_files(run)),
        )


def _asked(folder: Path) -> dict[str, Any] | None:
    try:
        asked = json.loads((folder / COMMAND_FILE).read_text(encoding="utf-8"))
        known = isinstance(asked["command"], list) and isinstance(asked["run"], str) and asked["goal"] in all_goals()
        return asked if known and float(asked["minutes"]) > 0 else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _entries(log: Path) -> list[dict[str, Any]]:
    """The lines of a log; one that is being written, or damaged, is left out."""
    try:
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines(keepends=True)
    except OSError:
        return []
    found = []
    for line in lines:
        try:
            entry = json.loads(line)
            if isinstance(entry["images"], int):
                found.append(entry)
        except (ValueError, KeyError, TypeError):  # the last line, or one that somebody damaged
            continue
    return found


def _last_line(output: Path) -> str:
    try:
        with output.open("rb") as file:
            file.seek(max(0, output.stat().st_size - 4096))
            lines = file.read().decode("utf-8", errors="replace").split("\n")
    except OSError:
        return ""
    return next((line.strip() for line in reversed(lines) if line.strip()), "")
