"""Weights that say what they are: safetensors with their configuration in the metadata, and beside it as JSON.

``<name>/model.safetensors`` and ``<name>/config.json``, the Hub's layout. The metadata is what counts, so a renamed or
lone file still opens; a ``config.json`` that says something else is refused.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Literal

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from translate.checkpoint.atomic import written_beside
from translate.checkpoint.formats import recognise, recognise_folder
from translate.config.base import ConfigError, differences, to_dict
from translate.config.errors import TranslateError
from translate.config.weights import WeightsConfig, weights_config
from translate.networks import build_network

METADATA_KEY = "translate"
MODEL_FILE, CONFIG_FILE = "model.safetensors", "config.json"
FOREIGN_SUFFIXES = (".pth", ".pt")
DType = Literal["fp32", "fp16", "bf16", "int8"]
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


class WeightsError(TranslateError, ValueError):
    """Weights that cannot be opened; the message names the file, the reason, and the fix."""


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


def weights_files(path: Path) -> list[Path]:
    """The safetensors files that a path stands for; a run that learned both directions has two.

    Args:
        path: A file, a weights folder, a run folder, or ``RUN/NAME`` for one of the weights of a run.
    """
    if path.is_file():
        return [path]
    # A bare name is no RUN/NAME: in a folder that holds weights/facades, "facades" still means what ships.
    in_run = [path.parent / "weights" / path.name] if len(path.parts) > 1 else []
    for folder in (path, path / "weights", *in_run):
        if (folder / MODEL_FILE).is_file():
            return [folder / MODEL_FILE]
    return next((found for root in (path / "weights", path) if (found := sorted(root.glob(f"*/{MODEL_FILE}")))), [])


def weights_file(path: Path) -> Path:
    """The one safetensors file that a path stands for, as in `weights_files`.

    Raises:
        WeightsError: nothing is there that could be opened, or there are several.
    """
    files = weights_files(path)
    if len(files) == 1:
        return files[0]
    if files:
        names = ", ".join(str(file.parent) for file in files[:6]) + (", ..." if len(files) > 6 else "")
        raise WeightsError(f"{path} holds several weights: choose one of {names}")
    if not path.exists():
        raise WeightsError(f"{path} does not exist")
    if (path / "states").is_dir():
        raise WeightsError(
            f"{path} is a run that has exported no weights yet: run its train command again to finish it"
        )
    advice = ""
    if foreign := sorted(file for file in path.iterdir() if file.suffix in FOREIGN_SUFFIXES):
        advice = f". {_how_to_import(foreign[0])}"
    elif (found := recognise_folder(path)) is not None:
        advice = f". {found[0]} is {found[1]}"
    raise WeightsError(
        f"{path} has no {MODEL_FILE}: expected a weights folder, a run folder or a .safetensors file{advice}"
    )


def read_config(path: Path) -> WeightsConfig:
    """The configuration of a file or folder of weights, without reading its tensors.

    Raises:
        WeightsError: not safetensors, not written by translate, or at odds with the ``config.json`` beside it.
    """
    file = weights_file(path)
    with _opened(file) as opened:
        metadata = opened.metadata() or {}
    if METADATA_KEY not in metadata:
        raise WeightsError(
            f"{file} does not record its network: it was not written by translate. {_how_to_import(file)}"
        )
    try:
        values = json.loads(metadata[METADATA_KEY])
        config = weights_config(values)
    except (json.JSONDecodeError, ConfigError) as error:
        raise WeightsError(f"{file}: {error}") from None
    beside = file.parent / CONFIG_FILE
    if file.name == MODEL_FILE and beside.is_file():
        try:
            written = json.loads(beside.read_text(encoding="utf-8"))
        except (json.JSONDecodeError, UnicodeDecodeError) as error:
            raise WeightsError(f"{beside} is not JSON ({error}): remove it, the file itself says what it is") from None
        if not isinstance(written, dict):
            raise WeightsError(f"{beside} is not a configuration: remove it, the file itself says what it is")
        if changed := differences(values, written):
            key, (inside, outside) = next(iter(changed.items()))
            raise WeightsError(
                f"{beside} says {key} = {outside!r}, but {file.name} was saved with {inside!r}: "
                f"remove {CONFIG_FILE}, the file itself says what it is"
            )
    return config


def load_weights(path: Path, *, device: torch.device | str = "cpu") -> tuple[nn.Module, WeightsConfig]:
    """Rebuild a network from its file: fp32 parameters, evaluation mode, no gradients.

    Args:
        path: A ``.safetensors`` file, a weights folder, or a run folder.
        device: Where the network goes.

    Raises:
        WeightsError: as `read_config`; or tensors that are missing, unexpected or of another shape.
    """
    file, config = weights_file(path), read_config(path)
    with torch.device("meta"):
        network = build_network(config.network)
    expected = network.state_dict()
    with _opened(file) as opened:
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


def stored_dtype(path: Path) -> DType:
    """The number type of a file's tensors."""
    with _opened(weights_file(path)) as opened:
        kinds = {opened.get_slice(name).get_dtype() for name in opened.keys()}  # noqa: SIM118 (safe_open has no iter)
    known: dict[str, DType] = {"I8": "int8", "F16": "fp16", "BF16": "bf16"}
    return next((name for kind, name in known.items() if kind in kinds), "fp32")


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


def _how_to_import(file: Path) -> str:
    return f"Weights of pytorch-CycleGAN-and-pix2pix or CUT open with: translate import {file} -o weights/{file.stem}"


def _opened(file: Path) -> safe_open:
    try:
        return safe_open(file, framework="pt")
    except SafetensorError as error:
        found = recognise(file)
        if found is not None and found.kind != "safetensors":
            raise WeightsError(f"{file} is {found}") from None
        with file.open("rb") as handle:
            head = handle.read(4)
        if head[:2] == b"PK" or (head[:1] == b"\x80" and head[1:2] in b"\x02\x03\x04\x05"):
            raise WeightsError(
                f"{file} is a pickle despite its name; pickles can run code and are not opened. {_how_to_import(file)}"
            ) from None
        raise WeightsError(f"{file} is an incomplete safetensors file ({error}): copy or download it again") from None
    except OSError as error:
        raise WeightsError(f"{file} cannot be opened: {error.strerror or error}") from None
