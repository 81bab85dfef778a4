"""The scheduler alone, with the file that the API server's command makes for it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.interop.cluster import needs_kubectl, until
from tests.interop.standalone import alone, api_server, free_port, page

pytestmark = [pytest.mark.interop, needs_kubectl]

NODE = {
    "apiVersion": "v1",
    "kind": "Node",
    "metadata": {"name": "n1"},
    "status": {
        "capacity": {"cpu": "4", "memory": "8Gi", "pods": "110"},
        "allocatable": {"cpu": "4", "memory": "8Gi", "pods": "110"},
        "conditions": [{"type": "Ready", "status": "True"}],
    },
}
CLASS = {
    "apiVersion": "storage.k8s.io/v1",
    "kind": "StorageClass",
    "metadata": {"name": "late"},
    "provisioner": "kubernetes.io/no-provisioner",
    "volumeBindingMode": "WaitForFirstConsumer",
}
VOLUME = {
    "apiVersion": "v1",
    "kind": "PersistentVolume",
    "metadata": {"name": "disk"},
    "spec": {
        "capacity": {"storage": "1Gi"},
        "accessModes": ["ReadWriteOnce"],
        "storageClassName": "late",
        "hostPath": {"path": "/tmp/disk"},
    },
}
CLAIM = {
    "apiVersion": "v1",
    "kind": "PersistentVolumeClaim",
    "metadata": {"name": "data"},
    "spec": {
        "accessModes": ["ReadWriteOnce"],
        "storageClassName": "late",
        "resources": {"requests": {"storage": "1Gi"}},
    },
}


def pod(name: str, **spec: object) -> dict[str, object]:
    container = {"name": "main", "image": "web", "resources": {"requests": {"cpu": "1"}}}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name},
        "spec": {"containers": [container], **spec},
    }


def test_it_may_do_all_that_it_does(tmp_path: Path) -> None:
    """Bind, preempt, bind volumes, write events and conditions, hold its lease."""
    log, port = tmp_path / "scheduler.log", free_port()
    with api_server(tmp_path) as kubectl:
        path = str(tmp_path / "scheduler.kubeconfig")
        files = [f"--{name}-kubeconfig={path}" for name in ("authentication", "authorization")]
        with alone("scheduler", "--kubeconfig", path, *files, f"--secure-port={port}", log=log):

            def apply(found: object) -> None:
                kubectl("apply", "-f", "-", given=json.dumps(found))

            def node_of(name: str) -> str:
                return str(kubectl.json("pod", name)["spec"].get("nodeName", ""))

            until(lambda: "ready" in log.read_text())
            kubectl("create", "serviceaccount", "default")
            kubectl("create", "-f", "-", given=json.dumps(NODE))
            # Upstream's admission taints a node that is not ready; the controllers take that away.
            kubectl("patch", "node", "n1", "--type=merge", "-p", '{"spec":{"taints":[]}}')
            for number in range(4):
                apply(pod(f"small-{number}"))
            until(lambda: all(node_of(f"small-{number}") == "n1" for number in range(4)))
            apply(pod("late"))
            until(lambda: "FailedScheduling" in kubectl("get", "events"))
            apply(pod("urgent", priorityClassName="system-node-critical"))
            until(lambda: "Preempted" in kubectl("get", "events"))
            apply(CLASS)
            apply(VOLUME)
            # The binder of the controllers says so.
            available = '{"status":{"phase":"Available"}}'
            kubectl("patch", "pv", "disk", "--subresource=status", "--type=merge", "-p", available)
            kubectl("delete", "pods", "--all", "--force", "--grace-period=0")
            apply(CLAIM)
            claimed = {"name": "data", "persistentVolumeClaim": {"claimName": "data"}}
            apply(pod("claims", volumes=[claimed]))
            until(
                lambda: kubectl.json("pv", "disk")["spec"].get("claimRef", {}).get("name") == "data"
            )
            lease = kubectl.json("-n", "kube-system", "lease", "kube-scheduler")
            assert lease["spec"]["holderIdentity"]
            for name in ("/healthz", "/livez", "/readyz"):
                assert page(port, name, tmp_path, "") == (200, "ok")
            assert page(port, "/metrics", tmp_path, "")[0] == 403
            assert "rest_client_requests_total" in page(port, "/metrics", tmp_path)[1]
        assert "forbidden" not in log.read_text()
