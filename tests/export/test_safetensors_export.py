"""Exports are checked against their source."""

import numpy as np
import pytest
import torch

from translate.checkpoint import load_weights, save_weights
from translate.checkpoint.files import WeightsError
from translate.checkpoint.weights import FEWEST_ROUNDED
from translate.config import PatchGANConfig, Preprocessing, UNetConfig, WeightsConfig
from translate.config.networks import AnomalyNetworkConfig, DenseAutoencoderConfig
from translate.export import ExportError, export_safetensors
from translate.export import safetensors as export_module
from translate.networks import build_network, initialise


@pytest.fixture
def source(tmp_path):
    torch.manual_seed(0)
    config = WeightsConfig(kind="translator", name="tiny", network=UNetConfig(width=4, depth=3))
    return save_weights(build_network(config.network), config, tmp_path / "tiny")


@pytest.mark.parametrize("dtype", ["fp32", "fp16", "bf16", "int8"])
def test_values_are_those_of_the_source_rounded(source, tmp_path, dtype):
    written = export_safetensors(source, tmp_path / "out.safetensors", dtype=dtype)
    expected, found = load_weights(source)[0].state_dict(), load_weights(written.file)[0].state_dict()
    kind = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16, "int8": torch.float16}[dtype]
    for name, tensor in expected.items():
        if dtype == "int8" and tensor.dim() >= 2 and tensor.numel() >= FEWEST_ROUNDED:
            assert (found[name] - tensor).abs().max() <= 0.51 * tensor.abs().max() / 127
        else:
            assert torch.equal(found[name], tensor.to(kind).float())
    assert written.file_bytes == written.file.stat().st_size
    assert (written.max_difference == 0) == (dtype == "fp32")


def test_a_network_that_came_out_different_is_not_kept(source, tmp_path, monkeypatch):
    real = export_module.save_weights

    def spoilt(network, config, target, *, dtype):
        for parameter in network.parameters():
            changed = parameter + 0.5
            parameter.data = changed
        file = real(network, config, target, dtype=dtype)
        for parameter in network.parameters():
            parameter.data = parameter - 0.5
        return file

    monkeypatch.setattr(export_module, "save_weights", spoilt)
    with pytest.raises(ExportError, match="nothing was kept"):
        export_safetensors(source, tmp_path / "out.safetensors", dtype="fp16")
    assert not (tmp_path / "out.safetensors").exists()


def test_values_beyond_fp16_are_refused(tmp_path):
    config = WeightsConfig(kind="translator", name="loud", network=UNetConfig(width=4, depth=3))
    network = build_network(config.network)
    next(network.parameters()).data.fill_(1e6)
    source = save_weights(network, config, tmp_path / "loud")
    with pytest.raises(WeightsError, match="not finite in fp16"):
        export_safetensors(source, tmp_path / "out.safetensors", dtype="fp16")
    assert not (tmp_path / "out.safetensors").exists()


def test_a_discriminator_can_be_exported(tmp_path):
    config = WeightsConfig(kind="discriminator", name="judge", network=PatchGANConfig(width=4))
    source = save_weights(build_network(config.network), config, tmp_path / "judge")
    written = export_safetensors(source, tmp_path / "half.safetensors")
    assert written.file.exists()
    assert np.isnan(written.mean_difference)  # nothing was compared, and nothing is said of it


def test_a_detector_is_compared_by_the_images_that_it_makes(tmp_path):
    network = AnomalyNetworkConfig(autoencoder=DenseAutoencoderConfig(channels=1, size=8, latent=4, hidden=(8,)))
    config = WeightsConfig(kind="anomaly", name="watch", network=network, preprocessing=Preprocessing(size=8))
    source = save_weights(initialise(build_network(network), kind="kaiming"), config, tmp_path / "watch")
    assert export_safetensors(source, tmp_path / "whole.safetensors", dtype="fp32").max_difference == 0
    assert 0 < export_safetensors(source, tmp_path / "half.safetensors").max_difference < 0.02
