"""How `tyro` makes options of our dataclasses: help from the docstring below each field, None never shown as a value.

tyro's own rule breaks help in the middle of a sentence where the docstring has several lines, and shows an optional
value as ``{None}|INT (default: None)``; here the docstring says what happens by default.
"""

from __future__ import annotations

import ast
import dataclasses
import inspect
import textwrap
from functools import cache, partial
from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

from tyro import MISSING
from tyro.conf import Positional, arg
from tyro.constructors import (
    ConstructorRegistry,
    PrimitiveConstructorSpec,
    PrimitiveTypeInfo,
    StructConstructorSpec,
    StructFieldSpec,
    StructTypeInfo,
    UnsupportedTypeAnnotationError,
)

AUTO = "auto"
"""What may be typed for an option that is not given."""

OPTIONS = ConstructorRegistry()
"""Given to `tyro.cli`."""


@cache
def _docstrings(kind: type) -> dict[str, str]:
    """The docstring below each field that a class itself declares, in one line each."""
    (tree,) = ast.parse(textwrap.dedent(inspect.getsource(kind))).body
    assert isinstance(tree, ast.ClassDef)
    return {
        field.target.id: " ".join(text.value.value.split())
        for field, text in zip(tree.body, tree.body[1:], strict=False)
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)
        if isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant) and isinstance(text.value.value, str)
    }


def field_help(kind: type, name: str) -> str | None:
    """The help of a field, from the class that declares it last."""
    found = (_docstrings(base).get(name) for base in kind.__mro__ if dataclasses.is_dataclass(base))
    return next((text for text in found if text), None)


def _default_hint(kind: type, name: str, _default: str) -> str:
    """What stands behind the help of a field without a value; nothing where the help says what happens then."""
    return f"(default: {AUTO})" if f"{AUTO}:" in (field_help(kind, name) or "") else ""


def _bare(hint: Any) -> Any:
    """A type without what is annotated to it."""
    return get_args(hint)[0] if get_origin(hint) is Annotated else hint


@OPTIONS.struct_rule
def dataclass_options(info: StructTypeInfo) -> StructConstructorSpec | None:
    """The options of one of this package's dataclasses."""
    kind, given = info.type, info.default
    if not dataclasses.is_dataclass(kind) or not kind.__module__.startswith("translate."):
        return None
    if isinstance(given, type) or (dataclasses.is_dataclass(given) and not isinstance(given, kind)):
        return None
    hints = get_type_hints(kind, include_extras=True)
    options = []
    for field in dataclasses.fields(kind):
        if isinstance(given, kind):
            default = getattr(given, field.name)
        elif field.default is not dataclasses.MISSING:
            default = field.default
        else:
            default = MISSING if field.default_factory is dataclasses.MISSING else field.default_factory()
        hint = hints[field.name]
        several = get_origin(_bare(hint)) is tuple and Ellipsis in get_args(_bare(hint))
        if default is None or default == () or (several and default is MISSING):
            hint = Annotated[hint, arg(help_behavior_hint=partial(_default_hint, kind, field.name))]
        if Positional in getattr(hints[field.name], "__metadata__", ()):
            name = {"root": "DATA", "inputs": "IMAGE"}.get(field.name, field.name.upper())
            hint = Annotated[hint, arg(metavar=f"[{name} ...]" if several else name)]
        help_of_field = partial(field_help, kind, field.name)
        options.append(StructFieldSpec(name=field.name, type=hint, default=default, helptext=help_of_field))
    return StructConstructorSpec(instantiate=kind, fields=tuple(options))


@OPTIONS.primitive_rule
def optional_value(info: PrimitiveTypeInfo) -> PrimitiveConstructorSpec | UnsupportedTypeAnnotationError | None:
    """``X | None`` is typed like X; ``auto`` is what it has by default."""
    given = [option for option in get_args(info.type) if option is not NoneType]
    if get_origin(info.type) not in (Union, UnionType) or len(given) != 1 or len(given) == len(get_args(info.type)):
        return None
    spec = ConstructorRegistry.get_primitive_spec(PrimitiveTypeInfo.make(given[0], set(info.markers)))
    if not isinstance(spec, PrimitiveConstructorSpec):
        return spec

    def from_words(words: list[str]) -> Any:
        return None if [word.lower() for word in words] in ([AUTO], ["none"]) else spec.instance_from_str(words)

    return dataclasses.replace(
        spec,
        instance_from_str=from_words,
        is_instance=lambda value: value is None or spec.is_instance(value),
        str_from_instance=lambda value: [AUTO] if value is None else spec.str_from_instance(value),
    )
