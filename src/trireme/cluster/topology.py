"""The local topology: which component runs in which process, with which settings.

``supervise`` runs in the process that keeps all others running. It imports next to nothing, as it
stays; its child, the fork server (``prepare``, ``start_all``), imports all once and forks the
components, so that they start in milliseconds and share memory, and ends. It starts the API server,
the controllers and the scheduler, which wait for that, and meanwhile imports what nodes need; once
the API server is ready it starts DNS on each node, then each node's kubelet and proxy. The
supervisor finds them by their records; what ends later it forks itself, and that imports what it
needs. containerd runs beside them: it is started, and outlives the supervisor. Called by
``guardian``, in processes that it forks.
"""

from __future__ import annotations

import contextlib
import logging
import os
import select
import signal
import socket
import time
from collections.abc import Callable
from pathlib import Path

from trireme.cluster import guardian
from trireme.cluster.heartbeat import Heartbeat, HeartbeatMonitor, RuntimeMonitor
from trireme.cluster.hosts import cgroups, containerd, enter, saved_plan, shims, spawn
from trireme.cluster.hosts.plan import NodePlan
from trireme.cluster.local_cloud import group_state
from trireme.cluster.processes import Component, Main, Started, Supervisor, warm
from trireme.cluster.settings import NodeSettings, Settings
from trireme.dns.sockets import Held

FORK_SERVER = "forkserver"
# Of each node, beside its runtime and the DNS server.
PARTS = ("kubelet", "proxy")
# Seconds between checks while the fork server works.
LOOK = 0.5
# Seconds between looks whether the API server has started.
POLL = 0.005


def prepare() -> None:
    """Import the modules of the API server. Independent of the cluster's settings."""
    from trireme.cluster import compose

    compose.import_api_server()


def start_all(cluster: Settings, held: Held) -> None:
    """Start all components, each if it does not run; returns once they outlive this process."""
    from trireme.cluster import compose
    from trireme.cluster.pki import Keys

    enter.set_process_name(FORK_SERVER)
    # An earlier supervisor was killed: applications run, and need their components soon.
    again = cluster.mark(cluster.api).exists()
    supervisor = Supervisor(cluster, Heartbeat(cluster.heartbeat(FORK_SERVER)).beat, _sockets(held))
    of_nodes = _of_nodes(cluster, held)
    warm()
    for item in _api(cluster):
        supervisor.start(item)
    compose.import_controllers()
    Keys(cluster.pki_dir).make_controllers(time.time())
    warm()
    # They wait for the API server; what follows is no part of their memory.
    for item in _managers(cluster):
        supervisor.start(item)
    if cluster.nodes:
        compose.import_nodes()
        warm()
    supervisor.wait(cluster.api)
    servers = [item for item in of_nodes if item.sockets]
    for item in servers:
        supervisor.start(item)
    if again:
        for item in servers:
            supervisor.wait(item.name)
    for item in of_nodes:
        if item not in servers:
            supervisor.start(item)
    supervisor.release()


def supervise(cluster: Settings, held: Held, fork_server: int) -> None:
    """Keep all processes running until SIGTERM. ``held``: for each node the sockets of its DNS
    server. ``fork_server``: the process that starts them, a child."""
    enter.set_process_name(guardian.SUPERVISOR)
    runtimes = Runtimes(cluster) if cluster.nodes else None
    watch = _Guardian(cluster, held)
    own_heartbeat = Heartbeat(cluster.heartbeat(guardian.SUPERVISOR))
    group: NodeGroup | None = None

    def check() -> None:
        own_heartbeat.beat()
        watch.check()
        if group is not None:
            group.check()
        if runtimes is not None:
            runtimes.check()

    _until_ended(fork_server, HeartbeatMonitor(cluster.heartbeat(FORK_SERVER)), check)
    supervisor = Supervisor(cluster, check, _sockets(held))
    for component in _components(cluster, held):
        supervisor.start(component)
    if runtimes is not None and cluster.scales:
        group = NodeGroup(supervisor, cluster, runtimes)
    supervisor.run()


def _until_ended(pid: int, monitor: HeartbeatMonitor, check: Callable[[], None]) -> None:
    """Until the fork server ends; one that hangs is killed, with what it has not released."""
    handle = os.pidfd_open(pid)
    try:
        check()
        while not select.select([handle], [], [], LOOK)[0]:
            check()
            if monitor.is_hung():
                signal.pidfd_send_signal(handle, signal.SIGKILL)
        os.waitpid(pid, 0)
    finally:
        os.close(handle)


def _sockets(held: Held) -> tuple[socket.socket, ...]:
    return tuple(one for pair in held for one in pair)


def _components(cluster: Settings, held: Held) -> list[Component]:
    """All components in the order in which they start."""
    return [*_api(cluster), *_managers(cluster), *_of_nodes(cluster, held)]


def _api(cluster: Settings) -> list[Component]:
    """What answers requests: members of etcd, API servers, and what is in front of several."""

    def made(name: str, make: str, *more: object) -> Component:
        return Component(name, _main(make, cluster, *more), cluster.log_file(name))

    count = cluster.control_planes
    return [
        *(
            made(f"etcd-{number}", "etcd_member", number)
            for number in range(len(cluster.etcd_ports))
        ),
        *(made(_numbered("apiserver", number), "api_server", number) for number in range(count)),
        *([made("front", "front")] if cluster.servers else []),
    ]


def _managers(cluster: Settings) -> list[Component]:
    """Controllers and scheduler of each control plane, which wait for the API."""

    def follows(part: str, number: int) -> Component:
        name = _numbered(part, number)
        main = _once_there(cluster.mark(cluster.api), _main(part, cluster, number))
        return Component(name, main, cluster.log_file(name))

    return [
        follows(part, number)
        for number in range(cluster.control_planes)
        for part in ("controllers", "scheduler")
    ]


def _of_nodes(cluster: Settings, held: Held) -> list[Component]:
    nodes = zip(cluster.nodes, held, strict=True)
    return [
        *(_of_node(cluster, node, "dns", *pair) for node, pair in nodes),
        *(_of_node(cluster, node, part) for node in cluster.nodes for part in PARTS),
    ]


def _numbered(part: str, number: int) -> str:
    """The name of a part of a control plane; the first has no number."""
    return f"{part}-{number}" if number else part


def _of_node(cluster: Settings, node: NodeSettings, part: str, *pair: socket.socket) -> Component:
    """A component in its node's network and cgroup."""
    name = f"{part}.{node.name}"
    main = _main(part, cluster, node, *(((pair,),) if pair else ()))
    log, entries = cluster.log_file(name), runtime_entries(node)
    return Component(name, main, log, node.netns_path, entries, pair)


def _main(make: str, *settings: object) -> Main:
    """What ``compose.<make>`` gives for these settings; it is made in the process that runs it, as
    the supervisor is to be small."""

    async def main(started: Started) -> None:
        from trireme.cluster import compose

        makes: Callable[..., Main] = getattr(compose, make)
        await makes(*settings)(started)

    return main


def _once_there(mark: Path, main: Main) -> Main:
    """``main``, once another component has started."""

    async def waiting(started: Started) -> None:
        import asyncio

        while not mark.exists():  # noqa: ASYNC110, ASYNC240
            await asyncio.sleep(POLL)
        await main(started)

    return waiting


def runtime_entries(node: NodeSettings) -> tuple[str, ...]:
    """The cgroup.procs files by which a process enters the node's cgroup."""
    layout, group = cgroups.probe(), f"{node.cgroup}/runtime"
    cgroups.create(layout, group)
    return tuple(cgroups.entries(layout, group))


class _Guardian:
    """Monitors the guardian, and restarts it when it ended."""

    def __init__(self, cluster: Settings, held: Held) -> None:
        self._cluster = cluster
        self._held = held
        records = spawn.records(cluster.records_dir)
        self._running = next(one for one in records if one.name == guardian.GUARDIAN)
        self._monitor = HeartbeatMonitor(cluster.heartbeat(guardian.GUARDIAN))
        self._log = logging.getLogger("trireme.supervisor")

    def check(self) -> None:
        if self._monitor.is_hung():
            self._log.error("the guardian is hung; ending it")
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._running.pid, signal.SIGKILL)
        if not spawn.alive(self._running):
            self._log.warning("the guardian ended; starting another")
            self._running = guardian.relaunch(self._cluster, self._held, os.getpid())
            self._monitor = HeartbeatMonitor(self._cluster.heartbeat(guardian.GUARDIAN))


class NodeGroup:
    """The nodes that join and leave while the cluster runs, as ``group_state`` has them: a runtime
    where there is a network, kubelet and proxy where there are keys."""

    def __init__(self, supervisor: Supervisor, cluster: Settings, runtimes: Runtimes) -> None:
        self._supervisor = supervisor
        self._cluster = cluster
        self._runtimes = runtimes
        self._desired: tuple[NodePlan, ...] = ()
        self._read_at = 0.0

    def check(self) -> None:
        """Start and stop what has changed. Called about once a second."""
        self._read()
        names = {node.name for node in self._desired}
        for node in self._runtimes.joined():
            if node.name not in names:
                self._leave(node)
        for node in self._desired:
            if Path(node.netns_path).exists():
                self._runtimes.add(node)
                if self._cluster.kubelet_key(node.name).exists():
                    self._join(node)

    def _read(self) -> None:
        with contextlib.suppress(FileNotFoundError):
            written = group_state.path(self._cluster.state_dir).stat().st_mtime
            if written != self._read_at:
                self._read_at = written
                self._desired = group_state.read(self._cluster.state_dir).nodes

    def _join(self, node: NodePlan) -> None:
        cluster = self._cluster.with_node(node)
        for part in PARTS:
            if not self._supervisor.runs(f"{part}.{node.name}"):
                self._supervisor.start(_of_node(cluster, cluster.nodes[-1], part))

    def _leave(self, node: NodePlan) -> None:
        for part in PARTS:
            self._supervisor.stop(f"{part}.{node.name}")
        self._runtimes.remove(node)


class Runtimes:
    """The containerds of the nodes: started, or adopted when they run already."""

    def __init__(self, cluster: Settings) -> None:
        self._cluster = cluster
        self._layout = cgroups.probe()
        plan = saved_plan.read(cluster.state_dir)
        assert plan is not None, "the network was made before"
        self._nodes = list(plan.nodes)
        self._fixed = {node.name for node in plan.nodes}
        self._facts = containerd.probe(cluster.state_dir)
        self._log = logging.getLogger("trireme.supervisor")
        self._runtime_monitors: dict[str, RuntimeMonitor] = {}
        self._shims = {node.name: shims.Watch(node) for node in plan.nodes}

    def joined(self) -> list[NodePlan]:
        """The nodes that were added."""
        return [node for node in self._nodes if node.name not in self._fixed]

    def add(self, node: NodePlan) -> None:
        """A node has joined; its containerd is started by the next check."""
        if node not in self._nodes:
            self._nodes.append(node)
            self._shims[node.name] = shims.Watch(node)

    def remove(self, node: NodePlan) -> None:
        """A node has left: kill its containerd."""
        self._nodes.remove(node)
        del self._shims[node.name]
        name = f"containerd.{node.name}"
        for record in spawn.records(self._cluster.records_dir):
            if record.name == name and spawn.alive(record):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(record.pid, signal.SIGKILL)
        self._runtime_monitors.pop(name, None)
        (self._cluster.ready_dir / name).unlink(missing_ok=True)
        spawn.drop_record(self._cluster.records_dir, name)

    def check(self) -> None:
        """Start those that do not run, kill those that are hung. Called about once a second."""
        running = {record.name: record for record in spawn.records(self._cluster.records_dir)}
        for node in self._nodes:
            name = f"containerd.{node.name}"
            ready = self._cluster.ready_dir / name
            record = running.get(name)
            if record is None or not spawn.alive(record):
                self._log.info("starting %s", name)
                ready.unlink(missing_ok=True)
                # The socket of a killed containerd would be taken for that of the new one.
                Path(node.containerd_socket).unlink(missing_ok=True)
                self._runtime_monitors[name] = RuntimeMonitor(node.containerd_socket)
                self._start(node)
                continue
            if not ready.exists() and Path(node.containerd_socket).exists():
                ready.touch()
            monitor = self._runtime_monitors.setdefault(
                name, RuntimeMonitor(node.containerd_socket)
            )
            if monitor.is_hung():
                self._log.error("%s is hung; ending it", name)
                with contextlib.suppress(ProcessLookupError):
                    os.kill(record.pid, signal.SIGKILL)
            for pid in self._shims[node.name].look():
                self._log.warning("%s had lost the shim %s; it is ended", name, pid)

    def _start(self, node: NodePlan) -> None:
        try:
            containerd.start(node, self._facts, self._layout, records=self._cluster.records_dir)
        except spawn.SpawnFailed as error:
            self._log.error("containerd of %s: %s", node.name, error)
