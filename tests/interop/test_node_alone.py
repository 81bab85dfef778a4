"""A cluster of single commands: each component by its own, one node among them, real containers."""

from __future__ import annotations

import asyncio
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.interop.cluster import Kubectl, needs_kubectl, needs_root, until
from tests.interop.standalone import alone, api_server
from trireme.cluster.hosts import local, teardown
from trireme.cluster.images import build, load, recipes

pytestmark = [pytest.mark.interop, needs_root, needs_kubectl]

NAME = "t-alone"
WEB = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      terminationGracePeriodSeconds: 0
      containers:
        - name: main
          image: busybox:stable
          command: [sh, -c, "echo serving; mkdir /www; hostname > /www/x; exec httpd -f -p 80 -h /www"]
          readinessProbe: {httpGet: {path: /x, port: 80}, periodSeconds: 1}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec:
  type: NodePort
  selector: {app: web}
  ports: [{port: 80}]
"""  # noqa: E501


@pytest.fixture
def node() -> Iterator[local.Node]:
    """A machine of its own with a runtime and nothing of Kubernetes."""
    hosts = local.LocalHosts(NAME, 1)
    teardown.teardown(NAME)
    try:
        asyncio.run(hosts.start())
        made = hosts.nodes[0]
        asyncio.run(load.load_built(build.build(recipes.bundled()), [made.containerd_socket]))
        yield made
    finally:
        asyncio.run(hosts.stop())
    assert NAME not in teardown.clusters()


def test_kubelet_and_proxy_alone_serve_an_application(node: local.Node) -> None:
    hosts = local.attach(NAME)
    assert hosts is not None
    # Below the cluster's own folder, where its end finds what is still mounted.
    state = Path(node.state_dir, "alone")
    state.mkdir()
    with ExitStack() as stack:
        received = ("--listen", hosts.host_ip, "--node", f"{node.name}={node.ip}")
        kubectl = stack.enter_context(api_server(state, *received))
        for name in ("controllers", "scheduler"):
            words = (name, "--kubeconfig", str(state / f"{name}.kubeconfig"), "--secure-port=0")
            stack.enter_context(alone(*words, log=state / f"{name}.log"))
        for name, more in (("kubelet", kubelet_words(node, state)), ("proxy", ())):
            who = state / f"{name}.{node.name}.kubeconfig"
            named = ("--node-name", node.name, "--node-ip", node.ip)
            all_words = (name, "--kubeconfig", str(who), *named, *more)
            within = ("nsenter", f"--net={node.netns_path}", "--")
            log = state / f"{name}.log"
            stack.enter_context(alone(*all_words, log=log, within=within))
            until(lambda log=log: "ready" in log.read_text())
        until(lambda: "True" in ready(kubectl, node.name))

        kubectl("apply", "-f", "-", given=WEB)
        kubectl("rollout", "status", "deploy/web", "--timeout=60s")
        pods = sorted(pod["metadata"]["name"] for pod in kubectl.json("pods")["items"])
        assert len(pods) == 2
        for pod in pods:
            assert kubectl("logs", pod) == "serving\n"

        service = kubectl.json("service", "web")["spec"]
        port = service["ports"][0]["nodePort"]
        until(lambda: answers(f"http://{node.ip}:{port}/x") in pods)
        inside = f"wget -qO- http://{service['clusterIP']}/x"
        answered = {kubectl("exec", pods[0], "--", "sh", "-c", inside).strip() for _ in range(8)}
        assert answered <= set(pods)

        kubectl("delete", "deploy/web", "service/web")
        until(lambda: kubectl.json("pods")["items"] == [])
        # Each may do all that it does, with the file that was made for it.
        for name in ("controllers", "scheduler", "kubelet", "proxy"):
            assert "forbidden" not in (state / f"{name}.log").read_text(), name


def kubelet_words(node: local.Node, state: Path) -> tuple[str, ...]:
    """What a kubelet is told of its runtime, its files and its own server."""
    keys = state / "pki"
    return (
        *("--runtime", f"unix://{node.containerd_socket}"),
        *("--root-dir", f"{node.state_dir}/kubelet"),
        *("--logs-dir", f"{node.state_dir}/pods"),
        *("--cgroup-parent", node.cgroup_parent),
        *("--tls-cert-file", str(keys / f"kubelet.{node.name}.crt")),
        *("--tls-private-key-file", str(keys / f"kubelet.{node.name}.key")),
        *("--client-ca-file", str(keys / "ca.crt")),
    )


def ready(kubectl: Kubectl, node: str) -> str:
    path = 'jsonpath={.status.conditions[?(@.type=="Ready")].status}'
    return kubectl("get", "node", node, "-o", path)


def answers(url: str) -> str:
    with urllib.request.urlopen(url, timeout=5) as answer:
        text: bytes = answer.read()
    return text.decode().strip()
