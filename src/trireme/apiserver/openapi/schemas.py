"""The published schemas: every kind's definition, and upstream's descriptions where installed.

In: our own types, and the package ``kubernetes-validate`` (the extra ``descriptions``): upstream's
texts are not ours to copy. Without it ``kubectl explain`` says ``<empty>`` for every field.
"""

from __future__ import annotations

import importlib.resources
import json
from collections.abc import Generator, Iterable, Mapping
from functools import cache
from typing import Any

import trireme.api
from trireme.apiserver import resource_metrics
from trireme.apiserver.openapi import declared
from trireme.kit import catalog
from trireme.machinery.resource import Resource

_PACKAGE = "kubernetes_validate"
_FILE = "kubernetes-json-schema/v1.36.0-local-strict/_definitions.json"
# Every group's document has these besides its own kinds.
COMMON = tuple(
    declared.META + name
    for name in ("APIResourceList", "DeleteOptions", "Patch", "Status", "WatchEvent")
)


@cache
def load() -> dict[str, Any]:
    """All definitions of v1.36, in the published form; shared, not to be changed."""
    kinds = catalog.instances(trireme.api, Resource)
    definitions = declared.definitions(kinds, resource_metrics.RESOURCES)
    for name, text in _texts().items():
        if name in definitions:
            definitions[name] = _described(definitions[name], text)
    return definitions


def _texts() -> dict[str, Any]:
    """Upstream's schemas by name, for their descriptions; none where the package is absent."""
    try:
        folder = importlib.resources.files(_PACKAGE)
    except ModuleNotFoundError:
        return {}
    found: dict[str, Any] = json.loads(folder.joinpath(_FILE).read_bytes())["$defs"]
    return found


def _described(schema: dict[str, Any], text: Mapping[str, Any]) -> dict[str, Any]:
    """``schema`` with the descriptions that ``text`` has for it and for its properties."""
    if text.get("description"):
        schema["description"] = text["description"]
    below = text.get("properties", {})
    for name, item in schema.get("properties", {}).items():
        if name in below:
            schema["properties"][name] = _described(item, below[name])
    return declared.beside_reference(schema)


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
    """``names_by_kind`` of our own definitions."""
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
        found.append(target.removeprefix(declared.REF))
    return found
