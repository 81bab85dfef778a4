"""After ``down`` the host is as it was before the cluster, wherever its life was cut off."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.interop.cluster import TRIREME, Kubectl, needs_kubectl, needs_root, trireme
from trireme.cluster.hosts import names, spawn, teardown
from trireme.testing import host_state

pytestmark = [pytest.mark.interop, needs_root, needs_kubectl]

NAME, OTHER = "t-leaves", "t-leaves-2"
STATE, RUN = Path("/var/lib/trireme", NAME), Path("/run/trireme", NAME)

# What an `up` has just made when it is killed.
INSTANTS = {
    "plan": STATE / "hosts.json",
    "first namespace": RUN / "netns/switch",
    "authority": STATE / "pki/ca.crt",
    "settings": STATE / "cluster.json",
    "supervisor": RUN / "processes/supervisor.json",
    "containerd": RUN / "ready/containerd.node-0",
    "API server": RUN / "ready/apiserver",
    "kubelet": RUN / "ready/kubelet.node-1",
}


@pytest.fixture
def before() -> Iterator[host_state.HostState]:
    for name in (NAME, OTHER):
        teardown.teardown(name)
    yield host_state.snapshot()
    for name in (NAME, OTHER):
        teardown.teardown(name)


def left(before: host_state.HostState) -> list[str]:
    """What has come to the host and what has gone.

    While clusters that are not ours come and go beside the test, only what bears our marks counts:
    a container's namespace or process does not say whose it is.
    """
    lines = host_state.diff(before, host_state.snapshot())
    if not any(name not in (NAME, OTHER) for name in teardown.clusters()):
        return lines
    marks = [mark for name in (NAME, OTHER) for mark in (name, names.host_link(name))]
    return [line for line in lines if any(mark in line for mark in marks)]


def assert_as(before: host_state.HostState) -> None:
    assert left(before) == []


def kubectl_of(name: str) -> Kubectl:
    path = trireme("kubeconfig", "--name", name, "--path").stdout.strip()
    return Kubectl(Path(path), name)


def run_web(kubectl: Kubectl, replicas: int) -> None:
    kubectl(
        "create", "deployment", "web", "--image=busybox:stable", f"--replicas={replicas}",
        "--", "sleep", "1000",
    )  # fmt: skip
    kubectl("rollout", "status", "deploy/web", "--timeout=60s")


def kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def record_of(name: str, folder: Path = RUN) -> spawn.Running:
    return next(r for r in spawn.records(str(folder / "processes")) if r.name == name)


def killed_at(mark: Path) -> None:
    """Start an ``up`` and kill it as soon as ``mark`` is there."""
    upping = subprocess.Popen(
        [*TRIREME, "up", "--name", NAME],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    end = time.monotonic() + 30
    while not mark.exists():
        assert upping.poll() is None, upping.communicate()[1]
        assert time.monotonic() < end, f"no {mark}"
        time.sleep(0.001)
    upping.kill()
    upping.communicate()
    assert upping.returncode == -signal.SIGKILL


def test_up_with_an_application_and_down_twice(before: host_state.HostState) -> None:
    trireme("up", "--name", NAME)
    run_web(kubectl_of(NAME), 4)
    assert left(before)
    trireme("down", "--name", NAME)
    assert_as(before)
    assert "is gone" in trireme("down", "--name", NAME).stderr
    assert_as(before)


@pytest.mark.parametrize("instant", INSTANTS)
def test_up_killed_after(instant: str, before: host_state.HostState) -> None:
    killed_at(INSTANTS[instant])
    trireme("down", "--name", NAME)
    assert_as(before)


@pytest.mark.parametrize("instant", ["first namespace", "authority", "supervisor", "API server"])
def test_up_again_finishes_an_interrupted_one(instant: str, before: host_state.HostState) -> None:
    killed_at(INSTANTS[instant])
    assert "is running already" not in trireme("up", "--name", NAME).stderr
    run_web(kubectl_of(NAME), 1)
    assert "is running already" in trireme("up", "--name", NAME).stderr
    trireme("down", "--name", NAME)
    assert_as(before)


@pytest.mark.parametrize("killed", [["supervisor"], ["guardian", "supervisor"]])
def test_what_outlives_its_supervisor_goes_with_down(
    killed: list[str], before: host_state.HostState
) -> None:
    trireme("up", "--name", NAME)
    run_web(kubectl_of(NAME), 2)
    for name in killed:
        kill(record_of(name).pid)
    assert spawn.alive(record_of("apiserver")) and spawn.alive(record_of("containerd.node-0"))
    trireme("down", "--name", NAME)
    assert_as(before)


def test_network_namespaces_that_somebody_adds_meanwhile_are_left_alone(tmp_path: Path) -> None:
    """`ip netns add` mounts /run/netns over itself: it must hide nothing of the cluster's, and what
    was added is somebody else's. In a mount namespace, since the mount would outlive the test."""
    script = f"""
        set -e
        mount --make-rprivate /
        mount -t tmpfs tmpfs /run
        $TRIREME up --name {NAME} --nodes 1
        ip netns add t-somebody
        $TRIREME down --name {NAME}
        ip netns list | grep -q t-somebody
        grep -q ' /run/netns ' /proc/self/mountinfo
        test ! -e /run/trireme
        ip netns del t-somebody
    """
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", script],
        env={**os.environ, "TRIREME": " ".join(TRIREME)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "umount" not in done.stderr


def test_two_clusters_do_not_know_of_each_other(before: host_state.HostState) -> None:
    for name in (NAME, OTHER):
        trireme("up", "--name", name, "--nodes", "1")
    first, second = kubectl_of(NAME), kubectl_of(OTHER)
    run_web(first, 1)
    run_web(second, 1)
    trireme("down", "--name", NAME)
    second("scale", "deploy/web", "--replicas=3")
    second("rollout", "status", "deploy/web", "--timeout=60s")
    pod = second("get", "pods", "-o", "name").split()[0]
    assert second("exec", pod, "--", "echo", "here") == "here\n"
    trireme("down", "--name", OTHER)
    assert_as(before)
