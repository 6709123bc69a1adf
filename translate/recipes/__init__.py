"""Training methods, one file each; the table below is all that names them."""

from __future__ import annotations

from pathlib import Path

from translate.config.autoencoders import AutoencoderConfig, VAEConfig, VQVAEConfig
from translate.config.classifiers import ImageClassifierConfig
from translate.config.gans import GANConfig
from translate.config.methods import TrainConfig
from translate.config.style_transfer import StyleTransferConfig
from translate.config.stylegan import StyleGANConfig
from translate.config.training import (
    ClassifierConfig,
    CUTConfig,
    CycleGANConfig,
    Pix2PixConfig,
    SegmentationConfig,
)
from translate.data.derived import DerivedPairs
from translate.data.image_set import ImageSet
from translate.data.paired import PairedImages
from translate.data.unpaired import UnpairedImages
from translate.recipes.autoencoder import AE
from translate.recipes.base import Progress, Recipe, TrainingData, Update
from translate.recipes.classifier import Classification
from translate.recipes.cut import CUT
from translate.recipes.cyclegan import CycleGAN
from translate.recipes.gan import GAN
from translate.recipes.image_classifier import ImageClassification
from translate.recipes.pix2pix import Pix2Pix
from translate.recipes.segmentation import Segmentation
from translate.recipes.style_transfer import StyleTransfer
from translate.recipes.stylegan import StyleGAN
from translate.recipes.vae import VAE
from translate.recipes.vqvae import VQVAE


def open_recipe(
    config: TrainConfig, *, cache: Path | None = None
) -> tuple[Recipe, PairedImages | DerivedPairs | UnpairedImages | ImageSet]:
    """The recipe that a configuration names, and its data.

    Raises:
        LayoutError, ConfigError: the data or the configuration will not do; the message says why and what to change.
    """
    match config:
        case Pix2PixConfig():
            pairs = (
                PairedImages(config.data, cache=cache)
                if config.derive is None
                else DerivedPairs(config.data, config.derive, cache=cache)
            )
            return Pix2Pix(config, pairs), pairs
        case CycleGANConfig():  # without an identity, each domain may keep its channels
            alike = config.identity_weight > 0 or config.residual
            domains = UnpairedImages(config.data, cache=cache, alike=alike)
            return CycleGAN(config, domains), domains
        case CUTConfig():  # FastCUT too
            domains = UnpairedImages(config.data, cache=cache, alike=True)
            return CUT(config, domains), domains
        case AutoencoderConfig():
            images = ImageSet(config.data, cache=cache)
            return AE(config, images), images
        case VAEConfig():
            images = ImageSet(config.data, cache=cache, binarise=config.binarise == "once")
            return VAE(config, images), images
        case VQVAEConfig():
            images = ImageSet(config.data, cache=cache)
            return VQVAE(config, images), images
        case GANConfig():  # DCGAN, WGAN, WGAN-GP and hinge too
            images = ImageSet(config.data, cache=cache)
            return GAN(config, images), images
        case StyleTransferConfig():
            images = ImageSet(config.data, cache=cache)
            return StyleTransfer(config, images), images
        case StyleGANConfig():
            images = ImageSet(config.data, cache=cache)
            return StyleGAN(config, images), images
        case SegmentationConfig():
            labelled = PairedImages(config.data, cache=cache, nearest_target=True)
            return Segmentation(config, labelled), labelled
        case ImageClassifierConfig():
            images = ImageSet(config.data, cache=cache)
            return ImageClassification(config, images), images
        case ClassifierConfig():
            domains = UnpairedImages(config.data, cache=cache)
            return Classification(config, domains), domains


__all__ = [
    "AE",
    "CUT",
    "GAN",
    "VAE",
    "VQVAE",
    "Classification",
    "CycleGAN",
    "ImageClassification",
    "Pix2Pix",
    "Progress",
    "Recipe",
    "Segmentation",
    "StyleGAN",
    "StyleTransfer",
    "TrainingData",
    "Update",
    "open_recipe",
]
