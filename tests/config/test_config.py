"""Strict JSON, ranges, messages that name what to change, and no torch."""

import dataclasses
import json
from pathlib import Path

import pytest

from translate.config import (
    FORMAT_VERSION,
    ConfigError,
    DataConfig,
    Domains,
    PatchGANConfig,
    Pix2PixConfig,
    Preprocessing,
    ResNetConfig,
    RunConfig,
    SegmentationConfig,
    TrainingRecord,
    UNetConfig,
    WeightsConfig,
    differences,
    from_dict,
    to_dict,
    unet_depth,
    validate,
    weights_config,
)
from translate.config.base import flag
from translate.config.presets import FACADE_CLASSES

RUN = RunConfig(out=Path("runs/one"))
DATA = DataConfig(root=Path("data/facades"))
PALETTE = {"palette": tuple(FACADE_CLASSES.values()), "class_names": tuple(FACADE_CLASSES)}
WEIGHTS = WeightsConfig(
    kind="translator",
    name="facades",
    network=UNetConfig(width=24),
    preprocessing=Preprocessing(size=128, value_range=(0.0, 1.0), bits=16, alpha="keep"),
    domains=Domains(source="labels", target="photos"),
    noise="always",
    training=TrainingRecord(recipe="pix2pix", images_seen=80, losses={"g": 1.5}, config={"run": {"seed": 3}}),
)
CONFIGS = [
    ResNetConfig(width=3, dropout=0.5, norm="batch"),
    UNetConfig(output="logits"),
    PatchGANConfig(num_scales=3),
    DataConfig(root=Path("a"), root_b=Path("b"), size=64, names=("labels", "photos")),
    RunConfig(out=Path("x"), epochs=1, micro_batch=2, batch_size=8),
    Pix2PixConfig(data=DATA, run=RUN, generator="resnet", num_blocks=3),
    SegmentationConfig(data=DATA, run=RUN, **PALETTE),
    WEIGHTS,
]


# Round trips


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: type(config).__name__)
def test_json_gives_the_same_configuration_back(config):
    assert from_dict(type(config), json.loads(json.dumps(to_dict(config)))) == config
    assert validate(config) == config


def test_paths_are_written_with_forward_slashes():
    assert to_dict(DataConfig(root=Path("a") / "b"))["root"] == "a/b"


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: type(config).__name__)
def test_configurations_are_frozen_and_keyword_only(config):
    with pytest.raises(dataclasses.FrozenInstanceError):
        config.width = 3
    with pytest.raises(TypeError):
        type(config)(3)


# Refusals


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: type(config).__name__)
def test_unknown_keys_are_refused_by_name(config):
    with pytest.raises(ConfigError, match=r"wdith: unknown key"):
        from_dict(type(config), {**to_dict(config), "wdith": 3})


def test_an_unknown_key_inside_is_named_with_its_place():
    with pytest.raises(ConfigError, match=r"run\.batchsize: unknown key"):
        from_dict(Pix2PixConfig, {"data": {"root": "a"}, "run": {"out": "x", "batchsize": 2}})


@pytest.mark.parametrize(
    ("kind", "values", "message"),
    [
        (UNetConfig, {"width": 0}, "width = 0: must be at least 1"),
        (UNetConfig, {"depth": 11}, "depth = 11: must be at most 10"),
        (UNetConfig, {"dropout": 1.0}, "dropout = 1.0: must be less than 1"),
        (UNetConfig, {"norm": "layer"}, "norm = 'layer': must be 'instance', 'instance-affine', 'batch'"),
        (UNetConfig, {"width": "64"}, "width = '64': must be a valid integer"),
        (UNetConfig, {"width": True}, "width = True: must be a valid integer"),
        (UNetConfig, {"width": 1.5}, "width = 1.5: must be a valid integer"),
        (UNetConfig, {"type": "resnet"}, "type = 'resnet': must be 'unet'"),
        (ResNetConfig, {"num_downsamplings": 7}, "num_downsamplings = 7"),
        (RunConfig, {"out": "x", "seed": 2**63}, "seed = "),
        (RunConfig, {"out": "x", "epochs": 0}, "epochs = 0: must be more than 0"),
        (RunConfig, {}, "out: missing"),
        (DataConfig, {"root": "a", "names": ["x"]}, "names"),
        (DataConfig, {"root": "a", "enlarge": 0.5}, "enlarge = 0.5: must be at least 1"),
        (DataConfig, {"root": "a", "size": 4}, "size = 4: must be at least 8"),
        (DataConfig, {"root": 3}, "root = 3"),
    ],
)
def test_values_out_of_range_are_named(kind, values, message):
    with pytest.raises(ConfigError) as caught:
        from_dict(kind, values)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_all_problems_are_named_at_once():
    with pytest.raises(ConfigError, match=r"width = 0.*depth = 0.*extra: unknown key"):
        from_dict(UNetConfig, {"width": 0, "depth": 0, "extra": 1})


def test_validate_checks_what_python_made():
    with pytest.raises(ConfigError, match="--keep 0: "):
        validate(Pix2PixConfig(data=DATA, run=RunConfig(out=Path("x"), keep=0)))


@pytest.mark.parametrize(
    ("make", "values", "message"),
    [
        (
            lambda **values: RunConfig(out=Path("x"), **values),
            {"batch_size": 5, "micro_batch": 2},
            "--batch-size 5 is not a multiple of --micro-batch 2: choose a micro-batch that divides it",
        ),
        (
            PatchGANConfig,
            {"num_layers": 0, "num_scales": 2},
            "--num-scales needs a discriminator with layers: set --num-layers to 1 or more",
        ),
        (
            lambda **values: Pix2PixConfig(data=DATA, run=RUN, **values),
            {"generator": "resnet", "depth": 3},
            "--depth belongs to the U-Net: omit it, or choose --generator unet",
        ),
        (
            lambda **values: Pix2PixConfig(data=DATA, run=RUN, **values),
            {"num_blocks": 3},
            "--num-blocks belongs to the ResNet: omit it, or choose --generator resnet",
        ),
        (
            lambda **values: Pix2PixConfig(data=DATA, run=RUN, **values),
            {"d_layers": 0, "d_scales": 2},
            "--d-scales needs a discriminator with stages: set --d-layers to 1 or more",
        ),
        (
            lambda **values: SegmentationConfig(data=DATA, run=RUN, **values),
            {"palette": ((0, 0, 0),) * 3, "class_names": ("a", "b")},
            "--palette has 3 colours and --class-names 2 names: "
            "give at least two classes, with one colour and one name each",
        ),
        (
            lambda **values: dataclasses.replace(WEIGHTS, **values),
            {"network": PatchGANConfig()},
            "a translator needs a translation network, not 'patchgan'",
        ),
        (
            lambda **values: dataclasses.replace(WEIGHTS, **values),
            {"preprocessing": Preprocessing(value_range=(1.0, 1.0))},
            "value_range (1.0, 1.0): the first must be smaller than the second",
        ),
    ],
)
def test_fields_that_do_not_go_together(make, values, message):
    with pytest.raises(ConfigError) as caught:
        make(**values)
    assert str(caught.value) == message


def test_fields_that_do_not_go_together_in_json_give_the_same_message():
    values = {"data": {"root": "a"}, "run": {"out": "x", "batch_size": 5, "micro_batch": 2}}
    with pytest.raises(ConfigError) as caught:
        from_dict(Pix2PixConfig, values)
    assert str(caught.value) == (
        "--batch-size 5 is not a multiple of --micro-batch 2: choose a micro-batch that divides it"
    )


# Weights


def test_weights_config_is_read_from_json():
    assert weights_config(json.loads(json.dumps(to_dict(WEIGHTS)))) == WEIGHTS


@pytest.mark.parametrize("version", [0, FORMAT_VERSION + 1, "1", None, True, 1.0])
def test_another_version_is_refused_and_says_what_to_do(version):
    with pytest.raises(
        ConfigError, match=rf"format version .*this release reads 1 to {FORMAT_VERSION}: update translate"
    ):
        weights_config({**to_dict(WEIGHTS), "format_version": version})


@pytest.mark.parametrize("values", [None, [], "x", {}, {"kind": "translator"}])
def test_what_is_no_weights_config_is_refused(values):
    with pytest.raises(ConfigError, match=r"not a configuration written by translate"):
        weights_config(values)


@pytest.mark.parametrize("kind", ["upscaler", None])
def test_another_kind_of_weights_is_refused(kind):
    with pytest.raises(ConfigError, match=r"kind = .*'translator', 'segmenter', .* or 'generator'"):
        weights_config({**to_dict(WEIGHTS), "kind": kind})


def test_another_network_is_refused():
    with pytest.raises(ConfigError, match=r"'stylegan'"):
        weights_config({**to_dict(WEIGHTS), "network": {"type": "stylegan"}})
    with pytest.raises(ConfigError, match=r"network\.unet\.width = -1"):
        weights_config({**to_dict(WEIGHTS), "network": {"type": "unet", "width": -1}})


# The rest


@pytest.mark.parametrize(
    ("size", "depth"),
    [(2, 1), (8, 2), (16, 3), (32, 4), (64, 5), (96, 5), (128, 6), (160, 5), (256, 7), (288, 5), (512, 8), (1024, 8)],
)
def test_unet_depth(size, depth):
    assert unet_depth(size) == depth
    assert size % 2**depth == 0


@pytest.mark.parametrize(
    ("size", "choices"),
    [
        *[(1, (2, 4)), (3, (2, 4)), (12, (8, 16)), (24, (16, 32)), (31, (16, 32))],
        *[(40, (32, 64)), (100, (96, 128)), (286, (256, 288)), (1000, (992, 1024))],
    ],
)
def test_sizes_that_cannot_be_halved_are_refused_with_two_that_can(size, choices):
    with pytest.raises(ConfigError, match=rf"--size {size} .*choose {choices[0]} or {choices[1]}$"):
        unet_depth(size)
    assert all(unet_depth(choice) for choice in choices)


def test_differences_name_the_place():
    old = {"a": 1, "b": {"c": [1, 2], "d": None}, "only": 1, "nan": float("nan")}
    new = {"a": 1, "b": {"c": [1, 3], "d": {"e": 2}}, "nan": float("nan")}
    assert differences(old, new) == {"b.c": ([1, 2], [1, 3]), "b.d": (None, {"e": 2}), "only": (1, None)}
    assert differences(old, old) == {}


def test_flag():
    assert flag("batch_size") == "--batch-size"


def test_facade_colours_are_twelve_and_far_apart():
    colours = list(FACADE_CLASSES.values())
    assert len(colours) == 12
    distances = [sum((x - y) ** 2 for x, y in zip(a, b, strict=True)) for a in colours for b in colours if a != b]
    assert min(distances) > 40**2
