"""``translate train METHOD DATA --out RUN``."""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import reduce
from operator import or_
from typing import Annotated, Any, get_type_hints

from tyro import MISSING
from tyro.conf import OmitArgPrefixes, arg, subcommand

from translate.config.base import validate
from translate.config.methods import METHODS, PARTS, default_options


def _blank(kind: Any, options: dict[str, Any]) -> Any:
    """A configuration whose required options are still missing; no valid one, so nothing of it is checked."""
    blank = object.__new__(kind)
    for field in fields(kind):
        if field.name in PARTS:
            value = _blank(get_type_hints(kind)[field.name], options)
        else:
            value = options.get(field.name, MISSING)
        object.__setattr__(blank, field.name, value)
    return blank


def _command(name: str) -> Any:
    """A method's subcommand, whose options are those of its configuration, with its own defaults."""
    method = METHODS[name]
    default = _blank(method.config, default_options(name))
    named = subcommand(name, description=method.description, default=default)
    return Annotated[OmitArgPrefixes[method.config], named]  # type: ignore[misc, name-defined]


_METHOD: Any = reduce(or_, [_command(name) for name, method in METHODS.items() if method.is_command])


@dataclass(frozen=True, kw_only=True)
class Train:
    """Train on your own folders."""

    method: Annotated[_METHOD, arg(name="")]


def train(command: Train) -> int:
    """Run ``translate train``; the exit code."""
    validate(command.method)
    from translate.engine import train
    from translate.inference.files import names_a_file

    names_a_file(command.method.run.out, ())
    train(command.method)
    return 0
