"""The JSON of earlier releases, read as that of this one.

Weights record the version of their format. Each function here takes one version to the next, so that weights of every
release open in the later ones; run folders, which record no version, go through the same functions.
"""

from __future__ import annotations

from typing import Any

from translate.config.base import ConfigError

FORMAT_VERSION = 2
"""1: 0.1 before December 2026. 2: `output` of a generator in place of `residual`, `fills`, `colours` and `output`."""


def migrate(values: Any) -> dict[str, Any]:
    """The JSON of weights of any version, as this release writes it.

    Raises:
        ConfigError: no version, or one that this release does not know.
    """
    if not isinstance(values, dict) or "format_version" not in values:
        raise ConfigError("no format_version: not a configuration written by translate")
    version = values["format_version"]
    if type(version) is not int or not 1 <= version <= FORMAT_VERSION:
        raise ConfigError(
            f"format version {version!r}, and this release reads 1 to {FORMAT_VERSION}: "
            "update translate (pip install -U image-translate)"
        )
    if version == 1:
        values = {**values, "network": migrated_network(values.get("network"))}
    return {**values, "format_version": FORMAT_VERSION}


def migrated_network(values: Any) -> Any:
    """The JSON of a network of any version; that of this one, and whatever is no generator, as it is."""
    if not isinstance(values, dict) or values.get("type") not in ("resnet", "unet"):
        return values
    values = dict(values)
    names = {"residual": "residual", "fills": "inpainting", "colours": "colourisation"}
    flags = [name for old, name in names.items() if values.pop(old, False)]
    output = values.pop("output", "image")
    output = {"tanh": "image", "linear": "logits"}.get(output, output) if isinstance(output, str) else output
    return {**values, "output": flags[0] if flags else output}


def migrated_settings(values: Any) -> Any:
    """The JSON of a run's settings of any release; those of another method, or of this release, as they are."""
    if not isinstance(values, dict):
        return values
    values = dict(values)
    old = {"any_style": "code", "mapping_layers": "style"}  # of style transfer, and of a StyleGAN
    for mark, name in old.items():
        if mark in values and name in values:
            values.setdefault("style_dim", values.pop(name))
    if "mapping_layers" in values and values.get("grow") in ("on", "off"):
        values["grow"] = values["grow"] == "on"
    return values
