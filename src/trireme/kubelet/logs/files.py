"""The log files of a node's containers.

In: paths from the runtime. Out: the files, all below the directory of pods' logs, without following
links: a pod may write there through a hostPath volume. Called by logs/read, logs/rotate,
observe/inspect, sync/create, sync/remove.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from trireme.kubelet.host.contract import FileInfo, Host, Reading, Root


class LogFiles:
    """``directory``: ``<namespace>_<pod>_<uid>/<container>/<attempt>.log`` lies below it."""

    def __init__(self, host: Host, directory: str) -> None:
        self._host = host
        self.directory = directory

    @contextmanager
    def at(self, path: str) -> Iterator[tuple[Root, str]]:
        """The directory of all logs, and ``path`` relative to it. Raises OSError with ``path``."""
        name = path.removeprefix(f"{self.directory}/")
        if name == path:
            raise OSError(errno.EXDEV, "not below the directory of logs", path)
        try:
            with self._host.open_root(self.directory) as root:
                yield root, name
        except OSError as error:
            raise OSError(error.errno, error.strerror, path) from error

    def open(self, path: str) -> Reading:
        with self.at(path) as (root, name):
            return root.open(name)

    def info(self, path: str) -> FileInfo | None:
        with self.at(path) as (root, name):
            return root.info(name)

    def list(self, path: str) -> list[str]:
        with self.at(path) as (root, name):
            return root.list(name)

    def tail(self, path: str, limit: int) -> bytes:
        """The last ``limit`` bytes."""
        file = self.open(path)
        try:
            file.seek(max(0, file.size() - limit))
            return file.read(limit)
        finally:
            file.close()
