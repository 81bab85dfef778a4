"""Services: one bad manifest per rule, defaults, what an update keeps and clears, rows."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from trireme.api.core.v1.service_resource import RESOURCE
from trireme.testing import validation
from trireme.testing.validation import REMOVED, changed

SERVICE: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "Service",
    "metadata": {"name": "s", "namespace": "ns", "creationTimestamp": "2026-01-01T00:00:00Z"},
    "spec": {"ports": [{"name": "a", "port": 80}], "selector": {"a": "b"}},
}
BALANCER = {"spec.type": "LoadBalancer"}
PROTOCOLS = 'supported values: "SCTP", "TCP", "UDP"'

CREATE: list[tuple[str, dict[str, Any], list[str]]] = [
    ("plain", {}, []),
    ("headless without ports", {"spec.clusterIP": "None", "spec.ports": []}, []),
    ("external name", {"spec": {"type": "ExternalName", "externalName": "a.b."}}, []),
    ("balancer", {**BALANCER, "spec.loadBalancerClass": "a/b"}, []),
    ("a name that begins with a digit", {"metadata.name": "1s"}, []),
    ("a name with dots", {"metadata.name": "a.b"},
     ['metadata.name: Invalid value: "a.b": must not contain dots']),
    ("no ports", {"spec.ports": []}, ["spec.ports: Required value"]),
    ("port", {"spec.ports.0.port": 0}, [
        "spec.ports[0].port: Invalid value: 0: must be between 1 and 65535, inclusive",
        "spec.ports[0].targetPort: Invalid value: 0: must be between 1 and 65535, inclusive"]),
    ("protocol", {"spec.ports.0.protocol": "x"},
     [f'spec.ports[0].protocol: Unsupported value: "x": {PROTOCOLS}']),
    ("a port without a name", {"spec.ports.1": {"port": 81}},
     ["spec.ports[1].name: Required value"]),
    ("a name twice", {"spec.ports.1": {"name": "a", "port": 81}},
     ['spec.ports[1].name: Duplicate value: "a"']),
    ("a port twice", {"spec.ports.1": {"name": "b", "port": 80}},
     ['spec.ports[1]: Duplicate value: {"Name":"","Protocol":"TCP","AppProtocol":null,'
      '"Port":80,"TargetPort":0,"NodePort":0}']),
    ("a node port", {"spec.ports.0.nodePort": 30000},
     ["spec.ports[0].nodePort: Forbidden: may not be used when `type` is 'ClusterIP'"]),
    ("a node port twice", {"spec.type": "NodePort", "spec.ports": [
        {"name": "a", "port": 1, "nodePort": 30000}, {"name": "b", "port": 2, "nodePort": 30000}]},
     ["spec.ports[1].nodePort: Duplicate value: 30000"]),
    ("target port", {"spec.ports.0.targetPort": "a--b"},
     ['spec.ports[0].targetPort: Invalid value: "a--b": must not contain consecutive hyphens']),
    ("type", {"spec.type": "x"},
     ['spec.type: Unsupported value: "x": supported values: "ClusterIP", "ExternalName", '
      '"LoadBalancer", "NodePort"']),
    ("headless node port", {"spec.type": "NodePort", "spec.clusterIP": "None"},
     ["spec.clusterIPs[0]: Invalid value: \"None\": may not be set to 'None' for NodePort "
      "services"]),
    ("external name missing", {"spec": {"type": "ExternalName"}},
     ["spec.externalName: Required value"]),
    ("external name with an address",
     {"spec": {"type": "ExternalName", "externalName": "a", "clusterIP": "10.0.0.1"}},
     ["spec.clusterIPs: Forbidden: may not be set for ExternalName services"]),
    ("affinity", {"spec.sessionAffinity": "x"},
     ['spec.sessionAffinity: Unsupported value: "x": supported values: "ClientIP", "None"']),
    ("affinity time", {"spec.sessionAffinity": "ClientIP", "spec.sessionAffinityConfig": {
        "clientIP": {"timeoutSeconds": 86401}}},
     ["spec.sessionAffinityConfig.clientIP.timeoutSeconds: Invalid value: 86401: must be greater "
      "than 0 and less than 86400"]),
    ("addresses differ", {"spec.clusterIP": "10.0.0.1", "spec.clusterIPs": ["10.0.0.2"]},
     ['spec.clusterIPs: Invalid value: ["10.0.0.2"]: first value must match `clusterIP`']),
    ("addresses of one family",
     {"spec.clusterIP": "10.0.0.1", "spec.clusterIPs": ["10.0.0.1", "10.0.0.2"]},
     ['spec.clusterIPs: Invalid value: ["10.0.0.1","10.0.0.2"]: may specify no more than one IP '
      'for '
      "each IP family"]),
    ("address", {"spec.clusterIP": "x"},
     ['spec.clusterIPs[0]: Invalid value: "x": must be a valid IP address, (e.g. 10.9.8.7 or '
      "2001:db8::ffff)"]),
    ("family of the address", {"spec.clusterIP": "10.0.0.1", "spec.ipFamilies": ["IPv6"]},
     ['spec.clusterIPs[0]: Invalid value: "10.0.0.1": expected an IPv6 value as indicated by '
      "`ipFamilies[0]`"]),
    ("family", {"spec.ipFamilies": ["IPv5"]},
     ['spec.ipFamilies[0]: Unsupported value: "IPv5": supported values: "IPv4", "IPv6"']),
    ("family policy", {"spec.ipFamilyPolicy": "x"},
     ['spec.ipFamilyPolicy: Unsupported value: "x": supported values: "PreferDualStack", '
      '"RequireDualStack", "SingleStack"']),
    ("external address", {"spec.externalIPs": ["127.0.0.1"]},
     ['spec.externalIPs[0]: Invalid value: "127.0.0.1": may not be in the loopback range '
      "(127.0.0.0/8, ::1/128)"]),
    ("an external address that may be", {"spec.externalIPs": ["198.51.100.1"]}, []),
    ("source ranges", {"spec.loadBalancerSourceRanges": ["10.0.0.0/8"]},
     ["spec.LoadBalancerSourceRanges: Forbidden: may only be used when `type` is 'LoadBalancer'"]),
    ("a source range", {**BALANCER, "spec.loadBalancerSourceRanges": ["10.0.0.0"]},
     ['spec.LoadBalancerSourceRanges[0]: Invalid value: "10.0.0.0": must be a valid CIDR value, '
      "(e.g. 10.9.8.0/24 or 2001:db8::/64)"]),
    ("balancer's class", {"spec.loadBalancerClass": "a"},
     ["spec.loadBalancerClass: Forbidden: may only be used when `type` is 'LoadBalancer'"]),
    ("external policy", {"spec.externalTrafficPolicy": "Local"},
     ['spec.externalTrafficPolicy: Invalid value: "Local": may only be set for '
      "externally-accessible services"]),
    ("health check port", {**BALANCER, "spec.healthCheckNodePort": 30000},
     ["spec.healthCheckNodePort: Invalid value: 30000: may only be set when `type` is "
      "'LoadBalancer' and `externalTrafficPolicy` is 'Local'"]),
    ("internal policy", {"spec.internalTrafficPolicy": "x"},
     ['spec.internalTrafficPolicy: Unsupported value: "x": supported values: "Cluster", "Local"']),
    ("distribution", {"spec.trafficDistribution": "x"},
     ['spec.trafficDistribution: Unsupported value: "x": supported values: "PreferClose", '
      '"PreferSameZone", "PreferSameNode"']),
    ("selector", {"spec.selector": {"a": "b c"}}, ['spec.selector: Invalid value: "b c": ...']),
]  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "expected"), [case[1:] for case in CREATE], ids=[case[0] for case in CREATE]
)
def test_create(changes: dict[str, Any], expected: list[str]) -> None:
    found = validation.create(RESOURCE, changed(SERVICE, changes))
    assert validation.agrees(found, expected), found


GIVEN = changed(
    SERVICE,
    {
        "spec.clusterIP": "10.0.0.1",
        "spec.clusterIPs": ["10.0.0.1"],
        "spec.ipFamilies": ["IPv4"],
        "spec.ipFamilyPolicy": "SingleStack",
    },
)

UPDATE: list[tuple[str, dict[str, Any], list[str]]] = [
    ("nothing", {}, []),
    ("addresses left out", {"spec.clusterIP": REMOVED, "spec.clusterIPs": REMOVED}, []),
    ("another address", {"spec.clusterIP": "10.0.0.2"},
     ['spec.clusterIPs[0]: Invalid value: ["10.0.0.2"]: may not change once set']),
    ("another family", {"spec.ipFamilies": ["IPv6"]},
     ['spec.ipFamilies[0]: Invalid value: ["IPv6"]: may not change once set',
      'spec.clusterIPs[0]: Invalid value: "10.0.0.1": expected an IPv6 value as indicated by '
      "`ipFamilies[0]`"]),
    ("a second family", {"spec.ipFamilies": ["IPv4", "IPv6"],
                         "spec.ipFamilyPolicy": "PreferDualStack"}, []),
    ("to an external name", {"spec.type": "ExternalName", "spec.externalName": "a"}, []),
    ("to an external name with another address",
     {"spec.type": "ExternalName", "spec.externalName": "a", "spec.clusterIP": "10.0.0.9",
      "spec.clusterIPs": ["10.0.0.9"]},
     ["spec.clusterIPs: Forbidden: may not be set for ExternalName services"]),
]  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "expected"), [case[1:] for case in UPDATE], ids=[case[0] for case in UPDATE]
)
def test_update(changes: dict[str, Any], expected: list[str]) -> None:
    found = validation.update(RESOURCE, changed(GIVEN, changes), GIVEN)
    assert validation.agrees(found, expected), found


def prepared(new: dict[str, Any], old: dict[str, Any]) -> Any:
    now, was = validation.load(RESOURCE, new), validation.load(RESOURCE, old)
    RESOURCE.prepare_update(now, was)
    return now


def test_an_update_keeps_what_the_cluster_filled_in() -> None:
    old = changed(GIVEN, {"spec.type": "NodePort", "spec.ports.0.nodePort": 30001})
    new = changed(SERVICE, {"spec.type": "NodePort"})
    kept = prepared(new, old).spec
    assert kept.clusterIPs == ["10.0.0.1"]
    assert kept.ports[0].nodePort == 30001


def test_a_node_port_goes_with_the_type() -> None:
    old = changed(GIVEN, {"spec.type": "NodePort", "spec.ports.0.nodePort": 30001})
    cleared = prepared(changed(old, {"spec.type": "ClusterIP"}), old).spec
    assert cleared.ports[0].nodePort == 0
    assert cleared.externalTrafficPolicy == ""
    # A client that asks for another node port at the same time gets an error.
    asked = changed(old, {"spec.type": "ClusterIP", "spec.ports.0.nodePort": 30002})
    assert validation.update(RESOURCE, asked, old)[0].startswith(
        "spec.ports[0].nodePort: Forbidden"
    )


def test_an_external_name_has_no_addresses() -> None:
    new = prepared(changed(GIVEN, {"spec.type": "ExternalName", "spec.externalName": "a"}), GIVEN)
    assert (new.spec.clusterIP, new.spec.clusterIPs, new.spec.ipFamilies) == ("", [], [])
    assert new.spec.ipFamilyPolicy is None


STATUS: list[tuple[str, dict[str, Any], list[str]]] = [
    ("an address", {"ip": "1.2.3.4"}, []),
    ("a mode without one", {"hostname": "a", "ipMode": "VIP"},
     ["status.loadBalancer.ingress[0].ipMode: Forbidden: may not be specified when `ip` is not "
      "set"]),
    ("mode", {"ip": "1.2.3.4", "ipMode": "x"},
     ['status.loadBalancer.ingress[0].ipMode: Unsupported value: "x": supported values: "Proxy", '
      '"VIP"']),
    ("an address as host name", {"hostname": "1.2.3.4"},
     ['status.loadBalancer.ingress[0].hostname: Invalid value: "1.2.3.4": must be a DNS name, not '
      "an IP address"]),
]  # fmt: skip


@pytest.mark.parametrize(
    ("ingress", "expected"), [case[1:] for case in STATUS], ids=[case[0] for case in STATUS]
)
def test_status(ingress: dict[str, Any], expected: list[str]) -> None:
    old = changed(SERVICE, BALANCER)
    new = changed(old, {"status": {"loadBalancer": {"ingress": [ingress]}}})
    assert validation.update(RESOURCE, new, old, "status") == expected


def test_only_balancers_have_ingress() -> None:
    new = changed(SERVICE, {"status": {"loadBalancer": {"ingress": [{"ip": "1.2.3.4"}]}}})
    assert validation.update(RESOURCE, new, SERVICE, "status") == [
        "status.loadBalancer.ingress: Forbidden: may only be used when `spec.type` is "
        "'LoadBalancer'"
    ]


def test_defaults() -> None:
    spec = msgspec.to_builtins(validation.load(RESOURCE, SERVICE).spec)
    assert spec["ports"][0] == {
        "name": "a",
        "protocol": "TCP",
        "port": 80,
        "targetPort": 80,
    }
    assert spec["type"] == "ClusterIP"
    assert spec["sessionAffinity"] == "None"
    assert spec["internalTrafficPolicy"] == "Cluster"
    assert "externalTrafficPolicy" not in spec
    balancer = validation.load(RESOURCE, changed(SERVICE, BALANCER)).spec
    assert balancer.externalTrafficPolicy == "Cluster"
    assert balancer.allocateLoadBalancerNodePorts is True
    sticky = validation.load(RESOURCE, changed(SERVICE, {"spec.sessionAffinity": "ClientIP"})).spec
    assert sticky.sessionAffinityConfig.clientIP.timeoutSeconds == 10800


ROWS: list[tuple[str, dict[str, Any], list[str]]] = [
    ("plain", {}, ["ClusterIP", "<none>", "<none>", "80/TCP", "60m", "a=b"]),
    ("addresses", {"spec.clusterIP": "10.0.0.1", "spec.clusterIPs": ["10.0.0.1", "fd00::1"],
                   "spec.externalIPs": ["1.1.1.1", "2.2.2.2"]},
     ["ClusterIP", "10.0.0.1", "1.1.1.1,2.2.2.2", "80/TCP", "60m", "a=b"]),
    ("node port", {"spec.type": "NodePort", "spec.ports.0.nodePort": 30000},
     ["NodePort", "<none>", "<none>", "80:30000/TCP", "60m", "a=b"]),
    ("pending", BALANCER, ["LoadBalancer", "<none>", "<pending>", "80/TCP", "60m", "a=b"]),
    ("balanced", {**BALANCER, "status": {"loadBalancer": {"ingress": [
        {"ip": "9.9.9.9"}, {"hostname": "a.b"}, {"ip": "1.1.1.1"}]}}},
     ["LoadBalancer", "<none>", "1.1.1.1,9.9.9.9,a.b", "80/TCP", "60m", "a=b"]),
    ("external name", {"spec": {"type": "ExternalName", "externalName": "a.b"}},
     ["ExternalName", "<none>", "a.b", "<none>", "60m", "<none>"]),
]  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "cells"), [case[1:] for case in ROWS], ids=[case[0] for case in ROWS]
)
def test_row(changes: dict[str, Any], cells: list[str]) -> None:
    row = RESOURCE.row(validation.load(RESOURCE, changed(SERVICE, changes)), 1767225600.0 + 3600)
    assert row == ["s", *cells]
