"""ResourceSlices, rules that taint devices and the status of pools."""

from __future__ import annotations

from typing import Any

import pytest

from trireme.api.resource.v1 import resourceslice
from trireme.api.resource.v1alpha3 import resourcepoolstatusrequest
from trireme.api.resource.v1beta1 import resourceslice as beta_slice
from trireme.api.resource.v1beta2 import devicetaintrule
from trireme.testing import validation
from trireme.testing.validation import REMOVED, changed

NOW = 1767225600.0 + 3600
TIME = "2026-01-01T00:00:00Z"
META = {"name": "x", "creationTimestamp": TIME}
SLICE = {
    "apiVersion": "resource.k8s.io/v1",
    "kind": "ResourceSlice",
    "metadata": META,
    "spec": {
        "driver": "d",
        "pool": {"name": "p", "generation": 1, "resourceSliceCount": 1},
        "nodeName": "n",
        "devices": [
            {"name": "a", "attributes": {"k": {"int": 1}}, "capacity": {"m": {"value": "8"}}}
        ],
    },
}
RULE = {
    "apiVersion": "resource.k8s.io/v1beta2",
    "kind": "DeviceTaintRule",
    "metadata": META,
    "spec": {"taint": {"key": "k", "effect": "NoSchedule", "timeAdded": TIME}},
}
POOLS = {
    "apiVersion": "resource.k8s.io/v1alpha3",
    "kind": "ResourcePoolStatusRequest",
    "metadata": META,
    "spec": {"driver": "d"},
}
DEVICE = "spec.devices[0]"
SHARED = {"spec.devices.0.allowMultipleAllocations": True}
POLICY = "spec.devices.0.capacity.m.requestPolicy"
ONE_OF = (
    "exactly one of `nodeName`, `nodeSelector`, `allNodes`, `perDeviceNodeSelection` is required"
)
CREATE: list[tuple[str, dict[str, Any], list[str]]] = [
    ("good", {}, []),
    ("nowhere", {"spec.nodeName": REMOVED}, [f"spec: Required value: {ONE_OF}"]),
    (
        "everywhere",
        {"spec.allNodes": True},
        [
            f'spec: Invalid value: "{{`nodeName`, `allNodes`}}": {ONE_OF}, '
            "but multiple fields are set"
        ],
    ),
    (
        "not all",
        {"spec.allNodes": False},
        ["spec.allNodes: Invalid value: false: must be either unset or set to true"],
    ),
    (
        "pool",
        {"spec.pool": {"name": "a//b", "generation": -1, "resourceSliceCount": 0}},
        [
            'spec.pool.name: Invalid value: "": a lowercase RFC 1123 subdomain must...',
            "spec.pool.resourceSliceCount: Invalid value: 0: must be greater than zero",
            "spec.pool.generation: Invalid value: -1: must be greater than or equal to zero",
        ],
    ),
    (
        "attributes",
        {"spec.devices.0.attributes": {"k": {"int": 1, "bool": True}, "v": {"version": "1"}}},
        [
            f"{DEVICE}.attributes[k]: Invalid value: ...",
            f'{DEVICE}.attributes[v].version: Invalid value: "1": '
            "must be a string compatible with semver.org spec 2.0.0",
        ],
    ),
    (
        "names",
        {"spec.devices.0.attributes": {"/b": {"int": 1}, "a-b": {"int": 1}}},
        [
            f'{DEVICE}.attributes: Invalid value: "": the domain must not be empty',
            f'{DEVICE}.attributes: Invalid value: "a-b": a valid C identifier must...',
        ],
    ),
    (
        "counters or devices",
        {"spec.sharedCounters": [{"name": "c", "counters": {"k": {"value": "1"}}}]},
        ['spec: Invalid value: "": only one of `sharedCounters` or `devices` is allowed'],
    ),
    (
        "alone",
        {POLICY: {"default": "1"}},
        [f"{DEVICE}.capacity[m].requestPolicy: Forbidden: allowMultipleAllocations must be true"],
    ),
    (
        "values",
        {**SHARED, POLICY: {"default": "3", "validValues": ["2", "1", "9"]}},
        [
            f'{DEVICE}.capacity[m].requestPolicy.validValues[1]: Invalid value: "1": '
            "values must be sorted in ascending order",
            f'{DEVICE}.capacity[m].requestPolicy.validValues[2]: Invalid value: "9": '
            "option is larger than capacity value: 8",
            f'{DEVICE}.capacity[m].requestPolicy.validValues: Invalid value: "3": '
            "default value is not valid according to the requestPolicy",
        ],
    ),
    (
        "range",
        {**SHARED, POLICY: {"default": "4", "validRange": {"min": "1", "max": "5", "step": "2"}}},
        [
            f'{DEVICE}.capacity[m].requestPolicy.validRange.step: Invalid value: "4": '
            "value is not a multiple of a given step (2) from (1)"
        ],
    ),
    (
        "no step",
        {**SHARED, POLICY: {"default": "1", "validRange": {"min": "1", "step": "0"}}},
        [f"{DEVICE}.capacity[m].requestPolicy.validRange.step: Invalid value: ..."],
    ),
    (
        "conditions",
        {"spec.devices.0.bindingConditions": ["a", "a"]},
        [
            f'{DEVICE}.bindingConditions[1]: Duplicate value: "a"',
            f"{DEVICE}.bindingFailureConditions: Invalid value: null: "
            "bindingFailureConditions are required to use bindingConditions",
        ],
    ),
    (
        "taint",
        {"spec.devices.0.taints": [{"key": "k", "effect": "x"}]},
        [
            f'{DEVICE}.taints[0].effect: Unsupported value: "x": '
            'supported values: "NoExecute", "NoSchedule", "None"'
        ],
    ),
    (
        "too many with taints",
        {
            "spec.devices": [
                {"name": f"a{n}", "taints": [{"key": "k", "effect": "None"}]} for n in range(65)
            ]
        },
        ["spec.devices: Too many: 65: must have at most 64 items"],
    ),
]


@pytest.mark.parametrize(("changes", "errors"), [case[1:] for case in CREATE])
def test_create(changes: dict[str, Any], errors: list[str]) -> None:
    found = validation.create(resourceslice.RESOURCE, changed(SLICE, changes))
    assert validation.agrees(found, errors), found


def test_what_a_slice_is_of_stays() -> None:
    other = changed(SLICE, {"spec.driver": "e", "spec.nodeName": "m", "spec.pool.name": "q"})
    assert validation.update(resourceslice.RESOURCE, other, SLICE) == [
        'spec.pool.name: Invalid value: "q": field is immutable',
        'spec.driver: Invalid value: "e": field is immutable',
        'spec.nodeName: Invalid value: "m": field is immutable',
    ]


def test_what_is_not_enabled_is_dropped() -> None:
    lists = changed(SLICE, {"spec.devices.0.attributes.k": {"int": 1, "ints": [1]}})
    made = validation.made(resourceslice.RESOURCE, lists)
    assert made.spec.devices[0].attributes["k"].ints == []


def test_taints_are_of_now() -> None:
    resource = resourceslice.RESOURCE
    taints = [{"key": "k", "effect": "None"}, {"key": "l", "effect": "None", "timeAdded": TIME}]
    obj = validation.load(resource, changed(SLICE, {"spec.devices.0.taints": taints}))
    assert resource.set_timestamps is not None
    resource.set_timestamps(obj, None, "now")
    assert [taint.timeAdded for taint in obj.spec.devices[0].taints] == ["now", TIME]


def test_a_new_effect_is_of_now() -> None:
    resource = devicetaintrule.RESOURCE
    old = validation.load(resource, RULE)
    new = validation.load(resource, changed(RULE, {"spec.taint.effect": "NoExecute"}))
    assert resource.set_timestamps is not None
    resource.set_timestamps(new, old, "now")
    assert new.spec.taint.timeAdded == "now"
    resource.set_timestamps(old, validation.load(resource, RULE), "now")
    assert old.spec.taint.timeAdded == TIME


def test_rules_that_taint() -> None:
    resource = devicetaintrule.RESOURCE
    assert validation.create(resource, RULE) == []
    selected = changed(RULE, {"spec.deviceSelector": {"driver": "", "pool": "", "device": "A"}})
    assert validation.agrees(
        validation.create(resource, selected),
        [
            "spec.deviceSelector.driver: Required value",
            "spec.deviceSelector.pool: Required value",
            'spec.deviceSelector.device: Invalid value: "A": a lowercase RFC 1123 label must...',
        ],
    )
    cells = ["x", "k", "", "NoSchedule", "60m", "60m"]
    assert resource.row(validation.load(resource, RULE), NOW) == cells


def test_pools_are_asked_once() -> None:
    resource = resourcepoolstatusrequest.RESOURCE
    assert validation.create(resource, POOLS) == []
    bad = changed(POOLS, {"spec.limit": 1001, "spec.poolName": "a//b"})
    assert validation.create(resource, bad) == [
        'spec.poolName: Invalid value: "a//b": segment 1: must not be empty',
        "spec.limit: Invalid value: 1001: must be less than or equal to 1000",
    ]
    assert validation.agrees(
        validation.update(resource, changed(POOLS, {"spec.limit": 1}), POOLS),
        ["spec: Invalid value: ..."],
    )


def test_pools_are_reported_once() -> None:
    resource = resourcepoolstatusrequest.RESOURCE
    done = {"type": "Complete", "status": "True", "reason": "R", "lastTransitionTime": TIME}
    pool = {"driver": "d", "poolName": "p", "generation": 1, "totalDevices": 3}
    answered = {**POOLS, "status": {"poolCount": 2, "pools": [pool], "conditions": [done]}}
    assert validation.update(resource, answered, POOLS, "status") == []
    again = changed(answered, {"status.poolCount": 3})
    found = validation.update(resource, again, answered, "status")
    assert validation.agrees(found, ["status: Invalid value: ..."]), found
    assert resource.row(validation.load(resource, answered), NOW) == [
        *("x", "d", "3", "0", "0", "0", "0", 2),
        *("Complete (1/2 pools)", "60m"),
    ]
    assert resource.row(validation.load(resource, POOLS), NOW)[2:] == [
        *("-", "-", "-", "-", "-", 0),
        *("Pending", "<none>"),
    ]


def test_devices_are_basic_in_beta() -> None:
    stored = validation.load(resourceslice.RESOURCE, SLICE)
    conversion = beta_slice.RESOURCE.stored_as
    assert conversion is not None
    served = conversion.from_stored(stored)
    assert served.spec.devices[0].basic.attributes["k"].int == 1
    assert conversion.to_stored(served) == stored
    nowhere = validation.load(resourceslice.RESOURCE, changed(SLICE, {"spec.nodeName": REMOVED}))
    assert conversion.from_stored(nowhere).spec.nodeName == ""
