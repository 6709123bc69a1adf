"""A convolution with a reflected border is PyTorch's own, to the bit, in either precision."""

import pytest
import torch
from torch import nn

from translate.blocks.conv import ReflectConv2d


@pytest.mark.parametrize("autocast", [False, True])
@pytest.mark.parametrize(("kernel_size", "stride"), [(3, 1), (3, 2), (5, 1)])
def test_it_is_pytorchs_own_to_the_bit(kernel_size, stride, autocast):
    torch.manual_seed(0)
    ours = ReflectConv2d(3, 4, kernel_size, stride=stride)
    theirs = nn.Conv2d(3, 4, kernel_size, stride=stride, padding=kernel_size // 2, padding_mode="reflect")
    theirs.load_state_dict(ours.state_dict())
    given = torch.randn(2, 3, 11, 9)
    found = []
    for conv in (ours, theirs):
        images = given.clone().requires_grad_()
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=autocast):
            output = conv(images)
        output.float().square().sum().backward()
        found.append((output, images.grad, conv.weight.grad, conv.bias.grad))
    assert found[0][0].dtype == (torch.bfloat16 if autocast else torch.float32)
    assert torch.equal(found[0][0], found[1][0])
    for ours_grad, theirs_grad in zip(found[0][1:], found[1][1:], strict=True):
        torch.testing.assert_close(
            ours_grad, theirs_grad, rtol=2e-2 if autocast else 1e-6, atol=1e-1 if autocast else 1e-5
        )
