"""Network namespaces of other processes.

In: the path of one, as the kernel shows it. Called by the processes of a local cluster, and by the
kubelet to reach what listens on a pod's loopback. Imports next to nothing.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
from collections.abc import Iterator

_CLONE_NEWNET = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)


@contextlib.contextmanager
def inside(path: str) -> Iterator[None]:
    """Enter another network namespace temporarily, with this thread only: a socket stays in the one
    that it was created in. Nothing may be awaited meanwhile. Raises OSError."""
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    try:
        enter(path)
        try:
            yield
        finally:
            _set_namespace(home, "the namespace that we came from")
    finally:
        os.close(home)


def enter(path: str) -> None:
    """Move this thread into a network namespace. Raises OSError."""
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        _set_namespace(handle, path)
    finally:
        os.close(handle)


def _set_namespace(handle: int, what: str) -> None:
    if _libc.setns(handle, _CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), f"cannot enter {what}")
