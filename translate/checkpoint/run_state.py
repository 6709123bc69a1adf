"""The state of a training run: one safetensors file a save, its JSON in the metadata; no pickle anywhere.

A single file is whole or not there, so a crash while saving costs the save and nothing else. Tensors are named by their
owner, ``g/down.0.conv.weight``, ``optimizer.g/0.exp_avg``; everything else (counts, schedule, random state of Python's
side) is JSON.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor
from torch.optim import Optimizer

from translate.checkpoint.atomic import PART_SUFFIX, written_beside
from translate.config.errors import TranslateError

METADATA_KEY = "translate.run"
STATE_VERSION = 1


class StateError(TranslateError, ValueError):
    """A saved state that cannot be resumed from; the message names the file and the fix."""


@dataclass(frozen=True, kw_only=True)
class RunState:
    """Everything a run needs to go on as if it had not stopped."""

    tensors: dict[str, Tensor]
    values: dict[str, Any]


def state_path(folder: Path, images: int) -> Path:
    """Where the state after so many images lies."""
    return folder / f"{images:010d}.safetensors"


def save_state(state: RunState, folder: Path, *, images: int, keep: int) -> Path:
    """Write a state, then remove all but the newest `keep`.

    A state of more images than this one is removed as well: the run came back to before it because it was torn.

    Args:
        state: What to write.
        folder: Of the run's states alone; made if it is not there.
        images: Seen so far; names the file.
        keep: How many to leave, at least 1.

    Returns:
        The file.

    Raises:
        WriteError: the disk is full or the folder is not writable; older states are untouched.
    """
    path = state_path(folder, images)
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in state.tensors.items()}
    values = {"version": STATE_VERSION, **state.values}
    with written_beside(path) as beside:
        save_file(tensors, beside, metadata={METADATA_KEY: json.dumps(values)})
    states = saved_states(folder)
    current = states.index(path)
    # What a process that was killed while saving left behind; safetensors itself writes to .tmp?????? first.
    killed = (*folder.glob(f".*{PART_SUFFIX}"), *folder.glob(".tmp??????"))
    for old in (*states[: max(0, current + 1 - keep)], *states[current + 1 :], *killed):
        old.unlink(missing_ok=True)
    return path


def saved_states(folder: Path) -> list[Path]:
    """The states of a run, oldest first."""
    states = (path for path in folder.glob("*.safetensors") if path.stem.isdecimal())
    return sorted(states, key=lambda path: int(path.stem))


def load_state(path: Path) -> RunState:
    """Read a state.

    Raises:
        StateError: the file is torn, or not a state that translate wrote.
    """
    try:
        with safe_open(path, framework="pt") as opened:
            metadata = opened.metadata() or {}
            tensors = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118 (safe_open has no iter)
    except (SafetensorError, OSError) as error:
        raise StateError(f"{path} is truncated or unreadable ({error})") from None
    try:
        values = json.loads(metadata[METADATA_KEY])
        version = values.pop("version")
    except (KeyError, json.JSONDecodeError, AttributeError, TypeError):
        raise StateError(f"{path} is not a run state that translate wrote") from None
    if version != STATE_VERSION:
        raise StateError(f"{path} has state version {version!r}, and this release reads {STATE_VERSION}")
    return RunState(tensors=tensors, values=values)


def latest_state(folder: Path) -> tuple[RunState, list[str]] | None:
    """The newest state that is whole, and a line for each newer one that is not; None where nothing was saved.

    Raises:
        StateError: states are there, and none can be read.
    """
    problems: list[str] = []
    for path in reversed(saved_states(folder)):
        try:
            return load_state(path), problems
        except StateError as error:
            problems.append(str(error))
    if problems:
        raise StateError("; ".join(problems) + f". Remove {folder} to start over")
    return None


def prefixed(tensors: dict[str, Tensor], owner: str) -> dict[str, Tensor]:
    """Name tensors by their owner: ``weight`` -> ``owner/weight``."""
    return {f"{owner}/{name}": tensor for name, tensor in tensors.items()}


def owned(tensors: dict[str, Tensor], owner: str) -> dict[str, Tensor]:
    """The tensors of an owner, under their own names; the inverse of `prefixed`."""
    start = f"{owner}/"
    return {name.removeprefix(start): tensor for name, tensor in tensors.items() if name.startswith(start)}


def optimizer_tensors(optimizer: Optimizer) -> dict[str, Tensor]:
    """The moments and step counts of an optimizer, ``<parameter number>.<name>``."""
    state = optimizer.state_dict()["state"]
    return {
        f"{number}.{name}": torch.as_tensor(value) for number, kept in state.items() for name, value in kept.items()
    }


def restore_optimizer(optimizer: Optimizer, tensors: dict[str, Tensor]) -> None:
    """Put back what `optimizer_tensors` took; learning rates belong to the schedule and are not touched."""
    state: dict[int, dict[str, Tensor]] = {}
    for key, tensor in tensors.items():
        number, _, name = key.partition(".")
        state.setdefault(int(number), {})[name] = tensor
    optimizer.load_state_dict({**optimizer.state_dict(), "state": state})
    for parameter, values in optimizer.state.items():
        for name, tensor in values.items():
            if tensor.shape == parameter.shape and tensor.stride() != parameter.stride():
                # Fused Adam wants what belongs to a parameter laid out like it, and a file has no channels_last.
                values[name] = torch.empty_like(parameter, dtype=tensor.dtype).copy_(tensor)
