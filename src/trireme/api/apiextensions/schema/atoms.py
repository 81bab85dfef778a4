"""How the values of a custom kind merge in server-side apply.

In: a structural schema. Out: its ``Atom``, whose parts are made when they are first used. Called
by: the endpoints of custom kinds. Upstream: kube-openapi ``schemaconv``.
"""

from __future__ import annotations

from trireme.api.apiextensions.schema.structural import Structural
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


def of(node: Structural, preserve: bool = False) -> Atom:
    """The atom of a schema. ``preserve``: unknown fields are kept (``preserveUnknownFields``)."""
    preserve = preserve or node.preserve
    match node.type:
        case "object":
            return Atom(map=_map(node, preserve))
        case "array":
            return Atom(list=_list(node, preserve))
        case "integer" | "number":
            return Atom(scalar=NUMERIC)
        case "boolean":
            return Atom(scalar=BOOLEAN)
        case "string":
            plain = node.schema.get("format", "") in ("", "byte")
            return Atom(scalar=STRING if plain else UNTYPED)
    return Atom(scalar=UNTYPED, list=_list(node, preserve), map=_map(node, preserve))


def _map(node: Structural, preserve: bool) -> MapRule:
    element: Atom | None = None
    if node.additional is not None:
        element = of(node.additional, preserve)
    elif node.keeps_additional:
        element = DEDUCED if node.schema["additionalProperties"] else None
    elif preserve or not node.properties:
        element = DEDUCED
    return MapRule(
        lambda: {name: of(item, preserve) for name, item in node.properties.items()},
        element,
        atomic=node.map_type == "atomic",
    )


def _list(node: Structural, preserve: bool) -> ListRule:
    element = WHOLE if node.items is None else of(node.items, preserve)
    if node.list_type not in ("set", "map"):
        return ListRule(element)
    keys = tuple(node.list_keys) if node.list_type == "map" else ()
    properties = {} if node.items is None else node.items.properties
    defaults = {
        key: properties[key].default
        for key in keys
        if key in properties and properties[key].default is not None
    }
    return ListRule(element, atomic=False, keys=keys).with_defaults(lambda: defaults)
