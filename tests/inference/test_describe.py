"""What `translate info` counts."""

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from translate.checkpoint.weights import load_weights
from translate.inference.describe import count_flops, describe
from translate.inference.finding import shipped_weights
from translate.networks import example_inputs


@pytest.mark.parametrize("name", shipped_weights())
def test_operations_are_those_that_pytorch_counts(name):
    network, config = load_weights(shipped_weights()[name])
    side = 4 * getattr(network, "stride", config.preprocessing.size // 4)
    given = example_inputs(config.network, height=side, width=side)
    network(*given)  # what is kept after the first pass, such as the matrices of filters
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(*given)
    assert count_flops(network, config.network, height=side, width=side) == counter.get_total_flops()


@pytest.mark.parametrize("name", ["facades", "photo2ukiyoe", "paintings", "any-style", "colour-photos"])
def test_those_of_large_images_are_counted_without_computing(name, monkeypatch):
    network, config = load_weights(shipped_weights()[name])
    side = 4 * network.stride
    counted = count_flops(network, config.network, height=side, width=2 * side)
    monkeypatch.setattr("translate.inference.describe.COMPUTED_PIXELS", 2 * side**2 - 1)
    found = count_flops(network, config.network, height=side, width=2 * side)
    # Style networks filter borders on a CPU that they leave out elsewhere: a few rows, of an image this small a tenth.
    assert found == (approx(counted) if config.network.type == "conditional-resnet" else counted)
    assert next(network.parameters()).device.type == "cpu"


def test_convolutions_of_one_thread_are_counted_as_all():
    network, config = load_weights(shipped_weights()["photo2ukiyoe"])
    assert torch.get_num_threads() == 1
    once = count_flops(network, config.network, height=256, width=256)
    torch.set_num_threads(2)
    try:
        assert count_flops(network, config.network, height=256, width=256) == once
    finally:
        torch.set_num_threads(1)


def approx(count):
    return pytest.approx(count, rel=0.1)


def test_parameters_are_counted():
    found = describe(shipped_weights()["vae-mnist"])
    network, _ = load_weights(found.file)
    assert found.parameters == sum(parameter.numel() for parameter in network.parameters())
