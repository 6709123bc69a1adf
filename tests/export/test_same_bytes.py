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


def test_two_exports_are_the_same_bytes(source, tmp_path):
    for library in ("onnx", "onnxscript", "onnxruntime"):
        pytest.importorskip(library)
    script = f"""
from translate.cli.main import main
for name in ("model.safetensors", "folder", "model.onnx"):
    assert not main(["export", {str(source.parent)!r}, "-o", name])
"""
    found = []
    for seed in ("1", "2"):
        out = tmp_path / seed
        out.mkdir()
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        subprocess.run([sys.executable, "-c", script], cwd=out, env=environment, check=True, capture_output=True)
        found.append({str(path.relative_to(out)): path.read_bytes() for path in out.rglob("*") if path.is_file()})
    assert found[0] == found[1]
    assert len(found[0]) == 4  # the folder has two


def test_a_header_is_in_sorted_order_and_says_what_it_said(source):
    whole = source.read_bytes()
    header = whole[8 : 8 + int.from_bytes(whole[:8], "little")]
    values = json.loads(header)
    assert list(values) == sorted(values)
    assert list(values["__metadata__"]) == ["format", "translate"]
    with safe_open(source, framework="pt") as opened:
        assert json.loads(opened.metadata()["translate"])["name"] == 'fa\u00e7ade "\u2192"'
