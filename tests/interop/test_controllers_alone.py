"""The controllers alone, with the file that the API server's command makes for them."""

from __future__ import annotations

import subprocess
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.interop.cluster import TRIREME, needs_kubectl, until
from tests.interop.standalone import alone, api_server, free_port, page

pytestmark = [pytest.mark.interop, needs_kubectl]


def test_each_controller_writes_as_its_own_account(tmp_path: Path) -> None:
    log = tmp_path / "controllers.log"
    with api_server(tmp_path) as kubectl:
        path = str(tmp_path / "controllers.kubeconfig")
        with alone("controllers", "--kubeconfig", path, "--secure-port=0", log=log):
            until(lambda: "ready" in log.read_text())
            kubectl("create", "namespace", "work")
            kubectl("-n", "work", "create", "deployment", "web", "--image=web", "--replicas=2")
            until(lambda: len(kubectl.json("-n", "work", "pods")["items"]) == 2)
            kubectl("delete", "namespace", "work", "--timeout=30s")
            # As upstream, which makes an account for each that it starts.
            accounts = kubectl("-n", "kube-system", "get", "serviceaccounts", "-o", "name")
            assert "serviceaccount/deployment-controller" in accounts
        assert "forbidden" not in log.read_text()


def test_of_two_copies_one_works_and_its_end_hands_over(tmp_path: Path) -> None:
    logs = [tmp_path / "one.log", tmp_path / "two.log"]
    port = free_port()
    with api_server(tmp_path) as kubectl, ExitStack() as second:
        path = str(tmp_path / "controllers.kubeconfig")

        def leader() -> str:
            lease = kubectl.json("-n", "kube-system", "lease", "kube-controller-manager")
            return str(lease["spec"].get("holderIdentity", ""))

        with alone("controllers", "--kubeconfig", path, "--secure-port=0", log=logs[0]):
            until(lambda: leader() != "")
            first = leader()
            words = ("controllers", "--kubeconfig", path, f"--secure-port={port}")
            second.enter_context(alone(*words, log=logs[1]))
            until(lambda: "ready" in logs[1].read_text())
            kubectl("create", "deployment", "web", "--image=web", "--replicas=2")
            until(lambda: len(kubectl.json("pods")["items"]) == 2)
            assert leader() == first
            # The copy that waits is healthy, and has no controllers yet.
            status, text = page(port, "/healthz?verbose", tmp_path, "")
            assert (status, text) == (200, "[+]leaderElection ok\nhealthz check passed\n")
        # The lease, of 15 s, was given up: the second tries every 2 s, up to 2.2 times as long.
        until(lambda: leader() not in ("", first), 8.0)
        kubectl("scale", "deployment", "web", "--replicas=3")
        until(lambda: len(kubectl.json("pods")["items"]) == 3)
        assert "[+]deployment-controller ok\n" in page(port, "/healthz?verbose", tmp_path, "")[1]


def test_who_may_sees_their_metrics(tmp_path: Path) -> None:
    log, port = tmp_path / "controllers.log", free_port()
    with api_server(tmp_path) as kubectl:
        path = str(tmp_path / "controllers.kubeconfig")
        files = [f"--{name}-kubeconfig={path}" for name in ("authentication", "authorization")]
        words = ("--kubeconfig", path, *files, f"--secure-port={port}", "--concurrent-job-syncs=7")
        with alone("controllers", *words, log=log):
            until(lambda: "ready" in log.read_text())
            kubectl("create", "deployment", "web", "--image=web", "--replicas=2")
            until(lambda: len(kubectl.json("pods")["items"]) == 2)
            assert page(port, "/metrics", tmp_path, "")[0] == 403
            assert page(port, "/metrics", tmp_path, "scheduler")[0] == 403
            status, text = page(port, "/metrics", tmp_path)
            assert status == 200
            for expected in (
                'workqueue_adds_total{name="deployment"}',
                'rest_client_requests_total{code="201",host="127.0.0.1:',
                "process_resident_memory_bytes ",
            ):
                assert expected in text
            assert "\nconcurrent-job-syncs=7\n" in page(port, "/flagz", tmp_path)[1]
        assert "forbidden" not in log.read_text()


def test_an_api_server_that_is_being_started_is_waited_for(tmp_path: Path) -> None:
    log = tmp_path / "controllers.log"
    with api_server(tmp_path) as kubectl:
        server = kubectl("config", "view", "-o", "jsonpath={.clusters[0].cluster.server}")
    path = str(tmp_path / "controllers.kubeconfig")
    port = server.rpartition(":")[2]
    # It is away when they start.
    with (
        alone("controllers", "--kubeconfig", path, "--secure-port=0", log=log),
        api_server(tmp_path, "--port", port) as kubectl,
    ):
        until(lambda: "ready" in log.read_text())
        kubectl("create", "namespace", "work")
        until(lambda: kubectl("-n", "work", "get", "serviceaccount", "default"))


def test_a_leader_that_lost_its_lease_ends_with_a_line(tmp_path: Path) -> None:
    log = tmp_path / "controllers.log"
    with api_server(tmp_path) as kubectl:
        path = str(tmp_path / "controllers.kubeconfig")
        words = [*TRIREME, "controllers", "--kubeconfig", path, "--secure-port=0"]
        with log.open("w") as errors:
            process = subprocess.Popen(words, stderr=errors)
        try:
            until(lambda: "leading as" in log.read_text())
            taken = '{"spec":{"holderIdentity":"somebody","leaseDurationSeconds":3600}}'
            lease = ("-n", "kube-system", "patch", "lease", "kube-controller-manager")
            kubectl(*lease, "--type=merge", "-p", taken)
            assert process.wait(20) == 1
        finally:
            process.kill()
            process.wait()
        last = log.read_text().splitlines()[-1]
        assert last == "trireme controllers: kube-controller-manager: somebody has the lease"
