"""The local topology: which component runs in which process, with which settings.

``prepare`` imports the API server's modules; ``supervise`` runs in the parent of all other
processes: it starts the API server, and meanwhile imports the rest; once the API server is ready it
starts DNS on each node, the controllers and the scheduler, then each node's kubelet and proxy.
containerd runs beside them: it is started, and outlives the supervisor.
Called by ``guardian``, in the process that it forks.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import socket
import time
from pathlib import Path
from typing import NamedTuple

from trireme.cluster import compose, guardian
from trireme.cluster.heartbeat import Heartbeat, HeartbeatMonitor, RuntimeMonitor
from trireme.cluster.hosts import cgroups, containerd, enter, saved_plan, shims, spawn
from trireme.cluster.hosts.plan import NodePlan
from trireme.cluster.pki import Keys
from trireme.cluster.processes import Component, Main, Supervisor, warm
from trireme.cluster.settings import NodeSettings, Settings
from trireme.dns.sockets import Held


class Part(NamedTuple):
    """A component on a node, and the sockets that are held for it."""

    node: NodeSettings
    name: str
    main: Main
    sockets: tuple[socket.socket, ...] = ()


def prepare() -> None:
    """Import the modules of the API server. Independent of the cluster's settings."""
    compose.import_api_server()


def supervise(cluster: Settings, held: Held) -> None:
    """Start all processes and keep them running until SIGTERM. ``held``: for each node the sockets
    of its DNS server."""
    enter.set_process_name(guardian.SUPERVISOR)
    # An earlier supervisor was killed: applications run, and need their components soon.
    again = cluster.mark("apiserver").exists()
    runtimes = Runtimes(cluster) if cluster.nodes else None
    watch = _Guardian(cluster, held)

    own_heartbeat = Heartbeat(cluster.heartbeat(guardian.SUPERVISOR))

    def check() -> None:
        own_heartbeat.beat()
        watch.check()
        if runtimes is not None:
            runtimes.check()

    supervisor = Supervisor(cluster, check, tuple(one for pair in held for one in pair))
    warm()
    supervisor.start(
        Component("apiserver", compose.api_server(cluster), cluster.log_file("apiserver"))
    )
    if runtimes is not None:
        runtimes.check()
    compose.import_rest(nodes=bool(cluster.nodes))
    Keys(cluster.pki_dir).make_controllers(time.time())
    warm()
    supervisor.wait("apiserver")
    servers = [
        Part(node, f"dns.{node.name}", compose.dns(cluster, node, (pair,)), pair)
        for node, pair in zip(cluster.nodes, held, strict=True)
    ]
    if runtimes is not None:
        _start(supervisor, cluster, runtimes, servers)
    if again:
        for part in servers:
            supervisor.wait(part.name)
    for name, main in (
        ("controllers", compose.controllers(cluster)),
        ("scheduler", compose.scheduler(cluster)),
    ):
        supervisor.start(Component(name, main, cluster.log_file(name)))
    if runtimes is not None:
        _start(supervisor, cluster, runtimes, _of_nodes(cluster))
    supervisor.run()


def _of_nodes(cluster: Settings) -> list[Part]:
    made = (("kubelet", compose.kubelet), ("proxy", compose.proxy))
    return [
        Part(node, f"{part}.{node.name}", make(cluster, node))
        for node in cluster.nodes
        for part, make in made
    ]


def _start(
    supervisor: Supervisor, cluster: Settings, runtimes: Runtimes, parts: list[Part]
) -> None:
    """Start parts of nodes, each in its node's network and cgroup."""
    for node, name, main, sockets in parts:
        log, entries = cluster.log_file(name), runtimes.entries(node)
        supervisor.start(Component(name, main, log, node.netns_path, entries, sockets))


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


class Runtimes:
    """The containerds of the nodes: started, or adopted when they run already."""

    def __init__(self, cluster: Settings) -> None:
        self._cluster = cluster
        self._layout = cgroups.probe()
        plan = saved_plan.read(cluster.state_dir)
        assert plan is not None, "the network was made before"
        self._nodes = plan.nodes
        self._facts = containerd.probe(cluster.state_dir)
        self._log = logging.getLogger("trireme.supervisor")
        self._runtime_monitors: dict[str, RuntimeMonitor] = {}
        self._shims = {node.name: shims.Watch(node) for node in plan.nodes}

    def entries(self, node: NodeSettings) -> tuple[str, ...]:
        """The cgroup.procs files by which a process enters the node's cgroup."""
        group = f"{node.cgroup}/runtime"
        cgroups.create(self._layout, group)
        return tuple(cgroups.entries(self._layout, group))

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
