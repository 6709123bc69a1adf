"""Feature networks are torchvision's, without their heads."""

import pytest
import torch

from translate.networks.features import FeaturesError, FIDInception, TorchvisionFeatures, feature_network

models = pytest.importorskip("torchvision.models")


def tensors_of(name: str, **options: object) -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    return models.get_model(name, weights=None, **options).state_dict()


@pytest.fixture
def images() -> torch.Tensor:
    return torch.rand(2, 3, 40, 52, generator=torch.Generator().manual_seed(0)) * 2 - 1


@pytest.mark.parametrize(
    ("name", "head", "width"),
    [("resnet18", "fc", 512), ("mobilenet_v3_small", "classifier.3", 1024), ("shufflenet_v2_x0_5", "fc", 1024)],
)
def test_features_are_what_the_head_sees(name, head, width, images):
    tensors = tensors_of(name)
    features = TorchvisionFeatures(name, tensors)
    assert (features.name, features.num_features, features.size) == (name, width, 224)
    network = models.get_model(name, weights=None).eval()
    network.load_state_dict(tensors)
    seen = []
    network.get_submodule(head).register_forward_pre_hook(lambda layer, given: seen.append(given[0]))
    preset = models.get_model_weights(name).DEFAULT.transforms()
    small = torch.nn.functional.interpolate(images, (224, 224), mode="bilinear", antialias=True)
    mean, deviation = (torch.tensor(values).view(1, 3, 1, 1) for values in (preset.mean, preset.std))
    with torch.no_grad():
        network(((small + 1) / 2 - mean) / deviation)
        torch.testing.assert_close(features(images), seen[0])


def test_inception_normalises_as_its_own_weights_want_it(images):
    tensors = tensors_of("inception_v3", init_weights=False, aux_logits=True)  # published files hold the side exit
    features = TorchvisionFeatures("inception_v3", tensors)
    assert (features.num_features, features.size) == (2048, 299)
    network = models.inception_v3(weights=None, init_weights=False, transform_input=True).eval()
    network.load_state_dict(tensors)
    network.fc = torch.nn.Identity()
    small = torch.nn.functional.interpolate(images, (299, 299), mode="bilinear", antialias=True)
    preset = models.Inception_V3_Weights.DEFAULT.transforms()
    mean, deviation = (torch.tensor(values).view(1, 3, 1, 1) for values in (preset.mean, preset.std))
    with torch.no_grad():
        torch.testing.assert_close(features(images), network(((small + 1) / 2 - mean) / deviation))


def test_the_published_fids_inception_pools_in_its_own_ways(images):
    torch.manual_seed(0)
    plain = models.Inception3(num_classes=1008, aux_logits=False, init_weights=False).eval()
    features = feature_network("inception_fid", plain.state_dict())
    assert isinstance(features, FIDInception)
    assert (features.num_features, features.size) == (2048, 299)
    with torch.no_grad():
        for block, width, channels in (("Mixed_5b", 192, 32), ("Mixed_6c", 768, 192), ("Mixed_7b", 1280, 192)):
            x = torch.rand(1, width, 9, 8)
            original, found = plain.get_submodule(block), features.network.get_submodule(block)(x)
            average = torch.nn.functional.avg_pool2d(x, 3, stride=1, padding=1, count_include_pad=False)
            torch.testing.assert_close(found[:, -channels:], original.branch_pool(average))
            torch.testing.assert_close(found[:, :-channels], original(x)[:, :-channels])
        x = torch.rand(1, 2048, 5, 4)
        maximum = torch.nn.functional.max_pool2d(x, 3, stride=1, padding=1)
        found = features.network.Mixed_7c(x)
        torch.testing.assert_close(found[:, -192:], plain.Mixed_7c.branch_pool(maximum))
        torch.testing.assert_close(found[:, :-192], plain.Mixed_7c(x)[:, :-192])
        assert features(images).shape == (2, 2048)
    fine = torch.ones(1, 3, 598, 598)
    fine[..., 1::2] = -1
    assert features.squeeze(fine).abs().max() < 0.01  # exactly between two pixels, as PyTorch aligns them
    fine[..., 2::3] = 1
    assert features.squeeze(fine).std() > feature_network("resnet18", tensors_of("resnet18")).squeeze(fine).std()
    with pytest.raises(FeaturesError, match="those of the published FID: name the network inception_fid"):
        feature_network("inception_v3", plain.state_dict())
    with pytest.raises(
        FeaturesError, match=r"not those of the published FID's Inception: .*fc.weight is \[1000, 2048\]"
    ):
        feature_network("inception_fid", tensors_of("inception_v3", init_weights=False, aux_logits=False))


def test_squeezenet_has_no_linear_head(images):
    features = TorchvisionFeatures("squeezenet1_1", tensors_of("squeezenet1_1"))
    assert features.num_features == 512
    assert features(images).shape == (2, 512)


def test_the_head_may_be_any_or_missing_and_grey_is_repeated(images):
    tensors = tensors_of("resnet18")
    features = TorchvisionFeatures("resnet18", tensors)
    ten = {**tensors, "fc.weight": torch.zeros(10, 512), "fc.bias": torch.zeros(10)}
    none = {key: value for key, value in tensors.items() if not key.startswith("fc.")}
    for other in (ten, none):
        assert torch.equal(TorchvisionFeatures("resnet18", other)(images), features(images))
    grey = images[:, :1]
    torch.testing.assert_close(features(grey), features(grey.expand(-1, 3, -1, -1)))
    assert not any(parameter.requires_grad for parameter in features.parameters())


def test_other_files_are_refused():
    with pytest.raises(FeaturesError, match="no classifier named 'resnet': did you mean resnet"):
        TorchvisionFeatures("resnet", {})
    with pytest.raises(FeaturesError, match="take one such as inception_v3"):
        TorchvisionFeatures("clip", {})
    with pytest.raises(FeaturesError, match=r"not those of torchvision.s resnet18: \d+ tensors are missing \(bn1"):
        TorchvisionFeatures("resnet18", {})
    tensors = tensors_of("resnet18")
    with pytest.raises(FeaturesError, match=r"conv1.weight is \[64, 1, 7, 7\] where it has \[64, 3, 7, 7\]"):
        TorchvisionFeatures("resnet18", {**tensors, "conv1.weight": torch.zeros(64, 1, 7, 7)})
    with pytest.raises(FeaturesError, match=r"1 do not belong to it \(extra\)"):
        TorchvisionFeatures("resnet18", {**tensors, "extra": torch.zeros(1)})
