"""LPIPS with random backbones and the authors' heads, against torchmetrics; no weights are downloaded."""

import re
from pathlib import Path

import pytest
import torch

from translate.metrics import LPIPS
from translate.networks.features import FeaturesError

NAMES = {"alex": "alexnet", "squeeze": "squeezenet1_1"}  # VGG-16 is as the others, and slow to build


@pytest.fixture(scope="module")
def parts():
    """``parts("alex")``: torchmetrics' LPIPS with random weights, its backbone's tensors under torchvision's names, and
    the heads that the authors publish, which torchmetrics carries."""
    module = pytest.importorskip("torchmetrics.functional.image.lpips")

    def make(net):
        torch.manual_seed(0)
        reference = module._LPIPS(pretrained=True, net=net, pnet_rand=True)
        named = reference.net.state_dict().items()
        backbone = {re.sub(r"^slices?\.?\d+\.", "features.", key): value for key, value in named}
        file = Path(module.__file__).parent / "lpips_models" / f"{net}.pth"
        return reference, backbone, torch.load(file, map_location="cpu", weights_only=True)

    return make


@pytest.fixture
def pair():
    """Three images and noisier and noisier versions of them."""
    generator = torch.Generator().manual_seed(0)
    target = torch.rand(3, 3, 70, 64, generator=generator)
    strength = torch.tensor([0.02, 0.1, 0.5]).view(-1, 1, 1, 1)
    return (target + strength * torch.randn(target.shape, generator=generator)).clamp(0, 1), target


@pytest.mark.parametrize("net", NAMES)
def test_against_torchmetrics(net, parts, pair):
    reference, backbone, heads = parts(net)
    metric = LPIPS(backbone, heads)
    assert metric.name == NAMES[net]
    with torch.no_grad():
        expected = reference(*pair, normalize=True).flatten()
    values = metric(*pair)
    torch.testing.assert_close(values, expected, rtol=1e-4, atol=1e-6)
    assert (values.diff() > 0).all()
    torch.testing.assert_close(metric(pair[1], pair[1]), torch.zeros(3))


def test_values_of_a_batch_are_those_of_its_images(parts, pair):
    _, backbone, heads = parts("alex")
    metric = LPIPS(backbone, heads)
    one_by_one = torch.cat([metric(p[None], t[None]) for p, t in zip(*pair, strict=True)])
    torch.testing.assert_close(metric(*pair), one_by_one)
    grey = [images[:, :1] for images in pair]
    torch.testing.assert_close(metric(*grey), metric(*[images.expand(-1, 3, -1, -1) for images in grey]))
    torch.testing.assert_close(metric(*[images * 255 for images in pair], data_range=255), one_by_one)


def test_refuses_other_files(parts):
    _, backbone, heads = parts("alex")
    with pytest.raises(FeaturesError, match=r"heads hold features.0.weight, .*: expected the LPIPS authors' v0.1 file"):
        LPIPS(heads, backbone)
    with pytest.raises(FeaturesError, match="heads hold nothing"):
        LPIPS(backbone, {})
    with pytest.raises(FeaturesError, match="are not those of torchvision's alexnet: 10 tensors are missing"):
        LPIPS({"weight": torch.zeros(1)}, heads)
    with pytest.raises(FeaturesError, match=r"features.0.weight is \[1\] where it has \[64, 3, 11, 11\]"):
        LPIPS({**backbone, "features.0.weight": torch.zeros(1)}, heads)
    with pytest.raises(ValueError, match="at least 32x32 pixels, got 31x40"):
        LPIPS(backbone, heads)(torch.zeros(1, 3, 31, 40), torch.zeros(1, 3, 31, 40))
