"""The supervisor of a local cluster: forks components, monitors and restarts them.

It runs no event loop, no thread and no gRPC: it forks and it waits. What is imported when it forks
a component starts in milliseconds and shares the memory of it; else the component imports it. A
component that ends, or hangs, is restarted with a growing backoff. Components outlive the
supervisor: the next one finds them by their records and adopts them.
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
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from trireme.cluster.heartbeat import Heartbeat, HeartbeatMonitor
from trireme.cluster.hosts import enter, spawn
from trireme.cluster.hosts.spawn import Running
from trireme.cluster.settings import Settings
from trireme.kit import netns

Started = Callable[[], None]
Main = Callable[[Started], Coroutine[Any, Any, None]]

FIRST_PAUSE = 0.1
LONGEST_PAUSE = 10.0
# A component that ran this long has recovered: its backoff is reset.
STEADY = 60.0
READY_TIMEOUT = 60.0
# Seconds between checks of the components, and calls of ``check``.
LOOK = 1.0
# Seconds between SIGABRT and SIGKILL for a hung component.
ABORT_GRACE = 2.0


@dataclass(frozen=True)
class Component:
    """A process of the cluster. ``main`` runs in the child, on an event loop of its own. Of the
    parent's ``sockets`` it has these."""

    name: str
    main: Main
    log: str
    netns_path: str = ""
    cgroup_procs: tuple[str, ...] = ()
    sockets: tuple[socket.socket, ...] = ()


@dataclass
class _State:
    """The state of a component. ``handle`` is a pidfd, -1 while it does not run."""

    component: Component
    monitor: HeartbeatMonitor
    pid: int = 0
    handle: int = -1
    since: float = 0.0
    pause: float = FIRST_PAUSE
    due: float = 0.0
    killed_at: float = 0.0
    # The end of a pipe that is closed once the component outlives its parent; -1: it does.
    bound: int = -1
    final: bool = False


@dataclass
class Supervisor:
    """Starts components and keeps them running until SIGTERM or SIGINT.

    ``check`` is called about once a second, for what is watched in other ways (containerd).
    ``sockets`` are held for components that use them.
    """

    cluster: Settings
    check: Callable[[], None] = lambda: None
    sockets: tuple[socket.socket, ...] = ()
    look: float = LOOK
    _states: dict[str, _State] = field(default_factory=dict)
    _looked: float = 0.0
    _log: logging.Logger = field(default_factory=lambda: logging.getLogger("trireme.supervisor"))

    def start(self, component: Component) -> None:
        """Adopt a component that runs, or fork it; returns at once."""
        monitor = HeartbeatMonitor(self.cluster.heartbeat(component.name))
        state = self._states.setdefault(component.name, _State(component, monitor))
        if not self._adopt(state):
            self._fork(state)

    def stop(self, name: str) -> None:
        """Kill a component for good; its record goes with its end."""
        state = self._states.get(name)
        if state is not None:
            state.final = True
            _send(state, signal.SIGKILL)

    def runs(self, name: str) -> bool:
        """Whether it is a component that is kept running, or that has not ended yet."""
        return name in self._states

    def wait(self, name: str) -> None:
        """Return when a component reports that it has started, or after a minute."""
        end = time.monotonic() + READY_TIMEOUT
        mark = self.cluster.mark(name)
        while not mark.exists() and time.monotonic() < end:
            self._turn()
            time.sleep(0.002)

    def release(self) -> None:
        """Return once this process may end without its components."""
        for state in self._states.values():
            if state.bound >= 0:
                os.read(state.bound, 1)
                os.close(state.bound)
                state.bound = -1

    def run(self) -> None:
        """Watch until SIGTERM or SIGINT; then end the components in reverse order."""
        ending: list[int] = []
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda got, _frame: ending.append(got))
        reader, writer = os.pipe()
        os.set_blocking(writer, False)
        signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
        while not ending:
            self._sleep(reader)
            self._turn()
        self.end()

    def end(self, grace: float = 2.0) -> None:
        """End every component: SIGTERM, then SIGKILL after ``grace`` seconds."""
        states = list(reversed(self._states.values()))
        for how, patience in ((signal.SIGTERM, grace), (signal.SIGKILL, 1.0)):
            for state in states:
                _send(state, how)
            end = time.monotonic() + patience
            while any(state.pid for state in states) and time.monotonic() < end:
                self._reap()
                time.sleep(0.005)

    def _turn(self) -> None:
        """One round: reap, restart, check."""
        self._reap()
        self._restart_due()
        if time.monotonic() - self._looked >= self.look:
            self._looked = time.monotonic()
            self._end_hung()
            self.check()

    def _sleep(self, reader: int) -> None:
        """Until a component ends, a signal arrives, a backoff is over, or a check is due."""
        poll = select.poll()
        poll.register(reader, select.POLLIN)
        for state in self._states.values():
            if state.pid:
                poll.register(state.handle, select.POLLIN)
        due = [state.due for state in self._states.values() if not state.pid]
        until = min([self._looked + self.look, *due])
        if any(ready == reader for ready, _ in poll.poll(max(until - time.monotonic(), 0) * 1000)):
            os.read(reader, 4096)

    def _adopt(self, state: _State) -> bool:
        """Adopt a component that an earlier supervisor started, if it runs."""
        records = spawn.records(self.cluster.records_dir)
        record = next((one for one in records if one.name == state.component.name), None)
        if record is None or not spawn.alive(record):
            return False
        try:
            handle = os.pidfd_open(record.pid)
        except ProcessLookupError:
            return False
        if not spawn.alive(record):
            # Between the two looks another process could have come by its number.
            os.close(handle)
            return False
        self._log.info("%s runs already (%s)", record.name, record.pid)
        state.pid, state.handle, state.since = record.pid, handle, time.monotonic()
        return True

    def _fork(self, state: _State) -> None:
        component = state.component
        self.cluster.mark(component.name).unlink(missing_ok=True)
        self.cluster.heartbeat(component.name).unlink(missing_ok=True)
        Path(component.log).parent.mkdir(parents=True, exist_ok=True)
        parent = os.getpid()
        bound, binding = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.close(bound)
            for held in self.sockets:
                # It would hold them beyond the end of all others.
                if held not in component.sockets:
                    held.close()
            _become(component, self.cluster, parent, binding)
        os.close(binding)
        if state.bound >= 0:
            os.close(state.bound)
        state.bound = bound
        state.pid, state.handle, state.since = pid, os.pidfd_open(pid), time.monotonic()
        state.monitor = HeartbeatMonitor(self.cluster.heartbeat(component.name))
        state.killed_at = 0.0

    def _reap(self) -> None:
        for state in list(self._states.values()):
            if state.pid and _is_readable(state.handle):
                self._ended(state)
            if state.final and not state.pid:
                del self._states[state.component.name]
                spawn.drop_record(self.cluster.records_dir, state.component.name)
                self.cluster.mark(state.component.name).unlink(missing_ok=True)

    def _ended(self, state: _State) -> None:
        how = "ended"
        # One that was adopted is another process's child.
        with contextlib.suppress(ChildProcessError):
            _, status = os.waitpid(state.pid, 0)
            how = f"ended with {os.waitstatus_to_exitcode(status)}"
        os.close(state.handle)
        now = time.monotonic()
        if now - state.since > STEADY:
            state.pause = FIRST_PAUSE
        state.pid, state.handle, state.due = 0, -1, now + state.pause
        if state.final:
            return
        self._log.warning(
            "%s %s; starting it again in %.1f s", state.component.name, how, state.pause
        )
        state.pause = min(state.pause * 2, LONGEST_PAUSE)

    def _restart_due(self) -> None:
        now = time.monotonic()
        for state in self._states.values():
            if state.pid == 0 and state.due <= now and not state.final:
                self._fork(state)

    def _end_hung(self) -> None:
        """Kill a hung component; SIGABRT makes it log the stacks of its threads first."""
        now = time.monotonic()
        for state in self._states.values():
            if not state.pid:
                continue
            if state.killed_at:
                if now - state.killed_at >= ABORT_GRACE:
                    _send(state, signal.SIGKILL)
            elif state.monitor.is_hung():
                self._log.error("%s is hung; ending it", state.component.name)
                _send(state, signal.SIGABRT)
                state.killed_at = now


def _send(state: _State, how: signal.Signals) -> None:
    if state.pid:
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(state.handle, how)


def _is_readable(handle: int) -> bool:
    poll = select.poll()
    poll.register(handle, select.POLLIN)
    return bool(poll.poll(0))


def _become(component: Component, cluster: Settings, parent: int, binding: int) -> None:
    """In the child: enter its namespace and cgroup, run its main, and exit. ``binding`` is closed
    once it outlives its parent."""
    code = 1
    try:
        import faulthandler

        # Until it is recorded no other supervisor could find it.
        enter.die_with_parent()
        if os.getppid() != parent:
            os._exit(1)
        enter.set_process_name(component.name)
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_DFL)
        for entry in component.cgroup_procs:
            Path(entry).write_text("0")
        if component.netns_path:
            netns.enter(component.netns_path)
        append = os.open(component.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        os.dup2(append, 1)
        os.dup2(append, 2)
        pid = os.getpid()
        argv = ("trireme", component.name)
        spawn.record(
            cluster.records_dir,
            Running(component.name, pid, spawn.started_at(pid), argv, component.log),
        )
        enter.outlive_parent()
        os.close(binding)
        # SIGABRT writes every thread's stack into the log.
        faulthandler.enable(2)
        gc.enable()
        # Imported before the fork, or only here: the supervisor itself is to be small.
        import uvloop

        uvloop.run(_run(component, cluster))
        code = 0
    except BaseException as error:
        logging.getLogger("trireme").exception("%s failed", component.name)
        _report(error, cluster.failure(component.name))
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _report(error: BaseException, failure: Path) -> None:
    """Write an expected error to the file that ``up`` reads."""
    from trireme.cluster.user_errors import expected

    known = expected(error)
    if known is not None:
        # It is looked for all the time, and read once.
        part = failure.with_name(f"{failure.name}.part")
        part.write_text(str(known))
        part.replace(failure)


async def _run(component: Component, cluster: Settings) -> None:
    """Run until the main ends or SIGTERM cancels it."""
    import asyncio

    def started() -> None:
        cluster.failure(component.name).unlink(missing_ok=True)
        cluster.mark(component.name).touch()

    loop = asyncio.get_running_loop()
    own_heartbeat = loop.create_task(Heartbeat(cluster.heartbeat(component.name)).run())
    task = loop.create_task(component.main(started))
    loop.add_signal_handler(signal.SIGTERM, task.cancel)
    try:
        with contextlib.suppress(asyncio.CancelledError):
            await task
    finally:
        own_heartbeat.cancel()


def warm() -> None:
    """Before the first fork: exclude present objects from collections, so that pages stay
    shared."""
    gc.collect()
    gc.disable()
    gc.freeze()
