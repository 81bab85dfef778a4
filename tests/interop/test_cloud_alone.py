"""The cloud's controllers alone, with a provider of somebody's own."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.interop.cluster import needs_kubectl, until
from tests.interop.standalone import alone, api_server

pytestmark = [pytest.mark.interop, needs_kubectl]
EXAMPLE = Path(__file__).parents[2] / "examples" / "cloud_provider"


def test_services_get_addresses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(EXAMPLE))
    log, config = tmp_path / "cloud.log", tmp_path / "addresses.txt"
    config.write_text("192.0.2.1\n")
    with api_server(tmp_path) as kubectl:
        path = str(tmp_path / "kubeconfig")
        words = ("--cloud-provider", "static_addresses:make", "--cloud-config", str(config))
        accounts = ("--use-service-account-credentials", "true")
        with alone("cloud", "--kubeconfig", path, *words, *accounts, log=log):
            until(lambda: "ready" in log.read_text())
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
