"""Lists that are sets or maps: no item, and no key, twice.

In: a value and its ``Structural``. Out: errors. Rules: x-kubernetes-list-type; upstream
schema/listtype.
"""

from __future__ import annotations

from typing import Any

import msgspec

from trireme.api.apiextensions.schema.structural import Structural
from trireme.machinery import field
from trireme.machinery.field import FieldError, Path

_canonical = msgspec.json.Encoder(order="sorted").encode


def validate(value: Any, node: Structural, at: Path | None = None) -> list[FieldError]:
    """Duplicates in all sets and maps at and below ``value``."""
    errs: list[FieldError] = []
    if node.has_lists:
        _walk(errs, value, node, at)
    return errs


def _walk(errs: list[FieldError], value: Any, node: Structural, at: Path | None) -> None:
    if isinstance(value, dict):
        for key, item in value.items():
            below = node.properties.get(key)
            if below is not None:
                if below.has_lists:
                    _walk(errs, item, below, field.path(key) if at is None else at.child(key))
            elif node.additional is not None and node.additional.has_lists:
                here = field.Path(f"[{key}]") if at is None else at.key(key)
                _walk(errs, item, node.additional, here)
    elif isinstance(value, list):
        here = at or field.path()
        if node.list_type == "set":
            errs += [
                field.duplicate(here.index(position), value[position])
                for position in _repeated(value)
            ]
        elif node.list_type == "map":
            _keys(errs, value, node, here)
        if node.items is not None and node.items.has_lists:
            for position, item in enumerate(value):
                _walk(errs, item, node.items, here.index(position))


def _keys(errs: list[FieldError], value: list[Any], node: Structural, at: Path) -> None:
    for position, item in enumerate(value):
        if item is not None and not isinstance(item, dict):
            detail = "must be an object for an array of list-type map"
            errs.append(field.invalid(at.index(position), item, detail))
            return
    keys = [
        {name: item[name] for name in node.list_keys if item is not None and name in item}
        for item in value
    ]
    errs += [field.duplicate(at.index(position), keys[position]) for position in _repeated(keys)]


def _repeated(items: list[Any]) -> list[int]:
    """Where an item stands for the second time; later repetitions are not reported."""
    known: dict[bytes, int] = {}
    found: list[int] = []
    for position, item in enumerate(items):
        text = _canonical(item)
        count = known.get(text, 0)
        if count == 1:
            found.append(position)
        known[text] = count + 1
    return found
