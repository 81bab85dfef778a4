"""Deployments and ReplicaSets: rules, defaults, generation, rows and scale."""

from __future__ import annotations

from typing import Any

import pytest

from trireme.api.apps.v1 import deployment, replicaset
from trireme.machinery.resource import Resource
from trireme.testing import validation
from trireme.testing.validation import REMOVED, changed

NOW = 1767225600.0 + 3600
SPEC = {
    "selector": {"matchLabels": {"app": "a"}},
    "template": {
        "metadata": {"labels": {"app": "a"}},
        "spec": {"containers": [{"name": "c", "image": "i:1"}]},
    },
}
META = {"name": "x", "namespace": "ns", "creationTimestamp": "2026-01-01T00:00:00Z"}
DEPLOYMENT = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": META, "spec": SPEC}
SET = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": META, "spec": SPEC}
BOTH = ((deployment.RESOURCE, DEPLOYMENT), (replicaset.RESOURCE, SET))
TOO_FEW = "must be greater than or equal to 0"

EITHER: list[tuple[str, dict[str, Any], list[str]]] = [
    ("good", {}, []),
    ("none wanted", {"spec.replicas": 0}, []),
    ("fewer than none", {"spec.replicas": -1}, [f"spec.replicas: Invalid value: -1: {TOO_FEW}"]),
    (
        "negative wait",
        {"spec.minReadySeconds": -1},
        [f"spec.minReadySeconds: Invalid value: -1: {TOO_FEW}"],
    ),
    (
        "no selector",
        {"spec.selector": REMOVED},
        [
            "spec.selector: Required value",
            'spec.template.metadata.labels: Invalid value: {"app":"a"}: '
            "`selector` does not match template `labels`",
        ],
    ),
    (
        "empty selector",
        {"spec.selector": {}},
        ["spec.selector: Invalid value: {}: empty selector is invalid for deployment"],
    ),
    (
        "selector of others",
        {"spec.selector.matchLabels.app": "b"},
        [
            'spec.template.metadata.labels: Invalid value: {"app":"a"}: '
            "`selector` does not match template `labels`"
        ],
    ),
    (
        "no template labels",
        {"spec.template.metadata": REMOVED},
        [
            "spec.template.metadata.labels: Invalid value: null: "
            "`selector` does not match template `labels`"
        ],
    ),
    (
        "bad label value",
        {"spec.template.metadata.labels.b": "-"},
        ['spec.template.labels: Invalid value: "-": a valid label must be...'],
    ),
    (
        "bad annotation",
        {"spec.template.metadata.annotations": {"a b": ""}},
        ['spec.template.annotations: Invalid value: "a b": name part must consist of...'],
    ),
    (
        "pods that end",
        {"spec.template.spec.restartPolicy": "Never"},
        [
            'spec.template.spec.restartPolicy: Unsupported value: "Never": '
            'supported values: "Always"'
        ],
    ),
    (
        "pods with a deadline",
        {"spec.template.spec.activeDeadlineSeconds": 5},
        [
            "spec.template.spec.activeDeadlineSeconds: Forbidden: "
            "activeDeadlineSeconds in ReplicaSet is not Supported"
        ],
    ),
    (
        "bad container",
        {"spec.template.spec.containers.0.image": ""},
        ["spec.template.spec.containers[0].image: Required value"],
    ),
]

ROLLING = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 0, "maxUnavailable": 1}}
DEPLOYMENTS: list[tuple[str, dict[str, Any], list[str]]] = [
    ("recreate", {"spec.strategy": {"type": "Recreate"}}, []),
    (
        "recreate that rolls",
        {"spec.strategy": {**ROLLING, "type": "Recreate"}},
        [
            "spec.strategy.rollingUpdate: Forbidden: "
            "may not be specified when strategy `type` is 'Recreate'"
        ],
    ),
    ("one fewer", {"spec.strategy": ROLLING}, []),
    (
        "standstill",
        {"spec.strategy": changed(ROLLING, {"rollingUpdate.maxUnavailable": 0})},
        [
            "spec.strategy.rollingUpdate.maxUnavailable: Invalid value: 0: "
            "may not be 0 when `maxSurge` is 0"
        ],
    ),
    (
        "standstill in percent",
        {"spec.strategy": changed(ROLLING, {"rollingUpdate.maxUnavailable": "0%"})},
        [
            'spec.strategy.rollingUpdate.maxUnavailable: Invalid value: "0%": '
            "may not be 0 when `maxSurge` is 0"
        ],
    ),
    (
        "more than all",
        {"spec.strategy": changed(ROLLING, {"rollingUpdate.maxUnavailable": "101%"})},
        [
            'spec.strategy.rollingUpdate.maxUnavailable: Invalid value: "101%": '
            "must not be greater than 100%"
        ],
    ),
    ("double", {"spec.strategy": changed(ROLLING, {"rollingUpdate.maxSurge": "200%"})}, []),
    (
        "no percentage",
        {"spec.strategy": changed(ROLLING, {"rollingUpdate.maxSurge": "ten"})},
        ['spec.strategy.rollingUpdate.maxSurge: Invalid value: "ten": a valid percent string...'],
    ),
    (
        "negative surge",
        {"spec.strategy": changed(ROLLING, {"rollingUpdate.maxSurge": -1})},
        [f"spec.strategy.rollingUpdate.maxSurge: Invalid value: -1: {TOO_FEW}"],
    ),
    (
        "negative history",
        {"spec.revisionHistoryLimit": -1},
        [f"spec.revisionHistoryLimit: Invalid value: -1: {TOO_FEW}"],
    ),
    (
        "deadline before ready",
        {"spec.minReadySeconds": 5, "spec.progressDeadlineSeconds": 5},
        ["spec.progressDeadlineSeconds: Invalid value: 5: must be greater than minReadySeconds"],
    ),
]

STATUS: list[tuple[str, dict[str, Any], list[str]]] = [
    ("good", {"replicas": 2, "readyReplicas": 2, "availableReplicas": 1}, []),
    (
        "negative",
        {"replicas": 0, "observedGeneration": -1},
        [f"status.observedGeneration: Invalid value: -1: {TOO_FEW}"],
    ),
    (
        "more ready than there",
        {"replicas": 1, "readyReplicas": 2},
        ["status.readyReplicas: Invalid value: 2: cannot be greater than status.replicas"],
    ),
    (
        "more available than ready",
        {"replicas": 2, "readyReplicas": 1, "availableReplicas": 2},
        ["status.availableReplicas: Invalid value: 2: cannot be greater than readyReplicas"],
    ),
]


@pytest.mark.parametrize(
    ("changes", "errors"), [case[1:] for case in EITHER], ids=[case[0] for case in EITHER]
)
@pytest.mark.parametrize(("resource", "manifest"), BOTH, ids=["Deployment", "ReplicaSet"])
def test_create(
    resource: Resource, manifest: dict[str, Any], changes: dict[str, Any], errors: list[str]
) -> None:
    found = validation.create(resource, changed(manifest, changes))
    assert validation.agrees(found, errors), found


@pytest.mark.parametrize(
    ("changes", "errors"), [case[1:] for case in DEPLOYMENTS], ids=[case[0] for case in DEPLOYMENTS]
)
def test_create_deployment(changes: dict[str, Any], errors: list[str]) -> None:
    found = validation.create(deployment.RESOURCE, changed(DEPLOYMENT, changes))
    assert validation.agrees(found, errors), found


@pytest.mark.parametrize(
    ("status", "errors"), [case[1:] for case in STATUS], ids=[case[0] for case in STATUS]
)
@pytest.mark.parametrize(("resource", "manifest"), BOTH, ids=["Deployment", "ReplicaSet"])
def test_status(
    resource: Resource, manifest: dict[str, Any], status: dict[str, Any], errors: list[str]
) -> None:
    found = validation.update(resource, {**manifest, "status": status}, manifest, "status")
    assert validation.agrees(found, errors), found


@pytest.mark.parametrize(("resource", "manifest"), BOTH, ids=["Deployment", "ReplicaSet"])
def test_selector_stays(resource: Resource, manifest: dict[str, Any]) -> None:
    new = changed(
        manifest,
        {"spec.selector.matchLabels": {"b": "c"}, "spec.template.metadata.labels": {"b": "c"}},
    )
    assert validation.update(resource, new, manifest) == [
        'spec.selector: Invalid value: {"matchLabels":{"b":"c"}}: field is immutable'
    ]


def test_collisions_do_not_go_back() -> None:
    old = {**DEPLOYMENT, "status": {"collisionCount": 2}}
    new = {**DEPLOYMENT, "status": {"collisionCount": 1}}
    assert validation.update(deployment.RESOURCE, new, old, "status") == [
        "status.collisionCount: Invalid value: 1: cannot be decremented"
    ]


def test_deployment_defaults() -> None:
    spec = validation.load(deployment.RESOURCE, DEPLOYMENT).spec
    assert (spec.replicas, spec.revisionHistoryLimit, spec.progressDeadlineSeconds) == (1, 10, 600)
    assert spec.strategy.type == "RollingUpdate"
    assert spec.strategy.rollingUpdate.maxSurge == "25%"
    assert spec.strategy.rollingUpdate.maxUnavailable == "25%"
    assert spec.template.spec.restartPolicy == "Always"
    assert spec.template.spec.containers[0].imagePullPolicy == "IfNotPresent"


def test_one_default_of_two() -> None:
    new = changed(DEPLOYMENT, {"spec.strategy": {"rollingUpdate": {"maxSurge": 3}}})
    rolling = validation.load(deployment.RESOURCE, new).spec.strategy.rollingUpdate
    assert (rolling.maxSurge, rolling.maxUnavailable) == (3, "25%")


@pytest.mark.parametrize(
    ("changes", "deployments", "sets"),
    [
        ({"spec.replicas": 2}, True, True),
        ({"metadata.annotations": {"a": "b"}}, True, False),
        ({"metadata.labels": {"a": "b"}}, False, False),
        ({"status": {"replicas": 1}}, False, False),
    ],
    ids=["spec", "annotations", "labels", "status"],
)
def test_generation(changes: dict[str, Any], deployments: bool, sets: bool) -> None:
    for (resource, manifest), counted in zip(BOTH, (deployments, sets), strict=True):
        old, new = (
            validation.load(resource, manifest),
            validation.load(resource, changed(manifest, changes)),
        )
        assert resource.generation is not None
        assert resource.generation(new, old) is counted


def test_rows() -> None:
    status = {"replicas": 3, "readyReplicas": 2, "availableReplicas": 1}
    cells = []
    for resource, manifest in BOTH:
        new = changed(manifest, {"status": status, "spec.replicas": 4})
        cells.append(resource.row(validation.load(resource, new), NOW))
    assert cells == [
        ["x", "2/4", 0, 1, "60m", "c", "i:1", "app=a"],
        ["x", 4, 3, 2, "60m", "c", "i:1", "app=a"],
    ]


def test_scale() -> None:
    for resource, manifest in BOTH:
        obj = validation.load(resource, {**manifest, "status": {"replicas": 3}})
        assert resource.scale is not None
        assert resource.scale.selector(obj) == "app=a"
        assert resource.scale.status_replicas(obj) == 3
