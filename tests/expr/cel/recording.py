"""The schema and the object of the recorded expressions, and how values are printed."""

from __future__ import annotations

import math
from typing import Any

from trireme.expr.cel import (
    NONE,
    DeclType,
    Duration,
    Environment,
    Optional,
    Timestamp,
    Uint,
    times,
    types,
    values,
)
from trireme.expr.cel import schema_type as declare

STRING = {"type": "string"}
INTEGER = {"type": "integer"}


def _object(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties}


def _array(items: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"type": "array", "items": items, **more}


SCHEMA = {
    "type": "object",
    "required": ["name"],
    "properties": {
        "name": {"type": "string", "maxLength": 63},
        "str": STRING,
        "en": {"type": "string", "enum": ["a", "bcd"]},
        "i": INTEGER,
        "j": INTEGER,
        "n": {"type": "number"},
        "b": {"type": "boolean"},
        "nul": {"type": "string", "nullable": True},
        "ios": {"x-kubernetes-int-or-string": True},
        "dur": {"type": "string", "format": "duration"},
        "ts": {"type": "string", "format": "date-time"},
        "date": {"type": "string", "format": "date"},
        "by": {"type": "string", "format": "byte"},
        "list": _array(STRING),
        "ilist": _array(INTEGER, maxItems=10),
        "nlist": _array({"type": "number"}),
        "slist": _array({"type": "string", "maxLength": 10}, maxItems=5),
        "set": _array(STRING, **{"x-kubernetes-list-type": "set"}),
        "ml": _array(
            {**_object(k=STRING, v=INTEGER), "required": ["k"]},
            **{"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["k"]},
        ),
        "objs": _array(
            _object(name={"type": "string", "maxLength": 20}, p=INTEGER, **{"in": STRING}),
            maxItems=4,
        ),
        "m": {"type": "object", "additionalProperties": STRING},
        "mi": {"type": "object", "maxProperties": 7, "additionalProperties": INTEGER},
        "mo": {"type": "object", "additionalProperties": _object(x=INTEGER)},
        "ll": _array(_array(INTEGER, maxItems=3)),
        "sub": _object(**{"a-b": STRING, "namespace": STRING, "deep": _object(z=INTEGER)}),
        "unk": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
        "emb": {
            "type": "object",
            "x-kubernetes-embedded-resource": True,
            "x-kubernetes-preserve-unknown-fields": True,
        },
    },
}
NEW: dict[str, Any] = {
    "name": "alpha",
    "str": "hello world",
    "en": "a",
    "i": 3,
    "j": 7,
    "n": 2,
    "b": True,
    "nul": None,
    "ios": 5,
    "dur": "1h30m",
    "ts": "2020-02-03T04:05:06.5Z",
    "date": "2021-01-02",
    "by": "aGVsbG8=",
    "list": ["a", "bb", "ccc"],
    "ilist": [3, 1, 2],
    "nlist": [1, 2.5],
    "slist": ["x", "y"],
    "set": ["p", "q"],
    "ml": [{"k": "a", "v": 1}, {"k": "b", "v": 2}],
    "objs": [{"name": "abc", "p": 1, "in": "q"}, {"name": "adef", "p": 2}, {"name": "x"}],
    "m": {"k1": "v1", "k2": "v2"},
    "mi": {"one": 1, "two": 2},
    "mo": {"q": {"x": 4}},
    "ll": [[1, 2], [3]],
    "sub": {"a-b": "dash", "namespace": "ns", "deep": {"z": 9}},
    "unk": {"w": 1},
    "emb": {"apiVersion": "v1", "kind": "Foo", "metadata": {"name": "nn"}, "spec": {}},
}
OLD = {
    **NEW,
    "i": 2,
    "set": ["q", "p"],
    "ml": [{"k": "b", "v": 2}, {"k": "a", "v": 1}],
    "list": ["a"],
}
ROOT = {**NEW, "apiVersion": "v1", "kind": "K", "metadata": {"name": "nm"}}


def declared(root: bool = False) -> DeclType:
    """The schema as a type, named as when the recording was made."""
    decl = declare(SCHEMA, root, "selfType1")
    assert decl is not None
    return decl


def environments() -> dict[str, tuple[Environment, dict[str, Any]]]:
    """By the mark of a recorded line: the environment, and what its variables are bound to."""
    plain, root = declared(), declared(True)
    optional = types.optional_of(plain.type)
    maybe = Environment({"self": plain, "oldSelf": optional})
    return {
        "": (Environment({"self": plain, "oldSelf": plain}), {"self": NEW, "oldSelf": OLD}),
        "optional": (maybe, {"self": NEW, "oldSelf": Optional(OLD)}),
        "none": (maybe, {"self": NEW, "oldSelf": NONE}),
        "root": (Environment({"self": root, "oldSelf": root}), {"self": ROOT, "oldSelf": ROOT}),
    }


_ESCAPES = str.maketrans({'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t"})


def printed(value: Any) -> str:
    """A value as a literal, as the recording has it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None:
        return "null"
    if isinstance(value, Uint):
        return f"{int(value)}u"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        if math.isnan(value):
            return 'double("NaN")'
        if math.isinf(value):
            return f'double("{"-" if value < 0 else ""}Infinity")'
        text = values.fixed_text(value)
        return text if "." in text else text + ".0"
    if isinstance(value, str):
        return f'"{value.translate(_ESCAPES)}"'
    if isinstance(value, bytes):
        return 'b"' + "".join(f"\\{c:03o}" for c in value) + '"'
    if isinstance(value, Timestamp):
        return f'timestamp("{times.timestamp_text(Timestamp(value.ns))}")'
    if isinstance(value, Duration):
        return f'duration("{times.duration_text(value)}")'
    if value is NONE:
        return "optional.none()"
    if isinstance(value, Optional):
        return f"optional.of({printed(value.value)})"
    if isinstance(value, list):
        return f"[{', '.join(map(printed, value))}]"
    if isinstance(value, dict):
        pairs = sorted((printed(k), printed(v)) for k, v in value.items())
        return "{" + ", ".join(f"{k}: {v}" for k, v in pairs) + "}"
    assert isinstance(value, values.TypeValue)
    return value.name
