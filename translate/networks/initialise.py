"""How weights start."""

from __future__ import annotations

from torch import nn

from translate.config.networks import Initialisation


def initialise(network: nn.Module, *, kind: Initialisation = "normal", gain: float = 0.02) -> nn.Module:
    """Draw the weights of every convolution and linear layer anew, in place; biases become 0.

    Args:
        network: Any module.
        kind: ``normal`` with deviation `gain` (DCGAN, Radford et al., 2015; pix2pix's default), ``xavier`` (Glorot and
            Bengio, 2010) with factor `gain`, ``kaiming`` (He et al., 2015, fan-in, ReLU), ``orthogonal`` (Saxe et al.,
            2014) with factor `gain`.
        gain: As above; not used by ``kaiming``.

    Returns:
        The network.

    Raises:
        ValueError: an unknown kind.
    """
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            if kind == "normal":
                nn.init.normal_(module.weight, 0.0, gain)
            elif kind == "xavier":
                nn.init.xavier_normal_(module.weight, gain=gain)
            elif kind == "kaiming":
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
            elif kind == "orthogonal":
                nn.init.orthogonal_(module.weight, gain=gain)
            else:
                raise ValueError(f"init '{kind}' is unknown: choose normal, xavier, kaiming or orthogonal")
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.BatchNorm2d) and module.affine:
            nn.init.normal_(module.weight, 1.0, 0.02)  # as published with pix2pix
            nn.init.zeros_(module.bias)
    return network
