"""Learned perceptual distance of images (LPIPS)."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from translate.metrics.images import checked_pair
from translate.networks.features import BACKBONES, BackboneLayers, FeaturesError


class LPIPS(nn.Module):
    """Distance of images in the features of a network, weighted to agree with what people see.

        sum_k mean_hw w_k . (f_k(p) / |f_k(p)| - f_k(t) / |f_k(t)|)^2

    over the layers k, with the features of each pixel scaled to length one over the channels.
    Source: Zhang et al. 2018, "The unreasonable effectiveness of deep features as a perceptual metric", eq. 1; the
    weights are the ``v0.1`` heads that the authors publish (``alex.pth``, ``vgg.pth``, ``squeeze.pth``).

    Args:
        backbone: The tensors of torchvision's network trained on ImageNet; of it, ``features`` alone.
        heads: The tensors of the authors' file, ``lin0.model.1.weight`` and so on; their shapes name the backbone.

    Attributes:
        name: Of the backbone.

    Raises:
        FeaturesError: the heads are not the authors', or the backbone is not the one that they belong to.
    """

    def __init__(self, backbone: Mapping[str, Tensor], heads: Mapping[str, Tensor]) -> None:
        super().__init__()
        weights = [heads[key] for key in (f"lin{k}.model.1.weight" for k in range(len(heads))) if key in heads]
        shapes = [tuple(weight.shape) for weight in weights]
        names = [name for name, (_, channels) in BACKBONES.items() if shapes == [(1, c, 1, 1) for c in channels]]
        if not names or len(weights) != len(heads):
            some = ", ".join(list(heads)[:3]) or "nothing"
            raise FeaturesError(
                f"the heads hold {some}: expected the LPIPS authors' v0.1 file, lin0.model.1.weight and so on"
            )
        self.name = names[0]
        self.layers = BackboneLayers(self.name, backbone)
        self.heads = nn.ParameterList(weight.float() for weight in weights)
        self.eval().requires_grad_(False)

    @torch.inference_mode()
    def forward(self, prediction: Tensor, target: Tensor, *, data_range: float = 1.0) -> Tensor:
        """The distance of each image from its target, [N]; 0 for equal images.

        Args:
            prediction: images [N, 1 or 3, H, W] with values in [0, data_range], at least 32 pixels high and wide.
            target: images of the same shape and range.
            data_range: the value of white.

        Raises:
            ValueError: shapes or values are not as described, or the images are too small.
        """
        pair = checked_pair(prediction, target, data_range=data_range)
        height, width = pair[0].shape[-2:]
        if min(height, width) < 32:
            raise ValueError(f"LPIPS needs images of at least 32x32 pixels, got {height}x{width}")
        with torch.autocast(pair[0].device.type, enabled=False):
            maps = [[_unit(x) for x in self.layers(images.float() * 2 - 1)] for images in pair]
            return torch.stack(
                [
                    ((p - t).square() * head).sum(dim=1).mean(dim=(1, 2))
                    for p, t, head in zip(*maps, self.heads, strict=True)
                ]
            ).sum(dim=0)


def _unit(features: Tensor) -> Tensor:
    """Each pixel's features scaled to length one; 1e-10, the authors', keeps pixels without any at zero."""
    return features / (torch.linalg.vector_norm(features, dim=1, keepdim=True) + 1e-10)
