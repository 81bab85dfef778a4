"""Create, limit, read and remove cgroups.

In: paths from ``cgroups/plan``. Out: directories in every hierarchy. Made by the composition
root: ``detect`` for a real node, ``NoCgroups`` for an in-process one. Called
by workers, gc and node. Rules: kernel documentation, cgroup-v1 and cgroup-v2.
"""

from __future__ import annotations

import contextlib
import errno
import os
import signal
from typing import Protocol

import msgspec

from trireme.kit.clock import Clock
from trireme.kubelet.cgroups import plan
from trireme.kubelet.cgroups.plan import Limits

DELEGATED = ("cpuset", "cpu", "io", "memory", "pids", "hugetlb")
REMOVE_TRIES = 50
REMOVE_PAUSE = 0.02


class Memory(msgspec.Struct, frozen=True):
    """Bytes; ``working_set`` is without pages of files that were not used lately."""

    limit: int
    working_set: int


class Usage(msgspec.Struct, frozen=True):
    """CPU time in nanoseconds since the group was made; bytes, as ``Memory`` counts them."""

    cpu: int
    working_set: int


class Cgroups(Protocol):
    """Cgroups by path, the same in every hierarchy."""

    v2: bool

    def ensure(self, path: str, limits: Limits) -> None: ...

    def exists(self, path: str) -> bool: ...

    def read(self, path: str) -> Limits:
        """The limits in force; OSError where there is no such group."""
        ...

    def memory_usage(self, path: str) -> int:
        """Bytes, of the group and all below it."""
        ...

    async def remove(self, path: str) -> None:
        """The group and all below it, with every process in it killed."""
        ...

    def pods(self, parent: str) -> list[str]:
        """Paths of pod groups below ``parent``."""
        ...

    def memory(self, path: str) -> Memory | None:
        """None for a group without a limit."""
        ...

    def usage(self, path: str) -> Usage | None:
        """What the group and all below it use; None where the kernel does not count it, as for
        the memory of the root of v2."""
        ...

    def processes(self, path: str) -> int:
        """How many processes and threads are in the group and below."""
        ...


class NoCgroups:
    """For nodes without real processes."""

    v2 = False

    def ensure(self, path: str, limits: Limits) -> None:
        return

    def exists(self, path: str) -> bool:
        return True

    def read(self, path: str) -> Limits:
        return Limits()

    def memory_usage(self, path: str) -> int:
        return 0

    async def remove(self, path: str) -> None:
        return

    def pods(self, parent: str) -> list[str]:
        return []

    def memory(self, path: str) -> Memory | None:
        return None

    def usage(self, path: str) -> Usage | None:
        return None

    def processes(self, path: str) -> int:
        return 0


class KernelCgroups:
    """The kernel's cgroups: ``roots`` maps a v1 controller, or ``""`` for v2, to a directory."""

    def __init__(self, clock: Clock, roots: dict[str, str], extra: tuple[str, ...] = ()) -> None:
        self._clock = clock
        self._roots = roots
        self._extra = extra
        self.v2 = "" in roots

    def ensure(self, path: str, limits: Limits) -> None:
        if self.v2:
            root = self._roots[""]
            _make_v2(root, path)
            _write_all(root + path, plan.v2_files(limits))
            return
        files = plan.v1_files(limits)
        for controller, root in self._roots.items():
            _make_v1(controller, root, path)
            _write_all(root + path, files.get(controller, {}))

    def read(self, path: str) -> Limits:
        if self.v2:
            return plan.read_v2(lambda name: _read(f"{self._roots['']}{path}/{name}"))
        return plan.read_v1(
            lambda controller, name: (
                _read(f"{self._roots[controller]}{path}/{name}")
                if controller in self._roots
                else ""
            )
        )

    def memory_usage(self, path: str) -> int:
        if self.v2:
            return int(_read(f"{self._roots['']}{path}/memory.current") or 0)
        return int(_read(f"{self._roots['memory']}{path}/memory.usage_in_bytes"))

    def exists(self, path: str) -> bool:
        return all(os.path.isdir(root + path) for root in self._roots.values())

    async def remove(self, path: str) -> None:
        for root in {*self._roots.values(), *self._extra}:
            await self._remove_in(root + path)

    def pods(self, parent: str) -> list[str]:
        root = next(iter(self._roots.values()))
        found = []
        for folder in (parent, f"{parent}/burstable", f"{parent}/besteffort"):
            try:
                names = os.listdir(root + folder)
            except FileNotFoundError:
                continue
            found += [f"{folder}/{name}" for name in sorted(names) if name.startswith("pod")]
        return found

    def memory(self, path: str) -> Memory | None:
        folder = self._roots.get("" if self.v2 else "memory", "") + path
        names = ("memory.max", "memory.current", "inactive_file")
        if not self.v2:
            names = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
        limit, usage = (_read_number(f"{folder}/{name}") for name in names[:2])
        if limit is None or usage is None or limit >= plan.UNLIMITED:
            return None
        inactive = _read_stat(f"{folder}/memory.stat", names[2])
        return Memory(limit, max(usage - inactive, 0))

    def usage(self, path: str) -> Usage | None:
        if self.v2:
            folder = self._roots[""] + path
            cpu: int | None = _read_stat(f"{folder}/cpu.stat", "usage_usec") * 1000
            memory = _read_number(f"{folder}/memory.current")
            inactive = _read_stat(f"{folder}/memory.stat", "inactive_file")
        else:
            cpu = _read_number(f"{self._roots.get('cpuacct', '')}{path}/cpuacct.usage")
            folder = self._roots.get("memory", "") + path
            memory = _read_number(f"{folder}/memory.usage_in_bytes")
            inactive = _read_stat(f"{folder}/memory.stat", "total_inactive_file")
        if cpu is None or memory is None:
            return None
        return Usage(cpu, max(memory - inactive, 0))

    def processes(self, path: str) -> int:
        root = self._roots.get("" if self.v2 else "pids", "")
        return _read_number(f"{root}{path}/pids.current") or 0

    async def _remove_in(self, path: str) -> None:
        for attempt in range(REMOVE_TRIES):
            try:
                _remove_tree(path)
                return
            except OSError as error:
                # A killed process leaves its group with a delay.
                if error.errno != errno.EBUSY or attempt == REMOVE_TRIES - 1:
                    raise
            await self._clock.sleep(REMOVE_PAUSE)


def detect(clock: Clock) -> KernelCgroups:
    """The cgroup hierarchies of this machine. Raises OSError when none is mounted."""
    roots: dict[str, str] = {}
    unified = ""
    with open("/proc/self/mountinfo", encoding="utf-8") as file:
        for line in file:
            left, _, right = line.partition(" - ")
            point, kind = left.split(" ")[4], right.split(" ")[0]
            if kind == "cgroup2":
                unified = point
            elif kind == "cgroup":
                for option in right.rsplit(" ", 1)[1].strip().split(","):
                    if option in (
                        "cpu",
                        "cpuacct",
                        "cpuset",
                        "memory",
                        "pids",
                        "devices",
                        "freezer",
                        "blkio",
                        "hugetlb",
                        "net_cls",
                        "net_prio",
                        "perf_event",
                    ):
                        roots[option] = point
    if roots:
        # cgroup v1, perhaps with an empty v2 tree beside it, where runc also leaves directories.
        systemd = "/sys/fs/cgroup/systemd"
        extra = tuple(p for p in (unified, systemd if os.path.isdir(systemd) else "") if p)
        return KernelCgroups(clock, roots, extra)
    if not unified:
        raise OSError(errno.ENOENT, "no cgroup hierarchy is mounted")
    return KernelCgroups(clock, {"": unified})


def _make_v2(root: str, path: str) -> None:
    folder = root
    for part in path.strip("/").split("/"):
        with open(f"{folder}/cgroup.controllers", encoding="ascii") as file:
            present = file.read().split()
        delegated = " ".join(f"+{name}" for name in DELEGATED if name in present)
        _write(f"{folder}/cgroup.subtree_control", delegated)
        folder = f"{folder}/{part}"
        os.makedirs(folder, exist_ok=True)


def _make_v1(controller: str, root: str, path: str) -> None:
    folder = root
    for part in path.strip("/").split("/"):
        parent, folder = folder, f"{folder}/{part}"
        if os.path.isdir(folder):
            continue
        os.makedirs(folder, exist_ok=True)
        if controller == "cpuset":
            # A new cpuset is empty, and no process may enter it: copy the parent's.
            for name in ("cpuset.cpus", "cpuset.mems"):
                with open(f"{parent}/{name}", encoding="ascii") as file:
                    _write(f"{folder}/{name}", file.read().strip())


def _write_all(folder: str, files: dict[str, str]) -> None:
    for name, content in files.items():
        _write(f"{folder}/{name}", content)


def _read(path: str) -> str:
    with open(path, encoding="ascii") as file:
        return file.read().strip()


def _write(path: str, content: str) -> None:
    with open(path, "w", encoding="ascii") as file:
        file.write(content)


def _read_number(path: str) -> int | None:
    """None for ``max``, and where there is no such file."""
    try:
        with open(path, encoding="ascii") as file:
            text = file.read().strip()
    except OSError:
        return None
    return int(text) if text.isdigit() else None


def _read_stat(path: str, name: str) -> int:
    with open(path, encoding="ascii") as file:
        for line in file:
            key, _, value = line.partition(" ")
            if key == name:
                return int(value)
    return 0


def _remove_tree(path: str) -> None:
    folders = [path]
    for folder in folders:
        folders += _below(folder)
    for folder in reversed(folders):
        try:
            for pid in _processes(folder):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            os.rmdir(folder)
        except OSError as error:
            # The runtime removes groups, too: ENODEV for one that is removed meanwhile.
            if error.errno not in (errno.ENOENT, errno.ENODEV):
                raise


def _below(folder: str) -> list[str]:
    try:
        with os.scandir(folder) as entries:
            return [entry.path for entry in entries if entry.is_dir(follow_symlinks=False)]
    except FileNotFoundError:
        return []


def _processes(folder: str) -> list[int]:
    """The processes of the group; those of another PID namespace read as 0 and are left out."""
    with open(f"{folder}/cgroup.procs", encoding="ascii") as file:
        return [int(pid) for pid in file.read().split() if pid != "0"]
