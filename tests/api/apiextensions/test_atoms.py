"""How a custom kind's values merge, beside the reading of published schemas in the tests."""

from __future__ import annotations

from typing import Any

import pytest
from tests import upstream_definitions
from tests.api.test_ownership import differences
from tests.machinery.apply import published

from trireme.api.apiextensions.schema import atoms, structural
from trireme.machinery.apply.atom import DEDUCED, Atom

ANY = {"x-kubernetes-preserve-unknown-fields": True}
ITEM = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "port": {"type": "integer", "default": 80}},
}
LIST = {"type": "array", "items": ITEM}
SCHEMAS: list[dict[str, Any]] = [
    {},
    ANY,
    {"type": "object"},
    {"type": "object", **ANY, "properties": {"a": {"type": "object"}}},
    {"type": "object", "additionalProperties": {"type": "number"}},
    {"type": "object", "additionalProperties": True},
    {"type": "object", "properties": {"a": {}}, "additionalProperties": False},
    {"type": "object", "properties": {"a": ITEM}, "x-kubernetes-map-type": "atomic"},
    {"x-kubernetes-int-or-string": True},
    LIST,
    {**LIST, "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name", "port"]},
    {"type": "array", "items": {"type": "string"}, "x-kubernetes-list-type": "set"},
    *({"type": kind} for kind in ("string", "boolean", "integer", "number")),
    {"type": "string", "format": "date-time"},
    {"type": "string", "format": "byte"},
]


def whole(schema: Any, definitions: dict[str, Any]) -> Any:
    """A published schema without references, as a definition would have it."""
    if isinstance(schema, list):
        return [whole(item, definitions) for item in schema]
    if not isinstance(schema, dict):
        return schema
    made = {key: value for key, value in schema.items() if key != "allOf"}
    for part in (schema, *schema.get("allOf", ())):
        made |= definitions.get(part.get("$ref", "").rpartition("/")[2], {})
    patches = ("x-kubernetes-patch-strategy", "x-kubernetes-patch-merge-key", "$ref")
    return {key: whole(value, definitions) for key, value in made.items() if key not in patches}


def scalars(ours: Atom, theirs: Atom) -> list[tuple[str, str]]:
    """The scalars of both, place by place."""
    found = [(ours.scalar, theirs.scalar)]
    if ours.map is None or theirs.map is None or ours is DEDUCED:
        return found
    assert ours.map.fields.keys() == theirs.map.fields.keys()
    for name, atom in ours.map.fields.items():
        found += scalars(atom, theirs.map.fields[name])
    return found


def agree(schema: dict[str, Any], preserve: bool = False) -> None:
    ours = atoms.of(structural.of(schema), preserve)
    theirs = published.of_openapi(schema, preserve=preserve)
    assert list(differences(ours, theirs)) == []
    assert [one for one in scalars(ours, theirs) if one[0] != one[1]] == []
    if ours.list is not None and theirs.list is not None:
        assert ours.list.defaults == theirs.list.defaults


@pytest.mark.parametrize("schema", SCHEMAS, ids=str)
@pytest.mark.parametrize("preserve", [False, True])
def test_a_schema(schema: dict[str, Any], preserve: bool) -> None:
    agree(schema, preserve)


@pytest.mark.parametrize("name", ["core.v1.Pod", "core.v1.Service", "apps.v1.Deployment"])
def test_a_large_schema(name: str) -> None:
    definitions = upstream_definitions.load()
    agree(whole(definitions[f"io.k8s.api.{name}"], definitions))
