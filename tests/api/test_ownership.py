"""How the fields of every kind are owned: our markers beside the published definitions."""

from __future__ import annotations

from typing import Any

import pytest
from tests import upstream_definitions
from tests.machinery.apply import published

from trireme import api
from trireme.api.catalog import Catalog
from trireme.apiserver.openapi import schemas
from trireme.machinery.apply import atom
from trireme.machinery.apply.atom import DEDUCED, WHOLE, Atom
from trireme.machinery.resource import Resource
from trireme.machinery.schema import tree

RESOURCES = Catalog.of(api).resources
# Never walked into: managedFields are owned by nobody. No field is published below ``status``.
EXCEPT = ("metadata.managedFields[].fieldsV1", "subresources.status")


@pytest.fixture(scope="module")
def definitions() -> dict[str, Any]:
    return upstream_definitions.load()


@pytest.mark.parametrize("resource", RESOURCES, ids=lambda r: f"{r.api_version}.{r.kind}")
def test_lists_and_maps_are_owned_as_published(
    resource: Resource, definitions: dict[str, Any]
) -> None:
    names = schemas.names_by_kind(definitions)
    name = names.get((resource.group, resource.version, resource.kind))
    if name is None:
        pytest.skip("no definition is published")
    ours = atom.of_node(tree.of(resource.type))
    theirs = published.of_openapi({"$ref": f"#/components/schemas/{name}"}, definitions)
    assert list(differences(ours, theirs)) == []


def differences(ours: Atom, theirs: Atom) -> Any:
    used: set[tuple[int, int]] = set()
    waiting = [("", ours, theirs)]
    while waiting:
        path, a, b = waiting.pop()
        if path.endswith(EXCEPT) or (a.scalar and b.scalar and a.map is None):
            continue
        if special(a) or special(b):
            if a.map and b.map and a.map.atomic != b.map.atomic:
                yield f"{path}: any value"
            continue
        if (a.map is None, a.list is None) != (b.map is None, b.list is None):
            yield f"{path}: another kind of value"
            continue
        if a.list is not None and b.list is not None:
            if (a.list.atomic, a.list.keys) != (b.list.atomic, b.list.keys):
                yield f"{path}: list {a.list.keys} is not {b.list.keys}"
            waiting.append((f"{path}[]", a.list.element, b.list.element))
        if a.map is None or b.map is None:
            continue
        if a.map.atomic != b.map.atomic:
            yield f"{path}: atomic {a.map.atomic} is not {b.map.atomic}"
        both = (id(a.map.fields), id(b.map.fields))
        if both in used:
            continue
        used.add(both)
        if a.map.fields.keys() != b.map.fields.keys():
            yield f"{path}: fields {a.map.fields.keys() ^ b.map.fields.keys()}"
            continue
        waiting += [(f"{path}.{k}", a.map.fields[k], b.map.fields[k]) for k in a.map.fields]
        if a.map.element is not None and b.map.element is not None:
            waiting.append((f"{path}.*", a.map.element, b.map.element))


def special(a: Atom) -> bool:
    return a is DEDUCED or a is WHOLE
