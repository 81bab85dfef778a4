"""Bring a local cluster up: the steps of ``trireme up``.

In: the options of the user. Out: running processes, and the cluster's settings in its state folder.
The processes are forked first, before there is an event loop or a thread, and import modules while
``provision.prepare`` makes network and keys; then they start, and ``readiness.finish`` waits.
"""

from __future__ import annotations

import gc
import os
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from trireme.cluster import guardian, lock, settings
from trireme.cluster.hosts import spawn
from trireme.cluster.hosts.plan import Places
from trireme.cluster.settings import Settings
from trireme.cluster.user_error import UserError
from trireme.kit import preload

if TYPE_CHECKING:
    from trireme.cli.stages import Stages


class UpOptions(msgspec.Struct, frozen=True, kw_only=True):
    """The options of the user. ``port`` 0: the first free one from 6443 on. ``outside``: networks
    beyond the host that nodes and pods may reach, as CIDRs. ``max_nodes`` 0: no more than
    ``nodes``. ``unneeded_time``: the seconds after which a node that is not needed goes.
    ``control_planes`` 0: as many as it has, one at first.
    ``kube_apiserver_args``: flags of the API server; without any, those of the last ``up``."""

    name: str = settings.DEFAULT_NAME
    nodes: int = 2
    max_nodes: int = 0
    unneeded_time: float = 600.0
    control_plane_only: bool = False
    datastore: str = ""
    control_planes: int = 0
    port: int = 0
    outside: tuple[str, ...] = ()
    kube_apiserver_args: tuple[str, ...] = ()


class CannotStart(UserError):
    """The cluster cannot start; the text has the reason and the remedy."""


def up(options: UpOptions, made_stages: Callable[[], Stages]) -> tuple[Settings, bool]:
    """Bring the cluster up; returns its settings and whether it was running already.

    ``made_stages`` is called once the processes are forked: what shows stages is not theirs.
    """
    places = default_places()
    # Excluded from the children's collections, so that they share these pages.
    gc.freeze()
    with lock.held(options.name, places):
        kept = settings.load(options.name, places)
        if kept is not None and _runs(kept):
            if options.kube_apiserver_args not in ((), kept.kube_apiserver_args):
                raise CannotStart(
                    f"cluster {options.name} runs already, with other flags of the API server: "
                    "they can be changed after 'trireme down'"
                )
            return kept, _go_on(kept, made_stages())
        with closing(guardian.launch(options.name, places)) as launched:
            from trireme.cluster import provision

            stages = made_stages()
            made = provision.prepare(options, kept, places, stages)
            _clear(made)
            launched.go()
        import asyncio

        preload.aiohttp()
        from trireme.cluster import readiness

        asyncio.run(readiness.finish(made, stages))
        return made, False


def _go_on(cluster: Settings, stages: Stages) -> bool:
    """Wait for running processes; returns whether an earlier ``up`` had finished."""
    import asyncio

    from trireme.cluster import readiness

    if cluster.finished_file.exists():
        asyncio.run(readiness.wait(cluster, stages))
        return True
    # It was interrupted after it had started the processes.
    asyncio.run(readiness.finish(cluster, stages))
    return False


def default_places() -> Places:
    """Where clusters live: the system's folders for root, the user's own otherwise."""
    if os.geteuid() == 0:
        return Places()
    home = Path.home()
    state = os.environ.get("XDG_STATE_HOME") or str(home / ".local/state")
    run = os.environ.get("XDG_RUNTIME_DIR") or str(home / ".local/state/trireme-run")
    return Places(state=f"{state}/trireme", run=f"{run}/trireme")


def _runs(cluster: Settings) -> bool:
    """Whether the supervisor or the guardian runs."""
    return any(
        process.name in (guardian.GUARDIAN, guardian.SUPERVISOR) and spawn.alive(process)
        for process in spawn.records(cluster.records_dir)
    )


def _clear(cluster: Settings) -> None:
    """Remove the readiness files of earlier processes."""
    for folder in (cluster.ready_dir, Path(cluster.state_dir, "logs")):
        folder.mkdir(parents=True, exist_ok=True)
    # Components that outlived guardian and supervisor are adopted.
    running = {one.name for one in spawn.records(cluster.records_dir) if spawn.alive(one)}
    for mark in cluster.ready_dir.iterdir():
        if mark.name not in running:
            mark.unlink()
