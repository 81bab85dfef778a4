"""``scripts/scaffold`` makes the types that we have of the documents that our server publishes."""

from __future__ import annotations

import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.apiserver import parity
from tests.apiserver.test_openapi_parity import fetch
from tests.scripts.loading import script

import trireme.api
from trireme.api.catalog import Catalog
from trireme.machinery.resource import Resource
from trireme.machinery.schema import tree
from trireme.machinery.schema.node import LIST, MAP, OBJECT, Node
from trireme.testing import control_plane

ROOT = Path(__file__).resolve().parents[2]
scaffold = script("scaffold")

# A definition holds JSON schemas, where a list or a boolean may stand for a schema.
UNIONS = "customresourcedefinitions"
CREATED = [
    resource
    for resource in Catalog.of(trireme.api).resources
    if {"create", "get"} <= {*resource.verbs} and resource.plural != UNIONS
]
TYPES = scaffold.types_of_the_api()


@pytest.fixture(scope="module")
def documents() -> dict[str, Any]:
    return {}


@pytest.fixture(autouse=True)
def no_module_stays() -> Iterator[None]:
    """Type hints are read from the modules when a type is first used."""
    before = set(sys.modules)
    yield
    for name in sys.modules.keys() - before:
        if name.startswith("trireme.api.made."):
            del sys.modules[name]


def made(document: dict[str, Any], resource: Resource) -> types.ModuleType:
    """The module that the script makes of a kind, whose own group it has to know nothing of."""
    own = f"{resource.type.__module__.split('.')[2]}.{resource.version}."
    known = {name: module for name, module in TYPES.items() if not name.startswith(own)}
    name = f"trireme.api.made.{resource.version}.{resource.plural}"
    module = sys.modules[name] = types.ModuleType(name)
    exec(scaffold.source(document, resource.kind, known), vars(module))
    return module


def described(node: Node, above: tuple[str, ...] = ()) -> Any:
    """What a document says of a node, in a form that can be compared."""
    if node.kind == OBJECT and node.name in above:
        return node.name
    markers = (node.required, node.list_type, node.list_keys, node.atomic, node.merge)
    kind = (node.kind, node.format, *markers, node.merge_key, node.retain_keys)
    if node.kind in (LIST, MAP):
        assert node.item is not None
        return *kind, described(node.item, above)
    below = (*above, node.name)
    return *kind, {name: described(field, below) for name, field in node.fields.items()}


@pytest.mark.parametrize("resource", CREATED, ids=lambda r: f"{r.version}-{r.plural}")
async def test_a_kind_is_made_as_we_have_it(resource: Resource, documents: dict[str, Any]) -> None:
    if not documents:
        async with control_plane.api_server(**parity.EVERYTHING) as server:
            index = await fetch(server, "/openapi/v3")
            for path, entry in index["paths"].items():
                documents[path] = await fetch(server, entry["serverRelativeURL"])
    group = resource.group
    document = documents[f"apis/{group}/{resource.version}" if group else "api/v1"]
    module = made(document, resource)
    kind = getattr(module, resource.kind)
    assert described(tree.of(kind)) == described(tree.of(resource.type))
    assert (kind().kind, kind().apiVersion) == (resource.kind, resource.api_version)
    mine = module.RESOURCE
    assert (mine.plural, mine.namespaced, mine.has_status) == (
        resource.plural,
        resource.namespaced,
        resource.has_status,
    )
