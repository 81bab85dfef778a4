"""The lock of a cluster: one ``up`` or ``down`` at a time changes it.

It is a POSIX lock of the process: a supervisor that ``up`` forks does not inherit it, and the
kernel releases it when the process is killed. The file is removed when the command ends; one that a
killed command left is removed by the next.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from trireme.cluster.hosts import names
from trireme.cluster.hosts.plan import Places
from trireme.cluster.user_error import UserError


class Busy(UserError):
    """Another command is changing the cluster."""


@contextmanager
def held(name: str, places: Places) -> Iterator[None]:
    """Hold the cluster's lock. Raises Busy; ValueError for a name that no cluster can have."""
    path = Path(places.run, f".{names.cluster(name)}.lock")
    lock = _take(path, name)
    try:
        yield
    finally:
        path.unlink(missing_ok=True)
        lock.close()
        # Gone only if no cluster keeps anything there.
        with contextlib.suppress(OSError):
            path.parent.rmdir()


def _take(path: Path, name: str) -> IO[str]:
    while True:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            lock = path.open("w")
        except FileNotFoundError:
            continue
        try:
            fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if path.exists() and os.path.samestat(path.stat(), os.fstat(lock.fileno())):
                return lock
        except (BlockingIOError, PermissionError):
            lock.close()
            raise Busy(f"another `trireme up` or `down` of cluster {name!r} is running") from None
        except FileNotFoundError:
            pass
        # The last holder removed the file between open and lock.
        lock.close()
