"""From a configuration to a trained run; what ``translate train`` and ``translate.train`` call."""

from __future__ import annotations

import os
from pathlib import Path

import torch

from translate.config.base import validate
from translate.config.training import TrainConfig
from translate.engine.display import Display, device_name
from translate.engine.distributed import join_world
from translate.engine.engine import Engine
from translate.recipes import open_recipe


def train(config: TrainConfig, *, display: Display | None = None) -> Path:
    """Train, or go on where the run in ``config.run.out`` stopped.

    Args:
        config: A method's configuration, such as `Pix2PixConfig`.
        display: Where progress is said; the terminal unless given.

    Returns:
        The folder of the weights, for `translate.load` and ``translate apply``.

    Raises:
        LayoutError, ConfigError, DeviceError: something given will not do; the message says what to change.
        DataError, TrainingError, WriteError: the run could not go on; what was saved is kept.
    """
    config = validate(config)
    run = config.run
    if run.deterministic:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(run.deterministic)
    torch.backends.cudnn.benchmark = not run.deterministic
    world = join_world(run.device)
    display = display or Display(enabled=world.is_main)
    torch.manual_seed(run.seed)
    recipe, data = open_recipe(config, cache=run.out / "cache")
    try:
        for line in data.announcement:
            display.say(line)
        engine = Engine(recipe, data, config=config, world=world, display=display)
        parameters = ", ".join(
            f"{name} {sum(p.numel() for p in net.parameters()) / 1e6:.1f}M" for name, net in recipe.nets.items()
        )
        device = device_name(world.device)
        display.say(f"{recipe.name} at {data.size} px on {device}, {engine.precision}; parameters: {parameters}")
        complete = engine.train()
        weights = run.out / "weights"
        if complete:
            display.say(f"done: {engine.images:,} images. Try it: translate apply {weights} IMAGE -o OUT")
        else:
            display.say(
                f"stopped after {engine.images:,} of {engine.total:,} images, saved in {run.out}. "
                "The same command again goes on from here"
            )
        return weights
    finally:
        data.close()
        world.close()
