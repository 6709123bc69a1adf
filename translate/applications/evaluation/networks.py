"""Networks whose weights a user has as files: for distances between sets of images, and LPIPS."""

from __future__ import annotations

from pathlib import Path

import torch

from translate.checkpoint.files import WeightsError
from translate.checkpoint.peers.reading import read_states
from translate.checkpoint.pretrained import pretrained_file, pretrained_tensors
from translate.config.base import ConfigError
from translate.metrics import LPIPS
from translate.networks.efficientnet import EfficientNetLite0
from translate.networks.features import FeatureNetwork, FeaturesError, feature_network


def named_features(given: str) -> tuple[str, Path]:
    """``efficientnet_lite0`` or ``NAME=FILE`` as a network and the file of its weights.

    Raises:
        ConfigError: another form, or the package of EfficientNet-Lite0 is not installed.
    """
    if given == EfficientNetLite0.name:
        return given, pretrained_file()
    name, equals, path = given.partition("=")
    if not (name and equals and path):
        raise ConfigError(
            f"{given}: give the network and its weights file, such as inception_v3=inception_v3.pth; or "
            f"{EfficientNetLite0.name}, which needs no file"
        )
    return name, Path(path)


def open_features(name: str, path: Path, *, device: torch.device) -> FeatureNetwork:
    """A network with the weights of a file.

    Raises:
        WeightsError: the file cannot be opened, or holds more than tensors.
        FeaturesError: it is not that network's; the message names the file.
    """
    try:
        own = name == EfficientNetLite0.name and path == pretrained_file()
        return feature_network(name, pretrained_tensors() if own else _tensors(path)).to(device)
    except FeaturesError as error:
        raise FeaturesError(f"{path}: {error}") from None


def open_lpips(backbone: Path, heads: Path, *, device: torch.device) -> LPIPS:
    """LPIPS with the weights of two files: torchvision's backbone, and the authors' heads.

    Raises:
        WeightsError, FeaturesError: as `open_features`.
    """
    try:
        return LPIPS(_tensors(backbone), _tensors(heads)).to(device)
    except FeaturesError as error:
        raise FeaturesError(f"{backbone} and {heads}: {error}") from None


def _tensors(path: Path) -> dict[str, torch.Tensor]:
    """The one network in a file of another project."""
    states = read_states(path)
    if len(states) > 1:
        raise WeightsError(f"{path} holds several networks, {', '.join(states)}: save the one to use in its own file")
    (tensors,) = states.values()
    return {key.removeprefix("module."): tensor for key, tensor in tensors.items()}
