"""The machine's own files and mounts.

In: absolute paths. Out: ``host.contract.Host``. Made by the composition root for a kubelet with
real containers. Mounts go through the C library: Python has no call for them and a process per
mount would cost more than the mount.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import shutil
import stat

from trireme.kubelet.host.contract import DiskUsage, FileInfo

MS_BIND = 0x1000
MS_NOSUID, MS_NODEV, MS_NOEXEC = 2, 4, 8
MNT_DETACH = 2
_KINDS = {
    stat.S_IFDIR: "dir",
    stat.S_IFREG: "file",
    stat.S_IFLNK: "link",
    stat.S_IFSOCK: "socket",
    stat.S_IFIFO: "fifo",
    stat.S_IFCHR: "char",
    stat.S_IFBLK: "block",
}


class RealHost:
    """The operating system."""

    def __init__(self) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)

    def make_dirs(self, path: str, mode: int = 0o755) -> None:
        if not os.path.isdir(path):
            os.makedirs(path, exist_ok=True)
            os.chmod(path, mode)

    def write(self, path: str, data: bytes, mode: int = 0o644) -> None:
        with open(path, "wb") as file:
            file.write(data)
        os.chmod(path, mode)

    def read(self, path: str) -> bytes:
        with open(path, "rb") as file:
            return file.read()

    def read_tail(self, path: str, limit: int) -> bytes:
        with open(path, "rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - limit))
            return file.read(limit)

    def open(self, path: str) -> _Reading:
        return _Reading(path)

    def info(self, path: str, *, follow: bool = True) -> FileInfo | None:
        try:
            found = os.stat(path, follow_symlinks=follow)
        except (FileNotFoundError, NotADirectoryError):
            return None
        return FileInfo(
            _KINDS[stat.S_IFMT(found.st_mode)],
            stat.S_IMODE(found.st_mode),
            found.st_size,
            found.st_uid,
            found.st_gid,
            found.st_ino,
        )

    def list(self, path: str) -> list[str]:
        try:
            return sorted(os.listdir(path))
        except FileNotFoundError:
            return []

    def symlink(self, target: str, path: str) -> None:
        os.symlink(target, path)

    def readlink(self, path: str) -> str | None:
        try:
            return os.readlink(path)
        except (FileNotFoundError, OSError):
            return None

    def rename(self, old: str, new: str) -> None:
        os.rename(old, new)

    def remove(self, path: str) -> None:
        try:
            if os.path.isdir(path) and not os.path.islink(path):
                os.rmdir(path)
            else:
                os.unlink(path)
        except FileNotFoundError:
            return

    async def remove_tree(self, path: str) -> None:
        await asyncio.to_thread(self._remove_tree, path)

    def chmod(self, path: str, mode: int) -> None:
        os.chmod(path, mode)

    def chown(self, path: str, uid: int, gid: int) -> None:
        os.chown(path, uid, gid, follow_symlinks=False)

    def real_path(self, path: str) -> str:
        return os.path.realpath(path)

    def mount_tmpfs(self, path: str, size: int = 0) -> None:
        options = f"size={size}" if size else ""
        self._mount("tmpfs", path, "tmpfs", 0, options)

    def bind_below(self, base: str, relative: str, target: str) -> None:
        descriptor = _open_below(base, relative)
        try:
            # Through the descriptor: a link swapped in after the check cannot change the source.
            source = f"/proc/{os.getpid()}/fd/{descriptor}"
            if stat.S_ISDIR(os.fstat(descriptor).st_mode):
                os.makedirs(target, exist_ok=True)
            elif not os.path.exists(target):
                os.makedirs(os.path.dirname(target), exist_ok=True)
                with open(target, "wb"):
                    pass
            if target not in self.mounts_below(target):
                self._mount(source, target, "", MS_BIND, "")
        finally:
            os.close(descriptor)

    def unmount(self, path: str) -> None:
        if self._libc.umount2(path.encode(), MNT_DETACH) != 0:
            code = ctypes.get_errno()
            raise OSError(code, f"unmount: {os.strerror(code)}", path)

    def mounts_below(self, path: str) -> list[str]:
        prefix = os.path.realpath(path)
        found = []
        with open("/proc/self/mountinfo", encoding="utf-8") as file:
            for line in file:
                point = line.split(" ", 5)[4].encode().decode("unicode_escape")
                if point == prefix or point.startswith(prefix + "/"):
                    found.append(point)
        return sorted(found, key=lambda point: (-point.count("/"), point))

    def disk_usage(self, path: str) -> DiskUsage:
        found = os.statvfs(path)
        return DiskUsage(
            found.f_blocks * found.f_frsize,
            found.f_bavail * found.f_frsize,
            found.f_files,
            found.f_favail,
        )

    async def tree_size(self, path: str) -> tuple[int, int]:
        return await asyncio.to_thread(_tree_size, path)

    def _mount(self, source: str, target: str, kind: str, flags: int, options: str) -> None:
        failed = self._libc.mount(
            source.encode(), target.encode(), kind.encode() or None, flags, options.encode() or None
        )
        if failed:
            code = ctypes.get_errno()
            raise OSError(code, f"mount {kind or 'bind'}: {os.strerror(code)}", target)

    def _remove_tree(self, path: str) -> None:
        # Never below a mount: that would delete what the volume holds elsewhere.
        left = self.mounts_below(path)
        if left:
            raise OSError(16, f"still mounted: {left[0]}", path)
        if os.path.lexists(path):
            shutil.rmtree(path)


class _Reading:
    """An open file descriptor."""

    def __init__(self, path: str) -> None:
        self._file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        self.inode = os.fstat(self._file).st_ino

    def read(self, limit: int) -> bytes:
        return os.read(self._file, limit)

    def seek(self, offset: int) -> None:
        os.lseek(self._file, offset, os.SEEK_SET)

    def size(self) -> int:
        return os.fstat(self._file).st_size

    def close(self) -> None:
        os.close(self._file)


def _open_below(base: str, relative: str) -> int:
    """A descriptor of ``base/relative``; every step is checked to be no link."""
    current = os.open(base, os.O_PATH | os.O_NOFOLLOW)
    try:
        for part in [part for part in relative.split("/") if part not in ("", ".")]:
            if part == "..":
                raise OSError(22, "sub-path leaves the volume", relative)
            child = os.open(part, os.O_PATH | os.O_NOFOLLOW, dir_fd=current)
            os.close(current)
            current = child
            if stat.S_ISLNK(os.fstat(current).st_mode):
                raise OSError(40, "sub-path goes through a symbolic link", relative)
    except BaseException:
        os.close(current)
        raise
    return current


def _tree_size(path: str) -> tuple[int, int]:
    size = inodes = 0
    device = os.lstat(path).st_dev
    for folder, _, files in os.walk(path):
        here = os.lstat(folder)
        if here.st_dev != device:
            continue
        size, inodes = size + here.st_blocks * 512, inodes + 1
        for name in files:
            try:
                size += os.lstat(os.path.join(folder, name)).st_blocks * 512
            except FileNotFoundError:
                continue
            inodes += 1
    return size, inodes
