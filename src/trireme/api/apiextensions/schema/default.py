"""Defaulting by the schema, in place.

In: a decoded value and its ``Structural``. Out: the same value with the schema's defaults in the
place of what is absent, or null where null is not allowed. Called on writes and on what comes from
the store. Rules: custom-resource-definitions/#defaulting; upstream schema/defaulting/algorithm.
"""

from __future__ import annotations

from typing import Any

from trireme.api.apiextensions.schema.structural import Structural


def default(value: Any, node: Structural | None) -> None:
    """Write the defaults of ``node`` and all below it into ``value``."""
    if node is None:
        return
    if isinstance(value, dict):
        _default_object(value, node)
    elif isinstance(value, list) and node.items is not None:
        items = node.items
        for position, item in enumerate(value):
            if item is None and not items.nullable:
                value[position] = copy(items.default)
            if items.has_defaults or not items.nullable:
                default(value[position], items)


def _default_object(value: dict[str, Any], node: Structural) -> None:
    for name, below in node.properties.items():
        if below.has_defaults:
            present = value.get(name)
            if below.default is not None and (
                name not in value or (present is None and not below.nullable)
            ):
                value[name] = present = copy(below.default)
            if isinstance(present, dict | list):
                default(present, below)
        elif isinstance(value.get(name), dict | list):
            default(value[name], below)
    if node.additional is not None:
        for name, item in value.items():
            if name in node.properties:
                continue
            if item is None and not node.additional.nullable:
                value[name] = copy(node.additional.default)
            default(value[name], node.additional)


def copy(value: Any) -> Any:
    """A JSON value that shares nothing with ``value``."""
    if isinstance(value, dict):
        return {key: copy(item) for key, item in value.items()}
    return [copy(item) for item in value] if isinstance(value, list) else value
