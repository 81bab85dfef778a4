"""Health and metrics of a local cluster's controllers and scheduler: on loopback alone."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests.interop.cluster import needs_kubectl, needs_root, running, until
from tests.interop.standalone import page

pytestmark = [pytest.mark.interop, needs_kubectl, needs_root]


def test_they_are_served_on_loopback_to_who_may_see_them() -> None:
    with running("pages", "--control-plane-only") as kubectl:
        folder = Path(kubectl.kubeconfig).parent
        port = json.loads((folder / "cluster.json").read_text())["component_port"]
        for offset, metric in (
            (0, 'workqueue_adds_total{name="serviceaccount"}'),
            (2, "rest_client_requests_total{"),
        ):
            until(lambda at=port + offset: page(at, "/healthz", folder, "") == (200, "ok"))
            assert page(port + offset, "/metrics", folder, "")[0] == 403
            assert page(port + offset, "/metrics", folder, "apiserver-kubelet-client")[0] == 403
            status, text = page(port + offset, "/metrics", folder)
            assert status == 200 and metric in text
            listening = subprocess.run(
                ["ss", "-Hltn", f"sport = :{port + offset}"],
                capture_output=True,
                text=True,
                check=True,
            ).stdout.split()
            assert listening[3] == f"127.0.0.1:{port + offset}"
