"""RuntimeClasses: rules, warnings, rows."""

from __future__ import annotations

from typing import Any

import pytest

from trireme.api.node.v1 import runtimeclass
from trireme.testing import validation
from trireme.testing.validation import REMOVED, changed

CLASS = {
    "apiVersion": "node.k8s.io/v1",
    "kind": "RuntimeClass",
    "metadata": {"name": "sandboxed", "creationTimestamp": "2026-01-01T00:00:00Z"},
    "handler": "runsc",
    "overhead": {"podFixed": {"cpu": "250m"}},
    "scheduling": {
        "nodeSelector": {"sandbox": "yes"},
        "tolerations": [{"key": "a", "operator": "Exists"}],
    },
}
CREATE: list[tuple[str, dict[str, Any], list[str]]] = [
    ("good", {}, []),
    ("no handler", {"handler": REMOVED}, ["handler: Required value"]),
    ("bad handler", {"handler": "A"}, ['handler: Invalid value: "A": a lowercase RFC 1123...']),
    (
        "negative overhead",
        {"overhead.podFixed.cpu": "-1"},
        [
            'overhead.limits[cpu]: Invalid value: "-1": must be greater than or equal to 0',
        ],
    ),
    (
        "bad label",
        {"scheduling.nodeSelector.sandbox": "-"},
        ['scheduling.nodeSelector: Invalid value: "-": a valid label must be...'],
    ),
    (
        "the same toleration",
        {"scheduling.tolerations.1": {"key": "a", "operator": "Exists", "tolerationSeconds": 1}},
        [
            'scheduling.tolerations[1].effect: Invalid value: "": effect must be...',
            "scheduling.tolerations[1]: Duplicate value: ...",
        ],
    ),
]


@pytest.mark.parametrize(
    ("changes", "errors"), [case[1:] for case in CREATE], ids=[case[0] for case in CREATE]
)
def test_create(changes: dict[str, Any], errors: list[str]) -> None:
    found = validation.create(runtimeclass.RESOURCE, changed(CLASS, changes))
    assert validation.agrees(found, errors), found


def test_the_handler_stays() -> None:
    new = changed(CLASS, {"handler": "runc"})
    assert validation.update(runtimeclass.RESOURCE, new, CLASS) == [
        'handler: Invalid value: "runc": field is immutable'
    ]


def test_old_labels_are_warned_of() -> None:
    new = changed(CLASS, {"scheduling.nodeSelector": {"beta.kubernetes.io/os": "linux"}})
    obj = validation.load(runtimeclass.RESOURCE, new)
    assert runtimeclass.warnings(obj, None) == [
        'scheduling.nodeSelector: deprecated since v1.14; use "kubernetes.io/os" instead'
    ]
    assert runtimeclass.warnings(validation.load(runtimeclass.RESOURCE, CLASS), None) == []


def test_row() -> None:
    obj = validation.load(runtimeclass.RESOURCE, CLASS)
    assert runtimeclass.RESOURCE.row(obj, 1767225600.0 + 60) == ["sandboxed", "runsc", "60s"]
