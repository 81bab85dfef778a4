"""A whole cluster's figures: ``python bench/cluster.py [--write] [--pods N]``, as root.

Runs ``trireme up`` twice (the second is timed: images are made by then), with ``examples/hello``;
then the memory and processor time that its processes use while nothing happens; then pods made one
after another: from their creation to Running and to Ready; then ``down``.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from pathlib import Path

import results
import subjects
from results import Row

from trireme.api.core.v1.namespace import Namespace
from trireme.api.core.v1.pod.container import Container
from trireme.api.core.v1.pod.pod import Pod
from trireme.api.core.v1.pod.spec import PodSpec
from trireme.client.client import Client
from trireme.cluster import access, settings, usage
from trireme.cluster.hosts import spawn
from trireme.cluster.settings import Settings
from trireme.cluster.up import default_places
from trireme.machinery import errors
from trireme.machinery.meta import ObjectMeta

NAME = "bench"
EXAMPLE = Path(__file__).parents[1] / "examples" / "hello"
TRIREME = (sys.executable, "-m", "trireme.cluster.main")
SPACE = "measured"
# The supervisor starts what ends, the guardian the supervisor; they are counted although they tend
# the nodes as well.
CONTROL_PLANE = ("apiserver", "controllers", "scheduler", "supervisor", "guardian")
STABLE_SECONDS, WATCHED, PATIENCE = 15.0, 30.0, 120.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--write", action="store_true", help="put the rows into RESULTS.md")
    parser.add_argument("--pods", type=int, default=30, help="how many pods are timed")
    options = parser.parse_args()
    busy = os.getloadavg()[0]
    subjects.compiled()
    try:
        _trireme("up")
        _trireme("down")
        rows = asyncio.run(_measured_up())
        rows += _idle()
        rows += asyncio.run(_pods(options.pods))
    finally:
        took = _trireme("down")
    rows.append(Row("`down`", "s", took, 3.0))
    results.show(rows, busy, write=options.write)


def _trireme(*words: str) -> float:
    """Run a command; how long it took."""
    began = time.monotonic()
    done = subprocess.run(
        [*TRIREME, *words, "--name", NAME], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(f"trireme {' '.join(words)}: {done.stdout}{done.stderr}")
    return time.monotonic() - began


def _settings() -> Settings | None:
    return settings.load(NAME, default_places())


async def _measured_up() -> list[Row]:
    """The second ``up``: seen from outside, from the start of its process."""
    began = time.monotonic()
    command = [*TRIREME, "up", "--name", NAME, "--example", str(EXAMPLE)]
    up = await asyncio.create_subprocess_exec(
        *command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    async with asyncio.timeout(PATIENCE):
        await _when(_configured)
        cluster = _settings()
        assert cluster is not None
        async with access.admin(cluster) as client:
            await _when(lambda: _ready(client))
            ready = time.monotonic() - began
            await _when(lambda: _runs(client))
            running = time.monotonic() - began
        _, error_output = await up.communicate()
    whole = time.monotonic() - began
    if up.returncode:
        raise SystemExit(error_output.decode())
    return [
        Row("second `up`: API ready", "s", ready, 1.5),
        Row("second `up`: first container running", "s", running, 5.0),
        Row("second `up`: example answers, command done", "s", whole),
    ]


async def _when(holds: Callable[[], Awaitable[bool]]) -> None:
    """Ask again and again: what is measured is when others first could."""
    while not await holds():  # noqa: ASYNC110
        await asyncio.sleep(0.01)


async def _configured() -> bool:
    cluster = _settings()
    return cluster is not None and cluster.kubeconfig.exists()


async def _ready(client: Client) -> bool:
    try:
        await client.raw("GET", "/readyz")
    except (errors.ApiError, OSError):
        return False
    return True


async def _runs(client: Client) -> bool:
    """Whether a container of the example runs."""
    listed = await client.list(Pod, "hello")
    return any(
        status.state is not None and status.state.running is not None
        for pod in listed.items
        for status in pod.status.containerStatuses
    )


def _idle() -> list[Row]:
    """Memory and processor time of the cluster's processes while nothing is asked of it."""
    cluster = _settings()
    assert cluster is not None
    time.sleep(STABLE_SECONDS)
    processes = {item.name: item.pid for item in spawn.records(cluster.records_dir)}
    before = {name: _nanoseconds(pid) for name, pid in processes.items()}
    time.sleep(WATCHED)
    rows: list[Row] = []
    memory = cores = 0.0
    for name, pid in sorted(processes.items()):
        share = (_nanoseconds(pid) - before[name]) / 1e9 / WATCHED * 100
        used = usage.of(pid)
        if used is None:
            raise SystemExit(f"{name} ended while nothing was asked of it")
        rows.append(Row(f"idle: {name} (PSS)", "MB", used.pss / 1e6))
        rows.append(Row(f"idle: {name} (CPU)", "% of a core", share))
        if name in CONTROL_PLANE:
            memory += used.pss / 1e6
            cores += share
    return [
        Row("idle: whole control plane (PSS)", "MB", memory, 140.0),
        Row("idle: whole control plane (CPU)", "% of a core", cores, 2.0),
        *rows,
    ]


def _nanoseconds(pid: int) -> int:
    """The processor time of a process: /proc/PID/stat counts in hundredths of a second only."""
    threads = Path(f"/proc/{pid}/task").glob("*/schedstat")
    return sum(int(thread.read_text().split()[0]) for thread in threads)


async def _pods(count: int) -> list[Row]:
    """Medians of pods made one after another, with an image that is there."""
    cluster = _settings()
    assert cluster is not None
    async with access.admin(cluster) as client:
        await client.create(Namespace(metadata=ObjectMeta(name=SPACE)))
        running, ready = [], []
        for number in range(count):
            took = await _one_pod(client, f"p-{number}")
            running.append(took[0])
            ready.append(took[1])
    return [
        Row(f"Pod created → Running, median of {count}", "s", statistics.median(running), 1.0),
        Row(f"Pod created → Ready, median of {count}", "s", statistics.median(ready), 0.35),
    ]


async def _one_pod(client: Client, name: str) -> tuple[float, float]:
    container = Container(name="c", image="busybox:stable", command=["sleep", "3600"])
    spec = PodSpec(containers=[container], terminationGracePeriodSeconds=0)
    pod = Pod(metadata=ObjectMeta(name=name, namespace=SPACE), spec=spec)
    began = time.monotonic()
    for _ in range(100):
        try:
            made = await client.create(pod)
            break
        except errors.ApiError as error:
            # The namespace's service account is a moment younger than the namespace.
            if not errors.is_forbidden(error):
                raise
            await asyncio.sleep(0.02)
            began = time.monotonic()
    running = 0.0
    async with asyncio.timeout(PATIENCE):
        watching = client.watch(
            Pod, SPACE, made.metadata.resourceVersion, field_selector=f"metadata.name={name}"
        )
        async with aclosing(watching) as events:
            async for event in events:
                status = event.object.status
                if status.phase == "Running" and not running:
                    running = time.monotonic() - began
                if any(one.type == "Ready" and one.status == "True" for one in status.conditions):
                    break
    ready = time.monotonic() - began
    await client.delete(Pod, name, SPACE)
    return running, ready


if __name__ == "__main__":
    main()
