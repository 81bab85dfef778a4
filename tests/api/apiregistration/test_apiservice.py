"""APIServices: what is local, rules, rows."""

from __future__ import annotations

from typing import Any

import pytest

from trireme.api.apiregistration.v1 import apiservice
from trireme.testing import validation
from trireme.testing.validation import REMOVED, changed

SERVICE = {
    "apiVersion": "apiregistration.k8s.io/v1",
    "kind": "APIService",
    "metadata": {"name": "v1.a.b", "creationTimestamp": "2026-01-01T00:00:00Z"},
    "spec": {
        "group": "a.b",
        "version": "v1",
        "groupPriorityMinimum": 100,
        "versionPriority": 10,
        "service": {"namespace": "n", "name": "s"},
    },
}
CREATE: list[tuple[str, dict[str, Any], list[str]]] = [
    ("good", {}, []),
    ("local", {"spec.service": REMOVED}, []),
    (
        "another name",
        {"metadata.name": "v2.a.b"},
        ['metadata.name: Invalid value: "v2.a.b": must be `spec.version+"."+spec.group`: "v1.a.b"'],
    ),
    (
        "no group",
        {"spec.group": "", "spec.version": "v2", "metadata.name": "v2."},
        [
            "spec.group: Required value: only v1 may have an empty group and it better be legacy "
            "kube"
        ],
    ),
    (
        "priorities out of bounds",
        {"spec.groupPriorityMinimum": 20001, "spec.versionPriority": 0},
        [
            "spec.groupPriorityMinimum: Invalid value: 20001: must be positive and less than 20000",
            "spec.versionPriority: Invalid value: 0: must be positive and less than 1000",
        ],
    ),
    (
        "trust of nobody",
        {"spec.service": REMOVED, "spec.caBundle": "YQ==", "spec.insecureSkipTLSVerify": True},
        [
            'spec.caBundle: Invalid value: "1 bytes": local APIServices may not have a caBundle',
            "spec.insecureSkipTLSVerify: Invalid value: true: local APIServices may not have "
            "insecureSkipTLSVerify",
        ],
    ),
    (
        "trust, and none needed",
        {"spec.caBundle": "YQ==", "spec.insecureSkipTLSVerify": True},
        ["spec.insecureSkipTLSVerify: Invalid value: true: may not be true if caBundle is present"],
    ),
    (
        "a Service of no name at no port",
        {"spec.service": {"port": 0}},
        [
            "spec.service.namespace: Required value",
            "spec.service.name: Required value",
            "spec.service.port: Invalid value: 0: port is not valid: must be between 1 and 65535, "
            "inclusive",
        ],
    ),
]


@pytest.mark.parametrize(
    ("changes", "errors"), [case[1:] for case in CREATE], ids=[case[0] for case in CREATE]
)
def test_create(changes: dict[str, Any], errors: list[str]) -> None:
    found = validation.create(apiservice.RESOURCE, changed(SERVICE, changes))
    assert validation.agrees(found, errors), found


def test_what_is_local_is_available() -> None:
    obj = validation.made(apiservice.RESOURCE, changed(SERVICE, {"spec.service": REMOVED}))
    assert apiservice.RESOURCE.row(obj, 1767225600.0 + 60) == ["v1.a.b", "Local", "True", "60s"]
    [condition] = obj.status.conditions
    assert condition.lastTransitionTime == "2026-01-01T00:00:00Z"


def test_status() -> None:
    broken = {"conditions": [{"type": "Available", "status": "False", "reason": "Broken"}]}
    obj = validation.load(apiservice.RESOURCE, {**SERVICE, "status": broken})
    assert apiservice.RESOURCE.row(obj, 1767225600.0 + 60)[1:3] == ["n/s", "False (Broken)"]
    bad = {**SERVICE, "status": {"conditions": [{"type": "Available", "status": "x"}]}}
    assert validation.update(apiservice.RESOURCE, bad, SERVICE, "status") == [
        'status.conditions[0].status: Unsupported value: "x": '
        'supported values: "True", "False", "Unknown"'
    ]
