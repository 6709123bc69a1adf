"""``translate train METHOD DATA --out RUN``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from tyro.conf import OmitArgPrefixes, arg, subcommand

from translate.config.autoencoders import AutoencoderConfig, VAEConfig, VQVAEConfig
from translate.config.base import validate
from translate.config.classifiers import ImageClassifierConfig
from translate.config.gans import DCGANConfig, GANConfig, HingeConfig, WGANConfig, WGANGPConfig
from translate.config.style_transfer import StyleTransferConfig
from translate.config.stylegan import StyleGANConfig
from translate.config.training import CUTConfig, CycleGANConfig, FastCUTConfig, Pix2PixConfig, SegmentationConfig


@dataclass(frozen=True, kw_only=True)
class Train:
    """Train on your own folders."""

    method: Annotated[
        Annotated[OmitArgPrefixes[Pix2PixConfig], subcommand("pix2pix", description=Pix2PixConfig.__doc__)]
        | Annotated[OmitArgPrefixes[CycleGANConfig], subcommand("cyclegan", description=CycleGANConfig.__doc__)]
        | Annotated[OmitArgPrefixes[CUTConfig], subcommand("cut", description=CUTConfig.__doc__)]
        | Annotated[OmitArgPrefixes[FastCUTConfig], subcommand("fastcut", description=FastCUTConfig.__doc__)]
        | Annotated[OmitArgPrefixes[StyleTransferConfig], subcommand("style", description=StyleTransferConfig.__doc__)]
        | Annotated[OmitArgPrefixes[AutoencoderConfig], subcommand("ae", description=AutoencoderConfig.__doc__)]
        | Annotated[OmitArgPrefixes[VAEConfig], subcommand("vae", description=VAEConfig.__doc__)]
        | Annotated[OmitArgPrefixes[VQVAEConfig], subcommand("vqvae", description=VQVAEConfig.__doc__)]
        | Annotated[OmitArgPrefixes[GANConfig], subcommand("gan", description=GANConfig.__doc__)]
        | Annotated[OmitArgPrefixes[DCGANConfig], subcommand("dcgan", description=DCGANConfig.__doc__)]
        | Annotated[OmitArgPrefixes[WGANConfig], subcommand("wgan", description=WGANConfig.__doc__)]
        | Annotated[OmitArgPrefixes[WGANGPConfig], subcommand("wgan-gp", description=WGANGPConfig.__doc__)]
        | Annotated[OmitArgPrefixes[HingeConfig], subcommand("hinge", description=HingeConfig.__doc__)]
        | Annotated[OmitArgPrefixes[StyleGANConfig], subcommand("stylegan", description=StyleGANConfig.__doc__)]
        | Annotated[
            OmitArgPrefixes[ImageClassifierConfig],
            subcommand("classifier", description=ImageClassifierConfig.__doc__),
        ]
        | Annotated[
            OmitArgPrefixes[SegmentationConfig], subcommand("segmentation", description=SegmentationConfig.__doc__)
        ],
        arg(name=""),
    ]


def train(command: Train) -> int:
    validate(command.method)
    from translate.engine import train
    from translate.inference.files import names_a_file

    names_a_file(command.method.run.out, ())
    train(command.method)
    return 0
