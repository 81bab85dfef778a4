"""Pruning: what the schema does not name is dropped from a value, in place.

In: a decoded value and its ``Structural``. Out: the paths of what was dropped, sorted, which
``fieldValidation`` reports as unknown fields. Also drops nulls that are not allowed. Rules:
custom-resource-definitions/#field-pruning; upstream schema/pruning, schema/defaulting/prunenulls.
"""

from __future__ import annotations

from typing import Any

from trireme.api.apiextensions.schema.structural import META_FIELDS, Structural


def prune(value: Any, node: Structural | None) -> list[str]:
    """Drop what ``node`` does not name. At a resource's root the three meta fields stay."""
    dropped: list[str] = []
    _prune(value, node, "", dropped)
    dropped.sort()
    return dropped


def _prune(value: Any, node: Structural | None, at: str, dropped: list[str]) -> None:
    if isinstance(value, dict):
        if node is not None and node.preserve:
            _keep(value, node, at, dropped)
        else:
            _prune_object(value, node, at, dropped)
    elif isinstance(value, list):
        if node is not None and node.preserve:
            for position, item in enumerate(value):
                if node.items is not None:
                    _keep(item, node.items, f"{at}[{position}]", dropped)
            return
        below = None if node is None else node.items
        for position, item in enumerate(value):
            if isinstance(item, dict | list):
                _prune(item, below, f"{at}[{position}]", dropped)


def _prune_object(
    value: dict[str, Any], node: Structural | None, at: str, dropped: list[str]
) -> None:
    unknown: list[str] = []
    for key, item in value.items():
        if node is None:
            unknown.append(key)
            continue
        if node.embedded and key in META_FIELDS:
            continue
        below = node.properties.get(key)
        if below is None:
            if not node.keeps_additional:
                unknown.append(key)
                continue
            below = node.additional
        if isinstance(item, dict | list):
            _prune(item, below, f"{at}.{key}" if at else key, dropped)
    for key in unknown:
        del value[key]
        if at or key not in META_FIELDS:
            dropped.append(f"{at}.{key}" if at else key)


def _keep(value: Any, node: Structural, at: str, dropped: list[str]) -> None:
    """Below x-kubernetes-preserve-unknown-fields only what is named is pruned, within itself."""
    if isinstance(value, dict):
        for key, item in value.items():
            if node.embedded and key in META_FIELDS:
                continue
            below = node.properties.get(key)
            if below is None:
                if not node.keeps_additional:
                    continue
                below = node.additional
            _prune(item, below, f"{at}.{key}" if at else key, dropped)
    elif isinstance(value, list) and node.items is not None:
        for position, item in enumerate(value):
            _keep(item, node.items, f"{at}[{position}]", dropped)


def prune_nulls(value: Any, node: Structural | None) -> None:
    """Drop the fields that are null though their schema neither allows null nor has a default."""
    if isinstance(value, dict):
        gone: list[str] = []
        for key, item in value.items():
            below = None if node is None else node.field(key)
            if item is None:
                if below is not None and not below.nullable and below.default is None:
                    gone.append(key)
            elif below is not None:
                prune_nulls(item, below)
        for key in gone:
            del value[key]
    elif isinstance(value, list) and node is not None and node.items is not None:
        for item in value:
            prune_nulls(item, node.items)
