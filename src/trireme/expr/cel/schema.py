"""From a schema to the types that its values have in expressions.

In: an OpenAPI schema as a dict (a structural schema of a CustomResourceDefinition). Out:
``DeclType``, the type with what cost estimates need to know: how long strings, lists and maps may
be, and how small a value can be written. Called by: apiextensions' compiler of rules and policies.
Rules: apiserver ``pkg/cel/types`` and ``pkg/cel/common/schemas``.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping
from typing import Any, Final

from . import times, types
from .errors import EvalError
from .escape import escape
from .types import Field, Type
from .values import MapList, SetList

MAX_REQUEST: Final = 3 * 1024 * 1024
_STRING_MIN: Final = 2
_DURATION_MIN: Final = 3
_DATE_SIZE: Final = 12
_DATETIME_MIN: Final = 21
_TIME_MAX: Final = 32


class DeclType:
    """A type made from a schema.

    ``fields`` maps CEL names to the types of an object's fields; ``key`` and ``elem`` belong to
    maps and lists; ``max_elements`` bounds characters, items or properties; ``min_size`` is the
    size in bytes of the smallest JSON for it.
    """

    __slots__ = ("elem", "fields", "key", "max_elements", "min_size", "type")

    def __init__(
        self,
        type_: Type,
        *,
        max_elements: int = 0,
        min_size: int = 2,
        fields: dict[str, DeclType] | None = None,
        key: DeclType | None = None,
        elem: DeclType | None = None,
    ) -> None:
        self.type = type_
        self.max_elements = max_elements
        self.min_size = min_size
        self.fields = fields
        self.key = key
        self.elem = elem

    @property
    def max_cardinality(self) -> int:
        """How often a value of it fits into one request: under unbounded lists and maps, so
        often."""
        return MAX_REQUEST // (self.min_size + 1)


def schema_type(
    schema: Mapping[str, Any], root: bool = False, name: str = "selfType"
) -> DeclType | None:
    """The type for ``schema``, or None when expressions cannot see its values.

    ``root`` says that this is a whole resource, which always has ``apiVersion``, ``kind`` and
    ``metadata``. ``name`` is how the type and those below are named in messages.
    """
    if schema.get("x-kubernetes-int-or-string"):
        limit = schema.get("maxLength")
        size = max(limit, 0) * 4 if limit is not None else MAX_REQUEST - 2
        return DeclType(Type("dyn"), max_elements=size, min_size=1)
    if root:
        schema = with_meta(schema)
    match schema.get("type"):
        case "array":
            return _list(schema, name)
        case "object":
            return _object(schema, name)
        case "string":
            return _string(schema)
        case "boolean":
            return DeclType(types.BOOL, min_size=4)
        case "number":
            return DeclType(_number(), min_size=1)
        case "integer":
            return DeclType(types.INT, min_size=1)
    return None


def with_meta(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """``schema`` with the properties that every resource has."""
    have = schema.get("properties") or {}
    meta = (have.get("metadata") or {}).get("properties") or {}
    if (
        all((have.get(k) or {}).get("type") == "string" for k in ("kind", "apiVersion"))
        and (have.get("metadata") or {}).get("type") == "object"
        and all((meta.get(k) or {}).get("type") == "string" for k in ("name", "generateName"))
    ):
        return schema
    string = {"type": "string"}
    metadata = {"type": "object", "properties": {"name": string, "generateName": string}}
    properties = {**have, "kind": string, "apiVersion": string, "metadata": metadata}
    return {**schema, "properties": properties}


def _embedded(schema: Mapping[str, Any]) -> bool:
    return bool(schema.get("x-kubernetes-embedded-resource"))


def _list(schema: Mapping[str, Any], name: str) -> DeclType | None:
    items = schema.get("items")
    if not items:
        return None
    elem = schema_type(items, _embedded(items), f"{name}.@idx")
    if elem is None:
        return None
    limit = schema.get("maxItems")
    count = max(limit, 0) if limit is not None else (MAX_REQUEST - 2) // (elem.min_size + 1)
    type_ = types.list_of(elem.type)
    kind = schema.get("x-kubernetes-list-type")
    keys = tuple(schema.get("x-kubernetes-list-map-keys") or ())
    type_.deep = _deep_list(elem.type.deep, kind, keys)
    return DeclType(type_, max_elements=count, elem=elem)


def _deep_list(
    deep: types.Adapter | None, kind: str | None, keys: tuple[str, ...]
) -> types.Adapter | None:
    if kind == "set":
        return lambda v: v if type(v) is not list else SetList(v if deep is None else map(deep, v))
    if kind == "map":
        return lambda v: (
            v if type(v) is not list else MapList(v if deep is None else [deep(x) for x in v], keys)
        )
    if deep is None:
        return None
    return lambda v: [deep(x) for x in v] if type(v) is list else v


def _object(schema: Mapping[str, Any], name: str) -> DeclType | None:
    extra = schema.get("additionalProperties")
    if isinstance(extra, Mapping):
        elem = schema_type(extra, _embedded(extra), f"{name}.@elem")
        if elem is None:
            return None
        limit = schema.get("maxProperties")
        count = max(limit, 0) if limit is not None else (MAX_REQUEST - 2) // (elem.min_size + 6)
        type_ = types.map_of(types.STRING, elem.type)
        deep = elem.type.deep
        if deep is not None:
            type_.deep = lambda m: {k: deep(v) for k, v in m.items()} if type(m) is dict else m
        key = DeclType(types.STRING, min_size=_STRING_MIN)
        return DeclType(type_, max_elements=count, key=key, elem=elem)
    required = frozenset(schema.get("required") or ())
    size = 2
    fields: dict[str, DeclType] = {}
    members: dict[str, Field] = {}
    for key_, prop in (schema.get("properties") or {}).items():
        escaped = escape(key_)
        field = schema_type(prop, _embedded(prop), f"{name}.{escaped or key_}")
        if field is None:
            continue
        if escaped is not None:
            fields[escaped] = field
            members[escaped] = Field(key_, field.type)
        if key_ in required and prop.get("default") is None:
            size += len(key_.encode()) + field.min_size + 4
    struct = types.struct(name, members)
    struct.deep = _deep_object({f.key: f.type.deep for f in members.values() if f.type.deep})
    return DeclType(struct, min_size=size, fields=fields)


def _deep_object(adapters: dict[str, types.Adapter]) -> types.Adapter | None:
    if not adapters:
        return None

    def deep(m: Any) -> Any:
        if type(m) is not dict:
            return m
        out = dict(m)
        for key, adapt in adapters.items():
            if out.get(key) is not None:
                out[key] = adapt(out[key])
        return out

    return deep


def _string(schema: Mapping[str, Any]) -> DeclType:
    limit = schema.get("maxLength")
    whole = MAX_REQUEST - 2
    match schema.get("format"):
        case "byte":
            size = max(limit, 0) if limit is not None else whole
            return DeclType(_adapted("bytes", _byte), max_elements=size, min_size=_STRING_MIN)
        case "duration":
            type_ = _adapted("duration", _duration)
            return DeclType(type_, max_elements=_TIME_MAX, min_size=_DURATION_MIN)
        case "date":
            type_ = _adapted("timestamp", _date)
            return DeclType(type_, max_elements=_DATE_SIZE, min_size=_DATE_SIZE)
        case "date-time":
            type_ = _adapted("timestamp", _datetime)
            return DeclType(type_, max_elements=_TIME_MAX, min_size=_DATETIME_MIN)
    if limit is not None:
        size = max(limit, 0) * 4
    elif schema.get("enum"):
        size = max((len(v.encode()) for v in schema["enum"] if isinstance(v, str)), default=0)
    else:
        size = whole
    return DeclType(types.STRING, max_elements=size, min_size=_STRING_MIN)


def _adapted(kind: str, adapter: Callable[[Any], Any]) -> Type:
    type_ = Type(kind)
    type_.leaf = type_.deep = adapter
    return type_


def _number() -> Type:
    return _adapted("double", lambda v: float(v) if type(v) is int else v)


def _byte(v: Any) -> Any:
    if type(v) is not str:
        return v
    try:
        return base64.b64decode(v, validate=True)
    except (binascii.Error, ValueError) as e:
        raise EvalError(f"Invalid byte formatted string {v}: {e}") from None


def _parsed(parse: Callable[[str], Any], what: str) -> Callable[[Any], Any]:
    """A reader of text in a format; what is no text stays as it is."""

    def read(v: Any) -> Any:
        if type(v) is not str:
            return v
        try:
            return parse(v)
        except ValueError as e:
            raise EvalError(f"Invalid {what} {v}: {e}") from None

    return read


_duration = _parsed(times.parse_format_duration, "duration")
_date = _parsed(times.parse_date, "date formatted string")
_datetime = _parsed(times.parse_datetime, "date-time formatted string")
