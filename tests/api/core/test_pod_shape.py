"""Pods: defaults, what creation sets, the table, grace, selectable fields."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trireme.api.core.v1.pod import image, qos
from trireme.api.core.v1.pod.resource import RESOURCE, SELECTABLE, grace
from trireme.testing import validation
from trireme.testing.validation import changed

POD: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "p", "namespace": "ns", "creationTimestamp": "2026-01-01T00:00:00Z"},
    "spec": {"containers": [{"name": "c", "image": "i"}]},
}
NOW = 1767225600.0 + 3600  # an hour after the pod's creation


def as_dict(obj: Any) -> dict[str, Any]:
    decoded: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(obj))
    return decoded


def test_defaults_are_those_of_upstream() -> None:
    made = as_dict(validation.made(RESOURCE, POD))
    assert made["spec"] == {
        "containers": [
            {
                "name": "c",
                "image": "i",
                "resources": {},
                "terminationMessagePath": "/dev/termination-log",
                "terminationMessagePolicy": "File",
                "imagePullPolicy": "Always",
            }
        ],
        "restartPolicy": "Always",
        "terminationGracePeriodSeconds": 30,
        "dnsPolicy": "ClusterFirst",
        "securityContext": {},
        "schedulerName": "default-scheduler",
        "enableServiceLinks": True,
    }
    assert made["status"] == {"phase": "Pending", "qosClass": "BestEffort"}
    assert made["metadata"]["generation"] == 1


DEFAULTS: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("requests from limits", {"spec.containers.0.resources": {"limits": {"cpu": "0.5"}}},
     {"spec.containers.0.resources": {"limits": {"cpu": "500m"}, "requests": {"cpu": "500m"}}}),
    ("rounded to thousandths",
     {"spec.containers.0.resources": {"requests": {"cpu": "0.0001"}}},
     {"spec.containers.0.resources": {"requests": {"cpu": "1m"}}}),
    ("the host's ports",
     {"spec.hostNetwork": True, "spec.containers.0.ports": [{"containerPort": 8}]},
     {"spec.containers.0.ports": [{"containerPort": 8, "hostPort": 8, "protocol": "TCP"}]}),
    ("an empty volume", {"spec.volumes": [{"name": "v"}]},
     {"spec.volumes": [{"name": "v", "emptyDir": {}}]}),
    ("volume modes", {"spec.volumes": [{"name": "v", "secret": {"secretName": "s"}}]},
     {"spec.volumes": [{"name": "v", "secret": {"secretName": "s", "defaultMode": 420}}]}),
    ("a divisor", {"spec.containers.0.env": [
        {"name": "a", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu"}}}]},
     {"spec.containers.0.env": [{"name": "a", "valueFrom": {
         "resourceFieldRef": {"resource": "limits.cpu", "divisor": "0"}}}]}),
    ("a probe", {"spec.containers.0.livenessProbe": {"httpGet": {"port": 80}}},
     {"spec.containers.0.livenessProbe": {
         "httpGet": {"path": "/", "port": 80, "scheme": "HTTP"}, "timeoutSeconds": 1,
         "periodSeconds": 10, "successThreshold": 1, "failureThreshold": 3}}),
    ("negative grace", {"spec.terminationGracePeriodSeconds": -5},
     {"spec.terminationGracePeriodSeconds": 1}),
    ("the old name of the account", {"spec.serviceAccount": "a"},
     {"spec.serviceAccount": "a", "spec.serviceAccountName": "a"}),
    ("pod-level requests",
     {"spec.resources": {"limits": {"cpu": "2", "memory": "1Gi"}},
      "spec.containers.0.resources": {"requests": {"cpu": "1"}}},
     {"spec.resources": {"limits": {"cpu": "2", "memory": "1Gi"},
                         "requests": {"cpu": "1", "memory": "1Gi"}}}),
    ("off in v1.36", {"spec.schedulingGroup": {"podGroupName": "g"}}, {}),
    ("gated", {"spec.schedulingGates": [{"name": "g"}]},
     {"status.conditions": [{
         "type": "PodScheduled", "status": "False", "lastProbeTime": None,
         "lastTransitionTime": None, "reason": "SchedulingGated",
         "message": "Scheduling is blocked due to non-empty scheduling gates"}]}),
    ("label keys merged",
     {"metadata.labels": {"v": "1"}, "spec.topologySpreadConstraints": [
         {"maxSkew": 1, "topologyKey": "z", "whenUnsatisfiable": "ScheduleAnyway",
          "labelSelector": {"matchLabels": {"a": "b"}}, "matchLabelKeys": ["v", "w"]}]},
     {"spec.topologySpreadConstraints.0.labelSelector": {
         "matchLabels": {"a": "b"},
         "matchExpressions": [{"key": "v", "operator": "In", "values": ["1"]}]}}),
    ("label keys merged into an affinity",
     {"metadata.labels": {"v": "1"}, "spec.affinity": {"podAntiAffinity": {
         "requiredDuringSchedulingIgnoredDuringExecution": [
             {"topologyKey": "z", "labelSelector": {}, "matchLabelKeys": ["v", "w"],
              "mismatchLabelKeys": ["v"]}]}}},
     {"spec.affinity.podAntiAffinity.requiredDuringSchedulingIgnoredDuringExecution.0"
      ".labelSelector.matchExpressions": [
          {"key": "v", "operator": "In", "values": ["1"]},
          {"key": "v", "operator": "NotIn", "values": ["1"]}]}),
    ("apparmor annotation",
     {"metadata.annotations": {"container.apparmor.security.beta.kubernetes.io/c": "unconfined"}},
     {"spec.containers.0.securityContext": {"appArmorProfile": {"type": "Unconfined"}}}),
]  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "expected"), [case[1:] for case in DEFAULTS], ids=[case[0] for case in DEFAULTS]
)
def test_default(changes: dict[str, Any], expected: dict[str, Any]) -> None:
    made = as_dict(validation.made(RESOURCE, changed(POD, changes)))
    for path, value in expected.items():
        here: Any = made
        for step in path.split("."):
            here = here[int(step)] if isinstance(here, list) else here[step]
        assert here == value
    assert "schedulingGroup" not in made["spec"]


quantities = st.sampled_from(["1", "500m", "0.1", "2Gi", "1e3", "0.0001"])
lists = st.dictionaries(st.sampled_from(["cpu", "memory", "hugepages-2Mi"]), quantities, max_size=3)
resources = st.fixed_dictionaries({}, optional={"limits": lists, "requests": lists})
containers = st.fixed_dictionaries(
    {"name": st.just("c"), "image": st.sampled_from(["i", "i:1", "i:latest", "", "a/b@sha256:1"])},
    optional={
        "resources": resources,
        "ports": st.lists(st.fixed_dictionaries({"containerPort": st.integers(0, 9)}), max_size=2),
        "restartPolicy": st.just("Always"),
    },
)
specs = st.fixed_dictionaries(
    {"containers": st.lists(containers, max_size=2)},
    optional={
        "initContainers": st.lists(containers, max_size=2),
        "resources": resources,
        "hostNetwork": st.booleans(),
        "serviceAccount": st.sampled_from(["", "a"]),
    },
)


@settings(max_examples=100, deadline=None)
@given(specs)
def test_defaults_change_nothing_twice(spec: dict[str, Any]) -> None:
    once = validation.load(RESOURCE, {**POD, "spec": spec})
    twice = validation.load(RESOURCE, as_dict(once))
    assert twice == once


@pytest.mark.parametrize(
    ("name", "policy"),
    [
        ("nginx", "Always"),
        ("nginx:latest", "Always"),
        ("nginx:1.25", "IfNotPresent"),
        ("host:5000/nginx", "Always"),
        ("host:5000/nginx:1", "IfNotPresent"),
        ("nginx@sha256:" + "a" * 64, "IfNotPresent"),
        ("nginx:latest@sha256:" + "a" * 64, "Always"),
        ("Nginx", "IfNotPresent"),
        ("", "IfNotPresent"),
        ("a" * 64, "IfNotPresent"),
    ],
)
def test_pull_policy(name: str, policy: str) -> None:
    assert image.pull_policy(name) == policy


BOTH = {"cpu": "1", "memory": "1Gi"}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, qos.BEST_EFFORT),
        ({"spec.containers.0.resources": {"limits": BOTH}}, qos.GUARANTEED),
        ({"spec.containers.0.resources": {"limits": {"cpu": "1"}}}, qos.BURSTABLE),
        ({"spec.containers.0.resources": {"requests": {"cpu": "0"}}}, qos.BEST_EFFORT),
        (
            {
                "spec.containers.0.resources": {"limits": BOTH},
                "spec.initContainers": [{"name": "i", "image": "i"}],
            },
            qos.BURSTABLE,
        ),
        ({"spec.resources": {"limits": BOTH}}, qos.GUARANTEED),
        ({"spec.resources": {"requests": BOTH}}, qos.BURSTABLE),
    ],
)
def test_quality_of_service(changes: dict[str, Any], expected: str) -> None:
    assert validation.made(RESOURCE, changed(POD, changes)).status.qosClass == expected


def status(*states: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A status with containers a, b, ... in these states; ``running`` ones are ready."""
    statuses = [
        {"name": "abc"[i], "state": state, "ready": "running" in state, "restartCount": 0}
        for i, state in enumerate(states)
    ]
    return {"phase": "Running", "containerStatuses": statuses, **more}


RUN: dict[str, Any] = {"running": {}}
DONE = {"terminated": {"exitCode": 0, "reason": "Completed"}}
BROKE = {"terminated": {"exitCode": 1, "reason": "Error"}}
READY = [{"type": "Ready", "status": "True"}]


def initial(*items: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        {"name": f"i{n}", "restartCount": 0, "ready": False, **item} for n, item in enumerate(items)
    ]


# The pod's containers and init containers by their restart policy, its status and metadata, then
# the cells Ready, Status and Restarts.
ROWS: list[tuple[str, int, list[str], dict[str, Any], dict[str, Any], list[str]]] = [
    ("pending", 1, [], {"phase": "Pending"}, {}, ["0/1", "Pending", "0"]),
    ("evicted", 1, [], {"phase": "Failed", "reason": "Evicted"}, {}, ["0/1", "Evicted", "0"]),
    ("gated", 1, [], {"phase": "Pending", "conditions": [
        {"type": "PodScheduled", "status": "False", "reason": "SchedulingGated"}]}, {},
     ["0/1", "SchedulingGated", "0"]),
    ("running", 2, [], status(RUN, RUN), {}, ["2/2", "Running", "0"]),
    ("waiting", 1, [], status({"waiting": {"reason": "ImagePullBackOff"}}), {},
     ["0/1", "ImagePullBackOff", "0"]),
    ("the first container speaks", 2, [],
     status({"waiting": {"reason": "CrashLoopBackOff"}}, BROKE), {},
     ["0/2", "CrashLoopBackOff", "0"]),
    ("ended by a signal", 1, [], status({"terminated": {"exitCode": 137, "signal": 9}}), {},
     ["0/1", "Signal:9", "0"]),
    ("ended by a code", 1, [], status({"terminated": {"exitCode": 2}}), {},
     ["0/1", "ExitCode:2", "0"]),
    ("completed", 1, [], status(DONE, phase="Succeeded"), {}, ["0/1", "Completed", "0"]),
    ("one done, one running, ready", 2, [], status(DONE, RUN, conditions=READY), {},
     ["1/2", "Running", "0"]),
    ("one done, one running, not ready", 2, [], status(DONE, RUN), {}, ["1/2", "NotReady", "0"]),
    ("one done, one broke", 2, [], status(DONE, BROKE), {}, ["0/2", "Error", "0"]),
    ("initialising", 1, ["", ""],
     {"phase": "Pending", "initContainerStatuses": initial({"state": DONE}, {"state": RUN})}, {},
     ["0/1", "Init:1/2", "0"]),
    ("init failed", 1, [""],
     {"phase": "Pending", "initContainerStatuses": initial({"state": BROKE})}, {},
     ["0/1", "Init:Error", "0"]),
    ("init code", 1, [""], {"phase": "Pending", "initContainerStatuses": initial(
        {"state": {"terminated": {"exitCode": 3}}})}, {}, ["0/1", "Init:ExitCode:3", "0"]),
    ("init waits", 1, [""], {"phase": "Pending", "initContainerStatuses": initial(
        {"state": {"waiting": {"reason": "ErrImagePull"}}})}, {}, ["0/1", "Init:ErrImagePull",
         "0"]),
    ("pod initialising", 1, [""], {"phase": "Pending", "initContainerStatuses": initial(
        {"state": {"waiting": {"reason": "PodInitializing"}}})}, {}, ["0/1", "Init:0/1", "0"]),
    ("sidecar", 1, ["Always"], {**status(RUN), "initContainerStatuses": initial(
        {"state": RUN, "ready": True, "started": True, "restartCount": 2})}, {},
     ["2/2", "Running", "2"]),
    ("restarted", 1, [], {"phase": "Running", "containerStatuses": [
        {"name": "a", "state": RUN, "ready": True, "restartCount": 3, "lastState": {
            "terminated": {"exitCode": 1, "finishedAt": "2026-01-01T00:30:00Z"}}}]}, {},
     ["1/1", "Running", "3 (30m ago)"]),
    ("deleted", 1, [], status(RUN), {"deletionTimestamp": "2026-01-01T00:00:30Z"},
     ["1/1", "Terminating", "0"]),
    ("deleted after its end", 1, [], status(DONE, phase="Succeeded"),
     {"deletionTimestamp": "2026-01-01T00:00:30Z"}, ["0/1", "Completed", "0"]),
    ("on a lost node", 1, [], status(RUN, reason="NodeLost"),
     {"deletionTimestamp": "2026-01-01T00:00:30Z"}, ["1/1", "Unknown", "0"]),
]  # fmt: skip


@pytest.mark.parametrize(
    ("count", "inits", "state", "meta", "cells"),
    [case[1:] for case in ROWS],
    ids=[case[0] for case in ROWS],
)
def test_row(
    count: int, inits: list[str], state: dict[str, Any], meta: dict[str, Any], cells: list[str]
) -> None:
    spec = {
        "containers": [{"name": "abc"[i], "image": "i"} for i in range(count)],
        "initContainers": [
            {"name": f"i{n}", "image": "i", **({"restartPolicy": policy} if policy else {})}
            for n, policy in enumerate(inits)
        ],
    }
    manifest = {**POD, "metadata": {**POD["metadata"], **meta}, "spec": spec, "status": state}
    row = RESOURCE.row(validation.load(RESOURCE, manifest), NOW)
    assert row[1:4] == cells
    assert row[0] == "p"
    assert row[4] == "60m"


def test_wide_cells_and_row_conditions() -> None:
    assert RESOURCE.row_conditions is not None
    manifest = changed(
        POD,
        {
            "spec.nodeName": "n",
            "spec.readinessGates": [{"conditionType": "a"}, {"conditionType": "b"}],
            "status": {
                "phase": "Failed",
                "podIP": "10.0.0.1",
                "conditions": [{"type": "a", "status": "True"}],
            },
        },
    )
    pod = validation.load(RESOURCE, manifest)
    assert RESOURCE.row(pod, NOW)[5:] == ["10.0.0.1", "n", "<none>", "1/2"]
    assert RESOURCE.row(validation.load(RESOURCE, POD), NOW)[5:] == ["<none>"] * 4
    assert RESOURCE.row_conditions(pod)[0]["reason"] == "Failed"
    assert len(RESOURCE.columns) == len(RESOURCE.row(pod, NOW))


@pytest.mark.parametrize(
    ("changes", "asked", "expected"),
    [
        ({}, None, 0),
        ({"spec.nodeName": "n"}, None, 30),
        ({"spec.nodeName": "n"}, 5, 5),
        ({"spec.nodeName": "n"}, -1, 1),
        ({"spec.nodeName": "n", "status": {"phase": "Succeeded"}}, 5, 0),
    ],
)
def test_grace(changes: dict[str, Any], asked: int | None, expected: int) -> None:
    assert grace(validation.load(RESOURCE, changed(POD, changes)), asked) == expected


def test_selectable_fields() -> None:
    pod = validation.load(RESOURCE, changed(POD, {"spec.nodeName": "n", "spec.hostNetwork": True}))
    values = {label: read(pod) for label, read in SELECTABLE.items()}
    assert values["spec.nodeName"] == "n"
    assert values["spec.hostNetwork"] == "true"
    assert values["spec.restartPolicy"] == "Always"
    assert values["status.podIP"] == ""
