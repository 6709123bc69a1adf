"""Blocks wired into networks, each built from one frozen configuration."""

from __future__ import annotations

from typing import overload

from torch import nn

from translate.config.networks import (
    AnomalyNetworkConfig,
    ClassifierNetworkConfig,
    ConvAutoencoderConfig,
    DenseAutoencoderConfig,
    GeneratorConfig,
    NetworkConfig,
    PatchGANConfig,
    ResNetConfig,
    UNetConfig,
    VectorAutoencoderConfig,
    VQVAENetworkConfig,
)
from translate.networks.anomaly import AnomalyDetector
from translate.networks.autoencoder import Autoencoder, Code, ConvAutoencoder, DenseAutoencoder
from translate.networks.classifier import Classifier
from translate.networks.code_prior import CodePrior
from translate.networks.generator import Generator
from translate.networks.initialise import initialise
from translate.networks.patch_heads import PatchHeads, draw_places
from translate.networks.patchgan import PatchGANDiscriminator, PatchOutput
from translate.networks.resnet import ResNetGenerator
from translate.networks.unet import UNetGenerator
from translate.networks.vqvae import Codec, VQVAENetwork


@overload
def build_network(config: GeneratorConfig) -> Generator: ...
@overload
def build_network(config: PatchGANConfig) -> PatchGANDiscriminator: ...
@overload
def build_network(config: ClassifierNetworkConfig) -> Classifier: ...
@overload
def build_network(config: VectorAutoencoderConfig) -> Autoencoder: ...
@overload
def build_network(config: VQVAENetworkConfig) -> VQVAENetwork: ...
@overload
def build_network(config: NetworkConfig) -> nn.Module: ...
def build_network(config: NetworkConfig) -> nn.Module:
    """The network that a configuration describes, with PyTorch's own initial weights."""
    match config:
        case ResNetConfig():
            return ResNetGenerator(config)
        case UNetConfig():
            return UNetGenerator(config)
        case PatchGANConfig():
            return PatchGANDiscriminator(config)
        case ClassifierNetworkConfig():
            return Classifier(config)
        case DenseAutoencoderConfig():
            return DenseAutoencoder(config)
        case ConvAutoencoderConfig():
            return ConvAutoencoder(config)
        case VQVAENetworkConfig():
            return VQVAENetwork(config)
        case AnomalyNetworkConfig():
            return AnomalyDetector(config)


__all__ = [
    "AnomalyDetector",
    "Autoencoder",
    "Classifier",
    "Code",
    "CodePrior",
    "Codec",
    "ConvAutoencoder",
    "DenseAutoencoder",
    "Generator",
    "PatchGANDiscriminator",
    "PatchHeads",
    "PatchOutput",
    "ResNetGenerator",
    "UNetGenerator",
    "VQVAENetwork",
    "build_network",
    "draw_places",
    "initialise",
]
