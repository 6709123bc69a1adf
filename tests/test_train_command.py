"""The command that is printed for a configuration trains by that configuration."""

import shlex
from pathlib import Path
from typing import get_args, get_type_hints

import pytest
import tyro
from tyro.conf import OmitSubcommandPrefixes

from translate.cli.train import Train
from translate.config import (
    CUTConfig,
    CycleGANConfig,
    DataConfig,
    FastCUTConfig,
    ImageSetConfig,
    LearningRunConfig,
    Pix2PixConfig,
    RunConfig,
    SegmentationConfig,
    UnpairedDataConfig,
    VAEConfig,
)
from translate.config.methods import METHODS, train_command
from translate.config.style_transfer import PhotosConfig, StyleTransferConfig, StyleTransferRunConfig
from translate.config.training import ClassifierConfig

RUN = {"out": Path("runs/my run"), "batch_size": 7}


@pytest.mark.parametrize(
    "config",
    [
        Pix2PixConfig(
            data=DataConfig(root=Path("a b"), root_b=Path("c"), flip=False, names=("labels", "a photo"), size=64),
            run=RunConfig(**RUN, start_from=Path("runs/it's"), compile=True, channels_last=False),
            depth=3,
        ),
        CycleGANConfig(
            data=UnpairedDataConfig(root=Path("d")), run=RunConfig(**RUN), augment=("colour", "cutout"), norm="batch"
        ),
        FastCUTConfig(data=UnpairedDataConfig(root=Path("d")), run=RunConfig(**RUN), identity_nce=True),
        CUTConfig(data=UnpairedDataConfig(root=Path("d")), run=RunConfig(**RUN), identity_nce=False),
        SegmentationConfig(
            data=DataConfig(root=Path("d")),
            run=RunConfig(**RUN),
            palette=((0, 0, 0), (255, 1, 2)),
            class_names=("sky", "the sea"),
        ),
        VAEConfig(
            data=ImageSetConfig(root=Path("d"), classes=("1", "8")),
            run=LearningRunConfig(**RUN),
            hidden=(9, 4),
            body="dense",
        ),
        *(
            kind(data=ImageSetConfig(root=Path("d")), run=get_type_hints(kind)["run"](**RUN))
            for kind in METHODS
            if "ImageSetConfig" in str(get_type_hints(kind)["data"])
        ),
        StyleTransferConfig(
            data=PhotosConfig(root=Path("d")), run=StyleTransferRunConfig(**RUN), styles=Path("a b"), widths=(4, 8, 9)
        ),
    ],
    ids=lambda config: METHODS[type(config)],
)
def test_the_command_of_a_configuration_makes_that_configuration(config):
    words = shlex.split(train_command(config))
    assert words[:3] == ["translate", "train", METHODS[type(config)]]
    assert tyro.cli(Train, args=words[2:], config=(OmitSubcommandPrefixes,)).method == config


def test_every_method_of_the_command_line_has_its_command():
    method = get_type_hints(Train, include_extras=True)["method"]
    assert {get_args(kind)[0] for kind in get_args(get_args(method)[0])} == set(METHODS)


def test_a_classifier_for_scores_has_none():
    config = ClassifierConfig(data=UnpairedDataConfig(root=Path("d")), run=RunConfig(out=Path("r")))
    assert train_command(config) is None
