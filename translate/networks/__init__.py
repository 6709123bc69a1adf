"""Blocks wired into networks, each built from one frozen configuration."""

from __future__ import annotations

from typing import Any, overload

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from translate.config.networks import (
    AnomalyNetworkConfig,
    ClassifierNetworkConfig,
    ConditionalResNetConfig,
    ConvAutoencoderConfig,
    ConvGeneratorConfig,
    DenseAutoencoderConfig,
    DenseGeneratorConfig,
    GeneratorConfig,
    LatentGeneratorConfig,
    NetworkConfig,
    PatchAnomalyConfig,
    PatchGANConfig,
    ResNetConfig,
    StyleGeneratorConfig,
    UNetConfig,
    VectorAutoencoderConfig,
    VQVAENetworkConfig,
)
from translate.networks.anomaly import AnomalyDetector, ReconstructionDetector
from translate.networks.autoencoder import Autoencoder, Code, ConvAutoencoder, DenseAutoencoder
from translate.networks.classifier import Classifier
from translate.networks.code_prior import CodePrior
from translate.networks.conditional_resnet import ConditionalResNet
from translate.networks.efficientnet import EfficientNetLite0
from translate.networks.gan import (
    ConvDiscriminator,
    ConvGenerator,
    DenseDiscriminator,
    DenseGenerator,
    Discriminator,
    LatentGenerator,
)
from translate.networks.generator import Generator
from translate.networks.initialise import initialise
from translate.networks.patch_anomaly import PatchDetector
from translate.networks.patch_heads import PatchHeads, draw_places
from translate.networks.patchgan import PatchGANDiscriminator, PatchOutput
from translate.networks.resnet import ResNetGenerator
from translate.networks.style_encoder import StyleEncoder
from translate.networks.stylegan import StyleDiscriminator, StyleGenerator
from translate.networks.unet import UNetGenerator
from translate.networks.vqvae import Codec, VQVAENetwork


@overload
def build_network(config: GeneratorConfig) -> Generator: ...
@overload
def build_network(config: ConditionalResNetConfig) -> ConditionalResNet: ...
@overload
def build_network(config: PatchGANConfig) -> PatchGANDiscriminator: ...
@overload
def build_network(config: ClassifierNetworkConfig) -> Classifier: ...
@overload
def build_network(config: VectorAutoencoderConfig) -> Autoencoder: ...
@overload
def build_network(config: VQVAENetworkConfig) -> VQVAENetwork: ...
@overload
def build_network(config: LatentGeneratorConfig) -> LatentGenerator: ...
@overload
def build_network(config: NetworkConfig) -> nn.Module: ...
def build_network(config: NetworkConfig) -> nn.Module:
    """The network that a configuration describes, with PyTorch's own initial weights."""
    match config:
        case ResNetConfig():
            return ResNetGenerator(config)
        case ConditionalResNetConfig():
            return ConditionalResNet(config)
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
            return ReconstructionDetector(config)
        case PatchAnomalyConfig():
            return PatchDetector(config)
        case DenseGeneratorConfig():
            return DenseGenerator(config)
        case ConvGeneratorConfig():
            return ConvGenerator(config)
        case StyleGeneratorConfig():
            return StyleGenerator(config)


class _Undrawn(TorchFunctionMode):
    """Leaves out what `torch.nn.init` and `torch.randn` draw, and that it is scaled."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is torch.randn:
            return torch.empty(*args, **(kwargs or {}))
        if func is torch.Tensor.div_ or getattr(func, "__module__", "") == nn.init.__name__:
            return args[0] if args else (kwargs or {})["tensor"]
        return func(*args, **(kwargs or {}))


def blank_network(config: NetworkConfig) -> nn.Module:
    """As `build_network`, on the meta device: names and shapes without values.

    Nothing is drawn: on that device PyTorch draws, and divides, through Python code that imports its compiler or the
    algebra of that, which takes seconds.
    """
    with torch.device("meta"), _Undrawn():
        return build_network(config)


def example_inputs(
    config: NetworkConfig, *, height: int, width: int, generator: torch.Generator | None = None
) -> tuple[Tensor, ...]:
    """What a network takes, drawn by chance: an image [1, C, height, width] in [-1, 1], or latents and a class.

    On the device that is the default, such as ``with torch.device("meta")``.
    """
    if isinstance(config, LatentGeneratorConfig):
        latents = torch.randn(1, config.latent, generator=generator)
        return (latents, torch.zeros(1, dtype=torch.int64)) if config.num_classes else (latents,)
    images = torch.rand(1, config.in_channels, height, width, generator=generator)
    return (images.mul_(2).sub_(1),)  # in place: on the meta device a product would import PyTorch's compiler


__all__ = [
    "AnomalyDetector",
    "Autoencoder",
    "Classifier",
    "Code",
    "CodePrior",
    "Codec",
    "ConditionalResNet",
    "ConvAutoencoder",
    "ConvDiscriminator",
    "ConvGenerator",
    "DenseAutoencoder",
    "DenseDiscriminator",
    "DenseGenerator",
    "Discriminator",
    "EfficientNetLite0",
    "Generator",
    "LatentGenerator",
    "PatchDetector",
    "PatchGANDiscriminator",
    "PatchHeads",
    "PatchOutput",
    "ReconstructionDetector",
    "ResNetGenerator",
    "StyleDiscriminator",
    "StyleEncoder",
    "StyleGenerator",
    "UNetGenerator",
    "VQVAENetwork",
    "blank_network",
    "build_network",
    "draw_places",
    "example_inputs",
    "initialise",
]
