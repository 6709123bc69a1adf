"""A small classifier of whole images; what it sees before it decides describes them.

Four strided 3x3 convolutions, a 1x1 convolution, the mean over all places, a linear layer. Small and low in resolution
on purpose: it learns from hundreds of images in a minute or two on a CPU, and does not see the fine texture by which
generated images differ from photos. Shapes: N batch, C channels, H height, W width, D features, K classes.
"""

from __future__ import annotations

from itertools import pairwise

import torch.nn.functional as F
from torch import Tensor, nn

from translate.blocks.conv import ConvBlock, relu
from translate.blocks.norm import norm_layer
from translate.config.networks import ClassifierNetworkConfig


class Classifier(nn.Module):
    """Images of any size in, logits of their classes out.

    Args:
        config: What it is made of.
    """

    def __init__(self, config: ClassifierNetworkConfig) -> None:
        super().__init__()
        self.config = config
        norm, width = norm_layer(config.norm), config.width
        channels = (config.in_channels, width, 2 * width, 4 * width, 4 * width)
        self.stages = nn.Sequential(
            *[ConvBlock(wide, wider, stride=2, norm_layer=norm, activation=relu) for wide, wider in pairwise(channels)],
            ConvBlock(channels[-1], config.num_features, kernel_size=1, norm_layer=norm, activation=relu),
        )
        self.dropout = nn.Dropout(config.dropout)
        self.head = nn.Linear(config.num_features, config.num_classes)

    def features(self, images: Tensor) -> Tensor:
        """What describes each image: [N, C, H, W] in [-1, 1] -> [N, D], none negative."""
        size = (self.config.size, self.config.size)
        if images.shape[-2:] != size:
            images = F.interpolate(images.float(), size, mode="bilinear", antialias=True)
        return self.stages(images).mean(dim=(2, 3))

    def forward(self, images: Tensor) -> Tensor:
        """Args: images: [N, C, H, W] in [-1, 1]. Returns: logits [N, K]."""
        return self.head(self.dropout(self.features(images)))
