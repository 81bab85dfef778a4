"""A file system in memory, for in-process nodes.

In: paths. Out: ``host.contract.Host`` without any file on the machine. Made by the composition root
together with the fake runtime. Mounts are kept by name only.
"""

from __future__ import annotations

import builtins
import errno
import gzip
import os
from collections import deque
from collections.abc import Callable, Sequence
from typing import TypeVar

import msgspec

from trireme.kubelet.host.contract import DiskUsage, FileInfo, Output
from trireme.kubelet.host.root import MAX_LINKS, names_below

T = TypeVar("T")


class _Node(msgspec.Struct):
    kind: str
    mode: int
    data: bytes = b""
    target: str = ""
    uid: int = 0
    gid: int = 0
    number: int = 0


class State(msgspec.Struct, frozen=True):
    """The files and mounts of a host at an instant."""

    nodes: dict[str, _Node]
    mounts: dict[str, str]


class _Reading:
    """An open file."""

    def __init__(self, node: _Node) -> None:
        self._node = node
        self._at = 0
        self.inode = node.number

    def read(self, limit: int) -> bytes:
        data = self._node.data[self._at : self._at + limit]
        self._at += len(data)
        return data

    def seek(self, offset: int) -> None:
        self._at = offset

    def size(self) -> int:
        return len(self._node.data)

    def close(self) -> None:
        return


class MemoryHost:
    """A small file system. ``disk`` is what ``disk_usage`` answers for every path; ``programs``
    are what ``run`` finds, ``commands`` what it was asked for."""

    def __init__(self, disk: DiskUsage | None = None) -> None:
        self._nodes: dict[str, _Node] = {"/": _Node("dir", 0o755)}
        self._numbers = 0
        self.mounts: dict[str, str] = {}
        self.programs: dict[str, Callable[..., Output]] = {}
        self.commands: list[tuple[str, ...]] = []
        self.disk = disk or DiskUsage(100 << 30, 80 << 30, 6_000_000, 5_000_000)

    def state(self) -> State:
        """What there is now, as a value."""
        nodes = {path: msgspec.structs.replace(node) for path, node in self._nodes.items()}
        return State(nodes, dict(self.mounts))

    def restore(self, state: State) -> None:
        """Begin with what an earlier host held."""
        for path, node in state.nodes.items():
            self._nodes[path] = msgspec.structs.replace(node)
            self._numbers = max(self._numbers, node.number)
        self.mounts |= state.mounts

    def make_dirs(self, path: str, mode: int = 0o755) -> None:
        path = self._follow(path)
        known = path in self._nodes
        parts = path.strip("/").split("/")
        for index in range(1, len(parts) + 1):
            step = "/" + "/".join(parts[:index])
            self._nodes.setdefault(step, _Node("dir", 0o755))
        if not known:
            self._nodes[path].mode = mode

    def write(self, path: str, data: bytes, mode: int = 0o644) -> None:
        old = self._nodes.get(self._follow(path))
        if old is not None and old.kind == "file":
            # The same node, so that open files read the new content.
            old.data, old.mode = bytes(data), mode
        else:
            self._add(self._follow(path), _Node("file", mode, bytes(data)))

    def read(self, path: str) -> bytes:
        return self._get(path).data

    def read_tail(self, path: str, limit: int) -> bytes:
        return self._get(path).data[-limit:] if limit else b""

    def open(self, path: str) -> _Reading:
        return _opened(self._get(path))

    def open_root(self, path: str) -> MemoryRoot:
        self._get(path)
        return MemoryRoot(self, self._follow(path), self._nodes)

    def info(self, path: str) -> FileInfo | None:
        return _info(self._nodes.get(self._follow(path)))

    def list(self, path: str) -> list[str]:
        prefix = self._follow(path).rstrip("/") + "/"
        return sorted(
            {
                name[len(prefix) :].split("/", 1)[0]
                for name in self._nodes
                if name.startswith(prefix) and name != prefix
            }
        )

    async def remove_tree(self, path: str) -> None:
        left = self.mounts_below(path)
        if left:
            raise OSError(16, f"still mounted: {left[0]}", path)
        self._drop(self._follow_parent(path))

    def chmod(self, path: str, mode: int) -> None:
        self._get(path).mode = mode

    async def mount(self, source: str, path: str, kind: str, options: Sequence[str]) -> None:
        self._get(path)
        self.mounts[path] = " ".join([kind or "bind", source, *options])

    async def run(self, *command: str) -> Output:
        self.commands.append(command)
        program = self.programs.get(command[0])
        if program is None:
            raise _error(errno.ENOENT, command[0])
        return program(*command[1:])

    def is_mounted(self, path: str) -> bool:
        return path in self.mounts

    async def away(self, work: Callable[[], T]) -> T:
        return work()

    def mount_tmpfs(self, path: str, size: int = 0) -> None:
        self._get(path)
        self.mounts[path] = f"tmpfs size={size}"

    def unmount(self, path: str) -> None:
        del self.mounts[path]

    def mounts_below(self, path: str) -> builtins.list[str]:
        return sorted(
            (point for point in self.mounts if point == path or point.startswith(path + "/")),
            key=lambda point: (-point.count("/"), point),
        )

    def disk_usage(self, path: str) -> DiskUsage:
        return self.disk

    async def tree_sizes(self, paths: Sequence[str], *, inodes: bool = False) -> dict[str, int]:
        found = {}
        for path in paths:
            below = [
                node
                for name, node in self._nodes.items()
                if name == path or name.startswith(f"{path}/")
            ]
            if below:
                found[path] = len(below) if inodes else sum(len(node.data) for node in below)
        return found

    def make_socket(self, path: str) -> None:
        """A socket that somebody else listens on; replaces one that is there."""
        self._add(self._follow(path), _Node("socket", 0o755))

    def make_device(self, path: str) -> None:
        """A block device."""
        self._add(self._follow(path), _Node("block", 0o660))

    def _get(self, path: str) -> _Node:
        node = self._nodes.get(self._follow(path))
        if node is None:
            raise _error(errno.ENOENT, path)
        return node

    def _add(self, path: str, node: _Node) -> None:
        if (path.rpartition("/")[0] or "/") not in self._nodes:
            raise _error(errno.ENOENT, path)
        self._numbers += 1
        node.number = self._numbers
        self._nodes[path] = node

    def _drop(self, path: str) -> None:
        for name in [name for name in self._nodes if name == path or name.startswith(path + "/")]:
            del self._nodes[name]

    def _follow_parent(self, path: str) -> str:
        parent, _, name = path.rstrip("/").rpartition("/")
        return f"{self._follow(parent or '/').rstrip('/')}/{name}"

    def _follow(self, path: str, depth: int = 0) -> str:
        if depth > MAX_LINKS:
            raise _error(errno.ELOOP, path)
        done = ""
        parts = [part for part in path.split("/") if part and part != "."]
        for index, part in enumerate(parts):
            if part == "..":
                done = done.rpartition("/")[0]
                continue
            step = f"{done}/{part}"
            node = self._nodes.get(step)
            if node is not None and node.kind == "link":
                base = node.target if node.target.startswith("/") else f"{done}/{node.target}"
                return self._follow("/".join([base, *parts[index + 1 :]]), depth + 1)
            done = step
        return done or "/"


class MemoryRoot:
    """``host.contract.Root`` over the same nodes."""

    def __init__(self, host: MemoryHost, base: str, nodes: dict[str, _Node]) -> None:
        self._host = host
        self._base = base
        self._nodes = nodes

    def __enter__(self) -> MemoryRoot:
        return self

    def __exit__(self, *problem: object) -> None:
        return

    def close(self) -> None:
        return

    def open(self, path: str, *, follow: bool = False) -> _Reading:
        return _opened(self._get(path, follow=follow))

    def read(self, path: str, limit: int, *, follow: bool = False) -> bytes:
        return self.open(path, follow=follow).read(limit)

    def write(self, path: str, data: bytes, mode: int = 0o644, uid: int = -1) -> None:
        self._make(path, _Node("file", mode, bytes(data), uid=max(uid, 0)))

    async def gzip(self, path: str, new: str) -> None:
        _opened(self._get(path))
        self._make(new, _Node("file", 0o640, gzip.compress(self._get(path).data, 6)))

    def make_dirs(self, path: str, mode: int = 0o755, *, follow: bool = False) -> None:
        names = names_below(path)
        for count in range(len(names), -1, -1):
            try:
                found = self._walk(names[:count], follow)
            except FileNotFoundError:
                continue
            if found in self._nodes:
                break
        for name in names[count:]:
            found = f"{found}/{name}"
            if found in self._nodes:
                raise _error(errno.EEXIST, found)
            self._nodes[found] = _Node("dir", mode)

    def info(self, path: str = "", *, follow: bool = False) -> FileInfo | None:
        try:
            found = self._walk(names_below(path), True) if follow else self._place(path)
        except (FileNotFoundError, NotADirectoryError):
            return None
        return _info(self._nodes.get(found))

    def list(self, path: str = "") -> list[str]:
        try:
            return self._host.list(self._walk(names_below(path), False))
        except FileNotFoundError:
            return []

    def symlink(self, target: str, path: str) -> None:
        self._make(path, _Node("link", 0o777, target=target))

    def readlink(self, path: str) -> str | None:
        try:
            node = self._nodes.get(self._place(path))
        except OSError:
            return None
        return node.target if node is not None and node.kind == "link" else None

    def rename(self, old: str, new: str) -> None:
        source, target = self._place(old), self._place(new)
        if source not in self._nodes:
            raise _error(errno.ENOENT, old)
        moved = [
            (name, node)
            for name, node in self._nodes.items()
            if name == source or name.startswith(source + "/")
        ]
        self._host._drop(target)
        for name, node in moved:
            del self._nodes[name]
            self._nodes[target + name[len(source) :]] = node

    def remove(self, path: str) -> None:
        try:
            place = self._place(path)
        except FileNotFoundError:
            return
        if any(name.startswith(place + "/") for name in self._nodes):
            raise _error(errno.ENOTEMPTY, path)
        self._nodes.pop(place, None)

    def chmod(self, path: str, mode: int) -> None:
        self._get(path).mode = mode

    def chown(self, path: str, uid: int, gid: int) -> None:
        node = self._nodes[self._place(path)]
        node.uid = node.uid if uid < 0 else uid
        node.gid = node.gid if gid < 0 else gid

    def bind(self, path: str, target: str) -> None:
        source = self._walk(names_below(path), True)
        self._get(path, follow=True)
        self._host.make_dirs(target)
        self._host.mounts[target] = f"bind {source}"

    def _make(self, path: str, node: _Node) -> None:
        place = self._place(path)
        if place in self._nodes:
            raise _error(errno.EEXIST, path)
        self._host._add(place, node)

    def _get(self, path: str, *, follow: bool = False) -> _Node:
        node = self._nodes.get(self._walk(names_below(path), follow))
        if node is None:
            raise _error(errno.ENOENT, path)
        return node

    def _place(self, path: str) -> str:
        """The absolute path of ``path``; a link as the last component is not followed."""
        if not path:
            return self._base
        *parents, name = names_below(path)
        return f"{self._walk(parents, False)}/{name}"

    def _walk(self, names: builtins.list[str], follow: bool) -> str:
        done, left, links = self._base, deque(names), 0
        while left:
            here, name = self._nodes.get(done), left.popleft()
            if here is None or here.kind != "dir":
                raise _error(errno.ENOENT if here is None else errno.ENOTDIR, done)
            if name == "..":
                if done == self._base:
                    raise _error(errno.EXDEV, done)
                done = done.rpartition("/")[0]
                continue
            done = f"{done}/{name}"
            node = self._nodes.get(done)
            if node is None or node.kind != "link":
                continue
            links += 1
            if not follow or links > MAX_LINKS:
                raise _error(errno.ELOOP, done)
            if node.target.startswith("/"):
                raise _error(errno.EXDEV, done)
            done = done.rpartition("/")[0]
            left.extendleft(p for p in reversed(node.target.split("/")) if p not in ("", "."))
        return done


def _opened(node: _Node) -> _Reading:
    if node.kind != "file":
        raise _error(errno.EINVAL, node.kind)
    return _Reading(node)


def _info(node: _Node | None) -> FileInfo | None:
    if node is None:
        return None
    return FileInfo(node.kind, node.mode, len(node.data), node.uid, node.gid, node.number)


def _error(number: int, path: str) -> OSError:
    return OSError(number, os.strerror(number), path)
