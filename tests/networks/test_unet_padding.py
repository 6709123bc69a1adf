"""What the border of a U-Net does to an image without content."""

import pytest
import torch

from translate.config import UNetConfig
from translate.networks import build_network, initialise


@pytest.mark.parametrize("size", [16, 48])
@pytest.mark.parametrize(("padding", "flat"), [("reflect", True), ("replicate", True), ("zeros", False)])
def test_only_zero_padding_draws_lines_on_a_flat_image(padding, flat, size):
    torch.manual_seed(0)
    # Without normalisation, so that nothing but the border can vary.
    network = build_network(UNetConfig(width=8, depth=4, norm="none", padding=padding)).eval()
    initialise(network, kind="kaiming")
    image = torch.tensor([-0.5, 0.1, 0.9]).view(1, 3, 1, 1).expand(1, 3, size, size)
    with torch.inference_mode():
        spread = network(image).std(dim=(2, 3)).max()
    assert (spread < 1e-5) == flat
