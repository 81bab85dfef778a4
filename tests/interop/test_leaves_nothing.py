"""After `down` the host is as it was before, wherever the start was cut off."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from trireme.cluster.hosts import spawn, teardown
from trireme.testing import host_state

pytestmark = [
    pytest.mark.interop,
    pytest.mark.skipif(os.geteuid() != 0, reason="nodes are made by root"),
]

NAME = "t-crash"

# Starts a cluster and kills itself, without warning, right after the stage that it is told.
MAKER = """
import asyncio, os, signal, sys
from trireme.cluster.hosts import cgroups, containerd, local, network, spawn
from trireme.cluster.images import build, load, recipes
from trireme.testing.pods_on_hosts import PodRunner

STAGES = {
    "switch": (network, "make_netns"),
    "host link": (network, "_host"),
    "first node": (network, "_node"),
    "network": (network, "create"),
    "cgroup": (cgroups, "create"),
    "process": (os, "posix_spawn"),
    "first containerd": (containerd, "start"),
}

def die():
    os.kill(os.getpid(), signal.SIGKILL)

def after(module, name):
    real = getattr(module, name)
    def call(*args, **kwargs):
        real(*args, **kwargs)
        die()
    setattr(module, name, call)

async def main(stage):
    if stage in STAGES:
        after(*STAGES[stage])
    hosts = local.LocalHosts("t-crash", 2)
    await hosts.start()
    hosts.spawn(["sleep", "1000"], "control")
    if stage == "nodes":
        die()
    archive = build.build(recipes.bundled())
    await load.load_built(archive, [node.containerd_socket for node in hosts.nodes])
    for node in hosts.nodes:
        async with PodRunner(node) as runner:
            for number in range(3):
                await runner.run(f"pod-{number}", "trap '' TERM; while true; do sleep 1; done")
                if stage == "first pod":
                    die()
    if stage == "never":
        await hosts.stop()
    else:
        die()

asyncio.run(main(sys.argv[1]))
"""

STAGES = [
    "switch",
    "host link",
    "first node",
    "network",
    "cgroup",
    "process",
    "first containerd",
    "nodes",
    "first pod",
    "pods",
    "never",
]


@pytest.fixture
def before():
    teardown.teardown(NAME)
    yield host_state.snapshot()
    teardown.teardown(NAME)


def make_until(stage: str) -> None:
    done = subprocess.run([sys.executable, "-c", MAKER, stage], capture_output=True, timeout=60)
    expected = 0 if stage == "never" else -9
    assert done.returncode == expected, done.stderr.decode()


@pytest.mark.parametrize("stage", STAGES)
def test_a_start_cut_off_after(stage, before):
    make_until(stage)
    assert host_state.diff(before, host_state.snapshot()) or stage == "never"
    teardown.teardown(NAME)
    assert host_state.diff(before, host_state.snapshot()) == []


def test_without_any_record(before):
    """The marks suffice: plan and records of processes are gone."""
    make_until("pods")
    Path(f"/var/lib/trireme/{NAME}/hosts.json").unlink()
    shutil.rmtree(f"/run/trireme/{NAME}/processes")
    assert NAME in teardown.clusters()
    teardown.teardown(NAME)
    assert host_state.diff(before, host_state.snapshot()) == []


def test_a_process_that_left_its_cgroup_is_found_by_its_namespace(before):
    make_until("nodes")
    netns = f"/run/trireme/{NAME}/netns/node-0"
    script = f"nsenter --net={netns} sleep 1000 >/dev/null 2>&1 & echo $!"
    stray = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True)
    assert Path(f"/proc/{stray.stdout.strip()}").exists()
    teardown.teardown(NAME)
    assert spawn.ended(int(stray.stdout))
    assert host_state.diff(before, host_state.snapshot()) == []


def test_a_mount_of_the_users_own_files_is_taken_off_and_not_emptied(before, tmp_path):
    make_until("nodes")
    (tmp_path / "precious").write_text("data")
    target = Path(f"/var/lib/trireme/{NAME}/node-0/volume with blanks")
    target.mkdir()
    subprocess.run(["mount", "--bind", str(tmp_path), str(target)], check=True)
    teardown.teardown(NAME)
    assert (tmp_path / "precious").read_text() == "data"
    assert host_state.diff(before, host_state.snapshot()) == []


def test_nothing_there_is_fine(before):
    removed = teardown.teardown(NAME)
    assert (removed.processes, removed.mounts, removed.namespaces) == (0, 0, 0)
    assert host_state.diff(before, host_state.snapshot()) == []
