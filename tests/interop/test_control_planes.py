"""``trireme up --datastore etcd --control-planes 3``: whichever part dies, the cluster goes on."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.interop.cluster import Kubectl, needs_kubectl, needs_root, running, trireme, until
from trireme.cluster.hosts import spawn

pytestmark = [pytest.mark.interop, needs_root, needs_kubectl]
NAME = "planes"


@pytest.fixture(scope="module")
def cluster() -> Iterator[Kubectl]:
    with running(NAME, "--nodes", "1", "--datastore", "etcd", "--control-planes", "3") as kubectl:
        yield kubectl
    assert not [one for one in spawn.records(f"/run/trireme/{NAME}/processes") if spawn.alive(one)]
    assert not Path(f"/var/lib/trireme/{NAME}").exists()
    assert not _etcd_processes()


def _etcd_processes() -> list[str]:
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().split(b"\0")
        except OSError:
            continue
        if any(f"/{NAME}/etcd/".encode() in word for word in words):
            found.append(path.parent.name)
    return found


def kill(name: str) -> None:
    (process,) = [
        one for one in spawn.records(f"/run/trireme/{NAME}/processes") if one.name == name
    ]
    os.kill(process.pid, signal.SIGKILL)


def runs_pods(kubectl: Kubectl, name: str) -> None:
    """Everything works: API, controllers, scheduler, kubelet."""
    kubectl("create", "deployment", name, "--image=busybox:stable", "--", "sleep", "infinity")
    kubectl("rollout", "status", f"deployment/{name}", "--timeout=60s")


def test_each_api_server_is_an_endpoint(cluster: Kubectl):
    def addresses() -> set[str]:
        found = cluster.json("endpointslices", "kubernetes")
        return {address for item in found["endpoints"] for address in item["addresses"]}

    # Each looks every ten seconds who the others are.
    until(lambda: len(addresses()) == 3)
    leases = cluster.json("leases", "-n", "kube-system", "-l", "apiserver.kubernetes.io/identity")
    assert len(leases["items"]) == 3
    runs_pods(cluster, "first")


def test_an_api_server_dies(cluster: Kubectl):
    for number, name in enumerate(("apiserver", "apiserver-1", "apiserver-2")):
        kill(name)
        for _ in range(5):
            cluster("get", "nodes")
        cluster("create", "configmap", f"after-{number}")


def test_the_leaders_die(cluster: Kubectl):
    for name in ("controllers", "controllers-1", "controllers-2"):
        kill(name)
    for name in ("scheduler", "scheduler-1", "scheduler-2"):
        kill(name)
    runs_pods(cluster, "second")


def test_a_member_of_etcd_dies(cluster: Kubectl):
    for number in range(3):
        kill(f"etcd-{number}")
        until(lambda at=number: cluster("create", "configmap", f"without-{at}"))
        until(lambda: len(_etcd_processes()) == 3)
    runs_pods(cluster, "third")


def test_another_up_finds_it_running_and_other_numbers_are_refused(cluster: Kubectl):
    said = trireme("up", "--name", NAME, "--nodes", "1")
    assert "running already" in said.stderr


def test_what_does_not_fit_is_refused():
    for words, why in (
        (("--control-planes", "3"), "several need --datastore etcd"),
        (("--control-planes", "3", "--datastore", "memory"), "several need --datastore etcd"),
        (
            ("--datastore", "etcd", "--kube-apiserver-arg", "etcd-servers=http://127.0.0.1:1"),
            "names another etcd",
        ),
    ):
        done = trireme("up", "--name", "refused", "--nodes", "1", *words, check=False)
        assert done.returncode and why in done.stderr + done.stdout, done
