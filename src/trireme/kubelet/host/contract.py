"""The interface of the host's files.

In: paths. Out: content and metadata. Implemented by ``host/real.py`` and, for in-process clusters,
by ``host/memory.py``. Called by volumes, logs, sync, observe, node. All raise OSError as the
operating system would. Short calls are plain functions because they take microseconds; what may
walk a large tree is async.

``Host`` takes absolute paths of the node and follows links. Paths in a directory that a pod can
write to are accessed through a ``Root`` only: a pod may put a link, a pipe or a device there at any
moment, and the kubelet is root.
"""

from __future__ import annotations

import builtins
from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

import msgspec

T = TypeVar("T")


class Output(msgspec.Struct, frozen=True):
    """How a program ended: its exit status, and the first part of what it printed."""

    status: int
    text: str


class DiskUsage(msgspec.Struct, frozen=True):
    """Bytes and inodes of the file system that holds a path; ``device`` tells it from others."""

    capacity: int
    available: int
    inodes: int
    inodes_free: int
    device: int = 0

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
    """An open file, unaffected by renames. ``close`` it."""

    inode: int

    def read(self, limit: int) -> bytes:
        """Up to ``limit`` bytes from the present position; empty at the present end."""
        ...

    def seek(self, offset: int) -> None: ...

    def size(self) -> int: ...

    def close(self) -> None: ...


class Root(Protocol):
    """An open directory, like Go's ``os.Root``: nothing outside it can be accessed.

    Paths are relative to it and may not contain ``..``. A symbolic link in the path is an OSError;
    with ``follow``, links are followed as long as they stay inside. The last component is never
    followed by methods that create, change or remove it.
    """

    def __enter__(self) -> Root: ...

    def __exit__(self, *problem: object) -> None: ...

    def open(self, path: str, *, follow: bool = False) -> Reading:
        """A regular file; OSError for a pipe, a device, a directory."""
        ...

    def read(self, path: str, limit: int, *, follow: bool = False) -> bytes:
        """The first ``limit`` bytes of a regular file."""
        ...

    def write(self, path: str, data: bytes, mode: int = 0o644, uid: int = -1) -> None:
        """Create a file: OSError when the name exists. -1 leaves its owner."""
        ...

    async def gzip(self, path: str, new: str) -> None:
        """Write a regular file, compressed, to a new one. Away from the event loop."""
        ...

    def make_dirs(self, path: str, mode: int = 0o755, *, follow: bool = False) -> None:
        """Like ``mkdir -p``; each directory that it makes gets ``mode``, whatever the umask.

        ``follow`` applies to existing directories.
        """
        ...

    def info(self, path: str = "", *, follow: bool = False) -> FileInfo | None:
        """``None`` when there is no such file; without ``follow``, a link is a link."""
        ...

    def list(self, path: str = "") -> list[str]:
        """Names in a directory, sorted; empty when there is no such directory."""
        ...

    def symlink(self, target: str, path: str) -> None: ...

    def readlink(self, path: str) -> str | None: ...

    def rename(self, old: str, new: str) -> None: ...

    def remove(self, path: str) -> None:
        """A file, a link or an empty directory; nothing when it is not there."""
        ...

    def chmod(self, path: str, mode: int) -> None:
        """OSError for a link, which has no mode."""
        ...

    def chown(self, path: str, uid: int, gid: int) -> None:
        """-1 leaves the owner or the group as it is; a link itself is changed."""
        ...

    def bind(self, path: str, target: str) -> None:
        """Bind-mount ``path``, links inside followed, on the node's path ``target``.

        Replaced when another file is mounted there.
        """
        ...

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

    def open(self, path: str) -> Reading:
        """A regular file; OSError for a pipe, a device, a directory."""
        ...

    def open_root(self, path: str) -> Root:
        """The directory ``path`` as a ``Root``. Close it, or use it in a ``with``."""
        ...

    def info(self, path: str) -> FileInfo | None:
        """``None`` when there is no such file."""
        ...

    def list(self, path: str) -> list[str]:
        """Names in a directory, sorted; empty when there is no such directory."""
        ...

    async def remove_tree(self, path: str) -> None:
        """Remove a tree of any depth. Raises OSError if something is mounted below.

        No link in it is followed.
        """
        ...

    def chmod(self, path: str, mode: int) -> None: ...

    async def mount(self, source: str, path: str, kind: str, options: Sequence[str]) -> None:
        """As ``mount(8)`` does, with its helpers. OSError with what it says.

        ``kind``: "" for a bind mount.
        """
        ...

    async def run(self, *command: str) -> Output:
        """Run a program of the node, without input, to its end. OSError where there is none."""
        ...

    def is_mounted(self, path: str) -> bool:
        """Whether something is mounted on exactly ``path``."""
        ...

    async def away(self, work: Callable[[], T]) -> T:
        """Run what may take long away from the event loop."""
        ...

    def mount_tmpfs(self, path: str, size: int = 0) -> None:
        """``size`` in bytes, 0 for the kernel's default."""
        ...

    def unmount(self, path: str) -> None: ...

    def mounts_below(self, path: str) -> builtins.list[str]:
        """Mount points at or below ``path``, deepest first."""
        ...

    def disk_usage(self, path: str) -> DiskUsage: ...

    async def tree_sizes(self, paths: Sequence[str], *, inodes: bool = False) -> dict[str, int]:
        """Bytes on disk, or inodes, of each tree, on its own file system and without following
        links; nothing for one that is not there. Away from the event loop."""
        ...
