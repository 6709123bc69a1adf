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
    with FlopCounterMode(display=False) as counter, torch.inference_mode():
        network(*given)
    assert count_flops(network, config.network, height=side, width=side) == counter.get_total_flops()


def test_parameters_are_counted():
    found = describe(shipped_weights()["vae-mnist"])
    network, _ = load_weights(found.file)
    assert found.parameters == sum(parameter.numel() for parameter in network.parameters())
