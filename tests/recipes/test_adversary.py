"""The discriminator's part of the adversarial recipes, by a discriminator whose answers are known."""

import math

import pytest
import torch
from torch import nn

from translate.losses import discriminator_loss, generator_loss
from translate.networks.patchgan import PatchOutput
from translate.recipes.adversary import Adversary, guessing_losses

REAL, FAKE = torch.full((2, 1, 4, 4), 0.5), torch.full((2, 1, 4, 4), -0.25)


class Mean(nn.Module):
    """The mean of each image as its logit, and what it was asked."""

    def __init__(self, scales: int = 0) -> None:
        super().__init__()
        self.scales, self.passes, self.labels = scales, [], []
        self.weight = nn.Parameter(torch.ones(()))

    def forward(self, images, labels=None):
        self.passes.append(len(images))
        self.labels.append(labels)
        logits = self.weight * images.mean(dim=(1, 2, 3), keepdim=True)
        return PatchOutput([logits] * self.scales, []) if self.scales else logits


@pytest.mark.parametrize("scales", [0, 1, 3])
@pytest.mark.parametrize("kind", ["vanilla", "non-saturating", "saturating", "lsgan", "hinge", "wasserstein"])
def test_losses_are_those_of_the_logits(kind, scales):
    adversary = Adversary(Mean(scales), kind=kind)
    real, fake = torch.full((2, 1), 0.5), torch.full((2, 1), -0.25)
    assert adversary.d_loss(REAL, FAKE).item() == pytest.approx(discriminator_loss(real, fake, kind=kind).item())
    assert adversary.g_loss(FAKE).item() == pytest.approx(generator_loss(fake, kind=kind).item())


@pytest.mark.parametrize("given", [{"batch_norm": True}, {}])
def test_batch_norm_sees_real_and_generated_images_apart(given):
    network = Mean(2)
    adversary = Adversary(network, kind="hinge", **given)
    more = torch.cat([FAKE, FAKE])  # two outputs of each input
    real, fake = adversary.compare(REAL, more)
    assert network.passes == ([2, 4] if given else [6])
    assert [len(scale) for scale in real] == [2, 2]
    assert [len(scale) for scale in fake] == [4, 4]
    assert real[0].flatten().tolist() == [0.5, 0.5]
    adversary.compare(REAL, FAKE, together=False)
    assert network.passes[-2:] == [2, 2]


def test_labels_go_with_both_halves():
    network, labels = Mean(), torch.tensor([3, 1])
    Adversary(network, kind="hinge").compare(REAL, FAKE, labels)
    assert network.labels[0].tolist() == [3, 1, 3, 1]


def test_generated_images_take_the_precision_of_the_real_ones():
    adversary = Adversary(Mean(), kind="hinge")
    _, fake = adversary.compare(REAL, FAKE.half())
    assert fake[0].dtype == torch.float32


def test_r1_goes_through_the_augmentation_or_not():
    """The gradient of a mean over 16 pixels is 1/16 at each; of twice the pixels it is twice that."""
    for at, slope in (("given", 2.0), ("seen", 1.0)):
        adversary = Adversary(Mean(), kind="hinge", augment=lambda images: 2 * images, r1_at=at)
        penalty = adversary.r1_loss(REAL, weight=6.0)
        assert penalty.item() == pytest.approx(6.0 / 2 * 16 * (slope / 16) ** 2)
    assert not REAL.requires_grad


def test_only_objectives_that_have_one_say_the_loss_of_guessing():
    found = guessing_losses(d=Adversary(Mean(), kind="vanilla"), critic=Adversary(Mean(), kind="wasserstein"))
    assert found == {"d": pytest.approx(math.log(2))}


def test_running_statistics_see_generated_images_first_where_asked():
    for first in (False, True):
        network = nn.BatchNorm2d(1, affine=False)
        adversary = Adversary(network, kind="hinge", batch_norm=True, fake_first=first)
        adversary.compare(REAL, FAKE)  # of momentum 0.1: what comes last weighs more
        expected = 0.9 * 0.1 * (0.5 if first is False else -0.25) + 0.1 * (-0.25 if first is False else 0.5)
        assert network.running_mean.item() == pytest.approx(expected)
