"""Printer columns of a custom kind: JSON paths become cells.

In: the definition's columns. Out: ``Column`` values.
Upstream: registry/customresource/tableconvertor.
"""

from __future__ import annotations

import functools
import json
from dataclasses import replace
from typing import Any, Final

from trireme.api import columns
from trireme.api.apiextensions.v1.types import CustomResourceColumnDefinition
from trireme.expr import jsonpath
from trireme.machinery import gotext, time
from trireme.machinery.resource import Column, Timed

_NAME: Final = replace(columns.NAME, cell=lambda obj: (obj.get("metadata") or {}).get("name", ""))
# The column of a kind without columns of its own.
_AGE: Final = CustomResourceColumnDefinition(
    name="Age",
    type="date",
    description="How long ago the object was created.",
    jsonPath=".metadata.creationTimestamp",
)


def of(given: list[CustomResourceColumnDefinition]) -> tuple[Column, ...]:
    """The columns; their cells are read from the object as plain values."""
    found = [_NAME]
    for item in given or [_AGE]:
        try:
            path = jsonpath.parse(item.jsonPath)
        except jsonpath.JsonPathError:
            # As upstream: the columns before it are printed, those after it are not.
            break
        text = f"Custom resource definition column (in JSONPath format): {item.jsonPath}"
        cell = Timed(functools.partial(_cell, item.type, path))
        described = item.description or text
        found.append(Column(item.name, cell, described, item.type, item.format, item.priority))
    return tuple(found)


def _cell(kind: str, path: jsonpath.JsonPath, obj: Any, now: float) -> Any:
    found = path.find(obj)
    if not found:
        return None
    value = found[0]
    if kind == "string":
        return printed(value)
    if value is None:
        return None
    number = type(value) in (int, float)
    if kind == "integer":
        return int(value) if number else None
    if kind == "number":
        return float(value) if number else None
    if kind == "boolean":
        return value if isinstance(value, bool) else None
    if kind == "date" and isinstance(value, str):
        try:
            return time.human_duration(now - time.parse(value))
        except ValueError:
            return "<invalid>"
    return None


def printed(value: Any) -> str:
    """A value as kubectl's JSONPath prints it: texts bare, structures as JSON."""
    if value is None:
        return ""
    if isinstance(value, dict | list):
        return json.dumps(value, separators=(",", ":"), ensure_ascii=False, sort_keys=True)
    return value if isinstance(value, str) else gotext.value(value)
