"""Device classes, claims and templates: rules, selectors, defaults, status, rows, versions."""

from __future__ import annotations

from typing import Any

import pytest

from trireme.api.resource.v1 import deviceclass, resourceclaim, resourceclaimtemplate
from trireme.api.resource.v1beta1 import resourceclaim as beta_claim
from trireme.testing import validation
from trireme.testing.validation import REMOVED, changed

NOW = 1767225600.0 + 3600
META = {"name": "x", "namespace": "ns", "creationTimestamp": "2026-01-01T00:00:00Z"}
CLASS = {
    "apiVersion": "resource.k8s.io/v1",
    "kind": "DeviceClass",
    "metadata": {"name": "x"},
    "spec": {"selectors": [{"cel": {"expression": "device.driver == 'a'"}}]},
}
DEVICES = {
    "requests": [
        {"name": "a", "exactly": {"deviceClassName": "c"}},
        {"name": "b", "firstAvailable": [{"name": "s", "deviceClassName": "c"}]},
    ],
    "constraints": [{"requests": ["a", "b/s"], "matchAttribute": "d.e/f"}],
    "config": [{"opaque": {"driver": "d", "parameters": {"k": "v"}}}],
}
CLAIM = {
    "apiVersion": "resource.k8s.io/v1",
    "kind": "ResourceClaim",
    "metadata": META,
    "spec": {"devices": DEVICES},
}
TEMPLATE = {
    "apiVersion": "resource.k8s.io/v1",
    "kind": "ResourceClaimTemplate",
    "metadata": META,
    "spec": {"spec": {"devices": DEVICES}},
}
SELECTORS = [
    ("device.driver == 'a'", ""),
    ("device.attributes['a'].x", ""),
    ("device.attributes['a'].x == 1 && device.capacity['b'].y.isInteger()", ""),
    ("cel.bind(a, device.attributes['a'], a.x && a.y)", ""),
    ("device.allowMultipleAllocations", ""),
    ("device.driver", "Invalid value: ...: must evaluate to bool or the unknown type, not string"),
    ("device.nothing", "Invalid value: ...: compilation failed: ..."),
    ("device.attributes['a'].x.all(i, i)", "Invalid value: ...: compilation failed: ..."),
    ("true" * 3000, "Too long: may not be more than 10240 bytes"),
    (
        "device.attributes.all(a, device.attributes.all(b, device.attributes.all(c, "
        "device.attributes.all(d, device.attributes[a].s.matches('x')))))",
        "Forbidden: too complex, exceeds cost limit",
    ),
]
REQUEST = "spec.devices.requests[0]"
EXACTLY = "spec.devices.requests.0.exactly"
NO_REQUEST = (
    "must be the name of a request in the claim or the name of a request and a subrequest "
    "separated by '/'"
)
CREATE: list[tuple[str, dict[str, Any], list[str]]] = [
    ("good", {}, []),
    (
        "both forms",
        {"spec.devices.requests.0.firstAvailable": [{"name": "s", "deviceClassName": "c"}]},
        [
            f"{REQUEST}: Invalid value: null: exactly one of `exactly` or `firstAvailable` is "
            "required, but multiple fields are set"
        ],
    ),
    (
        "neither form",
        {EXACTLY: REMOVED},
        [f"{REQUEST}: Required value: exactly one of `exactly` or `firstAvailable` is required"],
    ),
    (
        "all of one",
        {f"{EXACTLY}.allocationMode": "All", f"{EXACTLY}.count": 1},
        [
            f"{REQUEST}.exactly.count: Invalid value: 1: "
            "must not be specified when allocationMode is 'All'"
        ],
    ),
    (
        "mode",
        {f"{EXACTLY}.allocationMode": "x"},
        [
            f'{REQUEST}.exactly.allocationMode: Unsupported value: "x": '
            'supported values: "All", "ExactCount"'
        ],
    ),
    (
        "no class",
        {f"{EXACTLY}.deviceClassName": ""},
        [f"{REQUEST}.exactly.deviceClassName: Required value"],
    ),
    (
        "tolerations",
        {f"{EXACTLY}.tolerations": [{"operator": "Exists", "value": "v", "effect": "x"}]},
        [
            f'{REQUEST}.exactly.tolerations[0].value: Invalid value: "v": '
            "must be empty for operator `Exists`",
            f'{REQUEST}.exactly.tolerations[0].effect: Unsupported value: "x": '
            'supported values: "NoExecute", "NoSchedule", "None"',
        ],
    ),
    (
        "twice",
        {"spec.devices.requests.1.name": "a", "spec.devices.constraints": []},
        ['spec.devices.requests[1]: Duplicate value: "a"'],
    ),
    (
        "who is that",
        {"spec.devices.constraints.0.requests": ["a/s", "a/b/c"]},
        [
            f'spec.devices.constraints[0].requests[0]: Invalid value: "a/s": {NO_REQUEST}',
            f'spec.devices.constraints[0].requests[1]: Invalid value: "a/b/c": {NO_REQUEST}',
        ],
    ),
    (
        "no domain",
        {"spec.devices.constraints.0.matchAttribute": "f"},
        [
            'spec.devices.constraints[0].matchAttribute: Invalid value: "f": a fully qualified '
            "name must be a domain and a name separated by a slash"
        ],
    ),
    (
        "parameters",
        {"spec.devices.config.0.opaque.parameters": [1]},
        [
            'spec.devices.config[0].opaque.parameters: Invalid value: "<value omitted>": '
            "must be a valid JSON object"
        ],
    ),
    (
        "no parameters",
        {"spec.devices.config.0.opaque": {"driver": "d"}},
        ["spec.devices.config[0].opaque.parameters: Required value"],
    ),
]


@pytest.mark.parametrize(("text", "error"), SELECTORS)
def test_selectors(text: str, error: str) -> None:
    manifest = changed(CLASS, {"spec.selectors.0.cel.expression": text})
    found = validation.create(deviceclass.RESOURCE, manifest)
    assert len(found) == bool(error), found
    at = "spec.selectors[0].cel.expression: "
    for start in error.split("..."):
        assert not error or start in found[0].removeprefix(at), found


@pytest.mark.parametrize(("changes", "errors"), [case[1:] for case in CREATE])
def test_create(changes: dict[str, Any], errors: list[str]) -> None:
    found = validation.create(resourceclaim.RESOURCE, changed(CLAIM, changes))
    assert validation.agrees(found, errors), found
    below = {f"spec.{path}": value for path, value in changes.items()}
    found = validation.create(resourceclaimtemplate.RESOURCE, changed(TEMPLATE, below))
    assert validation.agrees(
        found, [e.replace("spec.devices", "spec.spec.devices") for e in errors]
    )


def test_updates() -> None:
    other = changed(CLAIM, {"spec.devices.config": []})
    found = validation.update(resourceclaim.RESOURCE, other, CLAIM)
    assert validation.agrees(found, ["spec: Invalid value: ..."])
    assert validation.update(resourceclaim.RESOURCE, CLAIM, CLAIM) == []
    named = changed(TEMPLATE, {"spec.metadata": {"name": "n"}})
    assert validation.create(resourceclaimtemplate.RESOURCE, named) == [
        "spec.metadata.name: Forbidden: cannot be set"
    ]


def test_defaults() -> None:
    first, second = validation.load(resourceclaim.RESOURCE, CLAIM).spec.devices.requests
    assert (first.exactly.allocationMode, first.exactly.count) == ("ExactCount", 1)
    assert second.firstAvailable[0].count == 1


RESULT = {"request": "a", "driver": "d", "pool": "p", "device": "x"}
ALLOCATED = {"allocation": {"devices": {"results": [RESULT]}}}
DEVICE = {"driver": "d", "pool": "p", "device": "x"}
USER = {"resource": "pods", "name": "n", "uid": "u"}
STATUS: list[tuple[str, dict[str, Any], list[str]]] = [
    ("good", {**ALLOCATED, "reservedFor": [USER], "devices": [DEVICE]}, []),
    (
        "reserved for nothing",
        {"reservedFor": [USER]},
        ["status.reservedFor: Forbidden: may not be specified when `allocated` is not set"],
    ),
    (
        "not allocated",
        {**ALLOCATED, "devices": [{**DEVICE, "device": "y"}]},
        [
            "status.devices[0]: Invalid value: "
            '{"Driver":"d","Pool":"p","Device":"y","ShareID":""}: '
            "must be an allocated device in the claim"
        ],
    ),
    (
        "result",
        {"allocation": {"devices": {"results": [{**RESULT, "request": "z", "shareID": "s"}]}}},
        [
            f'status.allocation.devices.results[0].request: Invalid value: "z": {NO_REQUEST}',
            'status.allocation.devices.results[0].shareID: Invalid value: "s": '
            "error validating uid: invalid UUID length: 1",
        ],
    ),
    (
        "addresses",
        {**ALLOCATED, "devices": [{**DEVICE, "networkData": {"ips": ["1.2.3.4", "FE80::1/64"]}}]},
        [
            'status.devices[0].networkData.ips[0]: Invalid value: "1.2.3.4": must be a valid '
            "address in CIDR form, (e.g. 10.9.8.7/24 or 2001:db8::1/64)",
            'status.devices[0].networkData.ips[1]: Invalid value: "FE80::1/64": '
            'must be in canonical form ("fe80::1/64")',
        ],
    ),
]


@pytest.mark.parametrize(("status", "errors"), [case[1:] for case in STATUS])
def test_status(status: dict[str, Any], errors: list[str]) -> None:
    found = validation.update(resourceclaim.RESOURCE, {**CLAIM, "status": status}, CLAIM, "status")
    assert validation.agrees(found, errors), found


def test_what_is_allocated_stays() -> None:
    old = {**CLAIM, "status": {**ALLOCATED, "devices": [DEVICE]}}
    other = changed(old, {"status.allocation.devices.results.0.device": "y"})
    found = validation.update(resourceclaim.RESOURCE, other, old, "status")
    assert validation.agrees(found, ["status.allocation: Invalid value: ..."]), found
    # The status of devices goes with the devices.
    freed = {**CLAIM, "status": {"devices": [DEVICE]}}
    assert validation.update(resourceclaim.RESOURCE, freed, old, "status") == []


def test_row() -> None:
    row = resourceclaim.RESOURCE.row
    states: dict[str, Any] = {"pending": {}, "allocated": ALLOCATED}
    states["allocated,reserved"] = {**ALLOCATED, "reservedFor": [USER]}
    for text, status in states.items():
        obj = validation.load(resourceclaim.RESOURCE, {**CLAIM, "status": status})
        assert row(obj, NOW) == ["x", text, "60m"]


def test_requests_are_flat_in_beta() -> None:
    stored = validation.load(resourceclaim.RESOURCE, CLAIM)
    conversion = beta_claim.RESOURCE.stored_as
    assert conversion is not None
    served = conversion.from_stored(stored)
    first, second = served.spec.devices.requests
    assert (first.deviceClassName, first.count) == ("c", 1)
    assert (second.deviceClassName, second.firstAvailable[0].name) == ("", "s")
    assert conversion.to_stored(served) == stored
