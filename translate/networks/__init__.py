"""Blocks wired into networks, each built from one frozen configuration."""

from __future__ import annotations

from torch import nn

from translate.config.networks import NetworkConfig, PatchGANConfig, ResNetConfig, UNetConfig
from translate.networks.initialise import initialise
from translate.networks.patchgan import PatchGANDiscriminator, PatchOutput
from translate.networks.resnet import ResNetGenerator
from translate.networks.unet import UNetGenerator


def build_network(config: NetworkConfig) -> nn.Module:
    """The network that a configuration describes, with PyTorch's own initial weights."""
    match config:
        case ResNetConfig():
            return ResNetGenerator(config)
        case UNetConfig():
            return UNetGenerator(config)
        case PatchGANConfig():
            return PatchGANDiscriminator(config)


__all__ = [
    "PatchGANDiscriminator",
    "PatchOutput",
    "ResNetGenerator",
    "UNetGenerator",
    "build_network",
    "initialise",
]
