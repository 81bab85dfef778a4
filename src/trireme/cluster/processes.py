"""The processes of a local cluster: forked from one warmed parent, watched, started again.

The parent has imported a component before it forks it, so that a child starts in milliseconds and
shares its memory. It runs no event loop, no thread and no gRPC: it forks and it waits. A member
that ends, or hangs, is started again with a growing pause. Members outlive the parent: the one that
the guardian starts in its place finds them by their records and adopts them.
"""

from __future__ import annotations

import asyncio
import contextlib
import faulthandler
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

import uvloop

from trireme.cluster.heartbeat import Heart, Pulse
from trireme.cluster.hosts import enter, spawn
from trireme.cluster.hosts.spawn import Running
from trireme.cluster.settings import Settings
from trireme.kit import netns

Started = Callable[[], None]
Main = Callable[[Started], Coroutine[Any, Any, None]]

FIRST_PAUSE = 0.1
LONGEST_PAUSE = 10.0
# A member that ran this long has recovered: its pause begins anew.
STEADY = 60.0
READY_TIMEOUT = 60.0
# How often members are looked at, and ``tend`` is called.
LOOK = 1.0
# After a request to say where it hangs and to end, in seconds.
ABORT_GRACE = 2.0


@dataclass(frozen=True)
class Member:
    """A process of the cluster. ``main`` runs in the child, on an event loop of its own. Of the
    parent's ``sockets`` it has these."""

    name: str
    main: Main
    log: str
    netns_path: str = ""
    cgroup_procs: tuple[str, ...] = ()
    sockets: tuple[socket.socket, ...] = ()


@dataclass
class _Life:
    """What the parent knows of a member. ``handle`` is a pidfd, -1 while it does not run."""

    member: Member
    pulse: Pulse
    pid: int = 0
    handle: int = -1
    since: float = 0.0
    pause: float = FIRST_PAUSE
    due: float = 0.0
    killed_at: float = 0.0


@dataclass
class Supervisor:
    """Starts members and keeps them running until it is told to end.

    ``tend`` is called about once a second, for what is watched in other ways (containerd).
    ``sockets`` are held for members that use them.
    """

    cluster: Settings
    tend: Callable[[], None] = lambda: None
    sockets: tuple[socket.socket, ...] = ()
    look: float = LOOK
    _lives: dict[str, _Life] = field(default_factory=dict)
    _looked: float = 0.0
    _log: logging.Logger = field(default_factory=lambda: logging.getLogger("trireme.supervisor"))

    def start(self, member: Member) -> None:
        """Adopt a member that runs, or fork it; returns at once."""
        pulse = Pulse(self.cluster.heartbeat(member.name))
        life = self._lives.setdefault(member.name, _Life(member, pulse))
        if not self._adopt(life):
            self._fork(life)

    def wait(self, name: str) -> None:
        """Return when a member says that it has started, or after a minute without that."""
        end = time.monotonic() + READY_TIMEOUT
        mark = self.cluster.mark(name)
        while not mark.exists() and time.monotonic() < end:
            self._turn()
            time.sleep(0.002)

    def run(self) -> None:
        """Watch until SIGTERM or SIGINT; then end the members in reverse order."""
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
        """End every member: a request first, then by force."""
        lives = list(reversed(self._lives.values()))
        for how, patience in ((signal.SIGTERM, grace), (signal.SIGKILL, 1.0)):
            for life in lives:
                _send(life, how)
            end = time.monotonic() + patience
            while any(life.pid for life in lives) and time.monotonic() < end:
                self._reap()
                time.sleep(0.005)

    def _turn(self) -> None:
        """Whatever is to be done now."""
        self._reap()
        self._restart_due()
        if time.monotonic() - self._looked >= self.look:
            self._looked = time.monotonic()
            self._end_hung()
            self.tend()

    def _sleep(self, reader: int) -> None:
        """Until something ends, a signal comes, a pause is over, or it is time to look."""
        poll = select.poll()
        poll.register(reader, select.POLLIN)
        for life in self._lives.values():
            if life.pid:
                poll.register(life.handle, select.POLLIN)
        due = [life.due for life in self._lives.values() if not life.pid]
        until = min([self._looked + self.look, *due])
        if any(ready == reader for ready, _ in poll.poll(max(until - time.monotonic(), 0) * 1000)):
            os.read(reader, 4096)

    def _adopt(self, life: _Life) -> bool:
        """Take over a member that an earlier supervisor started, if it runs."""
        records = spawn.records(self.cluster.records_dir)
        record = next((one for one in records if one.name == life.member.name), None)
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
        life.pid, life.handle, life.since = record.pid, handle, time.monotonic()
        return True

    def _fork(self, life: _Life) -> None:
        member = life.member
        self.cluster.mark(member.name).unlink(missing_ok=True)
        self.cluster.heartbeat(member.name).unlink(missing_ok=True)
        Path(member.log).parent.mkdir(parents=True, exist_ok=True)
        parent = os.getpid()
        pid = os.fork()
        if pid == 0:
            for held in self.sockets:
                # It would hold them beyond the end of all others.
                if held not in member.sockets:
                    held.close()
            _become(member, self.cluster, parent)
        life.pid, life.handle, life.since = pid, os.pidfd_open(pid), time.monotonic()
        life.pulse = Pulse(self.cluster.heartbeat(member.name))
        life.killed_at = 0.0

    def _reap(self) -> None:
        for life in self._lives.values():
            if life.pid and _is_readable(life.handle):
                self._ended(life)

    def _ended(self, life: _Life) -> None:
        how = "ended"
        # One that was adopted is another process's child.
        with contextlib.suppress(ChildProcessError):
            _, status = os.waitpid(life.pid, 0)
            how = f"ended with {os.waitstatus_to_exitcode(status)}"
        os.close(life.handle)
        now = time.monotonic()
        if now - life.since > STEADY:
            life.pause = FIRST_PAUSE
        life.pid, life.handle, life.due = 0, -1, now + life.pause
        self._log.warning("%s %s; starting it again in %.1f s", life.member.name, how, life.pause)
        life.pause = min(life.pause * 2, LONGEST_PAUSE)

    def _restart_due(self) -> None:
        now = time.monotonic()
        for life in self._lives.values():
            if life.pid == 0 and life.due <= now:
                self._fork(life)

    def _end_hung(self) -> None:
        """A member whose event loop stands still says where in its log, and is killed."""
        now = time.monotonic()
        for life in self._lives.values():
            if not life.pid:
                continue
            if life.killed_at:
                if now - life.killed_at >= ABORT_GRACE:
                    _send(life, signal.SIGKILL)
            elif life.pulse.is_hung():
                self._log.error("%s is hung; ending it", life.member.name)
                _send(life, signal.SIGABRT)
                life.killed_at = now


def _send(life: _Life, how: signal.Signals) -> None:
    if life.pid:
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(life.handle, how)


def _is_readable(handle: int) -> bool:
    poll = select.poll()
    poll.register(handle, select.POLLIN)
    return bool(poll.poll(0))


def _become(member: Member, cluster: Settings, parent: int) -> None:
    """In the child: enter its place, run its main, and never return."""
    code = 1
    try:
        # Until it is recorded nobody would find it without its parent.
        enter.end_with_parent()
        if os.getppid() != parent:
            os._exit(1)
        enter.call_itself(member.name)
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_DFL)
        for entry in member.cgroup_procs:
            Path(entry).write_text("0")
        if member.netns_path:
            netns.enter(member.netns_path)
        append = os.open(member.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        os.dup2(append, 1)
        os.dup2(append, 2)
        pid = os.getpid()
        argv = ("trireme", member.name)
        spawn.record(
            cluster.records_dir, Running(member.name, pid, spawn.started_at(pid), argv, member.log)
        )
        enter.outlive_parent()
        # SIGABRT writes every thread's stack into the log.
        faulthandler.enable(2)
        gc.enable()
        uvloop.run(_run(member, cluster))
        code = 0
    except BaseException as error:
        logging.getLogger("trireme").exception("%s failed", member.name)
        _report(error, cluster.failure(member.name))
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _report(error: BaseException, failure: Path) -> None:
    """Leave what a user can do something about where ``up`` looks."""
    from trireme.cluster.faults import expected

    known = expected(error)
    if known is not None:
        # It is looked for all the time, and read once.
        part = failure.with_name(f"{failure.name}.part")
        part.write_text(str(known))
        part.replace(failure)


async def _run(member: Member, cluster: Settings) -> None:
    """Run until the main ends or SIGTERM cancels it."""

    def started() -> None:
        cluster.failure(member.name).unlink(missing_ok=True)
        cluster.mark(member.name).touch()

    loop = asyncio.get_running_loop()
    heart = loop.create_task(Heart(cluster.heartbeat(member.name)).run())
    task = loop.create_task(member.main(started))
    loop.add_signal_handler(signal.SIGTERM, task.cancel)
    try:
        with contextlib.suppress(asyncio.CancelledError):
            await task
    finally:
        heart.cancel()


def warm() -> None:
    """Before the first fork: what is alive now stays shared with the children."""
    gc.collect()
    gc.disable()
    gc.freeze()
