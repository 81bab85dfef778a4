"""The cloud's controllers alone, with a provider of somebody's own."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.interop.cluster import needs_kubectl, until
from tests.interop.standalone import alone, api_server, free_port, page

pytestmark = [pytest.mark.interop, needs_kubectl]
EXAMPLE = Path(__file__).parents[2] / "examples" / "cloud_provider"


def test_services_get_addresses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(EXAMPLE))
    log, config = tmp_path / "cloud.log", tmp_path / "addresses.txt"
    config.write_text("192.0.2.1\n")
    port = free_port()
    with api_server(tmp_path) as kubectl:
        path = str(tmp_path / "kubeconfig")
        words = ("--cloud-provider", "static_addresses:make", "--cloud-config", str(config))
        more = ("--use-service-account-credentials", "true", f"--secure-port={port}")
        reviews = (f"--authentication-kubeconfig={path}", f"--authorization-kubeconfig={path}")
        with alone("cloud", "--kubeconfig", path, *words, *more, *reviews, log=log):
            until(lambda: "service-lb-controller" in page(port, "/healthz?verbose", tmp_path)[1])
            accounts = kubectl("-n", "kube-system", "get", "serviceaccounts", "-o", "name").split()
            assert "serviceaccount/service-controller" in accounts
            assert "serviceaccount/cluster-autoscaler" not in accounts
            assert page(port, "/metrics", tmp_path, "")[0] == 403
            metric = 'running_managed_controllers{manager="cloud-controller-manager"'
            assert metric in page(port, "/metrics", tmp_path)[1]
            assert '"CloudControllerManagerConfiguration"' in page(port, "/configz", tmp_path)[1]
            assert f"secure-port={port}\n" in page(port, "/flagz", tmp_path)[1]
            assert "cloud-controller-manager statusz" in page(port, "/statusz", tmp_path)[1]
            kubectl("create", "service", "loadbalancer", "web", "--tcp=80")

            def addresses() -> list[str]:
                status = kubectl.json("service", "web")["status"]["loadBalancer"]
                return [item["ip"] for item in status.get("ingress", [])]

            until(lambda: addresses() == ["192.0.2.1"])
            holder = kubectl.json("-n", "kube-system", "lease", "cloud-controller-manager")
            assert holder["spec"]["holderIdentity"]
            kubectl("delete", "service", "web", "--timeout=10s")
        assert "forbidden" not in log.read_text()
    assert config.with_suffix(".json").read_text() == "{}"


POOL = """
from pathlib import Path

from trireme.api.core import v1 as core
from trireme.testing.memory_cloud import MemoryCloud


def make(arguments):
    def created(name, template):
        with arguments.config_file.open("a") as file:
            file.write(name + " ")

    amounts = {"cpu": "2", "memory": "4Gi", "pods": "110"}
    cloud = MemoryCloud(on_created=created)
    cloud.add_group("pool", core.Node(status=core.NodeStatus(allocatable=amounts)), 0, 3)
    return cloud
"""
POD = """
apiVersion: v1
kind: Pod
metadata: {name: NAME}
spec:
  containers:
  - {name: main, image: web, resources: {requests: {cpu: 1500m}}}
"""


def test_the_autoscaler_orders_machines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "pool_provider.py").write_text(POOL)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    log, ordered, port = tmp_path / "autoscaler.log", tmp_path / "ordered.txt", free_port()
    ordered.write_text("")
    with api_server(tmp_path) as kubectl:
        words = ["--cloud-provider", "pool_provider:make", "--cloud-config", str(ordered)]
        words += ["--scan-interval", "200ms", f"--secure-port={port}"]
        path = str(tmp_path / "kubeconfig")
        kubectl("create", "serviceaccount", "default", "--namespace", "default")
        for name in ("a", "b"):
            kubectl("apply", "-f", "-", given=POD.replace("NAME", name))
            condition = '{"type":"PodScheduled","status":"False","reason":"Unschedulable"}'
            change = f'{{"status":{{"conditions":[{condition}]}}}}'
            kubectl("patch", "pod", name, "--subresource=status", "-p", change)
        with alone("autoscaler", "--kubeconfig", path, *words, log=log):
            until(lambda: ordered.read_text().split() == ["pool-0", "pool-1"])
            reasons = until(
                lambda: (
                    "TriggeredScaleUp"
                    in kubectl("get", "events", "-o", "jsonpath={.items[*].reason}")
                )
            )
            assert reasons
            found = ("-n", "kube-system", "configmap", "cluster-autoscaler-status")
            until(lambda: "InProgress" in kubectl.json(*found)["data"]["status"])
            checks = "[+]leaderElection ok\n[+]cluster-autoscaler ok\nhealthz check passed\n"
            assert page(port, "/healthz?verbose", tmp_path, "") == (200, checks)
        assert ordered.read_text().split() == ["pool-0", "pool-1"], "each is ordered once"


def test_a_controller_of_the_cloud_that_is_switched_off_does_not_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory = (
        "from trireme.testing.memory_cloud import MemoryCloud\nmake = lambda _: MemoryCloud()\n"
    )
    (tmp_path / "memory_provider.py").write_text(memory)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    log, port = tmp_path / "cloud.log", free_port()
    provider = ("--cloud-provider", "memory_provider:make")
    with api_server(tmp_path):
        words = ("--kubeconfig", str(tmp_path / "kubeconfig"), *provider, f"--secure-port={port}")
        switched = "--controllers=*,-service,-cloud-node-lifecycle-controller"
        with alone("cloud", *words, switched, log=log):
            until(lambda: "ready" in log.read_text())
            assert page(port, "/healthz?verbose", tmp_path, "") == (
                200,
                "[+]leaderElection ok\n[+]cloud-node-controller ok\nhealthz check passed\n",
            )
