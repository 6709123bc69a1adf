"""What a run may take over: its own folder under the same settings, or the networks of another run."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from translate.checkpoint.run_state import RunState, StateError, latest_state, owned
from translate.checkpoint.weights import load_weights
from translate.config.base import ConfigError, differences, flag, from_dict, to_dict
from translate.config.methods import train_command
from translate.config.migrate import migrated_network, migrated_settings
from translate.config.training import MethodConfig
from translate.data.store import Format
from translate.recipes.base import Recipe

# What may differ when a run is resumed: where things lie, how long, how often, on what.
FREE_ON_RESUME = {
    *(f"data.{name}" for name in ("root", "root_b", "labels_csv", "workers", "cache_gb", "max_bad", "names")),
    "styles",
    *(f"data.{name}" for name in ("values", "values_b")),  # what they come to is compared
    *(f"run.{name}" for name in ("out", "epochs", "images", "minutes", "micro_batch", "start_from", "precision")),
    *(f"run.{name}" for name in ("device", "channels_last", "compile", "deterministic", "keep")),
    *(f"run.{name}" for name in ("log_every", "sample_every", "checkpoint_every")),
}

MAY_CHANGE = "--epochs, --images, --minutes, --micro-batch, --precision, --device, and the logging and saving intervals"


def check_same_run(state: RunState, config: MethodConfig, nets: dict[str, nn.Module]) -> None:
    """Refuse to go on with a run that was started with other settings; those in `FREE_ON_RESUME` may differ.

    Args:
        state: The run's.
        config: Of now.
        nets: The networks as they are built now; other data or another release may choose otherwise.

    Raises:
        ConfigError: names the flag, its value then, and its value now.
        StateError: the state is not one that this release wrote.
    """
    out = config.run.out
    if missing := {"config", "images", "seconds", "losses", "world_size", "scalers"} - state.values.keys():
        raise StateError(f"the checkpoints in {out} lack {', '.join(sorted(missing))}: remove them to start over")
    try:
        settings = migrated_settings(state.values["config"])
        started = to_dict(from_dict(type(config), settings))  # what was not known then has its default
    except ConfigError as error:
        raise ConfigError(
            f"{out} is a run of another method, or of another release ({error}): give another --out"
        ) from None
    changed = differences(started, to_dict(config))
    refused = {key: values for key, values in changed.items() if key not in FREE_ON_RESUME}
    networks = network_configs(nets)
    recorded = _completed(state.values.get("networks", networks), nets)
    if refused:
        key, (old, new) = next(iter(refused.items()))
        same = not differences(recorded, networks) and not _differing(state, nets)
        raise ConfigError(
            f"{out} was started with {flag(key.rpartition('.')[2])} {old}, and now it is {new}"
            + (f" (and {len(refused) - 1} more)" if len(refused) > 1 else "")
            + f": give the same, or {_new_run(config) if same else 'another --out'}. What may change: {MAY_CHANGE}"
        )
    for place, (old, new) in differences(recorded, networks).items():
        network, _, field = place.partition(".")
        if field == "output":  # no flag of its own, or one that was compared above
            raise ConfigError(
                f"{out} was started by an earlier release, whose networks compute their output differently ({field}): "
                "give another --out. The weights that it has exported still open"
            )
        raise ConfigError(
            f"{out} has a network {network} with {field} {old}, and this data and these settings make one with {new}: "
            "give the data it was started with (or name what was chosen, such as --depth), or another --out"
        )
    if (name := _differing(state, nets)) is not None:
        raise StateError(f"the checkpoints in {out} are of another network {name}: remove them, or give another --out")


def _differing(state: RunState, nets: dict[str, nn.Module]) -> str | None:
    """The first network whose tensors in a state are others than they are now."""
    for name, net in nets.items():
        shapes = {key: tensor.shape for key, tensor in net.state_dict().items()}
        if shapes != {key: tensor.shape for key, tensor in owned(state.tensors, f"net.{name}").items()}:
            return name
    return None


def _new_run(config: MethodConfig) -> str:
    """How to train on from the networks of a run, under other settings."""
    out = config.run.out
    new = next(path for number in count(2) if not (path := out.with_name(f"{out.name}-{number}")).exists())
    command = train_command(replace(config, run=replace(config.run, out=new, start_from=out)))  # type: ignore[arg-type]
    if command is None:
        return f"start a new run from its networks: another --out, with --start-from {out}"
    return f"start a new run from its networks: {command}"


def check_same_encodings(state: RunState, formats: Sequence[Format], out: Path) -> None:
    """Refuse to go on where values or bands mean something else to the networks than they did.

    Raises:
        ConfigError: names the range that the run was started with.
    """
    recorded, now = state.values.get("encodings"), encodings_of(formats)
    if recorded is None or recorded == now:
        return
    flags = ("--values", "--values-b")
    said = [
        f"{flag} {old['values'][0]:.10g} {old['values'][1]:.10g}"
        for flag, old in zip(flags, recorded, strict=False)
        if old is not None and old["values"] is not None
    ]
    if said:
        raise ConfigError(
            f"{out} was started with another range of values than that of this data: give {' '.join(said)}, or another "
            "--out"
        )
    raise ConfigError(f"{out} was started with images of other bands or data types: give those, or another --out")


def encodings_of(formats: Sequence[Format]) -> list[dict[str, Any] | None]:
    """What the numbers of each domain's files mean, as JSON values."""
    return [None if fmt.encoding is None else to_dict(fmt.encoding) for fmt in formats]


def _completed(recorded: dict[str, Any], nets: dict[str, nn.Module]) -> dict[str, Any]:
    """Recorded networks with the defaults of what was not known when they were recorded."""
    found = {}
    for name, values in recorded.items():
        try:
            found[name] = to_dict(from_dict(type(nets[name].config), migrated_network(values)))  # type: ignore[arg-type, type-var]
        except (ConfigError, KeyError):  # another network, which the comparison names
            found[name] = migrated_network(values)
    return found


def network_configs(nets: dict[str, nn.Module]) -> dict[str, dict[str, Any]]:
    """What networks are made of, as JSON values."""
    return {name: to_dict(net.config) for name, net in nets.items()}


def start_networks(recipe: Recipe, source: Path) -> list[str]:
    """Load the networks of another run, or of weights, into a recipe; averages take the place of what they follow.

    Args:
        recipe: Its networks are changed.
        source: A run folder, a weights folder or a ``.safetensors`` file.

    Returns:
        The names of the networks that were loaded.

    Raises:
        ConfigError: a network is built otherwise.
        StateError, WeightsError: nothing there can be opened.
    """
    given: dict[str, dict[str, Tensor]]
    configs: dict[str, dict[str, Any]] = {}
    found = latest_state(source / "states") if (source / "states").is_dir() else None
    if found is not None:
        tensors = found[0].tensors
        configs = found[0].values.get("networks", {})
        given = {name: owned(tensors, f"net.{name}") for name in recipe.nets}
        for name in recipe.ema_nets:
            given[name] = owned(tensors, f"ema.{name}") or given[name]
    else:
        given = {}
        for folder, (names, _) in recipe.exports().items():
            network, weights = load_weights(source / folder if folder != "." else source)
            tensors = network.state_dict()
            if isinstance(names, str):
                given[names], configs[names] = tensors, to_dict(weights.network)
                continue
            for name in names:  # the parts of one network
                start = f"{name}."
                given[name] = {key.removeprefix(start): part for key, part in tensors.items() if key.startswith(start)}
    for name, network_tensors in given.items():
        own = recipe.nets[name].config
        before, now = migrated_network(configs.get(name, {})).get("output"), getattr(own, "output", None)
        if before is not None and before != now:  # the same tensors would mean something else, and nothing shows it
            raise ConfigError(
                f"--start-from {source}: the output of its network {name} is '{before}', and of this one '{now}': "
                "start from a run with the same --derive and --residual"
            )
        try:
            recipe.nets[name].load_state_dict(network_tensors)
        except RuntimeError as error:
            reason = str(error).splitlines()[1].strip() if "\n" in str(error) else str(error)
            raise ConfigError(
                f"--start-from {source}: its network {name} has another architecture ({reason}): "
                "give the same options of the network (such as --width) as that run, and --conditional if it used it"
            ) from None
    return list(given)


def without_paths(values: dict) -> dict:
    """The configuration without the folders of the machine it ran on."""
    plain = json.loads(json.dumps(values))
    for group, name in (
        ("data", "root"),
        ("data", "root_b"),
        ("data", "labels_csv"),
        ("run", "out"),
        ("run", "start_from"),
    ):
        if plain[group].get(name) is not None:
            plain[group][name] = os.path.basename(plain[group][name].rstrip("/"))
    if plain.get("styles") is not None:
        plain["styles"] = os.path.basename(plain["styles"].rstrip("/"))
    return plain
