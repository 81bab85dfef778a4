"""Which component runs in which process, and what it is told: the local topology.

``prepare`` imports what the API server needs; ``supervise`` is the life of the process that owns
all others: it starts the API server, and meanwhile imports the rest; once the API server is ready
it starts DNS on each node, the controllers and the scheduler, then each node's kubelet and proxy.
Containerd runs beside them: started, never ended.
Called by ``guardian``, in the process that it forks.
"""

from __future__ import annotations

import logging
import os
import time
from pathlib import Path

from trireme.cluster import compose, guardian
from trireme.cluster.hosts import cgroups, containerd, enter, kept, spawn
from trireme.cluster.hosts.plan import NodePlan
from trireme.cluster.pki import Keys
from trireme.cluster.processes import Main, Member, Supervisor, warm
from trireme.cluster.settings import NodeSettings, Settings
from trireme.dns.sockets import Held, Pair

# A node, the name of a component on it, and the component.
Part = tuple[NodeSettings, str, Main]


def prepare() -> None:
    """Import what the first member needs. It knows nothing of the cluster yet."""
    compose.import_api_server()


def supervise(cluster: Settings, held: Held) -> None:
    """Start all processes and keep them running until SIGTERM. ``held``: for each node the sockets
    of its DNS server."""
    enter.call_itself(guardian.SUPERVISOR)
    # Left by a supervisor that was killed: applications run, and may be waiting.
    again = (cluster.ready_dir / "apiserver").exists()
    for mark in ("apiserver", "controllers", "scheduler"):
        (cluster.ready_dir / mark).unlink(missing_ok=True)
    runtimes = Runtimes(cluster) if cluster.nodes else None
    watch = _Guardian(cluster, held)

    def tend() -> None:
        watch.tend()
        if runtimes is not None:
            runtimes.tend()

    supervisor = Supervisor(cluster.records_dir, cluster.ready_dir, tend)
    warm()
    supervisor.start(
        Member("apiserver", compose.api_server(cluster), cluster.log_file("apiserver"))
    )
    if runtimes is not None:
        runtimes.tend()
    compose.import_rest(nodes=bool(cluster.nodes))
    Keys(cluster.pki_dir).make_controllers(time.time())
    warm()
    supervisor.wait("apiserver")
    supervisor.tend()
    servers = [_dns(cluster, node, pair) for node, pair in zip(cluster.nodes, held, strict=True)]
    if runtimes is not None:
        _start(supervisor, cluster, runtimes, servers)
    if again:
        for _, part, _ in servers:
            supervisor.wait(part)
    for name, main in (
        ("controllers", compose.controllers(cluster)),
        ("scheduler", compose.scheduler(cluster)),
    ):
        supervisor.start(Member(name, main, cluster.log_file(name)))
    if runtimes is not None:
        _start(supervisor, cluster, runtimes, _of_nodes(cluster))
    supervisor.run()


def _dns(cluster: Settings, node: NodeSettings, pair: Pair) -> Part:
    return node, f"dns.{node.name}", compose.dns(cluster, node, (pair,))


def _of_nodes(cluster: Settings) -> list[Part]:
    made = (("kubelet", compose.kubelet), ("proxy", compose.proxy))
    return [
        (node, f"{part}.{node.name}", make(cluster, node))
        for node in cluster.nodes
        for part, make in made
    ]


def _start(
    supervisor: Supervisor, cluster: Settings, runtimes: Runtimes, parts: list[Part]
) -> None:
    """Start parts of nodes, each in its node's network and cgroup."""
    for node, name, main in parts:
        log, entries = cluster.log_file(name), runtimes.entries(node)
        supervisor.start(Member(name, main, log, node.netns_path, entries))


class _Guardian:
    """The guardian as the supervisor sees it: started again when it has ended."""

    def __init__(self, cluster: Settings, held: Held) -> None:
        self._cluster = cluster
        self._held = held
        records = spawn.records(cluster.records_dir)
        self._running = next(one for one in records if one.name == guardian.GUARDIAN)

    def tend(self) -> None:
        if not spawn.alive(self._running):
            logging.getLogger("trireme.supervisor").warning("the guardian ended; starting another")
            self._running = guardian.again(self._cluster, self._held, os.getpid())


class Runtimes:
    """The containerds of the nodes: started when they do not run, adopted when they do."""

    def __init__(self, cluster: Settings) -> None:
        self._cluster = cluster
        self._layout = cgroups.probe()
        plan = kept.read(cluster.state_dir)
        assert plan is not None, "the network was made before"
        self._nodes = plan.nodes
        self._facts = containerd.probe(cluster.state_dir)
        self._log = logging.getLogger("trireme.supervisor")

    def entries(self, node: NodeSettings) -> tuple[str, ...]:
        """Where a process of the node puts itself into the node's cgroup."""
        group = f"{node.cgroup}/runtime"
        cgroups.create(self._layout, group)
        return tuple(cgroups.entries(self._layout, group))

    def tend(self) -> None:
        """Start what does not run. Called about once a second."""
        running = {record.name: record for record in spawn.records(self._cluster.records_dir)}
        for node in self._nodes:
            name = f"containerd.{node.name}"
            ready = self._cluster.ready_dir / name
            record = running.get(name)
            if record is None or not spawn.alive(record):
                self._log.info("starting %s", name)
                ready.unlink(missing_ok=True)
                # One that a killed containerd left would pass for the new one's.
                Path(node.containerd_socket).unlink(missing_ok=True)
                self._start(node)
            elif not ready.exists() and Path(node.containerd_socket).exists():
                ready.touch()

    def _start(self, node: NodePlan) -> None:
        try:
            containerd.start(node, self._facts, self._layout, records=self._cluster.records_dir)
        except spawn.SpawnFailed as fault:
            self._log.error("containerd of %s: %s", node.name, fault)
