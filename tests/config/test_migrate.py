"""Weights of earlier formats open: what this release reads of them is what it would have written."""

import json
from pathlib import Path

import pytest
from safetensors import safe_open

from translate.checkpoint.files import METADATA_KEY, MODEL_FILE
from translate.config import ConfigError, weights_config
from translate.config.base import to_dict
from translate.config.migrate import FORMAT_VERSION, migrate, migrated_network, migrated_settings
from translate.inference.finding import shipped_weights

FIRST = json.loads((Path(__file__).parents[1] / "golden" / "weights_v1.json").read_text(encoding="utf-8"))
"""Every ``config.json`` of ``weights/`` as it was in the first format, without its training record."""

FLAGS = ("residual", "fills", "colours")


@pytest.mark.parametrize("name", FIRST)
def test_weights_of_the_first_format_open(name):
    values = FIRST[name]
    assert values["format_version"] == 1
    config = weights_config(values)
    assert config.format_version == FORMAT_VERSION
    assert weights_config(to_dict(config)) == config
    if values["network"]["type"] not in ("unet", "resnet"):
        assert to_dict(config.network) == values["network"] | {
            key: value for key, value in to_dict(config.network).items() if key not in values["network"]
        }
        return
    flags = [flag for flag in FLAGS if values["network"][flag]]
    expected = {"residual": "residual", "fills": "inpainting", "colours": "colourisation"}
    assert config.network.output == (expected[flags[0]] if flags else "image")


def test_the_first_weights_had_every_way_of_making_an_output_that_ships():
    assert {"image", "colourisation"} <= {getattr(weights_config(FIRST[name]).network, "output", "") for name in FIRST}


@pytest.mark.parametrize("folder", shipped_weights().values(), ids=lambda folder: folder.name)
def test_every_shipped_file_opens_as_it_is(folder):
    with safe_open(folder / MODEL_FILE, framework="pt") as opened:
        inside = json.loads(opened.metadata()[METADATA_KEY])
    beside = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    assert inside == beside
    assert weights_config(inside).name == folder.name


@pytest.mark.parametrize(
    ("old", "output"),
    [
        ({"type": "resnet"}, "image"),
        ({"type": "unet", "output": "tanh"}, "image"),
        ({"type": "unet", "output": "linear"}, "logits"),
        *[({"type": kind, "residual": True}, "residual") for kind in ("resnet", "unet")],
        *[({"type": kind, "fills": True, "residual": False}, "inpainting") for kind in ("resnet", "unet")],
        ({"type": "unet", "output": "tanh", "colours": True}, "colourisation"),
        ({"type": "resnet", "output": "logits"}, "logits"),
    ],
    ids=str,
)
def test_networks_of_the_first_format(old, output):
    new = migrated_network({**old, "width": 3})
    assert new == {"type": old["type"], "width": 3, "output": output}
    assert migrated_network(new) == new  # so run folders, which record no version, may be of either


@pytest.mark.parametrize("values", [None, [], "x", 3, {"type": "patchgan", "residual": 1}], ids=str)
def test_what_is_no_generator_is_left_to_the_reader(values):
    assert migrated_network(values) == values


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ({"any_style": False, "code": 8}, {"any_style": False, "style_dim": 8}),
        ({"mapping_layers": 2, "style": 8, "grow": "on"}, {"mapping_layers": 2, "style_dim": 8, "grow": True}),
        ({"mapping_layers": 2, "style": 8, "grow": "off"}, {"mapping_layers": 2, "style_dim": 8, "grow": False}),
        ({"generator": "resnet", "style_dim": 8}, {"generator": "resnet", "style_dim": 8}),
        ({"num_codes": 8, "code": 3, "style": 2, "grow": "on"}, {"num_codes": 8, "code": 3, "style": 2, "grow": "on"}),
        *[(values, values) for values in (None, [], "x", {})],
    ],
    ids=str,
)
def test_settings_of_runs_of_earlier_releases(old, new):
    kept = json.loads(json.dumps(old))
    assert migrated_settings(old) == new
    assert migrated_settings(new) == new
    assert old == kept


def test_what_was_given_is_not_changed():
    given = {"format_version": 1, "network": {"type": "unet", "fills": False, "output": "tanh"}, "name": "x"}
    kept = json.loads(json.dumps(given))
    assert migrate(given)["network"] == {"type": "unet", "output": "image"}
    assert given == kept


@pytest.mark.parametrize("network", [None, [], "x", {"type": "unet", "output": ["tanh"]}, {"type": "unet", "fills": 3}])
def test_a_broken_network_is_refused_and_not_a_crash(network):
    with pytest.raises(ConfigError):
        weights_config({"format_version": 1, "kind": "translator", "name": "x", "network": network, "surprise": 1})
