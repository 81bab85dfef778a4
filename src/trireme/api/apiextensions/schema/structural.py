"""The structural schema: which fields there are, apart from what their values must satisfy.

In: a schema as plain JSON, as a CustomResourceDefinition stores it. Out: a tree of ``Structural``
nodes, made once per version of a kind and shared. Rules:
https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#specifying-a-structural-schema.
"""

from __future__ import annotations

import copy
from typing import Any, Final

Schema = dict[str, Any]

# What every object has besides its schema's own fields.
META_FIELDS: Final = ("apiVersion", "kind", "metadata")
# The CEL rules of a schema.
RULES: Final = "x-kubernetes-validations"
_UNSUPPORTED: Final = (
    ("id", "id"),
    ("$schema", "schema"),
    ("$ref", "$ref"),
    ("patternProperties", "patternProperties"),
    ("dependencies", "dependencies"),
    ("additionalItems", "additionalItems"),
    ("definitions", "definitions"),
)


class NotStructural(ValueError):
    """The schema uses a construct that no structural schema has."""


class Structural:
    """One node. ``schema`` is the JSON it was made from.

    ``additional`` is the schema of the values of a map; ``keeps_additional`` is true where unnamed
    fields are kept at all. The ``has_*`` flags hold for the node and all below it, so that walks
    can skip the rest.
    """

    __slots__ = (
        "additional",
        "default",
        "embedded",
        "has_defaults",
        "has_embedded",
        "has_lists",
        "has_rules",
        "int_or_string",
        "items",
        "keeps_additional",
        "list_keys",
        "list_type",
        "map_type",
        "nullable",
        "preserve",
        "properties",
        "schema",
        "type",
    )

    def __init__(self, schema: Schema) -> None:
        self.schema = schema
        self.type: str = schema.get("type", "")
        self.nullable: bool = schema.get("nullable", False)
        self.default: Any = schema.get("default")
        self.preserve: bool = schema.get("x-kubernetes-preserve-unknown-fields", False)
        self.embedded: bool = schema.get("x-kubernetes-embedded-resource", False)
        self.int_or_string: bool = schema.get("x-kubernetes-int-or-string", False)
        self.list_type: str | None = schema.get("x-kubernetes-list-type")
        self.list_keys: list[str] = schema.get("x-kubernetes-list-map-keys", [])
        self.map_type: str | None = schema.get("x-kubernetes-map-type")
        self.properties: dict[str, Structural] = {}
        self.items: Structural | None = None
        self.additional: Structural | None = None
        self.keeps_additional = "additionalProperties" in schema
        self.has_defaults = self.has_embedded = self.has_lists = self.has_rules = False

    def children(self) -> list[Structural]:
        """The nodes one step below."""
        below = list(self.properties.values())
        return below + [item for item in (self.items, self.additional) if item is not None]

    def field(self, name: str) -> Structural | None:
        """The node of a field: a property, or the schema of the map's values."""
        return self.properties.get(name, self.additional)


def of(schema: Schema) -> Structural:
    """The tree of a schema. Raises NotStructural."""
    refuse_unsupported(schema)
    node = Structural(schema)
    items = schema.get("items")
    if isinstance(items, list):
        raise NotStructural("OpenAPIV3Schema 'items' must be a schema, but is an array")
    if items is not None:
        node.items = of(items)
    node.properties = {name: of(item) for name, item in schema.get("properties", {}).items()}
    more = schema.get("additionalProperties")
    if isinstance(more, dict):
        node.additional = of(more)
    for key in ("allOf", "anyOf", "oneOf"):
        for branch in schema.get(key, ()):
            _check_branch(branch)
    if "not" in schema:
        _check_branch(schema["not"])
    node.has_defaults = node.default is not None
    node.has_embedded = node.embedded
    node.has_lists = node.list_type in ("set", "map")
    node.has_rules = bool(schema.get(RULES))
    for item in node.children():
        node.has_defaults |= item.has_defaults
        node.has_embedded |= item.has_embedded
        node.has_lists |= item.has_lists
        node.has_rules |= item.has_rules
    return node


def as_root(node: Structural) -> Structural:
    """The same node as a resource's root, whose meta fields no schema has to name."""
    resource = copy.copy(node)
    resource.embedded = True
    return resource


def root(schema: Schema | None) -> Structural:
    """The tree of a whole object."""
    return as_root(of(schema or {}))


def refuse_unsupported(schema: Schema) -> None:
    """Raises NotStructural for what belongs to JSON schema but not to Kubernetes."""
    for key, name in _UNSUPPORTED:
        if schema.get(key) not in (None, "", {}) or (key == "additionalItems" and key in schema):
            raise NotStructural(f"OpenAPIV3Schema '{name}' is not supported")
    if schema.get("x-kubernetes-preserve-unknown-fields") is False:
        raise NotStructural(
            "internal error: 'x-kubernetes-preserve-unknown-fields' must be true or undefined"
        )


def _check_branch(schema: Schema) -> None:
    """The same below a logical junctor, where no nodes are made."""
    refuse_unsupported(schema)
    items = schema.get("items")
    if isinstance(items, list):
        raise NotStructural("OpenAPIV3Schema 'items' must be a schema, but is an array")
    below: list[Schema] = [items] if items is not None else []
    below += schema.get("properties", {}).values()
    for key in ("allOf", "anyOf", "oneOf"):
        below += schema.get(key, ())
    for key in ("not", "additionalProperties"):
        if isinstance(schema.get(key), dict):
            below.append(schema[key])
    for item in below:
        _check_branch(item)
