"""From a configuration to a trained run; what ``translate train`` and ``translate.train`` call."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import torch
from filelock import FileLock, Timeout

from translate.blocks.keyed import sample_keys
from translate.checkpoint.atomic import WriteError
from translate.config.base import ConfigError, validate
from translate.config.training import MethodConfig
from translate.engine.display import Display, device_name
from translate.engine.distributed import World, join_world
from translate.engine.engine import Engine
from translate.engine.errors import TrainingError, out_of_memory
from translate.recipes import open_recipe


def train(config: MethodConfig, *, display: Display | None = None) -> Path:
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
    torch.manual_seed(initial_seed(run.seed))
    with _locked(run.out, enabled=world.is_main):
        try:
            return _train(config, world=world, display=display)
        finally:
            world.close()


def initial_seed(seed: int) -> int:
    """Of the weights that a run of a seed starts from.

    Not the seed itself: latents are drawn by seeds as well, and the first would be the weights of the first layer,
    number for number, which answers to them as to nothing that it was trained with.
    """
    return int(sample_keys(1, 1, seed=seed))  # key 0 of seed 0 is 0


def _train(config: MethodConfig, *, world: World, display: Display) -> Path:
    run = config.run
    try:
        recipe, data = open_recipe(config, cache=run.out / "cache")
    except RuntimeError as error:
        if not out_of_memory(error):
            raise
        raise TrainingError("these networks do not fit in memory: lower --width and --d-width") from error
    try:
        for line in (*data.announcement, *recipe.announcement):
            display.say(line)
        engine = Engine(recipe, data, config=config, world=world, display=display)
        parameters = ", ".join(
            f"{name} {_count(sum(p.numel() for p in net.parameters()))}" for name, net in recipe.nets.items()
        )
        device = device_name(world.device)
        display.say(f"{recipe.name} at {data.size} px on {device}, {engine.precision}; parameters: {parameters}")
        complete = engine.train()
        weights = run.out / "weights"
        if complete:
            one = shlex.quote(str(weights / next(iter(recipe.exports()))))
            display.say(f"done: {engine.images:,} images. Try it: translate {recipe.command.format(one)}")
        else:
            display.say(
                f"stopped after {engine.images:,} of {engine.total:,} images, saved in {run.out}. "
                "Run the same command again to resume"
            )
        return weights
    finally:
        data.close()


@contextmanager
def _locked(out: Path, *, enabled: bool) -> Iterator[None]:
    """Keep other runs out of a run's folder; the lock ends with the process, however it ends."""
    if not enabled:
        yield
        return
    is_new = not out.exists()
    try:
        out.mkdir(parents=True, exist_ok=True)
        lock = FileLock(out / ".lock")
        lock.acquire(timeout=0)
    except Timeout:
        raise ConfigError(f"{out} is being trained by another process: wait for it, or give another --out") from None
    except OSError as error:
        raise WriteError(f"{out} cannot be written ({error.strerror}): choose another --out") from error
    try:
        yield
    finally:
        lock.release()
        if is_new and [path.name for path in out.iterdir()] == [".lock"]:  # a refused run leaves nothing behind
            with suppress(OSError):
                (out / ".lock").unlink()
                out.rmdir()


def _count(number: int) -> str:
    """4300000 -> '4.3M', 33500 -> '34k', 120 -> '120'."""
    return f"{number / 1e6:.1f}M" if number >= 1e6 else f"{number / 1e3:.0f}k" if number >= 1e4 else str(number)
