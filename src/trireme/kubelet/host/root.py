"""Files below one directory of the real file system, and none outside of it.

In: a directory's path, then paths relative to it. Out: ``host.contract.Root``. Made by
``RealHost.open_root``. Rules: openat(2), path_resolution(7).

A path is walked one component at a time, each opened relative to the directory before it and
without following a link, so that concurrent changes by a pod have no effect. ``O_PATH`` opens
neither a pipe nor a device; the file is then opened, changed or mounted through ``/proc/self/fd``,
which refers to exactly that file.
"""

from __future__ import annotations

import asyncio
import builtins
import errno
import gzip
import os
import shutil
import stat
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from trireme.kubelet.host.contract import FileInfo

MAX_LINKS = 40  # as Linux does
_HANDLE = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
_LISTED = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_KINDS = {
    stat.S_IFDIR: "dir",
    stat.S_IFREG: "file",
    stat.S_IFLNK: "link",
    stat.S_IFSOCK: "socket",
    stat.S_IFIFO: "fifo",
    stat.S_IFCHR: "char",
    stat.S_IFBLK: "block",
}


class RealRoot:
    """``bind``: mounts a source path on a target path, a directory or not."""

    def __init__(self, path: str, bind: Callable[[str, str, bool], None]) -> None:
        self._path = path
        self._bind = bind
        self._fd = os.open(path, os.O_PATH | os.O_CLOEXEC)

    def __enter__(self) -> RealRoot:
        return self

    def __exit__(self, *problem: object) -> None:
        self.close()

    def close(self) -> None:
        os.close(self._fd)

    def open(self, path: str, *, follow: bool = False) -> Reading:
        with self._found(path, follow=follow) as found:
            return Reading(found)

    def read(self, path: str, limit: int, *, follow: bool = False) -> bytes:
        file = self.open(path, follow=follow)
        try:
            return file.read(limit)
        finally:
            file.close()

    def write(self, path: str, data: bytes, mode: int = 0o644, uid: int = -1) -> None:
        with self._parent(path) as (parent, name):
            made = os.open(name, _NEW, 0o600, dir_fd=parent)
        with open(made, "wb") as file:
            file.write(data)
            os.fchown(made, uid, -1)
            os.fchmod(made, mode)

    async def gzip(self, path: str, new: str) -> None:
        await asyncio.to_thread(self._gzip, path, new)

    def make_dirs(self, path: str, mode: int = 0o755, *, follow: bool = False) -> None:
        names = names_below(path)
        current, there = self._longest(names, follow)
        try:
            for name in names[there:]:
                os.mkdir(name, dir_fd=current)
                made = os.open(name, _HANDLE | os.O_DIRECTORY, dir_fd=current)
                os.close(current)
                current = made
                os.chmod(handle_path(current), mode)
        finally:
            os.close(current)

    def info(self, path: str = "", *, follow: bool = False) -> FileInfo | None:
        try:
            if follow or not path:
                with self._found(path, follow=follow) as found:
                    return info(os.fstat(found))
            with self._parent(path) as (parent, name):
                return info(os.stat(name, dir_fd=parent, follow_symlinks=False))
        except (FileNotFoundError, NotADirectoryError):
            return None

    def list(self, path: str = "") -> list[str]:
        try:
            with self._directory(path) as directory:
                return sorted(os.listdir(directory))
        except FileNotFoundError:
            return []

    def symlink(self, target: str, path: str) -> None:
        with self._parent(path) as (parent, name):
            os.symlink(target, name, dir_fd=parent)

    def readlink(self, path: str) -> str | None:
        try:
            with self._parent(path) as (parent, name):
                return os.readlink(name, dir_fd=parent)
        except OSError:
            return None

    def rename(self, old: str, new: str) -> None:
        with self._parent(old) as (source, before), self._parent(new) as (target, after):
            os.rename(before, after, src_dir_fd=source, dst_dir_fd=target)

    def remove(self, path: str) -> None:
        try:
            with self._parent(path) as (parent, name):
                unlink(name, parent)
        except FileNotFoundError:
            return

    def chmod(self, path: str, mode: int) -> None:
        with self._found(path) as found:
            os.chmod(handle_path(found), mode)

    def chown(self, path: str, uid: int, gid: int) -> None:
        if not path:
            os.chown(handle_path(self._fd), uid, gid)
            return
        with self._parent(path) as (parent, name):
            os.chown(name, uid, gid, dir_fd=parent, follow_symlinks=False)

    def bind(self, path: str, target: str) -> None:
        with self._found(path, follow=True) as found:
            there = os.fstat(found)
            if not _is_same(there, target):
                # Through the descriptor: the source is the file that was checked.
                source = f"/proc/{os.getpid()}/fd/{found}"
                self._bind(source, target, stat.S_ISDIR(there.st_mode))

    @contextmanager
    def _found(self, path: str, *, follow: bool = False) -> Iterator[int]:
        found = self._walk(names_below(path), follow)
        try:
            yield found
        finally:
            os.close(found)

    @contextmanager
    def _parent(self, path: str) -> Iterator[tuple[int, str]]:
        """The directory that holds ``path``, and its name there."""
        *parents, name = names_below(path)
        found = self._walk(parents, False)
        try:
            yield found, name
        finally:
            os.close(found)

    @contextmanager
    def _directory(self, path: str) -> Iterator[int]:
        with self._found(path) as found:
            opened = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=found)
        try:
            yield opened
        finally:
            os.close(opened)

    def _walk(self, names: builtins.list[str], follow: bool) -> int:
        """A handle of the file at ``names``; the caller closes it."""
        held, left, links = [os.dup(self._fd)], deque(names), 0
        try:
            while left:
                name = left.popleft()
                if name in (".", ".."):  # only links bring one
                    if not stat.S_ISDIR(os.fstat(held[-1]).st_mode):
                        raise OSError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), self._path)
                    if name == ".":
                        continue
                    if len(held) == 1:
                        raise OSError(errno.EXDEV, "a link leads out of the volume", self._path)
                    os.close(held.pop())
                    continue
                held.append(os.open(name, _HANDLE, dir_fd=held[-1]))
                if not stat.S_ISLNK(os.fstat(held[-1]).st_mode):
                    continue
                links += 1
                if not follow or links > MAX_LINKS:
                    raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), self._path)
                to = os.readlink("", dir_fd=held[-1])
                os.close(held.pop())
                if to.startswith("/"):
                    raise OSError(errno.EXDEV, "a link leads out of the volume", self._path)
                # As in the kernel, "file/" and "file/." name a directory or nothing.
                left.extendleft(part or "." for part in reversed(to.split("/")))
            return held.pop()
        finally:
            for handle in held:
                os.close(handle)

    def _longest(self, names: builtins.list[str], follow: bool) -> tuple[int, int]:
        """A handle of the longest existing prefix, and its length."""
        for count in range(len(names), 0, -1):
            try:
                return self._walk(names[:count], follow), count
            except FileNotFoundError:
                continue
        return self._walk([], follow), 0

    def _gzip(self, path: str, new: str) -> None:
        with (
            self._found(path) as found,
            self._parent(new) as (parent, name),
            open(_open_regular(found), "rb") as plain,
            open(os.open(name, _NEW, 0o640, dir_fd=parent), "wb") as file,
            gzip.GzipFile(fileobj=file, mode="wb", compresslevel=6) as packed,
        ):
            shutil.copyfileobj(plain, packed)


class Reading:
    """The regular file of a handle. Raises OSError for any other kind, without opening it."""

    def __init__(self, handle: int) -> None:
        self._file = _open_regular(handle)
        self.inode = os.fstat(self._file).st_ino

    def read(self, limit: int) -> bytes:
        return os.read(self._file, limit)

    def seek(self, offset: int) -> None:
        os.lseek(self._file, offset, os.SEEK_SET)

    def size(self) -> int:
        return os.fstat(self._file).st_size

    def close(self) -> None:
        os.close(self._file)


def info(found: os.stat_result) -> FileInfo:
    return FileInfo(
        _KINDS[stat.S_IFMT(found.st_mode)],
        stat.S_IMODE(found.st_mode),
        found.st_size,
        found.st_uid,
        found.st_gid,
        found.st_ino,
    )


def handle_path(handle: int) -> str:
    """A path to exactly the open file."""
    return f"/proc/self/fd/{handle}"


def unlink(name: str, parent: int) -> None:
    """Remove a file, a link or an empty directory. Links are not followed."""
    try:
        os.unlink(name, dir_fd=parent)
    except IsADirectoryError:
        os.rmdir(name, dir_fd=parent)


def remove_tree(path: str) -> None:
    """As ``rm -r``, in constant depth and with two descriptors.

    A pod's files may be nested deeper than any recursion: a directory that is not empty is moved up
    to the top before it is emptied.
    """
    directory, name = os.path.split(path)
    try:
        parent = os.open(directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        if _unlinked(name, parent):
            return
        top = os.open(name, _LISTED, dir_fd=parent)
        try:
            _empty(top)
        finally:
            os.close(top)
        os.rmdir(name, dir_fd=parent)
    except FileNotFoundError:
        return
    finally:
        os.close(parent)


def _empty(top: int) -> None:
    moved, found = 0, True
    while found:
        found = False
        with os.scandir(top) as entries:
            for entry in entries:
                found = True
                if _unlinked(entry.name, top):
                    continue
                inner = os.open(entry.name, _LISTED, dir_fd=top)
                try:
                    with os.scandir(inner) as below:
                        for child in below:
                            if not _unlinked(child.name, inner):
                                moved = _move_up(child.name, inner, top, moved)
                finally:
                    os.close(inner)


def _unlinked(name: str, parent: int) -> bool:
    """Whether the name was removed; False for a directory that is not empty."""
    try:
        unlink(name, parent)
    except OSError as error:
        if error.errno != errno.ENOTEMPTY:
            raise
        return False
    return True


def _move_up(name: str, inner: int, top: int, number: int) -> int:
    while True:
        number += 1
        try:
            os.rename(name, f"..removed-{number}", src_dir_fd=inner, dst_dir_fd=top)
        except OSError as error:
            if error.errno in (errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR):
                continue
            raise
        return number


def names_below(path: str) -> list[str]:
    """A path's components. Raises OSError for one that is absolute or holds ``..``."""
    names = [name for name in path.split("/") if name not in ("", ".")]
    if ".." in names or path.startswith("/"):
        raise OSError(errno.EINVAL, "not a path below the volume", path)
    return names


def _open_regular(handle: int) -> int:
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        raise OSError(errno.EINVAL, "not a regular file")
    return os.open(handle_path(handle), os.O_RDONLY | os.O_CLOEXEC)


def _is_same(there: os.stat_result, target: str) -> bool:
    """Whether ``target`` is that file, by device and inode: then it is mounted there."""
    try:
        now = os.lstat(target)
    except OSError:
        return False
    return (now.st_dev, now.st_ino) == (there.st_dev, there.st_ino)
