"""The types of expressions: what the checker reasons about.

Out: ``Type`` values and their text in error messages. Called by: the checker, the cost estimator,
the compiler and the libraries. Rules: cel-go ``common/types`` and ``checker/types``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

Adapter = Callable[[Any], Any]


class Type:
    """``kind`` is its class, ``name`` which one it is, ``params`` its type parameters.

    ``fields`` (struct only) maps CEL names to ``Field``. ``leaf`` and ``deep`` come with types
    built from a schema: how a JSON value becomes the CEL value, for the value alone or with all
    inside.
    """

    __slots__ = ("deep", "fields", "kind", "leaf", "name", "open", "params", "raw")

    def __init__(
        self,
        kind: str,
        name: str = "",
        params: tuple[Type, ...] = (),
        fields: dict[str, Field] | None = None,
    ) -> None:
        self.kind = kind
        self.name = name or kind
        self.params = params
        self.fields = fields
        self.leaf: Adapter | None = None
        self.deep: Adapter | None = None
        self.open: bool = kind == "param" or any(p.open for p in params)

    def __str__(self) -> str:
        if self.kind == "null_type":
            return "null"
        if self.kind == "error":
            return "!error!"
        if not self.params:
            return self.name
        return f"{self.name}({', '.join(map(str, self.params))})"

    def __repr__(self) -> str:
        return f"<Type {self}>"


class Field:
    """A field of a struct type: its type, and the key under which JSON has it."""

    __slots__ = ("key", "type")

    def __init__(self, key: str, type_: Type) -> None:
        self.key = key
        self.type = type_


BOOL: Final = Type("bool")
INT: Final = Type("int")
UINT: Final = Type("uint")
DOUBLE: Final = Type("double")
STRING: Final = Type("string")
BYTES: Final = Type("bytes")
NULL: Final = Type("null_type")
DYN: Final = Type("dyn")
ERROR: Final = Type("error")
DURATION: Final = Type("duration")
TIMESTAMP: Final = Type("timestamp")
TYPE: Final = Type("type")

A: Final = Type("param", "A")
B: Final = Type("param", "B")


def list_of(elem: Type) -> Type:
    """``list(elem)``."""
    return Type("list", "list", (elem,))


def map_of(key: Type, value: Type) -> Type:
    """``map(key, value)``."""
    return Type("map", "map", (key, value))


def optional_of(value: Type) -> Type:
    """``optional_type(value)``."""
    return Type("opaque", "optional_type", (value,))


def type_of(t: Type) -> Type:
    """The type of the type ``t`` itself."""
    return Type("type", "type", (t,))


def struct(name: str, fields: dict[str, Field] | None = None) -> Type:
    """An object type with named fields, none of them when it is a library's own type."""
    return Type("struct", name, (), fields if fields is not None else {})


def opaque(name: str, *params: Type) -> Type:
    """A library's type without fields that is not assignable from anything else."""
    return Type("opaque", name, params)


def is_dyn(t: Type) -> bool:
    """Whether checks on ``t`` wait for the evaluation."""
    return t.kind in ("dyn", "any")


def is_dyn_or_error(t: Type) -> bool:
    """As ``is_dyn``, and errors, so that one mistake is reported once."""
    return t.kind in ("dyn", "any", "error")


def unwrap_optional(t: Type) -> tuple[Type, bool]:
    """The type inside an optional type, and whether it was one."""
    if t.kind == "opaque" and t.name == "optional_type":
        return t.params[0], True
    return t, False


def same(a: Type, b: Type) -> bool:
    """Whether both are exactly the same type."""
    if a is b:
        return True
    if a.kind != b.kind or a.name != b.name or len(a.params) != len(b.params):
        return False
    return all(same(p, q) for p, q in zip(a.params, b.params, strict=True))


def walk(t: Type) -> Iterator[Type]:
    """``t`` and every type within its parameters."""
    yield t
    for p in t.params:
        yield from walk(p)


LIST_A: Final = list_of(A)
MAP_AB: Final = map_of(A, B)
LIST_STRING: Final = list_of(STRING)
OPTIONAL_A: Final = optional_of(A)
