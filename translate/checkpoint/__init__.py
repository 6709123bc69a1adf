"""Reading and writing weights and the states of runs: safetensors and JSON, nothing else."""

from translate.checkpoint.atomic import WriteError, written_beside
from translate.checkpoint.run_state import RunState, StateError, latest_state, load_state, save_state, saved_states
from translate.checkpoint.weights import DType, WeightsError, load_weights, read_config, save_weights, weights_file

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
