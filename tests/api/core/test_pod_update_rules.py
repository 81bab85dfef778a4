"""Pods: what may change later, by the main resource and by its subresources."""

from __future__ import annotations

from typing import Any

import pytest

from trireme.api.core.v1.pod.resource import RESOURCE
from trireme.testing import validation
from trireme.testing.validation import REMOVED, changed

OLD: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "p", "namespace": "ns"},
    "spec": {
        "containers": [
            {"name": "c", "image": "i:1", "resources": {"requests": {"cpu": "1", "memory": "1Gi"}}}
        ],
        "activeDeadlineSeconds": 10,
        "tolerations": [{"key": "a", "operator": "Exists", "effect": "NoExecute"}],
    },
}
GATED = changed(
    OLD,
    {
        "spec.schedulingGates": [{"name": "g"}, {"name": "h"}],
        "spec.nodeSelector": {"a": "1"},
        "spec.affinity": {
            "nodeAffinity": {
                "requiredDuringSchedulingIgnoredDuringExecution": {
                    "nodeSelectorTerms": [
                        {"matchExpressions": [{"key": "x", "operator": "Exists"}]}
                    ]
                }
            }
        },
    },
)
TERMS = (
    "spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms"
)
ONLY = (
    "spec: Forbidden: pod updates may not change fields other than `spec.containers[*].image`,"
    "`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only "
    "additions "
    "to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it "
    "was previously negative)\n"
)

MAIN: list[tuple[str, dict[str, Any], dict[str, Any], list[str]]] = [
    ("nothing", OLD, {}, []),
    ("an image", OLD, {"spec.containers.0.image": "i:2"}, []),
    ("labels", OLD, {"metadata.labels": {"a": "b"}}, []),
    ("a nearer deadline", OLD, {"spec.activeDeadlineSeconds": 5}, []),
    ("a farther deadline", OLD, {"spec.activeDeadlineSeconds": 11},
     ["spec.activeDeadlineSeconds: Invalid value: 11: must be less than or equal to previous "
      "value"]),
    ("no deadline", OLD, {"spec.activeDeadlineSeconds": REMOVED},
     ["spec.activeDeadlineSeconds: Invalid value: null: must not update from a positive integer to "
      "nil value"]),
    ("one more toleration", OLD, {"spec.tolerations.1": {"key": "b", "operator": "Exists"}}, []),
    ("toleration seconds", OLD, {"spec.tolerations.0.tolerationSeconds": 5}, []),
    ("no toleration", OLD, {"spec.tolerations": []},
     ["spec.tolerations: Forbidden: existing toleration can not be modified except its "
      "tolerationSeconds"]),
    ("another container", OLD, {"spec.containers.1": {"name": "d", "image": "i"}},
     ["spec.containers: Forbidden: pod updates may not add or remove containers"]),
    ("another command", OLD, {"spec.containers.0.command": ["x"]},
     [ONLY + '@@ -5,7 +5,9 @@\n   {\n    "Name": "c",\n    "Image": "i:1",\n-   "Command": null,\n'
      '+   "Command": [\n+    "x"\n+   ],\n    "Args": null,\n    "WorkingDir": "",\n'
      '    "Ports": null,\n']),
    ("resources", OLD, {"spec.containers.0.resources.requests.cpu": "2"},
     [ONLY + '@@ -14,7 +14,7 @@\n    "Resources": {\n     "Limits": null,\n     "Requests": {\n'
      '-     "cpu": "1",\n+     "cpu": "2",\n      "memory": "1Gi"\n     },\n'
      '     "Claims": null\n']),
    ("a node", OLD, {"spec.nodeName": "n"},
     [ONLY + '@@ -45,7 +45,7 @@\n  "NodeSelector": null,\n  "ServiceAccountName": "",\n'
      '  "AutomountServiceAccountToken": null,\n- "NodeName": "",\n+ "NodeName": "n",\n'
      '  "SecurityContext": {\n   "HostNetwork": false,\n   "HostPID": false,\n']),
    ("a new gate", OLD, {"spec.schedulingGates": [{"name": "x"}]},
     ["spec.schedulingGates[0].name: Forbidden: only deletion is allowed, but found new scheduling "
      "gate 'x'"]),
    ("mirror", OLD, {"metadata.annotations": {"kubernetes.io/config.mirror": "x"}},
     ['metadata.annotations[kubernetes.io/config.mirror]: Invalid value: "x": must set '
      "spec.nodeName if mirror pod annotation is set",
      "metadata.annotations[kubernetes.io/config.mirror]: Forbidden: may not add mirror pod "
      "annotation"]),
    ("fewer gates", GATED, {"spec.schedulingGates": [{"name": "h"}]}, []),
    ("gated: narrower selector", GATED, {"spec.nodeSelector.b": "2"}, []),
    ("gated: other selector", GATED, {"spec.nodeSelector": {"a": "2"}},
     ['spec.nodeSelector: Invalid value: {"a":"2"}: only additions to spec.nodeSelector are '
      'allowed '
      "(no mutations or deletions)"]),
    ("gated: narrower term", GATED,
     {TERMS + ".0.matchExpressions.1": {"key": "y", "operator": "Exists"}}, []),
    ("gated: one more term", GATED, {TERMS + ".1": {"matchFields": []}},
     [TERMS + ": Invalid value: ..."]),
    ("gated: preferences", GATED,
     {"spec.affinity.nodeAffinity.preferredDuringSchedulingIgnoredDuringExecution": [
         {"weight": 1, "preference": {"matchExpressions": [{"key": "x", "operator": "Exists"}]}}]},
     []),
    ("not gated: selector", OLD, {"spec.nodeSelector": {"a": "1"}},
     [ONLY + "@@..."]),
]  # fmt: skip


@pytest.mark.parametrize(
    ("old", "changes", "expected"), [case[1:] for case in MAIN], ids=[case[0] for case in MAIN]
)
def test_main_resource(old: dict[str, Any], changes: dict[str, Any], expected: list[str]) -> None:
    found = validation.update(RESOURCE, changed(old, changes), old)
    assert validation.agrees(found, expected), found


RUNNING = changed(
    OLD,
    {
        "spec.nodeName": "n",
        "spec.restartPolicy": "OnFailure",
        "status": {
            "phase": "Running",
            "qosClass": "Burstable",
            "podIP": "10.0.0.1",
            "podIPs": [{"ip": "10.0.0.1"}],
            "containerStatuses": [
                {"name": "c", "state": {"terminated": {"exitCode": 0}}, "ready": False}
            ],
        },
    },
)

STATUS: list[tuple[str, dict[str, Any], list[str]]] = [
    ("nothing", {}, []),
    ("an ended container comes back", {"status.containerStatuses.0.state": {"running": {}}},
     ["status.containerStatuses[0].state: Forbidden: may not be transitioned to non-terminated "
      "state"]),
    ("quality of service", {"status.qosClass": "Guaranteed"},
     ['status.qosClass: Invalid value: "Guaranteed": field is immutable']),
    ("quality of service left out", {"status.qosClass": ""}, []),
    ("nominated node", {"status.nominatedNodeName": "n"},
     ["status.nominatedNodeName: Forbidden: may not be set on pods that are already bound to a "
      "node"]),
    ("addresses of one family", {"status.podIPs.1": {"ip": "10.0.0.2"}},
     ["status.podIPs: Invalid value: ..."]),
    ("two families", {"status.podIPs.1": {"ip": "fd00::1"}}, []),
    ("a broken address", {"status.podIP": REMOVED, "status.podIPs": [{"ip": "x"}]},
     ['status.podIPs[0]: Invalid value: "x": must be a valid IP address, (e.g. 10.9.8.7 or '
      "2001:db8::ffff)"]),
    ("host addresses", {"status.hostIP": "10.0.0.9", "status.hostIPs": [{"ip": "10.0.0.8"}]},
     ['status.hostIPs[0].ip: Invalid value: "10.0.0.8": must be equal to `hostIP`']),
    ("a condition", {"status.conditions": [{"type": "a b", "status": "True"}]},
     ['status.conditions[0].Type: Invalid value: "a b": ...']),
    ("a user", {"status.containerStatuses.0.user": {"linux": {"uid": -1, "gid": 0}}},
     ["status.containerStatuses[0].user.linux.uid: Invalid value: -1: must be between 0 and "
      "2147483647, inclusive"]),
    ("claims", {"status.resourceClaimStatuses": [{"name": "x"}]},
     ['status.resourceClaimStatuses[0].name: Invalid value: "x": must match the name of an entry '
      'in '
      "`spec.resourceClaims`"]),
]  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "expected"), [case[1:] for case in STATUS], ids=[case[0] for case in STATUS]
)
def test_status(changes: dict[str, Any], expected: list[str]) -> None:
    found = validation.update(RESOURCE, changed(RUNNING, changes), RUNNING, "status")
    assert validation.agrees(found, expected), found


def test_a_failed_container_may_restart() -> None:
    failed = changed(RUNNING, {"status.containerStatuses.0.state": {"terminated": {"exitCode": 1}}})
    running = changed(failed, {"status.containerStatuses.0.state": {"running": {}}})
    assert validation.update(RESOURCE, running, failed, "status") == []


DEBUGGED = changed(OLD, {"spec.ephemeralContainers": [{"name": "e", "image": "i"}]})

EPHEMERAL: list[tuple[str, dict[str, Any], list[str]]] = [
    ("one more", {"spec.ephemeralContainers.1": {"name": "f", "image": "i"}}, []),
    ("other changes are dropped", {"spec.containers.0.image": "other"}, []),
    ("one fewer", {"spec.ephemeralContainers": []},
     ['spec.ephemeralContainers: Forbidden: existing ephemeral containers "e" may not be '
      "removed\n"]),
    ("another image", {"spec.ephemeralContainers.0.image": "j"},
     ['spec.ephemeralContainers: Forbidden: existing ephemeral containers "e" may not be '
      'changed\n@@ -1,6 +1,6 @@\n {\n  "Name": "e",\n- "Image": "i",\n+ "Image": "j",\n'
      '  "Command": null,\n  "Args": null,\n  "WorkingDir": "",\n']),
    ("a port", {"spec.ephemeralContainers.1": {
        "name": "f", "image": "i", "ports": [{"containerPort": 1}]}},
     ["spec.ephemeralContainers[1].ports: Forbidden: cannot be set for an Ephemeral Container"]),
    ("no such target", {"spec.ephemeralContainers.1": {
        "name": "f", "image": "i", "targetContainerName": "x"}},
     ['spec.ephemeralContainers[1].targetContainerName: Not found: "x"']),
    ("a name of another", {"spec.ephemeralContainers.1": {"name": "c", "image": "i"}},
     ['spec.ephemeralContainers[1].name: Duplicate value: "c"']),
]  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "expected"), [case[1:] for case in EPHEMERAL], ids=[case[0] for case in EPHEMERAL]
)
def test_ephemeral_containers(changes: dict[str, Any], expected: list[str]) -> None:
    found = validation.update(RESOURCE, changed(DEBUGGED, changes), DEBUGGED, "ephemeralcontainers")
    assert validation.agrees(found, expected), found


RESIZE: list[tuple[str, dict[str, Any], list[str]]] = [
    ("more", {"spec.containers.0.resources.requests.cpu": "2"}, []),
    ("other changes are dropped", {"spec.containers.0.image": "other"}, []),
    ("a request gone", {"spec.containers.0.resources.requests.cpu": REMOVED},
     ["spec.containers[0].resources.requests: Forbidden: resource requests cannot be removed"]),
    ("storage", {"spec.containers.0.resources.requests.ephemeral-storage": "1Gi"},
     ["spec: Forbidden: only cpu and memory resources are mutable"]),
    ("another quality of service",
     {"spec.containers.0.resources.limits": {"cpu": "1", "memory": "1Gi"}},
     ['spec: Invalid value: "Burstable": Pod QOS Class may not change as a result of resizing']),
    ("a rename", {"spec.containers.0.name": "d"},
     ["spec.containers[0].name: Forbidden: containers may not be renamed or reordered on resize"]),
]  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "expected"), [case[1:] for case in RESIZE], ids=[case[0] for case in RESIZE]
)
def test_resize(changes: dict[str, Any], expected: list[str]) -> None:
    old = changed(OLD, {"status": {"qosClass": "Burstable"}})
    found = validation.update(RESOURCE, changed(old, changes), old, "resize")
    assert validation.agrees(found, expected), found
