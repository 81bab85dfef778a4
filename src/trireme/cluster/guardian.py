"""The guardian of a local cluster: the process that restarts the supervisor when it ends.

In: a cluster's name and places, from ``up``. Out: two processes. The supervisor keeps all
others running (``topology``); the guardian only holds the DNS servers' sockets, in which queries
wait while all processes restart. Each of the two monitors the other, so that either may be killed.

``launch`` forks both early in ``up``, and the fork server, which starts the others: ``up`` makes
network and keys while that imports. All wait for ``Launched.go``. This module imports little, as
its memory stays in use for as long as the cluster runs.
"""

from __future__ import annotations

import contextlib
import gc
import logging
import os
import select
import signal
import socket
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import NoReturn

from trireme.cluster import settings
from trireme.cluster.heartbeat import Heartbeat, HeartbeatMonitor
from trireme.cluster.hosts import cgroups, enter, names, spawn
from trireme.cluster.hosts.plan import Places
from trireme.cluster.settings import Settings
from trireme.dns import sockets
from trireme.kit import netns

GUARDIAN, SUPERVISOR = "guardian", "supervisor"
DNS_PORT = 53
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 10.0
# A supervisor that ran this long has recovered: its backoff is reset.
STEADY = 60.0
# Seconds between checks of the supervisor.
LOOK = 1.0
_GO = b"go"


class Launched:
    """The two processes, waiting for ``go``."""

    def __init__(self, order: socket.socket) -> None:
        self._order = order

    def go(self) -> None:
        """Let them start; settings are saved and the network exists."""
        self._order.send(_GO)
        self._order.close()

    def close(self) -> None:
        """End them, unless they were started."""
        self._order.close()


def launch(name: str, places: Places) -> Launched:
    """Fork the guardian, a session of its own, and through it the supervisor; returns at once."""
    order, waiting = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    if pid:
        waiting.close()
        os.waitpid(pid, 0)
        return Launched(order)
    # A double fork, so that the guardian is not the caller's child.
    order.close()
    os.setsid()
    if os.fork():
        os._exit(0)
    _process(lambda: _begin(name, places, waiting))


def relaunch(cluster: Settings, held: sockets.Held, supervisor: int) -> spawn.Running:
    """Fork a guardian in place of one that ended. Called by the supervisor."""
    pid = os.fork()
    if pid == 0:
        _process(lambda: _Watch(cluster, held, supervisor).run())
    return _running(cluster, GUARDIAN, pid)


def _detach(log: str) -> None:
    """Standard input from /dev/null, output and errors into a log."""
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


def _join(cluster: Settings) -> None:
    """Enter the cluster's own cgroup, by which `down` finds what runs. Nothing without nodes."""
    if not cluster.nodes:
        return
    layout, group = cgroups.probe(), names.cgroup(cluster.name, "control-plane")
    cgroups.create(layout, group)
    for entry in cgroups.entries(layout, group):
        with open(entry, "w") as file:
            file.write("0")


def _process(work: Callable[[], None]) -> NoReturn:
    """In a forked child: run with default signal handlers, then exit."""
    code = 1
    try:
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD):
            signal.signal(number, signal.SIG_DFL)
        work()
        code = 0
    except BaseException:
        logging.getLogger("trireme").exception("the processes' parent failed")
    finally:
        sys.stderr.flush()
        os._exit(code)


def _begin(name: str, places: Places, waiting: socket.socket) -> None:
    pid, order = _fork(partial(_supervisor, name, places), waiting)
    if waiting.recv(16) != _GO:
        return
    waiting.close()
    cluster = settings.load(name, places)
    assert cluster is not None, "the settings were saved before"
    _detach(cluster.log_file(SUPERVISOR))
    _join(cluster)
    held = _bound(cluster)
    watch = _Watch(cluster, held, pid)
    _send_go(order, held)
    watch.run()


def _bound(cluster: Settings) -> sockets.Held:
    # DNS servers that outlived both the guardian and the supervisor hold the only copies of their
    # sockets: they are killed, and the supervisor starts others.
    for record in spawn.records(cluster.records_dir):
        if record.name.startswith("dns.") and spawn.alive(record):
            _kill(record)
    held = []
    for node in cluster.nodes:
        with netns.inside(node.netns_path):
            held.append(sockets.bind(node.ip, DNS_PORT))
    return tuple(held)


def _kill(record: spawn.Running) -> None:
    with contextlib.suppress(ProcessLookupError):
        handle = os.pidfd_open(record.pid)
        try:
            if spawn.alive(record):
                signal.pidfd_send_signal(handle, signal.SIGKILL)
                select.select([handle], [], [])
        finally:
            os.close(handle)


def _fork(
    work: Callable[[socket.socket], None], *closed: socket.socket
) -> tuple[int, socket.socket]:
    """A process that does ``work`` with a socket on which it waits for ``go`` (``_send_go``)."""
    order, waiting = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    pid = os.fork()
    if pid == 0:
        for end in (order, *closed):
            end.close()
        _process(lambda: work(waiting))
    waiting.close()
    return pid, order


def _send_go(order: socket.socket, held: sockets.Held) -> None:
    """Let a process start, and pass it the sockets of the DNS servers."""
    order.send(_GO)
    # A message for each node: a single one carries no more than some 250 sockets.
    for pair in held:
        socket.send_fds(order, [b"dns"], [one.fileno() for one in pair])
    order.close()


def _supervisor(name: str, places: Places, waiting: socket.socket) -> None:
    fork_server, order = _fork(partial(_fork_server, name, places, os.getpid()), waiting)
    begun = _started(name, places, waiting)
    if begun is None:
        return
    cluster, held = begun
    spawn.record(cluster.records_dir, _running(cluster, SUPERVISOR, os.getpid()))
    # One that has failed has closed its end, and is missed soon.
    with contextlib.suppress(OSError):
        _send_go(order, held)
    from trireme.cluster import topology

    topology.supervise(cluster, held, fork_server)


def _fork_server(name: str, places: Places, parent: int, waiting: socket.socket) -> None:
    enter.die_with_parent()
    if os.getppid() != parent:
        return
    # Collections while modules are imported find nothing and cost a tenth of the time.
    gc.disable()
    from trireme.cluster import topology

    topology.prepare()
    begun = _started(name, places, waiting)
    if begun is not None:
        topology.start_all(*begun)


def _started(
    name: str, places: Places, waiting: socket.socket
) -> tuple[Settings, sockets.Held] | None:
    """Wait for ``go``; the settings, and the sockets of the DNS servers. None when it does not
    come."""
    if waiting.recv(16) != _GO:
        return None
    cluster = settings.load(name, places)
    assert cluster is not None, "the settings were saved before"
    held = tuple(_received(waiting) for _ in cluster.nodes)
    waiting.close()
    _detach(cluster.log_file(SUPERVISOR))
    _join(cluster)
    return cluster, held


def _received(waiting: socket.socket) -> sockets.Pair:
    _, numbers, _, _ = socket.recv_fds(waiting, 16, 2)
    for number in numbers:
        # As all of Python's own are; a container runtime would hold them beyond our end.
        os.set_inheritable(number, False)
    datagrams, listener = (socket.socket(fileno=number) for number in numbers)
    return datagrams, listener


def _running(cluster: Settings, name: str, pid: int) -> spawn.Running:
    """The record of a process, for ``status`` and ``down``."""
    log = cluster.log_file(SUPERVISOR)
    return spawn.Running(name, pid, spawn.started_at(pid), ("trireme", name), log)


class _Watch:
    """The guardian's loop: wait for the supervisor's end, start another one."""

    def __init__(self, cluster: Settings, held: sockets.Held, supervisor: int) -> None:
        self._cluster = cluster
        self._held = held
        self._pid = supervisor
        self._ending = False
        self._log = logging.getLogger("trireme.guardian")
        enter.set_process_name(GUARDIAN)
        # Components that outlive their supervisor are reaped here.
        enter.reap_orphans()
        self._heartbeat = Heartbeat(cluster.heartbeat(GUARDIAN))
        spawn.record(cluster.records_dir, _running(cluster, GUARDIAN, os.getpid()))
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._end)

    def run(self) -> None:
        """Until SIGTERM, which ends the supervisor, too."""
        pause = FIRST_PAUSE
        while True:
            began = time.monotonic()
            self._wait()
            if self._ending:
                return
            if time.monotonic() - began > STEADY:
                pause = FIRST_PAUSE
            self._log.warning("the supervisor ended; starting it again in %.1f s", pause)
            time.sleep(pause)
            if self._ending:
                return
            pause = min(pause * 2, LONGEST_PAUSE)
            # It gets the sockets by ``_send_go``; a second copy would outlive it in its components.
            held = (one for pair in self._held for one in pair)
            again = partial(_supervisor, self._cluster.name, _places(self._cluster))
            self._pid, order = _fork(again, *held)
            # A supervisor that fails at once has closed its end; the next turn sees it ended.
            with contextlib.suppress(OSError):
                _send_go(order, self._held)

    def _wait(self) -> None:
        """Until the supervisor ends; a hung one is killed."""
        monitor = HeartbeatMonitor(self._cluster.heartbeat(SUPERVISOR))
        with contextlib.suppress(ProcessLookupError):
            handle = os.pidfd_open(self._pid)
            try:
                while not select.select([handle], [], [], LOOK)[0]:
                    self._heartbeat.beat()
                    _reap()
                    if monitor.is_hung():
                        self._log.error("the supervisor is hung; ending it")
                        signal.pidfd_send_signal(handle, signal.SIGKILL)
            finally:
                os.close(handle)
        _reap()

    def _end(self, *_: object) -> None:
        self._ending = True
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._pid, signal.SIGTERM)


def _reap() -> None:
    """Children that have ended: a supervisor, or components that it left."""
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def _places(cluster: Settings) -> Places:
    return Places(state=os.path.dirname(cluster.state_dir), run=os.path.dirname(cluster.run_dir))
