"""Workloads and PodGroups: rules, what waits for gates, rows."""

from __future__ import annotations

from typing import Any

import pytest

from trireme.api.scheduling.v1alpha2 import podgroup, workload
from trireme.testing import validation
from trireme.testing.validation import REMOVED, changed

META = {"name": "x", "namespace": "ns", "creationTimestamp": "2026-01-01T00:00:00Z"}
GROUP = {
    "apiVersion": "scheduling.k8s.io/v1alpha2",
    "kind": "PodGroup",
    "metadata": META,
    "spec": {
        "podGroupTemplateRef": {"workload": {"workloadName": "w", "podGroupTemplateName": "t"}},
        "schedulingPolicy": {"gang": {"minCount": 2}},
    },
}
WORKLOAD = {
    "apiVersion": "scheduling.k8s.io/v1alpha2",
    "kind": "Workload",
    "metadata": META,
    "spec": {"podGroupTemplates": [{"name": "t", "schedulingPolicy": {"basic": {}}}]},
}
AT = "spec.schedulingPolicy"
GROUPS: list[tuple[str, dict[str, Any], list[str]]] = [
    ("good", {}, []),
    ("no policy", {AT: {}}, [f'{AT}: Invalid value: "": must specify one of: `basic`, `gang`']),
    (
        "two policies",
        {f"{AT}.basic": {}},
        [f'{AT}: Invalid value: "{{basic, gang}}": must specify exactly one of: `basic`, `gang`'],
    ),
    (
        "a gang of none",
        {f"{AT}.gang.minCount": 0},
        [f"{AT}.gang.minCount: Required value"],
    ),
    (
        "a template of nobody",
        {"spec.podGroupTemplateRef.workload.workloadName": REMOVED},
        ["spec.podGroupTemplateRef.workload.workloadName: Required value"],
    ),
]


@pytest.mark.parametrize(
    ("changes", "errors"), [case[1:] for case in GROUPS], ids=[case[0] for case in GROUPS]
)
def test_groups(changes: dict[str, Any], errors: list[str]) -> None:
    found = validation.create(podgroup.RESOURCE, changed(GROUP, changes))
    assert validation.agrees(found, errors), found


def test_what_waits_for_gates() -> None:
    gated = changed(GROUP, {"spec.priority": 5, "spec.disruptionMode": "PodGroup"})
    made = validation.made(podgroup.RESOURCE, gated)
    assert (made.spec.priority, made.spec.disruptionMode) == (None, "Pod")
    assert validation.update(podgroup.RESOURCE, gated, GROUP) == ["spec.disruptionMode: Forbidden"]


def test_a_group_stays_as_it_is() -> None:
    new = changed(GROUP, {f"{AT}.gang.minCount": 3})
    assert validation.update(podgroup.RESOURCE, new, GROUP) == [
        f"{AT}: Invalid value: null: field is immutable"
    ]
    status = {**GROUP, "status": {"resourceClaimStatuses": [{"name": "a"}]}}
    assert validation.update(podgroup.RESOURCE, status, GROUP, "status") == []


WORKLOADS: list[tuple[str, dict[str, Any], list[str]]] = [
    ("good", {}, []),
    ("no groups", {"spec.podGroupTemplates": []}, ["spec.podGroupTemplates: Required value"]),
    (
        "nine groups",
        {"spec.podGroupTemplates": [{"name": str(number)} for number in range(9)]},
        ["spec.podGroupTemplates: Too many: 9: must have at most 8 items"],
    ),
    (
        "no name",
        {"spec.podGroupTemplates.0.name": ""},
        ["spec.podGroupTemplates[0].name: Required value"],
    ),
    (
        "controlled by nothing",
        {"spec.controllerRef": {"apiGroup": "A"}},
        [
            'spec.controllerRef.apiGroup: Invalid value: "A": a lowercase RFC 1123 subdomain...',
            "spec.controllerRef.kind: Required value",
            "spec.controllerRef.name: Required value",
        ],
    ),
]


@pytest.mark.parametrize(
    ("changes", "errors"), [case[1:] for case in WORKLOADS], ids=[case[0] for case in WORKLOADS]
)
def test_workloads(changes: dict[str, Any], errors: list[str]) -> None:
    found = validation.create(workload.RESOURCE, changed(WORKLOAD, changes))
    assert validation.agrees(found, errors), found


def test_a_workload_stays_as_it_is() -> None:
    new = changed(WORKLOAD, {"spec.podGroupTemplates.0.name": "u"})
    assert validation.update(workload.RESOURCE, new, WORKLOAD) == [
        "spec.podGroupTemplates: Invalid value: null: field is immutable"
    ]


def test_rows() -> None:
    obj = validation.load(podgroup.RESOURCE, GROUP)
    assert podgroup.RESOURCE.row(obj, 1767225600.0) == ["x", "Gang", "w", "Pending", "0s"]
    assert workload.RESOURCE.row(validation.load(workload.RESOURCE, WORKLOAD), 1767225600.0) == [
        "x",
        "0s",
    ]
