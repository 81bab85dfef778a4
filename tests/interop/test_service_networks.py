"""A Service out of a second ServiceCIDR answers on the nodes of a local cluster."""

from __future__ import annotations

import subprocess

import pytest

from tests.interop.cluster import needs_kubectl, needs_root, running, until

pytestmark = [pytest.mark.interop, needs_root, needs_kubectl]

NETWORK = "10.201.0.0/28"
CIDR = f"""
apiVersion: networking.k8s.io/v1
kind: ServiceCIDR
metadata: {{name: more}}
spec: {{cidrs: [{NETWORK}]}}
"""
# The API server once more.
SERVICE = """
apiVersion: v1
kind: Service
metadata: {name: again}
spec: {clusterIP: 10.201.0.5, ports: [{name: https, port: 443}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: again, labels: {kubernetes.io/service-name: again}}
addressType: IPv4
ports: [{name: https, port: %(port)s, protocol: TCP}]
endpoints: [{addresses: ["%(address)s"], conditions: {ready: true}}]
"""


def within_node(*words: str) -> str:
    inside = ["nsenter", "--net=/run/trireme/networks/netns/node-0", *words]
    return subprocess.run(inside, capture_output=True, text=True, timeout=30, check=False).stdout


def connects(address: str) -> bool:
    code = f"import socket; socket.create_connection(({address!r}, 443), 3); print('yes')"
    return "yes" in within_node("python3", "-c", code)


def test_a_second_network_of_services() -> None:
    with running("networks", "--nodes", "1") as kubectl:
        kubectl("apply", "-f", "-", given=CIDR)
        slices = kubectl.json("endpointslices", "kubernetes")
        address = slices["endpoints"][0]["addresses"][0]
        made = SERVICE % {"address": address, "port": slices["ports"][0]["port"]}
        until(lambda: kubectl("apply", "-f", "-", given=made))
        until(lambda: connects("10.201.0.5"))
        assert NETWORK in within_node("ip", "route")
        kubectl("delete", "servicecidr", "more", "--wait=false")
        assert "again" in kubectl("get", "ipaddress", "10.201.0.5")
        kubectl("delete", "service", "again")
        until(lambda: NETWORK not in within_node("ip", "route"))
        assert "more" not in kubectl("get", "servicecidrs")
