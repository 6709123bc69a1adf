"""Convolutions by NNPACK are PyTorch's, where they are taken."""

import pytest
import torch
from torch import nn

from translate.blocks import winograd
from translate.blocks.winograd import Conv2d


@pytest.fixture
def taken(monkeypatch):
    """The shapes of the images that went to NNPACK."""
    if not winograd.has_nnpack():
        pytest.skip("NNPACK is not there, or does not gain on this CPU")
    calls, real = [], torch._nnpack_spatial_convolution

    def counted(x, *arguments):
        calls.append(tuple(x.shape))
        return real(x, *arguments)

    monkeypatch.setattr(torch, "_nnpack_spatial_convolution", counted)
    return calls


def pair(channels, made, side, **options):
    torch.manual_seed(0)
    own = Conv2d(channels, made, side, **options)
    plain = nn.Conv2d(channels, made, side, **options)
    plain.load_state_dict(own.state_dict())
    return own, plain


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize(
    ("channels", "made", "side", "options"),
    [
        (96, 96, 3, {"padding": 1}),
        (96, 128, 3, {"padding": 1, "padding_mode": "reflect", "bias": False}),
        (16, 3, 7, {"padding": 3}),
        (16, 3, 7, {"padding": 3, "padding_mode": "replicate"}),
        (20, 5, (4, 5), {}),
        (16, 2, 16, {"padding": (7, 3)}),
    ],
    ids=str,
)
def test_values_are_those_of_pytorch(taken, channels, made, side, options, count):
    own, plain = pair(channels, made, side, **options)
    for size in ((48, 48), (71, 50)):
        x = torch.randn(count, channels, *size)
        with torch.inference_mode():
            torch.testing.assert_close(own(x), plain(x), atol=1e-4, rtol=1e-4)
    assert len(taken) == 2 * count


@pytest.mark.parametrize(
    ("channels", "made", "side", "options", "size"),
    [
        (96, 96, 3, {"stride": 2}, 64),
        (96, 96, 3, {"dilation": 2}, 64),
        (96, 96, 3, {"groups": 2}, 64),
        (96, 96, 3, {"padding": "same"}, 64),
        (96, 96, 3, {}, 47),
        (96, 24, 3, {}, 64),
        (8, 96, 7, {}, 64),
        (96, 96, 1, {}, 64),
        (16, 3, 17, {}, 64),
    ],
    ids=str,
)
def test_others_are_left_to_pytorch(taken, channels, made, side, options, size):
    own, plain = pair(channels, made, side, **options)
    x = torch.randn(1, channels, size, size)
    with torch.inference_mode():
        assert torch.equal(own(x), plain(x))
    assert taken == []


def test_training_other_precisions_and_several_threads_are_left_to_pytorch(taken):
    own, plain = pair(96, 96, 3)
    x = torch.randn(1, 96, 52, 52)
    assert torch.equal(own(x), plain(x))
    own(x).sum().backward()
    with torch.no_grad():  # as when gradients are left out of a training step
        assert torch.equal(own(x), plain(x))
    with torch.inference_mode(), torch.autocast("cpu", dtype=torch.bfloat16):
        assert own(x).dtype == torch.bfloat16
    with torch.inference_mode():
        own.double()(x.double())
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        with torch.inference_mode():
            own.float()(x)
    finally:
        torch.set_num_threads(threads)
    assert taken == []


def test_exported_graphs_hold_pytorchs_own(taken):
    own, _ = pair(16, 3, 7)
    batch, side = torch.export.Dim.DYNAMIC, torch.export.Dim.DYNAMIC
    with torch.inference_mode():
        graph = torch.export.export(
            own.eval(), (torch.zeros(2, 16, 60, 60),), dynamic_shapes=({0: batch, 2: side, 3: side},)
        )
    assert taken == []
    assert {str(node.target) for node in graph.graph.nodes if node.op == "call_function"} >= {"aten.conv2d.default"}


def test_a_pytorch_without_nnpack_does_all_by_itself(monkeypatch):
    winograd.has_nnpack.cache_clear()
    try:
        monkeypatch.setattr("torch.backends.nnpack.is_available", lambda: False)
        assert not winograd.has_nnpack()
        own, plain = pair(96, 96, 3)
        x = torch.randn(1, 96, 52, 52)
        with torch.inference_mode():
            assert torch.equal(own(x), plain(x))
    finally:
        winograd.has_nnpack.cache_clear()
