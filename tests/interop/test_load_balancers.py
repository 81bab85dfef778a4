"""Services of type LoadBalancer on a real cluster: their addresses answer from the host and from
pods, only those who may ask, and nothing of them is left on the host."""

from __future__ import annotations

import json
import subprocess
import urllib.error
import urllib.request
from typing import Any

import pytest

from tests.interop.cluster import Kubectl, needs_kubectl, needs_root, running, until
from trireme.testing import host_state

pytestmark = [pytest.mark.interop, needs_root, needs_kubectl]
NAME = "t-balance"
PROXYLESS = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def pod(name: str, node: str) -> dict[str, Any]:
    command = f"mkdir /www; echo I am {name} > /www/index.html; exec httpd -f -p 8080 -h /www"
    probe = {"tcpSocket": {"port": 8080}, "periodSeconds": 1}
    container = {
        "name": "main",
        "image": "busybox:stable",
        "command": ["sh", "-c", command],
        "readinessProbe": probe,
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": {"app": "web"}},
        "spec": {
            "nodeName": node,
            "containers": [container],
            "terminationGracePeriodSeconds": 0,
        },
    }


def service(name: str, **spec: Any) -> dict[str, Any]:
    ports = [{"port": 80, "targetPort": 8080}]
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name},
        "spec": {"type": "LoadBalancer", "selector": {"app": "web"}, "ports": ports, **spec},
    }


def apply(kubectl: Kubectl, *objects: dict[str, Any]) -> None:
    kubectl(
        "apply", "-f", "-", given=json.dumps({"kind": "List", "apiVersion": "v1", "items": objects})
    )


def fetch(address: str) -> str:
    """What the address answers on the host, "" for nothing."""
    try:
        with PROXYLESS.open(f"http://{address}/", timeout=2.0) as answer:
            return str(answer.read().decode().strip())
    except (OSError, urllib.error.URLError):
        return ""


def addresses(kubectl: Kubectl, name: str) -> list[str]:
    status = kubectl.json("service", name)["status"]["loadBalancer"]
    return [item["ip"] for item in status.get("ingress", [])]


def routes() -> str:
    return subprocess.run(["ip", "route"], capture_output=True, text=True, check=True).stdout


def test_addresses_answer() -> None:
    before = host_state.snapshot()
    with running(NAME, "--nodes", "2") as kubectl:
        for node in kubectl.json("nodes")["items"]:
            until(lambda name=node["metadata"]["name"]: is_initialized(kubectl, name))
        apply(
            kubectl,
            pod("one", "node-0"),
            service("web"),
            service("local", externalTrafficPolicy="Local"),
            service("closed", loadBalancerSourceRanges=["192.0.2.0/24"]),
        )
        kubectl("wait", "--for=condition=Ready", "pod/one", "--timeout=30s")
        found = {name: until(lambda n=name: addresses(kubectl, n))[0] for name in NAMES}
        assert len(set(found.values())) == 3
        until(lambda: fetch(found["web"]) == "I am one")
        until(lambda: fetch(found["local"]) == "I am one")
        assert fetch(found["closed"]) == ""
        # From a pod of the other node, by what its own node does with the address.
        apply(kubectl, pod("two", "node-1") | {"metadata": {"name": "two"}})
        kubectl("wait", "--for=condition=Ready", "pod/two", "--timeout=30s")
        for name in ("web", "local"):
            words = ("exec", "two", "--", "timeout", "3", "wget", "-q", "-O", "-")
            assert kubectl(*words, f"http://{found[name]}").strip() == "I am one"
        # The node with the endpoint moves: the other one takes the traffic.
        kubectl("delete", "pod", "one")
        until(lambda: fetch(found["local"]) == "")
        apply(kubectl, pod("three", "node-1"))
        until(lambda: fetch(found["local"]) == "I am three")
        events = kubectl("get", "events", "-o", "jsonpath={.items[*].reason}")
        assert "EnsuredLoadBalancer" in events
        assert found["web"] in routes()
        kubectl("delete", "service", *NAMES, "--timeout=20s")
        until(lambda: not any(address in routes() for address in found.values()))
        apply(kubectl, service("left"))
        until(lambda: addresses(kubectl, "left"))
    assert host_state.diff(before, host_state.snapshot()) == []


NAMES = ("web", "local", "closed")


def is_initialized(kubectl: Kubectl, name: str) -> bool:
    node = kubectl.json("node", name)
    assert node["spec"]["providerID"] == f"trireme://{NAME}/{name}"
    labels = node["metadata"]["labels"]
    return not node["spec"].get("taints") and (
        labels.get("node.kubernetes.io/instance-type") == "local"
    )
