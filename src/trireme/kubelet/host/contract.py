"""What the kubelet needs of the machine's files.

In: absolute paths. Out: content and facts. Implemented by ``host/real.py`` and, for clusters that
live in one process, by ``host/memory.py``. Called by volumes, logs, sync/execute, cgroups, node.
All raise OSError as the operating system would. The short calls are plain functions because they
take microseconds; what may walk a large tree is async.
"""

from __future__ import annotations

from typing import Protocol

import msgspec


class DiskUsage(msgspec.Struct, frozen=True):
    """Bytes and inodes of the file system that holds a path."""

    capacity: int
    available: int
    inodes: int
    inodes_free: int

    @property
    def used(self) -> int:
        return self.capacity - self.available


class FileInfo(msgspec.Struct, frozen=True):
    """``kind``: dir, file, link, socket, fifo, char or block."""

    kind: str
    mode: int
    size: int
    uid: int = 0
    gid: int = 0
    inode: int = 0


class Reading(Protocol):
    """An open file: stays the same file when its name goes to another one. ``close`` it."""

    inode: int

    def read(self, limit: int) -> bytes:
        """Up to ``limit`` bytes from the present position; empty at the end, for now."""
        ...

    def seek(self, offset: int) -> None: ...

    def size(self) -> int: ...

    def close(self) -> None: ...


class Host(Protocol):
    """Files and mounts of one node."""

    def make_dirs(self, path: str, mode: int = 0o755) -> None:
        """Like ``mkdir -p``; ``mode`` applies to the last directory, whatever the umask."""
        ...

    def write(self, path: str, data: bytes, mode: int = 0o644) -> None: ...

    def read(self, path: str) -> bytes: ...

    def read_tail(self, path: str, limit: int) -> bytes:
        """The last ``limit`` bytes."""
        ...

    def open(self, path: str) -> Reading: ...

    def info(self, path: str, *, follow: bool = True) -> FileInfo | None:
        """``None`` when there is no such file."""
        ...

    def list(self, path: str) -> list[str]:
        """Names in a directory, sorted; empty when there is no such directory."""
        ...

    def symlink(self, target: str, path: str) -> None: ...

    def readlink(self, path: str) -> str | None: ...

    def rename(self, old: str, new: str) -> None: ...

    def remove(self, path: str) -> None:
        """A file, a link or an empty directory; nothing when it is not there."""
        ...

    async def remove_tree(self, path: str) -> None: ...

    def chmod(self, path: str, mode: int) -> None: ...

    def chown(self, path: str, uid: int, gid: int) -> None:
        """-1 leaves the owner or the group as it is; links are not followed."""
        ...

    def real_path(self, path: str) -> str: ...

    def mount_tmpfs(self, path: str, size: int = 0) -> None:
        """``size`` in bytes, 0 for the kernel's default."""
        ...

    def bind_below(self, base: str, relative: str, target: str) -> None:
        """Bind ``base/relative`` on ``target`` without following links out of ``base``."""
        ...

    def unmount(self, path: str) -> None: ...

    def mounts_below(self, path: str) -> list[str]:
        """Mount points at or below ``path``, deepest first."""
        ...

    def disk_usage(self, path: str) -> DiskUsage: ...

    async def tree_size(self, path: str) -> tuple[int, int]:
        """Bytes and inodes that a tree uses."""
        ...
