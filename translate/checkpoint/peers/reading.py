"""Files of other projects, read without running anything that they hold.

``torch.load(weights_only=True)`` makes tensors, numbers, text, lists and dicts, and nothing else. What it refuses is
refused here in a sentence.
"""

from __future__ import annotations

import argparse
import hashlib
import pickle
import re
import warnings
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from translate.checkpoint.files import FOREIGN_SUFFIXES, METADATA_KEY, WeightsError
from translate.checkpoint.formats import (
    TORCH_PICKLES,
    Pickled,
    python_command,
    read_pickle,
    recognise,
    recognise_folder,
)

SAFETENSORS, ZIP = ".safetensors", b"PK"
DEEPEST = 4  # dicts within dicts that are looked through: a hostile file may hold itself


def read_states(path: Path) -> dict[str, dict[str, Tensor]]:
    """The state dicts in a file and where in it they are: ``""`` for the file itself, ``"netG"``, ``"model.g_ema"``.

    Args:
        path: What ``torch.save`` wrote, or safetensors.

    Raises:
        WeightsError: no such file; more than tensors in it; torn, of another format, or without tensors.
    """
    head = _head(path)
    if (found := recognise(path)) is not None:
        if found.kind == "safetensors" and path.suffix.lower() == SAFETENSORS:
            return {"": _read_safetensors(path)}
        raise WeightsError(f"{path} is {found}")
    if path.suffix.lower() == SAFETENSORS and not _is_pickle(head):
        raise WeightsError(f"{path} is not a complete safetensors file: copy or download it again")
    content = _load(path, head)
    states = dict(_states(content))
    for state in states.values():
        if sum(tensor.numel() for tensor in state.values()) > path.stat().st_size:
            raise WeightsError(f"{path} declares more values than it holds: copy or download it again")
    if states:
        return states
    if _has_optimizer(content):
        raise WeightsError(f"{path} holds an optimizer's state and no network: give the file of the network itself")
    kind = f"a dict of {_some(content)}" if isinstance(content, Mapping) else f"one {type(content).__name__}"
    raise WeightsError(f"{path} holds {kind}, and no network's state dict: give what net.state_dict() saved")


def sha256(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _head(path: Path) -> bytes:
    if path.is_dir():
        inside = sorted(file.name for file in path.iterdir() if file.suffix in FOREIGN_SUFFIXES)
        if not inside and (found := recognise_folder(path)) is not None:
            raise WeightsError(f"{path} is a folder, and {found[0]} is {found[1]}")
        files = f"one of its files ({_some(inside)})" if inside else "a file, such as latest_net_G.pth"
        raise WeightsError(f"{path} is a folder: give {files}")
    try:
        with path.open("rb") as file:
            head = file.read(256)
    except FileNotFoundError:
        raise WeightsError(f"{path} does not exist") from None
    except OSError as error:
        raise WeightsError(f"{path} cannot be opened: {error.strerror or error}") from None
    if not head:
        raise WeightsError(f"{path} is empty: copy or download it again")
    return head


# Safetensors


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    try:
        with safe_open(path, framework="pt") as opened:
            if METADATA_KEY in (opened.metadata() or {}):
                raise WeightsError(f"{path} was written by translate and opens as it is: translate apply {path} ...")
            return {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118 (safe_open has no iter)
    except SafetensorError as error:
        raise WeightsError(f"{path} is an incomplete safetensors file ({error}): copy or download it again") from None


# Pickles


def _is_pickle(head: bytes) -> bool:
    return head[:2] == ZIP or (head[:1] == b"\x80" and head[8:9] != b"{")  # else safetensors, of which a part is gone


def _load(path: Path, head: bytes) -> Any:
    if not _is_pickle(head):
        raise WeightsError(f"{path} is not a file that torch.save wrote, but something else: copy or download it again")
    try:
        if head[:2] == ZIP and not zipfile.is_zipfile(path):  # its table of contents comes last
            raise EOFError("only a part of the file is there")
        # Opened here, since PyTorch believes the name of a path that ends in .safetensors.
        with path.open("rb") as file, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of other formats, which are refused below
            # The options of a run, which lie beside many networks, are a bag of plain values.
            with torch.serialization.safe_globals([argparse.Namespace]):
                return torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise WeightsError(_refusal(path, str(error))) from None
    except Exception as error:  # a hostile or torn file may raise anything
        reason = str(error)
        if "TorchScript" in reason:
            raise WeightsError(
                f"{path} is a TorchScript program, which is code and is not run: "
                "save the state dict of the network that it was made from"
            ) from None
        raise WeightsError(_torn(path, reason or type(error).__name__)) from None


def _refusal(path: Path, reason: str) -> str:
    """Why ``weights_only`` did not take a file, in a sentence."""
    # PyTorch leaves out the module of what is built in: "GLOBAL eval".
    names = re.search(r"GLOBAL (\S+) (?:was not an allowed|whose module)|\bmust be imported to load (\S+)", reason)
    pickled = _pickled(path)
    if pickled.whole and pickled.protocol > 3:
        code = "import sys, torch; torch.save(torch.load(sys.argv[1], weights_only=False), 'G.pth')"
        return (
            f"{path} was saved with pickle_protocol={pickled.protocol}, which PyTorch only reads by running it: if you "
            f"trust it, {python_command(code, path)}, and import G.pth"
        )
    if names is None:
        return _torn(path, reason.partition("WeightsUnpickler error:")[2] or reason)
    wanted = names[1] or names[2]
    fix = "in the project that wrote it, save the network's state_dict() alone"
    if pickled.holds("torch.nn.modules"):
        return f"{path} is a whole pickled module, which only opens by running code ({wanted}): {fix}"
    return f"{path} holds more than tensors, and opening it would run code ({wanted}): {fix}"


def _torn(path: Path, reason: str) -> str:
    first = next((line.strip() for line in reason.splitlines() if line.strip()), "").split(". ")[0]
    return f"{path} is truncated, or not a file that torch.save wrote ({first}): copy or download it again"


def _pickled(path: Path) -> Pickled:
    """The instructions of what ``torch.save`` wrote."""
    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                inside = next(name for name in archive.namelist() if name.endswith("data.pkl"))
                with archive.open(inside) as file:
                    return read_pickle(file)
        with path.open("rb") as file:
            return read_pickle(file, parts=TORCH_PICKLES)
    except (zipfile.BadZipFile, StopIteration):  # what PyTorch takes need not be an archive to others
        return Pickled(protocol=0, names=(), whole=False)


# What is in them


def _states(content: Any, where: str = "", depth: int = DEEPEST) -> Iterator[tuple[str, dict[str, Tensor]]]:
    """The dicts of tensors by names, within dicts too, but for an optimizer's."""
    if not isinstance(content, Mapping) or _is_optimizer(content) or not depth:
        return
    tensors = {key: value for key, value in content.items() if isinstance(key, str) and isinstance(value, Tensor)}
    if tensors:
        yield where, tensors
    for key, value in content.items():
        if isinstance(key, str):
            yield from _states(value, f"{where}.{key}" if where else key, depth - 1)


def _is_optimizer(content: Any) -> bool:
    return isinstance(content, Mapping) and {"state", "param_groups"} <= content.keys()


def _has_optimizer(content: Any, depth: int = DEEPEST) -> bool:
    if not isinstance(content, Mapping) or not depth:
        return False
    return _is_optimizer(content) or any(_has_optimizer(value, depth - 1) for value in content.values())


def _some(names: Any) -> str:
    listed = [str(name) for name in names]
    return (", ".join(listed[:3]) or "nothing") + (", ..." if len(listed) > 3 else "")
