"""Remove a local cluster: as root by its marks on the host, otherwise by its records."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
from pathlib import Path

from trireme.cluster import guardian, lock, settings
from trireme.cluster.hosts import spawn, teardown
from trireme.cluster.hosts.plan import Places


def down(name: str, places: Places, *, root: bool) -> str:
    """Remove the cluster; returns a text that lists what was removed. No error if there is none.

    Raises lock.Busy while ``up`` is at work on it.
    """
    with lock.held(name, places):
        return _down(name, places, root=root)


def _down(name: str, places: Places, *, root: bool) -> str:
    kept = settings.load(name, places)
    processes = 0
    if kept is not None:
        running = [item for item in spawn.records(kept.records_dir) if spawn.alive(item)]
        processes = len(running)
        if not root or not kept.nodes:
            # Nothing of it is in a cgroup of ours: the guardian ends the supervisor, that its
            # components.
            asyncio.run(_end(running, kept.records_dir))
    if root:
        removed = teardown.teardown(name, places)
        processes = max(processes, removed.processes)
        return f"{processes} processes, {removed.mounts} mounts, {removed.namespaces} namespaces"
    for folder in (Path(places.state, name), Path(places.run, name)):
        if folder.exists():
            shutil.rmtree(folder)
        # Gone only if no other cluster keeps anything there.
        with contextlib.suppress(OSError):
            folder.parent.rmdir()
    return f"{processes} processes"


async def _end(running: list[spawn.Running], folder: str) -> None:
    first = (guardian.GUARDIAN, guardian.SUPERVISOR)
    running.sort(key=lambda item: first.index(item.name) if item.name in first else len(first))
    for process in running:
        await spawn.stop(process, grace=3.0, folder=folder)
