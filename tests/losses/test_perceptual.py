"""Feature matching and perceptual distances against sums by hand."""

import pytest
import torch

from translate.losses import feature_matching_loss, perceptual_loss


def features(*, seed: int, dtype: torch.dtype = torch.float32) -> list[list[torch.Tensor]]:
    """Two scales of three layers, as a multi-scale PatchGAN gives them."""
    generator = torch.Generator().manual_seed(seed)
    return [
        [torch.randn(2, 2**i, size >> i, size >> i, generator=generator, dtype=dtype) for i in range(3)]
        for size in (8, 4)
    ]


def test_every_layer_counts_the_same():
    real = [torch.zeros(1, 1, 4, 4), torch.zeros(1, 8, 2, 2)]
    fake = [torch.full((1, 1, 4, 4), 1.0), torch.full((1, 8, 2, 2), -3.0)]
    assert feature_matching_loss(real, fake).item() == 2.0


def test_mean_over_layers_and_scales():
    real, fake = features(seed=0), features(seed=1)
    distances = [
        (x - y).abs().mean().item() for xs, ys in zip(real, fake, strict=True) for x, y in zip(xs, ys, strict=True)
    ]
    assert feature_matching_loss(real, fake).item() == pytest.approx(sum(distances) / 6, rel=1e-6)
    one_scale = sum(distances[:3]) / 3
    assert feature_matching_loss(real[0], fake[0]).item() == pytest.approx(one_scale, rel=1e-6)


def test_teaches_the_generator_only():
    real, fake = (torch.randn(1, 2, 3, 3, requires_grad=True) for _ in range(2))
    feature_matching_loss([real], [fake]).backward()
    assert real.grad is None
    torch.testing.assert_close(fake.grad, (fake - real).sign().detach() / fake.numel())


def test_gradcheck():
    real, fake = features(seed=2, dtype=torch.float64), features(seed=3, dtype=torch.float64)
    inputs = tuple(layer.requires_grad_() for layer in fake[1])
    assert torch.autograd.gradcheck(lambda *layers: feature_matching_loss(real[1], layers), inputs)


def test_half_features_give_float32():
    real, fake = features(seed=0, dtype=torch.bfloat16), features(seed=1, dtype=torch.bfloat16)
    value = feature_matching_loss(real, fake)
    assert value.dtype == torch.float32
    raised = [[[layer.float() for layer in scale] for scale in both] for both in (real, fake)]
    assert torch.equal(value, feature_matching_loss(*raised))


def test_refuses_what_does_not_match():
    layer = torch.zeros(1, 1, 2, 2)
    for empty in ([], [[]]):
        with pytest.raises(ValueError, match="no features"):
            feature_matching_loss(empty, empty)
    with pytest.raises(ValueError, match=r"real \[2\], fake \[1\]"):
        feature_matching_loss([layer, layer], [layer])
    with pytest.raises(ValueError, match=r"real \[1, 1\], fake \[2\]"):
        feature_matching_loss([[layer], [layer]], [layer, layer])
    with pytest.raises(ValueError, match="same shape"):
        feature_matching_loss([layer], [torch.zeros(1, 1, 1, 1)])


def test_perceptual_distances_are_relative_and_of_layers_alike():
    target = [torch.full((1, 2, 4, 4), 2.0), torch.full((1, 3, 2, 2), -0.5)]
    made = [torch.full((1, 2, 4, 4), 3.0), torch.full((1, 3, 2, 2), -0.75)]
    assert perceptual_loss(made, target).item() == pytest.approx(0.5)
    assert perceptual_loss([10 * layer for layer in made], [10 * layer for layer in target]).item() == pytest.approx(
        0.5
    )
    assert perceptual_loss(target, target).item() == 0


def test_perceptual_loss_teaches_the_output_only():
    made, target = (torch.randn(1, 2, 3, 3, requires_grad=True) for _ in range(2))
    perceptual_loss([made], [target]).backward()
    assert target.grad is None
    assert made.grad.abs().min() > 0


def test_perceptual_layers_must_meet():
    layer = torch.ones(1, 1, 2, 2)
    with pytest.raises(ValueError, match="equal numbers of layers"):
        perceptual_loss([layer], [layer, layer])
    with pytest.raises(ValueError, match="at least one"):
        perceptual_loss([], [])
    with pytest.raises(ValueError, match="shape"):
        perceptual_loss([layer], [torch.ones(1, 1, 4, 4)])
