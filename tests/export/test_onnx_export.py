"""What onnxruntime computes is what the network computes, or nothing is kept."""

import copy
import json
import sys
from dataclasses import replace
from itertools import product
from typing import get_args

import numpy as np
import pytest
import torch

from translate.checkpoint import load_weights, save_weights
from translate.checkpoint.files import METADATA_KEY
from translate.config import (
    Domains,
    PatchGANConfig,
    Preprocessing,
    ResNetConfig,
    UNetConfig,
    WeightsConfig,
    to_dict,
)
from translate.config.networks import Downsampling, Norm, Padding, Upsampling
from translate.export import ExportError, export_onnx, export_safetensors
from translate.export import onnx as export_module
from translate.inference.onnx_file import SIDES_KEY
from translate.inference.running import pad_to, run_network
from translate.networks import build_network, initialise

for library in ("onnx", "onnxscript", "onnxruntime"):
    pytest.importorskip(library)

# Together they have every kind of norm, padding, up- and down-sampling, residual or not, and 1 to 4 channels.
NETWORKS = [
    UNetConfig(width=4, depth=2, in_channels=1, out_channels=3),
    UNetConfig(
        width=4,
        depth=2,
        norm="batch",
        padding="reflect",
        upsampling="transposed",
        downsampling="blur",
        output="residual",
    ),
    UNetConfig(width=4, depth=1, norm="none", padding="replicate", in_channels=4, out_channels=2, output="logits"),
    ResNetConfig(
        width=4, num_blocks=1, num_downsamplings=1, upsampling="nearest", downsampling="blur-after", out_channels=1
    ),
    ResNetConfig(
        width=4, num_blocks=1, num_downsamplings=1, norm="group", padding="replicate", in_channels=2, out_channels=4
    ),
    ResNetConfig(width=4, num_blocks=0, num_downsamplings=0, norm="instance-affine", output="residual"),
]


def config_of(network, **changes):
    changes = {"kind": "translator", "preprocessing": Preprocessing(size=32), **changes}
    return WeightsConfig(name="tiny", network=network, **changes)


def saved(network, folder, **changes):
    torch.manual_seed(0)
    config = config_of(network, **changes)
    return save_weights(initialise(build_network(network), gain=0.1), config, folder / "tiny")


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """Smallest of all: quick to export."""
    network = UNetConfig(width=2, depth=1, upsampling="transposed")
    return saved(network, tmp_path_factory.mktemp("source"), domains=Domains(source="labels", target="photos"))


@pytest.fixture(scope="module")
def exported(source, tmp_path_factory):
    return export_onnx(source, tmp_path_factory.mktemp("exported") / "model.onnx", name="renamed").file


def test_every_kind_of_network_is_tested():
    kinds = {"norm": Norm, "padding": Padding, "upsampling": Upsampling, "downsampling": Downsampling}
    for field, known in kinds.items():
        assert {getattr(network, field) for network in NETWORKS} == set(get_args(known))
    assert {(network.type, network.output == "residual") for network in NETWORKS} == set(
        product(("unet", "resnet"), (False, True))
    )
    for field in ("in_channels", "out_channels"):
        assert {getattr(network, field) for network in NETWORKS} == {1, 2, 3, 4}


@pytest.mark.parametrize("network", NETWORKS, ids=lambda network: f"{network.type}-{network.norm}")
def test_outputs_are_those_of_the_network(network, tmp_path):
    import onnxruntime

    source = saved(network, tmp_path)
    written = export_onnx(source, tmp_path / "out" / "model.onnx")
    assert 0 <= written.mean_difference <= written.max_difference <= 1e-4
    assert [file.name for file in (tmp_path / "out").iterdir()] == ["model.onnx"]
    assert written.file_bytes == written.file.stat().st_size

    generator, _ = load_weights(source)
    session = onnxruntime.InferenceSession(written.file)
    least, step = generator.minimum_size, generator.stride
    for number, height, width in [(1, least, least), (5, least, least + 3 * step), (2, 3 * step + least, least + step)]:
        images = torch.rand(number, network.in_channels, height, width) * 2 - 1
        (output,) = session.run(None, {"images": images.numpy()})
        assert output.shape == (number, network.out_channels, height, width)
        np.testing.assert_allclose(output, generator(images).numpy(), atol=1e-4)
    for number, height, width in [(1, 1, 1), (2, 37, 53), (1, 1, 70), (3, 65, 2), (1, least + 1, step + 1)]:
        images = torch.rand(number, network.in_channels, height, width) * 2 - 1
        (output,) = session.run(None, {"images": images.numpy()})
        np.testing.assert_allclose(output, run_network(generator, images).numpy(), atol=1e-4)


def test_what_is_padded_is_what_the_translator_pads(tmp_path):
    """Of a network that changes the sign: the pixels that the graph gathers, one by one, for every side."""
    import onnx
    import onnxruntime
    from onnxscript import ir

    class Needs:
        stride, minimum_size = 4, 8

    dimensions = ["batch", 1, "height", "width"]
    value = onnx.helper.make_tensor_value_info("images", onnx.TensorProto.FLOAT, dimensions)
    output = onnx.helper.make_tensor_value_info("output", onnx.TensorProto.FLOAT, dimensions)
    graph = onnx.helper.make_graph([onnx.helper.make_node("Neg", ["images"], ["output"])], "g", [value], [output])
    model = ir.from_proto(onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 20)]))
    export_module._pad_and_crop(model.graph, Needs, channels=1)
    model.graph.outputs.append(next(node.outputs[0] for node in model.graph if node.op_type == "Neg"))
    ir.save(model, tmp_path / "padding.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "padding.onnx")
    for height, width in product(range(1, 19), range(1, 19)):
        images = torch.rand(1, 1, height, width)
        cropped, padded = session.run(None, {"images": images.numpy()})
        assert np.array_equal(cropped, -images.numpy())
        assert np.array_equal(padded, -pad_to(images, multiple=4, minimum=8).numpy())


def test_the_file_says_what_it_is_and_nothing_of_where_it_was_made(source, exported):
    import onnx

    model = onnx.load(exported)
    onnx.checker.check_model(model)
    _, config = load_weights(source)
    said = {entry.key: entry.value for entry in model.metadata_props}
    assert said.keys() == {METADATA_KEY, SIDES_KEY}
    assert json.loads(said[METADATA_KEY]) == to_dict(replace(config, name="renamed"))
    assert "labels to photos" in model.doc_string
    assert "[N, 3, H, W], values from -1 to 1, H and W 1 or more" in model.doc_string
    assert b".py" not in exported.read_bytes()


def test_a_segmenter_is_exported_with_its_logits(tmp_path):
    import onnx

    network = UNetConfig(width=2, depth=1, upsampling="transposed", output="logits")
    source = saved(network, tmp_path, kind="segmenter", classes=("sky", "sea", "sand"))
    written = export_onnx(source, tmp_path / "model.onnx")
    assert "output: [N, 3, H, W], the logits of sky, sea, sand." in onnx.load(written.file).doc_string


def test_noise_is_an_input_for_each_dropout(tmp_path):
    import onnx
    import onnxruntime

    network = ResNetConfig(width=2, num_blocks=2, num_downsamplings=1, dropout=0.5, norm="none")
    source = saved(network, tmp_path, noise="always")
    file = export_onnx(source, tmp_path / "noisy.onnx").file
    session = onnxruntime.InferenceSession(file)
    assert [value.name for value in session.get_inputs()] == ["images", "noise_0", "noise_1"]
    images = np.random.default_rng(0).random((1, 3, 12, 16), np.float32)
    still = np.ones((1, 4, 6, 8), np.float32)
    (output,) = session.run(None, {"images": images, "noise_0": still, "noise_1": still})
    np.testing.assert_allclose(output, load_weights(source)[0](torch.from_numpy(images)).numpy(), atol=1e-5)
    (other,) = session.run(None, {"images": images, "noise_0": 2 * still, "noise_1": still})
    assert np.abs(other - output).max() > 1e-3
    still = np.ones((1, 4, 7, 8), np.float32)  # of 13x15, which is padded to 14x16
    odd = {"images": images[..., :15].repeat(2, 2)[..., :13, :], "noise_0": still, "noise_1": still}
    (output,) = session.run(None, odd)
    expected = run_network(load_weights(source)[0], torch.from_numpy(odd["images"]))
    np.testing.assert_allclose(output, expected.numpy(), atol=1e-5)
    description = onnx.load(file).doc_string
    assert "noise_0: [N, 4, P / 2, Q / 2], 0 with probability 0.5, else 2; all 1 for no noise." in description
    assert "P and Q: H and W, at least 4, rounded up to multiples of 2." in description


# What is refused


def test_a_network_that_came_out_different_is_not_kept(source, tmp_path, monkeypatch):
    target = tmp_path / "out" / "model.onnx"
    target.parent.mkdir()
    target.write_bytes(b"an earlier export")
    real = export_module._onnx_model

    def spoilt(network, config):
        other = copy.deepcopy(network)
        next(other.parameters()).add_(1e-2)
        return real(other, config)

    monkeypatch.setattr(export_module, "_onnx_model", spoilt)
    with pytest.raises(ExportError, match=r"more than 0\.0001: 0\.\d+ for 1 of 32x32; .*Nothing was kept"):
        export_onnx(source, target)
    assert [file.name for file in target.parent.iterdir()] == ["model.onnx"]
    assert target.read_bytes() == b"an earlier export"


def test_a_network_that_pytorch_cannot_write_is_refused(source, tmp_path, monkeypatch):
    def failing(*arguments, **options):
        raise torch.onnx.OnnxExporterError("an operator\nof many lines")

    monkeypatch.setattr(torch.onnx, "export", failing)
    with pytest.raises(ExportError, match="cannot write the unet 'tiny' as ONNX: update torch and onnxscript"):
        export_onnx(source, tmp_path / "model.onnx")
    assert not (tmp_path / "model.onnx").exists()


def test_a_discriminator_is_refused(tmp_path):
    network = PatchGANConfig(width=4)
    with pytest.raises(ExportError, match="'tiny' holds a discriminator: translators and segmenters are exported"):
        export_onnx(saved(network, tmp_path, kind="discriminator"), tmp_path / "model.onnx")


def test_what_one_file_cannot_hold_is_refused(source, tmp_path, monkeypatch):
    monkeypatch.setattr(export_module, "MAX_BYTES", 100)
    with pytest.raises(ExportError, match=r"GB of weights, and one ONNX file holds .* GB: keep the \.safetensors file"):
        export_onnx(source, tmp_path / "model.onnx")
    assert not (tmp_path / "model.onnx").exists()


@pytest.mark.parametrize("target", ["model", "model.safetensors", "onnx"])
def test_a_target_of_another_suffix_is_refused(source, tmp_path, target):
    with pytest.raises(ExportError, match=r"give a name that ends in \.onnx"):
        export_onnx(source, tmp_path / target)


def test_the_source_is_not_overwritten(source, tmp_path):
    (tmp_path / "link.onnx").hardlink_to(source)
    before = source.read_bytes()
    with pytest.raises(ExportError, match="is the source itself and would be overwritten"):
        export_onnx(source, tmp_path / "link.onnx")
    assert source.read_bytes() == before


@pytest.mark.parametrize(("export", "name"), [(export_onnx, "again.onnx"), (export_safetensors, "again.safetensors")])
def test_an_export_is_no_source(exported, tmp_path, export, name):
    with pytest.raises(ExportError, match="was exported already: export from the weights it was made from"):
        export(exported, tmp_path / name)
    assert not (tmp_path / name).exists()


@pytest.mark.parametrize("library", ["onnx", "onnxscript", "onnxruntime"])
def test_a_missing_library_is_named(source, tmp_path, monkeypatch, library):
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(ExportError, match=rf"needs {library}: pip install 'image-translate\[onnx\]'"):
        export_onnx(source, tmp_path / "model.onnx")
