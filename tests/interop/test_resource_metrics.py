"""kubectl top of a new cluster, without anything installed, and who may."""

from __future__ import annotations

import pytest

from tests.interop.cluster import Kubectl, needs_kubectl, needs_root, until

pytestmark = [pytest.mark.interop, needs_root, needs_kubectl]

BUSY = "while :; do :; done"


def rows(text: str) -> dict[str, list[str]]:
    return {line.split()[0]: line.split()[1:] for line in text.splitlines()}


def millis(cell: str) -> int:
    assert cell.endswith("m")
    return int(cell[:-1])


def test_top_says_what_nodes_and_pods_use(cluster: Kubectl) -> None:
    image = "busybox:stable"
    cluster("run", "busy", f"--image={image}", "--command", "--", "sh", "-c", BUSY)
    cluster("run", "idle", f"--image={image}", "--command", "--", "sleep", "3600")
    cluster("wait", "pod/busy", "pod/idle", "--for=condition=Ready", "--timeout=60s")

    def measured() -> bool:
        return {"busy", "idle"} <= rows(cluster("top", "pods", "--no-headers")).keys()

    until(measured, 60)
    pods = rows(cluster("top", "pods", "--no-headers"))
    assert millis(pods["busy"][0]) > 100 > 20 > millis(pods["idle"][0])
    assert pods["idle"][1].endswith("Mi")
    nodes = rows(cluster("top", "nodes", "--no-headers"))
    assert len(nodes) == 2
    assert max(millis(cells[0]) for cells in nodes.values()) > 100
    containers = cluster("top", "pod", "busy", "--containers", "--no-headers").split()
    assert containers[:2] == ["busy", "busy"]
    may = ("auth", "can-i", "list", "pods.metrics.k8s.io", "--as=eve")
    cluster(*may, fails=True)
    cluster("create", "rolebinding", "eve", "--clusterrole=view", "--user=eve")
    until(lambda: cluster(*may).strip() == "yes", 10)
    cluster("delete", "pod/busy", "pod/idle", "rolebinding/eve", "--now", "--wait=false")
