"""Files that live in a dict, for nodes that live in a test's process.

In: absolute paths. Out: ``host.contract.Host`` without any file on the machine. Made by the
composition root together with the fake runtime. Links are followed on read; mounts are remembered
by name only.
"""

from __future__ import annotations

import msgspec

from trireme.kubelet.host.contract import DiskUsage, FileInfo


class _Node(msgspec.Struct):
    kind: str
    mode: int
    data: bytes = b""
    target: str = ""
    uid: int = 0
    gid: int = 0
    number: int = 0


class _Reading:
    """A node of the tree, held open."""

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
    """A small file system. ``disk`` is what ``disk_usage`` answers for every path."""

    def __init__(self, disk: DiskUsage | None = None) -> None:
        self._nodes: dict[str, _Node] = {"/": _Node("dir", 0o755)}
        self._numbers = 0
        self.mounts: dict[str, str] = {}
        self.disk = disk or DiskUsage(100 << 30, 80 << 30, 6_000_000, 5_000_000)

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
        path = self._follow(path)
        parent = path.rpartition("/")[0] or "/"
        if parent not in self._nodes:
            raise FileNotFoundError(2, "No such file or directory", path)
        old = self._nodes.get(path)
        if old is not None and old.kind == "file":
            # The same file with other content, as who holds it open expects.
            old.data, old.mode = bytes(data), mode
            return
        self._numbers += 1
        self._nodes[path] = _Node("file", mode, bytes(data), number=self._numbers)

    def read(self, path: str) -> bytes:
        return self._get(path).data

    def read_tail(self, path: str, limit: int) -> bytes:
        return self._get(path).data[-limit:] if limit else b""

    def open(self, path: str) -> _Reading:
        return _Reading(self._get(path))

    def info(self, path: str, *, follow: bool = True) -> FileInfo | None:
        node = self._nodes.get(self._follow(path) if follow else self._follow_parent(path))
        if node is None:
            return None
        return FileInfo(node.kind, node.mode, len(node.data), node.uid, node.gid, node.number)

    def list(self, path: str) -> list[str]:
        prefix = self._follow(path).rstrip("/") + "/"
        return sorted(
            {
                name[len(prefix) :].split("/", 1)[0]
                for name in self._nodes
                if name.startswith(prefix) and name != prefix
            }
        )

    def symlink(self, target: str, path: str) -> None:
        path = self._follow_parent(path)
        if path in self._nodes:
            raise FileExistsError(17, "File exists", path)
        self._nodes[path] = _Node("link", 0o777, target=target)

    def readlink(self, path: str) -> str | None:
        node = self._nodes.get(self._follow_parent(path))
        return node.target if node is not None and node.kind == "link" else None

    def rename(self, old: str, new: str) -> None:
        old, new = self._follow_parent(old), self._follow_parent(new)
        if old not in self._nodes:
            raise FileNotFoundError(2, "No such file or directory", old)
        moved = {
            name: node
            for name, node in self._nodes.items()
            if name == old or name.startswith(old + "/")
        }
        self._drop(new)
        for name, node in moved.items():
            del self._nodes[name]
            self._nodes[new + name[len(old) :]] = node

    def remove(self, path: str) -> None:
        path = self._follow_parent(path)
        if any(name.startswith(path + "/") for name in self._nodes):
            raise OSError(39, "Directory not empty", path)
        self._nodes.pop(path, None)

    async def remove_tree(self, path: str) -> None:
        left = self.mounts_below(path)
        if left:
            raise OSError(16, f"still mounted: {left[0]}", path)
        self._drop(self._follow_parent(path))

    def chmod(self, path: str, mode: int) -> None:
        self._get(path).mode = mode

    def chown(self, path: str, uid: int, gid: int) -> None:
        node = self._nodes[self._follow_parent(path)]
        node.uid = node.uid if uid < 0 else uid
        node.gid = node.gid if gid < 0 else gid

    def real_path(self, path: str) -> str:
        return self._follow(path)

    def mount_tmpfs(self, path: str, size: int = 0) -> None:
        self._get(path)
        self.mounts[path] = f"tmpfs size={size}"

    def bind_below(self, base: str, relative: str, target: str) -> None:
        self._get(f"{base}/{relative}")
        self.make_dirs(target)
        self.mounts[target] = f"bind {base}/{relative}"

    def unmount(self, path: str) -> None:
        del self.mounts[path]

    def mounts_below(self, path: str) -> list[str]:
        return sorted(
            (point for point in self.mounts if point == path or point.startswith(path + "/")),
            key=lambda point: (-point.count("/"), point),
        )

    def disk_usage(self, path: str) -> DiskUsage:
        return self.disk

    async def tree_size(self, path: str) -> tuple[int, int]:
        inside = [
            node
            for name, node in self._nodes.items()
            if name == path or name.startswith(path + "/")
        ]
        return sum(len(node.data) for node in inside), len(inside)

    def _get(self, path: str) -> _Node:
        node = self._nodes.get(self._follow(path))
        if node is None:
            raise FileNotFoundError(2, "No such file or directory", path)
        return node

    def _drop(self, path: str) -> None:
        for name in [name for name in self._nodes if name == path or name.startswith(path + "/")]:
            del self._nodes[name]

    def _follow_parent(self, path: str) -> str:
        parent, _, name = path.rstrip("/").rpartition("/")
        return f"{self._follow(parent or '/').rstrip('/')}/{name}"

    def _follow(self, path: str, depth: int = 0) -> str:
        if depth > 40:
            raise OSError(40, "Too many levels of symbolic links", path)
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
