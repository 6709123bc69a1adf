"""Weights by name and by path; devices and precisions; grids."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import translate
import translate.inference.device as device_module
from translate.checkpoint import WeightsError, save_weights
from translate.config import PatchGANConfig, WeightsConfig
from translate.inference import (
    DeviceError,
    InferenceError,
    Translator,
    choose_device,
    choose_precision,
    find_weights,
    image_grid,
    library,
    load,
    load_translator,
    shipped_weights,
    to_images,
)
from translate.inference.device import autocast
from translate.networks import build_network


@pytest.fixture
def shipped(tmp_path, tiny_network, tiny_config, monkeypatch) -> Path:
    """A folder of two shipped weights, and an empty working folder."""
    root = tmp_path / "shipped"
    for name in ("facades", "maps"):
        save_weights(tiny_network, tiny_config, root / name)
    (root / "notes").mkdir()
    monkeypatch.setattr("translate.inference.finding.weights_root", lambda: root)
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return root


def test_shipped_weights_are_listed_by_name(shipped):
    assert shipped_weights() == {"facades": shipped / "facades", "maps": shipped / "maps"}


def test_a_name_stands_for_what_ships_and_a_path_for_itself(shipped, tiny_weights):
    assert find_weights("facades") == shipped / "facades"
    assert find_weights(tiny_weights) == tiny_weights
    assert find_weights(str(tiny_weights / "model.safetensors")) == tiny_weights / "model.safetensors"


def test_a_data_set_of_the_same_name_does_not_hide_what_ships(shipped):
    Path("facades").mkdir()
    assert find_weights("facades") == shipped / "facades"


def test_weights_of_the_same_name_in_the_working_folder_come_first(shipped, tiny_network, tiny_config):
    save_weights(tiny_network, tiny_config, Path("facades"))
    assert find_weights("facades") == Path("facades")


@pytest.mark.parametrize("name", ["zebra", "~nobody-of-this-name/weights", "no/where.safetensors"])
def test_what_is_not_there_is_refused_by_name(shipped, name):
    with pytest.raises(WeightsError) as caught:
        find_weights(name)
    assert str(caught.value).startswith(f"'{name}' is not a file or folder")


@pytest.mark.parametrize(("name", "hint"), [("facade", "Did you mean facades?"), ("map", "Did you mean maps?")])
def test_a_near_name_is_suggested(shipped, name, hint):
    with pytest.raises(WeightsError) as caught:
        find_weights(name)
    assert str(caught.value).endswith(hint)
    assert "(available: facades, maps)" in str(caught.value)


def test_a_far_name_is_refused_without_a_guess(shipped):
    with pytest.raises(WeightsError, match=r"'zebra' is not a file or folder.*facades, maps\)\.$"):
        find_weights("zebra")


def test_load_gives_a_translator_without_flags(shipped, tiny_config):
    for name in ("facades", shipped / "maps", str(shipped / "maps" / "model.safetensors")):
        model = load(name, device="cpu", precision="fp32")
        assert model.config == tiny_config
        assert isinstance(model.network, torch.nn.Module)
        assert model(Image.new("RGB", (5, 3))).size == (5, 3)
    assert repr(model) == "Translator('tiny', input -> output, cpu)"


def test_loading_gives_what_was_saved(tiny_weights, tiny_network, tiny_config):
    array = np.random.default_rng(0).integers(0, 256, (20, 24, 3)).astype(np.uint8)
    saved = translate.Translator(tiny_network, tiny_config, device="cpu", precision="fp32")
    assert np.array_equal(translate.load(tiny_weights, device="cpu", precision="fp32")(array), saved(array))


def test_weights_of_another_kind_are_refused(tmp_path):
    config = WeightsConfig(kind="discriminator", name="d", network=PatchGANConfig(width=2))
    save_weights(build_network(config.network), config, tmp_path / "d")
    with pytest.raises(InferenceError, match=r"'d' holds a discriminator"):
        load(tmp_path / "d")


def test_the_package_says_what_it_has():
    assert {"load", "train", "Translator"} <= set(dir(translate))
    with pytest.raises(AttributeError, match="module 'translate' has no attribute 'lood'"):
        _ = translate.lood


# Devices


def test_devices():
    assert choose_device("cpu") == torch.device("cpu")
    assert choose_device().type in ("cpu", "cuda", "mps")
    with pytest.raises(DeviceError, match=r"device 'gpu' is unknown: this machine has .*cpu"):
        choose_device("gpu")
    with pytest.raises(DeviceError, match=r"device 'cuda:99' is not available: this machine has .*cpu"):
        choose_device("cuda:99")


def test_precisions():
    cpu = torch.device("cpu")
    assert choose_precision("fp32", cpu) == "fp32"
    assert choose_precision("bf16", cpu) == "bf16"
    assert choose_precision("auto", cpu) in ("bf16", "fp32")
    with pytest.raises(DeviceError, match=r"--precision fp16 needs CUDA, and this run is on cpu: choose bf16 or fp32"):
        choose_precision("fp16", cpu)


@pytest.mark.parametrize(("precision", "dtype"), [("fp32", torch.float32), ("bf16", torch.bfloat16)])
def test_autocast(precision, dtype):
    with autocast(precision, torch.device("cpu")):
        assert torch.nn.functional.conv2d(torch.ones(1, 1, 3, 3), torch.ones(1, 1, 3, 3)).dtype == dtype


# Grids


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_tensors_become_rgb_images(channels):
    values = torch.arange(256).float().view(1, 1, 16, 16).expand(2, channels, 16, 16) / 127.5 - 1
    one, two = to_images(values)
    assert one.mode == "RGB"
    assert np.array_equal(np.asarray(one)[..., 0].flatten(), np.arange(256))
    assert np.array_equal(np.asarray(one), np.asarray(two))
    assert np.asarray(to_images(torch.full((1, channels, 1, 1), 7.0))[0]).min() == 255


def test_a_grid_holds_every_image_under_its_heading():
    columns = {
        name: [Image.new("RGB", (32, 24), (red, row, 7)) for row in range(3)]
        for name, red in (("input", 10), ("output", 20), ("target", 30))
    }
    grid = image_grid(columns)
    assert grid.mode == "RGB"
    assert grid.size == (3 * 32 + 2 * 4, 22 + 3 * 24 + 2 * 4)
    pixels = np.asarray(grid)
    for column, red in enumerate((10, 20, 30)):
        for row in range(3):
            part = pixels[22 + row * 28 : 22 + row * 28 + 24, column * 36 : column * 36 + 32]
            assert (part == (red, row, 7)).all()
    assert (pixels[:22] < 128).any()  # the headings
    wide = image_grid({"a": [Image.new("RGB", (32, 24))], "a heading wider than that": [Image.new("RGB", (32, 24))]})
    left, right = np.hsplit(np.asarray(wide)[:22], [wide.width // 2])
    assert wide.width > 2 * 32 + 4
    assert (left[:, -2:] == 255).all()  # headings keep apart
    assert (right[:, :2] == 255).all()


@pytest.mark.parametrize(
    ("has", "faster", "expected"), [(True, True, "bf16"), (True, False, "fp32"), (False, True, "fp32")]
)
def test_a_cpu_takes_bf16_where_it_has_it_and_it_is_faster(monkeypatch, has, faster, expected):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": has}, raising=False)
    monkeypatch.setattr(device_module, "_faster_on_this_cpu", lambda: faster)
    assert choose_precision("auto", torch.device("cpu")) == expected


def test_bf16_is_seen_where_one_value_in_a_thousand_changes_by_more_than_four_levels():
    exact = torch.zeros(1, 3, 40, 50)  # 6,000 values
    other = exact.clone()
    other.view(-1)[:6] = 4.1 / 127.5
    same = {"input": exact, "output": exact}
    assert device_module.bf16_is_seen(same, same | {"output": other})
    assert device_module.bf16_is_seen({"output": exact}, {"output": -other})
    other.view(-1)[5] = 3.9 / 127.5
    assert not device_module.bf16_is_seen(same, same | {"output": other})
    assert not device_module.bf16_is_seen(same, same)
    other.view(-1)[6:20] = torch.nan
    assert device_module.bf16_is_seen(same, same | {"output": other})
    assert not device_module.bf16_is_seen({"output": exact[:0]}, {"output": exact[:0]})


@pytest.fixture
def measurements(monkeypatch, tmp_path):
    """How often this CPU was measured; each time it answers otherwise. What is kept is kept in a folder of its own."""
    taken = []

    def measured():
        taken.append(len(taken) % 2 == 0)
        return taken[-1]

    monkeypatch.setattr(device_module.platformdirs, "user_cache_dir", lambda *_, **__: str(tmp_path / "cache"))
    monkeypatch.setattr(device_module, "_measured_faster", measured)
    decide = device_module._faster_on_this_cpu
    yield taken, lambda: (decide.cache_clear(), decide())[1]  # as another process would
    decide.cache_clear()


def test_measuring_a_cpu_draws_nothing_and_leaves_the_threads():
    state, threads = torch.get_rng_state(), torch.get_num_threads()
    assert device_module._measured_faster() in (True, False)
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.get_num_threads() == threads


def test_a_cpu_is_measured_once_a_machine(measurements, monkeypatch, tmp_path):
    taken, decide = measurements
    assert [decide() for _ in range(3)] == [True] * 3
    assert len(taken) == 1
    monkeypatch.setattr(device_module, "cpu_name", lambda: "another processor")  # a home on two machines
    assert [decide() for _ in range(2)] == [False] * 2
    assert set(json.loads((tmp_path / "cache" / "precision.json").read_text()).values()) == {"bf16", "fp32"}


@pytest.mark.parametrize("kept", ["", "[]", '{"CPU": 3}', "\x00"])
def test_what_was_kept_and_cannot_be_read_is_measured_anew(measurements, tmp_path, kept):
    taken, decide = measurements
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "precision.json").write_text(kept)
    assert [decide() for _ in range(2)] == [True] * 2
    assert len(taken) == 1


def test_a_cache_folder_that_cannot_be_written_is_no_error(measurements, tmp_path):
    taken, decide = measurements
    (tmp_path / "cache").write_text("a file where the folder should be")
    assert decide() is True
    assert len(taken) == 1


@pytest.mark.parametrize("name", ["facades", "paintings", "any-style"])
def test_weights_are_cast_once_and_give_what_they_gave(name):
    """Autocast would cast them at each pass."""
    network, config = library.open_network(find_weights(name))
    plain = Translator(network, config, device="cpu", precision="bf16")
    cast = load_translator(name, device="cpu", precision="bf16")
    assert {parameter.dtype for parameter in cast.network.parameters()} == {torch.float32}
    cast.cast_weights()
    image = np.random.default_rng(0).random((64, 72, config.network.in_channels), dtype=np.float32)
    code = plain.reference_code(Image.new("RGB", (64, 64), (200, 90, 10))) if plain.any_style else None
    assert np.array_equal(plain(image, code=code), cast(image, code=code))
    kinds = {weight.dtype for key, weight in cast.network.state_dict().items() if "conv" in key}
    assert torch.bfloat16 in kinds
    assert {parameter.dtype for parameter in plain.network.parameters()} == {torch.float32}
    whole = load_translator(name, device="cpu", precision="fp32")
    whole.cast_weights()
    assert {parameter.dtype for parameter in whole.network.parameters()} == {torch.float32}
