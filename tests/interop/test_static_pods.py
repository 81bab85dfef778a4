"""A kubelet alone, by its own command, without an API server: static pods with real containers."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.interop.cluster import needs_root, until
from tests.interop.standalone import alone
from tests.interop.test_node_alone import node
from trireme.cluster.hosts import local

__all__ = ["node"]
pytestmark = [pytest.mark.interop, needs_root]
MANIFEST = """
apiVersion: v1
kind: Pod
metadata: {name: web}
spec:
  terminationGracePeriodSeconds: 1
  containers:
  - name: main
    image: busybox:stable
    imagePullPolicy: Never
    command: [sh, -c, "echo %s; exec sleep 1000"]
"""
CONFIGURATION = """
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
staticPodPath: %s
"""


def test_a_kubelet_alone_runs_static_pods(node: local.Node, tmp_path: Path) -> None:
    manifests, config = tmp_path / "manifests", tmp_path / "kubelet.yaml"
    manifests.mkdir()
    config.write_text(CONFIGURATION % manifests)
    (manifests / "web.yaml").write_text(MANIFEST % "first")
    words = (
        *("kubelet", "--config", str(config), "--node-name", "alone", "--node-ip", node.ip),
        *("--container-runtime-endpoint", f"unix://{node.containerd_socket}"),
        *("--root-dir", f"{node.state_dir}/kubelet"),
        *("--logs-dir", f"{node.state_dir}/pods"),
        *("--cgroup-parent", node.cgroup_parent),
    )

    def running() -> list[str]:
        listed = subprocess.run(
            [
                *("ctr", "--address", node.containerd_socket, "-n", "k8s.io"),
                *("tasks", "list", "-q"),
            ],
            capture_output=True,
            text=True,
            check=True,
        )
        return sorted(listed.stdout.split())

    with alone(*words, log=tmp_path / "kubelet.log"):
        until(lambda: len(running()) == 2)  # the sandbox and the container
        first = running()
    # It goes on without the kubelet, and the next one adopts it.
    assert running() == first
    with alone(*words, log=tmp_path / "again.log"):
        until(lambda: "ready" in (tmp_path / "again.log").read_text())
        assert running() == first
        (manifests / "web.yaml").write_text(MANIFEST % "second")
        until(lambda: len(running()) == 2 and not set(running()) & set(first))
        (manifests / "web.yaml").unlink()
        until(lambda: running() == [])
