"""The real file system and mounts.

In: absolute paths. Out: ``host.contract.Host``. Made by the composition root for a kubelet with
real containers. Mounts use the C library: Python has no call for them, and a process per mount
would cost more than the mount.
"""

from __future__ import annotations

import asyncio
import builtins
import ctypes
import os
from collections.abc import Callable, Sequence
from typing import TypeVar

from trireme.kubelet.host import root
from trireme.kubelet.host.contract import DiskUsage, FileInfo, Output, Reading, Root

T = TypeVar("T")
MS_BIND = 0x1000
# Trees that one run of du counts: what it prints is bounded.
DU_PATHS = 20
# Bytes that are kept of what a program prints.
OUTPUT_LIMIT = 16384
MNT_DETACH, UMOUNT_NOFOLLOW = 2, 8


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
        file = self.open(path)
        try:
            file.seek(max(0, file.size() - limit))
            return file.read(limit)
        finally:
            file.close()

    def open(self, path: str) -> Reading:
        handle = os.open(path, os.O_PATH | os.O_CLOEXEC)
        try:
            return root.Reading(handle)
        finally:
            os.close(handle)

    def open_root(self, path: str) -> Root:
        return root.RealRoot(path, self._bind)

    def info(self, path: str) -> FileInfo | None:
        try:
            return root.info(os.stat(path))
        except (FileNotFoundError, NotADirectoryError):
            return None

    def list(self, path: str) -> list[str]:
        try:
            return sorted(os.listdir(path))
        except FileNotFoundError:
            return []

    async def remove_tree(self, path: str) -> None:
        await asyncio.to_thread(self._remove_tree, path)

    def chmod(self, path: str, mode: int) -> None:
        os.chmod(path, mode)

    async def mount(self, source: str, path: str, kind: str, options: Sequence[str]) -> None:
        command = ["mount", *(["-t", kind] if kind else [])]
        if options:
            command += ["-o", ",".join(options)]
        ended = await self.run(*command, "--", source, path)
        if ended.status:
            raise OSError(5, f"mount failed: {ended.text.strip()}", path)

    async def run(self, *command: str) -> Output:
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        assert process.stdout is not None
        printed = b""
        try:
            while part := await process.stdout.read(OUTPUT_LIMIT):
                printed = (printed + part)[:OUTPUT_LIMIT]
            status = await process.wait()
        except asyncio.CancelledError:
            process.kill()
            raise
        return Output(status, printed.decode(errors="replace"))

    def is_mounted(self, path: str) -> bool:
        return path in self.mounts_below(path)

    async def away(self, work: Callable[[], T]) -> T:
        return await asyncio.to_thread(work)

    def mount_tmpfs(self, path: str, size: int = 0) -> None:
        options = f"size={size}" if size else ""
        self._mount("tmpfs", path, "tmpfs", 0, options)

    def unmount(self, path: str) -> None:
        if self._libc.umount2(os.fsencode(path), MNT_DETACH | UMOUNT_NOFOLLOW) != 0:
            code = ctypes.get_errno()
            raise OSError(code, f"unmount: {os.strerror(code)}", path)

    def mounts_below(self, path: str) -> builtins.list[str]:
        prefix = os.path.realpath(path)
        found = []
        with open("/proc/self/mountinfo", "rb") as file:
            for line in file:
                octal = line.split(b" ", 5)[4]
                point = os.fsdecode(octal.decode("unicode_escape").encode("latin-1"))
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
            os.stat(path).st_dev,
        )

    async def tree_sizes(self, paths: Sequence[str], *, inodes: bool = False) -> dict[str, int]:
        found = {}
        for start in range(0, len(paths), DU_PATHS):
            some = paths[start : start + DU_PATHS]
            # A tree may be deeper than any recursion, and change meanwhile: du is made for that.
            ended = await self.run("du", "-sx", "--inodes" if inodes else "-B1", "--", *some)
            for line in ended.text.splitlines():
                size, _, path = line.partition("\t")
                if path in some and size.isdigit():
                    found[path] = int(size)
        return found

    def _bind(self, source: str, target: str, directory: bool) -> None:
        for point in self.mounts_below(target):
            self.unmount(point)
        if os.path.lexists(target):
            root.remove_tree(target)
        if directory:
            os.makedirs(target, 0o750)
        else:
            os.makedirs(os.path.dirname(target), 0o750, exist_ok=True)
            with open(target, "xb"):
                pass
        self._mount(source, target, "", MS_BIND, "")

    def _mount(self, source: str, target: str, kind: str, flags: int, options: str) -> None:
        failed = self._libc.mount(
            source.encode(), target.encode(), kind.encode() or None, flags, options.encode() or None
        )
        if failed:
            code = ctypes.get_errno()
            raise OSError(code, f"mount {kind or 'bind'}: {os.strerror(code)}", target)

    def _remove_tree(self, path: str) -> None:
        # Never below a mount: that would delete the data of the mounted volume.
        left = self.mounts_below(path)
        if left:
            raise OSError(16, f"still mounted: {left[0]}", path)
        root.remove_tree(path)
