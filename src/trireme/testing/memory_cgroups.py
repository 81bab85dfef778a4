"""Cgroups in memory, for kubelets of tests.

In: what a kubelet writes. Out: the same, read back. ``used`` sets what groups use, in bytes.
"""

from __future__ import annotations

import errno

import msgspec

from trireme.kubelet.cgroups.apply import Memory, Usage
from trireme.kubelet.cgroups.plan import Limits


class MemoryCgroups:
    """``kubelet.cgroups.apply.Cgroups`` without a kernel."""

    v2 = False

    def __init__(self) -> None:
        self.groups: dict[str, Limits] = {}
        self.used: dict[str, int] = {}

    def ensure(self, path: str, limits: Limits) -> None:
        written = {name: value for name, value in msgspec.structs.asdict(limits).items() if value}
        self.groups[path] = msgspec.structs.replace(self.groups.get(path, Limits()), **written)

    def exists(self, path: str) -> bool:
        return path in self.groups

    def read(self, path: str) -> Limits:
        if path not in self.groups:
            raise FileNotFoundError(errno.ENOENT, "no such cgroup", path)
        return self.groups[path]

    def memory_usage(self, path: str) -> int:
        return self.used.get(path, 0)

    async def remove(self, path: str) -> None:
        for name in [name for name in self.groups if f"{name}/".startswith(f"{path}/")]:
            del self.groups[name]

    def pods(self, parent: str) -> list[str]:
        folders = (parent, f"{parent}/burstable", f"{parent}/besteffort")
        return [
            path
            for path in self.groups
            if any(path.startswith(f"{folder}/pod") for folder in folders)
        ]

    def memory(self, path: str) -> Memory | None:
        limit = self.groups.get(path, Limits()).memory
        return Memory(limit, self.memory_usage(path)) if limit and path in self.used else None

    def processes(self, path: str) -> int:
        return 0

    def usage(self, path: str) -> Usage | None:
        return None
