"""The classifier: shapes, sizes, saving, and that it learns."""

import pytest
import torch

from translate.checkpoint import load_weights, save_weights
from translate.config import ClassifierNetworkConfig, ConfigError, WeightsConfig, from_dict, to_dict
from translate.inference import InferenceError, Translator
from translate.inference.describe import describe
from translate.networks import Classifier, build_network, initialise

TINY = ClassifierNetworkConfig(width=4, num_features=8, size=32)


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed)) * 2 - 1


@pytest.mark.parametrize("norm", ["instance", "batch", "group", "none"])
@pytest.mark.parametrize(("channels", "classes"), [(1, 2), (3, 10)])
@pytest.mark.parametrize("size", [(32, 32), (1, 1), (45, 70)])
def test_any_size_becomes_logits_and_features(norm, channels, classes, size):
    config = ClassifierNetworkConfig(in_channels=channels, num_classes=classes, width=4, num_features=8, norm=norm)
    network = build_network(config).eval()
    assert isinstance(network, Classifier)
    images = noise(3, channels, *size)
    assert network(images).shape == (3, classes)
    features = network.features(images)
    assert features.shape == (3, 8)
    assert (features >= 0).all()
    torch.testing.assert_close(network.head(features), network(images))


def test_other_sizes_are_squeezed_with_an_anti_aliased_filter():
    network = initialise(build_network(TINY), kind="kaiming").eval()
    images = noise(2, 3, 96, 64)
    small = torch.nn.functional.interpolate(images, (32, 32), mode="bilinear", antialias=True)
    assert torch.equal(network(images), network(small))
    assert not torch.equal(network(images), network(images[..., ::3, ::2]))


def test_images_do_not_see_each_other_in_evaluation():
    network = initialise(build_network(TINY), kind="kaiming").eval()
    images = noise(4, 3, 32, 32)
    torch.testing.assert_close(network(images), torch.cat([network(image) for image in images.split(1)]))


def test_it_opens_again_and_describes_itself(tmp_path):
    torch.manual_seed(0)
    network = build_network(TINY).eval()
    config = WeightsConfig(kind="classifier", name="seasons", network=TINY, classes=("summer", "winter"))
    save_weights(network, config, tmp_path)
    opened, said = load_weights(tmp_path)
    assert said == config
    images = noise(2, 3, 40, 40)
    assert torch.equal(opened(images), network(images))
    assert describe(tmp_path).parameters == sum(parameter.numel() for parameter in network.parameters())
    with pytest.raises(InferenceError, match="'seasons' holds a classifier"):
        Translator(opened, said)
    assert from_dict(ClassifierNetworkConfig, to_dict(TINY)) == TINY
    with pytest.raises(ConfigError, match="num_classes"):
        from_dict(ClassifierNetworkConfig, {**to_dict(TINY), "num_classes": 1})


def test_it_learns_to_tell_bright_from_dark():
    torch.manual_seed(0)
    network = initialise(build_network(TINY), kind="kaiming").train()
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-2)
    labels = torch.arange(16) % 2
    for step in range(25):
        images = noise(16, 3, 32, 32, seed=step) * 0.5 + (labels * 0.6 - 0.3).view(-1, 1, 1, 1)
        loss = torch.nn.functional.cross_entropy(network(images), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    images = noise(16, 3, 50, 40, seed=100) * 0.5 + (labels * 0.6 - 0.3).view(-1, 1, 1, 1)
    assert torch.equal(network.eval()(images).argmax(dim=1), labels)
