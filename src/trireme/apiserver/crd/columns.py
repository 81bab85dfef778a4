"""Printer columns of a custom kind: JSON paths become cells.

In: the definition's columns. Out: ``Column`` values and the function from an object to its cells.
Upstream: registry/customresource/tableconvertor.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Final

from trireme.api import columns
from trireme.api.apiextensions.v1.types import CustomResourceColumnDefinition
from trireme.apiserver.crd.custom import CustomObject
from trireme.expr import jsonpath
from trireme.machinery import gotext, time
from trireme.machinery.resource import Column

_NAME: Final = Column("Name", format="name", description=columns.NAME.description)
# The column of a kind without columns of its own.
_AGE: Final = CustomResourceColumnDefinition(
    name="Age",
    type="date",
    description="How long ago the object was created.",
    jsonPath=".metadata.creationTimestamp",
)

Row = Callable[[CustomObject, float], list[Any]]


def of(given: list[CustomResourceColumnDefinition]) -> tuple[tuple[Column, ...], Row]:
    """The columns and their row function."""
    given = given or [_AGE]
    heads = [_NAME]
    paths: list[tuple[str, jsonpath.JsonPath]] = []
    for item in given:
        try:
            path = jsonpath.parse(item.jsonPath)
        except jsonpath.JsonPathError:
            # As upstream: the columns before it are printed, those after it are not.
            break
        text = f"Custom resource definition column (in JSONPath format): {item.jsonPath}"
        described = item.description or text
        heads.append(Column(item.name, item.type, item.format, described, item.priority))
        paths.append((item.type, path))

    def row(obj: CustomObject, now: float) -> list[Any]:
        plain = obj.plain()
        return [obj.metadata.name, *(_cell(kind, path.find(plain), now) for kind, path in paths)]

    return tuple(heads), row


def _cell(kind: str, found: list[Any], now: float) -> Any:
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
