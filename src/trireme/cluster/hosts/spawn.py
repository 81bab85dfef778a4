"""Starts one process in a node's network namespace and cgroup, and keeps a record of it.

In: a `Spawn`.  Out: a `Running`, also kept as a file, so that a later `status` or `down` finds the
process, even after the one who started it has died.  Called by `containerd` and, through
`LocalHosts`, by `cluster.up` for kubelet, proxy and DNS; without a namespace also for the control
plane.

The child puts itself into its cgroup and then into its namespace before it becomes the program:
there is no moment at which it or a child of it runs outside.  Only the network is entered.  `ip
netns exec` would also remount /sys, and with it hide the cgroups.
"""

import contextlib
import os
import shutil
import signal
from pathlib import Path

import msgspec

from trireme.cluster.user_error import UserError

_INTO_CGROUPS = (
    'cd /; while [ "$1" != -- ]; do echo 0 >"$1" || exit 126; shift; done; shift; exec "$@"'
)


class Spawn(msgspec.Struct, frozen=True):
    """What to start and where."""

    name: str
    """Unique in the cluster, such as `kubelet.node-0`; names the record."""
    argv: tuple[str, ...]
    log: str
    """File that standard output and error are appended to."""
    records: str
    """Folder for the record."""
    netns_path: str = ""
    """Empty: the caller's own namespace."""
    cgroup_procs: tuple[str, ...] = ()
    """As from `cgroups.entries`."""
    env: dict[str, str] = {}
    """Added to the caller's environment."""


class Running(msgspec.Struct, frozen=True):
    """A started process.  Start time tells it from a later one with the same pid."""

    name: str
    pid: int
    started: int
    """Clock ticks after boot, field 22 of /proc/<pid>/stat."""
    argv: tuple[str, ...]
    log: str


class SpawnFailed(UserError):
    """The program is missing, or ended where it had to stay."""


def start(what: Spawn) -> Running:
    """Starts the process in its own session, with no input.  Returns at once.

    Raises SpawnFailed if there is no such program.
    """
    program = shutil.which(what.argv[0])
    if program is None:
        raise SpawnFailed(f"{what.name}: no program {what.argv[0]!r} in {os.environ.get('PATH')}")
    argv = [program, *what.argv[1:]]
    if what.netns_path:
        argv = ["nsenter", f"--net={what.netns_path}", "--", *argv]
    argv = ["/bin/sh", "-c", _INTO_CGROUPS, "sh", *what.cgroup_procs, "--", *argv]
    Path(what.log).parent.mkdir(parents=True, exist_ok=True)
    append = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    pid = os.posix_spawn(
        argv[0],
        argv,
        {**os.environ, **what.env},
        file_actions=[
            (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, what.log, append, 0o644),
            (os.POSIX_SPAWN_DUP2, 1, 2),
        ],
        setsid=True,
        setsigmask=[],
        setsigdef=[signal.SIGPIPE, signal.SIGINT, signal.SIGTERM],
    )
    running = Running(what.name, pid, started_at(pid), what.argv, what.log)
    record(what.records, running)
    return running


def record(folder: str, running: Running) -> None:
    """Keeps a process's record, in place of an earlier one of the same name."""
    path = _record_path(folder, running.name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.with_suffix(".new").write_bytes(msgspec.json.encode(running))
    path.with_suffix(".new").rename(path)


def drop_record(folder: str, name: str) -> None:
    """Forgets a process that has ended for good."""
    _record_path(folder, name).unlink(missing_ok=True)


def records(folder: str) -> list[Running]:
    """All processes recorded there, alive or not, by name."""
    paths = sorted(Path(folder).glob("*.json"))
    return [msgspec.json.decode(path.read_bytes(), type=Running) for path in paths]


def alive(process: Running) -> bool:
    """Whether that very process still runs.  A child that has ended is reaped here."""
    return started_at(process.pid) == process.started and not ended(process.pid)


def ended(pid: int) -> bool:
    """Whether no process runs under that pid; a zombie does not run.  Reaps a child."""
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)
    return _stat(pid)[:1] in ([], ["Z"], ["X"])


async def stop(process: Running, *, grace: float, folder: str) -> None:
    """Asks the process to end, kills it `grace` seconds later, and drops its record."""
    for how, patience in ((signal.SIGTERM, grace), (signal.SIGKILL, 1.0)):
        if not alive(process):
            break
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, how)
        await _ended(process, patience)
    drop_record(folder, process.name)


def started_at(pid: int) -> int:
    """Start time in clock ticks after boot, 0 if there is no such process."""
    return int(_stat(pid)[19]) if _stat(pid) else 0


async def _ended(process: Running, patience: float) -> None:
    # Only here: those who start processes have no event loop, and are to be small.
    import asyncio

    try:
        handle = os.pidfd_open(process.pid)
    except ProcessLookupError:
        return
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    loop.add_reader(handle, ended.set)
    try:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(patience):
                await ended.wait()
    finally:
        loop.remove_reader(handle)
        os.close(handle)


def _stat(pid: int) -> list[str]:
    """The fields after the command's name, which may itself contain blanks and brackets."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return []
    return text.rpartition(")")[2].split()


def _record_path(folder: str, name: str) -> Path:
    return Path(folder, f"{name}.json")
