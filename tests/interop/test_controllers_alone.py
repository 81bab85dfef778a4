"""The controllers alone, with the file that the API server's command makes for them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.interop.cluster import needs_kubectl, until
from tests.interop.standalone import alone, api_server

pytestmark = [pytest.mark.interop, needs_kubectl]


def test_each_controller_writes_as_its_own_account(tmp_path: Path) -> None:
    log = tmp_path / "controllers.log"
    with api_server(tmp_path) as kubectl:
        path = str(tmp_path / "controllers.kubeconfig")
        with alone("controllers", "--kubeconfig", path, log=log):
            until(lambda: "ready" in log.read_text())
            kubectl("create", "namespace", "work")
            kubectl("-n", "work", "create", "deployment", "web", "--image=web", "--replicas=2")
            until(lambda: len(kubectl.json("-n", "work", "pods")["items"]) == 2)
            kubectl("delete", "namespace", "work", "--timeout=30s")
            # As upstream, which makes an account for each that it starts.
            accounts = kubectl("-n", "kube-system", "get", "serviceaccounts", "-o", "name")
            assert "serviceaccount/deployment-controller" in accounts
        assert "forbidden" not in log.read_text()
