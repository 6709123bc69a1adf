"""What every configuration shares: frozen keyword-only dataclasses, strict JSON, checked ranges.

A configuration is a plain stdlib dataclass. Its ranges are written as ``Annotated[int, Ge(1)]``; pydantic checks them
when a configuration comes from JSON or from `validate`, tyro makes command-line flags from the same fields. This
floor imports no torch, so that ``translate --help`` answers at once.
"""

from __future__ import annotations

import dataclasses
import json
from functools import cache
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from translate.config.errors import TranslateError

C = TypeVar("C", bound="Config")


class ConfigError(TranslateError, ValueError):
    """A configuration that cannot be used; the message names the field, what was expected, and the fix."""


class Config:
    """Base of all configurations: unknown keys in JSON are refused."""

    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid", "allow_inf_nan": False}


@cache
def _adapter(kind: Any) -> Any:
    from pydantic import TypeAdapter

    return TypeAdapter(kind)


def flag(field_name: str) -> str:
    """The command-line spelling of a field: ``batch_size`` -> ``--batch-size``."""
    return "--" + field_name.replace("_", "-")


def _readable(error: Any, *, flags: bool = False) -> str:
    """One line a problem: where it is (or its flag), what was given, what was expected."""
    lines = []
    for problem in error.errors(include_url=False):
        where = ".".join(str(part) for part in problem["loc"]) or "value"
        names = [part for part in problem["loc"] if isinstance(part, str)]
        if problem["type"] in ("unexpected_keyword_argument", "extra_forbidden"):
            lines.append(f"{where}: unknown key")
        elif problem["type"] == "missing":
            lines.append(f"{where}: missing")
        elif problem["type"] == "value_error":  # from __post_init__, whose message names the flags itself
            lines.append(problem["msg"].removeprefix("Value error, "))
        else:
            given = f"{flag(names[-1])} {problem['input']}" if flags and names else f"{where} = {problem['input']!r}"
            lines.append(f"{given}: {_expected(problem)}")
    return "; ".join(dict.fromkeys(lines))


BOUNDS = {
    "greater_than_equal": ("ge", "at least"),
    "greater_than": ("gt", "more than"),
    "less_than_equal": ("le", "at most"),
    "less_than": ("lt", "less than"),
}


def _expected(problem: Any) -> str:
    if problem["type"] in BOUNDS:
        name, words = BOUNDS[problem["type"]]
        bound = problem["ctx"][name]
        return f"must be {words} {f'{bound:,}' if isinstance(bound, int) else f'{bound:g}'}"
    return problem["msg"].replace("Input should be", "must be")


def validate(config: C) -> C:
    """Check every range of a configuration made in Python or by the command line.

    Raises:
        ConfigError: names each field that is out of range, its value, and what was expected.
    """
    return _from_values(type(config), to_dict(config), flags=True)


def to_dict(config: Any) -> dict[str, Any]:
    """A configuration as JSON-able values; paths become strings with forward slashes."""

    def plain(value: Any) -> Any:
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            return {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
        if isinstance(value, Path):
            return value.as_posix()
        if isinstance(value, list | tuple):
            return [plain(item) for item in value]
        if isinstance(value, dict):
            return {str(key): plain(item) for key, item in value.items()}
        return value

    return plain(config)


def from_dict(kind: type[C], values: dict[str, Any]) -> C:
    """Build a configuration from JSON values, refusing unknown keys, other types, and values out of range.

    Strict: a number is not accepted as a string, nor a boolean as a number; an integer may stand for a float.

    Raises:
        ConfigError: names each offending key.
    """
    return _from_values(kind, values, flags=False)


def _from_values(kind: type[C], values: dict[str, Any], *, flags: bool) -> C:
    from pydantic import ValidationError

    try:
        # JSON, since Python values are strict to a fault: a list would not do for a tuple, nor text for a path.
        adapter: Any = _adapter(kind)  # type: ignore[arg-type]  # mypy takes no TypeVar of classes for hashable
        return adapter.validate_json(json.dumps(values), strict=True)
    except ValidationError as error:
        raise ConfigError(_readable(error, flags=flags)) from None


def differences(old: Any, new: Any, *, prefix: str = "") -> dict[str, tuple[Any, Any]]:
    """The fields in which two JSON values differ: ``{"data.size": (64, 128)}``."""
    if isinstance(old, dict) and isinstance(new, dict):
        found: dict[str, tuple[Any, Any]] = {}
        for key in {**old, **new}:
            found |= differences(old.get(key), new.get(key), prefix=f"{prefix}.{key}" if prefix else key)
        return found
    same = old == new or (old != old and new != new)  # NaN, which equals nothing, is no difference
    return {} if same else {prefix: (old, new)}
