"""Cgroups of both versions behind four verbs: create, enter, kill, remove.

In: a group's path as it is the same in every hierarchy (`/trireme-dev/node-0/runtime`).  Callers:
`local` makes a node's groups, `spawn` enters them, `teardown` kills and removes them; which
hierarchies exist is read once by `probe` and passed along as a value.

Three layouts occur.  v2: one hierarchy with controllers (current distributions).  v1: one for each
controller.  Hybrid: v1 and, beside it, a v2 hierarchy without controllers at
/sys/fs/cgroup/unified, in which runc also places containers and where a whole tree can be killed
in one write.  https://docs.kernel.org/admin-guide/cgroup-v2.html
"""

import contextlib
import errno
import os
import signal
import time
from pathlib import Path

import msgspec

from trireme.cluster.user_error import UserError

# Where daemons are counted under v1.  Others (cpuset, devices) need filling in before a process
# may enter, and runc does that for containers itself.
_ENTERED_V1 = ("memory", "cpu", "cpuacct", "cpu,cpuacct", "pids")
_DELEGATED_V2 = ("cpu", "cpuset", "io", "memory", "pids")
_ATTEMPTS = 100
_PAUSE = 0.01


class Hierarchy(msgspec.Struct, frozen=True):
    path: str
    controllers: tuple[str, ...]
    v2: bool


class Layout(msgspec.Struct, frozen=True):
    """What cgroups this host has."""

    hierarchies: tuple[Hierarchy, ...]

    @property
    def kind(self) -> str:
        """`v1`, `v2` or `hybrid`."""
        versions = {hierarchy.v2 for hierarchy in self.hierarchies}
        return "hybrid" if len(versions) == 2 else "v2" if True in versions else "v1"

    @property
    def unified(self) -> Hierarchy | None:
        return next((hierarchy for hierarchy in self.hierarchies if hierarchy.v2), None)

    @property
    def entered(self) -> tuple[Hierarchy, ...]:
        """The hierarchies that a daemon is placed in."""
        return tuple(
            hierarchy
            for hierarchy in self.hierarchies
            if hierarchy.v2 or any(name in _ENTERED_V1 for name in hierarchy.controllers)
        )


class NoCgroups(UserError):
    """The host has no usable cgroups, or does not let us make any."""


def probe(mountinfo: str | None = None) -> Layout:
    """The host's layout, from the text of /proc/self/mountinfo."""
    text = Path("/proc/self/mountinfo").read_text() if mountinfo is None else mountinfo
    found: dict[str, Hierarchy] = {}
    for line in text.splitlines():
        fields, _, filesystem = line.partition(" - ")
        kind, _, options = filesystem.split(" ", 2)
        path = fields.split(" ")[4]
        if kind not in ("cgroup", "cgroup2"):
            continue
        controllers = tuple(
            option
            for option in options.split(",")
            if option not in ("rw", "ro", "xattr", "nsdelegate", "memory_recursiveprot")
        )
        # A hierarchy may be mounted twice; under /sys/fs/cgroup is where runc looks.
        key = "v2" if kind == "cgroup2" else ",".join(controllers)
        if key not in found or path.startswith("/sys/fs/cgroup"):
            found[key] = Hierarchy(path=path, controllers=controllers, v2=kind == "cgroup2")
    if not found:
        raise NoCgroups("no cgroup filesystem is mounted under /sys/fs/cgroup")
    return Layout(hierarchies=tuple(found.values()))


def create(layout: Layout, group: str) -> None:
    """Makes the group and its parents, with all controllers handed down to it under v2."""
    for hierarchy in layout.entered:
        path = Path(hierarchy.path)
        for part in Path(group).relative_to("/").parts:
            if layout.kind == "v2":
                _delegate(path)
            path = path / part
            path.mkdir(exist_ok=True)


def entries(layout: Layout, group: str) -> list[str]:
    """The files into which a process writes 0 to move itself into the group."""
    return [f"{hierarchy.path}{group}/cgroup.procs" for hierarchy in layout.entered]


def pids(layout: Layout, group: str) -> set[int]:
    """All live processes in the group and below, in any hierarchy."""
    found: set[int] = set()
    for hierarchy in layout.hierarchies:
        for folder, _, _ in os.walk(hierarchy.path + group):
            # The kernel answers ENODEV for a group that goes away during the walk.
            with contextlib.suppress(OSError):
                procs = Path(folder, "cgroup.procs").read_text()
                found.update(int(pid) for pid in procs.split())
    return found - {0}


def kill(layout: Layout, group: str) -> None:
    """Kills every process in the group and below and returns when all are gone.  Blocks.

    Raises NoCgroups if some process outlives SIGKILL for a second (stuck in the kernel).
    """
    if layout.unified is not None:
        # One write kills the tree with no chance for it to fork away (Linux 5.14).
        with contextlib.suppress(OSError):
            Path(layout.unified.path + group, "cgroup.kill").write_text("1")
    left: set[int] = set()
    for _ in range(_ATTEMPTS):
        left = pids(layout, group)
        if not left:
            return
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(_PAUSE)
    raise NoCgroups(f"{group}: processes {sorted(left)} do not end after SIGKILL")


def remove(layout: Layout, group: str) -> None:
    """Removes the group and all below it; its processes must have ended.  Blocks."""
    for hierarchy in layout.hierarchies:
        folders = [folder for folder, _, _ in os.walk(hierarchy.path + group, topdown=False)]
        for folder in folders:
            _remove_one(folder)


def groups(layout: Layout) -> list[str]:
    """The top-level groups of all hierarchies, for finding leftovers."""
    found: set[str] = set()
    for hierarchy in layout.hierarchies:
        with os.scandir(hierarchy.path) as entries:
            found.update("/" + entry.name for entry in entries if entry.is_dir())
    return sorted(found)


def _delegate(parent: Path) -> None:
    available = (parent / "cgroup.controllers").read_text().split()
    active = (parent / "cgroup.subtree_control").read_text().split()
    missing = [name for name in _DELEGATED_V2 if name in available and name not in active]
    if not missing:
        return
    try:
        (parent / "cgroup.subtree_control").write_text(" ".join(f"+{name}" for name in missing))
    except OSError as error:
        raise NoCgroups(
            f"{parent}: cannot hand down the controllers {', '.join(missing)}: {error.strerror}; "
            "in a container this needs a cgroup namespace with no process in its root"
        ) from error


def _remove_one(folder: str) -> None:
    for _ in range(_ATTEMPTS):
        try:
            os.rmdir(folder)
            return
        except FileNotFoundError:
            return
        except OSError as error:
            # Killed processes leave a group a moment after they have left its list.
            if error.errno != errno.EBUSY:
                raise
            time.sleep(_PAUSE)
    raise NoCgroups(f"{folder}: still busy although its processes have ended")
