"""Weights that say what they are, and files that are refused by name."""

import dataclasses
import json
import os
import pickle
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from translate.checkpoint import WeightsError, WriteError, load_weights, read_config, save_weights, weights_file
from translate.checkpoint.files import CONFIG_FILE, METADATA_KEY, MODEL_FILE, stored_dtype, weights_files
from translate.checkpoint.weights import FEWEST_ROUNDED, SCALE_SUFFIX
from translate.config import PatchGANConfig, ResNetConfig, TrainingRecord, UNetConfig, WeightsConfig, to_dict
from translate.networks import build_network, initialise


def metadata_of(file: Path) -> dict[str, str]:
    with safe_open(file, framework="pt") as opened:
        return opened.metadata()


def rewrite(file: Path, *, config: dict | None = None, **changes: torch.Tensor | None) -> None:
    """Change the configuration or some tensors of a file; None removes one. Dots in names are given as underscores."""
    tensors, metadata = load_file(file), metadata_of(file)
    names = {name.replace(".", "_"): name for name in tensors}
    for name, tensor in changes.items():
        tensors[names.get(name, name)] = tensor
    if config is not None:
        metadata[METADATA_KEY] = json.dumps(config)
    save_file({name: tensor for name, tensor in tensors.items() if tensor is not None}, file, metadata=metadata)


# Round trips


@pytest.mark.parametrize(
    "network",
    [
        ResNetConfig(width=4, num_blocks=1, downsampling="blur", norm="batch"),
        UNetConfig(width=4, depth=3, norm="group"),
        UNetConfig(width=4, depth=3, norm="batch", upsampling="transposed"),
    ],
    ids=["resnet", "unet", "unet-batch"],
)
@pytest.mark.parametrize("where", ["folder", "file"])
def test_weights_come_back_exactly(tmp_path, network, where):
    config = WeightsConfig(
        kind="translator",
        name="one",
        network=network,
        training=TrainingRecord(recipe="pix2pix", images_seen=3, losses={"g": 1 / 3}),
    )
    made = build_network(network)
    made(torch.rand(2, 3, 16, 16))  # moves the running statistics of batch norm
    path = tmp_path / ("one" if where == "folder" else "one.safetensors")
    file = save_weights(made, config, path)
    assert file == (path / MODEL_FILE if where == "folder" else path)
    loaded, said = load_weights(path)
    assert said == config == read_config(path)
    assert not loaded.training
    assert not any(parameter.requires_grad for parameter in loaded.parameters())
    for name, tensor in made.state_dict().items():
        assert torch.equal(tensor, loaded.state_dict()[name])
    images = torch.rand(1, 3, 16, 16)
    assert torch.equal(made.eval()(images), loaded(images))
    if where == "folder":
        assert json.loads((path / CONFIG_FILE).read_text()) == to_dict(config)
        assert sorted(item.name for item in path.iterdir()) == [CONFIG_FILE, MODEL_FILE]


def test_a_renamed_lone_file_still_opens(tiny_weights, tmp_path, tiny_config):
    lone = tmp_path / "anything.bin"
    (tiny_weights / MODEL_FILE).rename(lone)
    assert read_config(lone) == tiny_config


@pytest.mark.parametrize("dtype", ["fp32", "fp16", "bf16"])
def test_the_stored_type_is_chosen_and_read_as_fp32(tmp_path, tiny_network, tiny_config, dtype):
    file = save_weights(tiny_network, tiny_config, tmp_path / "x.safetensors", dtype=dtype)
    assert stored_dtype(file) == dtype
    kind = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}[dtype]
    loaded, _ = load_weights(file)
    for name, tensor in tiny_network.state_dict().items():
        assert loaded.state_dict()[name].dtype == torch.float32
        assert torch.equal(loaded.state_dict()[name], tensor.to(kind).float())


def test_half_precision_halves_the_file(tmp_path):
    config = WeightsConfig(kind="translator", name="x", network=ResNetConfig(width=16, num_blocks=2))
    network = build_network(config.network)
    sizes = [
        save_weights(network, config, tmp_path / f"{dtype}.safetensors", dtype=dtype).stat().st_size
        for dtype in ("fp32", "fp16")
    ]
    assert sizes[1] < 0.52 * sizes[0]


@pytest.mark.parametrize(("dtype", "value"), [("fp16", 1e5), ("fp32", float("nan")), ("bf16", float("inf"))])
def test_values_beyond_the_type_are_refused_by_name(tmp_path, tiny_network, tiny_config, dtype, value):
    file = save_weights(tiny_network, tiny_config, tmp_path / "x.safetensors")
    before = file.read_bytes()
    tiny_network.head.conv.bias.data[1] = value
    with pytest.raises(WeightsError, match=rf"head\.conv\.bias has values that are not finite in {dtype}"):
        save_weights(tiny_network, tiny_config, file, dtype=dtype)
    assert file.read_bytes() == before


def test_large_values_of_bf16_are_kept(tmp_path, tiny_network, tiny_config):
    tiny_network.head.conv.bias.data[1] = 1e5
    file = save_weights(tiny_network, tiny_config, tmp_path / "x.safetensors", dtype="bf16")
    assert load_weights(file)[0].head.conv.bias[1] == pytest.approx(1e5, rel=0.01)


# 8 bits


def test_int8_rounds_large_parameters_to_half_a_step(tmp_path):
    torch.manual_seed(0)
    network = initialise(build_network(UNetConfig(width=16, depth=3)), kind="kaiming").eval()
    config = WeightsConfig(kind="translator", name="eighth", network=network.config)
    file = save_weights(network, config, tmp_path / "x.safetensors", dtype="int8")
    assert stored_dtype(file) == "int8"
    assert file.stat().st_size < 0.3 * save_weights(network, config, tmp_path / "y.safetensors").stat().st_size
    found = load_weights(file)[0].state_dict()
    stored = load_file(file)
    count = 0
    for name, tensor in network.state_dict().items():
        assert found[name].dtype == tensor.dtype
        if stored[name].dtype == torch.int8:
            count += 1
            step = tensor.flatten(1).abs().amax(dim=1) / 127
            error = (found[name] - tensor).flatten(1).abs().amax(dim=1)
            assert (error <= 0.501 * step).all()
        else:
            assert tensor.dim() < 2 or tensor.numel() < FEWEST_ROUNDED
            assert torch.equal(found[name], tensor.half().float())
    assert count >= 4


def test_a_channel_of_zeros_stays_zero(tmp_path):
    network = build_network(UNetConfig(width=16, depth=3)).eval()
    name, weight = next((name, each) for name, each in network.named_parameters() if each.numel() >= FEWEST_ROUNDED)
    weight.data[3] = 0
    config = WeightsConfig(kind="translator", name="zero", network=network.config)
    found = load_weights(save_weights(network, config, tmp_path / "x.safetensors", dtype="int8"))[0].state_dict()
    assert (found[name][3] == 0).all()
    assert found[name].isfinite().all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda scales: None, r"has 8 bits, and its scales are missing"),
        (lambda scales: scales[:-1].clone(), r"values of 8 bits, which its \[15\] scales do not fit"),
    ],
    ids=["missing", "short"],
)
def test_scales_that_do_not_fit_are_refused(tmp_path, change, message):
    network = build_network(UNetConfig(width=16, depth=2)).eval()
    config = WeightsConfig(kind="translator", name="x", network=network.config)
    file = save_weights(network, config, tmp_path / "x.safetensors", dtype="int8")
    tensors = load_file(file)
    scales = next(key for key, value in tensors.items() if key.endswith(SCALE_SUFFIX) and len(value) == 16)
    changed = change(tensors.pop(scales))
    if changed is not None:
        tensors[scales] = changed
    save_file(tensors, file, metadata={METADATA_KEY: json.dumps(to_dict(config))})
    with pytest.raises(WeightsError, match=message):
        load_weights(file)


# Where weights are


def test_a_run_folder_stands_for_its_weights(tmp_path, tiny_network, tiny_config):
    save_weights(tiny_network, tiny_config, tmp_path / "run" / "weights")
    (tmp_path / "run" / "states").mkdir()
    assert weights_file(tmp_path / "run") == tmp_path / "run" / "weights" / MODEL_FILE


def test_missing_weights_say_what_was_expected(tmp_path):
    with pytest.raises(WeightsError, match=r"nowhere does not exist"):
        weights_file(tmp_path / "nowhere")
    with pytest.raises(WeightsError, match=r"has no model\.safetensors: expected a weights folder, a run folder or"):
        weights_file(tmp_path)
    (tmp_path / "states").mkdir()
    with pytest.raises(WeightsError, match=r"a run that has exported no weights yet: run its train command again"):
        weights_file(tmp_path)


# What is refused


@pytest.mark.parametrize("share", [0.0, 0.0001, 0.01, 0.1, 0.5, 0.9, 0.9999])
@pytest.mark.parametrize("read", [read_config, load_weights])
def test_a_torn_file_is_refused_by_name(tiny_weights, share, read):
    file = tiny_weights / MODEL_FILE
    whole = file.read_bytes()
    file.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(WeightsError, match=r"model\.safetensors is an incomplete safetensors file .*copy or download"):
        read(tiny_weights)


@pytest.mark.parametrize("form", ["torch", "old torch", "pickle"])
def test_a_pickle_under_another_name_is_not_opened(tiny_weights, form):
    file = tiny_weights / MODEL_FILE
    if form == "pickle":
        file.write_bytes(pickle.dumps({"a": 1}))
    else:
        torch.save({"a": torch.zeros(2)}, file, _use_new_zipfile_serialization=form == "torch")
    said = "that torch.save did not write" if form == "pickle" else "despite its name"
    with pytest.raises(WeightsError, match=rf"model\.safetensors is a pickle,? {said}"):
        load_weights(tiny_weights)


def test_foreign_safetensors_are_refused(tmp_path):
    file = tmp_path / "foreign.safetensors"
    save_file({"a": torch.zeros(2)}, file)
    with pytest.raises(WeightsError, match=r"foreign\.safetensors does not record its network"):
        load_weights(file)


@pytest.mark.parametrize("text", ["{", "[]", "null", '"x"'])
def test_broken_metadata_is_refused(tmp_path, text):
    file = tmp_path / "x.safetensors"
    save_file({"a": torch.zeros(2)}, file, metadata={METADATA_KEY: text})
    with pytest.raises(WeightsError, match=r"x\.safetensors: "):
        load_weights(file)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format_version": 99}, "format version 99, and this release reads 1 to 2: update translate"),
        ({"surprise": 1}, "surprise: unknown key"),
        ({"kind": "upscaler"}, "kind = 'upscaler'"),
        ({"name": ""}, "name = ''"),
        ({"network": {"type": "resnet", "width": -4}}, "network.resnet.width = -4"),
    ],
)
def test_a_file_of_another_version_or_with_unknown_keys_is_refused(tiny_weights, tiny_config, changes, message):
    rewrite(tiny_weights / MODEL_FILE, config=to_dict(tiny_config) | changes)
    with pytest.raises(WeightsError) as caught:
        load_weights(tiny_weights)
    assert message in str(caught.value)
    assert MODEL_FILE in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"extra": torch.zeros(1)}, r"does not fit the resnet that it describes: 1 unexpected \(extra\)"),
        ({"head_conv_bias": None}, r"does not fit the resnet that it describes: 1 missing \(head\.conv\.bias\)"),
        ({"head_conv_bias": torch.zeros(4)}, r"head\.conv\.bias is \[4\], and the resnet .* needs \[3\]"),
    ],
    ids=["extra", "missing", "shape"],
)
def test_tensors_that_do_not_fit_are_named(tiny_weights, changes, message):
    rewrite(tiny_weights / MODEL_FILE, **changes)
    with pytest.raises(WeightsError, match=message):
        load_weights(tiny_weights)


def test_a_config_that_describes_another_network_is_refused(tiny_weights, tiny_config):
    other = dataclasses.replace(tiny_config, network=UNetConfig(width=4, depth=2))
    rewrite(tiny_weights / MODEL_FILE, config=to_dict(other))
    (tiny_weights / CONFIG_FILE).unlink()
    with pytest.raises(WeightsError, match=r"does not fit the unet that it describes: .* missing .* unexpected"):
        load_weights(tiny_weights)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", r"config\.json is not JSON"),
        ("[]", r"config\.json is not a configuration: remove it"),
        ('{"name": "tiny"}', r"config\.json says format_version = None, but model\.safetensors was saved with 2"),
    ],
)
def test_a_broken_config_beside_is_refused(tiny_weights, text, message):
    (tiny_weights / CONFIG_FILE).write_text(text)
    with pytest.raises(WeightsError, match=message):
        read_config(tiny_weights)


def test_a_config_beside_that_differs_is_refused_with_the_field(tiny_weights, tiny_config):
    values = to_dict(tiny_config)
    values["network"]["width"] = 8
    (tiny_weights / CONFIG_FILE).write_text(json.dumps(values))
    with pytest.raises(WeightsError, match=r"config\.json says network\.width = 8, but model\.safetensors was"):
        load_weights(tiny_weights)
    (tiny_weights / CONFIG_FILE).unlink()
    assert read_config(tiny_weights) == tiny_config


def test_a_discriminator_is_not_taken_for_a_translator(tmp_path):
    config = WeightsConfig(kind="discriminator", name="d", network=PatchGANConfig(width=2, num_layers=1))
    network, said = load_weights(save_weights(build_network(config.network), config, tmp_path / "d"))
    assert said.kind == "discriminator"
    assert len(network(torch.zeros(1, 6, 16, 16)).logits) == 1


# What cannot be written


@pytest.mark.parametrize("where", ["folder", "file"])
def test_a_full_disk_leaves_the_old_weights(tmp_path, tiny_network, tiny_config, monkeypatch, where):
    path = tmp_path / "out" / ("tiny" if where == "folder" else "tiny.safetensors")
    save_weights(tiny_network, tiny_config, path)
    tensors = load_file(weights_file(path))

    def fail(source: object, target: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", fail)
    tiny_network.head.conv.bias.data += 1
    with pytest.raises(WriteError, match="free some space"):
        save_weights(tiny_network, dataclasses.replace(tiny_config, name="new"), path)
    loaded, said = load_weights(path)
    assert said == tiny_config
    assert all(torch.equal(tensor, loaded.state_dict()[name]) for name, tensor in tensors.items())
    assert not [item for item in path.parent.rglob("*") if item.name.startswith(".")]


def test_a_crash_between_the_two_files_leaves_weights_that_open(tmp_path, tiny_network, tiny_config, monkeypatch):
    save_weights(tiny_network, tiny_config, tmp_path / "tiny")
    replace = os.replace

    def crash(source: str, target: Path) -> None:
        if Path(target).name == CONFIG_FILE:
            raise KeyboardInterrupt
        replace(source, target)

    monkeypatch.setattr(os, "replace", crash)
    new = dataclasses.replace(tiny_config, name="new")
    with pytest.raises(KeyboardInterrupt):
        save_weights(tiny_network, new, tmp_path / "tiny")
    assert read_config(tmp_path / "tiny") == new


def test_a_file_in_place_of_the_folder_is_named(tmp_path, tiny_network, tiny_config):
    (tmp_path / "weights").write_text("a file")
    with pytest.raises(WriteError, match=r"model\.safetensors cannot be written"):
        save_weights(tiny_network, tiny_config, tmp_path / "weights")
    assert (tmp_path / "weights").read_text() == "a file"


def small_weights(folder: Path) -> None:
    network = ResNetConfig(width=2, num_blocks=0)
    save_weights(build_network(network), WeightsConfig(kind="translator", name="one", network=network), folder)


def test_a_run_of_two_directions_asks_for_one(tmp_path):
    for name in ("a2b", "b2a"):
        small_weights(tmp_path / "run" / "weights" / name)
    for path in (tmp_path / "run", tmp_path / "run" / "weights"):
        with pytest.raises(WeightsError, match=r"holds several weights: choose one of .*a2b, .*b2a"):
            weights_file(path)
        assert [file.parent.name for file in weights_files(path)] == ["a2b", "b2a"]
    for path in (tmp_path / "run" / "a2b", tmp_path / "run" / "weights" / "a2b"):
        assert weights_file(path) == tmp_path / "run" / "weights" / "a2b" / MODEL_FILE


def test_one_of_one_is_that_one(tmp_path):
    small_weights(tmp_path / "run" / "weights" / "a2b")
    assert weights_file(tmp_path / "run").parent.name == "a2b"


def test_a_bare_name_is_not_one_of_the_weights_of_this_folder(tmp_path, monkeypatch):
    small_weights(tmp_path / "weights" / "facades")
    monkeypatch.chdir(tmp_path)
    assert weights_files(Path("facades")) == []
    assert weights_files(tmp_path / "facades") != []
