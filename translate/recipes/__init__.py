"""Training methods, one file each; `translate.config.methods.METHODS` names them."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

from translate.config.methods import METHODS, method_name
from translate.config.training import MethodConfig
from translate.recipes.base import Progress, Recipe, TrainingData, Update


def open_recipe(config: MethodConfig, *, cache: Path | None = None) -> tuple[Recipe, TrainingData]:
    """The recipe that a configuration names, and its data.

    Raises:
        LayoutError, ConfigError: the data or the configuration will not do; the message says why and what to change.
    """
    module, _, name = METHODS[method_name(config)].recipe.partition(":")
    kind: type[Recipe] = getattr(import_module(f"translate.recipes.{module}"), name)
    data = kind.open_data(config, cache=cache)
    return kind(config, data), data  # type: ignore[call-arg]


__all__ = ["Progress", "Recipe", "TrainingData", "Update", "open_recipe"]
