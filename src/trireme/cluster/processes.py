"""The processes of a local cluster: forked from one warmed parent, watched, started again.

The parent has imported a component before it forks it, so that a child starts in milliseconds and
shares its memory. It runs no event loop, no thread and no gRPC: it forks and it waits. A member
that ends is started again with a growing pause. When the parent ends, for whatever reason, the
kernel ends the members with it: nothing is orphaned, and the guardian starts the parent again.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import os
import select
import signal
import sys
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import uvloop

from trireme.cluster.hosts import enter, spawn
from trireme.cluster.hosts.spawn import Running

Started = Callable[[], None]
Main = Callable[[Started], Coroutine[Any, Any, None]]

FIRST_PAUSE = 0.1
LONGEST_PAUSE = 10.0
# A member that ran this long has recovered: its pause begins anew.
STEADY = 60.0
READY_TIMEOUT = 60.0


@dataclass(frozen=True)
class Member:
    """A process of the cluster. ``main`` runs in the child, on an event loop of its own."""

    name: str
    main: Main
    log: str
    netns_path: str = ""
    cgroup_procs: tuple[str, ...] = ()


@dataclass
class _Life:
    """What the parent knows of a member."""

    member: Member
    pid: int = 0
    since: float = 0.0
    pause: float = FIRST_PAUSE
    due: float = 0.0


@dataclass
class Supervisor:
    """Starts members and keeps them running until it is told to end.

    ``tend`` is called about once a second, for what is watched in other ways (containerd).
    """

    records: str
    ready_dir: Path
    tend: Callable[[], None] = lambda: None
    _lives: dict[str, _Life] = field(default_factory=dict)
    _log: logging.Logger = field(default_factory=lambda: logging.getLogger("trireme.supervisor"))

    def start(self, member: Member) -> None:
        """Fork a member and return at once."""
        self._fork(self._lives.setdefault(member.name, _Life(member)))

    def wait(self, name: str) -> None:
        """Return when a member says that it has started, or after a minute without that."""
        end = time.monotonic() + READY_TIMEOUT
        mark = self.ready_dir / name
        while not mark.exists() and time.monotonic() < end:
            self._reap()
            self._restart_due()
            time.sleep(0.002)

    def run(self) -> None:
        """Watch until SIGTERM or SIGINT; then end the members in reverse order."""
        ending: list[int] = []
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda got, _frame: ending.append(got))
        reader, writer = os.pipe()
        os.set_blocking(writer, False)
        signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda _got, _frame: None)
        while not ending:
            ready, _, _ = select.select([reader], [], [], 1.0)
            if ready:
                os.read(reader, 4096)
            self._reap()
            self._restart_due()
            self.tend()
        self.end()

    def end(self, grace: float = 2.0) -> None:
        """End every member: a request first, then by force."""
        lives = list(reversed(self._lives.values()))
        for how, patience in ((signal.SIGTERM, grace), (signal.SIGKILL, 1.0)):
            for life in lives:
                if life.pid:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(life.pid, how)
            end = time.monotonic() + patience
            while any(life.pid for life in lives) and time.monotonic() < end:
                self._reap()
                time.sleep(0.005)

    def _fork(self, life: _Life) -> None:
        member = life.member
        (self.ready_dir / member.name).unlink(missing_ok=True)
        Path(member.log).parent.mkdir(parents=True, exist_ok=True)
        parent = os.getpid()
        pid = os.fork()
        if pid == 0:
            _become(member, self.ready_dir / member.name, parent)
        life.pid, life.since = pid, time.monotonic()
        running = Running(
            member.name, pid, spawn.started_at(pid), ("trireme", member.name), member.log
        )
        spawn.record(self.records, running)

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            for life in self._lives.values():
                if life.pid == pid:
                    self._ended(life, os.waitstatus_to_exitcode(status))

    def _ended(self, life: _Life, code: int) -> None:
        now = time.monotonic()
        if now - life.since > STEADY:
            life.pause = FIRST_PAUSE
        life.pid, life.due = 0, now + life.pause
        self._log.warning(
            "%s ended with %s; starting it again in %.1f s", life.member.name, code, life.pause
        )
        life.pause = min(life.pause * 2, LONGEST_PAUSE)

    def _restart_due(self) -> None:
        now = time.monotonic()
        for life in self._lives.values():
            if life.pid == 0 and life.due <= now:
                self._fork(life)


def _become(member: Member, ready: Path, parent: int) -> None:
    """In the child: enter its place, run its main, and never return."""
    code = 1
    try:
        enter.end_with_parent()
        if os.getppid() != parent:
            os._exit(1)
        enter.call_itself(member.name)
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD):
            signal.signal(number, signal.SIG_DFL)
        for entry in member.cgroup_procs:
            Path(entry).write_text("0")
        if member.netns_path:
            enter.network(member.netns_path)
        append = os.open(member.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        os.dup2(append, 1)
        os.dup2(append, 2)
        gc.enable()
        uvloop.run(_run(member.main, ready))
        code = 0
    except BaseException:
        logging.getLogger("trireme").exception("%s failed", member.name)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


async def _run(main: Main, ready: Path) -> None:
    """Run until the main ends or SIGTERM cancels it."""
    loop = asyncio.get_running_loop()
    task = loop.create_task(main(ready.touch))
    loop.add_signal_handler(signal.SIGTERM, task.cancel)
    with contextlib.suppress(asyncio.CancelledError):
        await task


def warm() -> None:
    """Before the first fork: what is alive now stays shared with the children."""
    gc.collect()
    gc.disable()
    gc.freeze()
