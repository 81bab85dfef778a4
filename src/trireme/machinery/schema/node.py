"""The schema tree itself: what a value is, and what defaulting, patch and apply do with it.

One ``Node`` per place in an object. Built by ``schema/tree`` from our own types, and walked by
``schema/decode``, ``patch/strategic``, server-side apply and OpenAPI. Knows nothing of msgspec.
Rules: the ``x-kubernetes-*`` extensions, apimachinery ``strategicpatch``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

# Kinds of node.
OBJECT: Final = "object"  # fields by name
MAP: Final = "map"  # any keys, values alike
LIST: Final = "list"
STRING: Final = "string"
BYTES: Final = "bytes"  # base64 on the wire
INTEGER: Final = "integer"
NUMBER: Final = "number"
BOOLEAN: Final = "boolean"
INT_OR_STRING: Final = "int-or-string"
ANY: Final = "any"  # JSON that is carried and not looked into
RAW: Final = "raw"  # the same, kept as bytes


class Shape:
    """The fields of an object type; shared by all nodes of that type, resolved at first use.

    ``load`` gives the field nodes by wire name. Laziness is what lets types contain themselves.
    """

    __slots__ = ("_fields", "_load", "go_type", "name")

    def __init__(self, name: str, go_type: str, load: Callable[[], Mapping[str, Node]]) -> None:
        self.name = name
        self.go_type = go_type
        self._load = load
        self._fields: Mapping[str, Node] | None = None

    @property
    def fields(self) -> Mapping[str, Node]:
        if self._fields is None:
            self._fields = self._load()
        return self._fields

    def __repr__(self) -> str:
        return f"Shape({self.name})"


@dataclass(frozen=True, slots=True)
class Node:
    """What stands at one place. Fields that do not apply to ``kind`` keep their defaults."""

    kind: str
    # How upstream's messages name the type: int32, []v1.Container, map[string]string.
    go_type: str
    shape: Shape | None = None  # OBJECT
    item: Node | None = None  # LIST: the items; MAP: the values
    nullable: bool = False  # a pointer upstream: absent differs from zero
    list_type: str = ""  # "map", "set", "atomic" or "" (atomic too)
    list_keys: tuple[str, ...] = ()
    atomic: bool = False  # replaced as a whole by server-side apply
    granular: bool = False  # said to be in parts, where its type says or may say atomic
    merge: bool = False  # LIST: strategic merge instead of replacement
    merge_key: str = ""  # LIST of objects: what identifies an item in strategic merge
    replace: bool = False  # OBJECT: a strategic patch replaces it as a whole
    retain_keys: bool = False  # OBJECT: a strategic patch may name the keys to keep
    default: Any = None
    has_default: bool = False
    enum: tuple[str, ...] = ()
    format: str = ""  # quantity, date-time, micro-time, duration, int-or-string
    required: bool = False
    minimum: int | None = None
    maximum: int | None = None
    # OBJECT: what may stand in the object's place (a JSON schema may be a bool or a list).
    alternatives: tuple[Node, ...] = ()

    @property
    def fields(self) -> Mapping[str, Node]:
        """The field nodes of an OBJECT by wire name; empty for every other kind."""
        return self.shape.fields if self.shape is not None else {}

    @property
    def name(self) -> str:
        """The object type's name, or ``""``."""
        return self.shape.name if self.shape is not None else ""

    def at(self, *steps: str) -> Node:
        """The node below by field names; a list or map is entered by any step. KeyError if none."""
        here = self
        for step in steps:
            if here.kind == OBJECT:
                here = here.fields[step]
            elif here.item is not None:
                here = here.item
            else:
                raise KeyError(step)
        return here
