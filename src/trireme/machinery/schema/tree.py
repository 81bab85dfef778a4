"""The schema tree of our own API types, read from their annotations once per type.

In: a ``types.Struct`` subclass. Out: its ``Node``, cached by type. Called by: ``schema/decode``,
``patch``, apply, OpenAPI. The markers are those of ``machinery/types``.
"""

from __future__ import annotations

import re
import types as pytypes
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

import msgspec

from trireme.machinery import types
from trireme.machinery.schema.node import (
    ANY,
    BOOLEAN,
    BYTES,
    INT_OR_STRING,
    INTEGER,
    LIST,
    MAP,
    NUMBER,
    OBJECT,
    RAW,
    STRING,
    Node,
    Shape,
)

_VERSION = re.compile(r"v\d+(?:(?:alpha|beta)\d+)?\Z")
_SCALARS: Mapping[Any, tuple[str, str]] = {
    str: (STRING, "string"),
    bytes: (BYTES, "[]uint8"),
    bool: (BOOLEAN, "bool"),
    float: (NUMBER, "float64"),
    int: (INTEGER, "int64"),
    Any: (ANY, "interface {}"),
    msgspec.Raw: (RAW, "json.RawMessage"),
}


@cache
def of(struct: type) -> Node:
    """The node of a struct type as the root of an object."""
    whole = getattr(struct, "__owned_whole__", False)
    return Node(OBJECT, _go_name(struct), shape=_shape(struct), atomic=whole)


def struct_of(node: Node) -> type | None:
    """The struct type behind an OBJECT node; None for a node that no struct type gave."""
    return node.shape.source if isinstance(node.shape, _StructShape) else None


def has_floats(struct: type) -> bool:
    """Whether some place in a struct type holds a float64 (and not just JSON as it was sent)."""
    known: set[str] = set()

    def look(node: Node) -> bool:
        if node.kind != OBJECT or node.go_type in known:
            return node.kind == NUMBER or (node.item is not None and look(node.item))
        known.add(node.go_type)
        return any(look(below) for below in (*node.fields.values(), *node.alternatives))

    return look(of(struct))


class _StructShape(Shape):
    """A shape that remembers the struct type it was read from."""

    __slots__ = ("source",)

    def __init__(self, struct: type) -> None:
        super().__init__(struct.__name__, _go_name(struct), lambda: _fields(struct))
        self.source = struct


def _is_struct(hint: Any) -> bool:
    return isinstance(hint, type) and issubclass(hint, msgspec.Struct)


@cache
def _shape(struct: type) -> Shape:
    return _StructShape(struct)


def _fields(struct: type[msgspec.Struct]) -> dict[str, Node]:
    hints = get_type_hints(struct, include_extras=True)
    names = zip(struct.__struct_fields__, struct.__struct_encode_fields__, strict=True)
    return {wire: _node(hints[attribute]) for attribute, wire in names}


def _node(hint: Any) -> Node:
    """The node of one annotation: ``Annotated``, optional, container or scalar."""
    bare, markers = _unwrap(hint)
    bare, nullable, inner = _optional(bare)
    return _mark(_bare(bare, inner), [*inner, *markers], nullable)


def _unwrap(hint: Any) -> tuple[Any, list[Any]]:
    if get_origin(hint) is Annotated:
        bare, *markers = get_args(hint)
        return bare, markers
    return hint, []


def _optional(hint: Any) -> tuple[Any, bool, list[Any]]:
    """The type without ``None``, whether it had it, and the markers inside the union."""
    if get_origin(hint) not in (Union, pytypes.UnionType):
        return hint, False, []
    options = get_args(hint)
    rest = [option for option in options if option is not type(None)]
    nullable = len(rest) < len(options)
    if len(rest) == 1:
        bare, markers = _unwrap(rest[0])
        bare, _, more = _optional(bare)
        return bare, nullable, [*more, *markers]
    return frozenset(rest), nullable, []


def _bare(hint: Any, markers: list[Any]) -> Node:
    if isinstance(hint, frozenset):
        if hint == {int, str}:
            return Node(INT_OR_STRING, "int32")
        if hint == {int, float}:
            return Node(NUMBER, "float64")
        objects = [option for option in hint if _is_struct(option)]
        if len(objects) == 1:
            others = tuple(_node(option) for option in hint if option is not objects[0])
            return replace(_node(objects[0]), alternatives=others)
        raise TypeError(f"no schema for a union of {sorted(map(str, hint))}")
    origin = get_origin(hint)
    if origin is list:
        item = _node(get_args(hint)[0])
        return Node(LIST, f"[]{item.go_type}", item=item)
    if origin is dict:
        value = _node(get_args(hint)[1])
        return Node(MAP, f"map[string]{value.go_type}", item=value)
    if hint in _SCALARS:
        kind, go_type = _SCALARS[hint]
        return Node(kind, go_type)
    if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
        return of(hint)
    raise TypeError(f"no schema for {hint!r}")


def _mark(node: Node, markers: list[Any], nullable: bool) -> Node:
    """``node`` as its field's markers say."""
    changes: dict[str, Any] = {"nullable": nullable} if nullable else {}
    for marker in markers:
        match marker:
            case types.Default(value):
                changes |= {"default": value, "has_default": True}
            case types.ListMap(keys):
                changes |= {"list_type": "map", "list_keys": keys}
            case types.ListSet():
                changes["list_type"] = "set"
            case types.Atomic():
                changes["atomic"] = True
                if node.kind == LIST:
                    changes["list_type"] = "atomic"
            case types.Granular():
                changes |= {"atomic": False, "granular": True}
            case types.Merge(key):
                changes |= {"merge": True, "merge_key": key}
            case types.Replace():
                changes["replace"] = True
            case types.RetainKeys():
                changes["retain_keys"] = True
            case types.Enum(values):
                changes["enum"] = values
            case types.Required():
                changes["required"] = True
            case types.Format(name):
                changes["format"] = name
            case msgspec.Meta():
                changes |= {"minimum": marker.ge, "maximum": marker.le}
                if marker.le == 2**31 - 1:
                    changes["go_type"] = "int32"
            case _:
                raise TypeError(f"unknown marker {marker!r}")
    if not changes:
        return node
    return _replace(node, changes)


def _replace(node: Node, changes: dict[str, Any]) -> Node:
    kept = {name: getattr(node, name) for name in Node.__slots__}
    return Node(**{**kept, **changes})


def _go_name(struct: type) -> str:
    """``v1.Pod``: upstream names a type by its package, and the package by the version."""
    parts = struct.__module__.split(".")
    version = next((part for part in reversed(parts) if _VERSION.match(part)), "v1")
    return f"{version}.{struct.__name__}"
