"""The published schemas: upstream's definitions, from the package ``kubernetes-validate``.

In: the package's JSON Schema file of v1.36. Out: OpenAPI v3 component schemas, restricted to what a
set of kinds reaches. The package made JSON Schema out of the published form (nullable types, no
unknown properties, enums for kind and apiVersion); here that is undone.
"""

from __future__ import annotations

import importlib.resources
import json
from collections.abc import Generator, Iterable, Mapping
from functools import cache
from typing import Any

_FILE = "kubernetes-json-schema/v1.36.0-local-strict/_definitions.json"
_OLD_REF = "#/$defs/"
_REF = "#/components/schemas/"
_INT_OR_STRING = "io.k8s.apimachinery.pkg.util.intstr.IntOrString"
_QUANTITY = "io.k8s.apimachinery.pkg.api.resource.Quantity"
# Every group's document has these besides its own kinds.
COMMON = (
    "io.k8s.apimachinery.pkg.apis.meta.v1.APIResourceList",
    "io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions",
    "io.k8s.apimachinery.pkg.apis.meta.v1.Patch",
    "io.k8s.apimachinery.pkg.apis.meta.v1.Status",
    "io.k8s.apimachinery.pkg.apis.meta.v1.WatchEvent",
)


@cache
def load() -> dict[str, Any]:
    """All definitions of v1.36, in the published form; shared, not to be changed."""
    folder = importlib.resources.files("kubernetes_validate")
    raw = json.loads(folder.joinpath(_FILE).read_bytes())["$defs"]
    return {name: _published(name, schema) for name, schema in raw.items()}


def names_by_kind(definitions: dict[str, Any]) -> dict[tuple[str, str, str], str]:
    """(group, version, kind) → the definition's name."""
    found: dict[tuple[str, str, str], str] = {}
    for name, schema in definitions.items():
        for identity in schema.get("x-kubernetes-group-version-kind", ()):
            key = (identity["group"], identity["version"], identity["kind"])
            found.setdefault(key, name)
    return found


@cache
def published_names() -> dict[tuple[str, str, str], str]:
    """``names_by_kind`` of the published definitions."""
    return names_by_kind(load())


def default_name(group: str, version: str, kind: str) -> str:
    """How the definition of a kind would be named that has none: by its group, turned round."""
    parts = reversed(group.split(".")) if group else ["core", "api", "k8s", "io"]
    return ".".join([*parts, version, kind])


def references(operations: Any) -> list[str]:
    """The names of the definitions that operations refer to."""
    return _references(operations)


def reachable(
    definitions: Mapping[str, Any], roots: Iterable[str]
) -> Generator[None, None, dict[str, Any]]:
    """The definitions that ``roots`` refer to, directly or not, sorted by name; one a step."""
    found: dict[str, Any] = {}
    waiting = [name for name in roots if name in definitions]
    while waiting:
        name = waiting.pop()
        if name not in found:
            # A custom kind's definition is made at each look.
            found[name] = definitions[name]
            waiting += _references(found[name])
            yield
    return {name: found[name] for name in sorted(found)}


def _references(schema: Any) -> list[str]:
    if isinstance(schema, list):
        return [name for item in schema for name in _references(item)]
    if not isinstance(schema, dict):
        return []
    found = [name for item in schema.values() for name in _references(item)]
    target = schema.get("$ref")
    if isinstance(target, str):
        found.append(target.removeprefix(_REF))
    return found


def _published(name: str, schema: dict[str, Any]) -> dict[str, Any]:
    if name == _INT_OR_STRING:
        return {"oneOf": [{"type": "integer"}, {"type": "string"}], "format": "int-or-string"}
    if name == _QUANTITY:
        text = schema.get("description", "")
        return {"description": text, "oneOf": [{"type": "string"}, {"type": "number"}]}
    published = _plain(schema)
    published.pop("additionalProperties", None) if published.get(
        "additionalProperties"
    ) is False else None
    for field in ("kind", "apiVersion"):
        published.get("properties", {}).get(field, {}).pop("enum", None)
    return published


def _plain(schema: dict[str, Any]) -> dict[str, Any]:
    """A schema node without the package's nullable types and with v3 references.

    A reference beside other keywords becomes ``allOf``, as upstream publishes it.
    """
    published: dict[str, Any] = {}
    for key, value in schema.items():
        if key == "type" and isinstance(value, list):
            published[key] = value[0]
        elif key == "properties":
            published[key] = {name: _plain(item) for name, item in value.items()}
        elif key in ("items", "additionalProperties") and isinstance(value, dict):
            published[key] = _plain(value)
        elif key == "$ref":
            target = {"$ref": _REF + value.removeprefix(_OLD_REF)}
            if len(schema) == 1:
                return target
            published["allOf"] = [target]
        else:
            published[key] = value
    return published
