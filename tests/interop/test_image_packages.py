"""Images made of the distribution's packages run as they are, whatever service they are of."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.interop.real_node import RealNode
from tests.kubelet.harness import container, pod
from trireme.api.core import v1 as core
from trireme.cluster.images import load

pytestmark = [
    pytest.mark.interop,
    pytest.mark.skipif(os.geteuid() != 0, reason="containers need root"),
    pytest.mark.skipif(shutil.which("apt-get") is None, reason="no Debian packages here"),
]


async def build(tmp_path: Path, image: str, *arguments: str) -> Path:
    """As a user does it."""
    archive = tmp_path / "image.tar"
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "trireme.cluster.main", "image", "build", image, *arguments),
        *("-o", str(archive)),
        stderr=subprocess.PIPE,
    )
    _, errors = await process.communicate()
    if b"Failed to fetch" in errors or b"Unable to locate package" in errors:
        pytest.skip(f"the distribution's archive is out of reach: {errors.decode()[:200]}")
    assert process.returncode == 0, errors.decode()
    return archive


def mountinfo() -> str:
    return Path("/proc/self/mountinfo").read_text()


async def test_nginx_serves(node: RealNode, tmp_path: Path) -> None:
    before = mountinfo()
    archive = await build(
        tmp_path,
        *("web:1", "--package", "nginx-light"),
        *("--entrypoint", "nginx", "--cmd", "-g", "--cmd", "daemon off;"),
    )
    assert mountinfo() == before
    await load.load(archive, [node.containerd_socket])
    probe = core.Probe(
        httpGet=core.HTTPGetAction(path="/", port=80, scheme="HTTP"),
        timeoutSeconds=1,
        periodSeconds=1,
        successThreshold=1,
        failureThreshold=30,
    )
    await node.api.put(pod("web", container("main", image="web:1", readinessProbe=probe)))
    await node.until(lambda: node.ready("web"), 30)
    result = await node.runtime.exec_sync(
        node.container("web").containerID.removeprefix("containerd://"),
        ["sh", "-c", "ps -e -o user= -o comm= 2>/dev/null || cat /proc/[0-9]*/comm; id www-data"],
        5,
    )
    assert b"nginx" in result.stdout and b"uid=33(www-data)" in result.stdout
