"""Reading and writing weights and the states of runs: safetensors and JSON, nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING

from translate.config.lazy import lazily

if TYPE_CHECKING:
    from translate.checkpoint.atomic import WriteError, written_beside
    from translate.checkpoint.files import DType, WeightsError, read_config, weights_file
    from translate.checkpoint.run_state import RunState, StateError, latest_state, load_state, save_state, saved_states
    from translate.checkpoint.weights import load_weights, save_weights

_NAMES = {
    "atomic": ("WriteError", "written_beside"),
    "files": ("DType", "WeightsError", "read_config", "weights_file"),
    "run_state": ("RunState", "StateError", "latest_state", "load_state", "save_state", "saved_states"),
    "weights": ("load_weights", "save_weights"),
}

__all__ = [
    "DType",
    "RunState",
    "StateError",
    "WeightsError",
    "WriteError",
    "latest_state",
    "load_state",
    "load_weights",
    "read_config",
    "save_state",
    "save_weights",
    "saved_states",
    "weights_file",
    "written_beside",
]

__getattr__, __dir__ = lazily(__name__, {name: module for module, names in _NAMES.items() for name in names})
