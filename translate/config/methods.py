"""All methods' configurations; the command line and `translate.recipes.open_recipe` name each once more."""

from __future__ import annotations

from translate.config.autoencoders import AutoencoderConfig, VAEConfig, VQVAEConfig
from translate.config.classifiers import ImageClassifierConfig
from translate.config.gans import DCGANConfig, GANConfig, HingeConfig, WGANConfig, WGANGPConfig
from translate.config.stylegan import StyleGANConfig
from translate.config.training import (
    ClassifierConfig,
    CUTConfig,
    CycleGANConfig,
    FastCUTConfig,
    Pix2PixConfig,
    SegmentationConfig,
)

TrainConfig = (
    Pix2PixConfig
    | CycleGANConfig
    | CUTConfig
    | FastCUTConfig
    | AutoencoderConfig
    | VAEConfig
    | VQVAEConfig
    | GANConfig
    | DCGANConfig
    | WGANConfig
    | WGANGPConfig
    | HingeConfig
    | StyleGANConfig
    | SegmentationConfig
    | ClassifierConfig
    | ImageClassifierConfig
)
