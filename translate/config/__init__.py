"""Configurations: what networks are made of, what a run does, what a file of weights says of itself. No torch here."""

from translate.config.base import Config, ConfigError, differences, from_dict, to_dict, validate
from translate.config.networks import (
    GeneratorConfig,
    NetworkConfig,
    PatchGANConfig,
    ResNetConfig,
    UNetConfig,
    unet_depth,
)
from translate.config.training import DataConfig, Pix2PixConfig, RunConfig, SegmentationConfig, TrainConfig
from translate.config.weights import (
    FORMAT_VERSION,
    Domains,
    Preprocessing,
    TrainingRecord,
    WeightsConfig,
    weights_config,
)

__all__ = [
    "FORMAT_VERSION",
    "Config",
    "ConfigError",
    "DataConfig",
    "Domains",
    "GeneratorConfig",
    "NetworkConfig",
    "PatchGANConfig",
    "Pix2PixConfig",
    "Preprocessing",
    "ResNetConfig",
    "RunConfig",
    "SegmentationConfig",
    "TrainConfig",
    "TrainingRecord",
    "UNetConfig",
    "WeightsConfig",
    "differences",
    "from_dict",
    "to_dict",
    "unet_depth",
    "validate",
    "weights_config",
]
