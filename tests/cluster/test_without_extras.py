"""What works with the plain package, as on macOS: no library of an extra, nothing of Linux alone.

In a process of its own, where those modules cannot be imported and those names are not there.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

# Those of the extras in pyproject.toml, except ``testing``; packages of ``dev`` and ``docs``, too.
BLOCKED = ("grpc", "google.protobuf", "pyroute2", "dnslib", "rich", "uvloop", "kubernetes_validate")
NOT_ON_MACOS = {
    "os": ("setns", "unshare", "pidfd_open", "memfd_create", "eventfd", "sched_setaffinity"),
    "select": ("epoll",),
    "signal": ("SIGRTMIN", "pidfd_send_signal"),
    "socket": ("AF_NETLINK", "AF_PACKET", "AF_VSOCK", "SO_PEERCRED", "SO_BINDTODEVICE"),
}
PRELUDE = f"""
import importlib, os, select, signal, socket, sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if any(name == each or name.startswith(each + ".") for each in {BLOCKED!r}):
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Absent())
for module, names in {NOT_ON_MACOS!r}.items():
    for name in names:
        if hasattr(sys.modules[module], name):
            delattr(sys.modules[module], name)
"""
# Pods of a Deployment run on fake nodes, and end.
LIFE = """
from trireme.api.core.v1.pod.pod import Pod
from trireme.api.core.v1.pod.container import Container
from trireme.api.core.v1.pod.spec import PodSpec
from trireme.machinery.meta import ObjectMeta
from trireme.testing import cluster, virtual

async def life(env):
    async with cluster.running(env, nodes=2) as it:
        await it.advance(10)
        await it.client.create(
            Pod(
                metadata=ObjectMeta(name="web", namespace="default"),
                spec=PodSpec(containers=[Container(name="web", image="example.org/web:1")]),
            )
        )
        await it.advance(60)
        print((await it.client.get(Pod, "web", "default")).status.phase)

virtual.run(life, seed=1)
"""


def python(program: str, *args: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", PRELUDE + program, *args],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=60,
    )


def trireme(*args: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return python("from trireme.cluster.main import main; main()", *args, cwd=cwd)


def test_a_command_that_needs_more_says_what_to_install(tmp_path: Path) -> None:
    listed = trireme("--help")
    assert listed.returncode == 0, listed.stderr
    assert "Not installed: needs trireme[cluster]." in listed.stdout
    refused = trireme("status", "--whatever", cwd=tmp_path)
    assert refused.returncode == 1
    assert refused.stderr == (
        "Error: this needs the library rich; install it with: pip install 'trireme[cluster]'\n"
    )


@pytest.mark.parametrize("command", ["apiserver", "controllers", "scheduler", "kubeconfig"])
def test_components_without_nodes_need_nothing_more(command: str) -> None:
    shown = trireme(command, "--help")
    assert shown.returncode == 0, shown.stderr
    assert "Not installed" not in shown.stdout


def test_a_cluster_lives_in_a_test() -> None:
    lived = python(LIFE)
    assert lived.returncode == 0, lived.stderr
    assert lived.stdout == "Running\n"
