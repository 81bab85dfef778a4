"""A backup of a running cluster, in the middle of writes, and a cluster restored of it."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest

from tests.interop.cluster import Kubectl, needs_kubectl, running, trireme

pytestmark = [pytest.mark.interop, needs_kubectl]


def test_a_running_cluster_is_backed_up_and_restored(tmp_path: Path):
    archive, stop = tmp_path / "backup", threading.Event()
    acknowledged: list[str] = []
    with running("backed-up", "--control-plane-only") as kubectl:
        kubectl("create", "secret", "generic", "kept", "--from-literal=a=b")

        def write() -> None:
            while not stop.is_set():
                name = f"m{len(acknowledged)}"
                kubectl("create", "configmap", name)
                acknowledged.append(name)

        writer = threading.Thread(target=write)
        writer.start()
        while len(acknowledged) < 5:
            stop.wait(0.05)
        before = list(acknowledged)
        said = trireme("backup", "--name", "backed-up", str(archive)).stdout
        assert "objects and the keys" in said
        while len(acknowledged) < len(before) + 5:
            stop.wait(0.05)
        stop.set()
        writer.join()
        listed = json.loads(kubectl("get", "--raw", "/api/v1/configmaps"))
        old = listed["metadata"]["resourceVersion"]
        config = Path(kubectl.kubeconfig).read_text()
        refused = trireme("restore", "--name", "backed-up", str(archive), check=False)
        assert refused.returncode and "is not empty" in refused.stderr
    trireme("restore", "--name", "restored", str(archive))
    with running("restored", "--control-plane-only") as kubectl:
        assert kubectl.json("secret", "kept")["data"] == {"a": "Yg=="}
        names = {item["metadata"]["name"] for item in kubectl.json("configmaps")["items"]}
        assert set(before) <= names < {*acknowledged, "kube-root-ca.crt", f"m{len(acknowledged)}"}
        gone = kubectl(
            "get", "--raw", f"/api/v1/configmaps?watch=1&resourceVersion={old}&timeoutSeconds=5"
        )
        assert json.loads(gone)["object"]["code"] == 410
        _same_authority(kubectl, config)


def _same_authority(kubectl: Kubectl, config: str) -> None:
    """The kubeconfigs of before are good for the restored cluster."""
    path = kubectl.kubeconfig.with_name("before")
    path.write_text(config)
    Kubectl(path, kubectl.cluster)("get", "namespaces")
