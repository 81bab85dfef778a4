"""Which component runs in which process, and what it is told: the local topology.

``start_supervisor`` forks the process that owns all others: it starts the API server, waits until
it is ready, then the controllers and the scheduler, and on each node containerd, kubelet, proxy and
DNS. ``component`` runs a single one in the foreground for ``trireme apiserver`` and its sisters.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable
from pathlib import Path

from trireme.cluster import compose
from trireme.cluster.hosts import cgroups, containerd, names, spawn
from trireme.cluster.hosts.local import LocalHosts
from trireme.cluster.hosts.plan import NodePlan, Places
from trireme.cluster.processes import Member, Supervisor, inside, warm
from trireme.cluster.settings import NodeSettings, Settings

SUPERVISOR = "supervisor"


def start_supervisor(cluster: Settings) -> None:
    """Fork the supervisor, a session of its own, and return at once."""
    for folder in (cluster.ready_dir, Path(cluster.state_dir, "logs")):
        folder.mkdir(parents=True, exist_ok=True)
    for mark in cluster.ready_dir.iterdir():
        mark.unlink()
    log = cluster.log_file(SUPERVISOR)
    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    if pid:
        os.waitpid(pid, 0)
        return
    # Twice, so that the supervisor is nobody's child and the caller reaps nothing later.
    os.setsid()
    if os.fork():
        os._exit(0)
    code = 1
    try:
        _detach(log)
        _supervise(cluster)
        code = 0
    except BaseException:
        logging.getLogger("trireme").exception("the supervisor failed")
    finally:
        os._exit(code)


def _detach(log: str) -> None:
    with open(os.devnull) as nothing:
        os.dup2(nothing.fileno(), 0)
    append = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.dup2(append, 1)
    os.dup2(append, 2)
    os.chdir("/")
    logging.basicConfig(
        level=logging.INFO,
        format="%(asctime)s %(levelname).1s %(name)s: %(message)s",
        stream=sys.stderr,
        force=True,
    )


def _supervise(cluster: Settings) -> None:
    spawn.record(
        cluster.records_dir,
        spawn.Running(
            SUPERVISOR,
            os.getpid(),
            spawn.started_at(os.getpid()),
            ("trireme", SUPERVISOR),
            cluster.log_file(SUPERVISOR),
        ),
    )
    layout = cgroups.probe() if cluster.nodes else None
    if layout is not None:
        _join(layout, names.cgroup(cluster.name, "control-plane"))
    compose.import_all(nodes=bool(cluster.nodes))
    warm()
    runtimes = Runtimes(cluster, layout) if layout is not None else None
    supervisor = Supervisor(
        cluster.records_dir, cluster.ready_dir, runtimes.tend if runtimes else lambda: None
    )
    supervisor.start(Member("apiserver", compose.api_server(cluster), _log(cluster, "apiserver")))
    if runtimes is not None:
        runtimes.tend()
    supervisor.wait("apiserver")
    supervisor.tend()
    for name, main in (
        ("controllers", compose.controllers(cluster)),
        ("scheduler", compose.scheduler(cluster)),
    ):
        supervisor.start(Member(name, main, _log(cluster, name)))
    for node in cluster.nodes:
        assert layout is not None
        group = f"{node.cgroup}/runtime"
        cgroups.create(layout, group)
        entries = tuple(cgroups.entries(layout, group))
        for part, make in (
            ("kubelet", compose.kubelet),
            ("proxy", compose.proxy),
            ("dns", compose.dns),
        ):
            name = f"{part}.{node.name}"
            with inside(node.netns_path):
                main = make(cluster, node)
            supervisor.start(Member(name, main, _log(cluster, name), node.netns_path, entries))
    supervisor.run()


def _log(cluster: Settings, component: str) -> str:
    return cluster.log_file(component)


def _join(layout: cgroups.Layout, group: str) -> None:
    cgroups.create(layout, group)
    for entry in cgroups.entries(layout, group):
        Path(entry).write_text("0")


class Runtimes:
    """The containerds of the nodes: started when they do not run, adopted when they do."""

    def __init__(self, cluster: Settings, layout: cgroups.Layout) -> None:
        self._cluster = cluster
        self._layout = layout
        places = Places(
            state=str(Path(cluster.state_dir).parent), run=str(Path(cluster.run_dir).parent)
        )
        hosts = LocalHosts(cluster.name, len(cluster.nodes), places=places)
        self._nodes = hosts.plan().nodes
        self._facts = containerd.probe(cluster.state_dir)
        self._log = logging.getLogger("trireme.supervisor")

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


def component(cluster: Settings, name: str) -> Callable[[NodeSettings | None], object]:
    """The composition of a single component, for running it alone in the foreground."""
    table = {
        "apiserver": lambda _node: compose.api_server(cluster),
        "controllers": lambda _node: compose.controllers(cluster),
        "scheduler": lambda _node: compose.scheduler(cluster),
        "kubelet": lambda node: compose.kubelet(cluster, node),
        "proxy": lambda node: compose.proxy(cluster, node),
        "dns": lambda node: compose.dns(cluster, node),
    }
    return table[name]
