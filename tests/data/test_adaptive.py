"""Adaptive augmentation: nothing at probability 0, every change by itself, gradients through all."""

import pytest
import torch

from translate.data.adaptive import adaptive_augment


def images(channels: int = 3, count: int = 6) -> torch.Tensor:
    torch.manual_seed(0)
    return torch.rand(count, channels, 16, 16) * 1.6 - 0.8


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_nothing_changes_at_probability_0(channels):
    x = images(channels)
    torch.testing.assert_close(adaptive_augment(x, torch.zeros(())), x, atol=1e-5, rtol=0)


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_everything_changes_at_probability_1(channels):
    x = images(channels)
    changed = adaptive_augment(x, torch.ones(()))
    assert changed.shape == x.shape
    assert all((a - b).abs().mean() > 0.05 for a, b in zip(x[:, :3], changed[:, :3], strict=True))


def test_about_as_many_as_asked_for_change():
    x = images(count=400)
    changed = adaptive_augment(x, torch.tensor(0.1))
    share = ((x - changed).abs().amax(dim=(1, 2, 3)) > 1e-3).float().mean().item()
    # A mirror (half as often), a quarter turn (one of four is none), three of geometry with a shift, five colours.
    expected = 1 - 0.95 * 0.925 * 0.9 ** (1 + 1 + 1 + 1) * 0.9 ** (1 + 1 + 0.5 + 1 + 1)
    assert share == pytest.approx(expected, abs=0.08)


def test_colours_keep_alpha_and_grey_axis():
    x = images(4)
    x[:, 3] = 1.0
    changed = adaptive_augment(x, torch.ones(()))
    torch.testing.assert_close(changed[:, 3], x[:, 3], atol=1e-5, rtol=0)
    grey = images(1).expand(-1, 3, -1, -1)  # hue and saturation leave grey alone
    turned = adaptive_augment(grey, torch.ones(()))
    torch.testing.assert_close(turned[:, 0], turned[:, 2], atol=1e-4, rtol=0)


def test_gradients_pass():
    x = images().requires_grad_()
    adaptive_augment(x, torch.tensor(0.7)).square().sum().backward()
    assert x.grad is not None
    assert (x.grad.abs().sum(dim=(1, 2, 3)) > 0).all()
