"""The same weights are exported to the same bytes, by another process too."""

import json
import os
import subprocess
import sys

import pytest
import torch
from safetensors import safe_open

from translate.checkpoint import save_weights
from translate.config import ResNetConfig, WeightsConfig
from translate.networks import build_network, initialise


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """A network with as much to say as there is: noise inputs, names beyond ASCII."""
    torch.manual_seed(0)
    network = ResNetConfig(width=4, num_blocks=2, num_downsamplings=1, dropout=0.5, norm="group")
    config = WeightsConfig(kind="translator", name='fa\u00e7ade "\u2192"', network=network, noise="always")
    return save_weights(
        initialise(build_network(network), gain=0.1), config, tmp_path_factory.mktemp("source") / "tiny"
    )


@pytest.mark.parametrize("name", ["model.safetensors", "folder", "model.onnx"])
def test_two_exports_are_the_same_bytes(source, tmp_path, name):
    if name.endswith(".onnx"):
        for library in ("onnx", "onnxscript", "onnxruntime"):
            pytest.importorskip(library)
    found = []
    for seed in ("1", "2"):
        out = tmp_path / seed / name
        out.parent.mkdir()
        command = [sys.executable, "-m", "translate", "export", str(source.parent), "-o", str(out)]
        subprocess.run(command, env={**os.environ, "PYTHONHASHSEED": seed}, check=True, capture_output=True)
        files = sorted(path for path in (tmp_path / seed).rglob("*") if path.is_file())
        found.append({str(path.relative_to(tmp_path / seed)): path.read_bytes() for path in files})
    assert found[0] == found[1]
    assert len(found[0]) == (2 if name == "folder" else 1)


def test_a_header_is_in_sorted_order_and_says_what_it_said(source):
    whole = source.read_bytes()
    header = whole[8 : 8 + int.from_bytes(whole[:8], "little")]
    values = json.loads(header)
    assert list(values) == sorted(values)
    assert list(values["__metadata__"]) == ["format", "translate"]
    with safe_open(source, framework="pt") as opened:
        assert json.loads(opened.metadata()["translate"])["name"] == 'fa\u00e7ade "\u2192"'
