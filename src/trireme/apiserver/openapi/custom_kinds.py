"""The published definitions of custom kinds: their schemas as OpenAPI v3 and v2 have them.

In: the kinds that are served. Out: a mapping from a definition's name to its schema, made when it
is asked for and not kept: thousands of schemas would cost much memory. ``fingerprint`` changes
when a kind's schema may have. Upstream: pkg/controller/openapi/{builder,v2}.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from trireme.api.apiextensions.schema.default import copy
from trireme.api.apiextensions.v1 import types
from trireme.apiserver.crd.kinds import CustomKind
from trireme.apiserver.openapi import schemas

_REF = "#/components/schemas/io.k8s.apimachinery.pkg.apis.meta.v1."
_EITHER = [{"type": "integer"}, {"type": "string"}]
_GVK = "x-kubernetes-group-version-kind"
_CONVENTIONS = "https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md"

Key = tuple[str, str, str]


class Published(Mapping[str, dict[str, Any]]):
    """Name → schema, of kinds and of their lists. ``v2``: in the form for OpenAPI v2."""

    def __init__(self, kinds: list[CustomKind], *, v2: bool = False) -> None:
        self._v2 = v2
        self.by_kind: dict[Key, str] = {}
        self._sources: dict[str, tuple[CustomKind, str, bool]] = {}
        self._fingerprints: dict[Key, str] = {}
        self._kinds = kinds
        for kind in kinds:
            definition = kind.definition
            group, names = definition.spec.group, definition.names
            for version in definition.spec.versions:
                if not version.served:
                    continue
                for name, listed in ((names.kind, False), (names.listKind, True)):
                    key = group, version.name, name
                    title = schemas.default_name(*key)
                    self.by_kind[key] = title
                    self._sources[title] = kind, version.name, listed
                    self._fingerprints[key] = f"{definition.meta.uid}/{definition.meta.generation}"

    def for_v2(self) -> Published:
        """The same kinds in the form for OpenAPI v2."""
        return Published(self._kinds, v2=True)

    def fingerprint(self, key: Key) -> str:
        """What changes when the schema of a kind may have changed."""
        return self._fingerprints.get(key, "")

    def __getitem__(self, name: str) -> dict[str, Any]:
        kind, version, listed = self._sources[name]
        return self._list(kind, version) if listed else self._schema(kind, version)

    def __contains__(self, name: object) -> bool:
        return name in self._sources

    def __iter__(self) -> Iterator[str]:
        return iter(self._sources)

    def __len__(self) -> int:
        return len(self._sources)

    def _list(self, kind: CustomKind, version: str) -> dict[str, Any]:
        definition = kind.definition
        names, group = definition.names, definition.spec.group
        item = schemas.default_name(group, version, names.kind)
        description = f"List of {names.plural}. More info: {_CONVENTIONS}"
        return {
            "description": f"{names.listKind} is a list of {names.kind}",
            "type": "object",
            "required": ["items"],
            "properties": {
                **_type_meta(),
                "items": {
                    "description": description,
                    "type": "array",
                    "items": {"$ref": f"#/components/schemas/{item}"},
                },
                "metadata": _reference("ListMeta", "ConfigMapList"),
            },
            _GVK: [{"group": group, "version": version, "kind": names.listKind}],
        }

    def _schema(self, kind: CustomKind, version: str) -> dict[str, Any]:
        definition = kind.definition
        full = definition.full()
        found = next(item for item in full.spec.versions if item.name == version)
        given = types.schema_of(found)
        schema: dict[str, Any] = {"type": "object"}
        if given is not None:
            plain = _unfolded(msgspec.to_builtins(given))
            preserves = plain.get("x-kubernetes-preserve-unknown-fields", False)
            if not self._v2:
                schema = _native(plain, v2=False)
            elif not preserves and not full.spec.preserveUnknownFields:
                schema = _native(_for_v2(plain), v2=True)
        group, name = definition.spec.group, definition.names.kind
        schema[_GVK] = [{"group": group, "version": version, "kind": name}]
        if found.selectableFields and not self._v2:
            schema["x-kubernetes-selectable-fields"] = [
                {"fieldPath": item.jsonPath.removeprefix(".")} for item in found.selectableFields
            ]
        return schema


def _native(schema: dict[str, Any], *, v2: bool) -> dict[str, Any]:
    """The schema with what every object has, at the root and in embedded resources."""
    embedded = _embedded(schema, v2)
    properties = {**embedded.get("properties", {}), **_type_meta()}
    properties["metadata"] = _reference("ObjectMeta", "ConfigMap")
    return {**embedded, "properties": properties}


def _embedded(schema: dict[str, Any], v2: bool) -> dict[str, Any]:
    found = dict(schema)
    if "properties" in schema:
        below = schema["properties"]
        found["properties"] = {name: _embedded(item, v2) for name, item in below.items()}
    for key in ("items", "additionalProperties"):
        if isinstance(schema.get(key), dict):
            found[key] = _embedded(schema[key], v2)
    if v2 and schema.get("x-kubernetes-preserve-unknown-fields"):
        return found
    if schema.get("x-kubernetes-embedded-resource"):
        meta = {**_type_meta(), "metadata": _reference("ObjectMeta", "ConfigMap")}
        found["properties"] = {**found.get("properties", {}), **meta}
        required = schema.get("required", [])
        found["required"] = required + [k for k in ("kind", "apiVersion") if k not in required]
    return found


def _type_meta() -> dict[str, Any]:
    """How upstream describes these two fields of every kind."""
    properties = schemas.load()["io.k8s.api.core.v1.ConfigMap"]["properties"]
    return {name: dict(properties[name]) for name in ("apiVersion", "kind")}


def _reference(name: str, described_by: str) -> dict[str, Any]:
    owner = schemas.load()[f"io.k8s.api.core.v1.{described_by}"]
    text = owner["properties"]["metadata"].get("description", "")
    return {"description": text, "allOf": [{"$ref": _REF + name}]}


def _unfolded(schema: dict[str, Any]) -> dict[str, Any]:
    """A schema whose int-or-string places say so in OpenAPI's own words."""
    found = dict(schema)
    if schema.get("x-kubernetes-int-or-string"):
        declared = schema.get("anyOf") == _EITHER
        first = schema.get("allOf", [{}])[0].get("anyOf") if schema.get("allOf") else None
        if not declared and first != _EITHER:
            if "anyOf" not in schema:
                found["anyOf"] = copy(_EITHER)
            else:
                found["allOf"] = [{"anyOf": copy(_EITHER)}, *schema.get("allOf", [])]
    if "properties" in schema:
        found["properties"] = {name: _unfolded(item) for name, item in schema["properties"].items()}
    for key in ("items", "additionalProperties"):
        if isinstance(schema.get(key), dict):
            found[key] = _unfolded(schema[key])
    return found


def _for_v2(schema: dict[str, Any]) -> dict[str, Any]:
    """What of a schema OpenAPI v2, and kubectl reading it, can stand."""
    found = {k: v for k, v in schema.items() if k not in ("allOf", "anyOf", "oneOf", "not")}
    preserves = schema.get("x-kubernetes-preserve-unknown-fields", False)
    kind = schema.get("type", "")
    if found.pop("nullable", False):
        kind = ""
        _drop(found, "items", "properties")
    if preserves:
        _drop(found, "items", "properties")
    if ("items" not in found and kind == "array") or (preserves and kind == "object"):
        kind = ""
    _drop(found, "type")
    if kind:
        found["type"] = kind
    properties = found.get("properties", {})
    nullable = {name for name, item in properties.items() if item.get("nullable")}
    more = found.get("additionalProperties")
    required = [name for name in schema.get("required", ()) if name not in nullable]
    if isinstance(more, dict) and more.get("nullable"):
        required = []
    _drop(found, "required")
    if required:
        found["required"] = required
    if properties:
        found["properties"] = {name: _for_v2(item) for name, item in properties.items()}
    for key in ("items", "additionalProperties"):
        if isinstance(found.get(key), dict):
            found[key] = _for_v2(found[key])
    return found


def _drop(schema: dict[str, Any], *keys: str) -> None:
    for key in keys:
        schema.pop(key, None)
