"""R1 and the gradient penalty against analytic gradients, and differentiated twice."""

import pytest
import torch
from torch import Tensor, nn

from translate.losses import gradient_penalty, path_length_penalty, r1_penalty


def images(*, seed: int, num: int = 3, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.randn(num, 2, 3, 4, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def quadratic(x: Tensor, scale: Tensor | float = 1.0) -> Tensor:
    return scale * x.square().sum(dim=(1, 2, 3)) / 2  # gradient: scale * x


def smooth_critic(weight: Tensor, x: Tensor) -> Tensor:
    return torch.tanh(torch.nn.functional.conv2d(x, weight))  # patch logits, smooth enough to differentiate thrice


def test_r1_of_a_quadratic_is_the_squared_norm():
    real = images(seed=0).requires_grad_()
    penalty = r1_penalty(3 * quadratic(real), real)
    torch.testing.assert_close(penalty, 9 * real.detach().square().sum(dim=(1, 2, 3)).mean())


def test_r1_gradient_reaches_the_weights():
    real, scale = images(seed=0).requires_grad_(), torch.tensor(3.0, requires_grad=True)
    r1_penalty(quadratic(real, scale), real).backward()
    torch.testing.assert_close(scale.grad, 6 * real.detach().square().sum(dim=(1, 2, 3)).mean())


def test_r1_scores_an_image_by_the_mean_of_patches_and_scales():
    real = images(seed=1).requires_grad_()
    score = quadratic(real)
    patches = score.view(-1, 1, 1, 1).expand(-1, 1, 5, 5)
    expected = r1_penalty(score, real)
    torch.testing.assert_close(r1_penalty(patches, real), expected)
    torch.testing.assert_close(r1_penalty([patches, score.view(-1, 1)], real), expected)


def test_r1_equals_autograd_by_hand():
    weight, real = images(seed=2, num=1), images(seed=3).requires_grad_()
    total = 0.0
    for image in real.detach():
        single = image[None].clone().requires_grad_()
        (gradient,) = torch.autograd.grad(smooth_critic(weight[:, :, :2, :2], single).mean(), single)
        total += gradient.square().sum().item() / len(real)
    assert r1_penalty(smooth_critic(weight[:, :, :2, :2], real), real).item() == pytest.approx(total, rel=1e-5)


@pytest.mark.parametrize("check", [torch.autograd.gradcheck, torch.autograd.gradgradcheck])
def test_penalties_differentiate_with_respect_to_the_weights(check):
    weight = torch.randn(
        1, 2, 2, 2, generator=torch.Generator().manual_seed(4), dtype=torch.float64, requires_grad=True
    )
    real, fake = images(seed=5, num=2, dtype=torch.float64), images(seed=6, num=2, dtype=torch.float64)

    def r1(weight: Tensor) -> Tensor:
        leaf = real.clone().requires_grad_()
        return r1_penalty(smooth_critic(weight, leaf), leaf)

    def between(weight: Tensor) -> Tensor:
        draws = torch.Generator().manual_seed(7)  # the same epsilon at every evaluation
        return gradient_penalty(lambda x: smooth_critic(weight, x), real, fake, generator=draws)

    assert check(r1, (weight,))
    assert check(between, (weight,))


@pytest.mark.parametrize("centre", [1.0, 0.0])
def test_gradient_penalty_of_a_linear_critic(centre):
    direction = images(seed=8, num=1)
    direction /= direction.norm()
    for norm in (1.0, 4.0):
        penalty = gradient_penalty(
            lambda x, norm=norm: norm * (x * direction).sum(dim=(1, 2, 3)),
            images(seed=9),
            images(seed=10),
            centre=centre,
        )
        assert penalty.item() == pytest.approx((norm - centre) ** 2, abs=1e-5)


def test_gradient_penalty_draws_one_point_between_each_pair():
    seen = []
    real, fake = torch.zeros(64, 1, 2, 2), torch.ones(64, 1, 2, 2)

    def critic(x: Tensor) -> Tensor:
        seen.append(x.detach().clone())
        return quadratic(x)

    penalties = [
        gradient_penalty(critic, real, fake, generator=torch.Generator().manual_seed(seed)) for seed in (0, 0, 1)
    ]
    epsilon = torch.rand(64, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(seen[0], epsilon.view(-1, 1, 1, 1).expand_as(real))
    torch.testing.assert_close(penalties[0], (2 * epsilon - 1).square().mean())  # ||(e, e, e, e)|| = 2 e
    assert penalties[0] == penalties[1] != penalties[2]


def test_gradient_penalty_leaves_the_generator_alone():
    real, fake = images(seed=11), images(seed=12).requires_grad_()
    critic = nn.Conv2d(2, 1, 3)
    gradient_penalty(critic, real, fake).backward()
    assert fake.grad is None
    assert critic.weight.grad.abs().sum() > 0


def test_gradient_penalty_of_a_dead_critic_is_finite():
    weight = torch.zeros(1, 2, 2, 2, requires_grad=True)
    penalty = gradient_penalty(lambda x: torch.nn.functional.conv2d(x, weight), images(seed=1), images(seed=2))
    penalty.backward()
    assert penalty.item() == 1.0
    assert torch.isfinite(weight.grad).all()


def test_penalties_are_float32_for_half_images_and_under_autocast():
    critic = nn.Conv2d(2, 1, 3)
    real, fake = images(seed=13).bfloat16(), images(seed=14).bfloat16()
    draws = [torch.Generator().manual_seed(0) for _ in range(2)]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        lowered = gradient_penalty(critic, real, fake, generator=draws[0])
        half = real.clone().requires_grad_()
        r1 = r1_penalty(critic(half), half)
    assert lowered.dtype == r1.dtype == torch.float32
    assert torch.equal(lowered, gradient_penalty(critic, real.float(), fake.float(), generator=draws[1]))


def test_refuses_what_has_no_gradient():
    real = images(seed=15)
    with pytest.raises(ValueError, match="requires_grad_"):
        r1_penalty(quadratic(real), real)
    real.requires_grad_()
    with pytest.raises(ValueError, match="carry no graph"):
        r1_penalty(quadratic(real.detach()), real)
    with pytest.raises(ValueError, match="do not depend"):
        r1_penalty(quadratic(real.clone().detach().requires_grad_()), real)
    with pytest.raises(ValueError, match="no logits"):
        r1_penalty([], real)
    with pytest.raises(ValueError, match=r"\(3, 2, 3, 4\) and fake \(2, 2, 3, 4\)"):
        gradient_penalty(quadratic, real, images(seed=16, num=2))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_gradient_penalty_on_cuda_takes_a_cpu_generator():
    critic = nn.Conv2d(2, 1, 3)
    real, fake = images(seed=13), images(seed=14)
    on_cpu = gradient_penalty(critic, real, fake, generator=torch.Generator().manual_seed(0))
    critic.cuda()
    on_cuda = gradient_penalty(critic, real.cuda(), fake.cuda(), generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(on_cuda.cpu(), on_cpu, rtol=1e-2, atol=1e-4)  # cuDNN may convolve in TF32


def test_path_length_of_a_linear_map():
    """Images that are a matrix times the style: the length is that of the matrix, transposed, times the noise."""
    torch.manual_seed(0)
    matrix = torch.randn(3 * 4 * 4, 5)
    styles = torch.randn(6, 2, 5, requires_grad=True)
    images = (styles.sum(dim=1) @ matrix.t()).view(6, 3, 4, 4)
    torch.manual_seed(1)
    penalty, lengths = path_length_penalty(images, styles, torch.tensor(2.0))
    torch.manual_seed(1)
    noise = torch.randn(6, 3, 4, 4) / 4
    expected = (noise.flatten(1) @ matrix).norm(dim=1)  # the same for both layers, of which the mean square is taken
    torch.testing.assert_close(lengths, expected)
    torch.testing.assert_close(penalty, (expected - 2.0).square().mean())
    assert not lengths.requires_grad


def test_path_length_is_differentiated_twice():
    weight = torch.tensor(3.0, dtype=torch.float64, requires_grad=True)
    styles = torch.ones(2, 1, 4, dtype=torch.float64, requires_grad=True)
    images = (weight * styles.square()).view(2, 1, 2, 2)
    torch.manual_seed(0)
    penalty, lengths = path_length_penalty(images, styles, torch.zeros((), dtype=torch.float64))
    (gradient,) = torch.autograd.grad(penalty, weight)
    torch.testing.assert_close(gradient, 2 * lengths.square().mean() / weight)  # lengths are proportional to the weight
