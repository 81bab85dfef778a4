"""LeaseCandidates: rules, and the two versions as one."""

from __future__ import annotations

from typing import Any

import pytest

from trireme.api.coordination.v1alpha2 import leasecandidate as v1alpha2
from trireme.api.coordination.v1beta1 import leasecandidate
from trireme.testing import validation
from trireme.testing.validation import REMOVED, changed

CANDIDATE = {
    "apiVersion": "coordination.k8s.io/v1beta1",
    "kind": "LeaseCandidate",
    "metadata": {"name": "A_1", "namespace": "ns", "creationTimestamp": "2026-01-01T00:00:00Z"},
    "spec": {
        "leaseName": "l",
        "binaryVersion": "1.36.0",
        "emulationVersion": "1.35.0",
        "strategy": "OldestEmulationVersion",
    },
}
BINARY, EMULATED, STRATEGY = "spec.binaryVersion", "spec.emulationVersion", "spec.strategy"
CREATE: list[tuple[str, dict[str, Any], list[str]]] = [
    ("good", {}, []),
    ("no lease", {"spec.leaseName": ""}, ["spec.leaseName: Required value"]),
    ("no version", {BINARY: REMOVED}, [f"{BINARY}: Required value"]),
    (
        "bad version",
        {EMULATED: "1"},
        [f'{EMULATED}: Invalid value: "1": must be a valid...', "..."],
    ),
    (
        "newer than it is",
        {EMULATED: "1.36.1-rc.1"},
        [f'{BINARY}: Invalid value: "1.36.0": must be greater than or equal to `emulationVersion`'],
    ),
    (
        "as old as unknown",
        {EMULATED: REMOVED},
        [f"{EMULATED}: Required value: must be specified when `strategy` is 'OldestEmul..."],
    ),
    ("no strategy", {STRATEGY: ""}, [f"{STRATEGY}: Required value"]),
    ("own strategy", {STRATEGY: "a.b/c"}, []),
    (
        "unknown strategy",
        {STRATEGY: "x"},
        [
            f'{STRATEGY}.strategy: Unsupported value: "x": supported values: '
            '"OldestEmulationVersion"'
        ],
    ),
]


@pytest.mark.parametrize(
    ("changes", "errors"), [case[1:] for case in CREATE], ids=[case[0] for case in CREATE]
)
def test_create(changes: dict[str, Any], errors: list[str]) -> None:
    found = validation.create(leasecandidate.RESOURCE, changed(CANDIDATE, changes))
    assert validation.agrees(found, errors), found


def test_the_lease_stays() -> None:
    found = validation.update(
        leasecandidate.RESOURCE, changed(CANDIDATE, {"spec.leaseName": "m"}), CANDIDATE
    )
    assert found == ['spec.leaseName: Invalid value: "m": field is immutable']


def test_there_and_back() -> None:
    obj = validation.load(leasecandidate.RESOURCE, CANDIDATE)
    conversion = v1alpha2.RESOURCE.stored_as
    assert conversion is not None
    older = conversion.from_stored(obj)
    assert older.apiVersion == "coordination.k8s.io/v1alpha2"
    assert conversion.to_stored(older) == obj
    assert leasecandidate.RESOURCE.row(obj, 1767225600.0) == ["A_1", "l", "1.36.0", "1.35.0", "0s"]
