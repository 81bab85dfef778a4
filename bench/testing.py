"""What a cluster in a test costs: `python bench/testing.py`. Each row has its budget beside it.

Out: one line a measure. The first row runs in a process of its own, imports included.
"""

from __future__ import annotations

import gc
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

FIRST = """
import time
began = time.perf_counter()
from trireme.testing import SyncCluster
with SyncCluster() as cluster:
    print(time.perf_counter() - began)
"""


def main() -> None:
    from trireme.testing import Behaviour, SyncCluster
    from trireme.testing.loops import Driver

    first = min(float(_python(FIRST)) for _ in range(3))
    _row("first cluster, with import", first, 0.5, "s")
    with SyncCluster() as cluster:
        _row("a fork", _best(cluster.fork, 5), 0.020, "s")
        _row("a snapshot", _best(cluster.snapshot, 5), 0.005, "s")
        _row("create and delete a ConfigMap, by client", 1 / _crud(cluster), 10_000, "writes/s")
        _row("Deployment of 3 ready", _best(lambda: _deploy(cluster), 5), 0.020, "s")
        _row("an idle day", _best(lambda: cluster.advance("1d"), 3), 0.1, "s")
    driver = Driver()
    with SyncCluster(driver=driver) as cluster:
        gc.collect()
        before = _memory()
        began = time.perf_counter()
        for _ in range(100):
            cluster.fork()
        _row("100 clusters at once, each", (time.perf_counter() - began) / 100, 0.020, "s")
        gc.collect()
        _row("their memory, each", (_memory() - before) / 100 / 1e6, 10, "MB")
    driver.close()
    with SyncCluster(
        nodes=5,
        behave=lambda c, _: Behaviour(run_seconds=30.0 if "backup" in c.image.image else None),
    ) as cluster:
        for number in range(20):
            cluster.apply(_deployment(f"web-{number}", 1))
        for number in range(10):
            cluster.apply(_cron_job(f"night-{number}", f"{number} 3 * * *"))
        began = time.perf_counter()
        cluster.advance("31d")
        _row("31 days: 10 nightly CronJobs, 20 Deployments", time.perf_counter() - began, 1, "s")


def _crud(cluster: Any) -> float:
    """Seconds for one write."""
    from trireme.api.core import v1 as core
    from trireme.machinery import meta

    async def work() -> None:
        for number in range(1000):
            name = f"item-{number}"
            metadata = meta.ObjectMeta(name=name, namespace="default")
            await cluster.aio.client.create(core.ConfigMap(metadata=metadata))
            await cluster.aio.client.delete(core.ConfigMap, name, "default")

    return _best(lambda: cluster._driver.run(work()), 3) / 2000


_count = 0


def _deploy(cluster: Any) -> None:
    global _count
    _count += 1
    cluster.apply(_deployment(f"app-{_count}", 3))
    cluster.wait("Deployment", f"app-{_count}", "condition=Available")


def _deployment(name: str, replicas: int) -> dict[str, Any]:
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": name}},
            "template": {
                "metadata": {"labels": {"app": name}},
                "spec": {"containers": [{"name": "main", "image": "web:1"}]},
            },
        },
    }


def _cron_job(name: str, schedule: str) -> dict[str, Any]:
    pod = {"restartPolicy": "Never", "containers": [{"name": "main", "image": "backup:1"}]}
    return {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": {"name": name},
        "spec": {"schedule": schedule, "jobTemplate": {"spec": {"template": {"spec": pod}}}},
    }


def _best(work: Callable[[], Any], times: int) -> float:
    taken = []
    for _ in range(times):
        began = time.perf_counter()
        work()
        taken.append(time.perf_counter() - began)
    return min(taken)


def _memory() -> int:
    """What this process holds, in bytes."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


def _python(program: str) -> str:
    return subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    ).stdout


def _row(what: str, value: float, budget: float, unit: str) -> None:
    print(f"{what:50} {value:10.4g} {unit:9} budget {budget:g}", flush=True)


if __name__ == "__main__":
    main()
