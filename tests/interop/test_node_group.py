"""The cluster autoscaler on real nodes: one is made for pods that fit nowhere, is a node like any
other, and is deleted with all that it had on the host when it is not needed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.interop.cluster import Kubectl, needs_kubectl, needs_root, running, until
from trireme.testing import host_state

pytestmark = [pytest.mark.interop, needs_root, needs_kubectl]
NAME = "t-group"
RUN, STATE = Path("/run/trireme", NAME), Path("/var/lib/trireme", NAME)


def web(replicas: int, cpu: str) -> dict[str, Any]:
    command = "mkdir /www; hostname > /www/index.html; exec httpd -f -p 8080 -h /www"
    container = {
        "name": "main",
        "image": "busybox:stable",
        "command": ["sh", "-c", command],
        "resources": {"requests": {"cpu": cpu}},
    }
    labels = {"app": "web"}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web"},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {"containers": [container], "terminationGracePeriodSeconds": 0},
            },
        },
    }


def nodes(kubectl: Kubectl) -> list[str]:
    return [item["metadata"]["name"] for item in kubectl.json("nodes")["items"]]


def pid(component: str) -> int:
    found = json.loads((RUN / "processes" / f"{component}.json").read_bytes())
    return int(found["pid"])


def test_a_node_comes_and_goes() -> None:
    before = host_state.snapshot()
    words = ("--nodes", "1", "--max-nodes", "2", "--scale-down-unneeded-time", "5s")
    with running(NAME, *words) as kubectl:
        capacity = kubectl.json("node", "node-0")["status"]["allocatable"]["cpu"]
        # One pod for each node: what one leaves is too little for another.
        request = f"{int(capacity) * 1000 * 3 // 5}m"
        kubectl("apply", "-f", "-", given=json.dumps(web(2, request)))
        kubectl("wait", "--for=condition=Available", "deployment/web", "--timeout=60s")
        assert nodes(kubectl) == ["node-0", "node-1"]
        placed = {
            item["spec"]["nodeName"]: item["metadata"]["name"]
            for item in kubectl.json("pods")["items"]
        }
        assert set(placed) == {"node-0", "node-1"}
        labels = kubectl.json("node", "node-1")["metadata"]["labels"]
        assert labels["trireme/node-group"] == "nodes"
        # Names and Services work there, and its logs can be read.
        kubectl("expose", "deployment", "web", "--port=80", "--target-port=8080")
        fetch = ("timeout", "5", "wget", "-q", "-O", "-", "http://web.default.svc.cluster.local")
        answers = until(lambda: kubectl("exec", placed["node-1"], "--", *fetch))
        assert answers.strip() in placed.values()
        kubectl("logs", placed["node-1"])
        # Its processes are kept running, by a supervisor that was killed, too.
        for name in ("supervisor", "kubelet.node-1"):
            was = pid(name)
            os.kill(was, signal.SIGKILL)
            until(lambda name=name, was=was: pid(name) != was)
        until(lambda: (RUN / "ready/kubelet.node-1").exists())
        reasons = kubectl("get", "events", "-A", "-o", "jsonpath={.items[*].reason}")
        assert "TriggeredScaleUp" in reasons and "ScaledUpGroup" in reasons
        found = ("-n", "kube-system", "configmap", "cluster-autoscaler-status")
        until(lambda: "cloudProviderTarget: 1" in kubectl.json(*found)["data"]["status"])
        kubectl("scale", "deployment", "web", "--replicas=1")
        until(lambda: not (RUN / "netns/node-1").exists(), 120.0)
        until(lambda: nodes(kubectl) == ["node-0"], 120.0)
        kubectl("wait", "--for=condition=Available", "deployment/web", "--timeout=60s")
        for path in (RUN / "node-1", STATE / "node-1", STATE / "pki/kubelet.node-1.key"):
            assert not path.exists(), path
        left = subprocess.run(["ip", "route"], capture_output=True, text=True, check=True).stdout
        assert "10.244.1.0/24" not in left
        assert not [p for p in (RUN / "processes").iterdir() if "node-1" in p.name]
    assert host_state.diff(before, host_state.snapshot()) == []


def test_a_node_that_is_there_goes_with_the_cluster() -> None:
    before = host_state.snapshot()
    with running(NAME, "--nodes", "1", "--max-nodes", "3") as kubectl:
        capacity = kubectl.json("node", "node-0")["status"]["allocatable"]["cpu"]
        request = f"{int(capacity) * 1000 * 3 // 5}m"
        kubectl("apply", "-f", "-", given=json.dumps(web(3, request)))
        until(lambda: len(nodes(kubectl)) == 3)
    assert host_state.diff(before, host_state.snapshot()) == []
