"""Weights that say what they are: safetensors with their configuration in the metadata, and beside it as JSON.

``<name>/model.safetensors`` and ``<name>/config.json``, the Hub's layout. The metadata is what counts, so a renamed or
lone file still opens; a ``config.json`` that says something else is refused.
"""

from __future__ import annotations

import json
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from translate.checkpoint.atomic import written_beside
from translate.checkpoint.files import (
    CONFIG_FILE,
    METADATA_KEY,
    MODEL_FILE,
    DType,
    WeightsError,
    opened_file,
    read_config,
    weights_file,
)
from translate.config.base import to_dict
from translate.config.weights import WeightsConfig
from translate.networks import blank_network, build_network

DTYPES: dict[DType, torch.dtype] = {
    "fp32": torch.float32,
    "fp16": torch.float16,
    "bf16": torch.bfloat16,
    "int8": torch.float16,  # what is not rounded to 8 bits
}
SCALE_SUFFIX = ".int8_scale"
"""Ends the name of the scales that belong to a tensor of 8 bits."""
FEWEST_ROUNDED = 1024
"""Values of the smallest parameter that int8 rounds: smaller ones save nothing."""


def save_weights(network: nn.Module, config: WeightsConfig, path: Path, *, dtype: DType = "fp32") -> Path:
    """Write one self-describing safetensors file, whole or not at all.

    Args:
        network: Built from ``config.network``; its floating-point tensors are stored as `dtype`. Of int8 these are the
            weights of its layers, to 255 steps with one scale for each index of their first dimension (the output
            channels of most); norms, biases, buffers and whatever is small are stored as fp16.
        config: What the file says of itself.
        path: A ``.safetensors`` file, or a folder that gets ``model.safetensors`` and ``config.json``.
        dtype: fp16 halves the size, int8 quarters it; values beyond fp16's range are refused.

    Returns:
        The safetensors file.

    Raises:
        WeightsError: a value is not finite in `dtype`.
        WriteError: the disk is full or the folder is not writable.
    """
    tensors: dict[str, Tensor] = {}
    rounded = _rounded_parameters(network) if dtype == "int8" else set()
    for name, tensor in network.state_dict().items():
        stored = tensor.detach().to("cpu", DTYPES[dtype] if tensor.is_floating_point() else tensor.dtype).contiguous()
        if stored.is_floating_point() and not torch.isfinite(stored).all():
            narrow = DTYPES[dtype] == torch.float16
            fix = "give --dtype fp32" if narrow else "its training diverged, so take weights from before that"
            raise WeightsError(
                f"{name} has values that are not finite in {dtype}: {fix}. Nothing was written to {path}"
            )
        if name in rounded:
            tensors[name], tensors[name + SCALE_SUFFIX] = _to_int8(tensor.detach().cpu().float())
        else:
            tensors[name] = stored
    values = to_dict(config)
    in_folder = path.suffix.lower() != ".safetensors"
    file = path / MODEL_FILE if in_folder else path
    with written_beside(file) as beside:
        save_file(tensors, beside, metadata={"format": "pt", METADATA_KEY: json.dumps(values)})
        _sort_header(beside)
        if in_folder:  # else a crash before the new one would leave a config.json that the new file contradicts
            (path / CONFIG_FILE).unlink(missing_ok=True)
    if in_folder:
        with written_beside(path / CONFIG_FILE) as beside:
            beside.write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")
    return file


def _sort_header(file: Path) -> None:
    """Put a safetensors header in the order of its keys: the library writes the metadata in another at each run."""
    with file.open("r+b") as opened:
        length = int.from_bytes(opened.read(8), "little")
        header = json.loads(opened.read(length))
        ordered = json.dumps(header, sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode()
        assert len(ordered) <= length, "the library writes no shorter JSON"
        opened.seek(8)
        opened.write(ordered.ljust(length))  # spaces at the end are part of the format


def load_weights(path: Path, *, device: torch.device | str = "cpu") -> tuple[nn.Module, WeightsConfig]:
    """Rebuild a network from its file: fp32 parameters, evaluation mode, no gradients.

    Args:
        path: A ``.safetensors`` file, a weights folder, or a run folder.
        device: Where the network goes.

    Raises:
        WeightsError: as `read_config`; or tensors that are missing, unexpected or of another shape.
    """
    file, config = weights_file(path), read_config(path)
    expected = blank_network(config.network).state_dict()
    with opened_file(file, framework="pt") as opened:
        found = {name for name in opened.keys() if not name.endswith(SCALE_SUFFIX)}  # noqa: SIM118 (safe_open has no iter)
        missing, unexpected = sorted(expected.keys() - found), sorted(found - expected.keys())
        if missing or unexpected:
            parts = [f"{len(missing)} missing ({', '.join(missing[:3])})"] if missing else []
            parts += [f"{len(unexpected)} unexpected ({', '.join(unexpected[:3])})"] if unexpected else []
            raise WeightsError(
                f"{file} does not fit the {config.network.type} that it describes: {'; '.join(parts)}. "
                "Export it again from its run"
            )
        tensors = {name: _read(opened, name) for name in sorted(found)}
    for name, tensor in tensors.items():
        if tensor.dtype == torch.int8 and expected[name].is_floating_point():
            raise WeightsError(f"{file}: {name} has 8 bits, and its scales are missing. Export it again from its run")
        if tensor.shape != expected[name].shape:
            raise WeightsError(
                f"{file}: {name} is {list(tensor.shape)}, and the {config.network.type} that it describes "
                f"needs {list(expected[name].shape)}"
            )
    network = build_network(config.network)  # buffers that no file stores, such as filters, are made here
    network.load_state_dict(tensors)
    return network.eval().requires_grad_(False).to(device), config


def _rounded_parameters(network: nn.Module) -> set[str]:
    """The names of the parameters that int8 rounds."""
    return {
        name
        for name, parameter in network.named_parameters()
        if parameter.dim() >= 2 and parameter.numel() >= FEWEST_ROUNDED
    }


def _to_int8(values: Tensor) -> tuple[Tensor, Tensor]:
    """float32 [C, ...] -> int8 of the same shape and float32 scales [C], their product within half a scale of it."""
    scales = values.flatten(1).abs().amax(dim=1).clamp(min=torch.finfo(torch.float32).tiny) / 127
    return (values / _beside(scales, values)).round().clamp(-127, 127).to(torch.int8).contiguous(), scales


def _read(opened: safe_open, name: str) -> Tensor:
    """A tensor of a file; one of 8 bits as float32, where its scales are there."""
    tensor: Tensor = opened.get_tensor(name)
    if tensor.dtype != torch.int8 or name + SCALE_SUFFIX not in opened.keys():  # noqa: SIM118 (safe_open has no iter)
        return tensor
    scales: Tensor = opened.get_tensor(name + SCALE_SUFFIX)
    if tensor.dim() < 1 or scales.shape != tensor.shape[:1]:
        raise WeightsError(
            f"{name} has {list(tensor.shape)} values of 8 bits, which its {list(scales.shape)} scales do not fit"
        )
    return tensor.float() * _beside(scales.float(), tensor)


def _beside(scales: Tensor, values: Tensor) -> Tensor:
    """[C] -> [C, 1, ...], of as many dimensions as the values."""
    return scales.view(-1, *[1] * (values.dim() - 1))
