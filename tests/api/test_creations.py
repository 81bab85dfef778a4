"""The generated way to a new object's fields beside the general one, for every kind."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from trireme import api
from trireme.api.catalog import Catalog
from trireme.machinery.apply import fieldset
from trireme.machinery.apply.atom import Nodes
from trireme.machinery.apply.compare import compare
from trireme.machinery.apply.created import Creations
from trireme.machinery.resource import Resource
from trireme.machinery.schema import node as nodes
from trireme.machinery.schema import tree
from trireme.machinery.schema.node import Node

RESOURCES = Catalog.of(api).resources
SCALARS = {
    nodes.STRING: "text", nodes.BYTES: "AAAA", nodes.INTEGER: 1, nodes.NUMBER: 1.5,
    nodes.BOOLEAN: True, nodes.INT_OR_STRING: 1, nodes.ANY: {"a": [{"b": 1}], "c": "d"},
    nodes.RAW: {"a": 1},
}  # fmt: skip


def sample(node: Node, depth: int, *, full: bool, salt: str = "") -> Any:
    """A plain value of a node; with ``full`` every field is set, else only every third."""
    if node.kind == nodes.OBJECT:
        if depth <= 0:
            return {}
        fields = list(node.fields.items())
        return {
            name: sample(item, depth - 1, full=full, salt=salt)
            for position, (name, item) in enumerate(fields)
            if full or position % 3 == 0
        }
    if node.item is not None and node.kind == nodes.MAP:
        return {f"{key}/x y": sample(node.item, depth - 1, full=full) for key in ("z", "a", "k")}
    if node.item is not None:
        return [sample(node.item, depth - 1, full=full, salt=each) for each in _items(depth)]
    value = SCALARS[node.kind]
    return value + salt if isinstance(value, str) and node.kind == nodes.STRING else value


def _items(depth: int) -> tuple[str, ...]:
    # Duplicates and order near the top; one item below, or it would never end.
    return ("b", "a", "b") if depth > 5 else ("a",)


@pytest.mark.parametrize("full", [True, False], ids=["full", "sparse"])
@pytest.mark.parametrize("resource", RESOURCES, ids=lambda r: f"{r.api_version}.{r.kind}")
def test_both_ways_agree(resource: Resource, full: bool) -> None:
    node = tree.of(resource.type)
    value = sample(node, 8, full=full)
    value.get("metadata", {}).pop("managedFields", None)
    value |= {"kind": resource.kind, "apiVersion": resource.api_version}
    obj = msgspec.json.decode(msgspec.json.encode(value), type=resource.type)
    encode = msgspec.json.encode
    empty = msgspec.json.decode(encode(resource.type()))
    atoms = Nodes()
    found = compare(atoms.atom(node), empty, msgspec.json.decode(encode(obj)))
    expected = fieldset.ordered(fieldset.union(found.added, found.modified))
    assert encode(Creations(atoms).fields(obj)).decode() == encode(expected).decode()


@pytest.mark.parametrize("resource", RESOURCES, ids=lambda r: f"{r.api_version}.{r.kind}")
def test_an_empty_object_sets_nothing(resource: Resource) -> None:
    assert Creations(Nodes()).fields(resource.type()) == {}
