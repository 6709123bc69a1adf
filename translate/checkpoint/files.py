"""Which file of weights a path stands for, and what it says of itself; read without PyTorch."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Literal

from safetensors import SafetensorError, safe_open

from translate.checkpoint.formats import recognise, recognise_folder
from translate.config.base import ConfigError, differences
from translate.config.errors import TranslateError
from translate.config.weights import WeightsConfig, weights_config

METADATA_KEY = "translate"
MODEL_FILE, CONFIG_FILE = "model.safetensors", "config.json"
FOREIGN_SUFFIXES = (".pth", ".pt")
DType = Literal["fp32", "fp16", "bf16", "int8"]
Framework = Literal["pt", "numpy"]


class WeightsError(TranslateError, ValueError):
    """Weights that cannot be opened; the message names the file, the reason, and the fix."""


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
    with opened_file(file) as opened:
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


def stored_dtype(path: Path) -> DType:
    """The number type of a file's tensors."""
    with opened_file(weights_file(path)) as opened:
        kinds = {opened.get_slice(name).get_dtype() for name in opened.keys()}  # noqa: SIM118 (safe_open has no iter)
    known: dict[str, DType] = {"I8": "int8", "F16": "fp16", "BF16": "bf16"}
    return next((name for kind, name in known.items() if kind in kinds), "fp32")


def _how_to_import(file: Path) -> str:
    return f"Weights of pytorch-CycleGAN-and-pix2pix or CUT open with: translate import {file} -o weights/{file.stem}"


def opened_file(file: Path, *, framework: Framework = "numpy") -> safe_open:
    """An open safetensors file, whose tensors are those of a framework.

    Raises:
        WeightsError: torn, of another format, or not to be read.
    """
    try:
        return safe_open(file, framework=framework)
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
