"""Removing cgroups while the runtime and the kernel remove them, too."""

from __future__ import annotations

import asyncio
import errno
import os
import signal
import subprocess
from pathlib import Path

import pytest

from trireme.kit.clock import RealClock
from trireme.kit.env import Env
from trireme.kubelet.cgroups import apply
from trireme.kubelet.cgroups.apply import KernelCgroups
from trireme.kubelet.cgroups.plan import Limits
from trireme.testing import virtual


def group(tmp_path: Path) -> Path:
    """A directory that looks like a pod's cgroup with two containers."""
    pod = tmp_path / "pod1"
    for name in ("a", "b"):
        (pod / name).mkdir(parents=True)
    return pod


@pytest.mark.parametrize("number", [errno.ENODEV, errno.ENOENT])
async def test_a_group_that_goes_meanwhile_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    pod = group(tmp_path)

    def processes(folder: str) -> list[int]:
        if folder.endswith("/a"):
            os.rmdir(folder)
            raise OSError(number, os.strerror(number), folder)
        return []

    monkeypatch.setattr(apply, "_processes", processes)
    await KernelCgroups(RealClock(), {"": str(tmp_path)}).remove("/pod1")
    assert not pod.exists()


@virtual.test()
async def test_a_busy_group_is_waited_for_and_then_told(
    env: Env, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = 3

    def processes(folder: str) -> list[int]:
        nonlocal left
        left -= 1
        if left > 0:
            raise OSError(errno.EBUSY, "busy", folder)
        return []

    monkeypatch.setattr(apply, "_processes", processes)
    cgroups = KernelCgroups(env.clock, {"": str(tmp_path)})
    pod = group(tmp_path)
    await cgroups.remove("/pod1")
    assert not pod.exists()
    left = 10_000
    group(tmp_path)
    with pytest.raises(OSError, match="busy"):
        await cgroups.remove("/pod1")


async def test_what_never_was_is_removed(tmp_path: Path) -> None:
    await KernelCgroups(RealClock(), {"": str(tmp_path)}).remove("/pod1")


def test_a_process_of_another_namespace_is_not_killed(tmp_path: Path) -> None:
    """The kernel shows it as 0, which would mean this very process group."""
    (tmp_path / "cgroup.procs").write_text("0\n17\n0\n")
    assert apply._processes(str(tmp_path)) == [17]


@pytest.mark.skipif(os.geteuid() != 0, reason="cgroups need root")
def test_the_kernels_own_groups_go_with_their_processes() -> None:
    try:
        cgroups = apply.detect(RealClock())
        cgroups.ensure("/trireme-test-cgroups/podx", Limits())
    except OSError as error:
        pytest.skip(f"no cgroups here: {error}")
    roots = list(cgroups._roots.values())
    sleeping = subprocess.Popen(["sleep", "1000"])
    try:
        for root in roots:
            path = f"{root}/trireme-test-cgroups/podx/cgroup.procs"
            Path(path).write_text(str(sleeping.pid))
        asyncio.run(cgroups.remove("/trireme-test-cgroups"))
        assert sleeping.wait(5) == -signal.SIGKILL
        assert not any(os.path.exists(f"{root}/trireme-test-cgroups") for root in roots)
    finally:
        sleeping.kill()
        sleeping.wait()
