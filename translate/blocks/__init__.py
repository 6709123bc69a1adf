"""The vocabulary: what networks are composed of."""

from translate.blocks.conv import ConvBlock, leaky_relu, relu
from translate.blocks.norm import NormLayer, norm_layer
from translate.blocks.patch import patch_stage, receptive_field
from translate.blocks.resample import BlurPool, blur_after, downsample, upsample
from translate.blocks.residual import ResidualBlock
from translate.blocks.unet import UNetDown, UNetUp

__all__ = [
    "BlurPool",
    "ConvBlock",
    "NormLayer",
    "ResidualBlock",
    "UNetDown",
    "UNetUp",
    "blur_after",
    "downsample",
    "leaky_relu",
    "norm_layer",
    "patch_stage",
    "receptive_field",
    "relu",
    "upsample",
]
