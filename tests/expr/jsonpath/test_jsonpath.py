"""Paths find what kubectl's find."""

from __future__ import annotations

from typing import Any

import pytest

from trireme.expr import jsonpath

OBJECT = {
    "kind": "Thing",
    "spec": {"size": 3, "a.b": "dotted", "list": [1, 2, 3, 4]},
    "status": {
        "conditions": [
            {"type": "Ready", "status": "True", "age": 5},
            {"type": "Synced", "status": "False", "age": 9},
        ]
    },
}


@pytest.mark.parametrize(
    ("path", "found"),
    [
        (".kind", ["Thing"]),
        ("kind", ["Thing"]),
        ("{.spec.size}", [3]),
        ("$.spec.size", [3]),
        (".", [OBJECT]),
        (".spec.nothing", []),
        (".kind.below", []),
        (r".spec.a\.b", ["dotted"]),
        (".spec['a.b']", ["dotted"]),
        (".spec.list[0]", [1]),
        (".spec.list[-1]", [4]),
        (".spec.list[9]", []),
        (".spec.list[1:3]", [2, 3]),
        (".spec.list[::2]", [1, 3]),
        (".spec.list[0,2]", [1, 3]),
        (".spec.list[*]", [1, 2, 3, 4]),
        (".status.conditions[*].type", ["Ready", "Synced"]),
        ('.status.conditions[?(@.type=="Ready")].status', ["True"]),
        (".status.conditions[?(@.age > 5)].type", ["Synced"]),
        (".status.conditions[?(@.age)].type", ["Ready", "Synced"]),
        ('.status.conditions[?(@.type == "None")].status', []),
        ("..age", [5, 9]),
    ],
)
def test_find(path: str, found: list[Any]) -> None:
    assert jsonpath.parse(path).find(OBJECT) == found


@pytest.mark.parametrize("path", [".a[", ".a[x]", ".a[?(@.b == c)]", ".a[0:1:0]", ".a[]"])
def test_what_is_no_path(path: str) -> None:
    with pytest.raises(jsonpath.JsonPathError):
        jsonpath.parse(path)
