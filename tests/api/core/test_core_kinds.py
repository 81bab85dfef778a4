"""The smaller kinds of core/v1 and their neighbours: rules, defaults, what writes set, rows."""

from __future__ import annotations

from typing import Any

import pytest

from trireme.api.coordination.v1 import lease
from trireme.api.core.v1 import (
    configmap,
    endpoints,
    event,
    namespace,
    node,
    secret,
    serviceaccount,
)
from trireme.api.discovery.v1 import endpointslice
from trireme.api.scheduling.v1 import priorityclass
from trireme.machinery.resource import Resource
from trireme.testing import validation
from trireme.testing.validation import REMOVED, changed

NOW = 1767225600.0 + 3600
META = {"name": "x", "namespace": "ns", "creationTimestamp": "2026-01-01T00:00:00Z"}
CLUSTER = {"name": "x", "creationTimestamp": "2026-01-01T00:00:00Z"}
MAP = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": META, "data": {"a": "b"}}
SECRET = {"apiVersion": "v1", "kind": "Secret", "metadata": META, "data": {"a": "Yg=="}}
ENDPOINTS = {
    "apiVersion": "v1",
    "kind": "Endpoints",
    "metadata": META,
    "subsets": [{"addresses": [{"ip": "10.0.0.1"}], "ports": [{"port": 80}]}],
}
SLICE = {
    "apiVersion": "discovery.k8s.io/v1",
    "kind": "EndpointSlice",
    "metadata": META,
    "addressType": "IPv4",
    "endpoints": [{"addresses": ["10.0.0.1"]}],
    "ports": [{"port": 80}],
}
EVENT = {
    "apiVersion": "v1",
    "kind": "Event",
    "metadata": META,
    "involvedObject": {"kind": "Pod", "name": "p", "namespace": "ns"},
    "reason": "R",
    "message": " m ",
    "type": "Normal",
    "source": {"component": "c", "host": "h"},
    "firstTimestamp": "2026-01-01T00:30:00Z",
    "lastTimestamp": "2026-01-01T00:58:00Z",
    "count": 3,
}
NEWER = {
    **EVENT,
    "eventTime": "2026-01-01T00:59:00.000000Z",
    "reportingComponent": "a/b",
    "reportingInstance": "i",
    "action": "A",
}
LEASE = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": META, "spec": {}}
CLASS = {
    "apiVersion": "scheduling.k8s.io/v1",
    "kind": "PriorityClass",
    "metadata": CLUSTER,
    "value": 5,
}
NODE = {"apiVersion": "v1", "kind": "Node", "metadata": CLUSTER}
PLACE = {"apiVersion": "v1", "kind": "Namespace", "metadata": CLUSTER}
DOCKER = "kubernetes.io/dockerconfigjson"

CREATE: list[tuple[str, Resource, dict[str, Any], dict[str, Any], list[str]]] = [
    ("config map", configmap.RESOURCE, MAP, {"binaryData": {"c": "Yg=="}}, []),
    ("config key", configmap.RESOURCE, MAP, {"data": {"a b": ""}},
     ['data[a b]: Invalid value: "a b": a valid config key must consist of alphanumeric '
      'characters, '
      "'-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation "
      "is '[-._a-zA-Z0-9]+')"]),
    ("in both maps", configmap.RESOURCE, MAP, {"binaryData": {"a": "Yg=="}},
     ['data[a]: Invalid value: "a": duplicate of key present in binaryData']),
    ("too large", configmap.RESOURCE, MAP, {"data": {"a": "x" * (1 << 20), "b": "y"}},
     ["[]: Too long: may not be more than 1048576 bytes"]),
    ("secret key", secret.RESOURCE, SECRET, {"data": {"..": ""}},
     ["data[..]: Invalid value: \"..\": must not be '..'"]),
    ("secret of an account", secret.RESOURCE, SECRET,
     {"type": "kubernetes.io/service-account-token"},
     ["metadata.annotations[kubernetes.io/service-account.name]: Required value"]),
    ("secret for TLS", secret.RESOURCE, SECRET, {"type": "kubernetes.io/tls"},
     ["data[tls.crt]: Required value", "data[tls.key]: Required value"]),
    ("secret for a user", secret.RESOURCE, SECRET, {"type": "kubernetes.io/basic-auth"},
     ["data[username]: Required value", "data[password]: Required value"]),
    ("secret for a user, half", secret.RESOURCE, SECRET,
     {"type": "kubernetes.io/basic-auth", "data": {"password": ""}}, []),
    ("secret for ssh", secret.RESOURCE, SECRET,
     {"type": "kubernetes.io/ssh-auth", "data": {"ssh-privatekey": ""}},
     ["data[ssh-privatekey]: Required value"]),
    ("secret for a registry", secret.RESOURCE, SECRET, {"type": DOCKER},
     ["data[.dockerconfigjson]: Required value"]),
    ("secret for a registry, broken", secret.RESOURCE, SECRET,
     {"type": DOCKER, "data": {".dockerconfigjson": "Yg=="}},
     ['data[.dockerconfigjson]: Invalid value: "<secret contents redacted>": ...']),
    ("namespace", namespace.RESOURCE, PLACE, {"spec": {"finalizers": ["a.b/c"]}}, []),
    ("namespace finalizer", namespace.RESOURCE, PLACE, {"spec": {"finalizers": ["x"]}},
     ['spec.finalizers: Invalid value: "x": name is neither a standard finalizer name nor is it '
      "fully qualified"]),
    ("endpoints", endpoints.RESOURCE, ENDPOINTS, {}, []),
    ("empty subset", endpoints.RESOURCE, ENDPOINTS, {"subsets": [{}]},
     ["subsets[0]: Required value: must specify `addresses` or `notReadyAddresses`"]),
    ("loopback endpoint", endpoints.RESOURCE, ENDPOINTS, {"subsets.0.addresses.0.ip": "127.0.0.1"},
     ['subsets[0].addresses[0].ip: Invalid value: "127.0.0.1": may not be in the loopback range '
      "(127.0.0.0/8, ::1/128)"]),
    ("endpoint port names", endpoints.RESOURCE, ENDPOINTS,
     {"subsets.0.ports": [{"port": 80}, {"name": "b", "port": 0}]},
     ["subsets[0].ports[0].name: Required value",
      "subsets[0].ports[1].port: Invalid value: 0: must be between 1 and 65535, inclusive"]),
    ("slice", endpointslice.RESOURCE, SLICE, {"endpoints.0.hints": {"forZones": [{"name": "z"}]}},
     []),
    ("slice of names", endpointslice.RESOURCE, SLICE,
     {"addressType": "FQDN", "endpoints.0.addresses": ["a.b."]}, []),
    ("slice type", endpointslice.RESOURCE, SLICE, {"addressType": "x"},
     ['addressType: Unsupported value: "x": supported values: "FQDN", "IPv4", "IPv6"']),
    ("slice address", endpointslice.RESOURCE, SLICE, {"endpoints.0.addresses": []},
     ["endpoints[0].addresses: Required value: must contain at least 1 address"]),
    ("slice family", endpointslice.RESOURCE, SLICE, {"endpoints.0.addresses": ["fd00::1"]},
     ['endpoints[0].addresses: Invalid value: "fd00::1": must be an IPv4 address']),
    ("too many endpoints", endpointslice.RESOURCE, SLICE,
     {"endpoints": [{"addresses": ["10.0.0.1"]}] * 1001},
     ["endpoints: Too many: 1001: must have at most 1000 items"]),
    ("slice ports", endpointslice.RESOURCE, SLICE, {"ports": [{"port": 1}, {"port": 2}]},
     ['ports[1].name: Duplicate value: ""']),
    ("too many hints", endpointslice.RESOURCE, SLICE,
     {"endpoints.0.hints": {"forZones": [{"name": f"z{n}"} for n in range(9)]}},
     ["endpoints[0].hints.forZones: Too many: 9: must have at most 8 items"]),
    ("event", event.RESOURCE, EVENT, {}, []),
    ("event elsewhere", event.RESOURCE, EVENT, {"involvedObject.namespace": "other"},
     ['involvedObject.namespace: Invalid value: "other": does not match event.namespace']),
    ("event about a node", event.RESOURCE, EVENT, {"involvedObject.namespace": REMOVED},
     ['involvedObject.namespace: Invalid value: "": does not match event.namespace']),
    ("newer event", event.RESOURCE, NEWER, {}, []),
    ("newer event of nobody", event.RESOURCE, NEWER,
     {"reportingComponent": "", "reportingInstance": "", "action": "x" * 129},
     ["reportingComponent: Required value", 'reportingComponent: Invalid value: "": ...',
      'reportingComponent: Invalid value: "": ...', "reportingInstance: Required value",
      'action: Invalid value: "": can have at most 128 characters']),
    ("lease", lease.RESOURCE, LEASE, {"spec": {"leaseDurationSeconds": 1}}, []),
    ("lease times", lease.RESOURCE, LEASE,
     {"spec": {"leaseDurationSeconds": 0, "leaseTransitions": -1}},
     ["spec.leaseDurationSeconds: Invalid value: 0: must be greater than 0",
      "spec.leaseTransitions: Invalid value: -1: must be greater than or equal to 0"]),
    ("priority", priorityclass.RESOURCE, CLASS, {}, []),
    ("priority too high", priorityclass.RESOURCE, CLASS, {"value": 1000000001},
     ["value: Forbidden: maximum allowed value of a user defined priority is 1000000000"]),
    ("priority of the system", priorityclass.RESOURCE, CLASS,
     {"metadata.name": "system-node-critical", "value": 2000001000}, []),
    ("priority like the system's", priorityclass.RESOURCE, CLASS, {"metadata.name": "system-a"},
     ["metadata.name: Forbidden: priority class names with 'system-' prefix are reserved for "
      "system use only. error: system-a is not a known system priority class"]),
    ("priority policy", priorityclass.RESOURCE, CLASS, {"preemptionPolicy": "x"},
     ['preemptionPolicy: Unsupported value: "x": supported values: "PreemptLowerPriority", '
      '"Never"']),
    ("node", node.RESOURCE, NODE, {"spec": {"podCIDR": "10.0.0.0/24"}, "status": {
        "capacity": {"cpu": "2"}, "declaredFeatures": ["A", "B/c"]}}, []),
    ("taints", node.RESOURCE, NODE, {"spec": {"taints": [
        {"key": "a", "effect": "x"}, {"key": "b"}, {"key": "b", "effect": "NoSchedule"},
        {"key": "b", "effect": "NoSchedule"}]}},
     ['metadata.taints[0].effect: Unsupported value: "x": supported values: "NoSchedule", '
      '"PreferNoSchedule", "NoExecute"',
      "metadata.taints[1].effect: Required value",
      'metadata.taints[3]: Duplicate value: {"Key":"b","Value":"","Effect":"NoSchedule",'
      '"TimeAdded":null}: taints must be unique by key and effect pair']),
    ("pod CIDRs", node.RESOURCE, NODE, {"spec": {"podCIDRs": ["10.0.0.0/24", "10.1.0.0/24"]}},
     ['spec.podCIDRs: Invalid value: ["10.0.0.0/24","10.1.0.0/24"]: may specify no more than one '
      "CIDR for each IP family"]),
    ("node capacity", node.RESOURCE, NODE, {"status": {"capacity": {"pods": "1500m"}}},
     ['status.capacity.pods: Invalid value: "1500m": must be an integer',
      'status.allocatable.pods: Invalid value: "1500m": must be an integer']),
    ("node features", node.RESOURCE, NODE, {"status": {"declaredFeatures": ["B", "A", "a"]}},
     ['status.declaredFeatures[1]: Invalid value: "A": list must be sorted alphabetically',
      'status.declaredFeatures[2]: Invalid value: "a": invalid feature name "a": ...']),
]  # fmt: skip


@pytest.mark.parametrize(
    ("resource", "manifest", "changes", "expected"),
    [case[1:] for case in CREATE],
    ids=[case[0] for case in CREATE],
)
def test_create(
    resource: Resource, manifest: dict[str, Any], changes: dict[str, Any], expected: list[str]
) -> None:
    found = validation.create(resource, changed(manifest, changes))
    assert validation.agrees(found, expected), found


FROZEN = "field is immutable when `immutable` is set"
UPDATE: list[tuple[str, Resource, dict[str, Any], dict[str, Any], str, list[str]]] = [
    ("frozen map", configmap.RESOURCE, {**MAP, "immutable": True},
     {"data": {"a": "c"}, "immutable": REMOVED}, "",
     [f"immutable: Forbidden: {FROZEN}", f"data: Forbidden: {FROZEN}"]),
    ("frozen map's labels", configmap.RESOURCE, {**MAP, "immutable": True},
     {"metadata.labels": {"a": "b"}}, "", []),
    ("frozen secret", secret.RESOURCE, {**SECRET, "immutable": True}, {"stringData": {"a": "c"}},
     "", [f"data: Forbidden: {FROZEN}"]),
    ("secret type", secret.RESOURCE, SECRET, {"type": "other"}, "",
     ['type: Invalid value: "other": field is immutable']),
    ("priority", priorityclass.RESOURCE, CLASS, {"value": 6, "preemptionPolicy": "Never"}, "",
     ["value: Forbidden: may not be changed in an update.",
      'preemptionPolicy: Invalid value: "Never": field is immutable']),
    ("slice type", endpointslice.RESOURCE, SLICE,
     {"addressType": "IPv6", "endpoints": []}, "",
     ['addressType: Invalid value: "IPv6": field is immutable']),
    ("node's first CIDR", node.RESOURCE, NODE, {"spec": {"podCIDR": "10.0.0.0/24"}}, "", []),
    ("node's other CIDR", node.RESOURCE, {**NODE, "spec": {"podCIDR": "10.0.0.0/24"}},
     {"spec": {"podCIDR": "10.1.0.0/24"}}, "",
     ['spec.podCIDRs: Forbidden: node updates may not change podCIDR except from "" to valid']),
    ("node's provider", node.RESOURCE, {**NODE, "spec": {"providerID": "a"}},
     {"spec": {"providerID": "b"}}, "",
     ['spec.providerID: Forbidden: node updates may not change providerID except from "" to '
      "valid"]),
    ("node's addresses", node.RESOURCE, NODE, {"status": {"addresses": [
        {"type": "InternalIP", "address": "10.0.0.1"}] * 2}}, "status",
     ['status.addresses[1]: Duplicate value: {"Type":"InternalIP","Address":"10.0.0.1"}']),
    ("namespace phase", namespace.RESOURCE, PLACE, {"status": {"phase": "Terminating"}}, "status",
     ['status.Phase: Invalid value: "Terminating": may only be \'Active\' if `deletionTimestamp` '
      "is empty"]),
    ("namespace finalizers", namespace.RESOURCE, PLACE, {"spec": {"finalizers": ["x"]}}, "finalize",
     ['spec.finalizers[0]: Invalid value: "x": name is neither a standard finalizer name nor is it '
      "fully qualified"]),
]  # fmt: skip


@pytest.mark.parametrize(
    ("resource", "old", "changes", "part", "expected"),
    [case[1:] for case in UPDATE],
    ids=[case[0] for case in UPDATE],
)
def test_update(
    resource: Resource,
    old: dict[str, Any],
    changes: dict[str, Any],
    part: str,
    expected: list[str],
) -> None:
    found = validation.update(resource, changed(old, changes), old, part)
    assert validation.agrees(found, expected), found


ROWS: list[tuple[str, Resource, dict[str, Any], dict[str, Any], list[Any]]] = [
    ("config map", configmap.RESOURCE, MAP, {"binaryData": {"c": "Yg=="}}, ["x", 2, "60m"]),
    ("secret", secret.RESOURCE, SECRET, {}, ["x", "Opaque", 1, "60m"]),
    ("account", serviceaccount.RESOURCE,
     {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": META}, {}, ["x", "60m"]),
    ("namespace", namespace.RESOURCE, PLACE, {}, ["x", "Active", "60m"]),
    ("endpoints", endpoints.RESOURCE, ENDPOINTS, {}, ["x", "10.0.0.1:80", "60m"]),
    ("many endpoints", endpoints.RESOURCE, ENDPOINTS,
     {"subsets.0.addresses": [{"ip": f"10.0.0.{n}"} for n in range(1, 6)]},
     ["x", "10.0.0.1:80,10.0.0.2:80,10.0.0.3:80 + 2 more...", "60m"]),
    ("an endpoint of IPv6", endpoints.RESOURCE, ENDPOINTS, {"subsets.0.addresses.0.ip": "fd00::1"},
     ["x", "[fd00::1]:80", "60m"]),
    ("no endpoints", endpoints.RESOURCE, ENDPOINTS, {"subsets": []}, ["x", "<none>", "60m"]),
    ("slice", endpointslice.RESOURCE, SLICE, {}, ["x", "IPv4", "80", "10.0.0.1", "60m"]),
    ("empty slice", endpointslice.RESOURCE, SLICE, {"ports": [], "endpoints": []},
     ["x", "IPv4", "<unset>", "<unset>", "60m"]),
    ("event", event.RESOURCE, EVENT, {},
     ["2m", "Normal", "R", "pod/p", "", "c, h", "m", "30m", 3, "x"]),
    ("newer event", event.RESOURCE, NEWER,
     {"firstTimestamp": REMOVED, "lastTimestamp": REMOVED, "count": REMOVED, "source": {}},
     ["60s", "Normal", "R", "pod/p", "", "a/b, i", "m", "60s", 1, "x"]),
    ("series", event.RESOURCE, NEWER,
     {"series": {"count": 7, "lastObservedTime": "2026-01-01T00:59:50.000000Z"}},
     ["10s", "Normal", "R", "pod/p", "", "c, h", "m", "30m", 7, "x"]),
    ("lease", lease.RESOURCE, LEASE, {"spec": {"holderIdentity": "h"}}, ["x", "h", "60m"]),
    ("priority", priorityclass.RESOURCE, CLASS, {}, ["x", 5, False, "60m", "PreemptLowerPriority"]),
    ("bare node", node.RESOURCE, NODE, {},
     ["x", "Unknown", "<none>", "60m", "", "<none>", "<none>", "<unknown>", "<unknown>",
      "<unknown>"]),
    ("node", node.RESOURCE, NODE, {
        "metadata.labels": {"node-role.kubernetes.io/b": "", "kubernetes.io/role": "a"},
        "spec": {"unschedulable": True},
        "status": {
            "conditions": [{"type": "Ready", "status": "True"}],
            "addresses": [{"type": "InternalIP", "address": "10.0.0.1"}],
            "nodeInfo": {"kubeletVersion": "v1", "osImage": "o", "kernelVersion": "k",
                         "architecture": "amd64", "containerRuntimeVersion": "r", "machineID": "",
                         "systemUUID": "", "bootID": "", "kubeProxyVersion": "",
                         "operatingSystem": "linux"}}},
     ["x", "Ready,SchedulingDisabled", "a,b", "60m", "v1", "10.0.0.1", "<none>", "o", "k (amd64)",
      "r"]),
]  # fmt: skip


@pytest.mark.parametrize(
    ("resource", "manifest", "changes", "cells"),
    [case[1:] for case in ROWS],
    ids=[case[0] for case in ROWS],
)
def test_row(
    resource: Resource, manifest: dict[str, Any], changes: dict[str, Any], cells: list[Any]
) -> None:
    assert resource.row(validation.load(resource, changed(manifest, changes)), NOW) == cells
    assert len(cells) == len(resource.columns)


def test_secret_texts_become_data() -> None:
    made = validation.made(secret.RESOURCE, changed(SECRET, {"stringData": {"a": "new", "c": "d"}}))
    assert made.data == {"a": b"new", "c": b"d"}
    assert made.stringData == {}


def test_namespace_is_made_active_named_and_held() -> None:
    made = validation.made(namespace.RESOURCE, PLACE)
    assert made.metadata.labels == {"kubernetes.io/metadata.name": "x"}
    assert made.spec.finalizers == ["kubernetes"]
    assert made.status.phase == "Active"
    assert namespace.RESOURCE.held(made)
    namespace.RESOURCE.begin_delete(made)
    assert made.status.phase == "Terminating"


def test_accounts_keep_only_the_names_of_secrets() -> None:
    manifest = {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": META,
        "secrets": [{"name": "a", "namespace": "other", "kind": "Secret"}],
    }
    made = validation.made(serviceaccount.RESOURCE, manifest)
    assert (made.secrets[0].name, made.secrets[0].namespace) == ("a", "")


def test_node_allocatable_and_cidrs() -> None:
    made = validation.made(
        node.RESOURCE,
        {**NODE, "spec": {"podCIDRs": ["10.0.0.0/24"]}, "status": {"capacity": {"cpu": "2"}}},
    )
    assert made.status.allocatable == {"cpu": "2"}
    assert made.spec.podCIDR == "10.0.0.0/24"


def test_slice_generation_counts_endpoints_and_labels() -> None:
    old = validation.made(endpointslice.RESOURCE, SLICE)
    new = validation.made(endpointslice.RESOURCE, SLICE)
    assert not endpointslice.changed(new, old)
    new.metadata.annotations = {"a": "b"}
    assert not endpointslice.changed(new, old)
    new.metadata.labels = {"a": "b"}
    assert endpointslice.changed(new, old)


def test_event_fields() -> None:
    obj = validation.load(event.RESOURCE, EVENT)
    values = {label: read(obj) for label, read in event.RESOURCE.selectable.items()}
    assert values["involvedObject.name"] == "p"
    assert values["source"] == "c"
    assert values["type"] == "Normal"
