"""Atoms of published OpenAPI schemas, with references: what our own are compared with.

In: a schema, and the definitions that it refers to. Out: its ``Atom``. Upstream: kube-openapi
``schemaconv``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from trireme.machinery.apply.atom import (
    BOOLEAN,
    DEDUCED,
    NUMERIC,
    STRING,
    UNTYPED,
    WHOLE,
    Atom,
    ListRule,
    MapRule,
)

_QUANTITY: Final = "io.k8s.apimachinery.pkg.api.resource.Quantity"
_RAW_EXTENSION: Final = "io.k8s.apimachinery.pkg.runtime.RawExtension"


def of_openapi(
    schema: Mapping[str, Any],
    definitions: Mapping[str, Any] | None = None,
    *,
    preserve: bool = False,
) -> Atom:
    """The atom of an OpenAPI schema; ``definitions`` resolves its references by last path segment.

    ``preserve``: unknown fields are kept everywhere (``preserveUnknownFields`` of old CRDs).
    Raises ValueError for a schema that cannot say how its values merge.
    """
    return _Open(definitions or {}).atom(schema, preserve)


class _Open:
    def __init__(self, definitions: Mapping[str, Any]) -> None:
        self._definitions = definitions
        self._named: dict[tuple[str, bool], Atom] = {}

    def atom(self, schema: Mapping[str, Any], preserve: bool) -> Atom:
        reference = _reference(schema)
        if reference:
            return self._override(self._resolve(reference, preserve), schema)
        if schema.get("x-kubernetes-preserve-unknown-fields") is True:
            preserve = True
        kind = schema.get("type") or ""
        if isinstance(kind, list):
            kind = kind[0] if kind else ""
        match kind:
            case "":
                return Atom(
                    scalar=UNTYPED,
                    list=self._list(schema, preserve),
                    map=self._map(schema, preserve),
                )
            case "object":
                return Atom(map=self._map(schema, preserve))
            case "array":
                if "items" not in schema:
                    raise ValueError("`items` must be specified on arrays")
                return Atom(list=self._list(schema, preserve))
            case "integer" | "number":
                return Atom(scalar=NUMERIC)
            case "boolean":
                return Atom(scalar=BOOLEAN)
            case "string":
                plain = schema.get("format", "") in ("", "byte")
                return Atom(scalar=STRING if plain else UNTYPED)
        raise ValueError(f"unrecognized type: '{kind}'")

    def _resolve(self, name: str, preserve: bool) -> Atom:
        if name.endswith(_QUANTITY):
            return Atom(scalar=UNTYPED)
        if name.endswith(_RAW_EXTENSION):
            return WHOLE
        found = self._named.get((name, preserve))
        if found is None:
            # Registered before its parts are read: a definition may refer to itself.
            found = self._named[name, preserve] = Atom()
            made = self.atom(self._definitions[name], preserve)
            found.map, found.list, found.scalar = made.map, made.list, made.scalar
        return found

    def _override(self, atom: Atom, schema: Mapping[str, Any]) -> Atom:
        relation = _map_type(schema)
        if not relation or atom.map is None:
            return atom
        if relation == "atomic":
            return Atom(map=atom.map.as_atomic(), list=atom.list, scalar=atom.scalar)
        rule = atom.map
        return Atom(
            map=MapRule(lambda: rule.fields, rule.element), list=atom.list, scalar=atom.scalar
        )

    def _map(self, schema: Mapping[str, Any], preserve: bool) -> MapRule:
        properties = schema.get("properties") or {}
        more = schema.get("additionalProperties")
        element: Atom | None = None
        if more is None:
            if preserve or not properties:
                element = DEDUCED
        elif isinstance(more, Mapping):
            element = self.atom(more, preserve)
        elif more:
            element = DEDUCED
        return MapRule(
            lambda: {name: self.atom(item, preserve) for name, item in properties.items()},
            element,
            atomic=_map_type(schema) == "atomic",
        )

    def _list(self, schema: Mapping[str, Any], preserve: bool) -> ListRule:
        items = schema.get("items")
        element = self.atom(items, preserve) if items is not None else WHOLE
        keys = _list_keys(schema)
        if keys is None:
            return ListRule(element)
        return ListRule(element, atomic=False, keys=keys).with_defaults(
            lambda: self._defaults(items or {}, keys)
        )

    def _defaults(self, items: Mapping[str, Any], keys: tuple[str, ...]) -> dict[str, Any]:
        reference = _reference(items)
        whole = self._definitions[reference] if reference else items
        found = whole.get("properties") or {}
        return {
            key: found[key]["default"]
            for key in keys
            if found.get(key, {}).get("default") is not None
        }


def _reference(schema: Mapping[str, Any]) -> str:
    target = schema.get("$ref", "")
    if not target:
        several = schema.get("allOf") or []
        target = several[0].get("$ref", "") if len(several) == 1 else ""
    return str(target).rpartition("/")[2]


def _map_type(schema: Mapping[str, Any]) -> str:
    found = schema.get("x-kubernetes-map-type", "")
    if found not in ("", "atomic", "granular"):
        raise ValueError(f"unknown map type {found}")
    return str(found)


def _list_keys(schema: Mapping[str, Any]) -> tuple[str, ...] | None:
    """The keys of a list map, none for a set; None for an atomic list."""
    match schema.get("x-kubernetes-list-type"):
        case "atomic":
            return None
        case "set":
            return ()
        case "map":
            if "x-kubernetes-list-map-keys" not in schema:
                raise ValueError("missing map keys")
            return tuple(schema["x-kubernetes-list-map-keys"])
        case None:
            pass
        case other:
            raise ValueError(f"unknown list type {other}")
    match schema.get("x-kubernetes-patch-strategy"):
        case "merge" | "merge,retainKeys" | "retainKeys,merge":
            key = schema.get("x-kubernetes-patch-merge-key")
            return (key,) if key else ()
        case None | "retainKeys":
            return None
        case other:
            raise ValueError(f"unknown patch strategy {other}")
