"""PatchGAN discriminator (Isola et al., 2017), at one or several scales (pix2pixHD, Wang et al., 2018).

Three strided layers see 70x70 pixels, the paper's default. Scales see the image at full, half, quarter ... resolution.
Shapes: N batch, C channels, H height, W width.
"""

from __future__ import annotations

from typing import NamedTuple

import torch.nn.functional as F
from torch import Tensor, nn

from translate.blocks.norm import norm_layer
from translate.blocks.patch import patch_stage, receptive_field
from translate.config.networks import PatchGANConfig


class PatchOutput(NamedTuple):
    """What a PatchGAN says of a batch; one entry a scale, from the finest."""

    logits: list[Tensor]
    """[N, 1, h, w] each: positive for real."""
    features: list[list[Tensor]]
    """The outputs of every stage before the logits."""


class PatchGANDiscriminator(nn.Module):
    """Images in, logits for overlapping patches out.

    Args:
        config: What it is made of.
    """

    def __init__(self, config: PatchGANConfig) -> None:
        super().__init__()
        self.config = config
        self.scales = nn.ModuleList(self._stages(config) for _ in range(config.num_scales))
        self.receptive_field = receptive_field(self.scales[0])
        """Side in pixels of the patch that a logit of the finest scale sees."""

    @staticmethod
    def _stages(config: PatchGANConfig) -> nn.ModuleList:
        norm, width = norm_layer(config.norm), config.width
        if config.num_layers == 0:
            return nn.ModuleList(
                [
                    patch_stage(config.in_channels, width, stride=1, norm_layer=None, kernel_size=1),
                    patch_stage(width, 2 * width, stride=1, norm_layer=norm, kernel_size=1),
                    patch_stage(2 * width, 1, stride=1, norm_layer=None, kernel_size=1, activate=False),
                ]
            )
        down = config.downsampling
        stages = [patch_stage(config.in_channels, width, stride=2, norm_layer=None, downsampling=down)]
        channels = width
        for layer in range(1, config.num_layers + 1):
            wider = width * min(2**layer, 8)
            stride = 1 if layer == config.num_layers else 2
            stages.append(patch_stage(channels, wider, stride=stride, norm_layer=norm, downsampling=down))
            channels = wider
        stages.append(patch_stage(channels, 1, stride=1, norm_layer=None, activate=False))
        return nn.ModuleList(stages)

    @property
    def minimum_size(self) -> int:
        """The least H and W that leave every scale a logit, and every instance norm more than one value."""
        # Each stride-1 stage with a 4x4 kernel takes one pixel: the last norm needs 2x2 after the first of them.
        if self.config.num_layers == 0:
            return 2
        return 3 * 2 ** (self.config.num_layers + self.config.num_scales - 1)

    def forward(self, images: Tensor) -> PatchOutput:
        """Args: images: [N, C, H, W], H and W of at least ``minimum_size``."""
        logits, features = [], []
        for scale, stages in enumerate(self.scales):
            assert isinstance(stages, nn.ModuleList)
            x = images if scale == 0 else F.avg_pool2d(images, 3, stride=2, padding=1, count_include_pad=False)
            images, found = x, []
            for stage in stages:
                x = stage(x)
                found.append(x)
            logits.append(found.pop())
            features.append(found)
        return PatchOutput(logits, features)
