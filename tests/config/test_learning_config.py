"""Configurations of what learns images: what does not go together, and JSON that gives them back."""

from pathlib import Path

import pytest
from learned import NETWORKS

from translate.config import (
    AnomalyNetworkConfig,
    AutoencoderConfig,
    ConfigError,
    ImageSetConfig,
    RunConfig,
    VAEConfig,
    VQVAEConfig,
    WeightsConfig,
    from_dict,
    to_dict,
    validate,
    weights_config,
)

PARTS = {"data": ImageSetConfig(root=Path("digits")), "run": RunConfig(out=Path("run"))}


@pytest.mark.parametrize("network", [*NETWORKS.values(), AnomalyNetworkConfig(autoencoder=NETWORKS["ae"])])
def test_networks_come_back_from_json(network):
    kind = "anomaly" if network.type == "anomaly" else "autoencoder"
    config = WeightsConfig(kind=kind, name="x", network=network)
    assert weights_config(to_dict(config)) == config
    assert network.in_channels == network.out_channels


@pytest.mark.parametrize("kind", [AutoencoderConfig, VAEConfig, VQVAEConfig])
def test_methods_come_back_from_json(kind):
    config = kind(**PARTS)
    assert from_dict(kind, to_dict(config)) == validate(config) == config


REFUSED = [
    (AutoencoderConfig, {"body": "dense", "width": 8}, "--width belongs to --body conv"),
    (AutoencoderConfig, {"body": "dense", "norm": "batch"}, "--norm belongs to --body conv"),
    (AutoencoderConfig, {"hidden": (8,)}, "--hidden belongs to --body dense"),
    (VAEConfig, {"likelihood": "gaussian", "binarise": "once"}, "--binarise makes pixels black or white"),
    (VAEConfig, {"importance_samples": 5, "beta": 2.0}, "omit --beta, --warm-up and --free-bits"),
    (VAEConfig, {"importance_samples": 5, "free_bits": 0.5}, "no separate KL term"),
    (VQVAEConfig, {"prior_width": 30}, "choose a multiple of 4"),
]


@pytest.mark.parametrize(("kind", "given", "said"), REFUSED)
def test_what_does_not_go_together(kind, given, said):
    with pytest.raises(ConfigError, match=said):
        kind(**PARTS, **given)


@pytest.mark.parametrize(
    ("kind", "given", "said"),
    [(VAEConfig, {"latent": 0}, "--latent 0"), (VQVAEConfig, {"num_codes": 1}, "--num-codes 1")],
)
def test_what_is_out_of_range(kind, given, said):
    with pytest.raises(ConfigError, match=said):
        validate(kind(**PARTS, **given))
